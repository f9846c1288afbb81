//! Damaged copies of other people's small MP4 files, whole and in fragments.

use super::damage::Container;
use super::fields::{Field, fields_at};

const EXTENSIONS: &[&str] = &["mp4", "mov", "m4a", "m4v", "m4b", "3gp", "cmfv"];
/// What lies in whole files behind their media is of no use when they are cut off.
const FILE_BYTES_MAX: usize = 60_000;

#[test]
fn damaged_movies() {
    let name = "MP4";
    let take = |file: &[u8]| (!has_fragments(file)).then(|| whole(file)).flatten();
    Container { name, extensions: EXTENSIONS, take, fields, files_min: 20, opened_min: 30 }.check();
}

#[test]
fn damaged_fragments() {
    let name = "MP4 in fragments";
    let take = |file: &[u8]| has_fragments(file).then(|| whole(file)).flatten();
    Container { name, extensions: EXTENSIONS, take, fields, files_min: 10, opened_min: 30 }.check();
}

fn has_fragments(file: &[u8]) -> bool {
    file.windows(4).any(|kind| kind == b"moof")
}

/// The file, unless it is large; then as much as its media can do without.
fn whole(file: &[u8]) -> Option<Vec<u8>> {
    let fits = file.len() <= FILE_BYTES_MAX || has_fragments(file);
    fits.then(|| file.to_vec())
}

/// Sizes of boxes, and the words of those that hold no others.
pub(super) fn fields(file: &[u8]) -> Vec<Field> {
    let mut fields = Vec::new();
    add_boxes(file, 0, file.len(), &mut fields);
    fields
}

fn add_boxes(file: &[u8], start: usize, end: usize, fields: &mut Vec<Field>) {
    const PARENTS: [&[u8; 4]; 12] = [
        b"moov", b"trak", b"mdia", b"minf", b"stbl", b"edts", b"dinf", b"moof", b"traf", b"mvex",
        b"udta", b"sinf",
    ];
    const WORDS_MAX: usize = 24;
    let mut at = start;
    while let Some((header, _)) = file.get(at..end).and_then(|rest| rest.split_first_chunk::<8>()) {
        let [s0, s1, s2, s3, kind @ ..] = *header;
        let size = u32::from_be_bytes([s0, s1, s2, s3]) as usize;
        let box_end = (at + size.max(8)).min(end);
        fields.extend(fields_at(at, &[4, 4], false));
        if PARENTS.contains(&&kind) {
            add_boxes(file, at + 8, box_end, fields);
        } else if kind != *b"mdat" {
            let words = (box_end - at - 8) / 4;
            fields.extend(fields_at(at + 8, &vec![4; words.min(WORDS_MAX)], false));
        }
        at = box_end;
    }
}
