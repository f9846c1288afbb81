//! The only reader of the system clocks.

use packetizer::time::NtpTime;
use std::num::NonZeroU64;
use std::ops::{Add, Sub};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Nanoseconds of the monotonic clock since the process's [`Clock`] was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MonoTime(pub u64);

impl MonoTime {
    /// This time and `nanos` more; `nanos` may be negative, the result stops at 0.
    #[must_use]
    pub const fn offset_by(self, nanos: i64) -> Self {
        Self(self.0.saturating_add_signed(nanos))
    }

    /// Nanoseconds from `earlier` to this time; negative if it is later.
    #[must_use]
    pub const fn nanos_since(self, earlier: Self) -> i64 {
        self.0.cast_signed().wrapping_sub(earlier.0.cast_signed())
    }
}

impl Add<Duration> for MonoTime {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)))
    }
}

impl Sub for MonoTime {
    type Output = Duration;

    /// The time from `earlier` to `self`, zero if `earlier` is later.
    fn sub(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

/// A [`MonoTime`] where there may be none: an `Option` of it is no bigger. There is one for each
/// viewer in several places. Time zero becomes its first nanosecond.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(NonZeroU64);

impl From<MonoTime> for Moment {
    fn from(time: MonoTime) -> Self {
        Self(NonZeroU64::new(time.0).unwrap_or(NonZeroU64::MIN))
    }
}

impl From<Moment> for MonoTime {
    fn from(moment: Moment) -> Self {
        Self(moment.0.get())
    }
}

/// What the wallclock said when [`MonoTime`] was zero: turns monotonic time into NTP timestamps
/// for sender reports, so that a step of the wallclock never tears a viewer's timeline.
#[derive(Clone, Copy, Debug)]
pub struct Wallclock {
    unix_nanos_at_zero: u64,
}

impl Wallclock {
    /// A wallclock that said `unix_nanos_at_zero` when the monotonic clock was zero.
    #[must_use]
    pub const fn new(unix_nanos_at_zero: u64) -> Self {
        Self { unix_nanos_at_zero }
    }

    /// The NTP timestamp of `time`.
    #[must_use]
    pub const fn ntp(self, time: MonoTime) -> NtpTime {
        NtpTime::from_unix_nanos(self.unix_nanos_at_zero.saturating_add(time.0))
    }

    /// What the wallclock says at `time`.
    #[must_use]
    pub fn at(self, time: MonoTime) -> SystemTime {
        let since_epoch = Duration::from_nanos(self.unix_nanos_at_zero.saturating_add(time.0));
        UNIX_EPOCH + since_epoch
    }
}

/// The system clocks. Copies agree with each other.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    zero: Instant,
    wallclock: Wallclock,
}

impl Clock {
    /// Starts the monotonic time of this process.
    #[must_use]
    #[allow(clippy::disallowed_methods, reason = "this is the one place")]
    pub fn start() -> Self {
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let unix_nanos_at_zero = u64::try_from(unix.as_nanos()).unwrap_or(0);
        Self { zero: Instant::now(), wallclock: Wallclock { unix_nanos_at_zero } }
    }

    /// The monotonic time.
    #[must_use]
    #[allow(clippy::disallowed_methods, reason = "this is the one place")]
    pub fn now(&self) -> MonoTime {
        MonoTime(u64::try_from(self.zero.elapsed().as_nanos()).unwrap_or(u64::MAX))
    }

    /// The wallclock that goes with the monotonic time.
    #[must_use]
    pub const fn wallclock(&self) -> Wallclock {
        self.wallclock
    }
}
