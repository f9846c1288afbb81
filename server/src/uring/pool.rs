//! The read pool: one mapping cut into blocks, each of which belongs either to the shard or to a
//! read under way.

use crate::shard::operation::{BLOCK_BYTES, BlockMemory, BlockRun};
use std::io;
use std::ptr::NonNull;

/// Memory that a read fills. Whoever has it may give it to the kernel, and gives it back to the
/// pool once the kernel is done.
#[derive(Debug)]
pub(super) struct Lent {
    /// The blocks.
    pub(super) run: BlockRun,
    /// Their first byte.
    pub(super) memory: NonNull<u8>,
    /// Their length.
    pub(super) bytes: u32,
    /// The registered buffer that holds them all, if there is one.
    pub(super) buffer: Option<u16>,
}

/// The blocks a shard reads into.
#[derive(Debug)]
pub struct ReadPool {
    /// What was mapped, with room to align.
    mapping: NonNull<libc::c_void>,
    mapping_bytes: usize,
    /// The first block.
    memory: NonNull<u8>,
    /// Per block: whether a read owns it.
    lent: Vec<bool>,
    registered: bool,
}

impl ReadPool {
    /// Maps `blocks` blocks of zeroes.
    pub(super) fn new(blocks: u32) -> io::Result<Self> {
        let blocks = blocks as usize;
        let bytes = blocks.checked_mul(BLOCK_BYTES).ok_or(io::ErrorKind::InvalidInput)?;
        let mapping_bytes =
            bytes.max(BLOCK_BYTES).checked_add(HUGE_PAGE).ok_or(io::ErrorKind::InvalidInput)?;
        // SAFETY: an anonymous mapping at a place of the kernel's choice touches no other memory.
        let mapping = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                mapping_bytes,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE,
                -1,
                0,
            )
        };
        let mapping = match NonNull::new(mapping) {
            Some(mapping) if mapping.as_ptr() != libc::MAP_FAILED => mapping,
            _ => return Err(io::Error::last_os_error()),
        };
        let first = mapping.cast::<u8>();
        let padding = first.align_offset(HUGE_PAGE);
        // SAFETY: the mapping is one huge page longer than the blocks, and `padding` is less.
        let memory = unsafe { first.add(padding) };
        let lent = vec![false; blocks];
        let pool = Self { mapping, mapping_bytes, memory, lent, registered: false };
        // SAFETY: advice about memory of this pool. It may be refused; then pages are small.
        unsafe { libc::madvise(memory.as_ptr().cast(), bytes, libc::MADV_HUGEPAGE) };
        Ok(pool)
    }

    /// The whole pool as buffers to register, none larger than the kernel takes.
    pub(super) fn buffers(&self) -> Vec<libc::iovec> {
        let mut buffers = Vec::new();
        for first in (0..self.lent.len()).step_by(BUFFER_BLOCKS) {
            let blocks = (self.lent.len() - first).min(BUFFER_BLOCKS);
            let iov_base = self.block(first).as_ptr().cast();
            buffers.push(libc::iovec { iov_base, iov_len: blocks * BLOCK_BYTES });
        }
        buffers
    }

    /// Notes whether [`ReadPool::buffers`] are registered.
    pub(super) const fn set_registered(&mut self, registered: bool) {
        self.registered = registered;
    }

    /// Whether reads use registered memory.
    #[must_use]
    pub const fn is_registered(&self) -> bool {
        self.registered
    }

    /// Makes a run the kernel's.
    ///
    /// # Panics
    /// If a block of it already is, or is not in the pool: the shard has lost track of its memory.
    pub(super) fn lend(&mut self, run: BlockRun) -> Lent {
        let memory = self.own(run);
        let range = range(run);
        self.lent[range.clone()].fill(true);
        let buffer = range.start / BUFFER_BLOCKS;
        let whole = buffer == (range.end - 1) / BUFFER_BLOCKS;
        Lent {
            run,
            memory,
            bytes: u32::try_from(range.len() * BLOCK_BYTES).unwrap_or(u32::MAX),
            buffer: u16::try_from(buffer).ok().filter(|_| whole && self.registered),
        }
    }

    /// Takes a run back: its read has completed.
    pub(super) fn give_back(&mut self, lent: &Lent) {
        self.lent[range(lent.run)].fill(false);
    }

    /// Never unmaps: the kernel may still write.
    pub(super) const fn leak(&mut self) {
        self.mapping_bytes = 0;
    }

    /// The first byte of a run that the shard owns.
    fn own(&self, run: BlockRun) -> NonNull<u8> {
        let range = range(run);
        let first = range.start;
        let blocks = self.lent.get(range).expect("a run lies in the pool");
        assert!(!blocks.is_empty(), "a run is never empty");
        assert!(!blocks.contains(&true), "the kernel owns a block of {run:?}");
        self.block(first)
    }

    fn block(&self, index: usize) -> NonNull<u8> {
        assert!(index < self.lent.len(), "block {index} is not in the pool");
        // SAFETY: the pool has that many blocks, all in one mapping.
        unsafe { self.memory.add(index * BLOCK_BYTES) }
    }
}

impl BlockMemory for ReadPool {
    /// # Panics
    /// If the kernel owns one of the blocks, or the run has fewer bytes.
    fn bytes(&self, run: BlockRun, bytes: u32) -> &[u8] {
        let memory = self.own(run);
        assert!(bytes as usize <= run.count as usize * BLOCK_BYTES, "{run:?} has fewer bytes");
        // SAFETY: initialized memory of the mapping, and the shard's: it becomes the kernel's only
        // by `lend`, which needs the pool exclusively and so ends this borrow first.
        unsafe { std::slice::from_raw_parts(memory.as_ptr(), bytes as usize) }
    }
}

impl Drop for ReadPool {
    fn drop(&mut self) {
        if self.mapping_bytes > 0 {
            // SAFETY: this pool made the mapping, no borrow of it outlives the pool, and the
            // driver has waited for every read or has leaked the pool.
            unsafe { libc::munmap(self.mapping.as_ptr(), self.mapping_bytes) };
        }
    }
}

const HUGE_PAGE: usize = 2 << 20;
/// Blocks of one registered buffer: the kernel takes at most 1 GiB.
const BUFFER_BLOCKS: usize = (1 << 30) / BLOCK_BYTES;

const fn range(run: BlockRun) -> std::ops::Range<usize> {
    run.first as usize..run.first as usize + run.count as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_aligned_and_comes_back_from_the_kernel() {
        let mut pool = ReadPool::new(8).unwrap();
        let run = BlockRun { first: 2, count: 3 };
        let lent = pool.lend(run);
        assert_eq!(lent.bytes as usize, 3 * BLOCK_BYTES);
        assert_eq!(lent.memory.as_ptr() as usize % HUGE_PAGE, 2 * BLOCK_BYTES);
        pool.give_back(&lent);
        assert_eq!(pool.bytes(run, 100), [0; 100]);
        assert_eq!(pool.buffers().iter().map(|b| b.iov_len).sum::<usize>(), 8 * BLOCK_BYTES);
    }

    #[test]
    #[should_panic(expected = "the kernel owns")]
    fn lent_memory_cannot_be_seen() {
        let mut pool = ReadPool::new(4).unwrap();
        let _lent = pool.lend(BlockRun { first: 1, count: 1 });
        pool.bytes(BlockRun { first: 0, count: 2 }, 1);
    }

    #[test]
    #[should_panic(expected = "lies in the pool")]
    fn a_run_outside_the_pool_is_refused() {
        ReadPool::new(4).unwrap().lend(BlockRun { first: 3, count: 2 });
    }
}
