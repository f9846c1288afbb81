//! How a segment's access units become packets, and packets become trains.

use super::{
    BUNDLE_NANOS_MAX, BURST_PACKETS_MAX, Framing, ImageRequest, ImageStorage, Numbering,
    PacketImage, SPREAD_NANOS_MAX, TRAIN_BYTES_MAX, TRAIN_PACKETS_MAX, Train,
};
use crate::codec::CodecConfig;
use crate::codec::h264::{NalError, nal_units};
use crate::index::AccessUnitEntry;
use crate::payload::{INTERLEAVED_PREFIX_BYTES, PACKET_BYTES_MIN, PacketWriter, Run, aac, h264};
use crate::rtp::{HEADER_BYTES, Header};
use crate::time::ClockRate;
use std::fmt;

/// Why a segment could not be laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImageError {
    /// The access unit in decode order at which it failed.
    pub unit: u32,
    /// What is wrong with it.
    pub kind: ImageErrorKind,
}

/// What is wrong with an access unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImageErrorKind {
    /// Its bytes were not given.
    BytesMissing,
    /// Its NAL units do not add up.
    Nal(NalError),
    /// An AAC access unit of more bytes than the payload format can tell.
    AudioUnitTooLarge,
    /// The payload class is below [`PACKET_BYTES_MIN`] or leaves no room in a train.
    PayloadClass,
    /// The image's offsets would not fit 32 bits.
    ImageTooLarge,
}

impl fmt::Display for ImageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "access unit {}: ", self.unit)?;
        match self.kind {
            ImageErrorKind::BytesMissing => f.write_str("its bytes are missing"),
            ImageErrorKind::Nal(error) => error.fmt(f),
            ImageErrorKind::AudioUnitTooLarge => {
                write!(f, "an AAC access unit of more than {} bytes", aac::UNIT_BYTES_MAX)
            }
            ImageErrorKind::PayloadClass => f.write_str("the payload class is out of range"),
            ImageErrorKind::ImageTooLarge => f.write_str("the image exceeds 4 GiB"),
        }
    }
}

impl std::error::Error for ImageError {}

pub(super) fn build<'b>(
    request: &ImageRequest<'_>,
    unit_bytes: impl Fn(&AccessUnitEntry) -> Option<&'b [u8]>,
    storage: ImageStorage,
) -> Result<PacketImage, ImageError> {
    let track = &request.index.tracks[usize::from(request.track.0)];
    let units = || request.index.units(request.track, request.segment);
    let mut layout = Layout::new(request, storage, track.media_rate, track.codec.rtp_rate())?;
    layout.reserve(units());
    match &track.codec {
        CodecConfig::H264(config) => layout.video(units(), unit_bytes, config.length_bytes)?,
        CodecConfig::Aac(_) => layout.audio(units(), unit_bytes)?,
    }
    Ok(PacketImage {
        bytes: layout.writer.into_bytes(),
        trains: layout.trains,
        numbering: request.numbering,
        framing: request.framing,
        packet_count: layout.packet_count,
        segment: request.segment,
        track: request.track,
    })
}

/// An image in the making.
struct Layout {
    writer: PacketWriter,
    trains: Vec<Train>,
    packet_count: u32,
    numbering: Numbering,
    media_rate: ClockRate,
    rtp_rate: ClockRate,
}

impl Layout {
    fn new(
        request: &ImageRequest<'_>,
        storage: ImageStorage,
        media_rate: ClockRate,
        rtp_rate: ClockRate,
    ) -> Result<Self, ImageError> {
        let packet_bytes_max = request.class.packet_bytes_max;
        let room = TRAIN_BYTES_MAX - u32::from(request.framing.prefix_bytes());
        if packet_bytes_max < PACKET_BYTES_MIN || u32::from(packet_bytes_max) > room {
            return Err(ImageError { unit: 0, kind: ImageErrorKind::PayloadClass });
        }
        let ImageStorage { mut bytes, mut trains } = storage;
        bytes.clear();
        trains.clear();
        let numbering = request.numbering;
        let header = Header {
            marker: false,
            payload_type: request.payload_type,
            sequence: numbering.sequence,
            timestamp: 0,
            ssrc: numbering.ssrc,
        };
        let channel = match request.framing {
            Framing::Datagram => None,
            Framing::Interleaved => Some(numbering.channel),
        };
        let writer = PacketWriter::new(bytes, header, channel, packet_bytes_max);
        Ok(Self { writer, trains, packet_count: 0, numbering, media_rate, rtp_rate })
    }

