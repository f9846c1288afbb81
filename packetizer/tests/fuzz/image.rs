//! What every packet image promises, whatever the payload format.

use super::input::Input;
use packetizer::codec::CodecConfig;
use packetizer::image::{
    Bursts, Framing, ImageError, ImageRequest, ImageStorage, Numbering, PacketImage, PayloadClass,
    SPREAD_NANOS_MAX, TRAIN_BYTES_MAX, TRAIN_PACKETS_MAX, Train,
};
use packetizer::index::{
    AccessUnitEntry, IndexBuilder, MediaIndex, SegmentId, TrackDescription, TrackId,
};
use packetizer::payload::PACKET_BYTES_MIN;
use packetizer::rtp::{Packet, Ssrc};
use packetizer::time::{ClockRate, Npt};

const PAYLOAD_TYPE: u8 = 98;
const TRACK: TrackId = TrackId(0);
/// Bytes of an input's media, so that its cost is bounded.
pub(crate) const MEDIA_BYTES_MAX: usize = 400_000;

/// A track and its bytes.
pub(crate) struct Title {
    pub(crate) index: MediaIndex,
    file: Vec<u8>,
}

/// An access unit to be.
pub(crate) struct Unit {
    pub(crate) bytes: Vec<u8>,
    /// Ticks to the next one.
    pub(crate) duration: u32,
    /// Ticks from decode to composition.
    pub(crate) composition_offset: i32,
}

impl Title {
    pub(crate) fn new(codec: CodecConfig, rate: ClockRate, start: i64, units: &[Unit]) -> Self {
        let description = TrackDescription::new(1, codec, rate);
        let mut builder = IndexBuilder::new();
        let track = builder.add_track(description).unwrap();
        let (mut file, mut decode) = (Vec::new(), start);
        for (position, unit) in units.iter().enumerate() {
            let composition = decode.saturating_add(i64::from(unit.composition_offset));
            let (offset, bytes) = (file.len() as u64, unit.bytes.len() as u32);
            let sync = position % 3 == 0;
            builder.push(track, offset, bytes, decode, composition, unit.duration, sync).unwrap();
            file.extend_from_slice(&unit.bytes);
            decode = decode.saturating_add(i64::from(unit.duration));
        }
        Self { index: builder.finish(Npt::ZERO), file }
    }

    pub(crate) fn bytes_of(&self, unit: &AccessUnitEntry) -> &[u8] {
        let start = unit.offset as usize;
        &self.file[start..start + unit.bytes as usize]
    }

    pub(crate) fn segments(&self) -> impl Iterator<Item = SegmentId> {
        (0..self.index.segment_count()).map(SegmentId)
    }

    /// The units of a segment that have bytes.
    pub(crate) fn units(&self, segment: SegmentId) -> impl Iterator<Item = AccessUnitEntry> {
        self.index.units(TRACK, segment).filter(|unit| unit.bytes > 0)
    }
}

/// How a title is laid out.
#[derive(Clone, Copy)]
pub(crate) struct Manner {
    pub(crate) packet_bytes_max: u16,
    framing: Framing,
    /// Whether pictures are cut as those before them, to leave with them.
    pub(crate) joins: bool,
    numbering: Numbering,
}

impl Manner {
    pub(crate) fn read(input: &mut Input<'_>) -> Self {
        let packet_bytes_max = input.u16();
        let byte = input.byte();
        let framing = if byte & 1 == 0 { Framing::Datagram } else { Framing::Interleaved };
        let joins = byte & 2 == 0;
        let sequence = input.u16();
        let numbering =
            Numbering { ssrc: Ssrc(7), sequence, timestamp_zero: 0xffff_ff00, channel: 4 };
        Self { packet_bytes_max, framing, joins, numbering }
    }

    /// Whether images of this class may be built at all, in either framing.
    pub(crate) fn is_possible(&self) -> bool {
        let bytes = u32::from(self.packet_bytes_max);
        let prefix_bytes = u32::from(Framing::Interleaved.prefix_bytes());
        bytes >= u32::from(PACKET_BYTES_MIN) && bytes + prefix_bytes <= TRAIN_BYTES_MAX
    }

    const fn prefix_bytes(&self) -> u16 {
        self.framing.prefix_bytes()
    }
}

/// The packets of one access unit or bundle, as payloads.
pub(crate) struct Sent<'a> {
    pub(crate) unit: AccessUnitEntry,
    pub(crate) timestamp: i64,
    pub(crate) payloads: Vec<&'a [u8]>,
}

/// Lays a segment out and numbers it.
pub(crate) fn build(
    title: &Title,
    segment: SegmentId,
    manner: Manner,
) -> Result<PacketImage, ImageError> {
    let request = ImageRequest {
        index: &title.index,
        track: TRACK,
        segment,
        class: PayloadClass { packet_bytes_max: manner.packet_bytes_max },
        framing: manner.framing,
        payload_type: PAYLOAD_TYPE,
        bursts: Bursts {
            joined_nanos: if manner.joins { Bursts::default().joined_nanos } else { 0 },
            ..Bursts::default()
        },
    };
    let unit_bytes = |unit: &AccessUnitEntry| Some(title.bytes_of(unit));
    let mut image = PacketImage::build(request, unit_bytes, ImageStorage::default())?;
    image.number_all(manner.numbering, 1);
    Ok(image)
}

