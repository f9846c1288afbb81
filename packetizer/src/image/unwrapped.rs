//! Access units whose bytes do not lie one behind the other in the file, before they are laid out.

use crate::index::AccessUnitEntry;
use crate::wrapping::Wrapping;

/// The access units of a segment without what their container wraps them in.
pub(super) struct Unwrapped {
    bytes: Vec<u8>,
    /// The first unit, and where each begins and the last one ends.
    first: u32,
    starts: Vec<usize>,
}

impl Unwrapped {
    /// A unit whose bytes are missing ends it.
    pub(super) fn new<'b>(
        wrapping: &Wrapping,
        units: impl Iterator<Item = AccessUnitEntry>,
        unit_bytes: impl Fn(&AccessUnitEntry) -> Option<&'b [u8]>,
    ) -> Self {
        let mut unwrapped = Self { bytes: Vec::new(), first: 0, starts: vec![0] };
        for unit in units {
            let bytes = if unit.bytes == 0 { Some(&[][..]) } else { unit_bytes(&unit) };
            let Some(bytes) = bytes else { break };
            if unwrapped.starts.len() == 1 {
                unwrapped.first = unit.index;
            }
            wrapping.unwrap(unit.offset, bytes, &mut unwrapped.bytes);
            unwrapped.starts.push(unwrapped.bytes.len());
        }
        unwrapped
    }

    /// A unit's bytes; `None` if they were missing.
    pub(super) fn unit(&self, unit: &AccessUnitEntry) -> Option<&[u8]> {
        let position = unit.index.checked_sub(self.first)? as usize;
        self.bytes.get(*self.starts.get(position)?..*self.starts.get(position + 1)?)
    }
}
