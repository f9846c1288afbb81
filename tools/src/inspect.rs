//! What reelring makes of a media file: its tracks, its index, what DESCRIBE would say, and how its
//! first access units become packets and trains.

use packetizer::codec::CodecConfig;
use packetizer::container::OpenError;
use packetizer::image::{
    Bursts, Framing, ImageRequest, ImageStorage, PacketImage, PayloadClass, Train,
};
use packetizer::index::{AccessUnitEntry, MediaIndex, SegmentId, Track, TrackId};
use packetizer::sdp::{Origin, payload_type, presentation_description};
use packetizer::time::ClockRate;
use serde::Serialize;
use std::collections::HashMap;
use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;

mod files;

use files::Files;

/// The RTP packets that the layout is shown for: what fits an Ethernet frame with IPv6 and a
/// tunnel's header to spare.
const CLASS: PayloadClass = PayloadClass { packet_bytes_max: 1400 };

/// What was found in a file.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// Bytes of the file; of a playlist, of all its files.
    pub file_bytes: u64,
    /// Length of the presentation in seconds.
    pub duration: f64,
    /// Memory of the index.
    pub index_bytes: usize,
    /// Access units of all tracks together.
    pub unit_count: u64,
    /// Memory of the index by access unit.
    pub index_bytes_per_unit: f64,
    /// Stretches that are read and laid out at once.
    pub segment_count: u32,
    /// What can be delivered.
    pub tracks: Vec<TrackReport>,
    /// What cannot, and why.
    pub skipped: Vec<String>,
    /// What DESCRIBE would answer.
    pub presentation_description: String,
}

/// What was found of one track.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TrackReport {
    /// The container's number for it.
    pub container_id: u32,
    /// Codec and what is known of it.
    pub codec: String,
    /// Ticks a second in the container.
    pub media_rate: u32,
    /// Ticks a second of RTP timestamps.
    pub rtp_rate: u32,
    /// Language, if the container names one.
    pub language: Option<String>,
    /// Access units.
    pub unit_count: u32,
    /// Where decoding may start.
    pub sync_count: u32,
    /// Average bit rate.
    pub bits_per_second: u64,
    /// Bytes of the largest access unit.
    pub unit_bytes_max: u32,
    /// The first access units and their packets.
    pub units: Vec<UnitReport>,
}

/// How one access unit, or a bundle that begins with it, travels.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct UnitReport {
    /// Position in decode order.
    pub index: u32,
    /// Bytes in the container.
    pub bytes: u32,
    /// Decode time in milliseconds.
    pub decode_ms: f64,
    /// Composition time in milliseconds.
    pub composition_ms: f64,
    /// Whether decoding may start here.
    pub sync: bool,
    /// Its trains; none if it travels in the bundle of a unit before it.
    pub trains: Vec<TrainReport>,
}

/// One train.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TrainReport {
    /// When it leaves, in milliseconds.
    pub due_ms: f64,
    /// Packets in it.
    pub packet_count: u16,
    /// Bytes of each but the last.
    pub packet_bytes: u16,
    /// Bytes of the last.
    pub last_packet_bytes: u16,
}

/// Why a file cannot be inspected.
#[derive(Debug)]
pub enum InspectError {
    /// It could not be opened or read.
    Io(io::Error),
    /// It cannot be played.
    Open(OpenError<io::Error>),
    /// Its media is not what its headers promise; says where.
    Media(String),
    /// It is a playlist, and cannot be played; says which line is wrong.
    Playlist(String),
}

