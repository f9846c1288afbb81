//! Elementary streams in transport stream packets (ISO 13818-1 §2.4.3).

use crate::codec::mp2t::PACKET_BYTES;
use std::sync::Arc;

/// What each packet begins with.
pub const SYNC_BYTE: u8 = 0x47;

/// A run of whole packets in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stretch {
    /// Offset of the first packet's sync byte.
    pub start: u64,
    /// Offset behind the last packet.
    pub end: u64,
}

/// Where the packets of a transport stream lie in the file, and which are a track's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PacketGrid {
    /// From one packet to the next: 188, 192 or 204.
    pub packet_bytes: u16,
    /// The runs of packets between which there is something else, in their order.
    pub stretches: Arc<[Stretch]>,
    /// The packet identifier of the track.
    pub pid: u16,
}

impl PacketGrid {
    /// Appends the elementary stream's bytes in `bytes`, which lie at `offset` in the file: the
    /// first and the last are its own.
    pub(super) fn unwrap(&self, offset: u64, bytes: &[u8], unit: &mut Vec<u8>) {
        let end = offset.saturating_add(bytes.len() as u64);
        let step = u64::from(self.packet_bytes.max(1));
        let behind = self.stretches.partition_point(|stretch| stretch.start <= offset);
        let Some(first) = behind.checked_sub(1) else { return };
        let mut previous: Option<Packet<'_>> = None;
        for stretch in self.stretches.get(first..).unwrap_or_default() {
            let skipped = offset.saturating_sub(stretch.start) / step * step;
            let mut at = stretch.start.saturating_add(skipped);
            while at < end.min(stretch.end) {
                let within = at.max(offset) - offset;
                let rest = usize::try_from(within).ok().and_then(|within| bytes.get(within..));
                let packet_end = at.saturating_add(PACKET_BYTES as u64) - at.max(offset);
                let Some(rest) = rest else { return };
                let length = usize::try_from(packet_end).unwrap_or(usize::MAX).min(rest.len());
                let piece = rest.get(..length).unwrap_or(rest);
                if at < offset {
                    unit.extend_from_slice(piece); // the unit begins within the packet
                } else if let Some(packet) = self.packet(piece) {
                    if !previous.is_some_and(|previous| packet.repeats(&previous)) {
                        unit.extend_from_slice(packet.elementary().map_or(&[], |(_, es)| es));
                    }
                    previous = Some(packet);
                }
                at = at.saturating_add(step);
            }
        }
    }

    /// A packet of the track, with payload that can be read.
    fn packet<'a>(&self, bytes: &'a [u8]) -> Option<Packet<'a>> {
        Packet::parse(bytes).filter(|p| p.pid == self.pid && p.has_payload && !p.is_scrambled)
    }
}

/// A transport stream packet, or its beginning.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Packet<'a> {
    pub(crate) pid: u16,
    /// payload_unit_start_indicator
    pub(crate) is_start: bool,
    pub(crate) is_scrambled: bool,
    pub(crate) has_payload: bool,
    /// continuity_counter
    pub(crate) counter: u8,
    /// Where the payload begins in the packet.
    payload_at: usize,
    /// The adaptation field behind its length (§2.4.3.4).
    adaptation: &'a [u8],
    pub(crate) payload: &'a [u8],
}

impl<'a> Packet<'a> {
    /// Parses the packet that begins with the first of `bytes`, of which some may be missing at the
    /// end; `None` without sync byte or header.
    pub(crate) fn parse(bytes: &'a [u8]) -> Option<Self> {
        let [SYNC_BYTE, high, low, control, ..] = *bytes else { return None };
        let has_payload = control & 0x10 != 0;
        let mut payload_at = 4;
        if control & 0x20 != 0 {
            payload_at += 1 + usize::from(*bytes.get(4).unwrap_or(&0));
        }
        let adaptation = bytes.get(5..payload_at).unwrap_or_default();
        let payload = bytes.get(payload_at..).filter(|_| has_payload).unwrap_or_default();
        Some(Self {
            pid: u16::from_be_bytes([high & 0x1f, low]),
            is_start: high & 0x40 != 0,
            is_scrambled: control & 0xc0 != 0,
            has_payload,
            counter: control & 0x0f,
            payload_at,
            adaptation,
            payload,
        })
    }

    /// program_clock_reference_base: 33 bits of 90 kHz.
    pub(crate) fn clock_reference(&self) -> Option<u64> {
        let [flags, reference @ ..] = self.adaptation else { return None };
        let [high, b, c, low, last, _] = *reference.first_chunk().filter(|_| flags & 0x10 != 0)?;
        let upper = u32::from_be_bytes([high, b, c, low]);
        Some(u64::from(upper) << 1 | u64::from(last >> 7))
    }

