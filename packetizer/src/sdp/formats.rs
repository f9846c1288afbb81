//! What a media section says of each codec: its rtpmap and fmtp.

use crate::codec::CodecConfig;
use crate::codec::aac::AacConfig;
use crate::codec::av1::Av1Config;
use crate::codec::h264::H264Config;
use crate::codec::h265::H265Config;
use crate::codec::mpeg4_visual::Mpeg4VisualConfig;
use crate::codec::pcm::{PcmConfig, PcmEncoding};
use crate::codec::vorbis::VorbisConfig;
use crate::payload;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::fmt::Write;

/// The payload type that RFC 3551 §6 gives a codec for good.
pub(super) const fn static_payload_type(codec: &CodecConfig) -> Option<u8> {
    match codec {
        CodecConfig::MpegAudio(_) => Some(14),
        CodecConfig::Jpeg => Some(26),
        CodecConfig::MpegVideo => Some(32),
        CodecConfig::Mp2t => Some(33),
        CodecConfig::Pcm(config) => static_pcm(config),
        CodecConfig::Hinted(config) => config.static_type,
        CodecConfig::H264(_)
        | CodecConfig::H265(_)
        | CodecConfig::Av1(_)
        | CodecConfig::Vp8
        | CodecConfig::Vp9
        | CodecConfig::Mpeg4Visual(_)
        | CodecConfig::H263
        | CodecConfig::Aac(_)
        | CodecConfig::Opus(_)
        | CodecConfig::Vorbis(_)
        | CodecConfig::Mp3Adu(_)
        | CodecConfig::Ac3(_)
        | CodecConfig::EAc3(_)
        | CodecConfig::Amr(_) => None,
    }
}

const fn static_pcm(config: &PcmConfig) -> Option<u8> {
    let rate = config.rtp_rate.ticks_per_second();
    match (config.encoding, rate, config.channels) {
        (PcmEncoding::Mulaw, 8000, 1) => Some(0),
        (PcmEncoding::Alaw, 8000, 1) => Some(8),
        (PcmEncoding::Signed16Big | PcmEncoding::Signed16Little, 44_100, 2) => Some(10),
        (PcmEncoding::Signed16Big | PcmEncoding::Signed16Little, 44_100, 1) => Some(11),
        _ => None,
    }
}

/// Writes the rtpmap and, if the codec has parameters, the fmtp. Parameters that would take more
/// than `bytes_max` are left out.
pub(super) fn write(sdp: &mut String, payload_type: u8, codec: &CodecConfig, bytes_max: usize) {
    let rate = codec.rtp_rate().ticks_per_second();
    let name = encoding_name(codec);
    match channels(codec) {
        Some(channels) => line!(sdp, "a=rtpmap:{payload_type} {name}/{rate}/{channels}"),
        None => line!(sdp, "a=rtpmap:{payload_type} {name}/{rate}"),
    }
    let mut parameters = String::new();
    match codec {
        CodecConfig::H264(config) => write_h264(&mut parameters, config, bytes_max),
        CodecConfig::H265(config) => write_h265(&mut parameters, config, bytes_max),
        CodecConfig::Av1(config) => write_av1(&mut parameters, config),
        CodecConfig::Mpeg4Visual(config) => write_mpeg4_visual(&mut parameters, config, bytes_max),
        CodecConfig::Aac(config) => write_aac(&mut parameters, config, bytes_max),
        CodecConfig::Opus(config) => {
            // RFC 7587 §6.1
            let stereo = u8::from(config.channels == 2);
            let _ = write!(parameters, "sprop-stereo={stereo}");
        }
        CodecConfig::Vorbis(config) => write_vorbis(&mut parameters, config),
        // RFC 4867 §8.1
        CodecConfig::Amr(_) => parameters.push_str("octet-align=1"),
        CodecConfig::Hinted(config) => {
            let known = config.parameters.as_deref().filter(|text| text.len() <= bytes_max);
            parameters.push_str(known.unwrap_or_default());
        }
        CodecConfig::Vp8
        | CodecConfig::Vp9
        | CodecConfig::H263
        | CodecConfig::MpegVideo
        | CodecConfig::Jpeg
        | CodecConfig::Mp2t
        | CodecConfig::MpegAudio(_)
        | CodecConfig::Mp3Adu(_)
        | CodecConfig::Ac3(_)
        | CodecConfig::EAc3(_)
        | CodecConfig::Pcm(_) => {}
    }
    if !parameters.is_empty() {
        line!(sdp, "a=fmtp:{payload_type} {parameters}");
    }
    if let CodecConfig::Hinted(config) = codec {
        let mut left = bytes_max.saturating_sub(parameters.len());
        for attribute in &config.attributes {
            if let Some(rest) = left.checked_sub("a=\r\n".len() + attribute.len()) {
                left = rest;
                line!(sdp, "a={attribute}");
            }
        }
    }
}

