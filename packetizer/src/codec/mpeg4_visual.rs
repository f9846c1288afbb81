//! MPEG-4 Visual: the headers of a stream (ISO 14496-2 §6.2).

use super::bits::BitReader;

/// What SDP must declare of an MPEG-4 Visual stream (RFC 6416 §7.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mpeg4VisualConfig {
    /// profile_and_level_indication; 1 (Simple, level 1) if the headers do not tell.
    pub profile_level: u8,
    /// The headers from the visual object sequence to the video object layer, with start codes.
    pub headers: Vec<u8>,
}

impl Mpeg4VisualConfig {
    /// Of these headers, as a container has them (ISO 14496-1 DecoderSpecificInfo).
    #[must_use]
    pub fn new(headers: &[u8]) -> Self {
        const VISUAL_OBJECT_SEQUENCE: &[u8] = &[0, 0, 1, 0xb0];
        let at = memchr::memmem::find(headers, VISUAL_OBJECT_SEQUENCE);
        let level = at.and_then(|at| headers.get(at + VISUAL_OBJECT_SEQUENCE.len()));
        Self { profile_level: level.copied().unwrap_or(1), headers: headers.to_vec() }
    }
}

/// The byte behind `00 00 01` (ISO 14496-2 table 6-3).
pub mod code {
    /// video_object_start_code: the first and the last.
    pub const OBJECT: std::ops::RangeInclusive<u8> = 0x00..=0x1f;
    /// video_object_layer_start_code: the first and the last.
    pub const LAYER: std::ops::RangeInclusive<u8> = 0x20..=0x2f;
    /// visual_object_sequence_start_code
    pub const SEQUENCE: u8 = 0xb0;
    /// visual_object_sequence_end_code
    pub const SEQUENCE_END: u8 = 0xb1;
    /// user_data_start_code
    pub const USER_DATA: u8 = 0xb2;
    /// group_of_vop_start_code
    pub const GROUP: u8 = 0xb3;
    /// visual_object_start_code
    pub const VISUAL_OBJECT: u8 = 0xb5;
    /// vop_start_code
    pub const PICTURE: u8 = 0xb6;
}

/// What a video object layer says of time (§6.2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layer {
    /// vop_time_increment_resolution: ticks of a second, never 0.
    pub ticks_per_second: u16,
    /// fixed_vop_time_increment: ticks from one picture to the next, if always the same.
    pub fixed_increment: Option<u16>,
}

impl Layer {
    /// Parses what follows the start code; `None` if it is cut short or wrong.
    #[must_use]
    pub fn parse(body: &[u8]) -> Option<Self> {
        let mut bits = BitReader::new(body);
        bits.read(1 + 8)?; // random_accessible_vol, video_object_type_indication
        let mut version = 1;
        if bits.read(1)? == 1 {
            version = bits.read(4)?;
            bits.read(3)?; // video_object_layer_priority
        }
        if bits.read(4)? == EXTENDED_ASPECT_RATIO {
            bits.read(16)?;
        }
        if bits.read(1)? == 1 {
            bits.read(2 + 1)?; // chroma_format, low_delay
            if bits.read(1)? == 1 {
                bits.read(32)?; // video buffering verifier
                bits.read(32)?;
                bits.read(15)?;
            }
        }
        let shape = bits.read(2)?;
        if shape == GRAYSCALE && version != 1 {
            bits.read(4)?; // video_object_layer_shape_extension
        }
        bits.read(1)?; // marker_bit
        let ticks_per_second = u16::try_from(bits.read(16)?).ok().filter(|ticks| *ticks > 0)?;
        bits.read(1)?; // marker_bit
        let mut layer = Self { ticks_per_second, fixed_increment: None };
        if bits.read(1)? == 1 {
            let increment = u16::try_from(bits.read(layer.increment_bits())?).ok()?;
            layer.fixed_increment = Some(increment).filter(|increment| *increment > 0);
        }
        Some(layer)
    }

