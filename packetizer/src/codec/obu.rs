//! Open bitstream units of AV1 (AV1 §5.3, §5.5, §5.9).

use super::av1::Av1Config;
use super::bits::BitReader;

const SEQUENCE_HEADER: u8 = 1;
const FRAME_HEADER: u8 = 3;
const FRAME: u8 = 6;

/// An open bitstream unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Obu<'a> {
    kind: u8,
    payload: &'a [u8],
}

/// The units at the beginning of a temporal unit in the low-overhead format, up to one that is cut
/// short.
struct Obus<'a>(&'a [u8]);

impl<'a> Iterator for Obus<'a> {
    type Item = Obu<'a>;

    fn next(&mut self) -> Option<Obu<'a>> {
        let (header, rest) = self.0.split_first()?;
        let has_extension = header & 4 != 0;
        let has_size = header & 2 != 0;
        let rest = rest.get(usize::from(has_extension)..)?;
        let (bytes, rest) = if has_size { split_leb128(rest)? } else { (rest.len(), rest) };
        // Of the last one, what is there will do.
        let (payload, behind) = rest.split_at_checked(bytes).unwrap_or((rest, &[]));
        self.0 = behind;
        (header & 0x80 == 0).then_some(Obu { kind: header >> 3 & 15, payload })
    }
}

/// A number of leb128() (§4.10.5), and what is behind it.
fn split_leb128(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let mut value = 0_u64;
    for (position, byte) in bytes.iter().enumerate().take(8) {
        value |= u64::from(byte & 0x7f) << (7 * position);
        if byte & 0x80 == 0 {
            return Some((usize::try_from(value).ok()?, bytes.get(position + 1..)?));
        }
    }
    None
}

/// The configuration in the sequence header of a temporal unit; `None` if it has none that is
/// whole. The stream carries its sequence headers itself, so none is held.
#[must_use]
pub fn find_config(temporal_unit: &[u8]) -> Option<Av1Config> {
    let header = Obus(temporal_unit).find(|obu| obu.kind == SEQUENCE_HEADER)?;
    let mut bits = BitReader::new(header.payload);
    let profile = u8::try_from(bits.read(3)?).ok()?;
    bits.read(1)?; // still_picture
    let is_reduced = bits.read(1)? == 1;
    let (level, tier) = if is_reduced { (bits.read(5)?, 0) } else { read_level(&mut bits)? };
    let (level, tier) = (u8::try_from(level).ok()?, u8::try_from(tier).ok()?);
    (profile <= 2).then_some(Av1Config { profile, level, tier, sequence_header: Vec::new() })
}

/// seq_level_idx and seq_tier of the first operating point (§5.5.1), behind the timing information.
fn read_level(bits: &mut BitReader<'_>) -> Option<(u32, u32)> {
    let has_timing = bits.read(1)? == 1;
    if has_timing {
        bits.read(32)?; // num_units_in_display_tick
        bits.read(32)?; // time_scale
        if bits.read(1)? == 1 {
            read_uvlc(bits)?; // num_ticks_per_picture_minus_1
        }
        if bits.read(1)? == 1 {
            bits.read(32)?; // decoder_model_info(): 47 bits
            bits.read(15)?;
        }
    }
    bits.read(1)?; // initial_display_delay_present_flag
    bits.read(5)?; // operating_points_cnt_minus_1
    bits.read(12)?; // operating_point_idc
    let level = bits.read(5)?;
    let tier = if level > 7 { bits.read(1)? } else { 0 };
    Some((level, tier))
}

fn read_uvlc(bits: &mut BitReader<'_>) -> Option<()> {
    let mut zeros = 0;
    while bits.read(1)? == 0 {
        zeros += 1;
    }
    if zeros < 32 {
        bits.read(zeros)?;
    }
    Some(())
}

/// Whether decoding may start at a temporal unit, of which `bytes` are the beginning: it has a
/// sequence header and its first frame is a key frame that is shown (§7.6.2).
#[must_use]
pub fn is_sync(bytes: &[u8]) -> bool {
    let mut sequence_header = None;
    for obu in Obus(bytes) {
        match obu.kind {
            SEQUENCE_HEADER => sequence_header = obu.payload.first().copied(),
            FRAME_HEADER | FRAME => {
                let Some(sequence_header) = sequence_header else { return false };
                // With reduced_still_picture_header all is key frames. Else show_existing_frame,
                // frame_type and show_frame: 0, KEY_FRAME, 1.
                let is_reduced = sequence_header & 0x08 != 0;
                return is_reduced || obu.payload.first().is_some_and(|bits| bits >> 4 == 1);
            }
            _ => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Profile 0, level 8 (4.0), tier 1, no timing information.
    const HEADER: [u8; 12] = [0x0a, 10, 0x00, 0x00, 0x00, 0x44, 0, 0, 0, 0, 0, 0];

    #[test]
    fn configurations_are_found() {
        let delimiter = [0x12, 0];
        let config = |profile, level, tier| {
            Some(Av1Config { profile, level, tier, sequence_header: Vec::new() })
        };
        let unit = [&delimiter[..], &HEADER].concat();
        assert_eq!(find_config(&unit), config(0, 8, 1));
        // With an extension and without a size.
        assert_eq!(find_config(&[&[0x0c, 0][..], &HEADER[2..]].concat()), config(0, 8, 1));
        // A still picture, profile 1, level 5.
        assert_eq!(find_config(&[0x0a, 2, 0x39, 0x40]), config(1, 5, 0));
        // Timing information with a picture interval and a decoder model.
        let mut bits = String::from("000" /* profile */) + "0" + "0" + "1";
        bits += &"0".repeat(64);
        bits += "1" /* equal_picture_interval */;
        bits += "00101" /* uvlc */;
        bits += "1" /* decoder_model_info_present_flag */;
        bits += &"1".repeat(47);
        bits += "0" /* no display delay */;
        bits += &"0".repeat(17);
        bits += "01001" /* level 9 */;
        bits += "1" /* tier */;
        let mut unit = vec![0x0a, 40];
        unit.extend(bits.as_bytes().chunks(8).map(|byte| {
            let value = byte.iter().fold(0, |sum, bit| sum << 1 | (bit - b'0'));
            value << (8 - byte.len())
        }));
        assert_eq!(find_config(&unit), config(0, 9, 1));
        for none in [&delimiter[..], &HEADER[..4], &[0x0a, 2, 0xf9, 0x40], &[0x8a, 1, 0]] {
            assert_eq!(find_config(none), None, "{none:x?}");
        }
    }

    #[test]
    fn decoding_starts_at_key_frames_behind_a_sequence_header() {
        let unit =
            |first: u8, second: &[u8]| [&[0x12, 0][..], &HEADER, &[first, 9], second].concat();
        for (unit, expected) in [
            (unit(0x32, &[0x10, 0]), true),  // frame: key, shown; cut short
            (unit(0x1a, &[0x10, 0]), true),  // frame header
            (unit(0x32, &[0x00, 0]), false), // not shown
            (unit(0x32, &[0x30, 0]), false), // an inter frame
            (unit(0x32, &[0x90, 0]), false), // one that exists is shown
            (unit(0x2a, &[0x10, 0]), false), // metadata, no frame
            (vec![0x32, 2, 0x10, 0], false), // no sequence header
            (vec![0x0a, 2, 0x39, 0x40, 0x32, 1, 0], true), // a still picture
            (Vec::new(), false),
        ] {
            assert_eq!(is_sync(&unit), expected, "{unit:x?}");
        }
    }
}
