//! The command line: what was typed, parsed into what the generator needs.

use clap::Parser;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::time::Duration;
use tools::load::{Churn, Limits, LossLimit, Mix, Options, SourceNet, Start};

/// Plays titles of an RTSP server to many viewers at once and judges every packet.
///
/// Each viewer is a session of its own with its own sockets: OPTIONS, DESCRIBE, SETUP of every
/// stream, PLAY, receiver reports, keep-alives, TEARDOWN; a title that ends is played again.
#[derive(Debug, Parser)]
#[command(version, args_override_self = true, after_long_help = super::help::AFTER)]
pub(crate) struct Arguments {
    /// What to play, rtsp://HOST:PORT/PATH (port 554 if left out); several are played in turn.
    #[arg(required = true, value_name = "URL")]
    urls: Vec<String>,

    /// Viewers at a time.
    #[arg(long, short = 'n', default_value_t = 1, value_name = "N", help_heading = VIEWERS)]
    sessions: usize,
    /// Viewers that start in a second.
    #[arg(long, default_value = "100/s", value_parser = parse_ramp, help_heading = VIEWERS)]
    ramp: u32,
    /// How long all play together, after the last has started. Then they leave in the time in which
    /// they came, but within a second.
    #[arg(long, default_value = "30s", value_parser = parse_duration, help_heading = VIEWERS)]
    duration: Duration,
    /// How streams travel: udp, tcp, mix (half of each) or mix:2:1 (two over UDP for each over
    /// TCP).
    #[arg(long, default_value = "udp", value_parser = parse_mix, help_heading = VIEWERS)]
    transport: Mix,
    /// Where viewers start: begin, random (not in the last tenth), near-end (5 s before it), or
    /// seconds of normal play time.
    #[arg(long, default_value = "begin", value_parser = parse_start, help_heading = VIEWERS)]
    start: Start,
    /// What viewers do besides playing once all have started, for example
    /// stop=5/s,seek=10/s,pause=5/s,vanish=2/s.
    ///
    /// Rates are for all viewers together. stop: TEARDOWN, and a new viewer takes the place. seek:
    /// PLAY elsewhere. pause: PAUSE, and PLAY after 1 to 5 s. vanish: closes its sockets without
    /// TEARDOWN, and a new viewer takes the place. Nobody takes the place of a viewer who failed or
    /// was refused.
    #[arg(long, value_name = "RATES", help_heading = VIEWERS)]
    churn: Option<Churn>,
    /// How many of the TCP viewers stop reading once they play.
    #[arg(long, default_value_t = 0, value_name = "N", help_heading = VIEWERS)]
    stalled: usize,
    /// The part of the UDP viewers, 0 to 1, whose media is thrown away unread and not judged; see
    /// "More viewers than this machine can judge" below.
    #[arg(long, default_value = "0", value_name = "FRACTION", value_parser = parse_fraction,
        help_heading = VIEWERS)]
    sink: f64,
    /// What all random choices follow from; picked at random and reported unless given.
    #[arg(long, help_heading = VIEWERS)]
    seed: Option<u64>,

    /// Threads that share the viewers.
    #[arg(long, default_value_t = 1, value_name = "N", help_heading = MACHINE)]
    threads: usize,
    /// The network whose addresses viewers come from, one each, for example 10.9.0.0/16; for a
    /// server on loopback it is 127.1.0.0/16 unless given.
    #[arg(long, value_name = "NETWORK", value_parser = parse_source, help_heading = MACHINE)]
    source: Option<SourceNet>,
    /// The same for the viewers of --sink; for a server on loopback it is 127.2.0.0/16 unless
    /// given.
    #[arg(long, value_name = "NETWORK", value_parser = parse_source, help_heading = MACHINE)]
    sink_source: Option<SourceNet>,
    /// How long connecting and each reply may take.
    #[arg(long, default_value = "10s", value_parser = parse_duration, value_name = "DURATION",
        help_heading = MACHINE)]
    connect_timeout: Duration,
    /// The server's process, if it is on this machine: its CPU time, memory and descriptors are
    /// reported.
    #[arg(long, value_name = "PID", help_heading = MACHINE)]
    server_pid: Option<u32>,

    /// Packets that may be lost: a number or a percentage like 0.1%.
    #[arg(long, default_value = "0", value_name = "N|PERCENT", help_heading = VERDICT)]
    max_loss: LossLimit,
    /// How late the latest packet may be.
    #[arg(long, default_value = "100ms", value_parser = parse_duration, value_name = "DURATION",
        help_heading = VERDICT)]
    max_late: Duration,
    /// Viewers that may fail: lose their connection, get no reply, or get one they cannot use.
    #[arg(long, default_value_t = 0, value_name = "N", help_heading = VERDICT)]
    max_failed: u64,
    /// Viewers that may be refused for want of room, by 453 or 503 before they play; overload tests
    /// expect some. Any other status is a failure.
    #[arg(long, default_value_t = 0, value_name = "N", help_heading = VERDICT)]
    max_refused: u64,
    /// Packets that may come though they should not: repeated, from before a seek or a pause,
    /// before the reply to PLAY, of another source, malformed. On a real network a few packets may
    /// overtake a reply, which travels apart from them, or be overtaken by it.
    #[arg(long, default_value_t = 0, value_name = "N", help_heading = VERDICT)]
    max_wrong: u64,

    /// Print the result as JSON, or write it to FILE and print the table.
    #[arg(long, num_args = 0..=1, require_equals = true, value_name = "FILE",
        help_heading = OUTPUT)]
    json: Option<Option<PathBuf>>,
    /// Write all distributions to FILE in the HdrHistogram log format (V2): how late packets were
    /// second by second, the others for the whole run, by tag; microseconds.
    #[arg(long, value_name = "FILE", help_heading = OUTPUT)]
    histograms: Option<PathBuf>,
    /// Draw the run to FILE as SVG: lateness by percentile; and over time viewers, packets, loss,
    /// lateness, and the server's CPU time and memory.
    #[arg(long, value_name = "FILE", help_heading = OUTPUT)]
    plot: Option<PathBuf>,
}

