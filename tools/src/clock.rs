//! The tools' only way to the system clocks.

use nix::sys::time::TimeSpec;
use packetizer::time::NtpTime;
pub use server::clock::{Clock, MonoTime};

/// Turns the kernel's receive timestamps (`SO_TIMESTAMPNS`, wallclock) into [`MonoTime`], so that
/// a packet's arrival is when the kernel had it and not when a busy tool came to read it.
#[derive(Clone, Copy, Debug)]
pub struct KernelClock {
    clock: Clock,
    unix_nanos_at_zero: u64,
}

impl KernelClock {
    /// A kernel clock that agrees with `clock`.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        Self { clock, unix_nanos_at_zero: unix_nanos(clock.wallclock().ntp(MonoTime(0))) }
    }

    /// The monotonic time.
    #[must_use]
    pub fn now(&self) -> MonoTime {
        self.clock.now()
    }

    /// The monotonic time of a kernel timestamp.
    #[must_use]
    pub fn at(&self, stamp: TimeSpec) -> Option<MonoTime> {
        let seconds = u64::try_from(stamp.tv_sec()).ok()?;
        let nanos = u64::try_from(stamp.tv_nsec()).ok()?;
        let unix_nanos = seconds.saturating_mul(1_000_000_000).saturating_add(nanos);
        Some(MonoTime(unix_nanos.saturating_sub(self.unix_nanos_at_zero)))
    }

    /// The wallclock when the monotonic time was zero, in nanoseconds since the Unix epoch.
    #[must_use]
    pub const fn unix_nanos_at_zero(&self) -> u64 {
        self.unix_nanos_at_zero
    }
}

/// Nanoseconds since the Unix epoch of an NTP timestamp before 2036, rounded to nearest.
const fn unix_nanos(time: NtpTime) -> u64 {
    const UNIX_EPOCH_SECONDS: u64 = 2_208_988_800;
    let seconds = (time.0 >> 32).saturating_sub(UNIX_EPOCH_SECONDS);
    let fraction = time.0 & 0xffff_ffff;
    seconds * 1_000_000_000 + ((fraction * 1_000_000_000 + (1 << 31)) >> 32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ntp_and_unix_time_agree_to_the_nanosecond() {
        for nanos in [0, 1, 999_999_999, 1_763_788_800_123_456_789] {
            assert_eq!(unix_nanos(NtpTime::from_unix_nanos(nanos)), nanos);
        }
    }
}
