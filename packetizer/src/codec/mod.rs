//! What SDP must declare of each codec and how its access units are cut; one file a codec.

pub mod aac;
pub mod ac3;
pub mod amr;
pub mod av1;
mod bits;
pub mod h264;
pub mod h265;
pub mod hinted;
pub(crate) mod latm;
pub mod layer_iii;
pub mod mp2t;
pub mod mpeg4_visual;
pub mod mpeg_audio;
pub mod mpeg_video;
pub mod nal;
pub mod obu;
pub mod opus;
pub mod pcm;
pub(crate) mod picture;
pub mod vorbis;

use std::fmt;

use crate::time::ClockRate;

/// A codec with what SDP and the payload format need to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CodecConfig {
    /// H.264 in NAL units.
    H264(h264::H264Config),
    /// H.265 in NAL units.
    H265(h265::H265Config),
    /// AV1 in temporal units of the low-overhead bitstream format (AV1 §5.2).
    Av1(av1::Av1Config),
    /// VP8 frames (RFC 6386).
    Vp8,
    /// VP9 frames, superframes included.
    Vp9,
    /// MPEG-4 Visual (ISO 14496-2) with its start codes.
    Mpeg4Visual(mpeg4_visual::Mpeg4VisualConfig),
    /// H.263 pictures with their start codes (ITU-T H.263).
    H263,
    /// MPEG-1 and MPEG-2 video (ISO 11172-2, 13818-2) with its start codes.
    MpegVideo,
    /// Baseline JPEG images.
    Jpeg,
    /// MPEG-2 transport streams as such (ISO 13818-1): runs of packets of 188 bytes.
    Mp2t,
    /// AAC with its AudioSpecificConfig (ISO 14496-3).
    Aac(aac::AacConfig),
    /// Opus packets (RFC 6716).
    Opus(opus::OpusConfig),
    /// Vorbis packets.
    Vorbis(vorbis::VorbisConfig),
    /// MPEG-1 and MPEG-2 audio frames, layers I to III.
    MpegAudio(mpeg_audio::MpegAudioConfig),
    /// Frames of layer III, delivered as application data units (RFC 5219).
    Mp3Adu(mpeg_audio::MpegAudioConfig),
    /// AC-3 frames (ETSI TS 102 366).
    Ac3(ac3::Ac3Config),
    /// Enhanced AC-3 frames, all substreams of a period together.
    EAc3(ac3::Ac3Config),
    /// AMR and AMR-WB frames as they are stored: one octet of header each (RFC 4867 §5.3).
    Amr(amr::AmrConfig),
    /// PCM, linear or G.711.
    Pcm(pcm::PcmConfig),
    /// Packets of whatever codec, as a hint track plans them (ISO 14496-12 §9.1).
    Hinted(hinted::HintedConfig),
}

impl CodecConfig {
    /// What people call the codec.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::H264(_) => "H.264",
            Self::H265(_) => "H.265",
            Self::Av1(_) => "AV1",
            Self::Vp8 => "VP8",
            Self::Vp9 => "VP9",
            Self::Mpeg4Visual(_) => "MPEG-4 Visual",
            Self::H263 => "H.263",
            Self::MpegVideo => "MPEG-1/2 video",
            Self::Jpeg => "JPEG",
            Self::Mp2t => "MPEG transport stream",
            Self::Aac(_) => "AAC",
            Self::Opus(_) => "Opus",
            Self::Vorbis(_) => "Vorbis",
            Self::MpegAudio(_) => "MPEG audio",
            Self::Mp3Adu(_) => "MP3 as ADUs",
            Self::Ac3(_) => "AC-3",
            Self::EAc3(_) => "E-AC-3",
            Self::Amr(_) => "AMR",
            Self::Pcm(config) => config.encoding.name(),
            Self::Hinted(_) => "planned packets",
        }
    }

    /// Whether it is pictures, or has some.
    #[must_use]
    pub const fn is_video(&self) -> bool {
        match self {
            Self::H264(_)
            | Self::H265(_)
            | Self::Av1(_)
            | Self::Vp8
            | Self::Vp9
            | Self::Mpeg4Visual(_)
            | Self::H263
            | Self::MpegVideo
            | Self::Jpeg
            | Self::Mp2t => true,
            Self::Aac(_)
            | Self::Opus(_)
            | Self::Vorbis(_)
            | Self::MpegAudio(_)
            | Self::Mp3Adu(_)
            | Self::Ac3(_)
            | Self::EAc3(_)
            | Self::Amr(_)
            | Self::Pcm(_) => false,
            Self::Hinted(config) => config.is_video,
        }
    }

    /// The RTP clock: 90 kHz for video and MPEG audio (RFC 3551 §4.5, §5), 48 kHz for Opus
    /// (RFC 7587 §4.1), the sampling rate for other audio, and what a hint track says.
    #[must_use]
    pub const fn rtp_rate(&self) -> ClockRate {
        match self {
            Self::Aac(config) => config.rtp_rate,
            Self::Opus(_) => opus::RTP_RATE,
            Self::Vorbis(config) => config.rtp_rate,
            Self::Ac3(config) | Self::EAc3(config) => config.rtp_rate,
            Self::Amr(config) => config.rtp_rate(),
            Self::Pcm(config) => config.rtp_rate,
            Self::Hinted(config) => config.rtp_rate,
            Self::MpegAudio(_)
            | Self::Mp3Adu(_)
            | Self::H264(_)
            | Self::H265(_)
            | Self::Av1(_)
            | Self::Vp8
            | Self::Vp9
            | Self::Mpeg4Visual(_)
            | Self::H263
            | Self::MpegVideo
            | Self::Jpeg
            | Self::Mp2t => ClockRate::VIDEO,
        }
    }
}

impl CodecConfig {
    /// RTP ticks that so many audio access units of so many bytes in all last, as a receiver counts
    /// them; `None` if their lengths differ and are told by their contents.
    #[must_use]
    pub fn duration_ticks(&self, unit_count: usize, bytes: usize) -> Option<i64> {
        let count = unit_count as i64;
        match self {
            Self::Aac(config) => Some(count * i64::from(config.unit_samples)),
            Self::Ac3(config) | Self::EAc3(config) => Some(count * i64::from(config.unit_samples)),
            Self::MpegAudio(config) | Self::Mp3Adu(config) => {
                let samples = count * i64::from(config.frame_samples);
                Some(config.sample_rate.convert_nearest(samples, ClockRate::VIDEO))
            }
            Self::Amr(config) => {
                let ticks = config.rtp_rate().ticks_per_second() / 1000;
                Some(count * i64::from(ticks * u32::from(amr::FRAME_MILLIS)))
            }
            Self::Pcm(config) => Some(bytes as i64 / i64::from(config.frame_bytes().max(1))),
            Self::Opus(_)
            | Self::Vorbis(_)
            | Self::Hinted(_)
            | Self::H264(_)
            | Self::H265(_)
            | Self::Av1(_)
            | Self::Vp8
            | Self::Vp9
            | Self::Mpeg4Visual(_)
            | Self::H263
            | Self::MpegVideo
            | Self::Jpeg
            | Self::Mp2t => None,
        }
    }
}

/// Why a codec's configuration cannot be used, in words for an operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConfigError(pub &'static str);

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for ConfigError {}
