//! What happened: a hash over all of it, and the last lines for whoever looks for a cause.

use crate::clock::MonoTime;
use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

/// Last events that a failure shows, unless `REELRING_TAIL` says another number.
const TAIL: usize = 10;

/// The trace of a world.
#[derive(Debug)]
pub(super) struct Trace {
    seed: u64,
    hash: DefaultHasher,
    tail: VecDeque<String>,
    tail_max: usize,
    pub(super) events: u64,
}

impl Trace {
    pub(super) fn new(seed: u64) -> Self {
        let asked = std::env::var("REELRING_TAIL").ok().and_then(|count| count.parse().ok());
        let tail_max = asked.unwrap_or(TAIL);
        Self { seed, hash: DefaultHasher::new(), tail: VecDeque::new(), tail_max, events: 0 }
    }

    /// Notes an event.
    pub(super) fn note(&mut self, now: MonoTime, what: &str) {
        self.events += 1;
        self.add(&(now, what));
        if self.tail.len() == self.tail_max {
            self.tail.pop_front();
        }
        self.tail.push_back(format!("{now:?} {what}"));
    }

    /// Adds to the hash alone.
    pub(super) fn add(&mut self, what: &impl Hash) {
        what.hash(&mut self.hash);
    }

    /// The hash over everything noted.
    pub(super) fn finish(&self) -> u64 {
        self.hash.finish()
    }
}

/// A world that has a trace.
pub(super) trait Traced {
    fn trace(&self) -> &Trace;

    /// Plays the world; when a checker panics, says the seed, the event and the last events.
    fn guard(&mut self, play: impl FnOnce(&mut Self)) {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| play(self))) {
            let Trace { seed, events, tail, .. } = self.trace();
            eprintln!("seed {seed}, event {events}; the last events:");
            tail.iter().for_each(|line| eprintln!("  {line}"));
            resume_unwind(panic);
        }
    }
}
