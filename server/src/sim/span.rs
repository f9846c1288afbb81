//! A range as its viewer knows it, and which unit a packet of it is of.

use super::viewer::Watched;
use crate::mailbox::Cued;
use crate::pace::Speed;
use crate::title::Title;
use packetizer::image::BUNDLE_NANOS_MAX;
use packetizer::index::{Cue, MediaIndex, TrackId};
use packetizer::time::{ClockRate, NANOS_PER_SECOND, Npt};

/// Thousandths.
pub(super) const NORMAL_SPEED: i64 = Speed::NORMAL.thousandths() as i64;

/// One stream's part of a range.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    /// Nanoseconds of the presentation.
    pub(super) start: i64,
    pub(super) end: i64,
    pub(super) scale: i64,
    /// Thousandths.
    pub(super) speed: i64,
    pub(super) rtptime: u32,
    pub(super) first_unit: u32,
    pub(super) end_unit: u32,
    /// Nanoseconds from when the viewer began to play.
    pub(super) begins: i64,
    /// Laps follow it.
    pub(super) is_endless: bool,
    /// It is a lap itself.
    pub(super) is_lap: bool,
    /// Nanoseconds of viewing from the start of the range that the laps follow.
    pub(super) viewed_before: i64,
    /// When that begins.
    pub(super) origin_begins: i64,
    /// The timestamp of that.
    pub(super) origin_rtptime: u32,
    /// The unit of the time that was asked for, which the first packet holds.
    pub(super) holds: Option<u32>,
}

impl Span {
    /// Nothing is played.
    pub(super) const EMPTY: Self = Self {
        start: 0,
        end: 0,
        scale: 1,
        speed: NORMAL_SPEED,
        rtptime: 0,
        first_unit: 0,
        end_unit: 0,
        begins: 0,
        is_endless: false,
        is_lap: false,
        viewed_before: 0,
        origin_begins: 0,
        origin_rtptime: 0,
        holds: None,
    };

    /// What a reply, and the cue that it tells of, mean for a track.
    pub(super) fn new(cued: &Cued, cue: &Cue, track: TrackId, begins: i64) -> Self {
        let track = cue.tracks.iter().find(|found| found.track == track);
        let (first_unit, end_unit) =
            track.map_or((0, 0), |track| (track.first_unit, track.end_unit));
        Self {
            start: nanos(cued.start),
            end: nanos(cued.end),
            scale: cued.pace.scale.factor().into(),
            speed: cued.pace.speed.thousandths().into(),
            rtptime: 0,
            first_unit,
            end_unit,
            begins,
            is_endless: cued.is_endless,
            ..Self::EMPTY
        }
    }

    /// Its start has this timestamp.
    pub(super) const fn starts_with(&mut self, rtptime: u32) {
        (self.rtptime, self.origin_rtptime) = (rtptime, rtptime);
        (self.viewed_before, self.origin_begins) = (0, self.begins);
    }

    /// Sound by itself begins with the packet that holds what was asked for, where the reply says.
    pub(super) fn begin_whole(&mut self, index: &MediaIndex, cue: &Cue, track: TrackId) {
        let of = |track: TrackId| &index.tracks[usize::from(track.0)];
        let is_sound = cue.tracks.iter().all(|cue| !of(cue.track).codec.is_video());
        let is_lead = cue.tracks.first().is_some_and(|lead| lead.track == track);
        if self.is_skim() || !is_sound || !is_lead {
            return;
        }
        let begins = |unit: u32| {
            let unit = index.unit(track, unit).expect("a unit of the track");
            of(track).media_rate.nanos_floor(unit.composition)
        };
        let asked = self.first_unit;
        assert!(begins(asked) - self.start <= BUNDLE_NANOS_MAX, "it begins long before {asked}");
        let first = (0..=asked).rev().find(|unit| begins(*unit) <= self.start);
        self.first_unit = first.expect("it begins with a unit of the track");
        self.holds = Some(asked);
    }

    /// Whether nothing was played yet.
    pub(super) const fn is_new(&self) -> bool {
        self.end == 0 && self.end_unit == 0
    }

    pub(super) fn ends_at(&self, end: Npt) -> bool {
        self.end == nanos(end)
    }

    /// Nanoseconds that it is viewed.
    pub(super) const fn viewed(&self) -> i64 {
        (self.end - self.start) / self.scale
    }

    /// Nanoseconds in which so many of viewing are delivered.
    pub(super) const fn delivery(&self, viewing: i64) -> i64 {
        viewing * NORMAL_SPEED / self.speed
    }

