//! The image cache: packet images by what they show, with a byte budget.
//!
//! An image is *loading* until its segment was read, then *ready*. Streams that will send from it
//! hold it; a ready image that nobody holds stays until its memory is wanted, the longest unused
//! first.

use super::operation::SourceSlot;
use packetizer::image::{Framing, ImageStorage, PacketImage, PayloadClass};
use packetizer::index::{SegmentId, TrackId};
use slab::Slab;
use std::collections::{BTreeMap, HashMap, VecDeque};

/// Recycled buffers kept for the next images, beside the budget.
const SPARE_MAX: usize = 8;
/// Bytes of one of them: images of access units too large for a segment are rare.
const SPARE_BYTES_MAX: usize = 1 << 20;

/// What an image shows. The source stands for (title, generation): a replaced file is another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct ImageKey {
    pub(super) source: SourceSlot,
    pub(super) segment: SegmentId,
    pub(super) track: TrackId,
    pub(super) class: PayloadClass,
    pub(super) framing: Framing,
}

/// Slot of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct ImageSlot(pub(super) u32);

#[derive(Debug)]
enum State {
    /// Its segment is being read; these streams want to know when it is ready.
    Loading {
        waiters: Vec<u32>,
    },
    Ready(PacketImage),
}

#[derive(Debug)]
struct Entry {
    key: ImageKey,
    state: State,
    /// Streams that hold it.
    holders: u32,
    /// Its place in `unheld`, if it stands there.
    unheld_since: Option<u64>,
}

/// The images of a shard.
#[derive(Debug)]
pub(super) struct ImageCache {
    entries: Slab<Entry>,
    slots: HashMap<ImageKey, ImageSlot>,
    /// Ready images that nobody holds, the longest unused first.
    unheld: BTreeMap<u64, ImageSlot>,
    stamp: u64,
    bytes: usize,
    bytes_max: usize,
    spare: VecDeque<ImageStorage>,
}

impl ImageCache {
    /// An empty cache that keeps at most `bytes_max` bytes of images, unless streams hold more.
    pub(super) fn new(bytes_max: usize) -> Self {
        Self {
            entries: Slab::new(),
            slots: HashMap::new(),
            unheld: BTreeMap::new(),
            stamp: 0,
            bytes: 0,
            bytes_max,
            spare: VecDeque::new(),
        }
    }

    /// The image of `key`, loading or ready.
    pub(super) fn find(&self, key: &ImageKey) -> Option<ImageSlot> {
        self.slots.get(key).copied()
    }

    /// Makes a loading entry for `key`, which has none.
    pub(super) fn begin(&mut self, key: ImageKey) -> ImageSlot {
        let state = State::Loading { waiters: Vec::new() };
        let entry = Entry { key, state, holders: 0, unheld_since: None };
        let slot = ImageSlot(u32::try_from(self.entries.insert(entry)).expect("bounded by memory"));
        let before = self.slots.insert(key, slot);
        assert!(before.is_none(), "{key:?} is in the cache already");
        slot
    }

    /// Counts one more holder.
    pub(super) fn hold(&mut self, slot: ImageSlot) {
        let entry = &mut self.entries[slot.0 as usize];
        entry.holders += 1;
        if let Some(since) = entry.unheld_since.take() {
            self.unheld.remove(&since);
        }
    }

    /// Counts one holder less.
    pub(super) fn release(&mut self, slot: ImageSlot) {
        let entry = &mut self.entries[slot.0 as usize];
        entry.holders = entry.holders.checked_sub(1).expect("released once a hold");
        self.retire(slot);
    }

    /// The image, if it is ready.
    pub(super) fn ready(&self, slot: ImageSlot) -> Option<&PacketImage> {
        match &self.entries.get(slot.0 as usize)?.state {
            State::Ready(image) => Some(image),
            State::Loading { .. } => None,
        }
    }

    /// Remembers that `stream` wants to know when the loading image is ready.
    pub(super) fn wait(&mut self, slot: ImageSlot, stream: u32) {
        if let State::Loading { waiters } = &mut self.entries[slot.0 as usize].state {
            waiters.push(stream);
        }
    }

