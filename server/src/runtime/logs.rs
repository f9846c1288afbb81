//! Logs: to standard error, which lines and how as configured.

use crate::config::{LogConfig, LogFormat};
use crate::shard::counters::Counters;
use hdrhistogram::Histogram;
use std::io::{self, IsTerminal};
use tracing::info;
use tracing_subscriber::EnvFilter;

/// Starts logging. Only the first call in a process counts.
pub fn start(logs: &LogConfig) {
    let builder = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(&logs.filter))
        .with_writer(io::stderr)
        .with_target(false);
    // It fails when logs have been started already, which tests do.
    let _ = match logs.format {
        LogFormat::Text => builder.with_ansi(io::stderr().is_terminal()).try_init(),
        LogFormat::Plain => builder.with_ansi(false).without_time().try_init(),
    };
}

/// Logs a shard's counters, a line a subject.
pub(super) fn show_counters(shard: usize, counters: &Counters) {
    let c = counters;
    info!(
        shard,
        sessions = c.sessions,
        streams = c.streams,
        connections = c.connections,
        image_holds = c.image_holds,
        image_bytes = c.image_bytes,
        blocks_taken = c.blocks_taken,
        "serving"
    );
    info!(
        shard,
        trains = c.trains,
        as_they_lie = c.trains_as_they_lie,
        packets = c.packets,
        bytes = c.bytes,
        put_off = c.sends_full,
        failed = c.sends_failed,
        "sent"
    );
    info!(
        shard,
        reads = c.reads,
        bytes = c.read_bytes,
        failed = c.reads_failed,
        images_built = c.images_built,
        images_found = c.image_hits,
        "read"
    );
    info!(
        shard,
        stalls = c.stalls,
        skips = c.skips,
        rebases = c.rebases,
        missed_bytes = c.missed_bytes,
        invalid_rtcp = c.rtcp_invalid,
        moved_ports = c.ports_moved,
        "trouble"
    );
    show_quantiles(shard, &c.lateness_micros, "lateness of a train (µs)");
    show_quantiles(shard, &c.read_micros, "time of a read (µs)");
    show_quantiles(shard, &c.train_packets, "packets of a train");
}

fn show_quantiles(shard: usize, values: &Histogram<u64>, what: &str) {
    let at = |quantile| values.value_at_quantile(quantile);
    let (p50, p99, p999) = (at(0.5), at(0.99), at(0.999));
    info!(shard, p50, p99, p999, max = values.max(), "{what}");
}
