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

    /// Bits read so far.
    pub(super) const fn position(&self) -> usize {
        self.position
    }

    /// Bits that there are.
    pub(super) const fn end(&self) -> usize {
        self.bytes.len() * 8
    }

    /// Passes over so many bits.
    pub(super) const fn skip(&mut self, count: usize) {
        self.position = self.position.saturating_add(count);
    }

    /// The bits from `start` to `end` as bytes, the last one filled with zeros; `None` if they are
    /// not all there.
    pub(super) fn copy(&self, start: usize, end: usize) -> Option<Vec<u8>> {
        let mut bits = Self { bytes: self.bytes, position: start };
        let whole =
            (0..end.checked_sub(start)? / 8).map(|_| bits.read(8)).collect::<Option<Vec<_>>>();
        let mut bytes: Vec<u8> = whole?.into_iter().map(|byte| byte.to_be_bytes()[3]).collect();
        let left = u32::try_from((end - start) % 8).ok()?;
        if left > 0 {
            bytes.push((bits.read(left)? << (8 - left)).to_be_bytes()[3]);
        }
        Some(bytes)
    }

    /// Goes on to the next whole byte, counted from the start.
    pub(super) const fn align(&mut self) {
        self.position = self.position.next_multiple_of(8);
    }
}
