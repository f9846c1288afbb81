//! MPEG-1 and MPEG-2 audio: the frame header (ISO 11172-3 §2.4.1.3, 13818-3 §2.4.1).

use crate::time::ClockRate;

/// What the payload format must know of an MPEG audio stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MpegAudioConfig {
    /// The sampling rate; the RTP clock is 90 kHz all the same (RFC 3551 §4.5.13).
    pub sample_rate: ClockRate,
    /// Channels: 1 or 2.
    pub channels: u8,
    /// Samples of a frame: 384, 576 or 1152.
    pub frame_samples: u16,
}

/// Bytes of a frame header.
pub const HEADER_BYTES: usize = 4;
/// Bytes of a frame at most: layer II of MPEG-2.5 at 160 kbit/s and 8 kHz, padded.
pub const FRAME_BYTES_MAX: u32 = 2881;

/// What the header of a frame says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameHeader {
    /// Bytes of the frame, header and padding included.
    pub bytes: u32,
    /// Samples of a channel: 384, 576 or 1152.
    pub samples: u16,
    /// The sampling rate.
    pub sample_rate: ClockRate,
    /// Channels: 1 or 2.
    pub channels: u8,
    /// Layer: 1 to 3.
    pub layer: u8,
    /// Whether it is MPEG-1, rather than MPEG-2 or 2.5 with their lower sampling rates.
    pub is_mpeg1: bool,
}

impl FrameHeader {
    /// Parses the header at the beginning of `bytes`. `None` if it is none, is cut short, or is of
    /// free format, whose frames do not tell their length.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let fields = Fields::parse(bytes)?;
        let kilobits = fields.kilobits_per_second()?;
        let samples: u16 = match (fields.layer, fields.is_mpeg1) {
            (1, _) => 384,
            (3, false) => 576,
            _ => 1152,
        };
        // Layer I counts in slots of four bytes, the others in slots of one.
        let slot_bytes = if fields.layer == 1 { 4 } else { 1 };
        let rate = fields.sample_rate.ticks_per_second();
        let slots = u32::from(samples) * kilobits * 125 / (rate * slot_bytes);
        Some(Self {
            bytes: (slots + u32::from(fields.is_padded)) * slot_bytes,
            samples,
            sample_rate: fields.sample_rate,
            channels: if fields.mode == SINGLE_CHANNEL { 1 } else { 2 },
            layer: fields.layer,
            is_mpeg1: fields.is_mpeg1,
        })
    }

    /// The configuration of a stream of such frames.
    #[must_use]
    pub const fn config(&self) -> MpegAudioConfig {
        MpegAudioConfig {
            sample_rate: self.sample_rate,
            channels: self.channels,
            frame_samples: self.samples,
        }
    }
}

/// Whether the header of a frame of free format is at the beginning of `bytes`.
#[must_use]
pub fn is_free_format(bytes: &[u8]) -> bool {
    Fields::parse(bytes).is_some_and(|fields| fields.bitrate_index == 0)
}

/// The fields of a header.
struct Fields {
    is_mpeg1: bool,
    layer: u8,
    bitrate_index: u8,
    sample_rate: ClockRate,
    is_padded: bool,
    mode: u8,
}

const SINGLE_CHANNEL: u8 = 3;

impl Fields {
    fn parse(bytes: &[u8]) -> Option<Self> {
        let [sync, version_and_layer, rates, modes, ..] = *bytes else { return None };
        if sync != 0xff || version_and_layer & 0xe0 != 0xe0 {
            return None;
        }
        let layer = match version_and_layer >> 1 & 3 {
            0 => return None,
            code => 4 - code,
        };
        let rate: u32 = *[44_100, 48_000, 32_000].get(usize::from(rates >> 2 & 3))?;
        let (is_mpeg1, rate) = match version_and_layer >> 3 & 3 {
            3 => (true, rate),
            2 => (false, rate / 2),
            0 => (false, rate / 4),
            _ => return None,
        };
        let bitrate_index = rates >> 4;
        (bitrate_index < 15).then_some(Self {
            is_mpeg1,
            layer,
            bitrate_index,
            sample_rate: ClockRate::new(rate)?,
            is_padded: rates & 2 != 0,
            mode: modes >> 6,
        })
    }

    /// ISO 11172-3 §2.4.2.3, 13818-3 §2.4.2.3; `None` for free format.
    fn kilobits_per_second(&self) -> Option<u32> {
        let rates: &[u16; 14] = match (self.is_mpeg1, self.layer) {
            (true, 1) => &[32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448],
            (true, 2) => &[32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384],
            (true, _) => &[32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320],
            (false, 1) => &[32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256],
            (false, _) => &[8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160],
        };
        rates.get(usize::from(self.bitrate_index.checked_sub(1)?)).copied().map(u32::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_length_and_rate() {
        for (header, bytes, samples, rate, channels, layer) in [
            ([0xff, 0xfb, 0x90, 0x00], 417, 1152, 44_100, 2, 3),
            ([0xff, 0xfb, 0x92, 0xc0], 418, 1152, 44_100, 1, 3),
            ([0xff, 0xfa, 0x94, 0x00], 384, 1152, 48_000, 2, 3), // with CRC
            ([0xff, 0xfd, 0xa4, 0x00], 576, 1152, 48_000, 2, 2),
            ([0xff, 0xff, 0x10, 0x00], 32, 384, 44_100, 2, 1),
            ([0xff, 0xff, 0x12, 0x00], 36, 384, 44_100, 2, 1),
            ([0xff, 0xf3, 0x84, 0x00], 192, 576, 24_000, 2, 3), // MPEG-2
            ([0xff, 0xe3, 0x18, 0xc0], 72, 576, 8000, 1, 3),    // MPEG-2.5
            ([0xff, 0xe5, 0xea, 0x00], 2881, 1152, 8000, 2, 2), // the largest
        ] {
            let parsed = FrameHeader::parse(&header).unwrap();
            assert!(parsed.bytes <= FRAME_BYTES_MAX);
            let rate = ClockRate::new(rate).unwrap();
            let config = MpegAudioConfig { sample_rate: rate, channels, frame_samples: samples };
            assert_eq!((parsed.bytes, parsed.layer), (bytes, layer), "{header:x?}");
            assert_eq!(parsed.config(), config, "{header:x?}");
        }
    }

    #[test]
    fn refuses_what_is_no_header() {
        for header in [
            &[0xff, 0xfb, 0x90][..], // cut short
            &[0xff, 0xdb, 0x90, 0],  // no syncword
            &[0xff, 0xeb, 0x90, 0],  // reserved version
            &[0xff, 0xf9, 0x90, 0],  // layer 0: ADTS
            &[0xff, 0xfb, 0xf0, 0],  // forbidden bit rate
            &[0xff, 0xfb, 0x9c, 0],  // reserved sampling rate
            &[0xff, 0xfb, 0x00, 0],  // free format
        ] {
            assert_eq!(FrameHeader::parse(header), None, "{header:x?}");
            assert_eq!(is_free_format(header), header.get(2) == Some(&0), "{header:x?}");
        }
    }

    #[test]
    fn every_frame_holds_its_header_and_no_more_than_stated() {
        let headers = (0..=u16::MAX).filter_map(|bits| {
            let [second, third] = bits.to_be_bytes();
            FrameHeader::parse(&[0xff, second, third, 0])
        });
        let lengths: Vec<u32> = headers.map(|header| header.bytes).collect();
        assert!(lengths.len() > 1000);
        assert!(lengths.iter().all(|bytes| (24..=FRAME_BYTES_MAX).contains(bytes)));
    }
}
