//! AV1 in RTP (RTP Payload Format For AV1, version 1.0), without the dependency descriptor.

mod obu;

use super::{PacketWriter, UnitError};
use crate::codec::av1::Av1Config;
use obu::{Obu, SEQUENCE_HEADER, next_obu};

/// Aggregation header, Z: the first element goes on with an OBU of the packet before (§4.4).
const CONTINUES: u8 = 0x80;
/// Aggregation header, Y: the last element's OBU goes on in the next packet.
const GOES_ON: u8 = 0x40;
/// Aggregation header, where W, the number of elements, is.
const COUNT_SHIFT: u8 = 4;
/// The most elements that W can tell; with more it is 0.
const COUNT_MAX: u8 = 3;
/// Aggregation header, N: the packet is the first of a coded video sequence.
const NEW_SEQUENCE: u8 = 0x08;
/// A fragment that begins an OBU has this many bytes at least, so that it holds the whole header.
const BEGINNING_BYTES_MIN: usize = 2;

/// Writes the packets of one temporal unit, the last one marked (§4.2). Temporal delimiters and
/// tile lists stay behind (§5), as do the sizes inside of OBUs; a sync sample without a sequence
/// header gets that of `config`.
///
/// # Errors
/// [`UnitError::Malformed`] when its OBUs do not add up.
pub fn write_temporal_unit(
    writer: &mut PacketWriter,
    config: &Av1Config,
    unit: &[u8],
    is_sync: bool,
) -> Result<(), UnitError> {
    let mut measured = measure(unit)?;
    let mut sequence_header = &[][..];
    if is_sync && !measured.has_sequence_header {
        // One that is broken helps nobody, and the unit may do without.
        if let Ok(header) = measure(&config.sequence_header) {
            sequence_header = config.sequence_header.as_slice();
            measured.bytes += header.bytes;
            measured.count += header.count;
        }
    }
    let mut elements = Elements::new(sequence_header, unit)?;
    // Every packet has an aggregation header; the last of a few elements has no length.
    let is_counted = measured.count <= usize::from(COUNT_MAX);
    let bytes = measured.bytes - if is_counted { measured.last_length_bytes } else { 0 };
    let room = writer.fragment_bytes(bytes, writer.payload_bytes_max() - 1);
    let mut new_sequence = if is_sync { NEW_SEQUENCE } else { 0 };
    while elements.current.is_some() {
        let continues = if elements.taken > 0 { CONTINUES } else { 0 };
        writer.begin_packet();
        writer.push(&[0]);
        let count = elements.count_fitting(room)?;
        if count > COUNT_MAX {
            fill_measured(writer, &mut elements, room)?;
        } else {
            let count = fill_counted(writer, &mut elements, room)?;
            writer.payload()[0] = count << COUNT_SHIFT;
        }
        let goes_on = if elements.taken > 0 { GOES_ON } else { 0 };
        writer.payload()[0] |= continues | goes_on | new_sequence;
        writer.end_packet();
        new_sequence = 0;
    }
    writer.mark_last();
    Ok(())
}

/// What the OBUs of a temporal unit take in packets.
#[derive(Default)]
struct Measured {
    count: usize,
    /// Bytes of all elements with a length in front of each.
    bytes: usize,
    /// Bytes of the last one's length.
    last_length_bytes: usize,
    has_sequence_header: bool,
}

fn measure(unit: &[u8]) -> Result<Measured, UnitError> {
    let mut measured = Measured::default();
    let mut rest = unit;
    while let Some(obu) = next_obu(&mut rest)? {
        measured.count += 1;
        measured.last_length_bytes = leb128_bytes(obu.bytes());
        measured.bytes += measured.last_length_bytes + obu.bytes();
        measured.has_sequence_header |= obu.kind() == SEQUENCE_HEADER;
    }
    Ok(measured)
}

