//! What is in a file, and what a player got of it.

use crate::codecs::is_delivered;
use crate::exceptions::CUT;
use crate::manifest::Entry;
use crate::support::players::run_for;
use packetizer::codec::CodecConfig;
use packetizer::codec::pcm::PcmEncoding;
use packetizer::index::{MediaIndex, Track, TrackId, TrackSet};
use packetizer::time::Npt;
use serde_json::Value;

/// Pictures and coded sound, as far as they were read.
#[derive(Clone, Debug, Default)]
pub(crate) struct Content {
    /// Time in seconds and hash of every decoded picture.
    pub(crate) pictures: Vec<(f64, String)>,
    /// Hash of every coded picture.
    pub(crate) coded: Vec<String>,
    /// Bytes of all units of sound; samples if it is PCM of more than one, whose order RTP changes,
    /// or lies in LATM.
    pub(crate) sound: Vec<u8>,
}

/// How much of a stream is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Limit {
    None,
    /// So many pictures.
    Pictures(usize),
    Seconds(u32),
}

impl Limit {
    fn options(self) -> Vec<String> {
        match self {
            Self::None => vec![],
            Self::Pictures(count) => vec!["-frames:v".to_owned(), count.to_string()],
            Self::Seconds(seconds) => vec!["-t".to_owned(), seconds.to_string()],
        }
    }
}

/// How much of pictures and of sound is looked at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Extent {
    /// `None` if they are not decoded.
    pub(crate) pictures: Option<Limit>,
    /// `None` if they are not copied.
    pub(crate) coded: Option<Limit>,
    pub(crate) sound: Limit,
}

impl Extent {
    /// Everything, pictures decoded.
    pub(crate) const ALL: Self =
        Self { pictures: Some(Limit::None), coded: None, sound: Limit::None };
}

/// What ffmpeg is to read of an input: stream specifiers, and how sound is written.
#[derive(Clone, Debug, Default)]
pub(crate) struct Streams {
    pub(crate) picture: Option<String>,
    pub(crate) sound: Option<String>,
    /// Output options of sound.
    pub(crate) sound_format: &'static [&'static str],
}

/// MD5 would take longer than decoding.
const DECODED: &[&str] = &["-vsync", "passthrough", "-f", "framehash", "-hash", "murmur3"];
const CODED: &[&str] = &["-c", "copy", "-copyinkf", "-f", "framehash", "-hash", "murmur3"];
const COPIED: &[&str] = &["-c", "copy", "-f", "data"];
/// Without the headers that do not travel.
const COPIED_WITHOUT_ADTS: &[&str] = &["-c", "copy", "-bsf:a", "aac_adtstoasc", "-f", "data"];
const SAMPLES: &[&str] = &["-c:a", "pcm_s32le", "-f", "s32le"];

/// Edit lists, skipped samples and rotation are the player's affair; a decoder of one thread is
/// enough where many run.
const WHOLE: [&str; 5] = ["-threads", "1", "-noautorotate", "-flags2", "+skip_manual"];

impl Content {
    /// What ffmpeg reads of `input`; `Err` with its words if it fails.
    pub(crate) fn read(
        options: &[&str],
        input: &str,
        streams: &Streams,
        extent: Extent,
        timeout_seconds: u32,
    ) -> Result<Self, String> {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
        let (pictures, coded, sound) = (path("pictures"), path("coded"), path("sound"));
        let of_picture = |limit: Option<Limit>, format| {
            Some((streams.picture.as_ref()?, limit?.options(), format))
        };
        let outputs = [
            (of_picture(extent.pictures, DECODED), &pictures),
            (of_picture(extent.coded, CODED), &coded),
            (
                streams.sound.as_ref().map(|it| (it, extent.sound.options(), streams.sound_format)),
                &sound,
            ),
        ];
        let mut arguments = vec!["-nostdin", "-v", "error"];
        arguments.extend(WHOLE);
        arguments.extend(options);
        arguments.extend(["-i", input]);
        for (output, path) in &outputs {
            let Some((stream, limit, format)) = output else { continue };
            arguments.extend(["-map", stream]);
            arguments.extend(limit.iter().map(|option| &**option));
            arguments.extend(*format);
            arguments.push(path);
        }
        // Datagrams do not wait for a receiver that gets no processor time: decoders do.
        let niceness = if extent.pictures.is_some() { "15" } else { "0" };
        ffmpeg(niceness, &arguments, timeout_seconds)?;
        let listing = |path| parse(&std::fs::read_to_string(path).unwrap_or_default());
        Ok(Self {
            pictures: listing(&pictures),
            coded: listing(&coded).into_iter().map(|(_, hash)| hash).collect(),
            sound: std::fs::read(&sound).unwrap_or_default(),
        })
    }
}

