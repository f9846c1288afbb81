//! Seeks: from normal play time to positions in the tracks.

use super::units::Units;
use super::{Cue, MediaIndex, TrackCue, TrackId, TrackSet};
use crate::codec::CodecConfig;
use crate::time::{ClockRate, NANOS_PER_SECOND, Npt};

/// What lies at most this long before normal play time 0 is a decoder's priming and sent; what
/// lies at most this long after the duration is padding and sent. What lies beyond was cut off by an
/// edit list.
const PRIMING_NANOS_MAX: i64 = NANOS_PER_SECOND;

impl MediaIndex {
    /// Where to start and end in each track to play from `start` to `end` (the end of the
    /// presentation if `None`). `None` if nothing of the presentation is left at `start` or no
    /// track is asked for.
    ///
    /// The first track that still plays at `start`, video before audio, leads: play starts at
    /// its last sync sample composed at or before `start` (or at `start`, if its first one comes
    /// later). The others join with their first sync sample from that time on. A presentation played from
    /// its very start begins with what decoders need before 0 (audio priming). A track ends with
    /// the last unit in decode order that is composed before the end.
    #[must_use]
    pub fn cue(&self, tracks: TrackSet, start: Npt, end: Option<Npt>) -> Option<Cue> {
        if start >= self.duration {
            return None;
        }
        let start_nanos = i64::try_from(start.nanos()).ok()?;
        let lead = self.lead(tracks, start_nanos)?;
        let end = end.unwrap_or(self.duration).min(self.duration);
        let (units, rate) = self.track(lead)?;
        let composed = units.syncs_composed_until(rate.ticks_floor(start_nanos));
        let lead_unit = units.syncs().nth(composed.saturating_sub(1)).unwrap_or(0);
        let lead_time = units.get(lead_unit)?.composition;
        // Rounded up, a cue at the start of a cue is the same cue; rounded down, a unit of another
        // track at exactly that time is not missed.
        let (cue_start, join_nanos) = if composed == 0 {
            (start_nanos, start_nanos)
        } else {
            (nanos_ceil(rate, lead_time).max(0), rate.nanos_floor(lead_time).max(0))
        };
        let position = |track: TrackId| {
            let (units, rate) = self.track(track)?;
            let first = if track == lead { lead_unit } else { join(units, rate, join_nanos) };
            let is_video =
                matches!(self.tracks.get(usize::from(track.0))?.codec, CodecConfig::H264(_));
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

    fn track(&self, track: TrackId) -> Option<(&Units, ClockRate)> {
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
        units.end_composed_before(ticks_ceil(rate, end_nanos))
    }
}

/// The first sync sample composed at or after `nanos`; the number of units if there is none.
fn join(units: &Units, rate: ClockRate, nanos: i64) -> u32 {
    let composed_before = units.syncs_composed_until(ticks_ceil(rate, nanos).saturating_sub(1));
    units.syncs().nth(composed_before).unwrap_or(u32::MAX).min(units.count())
}

/// Whether the track begins before normal play time 0, but not long before.
fn is_priming(units: &Units, rate: ClockRate) -> bool {
    let first = units.get(0).map_or(0, |unit| rate.nanos_floor(unit.composition));
    (-PRIMING_NANOS_MAX..0).contains(&first)
}

fn nanos_ceil(rate: ClockRate, ticks: i64) -> i64 {
    rate.nanos_floor(ticks.saturating_neg()).saturating_neg()
}

fn ticks_ceil(rate: ClockRate, nanos: i64) -> i64 {
    rate.ticks_floor(nanos.saturating_neg()).saturating_neg()
}
