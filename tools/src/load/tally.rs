//! What one thread saw.

use crate::histogram::{Lengths, Micros};
use crate::verify::{Burst, Counts};
use std::collections::BTreeMap;

/// Kinds of failures told apart.
const FAILURE_KINDS_MAX: usize = 64;

/// Why a viewer came to an early end.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Failure {
    /// The server has no room for the viewer.
    Refused { method: &'static str, status: u16 },
    /// Something else; says what.
    Failed(String),
}

pub(super) fn failed(why: &str) -> Failure {
    Failure::Failed(why.to_owned())
}

/// Sums and distributions.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// Viewers who began to connect.
    pub(super) started: u64,
    /// Viewers who played until they or the test wanted no more.
    pub(super) played: u64,
    pub(super) stalled: u64,
    /// Viewers who took the place of others and were still connecting at the end.
    pub(super) unfinished: u64,
    pub(super) failures: BTreeMap<Failure, u64>,
    pub(super) stops: u64,
    pub(super) seeks: u64,
    pub(super) pauses: u64,
    pub(super) vanished: u64,
    pub(super) replays: u64,
    /// Acts for which there was no viewer who played.
    pub(super) skipped_acts: u64,
    pub(super) streams: u64,
    pub(super) unanchored_streams: u64,
    /// Streams of which nothing came after their last PLAY.
    pub(super) silent_streams: u64,
    /// Ranges that ended before their title did.
    pub(super) ended_early: u64,
    /// Packets that were no RTP or RTCP, or of a payload type that was not described.
    pub(super) malformed: u64,
    pub(super) counts: Counts,
    /// Packets lost of streams whose receive buffer overflowed.
    pub(super) lost_here: u64,
    /// Trains that found no room in a receive buffer.
    pub(super) overflows: u64,
    /// Bursts of datagrams of a stream: their packets, and their bytes.
    pub(super) burst_packets: Lengths,
    pub(super) burst_bytes: Lengths,
    /// Bytes of interleaved frames that a connection brought in a burst.
    pub(super) interleaved_burst_bytes: Lengths,
    pub(super) late: Micros,
    /// How much longer packets took than the quickest of their range.
    pub(super) variation: Micros,
    /// How late packets were since the last call of [`Tally::end_interval`].
    interval_late: Micros,
    /// How far the last packets of streams were behind when their viewers left.
    pub(super) behind: Micros,
    pub(super) first_packet: Micros,
    pub(super) replies: BTreeMap<&'static str, Micros>,
    pub(super) refusals: Micros,
    pub(super) generator: OwnTally,
}

/// How the thread itself did.
#[derive(Debug, Default)]
pub(super) struct OwnTally {
    /// From a train's arrival in the kernel to its reading.
    pub(super) unread: Micros,
    /// How late the loop did what was due.
    pub(super) loop_late: Micros,
    /// Seconds measured, those nearly without idle time, and the busiest one's part of a CPU.
    pub(super) seconds: u64,
    pub(super) busy_seconds: u64,
    pub(super) cpu_max: f64,
    pub(super) cpu_nanos: u64,
}

impl Tally {
    /// `count` packets were `late` nanoseconds late and, if it is known, took `variation` longer
    /// than the quickest.
    pub(super) fn packets_late(&mut self, (late, variation): (i64, Option<i64>), count: u64) {
        self.interval_late.record_many(late, count);
        if let Some(variation) = variation {
            self.variation.record_many(variation, count);
        }
    }

    /// How late packets were since the last call, which now counts in the whole.
    pub(super) fn end_interval(&mut self) -> Micros {
        let interval = std::mem::take(&mut self.interval_late);
        self.late.add(&interval);
        interval
    }

    /// A burst of datagrams of a stream is over, if there was one.
    pub(super) fn burst_ended(&mut self, burst: Option<Burst>) {
        if let Some(Burst { packets, bytes }) = burst {
            self.burst_packets.record(packets);
            self.burst_bytes.record(bytes);
        }
    }

