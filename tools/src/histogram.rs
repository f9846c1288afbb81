//! Distributions of durations, kept as HdrHistograms so that the tail is as exact as the middle.

use hdrhistogram::Histogram;

/// Durations in microseconds: how late packets came, how long replies took.
#[derive(Clone, Debug)]
pub struct Micros(Histogram<u64>);

impl Micros {
    /// Empty, for durations up to ten minutes.
    ///
    /// # Panics
    /// Never: the bounds are constants.
    #[must_use]
    pub fn new() -> Self {
        Self(Histogram::new_with_bounds(1, 600_000_000, 3).expect("bounds are in order"))
    }

    /// Records a duration `count` times; a negative one (a packet that came early) counts as 0.
    pub fn record_many(&mut self, nanos: i64, count: u64) {
        self.0.saturating_record_n(u64::try_from(nanos / 1000).unwrap_or(0), count);
    }

    /// Records a duration; a negative one counts as 0.
    pub fn record(&mut self, nanos: i64) {
        self.record_many(nanos, 1);
    }

    /// Records a stall, in which something was due every `every_nanos`: each of them was late
    /// (coordinated omission).
    pub fn record_stall(&mut self, nanos: i64, every_nanos: i64) {
        let mut late = nanos;
        while late > every_nanos {
            self.record(late);
            late -= every_nanos;
        }
        self.record(late);
    }

    /// Adds what another histogram recorded.
    pub fn add(&mut self, other: &Self) {
        // Bounds are equal, so nothing can fail to fit.
        let _ = self.0.add(&other.0);
    }

    /// The microseconds that `quantile` (0..=1) of the durations do not exceed.
    #[must_use]
    pub fn at(&self, quantile: f64) -> u64 {
        self.0.value_at_quantile(quantile)
    }

    /// The histogram, in microseconds.
    #[must_use]
    pub const fn histogram(&self) -> &Histogram<u64> {
        &self.0
    }

    /// The longest.
    #[must_use]
    pub fn max(&self) -> u64 {
        self.0.max()
    }

    /// How many were recorded.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.len()
    }
}

impl Default for Micros {
    fn default() -> Self {
        Self::new()
    }
}

/// Lengths of bursts, in packets or in bytes.
#[derive(Clone, Debug)]
pub struct Lengths(Histogram<u64>);

impl Lengths {
    /// Counts a burst of this length.
    pub fn record(&mut self, length: u64) {
        self.0.saturating_record(length);
    }

    /// Adds what another histogram recorded.
    pub fn add(&mut self, other: &Self) {
        // Bounds are equal, so nothing can fail to fit.
        let _ = self.0.add(&other.0);
    }

    /// The histogram.
    #[must_use]
    pub const fn histogram(&self) -> &Histogram<u64> {
        &self.0
    }
}

impl Default for Lengths {
    fn default() -> Self {
        Self(Histogram::new_with_bounds(1, 1 << 30, 3).expect("bounds are in order"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_a_stall_made_late_counts() {
        let mut late = Micros::new();
        late.record_stall(500_000, 1_000_000);
        late.record_stall(100_000_000, 1_000_000);
        assert_eq!(late.count(), 101);
        assert!(late.at(0.5).abs_diff(50_000) < 1100);
    }

    #[test]
    fn durations_keep_their_tail() {
        let mut lateness = Micros::new();
        for millis in -10..100 {
            lateness.record(millis * 1_000_000);
        }
        assert_eq!(lateness.count(), 110);
        assert!(lateness.max().abs_diff(99_000) < 100);
        assert!(lateness.at(0.5).abs_diff(44_000) < 1100);
    }
}
