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

/// Sampling rates by `fscod` (ETSI TS 102 366 table 4.1).
const RATES: [u32; 3] = [48_000, 44_100, 32_000];
/// Full-bandwidth channels by `acmod` (table 4.3).
const CHANNELS: [u8; 8] = [2, 1, 2, 3, 3, 4, 4, 5];
/// Samples of a syncframe of six blocks.
const FRAME_SAMPLES: u16 = 1536;

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
        let channels = CHANNELS.get(mode as usize)? + u8::from(low == 1);
        Some(Self { rtp_rate, channels, unit_samples: FRAME_SAMPLES })
    }
}