/// The encoding name of the rtpmap, as each payload format registers it.
#[must_use]
pub const fn encoding_name(codec: &CodecConfig) -> &str {
    match codec {
        CodecConfig::H264(_) => "H264",
        CodecConfig::H265(_) => "H265",
        CodecConfig::Av1(_) => "AV1",
        CodecConfig::Vp8 => "VP8",
        CodecConfig::Vp9 => "VP9",
        CodecConfig::Mpeg4Visual(_) => "MP4V-ES",
        CodecConfig::H263 => "H263-1998",
        CodecConfig::MpegVideo => "MPV",
        CodecConfig::Jpeg => "JPEG",
        CodecConfig::Mp2t => "MP2T",
        CodecConfig::Aac(_) => "mpeg4-generic",
        CodecConfig::Opus(_) => "opus",
        CodecConfig::Vorbis(_) => "vorbis",
        CodecConfig::MpegAudio(_) => "MPA",
        CodecConfig::Mp3Adu(_) => "mpa-robust",
        CodecConfig::Ac3(_) => "ac3",
        CodecConfig::EAc3(_) => "eac3",
        CodecConfig::Amr(config) if config.is_wideband => "AMR-WB",
        CodecConfig::Amr(_) => "AMR",
        CodecConfig::Pcm(config) => config.encoding.name(),
        CodecConfig::Hinted(config) => &config.encoding,
    }
}

/// The channels of the rtpmap; Opus has two there, always (RFC 7587 §7).
const fn channels(codec: &CodecConfig) -> Option<u8> {
    match codec {
        CodecConfig::Aac(config) => Some(config.channels),
        CodecConfig::Opus(_) => Some(2),
        CodecConfig::Vorbis(config) => Some(config.channels),
        CodecConfig::Ac3(config) | CodecConfig::EAc3(config) => Some(config.channels),
        CodecConfig::Amr(_) => Some(1),
        CodecConfig::Pcm(config) => Some(config.channels),
        CodecConfig::Hinted(config) => config.channels,
        CodecConfig::MpegAudio(_)
        | CodecConfig::Mp3Adu(_)
        | CodecConfig::H264(_)
        | CodecConfig::H265(_)
        | CodecConfig::Av1(_)
        | CodecConfig::Vp8
        | CodecConfig::Vp9
        | CodecConfig::Mpeg4Visual(_)
        | CodecConfig::H263
        | CodecConfig::MpegVideo
        | CodecConfig::Jpeg
        | CodecConfig::Mp2t => None,
    }
}

/// RFC 6184 §8.2.1.
fn write_h264(parameters: &mut String, config: &H264Config, bytes_max: usize) {
    let [profile, constraints, level] = config.profile_level_id();
    let _ = write!(
        parameters,
        "packetization-mode=1;profile-level-id={profile:02X}{constraints:02X}{level:02X}",
    );
    let sets = config.sequence_parameter_sets.iter().chain(&config.picture_parameter_sets);
    write_sets(parameters, ";sprop-parameter-sets=", sets, bytes_max);
}

