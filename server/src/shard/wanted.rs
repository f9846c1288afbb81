//! What a load is to bring: the images that a session wants of a segment, with what comes cheaply
//! along.

use super::cache::ImageKey;
use super::load::{Load, Part, Wanted};
use super::{Shard, ahead};
use crate::clock::MonoTime;
use crate::mailbox::EndReason;
use packetizer::image::Train;
use packetizer::index::{Extent, MediaIndex, TrackSet};

impl Shard {
    /// Queues a load of `key` and of what the session's other streams will want of the segment.
    pub(super) fn begin_load(&mut self, key: ImageKey, stream: usize, due: MonoTime) {
        let mut wanted = self.wanted_with(key, stream);
        wanted.retain(|key| !self.join_twin(*key, due));
        if wanted.is_empty() {
            return;
        }
        let title = self.sources.title(key.source);
        let index = &title.index;
        let tracks = wanted.iter().fold(TrackSet::EMPTY, |set, key| set.with(key.track));
        let mut extents: Vec<Extent> = Vec::new();
        index.extents(key.segment, tracks, &mut extents);
        let parts = |extents: &[Extent]| -> Vec<Part> {
            extents.iter().map(|extent| Part::new(*extent, title.alignment())).collect()
        };
        let mut longer = extents.clone();
        let is_faulty = self.sources.is_faulty(key.source);
        let ahead = if is_faulty { Vec::new() } else { self.wanted_ahead(&wanted, &mut longer) };
        let mut parts_read = parts(&longer);
        let all = wanted.iter().chain(&ahead).map(|key| about_bytes(index, key));
        let room = self.loads.awaited_bytes() + all.sum::<usize>();
        let takes_more = self.loads.could_hold(&parts_read) && self.cache.has_idle_room(room);
        let is_lengthened = takes_more && !ahead.is_empty();
        if takes_more {
            wanted.extend(ahead);
        } else {
            parts_read = parts(&extents);
        }
        let image_bytes = wanted.iter().map(|key| about_bytes(index, key)).sum();
        let slot = self.loads.vacant();
        let images = wanted.into_iter().map(|key| {
            let start = index.segment_start(key.track, key.segment).expect("it has units");
            Wanted { key, slot: self.cache.begin(key, start, slot) }
        });
        let mut load = Load::new(key.source, images.collect(), parts_read, image_bytes);
        load.is_lengthened = is_lengthened;
        let fits = self.loads.could_hold(&load.parts);
        if fits && !load.parts.is_empty() {
            self.loads.enqueue(due, load);
        } else {
            load.failure = (!fits).then_some(EndReason::MediaInvalid);
            self.sources.acquire(key.source);
            let slot = self.loads.insert(load);
            self.unreadable.push(slot);
        }
    }

    /// Has the load that brings the image of the other framing bring this one too, if there is one
    /// and there is room.
    fn join_twin(&mut self, key: ImageKey, due: MonoTime) -> bool {
        let twin = self.cache.find(&key.twin());
        let Some(load) = twin.and_then(|twin| self.cache.load(twin)) else { return false };
        let index = &self.sources.title(key.source).index;
        let bytes = about_bytes(index, &key);
        let reserved_bytes = self.loads.reserved_bytes();
        if !self.loads.is_queued(load) && !self.cache.make_room(reserved_bytes, bytes) {
            return false;
        }
        let start = index.segment_start(key.track, key.segment).expect("it has units");
        let slot = self.cache.begin(key, start, load);
        self.loads.join(load, Wanted { key, slot }, bytes);
        self.loads.hasten(load, due);
        true
    }

    /// `key` and what the session's other streams will want of its segment that is not there.
    fn wanted_with(&self, key: ImageKey, stream: usize) -> Vec<ImageKey> {
        let index = &self.sources.title(key.source).index;
        let siblings = &self.sessions[self.streams[stream].session].streams;
        let keys = siblings.iter().map(|stream| self.image_key(*stream, key.segment));
        let is_wanted = |other: &ImageKey| {
            other.class == key.class
                && other.framing == key.framing
                && index.units(other.track, key.segment).next().is_some()
                && self.cache.find(other).is_none()
        };
        keys.filter(is_wanted).collect()
    }

    /// What is read along for the tracks that lie alone, by lengthening their extents.
    fn wanted_ahead(&self, wanted: &[ImageKey], extents: &mut [Extent]) -> Vec<ImageKey> {
        let mut more = Vec::new();
        for &key in wanted {
            let index = &self.sources.title(key.source).index;
            let later = |segment| ImageKey { segment, ..key };
            let is_wanted = |segment| self.cache.find(&later(segment)).is_none();
            let ahead = ahead::extend(index, key.track, key.segment, extents, is_wanted);
            more.extend(ahead.into_iter().map(later));
        }
        more
    }
}

/// About what an image will take: packet headers for every unit, and trains.
fn about_bytes(index: &MediaIndex, key: &ImageKey) -> usize {
    let packet_bytes = usize::from(key.class.packet_bytes_max.max(100));
    let of_unit = |bytes: usize| bytes + (bytes / packet_bytes + 2) * 20 + 2 * size_of::<Train>();
    index.units(key.track, key.segment).map(|unit| of_unit(unit.bytes as usize)).sum()
}
