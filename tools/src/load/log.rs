//! Distributions in the HdrHistogram log format, for the tools that read it (HistogramLogProcessor,
//! hdr-plot and the like).

use super::Report;
use crate::clock::{Clock, KernelClock};
use hdrhistogram::Histogram;
use hdrhistogram::serialization::V2DeflateSerializer;
use hdrhistogram::serialization::interval_log::{IntervalLogWriterBuilder, Tag};
use std::io::{self, Write};
use std::time::{Duration, UNIX_EPOCH};

/// A log being written: how late packets were second by second, then everything else for the whole
/// run, each under its name as tag.
pub struct HistogramLog<W: Write> {
    output: W,
    serializer: V2DeflateSerializer,
    seconds: u64,
    result: io::Result<()>,
}

impl<W: Write> std::fmt::Debug for HistogramLog<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HistogramLog").field("seconds", &self.seconds).finish_non_exhaustive()
    }
}

impl<W: Write> HistogramLog<W> {
    /// A log whose times count from now.
    #[must_use]
    pub fn new(mut output: W) -> Self {
        let now = KernelClock::new(Clock::start()).unix_nanos_at_zero();
        let start = UNIX_EPOCH + Duration::from_nanos(now);
        let mut serializer = V2DeflateSerializer::new();
        let result = IntervalLogWriterBuilder::new()
            .add_comment("[Histogram log format version 1.3]")
            .add_comment("reelring-load: microseconds; bursts in packets and bytes")
            .with_start_time(start)
            .with_base_time(start)
            .begin_log_with(&mut output, &mut serializer)
            .map(drop);
        Self { output, serializer, seconds: 0, result }
    }

    /// Adds how late packets were until `seconds` after the start. What cannot be written shows at
    /// the end.
    pub fn late_until(&mut self, seconds: u64, late: &Histogram<u64>) {
        let start = std::mem::replace(&mut self.seconds, seconds);
        self.add("late", late, (start, seconds));
    }

    /// Adds the distributions of the whole run; returns the output, and whether all was written.
    pub fn end(mut self, report: &Report) -> (W, io::Result<()>) {
        // The lateness of the whole run is the sum of its seconds.
        let others = report.distributions.iter().filter(|(name, _)| name != "late");
        for (name, histogram) in others {
            self.add(name, histogram, (0, self.seconds));
        }
        let flushed = self.result.and_then(|()| self.output.flush());
        (self.output, flushed)
    }

    fn add(&mut self, name: &str, histogram: &Histogram<u64>, (start, end): (u64, u64)) {
        if self.result.is_err() || histogram.is_empty() {
            return;
        }
        let start = Duration::from_secs(start);
        // What is left over at the end takes less than a second, but not nothing.
        let duration = (Duration::from_secs(end) - start).max(Duration::from_millis(1));
        // Without headers nothing is written here.
        let written = IntervalLogWriterBuilder::new()
            .begin_log_with(&mut self.output, &mut self.serializer)
            .map(|mut log| log.write_histogram(histogram, start, duration, Tag::new(name)));
        self.result = written.and_then(|result| result.map_err(io::Error::other));
    }
}

#[cfg(test)]
mod tests {
    use super::super::Summary;
    use super::*;
    use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};

    #[test]
    fn a_log_can_be_read_back() {
        let mut histogram = Histogram::new_with_bounds(1, 1_000_000, 3).unwrap();
        histogram.record(250).unwrap();
        let report = Report {
            summary: Summary::default(),
            distributions: vec![
                ("late".into(), histogram.clone()),
                ("PLAY".into(), histogram.clone()),
                ("PAUSE".into(), Histogram::new(3).unwrap()),
            ],
        };
        let mut bytes = Vec::new();
        let mut log = HistogramLog::new(&mut bytes);
        log.late_until(1, &histogram);
        log.late_until(2, &histogram);
        log.end(&report).1.unwrap();
        let mut entries = Vec::new();
        for entry in IntervalLogIterator::new(&bytes) {
            if let LogEntry::Interval(interval) = entry.unwrap() {
                let tag = interval.tag().unwrap().as_str().to_owned();
                let start = interval.start_timestamp().as_secs();
                entries.push((tag, start, interval.duration().as_secs(), interval.max()));
            }
        }
        let entry = |tag: &str, start, seconds| (tag.to_owned(), start, seconds, 250.0);
        assert_eq!(entries, [entry("late", 0, 1), entry("late", 1, 1), entry("PLAY", 0, 2)]);
    }
}
