//! The image cache: packet images by what they show, with a byte budget.
//!
//! An image is *loading* until its segment was read, then *ready*. Streams that will send from it
//! hold it; a ready image that nobody holds stays until its memory is wanted.

use super::audience::Audience;
use super::operation::SourceSlot;
use super::unheld::{HORIZON, Place, Unheld};
use crate::clock::MonoTime;
use packetizer::image::{Framing, ImageStorage, PacketImage, PayloadClass};
use packetizer::index::{SegmentId, TrackId};
use slab::Slab;
use std::collections::{BTreeMap, VecDeque};
use std::ops::RangeInclusive;
use std::time::Duration;

/// Recycled buffers kept for the next images, beside the budget.
const SPARE_MAX: usize = 8;
/// Bytes of one of them: images of access units too large for a segment are rare.
const SPARE_BYTES_MAX: usize = 1 << 20;

/// What an image shows. The source stands for (title, generation): a replaced file is another one.
/// In order, the images of a source follow each other, and those of a track by segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ImageKey {
    pub(super) source: SourceSlot,
    pub(super) track: TrackId,
    pub(super) class: PayloadClass,
    pub(super) framing: Framing,
    pub(super) segment: SegmentId,
}

impl ImageKey {
    /// The keys that a source may have.
    pub(super) fn all_of(source: SourceSlot) -> RangeInclusive<Self> {
        let key = |track, packet_bytes_max, framing, segment| Self {
            source,
            track: TrackId(track),
            class: PayloadClass { packet_bytes_max },
            framing,
            segment: SegmentId(segment),
        };
        key(0, 0, Framing::Datagram, 0)..=key(u8::MAX, u16::MAX, Framing::Interleaved, u32::MAX)
    }
}

impl ImageKey {
    /// The same packets with the other framing: one image is made from the other.
    pub(super) const fn twin(self) -> Self {
        let framing = match self.framing {
            Framing::Datagram => Framing::Interleaved,
            Framing::Interleaved => Framing::Datagram,
        };
        Self { framing, ..self }
    }
}

/// Slot of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct ImageSlot(pub(super) u32);

#[derive(Debug)]
enum State {
    /// This load will bring it; these streams want to know when it is ready.
    Loading {
        load: usize,
        waiters: Vec<u32>,
    },
    Ready(PacketImage),
}

#[derive(Debug)]
struct Entry {
    key: ImageKey,
    /// Presentation time of its first unit, in nanoseconds.
    start: i64,
    state: State,
    /// Streams that hold it.
    holders: u32,
    was_held: bool,
    /// More than one stream held it, or one did before it was given up last.
    was_reused: bool,
    /// Where it stands while it is ready and nobody holds it.
    unheld: Option<Place>,
}

/// The images of a shard.
#[derive(Debug)]
pub(super) struct ImageCache {
    entries: Slab<Entry>,
    slots: BTreeMap<ImageKey, ImageSlot>,
    unheld: Unheld,
    /// Who plays what.
    pub(super) audience: Audience,
    /// Time of the turn.
    now: MonoTime,
    bytes: usize,
    /// How much of it nobody holds.
    unheld_bytes: usize,
    /// How much of it nobody holds or comes to, as far as was looked.
    idle_bytes: usize,
    bytes_max: usize,
    spare: VecDeque<ImageStorage>,
}

impl ImageCache {
    /// An empty cache that keeps at most `bytes_max` bytes of images, unless one takes more.
    pub(super) fn new(bytes_max: usize) -> Self {
        Self {
            entries: Slab::new(),
            slots: BTreeMap::new(),
            unheld: Unheld::default(),
            audience: Audience::default(),
            now: MonoTime::default(),
            bytes: 0,
            unheld_bytes: 0,
            idle_bytes: 0,
            bytes_max,
            spare: VecDeque::new(),
        }
    }

    /// A turn begins.
    pub(super) const fn turn(&mut self, now: MonoTime) {
        self.now = now;
    }

    /// The image of `key`, loading or ready.
    pub(super) fn find(&self, key: &ImageKey) -> Option<ImageSlot> {
        self.slots.get(key).copied()
    }

