//! PAUSE, at once or at a point of what is played (RFC 2326 §10.6), and the end of ranges.

use super::Shard;
use super::session::{PausePoint, PlayRange, State};
use super::stream::{Delivery, Extract};
use super::timeline::signed_nanos;
use crate::clock::MonoTime;
use crate::mailbox::{NotMoved, Paused, Report, SessionKey};
use packetizer::index::{Cue, Direction, SeekPoint, SegmentId};
use packetizer::time::Npt;

/// Where a pause point lies.
enum Place {
    /// In what was played already of the range that is played now.
    Passed,
    /// In a range, in what is still to be played.
    Inside(usize),
    /// Behind a range and not in the next.
    Behind(usize),
}

impl Shard {
    /// Stops delivery, at once or when it comes to a point, and keeps the position. What was to
    /// follow is forgotten.
    pub(super) fn pause(
        &mut self,
        now: MonoTime,
        key: SessionKey,
        at: Option<Npt>,
    ) -> Result<Paused, NotMoved> {
        let &slot = self.session_slots.get(&key).ok_or(NotMoved::Gone)?;
        self.sessions[slot].heard = now;
        self.schedule_session(slot);
        let Some(at) = at else { return Ok(Paused::At(self.pause_now(now, slot))) };
        if !self.is_under_way(slot) {
            return Err(NotMoved::OutOfRange);
        }
        match self.find_point(now, slot, at).ok_or(NotMoved::OutOfRange)? {
            Place::Passed => {
                self.pause_now(now, slot);
                self.sessions[slot].state = State::Paused(at);
                self.sessions[slot].is_displaced = true;
                return Ok(Paused::At(at));
            }
            Place::Inside(position) => self.cut_off(slot, position, at),
            Place::Behind(position) => {
                self.restore_range(slot, position);
                self.keep_ranges(slot, position);
                self.sessions[slot].pause_point = Some(Box::new(PausePoint { at, whole: None }));
            }
        }
        Ok(Paused::Later)
    }

    fn pause_now(&mut self, now: MonoTime, slot: usize) -> Npt {
        let mut position = self.position(now, slot);
        if !self.is_under_way(slot) {
            return position;
        }
        let mut current = self.standing(now, slot);
        if let Some(next) = self.begun_range(now, slot) {
            // What has left of it is not taken back; it is paused at its beginning.
            self.enter_all(slot, next);
            (current, position) = (next, self.sessions[slot].ranges[next].timeline.start);
        }
        self.restore_range(slot, current);
        self.keep_ranges(slot, current);
        let session = &mut self.sessions[slot];
        session.first_range = session.end_range().wrapping_sub(1);
        session.ranges.drain(..current);
        session.state = State::Paused(position);
        session.report_at = None;
        session.pause_point = None;
        for index in 0..self.sessions[slot].streams.len() {
            let stream = self.sessions[slot].streams[index];
            self.halt(stream);
        }
        self.schedule_session(slot);
        position
    }

    /// The position of a range of which something was sent before the one in front of it was over:
    /// a wave may begin before it and end in it.
    fn begun_range(&self, now: MonoTime, slot: usize) -> Option<usize> {
        let session = &self.sessions[slot];
        let next = session.current(now) + 1;
        let mut streams = session.streams.iter().map(|stream| &self.streams[*stream]);
        let has_begun = streams.any(|stream| {
            session.position_of(stream.range) == Some(next) && stream.due_sent.is_some()
        });
        has_begun.then_some(next)
    }

    /// Has the streams that are in earlier ranges go on with one.
    fn enter_all(&mut self, slot: usize, next: usize) {
        let count = u32::try_from(next).expect("RANGES_MAX");
        let ordinal = self.sessions[slot].first_range.wrapping_add(count);
        for position in 0..self.sessions[slot].streams.len() {
            let stream = self.sessions[slot].streams[position];
            if self.streams[stream].range != ordinal {
                self.enter_range(stream, ordinal);
            }
        }
    }

    /// Where the session first comes to a point.
    fn find_point(&self, now: MonoTime, slot: usize, at: Npt) -> Option<Place> {
        let session = &self.sessions[slot];
        let current = session.current(now);
        let whole = session.pause_point.as_ref().and_then(|point| point.whole.as_ref());
        for (position, range) in session.ranges.iter().enumerate().skip(current) {
            let next = session.ranges.get(position + 1);
            let timeline = whole.filter(|_| next.is_none()).unwrap_or(range).timeline;
            if timeline.contains(at) {
                let viewing = |nanos| timeline.viewing(nanos);
                let is_passed = position == current
                    && session.state == State::Playing
                    && viewing(signed_nanos(at)) <= viewing(timeline.due_at(now));
                return Some(if is_passed { Place::Passed } else { Place::Inside(position) });
            }
            let between = |next: &PlayRange| match timeline.pace.scale.direction() {
                Direction::Forward => at > timeline.end && at < next.timeline.start,
                Direction::Backward => at < timeline.end && at > next.timeline.start,
            };
            if at == timeline.end || next.is_some_and(between) {
                return Some(Place::Behind(position));
            }
        }
        None
    }

