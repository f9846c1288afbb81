//! The seeds of the fuzz targets, replayed without a fuzzer, whole, broken off and bent.

#![allow(clippy::cast_possible_truncation, clippy::unwrap_used)]

mod headers;
mod http_tunnel;
mod input;
mod range_header;
mod rtsp_framer;
mod session_methods;
mod transport_header;

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
            for flip in [0x01, 0x11] {
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
fn rtsp_framer() {
    replay("rtsp_framer", rtsp_framer::check);
}

#[test]
fn headers() {
    replay("headers", headers::check);
}

#[test]
fn http_tunnel() {
    replay("http_tunnel", http_tunnel::check);
}

#[test]
fn transport_header() {
    replay("transport_header", transport_header::check);
}

#[test]
fn range_header() {
    replay("range_header", range_header::check);
}

#[test]
fn session_methods() {
    replay("session_methods", session_methods::check);
}
