//! Bits of codec configurations, most significant first.

/// Reads bits from a slice, never past its end.
#[derive(Clone, Debug)]
pub(super) struct BitReader<'a> {
    bytes: &'a [u8],
    /// Bits read so far.
    position: usize,
}

impl<'a> BitReader<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, position: 0 }
    }

    /// The next `width` bits, at most 32, as a number; `None` when they are not all there.
    pub(super) fn read(&mut self, width: u32) -> Option<u32> {
        let mut value = 0;
        for _ in 0..width {
            let byte = *self.bytes.get(self.position / 8)?;
            value = value << 1 | u32::from(byte >> (7 - self.position % 8) & 1);
            self.position += 1;
        }
        Some(value)
    }

    /// Goes on to the next whole byte, counted from the start.
    pub(super) const fn align(&mut self) {
        self.position = self.position.next_multiple_of(8);
    }
}
