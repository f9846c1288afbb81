//! Damaged copies of other people's small MP4 files: no panic, and memory in proportion.

#![allow(clippy::cast_possible_truncation, clippy::unwrap_used, clippy::print_stdout)]

mod support;

use std::cell::Cell;
use std::convert::Infallible;

use packetizer::container::open;
use packetizer::index::{MediaIndex, SegmentId, TrackId, TrackSet};
use packetizer::time::Npt;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRng, TestRunner};

const EXTENSIONS: [&str; 6] = ["mp4", "mov", "m4a", "m4v", "m4b", "3gp"];
const FILE_BYTES_MAX: usize = 50_000;
const MUTANTS_PER_FILE: u32 = 100;

#[test]
fn damaged_files_neither_panic_nor_grow() {
    let Some(root) = support::media_root() else { return };
    let (mut file_count, opened) = (0, Cell::new(0));
    for path in support::media_files(&root, &EXTENSIONS) {
        let file = std::fs::read(&path).unwrap();
        if file.len() > FILE_BYTES_MAX || open_bytes(&file).is_none() {
            continue;
        }
        file_count += 1;
        let config =
            Config { cases: MUTANTS_PER_FILE, failure_persistence: None, ..Config::default() };
        let rng = TestRng::deterministic_rng(config.rng_algorithm);
        let mut runner = TestRunner::new_with_rng(config, rng);
        // Flips anywhere would mostly hit media, which is never read.
        let header = file.windows(4).position(|bytes| bytes == b"moov").unwrap();
        let flip = (header..file.len().min(header + 3000), any::<u8>());
        let flips = proptest::collection::vec(flip, 1..5);
        let end = prop_oneof![3 => Just(file.len()), 1 => 0..file.len()];
        let outcome = runner.run(&(flips, end), |(flips, end)| {
            let mut mutant = file.clone();
            flips.iter().for_each(|(at, byte)| mutant[*at] = *byte);
            mutant.truncate(end);
            if let Some(index) = open_bytes(&mutant) {
                opened.set(opened.get() + 1);
                prop_assert!(index.bytes() < 64 * FILE_BYTES_MAX, "{} bytes", index.bytes());
                walk(&index, end as u64);
            }
            Ok(())
        });
        outcome.unwrap_or_else(|failure| panic!("{}: {failure}", path.display()));
    }
    let opened = opened.get();
    println!("{file_count} files, {opened} mutants opened");
    assert!(file_count >= 20 && opened >= 1000, "{file_count} files, {opened} opened");
}

fn open_bytes(file: &[u8]) -> Option<MediaIndex> {
    let read = |offset: u64, buffer: &mut [u8]| -> Result<usize, Infallible> {
        let rest = &file[offset as usize..];
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    };
    open(file.len() as u64, read).ok()
}

/// Reads the index whole; what it names lies in the file.
fn walk(index: &MediaIndex, file_bytes: u64) {
    let tracks =
        (0..index.tracks.len()).fold(TrackSet::EMPTY, |set, track| set.with(TrackId(track as u8)));
    let mut extents = Vec::new();
    for segment in (0..index.segment_count()).map(SegmentId) {
        index.extents(segment, tracks, &mut extents);
        assert!(extents.iter().all(|e| e.offset + u64::from(e.bytes) <= file_bytes));
    }
    for start in [0, index.duration.nanos() / 2, index.duration.nanos().saturating_sub(1)] {
        for track in
            index.cue(tracks, Npt::from_nanos(start), None).into_iter().flat_map(|c| c.tracks)
        {
            let count = index.tracks[usize::from(track.track.0)].unit_count;
            assert!(track.first_unit <= track.end_unit && track.end_unit <= count);
        }
    }
}
