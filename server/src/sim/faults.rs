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
    /// Whether viewers vanish, stall and seek at any time.
    pub rude_viewers: bool,
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
            read_micros_max: random.u64(50..20_000),
            slow_read_micros: random.u64(20_000..3_000_000),
            rude_viewers: random.bool(),
        }
    }

    /// Whether reads may take so long that the timeline of an interleaved viewer moves, which it
    /// cannot know.
    pub(super) const fn moves_timelines(&self) -> bool {
        self.slow_read_one_in != 0 && self.slow_read_micros > 500_000
    }

    /// Whether one in `count` falls on this draw.
    pub(super) fn hits(random: &mut Rng, count: u32) -> bool {
        count != 0 && random.u32(..count) == 0
    }
}
