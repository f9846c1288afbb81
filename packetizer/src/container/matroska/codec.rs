//! Codecs: what CodecID, CodecPrivate and the Audio element say of a track (RFC 9559 §5.1.4.1.21;
//! Matroska Codec Mappings).

use super::tracks::AudioSettings;
use crate::codec::aac::AacConfig;
use crate::codec::ac3::{Ac3Config, SyncFrame};
use crate::codec::av1::Av1Config;
use crate::codec::h264::{H264Config, NalType};
use crate::codec::h265::H265Config;
use crate::codec::mpeg_audio::{FrameHeader, MpegAudioConfig};
use crate::codec::mpeg4_visual::Mpeg4VisualConfig;
use crate::codec::nal::{NalFraming, nal_units};
use crate::codec::opus::OpusConfig;
use crate::codec::pcm::{PcmConfig, PcmEncoding};
use crate::codec::vorbis::VorbisConfig;
use crate::codec::{CodecConfig, ConfigError};
use crate::index::SkipReason;
use crate::time::ClockRate;

type Parsed = Result<CodecConfig, SkipReason>;

/// The codec of a track.
pub(super) fn parse_codec(id: &[u8], private: &[u8], audio: &AudioSettings) -> Parsed {
    let config = |error: ConfigError| SkipReason::Config(error.0);
    let visual = || CodecConfig::Mpeg4Visual(Mpeg4VisualConfig::new(private));
    match id {
        b"V_MPEG4/ISO/AVC" => H264Config::parse(private).map(CodecConfig::H264).map_err(config),
        b"V_MPEGH/ISO/HEVC" => H265Config::parse(private).map(CodecConfig::H265).map_err(config),
        b"V_AV1" => Av1Config::parse(private).map(CodecConfig::Av1).map_err(config),
        b"V_VP8" => Ok(CodecConfig::Vp8),
        b"V_VP9" => Ok(CodecConfig::Vp9),
        b"V_MPEG4/ISO/SP" | b"V_MPEG4/ISO/ASP" | b"V_MPEG4/ISO/AP" => Ok(visual()),
        b"V_MPEG1" | b"V_MPEG2" => Ok(CodecConfig::MpegVideo),
        b"V_MJPEG" => Ok(CodecConfig::Jpeg),
        b"V_MS/VFW/FOURCC" => parse_bitmap_header(private),
        b"A_OPUS" => OpusConfig::parse_opus_head(private).map(CodecConfig::Opus).map_err(config),
        b"A_VORBIS" => VorbisConfig::parse_xiph(private).map(CodecConfig::Vorbis).map_err(config),
        b"A_MPEG/L1" => mpeg_audio(384, audio),
        b"A_MPEG/L2" => mpeg_audio(1152, audio),
        b"A_MPEG/L3" => mpeg_audio(if audio.sampling_rate < 32_000 { 576 } else { 1152 }, audio),
        b"A_AC3" | b"A_AC3/BSID9" | b"A_AC3/BSID10" => ac3(audio).map(CodecConfig::Ac3),
        b"A_EAC3" => ac3(audio).map(CodecConfig::EAc3),
        b"A_PCM/INT/LIT" | b"A_PCM/INT/BIG" => parse_pcm(id, audio),
        b"A_MS/ACM" => parse_wave_format(private),
        b"A_AAC" => aac(private),
        _ => match id.strip_prefix(b"A_AAC/") {
            Some(profile) => aac(&make_audio_specific_config(profile, audio)?),
            None => Err(unsupported(id)),
        },
    }
}

/// By name, of which a hostile file may have made much.
fn unsupported(id: &[u8]) -> SkipReason {
    SkipReason::Codec(id.get(..64).unwrap_or(id).escape_ascii().to_string())
}

fn aac(audio_specific_config: &[u8]) -> Parsed {
    let parsed = AacConfig::parse(audio_specific_config).map(CodecConfig::Aac);
    parsed.map_err(|error| SkipReason::Config(error.0))
}

const NO_RATE: SkipReason = SkipReason::Config("its sampling rate or its channels make no sense");

