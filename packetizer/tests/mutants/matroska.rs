//! Damaged copies of other people's small Matroska and WebM files.

use super::damage::Container;
use super::fields::{Field, bytes_between, fields_at};

#[test]
fn damaged_matroska() {
    Container {
        name: "Matroska",
        extensions: &["mkv", "webm", "mka"],
        take: |file| Some(file.to_vec()),
        fields,
        files_min: 20,
        opened_min: 25,
    }
    .check();
}

/// IDs and sizes of elements, the contents of small ones, and the headers of blocks.
fn fields(file: &[u8]) -> Vec<Field> {
    /// Segment, Cluster, Tracks, TrackEntry, Video, Audio, BlockGroup, ContentEncodings and what is
    /// in it, Cues, CuePoint.
    const PARENTS: [u32; 13] = [
        0x1853_8067,
        0x1f43_b675,
        0x1654_ae6b,
        0xae,
        0xe0,
        0xe1,
        0xa0,
        0x6d80,
        0x6240,
        0x5034,
        0x5035,
        0x1c53_bb6b,
        0xbb,
    ];
    const SMALL_BYTES: usize = 8;
    let (mut fields, mut at) = (Vec::new(), 0);
    while let Some((id_bytes, id)) = number(file, at, false) {
        let Some((size_bytes, size)) = number(file, at + id_bytes, true) else { break };
        let body = at + id_bytes + size_bytes;
        fields.extend(bytes_between(at, body));
        fields.extend(fields_at(at + id_bytes, &[size_bytes], false));
        if u32::try_from(id).is_ok_and(|id| PARENTS.contains(&id)) {
            at = body;
            continue;
        }
        let head = (body + SMALL_BYTES).min(file.len());
        fields.extend(bytes_between(body.min(head), head));
        let Some(end) = usize::try_from(size).ok().and_then(|size| body.checked_add(size)) else {
            break;
        };
        at = end;
    }
    fields
}

/// A number of variable length (RFC 8794 §4), and its bytes; without its marker if it is a size.
fn number(file: &[u8], at: usize, is_size: bool) -> Option<(usize, u64)> {
    let first = *file.get(at)?;
    let bytes = first.leading_zeros() as usize + 1;
    let number = file.get(at..at.checked_add(bytes).filter(|_| bytes <= 8)?)?;
    let value = number.iter().fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte));
    let marker = if is_size { 1 << (7 * bytes) } else { 0 };
    Some((bytes, value & !marker))
}
