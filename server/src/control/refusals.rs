//! Which refusals the operator reads of: neither a scanner nor a player that tries again and again
//! may flood the log.

use super::catalog::OpenError;
use crate::clock::MonoTime;
use std::collections::BTreeMap;
use std::time::Duration;

/// At most one line an interval.
#[derive(Debug, Default)]
pub(super) struct LogLimit {
    logged: Option<MonoTime>,
    skipped: u64,
}

impl LogLimit {
    /// Whether a line may be written now, and how many were not since the last one.
    pub(super) fn permit(&mut self, now: MonoTime) -> Option<u64> {
        if self.logged.is_some_and(|logged| now - logged < LOG_INTERVAL) {
            self.skipped += 1;
            return None;
        }
        self.logged = Some(now);
        Some(std::mem::take(&mut self.skipped))
    }
}

/// Titles that were refused.
#[derive(Debug, Default)]
pub(super) struct RefusedTitles {
    limit: LogLimit,
    missing: LogLimit,
    /// What was logged of titles that are there.
    logged: BTreeMap<String, OpenError>,
}

impl RefusedTitles {
    /// Whether to log that a title is refused, and how many refusals were not logged since the last
    /// line. What is wrong with a title is said once, until that changes.
    pub(super) fn refuse(&mut self, now: MonoTime, name: &str, error: &OpenError) -> Option<u64> {
        if self.logged.get(name) == Some(error) {
            return None;
        }
        if *error == OpenError::NotFound {
            return self.missing.permit(now);
        }
        let skipped = self.limit.permit(now)?;
        if self.logged.len() >= LOGGED_TITLES_MAX {
            self.logged.clear();
        }
        self.logged.insert(name.to_owned(), error.clone());
        Some(skipped)
    }

    /// The title can be played.
    pub(super) fn accept(&mut self, name: &str) {
        self.logged.remove(name);
    }
}

/// As much as one log line repeats of what a client sent.
pub(super) fn excerpt(text: &str) -> &str {
    &text[..text.floor_char_boundary(EXCERPT_BYTES_MAX)]
}

const LOG_INTERVAL: Duration = Duration::from_secs(1);
const LOGGED_TITLES_MAX: usize = 1024;
const EXCERPT_BYTES_MAX: usize = 120;

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> MonoTime {
        MonoTime(millis * 1_000_000)
    }

    #[test]
    fn a_scanner_is_logged_once_a_second() {
        let mut titles = RefusedTitles::default();
        let logged =
            |millis: u64| titles.refuse(at(millis), &format!("{millis}.mp4"), &OpenError::NotFound);
        let lines: Vec<u64> = (0..3000).step_by(10).filter_map(logged).collect();
        assert_eq!(lines, [0, 99, 99]);
    }

    #[test]
    fn what_is_wrong_with_a_title_is_said_once_until_it_changes() {
        let mut titles = RefusedTitles::default();
        let text = OpenError::NotPlayable("it is a text".to_owned());
        let gone = OpenError::Unreadable("no such device".to_owned());
        assert_eq!(titles.refuse(at(0), "a", &text), Some(0));
        assert_eq!(titles.refuse(at(500), "b", &text), None, "too soon");
        for (seconds, name, error, expected) in [
            (1, "a", &text, None),
            (2, "b", &text, Some(1)),
            (3, "b", &text, None),
            (4, "a", &gone, Some(0)),
            (5, "a", &text, Some(0)),
        ] {
            assert_eq!(titles.refuse(at(seconds * 1000), name, error), expected, "{seconds}");
        }
        titles.accept("a");
        assert_eq!(titles.refuse(at(6000), "a", &text), Some(0), "it was good meanwhile");
    }

    #[test]
    fn a_scanner_does_not_hide_what_is_wrong_with_a_title() {
        let mut titles = RefusedTitles::default();
        let text = OpenError::NotPlayable("it is a text".to_owned());
        assert_eq!(titles.refuse(at(0), "x", &OpenError::NotFound), Some(0));
        assert_eq!(titles.refuse(at(1), "a", &text), Some(0));
    }

    #[test]
    fn an_excerpt_ends_between_characters() {
        assert_eq!(excerpt("VLC"), "VLC");
        let long = "é".repeat(100);
        assert_eq!(excerpt(&long), "é".repeat(EXCERPT_BYTES_MAX / 2));
        let odd = format!("x{long}");
        assert_eq!(excerpt(&odd).len(), EXCERPT_BYTES_MAX - 1);
    }
}
