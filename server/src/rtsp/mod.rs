//! RTSP 1.0 (RFC 2326) without I/O: requests, responses, URLs and typed headers.
//!
//! | what | how |
//! |---|---|
//! | cut a stream | [`crate::framing::Framer`]: `push(&[u8])`, `next() -> Result<Option<Message>, FramingError>` |
//! | read a request | [`Request::parse`]`(&[u8]) -> Result<Request, RequestError>`; the error has `status()` and `cseq` |
//! | headers over several lines | [`unfolded`]`(&[u8]) -> Option<Vec<u8>>`, before the message is read |
//! | refuse what is no request | [`find_cseq`]`(lines)` finds its CSeq |
//! | its headers | [`Request::header`]`(name) -> Option<&str>`, [`Request::headers`]`(name)` for repeated ones |
//! | what it names | [`Url`]; [`ControlUrl::split`]`(url) -> { title, control: Option<"trackID=0"> }`; [`Url::base`] for Content-Base |
//! | write a response | [`Response::new`]`(status, cseq).header(name, value).into_bytes()` or `into_bytes_with_body(type, body)` |
//! | write a request to a client | [`ServerRequest::new`]`(method, url, cseq).header(name, value).into_bytes()` |
//! | read a response | [`ReceivedResponse::parse`]`(&[u8])`: `status`, `header(name)`, `body` |
//! | Transport | [`headers::parse_offers`]`(request.headers("Transport")) -> Vec<TransportOffer>`; [`headers::Transport`] is written |
//! | Range | `value.parse::<`[`headers::Range`]`>()`, `.npt(origin)`; [`headers::RangeUnit::write`] |
//! | Session | [`headers::SessionHeader::parse`]`(value)`; writes itself |
//! | RTP-Info | [`headers::RtpInfo`]: written by the server, `parse` for our client |
//! | Scale, Speed | `value.parse::<`[`headers::Rate`]`>()`; writes itself |
//! | Bandwidth | [`headers::Bandwidth::parse`]`(value)` |
//! | Connection | [`headers::asks_to_close`] |
//! | Blocksize | [`headers::Blocksize::parse`]`(value)` |
//! | HTTP around a tunnel | [`http::TunnelRequest::parse`]`(head)`; [`http::tunnel_opened`], [`http::refusal`] |
//! | Require, Accept | [`headers::required_options`], [`headers::accepts`] |
//!
//! Whatever is echoed from a request (CSeq, URLs) has no control characters: a head that has is
//! refused.

pub mod headers;
pub mod http;
mod message;
mod request;
mod response;
mod server_request;
mod status;
mod url;

pub use message::{Headers, find_cseq, unfolded};
pub use request::{Method, Request, RequestError, RequestErrorKind, RequestUri};
pub use response::{NotAResponse, ReceivedResponse, Response};
pub use server_request::ServerRequest;
pub use status::StatusCode;
pub(crate) use url::percent_decoded;
pub use url::{Authority, CONTROL_NAME_PREFIX, ControlUrl, Scheme, Url, UrlError, escape_path};
