//! What the load generator saw, summed up. This is also the form of its JSON.

use super::bottleneck;
use super::kernel::Drops;
use super::options::Options;
use super::process::Usage;
use super::tally::{Failure, Tally};
use super::timeline::Sample;
use crate::clock::MonoTime;
use crate::histogram::{Lengths, Micros};
use hdrhistogram::Histogram;
use serde::Serialize;
use std::collections::BTreeMap;

/// A distribution. Durations are in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Quantiles {
    /// How many were measured.
    pub count: u64,
    /// Half were at most this.
    pub p50: f64,
    /// 9 of 10 were at most this.
    pub p90: f64,
    /// 99 of 100 were at most this.
    pub p99: f64,
    /// 999 of 1000 were at most this.
    pub p999: f64,
    /// The most.
    pub max: f64,
}

impl Quantiles {
    #[allow(clippy::cast_precision_loss, reason = "durations of a test fit easily")]
    fn new(histogram: &Histogram<u64>, unit: f64) -> Self {
        let at = |quantile| histogram.value_at_quantile(quantile) as f64 / unit;
        Self {
            count: histogram.len(),
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p999: at(0.999),
            max: histogram.max() as f64 / unit,
        }
    }

    fn millis(micros: &Micros) -> Self {
        Self::new(micros.histogram(), 1000.0)
    }

    fn lengths(lengths: &Lengths) -> Self {
        Self::new(lengths.histogram(), 1.0)
    }
}

/// What became of the viewers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Sessions {
    /// How many there should be at a time.
    pub asked: u64,
    /// How many came, those included who took the place of others.
    pub started: u64,
    /// Played until they or the test wanted no more.
    pub played: u64,
    /// Stopped reading, as they were told to.
    pub stalled: u64,
    /// Seats whose viewers do not read media.
    pub sinks: u64,
    /// The server had no room: 453 or 503 before PLAY was granted.
    pub refused: u64,
    /// Failed otherwise.
    pub failed: u64,
    /// Took the place of others too late to play.
    pub unfinished: u64,
}

/// What viewers did besides playing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Churned {
    /// TEARDOWN before the end of the run.
    pub stops: u64,
    /// PLAY elsewhere.
    pub seeks: u64,
    /// PAUSE.
    pub pauses: u64,
    /// Left without a word.
    pub vanished: u64,
    /// Played again what had ended.
    pub replays: u64,
    /// Should have happened, but nobody was playing.
    pub skipped: u64,
}

/// Least, mean and most of what was sampled every second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Spread {
    /// Least.
    pub min: f64,
    /// Mean.
    pub mean: f64,
    /// Most.
    pub max: f64,
}

impl Spread {
    #[allow(clippy::cast_precision_loss, reason = "seconds of a test")]
    fn of(values: impl Iterator<Item = f64> + Clone) -> Self {
        let count = values.clone().count().max(1) as f64;
        Self {
            min: values.clone().reduce(f64::min).unwrap_or(0.0),
            // The sum of nothing is -0.
            mean: (values.clone().sum::<f64>() + 0.0) / count,
            max: values.reduce(f64::max).unwrap_or(0.0),
        }
    }
}

/// What the watched process used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct ServerUse {
    /// CPU time in percent of one core, in the seconds in which all played.
    pub cpu_percent: Spread,
    /// The part of it in its own code.
    pub user_percent: Spread,
    /// The part of it in the kernel.
    pub system_percent: Spread,
    /// Resident memory.
    pub rss_mib: Spread,
    /// Open descriptors.
    pub descriptors: Spread,
    /// Whether it ended during the run.
    pub ended: bool,
}

/// How the generator itself did.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Generator {
    /// What all random choices followed from.
    pub seed: u64,
    /// CPU time of all its threads, in seconds.
    pub cpu_seconds: f64,
    /// Most CPU time a thread used in a second, in percent of one core.
    pub cpu_percent_max: f64,
    /// From packets' arrival in the kernel to their reading, which is planned to be up to 100 ms.
    pub unread_ms: Quantiles,
    /// How late its loop did what was due.
    pub loop_late_ms: Quantiles,
    /// Trains of packets that found one of its receive buffers full.
    pub overflows: u64,
    /// In what ways it was the bottleneck; then the run says little about the server.
    pub bottleneck: Vec<String>,
    /// What this machine should allow and does not.
    pub warnings: Vec<String>,
}

