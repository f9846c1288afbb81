//! `reelring-setups`: complete session set-ups at a rate against an RTSP server.
//!
//! Ends with 0 if all sessions came to play in the time that the rate gives them, 1 if not, 2 if
//! the command line makes no sense.

use clap::Parser;
use std::io::{self, Write as _};
use std::process::ExitCode;
use std::time::Duration;
use tools::setups::{Options, Report, run};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Sets up sessions at a rate: OPTIONS, DESCRIBE, a SETUP for each stream, PLAY, each in a
/// connection of its own; after a moment, TEARDOWN. Their media goes to a socket that throws it
/// away.
///
/// Against a server on loopback each comes from an address of its own (127.4.0.0/16).
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// What is played, in turn.
    #[arg(required = true, value_name = "URL")]
    urls: Vec<String>,
    /// Sessions that begin in a second.
    #[arg(long, default_value_t = 500, value_name = "N")]
    rate: u32,
    /// Seconds in which they begin.
    #[arg(long, default_value_t = 10, value_name = "SECONDS")]
    duration: u64,
    /// Milliseconds that each stays after the reply to its PLAY.
    #[arg(long, default_value_t = 200, value_name = "MS")]
    stay: u64,
    /// Sessions at once; others wait, which counts in their times.
    #[arg(long, default_value_t = 2000, value_name = "N")]
    max_sessions: usize,
    /// The server's process, if it is on this machine: the CPU time of its first thread is
    /// reported, which is reelring's control thread.
    #[arg(long, value_name = "PID")]
    server_pid: Option<u32>,
    /// Sessions that may fail.
    #[arg(long, default_value_t = 0, value_name = "N")]
    max_failed: u64,
    /// Print the result as JSON.
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let options = Options {
        urls: arguments.urls,
        rate: arguments.rate,
        duration: Duration::from_secs(arguments.duration),
        stay: Duration::from_millis(arguments.stay),
        sessions_max: arguments.max_sessions,
        reply_timeout: Duration::from_secs(10),
        server_pid: arguments.server_pid,
    };
    let shown = run(&options).and_then(|report| {
        show(&report, arguments.json)?;
        Ok(report)
    });
    match shown {
        Ok(report) => {
            let wanted = u64::from(options.rate) * options.duration.as_secs();
            let is_good = report.failed() <= arguments.max_failed
                && report.played + arguments.max_failed >= wanted * 99 / 100;
            ExitCode::from(u8::from(!is_good))
        }
        Err(error) => {
            let _ = writeln!(io::stderr(), "reelring-setups: {error}");
            ExitCode::from(2)
        }
    }
}

fn show(report: &Report, as_json: bool) -> io::Result<()> {
    if as_json {
        writeln!(io::stdout(), "{}", report.to_json()?)
    } else {
        write!(io::stdout(), "{report}")
    }
}
