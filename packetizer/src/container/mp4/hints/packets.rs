//! Hint samples: the packets that each plans (ISO 14496-12 §9.1.3; QuickTime File Format, "Hint
//! track sample data format").

use super::super::boxes::{Bytes, boxes};
use super::super::samples::Place;

/// A packet of a hint sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Packet<'a> {
    /// When to send it: ticks of the hint track behind the sample's decode time.
    pub(super) relative_time: i32,
    pub(super) is_marked: bool,
    pub(super) payload_type: u8,
    /// A copy of one that was sent already.
    pub(super) is_repeat: bool,
    /// Ticks of the RTP clock by which its timestamp differs from the sample's decode time
    /// (`rtpo`).
    pub(super) timestamp_offset: i32,
    constructors: &'a [[u8; CONSTRUCTOR_BYTES]],
}

const CONSTRUCTOR_BYTES: usize = 16;

/// A part of a packet's payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Constructor<'a> {
    /// These bytes.
    Immediate(&'a [u8]),
    /// Bytes of a sample of a track: the hint track's own, or the one at this position in its
    /// references.
    Sample { track: Option<u8>, place: Place },
    /// So many bytes of a sample description (from 1) of a track.
    Description { track: Option<u8>, number: u32, offset: u32, bytes: u16 },
}

/// The packets of a hint sample; data that they refer to may be behind them.
pub(super) fn packets(sample: &[u8]) -> Result<impl Iterator<Item = Parsed<'_>>, &'static str> {
    let mut rest = Bytes(sample);
    let (Some(count), Some(_)) = (rest.u16(), rest.u16()) else { return Err(CUT_SHORT) };
    let mut left = count;
    Ok(std::iter::from_fn(move || {
        left = left.checked_sub(1)?;
        let packet = next_packet(&mut rest).ok_or(CUT_SHORT);
        if packet.is_err() {
            left = 0;
        }
        Some(packet.and_then(|(packet, has_extension)| match has_extension {
            true => Err("its hint track plans packets with padding or a header extension"),
            false => Ok(packet),
        }))
    }))
}

pub(super) type Parsed<'a> = Result<Packet<'a>, &'static str>;

const CUT_SHORT: &str = "a sample of its hint track is cut short";

/// The next packet, and whether it has more than a plain RTP header.
fn next_packet<'a>(rest: &mut Bytes<'a>) -> Option<(Packet<'a>, bool)> {
    const PADDING_OR_EXTENSION: u16 = 0x3000;
    const MARKER: u16 = 0x80;
    const EXTRA: u16 = 4;
    const REPEAT: u16 = 1;
    let relative_time = rest.u32()?.cast_signed();
    let header = rest.u16()?;
    rest.u16()?; // its sequence number: a session has its own
    let flags = rest.u16()?;
    let count = rest.u16()?;
    let mut timestamp_offset = 0;
    if flags & EXTRA != 0 {
        let length = usize::try_from(rest.u32()?).ok()?.checked_sub(4)?;
        let extra = rest.take(length)?;
        let found = boxes(extra).find(|found| found.kind.0 == *b"rtpo");
        timestamp_offset = found.and_then(|found| found.bytes().u32()).map_or(0, u32::cast_signed);
    }
    let constructors = rest.take(usize::from(count) * CONSTRUCTOR_BYTES)?.as_chunks().0;
    let packet = Packet {
        relative_time,
        is_marked: header & MARKER != 0,
        payload_type: (header & 0x7f).to_be_bytes()[1],
        is_repeat: flags & REPEAT != 0,
        timestamp_offset,
        constructors,
    };
    Some((packet, header & PADDING_OR_EXTENSION != 0))
}

impl<'a> Packet<'a> {
    /// The parts of its payload in their order.
    pub(super) fn constructors(
        &self,
    ) -> impl Iterator<Item = Result<Constructor<'a>, &'static str>> + use<'a> {
        let parsed = self.constructors.iter().map(|constructor| {
            parse(constructor).ok_or("its hint track has constructors of no known kind")
        });
        parsed.filter_map(Result::transpose)
    }
}

/// A constructor, if it is one; nothing if it does nothing.
fn parse(constructor: &[u8; CONSTRUCTOR_BYTES]) -> Option<Option<Constructor<'_>>> {
    let (kind, mut rest) = (constructor[0], Bytes(&constructor[1..]));
    let parsed = match kind {
        0 => return Some(None),
        1 => {
            let bytes = rest.u8()?;
            Constructor::Immediate(rest.take(bytes.into())?)
        }
        2 => {
            let track = reference(rest.u8()?)?;
            let (bytes, sample, offset) = (rest.u16()?, rest.u32()?, rest.u32()?);
            let (block_bytes, block_samples) = (rest.u16()?, rest.u16()?);
            let place = Place { sample, offset, bytes, block_bytes, block_samples };
            Constructor::Sample { track, place }
        }
        3 => {
            let track = reference(rest.u8()?)?;
            let (bytes, number, offset) = (rest.u16()?, rest.u32()?, rest.u32()?);
            Constructor::Description { track, number, offset, bytes }
        }
        _ => return None,
    };
    Some(Some(parsed))
}

