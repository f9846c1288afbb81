//! H.265: parameter sets and NAL unit types (RFC 7798, ISO 14496-15 §8.3.3).

use super::ConfigError;
use super::nal::NalFraming;

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

impl H265Config {
    /// Parses the HEVCDecoderConfigurationRecord (ISO 14496-15 §8.3.3.1).
    ///
    /// # Errors
    /// When it is cut short.
    pub fn parse(_record: &[u8]) -> Result<Self, ConfigError> {
        Err(ConfigError("not yet"))
    }
}
