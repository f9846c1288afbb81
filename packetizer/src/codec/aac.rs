//! AAC: the AudioSpecificConfig (ISO 14496-3 §1.6.2.1).

use super::ConfigError;
use super::bits::BitReader;
use crate::time::ClockRate;

/// What SDP must declare of an AAC stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AacConfig {
    /// The AudioSpecificConfig as it stands in the container, for `config=` (RFC 3640 §4.1).
    pub audio_specific_config: Vec<u8>,
    /// The RTP clock, as `a=rtpmap` declares it: the sampling rate the decoder puts out.
    pub rtp_rate: ClockRate,
    /// Channels, 1..=8.
    pub channels: u8,
    /// RTP clock ticks an access unit lasts: 1024 or 960, with signalled SBR twice as many.
    pub unit_samples: u16,
}

impl AacConfig {
    /// Parses an AudioSpecificConfig: AAC Main, LC, SSR and LTP, with SBR and PS signalled
    /// hierarchically or in the backward compatible way (ISO 14496-3 §1.6.5).
    ///
    /// # Errors
    /// When it is cut short or declares what reelring does not deliver.
    pub fn parse(audio_specific_config: &[u8]) -> Result<Self, ConfigError> {
        let mut bits = BitReader::new(audio_specific_config);
        let parsed =
            parse_config(&mut bits, true).ok_or(ConfigError("AudioSpecificConfig is cut short"));
        let parsed = parsed??;
        Ok(Self {
            audio_specific_config: audio_specific_config.to_vec(),
            rtp_rate: ClockRate::new(parsed.output_rate.unwrap_or(parsed.core_rate))
                .ok_or(ConfigError("AudioSpecificConfig has sampling rate 0"))?,
            channels: parsed.channels,
            unit_samples: if parsed.output_rate == Some(parsed.core_rate * 2) {
                parsed.core_samples * 2
            } else {
                parsed.core_samples
            },
        })
    }
}

impl AacConfig {
    /// How many bits the AudioSpecificConfig has that `bytes` begin with, where nothing else tells;
    /// `None` if it is cut short.
    ///
    /// # Errors
    /// As [`Self::parse`].
    pub(super) fn bits(bytes: &[u8]) -> Option<Result<usize, ConfigError>> {
        let mut bits = BitReader::new(bytes);
        Some(parse_config(&mut bits, false)?.map(|_| bits.position()))
    }
}

/// What the header of an ADTS frame says (ISO 14496-3 §1.A.2.2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AdtsHeader {
    /// Bytes of the header, its checksum included: 7 or 9.
    pub header_bytes: u32,
    /// Bytes of the frame, header included; never fewer than the header's.
    pub frame_bytes: u32,
    /// Access units in the frame: 1 to 4. Nearly always 1; the bounds of more are not told.
    pub unit_count: u8,
    /// The AudioSpecificConfig that says the same.
    pub audio_specific_config: [u8; 2],
}

impl AdtsHeader {
    /// Bytes of a header without its checksum.
    pub const BYTES: usize = 7;
    /// Bytes of a frame at most.
    pub const FRAME_BYTES_MAX: u32 = (1 << 13) - 1;

    /// Parses the header at the beginning of `bytes`; `None` if it is none or cut short.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let mut bits = BitReader::new(bytes.get(..Self::BYTES)?);
        let syncword = bits.read(12)?;
        bits.read(1)?; // ID: MPEG-4 or MPEG-2
        let layer = bits.read(2)?;
        let is_unprotected = bits.read(1)? == 1;
        let object_type = bits.read(2)? + 1;
        let rate_index = bits.read(4)?;
        bits.read(1)?; // private_bit
        let channels = bits.read(3)?;
        bits.read(4)?; // original_copy, home, copyright_identification_bit and _start
        let frame_bytes = bits.read(13)?;
        bits.read(11)?; // adts_buffer_fullness
        let unit_count = u8::try_from(bits.read(2)? + 1).ok()?;
        let header_bytes = if is_unprotected { 7 } else { 9 };
        let config = u16::try_from(object_type << 11 | rate_index << 7 | channels << 3).ok()?;
        let is_valid =
            syncword == 0xfff && layer == 0 && rate_index < 13 && frame_bytes >= header_bytes;
        is_valid.then_some(Self {
            header_bytes,
            frame_bytes,
            unit_count,
            audio_specific_config: config.to_be_bytes(),
        })
    }

    /// What SDP must declare of a stream of such frames. SBR and PS are not announced by ADTS:
    /// decoders find them.
    ///
    /// # Errors
    /// When the channels are told by a program_config_element in the first frame.
    pub fn config(&self) -> Result<AacConfig, ConfigError> {
        if self.audio_specific_config[1] >> 3 & 7 == 0 {
            return Err(ConfigError("AAC with channels told in its frames is not supported"));
        }
        AacConfig::parse(&self.audio_specific_config)
    }
}

struct Parsed {
    core_rate: u32,
    /// The rate SBR puts out, if it is signalled.
    output_rate: Option<u32>,
    channels: u8,
    core_samples: u16,
}

