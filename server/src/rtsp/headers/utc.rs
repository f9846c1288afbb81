//! Absolute time as RTSP writes it (RFC 2326 §3.7): `19961108T143720.25Z`.

use super::{fraction_nanos, parse_decimal};
use packetizer::time::{NANOS_PER_SECOND, Npt};
use std::fmt;
use time::{Date, Month, OffsetDateTime, Time};

/// A moment from 1970 on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct UtcTime {
    since_1970: Npt,
}

impl UtcTime {
    /// A moment by the time from 1970 to it.
    #[must_use]
    pub const fn new(since_1970: Npt) -> Self {
        Self { since_1970 }
    }

    /// The time from 1970 to it.
    #[must_use]
    pub const fn since_1970(self) -> Npt {
        self.since_1970
    }

    /// Reads `YYYYMMDDThhmmss[.fraction]Z`; what is finer than nanoseconds is cut off. `None` if it
    /// is no such moment.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.strip_suffix(['Z', 'z'])?;
        let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
        let (date, time) = seconds.split_once(['T', 't'])?;
        let field = |text: &str, from, to| parse_decimal::<u8>(text.get(from..to)?);
        if date.len() != 8 || time.len() != 6 {
            return None;
        }
        let month = Month::try_from(field(date, 4, 6)?).ok()?;
        let year: i32 = parse_decimal(date.get(..4)?)?;
        let date = Date::from_calendar_date(year, month, field(date, 6, 8)?).ok()?;
        let time = Time::from_hms(field(time, 0, 2)?, field(time, 2, 4)?, field(time, 4, 6)?);
        let seconds = u64::try_from(OffsetDateTime::new_utc(date, time.ok()?).unix_timestamp());
        let nanos = seconds.ok()?.checked_mul(NANOS_PER_SECOND.cast_unsigned())?;
        let since_1970 = Npt::from_nanos(nanos.checked_add(fraction_nanos(fraction)?)?);
        Some(Self { since_1970 })
    }
}

impl fmt::Display for UtcTime {
    /// With three decimals, the rest cut off.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = i128::from(self.since_1970.nanos());
        let at = OffsetDateTime::from_unix_timestamp_nanos(nanos).expect("before the year 2555");
        let (year, month, day) = at.to_calendar_date();
        let (hour, minute, second, milli) = at.to_hms_milli();
        let month = u8::from(month);
        write!(f, "{year:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}.{milli:03}Z")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn moments_are_read() {
        for (text, nanos) in [
            ("19961108T143720.25Z", 847_463_840_250_000_000),
            ("19700101T000000Z", 0),
            ("20240229T235959.999999999Z", 1_709_251_199_999_999_999),
        ] {
            assert_eq!(UtcTime::parse(text), Some(UtcTime::new(Npt::from_nanos(nanos))), "{text}");
        }
        for text in [
            "19961108T143720.25",
            "19960230T000000Z",
            "19691231T235959Z",
            "1996-11-08T14:37:20Z",
            "99999999T000000Z",
            "19961108T240000Z",
            "19961108T1437Z",
            "1996\u{e9}08T143720Z",
            "Z",
            "",
        ] {
            assert_eq!(UtcTime::parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(millis in 0..18_446_744_073_709_u64) {
            let at = UtcTime::new(Npt::from_nanos(millis * 1_000_000));
            prop_assert_eq!(UtcTime::parse(&at.to_string()), Some(at));
        }

        #[test]
        fn nothing_panics(text in "[0-9TZ.]{0,24}") {
            let _ = UtcTime::parse(&text);
        }
    }
}
