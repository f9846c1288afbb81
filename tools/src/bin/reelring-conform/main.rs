//! `reelring-conform`: whether an RTSP server does what RFC 2326 and its clients say.
//!
//! Ends with 0 if nothing failed, 1 if something did, 2 if nothing could be checked.

mod arguments;

use arguments::Arguments;
use clap::Parser as _;
use std::fs::File;
use std::io::{self, IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use tools::conform::{Outcome, Report, Result as CheckResult, checks, run};

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let (mut output, mut errors) = (io::stdout(), io::stderr());
    if arguments.list {
        for check in checks(&arguments.kinds()) {
            // What a closed pipe does not take, nobody reads.
            let _ = writeln!(output, "{:45} {}", check.name, check.cites);
        }
        return ExitCode::SUCCESS;
    }
    let done = AtomicUsize::new(0);
    let is_terminal = errors.is_terminal();
    let progress = |result: &CheckResult| {
        let count = done.fetch_add(1, Ordering::Relaxed) + 1;
        if is_terminal {
            let _ = write!(io::stderr(), "\r\x1b[K{count} {}", result.name);
        }
        if arguments.verbose {
            let word = result.outcome.word();
            let _ = writeln!(io::stderr(), "{word:13} {:6.2} s  {}", result.seconds, result.name);
        }
    };
    let report = run(&arguments.options(), progress);
    if is_terminal {
        let _ = write!(errors, "\r\x1b[K");
    }
    let written = report.and_then(|report| write(&arguments, &report).map(|()| report));
    match written {
        Ok(report) => ExitCode::from(u8::from(report.count(Outcome::Fail) > 0)),
        Err(error) => {
            let _ = writeln!(errors, "reelring-conform: {error}");
            ExitCode::from(2)
        }
    }
}

fn write(arguments: &Arguments, report: &Report) -> io::Result<()> {
    let named = |path: &std::path::Path| {
        let path = path.display().to_string();
        move |error: io::Error| io::Error::new(error.kind(), format!("{path}: {error}"))
    };
    if let Some(path) = &arguments.markdown {
        std::fs::write(path, report.markdown()).map_err(named(path))?;
    }
    if let Some(Some(path)) = &arguments.json {
        let mut file = File::create(path).map_err(named(path))?;
        serde_json::to_writer_pretty(&mut file, report)?;
        writeln!(file)?;
    }
    let mut output = io::stdout();
    let printed = if arguments.json == Some(None) {
        serde_json::to_writer_pretty(&mut output, report)
            .map_err(io::Error::from)
            .and_then(|()| writeln!(output))
    } else {
        write!(output, "{report}")
    };
    match printed {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}
