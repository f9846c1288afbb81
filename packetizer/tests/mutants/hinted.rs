//! Damaged copies of movies that are sent as their hint tracks plan it.

use super::damage::Container;
use super::fields::{Field, fields_at};
use super::mp4;

#[test]
fn damaged_hint_tracks() {
    Container {
        name: "hinted MP4",
        extensions: &["mp4", "mov", "3gp"],
        take: hinted_alone,
        fields,
        files_min: 3,
        opened_min: 30,
    }
    .check();
}

/// A hinted movie whose codecs nobody knows.
fn hinted_alone(file: &[u8]) -> Option<Vec<u8>> {
    file.windows(4).find(|kind| kind == b"hnti")?;
    let mut file = file.to_vec();
    let descriptions: Vec<usize> =
        (0..file.len() - 24).filter(|at| file[*at..].starts_with(b"stsd")).collect();
    for at in descriptions {
        let entry = &mut file[at + 16..at + 20];
        if entry != b"rtp " {
            entry[..2].copy_from_slice(b"zz");
        }
    }
    file.truncate(FILE_BYTES_MAX);
    (packets(&file).len() > 200).then_some(file)
}

/// As much as their first hint samples need; the rest is cut off.
const FILE_BYTES_MAX: usize = 60_000;

/// Those of the boxes, and of the packets of hint samples.
fn fields(file: &[u8]) -> Vec<Field> {
    [mp4::fields(file), packets(file)].concat()
}

/// Counts, entries and constructors of hint samples.
fn packets(file: &[u8]) -> Vec<Field> {
    const PACKET: [usize; 20] = [2, 2, 4, 2, 2, 2, 2, 1, 1, 2, 4, 4, 2, 2, 1, 1, 2, 4, 4, 2];
    let is_entry = |bytes: &[u8]| {
        matches!(bytes, [0, 1..=8, 0, 0, 0, 0, 0, 0, 0, kind]
        if (96..=97).contains(&(kind & 0x7f)))
    };
    let entries = file.windows(10).enumerate().filter(|(_, bytes)| is_entry(bytes));
    entries.flat_map(|(at, _)| fields_at(at, &PACKET, false)).collect()
}