/// Runs ffmpeg; `Err` with its last words if it fails.
fn ffmpeg(niceness: &str, arguments: &[&str], timeout_seconds: u32) -> Result<(), String> {
    let ffmpeg = ["-n", niceness, "ffmpeg"];
    let ended = run_for(timeout_seconds, "nice", &[&ffmpeg, arguments].concat());
    if ended.status.success() {
        return Ok(());
    }
    let errors = String::from_utf8_lossy(&ended.stderr);
    let last = errors.lines().last().unwrap_or_default();
    Err(format!("ffmpeg ended with {}: {last}", ended.status))
}

/// Times and hashes of a listing of frames.
pub(crate) fn parse(listing: &str) -> Vec<(f64, String)> {
    let base = listing.lines().find_map(|line| line.strip_prefix("#tb 0: "));
    let (numerator, denominator) = base.and_then(|base| base.split_once('/')).unwrap_or(("1", "1"));
    let tick = numerator.parse::<f64>().unwrap() / denominator.parse::<f64>().unwrap();
    let lines = listing.lines().filter(|line| !line.starts_with('#'));
    let pictures = lines.map(|line| {
        let fields: Vec<&str> = line.split(',').map(str::trim).collect();
        (fields[2].parse::<f64>().unwrap() * tick, fields[5].to_owned())
    });
    pictures.collect()
}

/// The file, decoded directly: what every player is compared with.
#[derive(Clone, Debug)]
pub(crate) struct Reference {
    pub(crate) content: Content,
    /// How much of it is to be asked of a player: `content` goes a second beyond.
    pub(crate) extent: Extent,
    /// How the streams are mapped that come from the server.
    pub(crate) streams: Streams,
    /// ffprobe's names of the codecs compared: of pictures, of sound.
    pub(crate) codecs: [Option<String>; 2],
    /// How much of it is played, in seconds, if not all.
    pub(crate) seconds_played: Option<u32>,
    /// How long the whole file plays.
    pub(crate) seconds: u32,
    /// Bytes in front of the sound that need not be played, by how many units those are.
    sound_skips: Vec<usize>,
    /// How many pictures in front need not be played.
    picture_skip_max: usize,
}

