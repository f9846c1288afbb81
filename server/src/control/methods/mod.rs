//! What each method of RFC 2326 §10 does, one file a method.

mod describe;
mod elsewhere;
mod parameters;
mod pause;
mod play;
mod setup;
mod teardown;
mod wishes;

use super::catalog::{Lookup, OpenError};
use super::connection::{AfterReply, Connection};
use super::refusals::excerpt;
use super::session::Session;
use super::{Control, Effect};
use crate::clock::MonoTime;
use crate::mailbox::{ConnectionId, SessionKey};
use crate::rtsp::headers::{asks_to_close, required_options};
use crate::rtsp::{ControlUrl, Method, Request, RequestUri, Response, StatusCode};
use crate::title::SharedTitle;
use bytes::Bytes;
pub(super) use describe::without_credentials;
pub(super) use elsewhere::below;
use httpdate::fmt_http_date;
use play::Moving;
use setup::SettingUp;
use std::time::SystemTime;
use tracing::{info, warn};

/// The methods that are accepted (RFC 2326 §10.1). GET_PARAMETER in it makes players keep their
/// session alive with that.
const PUBLIC: &str =
    "OPTIONS, DESCRIBE, SETUP, PLAY, PAUSE, TEARDOWN, GET_PARAMETER, SET_PARAMETER";

const ALLOWED_OF_STREAM: &str =
    "OPTIONS, SETUP, PLAY, PAUSE, TEARDOWN, GET_PARAMETER, SET_PARAMETER";
/// Of `*`, which means the session that is named.
const ALLOWED_OF_SESSION: &str = "OPTIONS, PLAY, PAUSE, TEARDOWN, GET_PARAMETER, SET_PARAMETER";
/// Of `*` without a session.
const ALLOWED_OF_SERVER: &str = "OPTIONS, GET_PARAMETER, SET_PARAMETER";

/// What becomes of a request.
pub(super) type Answer = Result<Outcome, Rejection>;

/// How a request that was understood goes on.
#[derive(Debug)]
pub(super) enum Outcome {
    /// It is done.
    Reply(Reply),
    /// The catalog must open a title.
    AwaitTitle,
    /// A shard must report.
    AwaitShard,
}

/// A response, and what follows it.
#[derive(Debug)]
pub(super) struct Reply {
    response: Response,
    /// The body and its type.
    body: Option<(&'static str, Bytes)>,
    pub(super) then: AfterReply,
}

impl Reply {
    pub(super) fn of(response: Response) -> Self {
        Self { response, body: None, then: AfterReply::NextRequest }
    }

    pub(super) fn with_body(self, content_type: &'static str, body: impl Into<Bytes>) -> Self {
        Self { body: Some((content_type, body.into())), ..self }
    }

    pub(super) fn then(self, then: AfterReply) -> Self {
        Self { then, ..self }
    }

    /// What every reply to this request says: the client's time (RFC 2326 §12.38), and that the
    /// connection closes behind it if the client asks for that (§12.10).
    pub(super) fn to(self, request: &Request<'_>) -> Self {
        let Self { mut response, body, mut then } = self;
        if let Some(timestamp) = request.header("Timestamp") {
            response = response.header("Timestamp", timestamp);
        }
        if asks_to_close(request.headers("Connection")) {
            response = response.header("Connection", "close");
            then = match then {
                AfterReply::Start(start) | AfterReply::StartAndClose(start) => {
                    AfterReply::StartAndClose(start)
                }
                AfterReply::NextRequest | AfterReply::Adopt(_) | AfterReply::Close => {
                    AfterReply::Close
                }
            };
        }
        Self { response, body, then }
    }

    /// The status of the response.
    pub(super) fn status(&self) -> StatusCode {
        self.response.status()
    }

    /// The response as it goes on the wire, with the date (RFC 2326 §12.18) that it is sent.
    pub(super) fn into_bytes(self, date: SystemTime) -> Bytes {
        let response = self.response.header("Date", fmt_http_date(date));
        match self.body {
            Some((content_type, body)) => response.into_bytes_with_body(content_type, &body),
            None => response.into_bytes(),
        }
    }
}

impl From<Reply> for Outcome {
    fn from(reply: Reply) -> Self {
        Self::Reply(reply)
    }
}

impl From<Response> for Outcome {
    fn from(response: Response) -> Self {
        Self::Reply(Reply::of(response))
    }
}

/// Why a request is not done: what the client is told. Nothing has changed.
#[derive(Debug)]
pub(super) struct Rejection {
    status: StatusCode,
    /// A header that goes with some codes: `Allow`, `Unsupported`.
    header: Option<(&'static str, String)>,
    /// Names of parameters, for 451 and 458 (RFC 2326 §10.8).
    body: String,
    /// The operator has been told.
    is_logged: bool,
}

impl Rejection {
    fn with_header(status: StatusCode, name: &'static str, value: String) -> Self {
        Self { header: Some((name, value)), ..Self::from(status) }
    }