    /// Makes room for what the units will probably need, so that memory is taken once.
    fn reserve(&mut self, units: impl Iterator<Item = AccessUnitEntry>) {
        let overhead = INTERLEAVED_PREFIX_BYTES + HEADER_BYTES + 4;
        let payload_bytes_max = self.writer.payload_bytes_max();
        self.writer.reserve(
            units
                .map(|unit| unit.bytes as usize)
                .map(|bytes| bytes + (bytes / payload_bytes_max + 2) * overhead)
                .sum(),
        );
    }

    fn video<'b>(
        &mut self,
        units: impl Iterator<Item = AccessUnitEntry>,
        unit_bytes: impl Fn(&AccessUnitEntry) -> Option<&'b [u8]>,
        length_bytes: u8,
    ) -> Result<(), ImageError> {
        for unit in units {
            let fail = |kind| ImageError { unit: unit.index, kind };
            let bytes = unit_bytes(&unit).ok_or(fail(ImageErrorKind::BytesMissing))?;
            self.begin_unit(&unit);
            h264::write_access_unit(&mut self.writer, nal_units(bytes, length_bytes))
                .map_err(|error| fail(ImageErrorKind::Nal(error)))?;
            self.end_unit(&unit)?;
        }
        Ok(())
    }

    fn audio<'b>(
        &mut self,
        units: impl Iterator<Item = AccessUnitEntry>,
        unit_bytes: impl Fn(&AccessUnitEntry) -> Option<&'b [u8]>,
    ) -> Result<(), ImageError> {
        let mut bundle = Bundle::default();
        for unit in units {
            let fail = |kind| ImageError { unit: unit.index, kind };
            let bytes = unit_bytes(&unit).ok_or(fail(ImageErrorKind::BytesMissing))?;
            if bytes.is_empty() {
                continue;
            }
            if bytes.len() > aac::UNIT_BYTES_MAX {
                return Err(fail(ImageErrorKind::AudioUnitTooLarge));
            }
            if !bundle.takes(&unit, bytes, &self.writer, self.media_rate) {
                self.end_bundle(&mut bundle)?;
            }
            bundle.push(unit, bytes);
        }
        self.end_bundle(&mut bundle)
    }

    fn end_bundle(&mut self, bundle: &mut Bundle<'_>) -> Result<(), ImageError> {
        if let Some((first, _)) = bundle.ends {
            self.begin_unit(&first);
            aac::write_bundle(&mut self.writer, &bundle.units);
            self.end_unit(&first)?;
        }
        bundle.clear();
        Ok(())
    }

    fn timestamp(&self, unit: &AccessUnitEntry) -> i64 {
        self.media_rate.convert_nearest(unit.composition, self.rtp_rate)
    }

    fn begin_unit(&mut self, unit: &AccessUnitEntry) {
        self.writer.begin_unit(self.numbering.timestamp(self.timestamp(unit)));
    }

    /// Makes trains of the packets just written. A unit's last train is due at its decode time;
    /// those of a big one lie before it in proportion to the bytes still to come.
    fn end_unit(&mut self, unit: &AccessUnitEntry) -> Result<(), ImageError> {
        let too_large = ImageError { unit: unit.index, kind: ImageErrorKind::ImageTooLarge };
        let end = u32::try_from(self.writer.bytes().len()).map_err(|_| too_large)?;
        let runs = self.writer.runs();
        let unit_bytes: u32 = runs.iter().map(Run::bytes).sum();
        let unit_packets: u32 = runs.iter().map(|run| run.packet_count).sum();
        let decode = self.media_rate.nanos_floor(unit.decode);
        let (burst, spread) = if unit_packets > u32::from(BURST_PACKETS_MAX) {
            (BURST_PACKETS_MAX, self.spread_nanos(unit, decode))
        } else {
            (TRAIN_PACKETS_MAX, 0)
        };
        let timestamp = self.timestamp(unit);
        let mut offset = end - unit_bytes;
        for part in runs.iter().flat_map(|run| split(*run, burst)) {
            let behind = end - offset - part.bytes();
            self.trains.push(Train {
                due: decode.saturating_sub(spread * i64::from(behind) / i64::from(unit_bytes)),
                timestamp,
                unit: unit.index,
                offset,
                first_packet: self.packet_count,
                #[allow(clippy::cast_possible_truncation, reason = "at most TRAIN_PACKETS_MAX")]
                packet_count: part.packet_count as u16,
                packet_bytes: part.packet_bytes,
                last_packet_bytes: part.last_packet_bytes,
                ends_unit: behind == 0,
                sync: unit.sync,
            });
            offset += part.bytes();
            self.packet_count += part.packet_count;
        }
        Ok(())
    }

    /// How long before `due` a big access unit may begin to leave: not before the end of the unit
    /// in front of it, so that trains are due in the order in which they leave.
    fn spread_nanos(&self, unit: &AccessUnitEntry, due: i64) -> i64 {
        let since_previous =
            self.trains.last().map_or(i64::MAX, |train| due.saturating_sub(train.due));
        let duration = self.media_rate.nanos_floor(i64::from(unit.duration));
        duration.min(SPREAD_NANOS_MAX).min(since_previous).max(0)
    }
}

