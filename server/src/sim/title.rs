//! A synthetic title: an index and the bytes it speaks of.

use crate::title::{ByteSourceId, Generation, SharedTitle, SourceFiles, Title};
use fastrand::Rng;
use packetizer::codec::CodecConfig;
use packetizer::codec::aac::AacConfig;
use packetizer::codec::h264::H264Config;
use packetizer::codec::nal::NalFraming;
use packetizer::index::next_file_start;
use packetizer::index::{IndexBuilder, Join, MediaIndex, TrackDescription, TrackId};
use packetizer::time::{ClockRate, Npt};
use packetizer::wrapping::Wrapping;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

/// Decode ticks of a picture: 25 a second at 12,800 ticks.
const PICTURE_TICKS: i64 = 512;
/// Pictures of a group.
const GROUP: i64 = 12;
/// Pictures a P picture is shown behind its decode time.
const REORDER: i64 = 1;

/// The units of a track: composition time in RTP ticks → unit, decode time in nanoseconds.
pub(super) type Units = Arc<BTreeMap<i64, (u32, i64)>>;

/// A title and the file behind it.
#[derive(Clone, Debug)]
pub(super) struct SimTitle {
    pub(super) title: SharedTitle,
    file: Vec<u8>,
    units: Vec<Units>,
}

/// The titles of all worlds of the process. Their sources count from 0; the last but one is a
/// playlist, and the last is looped.
pub(super) fn titles() -> &'static [SimTitle] {
    static TITLES: OnceLock<Vec<SimTitle>> = OnceLock::new();
    TITLES.get_or_init(|| {
        let mut random = Rng::with_seed(0);
        let mut of = |id, seconds| synthesize(&mut random, id, seconds, 1, 1);
        let (short, middle) = (of(0, 8), of(1, 11));
        let list = play_list(2, &[of(2, 6), of(2, 8)]);
        vec![short, middle, list, looped(of(3, 5))]
    })
}

/// Titles of a minute and a half, for worlds in which memory is scarce. Their sources count from
/// [`LONG_MIN`].
pub(super) fn long_titles() -> &'static [SimTitle] {
    static TITLES: OnceLock<Vec<SimTitle>> = OnceLock::new();
    TITLES.get_or_init(|| {
        let mut random = Rng::with_seed(1);
        (LONG_MIN..LONG_MIN + 2).map(|id| synthesize(&mut random, id, 90, 1, 1)).collect()
    })
}

/// How the tracks of a title lie in its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interleaving {
    /// By the half second.
    Fine,
    /// Ten seconds of video, ten of audio.
    Coarse,
    /// All video, all audio.
    None,
}

impl Interleaving {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Fine, Self::Coarse, Self::None];

    /// Half seconds of a track in a row.
    const fn halves(self) -> i64 {
        match self {
            Self::Fine => 1,
            Self::Coarse => 20,
            Self::None => 2 * COLD_SECONDS,
        }
    }
}

/// One of as many titles as a test wants that nobody else plays: each has a source of its own, and
/// all that lie in the same way have the same bytes.
pub(super) fn cold_title(interleaving: Interleaving, number: u64) -> SharedTitle {
    renamed(ByteSourceId(COLD_MIN + number * COLD_STEP + interleaving as u64))
}

/// A title like others, with a source of its own.
fn renamed(source: ByteSourceId) -> SharedTitle {
    let same = &title_of(source).title;
    Arc::new(Title {
        name: format!("like{}.mp4", source.0),
        path: same.path.clone(),
        generation: same.generation,
        source,
        index: same.index.clone(),
        looped: false,
        files: SourceFiles::default(),
    })
}

/// One of as many titles of a minute and a half, of half a Mbit/s, as a test wants.
pub(super) fn lean_title(number: u64) -> SharedTitle {
    renamed(ByteSourceId(LEAN_MIN + number))
}

/// The title whose bytes [`lean_title`]s have.
fn lean_titles() -> &'static [SimTitle] {
    static TITLES: OnceLock<Vec<SimTitle>> = OnceLock::new();
    TITLES.get_or_init(|| vec![synthesize(&mut Rng::with_seed(3), LEAN_MIN, 90, 1, LEAN)])
}

/// The titles whose bytes [`cold_title`]s have.
fn cold_titles() -> &'static [SimTitle] {
    static TITLES: OnceLock<Vec<SimTitle>> = OnceLock::new();
    TITLES.get_or_init(|| {
        let mut random = Rng::with_seed(2);
        let of = |layout: Interleaving| {
            synthesize(&mut random, COLD_MIN, COLD_SECONDS, layout.halves(), 1)
        };
        Interleaving::ALL.into_iter().map(of).collect()
    })
}

/// How long a cold title is.
pub(super) const COLD_SECONDS: i64 = 25;
const LONG_MIN: u64 = 100;
const COLD_MIN: u64 = 1000;
const LEAN_MIN: u64 = 1_000_000;
/// Lean pictures have so much less.
const LEAN: u32 = 4;
/// From one source of a way to lie to the next.
const COLD_STEP: u64 = 10;

fn title_of(source: ByteSourceId) -> &'static SimTitle {
    let (titles, position) = match source.0 {
        LEAN_MIN.. => (lean_titles(), 0),
        COLD_MIN.. => (cold_titles(), (source.0 - COLD_MIN) % COLD_STEP),
        LONG_MIN.. => (long_titles(), source.0 - LONG_MIN),
        _ => (titles(), source.0),
    };
    &titles[usize::try_from(position).expect("small")]
}

/// The bytes of a title.
pub(super) fn file_of(source: ByteSourceId) -> &'static [u8] {
    &title_of(source).file
}