    /// The same, after the operator has been told.
    pub(super) fn logged(self) -> Self {
        Self { is_logged: true, ..self }
    }

    /// What the operator should hear of it, if he has not. A transport that is not served is part
    /// of the way in which clients find one that is.
    pub(super) fn news(&self) -> Option<StatusCode> {
        let is_common = matches!(self.status, StatusCode::UNSUPPORTED_TRANSPORT);
        (self.status.code() >= 400 && !is_common && !self.is_logged).then_some(self.status)
    }

    pub(super) fn into_reply(self, request: &Request<'_>) -> Reply {
        let mut response = Response::new(self.status, Some(request.cseq));
        if self.status == StatusCode::METHOD_NOT_VALID_IN_THIS_STATE {
            response = response.header("Allow", all_but(request.method));
        }
        if let Some((name, value)) = self.header {
            response = response.header(name, value);
        }
        let reply = Reply::of(response);
        if self.body.is_empty() {
            return reply;
        }
        reply.with_body(parameters::CONTENT_TYPE, self.body)
    }
}

impl From<StatusCode> for Rejection {
    fn from(status: StatusCode) -> Self {
        Self { status, header: None, body: String::new(), is_logged: false }
    }
}

/// A request that waits for a shard's report, and on which connection it came.
#[derive(Debug)]
pub(super) enum Pending {
    SetUp(Box<SettingUp>),
    /// PLAY or PAUSE.
    Move(Moving),
    /// GET_PARAMETER.
    Inspect {
        connection: ConnectionId,
        session: SessionKey,
    },
    /// A session that is to be sent elsewhere, of which nobody has asked anything.
    Redirect {
        session: SessionKey,
    },
}

impl Control {
    /// Does what a request asks, or begins to.
    pub(super) fn answer(
        &mut self,
        now: MonoTime,
        id: ConnectionId,
        request: &Request<'_>,
        effects: &mut Vec<Effect>,
    ) -> Answer {
        refuse_required(request)?;
        match request.method {
            Method::Announce | Method::Record | Method::Redirect => {
                let allow = allowed(request).to_owned();
                Err(Rejection::with_header(StatusCode::METHOD_NOT_ALLOWED, "Allow", allow))
            }
            Method::Extension(_) => Err(Rejection::with_header(
                StatusCode::NOT_IMPLEMENTED,
                "Public",
                PUBLIC.to_owned(),
            )),
            Method::Describe => self.describe(now, id, request, effects),
            Method::Options => {
                self.named_session(now, id, request, effects)?;
                Ok(ok(request).header("Public", PUBLIC).into())
            }
            Method::Setup => self.set_up(now, id, request, effects),
            Method::Play => self.play(now, id, request, effects),
            Method::Pause => self.pause(now, id, request, effects),
            Method::Teardown => self.tear_down(now, id, request, effects),
            Method::GetParameter | Method::SetParameter => {
                self.parameters(now, id, request, effects)
            }
        }
    }

    /// Goes on with a request that waited for its title.
    pub(super) fn title_found(
        &mut self,
        now: MonoTime,
        id: ConnectionId,
        request: &Request<'_>,
        result: Result<SharedTitle, OpenError>,
        effects: &mut Vec<Effect>,
    ) -> Answer {
        let url = control_url(request)?;
        let title = result.map_err(|error| self.refuse_title(now, id, &url.title, &error))?;
        self.refused_titles.accept(&url.title);
        if request.method == Method::Setup {
            self.set_up_title(now, id, request, &url, &title, effects)
        } else {
            self.describe_title(now, id, request, &title)
        }
    }

    /// The title that a URL names, now or once the catalog has opened it (`None`).
    fn find_title(
        &mut self,
        now: MonoTime,
        id: ConnectionId,
        name: &str,
        effects: &mut Vec<Effect>,
    ) -> Result<Option<SharedTitle>, Rejection> {
        match self.catalog.look_up(now, name, id) {
            Lookup::Ready(title) => Ok(Some(title)),
            Lookup::Opening => Ok(None),
            Lookup::Open(open) => {
                effects.push(Effect::OpenTitle(open));
                Ok(None)
            }
            Lookup::Refused(error) => Err(self.refuse_title(now, id, name, &error)),
        }
    }

