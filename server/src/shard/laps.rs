//! Presentations that are played in a loop: a range that goes on to the end of its title is
//! followed by a lap, a range from the title's beginning to its end, and each lap by another.
//!
//! A lap waits behind its range as a queued one does (RFC 2326 §10.5), so numbering and timestamps
//! run on, and is made when the range has begun: nobody has more than one lap to come. It begins
//! where all that was sent has been shown, so that no timestamp of a stream lies before the last,
//! and with a preroll: pictures keep their distance over the joint.

use super::Shard;
use super::session::PlayRange;
use super::timeline::signed_nanos;
use crate::clock::MonoTime;
use crate::mailbox::Play;
use packetizer::index::{MediaIndex, TrackCue};
use packetizer::time::{NANOS_PER_SECOND, Npt};
use std::time::Duration;

/// When a session that has no range left for a lap is looked at again.
const FULL_INTERVAL: Duration = Duration::from_millis(100);
/// Units at the end of a track among which is the one shown last: what H.264 and H.265 reorder,
/// twice.
const REORDERED_UNITS_MAX: u32 = 32;
/// The pause before a lap is no longer: indexes deliver no more than a second before normal play
/// time 0, and no more behind the end.
const GAP_NANOS_MAX: i64 = 2 * NANOS_PER_SECOND;

impl Shard {
    /// When a lap may be put behind the range that a stream is in; `None` if none follows. A
    /// stream that has nothing to send of a range waits until that begins.
    pub(super) fn lap_at(&self, now: MonoTime, stream: usize) -> Option<MonoTime> {
        let stream = &self.streams[stream];
        let session = &self.sessions[stream.session];
        let last = session.ranges.back()?;
        let is_last = session.position_of(stream.range) == Some(session.ranges.len() - 1);
        if !is_last || !last.is_endless || session.pause_point.is_some() {
            return None;
        }
        let has_room = self.has_range_left(stream.session);
        Some(if has_room { last.timeline.begins_at() } else { now + FULL_INTERVAL })
    }

    /// Puts a lap behind the last range of a stream's session, if it is time for one.
    pub(super) fn add_lap(&mut self, now: MonoTime, stream: usize) {
        if self.lap_at(now, stream).is_none_or(|at| at > now) {
            return;
        }
        let slot = self.streams[stream].session;
        let before = self.sessions[slot].ranges.back().expect("it has one");
        let pace = before.timeline.pace;
        let play = Play { pace, is_endless: true, ..Play::seek(Npt::ZERO, None) };
        let Some(cue) = self.cue(slot, Npt::ZERO, None, &play) else {
            // Its tracks have gone: it ends like any other.
            let last = self.sessions[slot].ranges.back_mut();
            last.expect("it has one").is_endless = false;
            return;
        };
        let mut lap = self.range_for(slot, &cue, &play);
        lap.timeline.preroll = self.preroll(slot, &lap);
        lap.gap = gap(self.index(slot), before, &lap);
        let session = &mut self.sessions[slot];
        session.ranges.push_back(lap);
        session.chain_ranges();
    }
}

/// Nanoseconds of viewing from the end of a range to the beginning of the lap behind it, so that
/// on no track a unit of the lap is shown before the last one of the range is over: sound is coded
/// in units that go beyond the end, and begins with a decoder's priming.
fn gap(index: &MediaIndex, range: &PlayRange, lap: &PlayRange) -> u32 {
    if lap.timeline.pace.is_skim() {
        return 0;
    }
    let of_track = |begins: &TrackCue| {
        let ends = range.tracks.iter().find(|cue| cue.track == begins.track)?;
        let rate = index.tracks.get(usize::from(begins.track.0))?.media_rate;
        let first = index.unit(begins.track, begins.first_unit)?.composition;
        let least = ends.end_unit.saturating_sub(REORDERED_UNITS_MAX).max(ends.first_unit);
        let shown = (least..ends.end_unit).filter_map(|unit| index.unit(ends.track, unit));
        let last = shown.map(|unit| unit.composition.saturating_add(unit.duration.into())).max()?;
        Some(rate.nanos_floor(last) - signed_nanos(range.timeline.end) - rate.nanos_floor(first))
    };
    let longest = lap.tracks.iter().filter_map(of_track).max().unwrap_or(0);
    u32::try_from(longest.clamp(0, GAP_NANOS_MAX)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shard::timeline::Timeline;
    use packetizer::codec::CodecConfig;
    use packetizer::codec::aac::AacConfig;
    use packetizer::index::{IndexBuilder, TrackDescription, TrackId, TrackSet};
    use packetizer::time::ClockRate;

    const UNIT_MILLIS: u32 = 20;

    /// Two seconds by two tracks that begin and end at such milliseconds.
    fn title(tracks: [(i64, i64); 2]) -> MediaIndex {
        let mut builder = IndexBuilder::new();
        let codec = CodecConfig::Aac(AacConfig::parse(&[0x12, 0x10]).unwrap());
        for ((begins, ends), id) in tracks.into_iter().zip(1..) {
            let rate = ClockRate::new(1000).unwrap();
            let description = TrackDescription::new(id, codec.clone(), rate);
            let track = builder.add_track(description).unwrap();
            for (at, offset) in (begins..ends).step_by(UNIT_MILLIS as usize).zip(0..) {
                builder.push(track, offset * 10, 10, at, at, UNIT_MILLIS, true).unwrap();
            }
        }
        builder.finish(Npt::from_nanos(2_000_000_000))
    }

    #[test]
    fn a_lap_waits_for_sound_beyond_the_end_and_before_the_beginning() {
        for (tracks, millis) in [
            ([(0, 2000), (0, 2000)], 0),
            ([(0, 2000), (0, 1900)], 0),
            ([(0, 2000), (0, 2020)], 20),
            ([(0, 2000), (-40, 2000)], 40),
            ([(0, 2000), (-40, 2020)], 60),
            ([(-60, 2000), (0, 2040)], 60),
            ([(100, 2060), (100, 2000)], 0),
        ] {
            let index = title(tracks);
            let both = [0, 1].into_iter().map(TrackId).collect::<TrackSet>();
            let range = |start| {
                let cue = index.cue(both, Npt::from_nanos(start), None).unwrap();
                let timeline = Timeline { start: cue.start, end: cue.end, ..Timeline::UNUSED };
                let tracks = cue.tracks;
                PlayRange { timeline, tracks, is_closed: false, is_endless: true, gap: 0 }
            };
            for start in [0, 1_000_000_000] {
                let gap = gap(&index, &range(start), &range(0));
                assert_eq!(gap, millis * 1_000_000, "{tracks:?} from {start}");
            }
        }
    }
}
