//! A connection: where it lives, what is under way on it, when it must have moved on; and how
//! connections come and go.

use super::session_set::SessionSet;
use super::{Control, Effect};
use crate::clock::MonoTime;
use crate::framing::Framer;
use crate::limits::{IDLE_CONNECTION_DEADLINE, REPLY_DEADLINE, REQUEST_DEADLINE};
use crate::mailbox::{Command, ConnectionId, Start};
use crate::rtsp::{Response, StatusCode};
use bytes::Bytes;
use std::mem;
use std::net::SocketAddr;
use tracing::{debug, warn};

/// An RTSP connection. One request is under way at a time, from its last byte read until its reply
/// is written; what the client sends meanwhile waits in the socket or in the framer.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) peer: SocketAddr,
    /// The address that the client reached.
    pub(super) local: SocketAddr,
    /// The largest IP packet that is known to reach the client whole, headers included.
    pub(super) path_mtu: Option<u32>,
    pub(super) home: Home,
    pub(super) role: Role,
    pub(super) underway: Underway,
    /// Requests of the server that wait for a reply to be written.
    pub(super) to_ask: Vec<Bytes>,
    /// Empty once the connection is adopted.
    pub(super) framer: Framer,
    /// When the first byte of the request that is arriving came.
    request_began: Option<MonoTime>,
    /// Sessions whose last request came from here; while there are any, it may be idle.
    pub(super) sessions: SessionSet,
    /// Sessions with streams interleaved in it. While there are any, it is its shard's.
    pub(super) carries: SessionSet,
}

/// Who reads and writes a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Home {
    /// The control thread.
    Control,
    /// The shard that adopted it.
    Shard(usize),
}

/// What a connection carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// It has said nothing yet.
    Fresh(Port),
    /// Requests and replies.
    Rtsp,
    /// What the server sends to the client of an HTTP tunnel, which must open its first input by
    /// that time.
    Output { input_by: Option<MonoTime> },
    /// What the client of an HTTP tunnel sends. While it waits for its turn, or has a successor, it
    /// may stay until that time.
    Input { until: Option<MonoTime> },
}

/// What clients are expected to say where they have connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Port {
    /// RTSP, or the HTTP of a tunnel.
    Rtsp,
    /// The HTTP of a tunnel.
    Http,
}

/// What a connection is waiting for.
#[derive(Debug)]
pub(super) enum Underway {
    /// For (the rest of) a request.
    Reading,
    /// For the catalog, to go on with this request.
    Title(Bytes),
    /// For a shard's report, to go on with this request.
    Shard(Bytes),
    /// For its reply to be written.
    Writing(AfterReply),
    /// For the shell to close it.
    Closing,
}

/// What follows when a reply has been written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum AfterReply {
    /// The next request.
    #[default]
    NextRequest,
    /// The session's packets may go: the reply was that to PLAY.
    Start(Start),
    /// The shard takes the connection over, for the interleaved session just set up.
    Adopt(usize),
    /// The same, and the connection is closed.
    StartAndClose(Start),
    /// The connection is closed.
    Close,
}

impl Connection {
    pub(super) fn new(peer: SocketAddr, local: SocketAddr, port: Port) -> Self {
        Self {
            peer,
            local,
            path_mtu: None,
            home: Home::Control,
            role: Role::Fresh(port),
            underway: Underway::Reading,
            to_ask: Vec::new(),
            framer: Framer::new(),
            request_began: None,
            sessions: SessionSet::default(),
            carries: SessionSet::default(),
        }
    }

    /// Whether requests are wanted, by whichever connection they come.
    pub(super) const fn wants_requests(&self) -> bool {
        matches!((self.home, &self.underway), (Home::Control, Underway::Reading))
    }

    /// The request that waited for the catalog or a shard; the connection reads again.
    pub(super) fn take_request(&mut self) -> Option<Bytes> {
        match mem::replace(&mut self.underway, Underway::Reading) {
            Underway::Title(request) | Underway::Shard(request) => Some(request),
            other @ (Underway::Reading | Underway::Writing(_) | Underway::Closing) => {
                self.underway = other;
                None
            }
        }
    }

    /// Notes when an unfinished request began.
    pub(super) fn note_progress(&mut self, now: MonoTime) {
        if self.framer.is_empty() {
            self.request_began = None;
        } else {
            self.request_began.get_or_insert(now);
        }
    }

    /// Forgets when the last request began: it is complete.
    pub(super) const fn request_complete(&mut self) {
        self.request_began = None;
    }

