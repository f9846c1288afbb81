//! `reelring-load`: many viewers at once against an RTSP server.
//!
//! Ends with 0 if everything was good enough, 1 if not, 2 if the command line makes no sense.

mod arguments;
mod help;
mod output;
mod progress;

use arguments::{Arguments, Outputs};
use clap::Parser as _;
use output::OutputFile;
use progress::ProgressLine;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;
use std::io::{self, Write as _};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use tools::load::{HistogramLog, Options, Report, Summary, plot, run};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let (options, limits, outputs) = Arguments::parse().resolve();
    // What a closed standard error does not take, nobody reads.
    let mut errors = io::stderr();
    let (report, unwritten) = match play(&options, &outputs) {
        Ok(played) => played,
        Err(error) => {
            let _ = writeln!(errors, "reelring-load: {error}");
            return ExitCode::from(2);
        }
    };
    let mut complaints = report.summary.complaints(&limits);
    complaints.extend(unwritten.iter().map(ToString::to_string));
    for complaint in &complaints {
        let _ = writeln!(errors, "reelring-load: {complaint}");
    }
    ExitCode::from(u8::from(!complaints.is_empty()))
}

/// Runs, and writes what is asked for; returns what could not be written as well.
fn play(options: &Options, outputs: &Outputs) -> io::Result<(Report, Vec<io::Error>)> {
    let create = OutputFile::create;
    let json = outputs.json.clone().flatten().map(|path| create(&path)).transpose()?;
    let plot_file = outputs.plot.as_deref().map(create).transpose()?;
    let mut log = outputs.histograms.as_deref().map(create).transpose()?.map(HistogramLog::new);
    let mut progress = ProgressLine::new(options.sessions);
    let interrupted = end_by_signal()?;
    let outcome = run(options, &interrupted, |snapshot, late| {
        progress.show(snapshot);
        if let Some(log) = &mut log {
            log.late_until(snapshot.seconds, late);
        }
    });
    progress.clear();
    let report = outcome?;
    // First of all to where nothing can be missing.
    let mut output = io::stdout();
    let printed = match outputs.json {
        Some(None) => write_json(&mut output, &report.summary),
        Some(Some(_)) | None => write!(output, "{}", report.summary),
    };
    let printed = match printed {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(io::Error::new(error.kind(), format!("standard output: {error}")))
        }
        // If the pipe is broken, nobody wants to read.
        Ok(()) | Err(_) => Ok(()),
    };
    let logged = log.map(|log| {
        let (file, written) = log.end(&report);
        file.finish(written)
    });
    let drawn = plot_file.map(|mut file| {
        let written = plot(&report).and_then(|drawing| file.write_all(drawing.as_bytes()));
        file.finish(written)
    });
    let saved = json.map(|mut file| {
        let written = write_json(&mut file, &report.summary);
        file.finish(written)
    });
    let results = [Some(printed), logged, drawn, saved].into_iter().flatten();
    Ok((report, results.filter_map(Result::err).collect()))
}

/// The first SIGINT or SIGTERM ends the run early, the second at once.
fn end_by_signal() -> io::Result<Arc<AtomicBool>> {
    let interrupted = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        // In this order: the first signal must not find the flag set.
        flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(&interrupted))?;
        flag::register(signal, Arc::clone(&interrupted))?;
    }
    Ok(interrupted)
}

fn write_json(output: &mut impl io::Write, summary: &Summary) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *output, summary)?;
    writeln!(output)?;
    output.flush()
}
