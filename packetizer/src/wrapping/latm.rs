//! AAC access units in AudioMuxElements (ISO 14496-3 §1.7.3), where they do not begin with a byte.

/// The AudioMuxElements of a track, each with one access unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MuxElements {
    /// Bits of the StreamMuxConfig, in those elements that have one.
    pub config_bits: u16,
}

impl MuxElements {
    /// Where the access unit begins in an element, in bits, and how many bytes it has; `None` if it
    /// is not all there.
    pub(crate) fn find(self, element: &[u8]) -> Option<(usize, usize)> {
        let has_config = element.first()? & 0x80 == 0;
        let mut start = 1 + if has_config { usize::from(self.config_bits) } else { 0 };
        let mut length = 0;
        loop {
            let byte = byte_at(element, start)?; // MuxSlotLengthBytes
            (start, length) = (start + 8, length + usize::from(byte));
            if byte != u8::MAX {
                break;
            }
        }
        (start + 8 * length <= 8 * element.len()).then_some((start, length))
    }

    /// Puts the access unit in the place of the element that lies in `bytes` from `start` on.
    pub(super) fn unwrap_from(self, start: usize, bytes: &mut Vec<u8>) {
        let element = bytes.get_mut(start..).unwrap_or_default();
        let (bit, length) = self.find(element).unwrap_or((0, 0));
        for at in 0..length {
            // What is written lies in front of what is still to be read.
            if let (Some(byte), Some(place)) = (byte_at(element, bit + 8 * at), element.get_mut(at))
            {
                *place = byte;
            }
        }
        bytes.truncate(start + length);
    }

    /// Appends the access unit in an element.
    pub(super) fn unwrap(self, element: &[u8], unit: &mut Vec<u8>) {
        let Some((start, length)) = self.find(element) else { return };
        unit.extend((0..length).map_while(|at| byte_at(element, start + 8 * at)));
    }
}

/// The eight bits from this one on.
fn byte_at(bytes: &[u8], bit: usize) -> Option<u8> {
    let (at, shift) = (bit / 8, bit % 8);
    let first = *bytes.get(at)?;
    if shift == 0 {
        return Some(first);
    }
    Some(first << shift | bytes.get(at + 1)? >> (8 - shift))
}

#[cfg(test)]
#[allow(clippy::cast_possible_truncation, reason = "small numbers of a test")]
mod tests {
    use super::*;

    #[test]
    fn units_begin_with_any_bit() {
        for config_bits in 0..40_u16 {
            for (length, has_config) in [(0, true), (3, true), (255, false), (700, true)] {
                let unit: Vec<u8> = (0..length).map(|at| (at * 7 % 251) as u8).collect();
                let mut bits = vec![!has_config];
                bits.extend((0..config_bits).filter(|_| has_config).map(|bit| bit % 3 == 0));
                let mut lengths = vec![0xff; length / 255];
                lengths.push((length % 255) as u8);
                for byte in lengths.iter().chain(&unit) {
                    bits.extend((0..8).rev().map(|bit| byte >> bit & 1 == 1));
                }
                let byte = |bits: &[bool]| {
                    (0..8).fold(0, |sum, at| sum << 1 | u8::from(bits.get(at) == Some(&true)))
                };
                let element: Vec<u8> = bits.chunks(8).map(byte).collect();
                let elements = MuxElements { config_bits };
                let mut unwrapped = Vec::new();
                elements.unwrap(&element, &mut unwrapped);
                assert_eq!(unwrapped, unit, "{config_bits} {length}");
                let mut replaced = [&[7, 8], &element[..]].concat();
                elements.unwrap_from(2, &mut replaced);
                assert_eq!(replaced, [&[7, 8], &unit[..]].concat());
                for end in 0..element.len() {
                    assert_eq!(elements.find(&element[..end]), None);
                }
            }
        }
    }
}
