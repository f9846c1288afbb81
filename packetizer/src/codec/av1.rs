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

impl Av1Config {
    /// Parses the AV1CodecConfigurationRecord (AV1 Codec ISO Media File Format Binding §2.3.3).
    ///
    /// # Errors
    /// When it is cut short.
    pub fn parse(_record: &[u8]) -> Result<Self, ConfigError> {
        Err(ConfigError("not yet"))
    }
}