    fn refuse_title(
        &mut self,
        now: MonoTime,
        id: ConnectionId,
        name: &str,
        error: &OpenError,
    ) -> Rejection {
        let status = match error {
            OpenError::NotFound | OpenError::Withheld(_) => StatusCode::NOT_FOUND,
            OpenError::NotPlayable(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            OpenError::Unreadable(_) => StatusCode::INTERNAL_SERVER_ERROR,
            OpenError::Overloaded => StatusCode::SERVICE_UNAVAILABLE,
        };
        if let Some(not_logged) = self.refused_titles.refuse(now, name, error) {
            let peer = self.connections.get(&id).map(|connection| connection.peer);
            let (peer, title) = (peer.map(tracing::field::display), excerpt(name));
            match error {
                OpenError::NotFound => info!(peer, title, not_logged, "no such title"),
                OpenError::Withheld(_)
                | OpenError::NotPlayable(_)
                | OpenError::Unreadable(_)
                | OpenError::Overloaded => {
                    warn!(peer, title, reason = %error, not_logged, "title refused");
                }
            }
        }
        Rejection::from(status).logged()
    }

    /// The session that the request names, if it names one. The session learns that its viewer
    /// lives, and the connection that it has a session.
    fn named_session(
        &mut self,
        now: MonoTime,
        id: ConnectionId,
        request: &Request<'_>,
        effects: &mut Vec<Effect>,
    ) -> Result<Option<SessionKey>, Rejection> {
        let Some(header) = request.header("Session") else { return Ok(None) };
        let peer = self.connections.get(&id).map(|connection| connection.peer.ip());
        let session = peer.and_then(|peer| self.sessions.find(header, peer));
        let key = session.ok_or(StatusCode::SESSION_NOT_FOUND)?.key;
        self.touch(now, key, effects);
        if let Some(last) = self.sessions.get(key).map(|session| session.connection)
            && last != id
        {
            self.attach(now, key, id, last);
        }
        Ok(Some(key))
    }

    /// The session that the request must name.
    fn required_session(
        &mut self,
        now: MonoTime,
        id: ConnectionId,
        request: &Request<'_>,
        effects: &mut Vec<Effect>,
    ) -> Result<SessionKey, Rejection> {
        let key = self.named_session(now, id, request, effects)?;
        key.ok_or_else(|| StatusCode::SESSION_NOT_FOUND.into())
    }

    /// Moves a session to the connection that names it now.
    fn attach(&mut self, now: MonoTime, key: SessionKey, id: ConnectionId, last: ConnectionId) {
        self.detach(now, key, last);
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.sessions.insert(key);
        }
        if let Some(session) = self.sessions.get_mut(key) {
            session.connection = id;
        }
    }

    fn connection(&self, id: ConnectionId) -> Result<&Connection, Rejection> {
        // Unreachable in practice: a request comes from a connection that exists.
        let connection = self.connections.get(&id).map(Box::as_ref);
        connection.ok_or_else(|| StatusCode::INTERNAL_SERVER_ERROR.into())
    }

    fn session(&self, key: SessionKey) -> Result<&Session, Rejection> {
        self.sessions.get(key).ok_or_else(|| StatusCode::SESSION_NOT_FOUND.into())
    }
}

/// Refuses what the client insists on and this server does not have (RFC 2326 §12.32): it has no
/// option tags.
fn refuse_required(request: &Request<'_>) -> Result<(), Rejection> {
    let headers = request.headers("Require").chain(request.headers("Proxy-Require"));
    let required: Vec<&str> = required_options(headers).collect();
    if required.is_empty() {
        return Ok(());
    }
    let tags = required.join(", ");
    Err(Rejection::with_header(StatusCode::OPTION_NOT_SUPPORTED, "Unsupported", tags))
}

/// The methods that what the request names supports (RFC 2326 §12.4).
fn allowed(request: &Request<'_>) -> &'static str {
    match control_url(request) {
        Ok(ControlUrl { control: Some(_), .. }) => ALLOWED_OF_STREAM,
        Ok(ControlUrl { title, .. }) if !title.is_empty() => PUBLIC,
        Ok(_) | Err(_) if request.header("Session").is_some() => ALLOWED_OF_SESSION,
        Ok(_) | Err(_) => ALLOWED_OF_SERVER,
    }
}

/// The methods that are valid while this one is not (RFC 2326 §11.3.6).
fn all_but(method: Method<'_>) -> String {
    let others: Vec<&str> = PUBLIC.split(", ").filter(|other| *other != method.name()).collect();
    others.join(", ")
}

/// What the request's URL names.
fn control_url(request: &Request<'_>) -> Result<ControlUrl, Rejection> {
    match request.uri {
        RequestUri::Url(url) => ControlUrl::split(url).map_err(|_| StatusCode::NOT_FOUND.into()),
        RequestUri::Asterisk => Err(StatusCode::NOT_FOUND.into()),
    }
}

fn ok(request: &Request<'_>) -> Response {
    Response::new(StatusCode::OK, Some(request.cseq))
}
