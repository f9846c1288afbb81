//! H.265: where access units begin (ISO 23008-2 §7.4.2.4.4) and the order of display (§8.3.1).

use std::collections::BTreeMap;

use super::h264::keep;
use super::h265_headers::{PictureSet, Sequence, parse_video_set};
use super::rbsp::Rbsp;
use super::{FieldRate, Role, Shown};
use crate::codec::h265::H265Config;
use crate::codec::nal::NalFraming;

#[derive(Debug, Default)]
pub(super) struct Syntax {
    sequences: BTreeMap<u8, Sequence>,
    sets: BTreeMap<u8, PictureSet>,
    /// As they stand in the stream, each once: video, sequence and picture parameter sets.
    video_bytes: Vec<Vec<u8>>,
    sequence_bytes: Vec<Vec<u8>>,
    set_bytes: Vec<Vec<u8>>,
    video_rate: Option<FieldRate>,
    sequence_rate: Option<FieldRate>,
    order: OrderState,
}

/// nal_unit_type (table 7-1), as far as it matters here.
mod kind {
    pub(super) const RASL_R: u8 = 9;
    pub(super) const RADL_N: u8 = 6;
    pub(super) const SUB_LAYER_NON_REFERENCE_MAX: u8 = 14;
    pub(super) const BLA_W_LP: u8 = 16;
    pub(super) const BLA_N_LP: u8 = 18;
    pub(super) const IDR_W_RADL: u8 = 19;
    pub(super) const IDR_N_LP: u8 = 20;
    pub(super) const IRAP_MAX: u8 = 23;
    pub(super) const VCL_MAX: u8 = 31;
    pub(super) const VPS: u8 = 32;
    pub(super) const SPS: u8 = 33;
    pub(super) const PPS: u8 = 34;
    pub(super) const DELIMITER: u8 = 35;
    pub(super) const PREFIX_SEI: u8 = 39;
}

impl Syntax {
    pub(super) fn role(&mut self, nal_unit: &[u8]) -> Role {
        let Some(([first, second], rbsp)) = nal_unit.split_first_chunk::<2>() else {
            return Role::Other;
        };
        let (kind, layer) = (first >> 1 & 0x3f, (first & 1) << 5 | second >> 3);
        if first & 0x80 != 0 || layer > 0 {
            return Role::Other; // no NAL unit; another layer, which belongs to its base picture
        }
        match kind {
            0..=kind::VCL_MAX => self.segment(kind, second & 7, rbsp),
            kind::VPS => {
                self.video_rate = parse_video_set(rbsp).or(self.video_rate);
                keep(&mut self.video_bytes, nal_unit);
                Role::Begins
            }
            kind::SPS => {
                if let Some(sequence) = Sequence::parse(rbsp) {
                    self.sequence_rate = sequence.field_rate.or(self.sequence_rate);
                    self.sequences.insert(sequence.id, sequence);
                    keep(&mut self.sequence_bytes, nal_unit);
                }
                Role::Begins
            }
            kind::PPS => {
                if let Some(set) = PictureSet::parse(rbsp) {
                    self.sets.insert(set.id, set);
                    keep(&mut self.set_bytes, nal_unit);
                }
                Role::Begins
            }
            kind::DELIMITER | kind::PREFIX_SEI | 41..=44 | 48..=55 => Role::Begins,
            _ => Role::Other,
        }
    }

    /// A slice segment.
    fn segment(&mut self, kind: u8, temporal_id_plus_1: u8, rbsp: &[u8]) -> Role {
        let mut bits = Rbsp::new(rbsp);
        match bits.flag() {
            Some(true) => {}
            Some(false) => return Role::More,
            None => return Role::Other,
        }
        let is_random_access = (kind::BLA_W_LP..=kind::IRAP_MAX).contains(&kind);
        let low = self.order_low(kind, is_random_access, &mut bits);
        let is_instant = matches!(kind, kind::IDR_W_RADL | kind::IDR_N_LP);
        let is_broken_link = (kind::BLA_W_LP..=kind::BLA_N_LP).contains(&kind);
        // After the first picture, a CRA picture goes on with the order of those before it.
        let restarts = is_instant || is_broken_link || !self.order.has_begun;
        let (low, range_bits) = low.unwrap_or((0, 16));
        let is_leading_or_unreferenced = (kind::RADL_N..=kind::RASL_R).contains(&kind)
            || kind <= kind::SUB_LAYER_NON_REFERENCE_MAX && kind.is_multiple_of(2);
        let is_anchor = temporal_id_plus_1 <= 1 && !is_leading_or_unreferenced;
        let order = self.order.advance(low, range_bits, restarts, is_anchor);
        Role::Picture(Shown { order, restarts, sync: is_random_access, fields: 2 })
    }