/// The units of a title's track.
pub(super) fn units_of(source: ByteSourceId, track: TrackId) -> Units {
    Arc::clone(&title_of(source).units[usize::from(track.0)])
}

/// A title of so many seconds: H.264 with B-frames and AAC, of each `halves` half seconds in a row.
/// Pictures have one byte in `lean` of the usual.
fn synthesize(random: &mut Rng, id: u64, seconds: i64, halves: i64, lean: u32) -> SimTitle {
    let mut builder = IndexBuilder::new();
    let video = builder.add_track(video_track()).expect("the first track");
    let audio = builder.add_track(audio_track()).expect("the second track");
    let mut file = vec![0; 48];
    let (mut picture, mut bundle) = (0, 0);
    let chunks = usize::try_from(halves).expect("not negative");
    for half in (0..seconds * 2).step_by(chunks).map(|first| (first + halves).min(seconds * 2)) {
        while picture * PICTURE_TICKS * 2 < half * 12_800 {
            push_picture(&mut builder, (video, lean), picture, &mut file, random);
            picture += 1;
        }
        while bundle * 1024 * 2 < half * 48_000 {
            let bytes = random.u32(20..400);
            let offset = file.len() as u64;
            file.extend((0..bytes).map(|_| random.u8(..)));
            let time = bundle * 1024;
            builder.push(audio, offset, bytes, time, time, 1024, true).expect("in order");
            bundle += 1;
        }
    }
    let duration = Npt::from_nanos(seconds.unsigned_abs() * 1_000_000_000);
    sim_title(id, builder.finish(duration), file)
}

/// A title of several files, one after another.
fn play_list(id: u64, parts: &[SimTitle]) -> SimTitle {
    let (mut join, mut file) = (Join::new(), Vec::new());
    for part in parts {
        let behind = next_file_start(file.len() as u64).filter(|_| !file.is_empty());
        let start = behind.unwrap_or(0);
        file.resize(usize::try_from(start).expect("small"), 0);
        file.extend_from_slice(&part.file);
        join.append(&part.title.index, start).expect("they are alike");
    }
    sim_title(id, join.finish().expect("there are some"), file)
}

/// A title that begins again when it is over.
fn looped(of: SimTitle) -> SimTitle {
    let title = Arc::try_unwrap(of.title).expect("nobody else has it");
    SimTitle { title: Arc::new(Title { looped: true, ..title }), ..of }
}

fn sim_title(id: u64, index: MediaIndex, file: Vec<u8>) -> SimTitle {
    let tracks = (0..index.tracks.len()).map(|track| TrackId(u8::try_from(track).expect("few")));
    let units = tracks.map(|track| Arc::new(units(&index, track))).collect();
    let title = Title {
        name: format!("title{id}.mp4"),
        path: PathBuf::from(format!("/sim/title{id}.mp4")),
        generation: Generation { inode: (0, id), modified_nanos: 0, bytes: file.len() as u64 },
        source: ByteSourceId(id),
        index,
        looped: false,
        files: SourceFiles::default(),
    };
    SimTitle { title: Arc::new(title), file, units }
}

fn units(index: &MediaIndex, track: TrackId) -> BTreeMap<i64, (u32, i64)> {
    let description = &index.tracks[usize::from(track.0)];
    let (media, rate) = (description.media_rate, description.codec.rtp_rate());
    (0..description.unit_count)
        .filter_map(|unit| index.unit(track, unit))
        .map(|unit| {
            let ticks = media.convert_nearest(unit.composition, rate);
            (ticks, (unit.index, media.nanos_floor(unit.decode)))
        })
        .collect()
}

fn push_picture(
    builder: &mut IndexBuilder,
    (track, lean): (TrackId, u32),
    picture: i64,
    file: &mut Vec<u8>,
    random: &mut Rng,
) {
    // Decode order I P B B P B B P B B P P: a reordered P is shown behind the two B after it.
    let place = picture % GROUP;
    let sync = place == 0;
    let (kind, bytes, shown) = match place {
        0 => (0x65, random.u32(5_000..120_000), place),
        1 | 4 | 7 => (0x61, random.u32(500..20_000), place + 2),
        10 | 11 => (0x61, random.u32(500..20_000), place),
        _ => (0x01, random.u32(20..6_000), place - 1),
    };
    let bytes = bytes / lean;
    let shown = picture - place + shown;
    let offset = file.len() as u64;
    file.extend(bytes.to_be_bytes());
    file.push(kind);
    file.extend((1..bytes).map(|_| random.u8(..)));
    let decode = (picture - REORDER) * PICTURE_TICKS;
    let composition = shown * PICTURE_TICKS;
    let ticks = u32::try_from(PICTURE_TICKS).expect("a constant");
    builder.push(track, offset, bytes + 4, decode, composition, ticks, sync).expect("in order");
}

fn video_track() -> TrackDescription {
    TrackDescription {
        container_id: 1,
        codec: CodecConfig::H264(H264Config {
            framing: NalFraming::Length(4),
            sequence_parameter_sets: vec![vec![0x67, 0x4d, 0x40, 0x1f]],
            picture_parameter_sets: vec![vec![0x68, 0xee]],
        }),
        media_rate: ClockRate::new(12_800).expect("not zero"),
        language: None,
        wrapping: Wrapping::None,
    }
}

fn audio_track() -> TrackDescription {
    let rate = ClockRate::new(48_000).expect("not zero");
    TrackDescription {
        container_id: 2,
        codec: CodecConfig::Aac(AacConfig {
            audio_specific_config: vec![0x11, 0x90],
            rtp_rate: rate,
            channels: 2,
            unit_samples: 1024,
        }),
        media_rate: rate,
        language: None,
        wrapping: Wrapping::None,
    }
}
