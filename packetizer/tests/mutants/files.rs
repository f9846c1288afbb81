//! Every file of other people's that there is, fuzzers' and broken ones among them, by no matter
//! what name: opened or refused, within the bounds.

use std::path::{Path, PathBuf};

use super::damage::{Summary, Told, outcome};
use super::support;

#[test]
fn every_file_is_opened_or_refused() {
    let Some(root) = support::media_root() else { return };
    let (mut summary, mut count) = (Summary::default(), 0);
    for (number, path) in all_files(&root).iter().enumerate() {
        let file = std::fs::read(path).unwrap();
        let told = Told { container: "file", path, number };
        if file.is_empty() {
            continue;
        }
        summary.add(outcome(&file, &told), file.len());
        count += 1;
    }
    println!("{count} files: {summary}");
    assert!(count > 400 && summary.opened * 2 > count, "{summary}");
}

fn all_files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { all_files(&path) } else { vec![path] }).collect()
}