const SBR: u32 = 5;
const PARAMETRIC_STEREO: u32 = 29;
const SYNC_EXTENSION: u32 = 0x2b7;

/// `None` when the bits end; an error when they declare what is not supported.
/// `may_extend` says that SBR may be announced behind it.
fn parse_config(bits: &mut BitReader<'_>, may_extend: bool) -> Option<Result<Parsed, ConfigError>> {
    let mut object_type = read_object_type(bits)?;
    let core_rate = read_rate(bits)?;
    let channel_configuration = bits.read(4)?;
    let mut output_rate = None;
    let mut parametric_stereo = object_type == PARAMETRIC_STEREO;
    if object_type == SBR || object_type == PARAMETRIC_STEREO {
        output_rate = Some(read_rate(bits)?);
        object_type = read_object_type(bits)?;
    }
    if !(1..=4).contains(&object_type) {
        return Some(Err(ConfigError(unsupported(object_type))));
    }
    let short_units = bits.read(1)? == 1;
    if bits.read(1)? == 1 {
        bits.read(14)?; // coreCoderDelay
    }
    bits.read(1)?; // extensionFlag: nothing follows it for these object types
    let mut channels = match channel_configuration {
        0 => read_program_channels(bits)?,
        1..=6 => u8::try_from(channel_configuration).ok()?,
        7 | 12 | 14 => 8,
        11 => 7,
        _ => 0,
    };
    if output_rate.is_none() && may_extend {
        (output_rate, parametric_stereo) = read_compatible_extension(bits).unwrap_or((None, false));
    }
    if parametric_stereo && channels == 1 {
        channels = 2;
    }
    if !(1..=8).contains(&channels) {
        return Some(Err(ConfigError("AAC with a channel configuration that is not supported")));
    }
    if !(7350..=96_000).contains(&core_rate)
        || output_rate.is_some_and(|rate| rate != core_rate && rate != core_rate * 2)
    {
        return Some(Err(ConfigError("AAC with an impossible sampling rate")));
    }
    let core_samples = if short_units { 960 } else { 1024 };
    Some(Ok(Parsed { core_rate, output_rate, channels, core_samples }))
}

const fn unsupported(object_type: u32) -> &'static str {
    match object_type {
        23 => "AAC-LD is not supported",
        39 => "AAC-ELD is not supported",
        42 => "xHE-AAC (USAC) is not supported",
        17..=27 => "error resilient AAC is not supported",
        32..=34 => "MPEG layer 1 to 3 audio in MPEG-4 systems is not supported",
        36 => "MPEG-4 ALS is not supported",
        _ => "an MPEG-4 audio object type that is not supported",
    }
}

fn read_object_type(bits: &mut BitReader<'_>) -> Option<u32> {
    match bits.read(5)? {
        31 => Some(32 + bits.read(6)?),
        object_type => Some(object_type),
    }
}

/// samplingFrequencyIndex, or the frequency itself (ISO 14496-3 table 1.18); 0 where reserved.
fn read_rate(bits: &mut BitReader<'_>) -> Option<u32> {
    const RATES: [u32; 13] = [
        96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025,
        8000, 7350,
    ];
    match bits.read(4)? {
        15 => bits.read(24),
        index => Some(RATES.get(index as usize).copied().unwrap_or(0)),
    }
}

/// SBR and PS announced behind the configuration, where old decoders do not look: the rate SBR
/// puts out, and whether there is parametric stereo.
fn read_compatible_extension(bits: &mut BitReader<'_>) -> Option<(Option<u32>, bool)> {
    if bits.read(11)? != SYNC_EXTENSION || read_object_type(bits)? != SBR || bits.read(1)? == 0 {
        return None;
    }
    let rate = read_rate(bits)?;
    let parametric_stereo = bits.read(11) == Some(0x548) && bits.read(1) == Some(1);
    Some((Some(rate), parametric_stereo))
}

