//! An elementary stream: its bytes out of packets, cut into access units with their times.

use std::collections::VecDeque;

use super::clock::{Clock, difference};
use super::frames::{FrameCutter, FrameKind, Sound};
use super::kind::StreamKind;
use super::psi::ProgramStream;
use super::units::{TimedUnit, VideoTimes};
use crate::codec::CodecConfig;
use crate::codec::picture::{Picture, PictureCutter};
use crate::index::{SkipReason, UNIT_BYTES_MAX};
use crate::wrapping::Wrapping;
use crate::wrapping::transport_stream::{Packet, PesHeader};

/// Packets that one access unit of each stream may lie in, whatever the others hold.
pub(in crate::container) const OWN_PIECES_MAX: usize = 1 << 14;
/// Packets that the streams' access units may lie in, all together.
pub(in crate::container) const PIECES_MAX: usize = UNIT_BYTES_MAX as usize / 64;
/// Time stamps that wait for the access unit they belong to.
const STAMPS_MAX: usize = 1 << 16;

/// A stream that is delivered.
#[derive(Debug)]
pub(in crate::container) struct Stream {
    pub(super) pid: u16,
    pub(super) language: Option<[u8; 3]>,
    cutter: Cutter,
    /// Bytes of the elementary stream so far.
    position: u64,
    /// Where its bytes lie in the file, from the first that is needed on.
    pieces: VecDeque<Piece>,
    stamps: VecDeque<Stamp>,
    times: Times,
    pub(in crate::container) units: Vec<TimedUnit>,
    /// Whether an access unit was too large.
    has_oversized: bool,
    /// The counter and payload of the last packet.
    last: Option<(u8, Vec<u8>)>,
    is_scrambled: bool,
}

#[derive(Debug)]
enum Cutter {
    Video(Box<PictureCutter>),
    Sound(Box<FrameCutter>),
}

/// Bytes that lie together.
#[derive(Clone, Copy, Debug)]
struct Piece {
    position: u64,
    offset: u64,
    bytes: u32,
}

/// The time stamps of a PES packet whose first byte has this position.
#[derive(Clone, Copy, Debug)]
struct Stamp {
    position: u64,
    presentation: u64,
    decoding: u64,
}

/// What the times of the units so far say of the next one's.
#[derive(Debug, Default)]
struct Times {
    video: VideoTimes,
    /// When the next unit is due if it has no stamp.
    expected: Option<i64>,
    /// Since the last stamp, of sound: its time, and samples.
    anchor: i64,
    samples: i64,
}

impl Stream {
    /// A stream of a kind that is delivered; `None` of another.
    pub(super) fn new(stream: &ProgramStream) -> Option<Self> {
        Self::of(&stream.kind, stream.pid, stream.language)
    }

    /// The same, of a stream with this number.
    pub(in crate::container) fn of(
        kind: &StreamKind,
        pid: u16,
        language: Option<[u8; 3]>,
    ) -> Option<Self> {
        let frames = |kind| Cutter::Sound(Box::new(FrameCutter::new(kind)));
        let cutter = match *kind {
            StreamKind::Video(kind) => Cutter::Video(Box::new(PictureCutter::new(kind, 0))),
            StreamKind::Adts => frames(FrameKind::Adts),
            StreamKind::Latm => frames(FrameKind::Loas),
            StreamKind::MpegAudio => frames(FrameKind::MpegAudio),
            StreamKind::Ac3 => frames(FrameKind::Ac3),
            StreamKind::Opus(config) => frames(FrameKind::Opus(config)),
            StreamKind::Skipped(_) => return None,
        };
        Some(Self {
            pid,
            language,
            cutter,
            position: 0,
            pieces: VecDeque::new(),
            stamps: VecDeque::new(),
            times: Times::default(),
            units: Vec::new(),
            has_oversized: false,
            last: None,
            is_scrambled: false,
        })
    }

    /// Takes a packet of the stream that lies at `offset` in the file.
    pub(super) fn take(&mut self, offset: u64, packet: &Packet<'_>, clock: &mut Clock) {
        if packet.is_scrambled {
            self.is_scrambled = true;
            return;
        }
        if !packet.has_payload {
            return;
        }
        let is_repeated = self.last.as_ref().is_some_and(|(counter, payload)| {
            *counter == packet.counter && packet.repeats_payload(payload)
        });
        if self.last.is_none() && !packet.is_start {
            return; // part of a PES packet that began before
        }
        let elementary = packet.elementary();
        if is_repeated {
            // What begins in the packet begins in its last copy: nothing repeated lies behind.
            if let (Some(piece), Some((at, _))) = (self.pieces.back_mut(), elementary) {
                piece.offset = offset + at as u64;
            }
            return;
        }
        let is_in_turn =
            |(counter, _): &(u8, Vec<u8>)| packet.counter == counter.wrapping_add(1) & 0x0f;
        if !self.last.as_ref().is_none_or(is_in_turn) {
            self.lose(clock);
        }
        let (_, payload) = self.last.get_or_insert_default();
        payload.clear();
        payload.extend_from_slice(packet.payload);
        self.last = self.last.take().map(|(_, payload)| (packet.counter, payload));
        let Some((at, bytes)) = elementary else { return };
        let header = packet.is_start.then(|| PesHeader::parse(packet.payload)).flatten();
        self.append(offset + at as u64, bytes, header, clock);
    }

