//! From a stream's wish for a segment to an image in the cache: loads, and what they bring.

use super::Shard;
use super::cache::{ImageKey, ImageSlot};
use super::load::{Load, Wanted};
use super::loads::Ended;
use super::operation::{BlockMemory, BlockRun, Operation, ReadId, ReadResult};
use super::queue::Started;
use crate::clock::MonoTime;
use crate::mailbox::EndReason;
use packetizer::image::{ImageError, ImageRequest, PacketImage};
use packetizer::index::SegmentId;
use packetizer::sdp;
use std::collections::BTreeMap;

impl Shard {
    /// Holds for `stream` the image of its track in `segment`, loading it if nobody has. Its first
    /// packet is due at `due`.
    pub(super) fn acquire_image(
        &mut self,
        now: MonoTime,
        stream: usize,
        segment: SegmentId,
        due: MonoTime,
        operations: &mut Vec<Operation>,
    ) -> ImageSlot {
        let key = self.image_key(stream, segment);
        let slot = match self.cache.find(&key) {
            Some(slot) => {
                self.counters.image_hits += 1;
                if let Some(load) = self.cache.load(slot)
                    && self.loads.is_queued(load)
                {
                    let claim = self.claim(now, stream, due);
                    self.loads.hasten(load, claim);
                }
                slot
            }
            None => {
                self.begin_load(now, key, stream, due);
                self.cache.find(&key).expect("the load will bring it")
            }
        };
        self.cache.hold(slot);
        self.start_loads(now, operations);
        slot
    }

    /// Gives an image back that a stream holds. A load that nobody waits for is not begun.
    pub(super) fn release_image(&mut self, slot: ImageSlot) {
        let Some(load) = self.cache.release(slot) else { return };
        let is_held = |wanted: &Wanted| self.cache.is_held(wanted.slot);
        if self.loads.is_queued(load) && !self.loads.load(load).images.iter().any(is_held) {
            for wanted in self.loads.cancel(load).images {
                self.cache.abandon(wanted.slot);
            }
        }
    }

    /// Starts what waits, as far as memory, blocks and queue depth go.
    pub(super) fn start_loads(&mut self, now: MonoTime, operations: &mut Vec<Operation>) {
        while let Some(slot) = self.loads.first_queued(now) {
            let is_started = match self.ready_twins(slot) {
                Some(twins) => self.reframe(slot, &twins) || self.read(now, slot, operations),
                None => self.read(now, slot, operations),
            };
            if !is_started {
                return;
            }
        }
    }

    /// Starts the reads of a queued load, if there is room for what they bring.
    fn read(&mut self, now: MonoTime, slot: usize, operations: &mut Vec<Operation>) -> bool {
        if !self.loads.reserve(slot, now) {
            return false;
        }
        let load = self.loads.load(slot);
        if !self.cache.make_room(self.loads.reserved_bytes(), load.image_bytes) {
            self.loads.unreserve(slot);
            self.loads.lacks_room(now);
            return false;
        }
        // A load that ends after its viewers have left still needs its file.
        self.sources.acquire(load.source);
        let started = self.loads.start(slot, now, operations);
        self.served(started);
        true
    }

    /// The images of the other framing, if they are there for all that a load is to bring.
    fn ready_twins(&self, slot: usize) -> Option<Vec<ImageSlot>> {
        let is_ready = |twin: &ImageSlot| self.cache.ready(*twin).is_some();
        let twin = |wanted: &Wanted| self.cache.find(&wanted.key.twin()).filter(is_ready);
        self.loads.load(slot).images.iter().map(twin).collect()
    }

    /// Makes the images of a queued load from those of the other framing, if there is room.
    fn reframe(&mut self, slot: usize, twins: &[ImageSlot]) -> bool {
        twins.iter().for_each(|twin| self.cache.hold(*twin));
        let bytes = self.loads.load(slot).image_bytes;
        let fits = self.cache.make_room(self.loads.reserved_bytes(), bytes);
        if fits {
            let load = self.loads.cancel(slot);
            self.served(Started::without_reading(&load));
            for (wanted, twin) in load.images.iter().zip(twins) {
                let bytes = self.cache.ready(*twin).map_or(0, |twin| twin.bytes.len());
                let storage = self.cache.storage(bytes);
                let twin = self.cache.ready(*twin).expect("held");
                let image = twin.reframed(wanted.key.framing, storage);
                self.counters.images_built += 1;
                self.image_ready(wanted.slot, image);
            }
        }
        for twin in twins {
            self.release_image(*twin);
        }
        fits
    }

