//! What a load is to bring: the images that a session wants of a segment, with what comes cheaply
//! along.

use super::ahead::{LOAD_BYTES_MAX, LOAD_NANOS_MAX};
use super::cache::ImageKey;
use super::load::{Load, Part, Wanted};
use super::queue::Claim;
use super::stream::Stream;
use super::{Shard, ahead};
use crate::clock::MonoTime;
use crate::mailbox::EndReason;
use packetizer::image::Train;
use packetizer::index::{Extent, MediaIndex, SegmentId, TrackSet};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// A read of a prefetch that is due later than this is not urgent: what it takes along delays it
/// by no more than it can wait.
pub(super) const UNHURRIED: Duration = Duration::from_millis(500);
/// A load that takes whole segments along has at most this part of the read pool, so that several
/// are under way.
const POOL_PART: u64 = 8;

/// What a load is to read, and for whom.
#[derive(Clone, Debug)]
struct Plan {
    images: Vec<ImageKey>,
    extents: Vec<Extent>,
}

impl Plan {
    fn parts(&self, alignment: u64) -> Vec<Part> {
        self.extents.iter().map(|extent| Part::new(*extent, alignment)).collect()
    }

    /// About what its images will take.
    fn image_bytes(&self, index: &MediaIndex) -> usize {
        self.images.iter().map(|key| about_bytes(index, key)).sum()
    }
}

impl Shard {
    /// Queues a load of `key` and of what the session's other streams will want of the segment.
    pub(super) fn begin_load(
        &mut self,
        now: MonoTime,
        key: ImageKey,
        stream: usize,
        due: MonoTime,
    ) {
        let mut images = self.wanted_with(key, stream);
        let claim = self.claim(now, stream, due);
        images.retain(|key| !self.join_twin(*key, claim));
        if images.is_empty() {
            return;
        }
        let title = Arc::clone(self.sources.title(key.source));
        let index = &title.index;
        let mut extents = Vec::new();
        index.extents(key.segment, tracks_of(&images), &mut extents);
        let plan = Plan { images, extents };
        let is_urgent = due < now + UNHURRIED;
        let longer = self.longer(&plan, (key, stream), is_urgent);
        let is_lengthened = longer.is_some();
        let plan = longer.unwrap_or(plan);
        let parts = plan.parts(title.alignment());
        let image_bytes = plan.image_bytes(index);
        let slot = self.loads.vacant();
        let images = plan.images.into_iter().map(|key| {
            let start = index.segment_start(key.track, key.segment).expect("it has units");
            Wanted { key, slot: self.cache.begin(key, start, slot) }
        });
        let mut load = Load::new(key.source, images.collect(), parts, image_bytes);
        (load.is_urgent, load.is_lengthened) = (is_urgent, is_lengthened);
        let fits = self.loads.could_hold(&load.parts);
        if fits && !load.parts.is_empty() {
            self.loads.enqueue(claim, load);
        } else {
            load.failure = (!fits).then_some(EndReason::MediaInvalid);
            self.sources.acquire(key.source);
            let slot = self.loads.insert(load);
            self.unreadable.push(slot);
        }
    }

    /// The plan with what comes cheaply along, if anything does, the file has never failed to give
    /// it, and there is room that costs nobody an image.
    fn longer(&self, plan: &Plan, wanted: (ImageKey, usize), is_urgent: bool) -> Option<Plan> {
        let (key, stream) = wanted;
        // What the other framing's images are made of need not be read.
        let has_twin = |key: &ImageKey| self.cache.find(&key.twin()).is_some();
        if self.sources.is_faulty(key.source) || plan.images.iter().any(has_twin) {
            return None;
        }
        let title = self.sources.title(key.source);
        let takes_segments = !is_urgent && !self.is_skimming(stream);
        let fits = |longer: &Plan| {
            let room = self.loads.awaited_bytes() + longer.image_bytes(&title.index);
            longer.images.len() > plan.images.len()
                && self.loads.could_hold(&longer.parts(title.alignment()))
                && self.cache.has_idle_room(room)
        };
        let with_sparse = |mut longer: Plan| {
            self.take_sparse(&mut longer);
            longer
        };
        let most = takes_segments.then(|| with_sparse(self.with_segments(wanted, plan)));
        most.filter(fits).or_else(|| Some(with_sparse(plan.clone())).filter(fits))
    }

