//! H.264: parameter sets and NAL unit types (RFC 6184, ISO 14496-15 §5.3.3).

/// What an `avcC` box says: parameter sets and the width of NAL unit lengths.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct H264Config {
    /// Bytes of a NAL unit's length prefix: 1, 2 or 4.
    pub length_bytes: u8,
    /// Sequence parameter sets, without start codes.
    pub sequence_parameter_sets: Vec<Vec<u8>>,
    /// Picture parameter sets, without start codes.
    pub picture_parameter_sets: Vec<Vec<u8>>,
}
