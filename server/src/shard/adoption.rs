//! Adopted connections: RTSP and media in one byte stream (RFC 2326 §10.12).
//!
//! The shard cuts the input; whole requests go to control and come back as replies, so that there
//! is one writer and a frame never splits a reply.

use super::Shard;
use super::connection::{Connection, Mark};
use super::operation::{ConnectionSlot, Operation, SendResult};
use super::stream::{Delivery, Transport};
use crate::clock::MonoTime;
use crate::framing::{Framer, FramingError, Message};
use crate::limits::CONNECTION_PENDING_BYTES_MAX;
use crate::mailbox::{AdoptedConnection, CloseReason, ConnectionId, EndReason, Report, Start};
use bytes::Bytes;

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
        let framer = Framer::with_unparsed(adopted.unparsed);
        let connection = Connection::new(adopted.id, framer, now);
        let slot = self.connections.insert(connection);
        let slot = ConnectionSlot(u32::try_from(slot).expect("bounded by the connection limit"));
        self.connection_slots.insert(adopted.id, slot);
        let (connection, id, socket) = (slot, adopted.id, adopted.socket);
        operations.push(Operation::OpenConnection { connection, id, socket });
        for stream in self.carried_streams(adopted.id).collect::<Vec<_>>() {
            if let Transport::Interleaved { slot: known, .. } = &mut self.streams[stream].transport
            {
                *known = Some(slot);
            }
        }
        self.take_input(now, slot);
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
        let connection = &mut self.connections[slot.0 as usize];
        connection.active = now;
        connection.framer.push(bytes);
        self.take_input(now, slot);
        let Some(connection) = self.connections.get(slot.0 as usize) else { return };
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
            self.start_cue(now, start);
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
            if connection.framer.unparsed_bytes() >= UNPARSED_BYTES_MAX {
                operations.push(Operation::ResumeInput { connection: slot });
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

    /// Ends a connection and the sessions interleaved in it.
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
        let connection = connection.id;
        self.reports.push_back(Report::ConnectionClosed { connection, reason });
    }

    /// The streams that go through a connection.
    fn carried_streams(&self, id: ConnectionId) -> impl Iterator<Item = usize> + '_ {
        let sessions = self.carried.get(&id).into_iter().flatten();
        let slots = sessions.filter_map(|key| self.session_slots.get(key));
        let is_carried = move |stream: &usize| self.streams[*stream].is_carried_by(id);
        slots.flat_map(|slot| &self.sessions[*slot].streams).copied().filter(is_carried)
    }
}
