//! The interarrival jitter that receiver reports tell (RFC 3550 §6.4.1).

/// A running mean of how much the transit time changes, here taken from how late packets are, which
/// is the transit time but for a constant.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Jitter {
    transit: Option<i64>,
    /// Sixteenths of a tick.
    scaled: i64,
}

impl Jitter {
    /// A packet's transit time, in ticks.
    pub(super) fn update(&mut self, transit: i64) {
        if let Some(last) = self.transit.replace(transit) {
            self.scaled += (transit - last).abs() - ((self.scaled + 8) >> 4);
        }
    }

    /// The jitter, in ticks.
    pub(super) fn ticks(self) -> u32 {
        u32::try_from(self.scaled >> 4).unwrap_or(u32::MAX)
    }
}
