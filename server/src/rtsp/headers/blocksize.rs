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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_decimal() {
        assert_eq!(Blocksize::parse(" 1400 "), Some(Blocksize(1400)));
        for text in ["", "-1", "+1", "0x578", "4294967296", "1 400"] {
            assert_eq!(Blocksize::parse(text), None, "{text}");
        }
    }
}