    /// random_access_indicator
    pub(crate) fn is_random_access(&self) -> bool {
        self.adaptation.first().is_some_and(|flags| flags & 0x40 != 0)
    }

    /// Whether a PES packet of pictures begins in it (table 2-22).
    pub(crate) fn is_video(&self) -> bool {
        matches!(self.payload, [0, 0, 1, 0xe0..=0xef, ..])
    }

    /// Whether it is the one before once more (§2.4.3.3), which may be done once. Of a packet that
    /// is cut short, what is there counts.
    pub(crate) fn repeats(&self, previous: &Self) -> bool {
        self.counter == previous.counter && self.repeats_payload(previous.payload)
    }

    /// Whether it has this payload, or its beginning.
    pub(crate) fn repeats_payload(&self, previous: &[u8]) -> bool {
        !self.payload.is_empty() && previous.starts_with(self.payload)
    }

    /// The elementary stream's bytes and where they begin in the packet: behind the header, if a
    /// PES packet begins in it. `None` if that should be so and is not.
    pub(crate) fn elementary(&self) -> Option<(usize, &'a [u8])> {
        let header_bytes = if self.is_start { PesHeader::parse(self.payload)?.bytes } else { 0 };
        let bytes = self.payload.get(header_bytes..).unwrap_or_default();
        Some((self.payload_at + header_bytes, bytes))
    }
}

/// The header of a PES packet (§2.4.3.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PesHeader {
    /// Its length, which may be more than the packet's.
    pub(crate) bytes: usize,
    /// Presentation time stamp, in 33 bits of 90 kHz.
    pub(crate) presentation: Option<u64>,
    /// Decoding time stamp, if it differs.
    pub(crate) decoding: Option<u64>,
}

impl PesHeader {
    /// Parses what is at the beginning of `payload`; `None` without the start code.
    pub(crate) fn parse(payload: &[u8]) -> Option<Self> {
        let [0, 0, 1, stream_id, _, _, rest @ ..] = payload else { return None };
        if WITHOUT_HEADER.contains(stream_id) {
            return Some(Self { bytes: 6, presentation: None, decoding: None });
        }
        let [marker, flags, length, stamps @ ..] = rest else { return None };
        if marker & 0xc0 != 0x80 {
            return None;
        }
        let stamp = |at: usize| time_stamp(stamps.get(at..)?);
        Some(Self {
            bytes: 9 + usize::from(*length),
            presentation: if flags & 0x80 != 0 && *length >= 5 { stamp(0) } else { None },
            decoding: if flags & 0xc0 == 0xc0 && *length >= 10 { stamp(5) } else { None },
        })
    }
}

/// The time stamp that `bytes` begin with: 33 bits in five bytes.
pub(super) fn time_stamp(bytes: &[u8]) -> Option<u64> {
    let [high, b1, b0, a1, a0] = *bytes.first_chunk::<5>()?;
    let wide = u64::from(high >> 1 & 7) << 30;
    let middle = u64::from(u16::from_be_bytes([b1, b0]) >> 1) << 15;
    Some(wide | middle | u64::from(u16::from_be_bytes([a1, a0]) >> 1))
}

/// stream_id of PES packets without a header: programme stream map, padding, private stream 2,
/// ECM, EMM, programme stream directory, DSM-CC, H.222.1 type E (table 2-21).
const WITHOUT_HEADER: [u8; 8] = [0xbc, 0xbe, 0xbf, 0xf0, 0xf1, 0xff, 0xf2, 0xf8];

#[cfg(test)]
#[allow(clippy::cast_possible_truncation, reason = "small numbers of a test")]
mod tests {
    use super::*;

    const PID: u16 = 0x101;

    /// A packet with stuffing in front of what it carries.
    fn packet(pid: u16, start: bool, counter: u8, carried: &[u8]) -> Vec<u8> {
        let [high, low] = pid.to_be_bytes();
        let mut packet = vec![SYNC_BYTE, high | if start { 0x40 } else { 0 }, low, 0x30 | counter];
        let stuffing = PACKET_BYTES - 5 - carried.len();
        packet.push(stuffing as u8);
        packet.extend(vec![0xff; stuffing]);
        packet.extend_from_slice(carried);
        packet
    }

