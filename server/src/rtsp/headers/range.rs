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
    /// [`RangeError::EndBeforeStart`].
    pub fn new(start: NptStart, end: Option<Npt>) -> Result<Self, RangeError> {
        match (start, end) {
            (NptStart::At(start), Some(end)) if end < start => Err(RangeError::EndBeforeStart),
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
        "" if start == NptStart::Omitted => return Err(RangeError::Malformed),
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
