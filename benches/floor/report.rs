//! The result, for people and for scripts.

use crate::options::{Layout, Lower, Options};
use crate::run::Outcome;
use serde::Serialize;
use std::fmt;

/// What a run came to.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    transport: &'static str,
    layout: &'static str,
    flat_out: bool,
    viewers: usize,
    media_seconds: f64,
    seconds: f64,
    cpu_seconds: f64,
    system_seconds: f64,
    /// Of the core that it ran on.
    cpu_percent: f64,
    cpu_micros_per_viewer_second: f64,
    viewers_per_core: f64,
    packets: u64,
    trains: u64,
    bytes: u64,
    send_calls: u64,
    pauses: u64,
    packets_per_call: f64,
    failed: u64,
    failure: Option<String>,
    put_off: u64,
    zerocopy_notifications: u64,
    zerocopy_copied: u64,
    /// Microseconds; not when flat out.
    late: Option<Late>,
}

#[derive(Debug, Serialize)]
struct Late {
    p50: u64,
    p99: u64,
    p99_9: u64,
    max: u64,
}

impl Report {
    pub(crate) fn new(options: &Options, outcome: &Outcome) -> Self {
        let Outcome { counters, media_seconds, seconds, cpu_seconds, system_seconds, late } =
            outcome;
        let late = (!late.is_empty()).then(|| Late {
            p50: late.value_at_quantile(0.5),
            p99: late.value_at_quantile(0.99),
            p99_9: late.value_at_quantile(0.999),
            max: late.max(),
        });
        let cost = Cost {
            viewers: options.viewers,
            media_seconds: *media_seconds,
            cpu_seconds: *cpu_seconds,
        };
        Self {
            transport: match (options.transport, options.zerocopy) {
                (Lower::Udp, _) => "udp",
                (Lower::Tcp, false) => "tcp",
                (Lower::Tcp, true) => "tcp, zero copy",
            },
            layout: match options.layout {
                Layout::Contiguous => "contiguous",
                Layout::Gather => "gather",
            },
            flat_out: options.flat_out,
            viewers: options.viewers,
            media_seconds: *media_seconds,
            seconds: *seconds,
            cpu_seconds: *cpu_seconds,
            system_seconds: *system_seconds,
            cpu_percent: 100.0 * cpu_seconds / seconds,
            cpu_micros_per_viewer_second: cost.micros_per_viewer_second(),
            viewers_per_core: cost.viewers_per_core(),
            packets: counters.packets,
            trains: counters.trains,
            bytes: counters.bytes,
            send_calls: counters.calls,
            pauses: counters.pauses,
            packets_per_call: ratio(counters.packets, counters.calls + counters.pauses),
            failed: counters.failed,
            failure: counters.failure.as_ref().map(ToString::to_string),
            put_off: counters.put_off,
            zerocopy_notifications: counters.notifications,
            zerocopy_copied: counters.copied,
            late,
        }
    }

    /// Whether everything was sent.
    pub(crate) const fn is_good(&self) -> bool {
        self.failed == 0
    }
}

/// What viewers cost.
#[derive(Clone, Copy, Debug)]
struct Cost {
    viewers: usize,
    media_seconds: f64,
    cpu_seconds: f64,
}

#[allow(clippy::cast_precision_loss, reason = "small counts")]
impl Cost {
    fn micros_per_viewer_second(self) -> f64 {
        self.cpu_seconds * 1e6 / (self.viewers as f64 * self.media_seconds)
    }

    fn viewers_per_core(self) -> f64 {
        self.viewers as f64 * self.media_seconds / self.cpu_seconds
    }
}

#[allow(clippy::cast_precision_loss, reason = "for people")]
fn ratio(of: u64, to: u64) -> f64 {
    of as f64 / to.max(1) as f64
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let clock = if self.flat_out { "flat out" } else { "paced" };
        writeln!(
            f,
            "{} viewers, {}, {}, {clock}: {:.1} s of media in {:.1} s",
            self.viewers, self.transport, self.layout, self.media_seconds, self.seconds
        )?;
        writeln!(
            f,
            "  CPU           {:.2} s, {:.0} % of it in the kernel; {:.1} % of the core; {:.1} µs a viewer-second",
            self.cpu_seconds,
            100.0 * self.system_seconds / self.cpu_seconds,
            self.cpu_percent,
            self.cpu_micros_per_viewer_second
        )?;
        writeln!(f, "  viewers a core  {:.0}", self.viewers_per_core)?;
        writeln!(
            f,
            "  sent          {} packets, {} trains, {} bytes",
            self.packets, self.trains, self.bytes
        )?;
        writeln!(
            f,
            "  system calls  {} that send, {} pauses: one for {:.1} packets",
            self.send_calls, self.pauses, self.packets_per_call
        )?;
        if let Some(Late { p50, p99, p99_9, max }) = self.late {
            writeln!(
                f,
                "  lateness      p50 {p50} µs, p99 {p99} µs, p99.9 {p99_9} µs, max {max} µs"
            )?;
        }
        if self.transport != "udp" {
            writeln!(f, "  put off       {}", self.put_off)?;
        }
        if self.zerocopy_notifications > 0 {
            writeln!(
                f,
                "  zero copy     {} of {} sends copied after all",
                self.zerocopy_copied, self.zerocopy_notifications
            )?;
        }
        let why = self.failure.as_deref().map(|why| format!(": {why}")).unwrap_or_default();
        writeln!(f, "  failed        {}{why}", self.failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn costs_are_by_viewer_and_core() {
        let cost = Cost { viewers: 1000, media_seconds: 10.0, cpu_seconds: 2.0 };
        assert!((cost.micros_per_viewer_second() - 200.0).abs() < 1e-9);
        assert!((cost.viewers_per_core() - 5000.0).abs() < 1e-9);
    }
}
