//! H.265: parameter sets and NAL unit types (RFC 7798, ISO 14496-15 §8.3.3).

use super::ConfigError;
use super::nal::{NalFraming, PARAMETER_SETS_MAX, nal_units};

/// Parameter sets, and how NAL units lie in an access unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct H265Config {
    /// How NAL units are told apart.
    pub framing: NalFraming,
    /// Video parameter sets, without start codes.
    pub video_parameter_sets: Vec<Vec<u8>>,
    /// Sequence parameter sets, without start codes.
    pub sequence_parameter_sets: Vec<Vec<u8>>,
    /// Picture parameter sets, without start codes.
    pub picture_parameter_sets: Vec<Vec<u8>>,
}

/// Position of `lengthSizeMinusOne` in the record.
const LENGTH_SIZE_AT: usize = 21;
/// Bytes of the record in front of its arrays.
const RECORD_HEADER_BYTES: usize = 23;

impl H265Config {
    /// Parses the HEVCDecoderConfigurationRecord (ISO 14496-15 §8.3.3.1.2). Arrays of other NAL
    /// units than parameter sets are ignored.
    ///
    /// # Errors
    /// When it is cut short. It may have no parameter sets, if the stream has them (`hev1`); see
    /// [`Self::is_complete`].
    pub fn parse(record: &[u8]) -> Result<Self, ConfigError> {
        let cut_short = ConfigError("hvcC is cut short or of an unknown version");
        let (header, mut rest) = record.split_at_checked(RECORD_HEADER_BYTES).ok_or(cut_short)?;
        // Version 0 is from before the standard, with the same fields.
        let [0 | 1, .., array_count] = header else { return Err(cut_short) };
        let length_bytes = header.get(LENGTH_SIZE_AT).map_or(4, |length| (length & 3) + 1);
        if length_bytes == 3 {
            return Err(ConfigError("hvcC declares NAL unit lengths of 3 bytes"));
        }
        let mut config = Self {
            framing: NalFraming::Length(length_bytes),
            video_parameter_sets: Vec::new(),
            sequence_parameter_sets: Vec::new(),
            picture_parameter_sets: Vec::new(),
        };
        for _ in 0..*array_count {
            rest = config.read_array(rest).ok_or(cut_short)?;
        }
        Ok(config)
    }

    /// Whether there are parameter sets of each kind: without them SDP cannot describe the stream.
    #[must_use]
    pub const fn is_complete(&self) -> bool {
        !self.video_parameter_sets.is_empty()
            && !self.sequence_parameter_sets.is_empty()
            && !self.picture_parameter_sets.is_empty()
    }

    /// Takes the parameter sets in an access unit.
    pub fn take_sets(&mut self, unit: &[u8]) {
        for nal in nal_units(unit, self.framing).map_while(Result::ok) {
            let sets = match NalType::of(nal) {
                Some(NalType::VPS) => &mut self.video_parameter_sets,
                Some(NalType::SPS) => &mut self.sequence_parameter_sets,
                Some(NalType::PPS) => &mut self.picture_parameter_sets,
                _ => continue,
            };
            if sets.iter().all(|set| set != nal) && sets.len() < PARAMETER_SETS_MAX {
                sets.push(nal.to_vec());
            }
        }
    }

    /// Takes the parameter sets of an array and yields what follows it.
    fn read_array<'a>(&mut self, rest: &'a [u8]) -> Option<&'a [u8]> {
        let ([_kind, count @ ..], mut rest) = rest.split_first_chunk::<3>()?;
        for _ in 0..u16::from_be_bytes(*count) {
            let (length, behind) = rest.split_first_chunk::<2>()?;
            let length = usize::from(u16::from_be_bytes(*length));
            let (set, behind) = behind.split_at_checked(length)?;
            rest = behind;
            // The array's own type may be wrong; the NAL unit's header is what a decoder reads.
            match NalType::of(set) {
                Some(NalType::VPS) => self.video_parameter_sets.push(set.to_vec()),
                Some(NalType::SPS) => self.sequence_parameter_sets.push(set.to_vec()),
                Some(NalType::PPS) => self.picture_parameter_sets.push(set.to_vec()),
                _ => {}
            }
        }
        Some(rest)
    }
}

/// nal_unit_type (ISO 23008-2 table 7-1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NalType(pub u8);

impl NalType {
    /// Video parameter set.
    pub const VPS: Self = Self(32);
    /// Sequence parameter set.
    pub const SPS: Self = Self(33);
    /// Picture parameter set.
    pub const PPS: Self = Self(34);

    /// The type of a NAL unit; `None` if it is too short to have its header of two bytes.
    #[must_use]
    pub fn of(nal_unit: &[u8]) -> Option<Self> {
        let header = nal_unit.first_chunk::<2>()?;
        Some(Self(header[0] >> 1 & 0x3f))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::cast_possible_truncation)]

    use super::*;

    /// A record with one array for each set.
    fn record(sets: &[&[u8]]) -> Vec<u8> {
        let mut record = vec![0; RECORD_HEADER_BYTES];
        record[0] = 1;
        record[LENGTH_SIZE_AT] = 0xff;
        record[LENGTH_SIZE_AT + 1] = sets.len() as u8;
        for set in sets {
            record.extend([0x80 | set[0] >> 1, 0, 1, 0, set.len() as u8]);
            record.extend_from_slice(set);
        }
        record
    }

    const VPS: &[u8] = &[0x40, 1, 0x0c];
    const SPS: &[u8] = &[0x42, 1, 1, 1];
    const PPS: &[u8] = &[0x44, 1];
    const SEI: &[u8] = &[0x4e, 1, 5];

    #[test]
    fn takes_parameter_sets_from_their_arrays() {
        for sets in [&[VPS, SPS, PPS][..], &[SEI, PPS, SPS, VPS]] {
            let config = H265Config::parse(&record(sets)).unwrap();
            assert_eq!(config.framing, NalFraming::Length(4));
            assert_eq!(config.video_parameter_sets, [VPS]);
            assert_eq!(config.sequence_parameter_sets, [SPS]);
            assert_eq!(config.picture_parameter_sets, [PPS]);
        }
    }

    #[test]
    fn refuses_what_is_cut_short_and_tells_when_sets_are_missing() {
        let whole = record(&[VPS, SPS, PPS]);
        for end in 0..whole.len() {
            let error = H265Config::parse(&whole[..end]).unwrap_err();
            assert!(error.to_string().contains("cut short"), "{end}");
        }
        for sets in [&[][..], &[VPS, SPS], &[SPS, PPS], &[VPS, PPS, SEI]] {
            assert!(!H265Config::parse(&record(sets)).unwrap().is_complete(), "{sets:?}");
        }
        assert!(H265Config::parse(&whole).unwrap().is_complete());
        let mut three_bytes = whole.clone();
        three_bytes[LENGTH_SIZE_AT] = 0xfe;
        assert!(H265Config::parse(&three_bytes).unwrap_err().to_string().contains("3 bytes"));
        let version_2 = [&[2], &whole[1..]].concat();
        assert!(H265Config::parse(&version_2).is_err());
    }
}
