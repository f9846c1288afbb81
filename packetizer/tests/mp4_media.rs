//! The MP4 index against ffprobe, on other people's files.
//!
//! ffprobe reads each file with `-ignore_editlist 1`, so its times are the media's own; it shifts a
//! track so that negative composition offsets become positive, so times are compared up to a
//! constant a track.

#![allow(clippy::cast_possible_truncation, clippy::unwrap_used, clippy::print_stdout)]

mod support;

use packetizer::codec::CodecConfig;
use packetizer::container::{IndexError, OpenError};
use packetizer::index::{AccessUnitEntry, MediaIndex, SkipReason, SkippedTrack, TrackId};
use packetizer::time::ClockRate;
use support::codecs::{is_delivered, names};
use support::ffprobe::{Packet, Probed, probe};
use support::seeks::compare_seeks;
use support::tally::Tally;
use support::{extensions, media_files, media_root, open_file};

/// Files where ffprobe and the index differ, and why.
const EXCEPTIONS: &[(&str, &str)] = &[
    ("abema-go-mp4/sample_qt.mp4", "cut short: ffprobe yields the units beyond the end as packets"),
    ("aflnet-live555/ffmpeg-h264-bad-read.mp4", "damaged: the handler type is overwritten"),
    (
        "androidx-media/iibbibb_editlist_videoonly.mp4",
        "the edit begins between two pictures: ffprobe begins it with the later one",
    ),
    (
        "androidx-media/sample_fragmented_uuid.mp4",
        "its NAL units are damaged: ffprobe takes the sync flag from them, not from the fragment",
    ),
    ("fq/fragmented.mp4", "its NAL units are damaged, as those above"),
    (
        "gstreamer/av1c_two_entries.mp4",
        "units of two sample descriptions, which one media section cannot describe",
    ),
    ("gpac/gpac_cfg_test.mp4", "ffprobe gives up on the scene description tracks"),
    (
        "mediabunny/rotate-buck-bunny.mp4",
        "composition offsets are negative without an edit list: ffprobe shifts all it tells",
    ),
    ("mozilla-mp4parse/chunk_out_of_range.mp4", "ffprobe gives up on one bad chunk table"),
    (
        "mozilla-mp4parse/test_case_1185230.mp4",
        "no media: ffprobe takes the sync flag from garbage",
    ),
    ("mp4ff/cbcsdec.mp4", "recorded from a live source: here it begins with its first fragment"),
    ("mp4ff/main_1.mp4", "recorded from a live source, as the one above"),
    ("mutagen/truncated-64bit.mp4", "cut short: ffprobe yields the unit at the end as a packet"),
    ("sannies-mp4parser/example-sans-amf0.mp4", "without stss all units are sync samples"),
    ("sannies-mp4parser/Tiny Sample - NEW - Untouched.mp4", "ffprobe marks a unit stss does not"),
];

/// Tracks that agree today; a change that loses some is a regression.
const EXACT_TRACKS_MIN: usize = 230;

#[test]
fn index_agrees_with_ffprobe() {
    let Some(root) = media_root() else { return };
    let files = media_files(&root, extensions::MP4);
    assert!(files.len() > 100, "only {} files", files.len());
    let mut tally = Tally::default();
    for path in files {
        let name = Tally::name(&root, &path);
        let probed = probe(&path, &["-ignore_editlist", "1"]);
        match open_file(&path) {
            Ok(index) => {
                let edited = probe(&path, &["-read_intervals", "%+#64"]);
                let agreed = compare(&index, &probed)
                    .and_then(|tracks| compare_edit_lists(&index, &edited).map(|()| tracks));
                match agreed {
                    Ok(tracks) => tally.exact += tracks,
                    Err(why) => tally.differing.push((name, why)),
                }
            }
            Err(OpenError::Index(error)) if is_justified(&error, &probed) => {
                tally.refused.push((name, error.to_string()));
            }
            Err(error) => tally.differing.push((name, error.to_string())),
        }
    }
    tally.judge(EXACT_TRACKS_MIN, EXCEPTIONS);
}

