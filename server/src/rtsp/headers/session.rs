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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_are_read() {
        let reads = |text, id, timeout_seconds| {
            assert_eq!(SessionHeader::parse(text), Ok(SessionHeader { id, timeout_seconds }));
        };
        reads("12345678", "12345678", None); // RFC 2326 §12.37
        reads("2034820394;timeout=60", "2034820394", Some(60));
        reads(" a$-_.+Z ; x=1; Timeout = 30 ", "a$-_.+Z", Some(30));
        reads("a;timeout=never", "a", None);
        reads("a;timeout=4294967296", "a", None);
        for text in ["", " ", ";timeout=60", "a b", "\"a\"", "ä"] {
            assert_eq!(SessionHeader::parse(text), Err(SessionHeaderError), "{text:?}");
        }
    }

    #[test]
    fn ffmpeg_reads_no_space_before_timeout() {
        let header = SessionHeader { id: "a1", timeout_seconds: Some(60) };
        assert_eq!(header.to_string(), "a1;timeout=60");
        assert_eq!(SessionHeader { timeout_seconds: None, ..header }.to_string(), "a1");
    }
}