    /// A read has ended; the memory is the shard's again.
    pub fn read_completed(
        &mut self,
        now: MonoTime,
        read: ReadId,
        result: ReadResult,
        memory: &impl BlockMemory,
        operations: &mut Vec<Operation>,
    ) {
        let (ended, finished) = self.loads.read_ended(now, read, result, operations);
        if let Ended::Read(bytes, time) = ended {
            self.counters.reads += 1;
            self.counters.read_bytes += bytes;
            let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
            self.counters.read_micros.saturating_record(micros);
        }
        if let Some(load) = finished {
            self.finish_load(now, load, memory);
            self.start_loads(now, operations);
        }
    }

    pub(super) fn image_key(&self, stream: usize, segment: SegmentId) -> ImageKey {
        let stream = &self.streams[stream];
        ImageKey {
            source: self.sessions[stream.session].source,
            segment,
            track: stream.track,
            class: stream.class,
            framing: stream.transport.framing(),
        }
    }

    /// Ends loads that no read will complete: they fit no pool, or hold no bytes at all.
    pub(super) fn finish_unreadable(&mut self, now: MonoTime) {
        struct NoMemory;
        impl BlockMemory for NoMemory {
            fn bytes(&self, _: BlockRun, _: u32) -> &[u8] {
                &[]
            }
        }
        while let Some(slot) = self.unreadable.pop() {
            self.finish_load(now, slot, &NoMemory);
        }
    }

    /// All reads of a load have ended: builds its images, or ends the sessions that need them.
    fn finish_load(&mut self, now: MonoTime, slot: usize, memory: &impl BlockMemory) {
        let load = self.loads.finish(slot);
        let mut failures = Vec::new();
        for wanted in &load.images {
            let built = match load.failure {
                Some(reason) => Err(reason),
                None => {
                    self.build_image(&load, wanted, memory).map_err(|_| EndReason::MediaInvalid)
                }
            };
            match built {
                Ok(built) => self.image_ready(wanted.slot, built),
                Err(reason) => failures.push((wanted.slot, reason)),
            }
        }
        self.loads.release(&load);
        if !failures.is_empty() {
            let is_lengthened = load.is_lengthened;
            if is_lengthened {
                self.sources.mark_faulty(load.source);
            }
            self.images_failed(now, is_lengthened, &failures);
        }
        self.sources.release(load.source, now);
    }

    fn build_image(
        &mut self,
        load: &Load,
        wanted: &Wanted,
        memory: &impl BlockMemory,
    ) -> Result<PacketImage, ImageError> {
        let key = wanted.key;
        let index = &self.sources.title(load.source).index;
        let codec = &index.tracks[usize::from(key.track.0)].codec;
        let request = ImageRequest {
            index,
            track: key.track,
            segment: key.segment,
            class: key.class,
            framing: key.framing,
            payload_type: sdp::payload_type(key.track, codec),
            bursts: self.config.bursts,
        };
        let units = index.units(key.track, key.segment);
        let storage = self.cache.storage(units.map(|unit| unit.media_bytes as usize).sum());
        let built = PacketImage::build(request, |unit| load.unit(unit, memory), storage);
        self.counters.images_built += u64::from(built.is_ok());
        built
    }

    fn image_ready(&mut self, slot: ImageSlot, image: PacketImage) {
        for stream in self.cache.complete(slot, image) {
            let stream = stream as usize;
            if self.streams.get(stream).is_some_and(super::Stream::awaits_image) {
                self.wake_stream(stream);
            }
        }
    }

    /// Has the streams do without images that cannot be had. Where one is due, its session ends.
    /// The others ask again, at once if the read brought more than they wanted, or else when it is
    /// due: they may never come to it, and errors may pass.
    fn images_failed(
        &mut self,
        now: MonoTime,
        is_lengthened: bool,
        failures: &[(ImageSlot, EndReason)],
    ) {
        let mut ended = BTreeMap::new();
        let mut asking = Vec::new();
        let reason_of = |slot: ImageSlot| {
            failures.iter().find(|(failed, _)| *failed == slot).map(|(_, reason)| *reason)
        };
        for (stream, state) in &self.streams {
            let mut held = state.held.iter().enumerate();
            let failed = held.find_map(|(at, (_, image))| Some((at, reason_of(*image)?)));
            let Some((position, reason)) = failed else { continue };
            if !is_lengthened && self.segment_due(stream, position) <= now {
                ended.entry(state.session).or_insert(reason);
            }
            asking.push((stream, position));
        }
        for &(stream, position) in &asking {
            let segment = self.streams[stream].held[position].0;
            self.cut_held(stream, position, |image| reason_of(image).is_some());
            self.streams[stream].unread = (!is_lengthened).then_some(segment);
        }
        for (slot, _) in failures {
            self.counters.reads_failed += 1;
            self.cache.abandon(*slot);
        }
        for (session, reason) in ended {
            self.end_session(now, session, Some(reason));
        }
        for (stream, _) in asking {
            if self.streams.get(stream).is_some_and(super::Stream::awaits_image) {
                self.plan(now, stream);
            }
        }
    }
}
