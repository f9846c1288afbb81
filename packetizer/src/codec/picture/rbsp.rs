//! Bits of NAL units, without the emulation prevention bytes (ISO 14496-10 §7.3.1, §9.1).

/// Reads the payload of a NAL unit.
#[derive(Clone, Debug)]
pub(super) struct Rbsp<'a> {
    bytes: &'a [u8],
    /// Byte read next, and the bits of it that have been.
    at: usize,
    bit: u32,
    /// Zero bytes in front of `at`.
    zeros: u32,
}

impl<'a> Rbsp<'a> {
    /// Behind the NAL unit's header.
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, bit: 0, zeros: 0 }
    }

    /// The next `width` bits, at most 32; `None` when they are not all there.
    pub(super) fn read(&mut self, width: u32) -> Option<u32> {
        let mut value = 0;
        for _ in 0..width {
            if self.bit == 0 && self.zeros >= 2 && self.bytes.get(self.at) == Some(&3) {
                (self.at, self.zeros) = (self.at + 1, 0);
            }
            let byte = *self.bytes.get(self.at)?;
            value = value << 1 | u32::from(byte >> (7 - self.bit) & 1);
            self.bit += 1;
            if self.bit == 8 {
                (self.at, self.bit) = (self.at + 1, 0);
                self.zeros = if byte == 0 { self.zeros + 1 } else { 0 };
            }
        }
        Some(value)
    }

    /// One bit.
    pub(super) fn flag(&mut self) -> Option<bool> {
        Some(self.read(1)? == 1)
    }

    /// Goes over so many bits.
    pub(super) fn skip(&mut self, mut width: u32) -> Option<()> {
        while width > 0 {
            let step = width.min(32);
            self.read(step)?;
            width -= step;
        }
        Some(())
    }

    /// An unsigned Exp-Golomb code, ue(v).
    pub(super) fn unsigned(&mut self) -> Option<u32> {
        let mut zeros = 0;
        while self.read(1)? == 0 {
            zeros += 1;
            if zeros > 31 {
                return None;
            }
        }
        Some((1 << zeros) - 1 + self.read(zeros)?)
    }

    /// An unsigned Exp-Golomb code of at most `max`.
    pub(super) fn up_to(&mut self, max: u32) -> Option<u32> {
        self.unsigned().filter(|value| *value <= max)
    }

    /// A signed Exp-Golomb code, se(v).
    pub(super) fn signed(&mut self) -> Option<i32> {
        let code = i64::from(self.unsigned()?);
        i32::try_from(if code % 2 == 1 { (code + 1) / 2 } else { -(code / 2) }).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_exponential_golomb_codes() {
        // 1, 010, 011, 00100, 00101, then zeros to the end
        let mut bits = Rbsp::new(&[0b1010_0110, 0b0100_0010, 0b1000_0000]);
        assert_eq!([(); 3].map(|()| bits.unsigned()), [Some(0), Some(1), Some(2)]);
        assert_eq!((bits.signed(), bits.signed()), (Some(2), Some(-2)));
        assert_eq!((bits.unsigned(), bits.read(1)), (None, None));
        let longest = [0, 0, 3, 0, 1, 0, 0, 3, 0, 0];
        assert_eq!(Rbsp::new(&longest).unsigned(), Some((1 << 31) - 1));
        assert_eq!(Rbsp::new(&[0, 0, 0, 0, 1, 0, 0, 0, 0, 0]).unsigned(), None);
    }

    #[test]
    fn leaves_out_emulation_prevention() {
        let mut bits = Rbsp::new(&[0, 0, 3, 1, 0, 0, 3]);
        assert_eq!((bits.read(24), bits.read(16), bits.read(1)), (Some(1), Some(0), None));
        let mut bits = Rbsp::new(&[0, 3, 0, 3]);
        assert_eq!(bits.read(32), Some(0x0003_0003));
        assert_eq!(Rbsp::new(&[1; 8]).skip(65), None);
        assert_eq!(Rbsp::new(&[1; 8]).skip(64), Some(()));
    }
}
