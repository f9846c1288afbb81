//! From the bytes of a connection to requests, and from answers to replies.

use super::connection::{AfterReply, Home, Role, Underway};
use super::methods::{Answer, Outcome, Reply, without_credentials};
use super::refusals::excerpt;
use super::{Control, Effect};
use crate::clock::MonoTime;
use crate::framing::{FramingError, Message};
use crate::mailbox::{Command, ConnectionId, Direction};
use crate::rtsp::{Request, RequestErrorKind, Response, StatusCode, find_cseq, unfolded};
use bytes::Bytes;
use std::{fmt, mem};
use tracing::{debug, info};

impl Control {
    /// Whether the shell should read from the connection. While a request of it is under way, the
    /// next one stays in the socket.
    #[must_use]
    pub fn wants_read(&self, id: ConnectionId) -> bool {
        let Some(connection) = self.connections.get(&id) else { return false };
        match connection.role {
            Role::Fresh(_) | Role::Rtsp => connection.wants_requests(),
            Role::Output { .. } => false,
            Role::Input { .. } => {
                let output = self.tunnels.output_of(id).and_then(|id| self.connections.get(&id));
                connection.wants_requests() && output.is_some_and(|output| output.wants_requests())
            }
        }
    }

    /// Bytes arrived on a connection.
    pub fn received(
        &mut self,
        now: MonoTime,
        id: ConnectionId,
        bytes: &[u8],
        effects: &mut Vec<Effect>,
    ) {
        let Some(connection) = self.connections.get(&id) else { return };
        let id = match connection.role {
            Role::Fresh(_) | Role::Rtsp => id,
            // Behind a tunnel's GET there is nothing to say.
            Role::Output { .. } => return,
            Role::Input { .. } => match self.tunnels.output_of(id) {
                Some(output) => output,
                None => return,
            },
        };
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
        connection.take_asked(id, effects);
        match then {
            AfterReply::NextRequest => {}
            AfterReply::Start(start) => self.start(start, effects),
            AfterReply::Adopt(shard) => {
                if !connection.carries.is_empty() {
                    self.adopt(id, shard, effects);
                }
            }
            AfterReply::StartAndClose(start) => {
                self.start(start, effects);
                return self.close(id, effects);
            }
            AfterReply::Close => return self.close(id, effects),
        }
        self.proceed(now, id, effects);
    }

