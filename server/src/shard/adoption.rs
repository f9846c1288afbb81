//! Adopted connections: RTSP and media in one byte stream (RFC 2326 §10.12).
//!
//! The shard cuts the input; whole requests go to control and come back as replies, so that there
//! is one writer and a frame never splits a reply. Of an HTTP tunnel, both halves are adopted: the
//! GET as the connection itself, and each POST as a connection that feeds its framer.

use super::Shard;
use super::connection::{Connection, Half, Mark};
use super::operation::{ConnectionSlot, Operation, SendResult};
use super::stream::{Delivery, Transport};
use crate::clock::MonoTime;
use crate::framing::{Framer, FramingError, Message};
use crate::limits::{CONNECTION_PENDING_BYTES_MAX, STANDING_MAX};
use crate::mailbox::{
    AdoptedConnection, CloseReason, ConnectionId, Direction, EndReason, Report, Start,
};
use bytes::Bytes;
use std::os::fd::OwnedFd;

/// Input that waits behind an unanswered request before the shard stops reading.
const UNPARSED_BYTES_MAX: usize = 64 * 1024;

/// What an input message means for the shard.
enum Input {
    Request(Bytes),
    /// Nothing that follows can be read either. With the whole lines before the error.
    Unreadable(FramingError, Bytes),
    Frame {
        channel: u8,
        payload: Bytes,
    },
    /// A reply of the client to a request of the server: there is none to wait for it.
    Reply,
}

impl Shard {
    /// Takes over a connection.
    pub(super) fn adopt(
        &mut self,
        now: MonoTime,
        adopted: AdoptedConnection,
        operations: &mut Vec<Operation>,
    ) {
        let AdoptedConnection { id, socket, unparsed, direction, .. } = adopted;
        let (half, framer) = match direction {
            Direction::Both => (Half::Both, Framer::with_unparsed(unparsed)),
            Direction::Output(decoder) => {
                let framer = Framer::with_unparsed(unparsed).decoding(decoder);
                (Half::Output { input: None }, framer)
            }
            Direction::Input { of } => {
                return self.adopt_input(now, (id, socket), of, &unparsed, operations);
            }
        };
        let slot = self.open(Connection::new(id, half, framer, now), socket, operations);
        for stream in self.carried_streams(id).collect::<Vec<_>>() {
            if let Transport::Interleaved { slot: known, .. } = &mut self.streams[stream].transport
            {
                *known = Some(slot);
            }
        }
        self.take_input(now, slot);
    }

    /// Takes over a connection that is the input of a tunnel which the shard has, or had.
    fn adopt_input(
        &mut self,
        now: MonoTime,
        (id, socket): (ConnectionId, Option<OwnedFd>),
        of: ConnectionId,
        unparsed: &[u8],
        operations: &mut Vec<Operation>,
    ) {
        let output = self.connection_slots.get(&of).copied();
        // Where the tunnel has closed meanwhile, it is opened to be closed.
        let half = output.map_or(Half::Both, |of| Half::Input { of });
        let slot = self.open(Connection::new(id, half, Framer::new(), now), socket, operations);
        let Some(output) = output else {
            return self.close_connection(now, slot, CloseReason::Server, operations);
        };
        self.connections[output.0 as usize].half = Half::Output { input: Some(slot) };
        self.connection_received(now, slot, unparsed, operations);
    }

    /// Puts a connection into a slot of its own.
    fn open(
        &mut self,
        connection: Connection,
        socket: Option<OwnedFd>,
        operations: &mut Vec<Operation>,
    ) -> ConnectionSlot {
        let id = connection.id;
        let slot = self.connections.insert(connection);
        let slot = ConnectionSlot(u32::try_from(slot).expect("bounded by the connection limit"));
        self.connection_slots.insert(id, slot);
        operations.push(Operation::OpenConnection { connection: slot, id, socket });
        slot
    }

    /// Control answers a request, or closes the connection.
    pub(super) fn reply(
        &mut self,
        now: MonoTime,
        id: ConnectionId,
        bytes: &[u8],
        start: Option<Start>,
        close: bool,
        operations: &mut Vec<Operation>,
    ) {
        let Some(&slot) = self.connection_slots.get(&id) else { return };
        let connection = &mut self.connections[slot.0 as usize];
        connection.push(bytes);
        connection.reply_queued = Some(now);
        if let Some(start) = start {
            connection.mark(Mark::Start(start));
        }
        connection.mark(if close { Mark::Close } else { Mark::Answered });
        if connection.pending.len() > CONNECTION_PENDING_BYTES_MAX {
            self.close_connection(now, slot, CloseReason::Overflow, operations);
            return;
        }
        self.dirty.push(slot);
    }

    /// Control asks something of a client.
    pub(super) fn ask(
        &mut self,
        now: MonoTime,
        id: ConnectionId,
        bytes: &[u8],
        operations: &mut Vec<Operation>,
    ) {
        let Some(&slot) = self.connection_slots.get(&id) else { return };
        let connection = &mut self.connections[slot.0 as usize];
        connection.push(bytes);
        if connection.pending.len() > CONNECTION_PENDING_BYTES_MAX {
            return self.close_connection(now, slot, CloseReason::Overflow, operations);
        }
        self.dirty.push(slot);
    }

