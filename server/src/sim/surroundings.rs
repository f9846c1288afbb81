//! What the parts of a world share: its time, its chance, its faults, its network, its trace.

use super::faults::Faults;
use super::net::SimNet;
use super::shard::{interleaved_ahead, launch_ahead, longest_wave};
use super::trace::Trace;
use crate::clock::{MonoTime, Wallclock};
use fastrand::Rng;
use std::time::Duration;

/// What the wallclock said at the monotonic clock's zero.
pub(super) const WALLCLOCK: Wallclock = Wallclock::new(1_700_000_000_000_000_000);

/// Everything around the machines under test.
#[derive(Debug)]
pub(super) struct Surroundings {
    pub(super) now: MonoTime,
    pub(super) random: Rng,
    pub(super) faults: Faults,
    pub(super) net: SimNet,
    pub(super) trace: Trace,
    /// How far ahead of its time an interleaved viewer is sent something.
    pub(super) ahead: Duration,
    /// How far ahead of their time datagrams are handed over.
    pub(super) launch_ahead: Duration,
}

impl Surroundings {
    pub(super) fn new(seed: u64, faults: impl FnOnce(&mut Rng) -> Faults) -> Self {
        let mut random = Rng::with_seed(seed);
        let faults = faults(&mut random);
        let (now, net) = (MonoTime(1_000_000_000), SimNet::default());
        let wave = longest_wave(seed);
        let (ahead, launch_ahead) = (interleaved_ahead(seed).max(wave), launch_ahead(seed) + wave);
        Self { now, random, faults, net, trace: Trace::new(seed), ahead, launch_ahead }
    }

    /// The time `nanos` from now.
    pub(super) fn after(&self, nanos: u64) -> MonoTime {
        MonoTime(self.now.0 + nanos)
    }

    /// Some time within the next `nanos`.
    pub(super) fn soon(&mut self, nanos: u64) -> MonoTime {
        let delay = self.random.u64(..nanos);
        self.after(delay)
    }

    pub(super) fn note(&mut self, what: &str) {
        self.trace.note(self.now, what);
    }
}