    /// Ends a range at a point, and forgets what was to follow it.
    fn cut_off(&mut self, slot: usize, position: usize, at: Npt) {
        self.restore_range(slot, position);
        self.keep_ranges(slot, position);
        let mut range = self.sessions[slot].ranges[position].clone();
        let whole = Some(range.clone());
        range.timeline.end = at;
        if !range.timeline.pace.is_skim() {
            let tracks = self.tracks(&self.sessions[slot]);
            let (index, start) = (self.index(slot), range.timeline.start);
            let cut = index.cue_at(tracks, start, Some(at), SeekPoint::RandomAccess);
            for track in &mut range.tracks {
                let cut = cut.iter().flat_map(|cue| &cue.tracks);
                if let Some(cut) = cut.into_iter().find(|cut| cut.track == track.track) {
                    track.end_unit = track.end_unit.min(cut.end_unit).max(track.first_unit);
                }
            }
        }
        self.sessions[slot].ranges[position] = range;
        self.sessions[slot].pause_point = Some(Box::new(PausePoint { at, whole }));
        self.apply_ends(slot, position);
    }

    /// Takes back where a range was cut off.
    fn restore_range(&mut self, slot: usize, position: usize) {
        let session = &mut self.sessions[slot];
        let Some(whole) = session.pause_point.take().and_then(|point| point.whole) else { return };
        let is_last = position + 1 == session.ranges.len();
        if let Some(range) = session.ranges.get_mut(position).filter(|_| is_last) {
            range.tracks = whole.tracks;
            range.timeline.end = whole.timeline.end;
            self.apply_ends(slot, position);
        }
    }

    /// Has the range that a session is paused in end where a cue does.
    pub(super) fn extend_range(&mut self, slot: usize, cue: &Cue, is_endless: bool) {
        let range = &mut self.sessions[slot].ranges[0];
        (range.timeline.end, range.is_closed, range.is_endless) = (cue.end, false, is_endless);
        for track in &mut range.tracks {
            if let Some(found) = cue.tracks.iter().find(|found| found.track == track.track) {
                track.end_unit = found.end_unit;
            }
        }
        self.apply_ends(slot, 0);
    }

    /// Tells the streams in a range where it now ends.
    fn apply_ends(&mut self, slot: usize, position: usize) {
        let position = u32::try_from(position).expect("RANGES_MAX");
        let ordinal = self.sessions[slot].first_range.wrapping_add(position);
        for index in 0..self.sessions[slot].streams.len() {
            let stream = self.sessions[slot].streams[index];
            if self.streams[stream].range != ordinal || self.skims(stream) {
                continue;
            }
            let track = self.streams[stream].track;
            let Some(range) = self.range_of(stream) else { continue };
            let Some(cue) = range.tracks.iter().find(|cue| cue.track == track) else { continue };
            let (end_unit, end) = (cue.end_unit, range.timeline.end);
            self.streams[stream].timeline.end = end;
            self.end_stream_at(stream, end_unit);
        }
        if self.is_playing(slot) {
            self.look_again(slot);
        }
    }

    /// Has a stream end its range with another unit than before.
    fn end_stream_at(&mut self, stream: usize, end_unit: u32) {
        let before = self.streams[stream].extract;
        // What has begun to leave is not taken back, and not sent again either.
        let sent_until = self.streams[stream].sent_until;
        let end_unit = end_unit.max(sent_until);
        let held = self.streams[stream].held.back().map(|(segment, _)| SegmentId(segment.0 + 1));
        let next = self.streams[stream].next_segment.map(|(segment, _)| segment);
        let Some(segment) = next.or(held) else {
            // It had sent everything.
            let first_unit = before.end_unit.max(sent_until);
            let extract = Extract { first_unit, end_unit, ..before };
            return self.move_stream(stream, extract);
        };
        let source = self.sessions[self.streams[stream].session].source;
        let stream = &mut self.streams[stream];
        stream.extract.end_unit = end_unit;
        stream.seek_segment(&self.sources.title(source).index, segment);
    }

    /// Wakes the streams that wait for a time, because another may now be the right one, and those
    /// that had come to the end, because that may have moved.
    fn look_again(&mut self, slot: usize) {
        for index in 0..self.sessions[slot].streams.len() {
            let stream = self.sessions[slot].streams[index];
            let delivery = self.streams[stream].delivery;
            if delivery == Delivery::Scheduled || self.streams[stream].is_done() {
                self.wake_stream(stream);
            }
        }
    }

    /// Forgets the ranges behind one; the streams that are there already have nothing more to send.
    fn keep_ranges(&mut self, slot: usize, position: usize) {
        let session = &mut self.sessions[slot];
        session.ranges.truncate(position + 1);
        let last = session.end_range().wrapping_sub(1);
        for index in 0..self.sessions[slot].streams.len() {
            let stream = self.sessions[slot].streams[index];
            if self.sessions[slot].range(self.streams[stream].range).is_none() {
                self.streams[stream].range = last;
                self.leave_at_end(slot, stream);
            }
        }
    }

