//! `reelring-load`: many viewers at once against an RTSP server.
//!
//! Ends with 0 if everything was good enough, 1 if not, 2 if the command line makes no sense.

mod arguments;
mod help;
mod progress;

use arguments::{Arguments, Outputs};
use clap::Parser as _;
use progress::ProgressLine;
use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::path::Path;
use std::process::ExitCode;
use tools::load::{HistogramLog, Options, Report, Summary, plot, run};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let (options, limits, outputs) = Arguments::parse().resolve();
    // What a closed standard output or error does not take, nobody reads.
    let mut errors = io::stderr();
    let report = match play(&options, &outputs) {
        Ok(report) => report,
        Err(error) => {
            let _ = writeln!(errors, "reelring-load: {error}");
            return ExitCode::from(2);
        }
    };
    let complaints = report.summary.complaints(&limits);
    for complaint in &complaints {
        let _ = writeln!(errors, "reelring-load: {complaint}");
    }
    ExitCode::from(u8::from(!complaints.is_empty()))
}

/// Runs, and writes what is asked for. Files are made before the run, so that a wrong path does not
/// cost one.
fn play(options: &Options, outputs: &Outputs) -> io::Result<Report> {
    let mut json = outputs.json.clone().flatten().map(|path| create(&path)).transpose()?;
    let mut plot_file = outputs.plot.as_deref().map(create).transpose()?;
    let mut log = outputs.histograms.as_deref().map(create).transpose()?.map(HistogramLog::new);
    let mut progress = ProgressLine::new(options.sessions);
    let outcome = run(options, |snapshot, late| {
        progress.show(snapshot);
        if let Some(log) = &mut log {
            log.late_until(snapshot.seconds, late);
        }
    });
    progress.clear();
    let report = outcome?;
    if let Some(log) = log {
        log.end(&report)?;
    }
    if let Some(file) = &mut plot_file {
        file.write_all(plot(&report)?.as_bytes())?;
        file.flush()?;
    }
    if let Some(file) = &mut json {
        write_json(file, &report.summary)?;
    }
    let mut output = io::stdout();
    let _ = match outputs.json {
        Some(None) => write_json(&mut output, &report.summary),
        Some(Some(_)) | None => write!(output, "{}", report.summary),
    };
    Ok(report)
}

fn create(path: &Path) -> io::Result<BufWriter<File>> {
    let file = File::create(path);
    let named =
        |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
    Ok(BufWriter::new(file.map_err(named)?))
}

fn write_json(output: &mut impl io::Write, summary: &Summary) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *output, summary)?;
    writeln!(output)?;
    output.flush()
}
