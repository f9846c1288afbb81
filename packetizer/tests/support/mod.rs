//! Other people's media, which tests need and the project does not hold.

use std::path::{Path, PathBuf};

/// The folder with the media; `None`, with a line that says so, where it is absent and not
/// required.
pub(crate) fn media_root() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/media");
    if root.is_dir() {
        return Some(root);
    }
    assert!(std::env::var_os("REELRING_REQUIRE_MEDIA").is_none(), "no {}", root.display());
    println!("skipped: no {}", root.display());
    None
}

/// The files with one of these extensions in a folder and those below, sorted.
pub(crate) fn media_files(folder: &Path, extensions: &[&str]) -> Vec<PathBuf> {
    let mut files = Vec::new();
    collect(folder, extensions, &mut files);
    files.sort();
    files
}

fn collect(folder: &Path, extensions: &[&str], files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let extension = path.extension().and_then(|e| e.to_str()).unwrap_or_default();
        if path.is_dir() {
            collect(&path, extensions, files);
        } else if extensions.contains(&extension) {
            files.push(path);
        }
    }
}