fn mpeg_audio(frame_samples: u16, audio: &AudioSettings) -> Parsed {
    let sample_rate = ClockRate::new(audio.sampling_rate).ok_or(NO_RATE)?;
    if !(1..=2).contains(&audio.channels) {
        return Err(NO_RATE);
    }
    let channels = audio.channels;
    Ok(CodecConfig::MpegAudio(MpegAudioConfig { sample_rate, channels, frame_samples }))
}

fn ac3(audio: &AudioSettings) -> Result<Ac3Config, SkipReason> {
    let rtp_rate = ClockRate::new(audio.sampling_rate).ok_or(NO_RATE)?;
    if !(1..=16).contains(&audio.channels) {
        return Err(NO_RATE);
    }
    Ok(Ac3Config { rtp_rate, channels: audio.channels, unit_samples: 1536 })
}

/// Takes what a track's first frame says of its codec, since the container leaves much open; `true`
/// if there was something.
pub(super) fn correct_codec(codec: &mut CodecConfig, frame: &[u8]) -> bool {
    match codec {
        CodecConfig::MpegAudio(config) => match FrameHeader::parse(frame) {
            Some(header) => *config = header.config(),
            None => return false,
        },
        CodecConfig::Ac3(config) | CodecConfig::EAc3(config) => match SyncFrame::parse(frame) {
            // Channels may be in dependent substreams, of which the container knows.
            Some(header) => {
                config.rtp_rate = header.sample_rate;
                config.unit_samples = header.samples;
                config.channels = config.channels.max(header.channels);
            }
            None => return false,
        },
        CodecConfig::H264(_)
        | CodecConfig::H265(_)
        | CodecConfig::Av1(_)
        | CodecConfig::Vp8
        | CodecConfig::Vp9
        | CodecConfig::Mpeg4Visual(_)
        | CodecConfig::H263
        | CodecConfig::MpegVideo
        | CodecConfig::Jpeg
        | CodecConfig::Mp2t
        | CodecConfig::Aac(_)
        | CodecConfig::Opus(_)
        | CodecConfig::Vorbis(_)
        | CodecConfig::Mp3Adu(_)
        | CodecConfig::Amr(_)
        | CodecConfig::Pcm(_)
        | CodecConfig::Hinted(_) => return false,
    }
    true
}

fn parse_pcm(id: &[u8], audio: &AudioSettings) -> Parsed {
    let is_little = id.ends_with(b"LIT");
    let encoding = match (audio.bit_depth, is_little) {
        (8, _) => PcmEncoding::Unsigned8,
        (16, true) => PcmEncoding::Signed16Little,
        (16, false) => PcmEncoding::Signed16Big,
        (24, true) => PcmEncoding::Signed24Little,
        (24, false) => PcmEncoding::Signed24Big,
        (bits, _) => {
            return Err(SkipReason::Codec(format!("{} of {bits} bits", id.escape_ascii())));
        }
    };
    pcm(encoding, audio.sampling_rate, audio.channels)
}

fn pcm(encoding: PcmEncoding, rate: u32, channels: u8) -> Parsed {
    let rtp_rate = ClockRate::new(rate).filter(|_| channels > 0).ok_or(NO_RATE)?;
    Ok(CodecConfig::Pcm(PcmConfig { encoding, rtp_rate, channels }))
}

/// A codec of Windows' video: BITMAPINFOHEADER, and behind it what the codec needs.
fn parse_bitmap_header(private: &[u8]) -> Parsed {
    let wrong = SkipReason::Broken("its bitmap header is cut short");
    let (header, extra) = private.split_at_checked(40).ok_or(wrong.clone())?;
    let four_cc = *header.get(16..).and_then(<[u8]>::first_chunk::<4>).ok_or(wrong)?;
    let mut name = four_cc;
    name.make_ascii_uppercase();
    match &name {
        b"H264" | b"X264" | b"AVC1" | b"DAVC" => parse_h264(extra).map(CodecConfig::H264),
        b"XVID" | b"DIVX" | b"DX50" | b"FMP4" | b"MP4V" | b"M4S2" => {
            Ok(CodecConfig::Mpeg4Visual(Mpeg4VisualConfig::new(extra)))
        }
        b"MJPG" => Ok(CodecConfig::Jpeg),
        b"MPG1" | b"MPG2" => Ok(CodecConfig::MpegVideo),
        b"H263" => Ok(CodecConfig::H263),
        b"VP80" => Ok(CodecConfig::Vp8),
        b"VP90" => Ok(CodecConfig::Vp9),
        _ => Err(SkipReason::Codec(format!("V_MS/VFW/FOURCC {}", four_cc.escape_ascii()))),
    }
}

