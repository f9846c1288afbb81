//! Counts the instructions of what a server does most, under callgrind, and compares them with the
//! figures recorded in `icount.toml`. Times differ from run to run; these hardly do.
//!
//! `cargo bench -p benches --bench icount` compares, and `… -- --record` records anew.

mod callgrind;
mod record;
mod subjects;

use record::{Figures, Verdict};
use std::error::Error;
use std::io::{self, Write};
use std::process::ExitCode;
use subjects::SUBJECTS;

fn main() -> ExitCode {
    // cargo adds `--bench`.
    let arguments: Vec<String> =
        std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match arguments[..] {
        [] => compare(),
        ["--record"] => record(),
        [callgrind::SUBJECT, name] => subjects::work(name).map(|()| true),
        _ => Err("usage: icount [--record]".into()),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            let _ = writeln!(io::stderr(), "icount: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Prints a table, and says whether every count is what was recorded.
fn compare() -> Result<bool, Box<dyn Error>> {
    let recorded = Figures::read()?;
    let counted = count()?;
    let mut out = io::stdout().lock();
    writeln!(out, "{:44}{:>12}{:>12}{:>10}", "instructions", "recorded", "counted", "change")?;
    let mut is_good = true;
    for subject in SUBJECTS {
        let (before, now) = (recorded.of(subject.name), counted.of(subject.name));
        let verdict = Verdict::new(before, now);
        is_good &= verdict.is_good();
        let what = format!("{}, a {}", subject.what, subject.unit);
        let before = before.map_or("-".to_owned(), |before| format!("{before:.1}"));
        let now = now.map_or("-".to_owned(), |now| format!("{now:.1}"));
        writeln!(out, "{what:44}{before:>12}{now:>12}{verdict:>10}")?;
    }
    if !is_good {
        writeln!(out, "{}", recorded.advice(&counted))?;
    }
    Ok(is_good)
}

fn record() -> Result<bool, Box<dyn Error>> {
    let counted = count()?;
    counted.write()?;
    let path = record::path();
    writeln!(io::stdout(), "{}: say in the commit why it changes\n{counted}", path.display())?;
    Ok(true)
}

fn count() -> Result<Figures, Box<dyn Error>> {
    let mut counted = Figures::of_this_machine()?;
    for subject in SUBJECTS {
        counted.put(subject.name, callgrind::count(subject.name)?);
    }
    Ok(counted)
}
