//! Range (RFC 2326 §12.29) in normal play time (§3.6), SMPTE timestamps (§3.5) or absolute time
//! (§3.7).

use super::smpte::{FrameRate, SmpteTime};
use super::utc::UtcTime;
use super::{fraction_nanos, parse_decimal, split_list};
use crate::rtsp::StatusCode;
use packetizer::time::{NANOS_PER_SECOND, Npt};
use std::fmt;
use std::str::FromStr;

/// The unit of a range's times, which the answer repeats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RangeUnit {
    /// Normal play time.
    Npt,
    /// Frames since the start, named as the client named them.
    Smpte(SmpteName),
    /// Absolute time, for presentations that have one.
    Clock,
}

/// The names of SMPTE units: the default has two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SmpteName {
    /// `smpte`: 30 drop.
    Default,
    /// `smpte-30-drop`.
    Drop30,
    /// `smpte-30`.
    Fps30,
    /// `smpte-25`.
    Fps25,
}

/// A range in the unit in which it was asked for.
///
/// Times in absolute time count from 1970 until [`Range::npt`] makes them normal play time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    unit: RangeUnit,
    times: NptRange,
}

/// A range of normal play time. Its end lies before its start when play goes backwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NptRange {
    start: NptStart,
    end: Option<Npt>,
}

/// Where a range starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NptStart {
    /// At this time.
    At(Npt),
    /// `now`: the present of a live presentation; otherwise where the session stands.
    Now,
    /// Not written, as in `npt=-20`.
    Omitted,
}

/// Why a Range is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RangeError {
    /// It is in a unit that is not known.
    UnknownUnit,
    /// It is in absolute time, which the presentation does not have.
    NoAbsoluteTime,
    /// It cannot be read.
    Malformed,
}

impl RangeError {
    /// What the client is told.
    #[must_use]
    pub const fn status(self) -> StatusCode {
        match self {
            Self::Malformed => StatusCode::BAD_REQUEST,
            Self::UnknownUnit => StatusCode::NOT_IMPLEMENTED,
            Self::NoAbsoluteTime => StatusCode::HEADER_FIELD_NOT_VALID_FOR_RESOURCE,
        }
    }
}

impl fmt::Display for RangeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UnknownUnit => "the unit of the range is not known",
            Self::NoAbsoluteTime => "the presentation has no absolute time",
            Self::Malformed => "the range cannot be read",
        })
    }
}

impl std::error::Error for RangeError {}

impl NptRange {
    /// The range from `start` to `end`, or to the end of the presentation.
    ///
    /// # Errors
    ///
    /// [`RangeError::Malformed`] if neither is written.
    pub fn new(start: NptStart, end: Option<Npt>) -> Result<Self, RangeError> {
        match (start, end) {
            (NptStart::Omitted, None) => Err(RangeError::Malformed),
            _ => Ok(Self { start, end }),
        }
    }

    /// The range between two times.
    #[must_use]
    pub const fn between(start: Npt, end: Npt) -> Self {
        Self { start: NptStart::At(start), end: Some(end) }
    }

    /// The range from a time on, without an end.
    #[must_use]
    pub const fn from_start(start: Npt) -> Self {
        Self { start: NptStart::At(start), end: None }
    }

    /// Where it starts.
    #[must_use]
    pub const fn start(self) -> NptStart {
        self.start
    }

    /// Where it ends; `None` for the end of the presentation.
    #[must_use]
    pub const fn end(self) -> Option<Npt> {
        self.end
    }
}

impl Range {
    /// The range with its times in normal play time, in a presentation that began at `origin`
    /// (since 1970) if it has an absolute time.
    ///
    /// # Errors
    ///
    /// [`RangeError::NoAbsoluteTime`].
    pub fn npt(self, origin: Option<Npt>) -> Result<NptRange, RangeError> {
        if self.unit != RangeUnit::Clock {
            return Ok(self.times);
        }
        let origin = origin.ok_or(RangeError::NoAbsoluteTime)?;
        let since = |time: Npt| Npt::from_nanos(time.nanos().saturating_sub(origin.nanos()));
        let start = match self.times.start {
            NptStart::At(start) => NptStart::At(since(start)),
            other @ (NptStart::Now | NptStart::Omitted) => other,
        };
        NptRange::new(start, self.times.end.map(since))
    }

