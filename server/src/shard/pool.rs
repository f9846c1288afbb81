//! Which blocks of the read pool are free. The memory itself is the shell's.

use super::operation::{BLOCK_BYTES, BlockRun};

/// [`BLOCK_BYTES`] as reads count.
#[allow(clippy::cast_possible_truncation, reason = "a small constant")]
const BLOCK: u32 = BLOCK_BYTES as u32;

/// The read pool's blocks.
#[derive(Debug)]
pub(super) struct BlockPool {
    /// One entry a block.
    taken: Vec<bool>,
    free_count: u32,
    /// Where the last run ended: the search goes on from there, so that runs spread.
    next: u32,
}

impl BlockPool {
    /// A pool of `count` free blocks.
    pub(super) fn new(count: u32) -> Self {
        Self { taken: vec![false; count as usize], free_count: count, next: 0 }
    }

    /// Takes consecutive blocks that hold `bytes`; `None` when there is no such run now.
    pub(super) fn reserve(&mut self, bytes: u32) -> Option<BlockRun> {
        let count = bytes.div_ceil(BLOCK).max(1);
        if count > self.free_count {
            return None;
        }
        let first = self
            .find(count, self.next, self.block_count())
            .or_else(|| self.find(count, 0, self.block_count().min(self.next + count)))?;
        self.taken[first as usize..(first + count) as usize].fill(true);
        self.free_count -= count;
        self.next = first + count;
        Some(BlockRun { first, count })
    }

    /// Gives a run back that the kernel has completed.
    pub(super) fn release(&mut self, run: BlockRun) {
        let blocks = &mut self.taken[run.first as usize..(run.first + run.count) as usize];
        assert!(blocks.iter().all(|taken| *taken), "{run:?} is not reserved");
        blocks.fill(false);
        self.free_count += run.count;
        if self.free_count == self.block_count() {
            // Runs that fit an empty pool together must find room in it, one behind the other.
            self.next = 0;
        }
    }

    /// Whether runs for so many bytes each could ever be had at once.
    pub(super) fn could_hold(&self, runs: impl Iterator<Item = u32>) -> bool {
        let blocks: u64 = runs.map(|bytes| u64::from(bytes.div_ceil(BLOCK).max(1))).sum();
        blocks <= u64::from(self.block_count())
    }

    /// Blocks that nobody has.
    pub(super) const fn free_count(&self) -> u32 {
        self.free_count
    }

    /// All blocks.
    #[allow(clippy::cast_possible_truncation, reason = "made from a u32")]
    pub(super) const fn block_count(&self) -> u32 {
        self.taken.len() as u32
    }

    /// The first run of `count` free blocks in `from..to`.
    fn find(&self, count: u32, from: u32, to: u32) -> Option<u32> {
        let mut length = 0;
        for block in from..to {
            length = if self.taken[block as usize] { 0 } else { length + 1 };
            if length == count {
                return Some(block + 1 - count);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_disjoint_and_come_back() {
        let mut pool = BlockPool::new(8);
        let a = pool.reserve(3 * BLOCK).unwrap();
        let b = pool.reserve(3 * BLOCK - 1).unwrap();
        assert_eq!((a.first, a.count, b.first, b.count), (0, 3, 3, 3));
        assert_eq!(pool.reserve(3 * BLOCK), None, "two blocks are left");
        pool.release(a);
        let c = pool.reserve(3 * BLOCK).unwrap();
        assert_eq!(c.first, 0, "the search starts again in front");
        pool.release(b);
        pool.release(c);
        assert_eq!(pool.free_count(), 8);
        assert_eq!(pool.reserve(8 * BLOCK).map(|run| run.count), Some(8));
    }

    #[test]
    #[should_panic(expected = "not reserved")]
    fn a_run_is_released_once() {
        let mut pool = BlockPool::new(2);
        let run = pool.reserve(1).unwrap();
        pool.release(run);
        pool.release(run);
    }

    #[test]
    fn what_never_fits_is_known() {
        let pool = BlockPool::new(2);
        assert!(pool.could_hold([2 * BLOCK].into_iter()));
        assert!(!pool.could_hold([2 * BLOCK + 1].into_iter()));
        assert!(pool.could_hold([1, 1].into_iter()));
        assert!(!pool.could_hold([1, 1, 1].into_iter()));
    }

    #[test]
    fn what_fits_at_all_fits_an_empty_pool() {
        let mut pool = BlockPool::new(8);
        let run = pool.reserve(2 * BLOCK).unwrap();
        pool.release(run);
        // From the third block on, five would leave no three in a row.
        assert!(pool.reserve(5 * BLOCK).is_some() && pool.reserve(3 * BLOCK).is_some());
    }
}