/// RFC 7798 §7.1.
fn write_h265(parameters: &mut String, config: &H265Config, bytes_max: usize) {
    for (name, sets) in [
        ("sprop-vps=", &config.video_parameter_sets),
        ("sprop-sps=", &config.sequence_parameter_sets),
        ("sprop-pps=", &config.picture_parameter_sets),
    ] {
        let separator = if parameters.is_empty() { "" } else { ";" };
        let left = bytes_max.saturating_sub(parameters.len());
        write_sets(parameters, &format!("{separator}{name}"), sets.iter(), left);
    }
}

/// Writes as many parameter sets in base64 as `bytes_max` leaves room for, with `name` in front.
fn write_sets<'a>(
    parameters: &mut String,
    name: &str,
    sets: impl Iterator<Item = &'a Vec<u8>>,
    bytes_max: usize,
) {
    let mut left = bytes_max;
    let mut separator = name;
    for set in sets.map(|set| STANDARD.encode(set)) {
        if let Some(rest) = left.checked_sub(separator.len() + set.len()) {
            left = rest;
            parameters.push_str(separator);
            parameters.push_str(&set);
            separator = ",";
        }
    }
}

/// RTP Payload Format For AV1 §7.2.
fn write_av1(parameters: &mut String, config: &Av1Config) {
    let Av1Config { profile, level, tier, .. } = config;
    let _ = write!(parameters, "profile={profile};level-idx={level};tier={tier}");
}

/// RFC 6416 §7.1.
fn write_mpeg4_visual(parameters: &mut String, config: &Mpeg4VisualConfig, bytes_max: usize) {
    let _ = write!(parameters, "profile-level-id={}", config.profile_level);
    write_hexadecimal(parameters, &config.headers, bytes_max);
}

/// RFC 3640 §4.1; the lengths are those that mode AAC-hbr demands (§3.3.6).
fn write_aac(parameters: &mut String, config: &AacConfig, bytes_max: usize) {
    parameters.push_str(
        "streamtype=5;profile-level-id=1;mode=AAC-hbr;\
         sizelength=13;indexlength=3;indexdeltalength=3",
    );
    write_hexadecimal(parameters, &config.audio_specific_config, bytes_max);
}

fn write_hexadecimal(parameters: &mut String, config: &[u8], bytes_max: usize) {
    if !config.is_empty() && ";config=".len() + config.len() * 2 <= bytes_max {
        parameters.push_str(";config=");
        for byte in config {
            let _ = write!(parameters, "{byte:02X}");
        }
    }
}

