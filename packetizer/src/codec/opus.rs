//! Opus: the table-of-contents byte and identification header (RFC 6716 §3.1, RFC 7845 §5.1).

use super::ConfigError;
use crate::time::ClockRate;

/// What SDP must declare of an Opus stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpusConfig {
    /// Channels: 1 or 2.
    pub channels: u8,
}

/// The RTP clock, whatever the sampling rate (RFC 7587 §4.1).
pub const RTP_RATE: ClockRate = ClockRate::new(48_000).expect("not zero");

impl OpusConfig {
    /// Parses the identification header of Ogg, which Matroska has as its CodecPrivate: `OpusHead`
    /// (RFC 7845 §5.1).
    ///
    /// # Errors
    /// When it is cut short, of another major version, or has other than 1 or 2 channels, which
    /// RTP cannot carry (RFC 7587 §4).
    pub fn parse_opus_head(header: &[u8]) -> Result<Self, ConfigError> {
        let cut_short = ConfigError("OpusHead is cut short or of an unknown version");
        match header.strip_prefix(b"OpusHead").ok_or(cut_short)? {
            [0..=15, channels, _, _, _, _, _, _, _, _, family, ..] => Self::new(*channels, *family),
            _ => Err(cut_short),
        }
    }

    /// Parses the body of MP4's `dOps` box (Opus in ISOBMFF §4.3.2).
    ///
    /// # Errors
    /// As [`Self::parse_opus_head`].
    pub fn parse_dops_box(body: &[u8]) -> Result<Self, ConfigError> {
        match body {
            [0, channels, _, _, _, _, _, _, _, _, family, ..] => Self::new(*channels, *family),
            _ => Err(ConfigError("dOps is cut short or of an unknown version")),
        }
    }

    const fn new(channels: u8, family: u8) -> Result<Self, ConfigError> {
        match (channels, family) {
            // One stream, mono or stereo, in each of these families (RFC 7845 §5.1.1).
            (1 | 2, 0 | 1) => Ok(Self { channels }),
            (0, _) => Err(ConfigError("Opus without channels")),
            _ => Err(ConfigError("Opus with several streams has no RTP payload format")),
        }
    }
}

/// Longest packet: 120 ms at 48 kHz (RFC 6716 §3.2.5).
const PACKET_SAMPLES_MAX: u32 = 5760;

/// Samples at 48 kHz that a packet lasts, which its first two bytes tell (RFC 6716 §3.1, §3.2);
/// `None` if it is none.
#[must_use]
pub fn packet_samples(packet: &[u8]) -> Option<u32> {
    let (table_of_contents, rest) = packet.split_first()?;
    let configuration = table_of_contents >> 3;
    let frame_samples = match configuration {
        0..=11 => [480, 960, 1920, 2880][usize::from(configuration & 3)],
        12..=15 => [480, 960][usize::from(configuration & 1)],
        _ => [120, 240, 480, 960][usize::from(configuration & 3)],
    };
    let frame_count = match table_of_contents & 3 {
        0 => 1,
        1 | 2 => 2,
        _ => u32::from(rest.first()? & 0x3f),
    };
    let samples = frame_samples * frame_count;
    (1..=PACKET_SAMPLES_MAX).contains(&samples).then_some(samples)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_one_stream_of_one_or_two_channels() {
        let fields = |channels, family| [channels, 0x38, 1, 0x80, 0xbb, 0, 0, 0, 0, family];
        for (channels, family, expected) in [
            (1, 0, Some(1)),
            (2, 0, Some(2)),
            (2, 1, Some(2)),
            (0, 0, None),
            (6, 1, None),
            (2, 255, None),
            (3, 0, None),
        ] {
            let fields = fields(channels, family);
            let head = [&b"OpusHead\x01"[..], &fields].concat();
            let parsed = OpusConfig::parse_opus_head(&head).ok();
            assert_eq!(parsed.map(|config| config.channels), expected, "{channels} {family}");
            let parsed = OpusConfig::parse_dops_box(&[&[0], &fields[..]].concat()).ok();
            assert_eq!(parsed.map(|config| config.channels), expected, "{channels} {family}");
            for end in 0..head.len() {
                assert!(OpusConfig::parse_opus_head(&head[..end]).is_err(), "{end}");
            }
        }
        let version_16 = [&b"OpusHead\x10"[..], &fields(2, 0)].concat();
        assert!(OpusConfig::parse_opus_head(&version_16).is_err());
        assert!(OpusConfig::parse_dops_box(&[&[1], &fields(2, 0)[..]].concat()).is_err());
    }

    #[test]
    fn packets_tell_how_long_they_last() {
        for (packet, expected) in [
            (&[][..], None),
            (&[0x00], Some(480)),     // SILK, 10 ms
            (&[0x18], Some(2880)),    // SILK, 60 ms
            (&[0x68], Some(960)),     // hybrid, 20 ms
            (&[0x80], Some(120)),     // CELT, 2.5 ms
            (&[0xfc], Some(960)),     // CELT, 20 ms
            (&[0xfd], Some(1920)),    // two of the same size
            (&[0xfe], Some(1920)),    // two of two sizes
            (&[0xff, 3], Some(2880)), // as many as the second byte says
            (&[0xff, 0x86], Some(5760)),
            (&[0xff, 7], None), // 140 ms
            (&[0xff, 0], None),
            (&[0xff], None),
        ] {
            assert_eq!(packet_samples(packet), expected, "{packet:x?}");
        }
    }
}
