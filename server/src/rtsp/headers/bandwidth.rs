//! Bandwidth (RFC 2326 §12.6).

use super::parse_decimal;

/// What the client can take, in bits per second, by its own estimate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bandwidth(pub u64);

impl Bandwidth {
    /// Reads the header; `None` if it is no decimal number. It is an estimate, so what cannot be
    /// read may be ignored.
    #[must_use]
    pub fn parse(value: &str) -> Option<Self> {
        parse_decimal(value.trim_ascii()).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bandwidths_are_decimal() {
        assert_eq!(Bandwidth::parse("4000"), Some(Bandwidth(4000))); // RFC 2326 §12.6
        assert_eq!(Bandwidth::parse(" 18446744073709551615 "), Some(Bandwidth(u64::MAX)));
        for text in ["", "-1", "4 kbit/s", "1e6", "18446744073709551616"] {
            assert_eq!(Bandwidth::parse(text), None, "{text}");
        }
    }
}
