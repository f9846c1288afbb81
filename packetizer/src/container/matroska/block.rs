//! Blocks: their header and their lacing (RFC 9559 §10).

use super::ebml::parse_number;

/// What stands in front of a block's frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BlockHeader {
    /// Track number.
    pub track: u64,
    /// Ticks from the cluster's timestamp to the block's.
    pub time: i16,
    /// Whether a SimpleBlock says that it needs no others; a Block's group tells.
    pub is_key: bool,
    lacing: Lacing,
    /// Bytes of the header.
    bytes: u8,
}

/// A frame, from the block's first byte on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    pub position: u64,
    pub bytes: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lacing {
    None,
    Xiph,
    FixedSize,
    Ebml,
}

/// Why a block's frames are not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BlockError {
    /// More of the block must be there.
    CutShort,
    /// Its sizes do not add up.
    Invalid,
}

impl BlockHeader {
    /// Parses the header in front of a block; `None` if it is cut short or has no track number.
    pub(super) fn parse(block: &[u8]) -> Option<Self> {
        let (track, track_bytes) = parse_number(block)?;
        let [high, low, flags] = *block.get(usize::from(track_bytes)..)?.first_chunk()?;
        let lacing = match flags >> 1 & 3 {
            0 => Lacing::None,
            1 => Lacing::Xiph,
            2 => Lacing::FixedSize,
            _ => Lacing::Ebml,
        };
        let time = i16::from_be_bytes([high, low]);
        Some(Self { track, time, is_key: flags & 0x80 != 0, lacing, bytes: track_bytes + 3 })
    }

    /// Whether several frames may share the block.
    pub(super) fn is_laced(&self) -> bool {
        self.lacing != Lacing::None
    }

    /// Finds the frames of a block of `block_bytes`, of which `block` is the beginning.
    pub(super) fn frames(
        &self,
        block: &[u8],
        block_bytes: u64,
        frames: &mut Vec<Frame>,
    ) -> Result<(), BlockError> {
        frames.clear();
        let header_bytes = u64::from(self.bytes);
        let body = block.get(usize::from(self.bytes)..).ok_or(BlockError::CutShort)?;
        if self.lacing == Lacing::None {
            let bytes = block_bytes.checked_sub(header_bytes).ok_or(BlockError::Invalid)?;
            frames.push(Frame { position: header_bytes, bytes });
            return Ok(());
        }
        let (count, sizes) = body.split_first().ok_or(BlockError::CutShort)?;
        let mut laces = Laces { sizes, read_bytes: 0, frames };
        let count = usize::from(*count) + 1;
        match self.lacing {
            Lacing::Xiph => laces.read_xiph(count - 1)?,
            Lacing::Ebml => laces.read_ebml(count - 1)?,
            Lacing::FixedSize | Lacing::None => {}
        }
        let position = header_bytes + 1 + laces.read_bytes;
        let left = block_bytes.checked_sub(position).ok_or(BlockError::Invalid)?;
        match self.lacing {
            Lacing::FixedSize | Lacing::None => laces.divide(count, left)?,
            Lacing::Xiph | Lacing::Ebml => {
                let used: u64 = laces.frames.iter().map(|frame| frame.bytes).sum();
                let bytes = left.checked_sub(used).ok_or(BlockError::Invalid)?;
                laces.frames.push(Frame { position: 0, bytes });
            }
        }
        let mut next = position;
        for frame in frames {
            frame.position = next;
            next += frame.bytes;
        }
        Ok(())
    }
}

/// Reads the sizes of laced frames. Each is below 2^56 and there are at most 256, so that their sum
/// is in bounds.
struct Laces<'a> {
    sizes: &'a [u8],
    read_bytes: u64,
    frames: &'a mut Vec<Frame>,
}

