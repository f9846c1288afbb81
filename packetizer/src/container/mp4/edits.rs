//! Edit lists: which media the presentation shows, and when (ISO 14496-12 §8.6.6).

use super::boxes::{Box, find_path};
use super::samples::Sample;
use crate::time::ClockRate;

/// Edits of a track beyond which it is refused.
const EDITS_MAX: usize = 4096;
/// Edits beyond this many ticks (centuries) are no edits.
const TICKS_MAX: i64 = 1 << 52;
/// media_rate of an edit that is played as it is, in 16.16 bits.
const RATE_ONE: u32 = 1 << 16;

/// The edits that show media; empty ones delay those behind them.
///
/// A sole edit places all media: what it leaves out in front has negative times, what it leaves out
/// at the end lies behind the presentation's. Of several, which must follow each other in the media
/// too, only what they show is delivered.
#[derive(Clone, Debug, Default)]
pub(super) struct Edits {
    /// None at all places media where its own times say.
    segments: Vec<Segment>,
    /// The one that shows the units at hand.
    current: usize,
    /// Composition less decode time of the first unit.
    lead: Option<i64>,
    /// Ticks by which times are known no better.
    tolerance: i64,
    /// Ticks that all times are moved by, besides.
    shift: i64,
    has_missed: bool,
}

/// A stretch of media that is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Segment {
    /// Media time of its beginning and end, in ticks of the media rate.
    start: i64,
    end: i64,
    /// Ticks to add to media times.
    shift: i64,
}

/// An entry of the list.
#[derive(Clone, Copy, Debug)]
struct Entry {
    /// In ticks of the movie's rate.
    duration: u64,
    /// In ticks of the media rate; negative if the edit is empty.
    media_time: i64,
    media_rate: u32,
}

impl Edits {
    /// The edits of a track; none if there is no list or it makes no sense.
    ///
    /// # Errors
    /// When it asks for what cannot be had by leaving media out.
    pub(super) fn parse(
        trak: &Box<'_>,
        media_rate: ClockRate,
        movie_rate: Option<ClockRate>,
    ) -> Result<Self, &'static str> {
        let entries = parse_entries(trak).unwrap_or_default();
        let Some(movie_rate) = movie_rate else { return Ok(Self::default()) };
        let in_media = |movie_ticks: u64| {
            let ticks = movie_rate.convert_nearest(i64::try_from(movie_ticks).ok()?, media_rate);
            (ticks < TICKS_MAX).then_some(ticks)
        };
        let tolerance = in_media(1).unwrap_or(0).saturating_add(1);
        let segments = segments(&entries, in_media, tolerance).unwrap_or_default();
        let edits = Self { segments, tolerance, ..Self::default() };
        if edits.segments.len() > 1 {
            edits.check(&entries)?;
        }
        Ok(edits)
    }

    /// Whether several edits can be had by leaving out what none shows.
    fn check(&self, entries: &[Entry]) -> Result<(), &'static str> {
        let mut shown = entries.iter().filter(|entry| entry.media_time >= 0 && entry.duration > 0);
        if shown.any(|entry| entry.media_rate != RATE_ONE) {
            return Err("its edit list holds pictures still (dwell) or changes the speed");
        }
        let follows = |pair: &[Segment]| match pair {
            [one, next] => one.end <= next.start.saturating_add(self.tolerance),
            _ => true,
        };
        if !self.segments.windows(2).all(follows) {
            return Err("its edit list repeats media or changes its order");
        }
        if self.segments.len() > EDITS_MAX {
            return Err("its edit list has more than 4096 edits");
        }
        Ok(())
    }

    /// Ticks to add to the times of the next unit in decode order; `None` if no edit shows it.
    pub(super) fn place(&mut self, sample: &Sample) -> Option<i64> {
        let Some(segment) = self.segments.get(self.current) else { return Some(self.shift) };
        let shift = segment.shift.saturating_add(self.shift);
        if self.segments.len() == 1 {
            return Some(shift);
        }
        let offset = i64::from(sample.composition_offset);
        let lead = *self.lead.get_or_insert(offset);
        let composed = sample.decode.saturating_add(offset);
        if let Some(next) = self.segments.get(self.current + 1) {
            let end = composed.saturating_add(i64::from(sample.duration.max(1)));
            let is_behind = composed > next.start.saturating_add(self.tolerance);
            if sample.sync && !is_behind && end > next.start {
                let shift = next.shift.saturating_add(self.shift);
                self.current += 1;
                return Some(shift);
            }
            let shown = sample.decode.saturating_add(lead);
            self.has_missed |= is_behind && shown >= next.start.saturating_add(self.tolerance);
            // Units decoded before the end may be what those need that are shown before it.
            return (shown < segment.end).then_some(shift);
        }
        // Pictures in front of the first of the edit need what is left out.
        (composed.saturating_add(self.tolerance) >= segment.start).then_some(shift)
    }

    /// Whether an edit began between two sync samples, where none can begin.
    pub(super) const fn has_missed(&self) -> bool {
        self.has_missed
    }

    /// Moves all times by so many ticks.
    pub(super) fn delay(&mut self, ticks: i64) {
        self.shift = self.shift.saturating_add(ticks);
    }

    /// Where the last edit ends, in ticks on the presentation's axis, if it says so.
    pub(super) fn end(&self) -> Option<i64> {
        let last = self.segments.last().filter(|last| last.end < TICKS_MAX)?;
        Some(last.end.saturating_add(last.shift).saturating_add(self.shift))
    }
}