    /// Reads the Range header of a PAUSE: one time (RFC 2326 §10.6), behind which clients may write
    /// the `-` that the grammar wants.
    ///
    /// # Errors
    ///
    /// As for a range.
    pub fn parse_point(text: &str) -> Result<Self, RangeError> {
        let point = text.split(';').next().unwrap_or_default();
        let times = point.split_once('=').map_or(point, |(_, times)| times);
        if times.contains('-') { point.parse() } else { format!("{point}-").parse() }
    }

    /// The unit it was asked for in.
    #[must_use]
    pub const fn unit(self) -> RangeUnit {
        self.unit
    }
}

impl RangeUnit {
    /// A range in this unit, as the answer to a client that asked in it. Its start is rounded in
    /// the direction of play: a client that asks for it again must not come to another sync sample.
    #[must_use]
    pub fn write(self, range: NptRange, origin: Option<Npt>) -> String {
        let time = |time: Npt| match (self, origin) {
            (Self::Smpte(name), _) => SmpteTime::of(time, name.rate()).to_string(),
            (Self::Clock, Some(origin)) => {
                let nanos = origin.nanos().saturating_add(time.nanos());
                UtcTime::new(Npt::from_nanos(nanos)).to_string()
            }
            (Self::Npt | Self::Clock, _) => time.to_string(),
        };
        let start = match range.start {
            NptStart::At(start) if range.end.is_some_and(|end| end < start) => time(start),
            NptStart::At(start) => time(self.round_up(start)),
            NptStart::Now => "now".to_owned(),
            NptStart::Omitted => String::new(),
        };
        let end = range.end.map(time).unwrap_or_default();
        format!("{}={start}-{end}", self.name())
    }

    /// The first time from `time` on that the unit can tell.
    fn round_up(self, time: Npt) -> Npt {
        match self {
            Self::Npt | Self::Clock => Npt::from_nanos(
                time.nanos().checked_next_multiple_of(1_000_000).unwrap_or(u64::MAX),
            ),
            Self::Smpte(name) => SmpteTime::from(time, name.rate()).npt().unwrap_or(time),
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Npt => "npt",
            Self::Smpte(name) => name.text(),
            Self::Clock => "clock",
        }
    }

    fn parse_time(self, text: &str) -> Result<Npt, RangeError> {
        match self {
            Self::Npt => parse_time(text),
            Self::Smpte(name) => SmpteTime::parse(text, name.rate())
                .and_then(SmpteTime::npt)
                .ok_or(RangeError::Malformed),
            Self::Clock => {
                UtcTime::parse(text).map(UtcTime::since_1970).ok_or(RangeError::Malformed)
            }
        }
    }
}

impl SmpteName {
    const ALL: [Self; 4] = [Self::Default, Self::Drop30, Self::Fps30, Self::Fps25];

    const fn text(self) -> &'static str {
        match self {
            Self::Default => "smpte",
            Self::Drop30 => "smpte-30-drop",
            Self::Fps30 => "smpte-30",
            Self::Fps25 => "smpte-25",
        }
    }

    const fn rate(self) -> FrameRate {
        match self {
            Self::Default | Self::Drop30 => FrameRate::Drop30,
            Self::Fps30 => FrameRate::Fps30,
            Self::Fps25 => FrameRate::Fps25,
        }
    }
}

impl FromStr for Range {
    type Err = RangeError;

    /// Reads a Range header. Spaces around `=` and `-`, a missing `npt=` (Janus sends `0.000-`) and
    /// `npt:` are tolerated; a `time` parameter is ignored; of several ranges the first counts that
    /// is relative to the start, or else the first in absolute time. Times are rounded down to
    /// nanoseconds.
    fn from_str(text: &str) -> Result<Self, RangeError> {
        let ranges = text.split(';').next().unwrap_or_default();
        let mut fallback = Err(RangeError::Malformed);
        for range in split_list(ranges) {
            match parse_specifier(range) {
                Ok(clock) if clock.unit == RangeUnit::Clock => fallback = fallback.or(Ok(clock)),
                Err(RangeError::UnknownUnit) => {
                    fallback = fallback.or(Err(RangeError::UnknownUnit));
                }
                other => return other,
            }
        }
        fallback
    }
}

fn parse_specifier(text: &str) -> Result<Range, RangeError> {
    let (unit, times) = split_unit(text)?;
    let (start, end) = times.split_once('-').ok_or(RangeError::Malformed)?;
    let start = match start.trim_ascii() {
        "" => NptStart::Omitted,
        now if now.eq_ignore_ascii_case("now") => NptStart::Now,
        time => NptStart::At(unit.parse_time(time)?),
    };
    let end = match end.trim_ascii() {
        "" => None,
        now if now.eq_ignore_ascii_case("now") => None,
        time => Some(unit.parse_time(time)?),
    };
    Ok(Range { unit, times: NptRange::new(start, end)? })
}