/// Checks all that an image promises but for the payloads, which it gives.
pub(crate) fn check<'a>(title: &Title, image: &'a PacketImage, manner: Manner) -> Vec<Sent<'a>> {
    assert!(manner.is_possible(), "a class that is out of range was taken");
    let (mut offset, mut packets, mut due) = (0, 0, i64::MIN);
    let mut sent: Vec<Sent<'a>> = Vec::new();
    let mut unit_is_complete = true;
    for train in &image.trains {
        assert_eq!(train.offset, offset);
        assert!((1..=TRAIN_PACKETS_MAX).contains(&train.packet_count));
        assert!((1..=train.packet_bytes).contains(&train.last_packet_bytes));
        assert!(train.bytes() <= TRAIN_BYTES_MAX);
        assert!(train.due >= due, "trains are due in their order");
        if unit_is_complete {
            let unit = title.index.unit(TRACK, train.unit).expect("a unit of the track");
            assert!(sent.last().is_none_or(|last| last.unit.index < unit.index));
            sent.push(Sent { unit, timestamp: train.timestamp, payloads: Vec::new() });
        }
        let current = sent.last_mut().unwrap();
        assert_eq!(train.unit, current.unit.index);
        assert_eq!(train.timestamp, current.timestamp);
        check_times(title, train, &current.unit);
        for packet in 0..train.packet_count {
            let (start, bytes) = train.packet_range(packet);
            assert_eq!(start, offset);
            let bytes = &image.bytes[start as usize..(start + bytes) as usize];
            let marker = train.ends_unit && packet + 1 == train.packet_count;
            current.payloads.push(check_packet(bytes, train, packets, marker, manner));
            offset += bytes.len() as u32;
            packets += 1;
        }
        due = train.due;
        unit_is_complete = train.ends_unit;
    }
    assert!(unit_is_complete, "the last unit has no end");
    assert_eq!((offset as usize, packets), (image.bytes.len(), image.packet_count));
    sent
}

/// A train leaves at its unit's decode time or a little before; its packets bear the composition
/// time.
fn check_times(title: &Title, train: &Train, unit: &AccessUnitEntry) {
    let track = &title.index.tracks[0];
    let media_rate = i128::from(track.media_rate.ticks_per_second());
    let rtp_rate = i128::from(track.codec.rtp_rate().ticks_per_second());
    let decode = (i128::from(unit.decode) * 1_000_000_000).div_euclid(media_rate);
    let decode = decode.clamp(i64::MIN.into(), i64::MAX.into());
    let early = decode - i128::from(train.due);
    assert!((0..=i128::from(SPREAD_NANOS_MAX)).contains(&early), "{early} ns early");
    assert!(!train.ends_unit || early == 0);
    let exact = i128::from(unit.composition) * rtp_rate;
    let error = (i128::from(train.timestamp) * media_rate - exact) * 2;
    let saturated = [i64::MIN, i64::MAX].contains(&train.timestamp);
    assert!(saturated || error.abs() <= media_rate, "not the nearest tick");
}

fn check_packet<'a>(
    bytes: &'a [u8],
    train: &Train,
    ordinal: u32,
    marker: bool,
    manner: Manner,
) -> &'a [u8] {
    let prefix_bytes = usize::from(manner.prefix_bytes());
    let (prefix, packet) = bytes.split_at(prefix_bytes);
    assert!(packet.len() <= usize::from(manner.packet_bytes_max));
    if manner.framing == Framing::Interleaved {
        let [length_high, length_low] = (packet.len() as u16).to_be_bytes();
        assert_eq!(prefix, [b'$', manner.numbering.channel, length_high, length_low]);
    }
    let parsed = Packet::parse(packet).unwrap();
    let header = parsed.header;
    let numbering = manner.numbering;
    assert_eq!((header.ssrc, header.payload_type), (numbering.ssrc, PAYLOAD_TYPE));
    assert_eq!(header.sequence, numbering.sequence.wrapping_add(ordinal as u16));
    let timestamp = numbering.timestamp_zero.wrapping_add(train.timestamp as u32);
    assert_eq!((header.timestamp, header.marker), (timestamp, marker));
    assert!(!parsed.payload.is_empty(), "a packet without payload");
    &packet[parsed.payload]
}

/// Headers stamped for another viewer, before the payloads as they lie, are the image that this
/// viewer would have caused.
pub(crate) fn check_stamps(title: &Title, image: &PacketImage, manner: Manner) {
    let other =
        Numbering { ssrc: Ssrc(0x1234_5678), sequence: 0xfff0, timestamp_zero: 9, channel: 250 };
    let expected = build(title, image.segment, Manner { numbering: other, ..manner }).unwrap();
    let header_bytes = image.header_bytes();
    let mut stamped = Vec::with_capacity(image.bytes.len());
    let mut sequence = other.sequence;
    for train in &image.trains {
        let numbering = Numbering { sequence, ..other };
        for packet in 0..train.packet_count {
            let before = stamped.len();
            image.stamp(train, packet, &numbering, &mut stamped);
            assert_eq!(stamped.len(), before + header_bytes);
            let (start, bytes) = train.packet_range(packet);
            stamped.extend_from_slice(
                &image.bytes[start as usize + header_bytes..(start + bytes) as usize],
            );
        }
        sequence = sequence.wrapping_add(train.packet_count);
    }
    assert!(stamped == expected.bytes, "stamped packets differ");
}
