//! Sample descriptions of sound (ISO 14496-12 §12.2.3, QuickTime sound descriptions, ETSI TS
//! 102 366 Annex F, 3GPP TS 26.244, Opus in ISOBMFF).

use super::{elementary_stream, inside};
use crate::codec::CodecConfig;
use crate::codec::aac::AacConfig;
use crate::codec::ac3::Ac3Config;
use crate::codec::amr::AmrConfig;
use crate::codec::mpeg_audio::MpegAudioConfig;
use crate::codec::opus::OpusConfig;
use crate::codec::pcm::{PcmConfig, PcmEncoding};
use crate::codec::vorbis::VorbisConfig;
use crate::container::mp4::boxes::{Box, Bytes, find};
use crate::index::SkipReason;
use crate::time::ClockRate;

/// Bytes of an audio sample entry in front of its boxes (ISO 14496-12 §12.2.3).
const ENTRY_BYTES: usize = 28;
/// What QuickTime's sound descriptions of version 1 and 2 have behind that.
const VERSION_1_BYTES: usize = 16;
const VERSION_2_BYTES: usize = 36;

/// The object type that GPAC, FFmpeg and VLC have agreed on, from among those for private use.
const VORBIS: u8 = 0xdd;

/// What every sound description has.
#[derive(Clone, Copy, Debug)]
struct Description {
    version: u16,
    channels: u32,
    sample_bits: u32,
    rate: u32,
    /// QuickTime's flags of uncompressed sound of version 2: 1 float, 2 big-endian, 4 signed.
    flags: u32,
}

impl Description {
    fn parse(entry: &Box<'_>) -> Option<Self> {
        let mut body = entry.bytes();
        body.take(8)?; // reserved, data_reference_index
        let version = body.u16()?;
        body.take(6)?; // revision, vendor
        let (channels, sample_bits) = (body.u16()?.into(), body.u16()?.into());
        body.take(4)?; // compression, packet size
        let rate = body.u32()? >> 16;
        let description = Self { version, channels, sample_bits, rate, flags: 0 };
        if version == 2 { description.parse_second(body) } else { Some(description) }
    }

    /// The fields of version 2, whose sampling rate is a double.
    fn parse_second(self, mut body: Bytes<'_>) -> Option<Self> {
        body.take(4)?; // size of the structure
        let rate = f64::from_bits(body.u64()?);
        let channels = body.u32()?;
        body.take(4)?;
        let (sample_bits, flags) = (body.u32()?, body.u32()?);
        let is_whole = rate.fract() == 0.0 && (1.0..=f64::from(u32::MAX)).contains(&rate);
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "looked at")]
        let rate = if is_whole { rate as u32 } else { 0 };
        Some(Self { channels, sample_bits, rate, flags, ..self })
    }

    /// Sound of MPEG-4 systems (MP4 registration authority, object types).
    fn mpeg(self, boxes: &[u8]) -> Result<CodecConfig, SkipReason> {
        match elementary_stream(boxes)? {
            (0x40 | 0x66..=0x68, []) => {
                Err(SkipReason::Broken("its AudioSpecificConfig is missing"))
            }
            (0x40 | 0x66..=0x68, config) => AacConfig::parse(config)
                .map(CodecConfig::Aac)
                .map_err(|error| SkipReason::Config(error.0)),
            (0x69 | 0x6b, _) => self.mpeg_audio(),
            (VORBIS, headers) => VorbisConfig::parse_decoder_specific_info(headers)
                .map(CodecConfig::Vorbis)
                .map_err(|error| SkipReason::Config(error.0)),
            (other, _) => Err(SkipReason::Codec(format!("mp4a (object type {other:#04x})"))),
        }
    }

    /// Layer III, as which MPEG audio lies in MP4 files: frames of half as many samples at the low
    /// sampling rates of MPEG-2 (ISO 13818-3 §2.4.2.3).
    fn mpeg_audio(self) -> Result<CodecConfig, SkipReason> {
        let unusable = SkipReason::Broken("its sound description makes no sense");
        let sample_rate = ClockRate::new(self.rate).ok_or(unusable)?;
        let channels = if self.channels == 1 { 1 } else { 2 };
        let frame_samples = if self.rate < 32_000 { 576 } else { 1152 };
        Ok(CodecConfig::MpegAudio(MpegAudioConfig { sample_rate, channels, frame_samples }))
    }

    fn pcm(self, encoding: PcmEncoding) -> Result<CodecConfig, SkipReason> {
        let unusable = || SkipReason::Broken("its sound description makes no sense");
        let rtp_rate = ClockRate::new(self.rate).ok_or_else(unusable)?;
        let channels = u8::try_from(self.channels).ok().filter(|count| (1..=64).contains(count));
        let channels = channels.ok_or_else(unusable)?;
        Ok(CodecConfig::Pcm(PcmConfig { encoding, rtp_rate, channels }))
    }
}