    /// Takes the next bytes of the elementary stream, which lie at `offset` in the file, with the
    /// header of the PES packet that they begin, if they do.
    pub(in crate::container) fn append(
        &mut self,
        offset: u64,
        bytes: &[u8],
        header: Option<PesHeader>,
        clock: &mut Clock,
    ) {
        if let Some(header) = header {
            self.stamp(header);
        }
        let Ok(length) = u32::try_from(bytes.len()) else { return };
        if length == 0 {
            return;
        }
        self.pieces.push_back(Piece { position: self.position, offset, bytes: length });
        self.position += u64::from(length);
        self.cut(Some(bytes), clock);
        self.forget();
    }

    /// How many packets the access unit lies in that is being put together.
    pub(in crate::container) fn piece_count(&self) -> usize {
        self.pieces.len()
    }

    /// Gives up the access unit that is being put together, because it lies in too many packets:
    /// without its beginning it is left out when it ends.
    pub(in crate::container) fn give_up(&mut self) {
        self.pieces.clear();
        self.has_oversized = true;
    }

    /// Packets are missing: with them the rest of a frame of sound, and a stamp's frame. A picture
    /// is cut by what is there; its decoder makes the best of it.
    fn lose(&mut self, clock: &mut Clock) {
        if let Cutter::Sound(cutter) = &mut self.cutter {
            let ended = cutter.lose(self.position);
            self.stamps.retain(|stamp| ended.is_some_and(|sound| stamp.position <= sound.frame));
            if let Some(sound) = ended {
                self.sound(&sound, clock);
            }
        }
    }

    fn stamp(&mut self, header: PesHeader) {
        let Some(presentation) = header.presentation else { return };
        let decoding = header.decoding.unwrap_or(presentation);
        if self.stamps.len() >= STAMPS_MAX {
            self.stamps.pop_front();
        }
        self.stamps.push_back(Stamp { position: self.position, presentation, decoding });
    }

    /// Cuts the next bytes, or what is left at the end.
    fn cut(&mut self, bytes: Option<&[u8]>, clock: &mut Clock) {
        match &mut self.cutter {
            Cutter::Video(cutter) => {
                let mut pictures = Vec::new();
                match bytes {
                    Some(bytes) => cutter.feed(bytes, |picture| pictures.push(picture)),
                    None => cutter.finish(|picture| pictures.push(picture)),
                }
                if let Some(rate) = cutter.field_rate() {
                    self.times.video.rate = rate;
                }
                pictures.iter().for_each(|picture| self.picture(picture, clock));
            }
            Cutter::Sound(cutter) => {
                let mut sounds = Vec::new();
                match bytes {
                    Some(bytes) => cutter.feed(bytes, |sound| sounds.push(sound)),
                    None => cutter.finish(|sound| sounds.push(sound)),
                }
                sounds.iter().for_each(|sound| self.sound(sound, clock));
            }
        }
    }

    /// Lets go what lies in front of the access unit that is being put together.
    fn forget(&mut self) {
        let needed = match &self.cutter {
            Cutter::Video(cutter) => cutter.open_from(),
            Cutter::Sound(cutter) => cutter.open_from(),
        };
        // The last piece stays, in case its packet is repeated.
        while self.pieces.len() > 1
            && self.pieces.front().is_some_and(|p| p.position + u64::from(p.bytes) <= needed)
        {
            self.pieces.pop_front();
        }
    }

    fn picture(&mut self, picture: &Picture, clock: &mut Clock) {
        let stamp = self.stamp_until(picture.code);
        if stamp.is_none() && self.times.expected.is_none() {
            return; // at a time unknown
        }
        let stamped = stamp.map(|stamp| {
            let decode = clock.time(stamp.decoding, self.times.expected);
            (decode, decode + ahead(&stamp))
        });
        let unit = self.times.video.time(picture, stamped);
        self.times.expected = Some(unit.decode + i64::from(unit.duration));
        let media_bytes = u32::try_from(picture.end - picture.start).unwrap_or(u32::MAX);
        self.push(picture.start, picture.end, media_bytes, unit);
    }

