//! Other people's media, which tests need and the project does not hold; what ffprobe says of it,
//! and how that is compared with an index.
#![allow(dead_code, reason = "every test uses a part of it")]

pub(crate) mod codecs;
pub(crate) mod ffprobe;
pub(crate) mod seeks;
pub(crate) mod tally;

use packetizer::container::{OpenError, open};
use packetizer::index::MediaIndex;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// Which files are compared by which test: their names' ends.
pub(crate) mod extensions {
    pub(crate) const MP4: &[&str] =
        &["mp4", "mov", "m4a", "m4v", "m4b", "3gp", "m4s", "cmfv", "avif"];
    pub(crate) const MATROSKA: &[&str] = &["mkv", "webm", "mka"];
    pub(crate) const STREAMS: &[&str] =
        &["ts", "264", "h264", "jsv", "265", "h265", "hevc", "m2v", "m1v"];
    pub(crate) const PROGRAMME_STREAMS: &[&str] = &["ps", "mpg", "vob"];
    pub(crate) const AUDIO: &[&str] = &[
        "wav", "mp3", "mp2", "aac", "adts", "ac3", "eac3", "ogg", "oga", "opus", "ivf", "flv",
        "amr", "awb", "au", "aiff", "flac",
    ];
}

/// A file of ADTS frames, whatever its name says.
pub(crate) const ADTS: &str = "shaka-player/fileSequence0.ts";

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

/// The index of a file.
pub(crate) fn open_file(path: &Path) -> Result<MediaIndex, OpenError<std::io::Error>> {
    let file = File::open(path).unwrap();
    open(file.metadata().unwrap().len(), |offset, buffer| file.read_at(buffer, offset))
}
