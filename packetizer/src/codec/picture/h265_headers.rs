//! H.265 parameter sets, as far as the order of pictures and their rate need them
//! (ISO 23008-2 §7.3.2, §7.3.3, §7.3.4, §7.3.7, §E.2.1).

use super::FieldRate;
use super::rbsp::Rbsp;

/// Most short-term reference picture sets (§7.4.3.2.1), and pictures in one (§7.4.8).
const SETS_MAX: u32 = 64;
const PICTURES_MAX: u32 = 16;

/// The rate that a video parameter set tells, if it does; behind the NAL unit's header.
pub(super) fn parse_video_set(rbsp: &[u8]) -> Option<FieldRate> {
    let mut bits = Rbsp::new(rbsp);
    bits.skip(12)?; // identifier, base layer flags, vps_max_layers_minus1
    let sub_layers = bits.read(3)?;
    bits.skip(1 + 16)?; // vps_temporal_id_nesting_flag, vps_reserved_0xffff_16bits
    skip_profile_tier_level(&mut bits, sub_layers)?;
    skip_sub_layer_ordering(&mut bits, sub_layers)?;
    let layer_id_max = bits.read(6)?;
    let layer_sets = bits.up_to(1023)?;
    for _ in 0..layer_sets {
        bits.skip(layer_id_max + 1)?;
    }
    if bits.flag()? { parse_rate(&mut bits) } else { None }
}

/// Units of a tick and ticks of a second; a tick is a picture.
fn parse_rate(bits: &mut Rbsp<'_>) -> Option<FieldRate> {
    let (units, scale) = (u64::from(bits.read(32)?), u64::from(bits.read(32)?));
    FieldRate::plausible(scale * 2, units)
        .or_else(|| FieldRate::plausible(scale, units.div_ceil(2)))
}

/// What slices need of a sequence parameter set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sequence {
    pub(super) id: u8,
    pub(super) separate_colour_planes: bool,
    pub(super) order_bits: u32,
    pub(super) field_rate: Option<FieldRate>,
}

impl Sequence {
    /// Parses what follows the NAL unit's header.
    pub(super) fn parse(rbsp: &[u8]) -> Option<Self> {
        let mut bits = Rbsp::new(rbsp);
        bits.skip(4)?; // sps_video_parameter_set_id
        let sub_layers = bits.read(3)?;
        bits.flag()?; // sps_temporal_id_nesting_flag
        skip_profile_tier_level(&mut bits, sub_layers)?;
        let id = u8::try_from(bits.up_to(15)?).ok()?;
        let separate_colour_planes = bits.up_to(3)? == 3 && bits.flag()?;
        bits.unsigned()?; // pic_width_in_luma_samples
        bits.unsigned()?; // pic_height_in_luma_samples
        if bits.flag()? {
            for _ in 0..4 {
                bits.unsigned()?; // conformance window
            }
        }
        bits.up_to(8)?; // bit_depth_luma_minus8
        bits.up_to(8)?;
        let order_bits = bits.up_to(12)? + 4;
        let field_rate = parse_behind_order(&mut bits, sub_layers, order_bits);
        Some(Self { id, separate_colour_planes, order_bits, field_rate })
    }
}

fn skip_profile_tier_level(bits: &mut Rbsp<'_>, sub_layers: u32) -> Option<()> {
    bits.skip(88 + 8)?; // the general profile and level
    let mut present_bits = 0;
    for _ in 0..sub_layers {
        present_bits += bits.read(1)? * 88 + bits.read(1)? * 8;
    }
    if sub_layers > 0 {
        bits.skip(2 * (8 - sub_layers))?;
    }
    bits.skip(present_bits)
}

fn skip_sub_layer_ordering(bits: &mut Rbsp<'_>, sub_layers: u32) -> Option<()> {
    let count = if bits.flag()? { sub_layers + 1 } else { 1 };
    for _ in 0..count * 3 {
        bits.unsigned()?;
    }
    Some(())
}

