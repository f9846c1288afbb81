//! Connections, sessions, catalog, admission: the pure core of the control thread.
//!
//! [`Control`] performs nothing and reads no clock. Its shell calls it with what happened and does
//! what the [`Effect`]s say; under simulation another shell does the same.

mod admission;
mod catalog;
mod connection;
mod deadlines;
mod effect;
mod memory;
mod methods;
mod refusals;
mod session;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

pub use catalog::{Candidate, OPENING_MAX, OpenError, OpenRequest};
pub use effect::{Effect, OpenToken};

use crate::clock::MonoTime;
use crate::config::Config;
use crate::framing::{FramingError, Message};
use crate::mailbox::{
    CloseReason, Command, ConnectionId, EndReason, Report, SessionKey, Start, Token,
};
use crate::rtsp::{Request, RequestErrorKind, Response, StatusCode, find_cseq};
use crate::title::SharedTitle;
use admission::Admission;
use bytes::Bytes;
use catalog::Catalog;
use connection::{AfterReply, Connection, Home, Underway};
use deadlines::Deadlines;
use methods::{Answer, Outcome, Pending, Reply};
use refusals::{LogLimit, RefusedTitles};
use session::{Sessions, State, Stream};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::mem;
use std::net::SocketAddr;
use std::sync::Arc;
use tracing::{debug, info, warn};

/// The control thread's state machine.
pub struct Control {
    config: Arc<Config>,
    random: Box<dyn FnMut() -> u128>,
    connections: BTreeMap<ConnectionId, Connection>,
    deadlines: Deadlines,
    sessions: Sessions,
    /// Requests that wait for a shard's report.
    pending: BTreeMap<Token, Pending>,
    admission: Admission,
    catalog: Catalog,
    shard_count: usize,
    tokens_made: u64,
    sessions_made: u64,
    /// No new connections and sessions.
    retiring: bool,
    /// While draining: the shards that have not finished.
    draining: Option<BTreeSet<usize>>,
    refused_connections: LogLimit,
    refused_sessions: LogLimit,
    refused_titles: RefusedTitles,
}

impl fmt::Debug for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Control")
            .field("connections", &self.connections.len())
            .field("sessions", &self.sessions.len())
            .field("pending", &self.pending.len())
            .finish_non_exhaustive()
    }
}

impl Control {
    /// Control over `shard_count` shards. `random` yields the bits of session ids and must be
    /// unpredictable outside of tests.
    #[must_use]
    pub fn new(config: Arc<Config>, shard_count: usize, random: Box<dyn FnMut() -> u128>) -> Self {
        let index_bytes_max = config.budget().index_bytes;
        Self {
            admission: Admission::new(&config, shard_count),
            catalog: Catalog::new(config.media.clone(), index_bytes_max),
            config,
            random,
            connections: BTreeMap::new(),
            deadlines: Deadlines::default(),
            sessions: Sessions::default(),
            pending: BTreeMap::new(),
            shard_count,
            tokens_made: 0,
            sessions_made: 0,
            retiring: false,
            draining: None,
            refused_connections: LogLimit::default(),
            refused_sessions: LogLimit::default(),
            refused_titles: RefusedTitles::default(),
        }
    }

    /// A client has connected from `peer` and reached `local`.
    ///
    /// # Errors
    /// If it may not stay: what the shell sends before it closes the connection, of which nothing
    /// more is said.
    pub fn connected(
        &mut self,
        now: MonoTime,
        id: ConnectionId,
        peer: SocketAddr,
        local: SocketAddr,
    ) -> Result<(), Bytes> {
        // Of an IPv6 address the scope stays: a link-local one is reached by it alone.
        let canonical = |mut address: SocketAddr| {
            address.set_ip(address.ip().to_canonical());
            address
        };
        let (peer, local) = (canonical(peer), canonical(local));
        if self.retiring {
            return Err(turn_away());
        }
        if let Err(refusal) = self.admission.admit_connection(peer.ip()) {
            if let Some(not_logged) = self.refused_connections.permit(now) {
                warn!(%peer, ?refusal, not_logged, "connection refused");
            }
            return Err(turn_away());
        }
        debug!(connection = id.0, %peer, %local, "connection opened");
        self.connections.insert(id, Connection::new(peer, local));
        self.refresh_deadline(now, id);
        Ok(())
    }

