//! Codecs by the names that ffprobe has for them.

use packetizer::codec::CodecConfig;
use packetizer::codec::pcm::PcmEncoding;

/// Those that are delivered, in some container.
const DELIVERED: &[&str] = &[
    "h264",
    "hevc",
    "av1",
    "vp8",
    "vp9",
    "mpeg4",
    "h263",
    "mpeg1video",
    "mpeg2video",
    "mjpeg",
    "aac",
    "aac_latm",
    "opus",
    "vorbis",
    "mp1",
    "mp2",
    "mp3",
    "ac3",
    "eac3",
    "amr_nb",
    "amr_wb",
    "pcm_u8",
    "pcm_s16le",
    "pcm_s16be",
    "pcm_s24le",
    "pcm_s24be",
    "pcm_mulaw",
    "pcm_alaw",
];

/// Whether a codec of this name is delivered.
pub(crate) fn is_delivered(name: &str) -> bool {
    DELIVERED.contains(&name)
}

/// What ffprobe may call it.
pub(crate) fn names(codec: &CodecConfig) -> &'static [&'static str] {
    match codec {
        CodecConfig::H264(_) => &["h264"],
        CodecConfig::H265(_) => &["hevc"],
        CodecConfig::Av1(_) => &["av1"],
        CodecConfig::Vp8 => &["vp8"],
        CodecConfig::Vp9 => &["vp9"],
        CodecConfig::Mpeg4Visual(_) => &["mpeg4"],
        CodecConfig::H263 => &["h263"],
        CodecConfig::MpegVideo => &["mpeg1video", "mpeg2video"],
        CodecConfig::Jpeg => &["mjpeg"],
        // The stream itself, which is no stream of its own.
        CodecConfig::Mp2t => &[],
        CodecConfig::Aac(_) => &["aac", "aac_latm"],
        // Of whatever codec.
        CodecConfig::Hinted(_) => &[],
        CodecConfig::Opus(_) => &["opus"],
        CodecConfig::Vorbis(_) => &["vorbis"],
        CodecConfig::MpegAudio(_) => &["mp1", "mp2", "mp3"],
        CodecConfig::Mp3Adu(_) => &["mp3"],
        CodecConfig::Ac3(_) => &["ac3"],
        CodecConfig::EAc3(_) => &["eac3"],
        CodecConfig::Amr(config) if config.is_wideband => &["amr_wb"],
        CodecConfig::Amr(_) => &["amr_nb"],
        CodecConfig::Pcm(config) => match config.encoding {
            PcmEncoding::Mulaw => &["pcm_mulaw"],
            PcmEncoding::Alaw => &["pcm_alaw"],
            PcmEncoding::Unsigned8 => &["pcm_u8"],
            PcmEncoding::Signed8 => &["pcm_s8"],
            PcmEncoding::Signed16Big => &["pcm_s16be"],
            PcmEncoding::Signed16Little => &["pcm_s16le"],
            PcmEncoding::Signed24Big => &["pcm_s24be"],
            PcmEncoding::Signed24Little => &["pcm_s24le"],
        },
    }
}
