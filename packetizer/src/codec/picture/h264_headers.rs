//! H.264 parameter sets and slice headers, as far as access units and their order need them
//! (ISO 14496-10 §7.3.2.1, §7.3.2.2, §7.3.3, §E.1.1).

use super::FieldRate;
use super::h264_marking::Prediction;
use super::rbsp::Rbsp;

/// What slices need of a sequence parameter set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sequence {
    pub(super) id: u8,
    separate_colour_planes: bool,
    /// Whether ChromaArrayType is not 0.
    pub(super) has_chroma: bool,
    frame_num_bits: u32,
    pub(super) order_count: OrderCount,
    frames_only: bool,
    /// max_num_ref_frames
    pub(super) reference_frames: u32,
    pub(super) field_rate: Option<FieldRate>,
}

/// How the picture order count is coded (§8.2.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum OrderCount {
    /// Type 0: low bits of it, this many.
    LowBits(u32),
    /// Type 1: by a cycle of differences.
    Cycle { always_zero: bool, non_reference: i32, top_to_bottom: i32, cycle: Vec<i32> },
    /// Type 2: the decode order.
    DecodeOrder,
}

impl Sequence {
    /// Parses what follows the NAL unit's header.
    pub(super) fn parse(rbsp: &[u8]) -> Option<Self> {
        let mut bits = Rbsp::new(rbsp);
        let profile = bits.read(8)?;
        bits.skip(16)?; // constraint flags, level_idc
        let id = u8::try_from(bits.up_to(31)?).ok()?;
        let mut separate_colour_planes = false;
        let mut has_chroma = true;
        if HIGH_PROFILES.contains(&profile) {
            let chroma_format = bits.up_to(3)?;
            separate_colour_planes = chroma_format == 3 && bits.flag()?;
            has_chroma = chroma_format > 0 && !separate_colour_planes;
            bits.up_to(6)?; // bit_depth_luma_minus8
            bits.up_to(6)?;
            bits.flag()?; // qpprime_y_zero_transform_bypass_flag
            if bits.flag()? {
                skip_scaling_lists(&mut bits, if chroma_format == 3 { 12 } else { 8 })?;
            }
        }
        let frame_num_bits = bits.up_to(12)? + 4;
        let order_count = parse_order_count(&mut bits)?;
        let reference_frames = bits.unsigned()?;
        bits.flag()?; // gaps_in_frame_num_value_allowed_flag
        bits.unsigned()?; // pic_width_in_mbs_minus1
        bits.unsigned()?; // pic_height_in_map_units_minus1
        let frames_only = bits.flag()?;
        let field_rate = parse_behind_size(&mut bits, frames_only).flatten();
        Some(Self {
            id,
            separate_colour_planes,
            has_chroma,
            frame_num_bits,
            order_count,
            frames_only,
            reference_frames,
            field_rate,
        })
    }
}

/// Profiles whose sequence parameter sets tell the chroma format (§7.3.2.1.1).
const HIGH_PROFILES: [u32; 13] = [100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135];

fn skip_scaling_lists(bits: &mut Rbsp<'_>, count: usize) -> Option<()> {
    for list in 0..count {
        if !bits.flag()? {
            continue;
        }
        let (mut last, mut next) = (8, 8);
        for _ in 0..if list < 6 { 16 } else { 64 } {
            if next != 0 {
                next = (last + bits.signed()?).rem_euclid(256);
            }
            last = if next == 0 { last } else { next };
        }
    }
    Some(())
}

fn parse_order_count(bits: &mut Rbsp<'_>) -> Option<OrderCount> {
    match bits.unsigned()? {
        0 => Some(OrderCount::LowBits(bits.up_to(12)? + 4)),
        1 => {
            let always_zero = bits.flag()?;
            let (non_reference, top_to_bottom) = (bits.signed()?, bits.signed()?);
            let count = bits.up_to(255)?;
            let cycle = (0..count).map(|_| bits.signed()).collect::<Option<_>>()?;
            Some(OrderCount::Cycle { always_zero, non_reference, top_to_bottom, cycle })
        }
        2 => Some(OrderCount::DecodeOrder),
        _ => None,
    }
}

