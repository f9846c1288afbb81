//! The tick: in real time, or as fast as the CPU lets.

use crate::schedule::Wheel;
use hdrhistogram::Histogram;
use nix::poll::ppoll;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::{TimeSpec, TimeValLike};
use packetizer::image::Train;
use server::clock::Clock;
use std::io;

/// What sends the streams. It has parts that are looked at by themselves: a stream, a connection.
pub(crate) trait Transport {
    /// How many parts it has.
    fn count(&self) -> usize;
    /// When a part has something to send.
    fn next_due(&self, who: u32) -> i64;
    /// Sends what these parts have due until `until`.
    fn send(&mut self, due: &[u32], until: i64, counters: &mut Counters);
    /// Those of the last [`Self::send`] that still have something to send that was due.
    fn behind(&self) -> &[u32] {
        &[]
    }
}

/// What was done.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) packets: u64,
    pub(crate) trains: u64,
    pub(crate) bytes: u64,
    /// System calls that send, and those that wait for the next tick.
    pub(crate) calls: u64,
    pub(crate) pauses: u64,
    pub(crate) failed: u64,
    pub(crate) put_off: u64,
    /// Sends without a copy that the kernel has done with, and those of them that it copied.
    pub(crate) notifications: u64,
    pub(crate) copied: u64,
    /// Why the first message failed.
    pub(crate) failure: Option<io::Error>,
}

impl Counters {
    /// Counts trains that were sent as one.
    pub(crate) fn sent<'a>(&mut self, trains: impl Iterator<Item = &'a Train>) {
        self.trains += 1;
        for train in trains {
            self.packets += u64::from(train.packet_count);
            self.bytes += u64::from(train.bytes());
        }
    }

    /// Counts a message that the kernel refused.
    pub(crate) fn failed(&mut self, error: &io::Error) {
        self.failed += 1;
        self.failure.get_or_insert_with(|| io::Error::new(error.kind(), error.to_string()));
    }
}

/// How it went, without the warm-up.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) counters: Counters,
    /// Seconds of media that each viewer was sent.
    pub(crate) media_seconds: f64,
    /// Seconds of the wallclock.
    pub(crate) seconds: f64,
    /// Seconds of this thread's CPU time: in all, and in the kernel.
    pub(crate) cpu_seconds: f64,
    pub(crate) system_seconds: f64,
    /// Microseconds from the end of a tick to when its media was sent; empty when flat out.
    pub(crate) late: Histogram<u64>,
}

/// Which clock there is, and how long all of it lasts; nanoseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) tick: i64,
    pub(crate) warm_up: i64,
    pub(crate) duration: i64,
    pub(crate) flat_out: bool,
}

/// Sends until the plan is over.
pub(crate) fn run(transport: &mut impl Transport, plan: Plan) -> io::Result<Outcome> {
    let mut wheel = Wheel::new(plan.tick);
    for who in 0..u32::try_from(transport.count()).map_err(io::Error::other)? {
        wheel.insert(who, transport.next_due(who));
    }
    let mut turns = Turns {
        transport,
        wheel,
        clock: Clock::start(),
        due: Vec::new(),
        counters: Counters::default(),
        late: Histogram::new_with_bounds(1, 60_000_000, 3).map_err(io::Error::other)?,
    };
    turns.go_on(plan.warm_up, plan.flat_out);
    turns.counters = Counters::default();
    turns.late.reset();
    let start = turns.now();
    let (cpu, system) = cpu_seconds()?;
    let media_start = turns.wheel.ends_at();
    turns.go_on(plan.warm_up + plan.duration, plan.flat_out);
    let (cpu_end, system_end) = cpu_seconds()?;
    Ok(Outcome {
        media_seconds: seconds(turns.wheel.ends_at() - media_start),
        seconds: seconds(turns.now() - start),
        cpu_seconds: cpu_end - cpu,
        system_seconds: system_end - system,
        counters: turns.counters,
        late: turns.late,
    })
}

struct Turns<'a, T> {
    transport: &'a mut T,
    wheel: Wheel,
    clock: Clock,
    due: Vec<u32>,
    counters: Counters,
    late: Histogram<u64>,
}

impl<T: Transport> Turns<'_, T> {
    fn now(&self) -> i64 {
        self.clock.now().0.cast_signed()
    }

    fn go_on(&mut self, until: i64, flat_out: bool) {
        while self.wheel.ends_at() <= until {
            if flat_out {
                self.next_tick();
            } else {
                self.next_ticks();
            }
        }
    }

    /// Waits for the end of a tick, and sends what fell due in it, and in those that have ended
    /// meanwhile.
    fn next_ticks(&mut self) {
        let first = self.wheel.ends_at();
        let ahead = first - self.now();
        if ahead > 0 {
            self.counters.pauses += 1;
            pause(ahead);
        }
        let now = self.now();
        while self.wheel.ends_at() <= now {
            self.wheel.take(&mut self.due);
        }
        let end = self.wheel.ends_at();
        self.send(now);
        let done = self.now();
        let mut tick = first;
        while tick < end {
            self.late.saturating_record((done - tick).max(0).cast_unsigned() / 1000);
            tick += self.wheel.tick();
        }
    }

    /// Sends what falls due in the next tick, all of it.
    fn next_tick(&mut self) {
        let now = self.wheel.ends_at();
        self.wheel.take(&mut self.due);
        self.send(now);
        while !self.transport.behind().is_empty() {
            pause(FULL_NANOS);
            self.counters.pauses += 1;
            let behind = self.transport.behind().to_vec();
            self.transport.send(&behind, now, &mut self.counters);
        }
    }

    fn send(&mut self, now: i64) {
        self.transport.send(&self.due, now, &mut self.counters);
        for who in self.due.drain(..) {
            self.wheel.insert(who, self.transport.next_due(who));
        }
    }
}

/// When to offer again, flat out, what a connection did not take.
const FULL_NANOS: i64 = 500_000;

/// Waits.
pub(crate) fn pause(nanos: i64) {
    // A signal ends it early, which does no harm.
    let _ = ppoll(&mut [], Some(TimeSpec::nanoseconds(nanos)), None);
}

/// CPU time of this thread: in all, and in the kernel.
fn cpu_seconds() -> io::Result<(f64, f64)> {
    let usage = getrusage(UsageWho::RUSAGE_THREAD)?;
    let system = seconds(usage.system_time().num_nanoseconds());
    Ok((seconds(usage.user_time().num_nanoseconds()) + system, system))
}

#[allow(clippy::cast_precision_loss, reason = "for people")]
fn seconds(nanos: i64) -> f64 {
    nanos as f64 / 1e9
}