/// What was seen of all viewers together. Packets are those of the viewers who read.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Summary {
    /// The whole run.
    pub seconds: f64,
    /// Whether it was ended before its time.
    pub interrupted: bool,
    /// What became of the viewers.
    pub sessions: Sessions,
    /// What they did besides playing.
    pub churn: Churned,
    /// Why viewers were refused or failed, and how many.
    pub failures: BTreeMap<String, u64>,
    /// Packets received, each once.
    pub packets: u64,
    /// Their payload bytes.
    pub bytes: u64,
    /// Packets that never came.
    pub lost: u64,
    /// Those of them that `RTP-Info` announced before the first that came; some servers announce
    /// one too many.
    pub lost_at_start: u64,
    /// Packets that never came of streams whose receive buffer overflowed in the generator.
    pub lost_here: u64,
    /// Packets that came again.
    pub duplicates: u64,
    /// Packets that came after a later one.
    pub reordered: u64,
    /// Packets that came before the reply to their PLAY.
    pub premature: u64,
    /// Packets from before a seek or a pause that came after its reply.
    pub stale: u64,
    /// Packets of a wrong source.
    pub foreign: u64,
    /// Packets that were no RTP or RTCP, or of a payload type that was not described.
    pub malformed: u64,
    /// Streams received.
    pub streams: u64,
    /// Those judged from their first packet on, because `RTP-Info` did not say where they start.
    pub unanchored_streams: u64,
    /// Those of which nothing came after their last PLAY.
    pub silent_streams: u64,
    /// Titles of which the end never came: the server said BYE, or fell silent, before it.
    pub ended_early: u64,
    /// Bursts: datagrams of a stream of which each arrived less than 1 ms after the one before, by
    /// the kernel's time. How many there were in each.
    pub burst_packets: Quantiles,
    /// How many bytes those had, RTP headers included.
    pub burst_bytes: Quantiles,
    /// Bytes of interleaved frames, of all streams of a connection, with less than 1 ms from one
    /// read to the next.
    pub interleaved_burst_bytes: Quantiles,
    /// How late packets came against the start of play and their decode time.
    pub lateness_ms: Quantiles,
    /// How much longer packets took than the quickest of their stream, from a second after PLAY on
    /// (packet delay variation, RFC 5481 §4.2, by decode times). It tells of servers that fall
    /// behind also where `RTP-Info` or sender reports do not say when packets are due.
    pub delay_variation_ms: Quantiles,
    /// How far the last packet of a stream was behind when its viewer left.
    pub behind_ms: Quantiles,
    /// From PLAY to the first packet.
    pub first_packet_ms: Quantiles,
    /// From when a request was meant to be sent to its reply, by method; OPTIONS includes the
    /// connection's handshake.
    pub reply_ms: BTreeMap<String, Quantiles>,
    /// The same for requests that were refused.
    pub refused_ms: Quantiles,
    /// What the watched process used.
    pub server: Option<ServerUse>,
    /// How the generator itself did.
    pub generator: Generator,
    /// Second by second.
    pub timeline: Vec<Sample>,
}

impl Summary {
    pub(super) fn new(
        options: &Options,
        sum: &Tally,
        timeline: Vec<Sample>,
        drops: Drops,
        ended: MonoTime,
        warnings: Vec<String>,
    ) -> Self {
        let counts = sum.counts;
        let (sessions, failures) = sessions(options, sum);
        let replies = sum.replies.iter();
        Self {
            seconds: (ended - MonoTime(0)).as_secs_f64(),
            interrupted: false,
            sessions,
            churn: Churned {
                stops: sum.stops,
                seeks: sum.seeks,
                pauses: sum.pauses,
                vanished: sum.vanished,
                replays: sum.replays,
                skipped: sum.skipped_acts,
            },
            failures,
            packets: counts.packets,
            bytes: counts.bytes,
            lost: counts.lost,
            lost_at_start: counts.lost_at_start,
            lost_here: sum.lost_here,
            duplicates: counts.duplicates,
            reordered: counts.reordered,
            premature: counts.premature,
            stale: counts.stale,
            foreign: counts.foreign,
            malformed: sum.malformed,
            streams: sum.streams,
            unanchored_streams: sum.unanchored_streams,
            silent_streams: sum.silent_streams,
            ended_early: sum.ended_early,
            burst_packets: Quantiles::lengths(&sum.burst_packets),
            burst_bytes: Quantiles::lengths(&sum.burst_bytes),
            interleaved_burst_bytes: Quantiles::lengths(&sum.interleaved_burst_bytes),
            lateness_ms: Quantiles::millis(&sum.late),
            delay_variation_ms: Quantiles::millis(&sum.variation),
            behind_ms: Quantiles::millis(&sum.behind),
            first_packet_ms: Quantiles::millis(&sum.first_packet),
            reply_ms: replies
                .map(|(method, micros)| ((*method).to_owned(), Quantiles::millis(micros)))
                .collect(),
            refused_ms: Quantiles::millis(&sum.refusals),
            server: options.server_pid.map(|_| server_use(options, &timeline)),
            generator: generator(options, sum, drops, warnings),
            timeline,
        }
    }
}

