//! Tracks: what a TrackEntry says of its track (RFC 9559 §5.1.4).

use super::codec::parse_codec;
use super::ebml::{Id, children, find, float, text, unsigned};
use super::language::{from_bcp47, from_language};
use crate::codec::CodecConfig;
use crate::index::{SkipReason, SkippedTrack};
use crate::wrapping::Wrapping;

/// A track that can be delivered if it has frames.
#[derive(Debug)]
pub(super) struct Track {
    /// The track number, which blocks name.
    pub number: u64,
    pub codec: CodecConfig,
    pub wrapping: Wrapping,
    pub language: Option<[u8; 3]>,
    pub is_default: bool,
    /// Nanoseconds that a frame lasts.
    pub default_nanos: Option<u64>,
    /// Nanoseconds by which the decoder's output is late, so that timestamps count from before.
    pub delay_nanos: u64,
}

/// Most TrackEntry elements that are looked at.
const TRACK_ENTRIES_MAX: usize = 1024;

/// The tracks in the data of a Tracks element, video before audio and default tracks before others,
/// and what is left out.
pub(super) fn parse_tracks(data: &[u8]) -> (Vec<Track>, Vec<SkippedTrack>) {
    let (mut tracks, mut skipped) = (Vec::<Track>::new(), Vec::new());
    let entries = children(data).filter(|(id, _)| *id == Id::TRACK_ENTRY);
    for (position, (_, entry)) in entries.enumerate() {
        let number = find(entry, Id::TRACK_NUMBER).and_then(unsigned).unwrap_or(0);
        let parsed = match number {
            0 => Err(SkipReason::Broken("it has no track number")),
            _ if position >= TRACK_ENTRIES_MAX => Err(SkipReason::TooManyTracks),
            _ if tracks.iter().any(|track| track.number == number) => {
                Err(SkipReason::Broken("another track has its number"))
            }
            _ => Track::parse(entry, number),
        };
        match parsed {
            Ok(track) => tracks.push(track),
            Err(reason) => {
                skipped.push(SkippedTrack { container_id: container_id(number), reason })
            }
        }
        if position >= TRACK_ENTRIES_MAX {
            break;
        }
    }
    tracks.sort_by_key(|track| (!track.codec.is_video(), !track.is_default));
    (tracks, skipped)
}

/// The track number as the index has it.
pub(super) fn container_id(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

impl Track {
    fn parse(entry: &[u8], number: u64) -> Result<Self, SkipReason> {
        let value = |id| find(entry, id).and_then(unsigned);
        match value(Id::TRACK_TYPE) {
            Some(1 | 2) => {}
            Some(3) => return Err(SkipReason::NotMedia("complex".to_owned())),
            Some(0x10) => return Err(SkipReason::NotMedia("logo".to_owned())),
            Some(0x11) => return Err(SkipReason::NotMedia("subtitles".to_owned())),
            Some(0x12) => return Err(SkipReason::NotMedia("buttons".to_owned())),
            Some(0x20) => return Err(SkipReason::NotMedia("control".to_owned())),
            Some(0x21) => return Err(SkipReason::NotMedia("metadata".to_owned())),
            Some(other) => return Err(SkipReason::NotMedia(format!("type {other}"))),
            None => return Err(SkipReason::Broken("it has no track type")),
        }
        let codec_id = find(entry, Id::CODEC_ID).map(text).unwrap_or_default();
        let encoding = match find(entry, Id::CONTENT_ENCODINGS) {
            Some(encodings) => ContentEncoding::parse(encodings, codec_id)?,
            None => ContentEncoding::default(),
        };
        let private = find(entry, Id::CODEC_PRIVATE).unwrap_or_default();
        let private = [encoding.private_prefix, private].concat();
        let audio = AudioSettings::parse(find(entry, Id::AUDIO).unwrap_or_default());
        let codec = parse_codec(codec_id, &private, &audio)?;
        if codec.is_video() != (value(Id::TRACK_TYPE) == Some(1)) {
            return Err(SkipReason::Broken("its type and its codec contradict each other"));
        }
        if matches!(codec, CodecConfig::Pcm(_)) && !encoding.frame_prefix.is_empty() {
            return Err(SkipReason::Broken("it is PCM with stripped headers"));
        }
        Ok(Self {
            number,
            codec,
            wrapping: match encoding.frame_prefix {
                [] => Wrapping::None,
                prefix => Wrapping::Prefix(prefix.into()),
            },
            language: match find(entry, Id::LANGUAGE_BCP47) {
                Some(language) => from_bcp47(text(language)),
                None => from_language(find(entry, Id::LANGUAGE).map_or(b"eng", text)),
            },
            is_default: value(Id::FLAG_DEFAULT) != Some(0),
            default_nanos: value(Id::DEFAULT_DURATION).filter(|nanos| *nanos > 0),
            delay_nanos: value(Id::CODEC_DELAY).unwrap_or(0).min(DELAY_NANOS_MAX),
        })
    }
}

/// A codec delay beyond ten seconds is none.
const DELAY_NANOS_MAX: u64 = 10_000_000_000;

/// The Audio element (§5.1.4.1.29).
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct AudioSettings {
    /// Hertz; 0 if it makes no sense.
    pub sampling_rate: u32,
    /// Of the output, with SBR; the same as above if nothing is said.
    pub output_rate: u32,
    pub channels: u8,
    /// Bits of a sample; 0 if it is not said.
    pub bit_depth: u64,
}

impl AudioSettings {
    pub(super) fn parse(audio: &[u8]) -> Self {
        let rate = |id| find(audio, id).and_then(float).map(to_hertz);
        let number = |id| find(audio, id).and_then(unsigned);
        let sampling_rate = rate(Id::SAMPLING_FREQUENCY).unwrap_or(8000);
        Self {
            sampling_rate,
            output_rate: rate(Id::OUTPUT_SAMPLING_FREQUENCY).unwrap_or(sampling_rate),
            channels: number(Id::CHANNELS).map_or(1, |count| u8::try_from(count).unwrap_or(0)),
            bit_depth: number(Id::BIT_DEPTH).unwrap_or(0),
        }
    }
}

/// The nearest whole frequency; 0 for what is none.
fn to_hertz(frequency: f64) -> u32 {
    let in_range = (1.0..=10_000_000.0).contains(&frequency);
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "in range")]
    if in_range { frequency.round() as u32 } else { 0 }
}

