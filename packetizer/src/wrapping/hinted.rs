//! Units that consist of packets, as a hint track plans them (ISO 14496-12 §9.1.3): what of the
//! file's bytes each packet has, and what else.

use crate::codec::hinted::HEAD_MARKER;
use std::sync::Arc;

/// How the packets of each unit are made: of each its head, and pieces until its payload is whole.
/// A piece is its length, with `LITERAL` and its bytes, or without and where it lies, counted
/// from the unit's first byte.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recipes {
    /// By offset and length of the units.
    keys: Arc<[Key]>,
    bytes: Arc<[u8]>,
}

/// Where the recipe of a unit is, by where in the file its bytes lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    offset: u64,
    bytes: u32,
    start: u32,
    end: u32,
}

impl Key {
    fn recipe<'a>(&self, recipes: &'a [u8]) -> &'a [u8] {
        recipes.get(self.start as usize..self.end as usize).unwrap_or_default()
    }
}

/// The bit of a piece's length that says that the piece is here, and not in the file.
const LITERAL: u16 = 1 << 15;

impl Recipes {
    /// Appends the unit that lies at `offset` in the file, in `bytes`, packet by packet; nothing if
    /// no packets are made of just that.
    pub(super) fn unwrap(&self, offset: u64, bytes: &[u8], unit: &mut Vec<u8>) {
        let wanted = |key: &Key| (key.offset, key.bytes as usize);
        let Ok(found) = self.keys.binary_search_by_key(&(offset, bytes.len()), wanted) else {
            return;
        };
        let recipe = self.keys.get(found).map_or(&[][..], |key| key.recipe(&self.bytes));
        let before = unit.len();
        if make(recipe, bytes, unit).is_none() {
            unit.truncate(before);
        }
    }
}

/// Makes a unit's packets; `None` if the recipe does not add up.
fn make(recipe: &[u8], bytes: &[u8], unit: &mut Vec<u8>) -> Option<()> {
    let mut rest = recipe;
    while !rest.is_empty() {
        let head = number(&mut rest)?;
        unit.extend_from_slice(&head.to_be_bytes());
        let mut left = head & !HEAD_MARKER;
        while left > 0 {
            let kind = number(&mut rest)?;
            let length = kind & !LITERAL;
            left = left.checked_sub(length.max(1))?;
            let piece = if kind & LITERAL != 0 {
                rest.split_off(..usize::from(length))?
            } else {
                let start = u32::from_be_bytes(*rest.split_off(..4)?.first_chunk()?) as usize;
                bytes.get(start..)?.get(..usize::from(length))?
            };
            unit.extend_from_slice(piece);
        }
    }
    Some(())
}

fn number(rest: &mut &[u8]) -> Option<u16> {
    Some(u16::from_be_bytes(*rest.split_off(..2)?.first_chunk()?))
}

/// A part of a packet's payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    /// These bytes.
    Literal(Box<[u8]>),
    /// So many bytes of the file.
    InFile {
        /// The first one.
        offset: u64,
        /// How many.
        bytes: u16,
    },
}

impl Piece {
    /// Its length.
    pub(crate) const fn bytes(&self) -> usize {
        match self {
            Self::Literal(literal) => literal.len(),
            Self::InFile { bytes, .. } => *bytes as usize,
        }
    }
}

/// A packet as it is planned.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct PlannedPacket {
    pub(crate) is_marked: bool,
    /// The parts of its payload.
    pub(crate) pieces: Vec<Piece>,
}

impl PlannedPacket {
    /// Bytes of its payload.
    pub(crate) fn payload_bytes(&self) -> usize {
        self.pieces.iter().map(Piece::bytes).sum()
    }
}

/// Where a unit lies in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stretch {
    pub(crate) offset: u64,
    pub(crate) bytes: u32,
    /// Bytes of its packets and their heads.
    pub(crate) media_bytes: u32,
}

/// Writes [`Recipes`].
#[derive(Debug, Default)]
pub(crate) struct RecipeWriter {
    keys: Vec<Key>,
    bytes: Vec<u8>,
}

impl RecipeWriter {
    /// Bytes of memory that recipes have taken.
    pub(crate) const fn memory_bytes(&self) -> usize {
        self.bytes.len() + self.keys.len() * size_of::<Key>()
    }

    /// Appends a unit of these packets and says where it lies: at least from its first byte in the
    /// file to its last, or from `offset` if all its bytes are literal, and as long as what is made
    /// of it. `None` if it is more than `bytes_max` long, or than the file.
    pub(crate) fn add(
        &mut self,
        packets: &[PlannedPacket],
        offset: u64,
        file_bytes: u64,
        bytes_max: u32,
    ) -> Option<Stretch> {
        let (mut first, mut end) = (u64::MAX, 0_u64);
        let mut media_bytes = 0;
        for packet in packets {
            media_bytes += 2 + packet.payload_bytes();
            for piece in &packet.pieces {
                if let Piece::InFile { offset, bytes } = piece {
                    first = first.min(*offset);
                    end = end.max(offset.checked_add(u64::from(*bytes))?);
                }
            }
        }
        (end <= file_bytes).then_some(())?;
        let media_bytes = u32::try_from(media_bytes).ok()?;
        let first = if first < end { first } else { offset };
        let bytes = end.saturating_sub(first).max(media_bytes.into());
        let offset = first.min(file_bytes.checked_sub(bytes)?);
        let stretch = Stretch { offset, bytes: u32::try_from(bytes).ok()?, media_bytes };
        (stretch.bytes <= bytes_max).then_some(())?;
        let start = u32::try_from(self.bytes.len()).ok()?;
        self.write(packets, offset)?;
        let end = u32::try_from(self.bytes.len()).ok()?;
        self.keys.push(Key { offset, bytes: stretch.bytes, start, end });
        Some(stretch)
    }