/// The unit and what follows it.
fn split_unit(text: &str) -> Result<(RangeUnit, &str), RangeError> {
    let (name, times) = match text.split_once('=') {
        Some((name, times)) => (name.trim_ascii_end(), times),
        None => match text.split_once(':').filter(|(name, _)| name.eq_ignore_ascii_case("npt")) {
            Some((name, times)) => (name, times),
            None => ("npt", text),
        },
    };
    let is = |unit: &str| name.eq_ignore_ascii_case(unit);
    let unit = match SmpteName::ALL.into_iter().find(|smpte| is(smpte.text())) {
        Some(smpte) => RangeUnit::Smpte(smpte),
        None if is("npt") => RangeUnit::Npt,
        None if is("clock") => RangeUnit::Clock,
        None if name.is_empty() => return Err(RangeError::Malformed),
        None => return Err(RangeError::UnknownUnit),
    };
    Ok((unit, times))
}

/// `npt-sec` or `npt-hhmmss`, in integers: a float would lose nanoseconds after half a year.
fn parse_time(text: &str) -> Result<Npt, RangeError> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let seconds = whole_seconds(whole).ok_or(RangeError::Malformed)?;
    let nanos = seconds
        .checked_mul(NANOS_PER_SECOND.cast_unsigned())
        .zip(fraction_nanos(fraction))
        .and_then(|(nanos, fraction)| nanos.checked_add(fraction));
    nanos.map(Npt::from_nanos).ok_or(RangeError::Malformed)
}