/// The stretches of media that the entries show; `None` if there is none, or a time beyond reason.
fn segments(
    entries: &[Entry],
    in_media: impl Fn(u64) -> Option<i64>,
    tolerance: i64,
) -> Option<Vec<Segment>> {
    let mut segments: Vec<Segment> = Vec::new();
    let mut position = 0_u64;
    for (number, entry) in (1..).zip(entries) {
        let Entry { duration, media_time: start, .. } = *entry;
        let is_last = number == entries.len();
        if start >= 0 && (duration > 0 || is_last) {
            let length = if duration > 0 { in_media(duration)? } else { TICKS_MAX };
            let delay = in_media(position)?;
            if start >= TICKS_MAX {
                return None;
            }
            let segment = Segment { start, end: start + length, shift: delay - start };
            let goes_on = |last: &&mut Segment| {
                (last.end - start).abs() <= tolerance
                    && (last.shift - segment.shift).abs() <= tolerance
            };
            match segments.last_mut().filter(goes_on) {
                Some(last) => last.end = segment.end,
                None => segments.push(segment),
            }
        }
        position = position.checked_add(duration)?;
    }
    Some(segments)
}

/// The entries of the list, as far as they are there.
fn parse_entries(trak: &Box<'_>) -> Option<Vec<Entry>> {
    let mut list = find_path(trak.body, &[b"edts", b"elst"])?;
    let (version, _) = list.version_and_flags()?;
    let count = list.u32()?;
    let mut next = || {
        let (duration, media_time) = if version == 1 {
            (list.u64()?, list.u64()?.cast_signed())
        } else {
            (u64::from(list.u32()?), i64::from(list.u32()?.cast_signed()))
        };
        Some(Entry { duration, media_time, media_rate: list.u32()? })
    };
    Some((0..count).map_while(|_| next()).collect())
}

#[cfg(test)]
mod tests {
    use super::super::boxes::{Bytes, next_box};
    use super::super::tests::writer::{make_box, make_table};
    use super::*;

