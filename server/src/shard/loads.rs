//! From a stream's wish for a segment to an image in the cache: reads, and what they bring.

use super::Shard;
use super::cache::{ImageKey, ImageSlot};
use super::operation::{BlockMemory, BlockRun, Operation, ReadId, ReadResult, SourceSlot};
use super::pool::BlockPool;
use crate::clock::MonoTime;
use crate::mailbox::EndReason;
use packetizer::image::{ImageError, ImageRequest, PacketImage};
use packetizer::index::{AccessUnitEntry, Extent, SegmentId, TrackId, TrackSet};
use packetizer::sdp;
use slab::Slab;
use std::collections::VecDeque;

/// Times a read may come back short before the file counts as shrunk.
const READ_TRIES_MAX: u8 = 3;

/// One extent on its way into the pool.
#[derive(Debug)]
struct Part {
    extent: Extent,
    /// Where the read starts: the extent's offset, rounded down to the alignment.
    offset: u64,
    /// What the read asks for: to the extent's end, rounded up.
    bytes: u32,
    blocks: Option<BlockRun>,
    tries: u8,
    issued: MonoTime,
}

/// A segment that is being read for some tracks.
#[derive(Debug)]
struct Load {
    source: SourceSlot,
    segment: SegmentId,
    /// The tracks, their loading images and the streams that caused them.
    images: Vec<(TrackId, ImageSlot, usize)>,
    key: ImageKey,
    parts: Vec<Part>,
    /// Parts not read yet.
    remaining: usize,
    failure: Option<EndReason>,
}

/// The loads of a shard, under way and queued.
#[derive(Debug)]
pub(super) struct Loads {
    loads: Slab<Load>,
    /// Load and part of each read under way.
    reads: Slab<(usize, usize)>,
    /// Loads that wait for blocks or for the queue depth, the oldest first.
    queue: VecDeque<usize>,
    pool: BlockPool,
    reads_max: usize,
    /// Bytes that all loads will bring.
    bytes: usize,
    extents: Vec<Extent>,
}

impl Loads {
    /// No loads, over a pool of `block_count` blocks, with at most `reads_max` reads at once.
    pub(super) fn new(block_count: u32, reads_max: usize) -> Self {
        Self {
            loads: Slab::new(),
            reads: Slab::new(),
            queue: VecDeque::new(),
            pool: BlockPool::new(block_count),
            reads_max,
            bytes: 0,
            extents: Vec::new(),
        }
    }

    /// Whether nothing is under way and every block is free.
    pub(super) fn is_idle(&self) -> bool {
        self.loads.is_empty() && self.reads.is_empty() && self.blocks_taken() == 0
    }

    /// Blocks that reads have, or what came of them.
    pub(super) const fn blocks_taken(&self) -> u32 {
        self.pool.block_count() - self.pool.free_count()
    }

    /// Starts queued loads as far as blocks and queue depth go.
    fn start(&mut self, now: MonoTime, operations: &mut Vec<Operation>) {
        while let Some(&slot) = self.queue.front() {
            let load = &mut self.loads[slot];
            if !self.reads.is_empty() && self.reads.len() + load.parts.len() > self.reads_max {
                return;
            }
            if !reserve(&mut self.pool, &mut load.parts) {
                return;
            }
            for (index, part) in load.parts.iter_mut().enumerate() {
                let read = u32::try_from(self.reads.insert((slot, index))).expect("bounded");
                part.issue(ReadId(read), load.source, now, operations);
            }
            self.queue.pop_front();
        }
    }
}

impl Part {
    fn new(extent: Extent, alignment: u64) -> Self {
        let offset = extent.offset / alignment * alignment;
        let end = (extent.offset + u64::from(extent.bytes)).next_multiple_of(alignment);
        let bytes = u32::try_from(end - offset).expect("extents are bounded by the index");
        Self { extent, offset, bytes, blocks: None, tries: 0, issued: MonoTime::default() }
    }

