//! A title for the tests of this module: 25 pictures a second in open groups of 48 (each sync
//! sample is followed by two leading pictures), 48 kHz audio with one unit of priming, interleaved.

use super::{IndexBuilder, MediaIndex, TrackDescription, TrackId, TrackSet};
use crate::codec::CodecConfig;
use crate::codec::aac::AacConfig;
use crate::codec::h264::H264Config;
use crate::codec::nal::NalFraming;
use crate::time::{ClockRate, Npt};

pub(super) const VIDEO: TrackId = TrackId(0);
pub(super) const AUDIO: TrackId = TrackId(1);
/// Units of a group of pictures; ticks of a picture at [`VIDEO_RATE`].
pub(super) const GROUP_UNITS: u32 = 48;
pub(super) const PICTURE_TICKS: u32 = 512;
const VIDEO_RATE: u32 = 12_800;

pub(super) fn both() -> TrackSet {
    TrackSet::EMPTY.with(VIDEO).with(AUDIO)
}

pub(super) fn video_description() -> TrackDescription {
    let codec = CodecConfig::H264(H264Config {
        framing: NalFraming::Length(4),
        sequence_parameter_sets: vec![vec![0x67, 0x64, 0, 0x1f]],
        picture_parameter_sets: vec![vec![0x68, 0xeb]],
    });
    let media_rate = ClockRate::new(VIDEO_RATE).unwrap();
    TrackDescription::new(1, codec, media_rate)
}

pub(super) fn audio_description() -> TrackDescription {
    let config = AacConfig::parse(&[0x11, 0x90]).unwrap();
    let media_rate = config.rtp_rate;
    let codec = CodecConfig::Aac(config);
    TrackDescription { language: Some(*b"deu"), ..TrackDescription::new(2, codec, media_rate) }
}

/// Pictures in decode order: sync sample, two leading pictures, then threes of P, B, B. The edit
/// list brings the first composition to 0.
pub(super) fn composition_pictures(unit: u32) -> i64 {
    let ahead = match unit % 3 {
        0 => 2,
        _ => -1,
    };
    i64::from(unit) + ahead - 2
}

/// A title of this many seconds, video units of `video_bytes`, audio of 341 bytes.
pub(super) fn title(seconds: u32, video_bytes: u32) -> MediaIndex {
    let mut builder = IndexBuilder::new();
    let video = builder.add_track(video_description()).unwrap();
    let audio = builder.add_track(audio_description()).unwrap();
    let (mut offset, mut audio_unit) = (48, 0_i64);
    for unit in 0..seconds * 25 {
        let ticks = i64::from(PICTURE_TICKS);
        let decode = (i64::from(unit) - 2) * ticks;
        let composition = composition_pictures(unit) * ticks;
        let sync = unit.is_multiple_of(GROUP_UNITS);
        builder.push(video, offset, video_bytes, decode, composition, 512, sync).unwrap();
        offset += u64::from(video_bytes);
        while audio_unit * 1024 < i64::from(unit + 1) * 1920 {
            let decode = (audio_unit - 1) * 1024;
            builder.push(audio, offset, 341, decode, decode, 1024, true).unwrap();
            (offset, audio_unit) = (offset + 341, audio_unit + 1);
        }
    }
    builder.finish(Npt::from_nanos(u64::from(seconds) * 1_000_000_000))
}
