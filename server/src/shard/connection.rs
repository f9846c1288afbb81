//! An adopted connection: an input stream of requests and frames, an output stream of replies,
//! RTCP and media. An HTTP tunnel has one connection for each.

use crate::clock::MonoTime;
use crate::framing::Framer;
use crate::limits::{IDLE_CONNECTION_DEADLINE, REPLY_DEADLINE, REQUEST_DEADLINE};
use crate::mailbox::{ConnectionId, Start};
use crate::shard::operation::ConnectionSlot;
use std::collections::VecDeque;

/// An adopted connection.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) id: ConnectionId,
    pub(super) half: Half,
    /// Of what comes by this connection, or by the other half of the tunnel.
    pub(super) framer: Framer,
    /// When the first byte of the request that is arriving came.
    pub(super) request_began: Option<MonoTime>,
    /// A request of it is under way, from its last byte read until its reply is written.
    pub(super) awaits_reply: bool,
    /// When that reply was queued.
    pub(super) reply_queued: Option<MonoTime>,
    /// Bytes that go before any media: replies, RTCP, the rest of a packet that went half.
    pub(super) pending: Vec<u8>,
    /// What happens when the first so many bytes of `pending` have gone.
    pub(super) marks: VecDeque<(usize, Mark)>,
    /// The socket takes nothing now.
    pub(super) blocked: bool,
    /// `pending` stands in the batch that is being sent.
    pub(super) pending_in_batch: bool,
    /// When bytes last arrived or left.
    pub(super) active: MonoTime,
}

/// What a connection carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Half {
    /// Input and output.
    Both,
    /// The output of an HTTP tunnel, whose input comes by another connection, if there is one now.
    Output { input: Option<ConnectionSlot> },
    /// The input of an HTTP tunnel.
    Input { of: ConnectionSlot },
}

/// What a reply asked for once it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    /// Take the next request.
    Answered,
    /// Let the packets of a cue go.
    Start(Start),
    /// Close the connection.
    Close,
}

impl Connection {
    pub(super) fn new(id: ConnectionId, half: Half, framer: Framer, now: MonoTime) -> Self {
        Self {
            id,
            half,
            framer,
            request_began: None,
            awaits_reply: false,
            reply_queued: None,
            pending: Vec::new(),
            marks: VecDeque::new(),
            blocked: false,
            pending_in_batch: false,
            active: now,
        }
    }

    /// Where its input comes from; it is in `slot` itself.
    pub(super) const fn input(&self, slot: ConnectionSlot) -> Option<ConnectionSlot> {
        match self.half {
            Half::Both => Some(slot),
            Half::Output { input } => input,
            Half::Input { .. } => None,
        }
    }

    /// Notes when an unfinished message began.
    pub(super) fn note_progress(&mut self, now: MonoTime) {
        if self.framer.is_empty() {
            self.request_began = None;
        } else {
            self.request_began.get_or_insert(now);
        }
    }

    /// Whether its client has taken too long: to send a request, to read a reply, or, while it
    /// carries no session (`is_idle`), to do anything. A reader that stops in the middle of media
    /// is its session's business; the input of a tunnel is its output's.
    pub(super) fn is_overdue(&self, now: MonoTime, is_idle: bool) -> bool {
        let is_idle = is_idle && !matches!(self.half, Half::Input { .. });
        let exceeds = |since: Option<MonoTime>, limit| since.is_some_and(|it| now - it >= limit);
        exceeds(self.request_began, REQUEST_DEADLINE)
            || exceeds(self.reply_queued, REPLY_DEADLINE)
            || (is_idle && exceeds(Some(self.active), IDLE_CONNECTION_DEADLINE))
    }

    /// Queues bytes before any media.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.pending.extend_from_slice(bytes);
    }

    /// Puts the rest of a packet that went half before everything that is queued: it must follow at
    /// once, whatever was queued while the packet was on its way.
    pub(super) fn push_rest(&mut self, rest: &[u8]) {
        self.pending.splice(..0, rest.iter().copied());
        for (position, _) in &mut self.marks {
            *position += rest.len();
        }
    }

    /// Remembers what to do when everything queued so far has gone.
    pub(super) fn mark(&mut self, mark: Mark) {
        self.marks.push_back((self.pending.len(), mark));
    }

    /// The first `bytes` bytes have gone; moves what they completed to `reached`.
    pub(super) fn gone(&mut self, bytes: usize, reached: &mut Vec<Mark>) {
        self.pending.drain(..bytes);
        for (position, _) in &mut self.marks {
            *position = position.saturating_sub(bytes);
        }
        while let Some((_, mark)) = self.marks.pop_front_if(|(position, _)| *position == 0) {
            reached.push(mark);
        }
    }
}
