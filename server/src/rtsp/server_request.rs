//! Requests of the server to its clients (RFC 2326 §10.10).

use super::request::Method;
use super::response::push_header;
use super::url::Url;
use bytes::Bytes;
use std::fmt;

/// A request being written, header by header.
#[derive(Clone, Debug)]
pub struct ServerRequest {
    head: String,
}

impl ServerRequest {
    /// A request with a number of the server's own (RFC 2326 §12.17).
    #[must_use]
    pub fn new(method: Method<'_>, url: Url<'_>, cseq: u64) -> Self {
        let url = url.as_str().replace(' ', "%20");
        Self { head: format!("{method} {url} RTSP/1.0\r\n") }.header("CSeq", cseq)
    }

    /// Adds a header. Control characters in the value are left out.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl fmt::Display) -> Self {
        push_header(&mut self.head, name, &value);
        self
    }

    /// The request as it goes on the wire.
    #[must_use]
    pub fn into_bytes(mut self) -> Bytes {
        self.head.push_str("\r\n");
        self.head.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_exactly_this() {
        // RFC 2326 §10.10
        let url = Url::parse("rtsp://example.com/fizzle/f oo").unwrap();
        let request = ServerRequest::new(Method::Redirect, url, 732)
            .header("Location", "rtsp://bigserver.com:8001\r\n")
            .header("Range", "clock=19960213T143205Z-");
        let expected = "REDIRECT rtsp://example.com/fizzle/f%20oo RTSP/1.0\r\nCSeq: 732\r\n\
            Location: rtsp://bigserver.com:8001\r\nRange: clock=19960213T143205Z-\r\n\r\n";
        assert_eq!(request.into_bytes(), expected);
    }
}
