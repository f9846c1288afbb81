//! The images that a stream holds: those it sends from now and soon.

use super::Shard;
use super::cache::ImageSlot;
use super::operation::Operation;
use super::stream::{Cursor, Delivery, Stream, Transport};
use crate::clock::MonoTime;
use crate::limits::{IMAGES_AHEAD_MAX, LATENESS_MAX, PREFETCH_LEAD};
use packetizer::index::SegmentId;
use std::time::Duration;

/// A datagram stream whose image is not even being read this long after its first packet was due
/// skips: what is read for it should still come in time.
pub(super) const WAIT_MAX: Duration = Duration::from_millis(500);

impl Shard {
    /// Holds the images the stream needs now and soon.
    pub(super) fn hold_ahead(
        &mut self,
        now: MonoTime,
        stream: usize,
        operations: &mut Vec<Operation>,
    ) {
        let horizon = self.wave.horizon(now);
        while self.streams[stream].held.len() < IMAGES_AHEAD_MAX
            && let Some((segment, due)) = self.streams[stream].next_segment
        {
            let leaves_at = self.leaves_at(stream, due);
            // What is asked for while all is late would be read in a hurry: first it catches up.
            let is_behind = leaves_at + LATENESS_MAX < now && !self.streams[stream].held.is_empty();
            if is_behind || leaves_at.0 > horizon.0.saturating_add(self.lead(stream, segment)) {
                break;
            }
            let image = self.acquire_image(now, stream, segment, leaves_at, operations);
            let stream = &mut self.streams[stream];
            let source = self.sessions[stream.session].source;
            stream.held.push_back((segment, image));
            let next = SegmentId(segment.0 + 1);
            stream.seek_segment(&self.sources.title(source).index, next);
        }
        self.await_next(stream);
    }

    /// Tells the cache what the stream will want next.
    fn await_next(&mut self, stream: usize) {
        let Stream { next_segment: next, awaited, .. } = self.streams[stream];
        // A stream keeps its title and its layout.
        if awaited.map(|key| key.segment) == next.map(|(segment, _)| segment) {
            return;
        }
        let awaited = next.map(|(segment, start)| (self.image_key(stream, segment), start));
        self.forgo_next(stream);
        if let Some((key, start)) = awaited {
            self.cache.audience.join(key, start);
            self.streams[stream].awaited = Some(key);
        }
    }

    /// Tells the cache that the stream goes no further, for now or for good.
    pub(super) fn forgo_next(&mut self, stream: usize) {
        if let Some(key) = self.streams[stream].awaited.take() {
            self.cache.audience.leave(key);
        }
    }

    /// Gives back the images a stream holds; its cursor stays, and will want the first of them
    /// again.
    pub(super) fn let_go(&mut self, stream: usize) {
        let first = self.streams[stream].held.front().copied();
        self.release_held(stream);
        self.forgo_next(stream);
        if let Some((segment, _)) = first {
            let source = self.sessions[self.streams[stream].session].source;
            let stream = &mut self.streams[stream];
            stream.seek_segment(&self.sources.title(source).index, segment);
        }
    }

    /// Gives back the images a stream holds.
    pub(super) fn release_held(&mut self, stream: usize) {
        self.streams[stream].upcoming = None;
        while let Some((_, image)) = self.streams[stream].held.pop_front() {
            self.release_image(image);
        }
    }

    /// Lets go of images that have nothing more to send: whoever waits for memory must not have
    /// what others wait for.
    pub(super) fn leave_behind(&mut self, stream: usize, cursor: Cursor) {
        self.streams[stream].cursor = cursor;
        self.forget_passed(stream);
    }

    /// Waits for the image at the cursor to be ready; a datagram stream looks whether it would
    /// rather skip, for the last time when all it waits for must be late.
    pub(super) fn await_image(&mut self, now: MonoTime, stream: usize, image: ImageSlot) {
        if !self.streams[stream].awaits_image() {
            self.sessions[self.streams[stream].session].standing.stalled = now;
        }
        self.streams[stream].delivery = Delivery::AwaitingImage;
        self.cache.wait(image, u32::try_from(stream).expect("a slot fits"));
        if !self.waits_in_queue(image) {
            return;
        }
        self.let_go_behind(stream);
        let due = self.image_due(stream, 0);
        let look = [due + WAIT_MAX, due + LATENESS_MAX].into_iter().find(|at| *at >= now);
        if matches!(self.streams[stream].transport, Transport::Udp { .. })
            && let Some(at) = look
        {
            // It is too late when the time has passed, not when it has come.
            self.wheel.schedule(self.stream_timer(stream), at + Duration::from_nanos(1));
        }
    }

    /// Gives back what a stream holds behind the image at its cursor: whoever waits for memory
    /// must not have what others wait for.
    fn let_go_behind(&mut self, stream: usize) {
        self.cut_held(stream, 1, |_| false);
    }

    /// When the next image must be asked for.
    pub(super) fn request_at(&self, stream: usize) -> Option<MonoTime> {
        if self.streams[stream].held.len() >= IMAGES_AHEAD_MAX {
            return None;
        }
        let (segment, due) = self.streams[stream].next_segment?;
        let leaves_at = self.leaves_at(stream, due);
        Some(MonoTime(leaves_at.0.saturating_sub(self.lead(stream, segment))))
    }

    /// How long before its first packet the stream asks for a segment's image, in nanoseconds.
    fn lead(&self, stream: usize, segment: SegmentId) -> u64 {
        if self.streams[stream].unread == Some(segment) { 0 } else { PREFETCH_LEAD }
    }

    /// When the segment of a held image is due, whatever the stream wants of it.
    pub(super) fn segment_due(&self, stream: usize, position: usize) -> MonoTime {
        let Stream { session, track, ref held, .. } = self.streams[stream];
        let index = &self.sources.title(self.sessions[session].source).index;
        self.leaves_at(stream, index.segment_start(track, held[position].0).unwrap_or(i64::MIN))
    }

    /// Lets go of the images from a position on, which the stream will ask for again. Those that
    /// `is_gone` names the cache is about to forget.
    pub(super) fn cut_held(
        &mut self,
        stream: usize,
        position: usize,
        is_gone: impl Fn(ImageSlot) -> bool,
    ) {
        self.streams[stream].upcoming = None;
        while self.streams[stream].held.len() > position {
            let (segment, image) = self.streams[stream].held.pop_back().expect("longer than that");
            if !is_gone(image) {
                self.release_image(image);
            }
            let source = self.sessions[self.streams[stream].session].source;
            let stream = &mut self.streams[stream];
            stream.seek_segment(&self.sources.title(source).index, segment);
        }
        self.await_next(stream);
    }

    /// Whether the read of an image that is not ready has not begun.
    pub(super) fn waits_in_queue(&self, image: ImageSlot) -> bool {
        self.cache.load(image).is_some_and(|load| self.loads.is_queued(load))
    }

    /// When the first packet that the stream wants of a held image leaves.
    pub(super) fn image_due(&self, stream: usize, position: usize) -> MonoTime {
        let Stream { session, track, extract, ref held, .. } = self.streams[stream];
        let index = &self.sources.title(self.sessions[session].source).index;
        let start = index.segment_start(track, held[position].0);
        let first = index.unit(track, extract.first_unit);
        let rate = index.tracks[usize::from(track.0)].media_rate;
        let first = first.map(|unit| rate.nanos_floor(unit.decode));
        self.leaves_at(stream, start.max(first).unwrap_or(i64::MIN))
    }
}