    fn write(&mut self, packets: &[PlannedPacket], offset: u64) -> Option<()> {
        for packet in packets {
            let head = u16::try_from(packet.payload_bytes()).ok()?;
            (head < HEAD_MARKER).then_some(())?;
            let marker = if packet.is_marked { HEAD_MARKER } else { 0 };
            self.bytes.extend_from_slice(&(head | marker).to_be_bytes());
            for piece in packet.pieces.iter().filter(|piece| piece.bytes() > 0) {
                let length = u16::try_from(piece.bytes()).ok()?;
                match piece {
                    Piece::Literal(literal) => {
                        self.bytes.extend_from_slice(&(length | LITERAL).to_be_bytes());
                        self.bytes.extend_from_slice(literal);
                    }
                    Piece::InFile { offset: start, .. } => {
                        let start = u32::try_from(start.checked_sub(offset)?).ok()?;
                        self.bytes.extend_from_slice(&length.to_be_bytes());
                        self.bytes.extend_from_slice(&start.to_be_bytes());
                    }
                }
            }
        }
        Some(())
    }

    /// The recipes; `None` if two units that differ lie in just the same bytes.
    pub(crate) fn finish(mut self) -> Option<Recipes> {
        self.keys.sort_unstable();
        let stretch = |key: &Key| (key.offset, key.bytes);
        let differ = |pair: &[Key]| {
            matches!(pair, [one, next] if stretch(one) == stretch(next)
                && one.recipe(&self.bytes) != next.recipe(&self.bytes))
        };
        let is_ambiguous = self.keys.windows(2).any(differ);
        (!is_ambiguous).then(|| Recipes { keys: self.keys.into(), bytes: self.bytes.into() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(is_marked: bool, pieces: &[Piece]) -> PlannedPacket {
        PlannedPacket { is_marked, pieces: pieces.to_vec() }
    }

    fn literal(bytes: &[u8]) -> Piece {
        Piece::Literal(bytes.into())
    }

    const fn in_file(offset: u64, bytes: u16) -> Piece {
        Piece::InFile { offset, bytes }
    }

    const FILE_BYTES: u64 = 200;

    #[test]
    fn units_are_made_of_what_lies_in_the_file_and_what_does_not() {
        let file: Vec<u8> = (0..200).collect();
        let mut writer = RecipeWriter::default();
        let mut stretches = Vec::new();
        for (packets, offset, expected) in [
            (
                vec![
                    packet(false, &[literal(&[9, 8]), in_file(103, 2)]),
                    packet(true, &[in_file(100, 1), in_file(110, 3)]),
                ],
                1,
                (Some((100, 13)), &[0, 4, 9, 8, 103, 104, 0x80, 4, 100, 110, 111, 112][..]),
            ),
            // Longer than what it is made of in the file, and at the file's end.
            (
                vec![packet(true, &[literal(&[1, 2, 3]), in_file(198, 2)])],
                1,
                (Some((193, 7)), &[0x80, 5, 1, 2, 3, 198, 199]),
            ),
            (vec![packet(false, &[literal(&[5])])], 50, (Some((50, 3)), &[0, 1, 5])),
            (vec![packet(true, &[])], 60, (Some((60, 2)), &[0x80, 0])),
            // Too far apart, and beyond the file.
            (vec![packet(false, &[in_file(0, 2), in_file(99, 2)])], 1, (None, &[])),
            (vec![packet(false, &[in_file(199, 2)])], 1, (None, &[])),
        ] {
            let stretch = writer.add(&packets, offset, FILE_BYTES, 100);
            let (place, unit) = expected;
            assert_eq!(stretch.map(|stretch| (stretch.offset, stretch.bytes)), place);
            stretches.extend(stretch.map(|stretch| (stretch, unit)));
        }
        let recipes = writer.finish().unwrap();
        for (Stretch { offset, bytes, media_bytes }, expected) in stretches {
            let start = usize::try_from(offset).unwrap();
            let bytes = &file[start..start + bytes as usize];
            let mut unit = vec![7];
            recipes.unwrap(offset, bytes, &mut unit);
            assert_eq!(unit[1..], *expected);
            assert_eq!(media_bytes as usize, expected.len());
            for (offset, bytes) in [(offset + 1, bytes), (offset, &bytes[1..])] {
                recipes.unwrap(offset, bytes, &mut unit);
                assert_eq!(unit[1..], *expected, "nothing else lies there");
            }
        }
    }

    #[test]
    fn units_are_told_by_where_they_lie() {
        let add = |writer: &mut RecipeWriter, literals: &[u8]| {
            writer.add(&[packet(false, &[literal(literals), in_file(7, 20)])], 0, FILE_BYTES, 100)
        };
        let mut writer = RecipeWriter::default();
        for (literals, is_told) in [(&[1][..], true), (&[1], true), (&[2, 2], true), (&[2], false)]
        {
            assert!(add(&mut writer, literals).is_some());
            let RecipeWriter { keys, bytes } = &writer;
            let copy = RecipeWriter { keys: keys.clone(), bytes: bytes.clone() };
            assert_eq!(copy.finish().is_some(), is_told, "{literals:?}");
        }
    }
}
