//! From a stream's cursor to the kernel: what is due becomes entries of the egress batch, and what
//! the kernel took moves the cursor.

use super::Shard;
use super::cache::ImageSlot;
use super::connection::Connection;
use super::egress::{Destination, Entry, Piece};
use super::operation::{ConnectionSlot, Operation, PairSocket, SendResult};
use super::session::State;
use super::stream::{Cursor, Delivery, Extract, Stream, Transport};
use crate::clock::MonoTime;
use crate::limits::{
    CONNECTION_TURN_BYTES_MAX, IMAGES_AHEAD_MAX, LATENESS_MAX, PREFETCH_LEAD, TURN_TRAINS_MAX,
};
use crate::mailbox::CloseReason;
use packetizer::image::{Numbering, PacketImage, Train};
use packetizer::index::{SegmentId, TrackId};
use packetizer::rtp::{HEADER_BYTES, Ssrc};
use std::ops::Range;
use std::time::Duration;

/// Trains one stream may send in one turn, so that a late one does not make others late.
const STREAM_TURN_TRAINS_MAX: usize = 64;
/// Pieces of one entry: the kernel takes 1024 (`IOV_MAX`), a train adds up to 128.
const ENTRY_PIECES_MAX: usize = 1024 - 128;
/// When to ask again for memory that was not there.
const MEMORY_RETRY: Duration = Duration::from_millis(10);
/// When to offer again what a full UDP socket did not take.
const FULL_RETRY: Duration = Duration::from_millis(1);

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
    image: ImageSlot,
    train: Train,
    /// Where the cursor stood.
    from: Cursor,
    leaves_at: MonoTime,
    as_it_lies: bool,
}

/// What a stream finds at its cursor.
enum Next {
    Train(ImageSlot, Train),
    /// The image is being loaded.
    Loading(ImageSlot),
    /// The image was not asked for yet.
    NotHeld,
    /// The range is over.
    End,
}

impl Shard {
    /// A stream's timer fired.
    pub(super) fn stream_due(
        &mut self,
        now: MonoTime,
        stream: usize,
        operations: &mut Vec<Operation>,
    ) {
        match self.streams[stream].delivery {
            Delivery::Ending => self.end_range(now, stream),
            Delivery::Scheduled => self.deliver(now, stream, operations),
            Delivery::Idle | Delivery::AwaitingImage | Delivery::Blocked => {}
        }
    }

    fn deliver(&mut self, now: MonoTime, stream: usize, operations: &mut Vec<Operation>) {
        if self.sessions[self.streams[stream].session].state != State::Playing {
            self.streams[stream].delivery = Delivery::Idle;
            return;
        }
        self.hold_ahead(now, stream, operations);
        self.catch_up(now, stream, operations);
        let pushed = match self.streams[stream].transport {
            Transport::Udp { .. } => self.push_datagrams(now, stream),
            Transport::Interleaved { slot: Some(slot), .. } => {
                self.push_interleaved(now, stream, slot)
            }
            Transport::Interleaved { slot: None, .. } => false,
        };
        if !pushed {
            self.plan(now, stream);
        }
    }

    /// Holds the images the stream needs now and soon.
    pub(super) fn hold_ahead(
        &mut self,
        now: MonoTime,
        stream: usize,
        operations: &mut Vec<Operation>,
    ) {
        while self.streams[stream].held.len() < IMAGES_AHEAD_MAX {
            let Some((segment, due)) = self.streams[stream].next_segment else { return };
            let leaves_at = self.leaves_at(stream, due);
            if !self.streams[stream].is_next_wanted(now, leaves_at, PREFETCH_LEAD) {
                return;
            }
            let Some(image) = self.acquire_image(now, stream, segment, operations) else { return };
            let stream = &mut self.streams[stream];
            let source = self.sessions[stream.session].source;
            stream.held.push_back((segment, image));
            let next = SegmentId(segment.0 + 1);
            stream.seek_segment(&self.sources.title(source).index, next);
        }
    }

