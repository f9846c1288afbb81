//! Cuts streams of audio frames, whose headers tell their length.

use super::latm::{self, Elements};
use super::opus;
use crate::codec::CodecConfig;
use crate::codec::aac::AdtsHeader;
use crate::codec::ac3::SyncFrame;
use crate::codec::mpeg_audio::FrameHeader;
use crate::codec::opus::{OpusConfig, RTP_RATE, packet_samples};
use crate::time::ClockRate;
use crate::wrapping::latm::MuxElements;

/// An access unit of sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::container) struct Sound {
    /// Position in the stream of its first byte, which may be behind a header.
    pub(super) start: u64,
    /// Position of the frame's first byte.
    pub(super) frame: u64,
    /// Position behind its last byte.
    pub(super) end: u64,
    /// Bytes of media from the first to the last; 0 if it is left out.
    pub(super) media_bytes: u32,
    /// 0 if that is not known.
    pub(super) samples: u32,
    pub(super) sample_rate: ClockRate,
}

/// Kinds of frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::container) enum FrameKind {
    Adts,
    MpegAudio,
    Ac3,
    /// AAC in LATM.
    Loas,
    /// Opus packets with their control headers.
    Opus(OpusConfig),
}

/// What a frame's header says.
struct Frame {
    header_bytes: usize,
    bytes: usize,
    is_dependent: bool,
    /// `None` if only the contents tell, or are not there yet.
    sound: Option<FrameSound>,
}

/// What sound is in a frame.
struct FrameSound {
    samples: u32,
    sample_rate: ClockRate,
    /// 0, but for MPEG audio, of which a stream has one layer.
    layer: u8,
    codec: CodecConfig,
}

impl FrameKind {
    /// Bytes that a header needs to be told.
    const fn header_bytes(self) -> usize {
        match self {
            Self::Adts | Self::Ac3 => 7,
            Self::MpegAudio => 4,
            Self::Loas => latm::HEADER_BYTES,
            Self::Opus(_) => opus::HEADER_BYTES_MIN,
        }
    }

    fn parse(self, bytes: &[u8]) -> Option<Frame> {
        match self {
            Self::Adts => {
                let header = AdtsHeader::parse(bytes)?;
                let config = header.config().ok().filter(|_| header.unit_count == 1)?;
                Some(Frame {
                    header_bytes: usize::try_from(header.header_bytes).ok()?,
                    bytes: usize::try_from(header.frame_bytes).ok()?,
                    is_dependent: false,
                    sound: Some(FrameSound {
                        samples: u32::from(config.unit_samples),
                        sample_rate: config.rtp_rate,
                        layer: 0,
                        codec: CodecConfig::Aac(config),
                    }),
                })
            }
            Self::MpegAudio => {
                let header = FrameHeader::parse(bytes)?;
                Some(Frame {
                    header_bytes: 0,
                    bytes: usize::try_from(header.bytes).ok()?,
                    is_dependent: false,
                    sound: Some(FrameSound {
                        samples: u32::from(header.samples),
                        sample_rate: header.sample_rate,
                        layer: header.layer,
                        codec: CodecConfig::MpegAudio(header.config()),
                    }),
                })
            }
            Self::Ac3 => {
                let frame = SyncFrame::parse(bytes)?;
                let config = frame.config();
                Some(Frame {
                    header_bytes: 0,
                    bytes: usize::try_from(frame.bytes).ok()?,
                    is_dependent: frame.is_dependent,
                    sound: Some(FrameSound {
                        samples: u32::from(frame.samples),
                        sample_rate: frame.sample_rate,
                        layer: 0,
                        codec: if frame.is_enhanced {
                            CodecConfig::EAc3(config)
                        } else {
                            CodecConfig::Ac3(config)
                        },
                    }),
                })
            }
            Self::Loas => Some(Frame {
                header_bytes: latm::HEADER_BYTES,
                bytes: latm::frame_bytes(bytes)?,
                is_dependent: false,
                sound: None,
            }),
            Self::Opus(config) => Frame::of_opus(bytes, config),
        }
    }
}

impl Frame {
    fn of_opus(bytes: &[u8], config: OpusConfig) -> Option<Self> {
        let (header_bytes, frame_bytes) = opus::frame_bytes(bytes)?;
        let sound = match bytes.get(header_bytes..frame_bytes) {
            Some(packet) => Some(FrameSound {
                samples: packet_samples(packet)?,
                sample_rate: RTP_RATE,
                layer: 0,
                codec: CodecConfig::Opus(config),
            }),
            None => None,
        };
        Some(Self { header_bytes, bytes: frame_bytes, is_dependent: false, sound })
    }
}