    fn sound(&mut self, sound: &Sound, clock: &mut Clock) {
        let stamp = self.stamp_until(sound.frame);
        if sound.samples == 0 {
            return; // and so when the next is due is not known either, if it has no stamp
        }
        if let Some(stamp) = stamp {
            // Sound is decoded when it is heard.
            self.times.anchor = clock.time(stamp.presentation, self.times.expected);
            self.times.samples = 0;
        } else if self.times.expected.is_none() {
            return; // at a time unknown
        }
        let rate = i64::from(sound.sample_rate.ticks_per_second());
        let ticks = |samples: i64| (samples * 90_000 + rate / 2) / rate;
        let decode = self.times.anchor + ticks(self.times.samples);
        self.times.samples += i64::from(sound.samples);
        let next = self.times.anchor + ticks(self.times.samples);
        self.times.expected = Some(next);
        let duration = u32::try_from(next - decode).unwrap_or(0);
        if sound.media_bytes > 0 {
            let unit = TimedUnit::unplaced(decode, decode, duration, true);
            self.push(sound.start, sound.end, sound.media_bytes, unit);
        }
    }

    /// The stamp of the access unit that begins here: that of the last PES packet that begins no
    /// later, unless another access unit began in it (ISO 13818-1 §2.4.3.7).
    fn stamp_until(&mut self, position: u64) -> Option<Stamp> {
        let mut last = None;
        while self.stamps.front().is_some_and(|stamp| stamp.position <= position) {
            last = self.stamps.pop_front();
        }
        last
    }

    /// Notes a unit that lies from `start` to `end` of the elementary stream.
    fn push(&mut self, start: u64, end: u64, media_bytes: u32, unit: TimedUnit) {
        let last = end.checked_sub(1).filter(|last| *last >= start);
        let (Some(first), Some(last)) = (self.offset(start), last.and_then(|l| self.offset(l)))
        else {
            return;
        };
        let bytes = u32::try_from((last + 1).saturating_sub(first)).unwrap_or(u32::MAX);
        // Too large ones could never be sent.
        self.has_oversized |= bytes > UNIT_BYTES_MAX;
        if (1..=UNIT_BYTES_MAX).contains(&bytes) {
            // A little disorder is not worth a jump, but decode times never go back.
            let before = self.units.last().map_or(i64::MIN, |unit| unit.decode);
            let decode = unit.decode.max(before);
            self.units.push(TimedUnit { offset: first, bytes, media_bytes, decode, ..unit });
        }
    }

    /// What is left out of a stream that is delivered.
    pub(in crate::container) fn left_out(&self) -> Option<SkipReason> {
        let has_others = match &self.cutter {
            Cutter::Video(_) => false,
            Cutter::Sound(cutter) => cutter.has_others(),
        };
        let others = has_others.then_some(SkipReason::SeveralDescriptions);
        self.has_oversized.then_some(OVERSIZED).or(others)
    }

    /// How its access units lie in the file, if its elementary stream lies in it so.
    pub(in crate::container) fn wrapping(&self, outer: Wrapping) -> Wrapping {
        match &self.cutter {
            Cutter::Video(_) => outer,
            Cutter::Sound(cutter) => match cutter.elements() {
                Some(elements) => Wrapping::LatmIn(Box::new(outer), elements),
                None => outer,
            },
        }
    }

    /// Where a byte of the elementary stream lies in the file.
    fn offset(&self, position: u64) -> Option<u64> {
        let behind = self.pieces.partition_point(|piece| piece.position <= position);
        let piece = self.pieces.get(behind.checked_sub(1)?)?;
        let within = position - piece.position;
        (within < u64::from(piece.bytes)).then(|| piece.offset + within)
    }

    /// Ends the stream: what is declared of it, or why it is not delivered.
    pub(in crate::container) fn finish(
        &mut self,
        clock: &mut Clock,
    ) -> Result<CodecConfig, SkipReason> {
        self.cut(None, clock);
        if self.units.is_empty() && self.is_scrambled {
            return Err(SkipReason::Encrypted);
        }
        let (config, is_latm) = match &self.cutter {
            Cutter::Video(cutter) => (cutter.config(), false),
            Cutter::Sound(cutter) => (cutter.config(), cutter.is_latm()),
        };
        let config = config.map_err(SkipReason::Config);
        if self.units.is_empty() {
            // What is wrong with its configuration is why it has none.
            let of_config = config.err().filter(|_| is_latm);
            return Err(self.left_out().or(of_config).unwrap_or(SkipReason::Empty));
        }
        config
    }
}

const OVERSIZED: SkipReason = SkipReason::Broken("an access unit that is too large is left out");

/// How long after its decoding a unit is presented; what is beyond reason is none.
fn ahead(stamp: &Stamp) -> i64 {
    const AHEAD_MAX: i64 = 10 * 90_000;
    let ahead = difference(stamp.presentation.cast_signed(), stamp.decoding.cast_signed());
    if ahead.abs() <= AHEAD_MAX { ahead } else { 0 }
}