impl Reference {
    /// Reads the first `seconds` of a file, or all of it.
    pub(crate) fn read(
        entry: &Entry,
        index: &MediaIndex,
        seconds: Option<u32>,
    ) -> Result<Self, String> {
        let path = entry.path.to_str().unwrap();
        let picture = index.tracks.iter().position(|track| track.codec.is_video());
        let sound = index.tracks.iter().position(|track| !track.codec.is_video());
        let probed = probe(path);
        let stream = |at: Option<usize>, kind| find(&probed, kind, at.map(|at| &index.tracks[at]));
        let (shown, heard) = (stream(picture, "video"), stream(sound, "audio"));
        let map = |found: &Option<&Probed>| found.map(|probed| format!("0:{}", probed.number));
        let codec = |found: &Option<&Probed>| found.map(|probed| probed.codec.clone());
        let sound_codec = codec(&heard).unwrap_or_default();
        // Octets have no order.
        let is_pcm = sound_codec.starts_with("pcm_") && sound_codec != "pcm_u8";
        // What LATM wraps is sent without it.
        let is_decoded = is_pcm || sound_codec == "aac_latm";
        let has_adts = sound_codec == "aac" && ["aac", "mpegts"].contains(&&*entry.container);
        let sound_format = if is_decoded {
            SAMPLES
        } else if has_adts {
            COPIED_WITHOUT_ADTS
        } else {
            COPIED
        };
        let streams = Streams { picture: map(&shown), sound: map(&heard), sound_format };
        let edits: &[&str] =
            if entry.container == "mov" { &["-ignore_editlist", "1"] } else { &[] };
        let beyond = seconds.map_or(Limit::None, |seconds| Limit::Seconds(seconds + 1));
        let extent = Extent { pictures: Some(beyond), coded: None, sound: beyond };
        let whole_seconds = (index.duration.nanos() / 1_000_000_000) as u32 + 1;
        let patience = WHOLE_SECONDS + DECODING_RATIO * seconds.unwrap_or(whole_seconds);
        let mut content = Content::read(edits, path, &streams, extent, patience)?;
        let wanted = seconds.and_then(|seconds| wanted(&content.pictures, seconds));
        let sound_seconds = seconds.filter(|seconds| *seconds < whole_seconds);
        if sound_seconds.is_none() {
            let cut =
                CUT.iter().find(|(name, _)| *name == entry.name).map_or(0, |(_, bytes)| *bytes);
            content.sound.truncate(content.sound.len().saturating_sub(cut));
        }
        let skips = sound.map_or_else(|| vec![0], |at| skips(index, TrackId(at as u8)));
        Ok(Self {
            streams: Streams {
                picture: (!content.pictures.is_empty()).then(|| "0:v:0".to_owned()),
                sound: (!content.sound.is_empty()).then(|| "0:a:0".to_owned()),
                sound_format: if is_decoded { SAMPLES } else { COPIED },
            },
            content,
            extent: Extent {
                pictures: Some(wanted.map_or(Limit::None, Limit::Pictures)),
                coded: Some(wanted.map_or(Limit::None, |it| Limit::Pictures(it + REORDERED_MAX))),
                sound: sound_seconds.map_or(Limit::None, Limit::Seconds),
            },
            seconds_played: seconds,
            seconds: whole_seconds,
            codecs: [codec(&shown), codec(&heard)],
            sound_skips: skips,
            picture_skip_max: picture.map_or(0, |at| skips_count(index, TrackId(at as u8))),
        })
    }

    /// What of the pictures is other than in the file, if anything.
    pub(crate) fn pictures_differ(&self, got: &Content) -> Option<String> {
        let expected: Vec<&str> = hashes(&self.content.pictures);
        let found = hashes(&got.pictures);
        let agrees = |skip: usize| {
            let expected = expected.get(skip..).unwrap_or_default();
            let Some(Limit::Pictures(wanted)) = self.extent.pictures else {
                return expected == found;
            };
            let both = wanted.saturating_sub(skip);
            found.len() >= both && expected[..both] == found[..both]
        };
        if (0..=self.picture_skip_max).any(agrees) {
            return None;
        }
        let parted = expected.iter().zip(&found).position(|(one, other)| one != other);
        let (found, expected) = (found.len(), expected.len());
        Some(format!("{found} pictures of {expected}, first difference at {parted:?}"))
    }

    /// What of the coded pictures is other than what came before, if anything.
    pub(crate) fn coded_differ(before: &Content, got: &Content) -> Option<String> {
        let (expected, found) = (&before.coded, &got.coded);
        let are_there = before.pictures.is_empty() || !expected.is_empty();
        if are_there && expected == found {
            return None;
        }
        let parted = expected.iter().zip(found).position(|(one, other)| one != other);
        let (found, expected) = (found.len(), expected.len());
        Some(format!("{found} coded pictures of {expected}, first difference at {parted:?}"))
    }