/// The rate that the video usability information tells, if it does.
fn parse_behind_order(bits: &mut Rbsp<'_>, sub_layers: u32, order_bits: u32) -> Option<FieldRate> {
    skip_sub_layer_ordering(bits, sub_layers)?;
    for _ in 0..6 {
        bits.unsigned()?; // sizes of blocks, depths of hierarchies
    }
    if bits.flag()? && bits.flag()? {
        skip_scaling_lists(bits)?;
    }
    bits.skip(2)?; // amp_enabled_flag, sample_adaptive_offset_enabled_flag
    if bits.flag()? {
        bits.skip(8)?; // PCM bit depths
        bits.unsigned()?;
        bits.unsigned()?;
        bits.flag()?;
    }
    let set_count = bits.up_to(SETS_MAX)?;
    let mut pictures = 0;
    for set in 0..set_count {
        pictures = skip_reference_set(bits, set, pictures)?;
    }
    if bits.flag()? {
        let count = bits.up_to(32)?;
        bits.skip(count * (order_bits + 1))?; // long-term reference pictures
    }
    bits.skip(2)?; // sps_temporal_mvp_enabled_flag, strong_intra_smoothing_enabled_flag
    if bits.flag()? { parse_usability(bits) } else { None }
}

fn skip_scaling_lists(bits: &mut Rbsp<'_>) -> Option<()> {
    for size in 0..4 {
        for _ in (0..6).step_by(if size == 3 { 3 } else { 1 }) {
            if !bits.flag()? {
                bits.unsigned()?; // scaling_list_pred_matrix_id_delta
                continue;
            }
            if size > 1 {
                bits.signed()?;
            }
            for _ in 0..64.min(1 << (4 + (size << 1))) {
                bits.signed()?;
            }
        }
    }
    Some(())
}

/// Goes over st_ref_pic_set(`set`); the one before has `before` pictures. Yields how many this has.
fn skip_reference_set(bits: &mut Rbsp<'_>, set: u32, before: u32) -> Option<u32> {
    if set > 0 && bits.flag()? {
        bits.flag()?; // delta_rps_sign
        bits.unsigned()?; // abs_delta_rps_minus1
        let mut count = 0;
        for _ in 0..=before {
            let is_used = bits.flag()?;
            count += u32::from(is_used || bits.flag()?);
        }
        return Some(count.min(PICTURES_MAX));
    }
    let (negative, positive) = (bits.up_to(PICTURES_MAX)?, bits.up_to(PICTURES_MAX)?);
    for _ in 0..negative + positive {
        bits.unsigned()?; // delta_poc_s0_minus1
        bits.flag()?;
    }
    Some(negative + positive)
}

fn parse_usability(bits: &mut Rbsp<'_>) -> Option<FieldRate> {
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
    bits.skip(3)?; // neutral_chroma_indication_flag, field_seq_flag, frame_field_info_present_flag
    if bits.flag()? {
        for _ in 0..4 {
            bits.unsigned()?; // default display window
        }
    }
    if bits.flag()? { parse_rate(bits) } else { None }
}

/// What slices need of a picture parameter set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PictureSet {
    pub(super) id: u8,
    pub(super) sequence_id: u8,
    pub(super) has_output_flag: bool,
    pub(super) extra_bits: u32,
}

impl PictureSet {
    /// Parses what follows the NAL unit's header.
    pub(super) fn parse(rbsp: &[u8]) -> Option<Self> {
        let mut bits = Rbsp::new(rbsp);
        let id = u8::try_from(bits.up_to(63)?).ok()?;
        let sequence_id = u8::try_from(bits.up_to(15)?).ok()?;
        bits.flag()?; // dependent_slice_segments_enabled_flag
        Some(Self { id, sequence_id, has_output_flag: bits.flag()?, extra_bits: bits.read(3)? })
    }
}
