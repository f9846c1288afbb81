//! Titles as they are sent: every segment laid out once, as a shard lays it out, in memory.

use packetizer::container;
use packetizer::image::{
    Bursts, Framing, ImageRequest, ImageStorage, Numbering, PacketImage, PayloadClass, Train,
};
use packetizer::index::{AccessUnitEntry, MediaIndex, SegmentId, TrackId};
use packetizer::rtp::Ssrc;
use packetizer::sdp;
use packetizer::time::ClockRate;
use std::fs;
use std::io;
use std::path::Path;

/// A title that is played round and round.
#[derive(Debug)]
pub(crate) struct Title {
    pub(crate) tracks: Vec<Track>,
    /// Nanoseconds of one round.
    pub(crate) period: i64,
}

/// The packets of a track.
#[derive(Debug)]
pub(crate) struct Track {
    /// Each has a train at least; the numbering as they lie goes on from one to the next.
    pub(crate) images: Vec<Image>,
    pub(crate) rtp_rate: ClockRate,
    pub(crate) period: i64,
}

/// A packet image with its ordinal among all.
#[derive(Debug)]
pub(crate) struct Image {
    pub(crate) packets: PacketImage,
    pub(crate) ordinal: usize,
}

impl Image {
    /// The bytes of a train as they lie.
    pub(crate) fn bytes(&self, train: &Train) -> &[u8] {
        self.run(train, train)
    }

    /// The bytes of trains that lie behind each other.
    pub(crate) fn run(&self, first: &Train, last: &Train) -> &[u8] {
        &self.packets.bytes[first.offset as usize..(last.offset + last.bytes()) as usize]
    }
}

/// How titles are laid out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Layout {
    pub(crate) framing: Framing,
    pub(crate) class: PayloadClass,
    /// What the images of all titles may take; of a title that takes more than its part the
    /// beginning is played.
    pub(crate) memory_bytes: u64,
}

/// What was laid out.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Extent {
    pub(crate) images: usize,
    pub(crate) bytes: u64,
    /// Nanoseconds of media, and of those that were left out because memory is bounded.
    pub(crate) nanos: i64,
    pub(crate) left_out: i64,
}

/// Opens the files and lays them out.
pub(crate) fn load(files: &[impl AsRef<Path>], layout: Layout) -> io::Result<(Vec<Title>, Extent)> {
    let part = layout.memory_bytes / files.len().max(1) as u64;
    let mut extent = Extent::default();
    let load = |file: &_| load_title(AsRef::as_ref(file), layout, part, &mut extent);
    let titles = files.iter().map(load).collect::<io::Result<_>>()?;
    Ok((titles, extent))
}

fn load_title(path: &Path, layout: Layout, part: u64, extent: &mut Extent) -> io::Result<Title> {
    let named = |error: String| io::Error::other(format!("{}: {error}", path.display()));
    let file = fs::read(path).map_err(|error| named(error.to_string()))?;
    let index = container::open(file.len() as u64, |offset, buffer: &mut [u8]| {
        let rest = usize::try_from(offset).ok().and_then(|offset| file.get(offset..));
        let rest = rest.unwrap_or_default();
        let bytes = rest.len().min(buffer.len());
        buffer[..bytes].copy_from_slice(&rest[..bytes]);
        Ok::<_, io::Error>(bytes)
    });
    let index = index.map_err(|error| named(error.to_string()))?;
    let mut tracks: Vec<Vec<Image>> = index.tracks.iter().map(|_| Vec::new()).collect();
    let (mut period, mut bytes) = (nanos(&index), 0);
    for segment in (0..index.segment_count()).map(SegmentId) {
        if bytes >= part {
            period = segment_start(&index, segment).unwrap_or(period);
            break;
        }
        for (id, images) in (0..).map(TrackId).zip(&mut tracks) {
            let before: u32 = images.iter().map(|image| image.packets.packet_count).sum();
            #[allow(clippy::cast_possible_truncation, reason = "sequence numbers wrap")]
            let packets = build(&index, &file, id, segment, before as u16, layout);
            let packets = packets.map_err(|error| named(error.to_string()))?;
            bytes += packets.memory_bytes() as u64;
            if !packets.trains.is_empty() {
                images.push(Image { packets, ordinal: extent.images });
                extent.images += 1;
            }
        }
    }
    extent.bytes += bytes;
    extent.nanos += period;
    extent.left_out += nanos(&index) - period;
    let rates = index.tracks.iter().map(|track| track.codec.rtp_rate());
    let tracks = tracks.into_iter().zip(rates);
    let tracks = tracks.map(|(images, rtp_rate)| Track { images, rtp_rate, period });
    let tracks: Vec<_> = tracks.filter(|track| !track.images.is_empty()).collect();
    if tracks.is_empty() || period <= 0 {
        return Err(named("there is nothing to play".to_owned()));
    }
    Ok(Title { tracks, period })
}

fn build(
    index: &MediaIndex,
    file: &[u8],
    track: TrackId,
    segment: SegmentId,
    sequence: u16,
    layout: Layout,
) -> Result<PacketImage, packetizer::image::ImageError> {
    let channel = 2 * track.0;
    let ssrc = Ssrc(u32::from(track.0) + 1);
    let request = ImageRequest {
        index,
        track,
        segment,
        class: layout.class,
        framing: layout.framing,
        payload_type: sdp::payload_type(track, &index.tracks[usize::from(track.0)].codec),
        bursts: Bursts::default(),
    };
    let unit_bytes = |unit: &AccessUnitEntry| {
        let start = usize::try_from(unit.offset).ok()?;
        file.get(start..start.checked_add(unit.bytes as usize)?)
    };
    let mut image = PacketImage::build(request, unit_bytes, ImageStorage::default())?;
    image.number_all(Numbering { ssrc, sequence, timestamp_zero: 0, channel }, 1);
    Ok(image)
}

fn nanos(index: &MediaIndex) -> i64 {
    i64::try_from(index.duration.nanos()).unwrap_or(i64::MAX)
}

/// When the first unit of a segment is decoded.
fn segment_start(index: &MediaIndex, segment: SegmentId) -> Option<i64> {
    let tracks = (0..).map(TrackId).zip(&index.tracks);
    tracks.filter_map(|(track, _)| index.segment_start(track, segment)).min()
}
