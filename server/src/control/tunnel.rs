//! HTTP tunnels: how their halves open, feed each other and close.
//!
//! The GET is the connection: requests, sessions and replies are its own. A POST only gives its
//! bytes to the framer of the GET, while that wants requests.

use super::connection::{AfterReply, Home, Port, Role};
use super::tunnels::Left;
use super::{Control, Effect};
use crate::clock::MonoTime;
use crate::framing::{Base64Decoder, Framer};
use crate::limits::{TUNNEL_DEADLINE, TUNNEL_TAKEOVER_DEADLINE};
use crate::mailbox::{ConnectionId, Direction};
use crate::rtsp::StatusCode;
use crate::rtsp::http::{self, HttpRefusal, TunnelRequest};
use bytes::Bytes;
use httpdate::fmt_http_date;
use std::mem;
use tracing::{debug, info};

/// What becomes of what a client sends on a connection that is not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unread {
    /// Nobody wants it: it came behind the GET of a tunnel.
    Drop,
    /// It is read later: it came by a POST whose turn has not come. Before it is read, the
    /// connection has not ended.
    Keep,
}

impl Control {
    /// Whether the shell should notice that the client closes a connection which it does not read,
    /// and what should become of what the client sends.
    #[must_use]
    pub fn wants_end(&self, id: ConnectionId) -> Option<Unread> {
        let connection = self.connections.get(&id).filter(|it| it.home == Home::Control)?;
        match connection.role {
            Role::Fresh(_) | Role::Rtsp => None,
            Role::Output { .. } => Some(Unread::Drop),
            Role::Input { .. } => {
                let waits = self.tunnels.output_of(id).is_none() && connection.framer.is_empty();
                waits.then_some(Unread::Keep)
            }
        }
    }

    /// Whether what the connection has said first is, or must be, HTTP.
    pub(super) fn speaks_http(&self, id: ConnectionId, lines: &[u8]) -> bool {
        let role = self.connections.get(&id).map(|connection| connection.role);
        matches!(role, Some(Role::Fresh(port)) if port == Port::Http || http::is_http(lines))
    }

    /// Handles the first request of a connection, which is HTTP.
    pub(super) fn handle_http(
        &mut self,
        now: MonoTime,
        id: ConnectionId,
        head: &[u8],
        effects: &mut Vec<Effect>,
    ) {
        let opened = TunnelRequest::parse(head).and_then(|request| match request {
            TunnelRequest::Get { cookie } => self.open_output(now, id, cookie, effects),
            TunnelRequest::Post { cookie } => self.open_input(now, id, cookie, effects),
        });
        if let Err(refusal) = opened {
            let peer = self.connections.get(&id).map(|it| tracing::field::display(it.peer));
            if let Some(not_logged) = self.refused_tunnels.permit(now) {
                info!(peer, reason = refusal.hint(), not_logged, "HTTP request refused");
            }
            self.refuse_http(now, id, refusal.status(), refusal.hint(), effects);
        }
    }

    /// Answers HTTP that opens nothing, which ends the connection.
    pub(super) fn refuse_http(
        &mut self,
        now: MonoTime,
        id: ConnectionId,
        status: StatusCode,
        hint: &str,
        effects: &mut Vec<Effect>,
    ) {
        let bytes = self.http_refusal(now, status, hint);
        self.send(id, bytes, AfterReply::Close, effects);
    }

    /// A GET opens the output of a tunnel, and takes what POSTs that came before it have.
    fn open_output(
        &mut self,
        now: MonoTime,
        id: ConnectionId,
        cookie: &str,
        effects: &mut Vec<Effect>,
    ) -> Result<(), HttpRefusal> {
        let bytes = http::tunnel_opened(&self.http_date(now));
        let Some(connection) = self.connections.get_mut(&id) else { return Ok(()) };
        self.tunnels.open_output(id, connection.peer.ip(), cookie)?;
        debug!(connection = id.0, "tunnel opened");
        connection.role = Role::Output { input_by: Some(now + TUNNEL_DEADLINE) };
        connection.framer = Framer::new().decoding(Base64Decoder::new());
        self.send(id, bytes, AfterReply::NextRequest, effects);
        for input in self.tunnels.inputs_of(id) {
            self.await_turn(input, None);
        }
        if let Some(input) = self.tunnels.input_of(id) {
            self.feed(now, input, id, effects);
        }
        Ok(())
    }

