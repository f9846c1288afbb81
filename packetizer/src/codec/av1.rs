//! AV1: the sequence header (AV1 §5.5; AV1 Codec ISO Media File Format Binding §2.3).

use super::ConfigError;

/// What SDP must declare of an AV1 stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Av1Config {
    /// seq_profile: 0 to 2.
    pub profile: u8,
    /// seq_level_idx of the first operating point: 0 to 31.
    pub level: u8,
    /// seq_tier of the first operating point: 0 or 1.
    pub tier: u8,
    /// The sequence header OBU of the container, with its size field; empty if that has none. It
    /// goes in front of sync samples that have none of their own.
    pub sequence_header: Vec<u8>,
}

/// obu_type of a sequence header (AV1 §6.2.2).
const SEQUENCE_HEADER: u8 = 1;

impl Av1Config {
    /// Parses the AV1CodecConfigurationRecord (AV1 Codec ISO Media File Format Binding §2.3.3).
    /// OBUs behind its sequence header are ignored.
    ///
    /// # Errors
    /// When it is cut short or not of version 1.
    pub fn parse(record: &[u8]) -> Result<Self, ConfigError> {
        let [0x81, profile_level, tier, _delay, obus @ ..] = record else {
            return Err(ConfigError("av1C is cut short or of an unknown version"));
        };
        Ok(Self {
            profile: profile_level >> 5,
            level: profile_level & 0x1f,
            tier: tier >> 7,
            sequence_header: sequence_header(obus)
                .filter(|header| header.len() <= SEQUENCE_HEADER_BYTES_MAX)
                .ok_or(ConfigError("av1C has an OBU that is cut short or too long"))?,
        })
    }
}

/// Bytes of a sequence header, which is written in front of sync samples; real ones have some 20.
const SEQUENCE_HEADER_BYTES_MAX: usize = 1024;

/// The first sequence header among OBUs, with a size field; empty if there is none, `None` if an
/// OBU reaches beyond the end.
fn sequence_header(mut obus: &[u8]) -> Option<Vec<u8>> {
    while let Some((header, mut rest)) = obus.split_first() {
        let extension = header & 4 != 0;
        let mut head = vec![header | 2];
        if extension {
            let (byte, behind) = rest.split_first()?;
            head.push(*byte);
            rest = behind;
        }
        let size = if header & 2 == 0 { rest.len() } else { read_leb128(&mut rest)? };
        let (payload, behind) = rest.split_at_checked(size)?;
        if header >> 3 & 0xf == SEQUENCE_HEADER {
            write_leb128(&mut head, size);
            head.extend_from_slice(payload);
            return Some(head);
        }
        obus = behind;
    }
    Some(Vec::new())
}

/// A number of seven bits a byte, least significant first (AV1 §4.10.5); at most four bytes, which
/// is more than a configuration holds.
fn read_leb128(bytes: &mut &[u8]) -> Option<usize> {
    let mut value = 0;
    for shift in [0, 7, 14, 21] {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= usize::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

fn write_leb128(bytes: &mut Vec<u8>, mut value: usize) {
    loop {
        let [low, ..] = value.to_le_bytes();
        value >>= 7;
        if value == 0 {
            return bytes.push(low & 0x7f);
        }
        bytes.push(low | 0x80);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_profile_level_tier_and_sequence_header() {
        let long = [&[0x08][..], &[7; 200]].concat();
        let long_sized = [&[0x0a, 0xc8, 1][..], &[7; 200]].concat();
        for (obus, expected) in [
            (&[][..], &[][..]),
            (&[0x0a, 2, 8, 9], &[0x0a, 2, 8, 9]), // with its size
            (&[0x08, 8, 9], &[0x0a, 2, 8, 9]),    // without
            (&[0x0e, 0x20, 1, 9], &[0x0e, 0x20, 1, 9]), // with an extension
            (&[0x2a, 1, 5, 0x0a, 1, 9], &[0x0a, 1, 9]), // behind metadata
            (&[0x0a, 0x81, 0, 9, 0x2a, 1, 5], &[0x0a, 1, 9]), // a size longer than it need be
            (&[0x2a, 1, 5], &[]),
            (&long, &long_sized),
        ] {
            let record = [&[0x81, 0x28, 0xcc, 0], obus].concat();
            let config = Av1Config::parse(&record).unwrap();
            assert_eq!((config.profile, config.level, config.tier), (1, 8, 1));
            assert_eq!(config.sequence_header, expected, "{obus:x?}");
        }
    }

    #[test]
    fn refuses_what_is_cut_short() {
        for record in [
            &[][..],
            &[0x81, 0, 0],
            &[0x82, 0, 0, 0],
            &[0x81, 0, 0, 0, 0x0a],
            &[0x81, 0, 0, 0, 0x0a, 3, 1, 2],
            &[0x81, 0, 0, 0, 0x0e],
            &[0x81, 0, 0, 0, 0x0a, 0x80, 0x80, 0x80, 0x80, 0],
        ] {
            assert!(Av1Config::parse(record).is_err(), "{record:x?}");
        }
    }
}