/// The rate that the video usability information tells, if it does.
fn parse_behind_size(bits: &mut Rbsp<'_>, frames_only: bool) -> Option<Option<FieldRate>> {
    if !frames_only {
        bits.flag()?; // mb_adaptive_frame_field_flag
    }
    bits.flag()?; // direct_8x8_inference_flag
    if bits.flag()? {
        for _ in 0..4 {
            bits.unsigned()?; // frame cropping
        }
    }
    if !bits.flag()? {
        return Some(None);
    }
    if bits.flag()? && bits.read(8)? == 255 {
        bits.skip(32)?; // sar_width, sar_height
    }
    if bits.flag()? {
        bits.flag()?; // overscan_appropriate_flag
    }
    if bits.flag()? {
        bits.skip(4)?; // video_format, video_full_range_flag
        if bits.flag()? {
            bits.skip(24)?; // colour_primaries and so on
        }
    }
    if bits.flag()? {
        bits.unsigned()?; // chroma_sample_loc_type_top_field
        bits.unsigned()?;
    }
    if !bits.flag()? {
        return Some(None);
    }
    let (tick_units, time_scale) = (bits.read(32)?, bits.read(32)?);
    Some(FieldRate::plausible(u64::from(time_scale), u64::from(tick_units)))
}

/// What slices need of a picture parameter set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PictureSet {
    pub(super) id: u8,
    pub(super) sequence_id: u8,
    bottom_order: bool,
    /// `None` if it could not be parsed.
    pub(super) prediction: Option<Prediction>,
}

impl PictureSet {
    /// Parses what follows the NAL unit's header.
    pub(super) fn parse(rbsp: &[u8]) -> Option<Self> {
        let mut bits = Rbsp::new(rbsp);
        let id = u8::try_from(bits.up_to(255)?).ok()?;
        let sequence_id = u8::try_from(bits.up_to(31)?).ok()?;
        bits.flag()?; // entropy_coding_mode_flag
        let bottom_order = bits.flag()?;
        let prediction = Prediction::parse(&mut bits);
        Some(Self { id, sequence_id, bottom_order, prediction })
    }
}

/// What the slices of a picture have in common and those of the next have not (§7.4.1.2.4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Slice {
    pub(super) is_reference: bool,
    pub(super) is_idr: bool,
    pub(super) picture_set: u8,
    pub(super) frame_num: u32,
    pub(super) frame_num_bits: u32,
    pub(super) is_field: bool,
    pub(super) is_bottom: bool,
    pub(super) idr_id: u32,
    pub(super) order_low: i32,
    pub(super) order_bottom: i32,
    pub(super) order_deltas: [i32; 2],
}

/// See [`Slice::parse_beginning`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SliceBeginning {
    pub(super) has_first_macroblock: bool,
    pub(super) slice_type: u32,
    pub(super) picture_set: u8,
}

impl Slice {
    /// What comes first in a slice header, and needs no parameter sets.
    pub(super) fn parse_beginning(rbsp: &[u8]) -> Option<SliceBeginning> {
        let mut bits = Rbsp::new(rbsp);
        let has_first_macroblock = bits.unsigned()? == 0;
        let slice_type = bits.up_to(9)?;
        let picture_set = u8::try_from(bits.up_to(255)?).ok()?;
        Some(SliceBeginning { has_first_macroblock, slice_type, picture_set })
    }

    /// Parses a NAL unit of a slice of a picture with these parameter sets; yields what follows
    /// the order count, too.
    pub(super) fn parse<'a>(
        nal_unit: &'a [u8],
        sequence: &Sequence,
        set: PictureSet,
    ) -> Option<(Self, Rbsp<'a>)> {
        let (header, rbsp) = nal_unit.split_first()?;
        let mut bits = Rbsp::new(rbsp);
        bits.unsigned()?; // first_mb_in_slice
        bits.unsigned()?; // slice_type
        bits.unsigned()?; // pic_parameter_set_id
        if sequence.separate_colour_planes {
            bits.skip(2)?;
        }
        let mut slice = Self {
            is_reference: header & 0x60 != 0,
            is_idr: header & 0x1f == 5,
            picture_set: set.id,
            frame_num: bits.read(sequence.frame_num_bits)?,
            frame_num_bits: sequence.frame_num_bits,
            ..Self::default()
        };
        if !sequence.frames_only {
            slice.is_field = bits.flag()?;
            slice.is_bottom = slice.is_field && bits.flag()?;
        }
        if slice.is_idr {
            slice.idr_id = bits.up_to(65_535)?;
        }
        match &sequence.order_count {
            OrderCount::LowBits(width) => {
                slice.order_low = bits.read(*width)?.cast_signed();
                if set.bottom_order && !slice.is_field {
                    slice.order_bottom = bits.signed()?;
                }
            }
            OrderCount::Cycle { always_zero: false, .. } => {
                slice.order_deltas[0] = bits.signed()?;
                if set.bottom_order && !slice.is_field {
                    slice.order_deltas[1] = bits.signed()?;
                }
            }
            OrderCount::Cycle { .. } | OrderCount::DecodeOrder => {}
        }
        Some((slice, bits))
    }
}
