//! Flash Video files (Adobe Flash Video File Format Specification 10.1, annex E): H.264, AAC and
//! MP3 in tags with times in milliseconds.

mod track;

use track::{Sample, Track};

use super::scan::Scan;
use super::{Demand, Demux, IndexError};
use crate::codec::CodecConfig;
use crate::codec::aac::AacConfig;
use crate::codec::h264::H264Config;
use crate::codec::mpeg_audio::FrameHeader;
use crate::index::{IndexBuilder, MediaIndex, SkipReason, SkippedTrack, UNITS_MAX};
use crate::time::Npt;

const TAG_HEADER_BYTES: usize = 11;
/// Bytes between the end of a tag and the next: the tag's length.
const TRAILER_BYTES: u64 = 4;
/// Bytes of a tag's data that are looked at, if it is media.
const LOOK_BYTES: usize = 5;
/// Bytes of a codec's configuration at most.
const CONFIG_BYTES_MAX: usize = 64 << 10;

const AUDIO: u8 = 8;
const VIDEO: u8 = 9;

/// Goes from tag to tag.
#[derive(Debug)]
struct Demuxer {
    scan: Scan,
    file_bytes: u64,
    video: Stream,
    audio: Stream,
    /// Most access units of both: [`UNITS_MAX`], but in tests.
    units_max: usize,
}

/// What a file's tags of one type are.
#[derive(Debug)]
enum Stream {
    /// None of them has told.
    Unknown,
    /// Media; the second says why it ends before the file.
    Track(Track, Option<SkipReason>),
    Skipped(SkipReason),
}

/// The header of a tag, and where its data lies.
#[derive(Clone, Copy, Debug)]
struct Tag {
    kind: u8,
    is_encrypted: bool,
    data_bytes: u32,
    /// Milliseconds.
    time: i64,
    offset: u64,
}

/// A file with the magic number.
pub(super) fn probe(head: &[u8], file_bytes: u64) -> Option<Box<dyn Demux>> {
    let header = head.strip_prefix(b"FLV\x01")?;
    let header_bytes = u32::from_be_bytes(*header.get(1..)?.first_chunk()?);
    let mut scan = Scan::new(file_bytes);
    scan.consume(u64::from(header_bytes.max(9)) + TRAILER_BYTES);
    Some(Box::new(Demuxer::new(scan, file_bytes)))
}

impl Tag {
    /// The header at the beginning of `bytes`, which lie at `offset` in the file.
    fn parse(bytes: &[u8], offset: u64) -> Option<Self> {
        let header: &[u8; TAG_HEADER_BYTES] = bytes.first_chunk()?;
        let [kind, s0, s1, s2, t1, t2, t3, t0, ..] = *header;
        Some(Self {
            kind: kind & 0x1f,
            is_encrypted: kind & 0x20 != 0,
            data_bytes: u32::from_be_bytes([0, s0, s1, s2]),
            time: i64::from(u32::from_be_bytes([t0, t1, t2, t3])),
            offset: offset + TAG_HEADER_BYTES as u64,
        })
    }

    /// The unit that begins so many bytes into the data.
    fn sample(&self, skipped_bytes: u32, composition_offset: i32, sync: bool) -> Option<Sample> {
        Some(Sample {
            offset: self.offset + u64::from(skipped_bytes),
            bytes: self.data_bytes.checked_sub(skipped_bytes).filter(|bytes| *bytes > 0)?,
            time: self.time,
            composition_offset,
            sync,
        })
    }
}

impl Demux for Demuxer {
    fn demand(&self) -> Demand {
        self.scan.demand()
    }

    fn supply(&mut self, bytes: &[u8]) -> Result<Option<MediaIndex>, IndexError> {
        // Behind the header nothing may be left, and what is demanded then is not ours.
        if !self.scan.is_last() {
            self.scan.supply(bytes);
        }
        let mut at = 0_u64;
        while let Some(count) = self.step(usize::try_from(at).unwrap_or(usize::MAX))? {
            at = at.saturating_add(count);
        }
        self.scan.consume(at);
        if !self.scan.is_last() {
            return Ok(None);
        }
        let video = std::mem::replace(&mut self.video, Stream::Unknown);
        let audio = std::mem::replace(&mut self.audio, Stream::Unknown);
        build(video, audio).map(Some)
    }
}

