//! MPEG audio layer III as application data units (RFC 5219): each has the main data that its
//! frame decodes, wherever that lay, so that a lost packet costs what it held and nothing else,
//! and play can start with any. Several whole units a packet, or a fragment of one; they are not
//! interleaved.

use super::{PacketWriter, UnitError, fragments};
use crate::codec::layer_iii::Frame;
use std::ops::Range;

/// A unit's bytes behind a descriptor of one byte at most.
const SHORT_BYTES_MAX: usize = (1 << 6) - 1;
/// Bytes of the largest unit that a descriptor can tell.
const UNIT_BYTES_MAX: usize = (1 << 14) - 1;
/// Bytes of a descriptor at most.
const DESCRIPTOR_BYTES_MAX: usize = 2;
/// The flag of a descriptor in front of a fragment that is not a unit's first.
const CONTINUED: u8 = 0x80;
/// The flag of one of two bytes.
const LONG: u8 = 0x40;

/// Whether so many units of so many bytes in all fit into one packet, whatever each has.
#[must_use]
pub const fn fits(writer: &PacketWriter, count: usize, bytes: usize) -> bool {
    count * DESCRIPTOR_BYTES_MAX + bytes <= writer.payload_bytes_max()
}

/// Writes consecutive units, each behind its descriptor (§4.2, §4.3): several that [`fits`] allows
/// as one packet, or a single one, in fragments if need be. The marker stays clear (§4.4).
///
/// # Errors
/// [`UnitError::TooLarge`] beyond 16,383 bytes.
pub fn write_bundle(writer: &mut PacketWriter, units: &[&[u8]]) -> Result<(), UnitError> {
    if units.iter().any(|unit| unit.len() > UNIT_BYTES_MAX) {
        return Err(UnitError::TooLarge { bytes_max: UNIT_BYTES_MAX });
    }
    match units {
        [unit] if !fits(writer, 1, unit.len()) => {
            let bytes_max = writer.payload_bytes_max() - DESCRIPTOR_BYTES_MAX;
            for fragment in fragments(unit, bytes_max) {
                // Each tells the length of the whole unit.
                let mut descriptor = long_descriptor(unit.len());
                if fragment.offset > 0 {
                    descriptor[0] |= CONTINUED;
                }
                writer.packet([&descriptor, fragment.bytes]);
            }
        }
        _ => {
            writer.begin_packet();
            for unit in units {
                match u8::try_from(unit.len()) {
                    Ok(short) if unit.len() <= SHORT_BYTES_MAX => writer.push(&[short]),
                    _ => writer.push(&long_descriptor(unit.len())),
                }
                writer.push(unit);
            }
            writer.end_packet();
        }
    }
    Ok(())
}

#[allow(clippy::cast_possible_truncation, reason = "at most UNIT_BYTES_MAX")]
const fn long_descriptor(unit_bytes: usize) -> [u8; DESCRIPTOR_BYTES_MAX] {
    let [high, low] = (unit_bytes as u16).to_be_bytes();
    [high | LONG, low]
}

/// Frames of layer III in a row, from which application data units are made (§4.1, appendix A.1).
#[derive(Debug, Default)]
pub struct Frames<'a> {
    frames: Vec<Option<Placed<'a>>>,
    /// What lies behind the frames' heads, one behind the other.
    data: Vec<u8>,
    /// Where in it the data begin of frames between which nothing is missing.
    run_start: usize,
}

/// A frame and where its data lie in that of all.
#[derive(Debug)]
struct Placed<'a> {
    frame: Frame<'a>,
    /// What lies behind its head.
    own: Range<usize>,
    /// Where its main data begin; `None` if that is not there.
    main_data_start: Option<usize>,
}

impl<'a> Frames<'a> {
    /// Appends the next frame. What is none is a gap: no unit has data from both sides of it.
    pub fn push(&mut self, bytes: &'a [u8]) {
        let Some(frame) = Frame::parse(bytes) else {
            self.run_start = self.data.len();
            self.frames.push(None);
            return;
        };
        let start = self.data.len();
        self.data.extend_from_slice(frame.data);
        let main_data_start = start.checked_sub(frame.main_data_begin);
        self.frames.push(Some(Placed {
            frame,
            own: start..self.data.len(),
            main_data_start: main_data_start.filter(|start| *start >= self.run_start),
        }));
    }