/// Fills a packet with up to [`COUNT_MAX`] elements, of which the last has no length, and says how
/// many there are.
fn fill_counted(
    writer: &mut PacketWriter,
    elements: &mut Elements<'_>,
    mut room: usize,
) -> Result<u8, UnitError> {
    let (mut count, mut layer) = (0, None);
    while let Some((left, obu)) = elements.left().zip(elements.current) {
        count += 1;
        layer = layer.or(obu.extension());
        let behind = room.saturating_sub(leb128_bytes(left) + left);
        if count == COUNT_MAX || behind < BEGINNING_BYTES_MIN || !elements.may_follow(layer)? {
            elements.push(writer, left.min(room))?;
            break;
        }
        push_leb128(writer, left);
        elements.push(writer, left)?;
        room = behind;
    }
    Ok(count)
}

/// Fills a packet with elements that each have a length in front, which W = 0 says.
fn fill_measured(
    writer: &mut PacketWriter,
    elements: &mut Elements<'_>,
    mut room: usize,
) -> Result<(), UnitError> {
    let mut layer = None;
    while let Some((left, obu)) = elements.left().zip(elements.current) {
        let bytes = left.min(room.saturating_sub(leb128_bytes(room)));
        let is_beginning = elements.taken == 0;
        let fits = bytes == left || bytes >= if is_beginning { BEGINNING_BYTES_MIN } else { 1 };
        if !fits || differ(layer, obu.extension()) {
            break;
        }
        push_leb128(writer, bytes);
        elements.push(writer, bytes)?;
        room -= leb128_bytes(bytes) + bytes;
        layer = layer.or(obu.extension());
        if bytes < left {
            break;
        }
    }
    Ok(())
}

/// The OBUs of a temporal unit and how far they have been written.
#[derive(Clone, Copy)]
struct Elements<'a> {
    /// Behind the current OBU: what is left of the sequence header and of the unit.
    rests: [&'a [u8]; 2],
    current: Option<Obu<'a>>,
    /// Bytes of the current one that have been written.
    taken: usize,
}

impl<'a> Elements<'a> {
    fn new(sequence_header: &'a [u8], unit: &'a [u8]) -> Result<Self, UnitError> {
        let mut elements = Self { rests: [sequence_header, unit], current: None, taken: 0 };
        elements.advance()?;
        Ok(elements)
    }

    fn advance(&mut self) -> Result<(), UnitError> {
        self.taken = 0;
        self.current = match next_obu(&mut self.rests[0])? {
            Some(obu) => Some(obu),
            None => next_obu(&mut self.rests[1])?,
        };
        Ok(())
    }

    /// Bytes of the current OBU still to be written.
    fn left(&self) -> Option<usize> {
        self.current.map(|obu| obu.bytes() - self.taken)
    }

    /// Whether there is a next OBU that may be in a packet with those of this layer: all that have
    /// an extension must have the same temporal and spatial IDs (§5).
    fn may_follow(&self, layer: Option<u8>) -> Result<bool, UnitError> {
        let mut next = *self;
        next.advance()?;
        Ok(next.current.is_some_and(|next| !differ(layer, next.extension())))
    }

    /// How many elements, each with its length, fit into so many bytes; counts to one more than
    /// [`COUNT_MAX`].
    fn count_fitting(mut self, mut room: usize) -> Result<u8, UnitError> {
        let (mut count, mut layer) = (0, None);
        while let Some((left, obu)) = self.left().zip(self.current) {
            if count > COUNT_MAX || differ(layer, obu.extension()) {
                break;
            }
            count += 1;
            let measured = leb128_bytes(left) + left;
            if room < measured + BEGINNING_BYTES_MIN {
                break;
            }
            room -= measured;
            layer = layer.or(obu.extension());
            self.advance()?;
        }
        Ok(count)
    }

    /// Writes the next bytes of the current OBU, as many as it has left at most.
    fn push(&mut self, writer: &mut PacketWriter, bytes: usize) -> Result<(), UnitError> {
        let Some(obu) = self.current else { return Ok(()) };
        let end = self.taken + bytes;
        let header = obu.header();
        writer.push(&header[self.taken.min(header.len())..end.min(header.len())]);
        let payload_start = self.taken.saturating_sub(header.len());
        writer.push(&obu.payload[payload_start..end.saturating_sub(header.len())]);
        self.taken = end;
        if end == obu.bytes() { self.advance() } else { Ok(()) }
    }
}

