//! The HTTP around RTSP: the requests that open the halves of a tunnel, and what they are told.
//!
//! A client that reaches the server through HTTP alone opens a GET, whose response never ends and
//! is what the server sends, and POSTs with the same `x-sessioncookie`, whose bodies are what the
//! client sends, in base64 (QuickTime's "Tunneling RTSP and RTP over HTTP"). Their Content-Length
//! limits nothing, and they get no response.

use super::message::Parts;
use super::response::SERVER;
use super::status::StatusCode;
use crate::limits::TUNNEL_COOKIE_BYTES_MAX;
use bytes::Bytes;
use std::fmt::Write as _;

/// A request that opens one half of a tunnel. The cookie names the tunnel; it is printable ASCII
/// of at most [`TUNNEL_COOKIE_BYTES_MAX`] bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TunnelRequest<'a> {
    /// GET: opens what the server sends.
    Get {
        /// `x-sessioncookie`
        cookie: &'a str,
    },
    /// POST: opens what the client sends, or goes on with it.
    Post {
        /// `x-sessioncookie`
        cookie: &'a str,
    },
}

/// Why an HTTP request is answered with an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HttpRefusal {
    /// The request cannot be read, its cookie is none, or it is a POST without one.
    BadRequest,
    /// A GET without a cookie: a browser's.
    NoCookie,
    /// Neither GET nor POST.
    Method,
    /// A POST in a transfer coding: the body is not what lies on the wire.
    TransferCoding,
    /// The tunnel is that of another address.
    Stranger,
    /// There is such a tunnel.
    InUse,
    /// Too many POSTs wait for their turn.
    TooManyInputs,
}

