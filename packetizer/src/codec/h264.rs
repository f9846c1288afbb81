//! H.264: parameter sets and NAL unit types (RFC 6184, ISO 14496-15 §5.3.3).

use super::ConfigError;
use super::nal::{NalFraming, PARAMETER_SETS_MAX, nal_units};

/// Parameter sets, and how NAL units lie in an access unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct H264Config {
    /// How NAL units are told apart.
    pub framing: NalFraming,
    /// Sequence parameter sets, without start codes.
    pub sequence_parameter_sets: Vec<Vec<u8>>,
    /// Picture parameter sets, without start codes.
    pub picture_parameter_sets: Vec<Vec<u8>>,
}

impl H264Config {
    /// Parses the AVCDecoderConfigurationRecord (ISO 14496-15 §5.3.3.1.2); what follows its
    /// parameter sets is ignored, since writers disagree about it.
    ///
    /// # Errors
    /// When it is cut short. It may have no parameter sets, if the stream has them (`avc3`); see
    /// [`Self::is_complete`].
    pub fn parse(record: &[u8]) -> Result<Self, ConfigError> {
        let [1, _profile, _constraints, _level, length, counts, rest @ ..] = record else {
            return Err(ConfigError("avcC is cut short or of an unknown version"));
        };
        let length_bytes = (length & 3) + 1;
        if length_bytes == 3 {
            return Err(ConfigError("avcC declares NAL unit lengths of 3 bytes"));
        }
        let (sequence_parameter_sets, rest) = read_sets(rest, counts & 0x1f, NalType::SPS)?;
        let (count, rest) = rest.split_first().ok_or(ConfigError("avcC is cut short"))?;
        let (picture_parameter_sets, _) = read_sets(rest, *count, NalType::PPS)?;
        Ok(Self {
            framing: NalFraming::Length(length_bytes),
            sequence_parameter_sets,
            picture_parameter_sets,
        })
    }

    /// Whether there are parameter sets of each kind: without them SDP cannot describe the stream.
    #[must_use]
    pub const fn is_complete(&self) -> bool {
        !self.sequence_parameter_sets.is_empty() && !self.picture_parameter_sets.is_empty()
    }

    /// Takes the parameter sets in an access unit.
    pub fn take_sets(&mut self, unit: &[u8]) {
        for nal in nal_units(unit, self.framing).map_while(Result::ok) {
            let (sets, bytes_min) = match NalType::of(nal) {
                Some(NalType::SPS) => (&mut self.sequence_parameter_sets, SPS_BYTES_MIN),
                Some(NalType::PPS) => (&mut self.picture_parameter_sets, PPS_BYTES_MIN),
                _ => continue,
            };
            let is_new = sets.iter().all(|set| set != nal) && sets.len() < PARAMETER_SETS_MAX;
            if is_new && nal.len() >= bytes_min {
                sets.push(nal.to_vec());
            }
        }
    }

    /// profile_idc, the constraint flags and level_idc of the first sequence parameter set, for
    /// `profile-level-id` (RFC 6184 §8.1); zeros without one.
    #[must_use]
    pub fn profile_level_id(&self) -> [u8; 3] {
        match self.sequence_parameter_sets.first().map(Vec::as_slice) {
            Some([_header, profile, constraints, level, ..]) => [*profile, *constraints, *level],
            _ => [0; 3],
        }
    }
}

/// Bytes of a sequence parameter set that tell profile and level.
const SPS_BYTES_MIN: usize = 4;
const PPS_BYTES_MIN: usize = 2;

/// Reads `count` parameter sets with 16-bit lengths, and yields what follows them. Those of another
/// type, or too short to be one, are left out.
fn read_sets(
    mut rest: &[u8],
    count: u8,
    wanted: NalType,
) -> Result<(Vec<Vec<u8>>, &[u8]), ConfigError> {
    let cut_short = ConfigError("avcC is cut short");
    let mut sets = Vec::with_capacity(usize::from(count));
    for _ in 0..count {
        let (length, behind) = rest.split_first_chunk::<2>().ok_or(cut_short)?;
        let length = usize::from(u16::from_be_bytes(*length));
        let (set, behind) = behind.split_at_checked(length).ok_or(cut_short)?;
        rest = behind;
        let bytes_min = if wanted == NalType::SPS { SPS_BYTES_MIN } else { PPS_BYTES_MIN };
        if NalType::of(set) == Some(wanted) && set.len() >= bytes_min {
            sets.push(set.to_vec());
        }
    }
    Ok((sets, rest))
}

/// nal_unit_type (ISO 14496-10 table 7-1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NalType(pub u8);

impl NalType {
    /// Slice of a picture that is not an IDR picture.
    pub const SLICE: Self = Self(1);
    /// Slice of an IDR picture.
    pub const IDR: Self = Self(5);
    /// Supplemental enhancement information.
    pub const SEI: Self = Self(6);
    /// Sequence parameter set.
    pub const SPS: Self = Self(7);
    /// Picture parameter set.
    pub const PPS: Self = Self(8);
    /// Access unit delimiter.
    pub const DELIMITER: Self = Self(9);
    /// Filler data.
    pub const FILLER: Self = Self(12);

    /// The type of a NAL unit; `None` if it is empty.
    #[must_use]
    pub fn of(nal_unit: &[u8]) -> Option<Self> {
        nal_unit.first().map(|header| Self(header & 0x1f))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECORD: [u8; 21] = [
        1, 0x64, 0, 0x1f, 0xff, 0xe1, 0, 5, 0x67, 0x64, 0, 0x1f, 0xac, 1, 0, 4, 0x68, 0xeb, 0xe3,
        0xcb, 0xfd,
    ];

    #[test]
    fn parses_avcc_with_and_without_trailing_bytes() {
        for end in [20, 21] {
            let config = H264Config::parse(&RECORD[..end]).unwrap();
            assert_eq!(config.framing, NalFraming::Length(4));
            assert_eq!(config.sequence_parameter_sets, [[0x67, 0x64, 0, 0x1f, 0xac]]);
            assert_eq!(config.picture_parameter_sets, [[0x68, 0xeb, 0xe3, 0xcb]]);
            assert_eq!(config.profile_level_id(), [0x64, 0, 0x1f]);
        }
    }

    #[test]
    fn refuses_avcc_cut_short_anywhere() {
        for end in 0..20 {
            assert!(H264Config::parse(&RECORD[..end]).is_err(), "{end}");
        }
        let mut three_bytes = RECORD;
        three_bytes[4] = 0xfe;
        assert!(H264Config::parse(&three_bytes).unwrap_err().to_string().contains("3 bytes"));
        let empty = [1, 0x64, 0, 0x1f, 0xff, 0xe0, 0];
        assert!(!H264Config::parse(&empty).unwrap().is_complete());
        assert!(H264Config::parse(&RECORD).unwrap().is_complete());
    }
}
