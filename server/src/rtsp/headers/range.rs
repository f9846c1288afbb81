//! Range (RFC 2326 §12.29) in normal play time (§3.6).

use super::{parse_decimal, split_list};
use crate::rtsp::StatusCode;
use packetizer::time::{NANOS_PER_SECOND, Npt};
use std::fmt;
use std::str::FromStr;

/// A range of normal play time; its end, if any, does not lie before its start.
///
/// Displays as every client reads it: `npt=1.500-20.000`, seconds with three decimals.
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
    /// It is in another unit, as `smpte` or `clock`.
    UnsupportedUnit,
    /// It cannot be read.
    Malformed,
    /// It ends before it starts.
    EndBeforeStart,
}

impl RangeError {
    /// What the client is told.
    #[must_use]
    pub const fn status(self) -> StatusCode {
        match self {
            Self::Malformed => StatusCode::BAD_REQUEST,
            Self::UnsupportedUnit | Self::EndBeforeStart => StatusCode::INVALID_RANGE,
        }
    }
}

impl fmt::Display for RangeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UnsupportedUnit => "the range is not in normal play time",
            Self::Malformed => "the range cannot be read",
            Self::EndBeforeStart => "the range ends before it starts",
        })
    }
}

impl std::error::Error for RangeError {}

impl NptRange {
    /// The range from `start` to `end`, or to the end of the presentation.
    ///
    /// # Errors
    ///
    /// [`RangeError::EndBeforeStart`]; [`RangeError::Malformed`] if neither is written.
    pub fn new(start: NptStart, end: Option<Npt>) -> Result<Self, RangeError> {
        match (start, end) {
            (NptStart::At(start), Some(end)) if end < start => Err(RangeError::EndBeforeStart),
            (NptStart::Omitted, None) => Err(RangeError::Malformed),
            _ => Ok(Self { start, end }),
        }
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

impl FromStr for NptRange {
    type Err = RangeError;

    /// Reads a Range header. Spaces around `=` and `-`, a missing `npt=` (Janus sends `0.000-`) and
    /// `npt:` are tolerated; a `time` parameter is ignored; of several ranges the first in normal
    /// play time counts. Times are rounded down to nanoseconds.
    fn from_str(text: &str) -> Result<Self, RangeError> {
        let ranges = text.split(';').next().unwrap_or_default();
        let mut error = RangeError::Malformed;
        for range in split_list(ranges) {
            match parse_specifier(range) {
                Err(RangeError::UnsupportedUnit) => error = RangeError::UnsupportedUnit,
                other => return other,
            }
        }
        Err(error)
    }
}

fn parse_specifier(text: &str) -> Result<NptRange, RangeError> {
    let name_bytes = text.bytes().take_while(|byte| byte.is_ascii_alphabetic()).count();
    let (name, rest) = text.split_at(name_bytes);
    let times = match rest.trim_ascii_start().strip_prefix(['=', ':']) {
        Some(times) if name.eq_ignore_ascii_case("npt") => times,
        Some(_) if !name.is_empty() => return Err(RangeError::UnsupportedUnit),
        // smpte-30-drop=…: a unit with more than letters in its name (RFC 2326 §3.5).
        None if rest.contains('=') => return Err(RangeError::UnsupportedUnit),
        _ => text,
    };
    let (start, end) = times.split_once('-').ok_or(RangeError::Malformed)?;
    let start = match start.trim_ascii() {
        "" => NptStart::Omitted,
        now if now.eq_ignore_ascii_case("now") => NptStart::Now,
        time => NptStart::At(parse_time(time)?),
    };
    let end = match end.trim_ascii() {
        "" => None,
        now if now.eq_ignore_ascii_case("now") => None,
        time => Some(parse_time(time)?),
    };
    NptRange::new(start, end)
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

/// Nanoseconds of the digits after the point; those beyond the ninth are cut off.
fn fraction_nanos(digits: &str) -> Option<u64> {
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let padded = digits.bytes().chain(std::iter::repeat(b'0')).take(9);
    Some(padded.fold(0, |nanos, digit| nanos * 10 + u64::from(digit - b'0')))
}

impl fmt::Display for NptRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("npt=")?;
        match self.start {
            NptStart::At(start) => start.fmt(f)?,
            NptStart::Now => f.write_str("now")?,
            NptStart::Omitted => {}
        }
        f.write_str("-")?;
        self.end.map_or(Ok(()), |end| end.fmt(f))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const fn ms(millis: u64) -> Npt {
        Npt::from_nanos(millis * 1_000_000)
    }

    fn reads(text: &str, start: NptStart, end: Option<Npt>) {
        assert_eq!(text.parse(), Ok(NptRange { start, end }), "{text}");
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
        reads("smpte=0:10:00-,npt=1-,npt=2-", at(1_000), None);
        reads("npt=1.9999999999999999999-", NptStart::At(Npt::from_nanos(1_999_999_999)), None);
        reads("npt=7-7", at(7_000), Some(ms(7_000)));
    }

    #[test]
    fn what_is_refused() {
        use RangeError::{EndBeforeStart, Malformed, UnsupportedUnit};
        for (text, error) in [
            ("smpte=10:12:33:20-", UnsupportedUnit),
            ("smpte-30-drop=10:07:00-10:07:33:05.01", UnsupportedUnit),
            ("clock=19961108T143720.25Z-", UnsupportedUnit), // openRTSP -U
            ("bytes=0-9", UnsupportedUnit),
            ("npt=2-1", EndBeforeStart),
            ("npt=0:00:02-1.999", EndBeforeStart),
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
            assert_eq!(text.parse::<NptRange>(), Err(error), "{text}");
        }
        assert_eq!(UnsupportedUnit.status().code(), 457);
        assert_eq!(EndBeforeStart.status().code(), 457);
        assert_eq!(Malformed.status().code(), 400);
        let last = NptStart::At(Npt::from_nanos(u64::MAX));
        reads("npt=18446744073.709551615-", last, None);
    }

    #[test]
    fn writing_has_three_decimals_and_no_space() {
        for (text, written) in [
            ("npt = 1 - 2.0005", "npt=1.000-2.000"),
            ("0.1239-", "npt=0.123-"),
            ("npt=-1", "npt=-1.000"),
            ("npt=now-", "npt=now-"),
        ] {
            assert_eq!(text.parse::<NptRange>().unwrap().to_string(), written);
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(first in 0..1_u64 << 44, second in 0..1_u64 << 44, open: bool) {
            let (start, end) = (ms(first.min(second)), ms(first.max(second)));
            let range = NptRange::new(NptStart::At(start), (!open).then_some(end)).unwrap();
            prop_assert_eq!(range.to_string().parse(), Ok(range));
        }

        #[test]
        fn every_spelling_of_a_time_is_the_same(nanos in 0..u64::MAX) {
            let (seconds, fraction) = (nanos / 1_000_000_000, nanos % 1_000_000_000);
            let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
            let start = NptStart::At(Npt::from_nanos(nanos));
            let plain: NptRange = format!("npt={seconds}.{fraction:09}-").parse().unwrap();
            let clock: NptRange =
                format!("npt={hours}:{minutes}:{}.{fraction:09}-", seconds % 60).parse().unwrap();
            prop_assert_eq!((plain.start, clock.start), (start, start));
        }

        #[test]
        fn nothing_panics(text in "(npt|clock)?[=: ]?[0-9:.\\-;, now]{0,30}") {
            if let Ok(range) = text.parse::<NptRange>() {
                let NptRange { start, end } = range;
                prop_assert!(NptRange::new(start, end).is_ok());
            }
        }
    }
}