impl fmt::Display for InspectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => error.fmt(f),
            Self::Open(error) => error.fmt(f),
            Self::Media(why) | Self::Playlist(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for InspectError {}

/// Inspects a file, or a playlist in the top directory of its library, and shows the first
/// `units_max` access units of each track.
///
/// # Errors
/// The file cannot be read, or not be played.
pub fn inspect(path: &Path, units_max: u32) -> Result<Report, InspectError> {
    let (files, index) = files::open(path)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let address = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let origin = Origin { session_id: 0, address, name: &name, absolute_range: None };
    let mut tracks = Vec::new();
    for (track, id) in index.tracks.iter().zip(0..) {
        tracks.push(inspect_track(&files, &index, track, TrackId(id), units_max)?);
    }
    let unit_count = index.tracks.iter().map(|track| u64::from(track.unit_count)).sum();
    #[allow(clippy::cast_precision_loss, reason = "for people")]
    Ok(Report {
        file_bytes: files.bytes,
        duration: index.duration.nanos() as f64 / 1e9,
        index_bytes: index.bytes(),
        unit_count,
        index_bytes_per_unit: index.bytes() as f64 / (unit_count.max(1)) as f64,
        segment_count: index.segment_count(),
        tracks,
        skipped: index.skipped.iter().map(ToString::to_string).collect(),
        presentation_description: presentation_description(&index, &origin),
    })
}

fn inspect_track(
    files: &Files,
    index: &MediaIndex,
    track: &Track,
    id: TrackId,
    units_max: u32,
) -> Result<TrackReport, InspectError> {
    let mut units = Vec::new();
    for segment in (0..index.segment_count()).map(SegmentId) {
        if units.len() >= units_max as usize {
            break;
        }
        units.extend(inspect_segment(files, index, id, segment)?);
    }
    units.truncate(units_max as usize);
    let syncs = std::iter::successors(index.next_sync(id, 0), |sync| index.next_sync(id, sync + 1));
    Ok(TrackReport {
        container_id: track.container_id,
        codec: describe_codec(&track.codec),
        media_rate: track.media_rate.ticks_per_second(),
        rtp_rate: track.codec.rtp_rate().ticks_per_second(),
        language: track.language.map(|letters| String::from_utf8_lossy(&letters).into_owned()),
        unit_count: track.unit_count,
        sync_count: u32::try_from(syncs.count()).unwrap_or(u32::MAX),
        bits_per_second: track.bits_per_second,
        unit_bytes_max: track.unit_bytes_max,
        units,
    })
}

/// Lays out one segment as the server would, and says how each of its units travels.
fn inspect_segment(
    files: &Files,
    index: &MediaIndex,
    track: TrackId,
    segment: SegmentId,
) -> Result<Vec<UnitReport>, InspectError> {
    let mut media = HashMap::new();
    for unit in index.units(track, segment) {
        let mut bytes = vec![0; unit.bytes as usize];
        files.read_exact_at(&mut bytes, unit.offset).map_err(InspectError::Io)?;
        media.insert(unit.index, bytes);
    }
    let request = ImageRequest {
        index,
        track,
        segment,
        class: class_of(&index.tracks[usize::from(track.0)].codec),
        framing: Framing::Datagram,
        payload_type: payload_type(track, &index.tracks[usize::from(track.0)].codec),
        bursts: Bursts::default(),
    };
    let bytes_of = |unit: &AccessUnitEntry| media.get(&unit.index).map(Vec::as_slice);
    let image = PacketImage::build(request, bytes_of, ImageStorage::default())
        .map_err(|error| InspectError::Media(error.to_string()))?;
    let rate = index.tracks[usize::from(track.0)].media_rate;
    let units = index.units(track, segment).map(|unit| UnitReport {
        index: unit.index,
        bytes: unit.bytes,
        decode_ms: millis(rate.nanos_floor(unit.decode)),
        composition_ms: millis(rate.nanos_floor(unit.composition)),
        sync: unit.sync,
        trains: image.trains.iter().filter(|t| t.unit == unit.index).map(report_train).collect(),
    });
    Ok(units.collect())
}

fn report_train(train: &Train) -> TrainReport {
    TrainReport {
        due_ms: millis(train.due),
        packet_count: train.packet_count,
        packet_bytes: train.packet_bytes,
        last_packet_bytes: train.last_packet_bytes,
    }
}

/// How big packets are: those that a hint track plans as big as they are.
const fn class_of(codec: &CodecConfig) -> PayloadClass {
    if let CodecConfig::Hinted(config) = codec {
        return PayloadClass { packet_bytes_max: config.packet_bytes };
    }
    CLASS
}

fn describe_codec(codec: &CodecConfig) -> String {
    match codec {
        CodecConfig::H264(config) => {
            let [profile, constraints, level] = config.profile_level_id();
            format!("H.264 {profile:02X}{constraints:02X}{level:02X}")
        }
        CodecConfig::Aac(config) => format!(
            "AAC {} Hz, {} channels, {} samples a unit",
            config.rtp_rate.ticks_per_second(),
            config.channels,
            config.unit_samples
        ),
        CodecConfig::H265(_) => "H.265".to_owned(),
        CodecConfig::Av1(config) => {
            format!("AV1 profile {}, level {}, tier {}", config.profile, config.level, config.tier)
        }
        CodecConfig::Vp8 => "VP8".to_owned(),
        CodecConfig::Vp9 => "VP9".to_owned(),
        CodecConfig::Mpeg4Visual(config) => {
            format!("MPEG-4 Visual, profile and level {:#04x}", config.profile_level)
        }
        CodecConfig::H263 => "H.263".to_owned(),
        CodecConfig::MpegVideo => "MPEG-1/2 video".to_owned(),
        CodecConfig::Jpeg => "JPEG".to_owned(),
        CodecConfig::Mp2t => "MPEG-2 transport stream".to_owned(),
        CodecConfig::Opus(config) => format!("Opus, {} channels", config.channels),
        CodecConfig::Vorbis(config) => sound("Vorbis", config.rtp_rate, config.channels),
        CodecConfig::MpegAudio(config) | CodecConfig::Mp3Adu(config) => {
            sound(codec.name(), config.sample_rate, config.channels)
        }
        CodecConfig::Ac3(config) => sound("AC-3", config.rtp_rate, config.channels),
        CodecConfig::EAc3(config) => sound("E-AC-3", config.rtp_rate, config.channels),
        CodecConfig::Amr(config) if config.is_wideband => "AMR-WB".to_owned(),
        CodecConfig::Amr(_) => "AMR".to_owned(),
        CodecConfig::Pcm(config) => sound(config.encoding.name(), config.rtp_rate, config.channels),
        CodecConfig::Hinted(config) => format!(
            "{} as its hint track plans it, {} Hz, packets of at most {} bytes",
            config.encoding,
            config.rtp_rate.ticks_per_second(),
            config.packet_bytes
        ),
    }
}

fn sound(name: &str, rate: ClockRate, channels: u8) -> String {
    format!("{name} {} Hz, {channels} channels", rate.ticks_per_second())
}

#[allow(clippy::cast_precision_loss, reason = "for people")]
fn millis(nanos: i64) -> f64 {
    nanos as f64 / 1e6
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:.3} s, {} bytes, {} segments; index {} bytes, {:.2} a unit",
            self.duration,
            self.file_bytes,
            self.segment_count,
            self.index_bytes,
            self.index_bytes_per_unit
        )?;
        for (track, number) in self.tracks.iter().zip(1..) {
            write!(f, "\ntrack {number}: {track}")?;
        }
        for skipped in &self.skipped {
            writeln!(f, "\nleft out: {skipped}")?;
        }
        write!(f, "\n{}", self.presentation_description.replace("\r\n", "\n"))
    }
}

impl fmt::Display for TrackReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (number {} in its file)", self.codec, self.container_id)?;
        if let Some(language) = &self.language {
            write!(f, ", {language}")?;
        }
        writeln!(
            f,
            "; {} units ({} sync, largest {} bytes), {} bit/s, {}/s as {}/s",
            self.unit_count,
            self.sync_count,
            self.unit_bytes_max,
            self.bits_per_second,
            self.media_rate,
            self.rtp_rate
        )?;
        for unit in &self.units {
            write!(
                f,
                "  {:>4}{} {:>8} bytes  decode {:>9.3} ms  composition {:>9.3} ms ",
                unit.index,
                if unit.sync { '*' } else { ' ' },
                unit.bytes,
                unit.decode_ms,
                unit.composition_ms
            )?;
            for train in &unit.trains {
                let TrainReport { due_ms, packet_count, packet_bytes, last_packet_bytes } = train;
                write!(
                    f,
                    " [{packet_count} × {packet_bytes}, last {last_packet_bytes}, at {due_ms:.1}]"
                )?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}
