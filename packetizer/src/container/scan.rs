//! Reading a file from its beginning to its end, a piece at a time, for formats without tables.

use super::Demand;

/// Bytes that are asked for at once.
const PIECE_BYTES: u32 = 1 << 20;

/// What has been read and not been used yet: a stretch of the file that moves towards its end.
///
/// The user takes what is whole, says how far it has come with [`Self::consume`], and asks for more
/// when what it wants reaches beyond what is there.
#[derive(Debug)]
pub(super) struct Scan {
    file_bytes: u64,
    /// Where the bytes lie in the file.
    offset: u64,
    bytes: Vec<u8>,
}

impl Scan {
    /// Before anything has been read of a file of this length.
    pub(super) const fn new(file_bytes: u64) -> Self {
        Self { file_bytes, offset: 0, bytes: Vec::new() }
    }

    /// What lies behind what is there. At the end of the file, its last byte: nothing is demanded
    /// there, because who scans has ended then.
    pub(super) fn demand(&self) -> Demand {
        let offset = self.end().min(self.file_bytes.saturating_sub(1));
        let left = u32::try_from(self.file_bytes - offset).unwrap_or(u32::MAX);
        Demand { offset, bytes: left.min(PIECE_BYTES) }
    }

    /// Takes the bytes that were demanded.
    pub(super) fn supply(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// The bytes that are there.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Where the first of them lies in the file.
    pub(super) const fn offset(&self) -> u64 {
        self.offset
    }

    /// Where those end that are there.
    pub(super) fn end(&self) -> u64 {
        self.offset + self.bytes.len() as u64
    }

    /// Whether there is nothing behind them.
    pub(super) fn is_last(&self) -> bool {
        self.end() >= self.file_bytes
    }

    /// Lets the first `count` bytes go; beyond what is there, what lies in the file up to there is
    /// not read.
    pub(super) fn consume(&mut self, count: u64) {
        let here = usize::try_from(count).unwrap_or(usize::MAX).min(self.bytes.len());
        self.bytes.drain(..here);
        self.offset = self.offset.saturating_add(count).min(self.file_bytes);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::cast_possible_truncation)]

    use super::*;

    #[test]
    fn goes_through_a_file_and_over_what_is_not_wanted() {
        let file: Vec<u8> = (0..3_000_000_u32).map(|at| (at / 3) as u8).collect();
        let mut scan = Scan::new(file.len() as u64);
        let supply = |scan: &mut Scan| {
            let Demand { offset, bytes } = scan.demand();
            scan.supply(&file[offset as usize..][..bytes as usize]);
        };
        supply(&mut scan);
        assert_eq!((scan.offset(), scan.end(), scan.is_last()), (0, 1 << 20, false));
        scan.consume(10);
        assert_eq!((scan.offset(), scan.bytes()[0]), (10, 3));
        supply(&mut scan);
        assert_eq!(scan.bytes().len(), (2 << 20) - 10);
        scan.consume(2_500_000);
        assert_eq!((scan.offset(), scan.bytes()), (2_500_010, &[][..]));
        supply(&mut scan);
        assert_eq!((scan.bytes().len(), scan.is_last()), (499_990, true));
        scan.consume(u64::MAX);
        assert_eq!((scan.offset(), scan.is_last()), (3_000_000, true));
        assert_eq!(scan.demand(), Demand { offset: 2_999_999, bytes: 1 });
    }
}