    /// What of the sound is other than in the file, if anything.
    pub(crate) fn sound_differs(&self, got: &Content) -> Option<String> {
        let (expected, found) = (&self.content.sound, &got.sound);
        let agrees = |skip: &usize| {
            let expected = expected.get(*skip..).unwrap_or_default();
            if self.extent.sound == Limit::None {
                return expected == found;
            }
            let both = expected.len().min(found.len());
            // A second is read beyond what is played.
            both * 4 >= expected.len() * 3 && expected[..both] == found[..both]
        };
        if self.sound_skips.iter().any(agrees) {
            return None;
        }
        let parted = expected.iter().zip(found).position(|(one, other)| one != other);
        let (found, expected) = (found.len(), expected.len());
        Some(format!("{found} bytes of sound, not {expected}, first difference at {parted:?}"))
    }
}

/// Pictures that may be coded behind one that is shown after them.
const REORDERED_MAX: usize = 16;
/// Seconds that reading a whole file may take, and for each second of it that is decoded, with many
/// others beside.
const WHOLE_SECONDS: u32 = 120;
const DECODING_RATIO: u32 = 4;

fn hashes(pictures: &[(f64, String)]) -> Vec<&str> {
    pictures.iter().map(|(_, hash)| &**hash).collect()
}

/// How many pictures there are in the first `seconds`, unless those are all.
fn wanted(pictures: &[(f64, String)], seconds: u32) -> Option<usize> {
    let (first, _) = pictures.first()?;
    let count = pictures.iter().filter(|(at, _)| at - first < f64::from(seconds)).count();
    (count < pictures.len()).then_some(count)
}

/// Units before normal play time 0, which an edit list cut off, may be left out: how many that
/// are at most.
fn skips_count(index: &MediaIndex, track: TrackId) -> usize {
    let cue = index.cue(TrackSet::EMPTY.with(track), Npt::ZERO, None);
    let first = cue.map_or(0, |cue| cue.tracks[0].first_unit);
    let units = (0..).map_while(|unit| index.unit(track, unit));
    units.take_while(|unit| unit.index < first || unit.composition < 0).count()
}

/// The bytes of no, one, two … such units.
fn skips(index: &MediaIndex, track: TrackId) -> Vec<usize> {
    let units = (0..skips_count(index, track) as u32).filter_map(|unit| index.unit(track, unit));
    let ends = units.scan(0, |end, unit| {
        *end += unit.bytes as usize;
        Some(compared_bytes(&index.tracks[usize::from(track.0)], *end))
    });
    std::iter::once(0).chain(ends).collect()
}

/// Bytes of the same samples as they are compared: of four bytes each, if it is PCM of more than
/// one.
fn compared_bytes(track: &Track, bytes: usize) -> usize {
    if let CodecConfig::Pcm(config) = &track.codec
        && config.encoding != PcmEncoding::Unsigned8
    {
        return bytes / config.frame_bytes() as usize * usize::from(config.channels) * 4;
    }
    bytes
}

/// A stream as ffprobe sees it.
struct Probed {
    number: usize,
    id: Option<u32>,
    kind: String,
    codec: String,
}

fn probe(path: &str) -> Vec<Probed> {
    let show = ["-v", "quiet", "-print_format", "json"];
    let entries = ["-show_entries", "stream=index,id,codec_type,codec_name", path];
    let output = run_for(WHOLE_SECONDS, "ffprobe", &[&show[..], &entries].concat());
    let json: Value = serde_json::from_slice(&output.stdout).unwrap_or(Value::Null);
    let streams = json["streams"].as_array().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let parsed = streams.iter().enumerate().map(|(number, stream)| Probed {
        number,
        id: u32::from_str_radix(text(&stream["id"]).trim_start_matches("0x"), 16).ok(),
        kind: text(&stream["codec_type"]),
        codec: text(&stream["codec_name"]),
    });
    parsed.collect()
}

/// The stream that is this track: by its number, or where ffprobe has none the first of its kind.
fn find<'a>(probed: &'a [Probed], kind: &str, track: Option<&Track>) -> Option<&'a Probed> {
    let id = track?.container_id;
    let mut of_kind = probed.iter().filter(|probed| probed.kind == kind);
    let by_id = of_kind.clone().find(|probed| probed.id == Some(id));
    by_id.or_else(|| of_kind.find(|probed| is_delivered(&probed.codec)))
}
