//! Frames of MPEG audio layer III (ISO 11172-3 §2.4.1.7, 13818-3 §2.4.1.7), whose main data may
//! begin in the frames before: what their side information says of it.

use super::bits::BitReader;
use super::mpeg_audio::{FrameHeader, HEADER_BYTES, MpegAudioConfig};

/// A frame of layer III.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// Its header, its checksum if it has one, and its side information.
    pub head: &'a [u8],
    /// What lies behind: main data, of this frame and of those that follow, and ancillary data.
    pub data: &'a [u8],
    /// main_data_begin: how many bytes in front of `data` the frame's main data begins, those of
    /// the heads in between not counted.
    pub main_data_begin: usize,
    /// Bytes of its main data, ancillary data not counted.
    pub main_data_bytes: usize,
}

impl<'a> Frame<'a> {
    /// Parses the frame at the beginning of `unit`. `None` if it is not of layer III, of free
    /// format or cut short.
    #[must_use]
    pub fn parse(unit: &'a [u8]) -> Option<Self> {
        let header = FrameHeader::parse(unit).filter(|header| header.layer == 3)?;
        let frame = unit.get(..usize::try_from(header.bytes).ok()?)?;
        let is_protected = unit.get(1)? & 1 == 0;
        let side_at = HEADER_BYTES + if is_protected { CHECKSUM_BYTES } else { 0 };
        let side_bytes = side_bytes(header.is_mpeg1, header.channels);
        let (head, data) = frame.split_at_checked(side_at + side_bytes)?;
        let side = head.get(side_at..)?;
        let (main_data_begin, main_data_bytes) = read_side(side, &header)?;
        Some(Self { head, data, main_data_begin, main_data_bytes })
    }
}

/// What a frame's main data may need of those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reservoir {
    /// main_data_begin at most.
    pub(crate) bytes: usize,
    /// Bytes of a frame that are not main data at most.
    pub(crate) head_bytes: usize,
}

impl Reservoir {
    /// That of a stream.
    pub(crate) const fn of(config: &MpegAudioConfig) -> Self {
        let is_mpeg1 = config.frame_samples == 1152;
        let head_bytes = HEADER_BYTES + CHECKSUM_BYTES + side_bytes(is_mpeg1, 2);
        Self { bytes: if is_mpeg1 { 511 } else { 255 }, head_bytes }
    }
}

/// Bytes of the checksum behind the header.
const CHECKSUM_BYTES: usize = 2;
/// Bits of a granule's side information of one channel.
const MPEG1_GRANULE_BITS: usize = 59;
const MPEG2_GRANULE_BITS: usize = 63;
/// Bits of its part2_3_length, which it begins with.
const LENGTH_BITS: u32 = 12;

const fn side_bytes(is_mpeg1: bool, channels: u8) -> usize {
    match (is_mpeg1, channels) {
        (true, 1) => 17,
        (true, _) => 32,
        (false, 1) => 9,
        (false, _) => 17,
    }
}

