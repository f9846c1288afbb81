//! PLAY and PAUSE: a session moves to a range, starts, stops, and comes to the end.

use super::Shard;
use super::operation::Operation;
use super::session::{Session, State};
use super::stream::{Delivery, Extract};
use super::timeline::{Timeline, rtp_ticks, wrap};
use crate::clock::MonoTime;
use crate::mailbox::{Cued, Report, SessionKey, StreamInfo};
use packetizer::index::{Cue, TrackSet};
use packetizer::time::Npt;

impl Shard {
    /// Moves a session to a range, or back to where it was paused, silent until its start.
    pub(super) fn cue(
        &mut self,
        now: MonoTime,
        key: SessionKey,
        cue: Option<Cue>,
        operations: &mut Vec<Operation>,
    ) -> Option<Cued> {
        let &session = self.session_slots.get(&key)?;
        self.sessions[session].heard = now;
        match (cue, self.sessions[session].state) {
            (Some(cue), _) => self.seek(now, session, &cue),
            (None, State::Paused(position)) => match self.join(session, position) {
                Some(cue) => self.seek(now, session, &cue),
                None => self.resume(now, session, position),
            },
            (None, State::Init | State::Finished) => {
                let cue = self.whole(session)?;
                self.seek(now, session, &cue);
            }
            // Playing goes on as it is; the answer says where it stands.
            (None, State::Playing | State::Cued) => {}
        }
        if self.sessions[session].state == State::Cued {
            // The next report speaks of the new range, so it waits for its start.
            self.sessions[session].report_at = None;
            for position in 0..self.sessions[session].streams.len() {
                let stream = self.sessions[session].streams[position];
                self.hold_ahead(now, stream, operations);
            }
        }
        self.schedule_session(session);
        Some(self.cued(now, session))
    }

    /// The reply to PLAY is on its way: packets may go (interop: common denominator 5).
    pub(super) fn start(&mut self, now: MonoTime, key: SessionKey) {
        let Some(&slot) = self.session_slots.get(&key) else { return };
        let session = &mut self.sessions[slot];
        if session.state != State::Cued {
            return;
        }
        session.state = State::Playing;
        session.timeline_mut().started = now;
        // The first sender report comes right after the reply: players map streams by it.
        session.report_at = Some(now);
        self.schedule_session(slot);
        for position in 0..self.sessions[slot].streams.len() {
            let stream = self.sessions[slot].streams[position];
            self.wake_stream(stream);
        }
    }

    /// Stops delivery and keeps the position; answers it.
    pub(super) fn pause(&mut self, now: MonoTime, key: SessionKey) -> Option<Npt> {
        let &slot = self.session_slots.get(&key)?;
        self.sessions[slot].heard = now;
        let session = &self.sessions[slot];
        let position = match session.state {
            State::Init => return Some(Npt::ZERO),
            State::Finished => return Some(session.timeline().end),
            State::Paused(position) => position,
            State::Playing => self.sent_until(now, slot),
            State::Cued => session.timeline().start,
        };
        if matches!(session.state, State::Playing | State::Cued) {
            self.sessions[slot].state = State::Paused(position);
            self.sessions[slot].report_at = None;
            for index in 0..self.sessions[slot].streams.len() {
                let stream = self.sessions[slot].streams[index];
                self.halt(stream);
            }
        }
        self.schedule_session(slot);
        Some(position)
    }

    /// The position until which everything has left: that of now, unless a reader has stopped or an
    /// image is still to come.
    pub(super) fn sent_until(&self, now: MonoTime, slot: usize) -> Npt {
        let session = &self.sessions[slot];
        let timeline = session.timeline();
        let streams = session.streams.iter().map(|stream| &self.streams[*stream]);
        let held_up = streams.filter(|stream| {
            matches!(stream.delivery, Delivery::Blocked | Delivery::AwaitingImage)
        });
        let sent = held_up.map(|stream| stream.due_sent.unwrap_or(i64::MIN)).min();
        timeline.within(sent.unwrap_or(i64::MAX).min(timeline.due_at(now)))
    }

    /// A stream's range is over and shown: says BYE, and when it was the last, tells control.
    pub(super) fn end_range(&mut self, now: MonoTime, stream: usize) {
        self.say_bye(now, stream);
        self.streams[stream].delivery = Delivery::Idle;
        self.finish_if_over(self.streams[stream].session);
    }

    /// Ends the range of a playing session none of whose streams has anything left.
    pub(super) fn finish_if_over(&mut self, slot: usize) {
        let session = &self.sessions[slot];
        let is_over = |stream: &usize| self.streams[*stream].delivery == Delivery::Idle;
        if session.state == State::Playing && session.streams.iter().all(is_over) {
            let key = session.key;
            self.sessions[slot].state = State::Finished;
            self.sessions[slot].report_at = None;
            self.schedule_session(slot);
            self.reports.push_back(Report::Finished { session: key });
        }
    }

    /// The cue of all streams from the start of the title.
    fn whole(&self, session: usize) -> Option<Cue> {
        let session = &self.sessions[session];
        self.sources.title(session.source).index.cue(self.tracks(session), Npt::ZERO, None)
    }

