//! StreamMuxConfig: what an AudioMuxElement carries (ISO 14496-3 §1.7.3).

use super::ConfigError;
use super::aac::AacConfig;
use super::bits::BitReader;

/// A StreamMuxConfig of one AAC stream, one access unit an element.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StreamMux {
    pub(crate) config: AacConfig,
    /// Its length.
    pub(crate) bits: u16,
}

impl StreamMux {
    /// Parses the StreamMuxConfig at the beginning of an AudioMuxElement; `None` if it says that it
    /// has none (useSameStreamMux), or is cut short.
    ///
    /// # Errors
    /// When it declares what is not delivered.
    pub(crate) fn parse(element: &[u8]) -> Option<Result<Self, ConfigError>> {
        let mut bits = BitReader::new(element);
        if bits.read(1)? == 1 {
            return None;
        }
        let config = match read_config(&mut bits)? {
            Ok(config) => config,
            Err(error) => return Some(Err(error)),
        };
        let length = u16::try_from(bits.position() - 1).ok()?;
        Some(Ok(Self { config, bits: length }))
    }
}

fn read_config(bits: &mut BitReader<'_>) -> Option<Result<AacConfig, ConfigError>> {
    let version = bits.read(1)?;
    if version == 1 && bits.read(1)? == 1 {
        return Some(Err(ConfigError("LATM of an unknown version")));
    }
    if version == 1 {
        read_value(bits)?; // taraBufferFullness
    }
    let is_same_framing = bits.read(1)? == 1;
    let (subframes, programs, layers) = (bits.read(6)?, bits.read(4)?, bits.read(3)?);
    if !is_same_framing || subframes + programs + layers > 0 {
        let why = "LATM with several access units, programmes or layers an element";
        return Some(Err(ConfigError(why)));
    }
    let config = if version == 1 {
        let length = usize::try_from(read_value(bits)?).ok()?;
        let (start, end) = (bits.position(), bits.position().checked_add(length)?);
        let config = bits.copy(start, end)?;
        bits.skip(length);
        AacConfig::parse(&config)
    } else {
        let start = bits.position();
        let rest = bits.copy(start, bits.end())?;
        let length = match AacConfig::bits(&rest)? {
            Ok(length) => length,
            Err(error) => return Some(Err(error)),
        };
        let config = bits.copy(start, start + length)?;
        bits.skip(length);
        AacConfig::parse(&config)
    };
    if bits.read(3)? != 0 {
        return Some(Err(ConfigError("LATM with lengths told elsewhere (frameLengthType)")));
    }
    bits.read(8)?; // latmBufferFullness
    if bits.read(1)? == 1 {
        // otherDataPresent: behind the access unit
        if version == 1 {
            read_value(bits)?;
        } else {
            while bits.read(1)? == 1 {
                bits.read(8)?;
            }
            bits.read(8)?;
        }
    }
    if bits.read(1)? == 1 {
        bits.read(8)?; // crcCheckSum
    }
    Some(config)
}

/// LatmGetValue
fn read_value(bits: &mut BitReader<'_>) -> Option<u32> {
    let byte_count = bits.read(2)? + 1;
    bits.read(8 * byte_count)
}

#[cfg(test)]
#[allow(clippy::cast_possible_truncation, reason = "small numbers of a test")]
mod tests {
    use super::*;

    /// Bits written as values and widths.
    fn bits(fields: &[(u32, u32)]) -> Vec<u8> {
        let all: Vec<u8> = fields
            .iter()
            .flat_map(|(value, width)| (0..*width).rev().map(move |bit| (value >> bit & 1) as u8))
            .collect();
        all.chunks(8)
            .map(|byte| byte.iter().fold(0, |sum, bit| sum << 1 | bit) << (8 - byte.len()))
            .collect()
    }

    /// AAC-LC of 44.1 kHz and two channels.
    const CONFIG: (u32, u32) = (0x1210, 16);

    #[test]
    fn tells_its_configuration_and_length() {
        let plain = [(0, 1), (0, 1), (1, 1), (0, 13), CONFIG, (0, 3), (0xff, 8), (0, 1), (0, 1)];
        let other = [
            (0, 1),
            (0, 1),
            (1, 1),
            (0, 13),
            CONFIG,
            (0, 3),
            (0xff, 8),
            (1, 1),
            (1, 1),
            (1, 8),
            (0, 1),
            (7, 8),
            (1, 1),
            (9, 8),
        ];
        let second = [
            (0, 1),
            (1, 1),
            (0, 1),
            (0, 10),
            (1, 1),
            (0, 13),
            (0, 2),
            (16, 8),
            CONFIG,
            (0, 3),
            (0xff, 8),
            (1, 1),
            (1, 2),
            (300, 16),
            (0, 1),
        ];
        for (fields, expected) in [(&plain[..], 44), (&other, 70), (&second, 83)] {
            let element = bits(fields);
            let mux = StreamMux::parse(&element).unwrap().unwrap();
            assert_eq!(
                (&mux.config.audio_specific_config[..], mux.bits),
                (&[0x12, 0x10][..], expected)
            );
            for end in 0..element.len() {
                assert!(StreamMux::parse(&element[..end]).is_none(), "{end}");
            }
        }
        assert_eq!(StreamMux::parse(&[0x80, 0, 0]), None);
    }

    #[test]
    fn refuses_what_is_not_one_stream() {
        for fields in [
            &[(0, 1), (3, 2)][..],
            &[(0, 1), (0, 1), (0, 1), (0, 13)],
            &[(0, 1), (0, 1), (1, 1), (1, 6), (0, 7)],
            &[(0, 1), (0, 1), (1, 1), (0, 6), (1, 4), (0, 3)],
            &[(0, 1), (0, 1), (1, 1), (0, 13), CONFIG, (1, 3), (0, 8)],
        ] {
            assert!(StreamMux::parse(&bits(fields)).unwrap().is_err(), "{fields:?}");
        }
    }
}
