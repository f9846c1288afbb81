//! What the kernel took of a batch moves the cursors; what it did not stays where it is.

use super::Shard;
use super::batch::{Cargo, Shipment};
use super::operation::{ConnectionSlot, Operation, SendResult};
use super::stream::{Cursor, Stream, Upcoming};
use crate::clock::MonoTime;
use crate::mailbox::CloseReason;
use packetizer::image::Train;
use packetizer::rtp::HEADER_BYTES;
use std::ops::Range;
use std::time::Duration;

/// When to offer again what a full UDP socket did not take.
const FULL_RETRY: Duration = Duration::from_millis(1);

impl Shard {
    /// The shell has performed the batch: one result an entry.
    pub fn sent(&mut self, now: MonoTime, results: &[SendResult], operations: &mut Vec<Operation>) {
        assert_eq!(results.len(), self.cargo.len(), "one result an entry");
        let mut cargo = std::mem::take(&mut self.cargo);
        let mut touched = std::mem::take(&mut self.touched);
        for (cargo, result) in cargo.drain(..).zip(results) {
            match cargo {
                Cargo::Datagrams(shipments) => {
                    self.datagrams_sent(now, shipments, *result, &mut touched);
                }
                Cargo::Interleaved(slot, range) => {
                    self.interleaved_sent(now, slot, range, *result, &mut touched, operations);
                }
                Cargo::Pending(slot) => self.pending_sent(now, slot, *result, operations),
                Cargo::Rtcp => self.counters.sends_failed += u64::from(!result.is_sent()),
            }
        }
        self.cargo = cargo;
        self.shipments.clear();
        self.egress.clear();
        for (stream, full) in touched.drain(..) {
            self.forget_passed(stream);
            if full {
                self.look_at_stream(stream, now + FULL_RETRY);
            } else {
                self.plan(now, stream);
            }
        }
        self.touched = touched;
        self.settle_connections(now, operations);
        self.start_loads(now, operations);
    }

    fn datagrams_sent(
        &mut self,
        now: MonoTime,
        shipments: Range<usize>,
        result: SendResult,
        touched: &mut Vec<(usize, bool)>,
    ) {
        let stream = self.shipments[shipments.start].stream;
        let full = matches!(result, SendResult::Full);
        match touched.last_mut() {
            Some((last, was_full)) if *last == stream => *was_full |= full,
            _ => touched.push((stream, full)),
        }
        match result {
            SendResult::Sent(_) => {
                let trains = &self.shipments[shipments.clone()];
                let packets =
                    trains.iter().map(|shipment| u64::from(shipment.train.packet_count)).sum();
                let as_they_lie = trains.iter().all(|shipment| shipment.as_it_lies);
                self.counters.train(packets, as_they_lie);
                shipments.for_each(|index| self.commit(now, index));
            }
            SendResult::Full => self.counters.sends_full += 1,
            SendResult::Failed(_) => {
                // The packets are lost to this viewer: their numbers are not given again.
                self.counters.sends_failed += 1;
                self.streams[stream].cursor = self.shipments[shipments.end - 1].behind();
            }
        }
    }

    fn interleaved_sent(
        &mut self,
        now: MonoTime,
        slot: ConnectionSlot,
        range: Range<usize>,
        result: SendResult,
        touched: &mut Vec<(usize, bool)>,
        operations: &mut Vec<Operation>,
    ) {
        let first = touched.len();
        for shipment in &self.shipments[range.clone()] {
            if touched[first..].iter().all(|(stream, _)| *stream != shipment.stream) {
                touched.push((shipment.stream, false));
            }
        }
        match result {
            SendResult::Sent(bytes) => self.bytes_sent(now, slot, range, bytes, operations),
            SendResult::Full => self.block(slot, operations),
            SendResult::Failed(errno) => {
                self.closing.push((slot, CloseReason::Peer(Some(errno))));
            }
        }
    }

