//! Media time: normal play time, clock rates and NTP timestamps, with conversions that say how
//! they round.

use std::fmt;
use std::num::NonZeroU32;

/// Nanoseconds in a second.
pub const NANOS_PER_SECOND: i64 = 1_000_000_000;

/// Normal play time: nanoseconds since the start of the presentation (RFC 2326 §3.6).
///
/// Displays as seconds with three decimals, rounded down, the form every client reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Npt(u64);

impl Npt {
    /// The start of the presentation.
    pub const ZERO: Self = Self(0);

    /// Normal play time from nanoseconds.
    #[must_use]
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since the start of the presentation.
    #[must_use]
    pub const fn nanos(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Npt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = self.0 / 1_000_000;
        write!(f, "{}.{:03}", millis / 1000, millis % 1000)
    }
}

/// Ticks a second of a media or RTP clock; never zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClockRate(NonZeroU32);

impl ClockRate {
    /// The RTP clock of video, 90 kHz (RFC 3551 §5).
    pub const VIDEO: Self = Self(NonZeroU32::new(90_000).expect("not zero"));

    /// A clock rate from ticks a second; `None` for zero.
    #[must_use]
    pub const fn new(ticks_per_second: u32) -> Option<Self> {
        match NonZeroU32::new(ticks_per_second) {
            Some(rate) => Some(Self(rate)),
            None => None,
        }
    }

    /// Ticks a second.
    #[must_use]
    pub const fn ticks_per_second(self) -> u32 {
        self.0.get()
    }

    /// Nanoseconds of `ticks`, rounded towards minus infinity, saturating.
    #[must_use]
    pub fn nanos_floor(self, ticks: i64) -> i64 {
        rescale_floor(ticks, NANOS_PER_SECOND, i64::from(self.0.get()))
    }

    /// Ticks of `nanos`, rounded towards minus infinity, saturating.
    #[must_use]
    pub fn ticks_floor(self, nanos: i64) -> i64 {
        rescale_floor(nanos, i64::from(self.0.get()), NANOS_PER_SECOND)
    }

    /// Nanoseconds of `ticks`, rounded towards plus infinity, saturating.
    #[must_use]
    pub fn nanos_ceil(self, ticks: i64) -> i64 {
        self.nanos_floor(ticks.saturating_neg()).saturating_neg()
    }

    /// Ticks of `nanos`, rounded towards plus infinity, saturating.
    #[must_use]
    pub fn ticks_ceil(self, nanos: i64) -> i64 {
        self.ticks_floor(nanos.saturating_neg()).saturating_neg()
    }

    /// `ticks` of this clock in ticks of `target`, rounded to nearest (ties up), saturating.
    /// Exact when both rates are equal.
    #[must_use]
    pub fn convert_nearest(self, ticks: i64, target: Self) -> i64 {
        let from = i128::from(self.0.get());
        let scaled = i128::from(ticks) * i128::from(target.0.get());
        saturate((scaled * 2 + from).div_euclid(from * 2))
    }
}

fn rescale_floor(value: i64, numerator: i64, denominator: i64) -> i64 {
    saturate((i128::from(value) * i128::from(numerator)).div_euclid(i128::from(denominator)))
}

fn saturate(value: i128) -> i64 {
    i64::try_from(value).unwrap_or(if value < 0 { i64::MIN } else { i64::MAX })
}

/// A 64-bit NTP timestamp: seconds since 1900 in the upper half, fraction in the lower
/// (RFC 3550 §4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NtpTime(pub u64);

impl NtpTime {
    /// Seconds between the NTP epoch (1900) and the Unix epoch (1970).
    const UNIX_EPOCH_SECONDS: u64 = 2_208_988_800;

    /// The NTP timestamp of `nanos` since the Unix epoch, rounded down. The seconds wrap in 2036
    /// as the format demands (RFC 3550 §4).
    #[must_use]
    pub const fn from_unix_nanos(nanos: u64) -> Self {
        let seconds = nanos / 1_000_000_000 + Self::UNIX_EPOCH_SECONDS;
        let fraction = ((nanos % 1_000_000_000) << 32) / 1_000_000_000;
        Self((seconds << 32) | fraction)
    }

    /// The middle 32 bits, as receiver reports echo them in LSR (RFC 3550 §6.4.1).
    #[must_use]
    pub const fn middle(self) -> u32 {
        ((self.0 >> 16) & 0xffff_ffff) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn npt_displays_three_decimals_rounded_down() {
        assert_eq!(Npt::from_nanos(1_999_999_999).to_string(), "1.999");
        assert_eq!(Npt::ZERO.to_string(), "0.000");
    }

    #[test]
    fn conversions_round_as_they_say() {
        let film = ClockRate::new(24_000).unwrap();
        assert_eq!(film.convert_nearest(1001, ClockRate::VIDEO), 3754); // 3753.75
        assert_eq!(film.convert_nearest(-1001, ClockRate::VIDEO), -3754);
        assert_eq!(film.nanos_floor(-1), -41_667);
        assert_eq!(ClockRate::VIDEO.ticks_floor(-1), -1);
        let ms = ClockRate::new(1000).unwrap();
        assert_eq!(ms.nanos_floor(i64::MAX), i64::MAX);
    }

    #[test]
    fn ntp_epoch_is_1900() {
        let half = NtpTime::from_unix_nanos(500_000_000);
        assert_eq!(half.0, (2_208_988_800 << 32) | 0x8000_0000);
        assert_eq!(half.middle(), 0x7e80_8000);
    }
}