    /// A POST opens the input of a tunnel, or waits for its turn in it.
    fn open_input(
        &mut self,
        now: MonoTime,
        id: ConnectionId,
        cookie: &str,
        effects: &mut Vec<Effect>,
    ) -> Result<(), HttpRefusal> {
        let Some(connection) = self.connections.get_mut(&id) else { return Ok(()) };
        let before = self.tunnels.open_input(id, connection.peer.ip(), cookie)?;
        debug!(connection = id.0, "tunnel's input opened");
        // Behind another input it waits as long as that may take.
        let until = (!self.tunnels.has_output(id)).then_some(now + TUNNEL_DEADLINE);
        self.await_turn(id, until);
        if let Some(output) = self.tunnels.output_of(id) {
            self.feed(now, id, output, effects);
        } else if let Some(read) = before.filter(|before| self.tunnels.output_of(*before).is_some())
        {
            self.await_turn(read, Some(now + TUNNEL_TAKEOVER_DEADLINE));
        }
        Ok(())
    }

    /// An input's turn has come: the output gets what it has sent, and its bytes from now on.
    fn feed(
        &mut self,
        now: MonoTime,
        input: ConnectionId,
        output: ConnectionId,
        effects: &mut Vec<Effect>,
    ) {
        let Some(connection) = self.connections.get_mut(&input) else { return };
        let unparsed = mem::take(&mut connection.framer).into_unparsed();
        if self.tunnels.has_successor(input) {
            self.await_turn(input, Some(now + TUNNEL_TAKEOVER_DEADLINE));
        }
        let Some(connection) = self.connections.get_mut(&output) else { return };
        connection.role = Role::Output { input_by: None };
        match connection.home {
            Home::Control => {
                connection.framer.push(&unparsed);
                self.proceed(now, output, effects);
            }
            Home::Shard(shard) => self.adopt_input(input, output, shard, unparsed, effects),
        }
    }

    /// Gives the input of a tunnel to the shard that has the output.
    pub(super) fn adopt_input(
        &mut self,
        input: ConnectionId,
        output: ConnectionId,
        shard: usize,
        unparsed: Bytes,
        effects: &mut Vec<Effect>,
    ) {
        if let Some(connection) = self.connections.get_mut(&input) {
            connection.home = Home::Shard(shard);
            let (peer, direction) = (connection.peer, Direction::Input { of: output });
            effects.push(Effect::Adopt { connection: input, shard, peer, unparsed, direction });
        }
    }

    /// An input may stay until that time.
    fn await_turn(&mut self, input: ConnectionId, until: Option<MonoTime>) {
        if let Some(connection) = self.connections.get_mut(&input) {
            connection.role = Role::Input { until };
            self.deadlines.set(input, until);
        }
    }

    /// Whether the input, whose time is up, may have sent what nobody has read yet: then it stays.
    pub(super) fn prolong(&mut self, now: MonoTime, input: ConnectionId) -> bool {
        let output = self.tunnels.output_of(input).and_then(|id| self.connections.get(&id));
        let is_unread = output.is_some_and(|it| it.home == Home::Control && !it.wants_requests());
        if is_unread {
            self.await_turn(input, Some(now + TUNNEL_TAKEOVER_DEADLINE));
        }
        is_unread
    }

    /// A half of a tunnel has closed.
    pub(super) fn half_closed(
        &mut self,
        now: MonoTime,
        id: ConnectionId,
        effects: &mut Vec<Effect>,
    ) {
        match self.tunnels.closed(id) {
            // A shard closes those it has.
            Left::Inputs(inputs) => {
                for input in inputs {
                    let home = self.connections.get(&input).map(|connection| connection.home);
                    if home == Some(Home::Control) {
                        self.close(input, effects);
                    }
                }
            }
            Left::Output { output, next: Some(next) } => self.feed(now, next, output, effects),
            Left::Last(input) => self.await_turn(input, None),
            Left::Output { .. } | Left::Nothing => {}
        }
    }

    pub(super) fn http_refusal(&self, now: MonoTime, status: StatusCode, hint: &str) -> Bytes {
        http::refusal(status, hint, &self.http_date(now))
    }

    fn http_date(&self, now: MonoTime) -> String {
        fmt_http_date(self.wallclock.at(now))
    }
}
