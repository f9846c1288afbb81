//! That no file of the shared media is left out: each is compared with ffprobe by one of the tests
//! beside this one, or named here.

#![allow(clippy::cast_possible_truncation, clippy::unwrap_used, clippy::print_stdout)]

mod support;

use std::collections::BTreeSet;
use support::{extensions, media_root, open_file};

/// Files that no test compares, and what opening them says: a part of it.
const EXCEPTIONS: &[(&str, &str)] = &[
    ("alfg-mp4-rust/big_buck_bunny.jpg", UNKNOWN),
    ("androidx-media/aac-dump.json", UNKNOWN),
    ("androidx-media/h264-dump.json", UNKNOWN),
    ("openh264/Static_152_100.yuv", UNKNOWN),
];
const UNKNOWN: &str = "no media file of a known format";

#[test]
fn every_file_of_the_manifest_is_compared() {
    let Some(root) = media_root() else { return };
    let manifest = std::fs::read_to_string(root.join("MANIFEST.tsv")).unwrap();
    let names: BTreeSet<&str> =
        manifest.lines().skip(1).filter_map(|line| line.split('\t').next()).collect();
    assert!(names.len() > 400, "only {} files", names.len());
    let compared = |name: &str| {
        let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
        let tests = [
            extensions::MP4,
            extensions::MATROSKA,
            extensions::STREAMS,
            extensions::PROGRAMME_STREAMS,
            extensions::AUDIO,
        ];
        let count = tests.iter().filter(|test| test.contains(&extension)).count();
        assert!(count <= 1, "{name} is compared by {count} tests");
        count == 1
    };
    let left_out: Vec<&&str> = names.iter().filter(|name| !compared(name)).collect();
    for name in &left_out {
        let error = open_file(&root.join(name)).map(|_| ()).map_err(|error| error.to_string());
        println!("{name}: {error:?}");
    }
    for name in &left_out {
        let exception = EXCEPTIONS.iter().find(|(exception, _)| exception == *name);
        let (_, why) = exception.unwrap_or_else(|| panic!("{name} is compared by no test"));
        let error = open_file(&root.join(name)).unwrap_err().to_string();
        assert!(error.contains(why), "{name}: {error}");
    }
    for (exception, _) in EXCEPTIONS {
        assert!(left_out.contains(&exception), "{exception} is compared");
    }
}