/// Cuts a stream that comes in pieces. Memory: a frame and the piece.
#[derive(Debug)]
pub(in crate::container) struct FrameCutter {
    kind: FrameKind,
    /// Bytes of frames that are not whole yet, and where they begin.
    buffer: Vec<u8>,
    position: u64,
    /// Whether the last frame ended where `buffer` begins.
    is_in_step: bool,
    /// An access unit to which dependent substreams may be added.
    open: Option<Sound>,
    /// Of the first frame.
    codec: Option<(CodecConfig, ClockRate, u8)>,
    /// Of frames of LATM.
    elements: Elements,
}

impl FrameCutter {
    pub(in crate::container) fn new(kind: FrameKind) -> Self {
        let (buffer, elements) = (Vec::new(), Elements::default());
        Self { kind, buffer, position: 0, is_in_step: false, open: None, codec: None, elements }
    }

    /// Takes the next bytes, and calls `each` with every access unit that has ended.
    pub(in crate::container) fn feed(&mut self, bytes: &[u8], mut each: impl FnMut(Sound)) {
        self.buffer.extend_from_slice(bytes);
        self.cut(false, &mut each);
    }

    /// Ends the last access unit where the stream ends; part of a frame is none.
    pub(in crate::container) fn finish(&mut self, mut each: impl FnMut(Sound)) {
        self.cut(true, &mut each);
        if let Some(open) = self.open.take() {
            each(open);
        }
    }

    /// Goes on at this position, where bytes are missing in front. Yields the access unit that has
    /// ended.
    pub(super) fn lose(&mut self, position: u64) -> Option<Sound> {
        self.buffer.clear();
        (self.position, self.is_in_step) = (position, false);
        self.open.take()
    }

    /// Nothing in front of this position is needed any more.
    pub(super) fn open_from(&self) -> u64 {
        self.open.map_or(self.position, |open| open.frame)
    }

    pub(super) fn is_latm(&self) -> bool {
        self.kind == FrameKind::Loas
    }

    /// How access units lie in frames of LATM.
    pub(super) fn elements(&self) -> Option<MuxElements> {
        self.elements.wrapped()
    }

    /// Whether frames of other configurations were left out.
    pub(super) const fn has_others(&self) -> bool {
        self.elements.has_others()
    }

    pub(super) fn config(&self) -> Result<CodecConfig, &'static str> {
        if self.is_latm() {
            return self.elements.config();
        }
        self.codec.as_ref().map(|codec| codec.0.clone()).ok_or("no whole frame of sound")
    }

    fn cut(&mut self, is_end: bool, each: &mut impl FnMut(Sound)) {
        let mut at = 0;
        while let Some(rest) = self.buffer.get(at..) {
            if rest.len() < self.kind.header_bytes() {
                break;
            }
            let Some(frame) = self.kind.parse(rest).filter(|frame| self.fits(frame)) else {
                (at, self.is_in_step) = (at + 1, false);
                continue;
            };
            let behind = rest.get(frame.bytes..).unwrap_or_default();
            if rest.len() < frame.bytes {
                if !is_end {
                    break;
                }
                (at, self.is_in_step) = (at + 1, false);
                continue;
            }
            if !self.is_in_step {
                // What looks like a header is one if another follows the frame, or the end.
                if behind.len() < self.kind.header_bytes() && !is_end {
                    break;
                }
                let is_confirmed = behind.is_empty() || self.kind.parse(behind).is_some();
                if !is_confirmed {
                    at += 1;
                    continue;
                }
            }
            self.is_in_step = true;
            let (bytes, is_dependent) = (frame.bytes, frame.is_dependent);
            let sound = self.sound(at, frame);
            self.take(sound, is_dependent, each);
            at += bytes;
        }
        self.buffer.drain(..at.min(self.buffer.len()));
        self.position += at as u64;
    }

    /// Whether a frame may follow those before.
    fn fits(&self, frame: &Frame) -> bool {
        let is_same = |(_, rate, layer): &(CodecConfig, ClockRate, u8)| {
            let told = frame.sound.as_ref().map(|sound| (sound.sample_rate, sound.layer));
            told.is_none_or(|told| told == (*rate, *layer))
        };
        frame.bytes > frame.header_bytes && self.codec.as_ref().is_none_or(is_same)
    }

    /// What a frame that lies `at` bytes into the buffer, all of it, gives.
    fn sound(&mut self, at: usize, frame: Frame) -> Sound {
        let (first, last) = (at + frame.header_bytes, at + frame.bytes);
        let (media_bytes, samples, sample_rate) = match frame.sound {
            Some(FrameSound { samples, sample_rate, layer, codec }) => {
                self.codec.get_or_insert((codec, sample_rate, layer));
                (u32::try_from(last - first).unwrap_or(u32::MAX), samples, sample_rate)
            }
            None => {
                let element = self.buffer.get(first..last).unwrap_or_default();
                let latm::Element { media_bytes, samples, sample_rate } =
                    self.elements.take(element);
                (media_bytes, samples, sample_rate)
            }
        };
        let position = |at: usize| self.position + at as u64;
        let (start, frame, end) = (position(first), position(at), position(last));
        Sound { start, frame, end, media_bytes, samples, sample_rate }
    }

    fn take(&mut self, sound: Sound, is_dependent: bool, each: &mut impl FnMut(Sound)) {
        if let Some(open) =
            self.open.as_mut().filter(|open| is_dependent && open.end == sound.frame)
        {
            open.end = sound.end;
            open.media_bytes = open.media_bytes.saturating_add(sound.media_bytes);
            return;
        }
        if let Some(open) = self.open.replace(sound) {
            each(open);
        }
    }
}

