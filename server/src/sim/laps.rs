//! What a viewer expects behind the end of a title that is played in a loop.

use super::span::{Span, nanos_to_ticks};
use super::viewer::Watched;
use crate::title::Title;
use packetizer::index::{Cue, Direction, MediaIndex, TrackId, TrackSet};
use packetizer::time::Npt;

/// Laps that a stream may leave out whole: it plays some in a second if it is hurried and scaled,
/// and goes without for some seconds where memory is scarce.
pub(super) const LAPS_MISSED_MAX: usize = 100;
/// What left of a range that was paused is decoded no further ahead of where it stood.
const REORDERED_NANOS: i64 = 1_000_000_000;

/// The lap that follows a range, on one of the streams.
pub(super) fn lap_behind(streams: &[Watched], stream: usize, title: &Title) -> Option<Span> {
    let Watched { span, track, rate, .. } = streams[stream];
    let tracks: TrackSet = streams.iter().map(|stream| stream.track).collect();
    let index = &title.index;
    let cue = lap_cue(index, tracks, &span)?;
    let gap = if span.is_skim() { 0 } else { gap(index, &cue) };
    let found = cue.tracks.iter().find(|cue| cue.track == track);
    let viewed = span.viewed_before + span.viewed() + gap;
    Some(Span {
        start: 0,
        end: i64::try_from(index.duration.nanos()).ok()?,
        rtptime: span.origin_rtptime.wrapping_add(wrapped(nanos_to_ticks(rate, viewed))),
        first_unit: found.map_or(0, |cue| cue.first_unit),
        end_unit: found.map_or(0, |cue| cue.end_unit),
        begins: span.over() + span.delivery(gap),
        viewed_before: viewed,
        is_lap: true,
        holds: None,
        ..span
    })
}

fn lap_cue(index: &MediaIndex, tracks: TrackSet, span: &Span) -> Option<Cue> {
    if !span.is_endless {
        return None;
    }
    match span.is_skim() {
        true => index.skim_cue(tracks, Npt::ZERO, None, Direction::Forward),
        false => index.cue(tracks, Npt::ZERO, None),
    }
}

/// From the end of the title to where its beginning may be shown again: no unit of a track begins
/// before another has ended.
fn gap(index: &MediaIndex, cue: &Cue) -> i64 {
    let end = i64::try_from(index.duration.nanos()).expect("small");
    let of_track = |track: TrackId, first: u32| {
        let rate = index.tracks[usize::from(track.0)].media_rate;
        let units = || (first..).map_while(|unit| index.unit(track, unit));
        let ends = units().map(|unit| unit.composition + i64::from(unit.duration)).max()?;
        let begins = units().next()?.composition;
        Some(rate.nanos_floor(ends) - end - rate.nanos_floor(begins))
    };
    let gaps = cue.tracks.iter().filter_map(|cue| of_track(cue.track, cue.first_unit));
    gaps.max().unwrap_or(0).max(0)
}

impl Watched {
    /// A session goes on at `start` where it was paused, perhaps in a lap of which nothing has
    /// arrived yet.
    pub(super) fn resume_lap(&mut self, lap: Option<Span>, title: &Title, start: i64) {
        let rate = title.index.tracks[usize::from(self.track.0)].media_rate;
        let is_past = |unit: u32| {
            let unit = title.index.unit(self.track, unit);
            unit.is_some_and(|unit| rate.nanos_floor(unit.decode) > start + REORDERED_NANOS)
        };
        if let Some(lap) = lap.filter(|_| self.last_unit.is_some_and(is_past)) {
            self.enter(lap);
        }
    }
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "wraps by definition")]
const fn wrapped(ticks: i64) -> u32 {
    ticks as u32
}