/// Bytes that were taken off the front of every frame, or of the codec's private data
/// (§5.1.4.1.31).
#[derive(Debug, Default)]
struct ContentEncoding<'a> {
    frame_prefix: &'a [u8],
    private_prefix: &'a [u8],
}

impl<'a> ContentEncoding<'a> {
    /// One encoding by header stripping is undone; others are not.
    fn parse(encodings: &'a [u8], codec_id: &[u8]) -> Result<Self, SkipReason> {
        let mut found =
            children(encodings).filter(|(id, _)| *id == Id::CONTENT_ENCODING).map(|(_, body)| body);
        let Some(encoding) = found.next() else { return Ok(Self::default()) };
        let value = |id| find(encoding, id).and_then(unsigned);
        if value(Id::CONTENT_ENCODING_TYPE) == Some(1) {
            return Err(SkipReason::Encrypted);
        }
        if found.next().is_some() {
            return Err(SkipReason::Broken("it has several content encodings"));
        }
        let compression = find(encoding, Id::CONTENT_COMPRESSION).unwrap_or_default();
        let algorithm = match find(compression, Id::CONTENT_COMP_ALGO).and_then(unsigned) {
            Some(3) => {
                let scope = value(Id::CONTENT_ENCODING_SCOPE).unwrap_or(1);
                let prefix = find(compression, Id::CONTENT_COMP_SETTINGS).unwrap_or_default();
                // It stands in front of every frame again when that is sent.
                if prefix.len() > PREFIX_BYTES_MAX {
                    return Err(SkipReason::Broken("it strips more from frames than a header"));
                }
                let within = |bit| if scope & bit != 0 { prefix } else { &[][..] };
                return Ok(Self { frame_prefix: within(1), private_prefix: within(2) });
            }
            None | Some(0) => "zlib",
            Some(1) => "bzlib",
            Some(2) => "lzo1x",
            Some(_) => "an unknown algorithm",
        };
        let codec_id = codec_id.escape_ascii();
        Err(SkipReason::Codec(format!("{codec_id} compressed with {algorithm}")))
    }
}

