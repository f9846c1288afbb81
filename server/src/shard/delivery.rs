//! When a stream sends: it catches up when it is late, and plans when to be looked at again.

use super::Shard;
use super::cache::ImageSlot;
use super::connection::Connection;
use super::operation::Operation;
use super::session::State;
use super::stream::{Cursor, Delivery, Extract, Stream, Transport, Upcoming};
use crate::clock::MonoTime;
use packetizer::time::ClockRate;
use std::time::Duration;

/// What a stream finds at its cursor.
pub(super) enum Next {
    /// A train that is due at this presentation time: the stream's [`Upcoming`].
    Train(i64),
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
            Delivery::Ending if now >= self.range_over(stream) => self.end_range(now, stream),
            // The range was moved since, because another stream's reader had stopped.
            Delivery::Ending => self.begin_end(now, stream),
            Delivery::Scheduled | Delivery::AwaitingImage => {
                self.deliver(now, stream, operations);
            }
            // Left over from a turn that had its fill, and since moved on.
            Delivery::Idle | Delivery::Offered | Delivery::Blocked => {}
        }
    }

    fn deliver(&mut self, now: MonoTime, stream: usize, operations: &mut Vec<Operation>) {
        if self.sessions[self.streams[stream].session].state != State::Playing {
            self.streams[stream].delivery = Delivery::Idle;
            return;
        }
        self.hold_ahead(now, stream, operations);
        self.catch_up(now, stream, operations);
        match self.streams[stream].transport {
            Transport::Udp { .. } => self.push_datagrams(now, stream),
            Transport::Interleaved { slot: Some(slot), .. } => {
                self.push_interleaved(now, stream, slot, operations);
            }
            Transport::Interleaved { slot: None, .. } => {}
        }
        if self.streams[stream].delivery != Delivery::Offered {
            self.plan(now, stream);
        }
    }

    /// Lets go of what the stream holds and points it at the start of `extract`.
    pub(super) fn move_stream(&mut self, stream: usize, extract: Extract) {
        self.release_held(stream);
        let stream = &mut self.streams[stream];
        let sequence = stream.cursor.sequence;
        stream.cursor = Cursor { image: 0, train: 0, packet: 0, sequence };
        stream.extract = extract;
        stream.sent_until = extract.first_unit;
        let index = &self.sources.title(self.sessions[stream.session].source).index;
        stream.next_segment = None;
        if extract.first_unit < extract.end_unit {
            let segment = index.segment_of(stream.track, extract.first_unit);
            stream.seek_segment(index, segment);
        }
    }

    /// Decides when the stream is looked at next. One that has come to the end of what it had to
    /// send goes on with what follows.
    pub(super) fn plan(&mut self, now: MonoTime, stream: usize) {
        if self.is_blocked(stream) {
            self.streams[stream].delivery = Delivery::Blocked;
            self.wheel.cancel(self.stream_timer(stream));
            // Nobody knows for how long: the memory is for those who read.
            self.let_go(stream);
            return;
        }
        let horizon = self.wave.horizon(now);
        let mut cursor = self.streams[stream].cursor;
        let at = match self.next(stream, &mut cursor) {
            Next::Train(due) => {
                let request_at = self.request_at(stream);
                let (at, sent) = (self.handed_over_at(stream, due), self.last_sent(stream));
                if at <= horizon && self.is_datagram(stream) && self.is_spread(stream, sent) {
                    return self.look_at_stream(stream, self.wave.spread_at(at));
                }
                if at <= horizon && self.streams[stream].delivery == Delivery::Offered {
                    // A turn had its fill.
                    return self.wake_stream(stream);
                }
                let request_at = request_at.filter(|request| *request > horizon);
                request_at.map_or(at, |request| at.min(request))
            }
            Next::Loading(image) => {
                self.counters.stalls += u64::from(!self.streams[stream].awaits_image());
                self.leave_behind(stream, cursor);
                self.await_image(now, stream, image);
                return;
            }
            Next::NotHeld => {
                self.leave_behind(stream, cursor);
                self.request_at(stream).unwrap_or(now)
            }
            Next::End if self.go_on(now, stream) => return self.wake_stream(stream),
            Next::End => match self.lap_at(now, stream) {
                Some(at) => at,
                None => return self.begin_end(now, stream),
            },
        };
        self.schedule_stream(stream, at);
    }

    /// What the stream finds from `cursor` on, which is moved there.
    pub(super) fn next(&mut self, stream: usize, cursor: &mut Cursor) -> Next {
        let stream = &mut self.streams[stream];
        if let Some(Upcoming { from, at, train, .. }) = &stream.upcoming
            && *from == *cursor
            && stream.wants(train)
            && !stream.ends_before(train)
        {
            *cursor = *at;
            return Next::Train(train.due);
        }
        let from = *cursor;
        loop {
            let Some(&(_, slot)) = stream.held.get(cursor.image as usize) else {
                return if stream.next_segment.is_some() { Next::NotHeld } else { Next::End };
            };
            let Some(image) = self.cache.ready(slot) else { return Next::Loading(slot) };
            if stream.settle(cursor, image) {
                let train = image.trains[cursor.train as usize];
                return if stream.ends_before(&train) {
                    Next::End
                } else {
                    stream.upcoming = Some(Upcoming { from, at: *cursor, image: slot, train });
                    Next::Train(train.due)
                };
            }
            *cursor = Cursor { image: cursor.image + 1, train: 0, packet: 0, ..*cursor };
        }
    }

    /// The range of a stream is over: BYE comes when the viewer has had the time to show it.
    fn begin_end(&mut self, now: MonoTime, stream: usize) {
        self.release_held(stream);
        self.forgo_next(stream);
        self.schedule_stream(stream, self.range_over(stream).max(now));
        self.streams[stream].delivery = Delivery::Ending;
    }

    /// When a viewer has seen the whole range of a stream.
    fn range_over(&self, stream: usize) -> MonoTime {
        let ends_at = self.range_of(stream).map(|range| range.timeline.ends_at());
        ends_at.unwrap_or_default() + BYE_DELAY
    }

    pub(super) fn media_rate(&self, stream: usize) -> ClockRate {
        let Stream { session, track, .. } = self.streams[stream];
        let index = &self.sources.title(self.sessions[session].source).index;
        index.tracks[usize::from(track.0)].media_rate
    }

    pub(super) fn leaves_at(&self, stream: usize, due: i64) -> MonoTime {
        self.streams[stream].timeline.leaves_at(due)
    }

    /// When what is due then is handed to the kernel: ahead of its time, if somebody keeps it.
    fn handed_over_at(&self, stream: usize, due: i64) -> MonoTime {
        let leaves_at = self.leaves_at(stream, due);
        if self.launch_ahead_nanos == 0 {
            return leaves_at;
        }
        match self.streams[stream].transport {
            Transport::Udp { .. } => leaves_at.offset_by(-self.launch_ahead_nanos),
            Transport::Interleaved { .. } => leaves_at,
        }
    }

    pub(super) fn is_blocked(&self, stream: usize) -> bool {
        let Transport::Interleaved { slot: Some(slot), .. } = self.streams[stream].transport else {
            return false;
        };
        self.connections
            .get(slot.0 as usize)
            .is_none_or(|connection: &Connection| connection.blocked)
    }
}

/// BYE follows the end of a range by this, so that no player drops what it has not shown yet.
const BYE_DELAY: Duration = Duration::from_millis(100);