impl Stream {
    const fn unit_count(&self) -> usize {
        match self {
            Self::Track(track, _) => track.unit_count(),
            Self::Unknown | Self::Skipped(_) => 0,
        }
    }
}

impl Demuxer {
    const fn new(scan: Scan, file_bytes: u64) -> Self {
        let (video, audio) = (Stream::Unknown, Stream::Unknown);
        Self { scan, file_bytes, video, audio, units_max: UNITS_MAX as usize }
    }

    /// Takes the tag that lies `at` bytes into what has been read; yields how many bytes it is, or
    /// `None` if not enough of it is there.
    fn step(&mut self, at: usize) -> Result<Option<u64>, IndexError> {
        let rest = self.scan.bytes().get(at..).unwrap_or_default();
        let Some(tag) = Tag::parse(rest, self.scan.offset() + at as u64) else { return Ok(None) };
        if tag.offset + u64::from(tag.data_bytes) > self.file_bytes {
            return Ok(Some(self.file_bytes)); // the end of a recording
        }
        let data = rest.get(TAG_HEADER_BYTES..).unwrap_or_default();
        let data_bytes = tag.data_bytes as usize;
        let look_bytes = if is_config(tag.kind, data) { CONFIG_BYTES_MAX } else { LOOK_BYTES };
        let Some(look) = data.get(..look_bytes.min(data_bytes)) else { return Ok(None) };
        // Two bytes tell whether it is a configuration.
        if data.len() < 2.min(data_bytes) {
            return Ok(None);
        }
        match tag.kind {
            VIDEO => take(&mut self.video, tag, look, take_video),
            AUDIO => take(&mut self.audio, tag, look, take_audio),
            _ => {}
        }
        if self.video.unit_count() + self.audio.unit_count() > self.units_max {
            let limit = self.units_max as u64;
            return Err(IndexError::TooLarge { what: "access units", limit });
        }
        Ok(Some(TAG_HEADER_BYTES as u64 + u64::from(tag.data_bytes) + TRAILER_BYTES))
    }
}

/// Whether a tag's data is a codec's configuration.
fn is_config(kind: u8, data: &[u8]) -> bool {
    match (kind, data) {
        (VIDEO, [first, 0, ..]) => first & 0xf == AVC,
        (AUDIO, [first, 0, ..]) => first >> 4 == AAC,
        _ => false,
    }
}

/// What a tag of media is.
enum Content {
    Config(CodecConfig),
    /// A unit of a codec that needs no configuration, or has had it.
    Unit(Sample),
    /// One whose configuration is in it.
    UnitWithConfig(Sample, CodecConfig),
    Nothing,
}

fn take(
    stream: &mut Stream,
    tag: Tag,
    data: &[u8],
    read: fn(Tag, &[u8]) -> Result<Content, SkipReason>,
) {
    if matches!(stream, Stream::Skipped(_) | Stream::Track(_, Some(_))) {
        return;
    }
    let content = if tag.is_encrypted { Err(SkipReason::Encrypted) } else { read(tag, data) };
    match (content, stream) {
        (Err(reason), Stream::Track(_, end)) => *end = Some(reason),
        (Err(reason), stream) => *stream = Stream::Skipped(reason),
        (Ok(Content::Config(codec)), Stream::Track(track, end)) => {
            // Encoders repeat it.
            if *track.codec() != codec {
                *end = Some(SkipReason::SeveralDescriptions);
            }
        }
        (Ok(Content::Config(codec)), stream) => *stream = Stream::Track(Track::new(codec), None),
        (
            Ok(Content::Unit(sample) | Content::UnitWithConfig(sample, _)),
            Stream::Track(track, _),
        ) => track.push(sample),
        (Ok(Content::UnitWithConfig(sample, codec)), stream) => {
            let mut track = Track::new(codec);
            track.push(sample);
            *stream = Stream::Track(track, None);
        }
        (Ok(Content::Unit(_) | Content::Nothing), _) => {}
    }
}

/// CodecID of H.264 (§E.4.3.1).
const AVC: u8 = 7;
/// SoundFormat of AAC (§E.4.2.1).
const AAC: u8 = 10;