#[cfg(test)]
#[allow(clippy::cast_possible_truncation, reason = "small numbers of a test")]
mod tests {
    use super::*;

    /// MPEG-1 layer II, 48 kHz, 32 kbit/s: 96 bytes.
    fn frame() -> Vec<u8> {
        let mut frame = vec![0xff, 0xfd, 0x14, 0xc0];
        frame.resize(96, 0x55);
        frame
    }

    /// An ADTS frame at 44.1 kHz with two channels.
    fn adts(payload: &[u8]) -> Vec<u8> {
        let length = 7 + payload.len();
        let mut frame = vec![0xff, 0xf1, 0x50, 0x80 | (length >> 11) as u8, (length >> 3) as u8];
        frame.extend([(length << 5) as u8 | 0x1f, 0xfc]);
        frame.extend_from_slice(payload);
        frame
    }

    /// An Opus packet of 20 ms with its control header.
    fn opus(payload_bytes: u8) -> Vec<u8> {
        let mut frame = vec![0x7f, 0xf0, 1 + payload_bytes, 0, 0, 0xfc];
        frame.resize(6 + usize::from(payload_bytes), 0x55);
        frame
    }

    fn cut(kind: FrameKind, stream: &[u8], piece: usize) -> Vec<(u64, u64)> {
        let (mut cutter, mut found) = (FrameCutter::new(kind), Vec::new());
        let mut each = |sound: Sound| found.push((sound.start, sound.end));
        stream.chunks(piece).for_each(|bytes| cutter.feed(bytes, &mut each));
        cutter.finish(&mut each);
        assert!(cutter.buffer.len() < 96);
        found
    }

    #[test]
    fn frames_are_cut_however_they_come() {
        let (mpeg, two) = (frame(), adts(&[1, 2]));
        let opus_kind = FrameKind::Opus(OpusConfig { channels: 2 });
        for (kind, stream, expected) in [
            (FrameKind::MpegAudio, [&mpeg[..], &mpeg].concat(), vec![(0, 96), (96, 192)]),
            (FrameKind::MpegAudio, mpeg.clone(), vec![(0, 96)]),
            (
                FrameKind::MpegAudio,
                [&[0xff, 0xfd, 0x14][..], &mpeg, &mpeg].concat(),
                vec![(3, 99), (99, 195)],
            ),
            (
                FrameKind::MpegAudio,
                [&mpeg[..], &[1, 2], &mpeg, &mpeg].concat(),
                vec![(98, 194), (194, 290)],
            ),
            (
                FrameKind::MpegAudio,
                [&mpeg[..], &mpeg, &mpeg[..50]].concat(),
                vec![(0, 96), (96, 192)],
            ),
            (FrameKind::MpegAudio, vec![0xff; 50], vec![]),
            (opus_kind, [&opus(9)[..], &opus(30), &opus(1)[..6]].concat(), vec![(5, 15), (20, 51)]),
            (
                opus_kind,
                [&[0x7f, 0xe0, 1, 0x83][..], &opus(9), &opus(2)].concat(),
                vec![(9, 19), (24, 27)],
            ),
            (FrameKind::Adts, [&two[..], &adts(&[]), &two].concat(), vec![(7, 9), (23, 25)]),
        ] {
            for piece in [1, 7, 96, 1000] {
                assert_eq!(cut(kind, &stream, piece), expected, "{kind:?} in pieces of {piece}");
            }
        }
    }
}
