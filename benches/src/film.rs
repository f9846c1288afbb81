//! A title made of nothing: 2 Mbit/s of H.264 and 128 kbit/s of AAC, a half second of each in turn.

use packetizer::codec::CodecConfig;
use packetizer::codec::aac::AacConfig;
use packetizer::codec::h264::H264Config;
use packetizer::codec::nal::NalFraming;
use packetizer::index::{IndexBuilder, TrackDescription, TrackId};
use packetizer::time::{ClockRate, Npt};
use server::title::{ByteSourceId, Generation, SharedTitle, SourceFiles, Title};
use std::path::PathBuf;
use std::sync::Arc;

/// The tracks of every film.
pub const TRACKS: [TrackId; 2] = [TrackId(0), TrackId(1)];

/// Pictures a second.
const PICTURES: u32 = 25;
/// Pictures from one sync sample to the next.
const GROUP: u32 = 50;
/// Ticks of the sound's clock a second.
const AUDIO_RATE: u32 = 48_000;
/// Samples of a unit of sound.
const AUDIO_UNIT: u16 = 1024;
/// Bytes of one.
const AUDIO_BYTES: u32 = 341;

/// A title and the file behind it.
#[derive(Clone, Debug)]
pub struct Film {
    /// The title.
    pub title: SharedTitle,
    /// Its file.
    pub file: Arc<[u8]>,
}

impl Film {
    /// A film of so many seconds.
    ///
    /// # Panics
    /// If it is longer than an index can hold.
    #[must_use]
    pub fn new(id: u64, seconds: u32) -> Self {
        let mut file = Vec::new();
        let title = title(id, seconds, &mut file);
        Self { title: Arc::new(title), file: file.into() }
    }

    /// Other titles whose files have the same bytes as this one's; no title is another's.
    #[must_use]
    pub fn copies(&self, ids: impl IntoIterator<Item = u64>, seconds: u32) -> Vec<Self> {
        let copy = |id| Self {
            title: Arc::new(title(id, seconds, &mut Vec::new())),
            file: Arc::clone(&self.file),
        };
        ids.into_iter().map(copy).collect()
    }
}

/// Indexes the film's units while it appends them to `file`.
fn title(id: u64, seconds: u32, file: &mut Vec<u8>) -> Title {
    let mut builder = IndexBuilder::new();
    for track in [video_track(), audio_track()] {
        builder.add_track(track).expect("two tracks");
    }
    let (mut picture, mut unit) = (0, 0);
    for half in 1..=seconds * 2 {
        while picture * 2 < half * PICTURES {
            let (bytes, sync) = (picture_bytes(picture), picture % GROUP == 0);
            let time = i64::from(picture);
            let offset = file.len() as u64;
            builder.push(TRACKS[0], offset, bytes, time, time, 1, sync).expect("in order");
            file.extend((bytes - 4).to_be_bytes());
            file.push(if sync { 0x65 } else { 0x61 });
            file.resize(file.len() + bytes as usize - 5, 0x5a);
            picture += 1;
        }
        let ticks = u32::from(AUDIO_UNIT);
        while unit * ticks * 2 < half * AUDIO_RATE {
            let time = i64::from(unit * ticks);
            let offset = file.len() as u64;
            builder
                .push(TRACKS[1], offset, AUDIO_BYTES, time, time, ticks, true)
                .expect("in order");
            file.resize(file.len() + AUDIO_BYTES as usize, 0x21);
            unit += 1;
        }
    }
    Title {
        name: format!("film{id}.mp4"),
        path: PathBuf::from(format!("/film{id}.mp4")),
        generation: Generation { inode: (0, id), modified_nanos: 0, bytes: file.len() as u64 },
        source: ByteSourceId(id),
        index: builder.finish(Npt::from_nanos(u64::from(seconds) * 1_000_000_000)),
        looped: false,
        files: SourceFiles::default(),
    }
}

/// Sync samples are eight times as big as other pictures, and no two in a row are the same.
const fn picture_bytes(picture: u32) -> u32 {
    let bytes = 6_800 + picture.wrapping_mul(7_919) % 3_990;
    if picture.is_multiple_of(GROUP) { bytes * 8 } else { bytes }
}

fn video_track() -> TrackDescription {
    let codec = CodecConfig::H264(H264Config {
        framing: NalFraming::Length(4),
        sequence_parameter_sets: vec![vec![0x67, 0x4d, 0x40, 0x1f]],
        picture_parameter_sets: vec![vec![0x68, 0xee]],
    });
    let media_rate = ClockRate::new(PICTURES).expect("not zero");
    TrackDescription::new(1, codec, media_rate)
}

fn audio_track() -> TrackDescription {
    let media_rate = ClockRate::new(AUDIO_RATE).expect("not zero");
    let codec = CodecConfig::Aac(AacConfig {
        audio_specific_config: vec![0x11, 0x90],
        rtp_rate: media_rate,
        channels: 2,
        unit_samples: AUDIO_UNIT,
    });
    TrackDescription::new(2, codec, media_rate)
}