/// Bytes that a track may strip from the front of its frames; writers strip two to eight.
const PREFIX_BYTES_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::super::writer::{element, number};
    use super::*;

    fn entry(parts: &[Vec<u8>]) -> Vec<u8> {
        element(Id::TRACK_ENTRY, &parts.concat())
    }

    fn video(track: u64, extra: &[Vec<u8>]) -> Vec<u8> {
        let codec = element(Id::CODEC_ID, b"V_VP8");
        let parts = [number(Id::TRACK_NUMBER, track), number(Id::TRACK_TYPE, 1), codec];
        entry(&[&parts[..], extra].concat())
    }

    fn audio(track: u64, extra: &[Vec<u8>]) -> Vec<u8> {
        let codec = element(Id::CODEC_ID, b"A_MPEG/L3");
        let rate = element(Id::SAMPLING_FREQUENCY, &44_100_f64.to_be_bytes());
        let settings = element(Id::AUDIO, &[rate, number(Id::CHANNELS, 2)].concat());
        let parts = [number(Id::TRACK_NUMBER, track), number(Id::TRACK_TYPE, 2), codec, settings];
        entry(&[&parts[..], extra].concat())
    }

    fn encodings(parts: &[Vec<u8>]) -> Vec<u8> {
        element(Id::CONTENT_ENCODINGS, &element(Id::CONTENT_ENCODING, &parts.concat()))
    }

    fn compression(algorithm: u64, settings: &[u8]) -> Vec<u8> {
        let algorithm = number(Id::CONTENT_COMP_ALGO, algorithm);
        let settings = element(Id::CONTENT_COMP_SETTINGS, settings);
        element(Id::CONTENT_COMPRESSION, &[algorithm, settings].concat())
    }

    #[test]
    fn video_comes_first_and_default_tracks_before_others() {
        let not_default = number(Id::FLAG_DEFAULT, 0);
        let data = [
            audio(1, std::slice::from_ref(&not_default)),
            audio(2, &[]),
            video(3, &[not_default]),
            video(4, &[]),
        ];
        let (tracks, skipped) = parse_tracks(&data.concat());
        let numbers: Vec<_> = tracks.iter().map(|track| track.number).collect();
        assert_eq!((numbers, skipped), (vec![4, 3, 2, 1], vec![]));
    }

    #[test]
    fn languages_are_english_unless_something_is_said() {
        for (extra, expected) in [
            (vec![], Some(*b"eng")),
            (vec![element(Id::LANGUAGE, b"ger")], Some(*b"deu")),
            (vec![element(Id::LANGUAGE, b"und\0")], None),
            (vec![element(Id::LANGUAGE, b"ger"), element(Id::LANGUAGE_BCP47, b"fr-CA")], {
                Some(*b"fra")
            }),
        ] {
            let (tracks, _) = parse_tracks(&audio(1, &extra));
            assert_eq!(tracks[0].language, expected, "{extra:?}");
        }
    }

    #[test]
    fn stripped_headers_are_put_back() {
        let strip =
            |scope| encodings(&[number(Id::CONTENT_ENCODING_SCOPE, scope), compression(3, b"hi")]);
        for (encodings, expected) in [
            (strip(1), Wrapping::Prefix(b"hi"[..].into())),
            (strip(2), Wrapping::None),
            (strip(3), Wrapping::Prefix(b"hi"[..].into())),
            (encodings(&[compression(3, b"hi")]), Wrapping::Prefix(b"hi"[..].into())),
            (encodings(&[compression(3, b"")]), Wrapping::None),
        ] {
            let (tracks, _) = parse_tracks(&video(1, &[encodings]));
            assert_eq!(tracks[0].wrapping, expected);
        }
    }

    #[test]
    fn what_is_left_out_says_why() {
        let kind = |kind| entry(&[number(Id::TRACK_NUMBER, 9), number(Id::TRACK_TYPE, kind)]);
        let codec = |kind, id: &[u8]| {
            let parts = [number(Id::TRACK_NUMBER, 9), number(Id::TRACK_TYPE, kind)];
            entry(&[&parts[..], &[element(Id::CODEC_ID, id)]].concat())
        };
        let twice =
            [compression(3, b"a")].map(|part| element(Id::CONTENT_ENCODING, &part)).concat();
        let twice = element(Id::CONTENT_ENCODINGS, &[&twice[..], &twice].concat());
        for (entry, expected) in [
            (kind(0x11), "neither video nor audio (subtitles)"),
            (kind(0x99), "neither video nor audio (type 153)"),
            (entry(&[number(Id::TRACK_NUMBER, 9)]), "no track type"),
            (entry(&[number(Id::TRACK_TYPE, 1)]), "no track number"),
            (codec(1, b"V_REAL/RV40"), "codec V_REAL/RV40 is not supported"),
            (codec(2, b"V_VP8"), "contradict"),
            (video(9, &[encodings(&[number(Id::CONTENT_ENCODING_TYPE, 1)])]), "encrypted"),
            (video(9, &[encodings(&[compression(0, b"")])]), "V_VP8 compressed with zlib"),
            (video(9, &[encodings(&[])]), "zlib"), // the default
            (video(9, &[encodings(&[compression(2, b"")])]), "lzo1x"),
            (video(9, &[twice]), "several content encodings"),
        ] {
            let (tracks, skipped) = parse_tracks(&[entry, video(1, &[])].concat());
            let [one] = &skipped[..] else { panic!("{expected}: {skipped:?}") };
            assert!(one.to_string().contains(expected), "{one}: {expected}");
            assert_eq!(tracks.len(), 1);
        }
        let (tracks, skipped) = parse_tracks(&[video(1, &[]), audio(1, &[])].concat());
        assert_eq!((tracks.len(), skipped.len()), (1, 1));
        let many = video(0, &[]).repeat(TRACK_ENTRIES_MAX + 9);
        assert_eq!(parse_tracks(&many).1.len(), TRACK_ENTRIES_MAX + 1);
    }
}
