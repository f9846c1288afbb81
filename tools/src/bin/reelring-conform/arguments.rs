//! The command line.

use clap::{Parser, ValueEnum};
use std::path::PathBuf;
use std::time::Duration;
use tools::conform::{Kind, Options};

/// Checks an RTSP server against RFC 2326 and against what its clients need.
///
/// Each check is a rule with a name and what it cites, seen on the wire over connections of its
/// own. "Not supported" is what the server may do without, or only should do; "skipped" is what
/// could not be looked at here.
#[derive(Debug, Parser)]
#[command(version)]
pub(crate) struct Arguments {
    /// A title to play, rtsp://HOST:PORT/PATH, at least 20 s long.
    #[arg(required_unless_present = "list", value_name = "URL")]
    url: Option<String>,

    /// List the checks and what they cite, and do nothing.
    #[arg(long)]
    pub(crate) list: bool,
    /// Only checks whose name holds this; repeatable.
    #[arg(long, value_name = "TEXT")]
    only: Vec<String>,
    /// No checks whose name holds this; repeatable.
    #[arg(long, value_name = "TEXT")]
    skip: Vec<String>,
    /// How media may travel; repeatable; all unless given.
    #[arg(long, value_enum, value_name = "TRANSPORT")]
    transport: Vec<Transport>,
    /// Checks at a time. Where the server is not on loopback all viewers have one address, for
    /// which it may have limits.
    #[arg(long, default_value_t = 24, value_name = "N")]
    jobs: usize,
    /// How long a reply may take, in seconds.
    #[arg(long, default_value_t = 10, value_name = "SECONDS")]
    timeout: u64,
    /// The longest session time-out that is waited for, in seconds; checks of longer ones are
    /// skipped.
    #[arg(long, default_value_t = 10, value_name = "SECONDS")]
    session_timeout: u64,
    /// The server's process: as the last thing it is sent SIGTERM, to look at how it ends.
    #[arg(long, value_name = "PID")]
    drain_pid: Option<u32>,
    /// Print the result as JSON, or write it to FILE and print the report.
    #[arg(long, num_args = 0..=1, require_equals = true, value_name = "FILE")]
    pub(crate) json: Option<Option<PathBuf>>,
    /// Write tables of the result to FILE, for a document.
    #[arg(long, value_name = "FILE")]
    pub(crate) markdown: Option<PathBuf>,
    /// Tell of each check when it is done.
    #[arg(long, short)]
    pub(crate) verbose: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Transport {
    Udp,
    Tcp,
    Http,
}

impl Arguments {
    /// How media may travel.
    pub(crate) fn kinds(&self) -> Vec<Kind> {
        if self.transport.is_empty() {
            return Kind::ALL.to_vec();
        }
        let kind = |transport: &Transport| match transport {
            Transport::Udp => Kind::Udp,
            Transport::Tcp => Kind::Tcp,
            Transport::Http => Kind::Http,
        };
        self.transport.iter().map(kind).collect()
    }

    pub(crate) fn options(&self) -> Options {
        Options {
            url: self.url.clone().unwrap_or_default(),
            kinds: self.kinds(),
            only: self.only.clone(),
            skip: self.skip.clone(),
            jobs: self.jobs,
            reply_timeout: Duration::from_secs(self.timeout),
            session_timeout_max: Duration::from_secs(self.session_timeout),
            drain_pid: self.drain_pid,
        }
    }
}
