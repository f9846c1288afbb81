//! What a stream does that is too late: datagrams skip, interleaved media is delayed.

use super::Shard;
use super::delivery::Next;
use super::operation::Operation;
use super::prefetch::WAIT_MAX;
use super::stream::{Extract, Stream, Transport};
use super::wanted::UNHURRIED;
use crate::clock::MonoTime;
use crate::limits::LATENESS_MAX;
use packetizer::index::{AccessUnitEntry, SegmentId};
use std::time::Duration;

impl Shard {
    /// What is too late to be sent: a datagram stream skips to its next sync sample, an interleaved
    /// one goes on where its reader stopped, with everything after moved.
    pub(super) fn catch_up(
        &mut self,
        now: MonoTime,
        stream: usize,
        operations: &mut Vec<Operation>,
    ) {
        let mut cursor = self.streams[stream].cursor;
        let is_datagram = self.is_datagram(stream);
        let due = match self.next(stream, &mut cursor) {
            Next::Train(due) => due,
            Next::Loading(image) if is_datagram && self.waits_in_queue(image) => {
                self.leave_behind(stream, cursor);
                return self.tire(now, stream, operations);
            }
            Next::Loading(_) | Next::NotHeld | Next::End => return,
        };
        let late = now - self.leaves_at(stream, due);
        if late <= LATENESS_MAX {
            return;
        }
        if !is_datagram {
            self.delay(now, self.streams[stream].session, late);
        } else if self.skims(stream) {
            self.skip_pictures(now, stream, operations);
        } else {
            let late_unit = self.streams[stream].upcoming.map_or(0, |next| next.train.unit);
            let target = self.sync_from(stream, self.due_at(now, stream), late_unit + 1);
            let from = self.leaves_at(stream, due);
            if self.waited_for_image(now, self.streams[stream].session, late) {
                self.miss(stream, from, target);
            }
            self.skip(stream, target);
            self.hold_ahead(now, stream, operations);
        }
    }

    /// Moves everything that a session has not sent yet.
    fn delay(&mut self, now: MonoTime, slot: usize, late: Duration) {
        if self.waited_for_image(now, slot, late) {
            self.went_without(slot, None, late);
        }
        let nanos = i64::try_from(late.as_nanos()).unwrap_or(i64::MAX);
        let session = &mut self.sessions[slot];
        for range in &mut session.ranges {
            range.timeline.delay(nanos);
        }
        for stream in &session.streams {
            self.streams[*stream].timeline.delay(nanos);
        }
        self.counters.rebases += 1;
        session.report_at = Some(now);
        self.schedule_session(slot);
    }

    /// Leaves out the pictures of a skim that are late.
    fn skip_pictures(&mut self, now: MonoTime, stream: usize, operations: &mut Vec<Operation>) {
        if self.go_on(now, stream) {
            self.counters.skips += 1;
            self.hold_ahead(now, stream, operations);
        }
    }

    /// A datagram stream waits for an image that is not even being read. When its time has passed,
    /// the stream skips, together with those of its session that wait like it, so that one load
    /// serves them all. Where loads wait for long, it skips to a segment that is not due at once,
    /// which leaves time for its turn to come. It keeps its place in the queue.
    fn tire(&mut self, now: MonoTime, stream: usize, operations: &mut Vec<Operation>) {
        let session = self.streams[stream].session;
        let late = now - self.image_due(stream, 0);
        if late <= WAIT_MAX {
            return;
        }
        if self.skims(stream) {
            self.unsettle(session);
            return self.skip_pictures(now, stream, operations);
        }
        let tired = self.tired(now, stream);
        let from = self.due_at(now, stream);
        if self.loads.wait() > UNHURRIED {
            let ahead = self.due_at(now + UNHURRIED, stream);
            let whole = self.segment_from(&tired, ahead);
            // Near the end there may be nothing so far ahead.
            let target = whole.or_else(|| self.last_sync(&tired, from));
            return self.skip_all(now, &tired, target, operations);
        }
        let target = self.last_sync(&tired, from);
        let is_near = target.is_some_and(|at| self.leaves_at(stream, at) <= now + LATENESS_MAX);
        if is_near || late > LATENESS_MAX {
            self.skip_all(now, &tired, target, operations);
        }
    }

    /// When the one of some streams that has the fewest sync samples comes to its first from
    /// `from` on.
    fn last_sync(&self, streams: &[usize], from: i64) -> Option<i64> {
        self.hindmost(streams, from).map(|(stream, unit)| self.decode_nanos(stream, &unit))
    }