/// RFC 5215 §6. The decoder's tables are in it and nowhere else, so it is there whatever it takes.
fn write_vorbis(parameters: &mut String, config: &VorbisConfig) {
    let _ = write!(
        parameters,
        "configuration={}",
        STANDARD.encode(payload::vorbis::packed_configuration(config))
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::ac3::Ac3Config;
    use crate::codec::amr::AmrConfig;
    use crate::codec::hinted::HintedConfig;
    use crate::codec::mpeg_audio::MpegAudioConfig;
    use crate::codec::nal::NalFraming;
    use crate::codec::opus::OpusConfig;
    use crate::time::ClockRate;

    fn rate(ticks_per_second: u32) -> ClockRate {
        ClockRate::new(ticks_per_second).unwrap()
    }

    fn h265(sets: [&[&[u8]]; 3]) -> CodecConfig {
        let [video, sequence, picture] =
            sets.map(|sets| sets.iter().map(|set| set.to_vec()).collect());
        CodecConfig::H265(H265Config {
            framing: NalFraming::Length(4),
            video_parameter_sets: video,
            sequence_parameter_sets: sequence,
            picture_parameter_sets: picture,
        })
    }

    fn vorbis(setup_bytes: usize) -> CodecConfig {
        CodecConfig::Vorbis(VorbisConfig::of(rate(44_100), 2, vec![1; 30], vec![5; setup_bytes]))
    }

    fn pcm(encoding: PcmEncoding, ticks_per_second: u32, channels: u8) -> CodecConfig {
        CodecConfig::Pcm(PcmConfig { encoding, rtp_rate: rate(ticks_per_second), channels })
    }

    fn lines(codec: &CodecConfig, bytes_max: usize) -> String {
        let mut sdp = String::new();
        write(&mut sdp, static_payload_type(codec).unwrap_or(96), codec, bytes_max);
        sdp
    }

    #[test]
    fn pictures_are_declared_as_their_payload_formats_demand() {
        let av1 = Av1Config { profile: 1, level: 13, tier: 1, sequence_header: vec![] };
        let visual = |headers: &[u8]| {
            let headers = headers.to_vec();
            CodecConfig::Mpeg4Visual(Mpeg4VisualConfig { profile_level: 245, headers })
        };
        for (codec, expected) in [
            (
                h265([&[&[0x40, 1, 2]], &[&[0x42, 1], &[0x42, 2]], &[&[0x44]]]),
                "a=rtpmap:96 H265/90000\r\n\
                 a=fmtp:96 sprop-vps=QAEC;sprop-sps=QgE=,QgI=;sprop-pps=RA==\r\n",
            ),
            (h265([&[], &[], &[]]), "a=rtpmap:96 H265/90000\r\n"),
            (
                h265([&[], &[&[0x42, 1]], &[]]),
                "a=rtpmap:96 H265/90000\r\na=fmtp:96 sprop-sps=QgE=\r\n",
            ),
            (
                CodecConfig::Av1(av1),
                "a=rtpmap:96 AV1/90000\r\na=fmtp:96 profile=1;level-idx=13;tier=1\r\n",
            ),
            (CodecConfig::Vp8, "a=rtpmap:96 VP8/90000\r\n"),
            (CodecConfig::Vp9, "a=rtpmap:96 VP9/90000\r\n"),
            (
                visual(&[0, 0, 1, 0xb0]),
                "a=rtpmap:96 MP4V-ES/90000\r\n\
                 a=fmtp:96 profile-level-id=245;config=000001B0\r\n",
            ),
            (visual(&[]), "a=rtpmap:96 MP4V-ES/90000\r\na=fmtp:96 profile-level-id=245\r\n"),
            (CodecConfig::H263, "a=rtpmap:96 H263-1998/90000\r\n"),
            (CodecConfig::MpegVideo, "a=rtpmap:32 MPV/90000\r\n"),
            (CodecConfig::Jpeg, "a=rtpmap:26 JPEG/90000\r\n"),
            (CodecConfig::Mp2t, "a=rtpmap:33 MP2T/90000\r\n"),
        ] {
            assert_eq!(lines(&codec, 1000), expected);
        }
    }

    #[test]
    fn sound_is_declared_as_its_payload_formats_demand() {
        let ac3 = || Ac3Config { rtp_rate: rate(48_000), channels: 6, unit_samples: 1536 };
        let audio = MpegAudioConfig { sample_rate: rate(44_100), channels: 2, frame_samples: 1152 };
        let amr = |is_wideband| CodecConfig::Amr(AmrConfig { is_wideband });
        for (codec, expected) in [
            (
                CodecConfig::Opus(OpusConfig { channels: 2 }),
                "a=rtpmap:96 opus/48000/2\r\na=fmtp:96 sprop-stereo=1\r\n",
            ),
            (
                CodecConfig::Opus(OpusConfig { channels: 1 }),
                "a=rtpmap:96 opus/48000/2\r\na=fmtp:96 sprop-stereo=0\r\n",
            ),
            (CodecConfig::MpegAudio(audio.clone()), "a=rtpmap:14 MPA/90000\r\n"),
            (CodecConfig::Mp3Adu(audio), "a=rtpmap:96 mpa-robust/90000\r\n"),
            (CodecConfig::Ac3(ac3()), "a=rtpmap:96 ac3/48000/6\r\n"),
            (CodecConfig::EAc3(ac3()), "a=rtpmap:96 eac3/48000/6\r\n"),
            (amr(false), "a=rtpmap:96 AMR/8000/1\r\na=fmtp:96 octet-align=1\r\n"),
            (amr(true), "a=rtpmap:96 AMR-WB/16000/1\r\na=fmtp:96 octet-align=1\r\n"),
            (pcm(PcmEncoding::Mulaw, 8000, 1), "a=rtpmap:0 PCMU/8000/1\r\n"),
            (pcm(PcmEncoding::Mulaw, 16_000, 1), "a=rtpmap:96 PCMU/16000/1\r\n"),
            (pcm(PcmEncoding::Alaw, 8000, 1), "a=rtpmap:8 PCMA/8000/1\r\n"),
            (pcm(PcmEncoding::Alaw, 8000, 2), "a=rtpmap:96 PCMA/8000/2\r\n"),
            (pcm(PcmEncoding::Signed16Little, 44_100, 2), "a=rtpmap:10 L16/44100/2\r\n"),
            (pcm(PcmEncoding::Signed16Big, 44_100, 1), "a=rtpmap:11 L16/44100/1\r\n"),
            (pcm(PcmEncoding::Signed16Big, 48_000, 2), "a=rtpmap:96 L16/48000/2\r\n"),
            (pcm(PcmEncoding::Signed24Little, 48_000, 6), "a=rtpmap:96 L24/48000/6\r\n"),
            (pcm(PcmEncoding::Unsigned8, 11_025, 1), "a=rtpmap:96 L8/11025/1\r\n"),
            (pcm(PcmEncoding::Signed8, 11_025, 1), "a=rtpmap:96 L8/11025/1\r\n"),
        ] {
            assert_eq!(lines(&codec, 1000), expected);
        }
    }

    #[test]
    fn planned_packets_are_declared_as_the_file_says() {
        let hinted = |static_type, parameters: Option<&str>, attributes: &[&str]| {
            CodecConfig::Hinted(HintedConfig {
                is_video: false,
                static_type,
                encoding: "X-QDM".into(),
                rtp_rate: rate(32_000),
                channels: Some(2),
                parameters: parameters.map(Into::into),
                attributes: attributes.iter().map(|text| Box::from(*text)).collect(),
                packet_bytes: 1472,
            })
        };
        let attributes = ["x-bufferdelay:3.66", "x-more"];
        for (codec, bytes_max, expected) in [
            (hinted(None, None, &[]), 1000, "a=rtpmap:96 X-QDM/32000/2\r\n"),
            (hinted(Some(31), None, &[]), 1000, "a=rtpmap:31 X-QDM/32000/2\r\n"),
            (
                hinted(None, Some("a=1"), &attributes),
                1000,
                "a=rtpmap:96 X-QDM/32000/2\r\na=fmtp:96 a=1\r\n\
                 a=x-bufferdelay:3.66\r\na=x-more\r\n",
            ),
            (
                hinted(None, Some("a=123456789"), &attributes),
                10,
                "a=rtpmap:96 X-QDM/32000/2\r\na=x-more\r\n",
            ),
        ] {
            assert_eq!(lines(&codec, bytes_max), expected);
        }
    }

    #[test]
    fn only_the_configuration_of_vorbis_may_be_long() {
        let sdp = lines(&vorbis(6000), 1000);
        let (rtpmap, fmtp) = sdp.split_once("\r\n").unwrap();
        assert_eq!(rtpmap, "a=rtpmap:96 vorbis/44100/2");
        let configuration = fmtp.strip_prefix("a=fmtp:96 configuration=").unwrap().trim_end();
        let CodecConfig::Vorbis(config) = vorbis(6000) else { panic!() };
        let packed = payload::vorbis::packed_configuration(&config);
        assert_eq!(STANDARD.decode(configuration).unwrap(), packed);
        let sets: &[&[u8]] = &[&[7; 800]];
        let fmtp = lines(&h265([sets, sets, sets]), 1200).lines().nth(1).unwrap().len();
        assert!(fmtp < 1200 + 20 && fmtp > 800, "{fmtp}");
    }
}