fn take_video(tag: Tag, data: &[u8]) -> Result<Content, SkipReason> {
    const KEY_FRAME: u8 = 1;
    const COMMAND: u8 = 5;
    let Some((first, rest)) = data.split_first() else { return Ok(Content::Nothing) };
    if first & 0x80 != 0 {
        // Enhanced RTMP.
        let name = rest.get(..4).unwrap_or_default().escape_ascii();
        return Err(SkipReason::Codec(format!("{name} in FLV")));
    }
    if first >> 4 == COMMAND {
        return Ok(Content::Nothing);
    }
    match (first & 0xf, rest) {
        (AVC, [0, _, _, _, record @ ..]) => H264Config::parse(record)
            .map(|config| Content::Config(CodecConfig::H264(config)))
            .map_err(|error| SkipReason::Config(error.0)),
        (AVC, [1, c0, c1, c2]) => {
            let composition_offset = i32::from_be_bytes([*c0, *c1, *c2, 0]) >> 8;
            let sample = tag.sample(5, composition_offset, first >> 4 == KEY_FRAME);
            Ok(sample.map_or(Content::Nothing, Content::Unit))
        }
        (AVC, _) => Ok(Content::Nothing),
        (codec, _) => Err(SkipReason::Codec(video_name(codec))),
    }
}

fn take_audio(tag: Tag, data: &[u8]) -> Result<Content, SkipReason> {
    const MP3: u8 = 2;
    const MP3_8_KHZ: u8 = 14;
    let Some((first, rest)) = data.split_first() else { return Ok(Content::Nothing) };
    match (first >> 4, rest) {
        (AAC, [0, config @ ..]) => AacConfig::parse(config)
            .map(|config| Content::Config(CodecConfig::Aac(config)))
            .map_err(|error| SkipReason::Config(error.0)),
        (AAC, [1, ..]) => Ok(tag.sample(2, 0, true).map_or(Content::Nothing, Content::Unit)),
        (AAC, _) => Ok(Content::Nothing),
        (MP3 | MP3_8_KHZ, frame) => {
            let header = FrameHeader::parse(frame).filter(|frame| frame.bytes < tag.data_bytes);
            let unit = header.and_then(|header| Some((tag.sample(1, 0, true)?, header.config())));
            Ok(unit.map_or(Content::Nothing, |(sample, config)| {
                Content::UnitWithConfig(sample, CodecConfig::MpegAudio(config))
            }))
        }
        (codec, _) => Err(SkipReason::Codec(audio_name(codec))),
    }
}

fn video_name(codec: u8) -> String {
    match codec {
        2 => "Sorenson H.263".to_owned(),
        3 | 6 => "Screen Video".to_owned(),
        4 | 5 => "VP6".to_owned(),
        codec => format!("FLV video {codec}"),
    }
}

fn audio_name(codec: u8) -> String {
    match codec {
        0 | 3 => "PCM in FLV".to_owned(),
        1 => "ADPCM".to_owned(),
        4..=6 => "Nellymoser".to_owned(),
        7 | 8 => "G.711 in FLV".to_owned(),
        11 => "Speex".to_owned(),
        codec => format!("FLV sound {codec}"),
    }
}

/// The index of what has been found. The presentation begins with what is composed first.
fn build(video: Stream, audio: Stream) -> Result<MediaIndex, IndexError> {
    let mut skipped = Vec::new();
    let mut tracks = Vec::new();
    for (container_id, stream) in [(u32::from(VIDEO), video), (u32::from(AUDIO), audio)] {
        let reason = match stream {
            Stream::Unknown => None,
            Stream::Skipped(reason) => Some(reason),
            Stream::Track(track, _) if track.unit_count() == 0 => Some(SkipReason::Empty),
            Stream::Track(track, end) => {
                tracks.push((container_id, track));
                end
            }
        };
        skipped.extend(reason.map(|reason| SkippedTrack { container_id, reason }));
    }
    let Some(origin) = tracks.iter().filter_map(|(_, track)| track.first_composition()).min()
    else {
        return Err(IndexError::NoPlayableTrack { tracks: skipped });
    };
    let mut builder = IndexBuilder::new();
    let mut end = 0;
    for (container_id, track) in tracks {
        let id = track.build(container_id, origin, &mut builder)?;
        end = end.max(builder.composition_end(id).unwrap_or(0));
    }
    let mut index = builder.finish(Npt::from_nanos(end.unsigned_abs()));
    index.skipped = skipped;
    Ok(index)
}

#[cfg(test)]
mod tests;