/// Whether a file is refused for a reason ffprobe, or its bytes, confirm.
fn is_justified(error: &IndexError, probed: &[Probed]) -> bool {
    let deliverable = |track: &Probed| is_delivered(&track.codec) && !track.packets.is_empty();
    match error {
        IndexError::NoPlayableTrack { tracks } => probed
            .iter()
            .filter(|track| deliverable(track))
            .all(|track| is_encrypted(tracks, number(track))),
        IndexError::Unrecognized
        | IndexError::MoovMissing
        | IndexError::Truncated { .. }
        | IndexError::BoxInvalid { .. }
        | IndexError::Invalid { .. }
        | IndexError::TooLarge { .. } => !probed.iter().any(deliverable),
    }
}

fn is_encrypted(skipped: &[SkippedTrack], container_id: u32) -> bool {
    let encrypted = SkippedTrack { container_id, reason: SkipReason::Encrypted };
    skipped.contains(&encrypted)
}

/// 0 of a picture among the tags, which has no track.
fn number(probed: &Probed) -> u32 {
    probed.container_id.unwrap_or(0)
}

/// The number of tracks that agree, all of the file's; otherwise what differs first.
fn compare(index: &MediaIndex, probed: &[Probed]) -> Result<usize, String> {
    let mut compared = 0;
    for (position, track) in index.tracks.iter().enumerate() {
        // Its units are what a hint track makes of the media.
        if matches!(track.codec, CodecConfig::Hinted(_)) {
            continue;
        }
        compared += 1;
        let other = probed
            .iter()
            .find(|probed| number(probed) == track.container_id)
            .ok_or(format!("ffprobe has no track {}", track.container_id))?;
        compare_codec(&track.codec, other)
            .map_err(|why| format!("track {}: {why}", track.container_id))?;
        let units: Vec<AccessUnitEntry> = (0..track.unit_count)
            .filter_map(|unit| index.unit(TrackId(position as u8), unit))
            .collect();
        let track_id = TrackId(position as u8);
        compare_track(&track.codec, &units, &other.packets)
            .and_then(|()| compare_seeks(index, track_id, other, 0))
            .map_err(|why| format!("track {}: {why}", track.container_id))?;
    }
    for other in probed.iter().filter(|other| is_delivered(&other.codec)) {
        let id = number(other);
        if id == 0 {
            continue;
        }
        let delivered = index.tracks.iter().any(|track| track.container_id == id);
        if !delivered && !other.packets.is_empty() && !is_encrypted(&index.skipped, id) {
            return Err(format!("track {id} is missing: {:?}", index.skipped));
        }
    }
    Ok(compared)
}

fn compare_codec(codec: &CodecConfig, probed: &Probed) -> Result<(), String> {
    let sound = |rate: ClockRate, channels: u8| {
        let found = (Some(i64::from(rate.ticks_per_second())), Some(i64::from(channels)));
        (found, (probed.sample_rate, probed.channels))
    };
    let (found, expected) = match codec {
        CodecConfig::H264(config) => {
            let level = i64::from(config.profile_level_id()[2]);
            // Without pictures ffprobe knows of none.
            let known = probed.level.filter(|level| *level >= 0).or(Some(level));
            ((Some(level), None), (known, None))
        }
        CodecConfig::Aac(config) => sound(config.rtp_rate, config.channels),
        CodecConfig::Opus(config) => sound(codec.rtp_rate(), config.channels),
        CodecConfig::Vorbis(config) => sound(config.rtp_rate, config.channels),
        CodecConfig::MpegAudio(config) | CodecConfig::Mp3Adu(config) => {
            sound(config.sample_rate, config.channels)
        }
        CodecConfig::Ac3(config) | CodecConfig::EAc3(config) => {
            sound(config.rtp_rate, config.channels)
        }
        CodecConfig::Amr(config) => sound(config.rtp_rate(), 1),
        CodecConfig::Pcm(config) => sound(config.rtp_rate, config.channels),
        // Nothing else is told of pictures.
        CodecConfig::H265(_)
        | CodecConfig::Av1(_)
        | CodecConfig::Vp8
        | CodecConfig::Vp9
        | CodecConfig::Mpeg4Visual(_)
        | CodecConfig::H263
        | CodecConfig::MpegVideo
        | CodecConfig::Jpeg
        | CodecConfig::Mp2t
        | CodecConfig::Hinted(_) => ((None, None), (None, None)),
    };
    let names = names(codec);
    if names.contains(&&*probed.codec) && found == expected {
        return Ok(());
    }
    Err(format!("{names:?} {found:?} is {} {expected:?}", probed.codec))
}