/// H.264 of Windows' video: a configuration record, or parameter sets with start codes, which the
/// frames have as well then.
fn parse_h264(extra: &[u8]) -> Result<H264Config, SkipReason> {
    if extra.first() == Some(&1) {
        return H264Config::parse(extra).map_err(|error| SkipReason::Config(error.0));
    }
    let sets = |wanted| -> Vec<Vec<u8>> {
        nal_units(extra, NalFraming::StartCodes)
            .flatten()
            .filter(|unit| NalType::of(unit) == Some(wanted) && unit.len() >= 2)
            .map(<[u8]>::to_vec)
            .collect()
    };
    let (sequence_parameter_sets, picture_parameter_sets) =
        (sets(NalType::SPS), sets(NalType::PPS));
    if sequence_parameter_sets.is_empty() || picture_parameter_sets.is_empty() {
        return Err(SkipReason::Config("its bitmap header has no H.264 parameter sets"));
    }
    let framing = NalFraming::StartCodes;
    Ok(H264Config { framing, sequence_parameter_sets, picture_parameter_sets })
}

/// A codec of Windows' audio: WAVEFORMATEX, and behind it what the codec needs.
fn parse_wave_format(private: &[u8]) -> Parsed {
    let word =
        |at: usize| -> Option<u16> { Some(u16::from_le_bytes(*private.get(at..)?.first_chunk()?)) };
    let cut_short = SkipReason::Broken("its wave format is cut short");
    let (Some(format), Some(channels), Some(low), Some(high), Some(bits)) =
        (word(0), word(2), word(4), word(6), word(14))
    else {
        return Err(cut_short);
    };
    let rate = u32::from(high) << 16 | u32::from(low);
    let channels = u8::try_from(channels).unwrap_or(0);
    let bit_depth = u64::from(bits);
    let audio = AudioSettings { sampling_rate: rate, output_rate: rate, channels, bit_depth };
    // The extensible format has its tag at the front of a GUID.
    let format = if format == 0xfffe { word(24).ok_or(cut_short)? } else { format };
    match format {
        1 => parse_pcm(b"A_PCM/INT/LIT", &audio),
        6 => pcm(PcmEncoding::Alaw, rate, channels),
        7 => pcm(PcmEncoding::Mulaw, rate, channels),
        0x50 => mpeg_audio(1152, &audio),
        0x55 => mpeg_audio(if rate < 32_000 { 576 } else { 1152 }, &audio),
        0xff | 0x1610 => aac(private.get(18..).unwrap_or_default()),
        0x2000 => ac3(&audio).map(CodecConfig::Ac3),
        other => Err(SkipReason::Codec(format!("A_MS/ACM {other:#06x}"))),
    }
}

/// The AudioSpecificConfig of tracks from before they had one: `MPEG4/LC`, `MPEG2/LC/SBR` and the
/// like say what is in it.
fn make_audio_specific_config(
    profile: &[u8],
    audio: &AudioSettings,
) -> Result<Vec<u8>, SkipReason> {
    let unknown = || unsupported(&[b"A_AAC/", profile].concat());
    let mut parts = profile.split(|byte| *byte == b'/');
    if !matches!(parts.next(), Some(b"MPEG2" | b"MPEG4")) {
        return Err(unknown());
    }
    let object_type = match parts.next() {
        Some(b"MAIN") => 1,
        Some(b"LC") => 2,
        Some(b"SSR") => 3,
        Some(b"LTP") => 4,
        _ => return Err(unknown()),
    };
    let has_sbr = parts.next() == Some(b"SBR");
    let rate = rate_index(audio.sampling_rate)?;
    let channels = match audio.channels {
        channels @ 1..=6 => channels,
        8 => 7,
        _ => return Err(NO_RATE),
    };
    let mut config = vec![object_type << 3 | rate >> 1, rate << 7 | channels << 3];
    if has_sbr {
        let doubled = audio.sampling_rate.saturating_mul(2);
        let output = audio.output_rate;
        let output = rate_index(if output > audio.sampling_rate { output } else { doubled })?;
        // syncExtensionType, extensionAudioObjectType 5, sbrPresentFlag (ISO 14496-3 §1.6.2.1)
        config.extend([0x56, 0xe5, 0x80 | output << 3]);
    }
    Ok(config)
}

