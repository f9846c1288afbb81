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
