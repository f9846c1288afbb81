//! Blocksize (RFC 2326 §12.7).

use super::parse_decimal;

/// How big the client wants its packets: bytes of payload, without IP, UDP and RTP headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Blocksize(pub u32);

impl Blocksize {
    /// Reads the header; `None` if it is no decimal number. It is a wish, so what cannot be read
    /// may be ignored.
    #[must_use]
    pub fn parse(value: &str) -> Option<Self> {
        parse_decimal(value.trim_ascii()).map(Self)
    }
}