    /// The edits (duration in ms, media time in ticks of 10 kHz, rate).
    fn edits(list: &[(u32, i32, u32)]) -> Result<Edits, &'static str> {
        let rows: Vec<_> = list
            .iter()
            .map(|(length, time, rate)| [*length, time.cast_unsigned(), *rate])
            .collect();
        let edts = make_box(b"edts", &[&make_table(b"elst", &rows)]);
        let trak = make_box(b"trak", &[&edts]);
        let rate = |ticks| ClockRate::new(ticks).unwrap();
        Edits::parse(&next_box(&mut Bytes(&trak)).unwrap(), rate(10_000), Some(rate(1000)))
    }

    const ONE: u32 = RATE_ONE;

    /// Where units of 400 ticks are placed, each at its number; sync samples every `group`.
    fn placed(edits: &mut Edits, group: i64, count: i64) -> Vec<Option<i64>> {
        let sample = |at: i64| Sample {
            offset: 0,
            bytes: 1,
            media_bytes: 1,
            decode: at * 400,
            composition_offset: 0,
            duration: 400,
            sync: at % group == 0,
        };
        (0..count).map(|at| Some((at * 400 + edits.place(&sample(at))?) / 400)).collect()
    }

    #[test]
    fn several_edits_show_what_they_name() {
        let all = |units: std::ops::Range<i64>| units.map(Some).collect::<Vec<_>>();
        for (list, expected) in [
            // Without what lies between them.
            (&[(80, 0, ONE), (80, 1600, ONE)][..], [all(0..2), vec![None; 2], all(2..6)].concat()),
            // With a pause between them.
            (
                &[(80, 0, ONE), (40, -1, ONE), (160, 1600, ONE)],
                [all(0..2), vec![None; 2], all(3..7)].concat(),
            ),
            // One that goes on where the one before ends.
            (&[(80, 0, ONE), (80, 800, ONE), (80, 1600, ONE)], all(0..8)),
            (
                &[(80, 0, ONE), (0, 3200, ONE), (0, 1600, ONE)],
                [all(0..2), vec![None; 2], all(2..6)].concat(),
            ),
            // Delayed, and the second beyond the media.
            (
                &[(120, -1, ONE), (80, 0, ONE), (80, 64_000, ONE)],
                [all(3..5), vec![None; 6]].concat(),
            ),
        ] {
            let mut edits = edits(list).unwrap();
            assert_eq!(placed(&mut edits, 1, 8), expected, "{list:?}");
            assert!(!edits.has_missed());
        }
    }

    #[test]
    fn edits_of_pictures_begin_at_sync_samples() {
        let list = [(80, 0, ONE), (80, 1600, ONE)];
        for (group, has_missed) in [(1, false), (2, false), (4, false), (3, true), (8, true)] {
            let mut edits = edits(&list).unwrap();
            let first = placed(&mut edits, group, 8).iter().rposition(|unit| *unit == Some(2));
            assert_eq!((first.is_none(), edits.has_missed()), (has_missed, has_missed), "{group}");
        }
    }

    #[test]
    fn what_leaving_out_does_not_give_is_refused() {
        for (list, expected) in [
            (&[(80, 0, ONE), (80, 0, ONE)][..], Err("repeats")),
            (&[(80, 1600, ONE), (80, 0, ONE)], Err("order")),
            (&[(80, 0, ONE), (80, 800, 0)], Ok(1)), // goes on as before
            (&[(80, 0, ONE), (80, 1600, 0)], Err("dwell")),
            (&[(80, 0, ONE), (80, 1600, 2 * ONE)], Err("speed")),
            (&[(80, 400, 0)], Ok(1)), // writers that leave the rate out
            (&[(80, -1, ONE)], Ok(0)),
            (&[], Ok(0)),
        ] {
            match (edits(list), expected) {
                (Ok(edits), Ok(count)) => assert_eq!(edits.segments.len(), count, "{list:?}"),
                (Err(why), Err(expected)) => assert!(why.contains(expected), "{list:?}: {why}"),
                other => panic!("{list:?}: {other:?}"),
            }
        }
    }

    #[test]
    fn many_edits_are_refused() {
        let list = |count| (0..count).map(|at| (10, at * 200, ONE)).collect::<Vec<_>>();
        assert!(edits(&list(4096)).is_ok());
        assert!(edits(&list(4097)).is_err());
    }
}
