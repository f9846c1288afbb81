//! Seeks: from normal play time to positions in the tracks.

use super::units::Units;
use super::{AccessUnitEntry, Cue, MediaIndex, TrackCue, TrackId, TrackSet};
use crate::time::{ClockRate, NANOS_PER_SECOND, Npt};
use std::ops::Range;

/// What lies at most this long before normal play time 0 is a decoder's priming and sent; what
/// lies at most this long after the duration is padding and sent. What lies beyond was cut off by
/// an edit list.
const PRIMING_NANOS_MAX: i64 = NANOS_PER_SECOND;

/// Which unit a seek starts with: the policies of RFC 7826 §18.47.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SeekPoint {
    /// `RAP`: the last sync sample composed at or before the time.
    #[default]
    RandomAccess,
    /// `First-Prior`: the unit shown at the time, which a decoder may not be able to show alone.
    FirstPrior,
    /// `Next`: the first unit shown from the time on.
    Next,
}

impl MediaIndex {
    /// Where to start and end in each track to play from `start` to `end` (the end of the
    /// presentation if `None`). `None` if nothing of the presentation is left at `start` or no
    /// track is asked for.
    ///
    /// The first track that still plays at `start`, video before audio, leads: play starts at
    /// its last sync sample composed at or before `start` (or at `start`, if its first one comes
    /// later). The others join with their first sync sample from that time on. A presentation
    /// played from its very start begins with what decoders need before 0 (audio priming). A track
    /// ends with the last unit in decode order that is composed before the end.
    #[must_use]
    pub fn cue(&self, tracks: TrackSet, start: Npt, end: Option<Npt>) -> Option<Cue> {
        self.cue_at(tracks, start, end, SeekPoint::RandomAccess)
    }

    /// As [`Self::cue`], but the track that leads starts where `point` says.
    #[must_use]
    pub fn cue_at(
        &self,
        tracks: TrackSet,
        start: Npt,
        end: Option<Npt>,
        point: SeekPoint,
    ) -> Option<Cue> {
        self.cue_whole(tracks, start, end, point, |_, unit| unit..unit.saturating_add(1))
    }

    /// As [`Self::cue_at`], where units of a track can only be sent `together` with others: the
    /// track that leads starts with the first of those, or with [`SeekPoint::Next`] behind the last
    /// if it would start among them.
    #[must_use]
    pub fn cue_whole(
        &self,
        tracks: TrackSet,
        start: Npt,
        end: Option<Npt>,
        point: SeekPoint,
        together: impl Fn(TrackId, u32) -> Range<u32>,
    ) -> Option<Cue> {
        if start >= self.duration {
            return None;
        }
        let start_nanos = i64::try_from(start.nanos()).ok()?;
        let lead = self.lead(tracks, start_nanos)?;
        let end = end.unwrap_or(self.duration).min(self.duration);
        let (units, rate) = self.track(lead)?;
        let found = units.seek(rate, start_nanos, point).and_then(|unit| {
            let whole = together(lead, unit.index);
            let is_among = point == SeekPoint::Next && whole.start < unit.index;
            units.get(if is_among { whole.end } else { whole.start })
        });
        let AccessUnitEntry { index: lead_unit, composition: lead_time, .. } = found
            .or_else(|| units.get(0))
            .filter(|_| point != SeekPoint::Next || found.is_some())?;
        // Rounded up, a cue at the start of a cue is the same cue; rounded down, a unit of another
        // track at exactly that time is not missed.
        let (cue_start, join_nanos) = match found {
            Some(_) => (rate.nanos_ceil(lead_time).max(0), rate.nanos_floor(lead_time).max(0)),
            None => (start_nanos, start_nanos),
        };
        let position = |track: TrackId| {
            let (units, rate) = self.track(track)?;
            let first = if track == lead { lead_unit } else { join(units, rate, join_nanos) };
            let is_video = self.tracks.get(usize::from(track.0))?.codec.is_video();
            let primed = cue_start == 0 && !is_video && is_priming(units, rate);
            let first_unit = if primed { 0 } else { first };
            let end_unit = self.end_unit(units, rate, end).max(first_unit);
            let composition_min = match units.get(first_unit) {
                Some(unit) if is_video => unit.composition,
                _ => i64::MIN,
            };
            Some(TrackCue { track, first_unit, end_unit, composition_min })
        };
        Some(Cue {
            start: Npt::from_nanos(cue_start.unsigned_abs()),
            end,
            tracks: tracks.iter().filter_map(position).collect(),
        })
    }

