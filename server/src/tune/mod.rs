//! `reelring tune`: what a machine offers, and how to run a server on it.
//!
//! Facts come from a tree of files (`/proc` and `/sys`, or a test's) and from the few questions
//! that only system calls answer, which the caller fills in. Advice is a function of the facts.

mod advice;
pub(crate) mod facts;
mod host;
mod layout;
mod network;
mod remarks;
mod storage;
#[cfg(test)]
mod tests;
mod text;
mod tree;

pub(crate) use network::default_devices;
pub(crate) use tree::Tree;

use advice::{Advice, advise};
use facts::Facts;
use serde::Serialize;
use std::path::PathBuf;

/// What the files tell, for a server of these directories, which are absolute.
pub(crate) fn read(tree: &Tree, directories: &[PathBuf]) -> Facts {
    Facts {
        cpus: host::cpus(tree),
        nodes: host::nodes(tree),
        memory: host::memory(tree),
        devices: network::devices(tree),
        kernel: host::kernel(tree),
        process: host::process(tree),
        media: directories.iter().map(|directory| storage::media(tree, directory)).collect(),
    }
}

/// Facts and advice, for a person.
pub(crate) fn text(facts: &Facts) -> String {
    text::report(facts, &advise(facts))
}

/// The same for a program.
pub(crate) fn json(facts: &Facts) -> serde_json::Result<String> {
    #[derive(Serialize)]
    struct Report<'a> {
        facts: &'a Facts,
        advice: Advice,
    }
    serde_json::to_string_pretty(&Report { facts, advice: advise(facts) })
}