    /// Bytes arrived on a connection.
    pub fn connection_received(
        &mut self,
        now: MonoTime,
        slot: ConnectionSlot,
        bytes: &[u8],
        operations: &mut Vec<Operation>,
    ) {
        let output = match self.connections[slot.0 as usize].half {
            Half::Both => slot,
            // Behind a tunnel's GET there is nothing to say.
            Half::Output { .. } => return,
            Half::Input { of } => of,
        };
        let connection = &mut self.connections[output.0 as usize];
        connection.active = now;
        connection.framer.push(bytes);
        self.take_input(now, output);
        let connection = &self.connections[output.0 as usize];
        if connection.awaits_reply && connection.framer.unparsed_bytes() >= UNPARSED_BYTES_MAX {
            operations.push(Operation::PauseInput { connection: slot });
        }
    }

    /// A connection's input ended or failed.
    pub fn connection_closed(
        &mut self,
        now: MonoTime,
        slot: ConnectionSlot,
        errno: Option<i32>,
        operations: &mut Vec<Operation>,
    ) {
        self.close_connection(now, slot, CloseReason::Peer(errno), operations);
    }

    /// A connection that was full takes bytes again.
    pub fn connection_writable(&mut self, slot: ConnectionSlot) {
        let connection = &mut self.connections[slot.0 as usize];
        connection.blocked = false;
        self.dirty.push(slot);
        let id = connection.id;
        for stream in self.carried_streams(id).collect::<Vec<_>>() {
            if self.streams[stream].delivery == Delivery::Blocked {
                self.wake_stream(stream);
            }
        }
    }

    /// Handles whole messages, up to a request that needs a reply.
    fn take_input(&mut self, now: MonoTime, slot: ConnectionSlot) {
        loop {
            let connection = &mut self.connections[slot.0 as usize];
            if connection.awaits_reply {
                return;
            }
            let input = match connection.framer.next() {
                Ok(None) => {
                    connection.note_progress(now);
                    return;
                }
                Ok(Some(Message::Request(bytes))) => Input::Request(Bytes::copy_from_slice(bytes)),
                Ok(Some(Message::Interleaved { channel, payload })) => {
                    Input::Frame { channel, payload: Bytes::copy_from_slice(payload) }
                }
                Ok(Some(Message::Response(_))) => Input::Reply,
                Err(error) => {
                    let rejected = Bytes::copy_from_slice(connection.framer.rejected());
                    Input::Unreadable(error, rejected)
                }
            };
            connection.request_began = None;
            match input {
                Input::Request(bytes) => {
                    connection.awaits_reply = true;
                    let connection = connection.id;
                    self.reports.push_back(Report::Request { connection, bytes });
                }
                Input::Unreadable(error, rejected) => {
                    connection.awaits_reply = true;
                    let connection = connection.id;
                    self.reports.push_back(Report::Unreadable { connection, error, rejected });
                }
                Input::Frame { channel, payload } => {
                    let id = connection.id;
                    self.frame_received(now, id, channel, &payload);
                }
                Input::Reply => {}
            }
        }
    }

    fn frame_received(&mut self, now: MonoTime, id: ConnectionId, channel: u8, payload: &[u8]) {
        let stream = self.carried_streams(id).find(|stream| {
            matches!(self.streams[*stream].transport,
                Transport::Interleaved { rtcp_channel, .. } if rtcp_channel == channel)
        });
        if let Some(stream) = stream {
            self.rtcp_received(now, stream, payload);
        }
    }

    /// The pending bytes of a connection were offered to the kernel.
    pub(super) fn pending_sent(
        &mut self,
        now: MonoTime,
        slot: ConnectionSlot,
        result: SendResult,
        operations: &mut Vec<Operation>,
    ) {
        let connection = &mut self.connections[slot.0 as usize];
        connection.pending_in_batch = false;
        match result {
            SendResult::Sent(bytes) => {
                connection.active = now;
                let mut reached = Vec::new();
                connection.gone(bytes as usize, &mut reached);
                if !connection.pending.is_empty() {
                    self.block(slot, operations);
                }
                for mark in reached {
                    match mark {
                        Mark::Answered => self.answered.push(slot),
                        Mark::Start(start) => self.reply_written(now, start),
                        Mark::Close => self.closing.push((slot, CloseReason::Server)),
                    }
                }
            }
            SendResult::Full => self.block(slot, operations),
            SendResult::Failed(errno) => {
                self.closing.push((slot, CloseReason::Peer(Some(errno))));
            }
        }
    }

    /// A reply to PLAY is written: the session's packets may go.
    fn reply_written(&mut self, now: MonoTime, start: Start) {
        if self.session_slots.contains_key(&start.session) {
            self.start(now, start);
        } else {
            self.reports.push_back(Report::ReplyWritten(start));
        }
    }

