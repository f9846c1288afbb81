//! The image cache: packet images by what they show, with a byte budget.
//!
//! An image is *loading* until its segment was read, then *ready*. Streams that will send from it
//! hold it; a ready image that nobody holds stays until its memory is wanted, the longest unused
//! first.

use super::operation::SourceSlot;
use packetizer::image::{Framing, ImageStorage, PacketImage, PayloadClass};
use packetizer::index::{SegmentId, TrackId};
use slab::Slab;
use std::collections::{BTreeMap, HashMap};

/// Recycled buffers kept for the next image.
const SPARE_MAX: usize = 8;

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
    spare: Vec<ImageStorage>,
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
            spare: Vec::new(),
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

    /// Buffers for the next image, of an evicted one if there is.
    pub(super) fn storage(&mut self) -> ImageStorage {
        self.spare.pop().unwrap_or_default()
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
        if self.spare.len() < SPARE_MAX {
            self.spare.push(image.into_storage());
        }
    }
}

/// What an image costs.
fn image_bytes(image: &PacketImage) -> usize {
    image.memory_bytes()
}
