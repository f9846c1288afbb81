//! REDIRECT (RFC 2326 §10.10): a server that retires sends its viewers elsewhere.
//!
//! A session's shard is asked where it stands, and its client told to go on there: on the
//! connection that named the session last. A client that does not obey plays on until the drain
//! deadline, as one does that was not asked.

use super::connection::{Connection, Home, Underway};
use super::methods::{Pending, below};
use super::session::Session;
use super::{Control, Effect};
use crate::mailbox::{Command, ConnectionId, SessionKey};
use crate::rtsp::headers::{NptRange, NptStart, RangeUnit};
use crate::rtsp::{Method, ReceivedResponse, ServerRequest, Url, escape_path};
use bytes::Bytes;
use packetizer::time::Npt;
use tracing::{debug, info};

impl Control {
    /// Asks where the sessions stand that are to be sent elsewhere.
    pub(super) fn ask_positions(&mut self, effects: &mut Vec<Effect>) {
        if self.config.redirect_to.is_none() {
            return;
        }
        let obedient = self.sessions.iter().filter(|session| session.deviations.answers_redirect);
        let obedient: Vec<(SessionKey, usize)> =
            obedient.map(|session| (session.key, session.shard)).collect();
        for (session, shard) in obedient {
            let token = self.next_token();
            let command = Command::Inspect { token, session };
            effects.push(Effect::Command { shard, command });
            self.pending.insert(token, Pending::Redirect { session });
        }
    }

    /// Sends the viewer of a session elsewhere, to go on at this position.
    pub(super) fn redirect(&mut self, key: SessionKey, position: Npt, effects: &mut Vec<Effect>) {
        let Some(to) = &self.config.redirect_to else { return };
        let Some(session) = self.sessions.get(key) else { return };
        let location = below(to, &session.title.name);
        let (connection, url) = (session.connection, aggregate_url(session));
        let Ok(url) = Url::parse(&url) else { return };
        let range = NptRange::new(NptStart::At(position), None);
        self.asked_count += 1;
        let mut request = ServerRequest::new(Method::Redirect, url, self.asked_count)
            .header("Session", session.id)
            .header("Location", &location);
        if let Ok(range) = range {
            request = request.header("Range", RangeUnit::Npt.write(range, None));
        }
        info!(session = ?session.id, title = session.title.name, location, "redirected");
        self.ask(connection, request.into_bytes(), effects);
    }

    /// Has a request written to a client, as soon as nothing else is being written.
    fn ask(&mut self, id: ConnectionId, bytes: Bytes, effects: &mut Vec<Effect>) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        match (connection.home, &connection.underway) {
            (Home::Shard(shard), _) => {
                let command = Command::Ask { connection: id, bytes };
                effects.push(Effect::Command { shard, command });
            }
            (Home::Control, Underway::Writing(_)) => connection.to_ask.push(bytes),
            (Home::Control, Underway::Reading | Underway::Title(_) | Underway::Shard(_)) => {
                effects.push(Effect::Ask { connection: id, bytes });
            }
            (Home::Control, Underway::Closing) => {}
        }
    }

    /// A client has answered what it was asked.
    pub(super) fn client_answered(id: ConnectionId, message: &[u8]) {
        if let Ok(response) = ReceivedResponse::parse(message) {
            let (status, cseq) = (response.status, response.header("CSeq"));
            debug!(connection = id.0, %status, cseq, "client answered");
        }
    }
}

impl Connection {
    /// What is to be asked of the client now that nothing is being written.
    pub(super) fn take_asked(&mut self, id: ConnectionId, effects: &mut Vec<Effect>) {
        let asked = self.to_ask.drain(..);
        effects.extend(asked.map(|bytes| Effect::Ask { connection: id, bytes }));
    }
}

/// The URL of a session as a whole, as its client reached the server.
fn aggregate_url(session: &Session) -> String {
    let path = escape_path(&session.title.name);
    let first = session.streams.first().map_or("", |stream| &*stream.url);
    match first.split_once("://") {
        Some((scheme, rest)) => {
            let authority = rest.split(['/', '?']).next().unwrap_or_default();
            format!("{scheme}://{authority}/{path}")
        }
        None => format!("/{path}"),
    }
}
