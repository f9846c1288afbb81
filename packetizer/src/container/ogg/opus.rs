//! Opus in Ogg (RFC 7845): the identification header, and how long packets last.

use crate::codec::opus::OpusConfig;
use crate::index::SkipReason;

/// Samples of a packet at most: 120 ms (RFC 6716 §3.2.5).
const PACKET_SAMPLES_MAX: u32 = 5760;

/// The configuration in an identification header (§5.1), or why it is not delivered; `None` if the
/// packet is none.
pub(super) fn parse_header(packet: &[u8]) -> Option<Result<OpusConfig, SkipReason>> {
    let rest = packet.strip_prefix(b"OpusHead")?;
    let (Some(version), Some(channels), Some(family)) = (rest.first(), rest.get(1), rest.get(10))
    else {
        return Some(Err(SkipReason::Config("the Opus header is cut short")));
    };
    Some(match (version >> 4, *channels, family) {
        (0, channels @ 1..=2, 0) => Ok(OpusConfig { channels }),
        (0, channels, 1..) => {
            Err(SkipReason::Codec(format!("Opus of several streams ({channels} channels)")))
        }
        _ => Err(SkipReason::Config("the Opus header is of an unknown version")),
    })
}

/// Whether a packet is one of the headers.
pub(super) fn is_header(packet: &[u8]) -> bool {
    packet.starts_with(b"OpusHead") || packet.starts_with(b"OpusTags")
}

/// Samples at 48 kHz that a packet lasts, by its table of contents (RFC 6716 §3.1); `None` if it is
/// none.
pub(super) fn duration(packet: &[u8]) -> Option<u32> {
    const SILK: [u32; 4] = [480, 960, 1920, 2880];
    const HYBRID: [u32; 2] = [480, 960];
    const CELT: [u32; 4] = [120, 240, 480, 960];
    let contents = *packet.first()?;
    let config = usize::from(contents >> 3);
    let frame_samples = match config {
        0..12 => SILK.get(config % 4)?,
        12..16 => HYBRID.get(config % 2)?,
        _ => CELT.get(config % 4)?,
    };
    let frame_count = match contents & 3 {
        0 => 1,
        1 | 2 => 2,
        _ => u32::from(packet.get(1)? & 0x3f),
    };
    Some(frame_samples * frame_count).filter(|samples| (1..=PACKET_SAMPLES_MAX).contains(samples))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_byte_tells_how_long_packets_last() {
        for (packet, samples) in [
            (&[0x00][..], Some(480)),    // SILK, 10 ms
            (&[0x18], Some(2880)),       // SILK, 60 ms
            (&[0x68], Some(960)),        // hybrid, 20 ms
            (&[0x81], Some(240)),        // CELT, 2 × 2.5 ms
            (&[0xfc], Some(960)),        // CELT, 20 ms
            (&[0xff, 0x83], Some(2880)), // 3 × 20 ms
            (&[0xff, 0x07], None),       // 140 ms
            (&[0xff, 0x00], None),
            (&[0xff], None),
            (&[], None),
        ] {
            assert_eq!(duration(packet), samples, "{packet:x?}");
        }
    }

    #[test]
    fn headers_tell_the_channels() {
        let header = |version: u8, channels: u8, family: u8| {
            let tail = [version, channels, 0x38, 1, 0x80, 0xbb, 0, 0, 0, 0, family];
            [&b"OpusHead"[..], &tail].concat()
        };
        assert_eq!(parse_header(&header(1, 2, 0)), Some(Ok(OpusConfig { channels: 2 })));
        for refused in [header(1, 0, 0), header(16, 2, 0), header(1, 6, 1), header(1, 3, 0)] {
            assert!(parse_header(&refused).unwrap().is_err(), "{refused:x?}");
        }
        assert!(parse_header(&header(1, 2, 0)[..18]).unwrap().is_err());
        assert_eq!(parse_header(b"OpusTags"), None);
    }
}