fn sessions(options: &Options, sum: &Tally) -> (Sessions, BTreeMap<String, u64>) {
    let sinks = (0..options.sessions).filter(|number| options.role(*number).is_sink).count();
    let mut sessions = Sessions {
        asked: options.sessions as u64,
        started: sum.started,
        played: sum.played,
        stalled: sum.stalled,
        sinks: sinks as u64,
        unfinished: sum.unfinished,
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
    (sessions, failures)
}

#[allow(clippy::cast_precision_loss, reason = "bytes and descriptors of a process")]
fn server_use(options: &Options, timeline: &[Sample]) -> ServerUse {
    let usages = timeline.iter().filter_map(|sample| sample.server);
    let spread = |value: fn(Usage) -> f64| Spread::of(usages.clone().map(value));
    let seconds = |time: MonoTime| (time - MonoTime(0)).as_secs_f64();
    let (from, to) = (seconds(options.starts_at(options.sessions)), seconds(options.ends_at()));
    let begins = std::iter::once(0.0).chain(timeline.iter().map(|sample| sample.seconds));
    let playing: Vec<_> = begins
        .zip(timeline)
        .filter(|(begin, sample)| *begin >= from && sample.seconds <= to)
        .filter_map(|(_, sample)| sample.server)
        .collect();
    // A run shorter than a few seconds may have none.
    let playing = if playing.is_empty() { usages.clone().collect() } else { playing };
    let cpu = |value: fn(Usage) -> f64| Spread::of(playing.iter().copied().map(value));
    ServerUse {
        cpu_percent: cpu(|usage| usage.user_percent + usage.system_percent),
        user_percent: cpu(|usage| usage.user_percent),
        system_percent: cpu(|usage| usage.system_percent),
        rss_mib: spread(|usage| usage.rss_bytes as f64 / f64::from(1 << 20)),
        descriptors: spread(|usage| usage.descriptors as f64),
        ended: timeline.last().is_some_and(|sample| sample.server.is_none()),
    }
}

#[allow(clippy::cast_precision_loss, reason = "CPU time of a test")]
fn generator(options: &Options, sum: &Tally, drops: Drops, warnings: Vec<String>) -> Generator {
    let own = &sum.generator;
    Generator {
        seed: options.seed,
        cpu_seconds: own.cpu_nanos as f64 / 1e9,
        cpu_percent_max: own.cpu_max * 100.0,
        unread_ms: Quantiles::millis(&own.unread),
        loop_late_ms: Quantiles::millis(&own.loop_late),
        overflows: sum.overflows,
        bottleneck: bottleneck::find(own, sum.overflows, sum.counts.lost, drops),
        warnings,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_told_apart_from_failures() {
        let mut sum = Tally::default();
        sum.failure(Failure::Refused { method: "SETUP", status: 453 });
        sum.failure(Failure::Refused { method: "SETUP", status: 453 });
        sum.failure(Failure::Failed("no reply".into()));
        let options = Options { sessions: 4, sink: 0.5, ..Options::default() };
        let (sessions, failures) = sessions(&options, &sum);
        assert_eq!((sessions.refused, sessions.failed, sessions.sinks), (2, 1, 2));
        assert_eq!((failures["SETUP: 453"], failures["no reply"]), (2, 1));
    }

    #[test]
    fn use_of_a_server_has_least_mean_and_most() {
        let options = Options { sessions: 10, ramp_per_second: 10, ..Options::default() };
        let sample = |seconds, user_percent, rss_bytes| Sample {
            seconds,
            server: Some(Usage { user_percent, rss_bytes, ..Usage::default() }),
            ..Sample::default()
        };
        let server = server_use(
            &options,
            &[
                sample(1.0, 90.0, 1 << 20), // the ramp
                sample(2.0, 10.0, 1 << 20),
                sample(3.0, 20.0, 4 << 20),
                sample(31.5, 1.0, 2 << 20), // the end
            ],
        );
        assert_eq!(server.cpu_percent, Spread { min: 10.0, mean: 15.0, max: 20.0 });
        assert_eq!((server.rss_mib.mean, server.ended), (2.0, false));
        assert!(Spread::of(std::iter::empty()).mean.is_sign_positive());
        assert!(server_use(&options, &[sample(1.0, 1.0, 1), Sample::default()]).ended);
    }
}
