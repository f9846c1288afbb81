//! PLAY: a session moves to a range, or is given one more, and starts (RFC 2326 §10.5).

use super::Shard;
use super::operation::Operation;
use super::session::{PlayRange, Session, State};
use super::stream::{Delivery, Extract};
use super::timeline::{Timeline, rtp_ticks, signed_nanos, wrap};
use crate::clock::MonoTime;
use crate::mailbox::{Cued, NotMoved, Play, SessionKey, Start, StreamInfo, Token};
use crate::pace::{Pace, SeekStyle};
use packetizer::image::bundle_of;
use packetizer::index::{Cue, Direction, SeekPoint, TrackSet};
use packetizer::time::Npt;

/// What a PLAY does to a session.
enum Move {
    /// Nothing: it goes on as it is, and the answer says where it stands.
    Stay,
    /// Goes on from where it was paused, at the first units that were not sent.
    Resume(Npt),
    /// Does that, and then goes on to where this ends.
    Extend(Npt, Cue),
    /// Goes elsewhere at once.
    Seek(Cue),
    /// Goes elsewhere at once, and there on to the end that the client has named before.
    Reach(Cue),
    /// Goes there when its other ranges are over.
    Queue(Cue),
}

impl Shard {
    /// Moves a session to a range, or back to where it was paused, silent until its start; or puts
    /// a range behind those it has.
    pub(super) fn play(
        &mut self,
        now: MonoTime,
        token: Token,
        key: SessionKey,
        play: &Play,
        operations: &mut Vec<Operation>,
    ) -> Result<Cued, NotMoved> {
        let &slot = self.session_slots.get(&key).ok_or(NotMoved::Gone)?;
        self.sessions[slot].heard = now;
        self.schedule_session(slot);
        self.forget_ranges(now, slot);
        let (to, style) = self.decide(now, slot, play)?;
        let is_queued = matches!(to, Move::Queue(_));
        match to {
            // The reply to the PLAY before this one may start the session as well.
            Move::Stay => return Ok(self.cued(now, slot, style, is_queued)),
            Move::Queue(cue) => {
                self.append_range(now, slot, self.range_for(slot, &cue, play));
                return Ok(self.cued(now, slot, style, is_queued));
            }
            Move::Resume(position) => self.resume(now, slot, position),
            Move::Extend(position, cue) => {
                self.extend_range(slot, &cue, play.is_endless);
                self.resume(now, slot, position);
            }
            Move::Seek(cue) => self.seek(now, slot, self.range_for(slot, &cue, play)),
            Move::Reach(cue) => {
                let range = self.range_for(slot, &cue, play);
                self.seek(now, slot, PlayRange { is_endless: false, ..range });
            }
        }
        self.sessions[slot].moved_by = Some(token);
        // The next report speaks of the new range, so it waits for its start.
        self.sessions[slot].report_at = None;
        for position in 0..self.sessions[slot].streams.len() {
            let stream = self.sessions[slot].streams[position];
            self.hold_ahead(now, stream, operations);
        }
        self.schedule_session(slot);
        Ok(self.cued(now, slot, style, is_queued))
    }

    /// Lets the packets of a range go, unless another PLAY has moved the session since: the reply
    /// is on its way (interop: common denominator 5).
    pub(super) fn start(&mut self, now: MonoTime, start: Start) {
        let Some(&slot) = self.session_slots.get(&start.session) else { return };
        let session = &mut self.sessions[slot];
        if session.state != State::Cued || session.moved_by > Some(start.cue) {
            return;
        }
        session.state = State::Playing;
        session.ranges[0].timeline.begin_at(now + self.phases.delay(now));
        session.chain_ranges();
        // The first sender report comes right after the reply: players map streams by it.
        session.report_at = Some(now);
        self.schedule_session(slot);
        for position in 0..self.sessions[slot].streams.len() {
            let stream = self.sessions[slot].streams[position];
            self.follow_range(stream);
            self.wake_stream(stream);
        }
    }

    /// What a PLAY is to do. Nothing has changed if there is nothing to play.
    fn decide(
        &self,
        now: MonoTime,
        slot: usize,
        play: &Play,
    ) -> Result<(Move, SeekStyle), NotMoved> {
        let session = &self.sessions[slot];
        let Some(start) = play.start else {
            return self.decide_onward(now, slot, play).map(|to| (to, SeekStyle::RandomAccess));
        };
        if self.queues(slot, play) {
            if !self.has_range_left(slot) {
                return Err(NotMoved::QueueFull);
            }
            let cue = self.cue(slot, start, play.end, play);
            return Ok((Move::Queue(cue.ok_or(NotMoved::OutOfRange)?), play.style));
        }
        let cue = self.cue(slot, start, play.end, play).ok_or(NotMoved::OutOfRange)?;
        // The viewer has what comes before the pause, and it is nearer than a sync sample.
        if let State::Paused(position) = session.state
            && play.style == SeekStyle::Conditional
            && (cue.start..=start).contains(&position)
            && session.current_range(now).is_some_and(|range| range.timeline.pace == play.pace)
            && self.can_resume(slot, play.pace)
            && play.end.is_none()
        {
            return Ok((Move::Extend(position, cue), SeekStyle::Next));
        }
        Ok((Move::Seek(cue), play.style))
    }

