//! Skims: play faster than normal, or backwards, by sync samples alone (RFC 2326 §12.34).

use super::{AccessUnitEntry, Cue, MediaIndex, TrackCue, TrackId, TrackSet};
use crate::codec::CodecConfig;
use crate::time::Npt;

/// Which way play goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Normal play time increases.
    Forward,
    /// Normal play time decreases.
    Backward,
}

impl MediaIndex {
    /// The track to skim by: the first video track of the set with more than one sync sample.
    #[must_use]
    pub fn skim_track(&self, tracks: TrackSet) -> Option<TrackId> {
        tracks.iter().find(|track| {
            // Pictures among other packets cannot be sent alone.
            let is_pictures = self
                .tracks
                .get(usize::from(track.0))
                .is_some_and(|track| track.codec.is_video() && track.codec != CodecConfig::Mp2t);
            is_pictures && self.next_sync(*track, 1).is_some()
        })
    }

    /// The sync sample shown at `nanos` of the presentation (the last one composed at or before
    /// it), or the first one when play goes forward and none is.
    #[must_use]
    pub fn picture_at(
        &self,
        track: TrackId,
        nanos: i64,
        direction: Direction,
    ) -> Option<AccessUnitEntry> {
        let (units, rate) = self.track(track)?;
        let composed = units.syncs_composed_until(rate.ticks_floor(nanos));
        let ordinal = match (composed.checked_sub(1), direction) {
            (Some(ordinal), _) => ordinal,
            (None, Direction::Forward) => 0,
            (None, Direction::Backward) => return None,
        };
        units.get(units.syncs().nth(ordinal)?)
    }

    /// The sync sample to show next: the first one in the direction of play that is composed at
    /// `nanos` or beyond.
    #[must_use]
    pub fn picture_from(
        &self,
        track: TrackId,
        nanos: i64,
        direction: Direction,
    ) -> Option<AccessUnitEntry> {
        match direction {
            Direction::Backward => self.picture_at(track, nanos, direction),
            Direction::Forward => {
                let (units, rate) = self.track(track)?;
                let ticks = rate.ticks_ceil(nanos).saturating_sub(1);
                units.get(units.syncs().nth(units.syncs_composed_until(ticks))?)
            }
        }
    }

    /// Where to start to skim from `start` towards `end` (by default the end of the presentation
    /// in that direction): at the picture shown at `start`. No track but that of
    /// [`Self::skim_track`] has anything to send. `None` if nothing is left at `start` or there is
    /// no such track.
    #[must_use]
    pub fn skim_cue(
        &self,
        tracks: TrackSet,
        start: Npt,
        end: Option<Npt>,
        direction: Direction,
    ) -> Option<Cue> {
        let (is_left, end) = match direction {
            Direction::Forward => {
                (start < self.duration, end.unwrap_or(self.duration).min(self.duration))
            }
            Direction::Backward => (start <= self.duration, end.unwrap_or(Npt::ZERO)),
        };
        let start_nanos = i64::try_from(start.nanos()).ok().filter(|_| is_left)?;
        let track = self.skim_track(tracks)?;
        let (_, rate) = self.track(track)?;
        let picture = self.picture_at(track, start_nanos, direction)?;
        let composed = Npt::from_nanos(rate.nanos_floor(picture.composition).max(0).unsigned_abs());
        let first_unit = picture.index;
        let end_unit = first_unit + 1;
        let cue = TrackCue { track, first_unit, end_unit, composition_min: i64::MIN };
        Some(Cue { start: composed.min(start), end, tracks: vec![cue] })
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{AUDIO, GROUP_UNITS, VIDEO, both, title};
    use super::*;
    use Direction::{Backward, Forward};

    fn millis(millis: u64) -> Npt {
        Npt::from_nanos(millis * 1_000_000)
    }

    /// Sync samples lie every 1.92 s.
    const GROUP_MILLIS: u64 = GROUP_UNITS as u64 * 40;

    #[test]
    fn a_skim_starts_with_the_picture_that_is_shown_there() {
        let index = title(20, 8000);
        for (start, end, direction, expected) in [
            (0, None, Forward, Some((0, 20_000))),
            (1_919, None, Forward, Some((0, 20_000))),
            (1_920, Some(5_000), Forward, Some((1_920, 5_000))),
            (19_999, Some(99_000), Forward, Some((19_200, 20_000))),
            (20_000, None, Forward, None),
            (20_000, None, Backward, Some((19_200, 0))),
            (20_001, None, Backward, None),
            (5_000, Some(2_000), Backward, Some((3_840, 2_000))),
            (0, None, Backward, Some((0, 0))),
        ] {
            let cue = index.skim_cue(both(), millis(start), end.map(millis), direction);
            let found = cue.as_ref().map(|cue| (cue.start, cue.end));
            let expected = expected.map(|(start, end)| (millis(start), millis(end)));
            assert_eq!(found, expected, "{start} {end:?} {direction:?}");
            let Some(Cue { tracks, start, .. }) = cue else { continue };
            let [TrackCue { track, first_unit, end_unit, .. }] = tracks[..] else { panic!("one") };
            assert_eq!((track, end_unit), (VIDEO, first_unit + 1));
            assert_eq!(u64::from(first_unit) * 40, start.nanos() / 1_000_000);
        }
    }

    #[test]
    fn the_next_picture_lies_in_the_direction_of_play() {
        let index = title(20, 8000);
        for (from, direction, expected) in [
            (1, Forward, Some(1)),
            (1_920, Forward, Some(1)),
            (1_921, Forward, Some(2)),
            (19_201, Forward, None),
            (1_921, Backward, Some(1)),
            (1_920, Backward, Some(1)),
            (1_919, Backward, Some(0)),
            (0, Backward, Some(0)),
            (-1, Backward, None),
        ] {
            let nanos = from * 1_000_000;
            let picture = index.picture_from(VIDEO, nanos, direction);
            let composition = picture.map(|picture| picture.composition * 1000 / 12_800);
            let expected: Option<i64> = expected;
            let group = i64::try_from(GROUP_MILLIS).unwrap();
            assert_eq!(composition, expected.map(|group_index| group_index * group), "{from}");
            assert!(picture.is_none_or(|picture| picture.sync));
        }
    }

    #[test]
    fn only_video_with_several_sync_samples_is_skimmed() {
        assert_eq!(title(20, 8000).skim_track(both()), Some(VIDEO));
        assert_eq!(title(20, 8000).skim_track(TrackSet::EMPTY.with(AUDIO)), None);
        assert_eq!(title(1, 8000).skim_track(both()), None, "one sync sample");
        assert_eq!(title(1, 8000).skim_cue(both(), Npt::ZERO, None, Forward), None);
    }
}