/// Which track a constructor refers to: −1 is the hint track.
fn reference(index: u8) -> Option<Option<u8>> {
    match index.cast_signed() {
        -1 => Some(None),
        0.. => Some(Some(index)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a sample says: its packets without, and with their constructors.
    fn read(sample: &[u8]) -> Result<Vec<(Packet<'_>, Vec<Constructor<'_>>)>, &'static str> {
        packets(sample)?
            .map(|packet| Ok((packet?, packet?.constructors().collect::<Result<_, _>>()?)))
            .collect()
    }

    const ENTRY: [u8; 12] = [0xff, 0xff, 0xff, 0xf6, 0, 0xe0, 0, 1, 0, 0, 0, 1];
    const IMMEDIATE: [u8; 16] = [1, 2, 7, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

    fn sample(parts: &[&[u8]]) -> Vec<u8> {
        [&[0, 1, 0, 0][..], &parts.concat()].concat()
    }

    #[test]
    fn packets_are_read_as_they_are_planned() {
        let place =
            Place { sample: 5, offset: 9, bytes: 258, block_bytes: 768, block_samples: 4096 };
        for (constructor, expected) in [
            (IMMEDIATE, vec![Constructor::Immediate(&[7, 8])]),
            ([0; 16], vec![]),
            (
                [2, 0xff, 1, 2, 0, 0, 0, 5, 0, 0, 0, 9, 3, 0, 16, 0],
                vec![Constructor::Sample { track: None, place }],
            ),
            (
                [2, 1, 1, 2, 0, 0, 0, 5, 0, 0, 0, 9, 3, 0, 16, 0],
                vec![Constructor::Sample { track: Some(1), place }],
            ),
            (
                [3, 0, 1, 2, 0, 0, 0, 1, 0, 0, 0, 9, 0, 0, 0, 0],
                vec![Constructor::Description { track: Some(0), number: 1, offset: 9, bytes: 258 }],
            ),
        ] {
            let sample = sample(&[&ENTRY, &constructor, &[1, 2, 3]]);
            let read = read(&sample).unwrap();
            let [(packet, constructors)] = &read[..] else { panic!("{read:?}") };
            assert_eq!(*constructors, expected);
            let Packet { relative_time, is_marked, payload_type, is_repeat, .. } = *packet;
            assert_eq!((relative_time, is_marked, payload_type), (-10, true, 96));
            assert_eq!((is_repeat, packet.timestamp_offset), (false, 0));
        }
    }

    #[test]
    fn a_packet_says_what_its_timestamp_is() {
        let entry = |flags: u8| [0, 0, 0, 0, 0, 0x61, 0, 1, 0, flags, 0, 0];
        let other = [0, 0, 0, 12, b'o', b't', b'h', b'e', 0, 0, 0, 1];
        let rtpo = [0, 0, 0, 12, b'r', b't', b'p', b'o', 0xff, 0xff, 0xf4, 0x48];
        for (flags, extra, expected) in [
            (0, vec![], (0, false)),
            (1, vec![], (0, true)),
            (4, [&[0, 0, 0, 16][..], &rtpo].concat(), (-3000, false)),
            (7, [&[0, 0, 0, 28][..], &other, &rtpo].concat(), (-3000, true)),
            (4, vec![0, 0, 0, 4], (0, false)),
        ] {
            let sample = sample(&[&entry(flags), &extra]);
            let read = read(&sample).unwrap();
            let packet = read[0].0;
            assert_eq!((packet.timestamp_offset, packet.is_repeat), expected);
            assert!(!packet.is_marked && packet.payload_type == 97);
        }
    }

    #[test]
    fn what_is_no_hint_sample_is_refused() {
        let whole = sample(&[&ENTRY, &IMMEDIATE]);
        assert!((0..whole.len()).all(|length| read(&whole[..length]) == Err(CUT_SHORT)));
        let with = |entry: [u8; 12], constructor: [u8; 16]| sample(&[&entry, &constructor]);
        let bent = |at: usize, byte: u8| {
            let mut entry = ENTRY;
            entry[at] = byte;
            with(entry, IMMEDIATE)
        };
        for (sample, why) in [
            (bent(4, 0x20), "padding"),
            (bent(4, 0x10), "extension"),
            (bent(9, 4), "cut short"),
            (with(ENTRY, [1, 15, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]), "no known kind"),
            (with(ENTRY, [4; 16]), "no known kind"),
            (with(ENTRY, [2, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]), "no known kind"),
        ] {
            assert!(read(&sample).unwrap_err().contains(why), "{why}");
        }
    }
}
