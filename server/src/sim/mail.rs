//! Lanes that keep the order of what goes through them, each with small delays of its own.

use super::surroundings::Surroundings;
use crate::clock::MonoTime;

/// The longest that a message is on its way, in nanoseconds.
pub(super) const MAIL_NANOS_MAX: u64 = 2_000_000;

/// When the last thing in each lane arrives.
#[derive(Debug)]
pub(super) struct Lanes(Vec<MonoTime>);

impl Lanes {
    pub(super) fn new(count: usize) -> Self {
        Self(vec![MonoTime::default(); count])
    }

    /// When what is sent now arrives: not before what was sent before.
    pub(super) fn arrival(&mut self, around: &mut Surroundings, lane: usize) -> MonoTime {
        let at = around.soon(MAIL_NANOS_MAX).max(self.0[lane]);
        self.0[lane] = at;
        at
    }
}
