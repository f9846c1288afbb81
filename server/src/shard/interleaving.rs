//! What a connection is due becomes one entry: the trains of all streams that it carries for a
//! viewer, in the order in which they are due, so that one call of the kernel sends them.

use super::Shard;
use super::batch::Cargo;
use super::egress::{Destination, Entry};
use super::operation::{ConnectionSlot, Operation};
use super::stream::{Cursor, Delivery, Stream, Transport};
use crate::clock::MonoTime;
use crate::limits::CONNECTION_TURN_BYTES_MAX;
use std::time::Duration;

/// Pieces of one entry: the kernel takes 1024 (`IOV_MAX`), a train adds up to 128.
const ENTRY_PIECES_MAX: u32 = 1024 - 128;

/// A stream that has something due, while the entry is filled.
#[derive(Debug)]
pub(super) struct Lane {
    stream: usize,
    cursor: Cursor,
    /// When its next train leaves.
    leaves_at: MonoTime,
}

impl Shard {
    /// Fills the batch with what is due by `interleaved_ahead` of `stream`, and of the streams
    /// beside it, behind what is pending.
    pub(super) fn push_interleaved(
        &mut self,
        now: MonoTime,
        stream: usize,
        slot: ConnectionSlot,
        operations: &mut Vec<Operation>,
    ) {
        if self.is_blocked(stream) {
            return;
        }
        self.push_pending(slot);
        let until = self.wave.horizon(now).max(now + self.leads_by(stream));
        let mut cursor = self.streams[stream].cursor;
        if self.due_train(until, stream, &mut cursor).is_none() {
            return;
        }
        let session = self.streams[stream].session;
        for position in 0..self.sessions[session].streams.len() {
            let other = self.sessions[session].streams[position];
            if other != stream && self.leaves_through(other, slot) {
                self.hold_ahead(now, other, operations);
                self.catch_up(now, other, operations);
            }
        }
        // Only now: what a stream is given may cost another its images, or move all of them.
        let mut lanes = std::mem::take(&mut self.lanes);
        for position in 0..self.sessions[session].streams.len() {
            let stream = self.sessions[session].streams[position];
            if self.leaves_through(stream, slot) {
                self.open_lane(until, stream, &mut lanes);
            }
        }
        if !lanes.is_empty() {
            self.push_lanes(until, slot, &mut lanes);
        }
        lanes.clear();
        self.lanes = lanes;
    }

    /// How far ahead of its time what a stream sends may leave.
    pub(super) fn leads_by(&self, stream: usize) -> Duration {
        if self.streams[stream].sends_ahead {
            self.config.interleaved_ahead
        } else {
            Duration::ZERO
        }
    }

    /// Whether a stream is to send by its time, and through this connection.
    fn leaves_through(&self, stream: usize, connection: ConnectionSlot) -> bool {
        let Stream { transport, delivery, .. } = self.streams[stream];
        matches!(transport, Transport::Interleaved { slot, .. } if slot == Some(connection))
            && delivery == Delivery::Scheduled
    }

    fn open_lane(&mut self, until: MonoTime, stream: usize, lanes: &mut Vec<Lane>) {
        let mut cursor = self.streams[stream].cursor;
        let due = self.due_train(until, stream, &mut cursor);
        lanes.extend(due.map(|leaves_at| Lane { stream, cursor, leaves_at }));
    }

    /// Makes one entry of what the lanes hold, up to what a turn gives one connection.
    fn push_lanes(&mut self, until: MonoTime, slot: ConnectionSlot, lanes: &mut Vec<Lane>) {
        let first = self.shipments.len();
        let start = self.egress.piece_count();
        let mut total = 0;
        while (total as usize) < CONNECTION_TURN_BYTES_MAX
            && self.egress.piece_count() - start <= ENTRY_PIECES_MAX
            && let Some(earliest) =
                (0..lanes.len()).min_by_key(|position| lanes[*position].leaves_at)
        {
            let lane = &mut lanes[earliest];
            let (_, bytes) = self.ship(lane.stream, &mut lane.cursor, lane.leaves_at);
            total += bytes;
            match self.due_train(until, lane.stream, &mut lane.cursor) {
                Some(leaves_at) => lane.leaves_at = leaves_at,
                None => drop(lanes.remove(earliest)),
            }
        }
        let pieces = start..self.egress.piece_count();
        let destination = Destination::Stream { connection: slot };
        self.egress.entries.push(Entry { destination, pieces, bytes: total });
        self.cargo.push(Cargo::Interleaved(slot, first..self.shipments.len()));
    }
}
