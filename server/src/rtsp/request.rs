//! Requests (RFC 2326 §6), borrowed from the message that a framer cut.

use super::message::{HeadError, Headers, Parts, find_cseq};
use super::status::StatusCode;
use super::url::{Url, UrlError};
use std::fmt;

/// A request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request<'a> {
    /// What to do.
    pub method: Method<'a>,
    /// To what.
    pub uri: RequestUri<'a>,
    /// The CSeq as it was spelled; the response repeats it (RFC 2326 §12.17).
    pub cseq: &'a str,
    headers: Headers<'a>,
    /// The body, as long as Content-Length said.
    pub body: &'a [u8],
}

/// What to do (RFC 2326 §10). Case-sensitive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method<'a> {
    /// `OPTIONS`
    Options,
    /// `DESCRIBE`
    Describe,
    /// `ANNOUNCE`
    Announce,
    /// `SETUP`
    Setup,
    /// `PLAY`
    Play,
    /// `PAUSE`
    Pause,
    /// `TEARDOWN`
    Teardown,
    /// `GET_PARAMETER`
    GetParameter,
    /// `SET_PARAMETER`
    SetParameter,
    /// `REDIRECT`
    Redirect,
    /// `RECORD`
    Record,
    /// Anything else.
    Extension(&'a str),
}

const METHODS: [(&str, Method<'static>); 11] = [
    ("OPTIONS", Method::Options),
    ("DESCRIBE", Method::Describe),
    ("ANNOUNCE", Method::Announce),
    ("SETUP", Method::Setup),
    ("PLAY", Method::Play),
    ("PAUSE", Method::Pause),
    ("TEARDOWN", Method::Teardown),
    ("GET_PARAMETER", Method::GetParameter),
    ("SET_PARAMETER", Method::SetParameter),
    ("REDIRECT", Method::Redirect),
    ("RECORD", Method::Record),
];

impl<'a> Method<'a> {
    /// The method of this name.
    #[must_use]
    pub fn from_name(name: &'a str) -> Self {
        let known = METHODS.into_iter().find(|(known, _)| *known == name);
        known.map_or(Self::Extension(name), |(_, method)| method)
    }

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'a str {
        if let Self::Extension(name) = self {
            return name;
        }
        METHODS.into_iter().find(|(_, known)| *known == self).map_or("", |(name, _)| name)
    }
}

impl fmt::Display for Method<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a request is about (RFC 2326 §6.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestUri<'a> {
    /// `*`: the server itself.
    Asterisk,
    /// A URL, absolute or a bare path.
    Url(Url<'a>),
}

impl<'a> RequestUri<'a> {
    /// The URL; `None` for `*`.
    #[must_use]
    pub fn url(self) -> Option<Url<'a>> {
        match self {
            Self::Asterisk => None,
            Self::Url(url) => Some(url),
        }
    }
}

/// A message that is no valid request. It changes nothing; its sender is told
/// [`RequestError::status`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestError<'a> {
    /// What is wrong.
    pub kind: RequestErrorKind,
    /// The CSeq for the response, where it could be read.
    pub cseq: Option<&'a str>,
}

/// What is wrong with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestErrorKind {
    /// The first line is not method, URL and version.
    RequestLine,
    /// The head has no end, a line that is no header, or bytes that are no text.
    Head,
    /// HTTP: a tunnel, or a client at the wrong port.
    Http,
    /// Not RTSP/1.0.
    Version,
    /// The URL cannot be read.
    Url(UrlError),
    /// CSeq is missing or no number (RFC 2326 §12.17).
    CSeq,
}

impl RequestError<'_> {
    /// What the client is told.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self.kind {
            RequestErrorKind::Http => StatusCode::METHOD_NOT_ALLOWED,
            RequestErrorKind::Version => StatusCode::RTSP_VERSION_NOT_SUPPORTED,
            RequestErrorKind::Url(UrlError::TooLarge) => StatusCode::REQUEST_URI_TOO_LARGE,
            RequestErrorKind::Url(_)
            | RequestErrorKind::RequestLine
            | RequestErrorKind::Head
            | RequestErrorKind::CSeq => StatusCode::BAD_REQUEST,
        }
    }
}

