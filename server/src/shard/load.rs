//! One load: the extents of a segment on their way into the read pool, and the images to be made of
//! them.

use super::cache::{ImageKey, ImageSlot};
use super::operation::{BlockMemory, BlockRun, Operation, ReadId, SourceSlot};
use super::queue::Place;
use crate::clock::MonoTime;
use crate::mailbox::EndReason;
use packetizer::index::{AccessUnitEntry, Extent};

/// What the reads of a load have in common.
#[derive(Clone, Copy, Debug)]
pub(super) struct ReadOf {
    source: SourceSlot,
    is_urgent: bool,
}

/// One extent on its way into the pool.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) extent: Extent,
    /// Where the read starts: the extent's offset, rounded down to the alignment.
    offset: u64,
    /// What the read asks for: to the extent's end, rounded up.
    pub(super) bytes: u32,
    pub(super) blocks: Option<BlockRun>,
    pub(super) short_reads: u8,
    pub(super) retries: u8,
    pub(super) issued: MonoTime,
}

impl Part {
    pub(super) fn new(extent: Extent, alignment: u64) -> Self {
        let offset = extent.offset / alignment * alignment;
        let end = (extent.offset + u64::from(extent.bytes)).next_multiple_of(alignment);
        let bytes = u32::try_from(end - offset).expect("extents are bounded by the index");
        let issued = MonoTime::default();
        Self { extent, offset, bytes, blocks: None, short_reads: 0, retries: 0, issued }
    }

    pub(super) fn issue(
        &mut self,
        read: ReadId,
        now: MonoTime,
        of: ReadOf,
        operations: &mut Vec<Operation>,
    ) {
        self.issued = now;
        let blocks = self.blocks.expect("reserved before it is issued");
        let (offset, bytes) = (self.offset, self.bytes);
        let ReadOf { source, is_urgent } = of;
        operations.push(Operation::Read { read, source, offset, bytes, blocks, is_urgent });
    }

    /// Bytes a read must bring to cover the extent.
    pub(super) fn wanted_bytes(&self) -> u64 {
        self.extent.offset + u64::from(self.extent.bytes) - self.offset
    }

    fn holds(&self, unit: &AccessUnitEntry) -> bool {
        unit.offset >= self.extent.offset
            && unit.offset + u64::from(unit.bytes)
                <= self.extent.offset + u64::from(self.extent.bytes)
    }
}

/// An image that a load will bring.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted {
    pub(super) key: ImageKey,
    pub(super) slot: ImageSlot,
}

/// A segment that is being read for some tracks, or waits for that.
#[derive(Debug)]
pub(super) struct Load {
    pub(super) source: SourceSlot,
    pub(super) images: Vec<Wanted>,
    /// In the order of the file. Where units overlap there, so may they; each unit is in the last
    /// part that begins no later.
    pub(super) parts: Vec<Part>,
    /// Parts not read yet.
    pub(super) remaining: usize,
    /// About what its images will take.
    pub(super) image_bytes: usize,
    pub(super) failure: Option<EndReason>,
    /// Its first packet was due soon when it was asked for.
    pub(super) is_urgent: bool,
    /// It takes later segments along.
    pub(super) is_lengthened: bool,
    /// Its place in the queue, unless it has been started.
    pub(super) queued: Option<Place>,
}

impl Load {
    pub(super) const fn new(
        source: SourceSlot,
        images: Vec<Wanted>,
        parts: Vec<Part>,
        image_bytes: usize,
    ) -> Self {
        let remaining = parts.len();
        let (failure, queued) = (None, None);
        let (is_urgent, is_lengthened) = (true, false);
        Self {
            source,
            images,
            parts,
            remaining,
            image_bytes,
            failure,
            is_urgent,
            is_lengthened,
            queued,
        }
    }

    pub(super) const fn reads(&self) -> ReadOf {
        ReadOf { source: self.source, is_urgent: self.is_urgent }
    }

    /// A unit's bytes, as they were read.
    pub(super) fn unit<'a>(
        &self,
        unit: &AccessUnitEntry,
        memory: &'a impl BlockMemory,
    ) -> Option<&'a [u8]> {
        // A hostile file has many parts.
        let behind = self.parts.partition_point(|part| part.extent.offset <= unit.offset);
        let part = self.parts[..behind].last().filter(|part| part.holds(unit))?;
        let bytes = memory.bytes(part.blocks?, part.bytes);
        let start = usize::try_from(unit.offset - part.offset).ok()?;
        bytes.get(start..start + unit.bytes as usize)
    }
}
