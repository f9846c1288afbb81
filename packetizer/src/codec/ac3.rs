//! AC-3 and Enhanced AC-3: the syncframe header (ETSI TS 102 366 §4.3, §E.1.2).

use super::bits::BitReader;
use crate::time::ClockRate;

/// What SDP must declare of an AC-3 or Enhanced AC-3 stream (RFC 4184 §4.1, RFC 4598 §5.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ac3Config {
    /// The sampling rate, which is the RTP clock.
    pub rtp_rate: ClockRate,
    /// Channels, the low frequency one included: 1 to 16.
    pub channels: u8,
    /// Samples of an access unit: 1536 for AC-3, 256 to 1536 for Enhanced AC-3.
    pub unit_samples: u16,
}

impl Ac3Config {
    /// Parses the body of a `dac3` box (ETSI TS 102 366 §F.4).
    #[must_use]
    pub fn parse_dac3(record: &[u8]) -> Option<Self> {
        let mut bits = BitReader::new(record);
        let (rate, bsid) = (bits.read(2)?, bits.read(5)?);
        bits.read(3)?; // bsmod
        let (mode, low) = (bits.read(3)?, bits.read(1)?);
        let config = Self::new(rate, mode, low)?;
        // Half and a quarter of the rate, as encoders of 9 and 10 have it.
        let divisor = 1 << bsid.saturating_sub(8).min(2);
        let rtp_rate = ClockRate::new(config.rtp_rate.ticks_per_second() / divisor)?;
        Some(Self { rtp_rate, ..config })
    }

    /// Parses the body of a `dec3` box, of which the first independent substream counts
    /// (ETSI TS 102 366 §F.6).
    #[must_use]
    pub fn parse_dec3(record: &[u8]) -> Option<Self> {
        let mut bits = BitReader::new(record);
        bits.read(13 + 3)?; // data_rate, num_ind_sub
        let rate = bits.read(2)?;
        bits.read(5 + 1 + 1 + 3)?; // bsid, reserved, asvc, bsmod
        let (mode, low) = (bits.read(3)?, bits.read(1)?);
        Self::new(rate, mode, low)
    }

    fn new(rate: u32, mode: u32, low: u32) -> Option<Self> {
        let rtp_rate = ClockRate::new(*RATES.get(rate as usize)?)?;
        Some(Self { rtp_rate, channels: channels(mode, low)?, unit_samples: FRAME_SAMPLES })
    }
}

/// Bytes that tell all that [`SyncFrame`] holds.
pub const HEADER_BYTES: usize = 7;
/// Bytes of a syncframe at most.
pub const FRAME_BYTES_MAX: u32 = 4096;

/// What the header of a syncframe says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SyncFrame {
    /// Bytes of the frame, syncword included.
    pub bytes: u32,
    /// Samples of a channel: 256 to 1536.
    pub samples: u16,
    /// The sampling rate.
    pub sample_rate: ClockRate,
    /// Channels of this substream, the low frequency one included: 1 to 6.
    pub channels: u8,
    /// Whether it is Enhanced AC-3.
    pub is_enhanced: bool,
    /// Whether it goes with the frame in front of it and lasts as long: a dependent substream, or
    /// an independent one other than the first (§E.1.3.1.1, §E.1.3.1.2).
    pub is_dependent: bool,
}

impl SyncFrame {
    /// Parses the header at the beginning of `bytes`; `None` if it is none or cut short.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let header: &[u8; HEADER_BYTES] = bytes.first_chunk()?;
        if !header.starts_with(&SYNCWORD) {
            return None;
        }
        // The bit stream identification lies at the same place in both (§E.1.3.1.6).
        let mut bits = BitReader::new(header.get(2..)?);
        match header.get(5)? >> 3 {
            identification @ 0..=10 => parse_plain(&mut bits, identification.saturating_sub(8)),
            11..=16 => parse_enhanced(&mut bits),
            _ => None,
        }
    }

    /// The configuration of a stream that begins with this frame.
    #[must_use]
    pub const fn config(&self) -> Ac3Config {
        Ac3Config {
            rtp_rate: self.sample_rate,
            channels: self.channels,
            unit_samples: self.samples,
        }
    }
}

const SYNCWORD: [u8; 2] = [0x0b, 0x77];
/// Sampling rates by `fscod` (table 4.1).
const RATES: [u32; 3] = [48_000, 44_100, 32_000];
/// Full-bandwidth channels by `acmod` (table 4.3).
const CHANNELS: [u8; 8] = [2, 1, 2, 3, 3, 4, 4, 5];
/// Samples of a syncframe of six blocks.
const FRAME_SAMPLES: u16 = 1536;

