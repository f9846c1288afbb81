//! Programme specific information: which programmes there are, and their streams
//! (ISO 13818-1 §2.4.4, ETSI EN 300 468 §6.2, ETSI TS 101 154 annex).

use super::kind::{Descriptors, StreamKind};
use crate::wrapping::transport_stream::Packet;

/// Bytes of a section at most.
const SECTION_BYTES_MAX: usize = 3 + 0xfff;

/// Sections put together from the packets of one packet identifier.
#[derive(Debug, Default)]
pub(super) struct Sections {
    buffer: Vec<u8>,
}

impl Sections {
    /// Takes a packet, and calls `each` with every section that is whole and undamaged.
    pub(super) fn push(&mut self, packet: &Packet<'_>, mut each: impl FnMut(&[u8])) {
        if !packet.is_start {
            if !self.buffer.is_empty() {
                self.buffer.extend_from_slice(packet.payload);
            }
            self.drain(&mut each);
            return;
        }
        let Some((pointer, rest)) = packet.payload.split_first() else { return };
        let Some((tail, sections)) = rest.split_at_checked(usize::from(*pointer)) else { return };
        if !self.buffer.is_empty() {
            self.buffer.extend_from_slice(tail);
            self.drain(&mut each);
        }
        self.buffer.clear();
        self.buffer.extend_from_slice(sections);
        self.drain(&mut each);
    }

    fn drain(&mut self, each: &mut impl FnMut(&[u8])) {
        let mut rest = &self.buffer[..];
        while let [table, high, low, ..] = rest {
            let length = 3 + usize::from(u16::from_be_bytes([high & 0x0f, *low]));
            let Some((section, behind)) = rest.split_at_checked(length) else { break };
            if *table == STUFFING {
                rest = &[];
                break;
            }
            if is_intact(section) {
                each(section);
            }
            rest = behind;
        }
        let used = self.buffer.len() - rest.len();
        self.buffer.drain(..used);
        if self.buffer.first() == Some(&STUFFING) || self.buffer.len() > SECTION_BYTES_MAX {
            self.buffer.clear();
        }
    }
}

/// Follows the last section of a packet.
const STUFFING: u8 = 0xff;

/// Whether the checksum at the end of a section is right (§A).
fn is_intact(section: &[u8]) -> bool {
    let remainder = section.iter().fold(u32::MAX, |mut sum, byte| {
        sum ^= u32::from(*byte) << 24;
        for _ in 0..8 {
            sum = if sum >> 31 == 1 { (sum << 1) ^ 0x04c1_1db7 } else { sum << 1 };
        }
        sum
    });
    remainder == 0
}

/// What follows the header of a section with this table_id, without the checksum, and its
/// table_id_extension. Those that are not yet in force are left out.
fn body(section: &[u8], table_id: u8) -> Option<(u16, &[u8])> {
    let [table, _, _, high, low, version, _, _, rest @ ..] = section else { return None };
    let is_current = version & 1 == 1;
    let body = rest.get(..rest.len().checked_sub(4)?)?;
    (*table == table_id && is_current).then_some((u16::from_be_bytes([*high, *low]), body))
}

/// The packet identifiers of the programme map tables that a section of the programme association
/// table names.
pub(super) fn parse_associations(section: &[u8]) -> Vec<u16> {
    let Some((_, body)) = body(section, 0) else { return Vec::new() };
    body.as_chunks::<4>()
        .0
        .iter()
        .filter(|[high, low, ..]| (*high, *low) != (0, 0)) // the network's own
        .map(|[_, _, high, low]| u16::from_be_bytes([high & 0x1f, *low]))
        .collect()
}

/// A stream of a programme.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ProgramStream {
    pub(super) pid: u16,
    pub(super) kind: StreamKind,
    pub(super) language: Option<[u8; 3]>,
}

/// The number of a programme and its streams, from a section of its map table.
pub(super) fn parse_map(section: &[u8]) -> Option<(u16, Vec<ProgramStream>)> {
    let (number, body) = body(section, 2)?;
    let [_, _, high, low, rest @ ..] = body else { return None };
    let length = usize::from(u16::from_be_bytes([high & 0x0f, *low]));
    let (_, mut rest) = rest.split_at_checked(length)?;
    let mut streams = Vec::new();
    while let [kind, pid_high, pid_low, high, low, behind @ ..] = rest {
        let length = usize::from(u16::from_be_bytes([high & 0x0f, *low]));
        let Some((descriptors, behind)) = behind.split_at_checked(length) else { break };
        let descriptors = Descriptors(descriptors);
        streams.push(ProgramStream {
            pid: u16::from_be_bytes([pid_high & 0x1f, *pid_low]),
            kind: StreamKind::of(*kind, descriptors),
            language: descriptors.language(),
        });
        rest = behind;
    }
    Some((number, streams))
}