    /// Appends the unit of the frame at `position` to `unit`: its head, and everything from where
    /// its main data begin to where those of the next frame do, ancillary data included. Nothing
    /// if it is no frame, or its main data began before the first one.
    pub fn append_unit(&self, position: usize, unit: &mut Vec<u8>) {
        let Some(Some(placed)) = self.frames.get(position) else { return };
        let Some(start) = placed.main_data_start else { return };
        let next = self.frames.get(position + 1).and_then(Option::as_ref);
        let end = next.and_then(|next| next.main_data_start).unwrap_or(placed.own.end);
        // A next frame of another recording may claim what is not its own.
        let end = end.max(start + placed.frame.main_data_bytes).min(placed.own.end);
        unit.extend_from_slice(placed.frame.head);
        unit.extend_from_slice(self.data.get(start..end).unwrap_or_default());
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::cast_possible_truncation, reason = "small numbers of a test")]

    use super::super::tests::{assert_even, payloads, unit, writer};
    use super::*;

    /// Data of a frame of 64 kbit/s, 24 kHz, mono: 192 bytes, 13 of them its head.
    const DATA_BYTES: usize = 192 - 13;

    /// A frame whose main data begin so far in front of it and have so many bytes.
    fn frame(main_data_begin: u8, main_data_bytes: u16, data: u8) -> Vec<u8> {
        let mut frame = vec![0xff, 0xf3, 0x84, 0xc0, main_data_begin];
        // part2_3_length in bits, with a private bit in front and three of others behind.
        frame.extend((main_data_bytes * 64).to_be_bytes());
        frame.resize(13, 0xee);
        frame.resize(192, data);
        frame
    }

    /// Runs of equal bytes of the data of each unit.
    fn runs(frames: &[Vec<u8>]) -> Vec<Vec<(u8, usize)>> {
        let mut rearranged = Frames::default();
        frames.iter().for_each(|frame| rearranged.push(frame));
        let units = (0..frames.len()).map(|position| {
            let mut unit = Vec::new();
            rearranged.append_unit(position, &mut unit);
            let Some((head, data)) = unit.split_at_checked(13) else { return vec![] };
            assert_eq!(head, &frames[position][..13]);
            data.chunk_by(|a, b| a == b).map(|run| (run[0], run.len())).collect()
        });
        units.collect()
    }

    #[test]
    fn units_have_the_data_that_they_decode() {
        const ALL: usize = DATA_BYTES;
        for (frames, expected) in [
            // Nothing in front: each has what lies behind its head.
            (vec![frame(0, 100, 1), frame(0, 179, 2)], vec![vec![(1, ALL)], vec![(2, ALL)]]),
            // Some of the frame in front; the rest of it is that one's, used or not.
            (
                vec![frame(0, 9, 1), frame(50, 220, 2), frame(0, 20, 3)],
                vec![vec![(1, ALL - 50)], vec![(1, 50), (2, ALL)], vec![(3, ALL)]],
            ),
            // Of two frames in front.
            (
                vec![frame(0, 9, 1), frame(170, 3, 2), frame(255, 9, 3)],
                vec![vec![(1, 9)], vec![(1, ALL - 85)], vec![(1, 76), (2, ALL), (3, ALL)]],
            ),
            // What lies before the first is not there.
            (
                vec![frame(1, 9, 1), frame(ALL as u8 + 1, 9, 2), frame(255, 9, 3)],
                vec![vec![], vec![], vec![(1, 76), (2, ALL), (3, ALL)]],
            ),
            // Nor what lies before a gap.
            (
                vec![frame(0, 9, 1), vec![0; 9], frame(1, 9, 2), frame(100, 9, 3)],
                vec![vec![(1, ALL)], vec![], vec![], vec![(2, 100), (3, ALL)]],
            ),
            // A frame that claims what the one in front needs.
            (
                vec![frame(0, 170, 1), frame(90, 9, 2)],
                vec![vec![(1, 170)], vec![(1, 90), (2, ALL)]],
            ),
            // One that needs more than there is.
            (vec![frame(0, 400, 1), frame(0, 9, 2)], vec![vec![(1, ALL)], vec![(2, ALL)]]),
        ] {
            assert_eq!(runs(&frames), expected);
        }
    }

    #[test]
    fn units_share_a_packet_behind_their_descriptors() {
        let (short, long) = ([7; 63], [9; 64]);
        let mut writer = writer(500);
        write_bundle(&mut writer, &[&short, &long, &[1]]).unwrap();
        let wire = [&[63][..], &short, &[0x40, 64], &long, &[1, 1]].concat();
        assert_eq!(payloads(&writer), [(false, &wire[..])]);
        assert!(fits(&writer, 3, 482) && !fits(&writer, 3, 483));
    }

    #[test]
    fn every_length_is_rebuilt_from_fragments() {
        for packet_bytes_max in [64, 576, 1452] {
            for bytes in (1..2500).chain([UNIT_BYTES_MAX]) {
                let unit = unit(bytes);
                let mut writer = writer(packet_bytes_max);
                write_bundle(&mut writer, &[&unit]).unwrap();
                let packets = payloads(&writer);
                let mut rebuilt = Vec::new();
                if let [(false, payload)] = packets[..] {
                    let descriptor_bytes = if bytes > SHORT_BYTES_MAX { 2 } else { 1 };
                    rebuilt.extend_from_slice(&payload[descriptor_bytes..]);
                } else {
                    assert_even(&packets);
                    for (marker, payload) in packets {
                        let descriptor = u16::from_be_bytes([payload[0], payload[1]]);
                        let continued = if rebuilt.is_empty() { 0 } else { 0x8000 };
                        assert_eq!(descriptor, continued | 0x4000 | bytes as u16);
                        assert!(!marker);
                        rebuilt.extend_from_slice(&payload[2..]);
                    }
                }
                assert_eq!(rebuilt, unit);
            }
        }
        let error = write_bundle(&mut writer(576), &[&unit(UNIT_BYTES_MAX + 1)]);
        assert_eq!(error, Err(UnitError::TooLarge { bytes_max: UNIT_BYTES_MAX }));
    }
}