/// The channels of a program_config_element (ISO 14496-3 §4.4.1.1); it is read to its end.
fn read_program_channels(bits: &mut BitReader<'_>) -> Option<u8> {
    bits.read(4 + 2 + 4)?; // element_instance_tag, object_type, sampling_frequency_index
    let (front, side, back) = (bits.read(4)?, bits.read(4)?, bits.read(4)?);
    let (low_frequency, data, coupling) = (bits.read(2)?, bits.read(3)?, bits.read(4)?);
    for mixdown_bits in [4, 4, 3] {
        if bits.read(1)? == 1 {
            bits.read(mixdown_bits)?;
        }
    }
    let mut channels = low_frequency;
    for _ in 0..front + side + back {
        channels += 1 + bits.read(1)?; // is_cpe: a channel pair
        bits.read(4)?;
    }
    bits.read(4 * low_frequency)?;
    bits.read(4 * data)?;
    for _ in 0..coupling {
        bits.read(5)?;
    }
    bits.align();
    let comment_bytes = bits.read(8)?;
    for _ in 0..comment_bytes {
        bits.read(8)?;
    }
    u8::try_from(channels).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn declares_rate_channels_and_duration() {
        for (config, rate, channels, unit_samples) in [
            (&[0x12, 0x10][..], 44_100, 2, 1024),               // LC
            (&[0x11, 0x90], 48_000, 2, 1024),                   // LC
            (&[0x14, 0x0c], 16_000, 1, 960),                    // LC, 960 samples
            (&[0x2b, 0x92, 0x08, 0x00], 44_100, 2, 2048),       // SBR over LC 22050
            (&[0xeb, 0x8a, 0x08, 0x00], 44_100, 2, 2048),       // PS over mono LC 22050
            (&[0x13, 0x90, 0x56, 0xe5, 0xa0], 44_100, 2, 2048), // compatible SBR
            (&[0x13, 0x88, 0x56, 0xe5, 0xa5, 0x48, 0x80], 44_100, 2, 2048), // compatible PS
            (&[0x13, 0x90, 0x56, 0xe5, 0x00], 22_050, 2, 1024), // SBR announced absent
            (&[0x12, 0x10, 0x56, 0xe5], 44_100, 2, 1024),       // extension cut short
            (&[0x17, 0x80, 0x5d, 0xc0, 0x10], 48_000, 2, 1024), // rate written out
        ] {
            let parsed = AacConfig::parse(config).unwrap();
            assert_eq!(parsed.rtp_rate.ticks_per_second(), rate, "{config:x?}");
            assert_eq!(
                (parsed.channels, parsed.unit_samples),
                (channels, unit_samples),
                "{config:x?}"
            );
        }
    }

    #[test]
    fn counts_the_channels_of_a_program_config_element() {
        // One front pair, one front single, one back pair, LFE: 5.1.
        let mut writer = Vec::new();
        for (value, width) in [
            (2, 5),
            (3, 4),
            (0, 4),
            (0, 3),
            (0, 4),
            (1, 2),
            (3, 4),
            (2, 4),
            (0, 4),
            (1, 4),
            (1, 2),
            (0, 3),
            (0, 4),
            (0, 3),
            (0, 1),
            (0, 4),
            (1, 1),
            (0, 4),
            (1, 1),
            (1, 4),
            (0, 4),
            (0, 8),
            (0, 8),
        ] {
            writer.extend((0..width).rev().map(|bit| (value >> bit & 1) as u8));
        }
        let config: Vec<u8> = writer
            .chunks_exact(8)
            .map(|byte| byte.iter().fold(0, |sum, bit| sum << 1 | bit))
            .collect();
        assert_eq!(AacConfig::parse(&config).unwrap().channels, 6);
    }

    #[test]
    fn refuses_what_it_cannot_declare() {
        for (config, why) in [
            (&[][..], "cut short"),
            (&[0x12], "cut short"),
            (&[0x16, 0x90], "impossible sampling rate"), // reserved frequency index
            (&[0xf9, 0x48, 0x80], "USAC"),
            (&[0x12, 0x78], "channel configuration"),
            (&[0xb9, 0x90], "AAC-LD"),
        ] {
            let error = AacConfig::parse(config).unwrap_err().to_string();
            assert!(error.contains(why), "{config:x?}: {error}");
        }
    }

    #[test]
    fn adts_tells_lengths_and_configuration() {
        for (header, header_bytes, frame_bytes, unit_count, config) in [
            ([0xff, 0xf1, 0x50, 0x80, 0x2e, 0x7f, 0xfc], 7, 371, 1, [0x12, 0x10]),
            ([0xff, 0xf0, 0x50, 0x80, 0x2e, 0x7f, 0xfc], 9, 371, 1, [0x12, 0x10]),
            ([0xff, 0xf9, 0x4c, 0x43, 0xff, 0xff, 0xff], 7, 8191, 4, [0x11, 0x88]),
        ] {
            let expected =
                AdtsHeader { header_bytes, frame_bytes, unit_count, audio_specific_config: config };
            let parsed = AdtsHeader::parse(&header).unwrap();
            assert_eq!(parsed, expected, "{header:x?}");
            assert_eq!(parsed.config(), AacConfig::parse(&config), "{header:x?}");
        }
        for header in [
            &[0xff, 0xf1, 0x50, 0x80, 0x2e, 0x7f][..],   // cut short
            &[0xff, 0xe1, 0x50, 0x80, 0x2e, 0x7f, 0xfc], // no syncword
            &[0xff, 0xfb, 0x50, 0x80, 0x2e, 0x7f, 0xfc], // layer III
            &[0xff, 0xf1, 0x74, 0x80, 0x2e, 0x7f, 0xfc], // reserved sampling rate
            &[0xff, 0xf0, 0x50, 0x80, 0x01, 0x1f, 0xfc], // shorter than its header
        ] {
            assert_eq!(AdtsHeader::parse(header), None, "{header:x?}");
        }
        let without_channels = [0xff, 0xf1, 0x50, 0x00, 0x2e, 0x7f, 0xfc];
        assert!(AdtsHeader::parse(&without_channels).unwrap().config().is_err());
    }
}
