//! Application data units of layer III: their bytes lie in several frames, so they are put together
//! before they are laid out.

use crate::index::AccessUnitEntry;
use crate::payload::mpeg_audio_robust::Frames;
use std::ops::Range;

/// The application data units of frames in a row.
pub(super) struct Adus {
    bytes: Vec<u8>,
    /// The first frame, and where the unit of each lies; `None` if the frame is missing.
    first: u32,
    places: Vec<Option<Range<usize>>>,
}

impl Adus {
    /// Those of `units`, which are frames.
    pub(super) fn new<'b>(
        units: impl Iterator<Item = AccessUnitEntry>,
        unit_bytes: impl Fn(&AccessUnitEntry) -> Option<&'b [u8]>,
    ) -> Self {
        let mut units = units.peekable();
        let mut frames = Frames::default();
        let first = units.peek().map_or(0, |unit| unit.index);
        let frame = |unit: AccessUnitEntry| {
            let bytes = if unit.bytes == 0 { Some(&[][..]) } else { unit_bytes(&unit) };
            frames.push(bytes.unwrap_or_default());
            bytes.is_some()
        };
        let there: Vec<bool> = units.map(frame).collect();
        let mut bytes = Vec::new();
        let place = |(position, is_there): (usize, &bool)| {
            let start = bytes.len();
            frames.append_unit(position, &mut bytes);
            is_there.then_some(start..bytes.len())
        };
        let places = there.iter().enumerate().map(place).collect();
        Self { bytes, first, places }
    }

    /// The unit of a frame, empty if none can be made; `None` if the frame is missing.
    pub(super) fn unit(&self, unit: &AccessUnitEntry) -> Option<&[u8]> {
        let position = unit.index.checked_sub(self.first)? as usize;
        self.bytes.get(self.places.get(position)?.clone()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_that_is_missing_is_told_from_one_without_a_unit() {
        // MPEG-2, 64 kbit/s, 24 kHz, mono, main data from the byte in front of its own on.
        let mut borrowing = [&[0xff, 0xf3, 0x84, 0xc0, 1][..], &[0; 187]].concat();
        borrowing[100] = 9;
        let whole = [&[0xff, 0xf3, 0x84, 0xc0, 0][..], &[7; 187]].concat();
        let frames = [Some(&whole), Some(&borrowing), None, Some(&borrowing), Some(&whole)];
        let unit = |index: u32| AccessUnitEntry {
            index,
            offset: 0,
            bytes: 192,
            media_bytes: 192,
            decode: 0,
            composition: 0,
            duration: 0,
            sync: true,
        };
        let bytes = |unit: &AccessUnitEntry| frames[unit.index as usize - 5].map(|f| &f[..]);
        let adus = Adus::new((5..10).map(unit), bytes);
        let lengths: Vec<_> = (4..11).map(|at| adus.unit(&unit(at)).map(<[u8]>::len)).collect();
        let expected = [None, Some(191), Some(193), None, Some(0), Some(192), None];
        assert_eq!(lengths, expected);
        let empty = AccessUnitEntry { bytes: 0, ..unit(0) };
        assert_eq!(Adus::new([empty].into_iter(), |_| None).unit(&empty), Some(&[][..]));
    }
}
