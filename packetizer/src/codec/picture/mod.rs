//! Cuts byte streams of video into access units, and tells what a demuxer must know of each.

mod h264;
mod h264_headers;
mod h264_marking;
mod h265;
mod h265_headers;
mod mpeg4_visual;
mod mpeg_video;
mod rbsp;
mod reorder;
mod start_codes;

pub(crate) use reorder::Reorder;

use super::CodecConfig;
use start_codes::{Coded, StartCodes};

/// An access unit of a video stream: a frame, or in H.264 and H.265 one field if fields are coded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Picture {
    /// Position in the stream of its first byte.
    pub(crate) start: u64,
    /// Position of its first start code, which may have a zero in front.
    pub(crate) code: u64,
    /// Position behind its last byte.
    pub(crate) end: u64,
    /// Its place in the order of display among the pictures since the last that `restarts`.
    pub(crate) order: i64,
    /// Whether the order begins anew with it: all before are displayed before.
    pub(crate) restarts: bool,
    /// Whether decoding may start here.
    pub(crate) sync: bool,
    /// How long it is shown, in fields: 1 to 6.
    pub(crate) fields: u8,
}

/// Fields or frames a second: this many in that many seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FieldRate {
    pub(crate) fields: u32,
    pub(crate) seconds: u32,
}

impl FieldRate {
    /// 25 frames a second: of streams that do not tell theirs.
    pub(crate) const DEFAULT: Self = Self { fields: 50, seconds: 1 };

    /// A rate that is neither more than 600 fields a second nor fewer than one in ten seconds.
    fn plausible(fields: u64, seconds: u64) -> Option<Self> {
        let is_plausible = fields > 0 && seconds <= fields * 10 && fields <= seconds * 600;
        let (fields, seconds) = (u32::try_from(fields).ok()?, u32::try_from(seconds).ok()?);
        is_plausible.then_some(Self { fields, seconds })
    }

    /// When a field is shown, in ticks of 90 kHz from the 0th on.
    pub(crate) fn ticks(self, field: i64) -> i64 {
        let ticks = i128::from(field) * 90_000 * i128::from(self.seconds);
        let fields = i128::from(self.fields.max(1));
        i64::try_from((ticks + fields / 2).div_euclid(fields)).unwrap_or(i64::MAX)
    }
}

/// What a coded unit is to the access units around it.
enum Role {
    /// Belongs to the access unit that is open.
    Other,
    /// Begins an access unit if the one that is open has a picture.
    Begins,
    /// Begins one if a new picture follows, and not more of the same.
    MayBegin,
    /// The first of a new picture.
    Picture(Shown),
    /// More of the same picture.
    More,
}

/// What a picture's first coded unit says of it.
struct Shown {
    order: i64,
    restarts: bool,
    sync: bool,
    fields: u8,
}

/// What a kind of video knows of its coded units.
#[derive(Debug)]
enum Syntax {
    H264(h264::Syntax),
    H265(h265::Syntax),
    Mpeg(mpeg_video::Syntax),
    Mpeg4(mpeg4_visual::Syntax),
}

/// The kinds of video that are byte streams with start codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum VideoKind {
    /// H.264 (ISO 14496-10 Annex B).
    H264,
    /// H.265 (ISO 23008-2 Annex B).
    H265,
    /// MPEG-1 and MPEG-2 video.
    Mpeg,
    /// MPEG-4 Visual.
    Mpeg4Visual,
}

/// Cuts a byte stream that comes in pieces. Memory: a few kilobytes and the parameter sets.
#[derive(Debug)]
pub(crate) struct PictureCutter {
    codes: StartCodes,
    assembly: Assembly,
}

/// The access unit that is being put together.
#[derive(Debug)]
struct Assembly {
    syntax: Syntax,
    /// The open access unit.
    open: Option<Picture>,
    /// Whether it has its picture.
    has_picture: bool,
    /// Where the next one begins, if a new picture follows: its first byte and start code.
    candidate: Option<(u64, u64)>,
}

