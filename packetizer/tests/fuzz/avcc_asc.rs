//! Codec configurations of any bytes, and the presentation description made of those that can be
//! read: it stays within its limits, a foreign parser reads it, and it says what was configured.
//!
//! Input: pieces of a kind (1 byte) and a length (2): avcC, AudioSpecificConfig, a title's name, a
//! language.

use super::input::Input;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use packetizer::codec::CodecConfig;
use packetizer::codec::aac::AacConfig;
use packetizer::codec::h264::{H264Config, NalType};
use packetizer::codec::nal::NalFraming;
use packetizer::index::{IndexBuilder, MediaIndex, TRACKS_MAX, Track, TrackDescription, TrackId};
use packetizer::sdp::{
    DESCRIPTION_BYTES_MAX, LINE_BYTES_MAX, Origin, parse_control, payload_type,
    presentation_description,
};
use packetizer::time::{ClockRate, Npt};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

pub(crate) fn check(data: &[u8]) {
    let mut input = Input::new(data);
    let mut builder = IndexBuilder::new();
    let (mut name, mut language, mut track_count) = (String::new(), None, 0);
    while !input.is_empty() && track_count < TRACKS_MAX {
        let kind = input.byte();
        let length = input.u16();
        let piece = input.piece(length.into());
        let codec = match kind & 3 {
            0 => parse_video(piece),
            1 => parse_audio(piece),
            2 => {
                name = String::from_utf8_lossy(piece).into_owned();
                None
            }
            _ => {
                language = piece.first_chunk::<3>().copied();
                None
            }
        };
        let Some(codec) = codec else { continue };
        let media_rate = ClockRate::new(u32::from(kind) + 1).unwrap();
        let description =
            TrackDescription { language, ..TrackDescription::new(1, codec, media_rate) };
        let track = builder.add_track(description).unwrap();
        builder.push(track, 0, u32::from(length) << 8, 0, 0, u32::from(kind), true).unwrap();
        track_count += 1;
    }
    let index = builder.finish(Npt::from_nanos(data.len() as u64 * 1_000_000_007));
    for address in [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)] {
        let (session_id, absolute_range) = (u64::MAX, None);
        check_description(&index, &Origin { session_id, address, name: &name, absolute_range });
    }
}

fn parse_video(record: &[u8]) -> Option<CodecConfig> {
    let config = H264Config::parse(record).ok()?;
    let NalFraming::Length(length_bytes) = config.framing else { panic!("lengths") };
    assert!([1, 2, 4].contains(&length_bytes));
    assert!(config.sequence_parameter_sets.iter().all(|set| set[0] & 0x1f == NalType::SPS.0));
    assert!(config.picture_parameter_sets.iter().all(|set| set[0] & 0x1f == NalType::PPS.0));
    let sets = config.sequence_parameter_sets.iter().chain(&config.picture_parameter_sets);
    assert!(sets.map(Vec::len).sum::<usize>() < record.len(), "more than there was");
    config.is_complete().then_some(CodecConfig::H264(config))
}

fn parse_audio(record: &[u8]) -> Option<CodecConfig> {
    let config = AacConfig::parse(record).ok()?;
    assert!((1..=8).contains(&config.channels));
    assert!((7350..=192_000).contains(&config.rtp_rate.ticks_per_second()));
    assert!([960, 1024, 1920, 2048].contains(&config.unit_samples));
    Some(CodecConfig::Aac(config))
}

fn check_description(index: &MediaIndex, origin: &Origin<'_>) {
    let sdp = presentation_description(index, origin);
    assert!(sdp.len() < DESCRIPTION_BYTES_MAX, "{} bytes", sdp.len());
    for line in sdp.split_inclusive('\n') {
        assert!(line.len() < LINE_BYTES_MAX && line.ends_with("\r\n"), "{line:?}");
        let content = line.trim_end_matches("\r\n").as_bytes();
        assert!(content[0].is_ascii_lowercase() && content[1] == b'=' && content.len() > 2);
    }
    let session = sdp_types::Session::parse(sdp.as_bytes()).expect("a foreign parser reads it");
    assert_eq!(session.origin.unicast_address, origin.address.to_string());
    assert!(!session.session_name.is_empty() && session.times.len() == 1);
    assert_eq!(session.attributes.len(), 3, "{:?}", session.attributes);
    assert_eq!(session.medias.len(), index.tracks.len());
    for (media, (track, id)) in session.medias.iter().zip(index.tracks.iter().zip(0..)) {
        check_media(media, track, TrackId(id));
    }
}

fn check_media(media: &sdp_types::Media, track: &Track, id: TrackId) {
    let attribute = |name| media.get_first_attribute_value(name).unwrap().unwrap_or_default();
    assert_eq!(parse_control(attribute("control")), Some(id));
    assert_eq!(media.fmt, payload_type(id, &track.codec).to_string());
    let (number, mapping) = attribute("rtpmap").split_once(' ').unwrap();
    let (same_number, parameters) = attribute("fmtp").split_once(' ').unwrap();
    assert_eq!((number, same_number), (media.fmt.as_str(), media.fmt.as_str()));
    let parameter = |name| {
        let pairs = parameters.split(';').filter_map(|pair| pair.split_once('='));
        let mut found = pairs.filter(|(key, _)| *key == name).map(|(_, value)| value);
        let value = found.next();
        assert!(found.next().is_none(), "{name} twice");
        value
    };
    if let CodecConfig::H264(config) = &track.codec {
        assert_eq!(mapping, "H264/90000");
        let [a, b, c] = config.profile_level_id();
        let profile = format!("{a:02X}{b:02X}{c:02X}");
        assert_eq!(parameter("profile-level-id"), Some(profile.as_str()));
        let sets = parameter("sprop-parameter-sets").into_iter().flat_map(|s| s.split(','));
        let mut expected =
            config.sequence_parameter_sets.iter().chain(&config.picture_parameter_sets);
        for set in sets.map(|set| STANDARD.decode(set).unwrap()) {
            assert!(expected.any(|expected| *expected == set), "no such parameter set");
        }
    } else if let CodecConfig::Aac(config) = &track.codec {
        let rate = config.rtp_rate.ticks_per_second();
        assert_eq!(mapping, format!("mpeg4-generic/{rate}/{}", config.channels));
        let hex = config.audio_specific_config.iter().map(|byte| format!("{byte:02X}"));
        let hex: String = hex.collect();
        assert!(parameter("config").is_none_or(|config| config == hex));
    } else {
        panic!("{:?} was not asked for", track.codec);
    }
}