    /// The loading image is built; gives the streams that waited.
    pub(super) fn complete(&mut self, slot: ImageSlot, image: PacketImage) -> Vec<u32> {
        self.bytes += image_bytes(&image);
        let entry = &mut self.entries[slot.0 as usize];
        let before = std::mem::replace(&mut entry.state, State::Ready(image));
        let State::Loading { waiters } = before else { panic!("{slot:?} was ready already") };
        self.retire(slot);
        waiters
    }

    /// The loading image cannot be had: forgets it. Its holders must let go without `release`.
    pub(super) fn abandon(&mut self, slot: ImageSlot) {
        let entry = self.entries.remove(slot.0 as usize);
        assert!(matches!(entry.state, State::Loading { .. }), "{slot:?} was ready");
        self.slots.remove(&entry.key);
    }

    /// Evicts unheld images until `bytes` more fit the budget; whether they do.
    pub(super) fn make_room(&mut self, bytes: usize) -> bool {
        while self.bytes + bytes > self.bytes_max {
            let Some((_, slot)) = self.unheld.pop_first() else { return false };
            self.evict(slot);
        }
        true
    }

    /// Evicts every unheld image of `source`.
    pub(super) fn forget_source(&mut self, source: SourceSlot) {
        let of_source = |slot: &ImageSlot| self.entries[slot.0 as usize].key.source == source;
        let stamps: Vec<u64> = self
            .unheld
            .iter()
            .filter(|(_, slot)| of_source(slot))
            .map(|(stamp, _)| *stamp)
            .collect();
        for stamp in stamps {
            if let Some(slot) = self.unheld.remove(&stamp) {
                self.evict(slot);
            }
        }
    }

    /// Buffers for an image of about so many bytes, of an evicted one if there is one of that size:
    /// in much larger ones, small images would use up the budget of large ones.
    pub(super) fn storage(&mut self, bytes: usize) -> ImageStorage {
        let fits = |storage: &ImageStorage| (bytes..=2 * bytes).contains(&storage.bytes.capacity());
        let spare = self.spare.iter().position(fits);
        spare.and_then(|spare| self.spare.remove(spare)).unwrap_or_default()
    }

    /// Bytes of all ready images.
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Holds over all images.
    pub(super) fn holds(&self) -> u32 {
        self.entries.iter().map(|(_, entry)| entry.holders).sum()
    }

    /// Puts a ready image that nobody holds where it can be evicted.
    fn retire(&mut self, slot: ImageSlot) {
        let entry = &mut self.entries[slot.0 as usize];
        if entry.holders == 0 && matches!(entry.state, State::Ready(_)) {
            self.stamp += 1;
            entry.unheld_since = Some(self.stamp);
            self.unheld.insert(self.stamp, slot);
        }
    }

    fn evict(&mut self, slot: ImageSlot) {
        let entry = self.entries.remove(slot.0 as usize);
        self.slots.remove(&entry.key);
        let State::Ready(image) = entry.state else { panic!("a loading image stood unheld") };
        self.bytes -= image_bytes(&image);
        let storage = image.into_storage();
        if storage.bytes.capacity() <= SPARE_BYTES_MAX {
            self.spare.truncate(SPARE_MAX - 1);
            self.spare.push_front(storage);
        }
    }
}

/// What an image costs.
fn image_bytes(image: &PacketImage) -> usize {
    image.memory_bytes()
}

#[cfg(test)]
mod tests {
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

    #[test]
    fn small_images_do_not_take_the_memory_of_large_ones() {
        let mut cache = ImageCache::new(1_000_000);
        let class = PayloadClass { packet_bytes_max: 1400 };
        for segment in 0..50 {
            for (track, bytes) in [(0, 200_000), (1, 20_000)] {
                let (segment, track) = (SegmentId(segment), TrackId(track));
                let framing = Framing::Datagram;
                let key = ImageKey { source: SourceSlot(0), segment, track, class, framing };
                assert!(cache.make_room(bytes));
                let slot = cache.begin(key);
                let storage = cache.storage(bytes);
                cache.complete(slot, image(storage, bytes));
            }
        }
        assert!(cache.bytes() <= 1_000_000, "{} bytes", cache.bytes());
        let small = cache.entries.iter().filter(|(_, entry)| entry.key.track == TrackId(1));
        assert!(small.count() >= 4);
    }
}