    fn grid(packet_bytes: u16, stretches: &[(u64, u64)]) -> PacketGrid {
        let stretches =
            stretches.iter().map(|(start, end)| Stretch { start: *start, end: *end }).collect();
        PacketGrid { packet_bytes, stretches, pid: PID }
    }

    fn unwrapped(grid: &PacketGrid, file: &[u8], start: usize, end: usize) -> Vec<u8> {
        let mut unit = Vec::new();
        grid.unwrap(start as u64, &file[start..end], &mut unit);
        unit
    }

    #[test]
    fn takes_the_tracks_payload_out_of_packets() {
        let pes = [0, 0, 1, 0xe0, 0, 0, 0x80, 0, 2, 0xff, 0xff, 5, 6];
        for (packet_bytes, front, back) in [(188, 0, 0), (192, 4, 0), (204, 0, 16)] {
            let mut file = vec![7; 50]; // garbage
            for packet in [
                packet(PID, true, 0, &[&pes[..11], &[1, 2, 3]].concat()),
                packet(0x102, false, 0, &[9; 9]),
                packet(PID, false, 1, &[4]),
                packet(PID, false, 1, &[4]), // sent twice
                packet(PID, true, 2, &pes),
            ] {
                file.extend(vec![0xaa; front]);
                file.extend(packet);
                file.extend(vec![0xbb; back]);
            }
            let grid = grid(packet_bytes, &[(50 + front as u64, file.len() as u64)]);
            let step = usize::from(packet_bytes);
            let first_end = 50 + front + PACKET_BYTES;
            let last = file.len() - back;
            for (start, end, expected) in [
                (first_end - 3, last, &[1, 2, 3, 4, 5, 6][..]),
                (first_end - 1, last - 1, &[3, 4, 5]),
                (first_end - 3, first_end - 1, &[1, 2]),
                (first_end - 1, first_end + 2 * step, &[3, 4]),
                (last - 1, last, &[6]),
            ] {
                assert_eq!(unwrapped(&grid, &file, start, end), expected, "{packet_bytes} {start}");
            }
        }
    }

    #[test]
    fn goes_over_garbage_between_stretches() {
        let mut file = packet(PID, false, 0, &[1]);
        file.extend([SYNC_BYTE; 100]);
        file.extend(packet(PID, false, 1, &[2]));
        let grid = grid(188, &[(0, 188), (288, 476)]);
        assert_eq!(unwrapped(&grid, &file, 187, 476), [1, 2]);
        assert_eq!(unwrapped(&grid, &file, 475, 476), [2]);
        assert_eq!(unwrapped(&grid, &file, 187, 300), [1]);
    }

    #[test]
    fn any_bytes_are_unwrapped_somehow() {
        let stretches: Vec<_> = (0..40).map(|at| (at * 100, at * 100 + 90)).collect();
        for (grid, start) in
            [(grid(188, &stretches), 70), (grid(0, &[(0, 999)]), 0), (grid(204, &[]), 9)]
        {
            let file: Vec<u8> = (0..5000)
                .map(|at: u32| if at.is_multiple_of(7) { 0x47 } else { at as u8 })
                .collect();
            assert!(unwrapped(&grid, &file, start, 4000).len() <= 4000);
        }
    }

    #[test]
    fn reads_time_stamps() {
        let both = [0x31, 0x00, 0x01, 0x00, 0x03, 0x1f, 0xff, 0xff, 0xff, 0xff];
        let header = |flags: u8, length: u8, rest: &[u8]| {
            PesHeader::parse(&[&[0, 0, 1, 0xe0, 0, 0, 0x80, flags, length], rest].concat())
        };
        let expected =
            |bytes, presentation, decoding| Some(PesHeader { bytes, presentation, decoding });
        assert_eq!(header(0xc0, 10, &both), expected(19, Some(1), Some((1 << 33) - 1)));
        assert_eq!(header(0x80, 5, &both), expected(14, Some(1), None));
        assert_eq!(header(0x80, 4, &both), expected(13, None, None));
        assert_eq!(header(0xc0, 10, &both[..7]), expected(19, Some(1), None));
        assert_eq!(header(0, 255, &[]), expected(264, None, None));
        assert_eq!(PesHeader::parse(&[0, 0, 1, 0xbe, 0, 0]), expected(6, None, None));
        assert_eq!(PesHeader::parse(&[0, 0, 1, 0xe0, 0, 0, 0x40, 0, 0]), None);
        assert_eq!(PesHeader::parse(&[0, 0, 2, 0xe0, 0, 0, 0x80, 0, 0]), None);
    }
}