    /// Makes a loading entry for `key`, which has none, that `load` will bring. Its first unit is
    /// presented at `start`, in nanoseconds.
    pub(super) fn begin(&mut self, key: ImageKey, start: i64, load: usize) -> ImageSlot {
        let entry = Entry {
            key,
            start,
            state: State::Loading { load, waiters: Vec::new() },
            holders: 0,
            was_held: false,
            was_reused: self.unheld.recall(&key),
            unheld: None,
        };
        let slot = ImageSlot(u32::try_from(self.entries.insert(entry)).expect("bounded by memory"));
        let before = self.slots.insert(key, slot);
        assert!(before.is_none(), "{key:?} is in the cache already");
        slot
    }

    /// Counts one more holder.
    pub(super) fn hold(&mut self, slot: ImageSlot) {
        let entry = &mut self.entries[slot.0 as usize];
        entry.holders += 1;
        entry.was_reused |= entry.was_held;
        entry.was_held = true;
        if let Some(place) = entry.unheld.take() {
            let bytes = memory_bytes(&entry.state);
            self.unheld_bytes -= bytes;
            self.idle_bytes -= if place.is_idle() { bytes } else { 0 };
            self.unheld.remove(slot, place);
        }
    }

    /// Counts one holder less. Gives the load of an image that nobody waits for any more.
    pub(super) fn release(&mut self, slot: ImageSlot) -> Option<usize> {
        let entry = &mut self.entries[slot.0 as usize];
        entry.holders = entry.holders.checked_sub(1).expect("released once a hold");
        match entry.state {
            State::Loading { load, .. } => (entry.holders == 0).then_some(load),
            State::Ready(_) => {
                self.retire(slot);
                None
            }
        }
    }

    /// Whether a stream holds it.
    pub(super) fn is_held(&self, slot: ImageSlot) -> bool {
        self.entries[slot.0 as usize].holders > 0
    }

    /// The image, if it is ready.
    pub(super) fn ready(&self, slot: ImageSlot) -> Option<&PacketImage> {
        match &self.entries.get(slot.0 as usize)?.state {
            State::Ready(image) => Some(image),
            State::Loading { .. } => None,
        }
    }

    /// The image, if it is ready, to number what of it is sent next.
    pub(super) fn ready_mut(&mut self, slot: ImageSlot) -> Option<&mut PacketImage> {
        match &mut self.entries.get_mut(slot.0 as usize)?.state {
            State::Ready(image) => Some(image),
            State::Loading { .. } => None,
        }
    }

    /// The load that will bring an image that is not ready.
    pub(super) fn load(&self, slot: ImageSlot) -> Option<usize> {
        match self.entries[slot.0 as usize].state {
            State::Loading { load, .. } => Some(load),
            State::Ready(_) => None,
        }
    }

    /// Remembers that `stream` wants to know when the loading image is ready.
    pub(super) fn wait(&mut self, slot: ImageSlot, stream: u32) {
        if let State::Loading { waiters, .. } = &mut self.entries[slot.0 as usize].state
            && !waiters.contains(&stream)
        {
            waiters.push(stream);
        }
    }

    /// The loading image is built; gives the streams that waited.
    pub(super) fn complete(&mut self, slot: ImageSlot, image: PacketImage) -> Vec<u32> {
        self.bytes += image.memory_bytes();
        let entry = &mut self.entries[slot.0 as usize];
        let before = std::mem::replace(&mut entry.state, State::Ready(image));
        let State::Loading { waiters, .. } = before else { panic!("{slot:?} was ready already") };
        self.retire(slot);
        waiters
    }

    /// The loading image cannot be had, or nobody wants it: forgets it. Its holders must let go
    /// without `release`.
    pub(super) fn abandon(&mut self, slot: ImageSlot) {
        let entry = self.entries.remove(slot.0 as usize);
        assert!(matches!(entry.state, State::Loading { .. }), "{slot:?} was ready");
        self.slots.remove(&entry.key);
    }

