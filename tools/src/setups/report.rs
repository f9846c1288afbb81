//! What setting up showed.

use crate::histogram::Micros;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;

/// Kinds of failures told apart.
const FAILURE_KINDS_MAX: usize = 32;

/// What a run showed.
#[derive(Debug, Default)]
pub struct Report {
    /// How long it took.
    pub seconds: f64,
    /// Sessions that began.
    pub asked: u64,
    /// Those that came to play.
    pub played: u64,
    /// What the others came to.
    pub failures: BTreeMap<String, u64>,
    /// CPU time of the watched process's main thread meanwhile.
    pub control_cpu_nanos: Option<u64>,
    whole: Micros,
    replies: BTreeMap<&'static str, Micros>,
}

/// The same as numbers for a script.
#[derive(Debug, Serialize)]
struct Figures {
    seconds: f64,
    asked: u64,
    played: u64,
    failures: BTreeMap<String, u64>,
    control_cpu_micros_each: Option<f64>,
    millis: BTreeMap<String, [f64; 4]>,
}

impl Report {
    pub(super) fn answered(&mut self, method: &'static str, nanos: i64) {
        self.replies.entry(method).or_default().record(nanos);
    }

    pub(super) fn set_up(&mut self, nanos: i64) {
        self.played += 1;
        self.whole.record(nanos);
    }

    pub(super) fn fail(&mut self, why: &str) {
        let is_known = self.failures.contains_key(why);
        let why = if is_known || self.failures.len() < FAILURE_KINDS_MAX {
            why
        } else {
            "other failures"
        };
        *self.failures.entry(why.to_owned()).or_default() += 1;
    }

    /// Sessions that did not come to play, or not to their end.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.failures.values().sum()
    }

    /// Microseconds of the watched thread's CPU time for each session that came to play.
    #[must_use]
    #[allow(clippy::cast_precision_loss, reason = "CPU time of a test")]
    pub fn control_cpu_micros_each(&self) -> Option<f64> {
        let nanos = self.control_cpu_nanos.filter(|_| self.played > 0)?;
        Some(nanos as f64 / self.played as f64 / 1000.0)
    }

    /// The report as JSON.
    ///
    /// # Errors
    /// Never in practice: it is all numbers and text.
    pub fn to_json(&self) -> serde_json::Result<String> {
        let times = self.times().map(|(name, micros)| (name.to_owned(), quantiles(micros)));
        serde_json::to_string_pretty(&Figures {
            seconds: self.seconds,
            asked: self.asked,
            played: self.played,
            failures: self.failures.clone(),
            control_cpu_micros_each: self.control_cpu_micros_each(),
            millis: times.collect(),
        })
    }

    fn times(&self) -> impl Iterator<Item = (&'static str, &Micros)> {
        let replies = self.replies.iter().map(|(method, micros)| (*method, micros));
        replies.chain([("set-up", &self.whole)])
    }
}

impl fmt::Display for Report {
    #[allow(clippy::cast_precision_loss, reason = "a count")]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { asked, played, seconds, .. } = self;
        let rate = *played as f64 / seconds.max(1e-9);
        writeln!(f, "{played} of {asked} sessions set up in {seconds:.1} s, {rate:.0} a second")?;
        for (why, count) in &self.failures {
            writeln!(f, "  {count} × {why}")?;
        }
        writeln!(f, "{:<10}{:>10}{:>10}{:>10}{:>10}", "ms", "p50", "p99", "p99.9", "max")?;
        for (name, micros) in self.times() {
            let [p50, p99, p999, max] = quantiles(micros);
            writeln!(f, "{name:<10}{p50:>10.3}{p99:>10.3}{p999:>10.3}{max:>10.3}")?;
        }
        if let Some(micros) = self.control_cpu_micros_each() {
            let busy = micros * rate / 10_000.0;
            writeln!(f, "control: {micros:.0} µs of CPU time each, {busy:.0} % of a core")?;
        }
        Ok(())
    }
}

/// Milliseconds: median, 99th and 999th part, longest.
#[allow(clippy::cast_precision_loss, reason = "microseconds")]
fn quantiles(micros: &Micros) -> [f64; 4] {
    let millis = |micros: u64| micros as f64 / 1000.0;
    let [p50, p99, p999] = [0.5, 0.99, 0.999].map(|quantile| millis(micros.at(quantile)));
    [p50, p99, p999, millis(micros.max())]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_reads_well_and_failures_are_bounded() {
        let mut report = Report { asked: 3, seconds: 0.5, ..Report::default() };
        report.answered("PLAY", 2_000_000);
        report.set_up(10_000_000);
        report.control_cpu_nanos = Some(300_000);
        for number in 0..100 {
            report.fail(&number.to_string());
        }
        assert_eq!((report.failed(), report.failures.len()), (100, FAILURE_KINDS_MAX + 1));
        let text = report.to_string();
        assert!(text.contains("1 of 3 sessions set up in 0.5 s, 2 a second"), "{text}");
        assert!(text.contains("300 µs of CPU time each"), "{text}");
        let json: serde_json::Value = serde_json::from_str(&report.to_json().unwrap()).unwrap();
        assert_eq!(json["played"], 1);
        assert!((9.9..10.1).contains(&json["millis"]["set-up"][3].as_f64().unwrap()), "{json}");
    }
}