fn compare_track(
    codec: &CodecConfig,
    units: &[AccessUnitEntry],
    packets: &[Packet],
) -> Result<(), String> {
    // Uncompressed sound is cut where each likes.
    if let CodecConfig::Pcm(_) = codec {
        let bytes = units.iter().map(|unit| u64::from(unit.bytes)).sum::<u64>();
        let expected = packets.iter().map(|packet| u64::from(packet.bytes)).sum::<u64>();
        let is_same = bytes == expected;
        return is_same.then_some(()).ok_or(format!("{bytes} bytes, {expected} of packets"));
    }
    if units.len() != packets.len() {
        return Err(format!("{} units, {} packets", units.len(), packets.len()));
    }
    let (Some(unit), Some(packet)) = (units.first(), packets.first()) else { return Ok(()) };
    let constant = unit.decode - packet.decode.ok_or("no first dts")?;
    let composition_constant = unit.composition - packet.composition.ok_or("no first pts")?;
    for (at, (unit, packet)) in units.iter().zip(packets).enumerate() {
        if (Some(unit.offset), unit.bytes) != (packet.offset, packet.bytes) {
            return Err(format!(
                "unit {at}: {}+{} against {:?}+{}",
                unit.offset, unit.bytes, packet.offset, packet.bytes
            ));
        }
        if packet.decode.is_some_and(|decode| decode + constant != unit.decode) {
            return Err(format!(
                "unit {at}: decode {} against {:?} + {constant}",
                unit.decode, packet.decode
            ));
        }
        if packet.composition.is_some_and(|c| c + composition_constant != unit.composition) {
            return Err(format!(
                "unit {at}: composition {} against {:?} + {composition_constant}",
                unit.composition, packet.composition
            ));
        }
        if packet.sync != unit.sync {
            return Err(format!("unit {at}: sync {} against {}", unit.sync, packet.sync));
        }
    }
    Ok(())
}

/// With edit lists applied, the first packets ffprobe does not discard are composed when the index
/// says.
fn compare_edit_lists(index: &MediaIndex, edited: &[Probed]) -> Result<(), String> {
    for (position, track) in index.tracks.iter().enumerate() {
        let packets = edited
            .iter()
            .find(|probed| number(probed) == track.container_id)
            .map_or(&[][..], |probed| &probed.packets);
        for packet in packets.iter().filter(|packet| !packet.discarded) {
            let unit = (0..track.unit_count)
                .filter_map(|unit| index.unit(TrackId(position as u8), unit))
                .find(|unit| (Some(unit.offset), unit.bytes) == (packet.offset, packet.bytes));
            let (Some(unit), Some(composition)) = (unit, packet.composition) else { continue };
            if unit.composition != composition {
                let id = track.container_id;
                let Packet { offset, .. } = packet;
                return Err(format!(
                    "edit list, track {id}, packet at {offset:?}: {} against {composition}",
                    unit.composition
                ));
            }
        }
    }
    Ok(())
}
