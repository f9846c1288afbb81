//! What the load generator saw, summed up, and whether it was good enough.

use super::Options;
use super::viewer::{Failure, Sighting, Step, Viewer};
use crate::clock::MonoTime;
use crate::verify::{Counts, Micros};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// What one thread saw.
#[derive(Debug, Default)]
pub(super) struct Tally {
    played: u64,
    stalled: u64,
    failures: BTreeMap<Failure, u64>,
    counts: Counts,
    late: Micros,
    first_packet: Micros,
    replies: BTreeMap<&'static str, Micros>,
    /// Viewers that played when the shared gauge was last told.
    pub(super) playing_told: u64,
}

impl Tally {
    pub(super) fn sightings(&mut self, sightings: &mut Vec<Sighting>) {
        for sighting in sightings.drain(..) {
            match sighting {
                Sighting::Answered { method, nanos } => {
                    self.replies.entry(method).or_default().record(nanos);
                }
                Sighting::FirstPacket { nanos } => self.first_packet.record(nanos),
                Sighting::Packet { late_nanos } => self.late.record(late_nanos),
            }
        }
    }

    pub(super) fn failure(&mut self, failure: Failure) {
        *self.failures.entry(failure).or_default() += 1;
    }

    /// A viewer is done; what became of one that failed is known already.
    pub(super) fn viewer(&mut self, viewer: &Viewer) {
        if viewer.stalled && viewer.session_began() {
            self.stalled += 1;
        } else if viewer.step == Step::Done && viewer.session_began() {
            self.played += 1;
            for counts in viewer.counts() {
                self.count(counts);
            }
        }
    }

    pub(super) fn packets_judged(&self) -> u64 {
        self.late.count()
    }

    fn count(&mut self, counts: Counts) {
        let sum = &mut self.counts;
        sum.packets += counts.packets;
        sum.bytes += counts.bytes;
        sum.lost += counts.lost;
        sum.duplicates += counts.duplicates;
        sum.reordered += counts.reordered;
        sum.premature += counts.premature;
        sum.stale += counts.stale;
        sum.foreign += counts.foreign;
        sum.burst_max = sum.burst_max.max(counts.burst_max);
    }

    fn add(&mut self, other: &Self) {
        self.played += other.played;
        self.stalled += other.stalled;
        for (failure, count) in &other.failures {
            *self.failures.entry(failure.clone()).or_default() += count;
        }
        self.count(other.counts);
        self.late.add(&other.late);
        self.first_packet.add(&other.first_packet);
        for (method, micros) in &other.replies {
            self.replies.entry(method).or_default().add(micros);
        }
    }
}

/// A distribution of durations, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Quantiles {
    /// How many were measured.
    pub count: u64,
    /// Half were at most this.
    pub p50: f64,
    /// 99 of 100 were at most this.
    pub p99: f64,
    /// 999 of 1000 were at most this.
    pub p999: f64,
    /// The longest.
    pub max: f64,
}

impl Quantiles {
    #[allow(clippy::cast_precision_loss, reason = "durations of a test fit easily")]
    fn new(micros: &Micros) -> Self {
        let millis = |micros: u64| micros as f64 / 1000.0;
        Self {
            count: micros.count(),
            p50: millis(micros.at(0.5)),
            p99: millis(micros.at(0.99)),
            p999: millis(micros.at(0.999)),
            max: millis(micros.max()),
        }
    }
}

/// What became of the sessions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Sessions {
    /// How many there should be.
    pub asked: u64,
    /// Played until the end.
    pub played: u64,
    /// Stopped reading, as they were told to.
    pub stalled: u64,
    /// The server refused a request.
    pub refused: u64,
    /// Failed otherwise.
    pub failed: u64,
}

/// What was seen of all viewers together. Packets are those of the sessions that played until the
/// end and read.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Summary {
    /// The whole run.
    pub seconds: f64,
    /// What became of the sessions.
    pub sessions: Sessions,
    /// Why sessions were refused or failed, and how many.
    pub failures: BTreeMap<String, u64>,
    /// Packets received, each once.
    pub packets: u64,
    /// Their payload bytes.
    pub bytes: u64,
    /// Packets that never came.
    pub lost: u64,
    /// Packets that came again.
    pub duplicates: u64,
    /// Packets that came after a later one.
    pub reordered: u64,
    /// Packets before the PLAY reply.
    pub premature: u64,
    /// Packets from before the range that was being played.
    pub stale: u64,
    /// Packets of a wrong source.
    pub foreign: u64,
    /// Most packets of a stream without a pause of 1 ms.
    pub burst_max: u64,
    /// How late packets came against their timestamps and what sender reports call now.
    pub lateness_ms: Quantiles,
    /// From PLAY to the first packet.
    pub first_packet_ms: Quantiles,
    /// From request to reply, by method; OPTIONS includes the connection's handshake.
    pub reply_ms: BTreeMap<String, Quantiles>,
}

/// How good is good enough.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Packets that may be lost.
    pub lost_max: u64,
    /// How late the latest packet may be.
    pub late_max: Duration,
}

