//! The seeds of the fuzz targets, replayed without a fuzzer.

#[expect(unreachable_pub, reason = "the fuzz crate exports it")]
#[path = "../../fuzz/src/checks.rs"]
mod checks;

use std::path::Path;

fn replay(target: &str, check: fn(&[u8])) {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(target);
    let mut count = 0;
    for entry in std::fs::read_dir(&directory).unwrap() {
        let seed = std::fs::read(entry.unwrap().path()).unwrap();
        check(&seed);
        // Broken off and bent seeds reach what whole ones do not.
        for index in 0..seed.len() {
            check(&seed[..index]);
            let mut bent = seed.clone();
            bent[index] ^= 0x11;
            check(&bent);
        }
        count += 1;
    }
    assert!(count >= 3, "{count} seeds in {}", directory.display());
}

#[test]
fn rtsp_framer() {
    replay("rtsp_framer", checks::rtsp_framer);
}

#[test]
fn transport_header() {
    replay("transport_header", checks::transport_header);
}

#[test]
fn range_header() {
    replay("range_header", checks::range_header);
}