    /// So many bytes of the entry went into a connection: whole packets, then perhaps a part of
    /// one, whose rest must follow before anything else.
    fn bytes_sent(
        &mut self,
        now: MonoTime,
        slot: ConnectionSlot,
        range: Range<usize>,
        bytes: u32,
        operations: &mut Vec<Operation>,
    ) {
        let mut left = bytes;
        if left > 0 {
            self.connections[slot.0 as usize].active = now;
            let session = self.streams[self.shipments[range.start].stream].session;
            self.sessions[session].heard = now;
        }
        for index in range {
            let shipment = self.shipments[index];
            let whole = shipment.bytes();
            if left >= whole {
                left -= whole;
                let packets = shipment.train.packet_count - shipment.from.packet;
                self.counters.train(packets.into(), shipment.as_it_lies);
                self.commit(now, index);
                continue;
            }
            let rest = self.commit_part(now, &shipment, left);
            self.connections[slot.0 as usize].push_rest(&rest);
            self.block(slot, operations);
            return;
        }
    }

    /// A whole shipment went.
    fn commit(&mut self, now: MonoTime, index: usize) {
        let shipment = self.shipments[index];
        let packets = u32::from(shipment.train.packet_count - shipment.from.packet);
        self.count(now, &shipment, packets, shipment.bytes());
        self.streams[shipment.stream].cursor = shipment.behind();
    }

    /// Only the first `bytes` bytes of a shipment went. Gives the rest of a packet that went half.
    fn commit_part(&mut self, now: MonoTime, shipment: &Shipment, bytes: u32) -> Vec<u8> {
        let mut gone = 0;
        let mut packet = shipment.from.packet;
        while gone + shipment.train.packet_range(packet).1 <= bytes {
            gone += shipment.train.packet_range(packet).1;
            packet += 1;
        }
        let mut rest = Vec::new();
        if gone < bytes {
            let image = self.cache.ready(shipment.image).expect("the stream holds it");
            let numbering = self.streams[shipment.stream].numbering(shipment.train_sequence());
            let (offset, length) = shipment.train.packet_range(packet);
            let header = u32::try_from(image.header_bytes()).expect("a constant");
            image.stamp(&shipment.train, packet, &numbering, &mut rest);
            let body = (offset + header) as usize..(offset + length) as usize;
            rest.extend_from_slice(&image.bytes[body]);
            rest.drain(..(bytes - gone) as usize);
            gone += length;
            packet += 1;
        }
        let count = packet - shipment.from.packet;
        if count > 0 {
            self.counters.train(count.into(), false);
        }
        self.count(now, shipment, u32::from(count), gone);
        let sequence = shipment.from.sequence.wrapping_add(count);
        self.streams[shipment.stream].cursor = if packet == shipment.train.packet_count {
            shipment.behind()
        } else {
            Cursor { packet, sequence, ..shipment.from }
        };
        rest
    }

    fn count(&mut self, now: MonoTime, shipment: &Shipment, packets: u32, bytes: u32) {
        if packets == 0 {
            return;
        }
        let stream = &mut self.streams[shipment.stream];
        let prefix = usize::from(stream.transport.framing().prefix_bytes());
        let overhead = u32::try_from(HEADER_BYTES + prefix).expect("a constant");
        stream.sent.packets += u64::from(packets);
        let Train { packet_count, padding_bytes, .. } = shipment.train;
        let is_last = u32::from(shipment.from.packet) + packets == u32::from(packet_count);
        let padding = if is_last { u32::from(padding_bytes) } else { 0 };
        stream.sent.octets += u64::from(bytes - packets * overhead - padding);
        let timestamp = shipment.train.timestamp + stream.timestamp_offset;
        stream.timestamp_high = stream.timestamp_high.max(Some(timestamp));
        stream.due_sent = Some(shipment.train.due);
        stream.sent_until = shipment.train.unit + 1;
        let late = now.nanos_since(shipment.leaves_at).max(0).cast_unsigned() / 1000;
        self.counters.packets += u64::from(packets);
        self.counters.bytes += u64::from(bytes);
        self.counters.lateness_micros.saturating_record(late);
    }

    /// Lets go of the images the cursor has passed.
    pub(super) fn forget_passed(&mut self, stream: usize) {
        while self.streams[stream].cursor.image > 0 {
            let (_, image) = self.streams[stream].held.pop_front().expect("the cursor passed it");
            self.release_image(image);
            let Stream { cursor, upcoming, .. } = &mut self.streams[stream];
            cursor.image -= 1;
            *upcoming = upcoming.and_then(Upcoming::past_an_image);
            let session = self.streams[stream].session;
            self.sessions[session].standing.since = None;
        }
    }
}