/// `halvings` of the sampling rate are what bit stream identifications 9 and 10 mean.
fn parse_plain(bits: &mut BitReader<'_>, halvings: u8) -> Option<SyncFrame> {
    /// By frmsizecod / 2 (§4.4.1.4, table 4.13).
    const KILOBITS: [u32; 19] =
        [32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 576, 640];
    bits.read(16)?; // crc1
    let rate = *RATES.get(bits.read(2)? as usize)?;
    let size_code = bits.read(6)?;
    let kilobits = *KILOBITS.get(size_code as usize / 2)?;
    // At 44.1 kHz the bits do not divide into words: odd codes have one word more.
    let padding = if rate == 44_100 { size_code & 1 } else { 0 };
    let words = kilobits * 96_000 / rate + padding;
    bits.read(5 + 3)?; // bsid, bsmod
    let mode = bits.read(3)?;
    if mode & 1 == 1 && mode != 1 {
        bits.read(2)?; // cmixlev
    }
    if mode & 4 != 0 {
        bits.read(2)?; // surmixlev
    }
    if mode == 2 {
        bits.read(2)?; // dsurmod
    }
    Some(SyncFrame {
        bytes: words * 2,
        samples: FRAME_SAMPLES,
        sample_rate: ClockRate::new(rate >> halvings)?,
        channels: channels(mode, bits.read(1)?)?,
        is_enhanced: false,
        is_dependent: false,
    })
}

fn parse_enhanced(bits: &mut BitReader<'_>) -> Option<SyncFrame> {
    const RESERVED: u32 = 3;
    const DEPENDENT: u32 = 1;
    let kind = bits.read(2)?;
    let substream = bits.read(3)?;
    let words = bits.read(11)? + 1;
    let (rate, blocks): (u32, u16) = match bits.read(2)? {
        3 => (RATES.get(bits.read(2)? as usize)? / 2, 6),
        code => (*RATES.get(code as usize)?, *[1, 2, 3, 6].get(bits.read(2)? as usize)?),
    };
    let mode = bits.read(3)?;
    let channels = channels(mode, bits.read(1)?)?;
    (kind != RESERVED && words * 2 >= 8).then_some(SyncFrame {
        bytes: words * 2,
        samples: blocks * 256,
        sample_rate: ClockRate::new(rate)?,
        channels,
        is_enhanced: true,
        is_dependent: kind == DEPENDENT || substream != 0,
    })
}

/// Full-bandwidth channels, and the low frequency one.
fn channels(mode: u32, low_frequency: u32) -> Option<u8> {
    Some(CHANNELS.get(mode as usize)? + u8::from(low_frequency == 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_length_and_rate() {
        for (header, bytes, samples, rate, channels, is_enhanced, is_dependent) in [
            ([0x0b, 0x77, 0, 0, 0x14, 0x40, 0x40], 768, 1536, 48_000, 2, false, false),
            ([0x0b, 0x77, 0, 0, 0x1e, 0x40, 0xe1], 1792, 1536, 48_000, 6, false, false),
            ([0x0b, 0x77, 0, 0, 0x40, 0x40, 0x40], 138, 1536, 44_100, 2, false, false),
            ([0x0b, 0x77, 0, 0, 0x41, 0x40, 0x40], 140, 1536, 44_100, 2, false, false),
            ([0x0b, 0x77, 0, 0, 0x80, 0x40, 0x20], 192, 1536, 32_000, 1, false, false),
            ([0x0b, 0x77, 0, 0, 0x50, 0x48, 0x40], 556, 1536, 22_050, 2, false, false),
            ([0x0b, 0x77, 0x01, 0xff, 0x3f, 0x80, 0], 1024, 1536, 48_000, 6, true, false),
            ([0x0b, 0x77, 0x00, 0x3f, 0x04, 0x80, 0], 128, 256, 48_000, 2, true, false),
            ([0x0b, 0x77, 0x00, 0x3f, 0xc4, 0x80, 0], 128, 1536, 24_000, 2, true, false),
            ([0x0b, 0x77, 0x41, 0xff, 0x3f, 0x80, 0], 1024, 1536, 48_000, 6, true, true),
            ([0x0b, 0x77, 0x09, 0xff, 0x3f, 0x80, 0], 1024, 1536, 48_000, 6, true, true),
        ] {
            let rate = ClockRate::new(rate).unwrap();
            let expected = SyncFrame {
                bytes,
                samples,
                sample_rate: rate,
                channels,
                is_enhanced,
                is_dependent,
            };
            assert_eq!(SyncFrame::parse(&header), Some(expected), "{header:x?}");
        }
    }

    #[test]
    fn refuses_what_is_no_header() {
        for header in [
            &[0x0b, 0x77, 0, 0, 0x14, 0x40][..],      // cut short
            &[0x0b, 0x78, 0, 0, 0x14, 0x40, 0x40],    // no syncword
            &[0x0b, 0x77, 0, 0, 0xd4, 0x40, 0x40],    // reserved sampling rate
            &[0x0b, 0x77, 0, 0, 0x26, 0x40, 0x40],    // size code 38
            &[0x0b, 0x77, 0, 0, 0x14, 0x88, 0x40],    // bit stream identification 17
            &[0x0b, 0x77, 0xc1, 0xff, 0x3f, 0x80, 0], // reserved substream type
            &[0x0b, 0x77, 0x01, 0xff, 0xff, 0x80, 0], // reserved half sampling rate
            &[0x0b, 0x77, 0x00, 0x02, 0x3f, 0x80, 0], // shorter than its header
        ] {
            assert_eq!(SyncFrame::parse(header), None, "{header:x?}");
        }
    }
}
