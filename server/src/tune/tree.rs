//! Reading `/proc` and `/sys`, below a root that tests choose.

use std::fs;
use std::path::{Path, PathBuf};

/// Where `/proc` and `/sys` lie.
#[derive(Clone, Debug)]
pub(crate) struct Tree {
    root: PathBuf,
}

impl Tree {
    /// The files below `root`, which is `/` for this machine.
    pub(crate) fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The text of a file, without white space around it; `None` where it is not or has none.
    pub(super) fn text(&self, path: &str) -> Option<String> {
        let text = fs::read_to_string(self.path(path)).ok()?;
        let text = text.trim();
        (!text.is_empty() && text != "(null)").then(|| text.to_owned())
    }

    /// A whole number that stands alone in a file.
    pub(super) fn number(&self, path: &str) -> Option<i64> {
        self.text(path)?.parse().ok()
    }

    /// A list of CPUs, as in `0-3,8`.
    pub(super) fn cpu_list(&self, path: &str) -> Option<Vec<usize>> {
        parse_list(&self.text(path)?)
    }

    /// A mask of CPUs, as in `ff,00000001`.
    pub(super) fn cpu_mask(&self, path: &str) -> Option<Vec<usize>> {
        parse_mask(&self.text(path)?)
    }

    /// The word in brackets, as in `always [madvise] never`; all of it if none is.
    pub(super) fn chosen(&self, path: &str) -> Option<String> {
        let text = self.text(path)?;
        let word = text.split_once('[').and_then(|(_, rest)| rest.split_once(']'));
        Some(word.map_or(text.as_str(), |(word, _)| word).to_owned())
    }

    /// Names in a directory, in order.
    pub(super) fn names(&self, path: &str) -> Vec<String> {
        let entries = fs::read_dir(self.path(path)).into_iter().flatten();
        let mut names: Vec<String> =
            entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect();
        names.sort_by_key(|name| (name.len(), name.clone()));
        names
    }

    /// Numbers of the entries of a directory that are called `prefix` and a number, in order.
    pub(super) fn numbered(&self, path: &str, prefix: &str) -> Vec<usize> {
        let number = |name: &String| name.strip_prefix(prefix)?.parse().ok();
        let mut numbers: Vec<usize> = self.names(path).iter().filter_map(number).collect();
        numbers.sort_unstable();
        numbers
    }

    /// Whether there is something of that name.
    pub(super) fn exists(&self, path: &str) -> bool {
        self.path(path).exists()
    }

    /// The last part of where a link leads.
    pub(super) fn link_name(&self, path: &str) -> Option<String> {
        fs::read_link(self.path(path)).ok()?.file_name()?.to_str().map(str::to_owned)
    }

    fn path(&self, path: &str) -> PathBuf {
        self.root.join(Path::new(path.trim_start_matches('/')))
    }
}

/// CPUs as the kernel lists them, as in `0-3,8`.
pub(super) fn parse_list(text: &str) -> Option<Vec<usize>> {
    let mut cpus = Vec::new();
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (usize, usize) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
        if last >= CPUS_MAX {
            return None;
        }
        cpus.extend(first..=last);
    }
    Some(cpus)
}

/// CPUs as bits, in words of 32, the highest first.
fn parse_mask(text: &str) -> Option<Vec<usize>> {
    let mut cpus = Vec::new();
    for (index, word) in text.split(',').rev().enumerate() {
        let bits = u32::from_str_radix(word.trim(), 16).ok()?;
        cpus.extend((0..32).filter(|bit| bits >> bit & 1 == 1).map(|bit| index * 32 + bit));
    }
    Some(cpus)
}

/// More than Linux numbers.
const CPUS_MAX: usize = 1 << 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_and_masks_name_cpus() {
        for (text, cpus) in [
            ("0", Some(vec![0])),
            ("0-2,8", Some(vec![0, 1, 2, 8])),
            ("", None),
            ("a", None),
            ("0-9999999999", None),
        ] {
            assert_eq!(parse_list(text), cpus, "{text}");
        }
        for (text, cpus) in [
            ("0", Some(vec![])),
            ("5", Some(vec![0, 2])),
            ("80000001,00000000,00000002", Some(vec![1, 64, 95])),
            ("x", None),
        ] {
            assert_eq!(parse_mask(text), cpus, "{text}");
        }
    }
}
