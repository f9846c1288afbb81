//! Whether a server does what RFC 2326 and its clients say: some hundred named rules, each seen on
//! the wire.
//!
//! A check is a rule's name, what it cites and a function ([`Check`]). It has connections, ports
//! and, on loopback, an address of its own, so that checks run side by side. What a server may do
//! without is not held against it ([`Outcome::NotSupported`]).

mod check;
mod checks;
mod client;
mod lab;
mod link;
mod media;
mod message;
mod player;
mod range;
mod report;
mod runner;
mod target;
mod transcript;
mod tunnel;

pub use check::{Check, Stop, Verdict};
pub use checks::all as checks;
pub use lab::Lab;
pub use media::Kind;
pub use report::{GroupSummary, Outcome, Report, Result};
pub use runner::run;

use std::time::Duration;

/// What is run, and how.
#[derive(Clone, Debug)]
pub struct Options {
    /// The title's URL; at least 20 s long.
    pub url: String,
    /// How media may travel.
    pub kinds: Vec<Kind>,
    /// Only checks whose name holds one of these; all if there are none.
    pub only: Vec<String>,
    /// But not these.
    pub skip: Vec<String>,
    /// Checks at a time.
    pub jobs: usize,
    /// How long a reply may take.
    pub reply_timeout: Duration,
    /// The longest session time-out that is waited for.
    pub session_timeout_max: Duration,
    /// The process of the server, which is ended as the last thing to look at how it does that.
    pub drain_pid: Option<u32>,
}