    pub(super) fn track(&self, track: TrackId) -> Option<(&Units, ClockRate)> {
        let index = usize::from(track.0);
        let units = self.units.get(index).filter(|units| units.count() > 0)?;
        Some((units, self.tracks.get(index)?.media_rate))
    }

    /// The first track of the set that still plays at `start`, or else the first with units.
    fn lead(&self, tracks: TrackSet, start_nanos: i64) -> Option<TrackId> {
        let with_units = || tracks.iter().filter(|track| self.track(*track).is_some());
        let still_plays = |track: &TrackId| {
            self.track(*track).is_some_and(|(units, rate)| {
                rate.nanos_floor(units.composition_end()) > start_nanos
            })
        };
        with_units().find(still_plays).or_else(|| with_units().next())
    }

    /// A range to the end of the presentation ends with the track's last unit, be it composed a
    /// little past the duration, unless an edit list cut off more.
    fn end_unit(&self, units: &Units, rate: ClockRate, end: Npt) -> u32 {
        let end_nanos = i64::try_from(end.nanos()).unwrap_or(i64::MAX);
        let excess = rate.nanos_floor(units.composition_end()).saturating_sub(end_nanos);
        if end >= self.duration && excess <= PRIMING_NANOS_MAX {
            return units.count();
        }
        units.end_composed_before(rate.ticks_ceil(end_nanos))
    }
}

impl Units {
    /// The unit that a seek to `nanos` starts with; `None` if the track has none there.
    fn seek(&self, rate: ClockRate, nanos: i64, point: SeekPoint) -> Option<AccessUnitEntry> {
        let ticks = rate.ticks_floor(nanos);
        match point {
            SeekPoint::RandomAccess => {
                let ordinal = self.syncs_composed_until(ticks).checked_sub(1)?;
                self.get(self.syncs().nth(ordinal)?)
            }
            SeekPoint::FirstPrior => {
                let near = self.decoded_near(self.end_composed_before(ticks.saturating_add(1)));
                near.filter(|unit| unit.composition <= ticks).max_by_key(|unit| unit.composition)
            }
            SeekPoint::Next => {
                let ticks = rate.ticks_ceil(nanos);
                let near = self.decoded_near(self.end_composed_before(ticks));
                near.filter(|unit| unit.composition >= ticks).min_by_key(|unit| unit.composition)
            }
        }
    }

    /// The units among which one must be that is composed next to the `index`th in decode order.
    fn decoded_near(&self, index: u32) -> impl Iterator<Item = AccessUnitEntry> {
        let first = index.saturating_sub(REORDERED_UNITS_MAX);
        self.range(first, index.saturating_add(REORDERED_UNITS_MAX))
    }
}

/// Pictures are decoded at most so many before or behind their place in composition order: twice
/// what H.264 and H.265 allow.
const REORDERED_UNITS_MAX: u32 = 32;

/// The first sync sample composed at or after `nanos`; the number of units if there is none.
fn join(units: &Units, rate: ClockRate, nanos: i64) -> u32 {
    let composed_before = units.syncs_composed_until(rate.ticks_ceil(nanos).saturating_sub(1));
    units.syncs().nth(composed_before).unwrap_or(u32::MAX).min(units.count())
}