    fn issue(
        &mut self,
        read: ReadId,
        source: SourceSlot,
        now: MonoTime,
        operations: &mut Vec<Operation>,
    ) {
        self.tries += 1;
        self.issued = now;
        let blocks = self.blocks.expect("reserved before it is issued");
        let (offset, bytes) = (self.offset, self.bytes);
        operations.push(Operation::Read { read, source, offset, bytes, blocks });
    }

    /// Bytes a read must bring to cover the extent.
    fn wanted_bytes(&self) -> u64 {
        self.extent.offset + u64::from(self.extent.bytes) - self.offset
    }

    fn holds(&self, unit: &AccessUnitEntry) -> bool {
        unit.offset >= self.extent.offset
            && unit.offset + u64::from(unit.bytes)
                <= self.extent.offset + u64::from(self.extent.bytes)
    }
}

/// Reserves blocks for all parts or for none.
fn reserve(pool: &mut BlockPool, parts: &mut [Part]) -> bool {
    for index in 0..parts.len() {
        parts[index].blocks = pool.reserve(parts[index].bytes);
        if parts[index].blocks.is_none() {
            for part in &mut parts[..index] {
                pool.release(part.blocks.take().expect("reserved above"));
            }
            return false;
        }
    }
    true
}

impl Shard {
    /// Holds for `stream` the image of its track in `segment`, loading it if nobody has; `None`
    /// when there is no memory for it now.
    pub(super) fn acquire_image(
        &mut self,
        now: MonoTime,
        stream: usize,
        segment: SegmentId,
        operations: &mut Vec<Operation>,
    ) -> Option<ImageSlot> {
        let key = self.image_key(stream, segment);
        let slot = if let Some(slot) = self.cache.find(&key) {
            self.counters.image_hits += 1;
            slot
        } else {
            self.begin_load(key, stream)?;
            self.loads.start(now, operations);
            self.cache.find(&key)?
        };
        self.cache.hold(slot);
        Some(slot)
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
        let (slot, index) = self.loads.reads[read.0 as usize];
        let load = &mut self.loads.loads[slot];
        let part = &mut load.parts[index];
        match result {
            ReadResult::Read(bytes) if u64::from(bytes) >= part.wanted_bytes() => {
                self.counters.reads += 1;
                self.counters.read_bytes += u64::from(bytes);
                let micros = now.nanos_since(part.issued).max(0).cast_unsigned() / 1000;
                self.counters.read_micros.saturating_record(micros);
            }
            ReadResult::Read(_) if part.tries < READ_TRIES_MAX => {
                part.issue(read, load.source, now, operations);
                return;
            }
            ReadResult::Read(_) => load.failure = Some(EndReason::SourceFailed(None)),
            ReadResult::Failed(errno) => load.failure = Some(EndReason::SourceFailed(Some(errno))),
        }
        self.loads.reads.remove(read.0 as usize);
        load.remaining -= 1;
        if load.remaining == 0 {
            self.finish_load(now, slot, memory);
        }
        self.loads.start(now, operations);
    }

    fn image_key(&self, stream: usize, segment: SegmentId) -> ImageKey {
        let stream = &self.streams[stream];
        ImageKey {
            source: self.sessions[stream.session].source,
            segment,
            track: stream.track,
            class: stream.class,
            framing: stream.transport.framing(),
        }
    }

