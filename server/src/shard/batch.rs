//! The egress batch of a turn: what is due becomes entries for the kernel.

use super::Shard;
use super::cache::ImageSlot;
use super::delivery::Next;
use super::egress::{Destination, Entry, Piece};
use super::operation::{ConnectionSlot, PairSocket};
use super::stream::{Cursor, Transport};
use crate::clock::MonoTime;
use crate::limits::{CONNECTION_TURN_BYTES_MAX, TURN_TRAINS_MAX};
use packetizer::image::Train;
use std::ops::Range;

/// Trains one stream may send in one turn, so that a late one does not make others late.
const STREAM_TURN_TRAINS_MAX: usize = 64;
/// Pieces of one entry: the kernel takes 1024 (`IOV_MAX`), a train adds up to 128.
const ENTRY_PIECES_MAX: usize = 1024 - 128;

/// What an entry of the batch carries, for when its result comes.
#[derive(Clone, Debug)]
pub(super) enum Cargo {
    /// These trains of one stream.
    Trains(Range<usize>),
    /// The pending bytes of a connection.
    Pending(ConnectionSlot),
    /// RTCP: it is not sent again.
    Rtcp,
}

/// A train, or the rest of one, in the batch.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shipment {
    pub(super) stream: usize,
    pub(super) image: ImageSlot,
    pub(super) train: Train,
    /// Where the cursor stood.
    pub(super) from: Cursor,
    pub(super) leaves_at: MonoTime,
    pub(super) as_it_lies: bool,
}

impl Shipment {
    /// The cursor once all of it went.
    pub(super) const fn behind(&self) -> Cursor {
        let packets = self.train.packet_count - self.from.packet;
        Cursor {
            image: self.from.image,
            train: self.from.train + 1,
            packet: 0,
            sequence: self.from.sequence.wrapping_add(packets),
        }
    }

    /// The sequence number of the train's first packet.
    pub(super) const fn train_sequence(&self) -> u16 {
        self.from.sequence.wrapping_sub(self.from.packet)
    }

    /// Bytes from the cursor to the train's end.
    pub(super) const fn bytes(&self) -> u32 {
        self.train.bytes() - self.from.packet as u32 * self.train.packet_bytes as u32
    }
}

impl Shard {
    /// Fills the batch with the stream's due trains, one message each. What is handed over ahead of
    /// its time has that with it.
    pub(super) fn push_datagrams(&mut self, now: MonoTime, stream: usize) -> bool {
        let Transport::Udp { pair, rtp, local, .. } = self.streams[stream].transport else {
            return false;
        };
        let mut cursor = self.streams[stream].cursor;
        let mut count = 0;
        let until = now.offset_by(self.launch_ahead_nanos);
        while count < STREAM_TURN_TRAINS_MAX && self.shipments.len() < TURN_TRAINS_MAX {
            let position = self.shipments.len();
            let Some((pieces, bytes)) = self.load_train(until, stream, &mut cursor) else { break };
            let Shipment { train, leaves_at, .. } = &self.shipments[position];
            let destination = Destination::Datagrams {
                pair,
                socket: PairSocket::Rtp,
                to: rtp.address(),
                local,
                segment_bytes: train.packet_bytes,
                segment_count: train.packet_count,
                launches_at: Some(*leaves_at).filter(|leaves_at| *leaves_at > now),
            };
            self.egress.entries.push(Entry { destination, pieces, bytes });
            self.cargo.push(Cargo::Trains(position..position + 1));
            count += 1;
        }
        count > 0
    }

    /// Fills the batch with the stream's due trains, all in one entry behind what is pending.
    pub(super) fn push_interleaved(
        &mut self,
        now: MonoTime,
        stream: usize,
        slot: ConnectionSlot,
    ) -> bool {
        if self.is_blocked(stream) {
            return false;
        }
        self.push_pending(slot);
        let mut cursor = self.streams[stream].cursor;
        let first = self.shipments.len();
        let pieces_start = self.egress.piece_count();
        let mut total = 0;
        let until = now + self.config.interleaved_ahead;
        while (total as usize) < CONNECTION_TURN_BYTES_MAX
            && (self.egress.piece_count() - pieces_start) as usize <= ENTRY_PIECES_MAX
        {
            let Some((_, bytes)) = self.load_train(until, stream, &mut cursor) else { break };
            total += bytes;
        }
        if total == 0 {
            return false;
        }
        let destination = Destination::Stream { connection: slot };
        let pieces = pieces_start..self.egress.piece_count();
        self.egress.entries.push(Entry { destination, pieces, bytes: total });
        self.cargo.push(Cargo::Trains(first..self.shipments.len()));
        true
    }

    /// Puts the pending bytes of a connection into the batch, once.
    pub(super) fn push_pending(&mut self, slot: ConnectionSlot) {
        let connection = &mut self.connections[slot.0 as usize];
        if connection.blocked || connection.pending_in_batch || connection.pending.is_empty() {
            return;
        }
        connection.pending_in_batch = true;
        let bytes = u32::try_from(connection.pending.len()).expect("bounded");
        let start = self.egress.piece_count();
        self.egress.pieces.push(Piece::Pending { connection: slot, bytes });
        let destination = Destination::Stream { connection: slot };
        self.egress.entries.push(Entry { destination, pieces: start..start + 1, bytes });
        self.cargo.push(Cargo::Pending(slot));
    }

    /// Puts the next train that is due by `until` into the batch and moves the cursor behind it.
    /// Gives its pieces and how many bytes they have.
    fn load_train(
        &mut self,
        until: MonoTime,
        stream: usize,
        cursor: &mut Cursor,
    ) -> Option<(Range<u32>, u32)> {
        let Next::Train(slot, train) = self.next(stream, cursor) else { return None };
        let leaves_at = self.leaves_at(stream, train.due);
        if leaves_at > until {
            return None;
        }
        let image = self.cache.ready_mut(slot).expect("next found it ready");
        let start = self.egress.piece_count();
        let from = *cursor;
        let (as_it_lies, bytes) =
            self.egress.push_train(&self.streams[stream], image, slot.0, &train, cursor);
        self.shipments.push(Shipment { stream, image: slot, train, from, leaves_at, as_it_lies });
        let packets = train.packet_count - cursor.packet;
        cursor.sequence = cursor.sequence.wrapping_add(packets);
        cursor.train += 1;
        cursor.packet = 0;
        Some((start..self.egress.piece_count(), bytes))
    }
}
