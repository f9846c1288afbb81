//! Responses (RFC 2326 §7): written by the server, read by our own client.

use super::message::{Headers, Parts};
use super::status::StatusCode;
use bytes::Bytes;
use std::fmt::{self, Write as _};

/// A response being written, header by header.
///
/// ```
/// use server::rtsp::{Response, StatusCode};
/// let bytes = Response::new(StatusCode::OK, Some("7")).header("Public", "OPTIONS").into_bytes();
/// assert!(bytes.starts_with(b"RTSP/1.0 200 OK\r\nCSeq: 7\r\nServer: reelring/"));
/// assert!(bytes.ends_with(b"\r\nPublic: OPTIONS\r\n\r\n"));
/// ```
#[derive(Clone, Debug)]
pub struct Response {
    status: StatusCode,
    head: String,
}

impl Response {
    /// A response to the request with this CSeq, repeated as it was spelled; `None` if it could
    /// not be read.
    #[must_use]
    pub fn new(status: StatusCode, cseq: Option<&str>) -> Self {
        let response = Self { status, head: format!("RTSP/1.0 {status}\r\n") };
        let response = match cseq {
            Some(cseq) => response.header("CSeq", cseq),
            None => response,
        };
        response.header("Server", SERVER)
    }

    /// The status it was made with.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// Adds a header. Control characters in the value are left out: whatever it was made from
    /// cannot start a line of its own.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl fmt::Display) -> Self {
        push_header(&mut self.head, name, &value);
        self
    }

    /// The response as it goes on the wire, without a body.
    #[must_use]
    pub fn into_bytes(mut self) -> Bytes {
        self.head.push_str("\r\n");
        self.head.into()
    }

    /// The response as it goes on the wire, with a body and the headers that describe it.
    #[must_use]
    pub fn into_bytes_with_body(self, content_type: &str, body: &[u8]) -> Bytes {
        let mut response =
            self.header("Content-Type", content_type).header("Content-Length", body.len());
        response.head.push_str("\r\n");
        let mut bytes = response.head.into_bytes();
        bytes.extend_from_slice(body);
        bytes.into()
    }
}

/// Appends a header line, without control characters in its value.
pub(super) fn push_header(head: &mut String, name: &str, value: &dyn fmt::Display) {
    head.push_str(name);
    head.push_str(": ");
    // Writing to a String cannot fail; a value's own Display does not.
    let _ = write!(WithoutControls(head), "{value}");
    head.push_str("\r\n");
}

/// What the server calls itself (RFC 2326 §12.36).
pub(super) const SERVER: &str = concat!("reelring/", env!("CARGO_PKG_VERSION"));

struct WithoutControls<'a>(&'a mut String);

impl fmt::Write for WithoutControls<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.extend(text.chars().filter(|character| !character.is_control()));
        Ok(())
    }
}

/// A response as received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReceivedResponse<'a> {
    /// What became of the request.
    pub status: StatusCode,
    /// The phrase beside the code; may be empty.
    pub reason: &'a str,
    headers: Headers<'a>,
    /// The body, as long as Content-Length said.
    pub body: &'a [u8],
}

/// A message is no response of RTSP/1.0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAResponse;

impl fmt::Display for NotAResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("this is not an RTSP/1.0 response")
    }
}

impl std::error::Error for NotAResponse {}

impl<'a> ReceivedResponse<'a> {
    /// Reads a response from [`crate::framing::Message::Response`].
    ///
    /// # Errors
    ///
    /// If the status line or a header line cannot be read.
    pub fn parse(message: &'a [u8]) -> Result<Self, NotAResponse> {
        let parts = Parts::split(message).map_err(|_| NotAResponse)?;
        let rest = parts.first_line.strip_prefix("RTSP/1.0 ").ok_or(NotAResponse)?;
        let (code, reason) = rest.split_once(' ').unwrap_or((rest, ""));
        let is_code = code.len() == 3 && code.bytes().all(|byte| byte.is_ascii_digit());
        let code = code.parse().ok().filter(|_| is_code);
        let status = code.and_then(StatusCode::new).ok_or(NotAResponse)?;
        let reason = reason.trim_ascii();
        Ok(Self { status, reason, headers: parts.headers, body: parts.body })
    }

    /// The value of the first header of this name, in any case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&'a str> {
        self.headers.get(name)
    }

    /// The values of all headers of this name, in any case.
    pub fn headers<'n>(&self, name: &'n str) -> impl Iterator<Item = &'a str> + use<'a, 'n> {
        self.headers.all(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_is_exactly_this() {
        let response = Response::new(StatusCode::OK, Some("007")).header("Session", "a;timeout=60");
        assert_eq!(response.status(), StatusCode::OK);
        let expected = format!(
            "RTSP/1.0 200 OK\r\nCSeq: 007\r\nServer: {SERVER}\r\nSession: a;timeout=60\r\n\
             Content-Type: application/sdp\r\nContent-Length: 4\r\n\r\nv=0\n"
        );
        assert_eq!(response.into_bytes_with_body("application/sdp", b"v=0\n"), expected);
        let refusal = Response::new(StatusCode::BAD_REQUEST, None).into_bytes();
        assert_eq!(refusal, format!("RTSP/1.0 400 Bad Request\r\nServer: {SERVER}\r\n\r\n"));
    }

    #[test]
    fn a_value_starts_no_line() {
        let bytes =
            Response::new(StatusCode::OK, None).header("A", "b\r\nEvil: 1\u{85}\0").into_bytes();
        assert!(bytes.ends_with(b"\r\nA: bEvil: 1\r\n\r\n"), "{bytes:?}");
    }

    #[test]
    fn foreign_responses_are_read() {
        let message = b"RTSP/1.0 454 \nCSeq: 3\nsession: a\nSession: b\n\nbody";
        let response = ReceivedResponse::parse(message).unwrap();
        assert_eq!((response.status, response.reason), (StatusCode::SESSION_NOT_FOUND, ""));
        assert_eq!(response.header("Session"), Some("a"));
        assert_eq!(response.headers("Session").collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(response.body, b"body");
        assert_eq!(ReceivedResponse::parse(b"RTSP/1.0 200\r\n\r\n").unwrap().reason, "");
        for line in [
            "RTSP/2.0 200 OK",
            "RTSP/1.0 20 OK",
            "RTSP/1.0 2000 OK",
            "RTSP/1.0 +20 OK",
            "RTSP/1.0 099 No",
            "RTSP/1.0  200 OK",
            "RTSP/1.0",
            "PLAY * RTSP/1.0",
        ] {
            let message = format!("{line}\r\n\r\n");
            assert_eq!(ReceivedResponse::parse(message.as_bytes()), Err(NotAResponse), "{line}");
        }
    }
}
