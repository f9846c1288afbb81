use super::*;
use packetizer::image::Numbering;
use packetizer::rtp::Ssrc;

fn image(storage: ImageStorage, bytes: usize) -> PacketImage {
    let ImageStorage { bytes: mut memory, trains } = storage;
    memory.clear();
    memory.resize(bytes, 0);
    PacketImage {
        bytes: memory,
        trains,
        numbering: Numbering { ssrc: Ssrc(0), sequence: 0, timestamp_zero: 0, channel: 0 },
        framing: Framing::Datagram,
        packet_count: 0,
        segment: SegmentId(0),
        track: TrackId(0),
    }
}

fn key(source: u32, track: u8, segment: u32) -> ImageKey {
    ImageKey {
        source: SourceSlot(source),
        segment: SegmentId(segment),
        track: TrackId(track),
        class: PayloadClass { packet_bytes_max: 1400 },
        framing: Framing::Datagram,
    }
}

#[test]
fn small_images_do_not_take_the_memory_of_large_ones() {
    let mut cache = ImageCache::new(1_000_000);
    for segment in 0..50 {
        for (track, bytes) in [(0, 200_000), (1, 20_000)] {
            assert!(cache.make_room(0, bytes));
            let slot = cache.begin(key(0, track, segment), 0, 0);
            let storage = cache.storage(bytes);
            cache.complete(slot, image(storage, bytes));
        }
    }
    assert!(cache.bytes() <= 1_000_000, "{} bytes", cache.bytes());
    let small = cache.entries.iter().filter(|(_, entry)| entry.key.track == TrackId(1));
    assert!(small.count() >= 4);
}
