//! RTP packets (RFC 3550 §5).

/// Synchronization source (RFC 3550 §3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ssrc(pub u32);

/// Bytes of an RTP header without contributing sources or extension (RFC 3550 §5.1).
pub const HEADER_BYTES: usize = 12;