    /// A burst of interleaved frames of a connection is over, if there was one.
    pub(super) fn interleaved_burst_ended(&mut self, burst: Option<Burst>) {
        if let Some(Burst { bytes, .. }) = burst {
            self.interleaved_burst_bytes.record(bytes);
        }
    }

    pub(super) fn answered(&mut self, method: &'static str, nanos: i64) {
        self.replies.entry(method).or_default().record(nanos);
    }

    pub(super) fn failure(&mut self, failure: Failure) {
        // Some texts are the server's: it may have no end of them.
        let is_known = self.failures.contains_key(&failure);
        let failure = if is_known || self.failures.len() < FAILURE_KINDS_MAX {
            failure
        } else {
            failed("other failures")
        };
        *self.failures.entry(failure).or_default() += 1;
    }

    pub(super) fn add(&mut self, other: &Self) {
        for (sum, more) in [
            (&mut self.started, other.started),
            (&mut self.played, other.played),
            (&mut self.stalled, other.stalled),
            (&mut self.unfinished, other.unfinished),
            (&mut self.stops, other.stops),
            (&mut self.seeks, other.seeks),
            (&mut self.pauses, other.pauses),
            (&mut self.vanished, other.vanished),
            (&mut self.replays, other.replays),
            (&mut self.skipped_acts, other.skipped_acts),
            (&mut self.streams, other.streams),
            (&mut self.unanchored_streams, other.unanchored_streams),
            (&mut self.silent_streams, other.silent_streams),
            (&mut self.ended_early, other.ended_early),
            (&mut self.malformed, other.malformed),
            (&mut self.lost_here, other.lost_here),
            (&mut self.overflows, other.overflows),
        ] {
            *sum += more;
        }
        for (failure, count) in &other.failures {
            *self.failures.entry(failure.clone()).or_default() += count;
        }
        for (method, micros) in &other.replies {
            self.replies.entry(method).or_default().add(micros);
        }
        self.counts += other.counts;
        self.burst_packets.add(&other.burst_packets);
        self.burst_bytes.add(&other.burst_bytes);
        self.interleaved_burst_bytes.add(&other.interleaved_burst_bytes);
        self.late.add(&other.late);
        self.variation.add(&other.variation);
        self.behind.add(&other.behind);
        self.first_packet.add(&other.first_packet);
        self.refusals.add(&other.refusals);
        self.generator.add(&other.generator);
    }
}

impl OwnTally {
    /// The thread ran for `cpu_nanos` out of `nanos`, about a second; less, at the end, says little
    /// of how busy it was.
    pub(super) fn second(&mut self, cpu_nanos: u64, nanos: u64) {
        const SECOND_MIN_NANOS: u64 = 500_000_000;
        /// So little idle time that it may have been too little.
        const BUSY: f64 = 0.95;
        self.cpu_nanos += cpu_nanos;
        if nanos < SECOND_MIN_NANOS {
            return;
        }
        #[allow(clippy::cast_precision_loss, reason = "about a second")]
        let part = cpu_nanos as f64 / nanos.max(1) as f64;
        self.seconds += 1;
        self.busy_seconds += u64::from(part > BUSY);
        self.cpu_max = self.cpu_max.max(part);
    }

    fn add(&mut self, other: &Self) {
        self.unread.add(&other.unread);
        self.loop_late.add(&other.loop_late);
        self.seconds += other.seconds;
        self.busy_seconds += other.busy_seconds;
        self.cpu_max = self.cpu_max.max(other.cpu_max);
        self.cpu_nanos += other.cpu_nanos;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_cannot_make_up_failures_without_end() {
        let mut tally = Tally::default();
        for number in 0..1000 {
            tally.failure(failed(&format!("{number}")));
            tally.failure(failed("0"));
        }
        assert_eq!(tally.failures.len(), FAILURE_KINDS_MAX + 1);
        assert_eq!(tally.failures[&failed("0")], 1001);
        assert_eq!(tally.failures.values().sum::<u64>(), 2000);
    }
}