/// Whether both are there and not the same.
fn differ(layer: Option<u8>, other: Option<u8>) -> bool {
    layer.zip(other).is_some_and(|(layer, other)| layer != other)
}

/// Bytes of a number in leb128.
const fn leb128_bytes(value: usize) -> usize {
    let bits = usize::BITS - value.leading_zeros();
    if bits == 0 { 1 } else { bits.div_ceil(7) as usize }
}

fn push_leb128(writer: &mut PacketWriter, mut value: usize) {
    loop {
        #[allow(clippy::cast_possible_truncation, reason = "seven bits are wanted")]
        let digit = value as u8 & 0x7f;
        value >>= 7;
        if value == 0 {
            return writer.push(&[digit]);
        }
        writer.push(&[0x80 | digit]);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::cast_possible_truncation)]

    use super::super::tests::{assert_even, payloads, unit, writer};
    use super::obu::{HAS_EXTENSION, TEMPORAL_DELIMITER, TILE_LIST, read_leb128};
    use super::*;

    const FRAME: u8 = 6;
    const METADATA: u8 = 5;

    fn config(sequence_header: &[u8]) -> Av1Config {
        Av1Config { profile: 0, level: 8, tier: 0, sequence_header: sequence_header.to_vec() }
    }

    /// An OBU with a size field, as files have it, or without, as it travels.
    fn obu(kind: u8, extension: Option<u8>, payload: &[u8], has_size: bool) -> Vec<u8> {
        let header = kind << 3 | if extension.is_some() { 4 } else { 0 };
        let mut obu = vec![header | if has_size { 2 } else { 0 }];
        obu.extend(extension);
        if has_size {
            let mut size = payload.len();
            while size > 0x7f {
                obu.push(0x80 | (size & 0x7f) as u8);
                size >>= 7;
            }
            obu.push(size as u8);
        }
        obu.extend_from_slice(payload);
        obu
    }

    fn write(packet_bytes_max: u16, file: &[u8], is_sync: bool) -> PacketWriter {
        let mut writer = writer(packet_bytes_max);
        let header = obu(SEQUENCE_HEADER, None, &[1, 2, 3], true);
        write_temporal_unit(&mut writer, &config(&header), file, is_sync).unwrap();
        writer
    }

    /// Rebuilds the OBUs from packets, as §4.4 and §4.5 tell a receiver to.
    fn depacketize(payloads: &[(bool, &[u8])]) -> Vec<Vec<u8>> {
        let mut obus: Vec<Vec<u8>> = Vec::new();
        let mut unfinished = false;
        for (position, (marker, payload)) in payloads.iter().enumerate() {
            assert_eq!(*marker, position + 1 == payloads.len());
            let (header, mut rest) = payload.split_first().unwrap();
            assert_eq!(header & CONTINUES != 0, unfinished, "Z of packet {position}");
            let count = usize::from(header >> COUNT_SHIFT & 3);
            let mut element = 0;
            let mut layers = std::collections::BTreeSet::new();
            while !rest.is_empty() {
                element += 1;
                let mut bytes = rest.len();
                if element != count {
                    (bytes, rest) = read_leb128(rest).unwrap();
                }
                let (piece, behind) = rest.split_at(bytes);
                rest = behind;
                assert!(!piece.is_empty());
                if element == 1 && unfinished {
                    obus.last_mut().unwrap().extend_from_slice(piece);
                } else {
                    assert!(piece.len() >= 2 || !rest.is_empty() || header & GOES_ON == 0);
                    obus.push(piece.to_vec());
                }
                let obu = obus.last().unwrap();
                if obu[0] & HAS_EXTENSION != 0 {
                    layers.insert(obu[1]);
                }
            }
            assert!(layers.len() <= 1, "layers of packet {position}");
            assert!(count == 0 || count == element, "W of packet {position}");
            unfinished = header & GOES_ON != 0;
        }
        assert!(!unfinished);
        obus
    }

    #[test]
    fn every_length_is_rebuilt_from_packets_of_one_length() {
        for packet_bytes_max in [64, 576, 1452] {
            for bytes in 1..=4000 {
                let payload = unit(bytes);
                let delimiter = obu(TEMPORAL_DELIMITER, None, &[], true);
                let file = [delimiter, obu(FRAME, None, &payload, true)].concat();
                let writer = write(packet_bytes_max, &file, false);
                let packets = payloads(&writer);
                assert_eq!(depacketize(&packets), [obu(FRAME, None, &payload, false)]);
                assert_even(&packets);
                assert!(packets.iter().all(|(_, payload)| payload[0] & NEW_SEQUENCE == 0));
            }
        }
    }

    #[test]
    fn neighbours_of_every_length_are_rebuilt_in_order() {
        for first in (0..60).chain(100..130) {
            for second in (1..60).chain(100..130) {
                for kinds in [&[METADATA, FRAME][..], &[1, 5, 3, 4, 4], &[5, 5, 5, 5, 6, 6, 6]] {
                    let payload = |at: usize| unit([first, second][at % 2]);
                    let of = |has_size| {
                        let kinds = kinds.iter().enumerate();
                        kinds.map(move |(at, kind)| obu(*kind, None, &payload(at), has_size))
                    };
                    let writer = write(100, &of(true).collect::<Vec<_>>().concat(), false);
                    let sent: Vec<_> = of(false).collect();
                    assert_eq!(depacketize(&payloads(&writer)), sent, "{first} {second}");
                }
            }
        }
    }

    #[test]
    fn a_sync_sample_begins_a_sequence_with_its_header() {
        let frame = obu(FRAME, None, &unit(500), true);
        let own = obu(SEQUENCE_HEADER, None, &[9, 9], true);
        let added = obu(SEQUENCE_HEADER, None, &[1, 2, 3], false);
        let kept = obu(SEQUENCE_HEADER, None, &[9, 9], false);
        for (file, is_sync, expected) in [
            (frame.clone(), true, Some(added)),
            ([own.clone(), frame.clone()].concat(), true, Some(kept.clone())),
            ([own, frame.clone()].concat(), false, Some(kept)),
            (frame, false, None),
        ] {
            let writer = write(100, &file, is_sync);
            let packets = payloads(&writer);
            let obus = depacketize(&packets);
            assert_eq!(obus.first().filter(|_| obus.len() == 2), expected.as_ref());
            for (position, (_, payload)) in packets.iter().enumerate() {
                assert_eq!(payload[0] & NEW_SEQUENCE != 0, is_sync && position == 0, "N");
            }
        }
        let mut writer = writer(100);
        let file = obu(FRAME, None, &[1, 2], true);
        write_temporal_unit(&mut writer, &config(&[0x0a, 0xff]), &file, true).unwrap();
        assert_eq!(depacketize(&payloads(&writer)).len(), 1, "a broken header is left out");
    }

    #[test]
    fn layers_do_not_share_a_packet() {
        let layers = [None, Some(0), Some(0), Some(8), Some(8), Some(0x20), None];
        for bytes in [1, 10, 80] {
            let of = |has_size: bool| {
                layers.map(|layer| obu(FRAME, layer, &unit(bytes), has_size)).to_vec()
            };
            let writer = write(100, &of(true).concat(), false);
            assert_eq!(depacketize(&payloads(&writer)), of(false));
        }
    }

    #[test]
    fn what_does_not_travel_leaves_nothing() {
        for file in [obu(TEMPORAL_DELIMITER, None, &[], true), obu(TILE_LIST, None, &[1], true)] {
            assert!(payloads(&write(100, &file, false)).is_empty());
        }
        let unsized_frame = obu(FRAME, Some(8), &unit(20), false);
        let writer = write(100, &unsized_frame, false);
        assert_eq!(depacketize(&payloads(&writer)), [unsized_frame]);
    }

    #[test]
    fn broken_units_are_refused() {
        for (file, why) in [
            (&[0x80][..], "forbidden"),
            (&[0x34], "beyond"),
            (&[0x32], "beyond"),
            (&[0x32, 2, 1], "beyond"),
            (&[0x32, 0x80, 0x80], "beyond"),
            (&[0x32, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0], "beyond"),
            (&[0x32, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 0], "beyond"),
        ] {
            let error = write_temporal_unit(&mut writer(100), &config(&[]), file, true);
            assert!(error.unwrap_err().to_string().contains(why), "{file:x?}");
        }
    }
}