    /// What is too late to be sent: a datagram stream skips to its next sync sample, an interleaved
    /// one goes on where its reader stopped, with everything after moved.
    fn catch_up(&mut self, now: MonoTime, stream: usize, operations: &mut Vec<Operation>) {
        let mut cursor = self.streams[stream].cursor;
        let Next::Train(_, train) = self.next(stream, &mut cursor) else { return };
        let late = now.nanos_since(self.leaves_at(stream, train.due));
        if late <= i64::try_from(LATENESS_MAX.as_nanos()).expect("a constant") {
            return;
        }
        match self.streams[stream].transport {
            Transport::Udp { .. } => self.skip(now, stream, &train, operations),
            Transport::Interleaved { .. } => {
                let session = self.streams[stream].session;
                self.sessions[session].timeline_mut().delay(late);
                self.counters.rebases += 1;
                self.sessions[session].report_at = Some(now);
                self.schedule_session(session);
            }
        }
    }

    /// Goes on at the first sync sample that is not late yet.
    fn skip(
        &mut self,
        now: MonoTime,
        stream: usize,
        train: &Train,
        operations: &mut Vec<Operation>,
    ) {
        self.counters.skips += 1;
        let end_unit = self.streams[stream].extract.end_unit;
        let session = &self.sessions[self.streams[stream].session];
        let index = &self.sources.title(session.source).index;
        let track = self.streams[stream].track;
        let rate = index.tracks[usize::from(track.0)].media_rate;
        let target = session.timeline().due_at(now);
        let mut from = train.unit + 1;
        let mut found = None;
        while let Some(sync) = index.next_sync(track, from).filter(|unit| *unit < end_unit) {
            let Some(unit) = index.unit(track, sync) else { break };
            if rate.nanos_floor(unit.decode) >= target {
                found = Some(unit);
                break;
            }
            from = sync + 1;
        }
        let rtp_rate = self.streams[stream].rtp_rate;
        let extract = Extract {
            first_unit: found.map_or(end_unit, |unit| unit.index),
            end_unit,
            timestamp_min: found
                .map_or(i64::MIN, |unit| rate.convert_nearest(unit.composition, rtp_rate)),
        };
        self.move_stream(stream, extract);
        self.hold_ahead(now, stream, operations);
    }

    /// Lets go of what the stream holds and points it at the start of `extract`.
    pub(super) fn move_stream(&mut self, stream: usize, extract: Extract) {
        self.release_held(stream);
        let stream = &mut self.streams[stream];
        let sequence = stream.cursor.sequence;
        stream.cursor = Cursor { image: 0, train: 0, packet: 0, sequence };
        stream.extract = extract;
        let index = &self.sources.title(self.sessions[stream.session].source).index;
        stream.next_segment = None;
        if extract.first_unit < extract.end_unit {
            let segment = index.segment_of(stream.track, extract.first_unit);
            stream.seek_segment(index, segment);
        }
    }

    /// Gives back the images a stream holds.
    pub(super) fn release_held(&mut self, stream: usize) {
        while let Some((_, image)) = self.streams[stream].held.pop_front() {
            self.cache.release(image);
        }
    }

    /// Decides when the stream is looked at next.
    pub(super) fn plan(&mut self, now: MonoTime, stream: usize) {
        if self.is_blocked(stream) {
            self.streams[stream].delivery = Delivery::Blocked;
            self.wheel.cancel(self.stream_timer(stream));
            return;
        }
        let mut cursor = self.streams[stream].cursor;
        let at = match self.next(stream, &mut cursor) {
            Next::Train(_, train) => {
                let request_at = self.request_at(stream);
                let at = self.leaves_at(stream, train.due);
                request_at.filter(|request| *request > now).map_or(at, |request| at.min(request))
            }
            Next::Loading(image) => {
                self.counters.stalls += 1;
                self.streams[stream].delivery = Delivery::AwaitingImage;
                self.cache.wait(image, u32::try_from(stream).expect("a slot fits"));
                return;
            }
            Next::NotHeld => self.request_at(stream).unwrap_or(now).max(now + MEMORY_RETRY),
            Next::End => {
                self.begin_end(now, stream);
                return;
            }
        };
        self.schedule_stream(stream, at);
    }