/// Cuts a run into parts of equal packet counts that a train may have: at most `packet_count_max`
/// packets and [`TRAIN_BYTES_MAX`] bytes each.
fn split(run: Run, packet_count_max: u16) -> impl Iterator<Item = Run> {
    let most = u32::from(packet_count_max).min(TRAIN_BYTES_MAX / u32::from(run.packet_bytes));
    let count = run.packet_count.div_ceil(run.packet_count.div_ceil(most));
    (0..run.packet_count).step_by(count as usize).map(move |first| {
        let left = run.packet_count - first;
        let last = if left > count { run.packet_bytes } else { run.last_packet_bytes };
        Run { packet_count: left.min(count), last_packet_bytes: last, ..run }
    })
}

/// Consecutive audio access units that will share a packet.
#[derive(Default)]
struct Bundle<'b> {
    units: Vec<&'b [u8]>,
    bytes: usize,
    /// The first unit and the last.
    ends: Option<(AccessUnitEntry, AccessUnitEntry)>,
}

impl<'b> Bundle<'b> {
    /// Whether `unit` may join. Receivers tell the timestamps of units behind the first by counting
    /// durations (RFC 3640 §3.2.3.2), so those must follow each other without gap and last equally
    /// long, but for the rounding of a coarse media clock.
    fn takes(
        &self,
        unit: &AccessUnitEntry,
        bytes: &[u8],
        writer: &PacketWriter,
        rate: ClockRate,
    ) -> bool {
        let Some((first, last)) = &self.ends else {
            return true;
        };
        let span = unit.composition.saturating_sub(first.composition);
        let span = rate.nanos_floor(span.saturating_add(i64::from(unit.duration)));
        aac::fits(writer, self.units.len() + 1, self.bytes + bytes.len())
            && last.composition.checked_add(i64::from(last.duration)) == Some(unit.composition)
            && last.duration.abs_diff(first.duration) <= 1
            && span <= BUNDLE_NANOS_MAX
    }

    fn push(&mut self, unit: AccessUnitEntry, bytes: &'b [u8]) {
        self.units.push(bytes);
        self.bytes += bytes.len();
        self.ends = Some((self.ends.map_or(unit, |(first, _)| first), unit));
    }

    fn clear(&mut self) {
        self.units.clear();
        self.bytes = 0;
        self.ends = None;
    }
}
