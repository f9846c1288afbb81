//! The summary as a table for people.

use super::summary::{Churned, Quantiles, ServerUse, Sessions, Spread, Summary};
use std::{fmt, iter};

/// What is printed of a distribution.
const QUANTILES: [&str; 6] = ["p50", "p90", "p99", "p99.9", "max", "count"];

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_sessions(f)?;
        self.write_packets(f)?;
        self.write_distributions(f)?;
        if let Some(server) = &self.server {
            write_server(f, server)?;
        }
        self.write_generator(f)
    }
}

impl Summary {
    fn write_sessions(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Sessions { asked, started, played, stalled, sinks, refused, failed, unfinished } =
            self.sessions;
        writeln!(
            f,
            "sessions     {asked}: {played} played, {stalled} stalled, {refused} refused, \
             {failed} failed, in {:.1} s",
            self.seconds
        )?;
        if started > asked || sinks > 0 {
            writeln!(
                f,
                "             {started} started in all, {unfinished} too late to play; {sinks} \
                 not judged"
            )?;
        }
        let Churned { stops, seeks, pauses, vanished, replays, skipped } = self.churn;
        if self.churn != Churned::default() {
            writeln!(
                f,
                "churn        {stops} stopped, {seeks} sought, {pauses} paused, {vanished} \
                 vanished, {replays} played again, {skipped} skipped"
            )?;
        }
        for (why, count) in &self.failures {
            writeln!(f, "             {count} × {why}")?;
        }
        Ok(())
    }

    fn write_packets(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (packets, bytes, streams) = (self.packets, self.bytes, self.streams);
        writeln!(f, "packets      {packets}, {bytes} bytes, of {streams} streams")?;
        writeln!(
            f,
            "             {} lost, {} duplicate, {} reordered, {} premature, {} stale, {} foreign",
            self.lost, self.duplicates, self.reordered, self.premature, self.stale, self.foreign
        )?;
        if self.malformed > 0 {
            writeln!(f, "             {} malformed or of another payload type", self.malformed)?;
        }
        if self.lost_at_start > 0 {
            writeln!(
                f,
                "             {} of the lost announced by RTP-Info before the first that came",
                self.lost_at_start
            )?;
        }
        if self.lost_here > 0 {
            writeln!(f, "             {} more lost in this program's buffers", self.lost_here)?;
        }
        if self.silent_streams > 0 {
            writeln!(f, "             nothing came of {} streams", self.silent_streams)?;
        }
        if self.ended_early > 0 {
            writeln!(f, "             {} titles ended too early", self.ended_early)?;
        }
        if self.unanchored_streams > 0 {
            writeln!(
                f,
                "             {} streams judged from their first packet on: no usable RTP-Info",
                self.unanchored_streams
            )?;
        }
        Ok(())
    }

    fn write_distributions(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_columns(f, "ms", &QUANTILES)?;
        write_quantiles(f, "lateness", &self.lateness_ms)?;
        write_quantiles(f, "variation", &self.delay_variation_ms)?;
        write_quantiles(f, "behind", &self.behind_ms)?;
        write_quantiles(f, "first packet", &self.first_packet_ms)?;
        for (method, quantiles) in &self.reply_ms {
            write_quantiles(f, method, quantiles)?;
        }
        if self.refused_ms.count > 0 {
            write_quantiles(f, "refused", &self.refused_ms)?;
        }
        for (name, lengths) in [
            ("burst packets", self.burst_packets),
            ("burst bytes", self.burst_bytes),
            ("TCP bytes", self.interleaved_burst_bytes),
        ] {
            write_lengths(f, name, lengths)?;
        }
        Ok(())
    }

    fn write_generator(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let own = &self.generator;
        writeln!(
            f,
            "generator    {:.2} s of CPU time, at most {:.0} % of a core a thread; read within \
             {:.0} ms (p99.9), loop late by {:.1} ms (p99.9); seed {}",
            own.cpu_seconds,
            own.cpu_percent_max,
            own.unread_ms.p999,
            own.loop_late_ms.p999,
            own.seed
        )?;
        for warning in &own.warnings {
            writeln!(f, "             {warning}")?;
        }
        if !own.bottleneck.is_empty() {
            writeln!(f, "generator was the bottleneck: {}", own.bottleneck.join("; "))?;
        }
        Ok(())
    }
}

