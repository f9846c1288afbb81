//! H.264: where access units begin (ISO 14496-10 §7.4.1.2.3) and the order of display (§8.2.1).

use std::collections::BTreeMap;

use super::h264_headers::{OrderCount, PictureSet, Sequence, Slice};
use super::rbsp::Rbsp;
use super::{FieldRate, Role, Shown};
use crate::codec::h264::{H264Config, NalType};
use crate::codec::nal::NalFraming;

/// Different parameter sets of a kind that SDP is given.
const SETS_MAX: usize = 16;

#[derive(Debug, Default)]
pub(super) struct Syntax {
    sequences: BTreeMap<u8, Sequence>,
    sets: BTreeMap<u8, PictureSet>,
    /// As they stand in the stream, each once.
    sequence_bytes: Vec<Vec<u8>>,
    set_bytes: Vec<Vec<u8>>,
    /// The last slice of a primary coded picture.
    last: Option<Slice>,
    /// Whether something that only stands in front of a picture came after it.
    is_delimited: bool,
    /// Whether the picture to come is a recovery point.
    is_recovery_point: bool,
    order: OrderState,
    field_rate: Option<FieldRate>,
}

impl Syntax {
    pub(super) fn role(&mut self, nal_unit: &[u8]) -> Role {
        let (Some(kind), Some((header, rbsp))) = (NalType::of(nal_unit), nal_unit.split_first())
        else {
            return Role::Other;
        };
        if header & 0x80 != 0 {
            return Role::Other; // forbidden_zero_bit: no NAL unit
        }
        self.is_delimited |= (NalType::SEI..=NalType::DELIMITER).contains(&kind);
        match kind {
            NalType::SLICE | PARTITION_A | NalType::IDR => self.slice(nal_unit, rbsp),
            NalType::SPS => {
                if let Some(sequence) = Sequence::parse(rbsp) {
                    self.sequences.insert(sequence.id, sequence);
                    keep(&mut self.sequence_bytes, nal_unit);
                }
                Role::Begins
            }
            NalType::PPS => {
                if let Some(set) = PictureSet::parse(rbsp) {
                    self.sets.insert(set.id, set);
                    keep(&mut self.set_bytes, nal_unit);
                }
                Role::Begins
            }
            NalType::SEI => {
                self.is_recovery_point |= has_recovery_point(rbsp);
                Role::Begins
            }
            NalType::DELIMITER => Role::Begins,
            // Prefix NAL units stand in front of each slice; the others are reserved.
            NalType(14..=18) => Role::MayBegin,
            _ => Role::Other,
        }
    }

    fn slice(&mut self, nal_unit: &[u8], rbsp: &[u8]) -> Role {
        let Some(beginning) = Slice::parse_beginning(rbsp) else { return Role::Other };
        let set = self.sets.get(&beginning.picture_set).copied();
        let sequence = set.and_then(|set| self.sequences.get(&set.sequence_id));
        let parsed = sequence.zip(set).and_then(|(sequence, set)| {
            let (slice, behind) = Slice::parse(nal_unit, sequence, set)?;
            Some((sequence, set, slice, behind))
        });
        let Some((sequence, set, slice, mut behind)) = parsed else {
            // Without parameter sets: macroblocks are hardly ever in another order.
            if !beginning.has_first_macroblock {
                return Role::More;
            }
            (self.last, self.is_delimited) = (None, false);
            let order = self.order.next_in_decode_order();
            return Role::Picture(Shown { order, restarts: false, sync: false, fields: 2 });
        };
        if self.last == Some(slice) && !self.is_delimited {
            return Role::More;
        }
        let slice_type = beginning.slice_type;
        let forgets = slice.is_reference && !slice.is_idr && {
            let has_chroma = sequence.has_chroma;
            let prediction = set.prediction;
            prediction.and_then(|p| p.forgets(&mut behind, slice_type, has_chroma)) == Some(true)
        };
        let mut order = self.order.advance(&slice, &sequence.order_count);
        if forgets {
            order = self.order.forget(&slice);
        }
        self.field_rate = sequence.field_rate.or(self.field_rate);
        // The second field of an IDR picture may be one too, and belongs to the first.
        let is_second = self.last.is_some_and(|last| {
            last.is_field
                && slice.is_field
                && last.is_bottom != slice.is_bottom
                && last.frame_num == slice.frame_num
                && last.is_idr
        });
        // Where one picture is referred to, an I-picture takes the place of all before.
        let is_refresh = matches!(slice_type, 2 | 7)
            && slice.is_reference
            && !slice.is_field
            && sequence.reference_frames <= 1;
        let shown = Shown {
            order,
            restarts: slice.is_idr && !is_second || forgets,
            sync: slice.is_idr && !is_second || self.is_recovery_point || is_refresh,
            fields: if slice.is_field { 1 } else { 2 },
        };
        self.last = Some(slice);
        (self.is_recovery_point, self.is_delimited) = (false, false);
        Role::Picture(shown)
    }