    /// The same from the next segment on, so that nothing is read that is skipped.
    fn segment_from(&self, streams: &[usize], from: i64) -> Option<i64> {
        let (last, unit) = self.hindmost(streams, from)?;
        let Stream { session, track, .. } = self.streams[last];
        let index = self.index(session);
        let segment = index.segment_of(track, unit.index);
        if index.segment_start(track, segment)? >= from {
            return Some(self.decode_nanos(last, &unit));
        }
        let next = index.segment_start(track, SegmentId(segment.0 + 1))?;
        Some(self.decode_nanos(last, &self.sync_from(last, next, 0)?))
    }

    /// The one of some streams that comes to its second sync sample last, and the first: that is
    /// where the others, who have more of them, can join it.
    fn hindmost(&self, streams: &[usize], from: i64) -> Option<(usize, AccessUnitEntry)> {
        let first = |of: &usize| Some((*of, self.sync_from(*of, from, 0)?));
        let firsts = streams.iter().filter_map(first);
        let second = |stream: usize, unit: &AccessUnitEntry| {
            let second = self.sync_from(stream, from, unit.index + 1);
            second.map_or(i64::MAX, |unit| self.decode_nanos(stream, &unit))
        };
        firsts
            .max_by_key(|(stream, unit)| (second(*stream, unit), self.decode_nanos(*stream, unit)))
    }

    /// A stream and the others of its session that wait in vain as it does, in its range.
    fn tired(&self, now: MonoTime, stream: usize) -> Vec<usize> {
        let Stream { session, range, .. } = self.streams[stream];
        let is_tired = |other: &usize| {
            let state = &self.streams[*other];
            let image = state.held.front().map(|(_, image)| *image);
            state.range == range
                && state.awaits_image()
                && image.is_some_and(|image| self.waits_in_queue(image))
                && self.image_due(*other, 0) < now
                && !self.skims(*other)
                && self.is_datagram(*other)
        };
        let siblings = self.sessions[session].streams.iter().copied();
        siblings.filter(|other| *other == stream || is_tired(other)).collect()
    }

    /// Has streams of a session go on at their first sync samples decoded from `from` on; without,
    /// they have come to their end.
    fn skip_all(
        &mut self,
        now: MonoTime,
        tired: &[usize],
        from: Option<i64>,
        operations: &mut Vec<Operation>,
    ) {
        for &stream in tired {
            let target = from.and_then(|from| self.sync_from(stream, from, 0));
            self.miss(stream, self.image_due(stream, 0), target);
            self.skip(stream, target);
        }
        for &stream in tired {
            self.hold_ahead(now, stream, operations);
            self.wake_stream(stream);
        }
    }

    /// Counts what a stream goes without from a time on that skips to `target`, or to its end.
    fn miss(&mut self, stream: usize, from: MonoTime, target: Option<AccessUnitEntry>) {
        let session = self.streams[stream].session;
        let goes_on = target.map(|unit| self.leaves_at(stream, self.decode_nanos(stream, &unit)));
        let ends = self.range_of(stream).map(|range| range.timeline.ends_at());
        let until = goes_on.or(ends).unwrap_or(from);
        self.went_without(session, Some(stream), until - from);
    }

    /// The first sync sample of what a stream is still to send that is decoded from `from` on, in
    /// nanoseconds, and not before `unit_min`.
    fn sync_from(&self, stream: usize, from: i64, unit_min: u32) -> Option<AccessUnitEntry> {
        let Stream { session, track, extract: Extract { end_unit, .. }, .. } = self.streams[stream];
        let index = self.index(session);
        // Rounded up: of what is due at the target nothing is late.
        let ticks = index.tracks[usize::from(track.0)].media_rate.ticks_ceil(from);
        let first = index.first_decoded_from(track, ticks).max(unit_min);
        let sync = index.next_sync(track, first).filter(|unit| *unit < end_unit)?;
        index.unit(track, sync)
    }

    fn decode_nanos(&self, stream: usize, unit: &AccessUnitEntry) -> i64 {
        self.media_rate(stream).nanos_floor(unit.decode)
    }

    /// The presentation time that a stream's packets have which leave at `at`.
    fn due_at(&self, at: MonoTime, stream: usize) -> i64 {
        self.streams[stream].timeline.due_at(at)
    }

    pub(super) fn is_datagram(&self, stream: usize) -> bool {
        matches!(self.streams[stream].transport, Transport::Udp { .. })
    }

    /// Has a stream go on at `target`, or end where there is none.
    fn skip(&mut self, stream: usize, target: Option<AccessUnitEntry>) {
        self.counters.skips += 1;
        let rate = self.media_rate(stream);
        let Stream { rtp_rate, extract: Extract { end_unit, .. }, .. } = self.streams[stream];
        let extract = Extract {
            first_unit: target.map_or(end_unit, |unit| unit.index),
            end_unit,
            timestamp_min: target
                .map_or(i64::MIN, |unit| rate.convert_nearest(unit.composition, rtp_rate)),
        };
        self.move_stream(stream, extract);
    }
}