/// Whether the track begins at normal play time 0 or not long before: then a range from there has
/// all of it, also units of no length.
fn is_priming(units: &Units, rate: ClockRate) -> bool {
    let first = units.get(0).map_or(0, |unit| rate.nanos_floor(unit.composition));
    (-PRIMING_NANOS_MAX..=0).contains(&first)
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{
        AUDIO, GROUP_UNITS, VIDEO, audio_description, both, title, video_description,
    };
    use super::super::{IndexBuilder, MediaIndex};
    use super::*;

    fn seconds(seconds: f64) -> Npt {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        Npt::from_nanos((seconds * 1e9) as u64)
    }

    #[test]
    fn video_leads_and_audio_joins() {
        let index = title(20, 8000);
        let group = f64::from(GROUP_UNITS) / 25.0;
        for start in [0.0, 0.02, 1.9, 1.92, 1.93, 3.839_999, 3.84, 11.0, 19.999] {
            let cue = index.cue(both(), seconds(start), None).unwrap();
            let ordinal = (start / group).floor();
            assert_eq!(cue.start, seconds(ordinal * group), "{start}");
            assert_eq!(cue.end, index.duration);
            let [video, audio] = &cue.tracks[..] else { panic!("two tracks") };
            let sync = index.unit(VIDEO, video.first_unit).unwrap();
            assert!(sync.sync && sync.composition == video.composition_min, "{start}");
            assert_eq!(f64::from(video.first_unit), ordinal * f64::from(GROUP_UNITS));
            assert_eq!((video.end_unit, audio.composition_min), (500, i64::MIN));
            let joins = index.unit(AUDIO, audio.first_unit).unwrap();
            let due = joins.composition * 1_000_000_000 / 48_000;
            let behind = due - i64::try_from(cue.start.nanos()).unwrap();
            let expected = if cue.start == Npt::ZERO { -21_333_334..0 } else { 0..21_333_334 };
            assert!(expected.contains(&behind), "{start}: audio joins {behind} ns behind");
            // A cue at the start of a cue is the same cue.
            assert_eq!(index.cue(both(), cue.start, None).as_ref(), Some(&cue));
        }
    }

    #[test]
    fn leading_pictures_are_below_the_composition_minimum() {
        let index = title(20, 8000);
        let cue = index.cue(both(), seconds(2.0), None).unwrap();
        let TrackCue { first_unit, composition_min, .. } = cue.tracks[0];
        let leading: Vec<_> = (first_unit..first_unit + 6)
            .filter(|unit| index.unit(VIDEO, *unit).unwrap().composition < composition_min)
            .collect();
        assert_eq!(leading, [first_unit + 1, first_unit + 2]);
    }

    #[test]
    fn a_range_ends_with_the_last_unit_composed_before_its_end() {
        let index = title(20, 8000);
        for end in [0.001, 0.04, 0.041, 3.0, 3.04, 19.9, 20.0, 99.0] {
            let cue = index.cue(both(), Npt::ZERO, Some(seconds(end))).unwrap();
            assert_eq!(cue.end, seconds(end.min(20.0)));
            for (track, first, rate) in [(VIDEO, 0, 12_800.0), (AUDIO, 0, 48_000.0)] {
                let TrackCue { first_unit, end_unit, .. } = cue.tracks[usize::from(track.0)];
                assert_eq!(first_unit, first);
                let all = index.tracks[usize::from(track.0)].unit_count;
                #[allow(clippy::cast_possible_truncation)]
                let end_ticks = (end * rate).ceil() as i64;
                let last = (0..all)
                    .rfind(|unit| index.unit(track, *unit).unwrap().composition < end_ticks)
                    .unwrap();
                let expected = if end >= 20.0 { all } else { last + 1 };
                assert_eq!(end_unit, expected, "{end} {track:?}");
            }
        }
    }

    #[test]
    fn audio_alone_starts_at_the_unit_that_covers_the_start() {
        let index = title(20, 8000);
        let audio = TrackSet::EMPTY.with(AUDIO);
        for (start, unit) in [(0.0, 0), (0.001, 0), (0.0214, 2), (1.0, 47), (19.97, 937)] {
            let cue = index.cue(audio, seconds(start), None).unwrap();
            assert_eq!(cue.tracks[0].first_unit, unit, "{start}");
            assert!(cue.start <= seconds(start), "{start}");
        }
    }

    #[test]
    fn seek_points() {
        let index = title(20, 8000);
        for (start, first_prior, next) in
            [(0.0, 0.0, 0.0), (2.0, 2.0, 2.0), (2.01, 2.0, 2.04), (3.839, 3.8, 3.84)]
        {
            for (point, expected) in [(SeekPoint::FirstPrior, first_prior), (SeekPoint::Next, next)]
            {
                let cue = index.cue_at(both(), seconds(start), None, point).unwrap();
                assert_eq!(cue.start, seconds(expected), "{start} {point:?}");
                let [video, audio] = &cue.tracks[..] else { panic!("two tracks") };
                let lead = index.unit(VIDEO, video.first_unit).unwrap();
                assert_eq!(lead.composition, video.composition_min);
                let joins = index.unit(AUDIO, audio.first_unit).unwrap();
                let joins = f64::from(i32::try_from(joins.composition).unwrap()) / 48_000.0;
                assert!(joins >= expected - 0.0214 && joins < expected + 0.0214, "{start} {joins}");
            }
        }
        let last = seconds(19.99);
        assert_eq!(index.cue_at(both(), last, None, SeekPoint::Next), None, "no picture is left");
        let audio = TrackSet::EMPTY.with(AUDIO);
        let cue = index.cue_at(audio, seconds(1.0), None, SeekPoint::Next).unwrap();
        assert_eq!(cue.tracks[0].first_unit, 48);
    }

    #[test]
    fn units_that_leave_together_are_not_parted() {
        let index = title(20, 8000);
        // Unit 0 is shown 1024 ticks before 0, and the last is the 938th.
        let fours = |_: TrackId, unit: u32| unit / 4 * 4..(unit / 4 * 4 + 4).min(938);
        let at = |unit: u32| Npt::from_nanos((u64::from(unit - 1) * 64_000_000).div_ceil(3));
        let audio = TrackSet::EMPTY.with(AUDIO);
        for (start, point, unit) in [
            (0.0, SeekPoint::RandomAccess, Some(0)),
            (0.05, SeekPoint::RandomAccess, Some(0)),
            (1.0, SeekPoint::RandomAccess, Some(44)),
            (1.0, SeekPoint::FirstPrior, Some(44)),
            (1.0, SeekPoint::Next, Some(48)),
            // Unit 44 begins a packet, and 45 is in it.
            (0.9174, SeekPoint::RandomAccess, Some(44)),
            (0.9173, SeekPoint::Next, Some(44)),
            (0.9174, SeekPoint::Next, Some(48)),
            (19.99, SeekPoint::RandomAccess, Some(936)),
            (19.99, SeekPoint::Next, None),
        ] {
            let cue = index.cue_whole(audio, seconds(start), None, point, fours);
            let found = cue.as_ref().map(|cue| cue.tracks[0].first_unit);
            assert_eq!(found, unit, "{start} {point:?}");
            if let (Some(cue), Some(unit)) = (cue, unit) {
                assert_eq!(cue.start, at(unit.max(1)), "{start} {point:?}");
                let again = index.cue_whole(audio, cue.start, None, SeekPoint::RandomAccess, fours);
                assert_eq!(again.unwrap().start, cue.start, "{start} {point:?}");
            }
        }
        // Beside pictures, sound begins with the first unit from where they do.
        let cue = index.cue_whole(both(), seconds(2.0), None, SeekPoint::RandomAccess, fours);
        assert_eq!(cue, index.cue(both(), seconds(2.0), None));
    }

    #[test]
    fn there_is_no_cue_past_the_end_or_without_tracks() {
        let index = title(20, 8000);
        assert_eq!(index.cue(both(), seconds(20.0), None), None);
        assert_eq!(index.cue(TrackSet::EMPTY, Npt::ZERO, None), None);
        assert_eq!(index.cue(TrackSet::EMPTY.with(TrackId(9)), Npt::ZERO, None), None);
        let past_start = index.cue(both(), seconds(10.0), Some(seconds(1.0))).unwrap();
        assert!(past_start.tracks.iter().all(|track| track.end_unit == track.first_unit));
    }

    /// One video picture a second and audio units of a second, at 1-second time scales: (first
    /// composition, units) of each.
    fn simple(video: (i64, i64), audio: (i64, i64), duration: f64) -> MediaIndex {
        let mut builder = IndexBuilder::new();
        for (mut description, (first, count)) in
            [(video_description(), video), (audio_description(), audio)]
        {
            description.media_rate = ClockRate::new(1).unwrap();
            let track = builder.add_track(description).unwrap();
            for time in first..first + count {
                builder.push(track, 0, 1, time, time, 1, true).unwrap();
            }
        }
        builder.finish(seconds(duration))
    }

    #[test]
    fn tracks_of_unequal_length() {
        for (video, audio, start, cue_start, first_units) in [
            ((0, 5), (0, 20), 10.5, 10.0, [5, 10]), // video is over: audio leads
            ((0, 20), (0, 5), 10.5, 10.0, [10, 5]), // audio is over
            ((4, 20), (0, 20), 0.0, 0.0, [0, 0]),   // video is delayed: play starts where asked
            ((4, 20), (0, 20), 2.5, 2.5, [0, 3]),
            ((-3, 20), (-3, 20), 0.0, 0.0, [3, 3]), // an edit list cut off 3 s: no priming
            ((-1, 20), (-1, 20), 0.0, 0.0, [1, 0]),
        ] {
            let cue = simple(video, audio, 17.0).cue(both(), seconds(start), None).unwrap();
            assert_eq!(cue.start, seconds(cue_start), "{video:?} {audio:?}");
            let found: Vec<_> = cue.tracks.iter().map(|track| track.first_unit).collect();
            assert_eq!(found, first_units, "{video:?} {audio:?}");
        }
    }

    #[test]
    fn what_an_edit_list_cut_off_at_the_end_is_not_sent() {
        for (units, end_unit) in [(17, 17), (18, 18), (19, 17), (30, 17)] {
            let cue = simple((0, units), (0, 17), 17.0).cue(both(), Npt::ZERO, None).unwrap();
            assert_eq!(cue.tracks[0].end_unit, end_unit, "{units}");
        }
    }
}
