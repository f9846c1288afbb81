//! How things stand, told by the threads while they run.

use super::tally::Tally;
use crate::histogram::Micros;
use std::io;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

/// Sums over all threads.
#[derive(Debug, Default)]
pub(super) struct Gauges {
    pub(super) playing: AtomicI64,
    pub(super) packets: AtomicU64,
    pub(super) lost: AtomicI64,
    pub(super) refused: AtomicU64,
    pub(super) failed: AtomicU64,
}

/// What a thread tells at the end of each second, and when it is done.
#[derive(Debug)]
pub(super) enum Told {
    /// How late packets were in the last second.
    Late(Micros),
    Done(io::Result<Box<Tally>>),
}

/// How things stood at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// Since the start, in whole seconds.
    pub seconds: u64,
    /// Viewers that play.
    pub playing: u64,
    /// Viewers refused.
    pub refused: u64,
    /// Viewers failed.
    pub failed: u64,
    /// Packets received.
    pub packets: u64,
    /// Packets lost.
    pub lost: u64,
    /// How late the latest packet of the last second was, in microseconds.
    pub late_max_micros: u64,
}

impl Gauges {
    pub(super) fn snapshot(&self, seconds: u64, late: &Micros) -> Snapshot {
        let not_negative =
            |gauge: &AtomicI64| u64::try_from(gauge.load(Ordering::Relaxed)).unwrap_or(0);
        Snapshot {
            seconds,
            playing: not_negative(&self.playing),
            refused: self.refused.load(Ordering::Relaxed),
            failed: self.failed.load(Ordering::Relaxed),
            packets: self.packets.load(Ordering::Relaxed),
            lost: not_negative(&self.lost),
            late_max_micros: late.max(),
        }
    }
}