    /// Queues a load of `key` and of what the session's other streams will want of the segment.
    fn begin_load(&mut self, key: ImageKey, stream: usize) -> Option<()> {
        let index = &self.sources.title(key.source).index;
        let mut tracks = TrackSet::EMPTY;
        let mut wanted = Vec::new();
        for &sibling in &self.sessions[self.streams[stream].session].streams {
            let other = self.image_key(sibling, key.segment);
            let alike = other.class == key.class && other.framing == key.framing;
            let has_units = index.units(other.track, key.segment).next().is_some();
            if alike && has_units && self.cache.find(&other).is_none() {
                tracks = tracks.with(other.track);
                wanted.push((other, sibling));
            }
        }
        let mut extents = std::mem::take(&mut self.loads.extents);
        index.extents(key.segment, tracks, &mut extents);
        let bytes: usize = extents.iter().map(|extent| extent.bytes as usize).sum();
        let alignment = self.sources.title(key.source).alignment();
        let parts: Vec<Part> = extents.iter().map(|extent| Part::new(*extent, alignment)).collect();
        self.loads.extents = extents;
        if !self.cache.make_room(bytes + self.loads.bytes) {
            return None;
        }
        let fits = self.loads.pool.could_hold(parts.iter().map(|part| part.bytes));
        let images = wanted
            .into_iter()
            .map(|(key, sibling)| (key.track, self.cache.begin(key), sibling))
            .collect();
        let failure = (!fits).then_some(EndReason::MediaInvalid);
        let remaining = parts.len();
        let (source, segment) = (key.source, key.segment);
        self.sources.acquire(source);
        self.loads.bytes += bytes;
        let load = Load { source, segment, images, key, parts, remaining, failure };
        let slot = self.loads.loads.insert(load);
        if fits && remaining > 0 {
            self.loads.queue.push_back(slot);
        } else {
            self.unreadable.push(slot);
        }
        Some(())
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
        let load = self.loads.loads.remove(slot);
        self.loads.bytes -= load.parts.iter().map(|part| part.extent.bytes as usize).sum::<usize>();
        let mut failures = Vec::new();
        for &(track, image, stream) in &load.images {
            let built = match load.failure {
                Some(reason) => Err(reason),
                None => self
                    .build_image(&load, track, image, stream, memory)
                    .map_err(|_| EndReason::MediaInvalid),
            };
            match built {
                Ok(built) => self.image_ready(image, built),
                Err(reason) => failures.push((image, reason)),
            }
        }
        for run in load.parts.iter().filter_map(|part| part.blocks) {
            self.loads.pool.release(run);
        }
        for (image, reason) in failures {
            self.image_failed(now, image, reason);
        }
        self.sources.release(load.source, now);
    }

    fn build_image(
        &mut self,
        load: &Load,
        track: TrackId,
        image: ImageSlot,
        stream: usize,
        memory: &impl BlockMemory,
    ) -> Result<PacketImage, ImageError> {
        let title = self.sources.title(load.source);
        let request = ImageRequest {
            index: &title.index,
            track,
            segment: load.segment,
            class: load.key.class,
            framing: load.key.framing,
            payload_type: sdp::payload_type(track),
            numbering: self.expected_numbering(stream, track, image),
        };
        let unit_bytes = |unit: &AccessUnitEntry| {
            // Parts are disjoint and sorted, and a hostile file has many.
            let behind = load.parts.partition_point(|part| part.extent.offset <= unit.offset);
            let part = load.parts[..behind].last().filter(|part| part.holds(unit))?;
            let bytes = memory.bytes(part.blocks?, part.bytes);
            let start = usize::try_from(unit.offset - part.offset).ok()?;
            bytes.get(start..start + unit.bytes as usize)
        };
        let units = title.index.units(track, load.segment);
        let bytes = units.map(|unit| unit.bytes as usize).sum();
        let built = PacketImage::build(request, unit_bytes, self.cache.storage(bytes));
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

    /// Ends the sessions that hold an image which cannot be had.
    fn image_failed(&mut self, now: MonoTime, slot: ImageSlot, reason: EndReason) {
        self.counters.reads_failed += 1;
        self.cache.abandon(slot);
        let mut sessions = Vec::new();
        for (_, stream) in &mut self.streams {
            let held = stream.held.len();
            stream.held.retain(|(_, image)| *image != slot);
            if stream.held.len() < held && !sessions.contains(&stream.session) {
                sessions.push(stream.session);
            }
        }
        for session in sessions {
            self.end_session(now, session, Some(reason));
        }
    }
}
