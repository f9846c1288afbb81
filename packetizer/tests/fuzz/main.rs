//! The seeds of the fuzz targets, replayed without a fuzzer, whole, broken off and bent.

#![allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::unwrap_used)]

mod aac_plan;
mod avcc_asc;
mod h264_plan;
mod image;
mod input;
mod mp4_index;
mod rtcp;

use std::path::Path;

/// Seeds that each target has at least.
const SEEDS_MIN: usize = 3;

fn replay(target: &str, check: fn(&[u8])) {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(target);
    let mut seed_count = 0;
    for entry in std::fs::read_dir(&directory).unwrap() {
        let seed = std::fs::read(entry.unwrap().path()).unwrap();
        check_named(target, check, &seed);
        for at in 0..seed.len() {
            check_named(target, check, &seed[..at]);
            for flip in [0x01, 0x90] {
                let mut bent = seed.clone();
                bent[at] ^= flip;
                check_named(target, check, &bent);
            }
        }
        seed_count += 1;
    }
    assert!(seed_count >= SEEDS_MIN, "{seed_count} seeds in {}", directory.display());
}

/// Names the input that fails, so that it can become a seed.
fn check_named(target: &str, check: fn(&[u8]), input: &[u8]) {
    if std::panic::catch_unwind(|| check(input)).is_err() {
        panic!("{target} fails with {input:02x?}");
    }
}

#[test]
fn h264_plan() {
    replay("h264_plan", h264_plan::check);
}

#[test]
fn aac_plan() {
    replay("aac_plan", aac_plan::check);
}

#[test]
fn rtcp() {
    replay("rtcp", rtcp::check);
}

#[test]
fn avcc_asc() {
    replay("avcc_asc", avcc_asc::check);
}

#[test]
fn matroska_index() {
    replay("matroska_index", mp4_index::check);
}

#[test]
fn mp4_index() {
    replay("mp4_index", mp4_index::check);
}
