//! How many reads a shard has under way at once.
//!
//! A fast disk wants many. In front of a slow one they would only wait, in an order that the shard
//! cannot change any more: a viewer who has just come would wait for all of them. So the depth is
//! halved when a read has taken too long, and grows again by one for as many reads as it is deep
//! while more wait: additive increase, multiplicative decrease, as TCP finds its window.

use crate::clock::MonoTime;
use std::time::Duration;

/// A read that takes longer has waited for others.
const READ_TIME_MAX: Duration = Duration::from_millis(150);
/// However slow the disk: it can still choose among so many.
const DEPTH_MIN: usize = 4;
/// Before anything is known of it.
const DEPTH_FIRST: usize = 16;

/// The bound on reads under way.
#[derive(Debug)]
pub(super) struct QueueDepth {
    depth: usize,
    depth_max: usize,
    /// Reads that were fast since it last grew.
    fast: usize,
    /// When it was last halved: reads that were issued before say nothing of what it is now.
    halved: MonoTime,
}

impl QueueDepth {
    /// At most `depth_max`, fewer to begin with.
    pub(super) fn new(depth_max: usize) -> Self {
        Self { depth: depth_max.min(DEPTH_FIRST), depth_max, fast: 0, halved: MonoTime::default() }
    }

    /// Reads that may be under way.
    pub(super) const fn get(&self) -> usize {
        self.depth
    }

    /// A read that was issued at `issued` has taken `time`; `more_wait` says whether others wait to
    /// be issued.
    pub(super) fn read_ended(
        &mut self,
        now: MonoTime,
        issued: MonoTime,
        time: Duration,
        more_wait: bool,
    ) {
        if time <= READ_TIME_MAX {
            self.fast += usize::from(more_wait);
            if self.fast >= self.depth {
                self.fast = 0;
                self.depth = (self.depth + 1).min(self.depth_max);
            }
        } else if issued >= self.halved {
            self.depth = (self.depth / 2).max(DEPTH_MIN).min(self.depth_max);
            self.fast = 0;
            self.halved = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> MonoTime {
        MonoTime(millis * 1_000_000)
    }

    #[test]
    fn the_depth_is_halved_once_by_what_was_issued_together() {
        let mut depth = QueueDepth::new(64);
        for _ in 0..16 {
            depth.read_ended(at(1000), at(0), Duration::from_millis(200), true);
        }
        assert_eq!(depth.get(), 8);
        for now in 2..100 {
            depth.read_ended(
                at(now * 1000),
                at(now * 1000 - 500),
                Duration::from_millis(500),
                true,
            );
        }
        assert_eq!(depth.get(), DEPTH_MIN);
        for expected in [5, 6, 7] {
            for _ in 1..expected {
                depth.read_ended(at(200_000), at(199_999), Duration::from_millis(1), true);
            }
            assert_eq!(depth.get(), expected);
        }
        depth.read_ended(at(200_000), at(199_999), Duration::from_millis(1), false);
        assert_eq!(depth.get(), 7, "nobody waits for more");
        for _ in 0..64 * 64 / 2 {
            depth.read_ended(at(200_000), at(199_999), Duration::from_millis(1), true);
        }
        assert_eq!(depth.get(), 64);
    }

    #[test]
    fn a_disk_that_serves_one_read_at_a_time_keeps_few_of_them_waiting() {
        let mut depth = QueueDepth::new(64);
        let (mut under_way, mut ends) = (std::collections::VecDeque::new(), 0);
        let mut longest = 0;
        for _ in 0..1000 {
            while under_way.len() < depth.get() {
                under_way.push_back(ends);
            }
            // 20 ms a read, one behind the other; always enough to do.
            let issued = under_way.pop_front().expect("at least DEPTH_MIN");
            ends += 20;
            depth.read_ended(at(ends), at(issued), Duration::from_millis(ends - issued), true);
            longest = if ends > 10_000 { longest.max(ends - issued) } else { 0 };
        }
        assert!((100..=260).contains(&longest), "{longest} ms");
    }

    #[test]
    fn a_small_bound_stays_small() {
        let mut depth = QueueDepth::new(2);
        depth.read_ended(at(1000), at(0), Duration::from_secs(1), true);
        assert_eq!(depth.get(), 2);
        depth.read_ended(at(1000), at(999), Duration::from_millis(1), true);
        assert_eq!(depth.get(), 2);
    }
}