    /// By when it must have moved on, counted from `now` or from the first byte of its request.
    pub(super) fn deadline(&self, now: MonoTime) -> Option<MonoTime> {
        if self.home != Home::Control {
            return None; // its shard's business
        }
        match (&self.underway, self.request_began) {
            (Underway::Reading, _) if let Role::Input { until } = self.role => until,
            (Underway::Reading, Some(began)) => Some(began + REQUEST_DEADLINE),
            (Underway::Reading, None) if let Role::Output { input_by: Some(time) } = self.role => {
                Some(time)
            }
            (Underway::Reading, None) if self.sessions.is_empty() => {
                Some(now + IDLE_CONNECTION_DEADLINE)
            }
            (Underway::Writing(_), _) => Some(now + REPLY_DEADLINE),
            (
                Underway::Reading | Underway::Title(_) | Underway::Shard(_) | Underway::Closing,
                _,
            ) => None,
        }
    }
}

impl Control {
    /// A client has connected from `peer` and reached `local`, where `port` is spoken.
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
        port: Port,
    ) -> Result<(), Bytes> {
        // Of an IPv6 address the scope stays: a link-local one is reached by it alone.
        let canonical = |mut address: SocketAddr| {
            address.set_ip(address.ip().to_canonical());
            address
        };
        let (peer, local) = (canonical(peer), canonical(local));
        if self.turns_all_away() {
            return Err(self.turn_away(now, port));
        }
        if let Err(refusal) = self.admission.admit_connection(peer.ip()) {
            if let Some(not_logged) = self.refused_connections.permit(now) {
                warn!(%peer, ?refusal, not_logged, "connection refused");
            }
            return Err(self.turn_away(now, port));
        }
        debug!(connection = id.0, %peer, %local, "connection opened");
        self.connections.insert(id, Box::new(Connection::new(peer, local, port)));
        self.refresh_deadline(now, id);
        Ok(())
    }

    /// The largest IP packet, headers included, that reaches the connection's client whole, as far
    /// as its socket knows: datagrams to him are no bigger.
    pub fn path_measured(&mut self, id: ConnectionId, mtu_bytes: u32) {
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.path_mtu = Some(mtu_bytes);
        }
    }

    /// A connection is gone: the client closed it, it failed, or [`Effect::Close`] was performed.
    pub fn closed(&mut self, now: MonoTime, id: ConnectionId, effects: &mut Vec<Effect>) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        for session in mem::take(&mut connection.carries) {
            self.tear_down_session(now, session, "connection closed", effects);
        }
        self.forget_connection(now, id, effects);
    }

    /// Closes connections that have not moved on in time, and keeps sessions that stand still.
    pub fn advance(&mut self, now: MonoTime, effects: &mut Vec<Effect>) {
        self.keep_standing(now, effects);
        while let Some(id) = self.deadlines.pop_due(now) {
            if self.prolong(now, id) {
                continue;
            }
            debug!(connection = id.0, "connection exceeded its deadline");
            self.close(id, effects);
        }
    }

    pub(super) fn close(&mut self, id: ConnectionId, effects: &mut Vec<Effect>) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        self.deadlines.set(id, None);
        match connection.home {
            Home::Control if matches!(connection.underway, Underway::Closing) => {}
            Home::Control => {
                connection.underway = Underway::Closing;
                effects.push(Effect::Close { connection: id });
            }
            Home::Shard(shard) => {
                let command = Command::Close { connection: id };
                effects.push(Effect::Command { shard, command });
            }
        }
    }

    pub(super) fn forget_connection(
        &mut self,
        now: MonoTime,
        id: ConnectionId,
        effects: &mut Vec<Effect>,
    ) {
        if let Some(connection) = self.connections.remove(&id) {
            debug!(connection = id.0, "connection closed");
            self.deadlines.set(id, None);
            self.admission.release_connection(connection.peer.ip());
            if matches!(connection.role, Role::Output { .. } | Role::Input { .. }) {
                self.half_closed(now, id, effects);
            }
        }
    }

    pub(super) fn refresh_deadline(&mut self, now: MonoTime, id: ConnectionId) {
        let deadline = self.connections.get(&id).and_then(|connection| connection.deadline(now));
        self.deadlines.set(id, deadline);
    }

    /// What a client is told that is too many. It has asked nothing yet, so there is no CSeq.
    fn turn_away(&self, now: MonoTime, port: Port) -> Bytes {
        match port {
            Port::Rtsp => Response::new(StatusCode::SERVICE_UNAVAILABLE, None).into_bytes(),
            Port::Http => self.http_refusal(now, StatusCode::SERVICE_UNAVAILABLE, "full"),
        }
    }
}