    /// The socket takes nothing now: asks to be told when it does.
    pub(super) fn block(&mut self, slot: ConnectionSlot, operations: &mut Vec<Operation>) {
        let connection = &mut self.connections[slot.0 as usize];
        if !connection.blocked {
            connection.blocked = true;
            self.counters.sends_full += 1;
            operations.push(Operation::WatchWritable { connection: slot });
        }
    }

    /// Closes what the last batch showed to be broken or done, and takes the next request where it
    /// completed a reply.
    pub(super) fn settle_connections(&mut self, now: MonoTime, operations: &mut Vec<Operation>) {
        while let Some((slot, reason)) = self.closing.pop() {
            if self.connections.contains(slot.0 as usize) {
                self.close_connection(now, slot, reason, operations);
            }
        }
        while let Some(slot) = self.answered.pop() {
            let Some(connection) = self.connections.get_mut(slot.0 as usize) else { continue };
            (connection.awaits_reply, connection.reply_queued) = (false, None);
            if connection.framer.unparsed_bytes() >= UNPARSED_BYTES_MAX
                && let Some(input) = connection.input(slot)
            {
                operations.push(Operation::ResumeInput { connection: input });
            }
            self.take_input(now, slot);
        }
    }

    /// Closes the connections that have exceeded a deadline.
    pub(super) fn sweep_connections(&mut self, now: MonoTime, operations: &mut Vec<Operation>) {
        let is_overdue = |(_, connection): &(usize, &Connection)| {
            connection.is_overdue(now, !self.carried.contains_key(&connection.id))
        };
        let overdue = self.connections.iter().filter(is_overdue).map(|(slot, _)| slot);
        for slot in overdue.collect::<Vec<_>>() {
            let slot = ConnectionSlot(u32::try_from(slot).expect("bounded"));
            self.close_connection(now, slot, CloseReason::Deadline, operations);
        }
    }

    /// Asks after the peers of connections that take nothing: a player that is paused may just
    /// stop reading, and says nothing either.
    pub(super) fn ask_after_readers(&self, operations: &mut Vec<Operation>) {
        for (slot, connection) in &self.connections {
            if connection.blocked && self.carried.contains_key(&connection.id) {
                let connection = ConnectionSlot(u32::try_from(slot).expect("bounded"));
                operations.push(Operation::AskPeer { connection });
            }
        }
    }

    /// The peer of a connection is there, though it may read nothing. It keeps its sessions for as
    /// long as one that stands still may.
    pub fn connection_answers(&mut self, now: MonoTime, slot: ConnectionSlot) {
        let Some(connection) = self.connections.get(slot.0 as usize) else { return };
        if now - connection.active >= STANDING_MAX {
            return;
        }
        for key in self.carried.get(&connection.id).cloned().unwrap_or_default() {
            if let Some(&session) = self.session_slots.get(&key) {
                self.sessions[session].heard = now;
                self.schedule_session(session);
            }
        }
    }

    /// Control has no more use for a connection.
    pub(super) fn close_by_id(
        &mut self,
        now: MonoTime,
        id: ConnectionId,
        operations: &mut Vec<Operation>,
    ) {
        if let Some(&slot) = self.connection_slots.get(&id) {
            self.close_connection(now, slot, CloseReason::Server, operations);
        }
    }

    /// Ends a connection and the sessions interleaved in it; with the output of a tunnel, its
    /// input.
    pub(super) fn close_connection(
        &mut self,
        now: MonoTime,
        slot: ConnectionSlot,
        reason: CloseReason,
        operations: &mut Vec<Operation>,
    ) {
        let connection = self.connections.remove(slot.0 as usize);
        self.connection_slots.remove(&connection.id);
        for key in self.carried.get(&connection.id).cloned().unwrap_or_default() {
            if let Some(&session) = self.session_slots.get(&key) {
                self.end_session(now, session, Some(EndReason::ConnectionClosed));
            }
        }
        operations.push(Operation::CloseConnection { connection: slot });
        let (id, half) = (connection.id, connection.half);
        self.reports.push_back(Report::ConnectionClosed { connection: id, reason });
        match half {
            Half::Output { input: Some(input) } => {
                self.close_connection(now, input, reason, operations);
            }
            Half::Input { of } => {
                // The stream may go on by another one.
                if let Some(output) = self.connections.get_mut(of.0 as usize)
                    && output.half == (Half::Output { input: Some(slot) })
                {
                    output.half = Half::Output { input: None };
                }
            }
            Half::Both | Half::Output { input: None } => {}
        }
    }

    /// The streams that go through a connection.
    fn carried_streams(&self, id: ConnectionId) -> impl Iterator<Item = usize> + '_ {
        let sessions = self.carried.get(&id).into_iter().flatten();
        let slots = sessions.filter_map(|key| self.session_slots.get(key));
        let is_carried = move |stream: &usize| self.streams[*stream].is_carried_by(id);
        slots.flat_map(|slot| &self.sessions[*slot].streams).copied().filter(is_carried)
    }
}