    /// Puts a stream at the end of its range. A skim is at its end when no picture of the track is
    /// left: it has shown later ones already, and must not go on with those before.
    fn leave_at_end(&mut self, slot: usize, stream: usize) {
        let range = self.range_of(stream).expect("it was put there");
        let track = range.tracks.iter().find(|track| track.track == self.streams[stream].track);
        let end_unit = match track {
            Some(track) if self.skims(stream) => {
                self.index(slot).tracks[usize::from(track.track.0)].unit_count
            }
            Some(track) => track.end_unit,
            None => 0,
        };
        let extract = Extract { first_unit: end_unit, end_unit, timestamp_min: i64::MIN };
        let timeline = range.timeline;
        self.move_stream(stream, extract);
        self.follow(stream, timeline);
        if self.is_playing(slot) {
            self.wake_stream(stream);
        }
    }

    /// The position until which everything has left: that of now, unless a reader has stopped or an
    /// image is still to come.
    pub(super) fn sent_until(&self, now: MonoTime, slot: usize) -> Npt {
        let session = &self.sessions[slot];
        let standing = self.standing(now, slot);
        let timeline = &session.ranges[standing].timeline;
        let streams = session.streams.iter().map(|stream| &self.streams[*stream]);
        let held_up = streams.filter(|stream| {
            matches!(stream.delivery, Delivery::Blocked | Delivery::AwaitingImage)
                && session.position_of(stream.range) == Some(standing)
        });
        let due = timeline.due_at(now);
        let sent = held_up.map(|stream| stream.due_sent.unwrap_or(signed_nanos(timeline.start)));
        let sent = sent.chain([due]).min_by_key(|due| timeline.viewing(*due));
        timeline.within(sent.unwrap_or(due))
    }

    /// Which of its ranges a session that plays is in, or would be if no reader had stopped and no
    /// image were to come: the first of which something is still to be sent.
    fn standing(&self, now: MonoTime, slot: usize) -> usize {
        let session = &self.sessions[slot];
        let streams = session.streams.iter().map(|stream| &self.streams[*stream]);
        let under_way = streams.filter(|stream| stream.delivery != Delivery::Idle);
        let behind = under_way.filter_map(|stream| session.position_of(stream.range)).min();
        behind.unwrap_or(usize::MAX).min(session.current(now))
    }

    /// A stream's ranges are over and shown: says BYE, and when it was the last, tells control.
    pub(super) fn end_range(&mut self, now: MonoTime, stream: usize) {
        let session = self.streams[stream].session;
        if self.sessions[session].pause_point.is_none() {
            self.say_bye(now, stream);
        }
        self.streams[stream].delivery = Delivery::Idle;
        self.finish_if_over(session);
    }

    /// Ends the ranges of a playing session none of whose streams has anything left. Behind one
    /// with an end of its own the session is paused (RFC 2326 §10.5).
    pub(super) fn finish_if_over(&mut self, slot: usize) {
        let session = &self.sessions[slot];
        let is_over = |stream: &usize| self.streams[*stream].delivery == Delivery::Idle;
        if session.state != State::Playing || !session.streams.iter().all(is_over) {
            return;
        }
        self.keep_last_range(slot);
        let session = &mut self.sessions[slot];
        let range = &session.ranges[0];
        let paused = match &session.pause_point {
            Some(point) => Some(point.at),
            // "After playing the desired range, the presentation is automatically paused."
            None => Some(range.timeline.end).filter(|_| range.is_closed),
        };
        session.state = paused.map_or(State::Finished, State::Paused);
        if paused.is_some() {
            self.stand_at_point(slot);
        }
        self.sessions[slot].report_at = None;
        self.schedule_session(slot);
        let session = self.sessions[slot].key;
        self.reports.push_back(Report::Finished { session, paused });
    }

    /// The pause point has come: a PLAY goes on with what follows it in the range, or from it anew.
    fn stand_at_point(&mut self, slot: usize) {
        let point = self.sessions[slot].pause_point.as_ref();
        self.sessions[slot].is_displaced = point.is_none_or(|point| point.whole.is_none());
        self.restore_range(slot, 0);
    }

    fn keep_last_range(&mut self, slot: usize) {
        let session = &mut self.sessions[slot];
        while session.ranges.len() > 1 {
            session.ranges.pop_front();
            session.first_range = session.first_range.wrapping_add(1);
        }
    }

    /// Stops a stream where it stands; its cursor stays, its images go.
    fn halt(&mut self, stream: usize) {
        self.wheel.cancel(self.stream_timer(stream));
        self.let_go(stream);
        self.streams[stream].delivery = Delivery::Idle;
    }

    /// Whether a session's packets go, or will when the reply to its PLAY is written.
    pub(super) fn is_under_way(&self, slot: usize) -> bool {
        matches!(self.sessions[slot].state, State::Playing | State::Cued)
    }

    /// Whether a session's packets go.
    pub(super) fn is_playing(&self, slot: usize) -> bool {
        self.sessions[slot].state == State::Playing
    }
}