    /// Bits of vop_time_increment: what the largest takes.
    const fn increment_bits(self) -> u32 {
        let bits = u16::BITS - (self.ticks_per_second - 1).leading_zeros();
        if bits == 0 { 1 } else { bits }
    }
}

const EXTENDED_ASPECT_RATIO: u32 = 15;
const GRAYSCALE: u32 = 3;

/// What the header of a picture, a video object plane, says (§6.2.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plane {
    /// Whether it is an I-VOP.
    pub is_intra: bool,
    /// Whether it is a B-VOP.
    pub is_bidirectional: bool,
    /// Seconds since the last that is no B-VOP; of a B-VOP, since the one before that.
    pub seconds: u32,
    /// vop_time_increment
    pub increment: u32,
}

impl Plane {
    /// Parses what follows the start code; `None` if it is cut short.
    #[must_use]
    pub fn parse(body: &[u8], layer: Layer) -> Option<Self> {
        let mut bits = BitReader::new(body);
        let coding_type = bits.read(2)?;
        let mut seconds = 0;
        while bits.read(1)? == 1 {
            seconds += 1; // modulo_time_base
        }
        bits.read(1)?; // marker_bit
        let increment = bits.read(layer.increment_bits())?;
        let (is_intra, is_bidirectional) = (coding_type == 0, coding_type == 2);
        Some(Self { is_intra, is_bidirectional, seconds, increment })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bits from numbers and widths.
    fn bits(fields: &[(u64, u32)]) -> Vec<u8> {
        let all: Vec<u8> = fields
            .iter()
            .flat_map(|(value, width)| (0..*width).rev().map(move |bit| (value >> bit & 1) as u8))
            .collect();
        all.chunks(8)
            .map(|byte| byte.iter().fold(0, |sum, bit| sum << 1 | bit) << (8 - byte.len()))
            .collect()
    }

    #[test]
    fn layers_tell_the_time_scale() {
        let plain =
            [(0, 1), (1, 8), (0, 1), (1, 4), (0, 1), (0, 2), (1, 1), (25, 16), (1, 1), (0, 1)];
        let rich = [
            (0, 1),
            (1, 8),
            (1, 1),
            (2, 4),
            (1, 3),
            (15, 4),
            (0x0101, 16),
            (1, 1),
            (1, 3),
            (1, 1),
            (0, 32),
            (0, 32),
            (0, 15),
            (3, 2),
            (0, 4),
            (1, 1),
            (30_000, 16),
            (1, 1),
            (1, 1),
            (1001, 15),
        ];
        for (fields, expected) in [
            (&plain[..], Some((25, None))),
            (&rich[..], Some((30_000, Some(1001)))),
            (&[(0, 1), (1, 8), (0, 1), (1, 4), (0, 1), (0, 2), (1, 1), (0, 16), (0, 2)], None),
            (&plain[..6], None),
        ] {
            let layer = Layer::parse(&bits(fields));
            let found = layer.map(|layer| (layer.ticks_per_second, layer.fixed_increment));
            assert_eq!(found, expected, "{fields:?}");
        }
    }

    #[test]
    fn planes_tell_type_and_time() {
        let layer = Layer { ticks_per_second: 25, fixed_increment: None };
        let plane = |is_intra, is_bidirectional, seconds, increment| {
            Some(Plane { is_intra, is_bidirectional, seconds, increment })
        };
        for (fields, expected) in [
            (&[(0, 2), (0, 1), (1, 1), (7, 5)][..], plane(true, false, 0, 7)),
            (&[(1, 2), (6, 3), (1, 1), (24, 5)], plane(false, false, 2, 24)),
            (&[(2, 2), (0, 1), (1, 1), (1, 5)], plane(false, true, 0, 1)),
            (&[(0xffff, 16)], None),
        ] {
            assert_eq!(Plane::parse(&bits(fields), layer), expected, "{fields:?}");
        }
        let once = Layer { ticks_per_second: 1, fixed_increment: None };
        assert_eq!(once.increment_bits(), 1);
        assert_eq!(Layer { ticks_per_second: u16::MAX, ..once }.increment_bits(), 16);
    }
}