fn write_server(f: &mut fmt::Formatter<'_>, server: &ServerUse) -> fmt::Result {
    write_columns(f, "server", &["min", "mean", "max"])?;
    for (name, spread) in [
        ("CPU %", server.cpu_percent),
        ("  user", server.user_percent),
        ("  system", server.system_percent),
        ("RSS MiB", server.rss_mib),
        ("descriptors", server.descriptors),
    ] {
        let Spread { min, mean, max } = spread;
        writeln!(f, "{name:<12} {min:>10.1} {mean:>10.1} {max:>10.1}")?;
    }
    if server.ended {
        writeln!(f, "             the process ended during the run")?;
    }
    Ok(())
}

fn write_quantiles(f: &mut fmt::Formatter<'_>, name: &str, quantiles: &Quantiles) -> fmt::Result {
    let Quantiles { count, p50, p90, p99, p999, max } = quantiles;
    let durations = [p50, p90, p99, p999, max].map(|millis| format!("{millis:.3}"));
    let [p50, p90, p99, p999, max] = &durations;
    write_columns(f, name, &[p50, p90, p99, p999, max, &count.to_string()])
}

/// Lengths of bursts, if there were any.
fn write_lengths(f: &mut fmt::Formatter<'_>, name: &str, lengths: Quantiles) -> fmt::Result {
    let Quantiles { count, p50, p90, p99, p999, max } = lengths;
    if count == 0 {
        return Ok(());
    }
    let lengths = [p50, p90, p99, p999, max].map(|length| format!("{length:.0}"));
    let [p50, p90, p99, p999, max] = &lengths;
    write_columns(f, name, &[p50, p90, p99, p999, max, &count.to_string()])
}

/// The width of the column behind a name: a long one takes of its room.
fn first_column(name: &str) -> usize {
    22_usize.saturating_sub(name.chars().count())
}

fn write_columns(f: &mut fmt::Formatter<'_>, name: &str, columns: &[&str]) -> fmt::Result {
    write!(f, "{name}")?;
    let widths = iter::once(first_column(name)).chain(iter::repeat(10));
    for (column, width) in columns.iter().zip(widths) {
        write!(f, " {column:>width$}")?;
    }
    writeln!(f)
}

#[cfg(test)]
mod tests {
    use super::super::summary::Generator;
    use super::*;

    #[test]
    fn the_table_names_what_went_wrong() {
        let mut summary = Summary {
            unanchored_streams: 2,
            server: Some(ServerUse::default()),
            generator: Generator {
                bottleneck: vec!["too slow".into(), "too small".into()],
                warnings: vec!["sysctl".into()],
                ..Generator::default()
            },
            ..Summary::default()
        };
        summary.failures.insert("SETUP: 453".into(), 7);
        for method in ["PLAY", "GET_PARAMETER"] {
            let quantiles = Quantiles { p50: 0.25, ..Quantiles::default() };
            summary.reply_ms.insert(method.into(), quantiles);
        }
        summary.burst_packets = Quantiles { count: 9, p90: 31.0, ..Quantiles::default() };
        let text = summary.to_string();
        for expected in [
            "7 × SETUP: 453",
            "PLAY              0.250",
            "GET_PARAMETER     0.250",
            "ms                  p50        p90        p99      p99.9        max      count\n",
            "burst packets         0         31          0          0          0          9\n",
            "2 streams judged from their first packet on",
            "RSS MiB             0.0",
            "generator was the bottleneck: too slow; too small",
            "             sysctl",
        ] {
            assert!(text.contains(expected), "{expected} is not in:\n{text}");
        }
        assert!(!text.contains("TCP bytes"), "there were none:\n{text}");
    }
}