fn whole_seconds(text: &str) -> Option<u64> {
    let Some((hours, rest)) = text.split_once(':') else { return parse_decimal(text) };
    let (minutes, seconds) = rest.split_once(':')?;
    let sexagesimal = |text: &str| parse_decimal::<u64>(text).filter(|number| *number < 60);
    parse_decimal::<u64>(hours)?
        .checked_mul(60)?
        .checked_add(sexagesimal(minutes)?)?
        .checked_mul(60)?
        .checked_add(sexagesimal(seconds)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const fn ms(millis: u64) -> Npt {
        Npt::from_nanos(millis * 1_000_000)
    }

    fn reads(text: &str, start: NptStart, end: Option<Npt>) {
        let times = NptRange { start, end };
        assert_eq!(text.parse(), Ok(Range { unit: RangeUnit::Npt, times }), "{text}");
    }

    #[test]
    fn rfc_2326_examples() {
        let at = |millis| NptStart::At(ms(millis));
        reads("npt=123.45-125", at(123_450), Some(ms(125_000)));
        reads("npt=12:05:35.3-", at(43_535_300), None);
        reads("npt=now-", NptStart::Now, None);
        reads("npt=10-15", at(10_000), Some(ms(15_000)));
        reads("npt=0.000-", at(0), None);
        reads("npt=-20", NptStart::Omitted, Some(ms(20_000)));
        reads("npt=5-;time=19970123T143720Z", at(5_000), None);
    }

    #[test]
    fn what_clients_send() {
        let at = |millis| NptStart::At(ms(millis));
        reads("npt=0.000-", at(0), None); // FFmpeg, mpv
        reads("npt=0-60", at(0), Some(ms(60_000))); // GStreamer
        reads("0.000-", at(0), None); // Janus
        reads("npt:1.5-2", at(1_500), Some(ms(2_000))); // ExoPlayer's own reading
        reads(" NPT = 1.5 - 2 ; time = x", at(1_500), Some(ms(2_000)));
        reads("npt=100:00:59.-", at(360_059_000), None);
        reads("npt=3-now", at(3_000), None);
        reads("bytes=0-,npt=1-,npt=2-", at(1_000), None);
        reads("npt=1.9999999999999999999-", NptStart::At(Npt::from_nanos(1_999_999_999)), None);
        reads("npt=7-7", at(7_000), Some(ms(7_000)));
        reads("npt=20-10", at(20_000), Some(ms(10_000))); // backwards
    }

    #[test]
    fn what_is_refused() {
        use RangeError::{Malformed, UnknownUnit};
        for (text, error) in [
            ("smpte-24=10:12:33:20-", UnknownUnit),
            ("bytes=0-9", UnknownUnit),
            ("smpte=10:12:33:30-", Malformed),
            ("clock=1996-11-08T14:37:20Z-", Malformed),
            ("=1-", Malformed),
            ("", Malformed),
            ("npt", Malformed),
            ("npt=", Malformed),
            ("npt=-", Malformed),
            ("npt=-now", Malformed),
            ("npt=5", Malformed),
            ("npt=--5", Malformed),
            ("npt=-0.500-", Malformed),
            ("npt=+1-", Malformed),
            ("npt=1e3-", Malformed),
            ("npt=.5-", Malformed),
            ("npt=1.5.5-", Malformed),
            ("npt=1.-5x", Malformed),
            ("npt=nan-", Malformed),
            ("npt=1:60:00-", Malformed),
            ("npt=1:00:60-", Malformed),
            ("npt=1:00-", Malformed),
            ("npt=1:2:3:4-", Malformed),
            ("npt=18446744073.709551616-", Malformed),
            ("npt=99999999999999999999-", Malformed),
            ("npt=99999999999999999:00:00-", Malformed),
        ] {
            assert_eq!(text.parse::<Range>(), Err(error), "{text}");
        }
        assert_eq!(UnknownUnit.status().code(), 501);
        assert_eq!(Malformed.status().code(), 400);
        let last = NptStart::At(Npt::from_nanos(u64::MAX));
        reads("npt=18446744073.709551615-", last, None);
    }

    #[test]
    fn the_answer_is_in_the_unit_that_was_asked_for() {
        // 1996-11-08, noon.
        let origin = Some(Npt::from_nanos(847_454_400_000_000_000));
        for (text, written) in [
            ("npt = 1 - 2.0005", "npt=1.000-2.000"),
            ("0.1239-", "npt=0.124-"),
            ("clock=19961108T143720Z-,npt=5-", "npt=5.000-"),
            ("bytes=1-2,clock=19961108T143720Z-", "clock=19961108T143720.000Z-"),
            ("npt=-1", "npt=-1.000"),
            ("npt=now-", "npt=now-"),
            ("smpte=10:12:33:20-", "smpte=10:12:33:20-"),
            ("smpte=10:07:00-10:07:33:05.01", "smpte=10:07:00:02-10:07:33:05.01"),
            ("smpte-25=10:07:00-10:07:33:05.01", "smpte-25=10:07:00:00-10:07:33:05.01"),
            ("SMPTE-30-Drop=0:0:1-", "smpte-30-drop=00:00:01:00-"),
            ("clock=19961108T143720.25Z-", "clock=19961108T143720.250Z-"), // openRTSP -U
            (
                "clock=19961108T110000Z-19961108T143720Z",
                "clock=19961108T120000.000Z-19961108T143720.000Z",
            ),
        ] {
            let range: Range = text.parse().unwrap();
            assert_eq!(range.unit().write(range.npt(origin).unwrap(), origin), written);
        }
        let clock: Range = "clock=19961108T143720Z-".parse().unwrap();
        assert_eq!(clock.npt(None), Err(RangeError::NoAbsoluteTime));
        let early: Range = "clock=19961108T110000Z-19961108T113000Z".parse().unwrap();
        let empty = NptRange { start: NptStart::At(Npt::ZERO), end: Some(Npt::ZERO) };
        assert_eq!(early.npt(origin), Ok(empty), "it lies before the presentation");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(first in 0..1_u64 << 44, second in 0..1_u64 << 44, open: bool) {
            let (start, end) = (ms(first.min(second)), ms(first.max(second)));
            let range = NptRange::new(NptStart::At(start), (!open).then_some(end)).unwrap();
            let written = RangeUnit::Npt.write(range, None);
            prop_assert_eq!(written.parse::<Range>().unwrap().npt(None), Ok(range));
        }

        #[test]
        fn every_spelling_of_a_time_is_the_same(nanos in 0..u64::MAX) {
            let (seconds, fraction) = (nanos / 1_000_000_000, nanos % 1_000_000_000);
            let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
            let start = NptStart::At(Npt::from_nanos(nanos));
            let plain: Range = format!("npt={seconds}.{fraction:09}-").parse().unwrap();
            let clock: Range =
                format!("npt={hours}:{minutes}:{}.{fraction:09}-", seconds % 60).parse().unwrap();
            prop_assert_eq!((plain.times.start, clock.times.start), (start, start));
        }

        #[test]
        fn nothing_panics(text in "(npt|clock|smpte|smpte-25)?[=: ]?[0-9:.\\-;, nowTZ]{0,30}") {
            if let Ok(range) = text.parse::<Range>() {
                let NptRange { start, end } = range.times;
                prop_assert!(NptRange::new(start, end).is_ok());
            }
        }
    }
}
