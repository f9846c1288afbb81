//! Session (RFC 2326 §12.37).

use super::{parse_decimal, split_unquoted};
use crate::rtsp::StatusCode;
use std::fmt;

/// A session's identifier, and when it ends without a sign of life.
///
/// Displays without a space before `timeout`: FFmpeg reads only that form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionHeader<'a> {
    /// The opaque identifier.
    pub id: &'a str,
    /// Seconds; only a response has them.
    pub timeout_seconds: Option<u32>,
}

/// The header has no identifier, or one with characters that none has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionHeaderError;

impl SessionHeaderError {
    /// What the client is told: no session has such an identifier.
    #[must_use]
    pub const fn status(self) -> StatusCode {
        StatusCode::SESSION_NOT_FOUND
    }
}

impl fmt::Display for SessionHeaderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("this is no session identifier")
    }
}

impl std::error::Error for SessionHeaderError {}

impl<'a> SessionHeader<'a> {
    /// Reads the header; white space and unknown parameters are tolerated.
    ///
    /// # Errors
    ///
    /// If the identifier is empty or has white space or quotes in it.
    pub fn parse(value: &'a str) -> Result<Self, SessionHeaderError> {
        let mut parameters = split_unquoted(value, ';');
        let id = parameters.next().filter(|_| !value.trim_ascii_start().starts_with(';'));
        let is_id = |id: &&str| id.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"');
        let id = id.filter(is_id).ok_or(SessionHeaderError)?;
        let timeout = parameters.filter_map(|parameter| parameter.split_once('=')).find_map(
            |(name, value)| name.trim_ascii().eq_ignore_ascii_case("timeout").then_some(value),
        );
        let timeout_seconds = timeout.and_then(|seconds| parse_decimal(seconds.trim_ascii()));
        Ok(Self { id, timeout_seconds })
    }
}

impl fmt::Display for SessionHeader<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id)?;
        self.timeout_seconds.map_or(Ok(()), |seconds| write!(f, ";timeout={seconds}"))
    }
}