    /// When it is over, in nanoseconds from when the viewer began to play.
    pub(super) const fn over(&self) -> i64 {
        self.begins + self.delivery(self.viewed())
    }

    pub(super) const fn is_skim(&self) -> bool {
        self.scale != 1
    }
}

impl Watched {
    pub(super) fn enter(&mut self, span: Span) {
        (self.span, self.last_unit) = (span, None);
    }

    /// The session goes on in the range with that end: one that follows, or one that the stream has
    /// gone on from, because the next was begun ahead of its time and is forgotten.
    pub(super) fn return_to(&mut self, end: Npt) {
        if self.span.ends_at(end) {
            return;
        }
        let behind = self.passed.iter().rfind(|span| span.ends_at(end)).copied();
        if let Some(span) = behind.filter(|_| !self.later.iter().any(|span| span.ends_at(end))) {
            self.enter(span);
            self.last_unit = Some(span.end_unit);
            return;
        }
        while !self.span.ends_at(end)
            && let Some(span) = self.later.pop_front()
        {
            self.enter(span);
        }
    }

    /// The unit of the range that has a timestamp, and when it is due, in nanoseconds from when the
    /// viewer began to play.
    pub(super) fn find(
        &self,
        title: &Title,
        timestamp: u32,
        precision: i64,
    ) -> Result<(u32, i64), String> {
        let span = &self.span;
        let from_start = i64::from(timestamp.wrapping_sub(span.rtptime).cast_signed());
        // Where the start of the range falls between two ticks, either may be its timestamp.
        let ticks = nanos_to_ticks(self.rate, span.start) + from_start * span.scale;
        let slack = 1 + nanos_to_ticks(self.rate, precision) + (span.scale.abs() - 1) * 2;
        let index = &title.index;
        let is_shown = |unit: u32| {
            !span.is_skim() || index.unit(self.track, unit).is_some_and(|unit| unit.sync)
        };
        let mut near = self.units.range(ticks - slack..=ticks + slack);
        let Some((_, &(unit, decode))) = near.find(|(_, (unit, _))| is_shown(*unit)) else {
            return Err(format!("no unit of track {:?} at tick {ticks}", self.track));
        };
        let is_of_it = span.is_skim() || (span.first_unit..span.end_unit).contains(&unit);
        let is_in_order = self.last_unit.is_none_or(|last| match span.scale {
            ..0 => unit <= last,
            _ => last <= unit,
        });
        if !is_of_it || !is_in_order {
            return Err(format!("unit {unit} behind {:?}", self.last_unit));
        }
        // What is decoded before the start of the range leaves at once.
        let viewing = if span.is_skim() {
            from_start * NANOS_PER_SECOND / i64::from(self.rate.ticks_per_second())
        } else {
            decode - span.start
        };
        Ok((unit, span.begins + span.delivery(viewing.max(0))))
    }

    /// A packet of this unit arrived, and no other was lost.
    pub(super) fn check_whole(&self, unit: u32, timestamp: u32) {
        let (Some(asked), first) = (self.span.holds, self.span.first_unit) else { return };
        match self.last_unit {
            None => {
                assert_eq!(unit, first, "the first packet holds {asked}");
                let off = timestamp.wrapping_sub(self.span.rtptime).cast_signed();
                assert!(off.abs() <= 1, "rtptime is {off} ticks off the first packet");
            }
            Some(last) if last == first && unit != last => {
                assert!(unit > asked, "{asked} is in the second packet, not in the first");
            }
            Some(_) => {}
        }
    }

    /// Whether every unit of its ranges arrived to the end.
    pub(super) fn saw_everything(&self) -> bool {
        // An audio bundle is named by its first unit, and sent to those who begin with it.
        let has_nothing = |span: &Span| span.is_skim() || span.first_unit + 8 >= span.end_unit;
        let last = self.last_unit.unwrap_or(self.span.first_unit);
        let is_seen = has_nothing(&self.span) || last + 8 >= self.span.end_unit;
        is_seen && self.later.iter().all(has_nothing)
    }
}

pub(super) fn nanos_to_ticks(rate: ClockRate, nanos: i64) -> i64 {
    let nanosecond = ClockRate::new(1_000_000_000).expect("not zero");
    nanosecond.convert_nearest(nanos, rate)
}

fn nanos(npt: Npt) -> i64 {
    i64::try_from(npt.nanos()).expect("small")
}
