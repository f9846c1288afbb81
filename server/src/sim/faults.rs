//! What goes wrong in a world, drawn from its seed.

use fastrand::Rng;

/// The faults of a world, as probabilities and times.
#[derive(Clone, Copy, Debug, Default)]
pub struct Faults {
    /// Longest usual read, microseconds.
    pub read_micros_max: u64,
    /// One in so many reads takes `slow_read_micros`; 0 for none.
    pub slow_read_one_in: u32,
    /// How long a slow read takes.
    pub slow_read_micros: u64,
    /// One in so many reads comes back short; 0 for none.
    pub short_read_one_in: u32,
    /// One in so many reads fails; 0 for none.
    pub failed_read_one_in: u32,
    /// One in so many datagram sends finds the socket full; 0 for none.
    pub full_one_in: u32,
    /// One in so many datagram sends fails; 0 for none.
    pub failed_send_one_in: u32,
    /// One in so many openings of a title fails; 0 for none.
    pub failed_open_one_in: u32,
    /// One in so many reads ends with an error that says nothing about the file; 0 for none.
    pub interrupted_read_one_in: u32,
    /// Whether viewers vanish, stall and seek at any time.
    pub rude_viewers: bool,
    /// What a shard has for images and blocks to read into, if that is not plenty.
    pub memory: Option<Memory>,
    /// A disk that turns, instead of one that takes any time for a read.
    pub hard_disk: Option<HardDisk>,
}

/// A disk with one head.
#[derive(Clone, Copy, Debug)]
pub struct HardDisk {
    /// To another place, microseconds.
    pub seek_micros: u64,
    /// One turn, of which a part passes behind each seek, microseconds.
    pub turn_micros: u64,
    /// How fast it reads.
    pub bytes_per_micro: u64,
}

/// A shard's memory.
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    /// Bytes of images.
    pub image_bytes_max: usize,
    /// Blocks of the read pool.
    pub read_blocks: u32,
}

impl Memory {
    /// More than a world needs.
    pub(super) const PLENTY: Self = Self { image_bytes_max: 24 << 20, read_blocks: 512 };

    /// Little: for a few images, and for two or three segments to be read at once.
    pub fn draw(random: &mut Rng) -> Self {
        Self { image_bytes_max: random.usize(400_000..4_000_000), read_blocks: random.u32(40..80) }
    }
}

impl Faults {
    /// Faults of any kind and strength.
    pub fn draw(random: &mut Rng) -> Self {
        let mut one_in =
            |chance: u32| if random.u32(..chance) == 0 { random.u32(3..200) } else { 0 };
        Self {
            slow_read_one_in: one_in(2),
            short_read_one_in: one_in(3),
            failed_read_one_in: one_in(6),
            full_one_in: one_in(3),
            failed_send_one_in: one_in(4),
            failed_open_one_in: one_in(3),
            interrupted_read_one_in: one_in(3),
            memory: None,
            hard_disk: None,
            read_micros_max: random.u64(50..20_000),
            slow_read_micros: random.u64(20_000..3_000_000),
            rude_viewers: random.bool(),
        }
    }

    /// Whether datagram viewers may miss what came too late.
    pub(super) const fn makes_late(&self) -> bool {
        self.slow_read_one_in != 0 || self.moves_timelines()
    }

    /// Whether viewers may miss something that they are to be sent.
    pub(super) const fn lose(&self) -> bool {
        self.makes_late() || self.failed_send_one_in != 0 || self.failed_read_one_in != 0
    }

    /// Whether reads may take so long that the timeline of an interleaved viewer moves, which it
    /// cannot know.
    pub(super) const fn moves_timelines(&self) -> bool {
        let are_reads_slow = self.slow_read_one_in != 0 && self.slow_read_micros > 500_000;
        are_reads_slow || self.interrupted_read_one_in != 0 || self.memory.is_some()
    }

    /// Whether one in `count` falls on this draw.
    pub(super) fn hits(random: &mut Rng, count: u32) -> bool {
        count != 0 && random.u32(..count) == 0
    }
}