#[cfg(test)]
#[allow(clippy::cast_possible_truncation, reason = "small numbers of a test")]
pub(super) mod tests {
    use super::*;
    use crate::codec::picture::VideoKind;

    /// A section with its length and checksum.
    pub(in super::super) fn section(table: u8, extension: u16, body: &[u8]) -> Vec<u8> {
        let [high, low] = ((5 + body.len() + 4) as u16).to_be_bytes();
        let [extension_high, extension_low] = extension.to_be_bytes();
        let mut section = vec![table, 0xb0 | high, low, extension_high, extension_low, 0xc1, 0, 0];
        section.extend_from_slice(body);
        let sum = section.iter().fold(u32::MAX, |sum, byte| {
            (0..8).rev().fold(sum, |sum, bit| {
                let top = (sum >> 31) as u8 ^ (byte >> bit & 1);
                (sum << 1) ^ (u32::from(top) * 0x04c1_1db7)
            })
        });
        section.extend_from_slice(&sum.to_be_bytes());
        section
    }

    fn packet(start: bool, payload: &[u8]) -> Vec<u8> {
        [&[0x47, if start { 0x40 } else { 0 }, 0, 0x10], payload].concat()
    }

    fn sections(packets: &[Vec<u8>]) -> Vec<Vec<u8>> {
        let (mut sections, mut found) = (Sections::default(), Vec::new());
        for packet in packets {
            let packet = Packet::parse(packet).unwrap();
            sections.push(&packet, |section| found.push(section.to_vec()));
        }
        found
    }

    #[test]
    fn sections_are_put_together_from_packets() {
        let (one, two) = (section(0, 1, &[0, 1, 0xe1, 0]), section(0, 2, &[0, 2, 0xe2, 0]));
        let mut damaged = two.clone();
        damaged[9] ^= 1;
        let both = [&[0], &one[..], &two, &[0xff; 5]].concat();
        for (packets, expected) in [
            (vec![packet(true, &both)], vec![one.clone(), two.clone()]),
            (
                vec![packet(true, &both[..9]), packet(false, &both[9..])],
                vec![one.clone(), two.clone()],
            ),
            (
                vec![
                    packet(true, &both[..9]),
                    packet(true, &[&[8], &one[8..], &two[..], &[0xff]].concat()),
                ],
                vec![one.clone(), two.clone()],
            ),
            (vec![packet(true, &[&[0], &damaged[..], &one[..]].concat())], vec![one.clone()]),
            (vec![packet(false, &one)], vec![]),
            (vec![packet(true, &[200, 1, 2])], vec![]),
            (vec![packet(true, &[0])], vec![]),
        ] {
            assert_eq!(sections(&packets), expected, "{packets:x?}");
        }
        let endless = vec![packet(false, &[1; 184]); 100];
        assert!(
            sections(
                &[vec![packet(true, &[&[0, 2, 0xbf, 0xff], &[1; 50][..]].concat())], endless]
                    .concat()
            )
            .is_empty()
        );
    }

    #[test]
    fn tables_name_programmes_and_streams() {
        let association = section(0, 9, &[0, 0, 0xe0, 0x10, 0, 1, 0xe1, 0, 0, 2, 0xff, 0xff]);
        assert_eq!(parse_associations(&association), [0x100, 0x1fff]);
        assert_eq!(parse_associations(&section(2, 9, &[0, 1, 0xe1, 0])), []);
        let mut next = association;
        next[5] &= 0xfe;
        assert_eq!(parse_associations(&next), []);

        let streams = [
            0xe1, 1, 0xf0, 2, 9, 0, // PCR, a descriptor
            0x1b, 0xe1, 1, 0xf0, 0, // H.264
            0x06, 0xe1, 2, 0xf0, 9, 0x6a, 1, 0, 10, 4, b'd', b'e', b'u', 0, // AC-3
        ];
        let found = parse_map(&section(2, 7, &streams)).unwrap();
        let stream = |pid, kind, language| ProgramStream { pid, kind, language };
        let video = stream(0x101, StreamKind::Video(VideoKind::H264), None);
        assert_eq!(found, (7, vec![video.clone(), stream(0x102, StreamKind::Ac3, Some(*b"deu"))]));
        assert_eq!(parse_map(&section(2, 7, &streams[..20])), Some((7, vec![video])));
        assert_eq!(parse_map(&section(2, 7, &streams[..5])), None);
        assert_eq!(parse_map(&section(0, 7, &streams)), None);
    }
}
