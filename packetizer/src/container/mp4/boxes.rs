//! Boxes and the bytes in them (ISO 14496-12 §4.2).

use std::fmt;

/// A box's type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FourCc(pub(super) [u8; 4]);

impl fmt::Display for FourCc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.escape_ascii())
    }
}

/// Reads big-endian numbers from a slice, never past its end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bytes<'a>(pub(super) &'a [u8]);

impl<'a> Bytes<'a> {
    pub(super) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (array, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*array)
    }

    pub(super) fn u8(&mut self) -> Option<u8> {
        self.array().map(u8::from_be_bytes)
    }

    pub(super) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    pub(super) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_be_bytes)
    }

    pub(super) fn four_cc(&mut self) -> Option<FourCc> {
        self.array().map(FourCc)
    }

    pub(super) fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    /// Version and flags of a full box (ISO 14496-12 §4.2.2).
    pub(super) fn version_and_flags(&mut self) -> Option<(u8, u32)> {
        let word = self.u32()?;
        Some(((word >> 24) as u8, word & 0x00ff_ffff))
    }
}

/// A box inside another.
#[derive(Clone, Copy, Debug)]
pub(super) struct Box<'a> {
    pub(super) kind: FourCc,
    pub(super) body: &'a [u8],
}

impl<'a> Box<'a> {
    pub(super) fn bytes(&self) -> Bytes<'a> {
        Bytes(self.body)
    }
}

/// The boxes in a box's body. A box that reaches beyond the body is cut off there and the last one;
/// a size that cannot be, QuickTime's terminating zero included, ends the walk.
pub(super) fn boxes(body: &[u8]) -> impl Iterator<Item = Box<'_>> {
    let mut rest = Bytes(body);
    std::iter::from_fn(move || next_box(&mut rest))
}

/// Takes the next box of a box's body; `None` as [`boxes`] ends.
pub(super) fn next_box<'a>(rest: &mut Bytes<'a>) -> Option<Box<'a>> {
    let size = rest.u32()?;
    let kind = rest.four_cc()?;
    let body_bytes =
        if size == 1 { rest.u64()?.checked_sub(16)? } else { u64::from(size.checked_sub(8)?) };
    let body_bytes = usize::try_from(body_bytes).unwrap_or(usize::MAX).min(rest.0.len());
    Some(Box { kind, body: rest.take(body_bytes)? })
}

/// The first box of this type in a box's body.
pub(super) fn find<'a>(body: &'a [u8], kind: &[u8; 4]) -> Option<Box<'a>> {
    boxes(body).find(|found| found.kind.0 == *kind)
}

/// A box's body, found by descending from box to box.
pub(super) fn find_path<'a>(body: &'a [u8], path: &[&[u8; 4]]) -> Option<Bytes<'a>> {
    let mut body = body;
    for kind in path {
        body = find(body, kind)?.body;
    }
    Some(Bytes(body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn walks_boxes_and_stops_where_they_make_no_sense() {
        let large = [0, 0, 0, 1, b'l', b'o', b'n', b'g', 0, 0, 0, 0, 0, 0, 0, 17, 7];
        let small = [0, 0, 0, 9, b's', b'm', b'a', b'l', 8];
        let over = [0, 0, 0, 99, b'o', b'v', b'e', b'r', 9, 9];
        let body = [&large[..], &small, &over].concat();
        let found: Vec<_> = boxes(&body).map(|b| (b.kind.to_string(), b.body.to_vec())).collect();
        let expected = [("long", vec![7]), ("smal", vec![8]), ("over", vec![9, 9])];
        assert_eq!(found, expected.map(|(kind, body)| (kind.to_owned(), body)));
        for broken in
            [&[0, 0, 0, 0, 1, 2, 3, 4][..], &[0, 0, 0, 7, 1, 2, 3, 4], &[0, 0, 0], &large[..12]]
        {
            assert_eq!(boxes(broken).count(), 0, "{broken:?}");
        }
    }
}