    /// Gives a connection to a shard; of a tunnel, both halves.
    fn adopt(&mut self, id: ConnectionId, shard: usize, effects: &mut Vec<Effect>) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        let framer = mem::take(&mut connection.framer);
        connection.home = Home::Shard(shard);
        let direction = framer.decoder().map_or(Direction::Both, Direction::Output);
        let (peer, unparsed) = (connection.peer, framer.into_unparsed());
        effects.push(Effect::Adopt { connection: id, shard, peer, unparsed, direction });
        if let Some(input) = self.tunnels.input_of(id) {
            self.adopt_input(input, id, shard, Bytes::new(), effects);
        }
    }

    /// Handles the requests that have arrived whole, as long as each is answered at once.
    pub(super) fn proceed(&mut self, now: MonoTime, id: ConnectionId, effects: &mut Vec<Effect>) {
        while let Some(connection) = self.connections.get_mut(&id) {
            if !connection.wants_requests() {
                break;
            }
            let message = match connection.framer.next() {
                Ok(None) => {
                    connection.note_progress(now);
                    break;
                }
                Ok(Some(Message::Response(bytes))) => {
                    Self::client_answered(id, bytes);
                    continue;
                }
                // Control owns no interleaved stream.
                Ok(Some(Message::Interleaved { .. })) => continue,
                Ok(Some(Message::Request(bytes))) => Bytes::copy_from_slice(bytes),
                Err(error) => {
                    let rejected = Bytes::copy_from_slice(connection.framer.rejected());
                    self.refuse_stream(now, id, error, &rejected, effects);
                    break;
                }
            };
            connection.request_complete();
            self.handle(now, id, message, effects);
            if self.connections.get(&id).is_some_and(|it| matches!(it.role, Role::Input { .. })) {
                // What follows is not for its own framer.
                break;
            }
        }
        self.refresh_deadline(now, id);
        if let Some(input) = self.tunnels.input_of(id)
            && self.wants_read(input)
        {
            effects.push(Effect::Resume { connection: input });
        }
    }

    /// Tells a client that what it sends cannot be cut into requests, which ends the connection.
    pub(super) fn refuse_stream(
        &mut self,
        now: MonoTime,
        id: ConnectionId,
        error: FramingError,
        rejected: &[u8],
        effects: &mut Vec<Effect>,
    ) {
        let status = StatusCode::of_framing_error(error.kind);
        self.log_refused(now, id, None, &error);
        if self.speaks_http(id, rejected) {
            return self.refuse_http(now, id, status, &error.to_string(), effects);
        }
        let response = Response::new(status, find_cseq(rejected)).header("Connection", "close");
        self.reply(now, id, Reply::of(response).then(AfterReply::Close), effects);
    }

    /// Handles one request; the connection is reading, here or in its shard.
    pub(super) fn handle(
        &mut self,
        now: MonoTime,
        id: ConnectionId,
        message: Bytes,
        effects: &mut Vec<Effect>,
    ) {
        if self.speaks_http(id, &message) {
            return self.handle_http(now, id, &message, effects);
        }
        if let Some(connection) = self.connections.get_mut(&id)
            && let Role::Fresh(_) = connection.role
        {
            connection.role = Role::Rtsp;
        }
        let message = unfolded(&message).map_or(message, Bytes::from);
        match Request::parse(&message) {
            Ok(request) => {
                debug!(connection = id.0, method = %request.method, "request");
                self.touch_all(now, id, effects);
                let outcome = self.answer(now, id, &request, effects);
                self.settle(now, id, &message, &request, outcome, effects);
            }
            Err(error) => {
                self.log_refused(now, id, None, &error);
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
                self.reply(now, id, reply, effects);
            }
        }
    }

    /// Goes on with the request that waited, if the connection still does.
    pub(super) fn resume(
        &mut self,
        now: MonoTime,
        id: ConnectionId,
        effects: &mut Vec<Effect>,
        go_on: impl FnOnce(&mut Self, &Request<'_>, &mut Vec<Effect>) -> Answer,
    ) {
        let waiting = self.connections.get_mut(&id).and_then(|it| it.take_request());
        let Some(message) = waiting else { return };
        if let Ok(request) = Request::parse(&message) {
            let outcome = go_on(self, &request, effects);
            self.settle(now, id, &message, &request, outcome, effects);
        }
        self.proceed(now, id, effects);
    }

    /// Replies, or has the connection wait.
    fn settle(
        &mut self,
        now: MonoTime,
        id: ConnectionId,
        message: &Bytes,
        request: &Request<'_>,
        outcome: Answer,
        effects: &mut Vec<Effect>,
    ) {
        let underway = match outcome {
            Ok(Outcome::Reply(reply)) => return self.reply(now, id, reply.to(request), effects),
            Err(rejection) => {
                if let Some(status) = rejection.news() {
                    self.log_refused(now, id, Some(request), &status);
                }
                let reply = rejection.into_reply(request).to(request);
                return self.reply(now, id, reply, effects);
            }
            Ok(Outcome::AwaitTitle) => Underway::Title(message.clone()),
            Ok(Outcome::AwaitShard) => Underway::Shard(message.clone()),
        };
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.underway = underway;
        }
    }

    /// Tells the operator why a client is refused, though not of every one that tries again.
    fn log_refused(
        &mut self,
        now: MonoTime,
        id: ConnectionId,
        request: Option<&Request<'_>>,
        reason: &dyn fmt::Display,
    ) {
        if let Some(not_logged) = self.refused_requests.permit(now) {
            let peer = self.connections.get(&id).map(|connection| connection.peer);
            let peer = peer.map(tracing::field::display);
            let method = request.map(|request| excerpt(request.method.name()));
            let url = request.and_then(|request| request.uri.url());
            let url = url.map(|url| without_credentials(url.as_str()));
            let url = url.as_deref().map(excerpt);
            info!(peer, method, url, %reason, not_logged, "request refused");
        }
    }

    /// Sends a reply, by the shard if that has the connection.
    fn reply(&mut self, now: MonoTime, id: ConnectionId, reply: Reply, effects: &mut Vec<Effect>) {
        let then = reply.then;
        debug!(connection = id.0, status = %reply.status(), "reply");
        let bytes = reply.into_bytes(self.wallclock.at(now));
        self.send(id, bytes, then, effects);
    }

    /// Sends the bytes of a reply.
    pub(super) fn send(
        &mut self,
        id: ConnectionId,
        bytes: Bytes,
        then: AfterReply,
        effects: &mut Vec<Effect>,
    ) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        let shard = match connection.home {
            Home::Control => {
                connection.underway = Underway::Writing(then);
                return effects.push(Effect::Write { connection: id, bytes });
            }
            Home::Shard(shard) => shard,
        };
        connection.underway = Underway::Reading;
        let start = match then {
            AfterReply::Start(start) | AfterReply::StartAndClose(start) => Some(start),
            AfterReply::NextRequest | AfterReply::Adopt(_) | AfterReply::Close => None,
        };
        let close = matches!(then, AfterReply::Close | AfterReply::StartAndClose(_));
        let command = Command::Reply { connection: id, bytes, start, close };
        effects.push(Effect::Command { shard, command });
    }
}
