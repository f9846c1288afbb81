//! Damaged copies of other people's audio, Ogg, IVF and FLV files: no panic, and memory in
//! proportion.

#![allow(clippy::cast_possible_truncation, clippy::unwrap_used, clippy::print_stdout)]

mod support;

use std::cell::Cell;
use std::convert::Infallible;

use packetizer::container::open;
use packetizer::index::{MediaIndex, SegmentId, TrackId, TrackSet};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRng, TestRunner};
use support::{media_files, media_root};

const EXTENSIONS: [&str; 13] =
    ["wav", "mp3", "aac", "adts", "ac3", "eac3", "ogg", "opus", "ivf", "flv", "amr", "au", "flac"];
const FILE_BYTES_MAX: usize = 30_000;
const MUTANTS_PER_FILE: u32 = 600;
/// Bytes at a file's beginning that are damaged as often as all the others.
const HEADERS_BYTES: usize = 400;

#[test]
fn damaged_files_neither_panic_nor_grow() {
    let Some(root) = media_root() else { return };
    let (mut file_count, opened) = (0, Cell::new(0));
    for path in media_files(&root, &EXTENSIONS) {
        let mut file = std::fs::read(&path).unwrap();
        file.truncate(FILE_BYTES_MAX);
        if open_bytes(&file).is_none() {
            continue;
        }
        file_count += 1;
        let config =
            Config { cases: MUTANTS_PER_FILE, failure_persistence: None, ..Config::default() };
        let rng = TestRng::deterministic_rng(config.rng_algorithm);
        let mut runner = TestRunner::new_with_rng(config, rng);
        let at = prop_oneof![0..file.len().min(HEADERS_BYTES), 0..file.len()];
        let byte = prop_oneof![any::<u8>(), Just(0), Just(0xff)];
        let flips = proptest::collection::vec((at, byte), 1..20);
        let end = prop_oneof![3 => Just(file.len()), 1 => 0..file.len()];
        // A stretch that is gone moves what is behind it out of step.
        let gap = prop_oneof![3 => Just(0..0), 1 => (0..file.len(), 1..5000_usize)
            .prop_map(|(at, count)| at..at + count)];
        let outcome = runner.run(&(flips, end, gap), |(flips, end, gap)| {
            let mut mutant = file.clone();
            flips.iter().for_each(|(at, byte)| mutant[*at] = *byte);
            mutant.truncate(end);
            mutant.drain(gap.start.min(mutant.len())..gap.end.min(mutant.len()));
            if let Some(index) = open_bytes(&mutant) {
                opened.set(opened.get() + 1);
                prop_assert!(index.bytes() < 64 * FILE_BYTES_MAX, "{} bytes", index.bytes());
                walk(&index, &mutant);
            }
            Ok(())
        });
        outcome.unwrap_or_else(|failure| panic!("{}: {failure}", path.display()));
    }
    let opened = opened.get();
    println!("{file_count} files, {opened} mutants opened");
    assert!(file_count >= 30 && opened >= 15_000, "{file_count} files, {opened} opened");
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

/// Takes every unit out of the file: it lies there, and is no longer than where it lies.
fn walk(index: &MediaIndex, file: &[u8]) {
    let mut extents = Vec::new();
    let mut unwrapped = Vec::new();
    for (position, track) in index.tracks.iter().enumerate() {
        let track_id = TrackId(position as u8);
        for segment in (0..index.segment_count()).map(SegmentId) {
            index.extents(segment, TrackSet::EMPTY.with(track_id), &mut extents);
            assert!(extents.iter().all(|e| e.offset + u64::from(e.bytes) <= file.len() as u64));
            let mut last = i64::MIN;
            for unit in index.units(track_id, segment) {
                assert!(unit.decode >= last, "unit {} goes back in time", unit.index);
                last = unit.decode;
                let bytes = &file[unit.offset as usize..][..unit.bytes as usize];
                unwrapped.clear();
                track.wrapping.unwrap(unit.offset, bytes, &mut unwrapped);
                assert!(unwrapped.len() <= bytes.len());
            }
        }
    }
}
