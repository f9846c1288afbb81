//! Elementary streams in the PES packets of a programme stream (ISO 13818-1 §2.5.3) or an MPEG-1
//! system stream (ISO 11172-1 §2.4.3).

use std::ops::Range;
use std::sync::Arc;

use super::transport_stream::{PesHeader, time_stamp};

/// The lowest code that is the system layer's (ISO 13818-1 table 2-18, MPEG_program_end_code); no
/// kind of video has such a one in its bytes.
const SYSTEM_CODE_MIN: u8 = 0xb9;
/// stream_id of private_stream_1, in which DVDs have sound.
pub(crate) const PRIVATE_STREAM_1: u8 = 0xbd;
/// Bytes in front of the sound in a packet of private stream 1 of a DVD: sub_stream_id, number of
/// frames, pointer to the first.
const SUBSTREAM_HEADER_BYTES: usize = 4;

/// Which PES packets are a track's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct StreamKey {
    /// stream_id
    pub stream_id: u8,
    /// Where private stream 1 carries several streams, as on DVDs: the first byte of the payload,
    /// which with three more is in front of the elementary stream's bytes.
    pub substream: Option<u8>,
}

/// The PES packets of a track, and where their bytes may be mistaken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packets {
    /// Whose they are.
    pub key: StreamKey,
    /// Offsets in the file at which the track's own bytes look like a start code of the system
    /// layer; in order.
    pub lures: Arc<[u64]>,
    /// Offsets in the file at which a packet of the track ends and none begins; in order.
    pub breaks: Arc<[u64]>,
}

impl Packets {
    /// Appends the elementary stream's bytes in `bytes`, which lie at `offset` in the file: the
    /// first and the last are its own.
    pub(super) fn unwrap(&self, offset: u64, bytes: &[u8], unit: &mut Vec<u8>) {
        let mut at = self.end_of_payload(offset, bytes);
        unit.extend_from_slice(bytes.get(..at).unwrap_or(bytes));
        while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
            at += match Element::parse(rest) {
                Element::CutShort => return,
                Element::Garbage => to_next_code(rest),
                Element::Other { bytes, .. } => bytes,
                Element::Pes(packet) => {
                    let end = packet.bytes.unwrap_or_else(|| to_next_code(rest));
                    if let Some(own) = packet.payload_of(self.key, rest, end) {
                        unit.extend_from_slice(rest.get(own).unwrap_or_default());
                    }
                    end
                }
            };
        }
    }

    /// How many of `bytes`, which begin within a packet of the track, are of that packet.
    fn end_of_payload(&self, offset: u64, bytes: &[u8]) -> usize {
        let behind = self.breaks.partition_point(|at| *at <= offset);
        let cut = self.breaks.get(behind).and_then(|at| usize::try_from(at - offset).ok());
        let own = cut.and_then(|cut| bytes.get(..cut)).unwrap_or(bytes);
        let is_lure = |at: &usize| self.lures.binary_search(&(offset + *at as u64)).is_ok();
        system_codes(bytes)
            .take_while(|at| *at < own.len())
            .find(|at| !is_lure(at))
            .unwrap_or(own.len())
    }
}

/// Where start codes of the system layer begin.
pub(crate) fn system_codes(bytes: &[u8]) -> impl Iterator<Item = usize> + '_ {
    let is_code = |at: &usize| bytes.get(at + 3).is_some_and(|code| *code >= SYSTEM_CODE_MIN);
    memchr::memmem::find_iter(bytes, &[0, 0, 1]).filter(is_code)
}

/// Whether `bytes` begin with a start code of the system layer.
pub(crate) fn is_system_code(bytes: &[u8]) -> bool {
    system_codes(bytes.get(..4).unwrap_or_default()).next().is_some()
}

/// Bytes from the first one to where the next start code of the system layer begins, which is
/// behind it; all there are if there is none.
pub(crate) fn to_next_code(bytes: &[u8]) -> usize {
    let behind = bytes.get(1..).unwrap_or_default();
    system_codes(behind).next().map_or(bytes.len(), |at| at + 1)
}

