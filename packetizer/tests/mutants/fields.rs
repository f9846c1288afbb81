//! Numbers in files, and what to put in their place.

use super::damage::Chance;

/// A number in a file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Field {
    pub(crate) at: usize,
    /// 1 to 8.
    pub(crate) bytes: usize,
    pub(crate) is_little: bool,
}

impl Field {
    /// Puts another number there: an extreme, a near one, or any.
    pub(super) fn damage(self, file: &mut [u8], chance: &mut Chance) {
        let Some(place) = file.get_mut(self.at..self.at + self.bytes) else { return };
        let bits = 8 * self.bytes as u32;
        let most = u64::MAX >> (64 - bits);
        let fold = |sum: u64, byte: &u8| sum << 8 | u64::from(*byte);
        let old = match self.is_little {
            true => place.iter().rev().fold(0, fold),
            false => place.iter().fold(0, fold),
        };
        let value = match chance.below(10) {
            0 => 0,
            1 => most,
            2 => most / 2,
            3 => most / 2 + 1,
            4 => old.wrapping_add(1),
            5 => old.wrapping_sub(1),
            6 => old << 1,
            7 => old >> 1,
            8 => chance.any() & 0xff,
            _ => chance.any(),
        };
        let bytes = (value & most).to_be_bytes();
        place.copy_from_slice(&bytes[8 - self.bytes..]);
        if self.is_little {
            place.reverse();
        }
    }
}

/// Numbers of these lengths, one behind the other from `at` on.
pub(crate) fn fields_at(at: usize, lengths: &[usize], is_little: bool) -> Vec<Field> {
    let mut next = at;
    let field = |bytes: &usize| {
        let at = next;
        next += bytes;
        Field { at, bytes: *bytes, is_little }
    };
    lengths.iter().map(field).collect()
}

/// Each byte from `start` to `end`.
pub(crate) fn bytes_between(start: usize, end: usize) -> Vec<Field> {
    (start..end).map(|at| Field { at, bytes: 1, is_little: false }).collect()
}
