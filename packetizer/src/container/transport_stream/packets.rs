//! Where packets lie in a file, with garbage in front of them and in between.

use super::{FORMAT, IndexError};
use crate::codec::mp2t::PACKET_BYTES;
use crate::wrapping::transport_stream::{Packet, SYNC_BYTE, Stretch};

/// Lengths of a packet with what stands in front of it (a time stamp of 4 bytes, on Blu-ray discs)
/// or behind (16 bytes of error correction, in broadcasting).
const LENGTHS: [u16; 3] = [188, 192, 204];
/// Sync bytes in a row that make a transport stream, if the file has as many.
const SYNCS_SURE: usize = 8;
const SYNCS_MIN: usize = 3;
/// Runs of packets with something else in between.
const STRETCHES_MAX: usize = 1 << 16;

/// How the packets lie at the beginning of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    pub(super) packet_bytes: u16,
    /// Offset of the first sync byte.
    pub(super) start: u64,
}

impl Layout {
    /// Looks for sync bytes one packet apart.
    pub(super) fn recognize(head: &[u8]) -> Option<Self> {
        (0..head.len()).find_map(|start| {
            if head.get(start) != Some(&SYNC_BYTE) {
                return None;
            }
            LENGTHS.iter().find_map(|packet_bytes| {
                let step = usize::from(*packet_bytes);
                let rest = head.get(start..)?;
                let starts = rest.iter().step_by(step).take(SYNCS_SURE);
                let syncs = starts.take_while(|byte| **byte == SYNC_BYTE).count();
                // Short files have few; in those nothing stands in front of the first.
                let is_all = syncs >= SYNCS_MIN && start < step && rest.len() <= syncs * step;
                let layout = Self { packet_bytes: *packet_bytes, start: start as u64 };
                (syncs >= SYNCS_SURE || is_all).then_some(layout)
            })
        })
    }
}

/// Goes from packet to packet, and notes where they lie.
#[derive(Debug)]
pub(super) struct Packets {
    packet_bytes: u16,
    stretches: Vec<Stretch>,
    /// Whether the last packet was in step with those before.
    is_in_step: bool,
}

impl Packets {
    pub(super) const fn new(packet_bytes: u16) -> Self {
        Self { packet_bytes, stretches: Vec::new(), is_in_step: false }
    }

    pub(super) const fn packet_bytes(&self) -> u16 {
        self.packet_bytes
    }

    /// Where the packets were found.
    pub(super) fn into_stretches(self) -> Vec<Stretch> {
        self.stretches
    }

    /// Calls `each` with the packets in `bytes` that lie at `offset` in the file, until it wants no
    /// more. Yields how many bytes need not be given again.
    pub(super) fn walk(
        &mut self,
        bytes: &[u8],
        offset: u64,
        is_last: bool,
        mut each: impl FnMut(u64, &Packet<'_>) -> Result<bool, IndexError>,
    ) -> Result<u64, IndexError> {
        let step = usize::from(self.packet_bytes);
        let mut at = 0;
        loop {
            if !self.is_in_step {
                match self.resync(bytes, at, is_last) {
                    Ok(found) => at = found,
                    Err(kept) => return Ok(kept as u64),
                }
            }
            let packet = bytes.get(at..).and_then(|rest| rest.get(..PACKET_BYTES));
            let Some(packet) = packet else { return Ok(at as u64) };
            if packet.first() != Some(&SYNC_BYTE) {
                self.is_in_step = false;
                continue;
            }
            let here = offset + at as u64;
            self.note(here)?;
            at += step;
            if let Some(packet) = Packet::parse(packet)
                && !each(here, &packet)?
            {
                return Ok(at as u64);
            }
        }
    }

    /// The next place in `bytes` where a packet begins, and another behind it. If that cannot be
    /// told yet, from where on bytes must be given again, as an error.
    fn resync(&self, bytes: &[u8], from: usize, is_last: bool) -> Result<usize, usize> {
        let step = usize::from(self.packet_bytes);
        let mut at = from;
        loop {
            let rest = bytes.get(at..).unwrap_or_default();
            let Some(sync) = memchr::memchr(SYNC_BYTE, rest) else { return Err(bytes.len()) };
            at += sync;
            match bytes.get(at + step) {
                Some(&SYNC_BYTE) => return Ok(at),
                Some(_) => at += 1,
                None if is_last && bytes.len() - at >= PACKET_BYTES => return Ok(at),
                None if is_last => return Err(bytes.len()),
                None => return Err(at),
            }
        }
    }

    fn note(&mut self, start: u64) -> Result<(), IndexError> {
        let end = start + PACKET_BYTES as u64;
        if let Some(last) = self.stretches.last_mut().filter(|_| self.is_in_step) {
            last.end = end;
            return Ok(());
        }
        if self.stretches.len() >= STRETCHES_MAX {
            let why = "more garbage between its packets than packets";
            return Err(IndexError::Invalid { format: FORMAT, offset: start, why });
        }
        self.stretches.push(Stretch { start, end });
        self.is_in_step = true;
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::cast_possible_truncation, reason = "small numbers of a test")]
mod tests {
    use super::*;

    fn packets(count: usize, step: usize) -> Vec<u8> {
        let mut packet = vec![0x22; step];
        packet[..4].copy_from_slice(&[SYNC_BYTE, 0x1f, 0xff, 0x10]);
        packet.repeat(count)
    }

    #[test]
    fn packets_of_three_lengths_are_recognized() {
        for length in LENGTHS {
            let step = usize::from(length);
            let expected = |start| Some(Layout { packet_bytes: length, start });
            for (head, found) in [
                (packets(9, step), expected(0)),
                (packets(3, step), expected(0)),
                (packets(2, step), None),
                ([&[0; 4], &packets(3, step)[..]].concat(), expected(4)),
                ([&[7; 1000], &packets(9, step)[..]].concat(), expected(1000)),
                ([&[0; 1000], &packets(3, step)[..]].concat(), None),
                ([&packets(3, step)[..], &[0; 500]].concat(), None),
            ] {
                assert_eq!(Layout::recognize(&head), found, "{length} {}", head.len());
            }
        }
        assert_eq!(Layout::recognize(&[]), None);
    }

    #[test]
    fn goes_on_behind_garbage() {
        let file = [
            &packets(3, 188)[..],
            &[1, SYNC_BYTE, 2],
            &packets(2, 188),
            &[9; 500],
            &packets(1, 188),
            &[SYNC_BYTE; 20],
        ]
        .concat();
        let last = file.len() as u64 - 20 - 188;
        let expected = vec![
            Stretch { start: 0, end: 564 },
            Stretch { start: 567, end: 943 },
            Stretch { start: last, end: last + 188 },
        ];
        for piece in [188, 200, 1000, file.len()] {
            let mut walker = Packets::new(188);
            let (mut offset, mut end, mut count) = (0, 0, 0);
            while end < file.len() {
                end = (end + piece).min(file.len());
                let used = walker
                    .walk(
                        &file[offset.min(end)..end],
                        offset as u64,
                        end == file.len(),
                        |at, packet| {
                            assert_eq!((file[at as usize], packet.pid), (SYNC_BYTE, 0x1fff));
                            count += 1;
                            Ok(true)
                        },
                    )
                    .unwrap();
                offset += used as usize;
            }
            assert_eq!((walker.into_stretches(), count), (expected.clone(), 6), "{piece}");
        }
    }
}