/// What begins with a start code of the system layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Element {
    /// A pack header, system header, padding, or what else has no elementary stream in it.
    Other { code: u8, bytes: usize },
    /// A packet of an elementary stream.
    Pes(PesPacket),
    /// Too few bytes to tell.
    CutShort,
    /// No such thing.
    Garbage,
}

/// The header of a packet of an elementary stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PesPacket {
    pub(crate) stream_id: u8,
    pub(crate) header: PesHeader,
    /// PES_scrambling_control
    pub(crate) is_scrambled: bool,
    /// Bytes of the whole packet; `None` if it ends where the next begins.
    pub(crate) bytes: Option<usize>,
}

impl PesPacket {
    /// Where the bytes of a stream lie in the packet, which begins with `bytes` and ends at `end`;
    /// `None` if it is another's or cannot be read.
    pub(crate) fn payload_of(
        &self,
        key: StreamKey,
        bytes: &[u8],
        end: usize,
    ) -> Option<Range<usize>> {
        if self.stream_id != key.stream_id || self.is_scrambled {
            return None;
        }
        let mut start = self.header.bytes;
        if let Some(substream) = key.substream {
            bytes.get(start).filter(|first| **first == substream)?;
            start += SUBSTREAM_HEADER_BYTES;
        }
        let end = end.min(bytes.len());
        (start < end).then_some(start..end)
    }
}

impl Element {
    /// Parses what `bytes` begin with; of a packet, no more than the header need be there.
    pub(crate) fn parse(bytes: &[u8]) -> Self {
        const CODE_PREFIX: [u8; 3] = [0, 0, 1];
        let Some((prefix, [code, rest @ ..])) = bytes.split_first_chunk::<3>() else {
            return Self::CutShort;
        };
        if *prefix != CODE_PREFIX {
            return Self::Garbage;
        }
        match *code {
            0xb9 => Self::Other { code: *code, bytes: 4 },
            0xba => Self::pack_header(rest),
            0xbd | 0xc0..=0xef => Self::pes(bytes, *code),
            0xbb..=0xff => match rest {
                [high, low, ..] => {
                    let length = usize::from(u16::from_be_bytes([*high, *low]));
                    Self::Other { code: *code, bytes: 6 + length }
                }
                _ => Self::CutShort,
            },
            ..SYSTEM_CODE_MIN => Self::Garbage,
        }
    }

    /// ISO 13818-1 §2.5.3.3, or ISO 11172-1 §2.4.3.2.
    fn pack_header(rest: &[u8]) -> Self {
        let Some(first) = rest.first() else { return Self::CutShort };
        if first & 0xf0 == 0x20 {
            return Self::Other { code: 0xba, bytes: 12 };
        }
        if first & 0xc0 != 0x40 {
            return Self::Garbage;
        }
        match rest.get(9) {
            Some(stuffing) => Self::Other { code: 0xba, bytes: 14 + usize::from(stuffing & 7) },
            None => Self::CutShort,
        }
    }

    fn pes(bytes: &[u8], stream_id: u8) -> Self {
        let [_, _, _, _, high, low, first, ..] = bytes else { return Self::CutShort };
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        let whole = (length > 0).then_some(6 + length);
        let bytes = bytes.get(..whole.unwrap_or(usize::MAX)).unwrap_or(bytes);
        let is_mpeg2 = first & 0xc0 == 0x80;
        if is_mpeg2 && bytes.len() < 9 {
            return Self::CutShort;
        }
        let header = if is_mpeg2 { PesHeader::parse(bytes) } else { mpeg1_header(bytes) };
        match header {
            Some(header) => Self::Pes(PesPacket {
                stream_id,
                header,
                is_scrambled: is_mpeg2 && first & 0x30 != 0,
                bytes: whole,
            }),
            None => Self::Other { code: stream_id, bytes: whole.unwrap_or(7) },
        }
    }
}