    /// slice_pic_order_cnt_lsb and its width; `None` without parameter sets.
    fn order_low(
        &self,
        kind: u8,
        is_random_access: bool,
        bits: &mut Rbsp<'_>,
    ) -> Option<(u32, u32)> {
        if is_random_access {
            bits.flag()?; // no_output_of_prior_pics_flag
        }
        let set = self.sets.get(&u8::try_from(bits.up_to(63)?).ok()?)?;
        let sequence = self.sequences.get(&set.sequence_id)?;
        if matches!(kind, kind::IDR_W_RADL | kind::IDR_N_LP) {
            return Some((0, sequence.order_bits));
        }
        bits.skip(set.extra_bits)?;
        bits.up_to(2)?; // slice_type
        if set.has_output_flag {
            bits.flag()?;
        }
        if sequence.separate_colour_planes {
            bits.skip(2)?;
        }
        Some((bits.read(sequence.order_bits)?, sequence.order_bits))
    }

    pub(super) const fn field_rate(&self) -> Option<FieldRate> {
        match self.sequence_rate {
            Some(rate) => Some(rate),
            None => self.video_rate,
        }
    }

    pub(super) fn config(&self) -> Result<H265Config, &'static str> {
        if [&self.video_bytes, &self.sequence_bytes, &self.set_bytes].iter().any(|s| s.is_empty()) {
            return Err("H.265 without parameter sets");
        }
        Ok(H265Config {
            framing: NalFraming::StartCodes,
            video_parameter_sets: self.video_bytes.clone(),
            sequence_parameter_sets: self.sequence_bytes.clone(),
            picture_parameter_sets: self.set_bytes.clone(),
        })
    }
}

/// What the order counts of pictures depend on of those before: the last of the lowest temporal
/// layer that may be referred to.
#[derive(Debug, Default)]
struct OrderState {
    has_begun: bool,
    high: i64,
    low: i64,
}

impl OrderState {
    fn advance(&mut self, low: u32, range_bits: u32, restarts: bool, is_anchor: bool) -> i64 {
        let (low, range) = (i64::from(low), 1_i64 << range_bits);
        let high = if restarts {
            0
        } else if low < self.low && self.low - low >= range / 2 {
            self.high + range
        } else if low > self.low && low - self.low > range / 2 {
            self.high - range
        } else {
            self.high
        };
        if is_anchor {
            (self.high, self.low) = (high, low);
        }
        self.has_begun = true;
        high + low
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_counts_run_over() {
        let mut state = OrderState::default();
        for (low, restarts, is_anchor, expected) in [
            (0, true, true, 0),
            (8, false, true, 8),
            (4, false, false, 4),
            (0, false, true, 16),
            (15, false, false, 15),
            (7, false, true, 23),
            (0, true, true, 0),
            (14, false, true, -2),
        ] {
            assert_eq!(state.advance(low, 4, restarts, is_anchor), expected, "{low}");
        }
    }

    #[test]
    fn tells_roles_by_type_and_layer() {
        let mut syntax = Syntax::default();
        let mut name = |nal_unit: &[u8]| match syntax.role(nal_unit) {
            Role::Other => "other",
            Role::Begins => "begins",
            Role::MayBegin => "may begin",
            Role::Picture(shown) if shown.sync => "sync",
            Role::Picture(_) => "picture",
            Role::More => "more",
        };
        for (nal_unit, expected) in [
            (&[][..], "other"),
            (&[0x40], "other"),
            (&[0x46, 1, 0x50], "begins"),  // delimiter
            (&[0x40, 1, 0x0c], "begins"),  // video parameter set
            (&[0x4e, 1, 5], "begins"),     // prefix SEI
            (&[0x50, 1, 5], "other"),      // suffix SEI
            (&[0x26, 1, 0x80, 0], "sync"), // IDR_W_RADL
            (&[0x26, 1, 0x20, 0], "more"),
            (&[0x02, 1, 0x80, 0], "picture"), // TRAIL_R
            (&[0x2a, 1, 0x80, 0], "sync"),    // CRA_NUT
            (&[0x02, 9, 0x80, 0], "other"),   // layer 1
            (&[0x82, 1, 0x80, 0], "other"),   // forbidden_zero_bit
        ] {
            assert_eq!(name(nal_unit), expected, "{nal_unit:x?}");
        }
    }
}
