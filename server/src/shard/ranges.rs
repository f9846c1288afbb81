//! A session's ranges on its streams: each stream goes from one to the next by itself, the moment
//! it has nothing left to send of the one before, and its timeline says when the next begins.

use super::Shard;
use super::session::PlayRange;
use super::stream::Extract;
use super::timeline::{Timeline, rtp_ticks, signed_nanos};
use crate::clock::MonoTime;
use crate::limits::RANGES_MAX;
use crate::pace::Pace;
use packetizer::image::SPREAD_NANOS_MAX;
use packetizer::index::{AccessUnitEntry, Direction, MediaIndex, TrackId};
use packetizer::time::{NANOS_PER_SECOND, Npt};
use std::time::Duration;

/// Pictures of a skim follow each other by no less: more would only cost reads.
const PICTURE_INTERVAL: Duration = Duration::from_millis(100);

impl Shard {
    /// Points a stream at the beginning of a range of its session.
    pub(super) fn enter_range(&mut self, stream: usize, ordinal: u32) {
        let session = &self.sessions[self.streams[stream].session];
        let range = session.range(ordinal).expect("a range of the session");
        let timeline = range.timeline;
        let extract = self.extract(stream, range);
        let picture = range.skim_track() == Some(self.streams[stream].track);
        self.streams[stream].range = ordinal;
        self.streams[stream].due_sent = None;
        self.move_stream(stream, extract);
        if picture {
            self.show_picture(stream, extract.first_unit);
        } else {
            self.follow(stream, timeline);
        }
    }

    /// What of a stream's track a range wants.
    fn extract(&self, stream: usize, range: &PlayRange) -> Extract {
        let stream = &self.streams[stream];
        let Some(track) = range.tracks.iter().find(|cue| cue.track == stream.track) else {
            return Extract::default();
        };
        let rate = self.index(stream.session).tracks[usize::from(stream.track.0)].media_rate;
        Extract {
            first_unit: track.first_unit,
            end_unit: track.end_unit,
            timestamp_min: rate.convert_nearest(track.composition_min, stream.rtp_rate),
        }
    }

    /// Has a stream send by a timeline, the start of which is mapped to the media clock.
    pub(super) fn follow(&mut self, stream: usize, timeline: Timeline) {
        let stream = &mut self.streams[stream];
        stream.timeline = timeline;
        stream.timestamp_offset = rtp_ticks(stream.rtp_rate, timeline.media_start)
            - rtp_ticks(stream.rtp_rate, signed_nanos(timeline.start));
    }

    /// Has a stream send by the timeline of its range as that is now.
    pub(super) fn follow_range(&mut self, stream: usize) {
        let Some(range) = self.range_of(stream) else { return };
        let timeline = range.timeline;
        if self.skims(stream) {
            self.show_picture(stream, self.streams[stream].extract.first_unit);
        } else {
            self.follow(stream, timeline);
        }
    }

    /// The stream has nothing left to send where it stands: goes on with the next picture of a
    /// skim, or with the next range. `false` if there is neither, or not yet.
    pub(super) fn go_on(&mut self, now: MonoTime, stream: usize) -> bool {
        if let Some(picture) = self.next_picture(now, stream) {
            let (first_unit, end_unit) = (picture.index, picture.index + 1);
            self.move_stream(stream, Extract { first_unit, end_unit, timestamp_min: i64::MIN });
            self.show_picture(stream, picture.index);
            return true;
        }
        let session = self.streams[stream].session;
        let next = self.streams[stream].range.wrapping_add(1);
        self.add_lap(self.wave.horizon(now), stream);
        if self.sessions[session].range(next).is_none() {
            return false;
        }
        self.enter_range(stream, next);
        self.forget_ranges(now, session);
        true
    }

    /// Whether a session may be given one more range.
    pub(super) fn has_range_left(&self, session: usize) -> bool {
        self.sessions[session].ranges.len() < RANGES_MAX
    }

    /// Puts a range behind the last of a session's.
    pub(super) fn append_range(&mut self, now: MonoTime, slot: usize, range: PlayRange) {
        let session = &mut self.sessions[slot];
        session.ranges.push_back(range);
        session.chain_ranges();
        let last = session.end_range().wrapping_sub(1);
        // A stream that came to the end of the range before is woken.
        for position in 0..self.sessions[slot].streams.len() {
            let stream = self.sessions[slot].streams[position];
            if self.streams[stream].is_done() && self.is_playing(slot) {
                self.enter_range(stream, last);
                self.wake_stream(stream);
            }
        }
        self.forget_ranges(now, slot);
    }