    pub(super) const fn field_rate(&self) -> Option<FieldRate> {
        self.field_rate
    }

    pub(super) fn config(&self) -> Result<H264Config, &'static str> {
        if self.sequence_bytes.is_empty() || self.set_bytes.is_empty() {
            return Err("H.264 without parameter sets");
        }
        Ok(H264Config {
            framing: NalFraming::StartCodes,
            sequence_parameter_sets: self.sequence_bytes.clone(),
            picture_parameter_sets: self.set_bytes.clone(),
        })
    }
}

/// Coded slice data partition A.
const PARTITION_A: NalType = NalType(2);

/// Keeps parameter sets for SDP: of those with the same identifier, which a stream changes as it
/// goes, all; decoders take the last and find later ones in the stream.
pub(super) fn keep(sets: &mut Vec<Vec<u8>>, set: &[u8]) {
    if sets.len() < SETS_MAX && !sets.iter().any(|kept| kept == set) {
        sets.push(set.to_vec());
    }
}

/// Whether supplemental enhancement information has a recovery point message (§D.1.8).
fn has_recovery_point(rbsp: &[u8]) -> bool {
    const RECOVERY_POINT: u32 = 6;
    let mut bits = Rbsp::new(rbsp);
    let number = |bits: &mut Rbsp<'_>| -> Option<u32> {
        let mut sum = 0_u32;
        loop {
            let byte = bits.read(8)?;
            sum = sum.checked_add(byte)?;
            if byte != 255 {
                return Some(sum);
            }
        }
    };
    while let (Some(kind), Some(bytes)) = (number(&mut bits), number(&mut bits)) {
        if kind == RECOVERY_POINT {
            return bytes > 0;
        }
        if bits.skip(bytes.saturating_mul(8)).is_none() {
            break;
        }
    }
    false
}

/// What the order counts of pictures depend on of those before.
#[derive(Debug, Default)]
struct OrderState {
    /// Type 0: of the last reference picture.
    high: i64,
    low: i64,
    /// Types 1 and 2: of the last picture.
    frame_num: u32,
    frame_num_offset: i64,
    /// The largest order given.
    last: i64,
}

impl OrderState {
    fn next_in_decode_order(&mut self) -> i64 {
        self.last += 2;
        self.last
    }

    /// PicOrderCnt of a picture: for a frame, that of its first field.
    fn advance(&mut self, slice: &Slice, count: &OrderCount) -> i64 {
        let order = match count {
            OrderCount::LowBits(width) => self.count_low_bits(slice, *width),
            OrderCount::Cycle { non_reference, top_to_bottom, cycle, .. } => {
                self.advance_frame_num(slice);
                self.count_cycle(slice, (*non_reference, *top_to_bottom), cycle)
            }
            OrderCount::DecodeOrder => {
                self.advance_frame_num(slice);
                let count = 2 * (self.frame_num_offset + i64::from(slice.frame_num));
                count - i64::from(!slice.is_reference)
            }
        };
        self.last = order;
        order
    }

    /// §8.2.1.1.
    fn count_low_bits(&mut self, slice: &Slice, width: u32) -> i64 {
        if slice.is_idr {
            (self.high, self.low) = (0, 0);
        }
        let (low, range) = (i64::from(slice.order_low), 1_i64 << width);
        let high = if low < self.low && self.low - low >= range / 2 {
            self.high + range
        } else if low > self.low && low - self.low > range / 2 {
            self.high - range
        } else {
            self.high
        };
        if slice.is_reference {
            (self.high, self.low) = (high, low);
        }
        high + low + i64::from(slice.order_bottom.min(0))
    }

    /// After memory_management_control_operation 5: the order of that picture, from which it begins
    /// anew.
    fn forget(&mut self, slice: &Slice) -> i64 {
        (self.high, self.low) = (0, i64::from(-slice.order_bottom.min(0)));
        (self.frame_num, self.frame_num_offset, self.last) = (0, 0, 0);
        0
    }