    /// The cue by which streams that were set up since the pause join the others; `None` when there
    /// are none.
    fn join(&self, session: usize, position: Npt) -> Option<Cue> {
        let session = &self.sessions[session];
        let is_new = |stream: &usize| self.streams[*stream].extract == Extract::default();
        if !session.streams.iter().any(is_new) {
            return None;
        }
        let index = &self.sources.title(session.source).index;
        index.cue(self.tracks(session), position, Some(session.timeline().end))
    }

    fn tracks(&self, session: &Session) -> TrackSet {
        let streams = session.streams.iter();
        streams.fold(TrackSet::EMPTY, |set, stream| set.with(self.streams[*stream].track))
    }

    fn seek(&mut self, now: MonoTime, slot: usize, cue: &Cue) {
        let media_start = self.media_start(now, slot);
        let streams = self.sessions[slot].streams.clone();
        for stream in streams {
            self.wheel.cancel(self.stream_timer(stream));
            self.streams[stream].delivery = Delivery::Idle;
            self.streams[stream].timestamp_high = None;
            self.streams[stream].due_sent = None;
            let extract = self.extract(stream, cue);
            self.move_stream(stream, extract);
        }
        self.sessions[slot].timeline =
            Some(Timeline { start: cue.start, end: cue.end, media_start, started: now });
        self.renumber(slot, cue.start, media_start);
        self.sessions[slot].state = State::Cued;
    }

    /// Goes on at the first unit that was not sent, on the media clock of now. The position is that
    /// unit's decode time, so none of it is composed before the start of the range.
    fn resume(&mut self, now: MonoTime, slot: usize, position: Npt) {
        let timeline = *self.sessions[slot].timeline();
        let media_start = timeline.media_now(now);
        self.sessions[slot].timeline =
            Some(Timeline { start: position, media_start, started: now, ..timeline });
        self.renumber(slot, position, media_start);
        self.sessions[slot].state = State::Cued;
    }

    /// What of a stream's track a cue wants.
    fn extract(&self, stream: usize, cue: &Cue) -> Extract {
        let stream = &self.streams[stream];
        let Some(track) = cue.tracks.iter().find(|cue| cue.track == stream.track) else {
            return Extract::default();
        };
        let index = &self.sources.title(self.sessions[stream.session].source).index;
        let rate = index.tracks[usize::from(stream.track.0)].media_rate;
        Extract {
            first_unit: track.first_unit,
            end_unit: track.end_unit,
            timestamp_min: rate.convert_nearest(track.composition_min, stream.rtp_rate),
        }
    }

    /// Maps `start` to the media clock's `media_start` for every stream of the session.
    fn renumber(&mut self, slot: usize, start: Npt, media_start: i64) {
        for stream in &self.sessions[slot].streams {
            let stream = &mut self.streams[*stream];
            let start = i64::try_from(start.nanos()).unwrap_or(i64::MAX);
            let ticks = rtp_ticks(stream.rtp_rate, media_start) - rtp_ticks(stream.rtp_rate, start);
            stream.timestamp_zero = stream.timestamp_base.wrapping_add(wrap(ticks));
        }
    }

    /// The media clock's time from which nothing was sent yet, and not before now.
    fn media_start(&self, now: MonoTime, slot: usize) -> i64 {
        let session = &self.sessions[slot];
        let Some(timeline) = &session.timeline else { return 0 };
        let index = &self.sources.title(session.source).index;
        let sent_until = session.streams.iter().filter_map(|stream| {
            let stream = &self.streams[*stream];
            let high = stream.rtp_rate.nanos_floor(stream.timestamp_high?);
            let track = &index.tracks[usize::from(stream.track.0)];
            let unit = index.unit(stream.track, stream.extract.first_unit)?;
            let duration = track.media_rate.nanos_floor(i64::from(unit.duration));
            let start = i64::try_from(timeline.start.nanos()).ok()?;
            Some(timeline.media_start + high - start + duration)
        });
        sent_until.max().unwrap_or(0).max(timeline.media_now(now))
    }

    /// Stops a stream where it stands; its cursor stays, its images go.
    fn halt(&mut self, stream: usize) {
        self.wheel.cancel(self.stream_timer(stream));
        self.let_go(stream);
        self.streams[stream].delivery = Delivery::Idle;
    }

    fn cued(&self, now: MonoTime, slot: usize) -> Cued {
        let session = &self.sessions[slot];
        let timeline = session.timeline();
        let start = match session.state {
            State::Playing => timeline.position(now),
            State::Init | State::Cued | State::Paused(_) | State::Finished => timeline.start,
        };
        let info = |stream: &usize| {
            let stream = &self.streams[*stream];
            let nanos = i64::try_from(start.nanos()).unwrap_or(i64::MAX);
            let ticks = wrap(rtp_ticks(stream.rtp_rate, nanos));
            StreamInfo {
                track: stream.track,
                sequence: stream.cursor.sequence,
                rtptime: stream.timestamp_zero.wrapping_add(ticks),
            }
        };
        Cued { start, end: timeline.end, streams: session.streams.iter().map(info).collect() }
    }
}

impl Session {
    /// The last PLAY's range.
    ///
    /// # Panics
    /// When the session never played: its streams are idle then and nothing asks.
    pub(super) const fn timeline(&self) -> &Timeline {
        self.timeline.as_ref().expect("the session was cued")
    }

    pub(super) const fn timeline_mut(&mut self) -> &mut Timeline {
        self.timeline.as_mut().expect("the session was cued")
    }
}