/// main_data_begin, and the bytes that the granules' part2_3_length are in all.
fn read_side(side: &[u8], header: &FrameHeader) -> Option<(usize, usize)> {
    let channels = usize::from(header.channels);
    // Width of main_data_begin; private_bits and scfsi; granules and their bits.
    let (begin_bits, others, granules, granule_bits) = match (header.is_mpeg1, channels) {
        (true, 1) => (9, 5 + 4, 2, MPEG1_GRANULE_BITS),
        (true, _) => (9, 3 + 8, 4, MPEG1_GRANULE_BITS),
        (false, 1) => (8, 1, 1, MPEG2_GRANULE_BITS),
        (false, _) => (8, 2, 2, MPEG2_GRANULE_BITS),
    };
    let mut bits = BitReader::new(side);
    let begin = bits.read(begin_bits)?;
    bits.skip(others);
    let mut length = 0;
    for _ in 0..granules {
        length += bits.read(LENGTH_BITS)?;
        bits.skip(granule_bits - LENGTH_BITS as usize);
    }
    Some((usize::try_from(begin).ok()?, usize::try_from(length.div_ceil(8)).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A frame with this header whose side information begins with these bits, then ones.
    fn frame(header: [u8; 4], bytes: usize, side_at: usize, side: &[u8]) -> Vec<u8> {
        let mut frame = header.to_vec();
        frame.resize(side_at, 0xaa);
        frame.extend_from_slice(side);
        frame.resize(bytes, 0xcc);
        frame
    }

    #[test]
    fn side_information_tells_where_main_data_lies() {
        // Each granule and channel has a part2_3_length of 0x123 bits, or 0xccc where it is not
        // written here.
        let one = |bits: usize, lead: u32, lead_bits: usize, granules: usize| {
            let mut all: Vec<bool> = (0..lead_bits).rev().map(|at| lead >> at & 1 == 1).collect();
            for _ in 0..granules {
                all.extend((0..12).rev().map(|at| 0x123 >> at & 1 == 1));
                all.extend(vec![true; bits - 12]);
            }
            assert!(all.len().is_multiple_of(8));
            let byte = |bits: &[bool]| bits.iter().fold(0, |byte, bit| byte << 1 | u8::from(*bit));
            all.chunks(8).map(byte).collect::<Vec<u8>>()
        };
        for (header, bytes, side_at, side, begin, main_bytes) in [
            // MPEG-1: 128 kbit/s, 44.1 kHz, stereo
            ([0xff, 0xfb, 0x90, 0x00], 417, 4, one(59, 511 << 11, 20, 4), 511, 146),
            // the same with a checksum
            ([0xff, 0xfa, 0x90, 0x00], 417, 6, one(59, 3 << 11 | 0x7ff, 20, 4), 3, 146),
            // mono
            ([0xff, 0xfb, 0x90, 0xc0], 417, 4, one(59, 300 << 9, 18, 2), 300, 73),
            // MPEG-2: 64 kbit/s, 24 kHz, stereo and mono
            ([0xff, 0xf3, 0x84, 0x00], 192, 4, one(63, 255 << 2, 10, 2), 255, 73),
            ([0xff, 0xf3, 0x84, 0xc0], 192, 4, one(63, 7 << 1, 9, 1), 7, 37),
        ] {
            let unit = frame(header, bytes, side_at, &side);
            let found = Frame::parse(&unit).unwrap();
            assert_eq!((found.main_data_begin, found.main_data_bytes), (begin, main_bytes));
            assert_eq!((found.head, found.data), unit.split_at(side_at + side.len()));
            let longer = [&unit[..], &[1, 2]].concat();
            assert_eq!(Frame::parse(&longer), Some(found), "what lies behind is no part of it");
            for end in 0..unit.len() {
                assert_eq!(Frame::parse(&unit[..end]), None, "{end}");
            }
        }
    }

    #[test]
    fn other_layers_and_formats_are_none() {
        for header in [
            [0xff, 0xfd, 0xa4, 0x00], // layer II
            [0xff, 0xff, 0x10, 0x00], // layer I
            [0xff, 0xfb, 0x00, 0x00], // free format
            [0xff, 0xf1, 0x50, 0x80], // ADTS
        ] {
            assert_eq!(Frame::parse(&frame(header, 3000, 4, &[])), None, "{header:x?}");
        }
        // The smallest frames there are hold their side information.
        let smallest = frame([0xff, 0xf3, 0x14, 0x00], 24, 4, &[]);
        assert_eq!(Frame::parse(&smallest).unwrap().data.len(), 3);
    }

    #[test]
    fn reservoirs_hold_what_a_frame_may_ask_for() {
        let config = |frame_samples| MpegAudioConfig {
            sample_rate: crate::time::ClockRate::VIDEO,
            channels: 1,
            frame_samples,
        };
        for (samples, bytes, head_bytes) in [(1152, 511, 38), (576, 255, 23)] {
            assert_eq!(Reservoir::of(&config(samples)), Reservoir { bytes, head_bytes });
        }
    }
}
