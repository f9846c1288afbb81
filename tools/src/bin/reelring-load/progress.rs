//! How a run is going: one line that changes on a terminal, else a line every ten seconds.

use std::io::{IsTerminal as _, Write as _};
use tools::load::Snapshot;

/// Between two lines in a log.
const LOG_SECONDS: u64 = 10;

/// Writes to standard error.
#[derive(Debug)]
pub(crate) struct ProgressLine {
    is_terminal: bool,
    sessions: usize,
    last: Snapshot,
    next_logged: u64,
}

impl ProgressLine {
    /// Nothing is shown yet.
    pub(crate) fn new(sessions: usize) -> Self {
        let is_terminal = std::io::stderr().is_terminal();
        Self { is_terminal, sessions, last: Snapshot::default(), next_logged: LOG_SECONDS }
    }

    /// Shows how things stand.
    pub(crate) fn show(&mut self, snapshot: Snapshot) {
        let line = line(self.sessions, self.last, snapshot);
        let mut errors = std::io::stderr();
        if self.is_terminal {
            let _ = write!(errors, "\r{line}\x1b[K");
        } else if snapshot.seconds >= self.next_logged {
            self.next_logged = snapshot.seconds + LOG_SECONDS;
            let _ = writeln!(errors, "{line}");
        }
        self.last = snapshot;
    }

    /// Leaves an empty line.
    pub(crate) fn clear(&self) {
        if self.is_terminal {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }
}

fn line(sessions: usize, last: Snapshot, now: Snapshot) -> String {
    let Snapshot { seconds, playing, refused, failed, packets, lost, late_max_micros } = now;
    let packets_per_second =
        packets.saturating_sub(last.packets) / seconds.saturating_sub(last.seconds).max(1);
    format!(
        "{seconds:>5} s  {playing}/{sessions} playing  {packets_per_second} packets/s  {lost} lost  \
         latest {} ms  {refused} refused  {failed} failed",
        late_max_micros / 1000
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_are_counted_by_the_second() {
        let last = Snapshot { seconds: 4, packets: 1000, ..Snapshot::default() };
        let now = Snapshot { seconds: 6, packets: 3000, playing: 2, lost: 1, ..last };
        let text = line(3, last, now);
        assert!(text.contains("2/3 playing  1000 packets/s  1 lost"), "{text}");
    }
}
