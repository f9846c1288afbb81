//! Access units that are not what their codec says: every payload format cuts them or refuses them,
//! within the packet limit, and never takes more than the unit and a few bytes a packet.

#![allow(clippy::unwrap_used, clippy::cast_possible_truncation, reason = "test code")]

use packetizer::codec::CodecConfig;
use packetizer::codec::aac::AacConfig;
use packetizer::codec::ac3::Ac3Config;
use packetizer::codec::amr::AmrConfig;
use packetizer::codec::av1::Av1Config;
use packetizer::codec::h264::H264Config;
use packetizer::codec::h265::H265Config;
use packetizer::codec::mp2t::PACKET_BYTES;
use packetizer::codec::mpeg_audio::MpegAudioConfig;
use packetizer::codec::mpeg4_visual::Mpeg4VisualConfig;
use packetizer::codec::nal::NalFraming;
use packetizer::codec::opus::OpusConfig;
use packetizer::codec::pcm::{PcmConfig, PcmEncoding};
use packetizer::codec::vorbis::VorbisConfig;
use packetizer::payload::{PacketWriter, Run, may_join, write_picture, write_sound};
use packetizer::rtp::{HEADER_BYTES, Header, Ssrc};
use packetizer::time::ClockRate;

const MUTANTS: u32 = 4000;

/// The most bytes that a unit may get in front of it from the codec's configuration.
const CONFIG_BYTES: usize = 16;

fn codecs() -> Vec<CodecConfig> {
    let rtp_rate = ClockRate::new(48_000).unwrap();
    let h264 = |framing| H264Config {
        framing,
        sequence_parameter_sets: vec![],
        picture_parameter_sets: vec![],
    };
    let h265 = |framing| H265Config {
        framing,
        video_parameter_sets: vec![],
        sequence_parameter_sets: vec![],
        picture_parameter_sets: vec![],
    };
    let ac3 = || Ac3Config { rtp_rate, channels: 2, unit_samples: 1536 };
    let mpeg_audio = MpegAudioConfig { sample_rate: rtp_rate, channels: 2, frame_samples: 1152 };
    let pcm = |encoding| CodecConfig::Pcm(PcmConfig { encoding, rtp_rate, channels: 2 });
    vec![
        CodecConfig::H264(h264(NalFraming::Length(2))),
        CodecConfig::H264(h264(NalFraming::StartCodes)),
        CodecConfig::H265(h265(NalFraming::Length(1))),
        CodecConfig::H265(h265(NalFraming::StartCodes)),
        CodecConfig::Av1(Av1Config {
            profile: 0,
            level: 0,
            tier: 0,
            sequence_header: vec![0x0a, 3, 1, 2, 3],
        }),
        CodecConfig::Vp8,
        CodecConfig::Vp9,
        CodecConfig::Mpeg4Visual(Mpeg4VisualConfig { profile_level: 1, headers: vec![] }),
        CodecConfig::H263,
        CodecConfig::MpegVideo,
        CodecConfig::Jpeg,
        CodecConfig::Mp2t,
        CodecConfig::Aac(AacConfig::parse(&[0x12, 0x10]).unwrap()),
        CodecConfig::Opus(OpusConfig { channels: 2 }),
        CodecConfig::Vorbis(VorbisConfig::of(rtp_rate, 2, vec![1; 30], vec![5; 100])),
        CodecConfig::MpegAudio(mpeg_audio.clone()),
        CodecConfig::Mp3Adu(mpeg_audio),
        CodecConfig::Ac3(ac3()),
        CodecConfig::EAc3(ac3()),
        CodecConfig::Amr(AmrConfig { is_wideband: false }),
        CodecConfig::Amr(AmrConfig { is_wideband: true }),
        pcm(PcmEncoding::Signed24Little),
        pcm(PcmEncoding::Signed16Little),
    ]
}