    /// The plan with the segments behind its own, as many as make each cheapest.
    fn with_segments(&self, wanted: (ImageKey, usize), plan: &Plan) -> Plan {
        let mut longer = plan.clone();
        let (mut least, mut cheapest, mut count) = (ahead::cost(&plan.extents, 1), 0, 0);
        while self.add_segment(wanted, count + 1, &mut longer) {
            count += 1;
            let cost = ahead::cost(&longer.extents, u64::from(count) + 1);
            if cost <= least {
                (cheapest, least) = (count, cost);
            }
        }
        if count == cheapest {
            return longer;
        }
        longer.clone_from(plan);
        for more in 1..=cheapest {
            self.add_segment(wanted, more, &mut longer);
        }
        longer
    }

    /// Adds the segment that lies `count` behind the one that is wanted, if it may be read along.
    fn add_segment(&self, (key, stream): (ImageKey, usize), count: u32, plan: &mut Plan) -> bool {
        let index = &self.sources.title(key.source).index;
        let next = SegmentId(key.segment.0 + count);
        let Some(start) = index.segment_start(key.track, key.segment) else { return false };
        if next.0 >= index.segment_count() {
            return false;
        }
        let bytes_max = self.loads.pool_bytes() / POOL_PART;
        let bytes_max = u32::try_from(bytes_max).map_or(LOAD_BYTES_MAX, |b| b.min(LOAD_BYTES_MAX));
        let images = self.wanted_with(ImageKey { segment: next, ..key }, stream);
        let is_near = |key: &ImageKey| {
            let next_start = index.segment_start(key.track, key.segment);
            next_start.is_some_and(|next| next.saturating_sub(start) < LOAD_NANOS_MAX)
                && self.cache.find(&key.twin()).is_none()
        };
        let is_added = !images.is_empty()
            && images.iter().all(is_near)
            && ahead::follow(index, tracks_of(&images), next, bytes_max, &mut plan.extents);
        if is_added {
            plan.images.extend(images);
        }
        is_added
    }

    /// Adds what is read along for the tracks that lie alone, by lengthening their extents.
    fn take_sparse(&self, plan: &mut Plan) {
        let tracks: BTreeMap<_, _> = plan.images.iter().map(|key| (key.track, *key)).collect();
        for key in tracks.into_values() {
            let index = &self.sources.title(key.source).index;
            let of_track = plan.images.iter().filter(|other| other.track == key.track);
            let segments: Vec<_> = of_track.map(|key| key.segment).collect();
            let later = |segment| ImageKey { segment, ..key };
            let is_wanted = |segment| self.cache.find(&later(segment)).is_none();
            let extents = &mut plan.extents;
            let more = ahead::extend(index, key.track, &segments, extents, is_wanted);
            plan.images.extend(more.into_iter().map(later));
        }
    }

    /// Whether a stream's session plays single pictures, so that the next segment may be any.
    fn is_skimming(&self, stream: usize) -> bool {
        let Stream { session, range, .. } = self.streams[stream];
        self.sessions[session].range(range).is_some_and(|range| range.skim_track().is_some())
    }

    /// Has the load that brings the image of the other framing bring this one too, if there is one
    /// and there is room.
    fn join_twin(&mut self, key: ImageKey, claim: Claim) -> bool {
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
        self.loads.hasten(load, claim);
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
        let mut wanted: Vec<ImageKey> = keys.filter(is_wanted).collect();
        // Two streams may have the same track, while one takes the place of the other.
        wanted.sort_unstable_by_key(|key| key.track);
        wanted.dedup();
        wanted
    }
}

fn tracks_of(images: &[ImageKey]) -> TrackSet {
    images.iter().fold(TrackSet::EMPTY, |set, key| set.with(key.track))
}

/// About what an image will take: packet headers for every unit, and trains.
fn about_bytes(index: &MediaIndex, key: &ImageKey) -> usize {
    let packet_bytes = usize::from(key.class.packet_bytes_max.max(100));
    let of_unit = |bytes: usize| bytes + (bytes / packet_bytes + 2) * 20 + 2 * size_of::<Train>();
    index.units(key.track, key.segment).map(|unit| of_unit(unit.media_bytes as usize)).sum()
}
