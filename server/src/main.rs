//! `reelring`, the RTSP streaming appliance.

use clap::{Args, Parser, Subcommand};
use server::config::{Config, Host, LogConfig, MediaRoot, RawConfig};
use server::runtime::{logs, sample, serve, tune};
use std::error::Error;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: server::uring::Allocator = server::uring::Allocator;

/// Video on demand over RTSP: films and sound from the files they lie in, to thousands of viewers,
/// each with a timeline of its own.
///
/// Serves MP4, QuickTime, Matroska, WebM, MPEG transport and programme streams, FLV, IVF, Ogg,
/// WAVE, AIFF, AU, and bare streams of H.264, H.265, MPEG video, MP3, AAC, AC-3 and AMR, known by
/// how they begin, whatever their names.
///
/// Without a command it serves a built-in sample and says how to play it.
#[derive(Parser)]
#[command(name = "reelring", version, after_long_help = EXAMPLES)]
struct Line {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Serve directories of media files.
    #[command(after_long_help = EXAMPLES)]
    Serve(ServeArguments),
    /// Serve the built-in sample (and --media, if given) and print how to play it.
    Sample(ServeArguments),
    /// Print what this machine offers, and how to serve on it.
    ///
    /// Changes nothing. Run it as the user and in the container that the server will run in.
    Tune(TuneArguments),
}

#[derive(Args)]
struct TuneArguments {
    /// Look at what the files below DIR lie on; repeat for more directories.
    #[arg(long, value_name = "[NAME=]DIR")]
    media: Vec<MediaRoot>,

    /// Print JSON: all facts, and the advice.
    #[arg(long)]
    json: bool,
}

#[derive(Args, Default)]
struct ServeArguments {
    /// Take what is not typed here from this TOML file.
    ///
    /// Its keys are the flags without the dashes: memory = "2GiB", media = ["/srv/films"]. Unknown
    /// keys are refused.
    #[arg(long, value_name = "FILE", help_heading = "Configuration")]
    config: Option<PathBuf>,

    /// Check file and flags, and end: 0 if all is well.
    #[arg(long, help_heading = "Configuration")]
    check_config: bool,

    /// Print the effective values as a TOML file, and end.
    #[arg(long, help_heading = "Configuration")]
    print_config: bool,

    #[command(flatten)]
    raw: RawConfig,
}

const EXAMPLES: &str = "\
Examples:
  reelring                                   the built-in sample, on port 8554
  reelring serve --media /srv/films          every media file below /srv/films
  reelring serve --media films=/srv/films --media news=/srv/news
  reelring serve --media /srv/films --shard-cpus 2-7 --control-cpu 1 \\
      --memory 8GiB --egress-limit 10Gbit/s
  reelring serve --config reelring.toml --print-config

The file /srv/films/some/film.mp4 is then rtsp://HOST:8554/some/film.mp4:
  ffplay rtsp://HOST:8554/some/film.mp4
  vlc --rtsp-tcp rtsp://HOST:8554/some/film.mp4
  gst-launch-1.0 playbin uri=rtsp://HOST:8554/some/film.mp4

Signals: after SIGTERM no session is let in, and the server ends with the last one or at the drain
deadline; SIGINT ends all sessions with BYE and then the server; a second signal ends it there and
then. SIGUSR1 logs every shard's counters.";

fn main() -> ExitCode {
    let result = match Line::parse().command {
        None => run(ServeArguments::default(), true),
        Some(Command::Sample(arguments)) => run(arguments, true),
        Some(Command::Serve(arguments)) => run(arguments, false),
        Some(Command::Tune(arguments)) => print_tune(&arguments),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "reelring: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: ServeArguments, has_sample: bool) -> Result<(), Box<dyn Error>> {
    let mut raw = match &arguments.config {
        Some(file) => arguments.raw.over(RawConfig::from_file(file)?),
        None => arguments.raw,
    };
    if has_sample {
        raw.media.get_or_insert_default().push(sample::write_sample()?);
    }
    let config = raw.check(&Host::look())?;
    let log_config = raw.check_logs()?;
    if arguments.print_config {
        return print(&RawConfig::effective(&config, &log_config).to_toml()?);
    }
    if arguments.check_config {
        return print("the configuration is good\n");
    }
    start(config, &log_config, has_sample)
}

fn start(config: Config, log_config: &LogConfig, has_sample: bool) -> Result<(), Box<dyn Error>> {
    logs::start(log_config);
    serve(config, |addresses| {
        if has_sample {
            // Nobody need read it.
            let _ = print(&sample::greeting(addresses));
        }
    })?;
    Ok(())
}

fn print_tune(arguments: &TuneArguments) -> Result<(), Box<dyn Error>> {
    let directories: Vec<PathBuf> =
        arguments.media.iter().map(|root| root.directory.clone()).collect();
    print(&tune(&directories, arguments.json)?)
}

fn print(text: &str) -> Result<(), Box<dyn Error>> {
    io::stdout().write_all(text.as_bytes())?;
    Ok(io::stdout().flush()?)
}
