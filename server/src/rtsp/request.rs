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
