//! Writes elements and whole files for tests.

use super::ebml::Id;

/// An element with a size of 8 bytes, as writers leave room for.
pub(super) fn element(id: Id, data: &[u8]) -> Vec<u8> {
    let size = (1 << 56 | data.len() as u64).to_be_bytes();
    [&id_bytes(id)[..], &size, data].concat()
}

/// An element of unknown size.
pub(super) fn open_element(id: Id, data: &[u8]) -> Vec<u8> {
    [&id_bytes(id)[..], &[0x01, 255, 255, 255, 255, 255, 255, 255], data].concat()
}

/// An unsigned integer.
pub(super) fn number(id: Id, value: u64) -> Vec<u8> {
    element(id, &value.to_be_bytes())
}

fn id_bytes(id: Id) -> Vec<u8> {
    id.0.to_be_bytes().into_iter().skip_while(|byte| *byte == 0).collect()
}