    /// When the next image must be asked for.
    fn request_at(&self, stream: usize) -> Option<MonoTime> {
        if self.streams[stream].held.len() >= IMAGES_AHEAD_MAX {
            return None;
        }
        let (_, due) = self.streams[stream].next_segment?;
        let leaves_at = self.leaves_at(stream, due);
        Some(MonoTime(leaves_at.0.saturating_sub(PREFETCH_LEAD)))
    }

    fn next(&self, stream: usize, cursor: &mut Cursor) -> Next {
        let stream = &self.streams[stream];
        loop {
            let Some(&(_, slot)) = stream.held.get(cursor.image) else {
                return if stream.next_segment.is_some() { Next::NotHeld } else { Next::End };
            };
            let Some(image) = self.cache.ready(slot) else { return Next::Loading(slot) };
            if stream.settle(cursor, image) {
                let train = image.trains[cursor.train];
                return if stream.ends_before(&train) {
                    Next::End
                } else {
                    Next::Train(slot, train)
                };
            }
            *cursor = Cursor { image: cursor.image + 1, train: 0, packet: 0, ..*cursor };
        }
    }

    /// Fills the batch with the stream's due trains, one message each.
    fn push_datagrams(&mut self, now: MonoTime, stream: usize) -> bool {
        let Transport::Udp { pair, rtp, local, .. } = self.streams[stream].transport else {
            return false;
        };
        let mut cursor = self.streams[stream].cursor;
        let mut count = 0;
        while count < STREAM_TURN_TRAINS_MAX && self.egress.entries.len() < TURN_TRAINS_MAX {
            let Some((shipment, pieces, bytes)) = self.load_train(now, stream, &mut cursor) else {
                break;
            };
            let train = shipment.train;
            let destination = Destination::Datagrams {
                pair,
                socket: PairSocket::Rtp,
                to: rtp,
                local,
                segment_bytes: train.packet_bytes,
                segment_count: train.packet_count,
            };
            self.egress.entries.push(Entry { destination, pieces, bytes });
            let position = self.shipments.len();
            self.shipments.push(shipment);
            self.cargo.push(Cargo::Trains(position..position + 1));
            count += 1;
        }
        count > 0
    }