    /// What a PLAY without a start is to do: it goes on where the session stands.
    fn decide_onward(&self, now: MonoTime, slot: usize, play: &Play) -> Result<Move, NotMoved> {
        let session = &self.sessions[slot];
        let range = session.current_range(now);
        let current = range.map(|range| range.timeline);
        let is_same = play.end.is_none() && current.is_some_and(|range| range.pace == play.pace);
        let position = match session.state {
            State::Playing | State::Cued if is_same => return Ok(Move::Stay),
            State::Paused(at) if is_same && self.can_resume(slot, play.pace) => {
                return Ok(Move::Resume(at));
            }
            State::Paused(position) => Some(position),
            State::Playing => current.map(|range| range.position(now)),
            State::Cued => current.map(|range| range.start),
            State::Init | State::Finished => None,
        };
        let direction = play.pace.scale.direction();
        let start = position.unwrap_or_else(|| match direction {
            Direction::Forward => Npt::ZERO,
            Direction::Backward => self.index(slot).duration,
        });
        let standing = current.filter(|_| position.is_some());
        let goes_on =
            |range: &Timeline| range.pace.scale.direction() == direction && range.contains(start);
        let kept = standing.filter(goes_on).map(|range| range.end);
        // That may be where its title ends, behind which no lap is to follow then.
        let is_named = kept.is_some() && range.is_some_and(|range| !range.is_endless);
        match (self.cue(slot, start, play.end.or(kept), play), session.state) {
            (Some(cue), _) if is_named => Ok(Move::Reach(cue)),
            (Some(cue), _) => Ok(Move::Seek(cue)),
            // Paused at the very end: that is said again.
            (None, State::Paused(at)) if is_same => Ok(Move::Resume(at)),
            (None, _) => Err(NotMoved::OutOfRange),
        }
    }

    /// Whether a PLAY waits for the session's ranges to end. Every player means "seek" by a range
    /// while it plays on to the end of the presentation; one that names ends edits.
    fn queues(&self, slot: usize, play: &Play) -> bool {
        let session = &self.sessions[slot];
        let is_closed = session.ranges.back().is_some_and(|range| range.is_closed);
        play.may_queue && self.is_under_way(slot) && is_closed && session.pause_point.is_none()
    }

    /// Whether a paused session goes on at the first units that were not sent.
    fn can_resume(&self, slot: usize, pace: Pace) -> bool {
        let session = &self.sessions[slot];
        let is_new = |stream: &usize| self.streams[*stream].extract == Extract::default();
        !session.is_displaced && !pace.is_skim() && !session.streams.iter().any(is_new)
    }

    /// Where a range begins and ends; `None` if there is nothing in it.
    pub(super) fn cue(
        &self,
        slot: usize,
        start: Npt,
        end: Option<Npt>,
        play: &Play,
    ) -> Option<Cue> {
        let direction = play.pace.scale.direction();
        let is_in_order = end.is_none_or(|end| match direction {
            Direction::Forward => start < end,
            Direction::Backward => end < start,
        });
        if !is_in_order {
            return None;
        }
        let (index, tracks) = (self.index(slot), self.tracks(&self.sessions[slot]));
        if play.pace.is_skim() {
            return index.skim_cue(tracks, start, end, direction);
        }
        let point = match play.style {
            SeekStyle::RandomAccess | SeekStyle::Conditional => SeekPoint::RandomAccess,
            SeekStyle::FirstPrior => SeekPoint::FirstPrior,
            SeekStyle::Next => SeekPoint::Next,
        };
        let together = |track, unit| {
            let streams = self.sessions[slot].streams.iter().map(|stream| &self.streams[*stream]);
            let class = streams.clone().find(|stream| stream.track == track).map(|it| it.class);
            class.map_or(unit..unit + 1, |class| bundle_of(index, track, unit, class))
        };
        index.cue_whole(tracks, start, end, point, together)
    }

    pub(super) fn tracks(&self, session: &Session) -> TrackSet {
        let streams = session.streams.iter();
        streams.fold(TrackSet::EMPTY, |set, stream| set.with(self.streams[*stream].track))
    }

