//! How the configured memory is divided: the one place that decides it.

use super::Config;
use super::units::Bytes;
use std::fmt;

/// The parts of [`Config::memory_bytes`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Indexes of opened titles, all together.
    pub index_bytes: u64,
    /// Packet images of one shard.
    pub shard_image_bytes: u64,
    /// One shard's read pool.
    pub shard_read_bytes: u64,
    /// Shards.
    pub shard_count: u64,
}

/// The least memory that a shard works with.
pub const SHARD_MEMORY_BYTES_MIN: u64 = 32 * MIB;

/// One part in this many is for indexes: at 8 bytes an access unit, two hours of video and audio
/// take 4 MB, and 2 GiB keep a hundred such titles open.
const INDEX_SHARE: u64 = 4;
/// Of a shard's memory, one part in this many is for reads under way. They are short, the images
/// made of them stay.
const READ_SHARE: u64 = 8;
const READ_BYTES_MIN: u64 = 4 * MIB;
/// Holds more reads than a disk works on at once.
const READ_BYTES_MAX: u64 = 32 * MIB;
const MIB: u64 = 1024 * 1024;

impl Budget {
    /// Divides `memory_bytes` among `shard_count` shards, at least one.
    #[must_use]
    pub fn of(memory_bytes: u64, shard_count: usize) -> Self {
        let shard_count = (shard_count as u64).max(1);
        let index_bytes = memory_bytes / INDEX_SHARE;
        let shard_bytes = (memory_bytes - index_bytes) / shard_count;
        let shard_read_bytes = (shard_bytes / READ_SHARE).clamp(READ_BYTES_MIN, READ_BYTES_MAX);
        let shard_image_bytes = shard_bytes.saturating_sub(shard_read_bytes);
        Self { index_bytes, shard_image_bytes, shard_read_bytes, shard_count }
    }
}

impl Config {
    /// How the memory is divided.
    #[must_use]
    pub fn budget(&self) -> Budget {
        Budget::of(self.memory_bytes, self.shard_cpus.len())
    }
}

impl fmt::Display for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mib = |bytes: u64| Bytes(bytes / MIB * MIB);
        write!(
            f,
            "{} for indexes, and for each of {} shards {} of images and {} of reads",
            mib(self.index_bytes),
            self.shard_count,
            mib(self.shard_image_bytes),
            mib(self.shard_read_bytes),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_add_up_to_no_more_than_the_whole() {
        for shard_count in [1_usize, 2, 7, 64] {
            for per_shard in [SHARD_MEMORY_BYTES_MIN, 100 * MIB + 1, 1 << 31, 1 << 40] {
                let memory_bytes = per_shard * shard_count as u64;
                let budget = Budget::of(memory_bytes, shard_count);
                let shard = budget.shard_image_bytes + budget.shard_read_bytes;
                let whole = budget.index_bytes + shard * shard_count as u64;
                assert!(whole <= memory_bytes && whole > memory_bytes - memory_bytes / 100);
                assert!(budget.shard_image_bytes > budget.shard_read_bytes);
                assert!(budget.shard_read_bytes >= READ_BYTES_MIN);
            }
        }
        let two = Budget::of(2 << 30, 2);
        assert_eq!(
            two.to_string(),
            "512MiB for indexes, and for each of 2 shards 736MiB of images and 32MiB of reads"
        );
    }
}