impl Summary {
    pub(super) fn new(options: &Options, tallies: &[Tally], ended: MonoTime) -> Self {
        let mut sum = Tally::default();
        for tally in tallies {
            sum.add(tally);
        }
        let mut sessions = Sessions {
            asked: options.sessions as u64,
            played: sum.played,
            stalled: sum.stalled,
            ..Sessions::default()
        };
        let mut failures = BTreeMap::new();
        for (failure, count) in &sum.failures {
            let text = match failure {
                Failure::Refused { method, status } => {
                    sessions.refused += count;
                    format!("{method}: {status}")
                }
                Failure::Failed(why) => {
                    sessions.failed += count;
                    why.clone()
                }
            };
            failures.insert(text, *count);
        }
        let counts = sum.counts;
        Self {
            seconds: (ended - MonoTime(0)).as_secs_f64(),
            sessions,
            failures,
            packets: counts.packets,
            bytes: counts.bytes,
            lost: counts.lost,
            duplicates: counts.duplicates,
            reordered: counts.reordered,
            premature: counts.premature,
            stale: counts.stale,
            foreign: counts.foreign,
            burst_max: counts.burst_max,
            lateness_ms: Quantiles::new(&sum.late),
            first_packet_ms: Quantiles::new(&sum.first_packet),
            reply_ms: sum
                .replies
                .iter()
                .map(|(method, micros)| ((*method).to_owned(), Quantiles::new(micros)))
                .collect(),
        }
    }

    /// What was not good enough, one sentence each; empty is a pass.
    #[must_use]
    pub fn complaints(&self, limits: &Limits) -> Vec<String> {
        let mut complaints = Vec::new();
        let mut complain = |wrong: bool, text: String| {
            if wrong {
                complaints.push(text);
            }
        };
        let Sessions { asked, played, stalled, .. } = self.sessions;
        complain(
            played + stalled < asked,
            format!("{} of {asked} sessions did not play", asked.saturating_sub(played + stalled)),
        );
        complain(
            self.lost > limits.lost_max,
            format!("{} packets lost, {} allowed", self.lost, limits.lost_max),
        );
        let late_max_ms = limits.late_max.as_secs_f64() * 1000.0;
        complain(
            self.lateness_ms.max > late_max_ms,
            format!("a packet came {:.1} ms late, {late_max_ms} ms allowed", self.lateness_ms.max),
        );
        let wrong = self.premature + self.stale + self.foreign + self.duplicates;
        complain(wrong > 0, format!("{wrong} packets that should not have come"));
        complain(played > 0 && self.packets == 0, "no packet came".into());
        complaints
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Sessions { asked, played, stalled, refused, failed } = self.sessions;
        writeln!(
            f,
            "sessions     {asked}: {played} played, {stalled} stalled, {refused} refused, \
             {failed} failed, in {:.1} s",
            self.seconds
        )?;
        for (why, count) in &self.failures {
            writeln!(f, "             {count} × {why}")?;
        }
        writeln!(
            f,
            "packets      {}, {} bytes; longest burst {}",
            self.packets, self.bytes, self.burst_max
        )?;
        writeln!(
            f,
            "             {} lost, {} duplicate, {} reordered, {} premature, {} stale, {} foreign",
            self.lost, self.duplicates, self.reordered, self.premature, self.stale, self.foreign
        )?;
        writeln!(
            f,
            "{:<12} {:>10} {:>10} {:>10} {:>10} {:>10}",
            "ms", "p50", "p99", "p99.9", "max", "count"
        )?;
        let fixed = [("lateness", &self.lateness_ms), ("first packet", &self.first_packet_ms)];
        let methods = self.reply_ms.iter().map(|(method, quantiles)| (method.as_str(), quantiles));
        for (name, quantiles) in fixed.into_iter().chain(methods) {
            let Quantiles { count, p50, p99, p999, max } = quantiles;
            writeln!(f, "{name:<12} {p50:>10.3} {p99:>10.3} {p999:>10.3} {max:>10.3} {count:>10}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { lost_max: 0, late_max: Duration::from_millis(100) };

    fn good() -> Summary {
        Summary {
            sessions: Sessions { asked: 2, played: 1, stalled: 1, ..Sessions::default() },
            packets: 10,
            lateness_ms: Quantiles { max: 100.0, ..Quantiles::default() },
            ..Summary::default()
        }
    }

    #[test]
    fn every_shortcoming_is_named() {
        assert_eq!(good().complaints(&LIMITS), Vec::<String>::new());
        let mut late = good();
        late.lateness_ms.max = 100.1;
        for (bad, expected) in [
            (Summary { lost: 1, ..good() }, "1 packets lost, 0 allowed"),
            (late, "a packet came 100.1 ms late, 100 ms allowed"),
            (Summary { stale: 2, duplicates: 1, ..good() }, "3 packets that should not have come"),
            (Summary { packets: 0, ..good() }, "no packet came"),
            (
                Summary { sessions: Sessions { asked: 3, ..good().sessions }, ..good() },
                "1 of 3 sessions did not play",
            ),
        ] {
            assert_eq!(bad.complaints(&LIMITS), [expected]);
        }
    }

    #[test]
    fn the_table_names_what_went_wrong() {
        let mut summary = good();
        summary.failures.insert("SETUP: 453".into(), 7);
        summary.reply_ms.insert("PLAY".into(), Quantiles { p50: 0.25, ..Quantiles::default() });
        let text = summary.to_string();
        assert!(
            text.contains("7 × SETUP: 453") && text.contains("PLAY              0.250"),
            "{text}"
        );
    }
}
