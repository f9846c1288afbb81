//! Damaged copies of other people's small transport streams and elementary streams: no panic, and
//! memory in proportion.

#![allow(clippy::cast_possible_truncation, clippy::unwrap_used, clippy::print_stdout)]

mod support;

use std::cell::Cell;
use std::convert::Infallible;

use packetizer::container::open;
use packetizer::index::{MediaIndex, TrackId};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRng, TestRunner};

const FILE_BYTES_MAX: usize = 60_000;
const MUTANTS_PER_FILE: u32 = 250;
/// A change of the file.
#[derive(Clone, Debug)]
enum Damage {
    Flip(prop::sample::Index, u8),
    /// Bytes that are left out, so that packets shift.
    Cut(prop::sample::Index, usize),
    /// A piece that comes once more.
    Repeat(prop::sample::Index, usize),
}

fn damage() -> impl Strategy<Value = Damage> {
    let at = any::<prop::sample::Index>;
    prop_oneof![
        6 => (at(), any::<u8>()).prop_map(|(at, byte)| Damage::Flip(at, byte)),
        1 => (at(), 1..1000_usize).prop_map(|(at, count)| Damage::Cut(at, count)),
        1 => (at(), 1..1000_usize).prop_map(|(at, count)| Damage::Repeat(at, count)),
    ]
}

fn damaged(file: &[u8], damages: &[Damage]) -> Vec<u8> {
    let mut mutant = file.to_vec();
    for damage in damages {
        let end = |at: usize, count: usize, length: usize| (at + count).min(length);
        match damage {
            Damage::Flip(at, byte) => {
                let at = at.index(mutant.len());
                mutant[at] = *byte;
            }
            Damage::Cut(at, count) if mutant.len() > 2000 => {
                let at = at.index(mutant.len());
                mutant.drain(at..end(at, *count, mutant.len()));
            }
            Damage::Cut(..) => {}
            Damage::Repeat(at, count) => {
                let at = at.index(mutant.len());
                let piece = mutant[at..end(at, *count, mutant.len())].to_vec();
                mutant.splice(at..at, piece);
            }
        }
    }
    mutant
}

#[test]
fn damaged_files_neither_panic_nor_grow() {
    let Some(root) = support::media_root() else { return };
    let (mut file_count, opened) = (0, Cell::new(0));
    for path in support::media_files(&root, &["ts", "264", "h264", "265", "h265"]) {
        let file = std::fs::read(&path).unwrap();
        if file.len() > FILE_BYTES_MAX || open_bytes(&file).is_none() {
            continue;
        }
        file_count += 1;
        let config =
            Config { cases: MUTANTS_PER_FILE, failure_persistence: None, ..Config::default() };
        let rng = TestRng::deterministic_rng(config.rng_algorithm);
        let mut runner = TestRunner::new_with_rng(config, rng);
        let outcome = runner.run(&proptest::collection::vec(damage(), 1..12), |damages| {
            let mutant = damaged(&file, &damages);
            if let Some(index) = open_bytes(&mutant) {
                opened.set(opened.get() + 1);
                prop_assert!(index.bytes() < 16 * FILE_BYTES_MAX, "{} bytes", index.bytes());
                walk(&index, &mutant);
            }
            Ok(())
        });
        outcome.unwrap_or_else(|failure| panic!("{}: {failure}", path.display()));
    }
    let opened = opened.get();
    println!("{file_count} files, {opened} mutants opened");
    assert!(file_count >= 20 && opened >= 4000, "{file_count} files, {opened} opened");
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

/// Reads the index whole: what it names lies in the file, and can be taken out of its packets.
fn walk(index: &MediaIndex, file: &[u8]) {
    for (position, track) in index.tracks.iter().enumerate() {
        let mut decode = i64::MIN;
        for unit in (0..track.unit_count).filter_map(|at| index.unit(TrackId(position as u8), at)) {
            let bytes = &file[unit.offset as usize..][..unit.bytes as usize];
            let mut unwrapped = Vec::new();
            track.wrapping.unwrap(unit.offset, bytes, &mut unwrapped);
            assert!(unwrapped.len() <= bytes.len() && unit.decode >= decode);
            decode = unit.decode;
        }
    }
}
