//! H.264: whether a reference picture forgets all before it, and the order with them
//! (memory_management_control_operation 5, ISO 14496-10 §7.4.3.3, §8.2.1).

use super::rbsp::Rbsp;

/// What a slice header has in front of its reference picture marking depends on these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Prediction {
    /// num_ref_idx_l0_default_active_minus1 and num_ref_idx_l1_default_active_minus1
    references: [u32; 2],
    weighted_forward: bool,
    weighted_both: bool,
    has_redundant_count: bool,
}

/// num_ref_idx_l0_active_minus1 and operations in a row, at most.
const REFERENCES_MAX: u32 = 31;
const OPERATIONS_MAX: u32 = 100;

impl Prediction {
    /// Parses a picture parameter set from num_slice_groups_minus1 on; `None` if there are groups.
    pub(super) fn parse(bits: &mut Rbsp<'_>) -> Option<Self> {
        bits.up_to(0)?; // num_slice_groups_minus1
        let references = [bits.up_to(REFERENCES_MAX)?, bits.up_to(REFERENCES_MAX)?];
        let (weighted_forward, weighted_both) = (bits.flag()?, bits.read(2)? == 1);
        bits.signed()?; // pic_init_qp_minus26
        bits.signed()?;
        bits.signed()?;
        bits.skip(2)?; // deblocking_filter_control_present_flag, constrained_intra_pred_flag
        let has_redundant_count = bits.flag()?;
        Some(Self { references, weighted_forward, weighted_both, has_redundant_count })
    }

    /// Whether a slice of a reference picture that is no IDR picture has the operation; `bits` are
    /// behind its order count.
    pub(super) fn forgets(
        self,
        bits: &mut Rbsp<'_>,
        slice_type: u32,
        has_chroma: bool,
    ) -> Option<bool> {
        let (is_forward, is_both) = (matches!(slice_type % 5, 0 | 3), slice_type % 5 == 1);
        if self.has_redundant_count {
            bits.unsigned()?;
        }
        if is_both {
            bits.flag()?; // direct_spatial_mv_pred_flag
        }
        let lists = if is_both { 2 } else { usize::from(is_forward) };
        let mut references = self.references;
        if lists > 0 && bits.flag()? {
            for count in references.iter_mut().take(lists) {
                *count = bits.up_to(REFERENCES_MAX)?;
            }
        }
        for _ in 0..lists {
            skip_list_modification(bits)?;
        }
        if is_forward && self.weighted_forward || is_both && self.weighted_both {
            skip_weights(bits, references.get(..lists)?, has_chroma)?;
        }
        has_forget(bits)
    }
}

/// §7.3.3.1.
fn skip_list_modification(bits: &mut Rbsp<'_>) -> Option<()> {
    if bits.flag()? {
        for _ in 0..OPERATIONS_MAX {
            if bits.up_to(3)? == 3 {
                return Some(());
            }
            bits.unsigned()?;
        }
        return None;
    }
    Some(())
}

/// §7.3.3.2.
fn skip_weights(bits: &mut Rbsp<'_>, references: &[u32], has_chroma: bool) -> Option<()> {
    bits.unsigned()?; // luma_log2_weight_denom
    if has_chroma {
        bits.unsigned()?;
    }
    for count in references {
        for _ in 0..=*count {
            for numbers in if has_chroma { &[2, 4][..] } else { &[2] } {
                if bits.flag()? {
                    for _ in 0..*numbers {
                        bits.signed()?;
                    }
                }
            }
        }
    }
    Some(())
}

/// §7.3.3.3.
fn has_forget(bits: &mut Rbsp<'_>) -> Option<bool> {
    if !bits.flag()? {
        return Some(false); // adaptive_ref_pic_marking_mode_flag
    }
    for _ in 0..OPERATIONS_MAX {
        match bits.up_to(6)? {
            0 => return Some(false),
            5 => return Some(true),
            3 => {
                bits.unsigned()?;
                bits.unsigned()?;
            }
            _ => {
                bits.unsigned()?;
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bits written as they are read, with blanks.
    fn bytes(bits: &str) -> Vec<u8> {
        let bits: Vec<u8> = bits.bytes().filter(|b| *b != b' ').map(|bit| bit - b'0').collect();
        let byte = |bits: &[u8]| bits.iter().fold(0, |sum, bit| sum << 1 | bit) << (8 - bits.len());
        bits.chunks(8).map(byte).collect()
    }

    #[test]
    fn finds_the_operation_behind_all_that_may_stand_in_front() {
        // Slice groups; references 1 and 0, weights, quantizers, two flags, redundant pictures.
        let plain = bytes("1 010 1 0 00 1 1 1 00 0 1");
        let rich = bytes("1 010 1 1 01 1 1 1 00 1 1");
        for (set, slice_type, slice, expected) in [
            (&plain, 7, "0", Some(false)),
            (&plain, 7, "1 00110", Some(true)),
            (&plain, 7, "1 010 011 1", Some(false)),
            (&plain, 0, "0 0 1 00110", Some(true)),
            (&plain, 0, "1 011 1 1 011 00100 1 00100 010 011 00110", Some(true)),
            (&plain, 1, "0 0 0 0 1 00110", Some(true)),
            (&plain, 0, "1", None),
            // redundant_pic_cnt; weights of two references, in luma, in chroma
            (&rich, 5, "1 0 0 1 1 1 1 1 0 0 1 1 1 1 1 1 00110", Some(true)),
        ] {
            let set = Prediction::parse(&mut Rbsp::new(set)).unwrap();
            // What follows is no part of the marking.
            let slice = bytes(slice);
            let found = set.forgets(&mut Rbsp::new(&slice), slice_type, true);
            assert_eq!(found, expected, "{slice_type} {slice:x?}");
        }
        assert_eq!(Prediction::parse(&mut Rbsp::new(&bytes("010 1 1"))), None);
        assert_eq!(Prediction::parse(&mut Rbsp::new(&bytes("1 1"))), None);
    }
}