    /// Whether an image of `bytes` fits the budget beside `reserved` bytes of images to come,
    /// evicting unheld images until it does. One that is larger than the budget fits when there is
    /// nothing else.
    pub(super) fn make_room(&mut self, reserved: usize, bytes: usize) -> bool {
        let taken = self.bytes - self.unheld_bytes + reserved;
        if taken > 0 && taken + bytes > self.bytes_max {
            return false;
        }
        while self.bytes > 0 && self.bytes + reserved + bytes > self.bytes_max {
            let Some(victim) = self.victim() else { return false };
            self.evict(victim);
        }
        true
    }

    /// Whether `bytes` more would cost nobody an image that he comes to.
    pub(super) const fn has_idle_room(&self, bytes: usize) -> bool {
        self.bytes - self.idle_bytes + bytes <= self.bytes_max
    }

    /// Evicts every unheld image of `source`.
    pub(super) fn forget_source(&mut self, source: SourceSlot) {
        let slots = self.slots.range(ImageKey::all_of(source)).map(|(_, slot)| *slot);
        let is_unheld = |slot: &ImageSlot| self.entries[slot.0 as usize].unheld.is_some();
        for slot in slots.filter(is_unheld).collect::<Vec<_>>() {
            self.evict(slot);
        }
        self.unheld.forget_source(source);
    }

    /// Buffers for an image of about so many bytes, of an evicted one if there is one of that size:
    /// in much larger ones, small images would use up the budget of large ones.
    pub(super) fn storage(&mut self, bytes: usize) -> ImageStorage {
        let sizes = bytes..=bytes + bytes / 8;
        let spare = self.spare.iter().position(|spare| sizes.contains(&spare.bytes.capacity()));
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
        let next_use = self.next_use(slot);
        let entry = &mut self.entries[slot.0 as usize];
        if entry.holders == 0 && matches!(entry.state, State::Ready(_)) {
            let (bytes, place) =
                (memory_bytes(&entry.state), self.unheld.insert(slot, next_use, entry.was_reused));
            self.unheld_bytes += bytes;
            self.idle_bytes += if place.is_idle() { bytes } else { 0 };
            entry.unheld = Some(place);
        }
    }

    /// When the nearest viewer behind an image comes to it, if he is not too far away.
    fn next_use(&self, slot: ImageSlot) -> Option<MonoTime> {
        let entry = &self.entries[slot.0 as usize];
        let distance = Duration::from_nanos(self.audience.distance(entry.key, entry.start)?);
        (distance <= HORIZON).then(|| self.now + distance)
    }

    fn victim(&mut self) -> Option<ImageSlot> {
        let mut unheld = std::mem::take(&mut self.unheld);
        let mut moved = Vec::new();
        let next_use = |slot| self.next_use(slot);
        let victim = unheld.victim(self.now, next_use, |slot, place| moved.push((slot, place)));
        for (slot, place) in moved {
            let entry = &mut self.entries[slot.0 as usize];
            if entry.unheld.replace(place).is_some_and(Place::is_idle) {
                self.idle_bytes -= memory_bytes(&entry.state);
            }
        }
        self.unheld = unheld;
        victim
    }

    fn evict(&mut self, slot: ImageSlot) {
        let entry = self.entries.remove(slot.0 as usize);
        let place = entry.unheld.expect("only unheld images are evicted");
        self.unheld.remove(slot, place);
        self.unheld.remember(entry.key);
        self.slots.remove(&entry.key);
        let State::Ready(image) = entry.state else { panic!("a loading image stood unheld") };
        self.bytes -= image.memory_bytes();
        self.unheld_bytes -= image.memory_bytes();
        self.idle_bytes -= if place.is_idle() { image.memory_bytes() } else { 0 };
        let storage = image.into_storage();
        if storage.bytes.capacity() <= SPARE_BYTES_MAX {
            self.spare.truncate(SPARE_MAX - 1);
            self.spare.push_front(storage);
        }
    }
}

/// What an image costs.
fn memory_bytes(state: &State) -> usize {
    match state {
        State::Ready(image) => image.memory_bytes(),
        State::Loading { .. } => 0,
    }
}

#[cfg(test)]
mod tests;
