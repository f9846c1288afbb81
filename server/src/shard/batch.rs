//! The egress batch of a turn: what is due becomes entries for the kernel. A viewer's datagrams are
//! a message a train, or for several that follow each other; [`super::interleaving`] makes one
//! entry of all that a connection is due.

use super::Shard;
use super::cache::ImageSlot;
use super::delivery::Next;
use super::egress::{Destination, Entry, Piece};
use super::operation::{ConnectionSlot, PairSocket};
use super::stream::{Cursor, Delivery, Stream, Transport, Upcoming};
use crate::clock::MonoTime;
use crate::limits::TURN_TRAINS_MAX;
use packetizer::image::{Bursts, TRAIN_BYTES_MAX, Train};
use std::ops::Range;

/// Trains one stream may send in one turn, so that a late one does not make others late.
const STREAM_TURN_TRAINS_MAX: usize = 64;

/// What an entry of the batch carries, for when its result comes.
#[derive(Clone, Debug)]
pub(super) enum Cargo {
    /// Trains as one datagram message: their shipments.
    Datagrams(Range<usize>),
    /// Trains of the streams that a connection carries: their shipments.
    Interleaved(ConnectionSlot, Range<usize>),
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
    /// Fills the batch with the stream's due trains: one message each, or for those that may leave
    /// in one. What is handed over ahead of its time has that with it.
    pub(super) fn push_datagrams(&mut self, now: MonoTime, stream: usize) {
        let Transport::Udp { pair, rtp, local, .. } = self.streams[stream].transport else {
            return;
        };
        let mut cursor = self.streams[stream].cursor;
        let (mut count, mut before) = (0, self.last_sent(stream));
        let until = self.wave.horizon(now).offset_by(self.launch_ahead_nanos);
        let spread_until = self.wave.spread_horizon(now);
        while count < STREAM_TURN_TRAINS_MAX && self.shipments.len() < TURN_TRAINS_MAX {
            let position = self.shipments.len();
            if count > 0 && self.joins_message(stream, &mut cursor) {
                count += 1;
                continue;
            }
            let Next::Train(due) = self.next(stream, &mut cursor) else { break };
            let leaves_at = self.leaves_at(stream, due);
            let until = if self.is_spread(stream, before) { spread_until } else { until };
            if leaves_at > until {
                break;
            }
            let (pieces, bytes) = self.ship(stream, &mut cursor, leaves_at);
            let launches_at = self.launch(now, stream, leaves_at);
            count += 1;
            let train = &self.shipments[position].train;
            before = Some((train.unit + 1, train.due));
            let destination = Destination::Datagrams {
                pair,
                socket: PairSocket::Rtp,
                to: rtp.address(),
                local,
                segment_bytes: train.packet_bytes,
                segment_count: train.packet_count,
                launches_at,
            };
            self.egress.entries.push(Entry { destination, pieces, bytes });
            self.cargo.push(Cargo::Datagrams(position..position + 1));
        }
    }

    /// Puts the stream's next train into its message in front, if that may carry it too: it follows
    /// what is there, and is due with its first or soon after (`--datagrams-ahead`). Whether it
    /// did.
    fn joins_message(&mut self, stream: usize, cursor: &mut Cursor) -> bool {
        let Some(Cargo::Datagrams(shipments)) = self.cargo.last().cloned() else { return false };
        let [first, before] = [shipments.start, shipments.end - 1].map(|at| self.shipments[at]);
        let mut next = *cursor;
        let Next::Train(due) = self.next(stream, &mut next) else { return false };
        let Some(Upcoming { image, train, .. }) = self.streams[stream].upcoming else {
            return false;
        };
        let trains = self.shipments[shipments.clone()].iter().map(|shipment| shipment.train);
        let packets = trains.map(|train| train.packet_count).sum::<u16>() + train.packet_count;
        let bytes = self.egress.entries.last().map_or(0, |entry| entry.bytes) + train.bytes();
        let Bursts { packets_max, joined_nanos } = self.config.bursts;
        let is_joined = image == before.image
            && train.follows(&before.train, first.train.packet_bytes)
            && due.saturating_sub(first.train.due) <= joined_nanos
            && packets <= packets_max
            && bytes <= TRAIN_BYTES_MAX;
        if is_joined {
            *cursor = next;
            let (pieces, bytes) = self.ship(stream, cursor, self.leaves_at(stream, due));
            self.egress.join(pieces, bytes, train.packet_count);
            if let Some(Cargo::Datagrams(shipments)) = self.cargo.last_mut() {
                shipments.end += 1;
            }
        }
        is_joined
    }

    /// Whether the stream's next train is one of those that a picture is spread over, which keep
    /// their distance: the kernel sees to that, or the train leaves hardly ahead of its time. What
    /// is in front of it is `before`: the number behind its unit, and its time.
    pub(super) fn is_spread(&self, stream: usize, before: Option<(u32, i64)>) -> bool {
        let Some(Upcoming { train, .. }) = self.streams[stream].upcoming else { return false };
        let is_rest = before.is_some_and(|(until, due)| until == train.unit + 1 && due < train.due);
        (is_rest || !train.ends_unit) && self.launch_ahead_nanos == 0
    }

    /// What the stream sent last: the number behind its unit, and its time.
    pub(super) fn last_sent(&self, stream: usize) -> Option<(u32, i64)> {
        let Stream { sent_until, due_sent, .. } = &self.streams[stream];
        due_sent.map(|due| (*sent_until, due))
    }

    /// When the kernel is to let a train go that is handed over, if not at once: never before one
    /// of the stream's that it has already, as it might after a seek.
    fn launch(&mut self, now: MonoTime, stream: usize, leaves_at: MonoTime) -> Option<MonoTime> {
        let launched = &mut self.streams[stream].launched;
        let at = leaves_at.max(*launched);
        *launched = at;
        (self.launch_ahead_nanos > 0 && at > now).then_some(at)
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

    /// When the stream's next train leaves, if that is by `until`; the cursor is moved to it.
    pub(super) fn due_train(
        &mut self,
        until: MonoTime,
        stream: usize,
        cursor: &mut Cursor,
    ) -> Option<MonoTime> {
        let Next::Train(due) = self.next(stream, cursor) else { return None };
        Some(self.leaves_at(stream, due)).filter(|leaves_at| *leaves_at <= until)
    }

    /// Puts the train that [`Self::due_train`] has found into the batch and moves the cursor behind
    /// it. Gives its pieces and how many bytes they have.
    pub(super) fn ship(
        &mut self,
        stream: usize,
        cursor: &mut Cursor,
        leaves_at: MonoTime,
    ) -> (Range<u32>, u32) {
        let Upcoming { image: slot, train, .. } =
            self.streams[stream].upcoming.expect("a train was found");
        let image = self.cache.ready_mut(slot).expect("it was found ready");
        let start = self.egress.piece_count();
        let (as_it_lies, bytes) =
            self.egress.push_train(&self.streams[stream], image, slot.0, &train, cursor);
        let from = *cursor;
        let shipment = Shipment { stream, image: slot, train, from, leaves_at, as_it_lies };
        *cursor = shipment.behind();
        self.shipments.push(shipment);
        self.egress.media_bytes += bytes as usize;
        self.streams[stream].delivery = Delivery::Offered;
        (start..self.egress.piece_count(), bytes)
    }
}