    /// Forgets ranges that are over and that no stream is in.
    pub(super) fn forget_ranges(&mut self, now: MonoTime, slot: usize) {
        let current = self.sessions[slot].current(now);
        for _ in 0..current {
            let first = self.sessions[slot].first_range;
            let mut streams = self.sessions[slot].streams.iter();
            if streams.any(|stream| self.streams[*stream].range == first) {
                return;
            }
            let session = &mut self.sessions[slot];
            session.ranges.pop_front();
            session.first_range = first.wrapping_add(1);
        }
    }

    /// The range a stream is in.
    pub(super) fn range_of(&self, stream: usize) -> Option<&PlayRange> {
        let stream = &self.streams[stream];
        self.sessions[stream.session].range(stream.range)
    }

    /// Whether a stream sends the sync samples of its range alone.
    pub(super) fn skims(&self, stream: usize) -> bool {
        let track = self.range_of(stream).and_then(PlayRange::skim_track);
        track == Some(self.streams[stream].track)
    }

    /// Has a stream send one picture of a skim: a range of its own, in which nothing is scaled.
    fn show_picture(&mut self, stream: usize, unit: u32) {
        let Some(range) = self.range_of(stream).map(|range| range.timeline) else { return };
        let Some((_, decode, composition)) = self.unit_times(stream, unit) else { return };
        let mut picture = Timeline {
            start: Npt::ZERO,
            pace: Pace::NORMAL,
            media_start: range.media_at(composition).saturating_sub(composition),
            preroll: 0,
            ..range
        };
        self.follow(stream, picture);
        // What it is spread over lies before its time, but not before the range begins.
        let due = range.leaves_at(composition);
        let lead = due.nanos_since(range.begins_at()).clamp(0, SPREAD_NANOS_MAX);
        picture.start = Npt::from_nanos(decode.saturating_sub(lead).max(0).unsigned_abs());
        picture.started = due.offset_by(-lead);
        self.streams[stream].timeline = picture;
    }

    /// The picture that a stream shows next in a skim: no sooner than the last one has taken, by
    /// its bytes, at the track's usual bit rate; and none that is late already.
    fn next_picture(&self, now: MonoTime, stream: usize) -> Option<AccessUnitEntry> {
        if !self.skims(stream) {
            return None;
        }
        let range = self.range_of(stream)?.timeline;
        let Extract { first_unit, .. } = self.streams[stream].extract;
        let (unit, _, composition) = self.unit_times(stream, first_unit)?;
        let track = self.streams[stream].track;
        let index = self.index(self.streams[stream].session);
        let interval = picture_interval(index, track, unit.media_bytes);
        let scale = i64::from(range.pace.scale.factor());
        let next = composition.saturating_add(interval.saturating_mul(scale));
        let direction = range.pace.scale.direction();
        let due = range.due_at(now);
        let from = match direction {
            Direction::Forward => next.max(due),
            Direction::Backward => next.min(due),
        };
        let picture = index.picture_from(track, from, direction)?;
        let rate = index.tracks[usize::from(track.0)].media_rate;
        let composed = rate.nanos_floor(picture.composition);
        let end = signed_nanos(range.end);
        let is_inside = match direction {
            Direction::Forward => composed < end,
            Direction::Backward => composed >= end,
        };
        is_inside.then_some(picture)
    }

    /// A unit of a stream's track, with its decode and composition times in nanoseconds.
    pub(super) fn unit_times(
        &self,
        stream: usize,
        unit: u32,
    ) -> Option<(AccessUnitEntry, i64, i64)> {
        let stream = &self.streams[stream];
        let index = self.index(stream.session);
        let rate = index.tracks[usize::from(stream.track.0)].media_rate;
        let unit = index.unit(stream.track, unit)?;
        Some((unit, rate.nanos_floor(unit.decode), rate.nanos_floor(unit.composition)))
    }

    /// The index of a session's title.
    pub(super) fn index(&self, session: usize) -> &MediaIndex {
        &self.sources.title(self.sessions[session].source).index
    }
}

/// Nanoseconds of viewing that a picture of so many bytes takes.
fn picture_interval(index: &MediaIndex, track: TrackId, bytes: u32) -> i64 {
    let bits_per_second = index.tracks[usize::from(track.0)].bits_per_second;
    let least = i64::try_from(PICTURE_INTERVAL.as_nanos()).expect("a constant");
    let bits = i128::from(bytes) * 8 * i128::from(NANOS_PER_SECOND);
    let nanos = bits.checked_div(i128::from(bits_per_second)).unwrap_or(0);
    i64::try_from(nanos).unwrap_or(i64::MAX).max(least)
}