    /// A range that has not been mapped to any time yet.
    pub(super) fn range_for(&self, slot: usize, cue: &Cue, play: &Play) -> PlayRange {
        let last = match play.pace.scale.direction() {
            Direction::Forward => self.index(slot).duration,
            Direction::Backward => Npt::ZERO,
        };
        let Cue { start, end, ref tracks } = *cue;
        PlayRange {
            timeline: Timeline { start, end, pace: play.pace, ..Timeline::UNUSED },
            tracks: tracks.clone(),
            is_closed: end != last,
            is_endless: play.is_endless
                && play.end.is_none()
                && end == last
                && play.pace.scale.direction() == Direction::Forward,
            gap: 0,
        }
    }

    fn seek(&mut self, now: MonoTime, slot: usize, mut range: PlayRange) {
        range.timeline.preroll = self.preroll(slot, &range);
        range.timeline.media_start = self.media_start(now, slot, range.timeline.preroll);
        range.timeline.begin_at(now);
        self.replace_ranges(slot, range);
        self.sessions[slot].state = State::Cued;
        let ordinal = self.sessions[slot].first_range;
        for position in 0..self.sessions[slot].streams.len() {
            let stream = self.sessions[slot].streams[position];
            self.wheel.cancel(self.stream_timer(stream));
            self.streams[stream].delivery = Delivery::Idle;
            self.streams[stream].timestamp_high = None;
            self.enter_range(stream, ordinal);
        }
    }

    /// Goes on at the first unit that was not sent, where the media clock stopped. The position is
    /// that unit's decode time, so none of it is composed before the start of the range.
    fn resume(&mut self, now: MonoTime, slot: usize, position: Npt) {
        let session = &mut self.sessions[slot];
        let timeline = &mut session.ranges[0].timeline;
        timeline.media_start = timeline.media_at(signed_nanos(position));
        (timeline.start, timeline.preroll) = (position, 0);
        timeline.begin_at(now);
        session.state = State::Cued;
        for position in 0..self.sessions[slot].streams.len() {
            self.follow_range(self.sessions[slot].streams[position]);
        }
    }

    /// Puts one range in the place of all a session has.
    fn replace_ranges(&mut self, slot: usize, range: PlayRange) {
        let session = &mut self.sessions[slot];
        session.first_range = session.end_range();
        session.ranges.clear();
        session.ranges.push_back(range);
        session.pause_point = None;
        session.is_displaced = false;
    }

    /// The media clock's time from which nothing was sent yet, and not before where it stands when
    /// a range starts that has such a preroll.
    fn media_start(&self, now: MonoTime, slot: usize, preroll: u32) -> i64 {
        let session = &self.sessions[slot];
        let Some(range) = session.current_range(now) else { return 0 };
        let stands_at = match session.state {
            // It stands before the start while its own preroll passes, where packets of the range
            // before may lie.
            State::Playing => {
                let stands_at = range.timeline.media_now(now).saturating_add(preroll.into());
                stands_at.max(range.timeline.media_start)
            }
            State::Paused(at) => range.timeline.media_at(signed_nanos(at)),
            State::Finished => range.timeline.media_end(),
            State::Init | State::Cued => range.timeline.media_start,
        };
        let sent_until = session.streams.iter().filter_map(|stream| {
            let stream = &self.streams[*stream];
            let track = &self.index(slot).tracks[usize::from(stream.track.0)];
            let (index, first) = (self.index(slot), stream.extract.first_unit);
            let unit = index.unit(stream.track, first);
            // One that has sent the last unit of its track stands behind it.
            let unit = unit.or_else(|| index.unit(stream.track, first.checked_sub(1)?))?;
            let duration = track.media_rate.nanos_floor(i64::from(unit.duration));
            Some(stream.rtp_rate.nanos_floor(stream.timestamp_high?) + duration)
        });
        sent_until.max().unwrap_or(0).max(stands_at)
    }

    /// Where a session stands, or where the last range begins that waits for others.
    fn cued(&self, now: MonoTime, slot: usize, style: SeekStyle, is_queued: bool) -> Cued {
        let session = &self.sessions[slot];
        let range = if is_queued { session.ranges.back() } else { session.current_range(now) };
        let &PlayRange { timeline, is_endless, .. } = range.expect("it was cued");
        let start = match session.state {
            State::Playing if !is_queued => timeline.position(now),
            State::Playing | State::Init | State::Cued | State::Paused(_) | State::Finished => {
                timeline.start
            }
        };
        let info = |stream: &usize| {
            let stream = &self.streams[*stream];
            let ticks = rtp_ticks(stream.rtp_rate, timeline.media_at(signed_nanos(start)));
            StreamInfo {
                track: stream.track,
                sequence: (!is_queued).then_some(stream.cursor.sequence),
                rtptime: stream.timestamp_base.wrapping_add(wrap(ticks)),
            }
        };
        let streams = session.streams.iter().map(info).collect();
        Cued { start, end: timeline.end, is_endless, pace: timeline.pace, style, streams }
    }
}