const VIEWERS: &str = "Viewers";
const MACHINE: &str = "This machine";
const VERDICT: &str = "Good enough";
const OUTPUT: &str = "Output";

/// Where results go besides the terminal.
#[derive(Clone, Debug)]
pub(crate) struct Outputs {
    /// `Some(None)` is standard output.
    pub(crate) json: Option<Option<PathBuf>>,
    pub(crate) histograms: Option<PathBuf>,
    pub(crate) plot: Option<PathBuf>,
}

impl Arguments {
    /// What the generator needs.
    pub(crate) fn resolve(self) -> (Options, Limits, Outputs) {
        let options = Options {
            urls: self.urls,
            sessions: self.sessions,
            ramp_per_second: self.ramp,
            mix: self.transport,
            duration: self.duration,
            start: self.start,
            churn: self.churn.unwrap_or_default(),
            reply_timeout: self.connect_timeout,
            stalled: self.stalled,
            sink: self.sink,
            threads: self.threads,
            source: self.source,
            sink_source: self.sink_source,
            seed: self.seed.unwrap_or_else(|| fastrand::u64(..1_000_000)),
            server_pid: self.server_pid,
        };
        let limits = Limits {
            loss: self.max_loss,
            late_max: self.max_late,
            failed_max: self.max_failed,
            refused_max: self.max_refused,
            wrong_max: self.max_wrong,
        };
        let outputs = Outputs { json: self.json, histograms: self.histograms, plot: self.plot };
        (options, limits, outputs)
    }
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

fn parse_mix(text: &str) -> Result<Mix, String> {
    let wrong = || "udp, tcp, mix, or mix:2:1 for two over UDP to one over TCP".to_owned();
    match text {
        "udp" => return Ok(Mix::UDP),
        "tcp" => return Ok(Mix::TCP),
        "mix" => return Ok(Mix::EVEN),
        _ => {}
    }
    let (udp, tcp) =
        text.strip_prefix("mix:").and_then(|rest| rest.split_once(':')).ok_or_else(wrong)?;
    let part = |text: &str| text.parse().ok().filter(|part| *part <= 1000).ok_or_else(wrong);
    let mix = Mix { udp: part(udp)?, tcp: part(tcp)? };
    if mix.udp + mix.tcp > 0 { Ok(mix) } else { Err(wrong()) }
}

fn parse_start(text: &str) -> Result<Start, String> {
    match text {
        "begin" => return Ok(Start::Begin),
        "random" => return Ok(Start::Random),
        "near-end" => return Ok(Start::NearEnd),
        _ => {}
    }
    let seconds = text.strip_suffix('s').unwrap_or(text).parse::<f64>().ok();
    let position = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    position.map(Start::At).ok_or_else(|| "begin, random, near-end, or seconds like 12.5".into())
}

fn parse_fraction(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(fraction) if (0.0..=1.0).contains(&fraction) => Ok(fraction),
        _ => Err("a fraction between 0 and 1".into()),
    }
}

fn parse_source(text: &str) -> Result<SourceNet, String> {
    let wrong = || "an IPv4 network like 127.1.0.0/16".to_owned();
    let (network, bits) = text.split_once('/').ok_or_else(wrong)?;
    let network: Ipv4Addr = network.parse().map_err(|_| wrong())?;
    let prefix_bits: u8 = bits.parse().map_err(|_| wrong())?;
    if !(1..=30).contains(&prefix_bits) {
        return Err("a prefix of 1 to 30 bits".into());
    }
    let masked = Ipv4Addr::from_bits(network.to_bits() & (u32::MAX << (32 - prefix_bits)));
    if network != masked {
        return Err(format!("a network's own address: {masked}/{prefix_bits}"));
    }
    Ok(SourceNet { network, prefix_bits })
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

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
        assert!(parse_source("10.9.0.0/16").is_ok() && parse_source("10.9.0.1/16").is_err());
        assert!(parse_fraction("0.8").is_ok() && parse_fraction("1.1").is_err());
    }

    #[test]
    fn transports_and_starts_are_spelled_so() {
        assert_eq!(parse_mix("mix"), Ok(Mix { udp: 1, tcp: 1 }));
        assert_eq!(parse_mix("mix:2:1"), Ok(Mix { udp: 2, tcp: 1 }));
        for wrong in ["", "mix:", "mix:1", "mix:0:0", "udp:1:2", "mix:1:1001"] {
            assert!(parse_mix(wrong).is_err(), "{wrong}");
        }
        assert_eq!(parse_start("near-end"), Ok(Start::NearEnd));
        assert_eq!(parse_start("12.5"), Ok(Start::At(Duration::from_millis(12_500))));
        assert!(parse_start("-1").is_err() && parse_start("end").is_err());
    }

    #[test]
    fn the_command_line_is_sound() {
        Arguments::command().debug_assert();
        let typed = "reelring-load --sessions 3 --json --churn stop=1/s --max-loss 0.1% rtsp://h/a";
        let arguments = Arguments::try_parse_from(typed.split(' ')).unwrap();
        let (options, limits, outputs) = arguments.resolve();
        assert_eq!((options.urls.len(), options.sessions), (1, 3));
        assert_eq!(limits.loss, LossLimit::Percent(0.1));
        assert_eq!(outputs.json, Some(None));
    }
}