impl HttpRefusal {
    /// The status of the response (RFC 9110 §15).
    #[must_use]
    pub const fn status(self) -> StatusCode {
        match self {
            Self::BadRequest | Self::InUse => StatusCode::BAD_REQUEST,
            Self::NoCookie => StatusCode::NOT_FOUND,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::TransferCoding => StatusCode::NOT_IMPLEMENTED,
            Self::Stranger => StatusCode::FORBIDDEN,
            Self::TooManyInputs => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// What a person is told.
    #[must_use]
    pub const fn hint(self) -> &'static str {
        match self {
            Self::BadRequest => "this is no request that opens an RTSP tunnel",
            Self::NoCookie => "this is an RTSP server; open its URLs with a player",
            Self::Method => "an RTSP tunnel is opened by GET and POST",
            Self::TransferCoding => "the body of a tunnel's POST is sent as it is",
            Self::Stranger => "the tunnel was opened from another address",
            Self::InUse => "the tunnel is open already",
            Self::TooManyInputs => "too many POSTs of the tunnel wait for their turn",
        }
    }
}

impl<'a> TunnelRequest<'a> {
    /// Reads the head that a framer cut (see [`crate::framing::Message::Request`]).
    ///
    /// # Errors
    /// What its sender is told.
    pub fn parse(head: &'a [u8]) -> Result<Self, HttpRefusal> {
        let parts = Parts::split(head).map_err(|_| HttpRefusal::BadRequest)?;
        if !is_http(head) {
            return Err(HttpRefusal::BadRequest);
        }
        let method = parts.first_line.split_once(' ').map_or("", |(method, _)| method);
        let mut cookies = parts.headers.all(COOKIE);
        let cookie = match (cookies.next(), cookies.next()) {
            (Some(cookie), None) if is_cookie(cookie) => Some(cookie),
            (None, _) => None,
            (Some(_), _) => return Err(HttpRefusal::BadRequest),
        };
        match (method, cookie) {
            ("GET", Some(cookie)) => Ok(Self::Get { cookie }),
            ("GET", None) => Err(HttpRefusal::NoCookie),
            ("POST", Some(_)) if parts.headers.get("Transfer-Encoding").is_some() => {
                Err(HttpRefusal::TransferCoding)
            }
            ("POST", Some(cookie)) => Ok(Self::Post { cookie }),
            ("POST", None) => Err(HttpRefusal::BadRequest),
            (_, _) => Err(HttpRefusal::Method),
        }
    }
}

/// Whether the first of these lines is an HTTP request's.
#[must_use]
pub fn is_http(lines: &[u8]) -> bool {
    let line = lines.split(|&byte| byte == b'\n').next().unwrap_or_default();
    let version = line.trim_ascii_end().rsplit(|&byte| byte == b' ').next().unwrap_or_default();
    version.starts_with(b"HTTP/")
}

/// The response to the GET of a tunnel, behind which RTSP follows. `date` is the time, as HTTP
/// writes it.
#[must_use]
pub fn tunnel_opened(date: &str) -> Bytes {
    let mut head = head(StatusCode::OK, date);
    head.push_str("Content-Type: application/x-rtsp-tunnelled\r\n\r\n");
    head.into()
}

/// The response to a request that opens nothing, behind which the connection closes. `hint` tells
/// a person why.
#[must_use]
pub fn refusal(status: StatusCode, hint: &str, date: &str) -> Bytes {
    let mut head = head(status, date);
    if status == StatusCode::METHOD_NOT_ALLOWED {
        head.push_str("Allow: GET, POST\r\n");
    }
    // Writing to a String cannot fail.
    let _ = write!(
        head,
        "Content-Type: text/plain\r\nContent-Length: {}\r\n\r\n{hint}\r\n",
        hint.len() + 2
    );
    head.into()
}

/// What all responses have. Not all players know a later version than 1.0, and all its features
/// would be out of place: no response is kept, and none is followed by another.
fn head(status: StatusCode, date: &str) -> String {
    format!(
        "HTTP/1.0 {status}\r\nServer: {SERVER}\r\nDate: {date}\r\nConnection: close\r\n\
         Cache-Control: no-store\r\nPragma: no-cache\r\n"
    )
}

fn is_cookie(value: &str) -> bool {
    (1..=TUNNEL_COOKIE_BYTES_MAX).contains(&value.len())
        && value.bytes().all(|byte| byte.is_ascii_graphic())
}

const COOKIE: &str = "x-sessioncookie";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_request_opens_or_is_told() {
        let cookie = "tD9hKgAAfB8ABCftAAAAAw";
        let long = "c".repeat(TUNNEL_COOKIE_BYTES_MAX);
        let get = |cookie| Ok(TunnelRequest::Get { cookie });
        let post = |cookie| Ok(TunnelRequest::Post { cookie });
        for (line, headers, expected) in [
            ("GET /movie.mov HTTP/1.0", format!("x-sessioncookie: {cookie}"), get(cookie)),
            ("GET /a b.mp4?x=1 HTTP/1.1", format!("X-SessionCookie:{cookie} "), get(cookie)),
            ("POST / HTTP/1.0", format!("x-sessioncookie: {cookie}"), post(cookie)),
            ("GET / HTTP/1.0", format!("x-sessioncookie: {long}"), get(&long)),
            ("GET / HTTP/1.0", format!("x-sessioncookie: {long}c"), Err(HttpRefusal::BadRequest)),
            ("GET / HTTP/1.0", "x-sessioncookie:".to_owned(), Err(HttpRefusal::BadRequest)),
            ("GET / HTTP/1.0", "x-sessioncookie: a b".to_owned(), Err(HttpRefusal::BadRequest)),
            ("GET / HTTP/1.0", "x-sessioncookie: é".to_owned(), Err(HttpRefusal::BadRequest)),
            (
                "POST / HTTP/1.0",
                "x-sessioncookie: a\r\nx-sessioncookie: a".to_owned(),
                Err(HttpRefusal::BadRequest),
            ),
            ("GET / HTTP/1.1", "Host: h".to_owned(), Err(HttpRefusal::NoCookie)),
            ("POST / HTTP/1.1", "Host: h".to_owned(), Err(HttpRefusal::BadRequest)),
            (
                "POST / HTTP/1.1",
                "x-sessioncookie: a\r\nTransfer-Encoding: chunked".to_owned(),
                Err(HttpRefusal::TransferCoding),
            ),
            ("HEAD / HTTP/1.1", "x-sessioncookie: a".to_owned(), Err(HttpRefusal::Method)),
            ("get / HTTP/1.1", "x-sessioncookie: a".to_owned(), Err(HttpRefusal::Method)),
            ("GET / HTTP/1.1", "no header".to_owned(), Err(HttpRefusal::BadRequest)),
        ] {
            let head = format!("{line}\r\n{headers}\r\n\r\n");
            assert_eq!(TunnelRequest::parse(head.as_bytes()), expected, "{head}");
            assert!(is_http(head.as_bytes()), "{head}");
        }
        let rtsp = TunnelRequest::parse(b"GET / RTSP/1.0\r\nx-sessioncookie: a\r\n\r\n");
        assert_eq!(rtsp, Err(HttpRefusal::BadRequest));
    }

    #[test]
    fn what_is_http() {
        for (lines, expected) in [
            ("GET / HTTP/1.1\r\nHost", true),
            ("GET / HTTP/1.1 \nHost", true),
            ("GET / RTSP/1.0\r\nUpgrade: HTTP/1.1", false),
            ("HTTP", false),
            ("", false),
        ] {
            assert_eq!(is_http(lines.as_bytes()), expected, "{lines}");
        }
    }

    #[test]
    fn responses_are_exactly_these() {
        let date = "Sat, 29 Oct 1994 19:43:31 GMT";
        let common = format!(
            "Server: {SERVER}\r\nDate: {date}\r\nConnection: close\r\nCache-Control: no-store\r\n\
             Pragma: no-cache\r\n"
        );
        let opened = format!(
            "HTTP/1.0 200 OK\r\n{common}Content-Type: application/x-rtsp-tunnelled\r\n\r\n"
        );
        assert_eq!(tunnel_opened(date), opened);
        let refused = format!(
            "HTTP/1.0 405 Method Not Allowed\r\n{common}Allow: GET, POST\r\n\
             Content-Type: text/plain\r\nContent-Length: 6\r\n\r\nhint\r\n"
        );
        assert_eq!(refusal(StatusCode::METHOD_NOT_ALLOWED, "hint", date), refused);
    }
}
