//! Scale (RFC 2326 §12.34) and Speed (§12.35): how fast, as a decimal number.

use crate::rtsp::StatusCode;
use std::fmt;
use std::str::FromStr;

/// A scale or speed: a finite number other than zero; only a scale is negative. Which values are
/// served is the session's business.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Rate(f32);

/// The header is no such number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateError;

impl RateError {
    /// What the client is told.
    #[must_use]
    pub const fn status(self) -> StatusCode {
        StatusCode::BAD_REQUEST
    }
}

impl fmt::Display for RateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("this is no scale or speed")
    }
}

impl std::error::Error for RateError {}

impl Rate {
    /// The normal rate.
    pub const NORMAL: Self = Self(1.0);

    /// A rate; `None` if it is zero or not finite.
    #[must_use]
    pub fn new(factor: f32) -> Option<Self> {
        (factor.is_finite() && factor != 0.0).then_some(Self(factor))
    }

    /// The rate of a factor that the server has chosen; never zero.
    #[must_use]
    pub const fn of(factor: f32) -> Self {
        Self(factor)
    }

    /// How many seconds of normal play time a second takes, or of normal delivery.
    #[must_use]
    pub const fn factor(self) -> f32 {
        self.0
    }
}

impl FromStr for Rate {
    type Err = RateError;

    /// Reads `2`, `-1.5`, `.5`; no exponent, no words.
    fn from_str(text: &str) -> Result<Self, RateError> {
        let text = text.trim_ascii();
        let digits = text.strip_prefix('-').unwrap_or(text);
        let is_decimal = digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
        let factor = is_decimal.then(|| text.parse().ok()).flatten();
        factor.and_then(Self::new).ok_or(RateError)
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_decimal_numbers() {
        for (text, factor) in
            [("2", 2.0), ("1.000000", 1.0), (" -3.5 ", -3.5), (".5", 0.5), ("+1", f32::NAN)]
        {
            match text.parse::<Rate>() {
                Ok(rate) => assert!((rate.factor() - factor).abs() < f32::EPSILON, "{text}"),
                Err(RateError) => assert!(factor.is_nan(), "{text}"),
            }
        }
        for text in ["", "0", "-0.0", "nan", "inf", "1e5", "1.5.5", "--1", ".", "-", "0x2", "2x"] {
            assert_eq!(text.parse::<Rate>(), Err(RateError), "{text}");
        }
        assert_eq!("9".repeat(50).parse::<Rate>(), Err(RateError));
        assert_eq!(Rate::NORMAL.to_string(), "1.0");
        assert_eq!("-3.50".parse::<Rate>().unwrap().to_string(), "-3.5");
    }
}