/// The header of an MPEG-1 packet (ISO 11172-1 §2.4.3.3): stuffing, size of the decoder's buffer,
/// time stamps.
fn mpeg1_header(bytes: &[u8]) -> Option<PesHeader> {
    const STUFFING_BYTES_MAX: usize = 16;
    let behind = bytes.get(6..)?;
    let stuffing = behind.iter().take(STUFFING_BYTES_MAX).take_while(|byte| **byte == 0xff);
    let mut at = 6 + stuffing.count();
    if bytes.get(at)? & 0xc0 == 0x40 {
        at += 2;
    }
    let stamp = |at: usize| time_stamp(bytes.get(at..)?);
    let (length, presentation, decoding) = match bytes.get(at)? >> 4 {
        2 => (5, stamp(at), None),
        3 => (10, stamp(at), stamp(at + 5)),
        _ => (1, None, None),
    };
    Some(PesHeader { bytes: at + length, presentation, decoding })
}

#[cfg(test)]
#[allow(clippy::cast_possible_truncation, reason = "small numbers of a test")]
mod tests {
    use super::*;

    const KEY: StreamKey = StreamKey { stream_id: 0xc0, substream: None };

    fn packets(key: StreamKey, lures: &[u64], breaks: &[u64]) -> Packets {
        Packets { key, lures: lures.into(), breaks: breaks.into() }
    }

    fn unwrapped(packets: &Packets, offset: u64, bytes: &[u8]) -> Vec<u8> {
        let mut unit = vec![77];
        packets.unwrap(offset, bytes, &mut unit);
        assert_eq!(unit.remove(0), 77);
        unit
    }

    #[test]
    fn takes_headers_out() {
        let pes = [0, 0, 1, 0xc0, 0, 5, 0x80, 0, 0, 8, 9];
        let other = [0, 0, 1, 0xe0, 0, 5, 0x80, 0, 0, 8, 9];
        let pack = [0, 0, 1, 0xba, 0x44, 0, 4, 0, 4, 1, 0, 0, 3, 0xf9, 0xff];
        let lure = [1, 0, 0, 1, 0xc0, 0, 4, 0x80, 0, 0, 9];
        for (packets, bytes, expected) in [
            (packets(KEY, &[], &[]), [&[1, 2][..], &pes].concat(), &[1, 2, 8, 9][..]),
            (packets(KEY, &[], &[]), [&[1, 0][..], &pack, &other, &pes].concat(), &[1, 0, 8, 9]),
            (
                packets(KEY, &[], &[]),
                [&[0, 0, 1][..], &pes, &pes[..10]].concat(),
                &[0, 0, 1, 8, 9, 8],
            ),
            (packets(KEY, &[101], &[]), lure.to_vec(), &lure),
            (packets(KEY, &[], &[]), lure.to_vec(), &[1, 9]),
            (packets(KEY, &[], &[50, 100, 102]), [&[1, 2, 3, 4][..], &pes].concat(), &[1, 2, 8, 9]),
            (packets(KEY, &[], &[]), [&pes[..], &pes[..8]].concat(), &[8, 9]),
        ] {
            assert_eq!(unwrapped(&packets, 100, &bytes), expected, "{bytes:x?}");
        }
    }

    #[test]
    fn any_bytes_are_unwrapped_somehow() {
        let key = StreamKey { stream_id: PRIVATE_STREAM_1, substream: Some(0x80) };
        for seed in 0..2000_u32 {
            let mut state = seed;
            let bytes: Vec<u8> = (0..300)
                .map(|_| {
                    state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    let choice = [0, 0, 0, 1, 1, 0xba, 0xbd, 0xc0, 0x80, 0x44, 5, 0xff];
                    choice[(state >> 24) as usize % choice.len()]
                })
                .collect();
            for packets in [packets(KEY, &[3, 9], &[7]), packets(key, &[], &[])] {
                assert!(unwrapped(&packets, 0, &bytes).len() <= bytes.len());
            }
        }
    }
}
