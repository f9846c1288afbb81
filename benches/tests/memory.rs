//! What a viewer takes of control's and a shard's memory, beside the images that all share.

use benches::counting::{Allocated, Counting};
use benches::film::Film;
use benches::house::House;
use benches::rig::{Reach, Rig, RigLimits, SECOND};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Bytes that a session with two streams may take of its shard.
const SHARD_BYTES_MAX: i64 = 1792;
/// The same with what control knows of session and connection.
const CORE_BYTES_MAX: i64 = 3072;

/// Who keeps what of a viewer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Shard,
    Core,
}

#[test]
fn a_viewer_takes_little_memory() {
    for (part, bytes_max) in [(Part::Shard, SHARD_BYTES_MAX), (Part::Core, CORE_BYTES_MAX)] {
        let (few, many) = (500, 2000);
        let each = (live_bytes(part, many) - live_bytes(part, few)) / i64::from(many - few);
        println!("{part:?}: {each} bytes");
        assert!((bytes_max / 2..=bytes_max).contains(&each), "{part:?}: {each} bytes a viewer");
    }
}

/// What all takes that was made for so many viewers, except for images.
fn live_bytes(part: Part, viewers: u32) -> i64 {
    let before = Allocated::now();
    let limits =
        RigLimits { viewers, image_bytes: 256 << 20, read_blocks: 1024, packet_bytes: 1400 };
    let films = vec![Film::new(0, 60)];
    let mut house = House::new(Rig::new(films.clone(), limits), films);
    // All images are there before the first viewer who is counted.
    house.rig.play(0, 0, 0, Reach::Udp);
    house.rig.run(61 * SECOND);
    house.rig.leave(0);
    for viewer in 0..viewers {
        let second = u64::from(viewer % 30);
        match part {
            Part::Shard => house.rig.play(viewer, 0, second * SECOND, Reach::Udp),
            Part::Core => house.play(viewer, 0, second),
        }
        house.rig.run(SECOND / 500);
    }
    house.rig.run(2 * SECOND);
    assert_eq!(house.rig.shard.counters().sessions, u64::from(viewers));
    before.since().live_bytes - house.rig.shard.image_bytes().cast_signed() as i64
}
