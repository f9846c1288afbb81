//! Whether the generator itself was what limited a run.

use super::kernel::Drops;
use super::tally::OwnTally;
use super::worker::VISIT_INTERVAL;

/// How much later than planned packets may be read before the receive buffers are in danger.
const UNREAD_MAX_MS: f64 = 250.0;
/// How much later than planned the loop may do things before rates and pauses are not as asked.
const LOOP_LATE_MAX_MS: f64 = 100.0;
/// How long the loop may stand still once, however long the run.
const STALL_MAX_MS: f64 = 500.0;
/// Busy seconds of a hundred that are nothing to worry about: many viewers start at once.
const BUSY_PERCENT_MAX: u64 = 10;

/// Says in what ways the generator was the bottleneck; empty if it was not. `lost` packets may have
/// been dropped by this machine, `drops` being those of all its processes.
pub(super) fn find(own: &OwnTally, overflows: u64, lost: u64, drops: Drops) -> Vec<String> {
    let mut found = Vec::new();
    if own.busy_seconds * 100 > own.seconds * BUSY_PERCENT_MAX {
        found.push(format!(
            "threads had no idle time in {} of {} seconds (more --threads, other cores)",
            own.busy_seconds, own.seconds
        ));
    }
    let unread_ms = millis(own.unread.at(0.999));
    if unread_ms > VISIT_INTERVAL.as_secs_f64() * 1000.0 + UNREAD_MAX_MS {
        found.push(format!("packets waited up to {unread_ms:.0} ms to be read (p99.9)"));
    }
    let late_ms = millis(own.loop_late.at(0.999));
    if late_ms > LOOP_LATE_MAX_MS {
        found.push(format!("its loop was up to {late_ms:.0} ms late (p99.9)"));
    }
    let stall_ms = millis(own.loop_late.max());
    if stall_ms > STALL_MAX_MS {
        found.push(format!("its loop once stood still for {stall_ms:.0} ms"));
    }
    if overflows > 0 {
        found.push(format!("{overflows} trains found its receive buffers full"));
    }
    if lost > 0 && overflows == 0 && drops.receive_buffer > 0 {
        found.push(format!(
            "the kernel found receive buffers full {} times, of this or other programs",
            drops.receive_buffer
        ));
    }
    if lost > 0 && drops.backlog > 0 {
        found.push(format!(
            "{} packets were dropped in the kernel's backlog (net.core.netdev_max_backlog)",
            drops.backlog
        ));
    }
    found
}

#[allow(clippy::cast_precision_loss, reason = "durations of a test fit easily")]
fn millis(micros: u64) -> f64 {
    micros as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: Drops = Drops { receive_buffer: 0, backlog: 0 };

    #[test]
    fn a_generator_at_ease_is_no_bottleneck() {
        let mut own = OwnTally::default();
        for second in 0..20 {
            own.second(if second == 0 { 990_000_000 } else { 500_000_000 }, 1_000_000_000);
            own.unread.record(110_000_000);
            own.loop_late.record(2_000_000);
        }
        assert_eq!(find(&own, 0, 0, Drops { receive_buffer: 9, backlog: 9 }), Vec::<String>::new());
    }

    #[test]
    fn each_way_of_being_one_is_named() {
        let mut busy = OwnTally::default();
        busy.second(990_000_000, 1_000_000_000);
        let mut slow = OwnTally::default();
        slow.unread.record(400_000_000);
        slow.loop_late.record(120_000_000);
        let mut stalled = OwnTally::default();
        stalled.loop_late.record_many(0, 1_000_000);
        stalled.loop_late.record(600_000_000);
        let drops = Drops { receive_buffer: 5, backlog: 3 };
        let said = [
            find(&busy, 0, 0, NONE),
            find(&slow, 2, 0, NONE),
            find(&stalled, 0, 0, NONE),
            find(&OwnTally::default(), 0, 1, drops),
        ]
        .concat()
        .join("\n");
        for expected in [
            "no idle time in 1 of 1 seconds",
            "waited up to 400 ms",
            "loop was up to 120 ms late",
            "stood still for 600 ms",
            "2 trains found",
            "receive buffers full 5 times",
            "3 packets were dropped in the kernel's backlog",
        ] {
            assert!(said.contains(expected), "{expected} is not in:\n{said}");
        }
    }
}
