//! What happened: a hash over all of it, and the last lines for whoever looks for a cause.

use super::surroundings::Surroundings;
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

/// A world that plays to its end.
pub(super) trait Played {
    fn surroundings(&mut self) -> &mut Surroundings;

    /// When something happens next; `None` once all is over.
    fn next_event(&self) -> Option<MonoTime>;

    /// Everything that happens now.
    fn turn(&mut self);

    /// Panics if something is left at the end.
    fn check_end(&self);

    /// Plays to the end. When a checker panics, says the seed, the event and the last events.
    fn play_out(&mut self) {
        let result = catch_unwind(AssertUnwindSafe(|| {
            while let Some(at) = self.next_event() {
                let around = self.surroundings();
                around.now = around.now.max(at);
                assert!(around.now < END, "the world comes to an end");
                self.turn();
            }
            self.check_end();
            assert!(self.surroundings().net.slots.is_empty(), "open connections at the end");
        }));
        if let Err(panic) = result {
            let Trace { seed, events, tail, .. } = &self.surroundings().trace;
            eprintln!("seed {seed}, event {events}; the last events:");
            tail.iter().for_each(|line| eprintln!("  {line}"));
            resume_unwind(panic);
        }
    }
}

/// When a world is over that does not come to its end.
const END: MonoTime = MonoTime(600_000_000_000);