/// samplingFrequencyIndex (ISO 14496-3 table 1.18).
fn rate_index(rate: u32) -> Result<u8, SkipReason> {
    const RATES: [u32; 13] = [
        96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025,
        8000, 7350,
    ];
    (0..).zip(RATES).find(|(_, known)| *known == rate).map(|(index, _)| index).ok_or(NO_RATE)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTINGS: AudioSettings =
        AudioSettings { sampling_rate: 24_000, output_rate: 48_000, channels: 2, bit_depth: 16 };

    fn bitmap(four_cc: &[u8; 4], extra: &[u8]) -> Vec<u8> {
        [&[0; 16][..], four_cc, &[0; 20], extra].concat()
    }

    fn wave(format: u16, bits: u16, extra: &[u8]) -> Vec<u8> {
        let words = [format, 1, 8000, 0, 0, 0, 0, bits, 0].map(u16::to_le_bytes);
        [words.as_flattened(), extra].concat()
    }

    #[test]
    fn names_lead_to_codecs() {
        let sets = [0, 0, 0, 1, 0x67, 1, 2, 3, 0, 0, 1, 0x68, 1];
        let record = [1, 1, 2, 3, 0xff, 0xe1, 0, 4, 0x67, 1, 2, 3, 1, 0, 2, 0x68, 1];
        for (id, private, expected) in [
            ("V_MPEG4/ISO/AVC", record.to_vec(), "H264"),
            ("V_VP8", vec![], "Vp8"),
            ("V_VP9", vec![], "Vp9"),
            (
                "V_MPEG4/ISO/ASP",
                vec![0, 0, 1, 0xb0, 0xf3],
                "Mpeg4Visual(Mpeg4VisualConfig { profile_level: 243",
            ),
            ("V_MPEG2", vec![], "MpegVideo"),
            ("V_MJPEG", vec![], "Jpeg"),
            ("V_AV1", vec![0x81, 5, 0x80, 0], "Av1(Av1Config { profile: 0, level: 5, tier: 1"),
            ("V_MS/VFW/FOURCC", bitmap(b"H264", &sets), "H264(H264Config { framing: StartCodes"),
            ("V_MS/VFW/FOURCC", bitmap(b"avc1", &record), "H264(H264Config { framing: Length(4)"),
            ("V_MS/VFW/FOURCC", bitmap(b"xvid", &[]), "Mpeg4Visual"),
            ("V_MS/VFW/FOURCC", bitmap(b"MJPG", &[]), "Jpeg"),
            ("A_AAC", vec![0x12, 0x10], "Aac"),
            ("A_AAC/MPEG4/LC", vec![], "Aac(AacConfig { audio_specific_config: [19, 16]"),
            ("A_AAC/MPEG2/LC/SBR", vec![], "ClockRate(48000), channels: 2, unit_samples: 2048"),
            ("A_MPEG/L1", vec![], "frame_samples: 384"),
            ("A_MPEG/L2", vec![], "frame_samples: 1152"),
            ("A_MPEG/L3", vec![], "frame_samples: 576"),
            ("A_AC3", vec![], "Ac3"),
            ("A_EAC3", vec![], "EAc3"),
            ("A_PCM/INT/LIT", vec![], "Signed16Little"),
            ("A_PCM/INT/BIG", vec![], "Signed16Big"),
            ("A_MS/ACM", wave(1, 24, &[]), "Signed24Little"),
            ("A_MS/ACM", wave(7, 8, &[]), "Mulaw"),
            ("A_MS/ACM", wave(0x55, 0, &[]), "frame_samples: 576"),
            ("A_MS/ACM", wave(0xff, 0, &[0x12, 0x10]), "Aac"),
            ("A_MS/ACM", wave(0xfffe, 16, &[0, 0, 0, 0, 0, 0, 1, 0]), "Signed16Little"),
        ] {
            let parsed = parse_codec(id.as_bytes(), &private, &SETTINGS);
            let found =
                format!("{:?}", parsed.as_ref().unwrap_or_else(|why| panic!("{id}: {why}")));
            assert!(found.contains(expected), "{id}: {found}, not {expected}");
        }
    }

    #[test]
    fn what_is_not_delivered_is_named() {
        for (id, private, expected) in [
            ("A_FLAC", vec![], "codec A_FLAC "),
            ("A_DTS", vec![], "codec A_DTS "),
            ("A_PCM/FLOAT/IEEE", vec![], "codec A_PCM/FLOAT/IEEE "),
            ("V_MS/VFW/FOURCC", bitmap(b"WMV3", &[]), "FOURCC WMV3"),
            ("V_MS/VFW/FOURCC", bitmap(b"H264", &[]), "no H.264 parameter sets"),
            ("V_MS/VFW/FOURCC", vec![0; 39], "cut short"),
            ("A_MS/ACM", wave(0x161, 0, &[]), "A_MS/ACM 0x0161"),
            ("A_MS/ACM", wave(1, 32, &[]), "of 32 bits"),
            ("A_MS/ACM", vec![1, 0], "cut short"),
            ("A_MS/ACM", wave(0xfffe, 16, &[]), "cut short"),
            ("A_AAC/MPEG4/HE", vec![], "codec A_AAC/MPEG4/HE "),
            ("A_AAC", vec![], "cut short"),
            ("V_MPEGH/ISO/HEVC", vec![], "hvcC"),
            ("A_VORBIS", vec![], "Vorbis"),
            ("A_OPUS", vec![], "OpusHead"),
            ("V_A\n", vec![], "V_A\\n"),
        ] {
            let refused = parse_codec(id.as_bytes(), &private, &SETTINGS).unwrap_err().to_string();
            assert!(refused.contains(expected), "{id}: {refused}, not {expected}");
        }
        for settings in [
            AudioSettings { sampling_rate: 0, ..SETTINGS },
            AudioSettings { channels: 0, ..SETTINGS },
        ] {
            for id in ["A_PCM/INT/LIT", "A_MPEG/L2", "A_AC3", "A_AAC/MPEG4/LC"] {
                let refused = parse_codec(id.as_bytes(), &[], &settings).unwrap_err();
                assert_eq!(refused, NO_RATE, "{id}");
            }
        }
    }

    #[test]
    fn the_first_frame_knows_better() {
        // MPEG-2 layer III of 22.05 kHz; E-AC-3 of 48 kHz and one block, 5.1 channels.
        let mpeg = [0xff, 0xf3, 0x40, 0xc4, 0, 0, 0, 0];
        let enhanced = [0x0b, 0x77, 0x02, 0xff, 0x0f, 0x87, 0xc0, 0];
        for (id, frame, expected) in [
            ("A_MPEG/L2", &mpeg[..], "ClockRate(22050), channels: 1, frame_samples: 576"),
            ("A_EAC3", &enhanced, "ClockRate(48000), channels: 6, unit_samples: 256"),
        ] {
            let mut codec = parse_codec(id.as_bytes(), &[], &SETTINGS).unwrap();
            let before = codec.clone();
            assert!(!correct_codec(&mut codec, &[0; 16]));
            assert_eq!(codec, before);
            assert!(correct_codec(&mut codec, frame), "{id}");
            let found = format!("{codec:?}");
            assert!(found.contains(expected), "{id}: {found}, not {expected}");
        }
        assert!(!correct_codec(&mut CodecConfig::Vp8, &mpeg));
    }
}