    /// Whether the shell should read from the connection. While a request of it is under way, the
    /// next one stays in the socket.
    #[must_use]
    pub fn wants_read(&self, id: ConnectionId) -> bool {
        self.connections.get(&id).is_some_and(Connection::wants_read)
    }

    /// Bytes arrived on a connection.
    pub fn received(
        &mut self,
        now: MonoTime,
        id: ConnectionId,
        bytes: &[u8],
        effects: &mut Vec<Effect>,
    ) {
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.framer.push(bytes);
            self.proceed(now, id, effects);
        }
    }

    /// The connection's [`Effect::Write`] has completed.
    pub fn written(&mut self, now: MonoTime, id: ConnectionId, effects: &mut Vec<Effect>) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        let Underway::Writing(then) = &connection.underway else { return };
        let then = *then;
        connection.underway = Underway::Reading;
        match then {
            AfterReply::NextRequest => {}
            AfterReply::Start(start) => self.start(start, effects),
            AfterReply::Adopt(shard) => {
                if !connection.carries.is_empty() {
                    let framer = mem::take(&mut connection.framer);
                    connection.home = Home::Shard(shard);
                    let (peer, unparsed) = (connection.peer, framer.into_unparsed());
                    effects.push(Effect::Adopt { connection: id, shard, peer, unparsed });
                }
            }
            AfterReply::Close => return self.close(id, effects),
        }
        self.proceed(now, id, effects);
    }

    /// A connection is gone: the client closed it, it failed, or [`Effect::Close`] was performed.
    pub fn closed(&mut self, now: MonoTime, id: ConnectionId, effects: &mut Vec<Effect>) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        for session in mem::take(&mut connection.carries) {
            self.tear_down_session(now, session, "connection closed", effects);
        }
        self.forget_connection(id);
    }

    /// A shard reports.
    pub fn report(
        &mut self,
        now: MonoTime,
        shard: usize,
        report: Report,
        effects: &mut Vec<Effect>,
    ) {
        match report {
            Report::SetUp { token, result } => self.setup_answered(now, token, result, effects),
            Report::Cued { token, cued } => self.play_answered(now, token, cued, effects),
            Report::Paused { token, position } => {
                self.pause_answered(now, token, position, effects);
            }
            Report::Request { connection, bytes } => {
                if self.connections.contains_key(&connection) {
                    self.handle(now, connection, bytes, effects);
                }
            }
            Report::Unreadable { connection, error, rejected } => {
                self.refuse_stream(connection, error, &rejected, effects);
            }
            Report::ReplyWritten(start) => self.start(start, effects),
            Report::ConnectionClosed { connection, reason } => {
                log_adopted_closed(connection, reason);
                self.forget_connection(connection);
            }
            Report::Finished { session } => {
                if let Some(session) = self.sessions.get_mut(session) {
                    info!(session = ?session.id, "played to the end of the range");
                    session.enter(now, State::Ready { paused: None });
                }
            }
            Report::Ended { session, reason } => {
                self.end_session(now, session, &describe_end(reason));
            }
            Report::Drained => self.drained(shard, effects),
            Report::Counters(counters) => effects.push(Effect::ShowCounters { shard, counters }),
        }
    }

    /// The answer to [`Effect::OpenTitle`].
    pub fn title_opened(
        &mut self,
        now: MonoTime,
        token: OpenToken,
        result: Result<SharedTitle, OpenError>,
        effects: &mut Vec<Effect>,
    ) {
        let (waiting, result) = self.catalog.opened(now, token, result);
        for id in waiting {
            let result = result.clone();
            self.resume(now, id, effects, |control, request, effects| {
                control.title_found(now, id, request, result, effects)
            });
        }
    }

    /// When [`Control::advance`] is due.
    #[must_use]
    pub fn deadline(&self) -> Option<MonoTime> {
        self.deadlines.next()
    }

    /// Closes connections that have not moved on in time.
    pub fn advance(&mut self, now: MonoTime, effects: &mut Vec<Effect>) {
        while let Some(id) = self.deadlines.pop_due(now) {
            debug!(connection = id.0, "connection exceeded its deadline");
            self.close(id, effects);
        }
    }

    /// No new connections and sessions from now on; those there are go on.
    pub fn retire(&mut self) {
        self.retiring = true;
    }

    /// Sessions there are.
    #[must_use]
    pub fn session_count(&self) -> usize {
        self.sessions.len()
    }

    /// Nothing new from now on; every shard ends its sessions. [`Effect::Drained`] follows.
    pub fn drain(&mut self, effects: &mut Vec<Effect>) {
        self.retiring = true;
        if self.draining.is_some() {
            return;
        }
        info!(sessions = self.sessions.len(), "draining");
        self.draining = Some((0..self.shard_count).collect());
        effects.extend(
            (0..self.shard_count).map(|shard| Effect::Command { shard, command: Command::Drain }),
        );
    }

    /// Whether the shard has said that it has drained: its thread ends then.
    #[must_use]
    pub fn has_drained(&self, shard: usize) -> bool {
        self.draining.as_ref().is_some_and(|remaining| !remaining.contains(&shard))
    }

    /// Logs what control keeps and asks every shard for its counters; for each,
    /// [`Effect::ShowCounters`] follows.
    pub fn snapshot(&self, effects: &mut Vec<Effect>) {
        info!(
            connections = self.connections.len(),
            sessions = self.sessions.len(),
            reserved_bits_per_second = self.admission.reserved_bits_per_second(),
            titles = self.catalog.len(),
            "control"
        );
        effects.extend(
            (0..self.shard_count)
                .map(|shard| Effect::Command { shard, command: Command::Snapshot }),
        );
    }

    /// Whether everything that connections and sessions took has been given back: what a churn
    /// test asks at its end. Says what has not.
    ///
    /// # Errors
    /// Names what is still taken.
    pub fn check_empty(&self) -> Result<(), String> {
        let counts = [
            ("connections", self.connections.len()),
            ("sessions", self.sessions.len()),
            ("requests under way", self.pending.len()),
            ("titles being opened", self.catalog.opening_count()),
        ];
        match counts.iter().find(|(_, count)| *count > 0) {
            Some((what, count)) => Err(format!("{count} {what} left")),
            None if self.deadlines.next().is_some() => Err("deadlines left".to_owned()),
            None if !self.admission.is_idle() => Err("reservations left".to_owned()),
            None => Ok(()),
        }
    }

    /// Handles the requests that have arrived whole, as long as each is answered at once.
    fn proceed(&mut self, now: MonoTime, id: ConnectionId, effects: &mut Vec<Effect>) {
        while let Some(connection) = self.connections.get_mut(&id) {
            if !connection.wants_read() {
                break;
            }
            let message = match connection.framer.next() {
                Ok(None) => {
                    connection.note_progress(now);
                    break;
                }
                // Nothing was asked of the client, and control owns no interleaved stream.
                Ok(Some(Message::Response(_) | Message::Interleaved { .. })) => continue,
                Ok(Some(Message::Request(bytes))) => Bytes::copy_from_slice(bytes),
                Err(error) => {
                    let rejected = Bytes::copy_from_slice(connection.framer.rejected());
                    self.refuse_stream(id, error, &rejected, effects);
                    break;
                }
            };
            connection.request_complete();
            self.handle(now, id, message, effects);
        }
        self.refresh_deadline(now, id);
    }

    /// Tells a client that what it sends cannot be cut into requests, which ends the connection.
    fn refuse_stream(
        &mut self,
        id: ConnectionId,
        error: FramingError,
        rejected: &[u8],
        effects: &mut Vec<Effect>,
    ) {
        debug!(connection = id.0, %error, "connection cannot be cut into requests");
        let status = StatusCode::of_framing_error(error.kind);
        let response = Response::new(status, find_cseq(rejected));
        self.reply(id, Reply::of(response).then(AfterReply::Close), effects);
    }

    /// Handles one request; the connection is reading, here or in its shard.
    fn handle(
        &mut self,
        now: MonoTime,
        id: ConnectionId,
        message: Bytes,
        effects: &mut Vec<Effect>,
    ) {
        match Request::parse(&message) {
            Ok(request) => {
                debug!(connection = id.0, method = %request.method, "request");
                let outcome = self.answer(now, id, &request, effects);
                self.settle(id, &message, request.cseq, outcome, effects);
            }
            Err(error) => {
                debug!(connection = id.0, %error, "request refused");
                let reply = Reply::of(Response::new(error.status(), error.cseq));
                let reply = match error.kind {
                    // Nothing that it sends next would be RTSP, and it waits for the end.
                    RequestErrorKind::Http => reply.then(AfterReply::Close),
                    RequestErrorKind::RequestLine
                    | RequestErrorKind::Head
                    | RequestErrorKind::Version
                    | RequestErrorKind::Url(_)
                    | RequestErrorKind::CSeq => reply,
                };
                self.reply(id, reply, effects);
            }
        }
    }

    /// Goes on with the request that waited, if the connection still does.
    fn resume(
        &mut self,
        now: MonoTime,
        id: ConnectionId,
        effects: &mut Vec<Effect>,
        go_on: impl FnOnce(&mut Self, &Request<'_>, &mut Vec<Effect>) -> Answer,
    ) {
        let waiting = self.connections.get_mut(&id).and_then(Connection::take_request);
        let Some(message) = waiting else { return };
        if let Ok(request) = Request::parse(&message) {
            let outcome = go_on(self, &request, effects);
            self.settle(id, &message, request.cseq, outcome, effects);
        }
        self.proceed(now, id, effects);
    }

    /// Replies, or has the connection wait.
    fn settle(
        &mut self,
        id: ConnectionId,
        message: &Bytes,
        cseq: &str,
        outcome: Answer,
        effects: &mut Vec<Effect>,
    ) {
        let underway = match outcome {
            Ok(Outcome::Reply(reply)) => return self.reply(id, reply, effects),
            Err(rejection) => return self.reply(id, rejection.into_reply(cseq), effects),
            Ok(Outcome::AwaitTitle) => Underway::Title(message.clone()),
            Ok(Outcome::AwaitShard) => Underway::Shard(message.clone()),
        };
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.underway = underway;
        }
    }

    /// Sends a reply, by the shard if that has the connection.
    fn reply(&mut self, id: ConnectionId, reply: Reply, effects: &mut Vec<Effect>) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        let Reply { bytes, then } = reply;
        let shard = match connection.home {
            Home::Control => {
                connection.underway = Underway::Writing(then);
                return effects.push(Effect::Write { connection: id, bytes });
            }
            Home::Shard(shard) => shard,
        };
        connection.underway = Underway::Reading;
        let start = match then {
            AfterReply::Start(start) => Some(start),
            AfterReply::NextRequest | AfterReply::Adopt(_) | AfterReply::Close => None,
        };
        let close = then == AfterReply::Close;
        let command = Command::Reply { connection: id, bytes, start, close };
        effects.push(Effect::Command { shard, command });
    }

    fn start(&self, start: Start, effects: &mut Vec<Effect>) {
        if let Some(session) = self.sessions.get(start.session) {
            let command = Command::Start(start);
            effects.push(Effect::Command { shard: session.shard, command });
        }
    }

    fn close(&mut self, id: ConnectionId, effects: &mut Vec<Effect>) {
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.underway = Underway::Closing;
            self.deadlines.set(id, None);
            effects.push(Effect::Close { connection: id });
        }
    }

    fn forget_connection(&mut self, id: ConnectionId) {
        if let Some(connection) = self.connections.remove(&id) {
            debug!(connection = id.0, "connection closed");
            self.deadlines.set(id, None);
            self.admission.release_connection(connection.peer.ip());
        }
    }

    fn refresh_deadline(&mut self, now: MonoTime, id: ConnectionId) {
        let deadline = self.connections.get(&id).and_then(|connection| connection.deadline(now));
        self.deadlines.set(id, deadline);
    }

    /// Has the shard end a session, and forgets it.
    fn tear_down_session(
        &mut self,
        now: MonoTime,
        key: SessionKey,
        reason: &str,
        effects: &mut Vec<Effect>,
    ) {
        if let Some(session) = self.sessions.get(key) {
            let command = Command::TearDown { session: key, stream: None };
            effects.push(Effect::Command { shard: session.shard, command });
            self.end_session(now, key, reason);
        }
    }

    /// Forgets a session that its shard has ended or been told to end.
    fn end_session(&mut self, now: MonoTime, key: SessionKey, reason: &str) {
        let Some(mut session) = self.sessions.remove(key) else { return };
        session.enter(now, State::Ready { paused: None });
        for stream in &session.streams {
            self.admission.release(session.shard, stream.bits_per_second, &stream.memory);
        }
        self.admission.release_session(session.peer, session.title.source, session.shard);
        info!(
            session = ?session.id,
            peer = %session.peer,
            title = session.title.name,
            reason,
            seconds_played = session.played.as_secs(),
            "session ended"
        );
        for id in session.streams.iter().filter_map(Stream::interleaved_in) {
            if let Some(connection) = self.connections.get_mut(&id) {
                connection.carries.remove(&key);
            }
        }
        self.detach(now, key, session.connection);
    }

    /// A session no longer lets the connection be idle.
    fn detach(&mut self, now: MonoTime, key: SessionKey, id: ConnectionId) {
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.sessions.remove(&key);
            if connection.wants_read() {
                self.refresh_deadline(now, id);
            }
        }
    }

    fn drained(&mut self, shard: usize, effects: &mut Vec<Effect>) {
        let Some(remaining) = &mut self.draining else { return };
        if remaining.remove(&shard) && remaining.is_empty() {
            // The shards have closed theirs.
            let ours = self.connections.iter().filter(|(_, it)| it.home == Home::Control);
            let ours: Vec<ConnectionId> = ours.map(|(id, _)| *id).collect();
            for id in ours {
                self.close(id, effects);
            }
            effects.push(Effect::Drained);
        }
    }

    fn next_token(&mut self) -> Token {
        self.tokens_made += 1;
        Token(self.tokens_made)
    }
}

/// What a client is told that is too many. It has asked nothing yet, so there is no CSeq.
fn turn_away() -> Bytes {
    Response::new(StatusCode::SERVICE_UNAVAILABLE, None).into_bytes()
}

fn log_adopted_closed(connection: ConnectionId, reason: CloseReason) {
    match reason {
        CloseReason::Peer(_) | CloseReason::Server => {
            debug!(connection = connection.0, ?reason, "adopted connection closed");
        }
        CloseReason::Overflow | CloseReason::Deadline => {
            info!(connection = connection.0, ?reason, "adopted connection closed");
        }
    }
}

fn describe_end(reason: EndReason) -> String {
    match reason {
        EndReason::TimedOut => "timed out".to_owned(),
        EndReason::ConnectionClosed => "connection closed".to_owned(),
        EndReason::SourceFailed(Some(number)) => {
            format!("read failed: {}", std::io::Error::from_raw_os_error(number))
        }
        EndReason::SourceFailed(None) => "the file has shrunk".to_owned(),
        EndReason::MediaInvalid => "the media bytes are not what the index says".to_owned(),
        EndReason::Drained => "server drained".to_owned(),
    }
}
