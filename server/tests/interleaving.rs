//! Files whose tracks are interleaved badly or not at all: each viewer plays one of his own, all
//! play in time, and nothing is read twice; past the page cache and through it.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "helpers of tests are tests")]

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;
use support::crowd::play;
use support::held::read_bytes;
use support::players::output_of;
use support::titles::BUSY;
use support::{Server, alone};
use tempfile::TempDir;
use tools::load::{Limits, Options};

/// Microseconds of one track in a row: as muxers do it, 4 s, and more than there is.
const CHUNKS: [&str; 3] = ["500000", "4000000", "2000000000"];
/// Files, and viewers, of each kind.
const FILES: usize = 3;

#[test]
fn viewers_of_badly_interleaved_files_play_in_time_and_nothing_is_read_twice() {
    let _alone = alone();
    let directory = TempDir::new().unwrap();
    let files = make_files(directory.path());
    thread::scope(|scope| {
        for flags in [&[][..], &["--page-cache"]] {
            let (directory, files) = (directory.path(), &files);
            scope.spawn(move || play_all(directory, files, flags));
        }
    });
}

fn play_all(directory: &Path, files: &[PathBuf], flags: &[&str]) {
    let server = Server::with_shards(1, directory, flags);
    let names = files.iter().map(|file| file.file_name().unwrap().to_str().unwrap());
    let options = Options {
        urls: names.map(|name| server.url(name)).collect(),
        sessions: files.len(),
        duration: Duration::from_secs(11),
        ..Options::default()
    };
    let summary = play(&options);
    let limits = Limits { late_max: Duration::from_millis(250), ..Limits::default() };
    assert_eq!(summary.complaints(&limits), Vec::<String>::new(), "{flags:?}");
    let (read, bytes) = (read_bytes(&server), files.iter().map(|file| size(file)).sum::<u64>());
    println!("figure: {flags:?} read {read} bytes of files of {bytes}");
    assert!(read * 100 <= bytes * 108, "{flags:?}: {read} of {bytes}");
    assert!(read * 100 >= bytes * 90, "{flags:?}: they were played: {read} of {bytes}");
}

/// Ten seconds in each kind of interleaving, each under as many names as there are viewers.
fn make_files(directory: &Path) -> Vec<PathBuf> {
    let source = BUSY.make();
    let mut files = Vec::new();
    for chunk in CHUNKS {
        let first = directory.join(format!("{chunk}-0.mp4"));
        let copy = ["-v", "error", "-t", "10", "-i", source.to_str().unwrap(), "-c", "copy"];
        let rest =
            ["-max_interleave_delta", "0", "-chunk_duration", chunk, first.to_str().unwrap()];
        output_of("ffmpeg", &[&copy[..], &rest[..]].concat());
        for number in 1..FILES {
            let link = directory.join(format!("{chunk}-{number}.mp4"));
            fs::hard_link(&first, &link).unwrap();
            files.push(link);
        }
        files.push(first);
    }
    files
}

fn size(path: &Path) -> u64 {
    path.metadata().unwrap().len()
}
