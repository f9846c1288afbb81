//! `reelring-load`: many viewers at once against an RTSP server.
//!
//! Ends with 0 if everything was good enough, 1 if not, 2 if the command line makes no sense.

use clap::{Parser, ValueEnum};
use std::io::{IsTerminal as _, Write as _};
use std::net::Ipv4Addr;
use std::process::ExitCode;
use std::time::Duration;
use tools::load::{Limits, LossLimit, Mix, Options, Snapshot, SourceNet, Start, run};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Plays titles to many viewers at once and judges every packet.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// What to play; several are played in turn.
    #[arg(required = true)]
    urls: Vec<String>,
    /// Viewers.
    #[arg(long, default_value_t = 1)]
    sessions: usize,
    /// Viewers that start in a second.
    #[arg(long, default_value = "100/s", value_parser = parse_ramp)]
    ramp: u32,
    /// How streams travel.
    #[arg(long, value_enum, default_value_t = Transport::Udp)]
    transport: Transport,
    /// How long all play together, after the last has started.
    #[arg(long, default_value = "30s", value_parser = parse_duration)]
    duration: Duration,
    /// Where viewers start.
    #[arg(long, value_enum, default_value_t = From::Begin)]
    start: From,
    /// How long connecting and each reply may take.
    #[arg(long, default_value = "10s", value_parser = parse_duration)]
    connect_timeout: Duration,
    /// Packets that may be lost.
    #[arg(long, default_value_t = 0)]
    max_loss: u64,
    /// How late the latest packet may be.
    #[arg(long, default_value = "100ms", value_parser = parse_duration)]
    max_late: Duration,
    /// How many of the TCP viewers stop reading once they play.
    #[arg(long, default_value_t = 0)]
    stalled: usize,
    /// Threads that share the viewers.
    #[arg(long, default_value_t = 1)]
    threads: usize,
    /// The network whose addresses viewers come from, one each (10.9.0.0/16); for a server on
    /// loopback it is 127.1.0.0/16 unless given.
    #[arg(long, value_parser = parse_source)]
    source: Option<SourceNet>,
    /// Print the result as JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Transport {
    Udp,
    Tcp,
    Mix,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum From {
    Begin,
    Random,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let limits = Limits {
        loss: LossLimit::Packets(arguments.max_loss),
        late_max: arguments.max_late,
        ..Limits::default()
    };
    let json = arguments.json;
    let mut terminal = std::io::stderr();
    let is_terminal = terminal.is_terminal();
    // What a closed standard output or error does not take, nobody reads.
    let outcome = run(&options(arguments), |snapshot, _| {
        if is_terminal {
            let _ = write!(terminal, "\r{}", progress_line(snapshot));
        }
    });
    if is_terminal {
        let _ = write!(terminal, "\r\x1b[K");
    }
    let summary = match outcome {
        Ok(report) => report.summary,
        Err(error) => {
            let _ = writeln!(terminal, "reelring-load: {error}");
            return ExitCode::from(2);
        }
    };
    let mut output = std::io::stdout();
    if json {
        let _ = serde_json::to_writer_pretty(&mut output, &summary);
        let _ = writeln!(output);
    } else {
        let _ = write!(output, "{summary}");
    }
    let complaints = summary.complaints(&limits);
    for complaint in &complaints {
        let _ = writeln!(terminal, "reelring-load: {complaint}");
    }
    ExitCode::from(u8::from(!complaints.is_empty()))
}

fn options(arguments: Arguments) -> Options {
    Options {
        urls: arguments.urls,
        sessions: arguments.sessions,
        ramp_per_second: arguments.ramp,
        mix: match arguments.transport {
            Transport::Udp => Mix::UDP,
            Transport::Tcp => Mix::TCP,
            Transport::Mix => Mix::EVEN,
        },
        duration: arguments.duration,
        start: match arguments.start {
            From::Begin => Start::Begin,
            From::Random => Start::Random,
        },
        reply_timeout: arguments.connect_timeout,
        stalled: arguments.stalled,
        threads: arguments.threads,
        source: arguments.source,
        ..Options::default()
    }
}

fn progress_line(snapshot: Snapshot) -> String {
    let Snapshot { seconds, playing, failed, packets, .. } = snapshot;
    format!("{seconds:>4} s  {playing} playing  {failed} failed  {packets} packets")
}

fn parse_ramp(text: &str) -> Result<u32, String> {
    let number = text.strip_suffix("/s").unwrap_or(text);
    match number.parse() {
        Ok(rate) if rate > 0 => Ok(rate),
        _ => Err("a rate like 100/s".into()),
    }
}

fn parse_duration(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let number: u64 = digits.parse().map_err(|_| "a duration like 30s or 100ms")?;
    match &text[digits.len()..] {
        "ms" => Ok(Duration::from_millis(number)),
        "s" => Ok(Duration::from_secs(number)),
        "m" | "min" => Ok(Duration::from_secs(number.saturating_mul(60))),
        _ => Err("a duration needs a unit: ms, s or min".into()),
    }
}

fn parse_source(text: &str) -> Result<SourceNet, String> {
    let wrong = || "an IPv4 network like 127.1.0.0/16".to_owned();
    let (network, bits) = text.split_once('/').ok_or_else(wrong)?;
    let network: Ipv4Addr = network.parse().map_err(|_| wrong())?;
    let prefix_bits = bits.parse().map_err(|_| wrong())?;
    if (1..=30).contains(&prefix_bits) {
        Ok(SourceNet { network, prefix_bits })
    } else {
        Err("a prefix of 1 to 30 bits".into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_carry_units() {
        assert_eq!(parse_duration("30s"), Ok(Duration::from_secs(30)));
        assert_eq!(parse_duration("100ms"), Ok(Duration::from_millis(100)));
        assert_eq!(parse_duration("2min"), Ok(Duration::from_secs(120)));
        for wrong in ["30", "s", "", "-1s", "1h"] {
            assert!(parse_duration(wrong).is_err(), "{wrong}");
        }
        assert_eq!(parse_ramp("50/s"), Ok(50));
        assert!(parse_ramp("0/s").is_err());
        assert!(parse_source("10.0.0.0/31").is_err() && parse_source("10.0.0.0").is_err());
    }
}