    /// Fills the batch with the stream's due trains, all in one entry behind what is pending.
    fn push_interleaved(&mut self, now: MonoTime, stream: usize, slot: ConnectionSlot) -> bool {
        if self.is_blocked(stream) {
            return false;
        }
        self.push_pending(slot);
        let mut cursor = self.streams[stream].cursor;
        let first = self.shipments.len();
        let pieces_start = self.egress.piece_count();
        let mut total = 0;
        while (total as usize) < CONNECTION_TURN_BYTES_MAX
            && (self.egress.piece_count() - pieces_start) as usize <= ENTRY_PIECES_MAX
        {
            let Some((shipment, _, bytes)) = self.load_train(now, stream, &mut cursor) else {
                break;
            };
            self.shipments.push(shipment);
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

    /// Puts the pieces of the next due train into the batch and moves the cursor behind it.
    fn load_train(
        &mut self,
        now: MonoTime,
        stream: usize,
        cursor: &mut Cursor,
    ) -> Option<(Shipment, Range<u32>, u32)> {
        let Next::Train(slot, train) = self.next(stream, cursor) else { return None };
        let leaves_at = self.leaves_at(stream, train.due);
        if leaves_at > now {
            return None;
        }
        let image = self.cache.ready(slot).expect("next found it ready");
        let start = self.egress.piece_count();
        let from = *cursor;
        let (as_it_lies, bytes) =
            self.egress.push_train(&self.streams[stream], image, slot.0, &train, cursor);
        let shipment = Shipment { stream, image: slot, train, from, leaves_at, as_it_lies };
        let packets = train.packet_count - cursor.packet;
        cursor.sequence = cursor.sequence.wrapping_add(packets);
        cursor.train += 1;
        cursor.packet = 0;
        Some((shipment, start..self.egress.piece_count(), bytes))
    }

    /// The shell has performed the batch: one result an entry.
    pub fn sent(&mut self, now: MonoTime, results: &[SendResult], operations: &mut Vec<Operation>) {
        assert_eq!(results.len(), self.cargo.len(), "one result an entry");
        let mut cargo = std::mem::take(&mut self.cargo);
        let mut touched = std::mem::take(&mut self.touched);
        for (cargo, result) in cargo.drain(..).zip(results) {
            match cargo {
                Cargo::Trains(range) => {
                    self.trains_sent(now, range, *result, &mut touched, operations)
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
                self.schedule_stream(stream, now + FULL_RETRY);
            } else {
                self.plan(now, stream);
            }
        }
        self.touched = touched;
        self.settle_connections(now, operations);
    }

    fn trains_sent(
        &mut self,
        now: MonoTime,
        range: Range<usize>,
        result: SendResult,
        touched: &mut Vec<(usize, bool)>,
        operations: &mut Vec<Operation>,
    ) {
        let stream = self.shipments[range.start].stream;
        let datagrams = matches!(self.streams[stream].transport, Transport::Udp { .. });
        let full = datagrams && matches!(result, SendResult::Full);
        match touched.last_mut() {
            Some((last, was_full)) if *last == stream => *was_full |= full,
            _ => touched.push((stream, full)),
        }
        match (result, self.streams[stream].transport) {
            (SendResult::Full, Transport::Udp { .. }) => self.counters.sends_full += 1,
            (SendResult::Sent(_), Transport::Udp { .. }) => {
                for index in range {
                    self.commit(now, index);
                }
            }
            (SendResult::Failed(_), Transport::Udp { .. }) => {
                // The packets are lost to this viewer: their numbers are not given again.
                self.counters.sends_failed += 1;
                for shipment in &self.shipments[range] {
                    self.streams[stream].cursor = shipment.behind();
                }
            }
            (SendResult::Sent(bytes), Transport::Interleaved { slot, .. }) => {
                let slot = slot.expect("it was sent through its connection");
                self.interleaved_sent(now, range, bytes, slot, operations);
            }
            (SendResult::Full, Transport::Interleaved { slot, .. }) => {
                self.block(slot.expect("it was offered to its connection"), operations);
            }
            (SendResult::Failed(errno), Transport::Interleaved { slot, .. }) => {
                let slot = slot.expect("it was offered to its connection");
                self.closing.push((slot, CloseReason::Peer(Some(errno))));
            }
        }
    }

    /// So many bytes of the entry went into a connection: whole packets, then perhaps a part of
    /// one, whose rest must follow before anything else.
    fn interleaved_sent(
        &mut self,
        now: MonoTime,
        range: Range<usize>,
        bytes: u32,
        slot: ConnectionSlot,
        operations: &mut Vec<Operation>,
    ) {
        let mut left = bytes;
        let stream = self.shipments[range.start].stream;
        if left > 0 {
            self.connections[slot.0 as usize].active = now;
            let session = self.streams[stream].session;
            self.sessions[session].heard = now;
        }
        for index in range {
            let shipment = self.shipments[index];
            let whole = shipment.bytes();
            if left >= whole {
                left -= whole;
                self.commit(now, index);
                continue;
            }
            let rest = self.commit_part(now, &shipment, left);
            self.connections[slot.0 as usize].push(&rest);
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
        self.counters.trains_as_they_lie += u64::from(shipment.as_it_lies);
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
        let overhead = HEADER_BYTES as u32 + u32::from(stream.transport.framing().prefix_bytes());
        stream.packets_sent = stream.packets_sent.wrapping_add(packets);
        stream.octets_sent = stream.octets_sent.wrapping_add(bytes - packets * overhead);
        let high = stream.timestamp_high.get_or_insert(shipment.train.timestamp);
        *high = (*high).max(shipment.train.timestamp);
        let late = now.nanos_since(shipment.leaves_at).max(0).cast_unsigned() / 1000;
        self.counters.trains += 1;
        self.counters.packets += u64::from(packets);
        self.counters.bytes += u64::from(bytes);
        self.counters.lateness_micros.saturating_record(late);
        self.counters.train_packets.saturating_record(u64::from(packets));
    }

    /// Lets go of the images the cursor has passed.
    fn forget_passed(&mut self, stream: usize) {
        while self.streams[stream].cursor.image > 0 {
            let (_, image) = self.streams[stream].held.pop_front().expect("the cursor passed it");
            self.cache.release(image);
            self.streams[stream].cursor.image -= 1;
        }
    }

    /// The range of a stream is over: BYE comes when the viewer has had the time to show it.
    fn begin_end(&mut self, now: MonoTime, stream: usize) {
        let timeline = self.sessions[self.streams[stream].session].timeline();
        let length = timeline.end.nanos().saturating_sub(timeline.start.nanos());
        let over = timeline.started + Duration::from_nanos(length) + BYE_DELAY;
        self.release_held(stream);
        self.schedule_stream(stream, over.max(now));
        self.streams[stream].delivery = Delivery::Ending;
    }

    fn leaves_at(&self, stream: usize, due: i64) -> MonoTime {
        self.sessions[self.streams[stream].session].timeline().leaves_at(due)
    }

    fn is_blocked(&self, stream: usize) -> bool {
        let Transport::Interleaved { slot: Some(slot), .. } = self.streams[stream].transport else {
            return false;
        };
        self.connections
            .get(slot.0 as usize)
            .is_none_or(|connection: &Connection| connection.blocked)
    }

    /// The numbering the packets of a loading image will have for the stream that caused it, as far
    /// as that can be known: what lies between its cursor and that image.
    pub(super) fn expected_numbering(
        &self,
        stream: usize,
        track: TrackId,
        image: ImageSlot,
    ) -> Numbering {
        let unknown = Numbering { ssrc: Ssrc(0), sequence: 0, timestamp_zero: 0, channel: 0 };
        let Some(stream) = self.streams.get(stream).filter(|stream| stream.track == track) else {
            return unknown;
        };
        let mut sequence = stream.cursor.sequence;
        for (position, (_, held)) in stream.held.iter().enumerate() {
            if *held == image {
                break;
            }
            let Some(before) = self.cache.ready(*held) else { return unknown };
            sequence = sequence.wrapping_add(packets_left(stream, before, position));
        }
        stream.numbering(sequence)
    }
}

/// BYE follows the end of a range by this, so that no player drops what it has not shown yet.
const BYE_DELAY: Duration = Duration::from_millis(100);

/// Packets of a held image that the stream has still to send.
#[allow(clippy::cast_possible_truncation, reason = "sequence numbers wrap")]
fn packets_left(stream: &Stream, image: &PacketImage, position: usize) -> u16 {
    let passed = if position == 0 {
        match image.trains.get(stream.cursor.train) {
            Some(train) => train.first_packet + u32::from(stream.cursor.packet),
            None => image.packet_count,
        }
    } else {
        0
    };
    (image.packet_count - passed) as u16
}

impl Shipment {
    /// The cursor once all of it went.
    const fn behind(&self) -> Cursor {
        let packets = self.train.packet_count - self.from.packet;
        Cursor {
            image: self.from.image,
            train: self.from.train + 1,
            packet: 0,
            sequence: self.from.sequence.wrapping_add(packets),
        }
    }

    /// The sequence number of the train's first packet.
    const fn train_sequence(&self) -> u16 {
        self.from.sequence.wrapping_sub(self.from.packet)
    }

    /// Bytes from the cursor to the train's end.
    const fn bytes(&self) -> u32 {
        self.train.bytes() - self.from.packet as u32 * self.train.packet_bytes as u32
    }
}
