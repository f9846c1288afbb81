//! PCM in RTP (RFC 3551 §4.5, RFC 3190): samples in network byte order, nothing in front of them.

use super::{PacketWriter, UnitError};
use crate::codec::pcm::{PcmConfig, PcmEncoding};

/// Whether access units of so many bytes in all fit into one packet.
#[must_use]
pub const fn fits(writer: &PacketWriter, bytes: usize) -> bool {
    bytes <= writer.payload_bytes_max()
}

/// Writes consecutive access units as one packet, samples as they travel: linear ones of 8 bits
/// with an offset of 128 (RFC 3551 §4.5.10), others with the most significant byte first
/// (RFC 3551 §4.5.11, RFC 3190 §4). The marker stays clear: silence is not left out (RFC 3551
/// §4.1).
///
/// # Errors
/// [`UnitError::TooLarge`] when they do not fit, since samples in another packet would have another
/// timestamp.
pub fn write_bundle(
    writer: &mut PacketWriter,
    config: &PcmConfig,
    units: &[&[u8]],
) -> Result<(), UnitError> {
    let bytes_max = writer.payload_bytes_max();
    if units.iter().map(|unit| unit.len()).sum::<usize>() > bytes_max {
        return Err(UnitError::TooLarge { bytes_max });
    }
    writer.begin_packet();
    for unit in units {
        writer.push(unit);
    }
    let samples = writer.payload();
    match config.encoding {
        PcmEncoding::Mulaw
        | PcmEncoding::Alaw
        | PcmEncoding::Unsigned8
        | PcmEncoding::Signed16Big
        | PcmEncoding::Signed24Big => {}
        PcmEncoding::Signed8 => samples.iter_mut().for_each(|sample| *sample ^= 0x80),
        PcmEncoding::Signed16Little => {
            samples.as_chunks_mut::<2>().0.iter_mut().for_each(|sample| sample.reverse());
        }
        PcmEncoding::Signed24Little => {
            samples.as_chunks_mut::<3>().0.iter_mut().for_each(|sample| sample.reverse());
        }
    }
    writer.end_packet();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::tests::{payloads, writer};
    use super::*;
    use crate::time::ClockRate;

    fn config(encoding: PcmEncoding) -> PcmConfig {
        PcmConfig { encoding, rtp_rate: ClockRate::new(8000).unwrap(), channels: 1 }
    }

    #[test]
    fn samples_travel_in_network_order() {
        let file = [&[0x00, 0x01, 0x7f, 0x80, 0x81, 0xff][..], &[1, 2, 3, 4, 5, 6]];
        let same = [0x00, 0x01, 0x7f, 0x80, 0x81, 0xff, 1, 2, 3, 4, 5, 6];
        let offset = [0x80, 0x81, 0xff, 0x00, 0x01, 0x7f, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86];
        let pairs = [0x01, 0x00, 0x80, 0x7f, 0xff, 0x81, 2, 1, 4, 3, 6, 5];
        let triples = [0x7f, 0x01, 0x00, 0xff, 0x81, 0x80, 3, 2, 1, 6, 5, 4];
        for (encoding, wire) in [
            (PcmEncoding::Mulaw, same),
            (PcmEncoding::Alaw, same),
            (PcmEncoding::Unsigned8, same),
            (PcmEncoding::Signed8, offset),
            (PcmEncoding::Signed16Big, same),
            (PcmEncoding::Signed16Little, pairs),
            (PcmEncoding::Signed24Big, same),
            (PcmEncoding::Signed24Little, triples),
        ] {
            let mut writer = writer(100);
            write_bundle(&mut writer, &config(encoding), &file).unwrap();
            assert_eq!(payloads(&writer), [(false, &wire[..])], "{encoding:?}");
        }
    }

    #[test]
    fn what_fits_is_what_the_limit_allows() {
        let mut writer = writer(100);
        assert!(fits(&writer, 88) && !fits(&writer, 89));
        let error = write_bundle(&mut writer, &config(PcmEncoding::Alaw), &[&[0; 80], &[0; 9]]);
        assert_eq!(error, Err(UnitError::TooLarge { bytes_max: 88 }));
    }
}