    fn advance_frame_num(&mut self, slice: &Slice) {
        if slice.is_idr {
            self.frame_num_offset = 0;
        } else if self.frame_num > slice.frame_num {
            self.frame_num_offset += 1 << slice.frame_num_bits;
        }
        self.frame_num = slice.frame_num;
    }

    /// §8.2.1.2.
    fn count_cycle(
        &self,
        slice: &Slice,
        (non_reference, top_to_bottom): (i32, i32),
        cycle: &[i32],
    ) -> i64 {
        let mut frame = self.frame_num_offset + i64::from(slice.frame_num);
        if cycle.is_empty() {
            frame = 0;
        }
        if !slice.is_reference {
            frame = (frame - 1).max(0);
        }
        let mut expected = 0_i64;
        if let (Some(before), Ok(length)) =
            (frame.checked_sub(1).filter(|before| *before >= 0), i64::try_from(cycle.len()))
        {
            let sum: i64 = cycle.iter().copied().map(i64::from).sum();
            let (whole, rest) = (before / length, before % length);
            let part = cycle.iter().take(usize::try_from(rest + 1).unwrap_or(0));
            let whole = whole.saturating_mul(sum).clamp(-(1 << 60), 1 << 60);
            expected = whole + part.copied().map(i64::from).sum::<i64>();
        }
        if !slice.is_reference {
            expected += i64::from(non_reference);
        }
        let [first, second] = slice.order_deltas.map(i64::from);
        let top = expected + first;
        let below = i64::from(top_to_bottom);
        match (slice.is_field, slice.is_bottom) {
            (false, _) => top.min(top + below + second),
            (true, false) => top,
            (true, true) => top + below,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slice(frame_num: u32, low: i32, is_reference: bool) -> Slice {
        Slice { frame_num, frame_num_bits: 4, order_low: low, is_reference, ..Slice::default() }
    }

    fn orders(count: &OrderCount, slices: &[Slice]) -> Vec<i64> {
        let mut state = OrderState::default();
        slices.iter().map(|slice| state.advance(slice, count)).collect()
    }

    #[test]
    fn low_bits_run_over() {
        let idr = Slice { is_idr: true, ..slice(0, 0, true) };
        let slices = [
            idr,
            slice(1, 8, true),
            slice(2, 4, false),
            slice(2, 14, true),
            slice(3, 2, true),
            slice(4, 15, false),
            slice(4, 1, false),
            idr,
            Slice { order_bottom: -1, ..slice(1, 6, true) },
        ];
        let expected = [0, 8, 4, 14, 18, 15, 17, 0, 5];
        assert_eq!(orders(&OrderCount::LowBits(4), &slices), expected);
    }

    #[test]
    fn decode_order_and_cycles() {
        let idr = Slice { is_idr: true, ..slice(0, 0, true) };
        let slices = [idr, slice(15, 0, true), slice(0, 0, false), slice(1, 0, true)];
        assert_eq!(orders(&OrderCount::DecodeOrder, &slices), [0, 30, 31, 34]);
        let cycle = |cycle| OrderCount::Cycle {
            always_zero: true,
            non_reference: -2,
            top_to_bottom: 1,
            cycle,
        };
        let slices = [idr, slice(1, 0, true), slice(2, 0, false), slice(2, 0, true)];
        assert_eq!(orders(&cycle(vec![4]), &slices), [0, 4, 2, 8]);
        assert_eq!(orders(&cycle(vec![4, 6]), &slices), [0, 4, 2, 10]);
        assert_eq!(orders(&cycle(vec![]), &slices), [0, 0, -2, 0]);
        assert_eq!(orders(&cycle(vec![i32::MAX; 255]), &slices).len(), 4);
    }

    #[test]
    fn finds_recovery_points() {
        for (rbsp, expected) in [
            (&[6, 1, 0xc4, 0x80][..], true),
            (&[1, 2, 9, 9, 6, 1, 0xc4, 0x80], true),
            (&[255, 255, 7, 0, 6, 1, 0xc4], true),
            (&[5, 2, 6, 1, 0x80], false),
            (&[6, 0], false),
            (&[255, 255, 255], false),
            (&[1, 255, 255, 255, 0, 6, 1, 1], false),
            (&[], false),
        ] {
            assert_eq!(has_recovery_point(rbsp), expected, "{rbsp:?}");
        }
    }

    #[test]
    fn parameter_sets_are_kept_once_and_not_without_end() {
        let mut sets = Vec::new();
        for set in 0..100_u8 {
            keep(&mut sets, &[0x67, set]);
            keep(&mut sets, &[0x67, set]);
        }
        assert_eq!(sets.len(), SETS_MAX);
    }
}
