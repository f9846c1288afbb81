//! GStreamer's depayloader of each codec, and the caps that tell it of a stream.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use packetizer::codec::CodecConfig;
use packetizer::codec::pcm::PcmConfig;
use packetizer::payload::vorbis::packed_configuration;

/// Caps behind `application/x-rtp-stream`, and the elements.
pub(crate) fn depayloader(codec: &CodecConfig) -> (String, &'static str) {
    let video = |name: &str| format!("media=video,payload=96,encoding-name={name}");
    let audio = |name: &str| format!("media=audio,payload=96,encoding-name={name}");
    match codec {
        CodecConfig::H264(_) => {
            (video("H264"), "rtph264depay ! video/x-h264,stream-format=byte-stream,alignment=au")
        }
        CodecConfig::H265(_) => {
            (video("H265"), "rtph265depay ! video/x-h265,stream-format=byte-stream,alignment=au")
        }
        CodecConfig::Vp8 => (video("VP8"), "rtpvp8depay"),
        CodecConfig::Vp9 => (video("VP9"), "rtpvp9depay"),
        CodecConfig::Mpeg4Visual(_) => (video("MP4V-ES"), "rtpmp4vdepay"),
        CodecConfig::H263 => (video("H263-1998"), "rtph263pdepay"),
        CodecConfig::MpegVideo => (video("MPV").replace("96", "32"), "rtpmpvdepay"),
        CodecConfig::Jpeg => (video("JPEG").replace("96", "26"), "rtpjpegdepay"),
        CodecConfig::Mp2t => (video("MP2T").replace("96", "33"), "rtpmp2tdepay"),
        CodecConfig::Aac(config) => {
            let hex = config.audio_specific_config.iter().map(|byte| format!("{byte:02x}"));
            let caps = format!(
                "media=audio,encoding-name=MPEG4-GENERIC,streamtype=(string)5,mode=(string)AAC-hbr,\
                 sizelength=(string)13,indexlength=(string)3,indexdeltalength=(string)3,\
                 config=(string){}",
                hex.collect::<String>()
            );
            (caps, "rtpmp4gdepay")
        }
        CodecConfig::Opus(_) => (audio("OPUS"), "rtpopusdepay"),
        CodecConfig::Vorbis(config) => {
            let configuration = STANDARD.encode(packed_configuration(config));
            let caps = format!("{},configuration=(string){configuration}", audio("VORBIS"));
            (caps, "rtpvorbisdepay")
        }
        CodecConfig::MpegAudio(_) => (audio("MPA").replace("96", "14"), "rtpmpadepay"),
        CodecConfig::Mp3Adu(_) => (audio("MPA-ROBUST"), "rtpmparobustdepay"),
        CodecConfig::Ac3(_) => (audio("AC3"), "rtpac3depay"),
        CodecConfig::Amr(config) => {
            let name = if config.is_wideband { "AMR-WB" } else { "AMR" };
            let parameters = "encoding-params=(string)1,octet-align=(string)1";
            (audio(&format!("{name},{parameters}")), "rtpamrdepay")
        }
        CodecConfig::Pcm(config) => pcm(config),
        CodecConfig::Hinted(_) => panic!("its encoding is the file's"),
        CodecConfig::Av1(_) | CodecConfig::EAc3(_) => panic!("GStreamer 1.22 has none"),
    }
}

fn pcm(config: &PcmConfig) -> (String, &'static str) {
    let PcmConfig { encoding, channels, .. } = config;
    let name = encoding.name();
    let element = match name {
        "PCMU" => "rtppcmudepay",
        "PCMA" => "rtppcmadepay",
        "L8" => "rtpL8depay",
        "L16" => "rtpL16depay",
        _ => "rtpL24depay",
    };
    let channels = format!("encoding-params=(string){channels},channels=(int){channels}");
    (format!("media=audio,encoding-name={name},{channels}"), element)
}
