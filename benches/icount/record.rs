//! The recorded figures, and what a count is worth against them.

use crate::callgrind;
use crate::subjects::SUBJECTS;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

/// By how much of itself a count may differ from the recorded one.
const TOLERANCE: f64 = 0.005;

/// Instructions a unit, by subject, and what made and counted them.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Figures {
    rustc: String,
    valgrind: String,
    instructions: BTreeMap<String, f64>,
}

impl Figures {
    /// None yet.
    pub(crate) fn of_this_machine() -> Result<Self, Box<dyn Error>> {
        let rustc = Command::new("rustc").arg("--version").output()?.stdout;
        let rustc = String::from_utf8(rustc)?.trim().to_owned();
        let valgrind = callgrind::version()?;
        Ok(Self { rustc, valgrind, instructions: BTreeMap::new() })
    }

    /// What was recorded.
    pub(crate) fn read() -> Result<Self, Box<dyn Error>> {
        let path = path();
        let text = fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
        toml::from_str(&text).map_err(|e| format!("{}: {e}", path.display()).into())
    }

    /// Records these.
    pub(crate) fn write(&self) -> Result<(), Box<dyn Error>> {
        Ok(fs::write(path(), format!("{HEAD}{self}"))?)
    }

    pub(crate) fn put(&mut self, subject: &str, count: f64) {
        self.instructions.insert(subject.to_owned(), count);
    }

    pub(crate) fn of(&self, subject: &str) -> Option<f64> {
        self.instructions.get(subject).copied()
    }

    /// What to do when `counted` is not what these are.
    pub(crate) fn advice(&self, counted: &Self) -> String {
        let mut advice = format!(
            "more than {} % from what was recorded. If it is meant, record it:\n    {RECORD}\n\
             and say in the commit why.",
            TOLERANCE * 100.0
        );
        let tools = [(&self.rustc, &counted.rustc), (&self.valgrind, &counted.valgrind)];
        for (before, now) in tools.into_iter().filter(|(before, now)| before != now) {
            advice.push_str(&format!("\nRecorded with {before}; this is {now}."));
        }
        advice
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "rustc = {:?}\nvalgrind = {:?}\n", self.rustc, self.valgrind)?;
        writeln!(f, "[instructions]")?;
        for subject in SUBJECTS {
            if let Some(count) = self.of(subject.name) {
                writeln!(f, "# {}, a {}", subject.what, subject.unit)?;
                writeln!(f, "{} = {count:.2}", subject.name)?;
            }
        }
        Ok(())
    }
}

/// Where the figures are.
pub(crate) fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("icount.toml")
}

/// A count against the recorded one, as a part of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Verdict(Option<f64>);

impl Verdict {
    pub(crate) fn new(recorded: Option<f64>, counted: Option<f64>) -> Self {
        Self(recorded.zip(counted).map(|(recorded, counted)| counted / recorded - 1.0))
    }

    /// Whether it is what was recorded. Less is not: the next change would have room to be worse.
    pub(crate) fn is_good(self) -> bool {
        self.0.is_some_and(|change| change.abs() <= TOLERANCE)
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(change) => f.pad(&format!("{:+.2} %", change * 100.0)),
            None => f.pad("new"),
        }
    }
}

const RECORD: &str = "cargo bench -p benches --bench icount -- --record";

const HEAD: &str = "\
# Instructions that callgrind counts, compared within 0.5 % by
#     cargo bench -p benches --bench icount
# and written by the same with -- --record. A commit that changes them says why.

";
