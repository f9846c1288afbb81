//! Blocksize (RFC 2326 §12.7).

/// How big the client wants its packets: bytes of payload, without IP, UDP and RTP headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Blocksize(pub u32);

impl Blocksize {
    /// Reads the header; `None` if it is no positive decimal number. A larger number than fits is
    /// the largest that does: the server may choose less.
    #[must_use]
    pub fn parse(value: &str) -> Option<Self> {
        let value = value.trim_ascii();
        let is_decimal = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
        let bytes = is_decimal.then(|| value.parse().unwrap_or(u32::MAX))?;
        (bytes > 0).then_some(Self(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_decimal() {
        assert_eq!(Blocksize::parse(" 1400 "), Some(Blocksize(1400)));
        assert_eq!(Blocksize::parse("4294967296"), Some(Blocksize(u32::MAX)));
        for text in ["", "0", "000", "-1", "+1", "0x578", "1.5", "1 400"] {
            assert_eq!(Blocksize::parse(text), None, "{text}");
        }
    }
}
