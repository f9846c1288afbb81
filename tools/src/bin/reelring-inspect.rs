//! `reelring-inspect`: what reelring makes of a media file.
//!
//! Ends with 0, or with 1 if the file cannot be played, or 2 if the command line makes no sense.

use clap::Parser;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use tools::inspect::inspect;

/// Shows a media file's tracks, its index, its presentation description and its first packets.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// The file.
    file: PathBuf,
    /// Access units to show of each track.
    #[arg(long, default_value_t = 5)]
    units: u32,
    /// Print the result as JSON.
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let report = match inspect(&arguments.file, arguments.units) {
        Ok(report) => report,
        Err(error) => {
            let file = arguments.file.display();
            let _ = writeln!(std::io::stderr(), "reelring-inspect: {file}: {error}");
            return ExitCode::FAILURE;
        }
    };
    // What a closed standard output does not take, nobody reads.
    let mut output = std::io::stdout();
    if arguments.json {
        let _ = serde_json::to_writer_pretty(&mut output, &report);
        let _ = writeln!(output);
    } else {
        let _ = write!(output, "{report}");
    }
    ExitCode::SUCCESS
}
