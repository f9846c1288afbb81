//! How shards run and where their images lie, as it is typed.

use super::units::{UnitError, as_text};
use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// How the kernel schedules the shards' threads: `other`, `fifo` or `fifo:PRIORITY`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scheduler {
    /// Like every other program's.
    #[default]
    Other,
    /// Before every other program's, until they sleep (`SCHED_FIFO`, sched(7)).
    Fifo {
        /// From 1, the lowest, to [`FIFO_PRIORITY_MAX`].
        priority: u8,
    },
}

/// The highest priority of `SCHED_FIFO` that Linux has.
pub const FIFO_PRIORITY_MAX: u8 = 99;
/// Before all that is not real-time, behind all that is, such as interrupt threads (50).
const FIFO_PRIORITY_DEFAULT: u8 = 1;

impl FromStr for Scheduler {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let (policy, priority) = match text.split_once(':') {
            Some((policy, priority)) => (policy, Some(priority.parse::<u8>())),
            None => (text, None),
        };
        match (policy, priority) {
            ("other", None) => Ok(Self::Other),
            ("fifo", None) => Ok(Self::Fifo { priority: FIFO_PRIORITY_DEFAULT }),
            ("fifo", Some(Ok(priority @ 1..=FIFO_PRIORITY_MAX))) => Ok(Self::Fifo { priority }),
            _ => Err(UnitError::new(format!(
                "`{text}` is no scheduler: write other, fifo, or fifo:PRIORITY with a priority \
                 from 1 to {FIFO_PRIORITY_MAX}"
            ))),
        }
    }
}

impl fmt::Display for Scheduler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Other => f.write_str("other"),
            Self::Fifo { priority } => write!(f, "fifo:{priority}"),
        }
    }
}

as_text! { Scheduler: "text such as \"other\" or \"fifo:1\"" }

/// What pages packet images lie in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum HugePages {
    /// Small ones.
    #[default]
    Off,
    /// Huge ones that the kernel puts together as they are used (`MADV_HUGEPAGE`).
    Transparent,
    /// Huge ones that the administrator has set apart (`vm.nr_hugepages`).
    Reserved,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schedulers_are_read_as_they_print() {
        for (text, scheduler, printed) in [
            ("other", Scheduler::Other, "other"),
            ("fifo", Scheduler::Fifo { priority: 1 }, "fifo:1"),
            ("fifo:1", Scheduler::Fifo { priority: 1 }, "fifo:1"),
            ("fifo:99", Scheduler::Fifo { priority: 99 }, "fifo:99"),
        ] {
            assert_eq!(text.parse(), Ok(scheduler), "{text}");
            assert_eq!(scheduler.to_string(), printed);
        }
        for text in ["", "rr", "fifo:", "fifo:0", "fifo:100", "fifo:256", "fifo:-1", "other:1"] {
            let error = text.parse::<Scheduler>().unwrap_err().to_string();
            assert!(error.contains("fifo:PRIORITY"), "{text}: {error}");
        }
    }
}