impl Laces<'_> {
    /// §10.3.2: bytes of 255 and one below are added up.
    fn read_xiph(&mut self, count: usize) -> Result<(), BlockError> {
        for _ in 0..count {
            let full = self.sizes.iter().take_while(|byte| **byte == 255).count();
            let last = *self.sizes.get(full).ok_or(BlockError::CutShort)?;
            self.take(full + 1, full as u64 * 255 + u64::from(last));
        }
        Ok(())
    }

    /// §10.3.3: the first size, then differences, which are shifted to be positive.
    fn read_ebml(&mut self, count: usize) -> Result<(), BlockError> {
        let mut size = 0_i64;
        for position in 0..count {
            if self.sizes.first() == Some(&0) {
                return Err(BlockError::Invalid);
            }
            let (number, length) = parse_number(self.sizes).ok_or(BlockError::CutShort)?;
            let bias = if position == 0 { 0 } else { (1_i64 << (7 * u32::from(length) - 1)) - 1 };
            size += number.cast_signed() - bias;
            let bytes = u64::try_from(size).map_err(|_| BlockError::Invalid)?;
            if bytes >= 1 << 48 {
                return Err(BlockError::Invalid);
            }
            self.take(usize::from(length), bytes);
        }
        Ok(())
    }

    /// §10.3.4: all of the same size.
    fn divide(&mut self, count: usize, left: u64) -> Result<(), BlockError> {
        if !left.is_multiple_of(count as u64) {
            return Err(BlockError::Invalid);
        }
        let frame = Frame { position: 0, bytes: left / count as u64 };
        self.frames.extend(std::iter::repeat_n(frame, count));
        Ok(())
    }

    fn take(&mut self, size_bytes: usize, frame_bytes: u64) {
        self.sizes = self.sizes.get(size_bytes..).unwrap_or_default();
        self.read_bytes += size_bytes as u64;
        self.frames.push(Frame { position: 0, bytes: frame_bytes });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(block: &[u8], block_bytes: u64) -> Result<Vec<(u64, u64)>, BlockError> {
        let mut frames = Vec::new();
        let header = BlockHeader::parse(block).ok_or(BlockError::CutShort)?;
        header.frames(block, block_bytes, &mut frames)?;
        Ok(frames.iter().map(|frame| (frame.position, frame.bytes)).collect())
    }

    #[test]
    fn headers_tell_track_time_and_flags() {
        for (block, expected) in [
            (&[0x81, 0, 40, 0x80][..], Some((1, 40, true, false))),
            (&[0x81, 0xff, 0xff, 0x08, 9], Some((1, -1, false, false))),
            (&[0x41, 0x00, 0, 1, 0x02], Some((256, 1, false, true))),
            (&[0x81, 0, 0], None),
            (&[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], None),
            (&[], None),
        ] {
            let found = BlockHeader::parse(block)
                .map(|header| (header.track, header.time, header.is_key, header.is_laced()));
            assert_eq!(found, expected, "{block:x?}");
        }
    }

    #[test]
    fn laced_frames_lie_one_behind_the_other() {
        use BlockError::{CutShort, Invalid};
        for (flags_and_sizes, block_bytes, expected) in [
            (&[0x00][..], 10, Ok(vec![(4, 6)])),
            (&[0x00], 4, Ok(vec![(4, 0)])),
            // Xiph: 800, 500 and what is left, the example of RFC 9559 §10.3.2.
            (
                &[0x02, 2, 255, 255, 255, 35, 255, 245],
                2311,
                Ok(vec![(11, 800), (811, 500), (1311, 1000)]),
            ),
            (&[0x02, 0], 9, Ok(vec![(5, 4)])),
            (&[0x02, 1, 255], 900, Err(CutShort)),
            (&[0x02, 1, 7], 12, Err(Invalid)),
            (&[0x02, 1, 7], 13, Ok(vec![(6, 7), (13, 0)])),
            (&[0x02], 900, Err(CutShort)),
            // EBML: 800, 500 and what is left, the example of §10.3.3.
            (
                &[0x06, 2, 0x43, 0x20, 0x5e, 0xd3],
                2309,
                Ok(vec![(9, 800), (809, 500), (1309, 1000)]),
            ),
            (&[0x06, 2, 0x82, 0xc0, 9, 9, 9, 9, 9], 14, Ok(vec![(7, 2), (9, 3), (12, 2)])),
            (&[0x06, 2, 0x82, 0x80], 100, Err(Invalid)), // 2 - 63
            (&[0x06, 2, 0x82], 100, Err(CutShort)),
            (&[0x06, 1, 0], 100, Err(Invalid)),
            (&[0x06, 1, 0x01, 255, 255, 255, 255, 255, 255, 255], 100, Err(Invalid)),
            // Fixed size.
            (&[0x04, 2], 11, Ok(vec![(5, 2), (7, 2), (9, 2)])),
            (&[0x04, 2], 12, Err(Invalid)),
        ] {
            let block = [&[0x81, 0, 0], flags_and_sizes].concat();
            assert_eq!(frames(&block, block_bytes), expected, "{flags_and_sizes:x?}");
        }
    }
}