/// Beginnings that lead past the first look: OBUs, NAL units, slices, an image's headers.
fn beginnings() -> Vec<Vec<u8>> {
    let huffman = [0xff, 0xc4, 0, 2];
    let jpeg = [
        &[0xff, 0xd8, 0xff, 0xdb, 0, 132, 0][..],
        &[7; 64],
        &[1],
        &[8; 64],
        &huffman,
        &[0xff, 0xc0, 0, 17, 8, 0, 64, 0, 64, 3, 1, 0x22, 0, 2, 0x11, 1, 3, 0x11, 1],
        &[0xff, 0xda, 0, 12, 3, 1, 0, 2, 0x11, 3, 0x11, 0, 63, 0],
    ];
    vec![
        vec![],
        vec![0x12, 0, 0x0a, 3, 1, 2, 3, 0x32, 0x90, 1],
        vec![0x36, 8, 20, 0x36, 0x10, 30],
        vec![0, 2, 0x67, 1, 0, 60, 0x65],
        vec![0, 0, 1, 0x67, 9, 0, 0, 1, 0x65, 0, 0, 0, 1, 0x42, 1],
        vec![0, 0, 1, 0xb3, 1, 2, 0, 0, 1, 0, 0, 0x10, 0, 0, 0, 0, 1, 1, 9, 9, 0, 0, 1, 2],
        vec![0x04, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 0x7c, 0x3c],
        jpeg.concat(),
    ]
}

/// Numbers that look like chance (xorshift).
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) as usize % end.max(1)
    }

    /// A beginning with a few bytes changed, and something behind it.
    fn unit(&mut self, beginnings: &[Vec<u8>]) -> Vec<u8> {
        let mut unit = beginnings[self.below(beginnings.len())].clone();
        let bytes = [3, 60, 700, 4000][self.below(4)];
        let values = [2, 4, 256][self.below(3)];
        unit.extend((0..self.below(bytes) + 1).map(|_| self.below(values) as u8));
        for _ in 0..self.below(4) {
            let at = self.below(unit.len());
            unit[at] = [0, 1, 0xff, 0x7f, self.below(256) as u8][self.below(5)];
        }
        unit.truncate(self.below(unit.len() * 4).max(1));
        unit
    }
}

#[test]
fn every_unit_is_cut_or_refused_within_bounds() {
    let (codecs, beginnings) = (codecs(), beginnings());
    let mut chance = Chance(0x2545_f491_4f6c_dd1d);
    for codec in &codecs {
        let (mut cut, mut refused) = (0, 0);
        for _ in 0..MUTANTS / codecs.len() as u32 * 4 {
            let packet_bytes_max = [64, 100, 576, 1452][chance.below(4)];
            let mut units = [chance.unit(&beginnings), chance.unit(&beginnings)];
            if *codec == CodecConfig::Mp2t && chance.below(4) > 0 {
                for unit in &mut units {
                    unit.resize(unit.len().next_multiple_of(PACKET_BYTES), 0);
                }
            }
            match write(codec, packet_bytes_max, &units, chance.below(2) == 0) {
                Some(writer) => check(&writer, packet_bytes_max, &units),
                None => refused += 1,
            }
            cut += 1;
        }
        assert!(refused < cut, "{codec:?} refuses everything");
    }
}

/// Writes the first unit, and the second one with it if it may join; `None` if it is refused.
fn write(
    codec: &CodecConfig,
    packet_bytes_max: u16,
    units: &[Vec<u8>; 2],
    is_sync: bool,
) -> Option<PacketWriter> {
    let header =
        Header { marker: false, payload_type: 96, sequence: 0, timestamp: 0, ssrc: Ssrc(1) };
    let mut writer = PacketWriter::new(Vec::new(), header, None, packet_bytes_max);
    writer.begin_unit(0);
    let [first, second] = units;
    let written = if codec.is_video() {
        write_picture(&mut writer, codec, first, is_sync)
    } else if may_join(&writer, codec, 1, first.len())
        && may_join(&writer, codec, 2, first.len() + second.len())
    {
        write_sound(&mut writer, codec, &[first, second])
    } else {
        write_sound(&mut writer, codec, &[first])
    };
    written.is_ok().then_some(writer)
}

fn check(writer: &PacketWriter, packet_bytes_max: u16, units: &[Vec<u8>; 2]) {
    let runs = writer.runs();
    assert_eq!(runs.iter().map(Run::bytes).sum::<u32>() as usize, writer.bytes().len());
    let packets: u32 = runs.iter().map(|run| run.packet_count).sum();
    for run in runs {
        assert!(run.packet_bytes <= packet_bytes_max && run.last_packet_bytes > 0);
        assert!(usize::from(run.last_packet_bytes) > HEADER_BYTES, "an empty payload");
    }
    // NAL units of a byte each have lengths of two in front.
    let given = units.iter().map(Vec::len).sum::<usize>();
    let overhead = packets as usize * (HEADER_BYTES + 12) + 132 + CONFIG_BYTES;
    assert!(writer.bytes().len() <= 3 * given + overhead, "{} of {given}", writer.bytes().len());
}
