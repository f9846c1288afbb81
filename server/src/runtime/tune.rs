//! `reelring tune` on this machine.

use super::probe::{self, Finding};
use crate::tune::facts::{Facts, Offloads, Sentence};
use crate::tune::{self, Tree};
use crate::uring::{self, Discipline, Resource};
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

/// What this machine offers, and how to serve `directories` on it: as text, or as JSON.
///
/// # Errors
/// If the report cannot be written as JSON.
pub fn tune(directories: &[PathBuf], as_json: bool) -> Result<String, Box<dyn Error>> {
    let directories: Vec<PathBuf> = directories
        .iter()
        .map(|path| path.canonicalize().unwrap_or_else(|_| path.clone()))
        .collect();
    let mut facts = tune::read(&Tree::new("/"), &directories);
    ask_kernel(&mut facts);
    Ok(if as_json { tune::json(&facts)? + "\n" } else { tune::text(&facts) })
}

/// Fills in what no file tells.
fn ask_kernel(facts: &mut Facts) {
    facts.kernel.io_uring = Some(sentence(probe::io_uring()));
    facts.kernel.segmentation = Some(sentence(probe::segmentation_offload()));
    let disciplines = uring::disciplines().unwrap_or_default();
    for device in &mut facts.devices {
        let number = device_number(&device.name);
        let own = |discipline: &&Discipline| Some(discipline.device) == number;
        device.disciplines = kinds(disciplines.iter().filter(own));
        device.offloads = uring::active_features(&device.name).ok().map(|it| offloads(&it));
    }
    for media in &mut facts.media {
        media.direct = Some(sentence(probe::direct_reads(Path::new(&media.directory))));
    }
    // Limits of files are the hard ones, which the server raises its own to.
    facts.process.descriptors_max =
        uring::raise_limit(Resource::Descriptors).ok().or(facts.process.descriptors_max);
}

/// The kernel's number of a network device.
pub(super) fn device_number(name: &str) -> Option<u32> {
    let text = fs::read_to_string(format!("/sys/class/net/{name}/ifindex")).ok()?;
    text.trim().parse().ok()
}

fn sentence(Finding { ok, text }: Finding) -> Sentence {
    Sentence { ok, text }
}

/// Each kind once, the root's first.
fn kinds<'a>(disciplines: impl Iterator<Item = &'a Discipline>) -> Vec<String> {
    let mut kinds: Vec<String> = Vec::new();
    for discipline in disciplines {
        if !kinds.contains(&discipline.kind) {
            let place = if discipline.is_root { 0 } else { kinds.len() };
            kinds.insert(place, discipline.kind.clone());
        }
    }
    kinds
}

fn offloads(features: &[String]) -> Offloads {
    let has = |name: &str| features.iter().any(|feature| feature == name);
    Offloads {
        checksums: has("tx-checksum-ip-generic") || has("tx-checksum-ipv4"),
        segmentation: has("tx-generic-segmentation"),
        udp_segmentation: has("tx-udp-segmentation"),
        tcp_segmentation: has("tx-tcp-segmentation"),
        scatter_gather: has("tx-scatter-gather"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kinds_of_a_device_are_told_once() {
        let discipline =
            |kind: &str, is_root| Discipline { device: 2, kind: kind.to_owned(), is_root };
        let found = [discipline("fq", false), discipline("mq", true), discipline("fq", false)];
        assert_eq!(kinds(found.iter()), ["mq", "fq"]);
    }

    #[test]
    fn this_machine_is_told_both_ways() {
        let directory = [std::env::temp_dir()];
        let text = tune(&directory, false).unwrap();
        for part in ["CPUs\n", "io_uring", "Recommended\n  reelring serve --media "] {
            assert!(text.contains(part), "{part}: {text}");
        }
        let json: serde_json::Value =
            serde_json::from_str(&tune(&directory, true).unwrap()).unwrap();
        let line = json["advice"]["line"].as_str().unwrap();
        assert!(text.contains(line), "both recommend the same: {line}");
        assert!(json["facts"]["memory"]["bytes"].as_u64().unwrap() > 0);
    }
}
