//! What a shard asks of the allocator while it plays: nothing for a packet.

use benches::counting::{Counting, count};
use benches::film::Film;
use benches::rig::{Reach, Rig, RigLimits, SECOND};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// How viewers are reached, and the size of packets: smaller ones are three times as many.
const WAYS: [(Reach, u16); 4] =
    [(Reach::Udp, 1400), (Reach::Udp, 512), (Reach::Interleaved, 1400), (Reach::Interleaved, 512)];

/// What happened in some seconds of play.
struct Played {
    packets: u64,
    images: u64,
    allocations: u64,
    /// Where the first of them were.
    places: String,
}

fn play(rig: &mut Rig, seconds: u64) -> Played {
    let before = rig.shard.counters();
    let (allocated, traces) = count(8, || rig.run(seconds * SECOND));
    let after = rig.shard.counters();
    let is_ours = |line: &&str| ["server/src/", "packetizer/src/"].iter().any(|p| line.contains(p));
    let place = |trace: &std::backtrace::Backtrace| -> String {
        trace.to_string().lines().filter(is_ours).take(4).map(|line| format!("{line}\n")).collect()
    };
    Played {
        packets: after.packets - before.packets,
        images: after.images_built - before.images_built,
        allocations: allocated.calls,
        places: traces.iter().map(place).collect::<Vec<_>>().join("and\n"),
    }
}

#[test]
fn hot_playback_allocates_nothing_for_a_packet() {
    const VIEWERS: u32 = 200;
    for (reach, packet_bytes) in WAYS {
        let limits =
            RigLimits { viewers: VIEWERS, image_bytes: 256 << 20, read_blocks: 1024, packet_bytes };
        let mut rig = Rig::new(vec![Film::new(0, 60)], limits);
        // Whoever is ahead of all others goes where nobody has been.
        rig.play(0, 0, 38 * SECOND, reach);
        rig.run(23 * SECOND);
        rig.leave(0);
        for viewer in 0..VIEWERS {
            rig.play(viewer, 0, u64::from(viewer % 20) * 2 * SECOND, reach);
            rig.run(SECOND / 50);
        }
        rig.run(5 * SECOND);
        let Played { packets, images, allocations, places } = play(&mut rig, 5);
        println!("{reach:?}, {packet_bytes}: {packets} packets, {allocations} allocations");
        assert!(packets > 150_000 && images == 0, "{packets} packets, {images} images");
        // The table of images that nobody holds takes a node now and then: whoever leaves an image
        // may be the last there. That is 2,000 times here, whatever the size of packets.
        assert!(allocations <= 20, "{reach:?}, {packet_bytes}: {allocations} at\n{places}");
    }
}

#[test]
fn cold_playback_allocates_for_images_and_not_for_packets() {
    const VIEWERS: u32 = 40;
    for (reach, packet_bytes) in WAYS {
        let film = Film::new(0, 60);
        let films = film.copies(1..=u64::from(VIEWERS), 60);
        let limits =
            RigLimits { viewers: VIEWERS, image_bytes: 40 << 20, read_blocks: 1024, packet_bytes };
        let mut rig = Rig::new(films, limits);
        for viewer in 0..VIEWERS {
            rig.play(viewer, viewer as usize, 0, reach);
            rig.run(SECOND / 50);
        }
        rig.run(10 * SECOND);
        let Played { packets, images, allocations, places } = play(&mut rig, 10);
        println!("{reach:?}, {packet_bytes}: {packets} packets, {images} images, {allocations}");
        assert!(images > 500 && packets > 80 * images, "{packets} packets, {images} images");
        // Lists of what to read and whom for; the memory of images is used again.
        assert!(
            allocations <= 16 * images,
            "{reach:?}, {packet_bytes}: {allocations} at\n{places}"
        );
    }
}
