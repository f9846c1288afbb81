//! What a check is, and what can become of it.

use super::lab::Lab;
use std::{fmt, io};

/// What became of a check that did not pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The server broke the rule: what it did.
    Fail(String),
    /// The server does not have what is checked, as it may: what it answered.
    NotSupported(String),
    /// The check could not be made here: why.
    Skip(String),
}

/// What a check comes to.
pub type Verdict = Result<(), Stop>;

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fail(what) | Self::NotSupported(what) | Self::Skip(what) => f.write_str(what),
        }
    }
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Fail(format!("the connection failed: {error}"))
    }
}

/// The check fails: the server did this.
pub(super) fn fail<T>(what: impl Into<String>) -> Result<T, Stop> {
    Err(Stop::Fail(what.into()))
}

/// The server may do without what is checked.
pub(super) fn not_supported<T>(what: impl Into<String>) -> Result<T, Stop> {
    Err(Stop::NotSupported(what.into()))
}

/// The check cannot be made.
pub(super) fn skip<T>(why: impl Into<String>) -> Result<T, Stop> {
    Err(Stop::Skip(why.into()))
}

/// The check fails with `what` unless the rule `holds`.
pub(super) fn ensure(holds: bool, what: impl FnOnce() -> String) -> Verdict {
    if holds { Ok(()) } else { fail(what()) }
}

/// How a check is made.
type Run = Box<dyn Fn(&Lab<'_>) -> Verdict + Send + Sync>;

/// When a check is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// With others.
    First,
    /// After those, which it would disturb.
    Later,
    /// When nothing else is to be checked.
    Last,
}

/// A rule and how to see whether a server keeps it.
pub struct Check {
    /// Its group and name, `group.name` or `group.transport.name`.
    pub name: String,
    /// The section of the RFC, or the client, that makes the rule.
    pub cites: String,
    /// About how long it takes; the longest begin first.
    pub(super) seconds: u32,
    pub(super) turn: Turn,
    run: Run,
}

impl Check {
    /// A check that takes less than a second.
    pub(super) fn new(
        name: impl Into<String>,
        cites: impl Into<String>,
        run: impl Fn(&Lab<'_>) -> Verdict + Send + Sync + 'static,
    ) -> Self {
        let (name, cites) = (name.into(), cites.into());
        Self { name, cites, seconds: 0, turn: Turn::First, run: Box::new(run) }
    }

    /// It takes about so long.
    pub(super) fn takes(self, seconds: u32) -> Self {
        Self { seconds, ..self }
    }

    /// It would disturb the others, and runs after them.
    pub(super) fn later(self) -> Self {
        Self { turn: Turn::Later, ..self }
    }

    /// It ends the server.
    pub(super) fn last(self) -> Self {
        Self { turn: Turn::Last, ..self }
    }

    /// The part of the name before the first dot.
    #[must_use]
    pub fn group(&self) -> &str {
        self.name.split('.').next().unwrap_or_default()
    }

    pub(super) fn run(&self, lab: &Lab<'_>) -> Verdict {
        (self.run)(lab)
    }
}

impl fmt::Debug for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Check").field("name", &self.name).field("cites", &self.cites).finish()
    }
}