pub(super) fn parse(entry: &Box<'_>) -> Result<CodecConfig, SkipReason> {
    let cut_short = SkipReason::Broken("its sound description is cut short");
    let description = Description::parse(entry).ok_or(cut_short)?;
    match &entry.kind.0 {
        b"mp4a" => description.mpeg(inside_of(entry, &description, b"esds")),
        b".mp3" => description.mpeg_audio(),
        b"Opus" => {
            let channels = if description.channels == 1 { 1 } else { 2 };
            match description.channels {
                1 | 2 => Ok(CodecConfig::Opus(OpusConfig { channels })),
                _ => Err(SkipReason::Codec("Opus with more than two channels".to_owned())),
            }
        }
        b"ac-3" => {
            let record = find(inside_of(entry, &description, b"dac3"), b"dac3");
            let config = record.and_then(|record| Ac3Config::parse_dac3(record.body));
            config.map(CodecConfig::Ac3).ok_or(SkipReason::Broken("its dac3 box is missing"))
        }
        b"ec-3" => {
            let record = find(inside_of(entry, &description, b"dec3"), b"dec3");
            let config = record.and_then(|record| Ac3Config::parse_dec3(record.body));
            config.map(CodecConfig::EAc3).ok_or(SkipReason::Broken("its dec3 box is missing"))
        }
        b"samr" => Ok(CodecConfig::Amr(AmrConfig { is_wideband: false })),
        b"sawb" => Ok(CodecConfig::Amr(AmrConfig { is_wideband: true })),
        _ => parse_pcm(entry, &description),
    }
}

/// Uncompressed sound and G.711 (QuickTime File Format, ISO 23003-5 §5).
fn parse_pcm(entry: &Box<'_>, description: &Description) -> Result<CodecConfig, SkipReason> {
    let unsupported = || SkipReason::Codec(entry.kind.to_string());
    let little = |is_little| match (description.sample_bits, is_little) {
        (8, _) => Some(PcmEncoding::Signed8),
        (16, false) => Some(PcmEncoding::Signed16Big),
        (16, true) => Some(PcmEncoding::Signed16Little),
        (24, false) => Some(PcmEncoding::Signed24Big),
        (24, true) => Some(PcmEncoding::Signed24Little),
        _ => None,
    };
    let encoding = match &entry.kind.0 {
        b"ulaw" => Some(PcmEncoding::Mulaw),
        b"alaw" => Some(PcmEncoding::Alaw),
        b"raw " | b"NONE" if description.sample_bits <= 8 => Some(PcmEncoding::Unsigned8),
        b"twos" | b"raw " | b"NONE" => little(false),
        b"sowt" => little(true),
        b"in24" => Some(if is_little_endian(entry, description) {
            PcmEncoding::Signed24Little
        } else {
            PcmEncoding::Signed24Big
        }),
        b"lpcm" if description.version == 2 && description.flags & 5 == 4 => {
            little(description.flags & 2 == 0)
        }
        b"ipcm" => little(is_little_endian(entry, description)),
        _ => None,
    };
    description.pcm(encoding.ok_or_else(unsupported)?)
}

/// Whether `enda` (QuickTime) or `pcmC` (ISO 23003-5 §5.1) says so.
fn is_little_endian(entry: &Box<'_>, description: &Description) -> bool {
    let quicktime = || {
        let wave = find(inside_of(entry, description, b"wave"), b"wave")?;
        Some(find(wave.body, b"enda")?.body.get(..2)? == [0, 1])
    };
    let standard = || {
        let config = find(inside_of(entry, description, b"pcmC"), b"pcmC")?;
        Some(config.body.get(4)? & 1 == 1)
    };
    quicktime().or_else(standard).unwrap_or(false)
}

/// The boxes of a sound description, among them one of this type if there is any, also inside
/// `wave`. ISO files have a version 1 too, without QuickTime's fields: what fits is what holds it.
fn inside_of<'a>(entry: &Box<'a>, description: &Description, kind: &[u8; 4]) -> &'a [u8] {
    let declared = match description.version {
        1 => VERSION_1_BYTES,
        2 => VERSION_2_BYTES,
        _ => 0,
    };
    [declared, 0, VERSION_1_BYTES, VERSION_2_BYTES]
        .into_iter()
        .map(|extra| inside(entry, ENTRY_BYTES + extra))
        .find_map(|boxes| {
            let nested = || find(boxes, b"wave").filter(|wave| find(wave.body, kind).is_some());
            find(boxes, kind).map(|_| boxes).or_else(|| nested().map(|wave| wave.body))
        })
        .unwrap_or_default()
}
