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

impl Control {
    /// Whether the shell should notice that the client closes the connection, although it does not
    /// read: that of a tunnel's GET is only written to.
    #[must_use]
    pub fn wants_end(&self, id: ConnectionId) -> bool {
        self.connections.get(&id).is_some_and(|connection| {
            connection.home == Home::Control && matches!(connection.role, Role::Output { .. })
        })
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
        let is_first = before.is_none();
        connection.role = Role::Input { until: is_first.then_some(now + TUNNEL_DEADLINE) };
        if let Some(output) = self.tunnels.output_of(id) {
            self.feed(now, id, output, effects);
        } else if let Some(read) = before.filter(|before| self.tunnels.output_of(*before).is_some())
        {
            self.end_soon(now, read);
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
        connection.role = Role::Input { until: None };
        self.refresh_deadline(now, input);
        if self.tunnels.has_successor(input) {
            self.end_soon(now, input);
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

    /// The input that is read has a successor. Clients close the one before they open the next,
    /// whose bytes may still overtake its end.
    fn end_soon(&mut self, now: MonoTime, input: ConnectionId) {
        if let Some(connection) = self.connections.get_mut(&input) {
            connection.role = Role::Input { until: Some(now + TUNNEL_TAKEOVER_DEADLINE) };
            self.deadlines.set(input, Some(now + TUNNEL_TAKEOVER_DEADLINE));
        }
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