impl fmt::Display for RequestError<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            RequestErrorKind::RequestLine => f.write_str("the request line cannot be read"),
            RequestErrorKind::Head => f.write_str("the headers cannot be read"),
            RequestErrorKind::Http => f.write_str("this is HTTP"),
            RequestErrorKind::Version => f.write_str("the version is not RTSP/1.0"),
            RequestErrorKind::Url(error) => error.fmt(f),
            RequestErrorKind::CSeq => f.write_str("CSeq is missing or no number"),
        }
    }
}

impl std::error::Error for RequestError<'_> {}

impl<'a> Request<'a> {
    /// Reads a request from [`crate::framing::Message::Request`].
    ///
    /// # Errors
    ///
    /// What is wrong, and the CSeq where it could be read.
    pub fn parse(message: &'a [u8]) -> Result<Self, RequestError<'a>> {
        let cseq = find_cseq(message);
        Self::parse_with_cseq(message, cseq).map_err(|kind| RequestError { kind, cseq })
    }

    fn parse_with_cseq(message: &'a [u8], cseq: Option<&'a str>) -> Result<Self, RequestErrorKind> {
        let parts = Parts::split(message).map_err(|error| match error {
            HeadError::Endless | HeadError::NotText | HeadError::NotAHeader => {
                RequestErrorKind::Head
            }
        })?;
        // The URL is whatever lies between the first and the last space: some clients send file
        // names with spaces as they are.
        let (method, rest) =
            parts.first_line.split_once(' ').ok_or(RequestErrorKind::RequestLine)?;
        let (uri, version) =
            rest.trim_ascii_end().rsplit_once(' ').ok_or(RequestErrorKind::RequestLine)?;
        check_version(version)?;
        let uri = match uri.trim_ascii() {
            "*" => RequestUri::Asterisk,
            url => RequestUri::Url(Url::parse(url).map_err(RequestErrorKind::Url)?),
        };
        Ok(Self {
            method: Method::from_name(method),
            uri,
            cseq: cseq.ok_or(RequestErrorKind::CSeq)?,
            headers: parts.headers,
            body: parts.body,
        })
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

fn check_version(version: &str) -> Result<(), RequestErrorKind> {
    match version.split_once('/') {
        Some(("RTSP", "1.0")) => Ok(()),
        Some(("RTSP", _)) => Err(RequestErrorKind::Version),
        Some(("HTTP", _)) => Err(RequestErrorKind::Http),
        Some(_) | None => Err(RequestErrorKind::RequestLine),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_borrowed_from_its_message() {
        let message = b"SET_PARAMETER rtsp://h/a b.mp4 RTSP/1.0\r\nCSeq: 007 \r\n\
            user-agent : one\r\nUser-Agent:two: 2\r\nX-Empty:\r\n\r\nvolume: 1\r\n";
        let request = Request::parse(message).unwrap();
        assert_eq!(request.method, Method::SetParameter);
        assert_eq!(request.uri.url().unwrap().as_str(), "rtsp://h/a b.mp4");
        assert_eq!(request.cseq, "007");
        assert_eq!(request.header("USER-AGENT"), Some("one"));
        assert_eq!(request.headers("User-Agent").collect::<Vec<_>>(), ["one", "two: 2"]);
        assert_eq!(request.header("X-Empty"), Some(""));
        assert_eq!(request.header("X"), None);
        assert_eq!(request.header("Range"), None);
        assert_eq!(request.body, b"volume: 1\r\n");
    }

    /// rtsp-types merges headers of which one name starts with the other.
    #[test]
    fn header_names_compare_whole() {
        let message =
            b"DESCRIBE * RTSP/1.0\nCSeq: 1\nAccept-Language: en\nAccept: application/sdp\n\
            Accept-Encoding: gzip\n\n";
        let request = Request::parse(message).unwrap();
        assert_eq!(request.headers("Accept").collect::<Vec<_>>(), ["application/sdp"]);
        assert_eq!(request.uri, RequestUri::Asterisk);
    }

    #[test]
    fn methods_are_case_sensitive() {
        for (name, method) in METHODS {
            assert_eq!(Method::from_name(name), method);
            assert_eq!(method.to_string(), name);
        }
        assert_eq!(Method::from_name("play"), Method::Extension("play"));
        assert_eq!(Method::from_name("PLAY_NOTIFY").name(), "PLAY_NOTIFY");
    }

    #[test]
    fn what_is_wrong_decides_the_status() {
        let head = |line: &str, headers: &str| format!("{line}\r\n{headers}\r\n").into_bytes();
        let long_url = format!("PLAY rtsp://h/{} RTSP/1.0", "x".repeat(3000));
        use RequestErrorKind as Kind;
        let table: [(Vec<u8>, Kind, u16, Option<&str>); 18] = [
            (head("PLAY * RTSP/1.0", ""), Kind::CSeq, 400, None),
            (head("PLAY * RTSP/1.0", "CSeq:\r\n"), Kind::CSeq, 400, None),
            (head("PLAY * RTSP/1.0", "CSeq: 1a\r\n"), Kind::CSeq, 400, None),
            (head("PLAY * RTSP/1.0", "CSeq: 123456789012345678901\r\n"), Kind::CSeq, 400, None),
            (head("PLAY * RTSP/2.0", "cseq:1\r\n"), Kind::Version, 505, Some("1")),
            (head("PLAY * RTSP/1.1", "CSeq: 1\r\n"), Kind::Version, 505, Some("1")),
            (head("PLAY * SIP/2.0", "CSeq: 1\r\n"), Kind::RequestLine, 400, Some("1")),
            (head("PLAY *", "CSeq: 1\r\n"), Kind::RequestLine, 400, Some("1")),
            (head("PLAY RTSP/1.0", "CSeq: 1\r\n"), Kind::RequestLine, 400, Some("1")),
            (head("PLAY  RTSP/1.0", "CSeq: 1\r\n"), Kind::Url(UrlError::NotAUrl), 400, Some("1")),
            (
                head("PLAY http://h RTSP/1.0", "CSeq: 2\r\n"),
                Kind::Url(UrlError::Scheme),
                400,
                Some("2"),
            ),
            (head(&long_url, "CSeq: 3\r\n"), Kind::Url(UrlError::TooLarge), 414, Some("3")),
            (head("GET /t HTTP/1.1", "Host: h\r\n"), Kind::Http, 405, None),
            (head("PLAY * RTSP/1.0", "CSeq: 4\r\nno colon\r\n"), Kind::Head, 400, Some("4")),
            (
                head("PLAY * RTSP/1.0", "CSeq: 4\r\nA: b\r\n folded: c\r\n"),
                Kind::Head,
                400,
                Some("4"),
            ),
            (
                head("PLAY * RTSP/1.0", "CSeq: 4\r\nA: b\rSession: c\r\n"),
                Kind::Head,
                400,
                Some("4"),
            ),
            (b"PLAY * RTSP/1.0\r\nA: \xff\r\nCSeq: 5\r\n\r\n".to_vec(), Kind::Head, 400, Some("5")),
            (b"PLAY * RTSP/1.0\r\nCSeq: 6\r\n".to_vec(), Kind::Head, 400, Some("6")),
        ];
        for (message, kind, status, cseq) in table {
            let text = String::from_utf8_lossy(&message);
            let error = Request::parse(&message).unwrap_err();
            assert_eq!(error, RequestError { kind, cseq }, "{text}");
            assert_eq!(error.status().code(), status, "{text}");
        }
    }

    #[test]
    fn a_cseq_in_the_body_is_none() {
        let error = Request::parse(b"PLAY * RTSP/1.0\r\n\r\nCSeq: 1\r\n").unwrap_err();
        assert_eq!(error.cseq, None);
    }
}