impl PictureCutter {
    /// For a stream of this kind whose first byte has this position.
    pub(crate) fn new(kind: VideoKind, position: u64) -> Self {
        let syntax = match kind {
            VideoKind::H264 => Syntax::H264(h264::Syntax::default()),
            VideoKind::H265 => Syntax::H265(h265::Syntax::default()),
            VideoKind::Mpeg => Syntax::Mpeg(mpeg_video::Syntax::default()),
            VideoKind::Mpeg4Visual => Syntax::Mpeg4(mpeg4_visual::Syntax::default()),
        };
        let assembly = Assembly { syntax, open: None, has_picture: false, candidate: None };
        Self { codes: StartCodes::at(position), assembly }
    }

    /// Takes the next bytes, and calls `each` with every access unit that has ended.
    pub(crate) fn feed(&mut self, bytes: &[u8], mut each: impl FnMut(Picture)) {
        self.codes.feed(bytes, |coded| self.assembly.take(coded, &mut each));
    }

    /// Ends the last access unit where the stream ends.
    pub(crate) fn finish(&mut self, mut each: impl FnMut(Picture)) {
        self.codes.finish(|coded| self.assembly.take(coded, &mut each));
        self.assembly.close(self.codes.position(), &mut each);
    }

    /// Where what has not been cut yet begins: nothing in front of it is needed any more.
    pub(crate) fn open_from(&self) -> u64 {
        let position = self.codes.position().saturating_sub(4);
        self.assembly.open.map_or(position, |open| open.start)
    }

    /// Fields a second, if the stream has told.
    pub(crate) fn field_rate(&self) -> Option<FieldRate> {
        match &self.assembly.syntax {
            Syntax::H264(syntax) => syntax.field_rate(),
            Syntax::H265(syntax) => syntax.field_rate(),
            Syntax::Mpeg(syntax) => syntax.field_rate(),
            Syntax::Mpeg4(syntax) => syntax.field_rate(),
        }
    }

    /// What SDP must declare of the stream, once its headers have been seen.
    ///
    /// # Errors
    /// The headers that are missing.
    pub(crate) fn config(&self) -> Result<CodecConfig, &'static str> {
        match &self.assembly.syntax {
            Syntax::H264(syntax) => syntax.config().map(CodecConfig::H264),
            Syntax::H265(syntax) => syntax.config().map(CodecConfig::H265),
            Syntax::Mpeg(syntax) => syntax.config(),
            Syntax::Mpeg4(syntax) => syntax.config().map(CodecConfig::Mpeg4Visual),
        }
    }
}

impl Assembly {
    fn take(&mut self, coded: Coded<'_>, each: &mut impl FnMut(Picture)) {
        let role = match &mut self.syntax {
            Syntax::H264(syntax) => syntax.role(coded.head),
            Syntax::H265(syntax) => syntax.role(coded.head),
            Syntax::Mpeg(syntax) => syntax.role(coded.head),
            Syntax::Mpeg4(syntax) => syntax.role(coded.head),
        };
        let here = (coded.start, coded.code);
        match role {
            Role::Other => {}
            Role::Begins if self.has_picture => {
                let (start, code) = self.candidate.unwrap_or(here);
                self.begin(start, code, each);
            }
            Role::Begins => {}
            Role::MayBegin if self.has_picture => {
                self.candidate.get_or_insert(here);
            }
            Role::MayBegin => {}
            Role::More => self.candidate = None,
            Role::Picture(shown) => {
                if self.has_picture {
                    let (start, code) = self.candidate.unwrap_or(here);
                    self.begin(start, code, each);
                }
                let (start, code) = here;
                let open = self.open.get_or_insert(Picture { start, code, ..Picture::default() });
                let Shown { order, restarts, sync, fields } = shown;
                *open = Picture { order, restarts, sync, fields, ..*open };
                self.has_picture = true;
            }
        }
        if self.open.is_none() {
            let (start, code) = here;
            self.open = Some(Picture { start, code, ..Picture::default() });
        }
    }

    fn begin(&mut self, start: u64, code: u64, each: &mut impl FnMut(Picture)) {
        self.close(start, each);
        self.open = Some(Picture { start, code, ..Picture::default() });
    }

    fn close(&mut self, end: u64, each: &mut impl FnMut(Picture)) {
        if let Some(picture) = self.open.take().filter(|_| self.has_picture) {
            each(Picture { end, ..picture });
        }
        self.has_picture = false;
        self.candidate = None;
    }
}
