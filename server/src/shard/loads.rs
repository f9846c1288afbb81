//! Loads: segments on their way from the disk into images, under way and queued.
//!
//! One queue ([`LoadQueue`]) holds whatever waits for memory, for blocks of the read pool or for
//! the queue depth. Nothing passes the load whose turn it is.

use super::depth::QueueDepth;
use super::load::{Load, Part, Wanted};
use super::operation::{BLOCK_BYTES, Operation, ReadId, ReadResult};
use super::pool::BlockPool;
use super::queue::{Claim, LoadQueue, Started};
use crate::clock::MonoTime;
use crate::mailbox::EndReason;
use slab::Slab;
use std::collections::VecDeque;
use std::time::Duration;

/// Times a read may come back short before the file counts as shrunk.
const SHORT_READS_MAX: u8 = 3;
/// How long the kernel is left alone that had no memory or no queue for a read.
const RETRY_DELAY: Duration = Duration::from_millis(50);
/// Times a read is tried again after that: for as long as a viewer's buffer may last.
const RETRIES_MAX: u8 = 20;

/// Errors that say nothing about the file: `EINTR`, `EAGAIN`, `ENOMEM`.
const TRANSIENT: [i32; 3] = [4, 11, 12];

/// What a read that has ended means for its load.
pub(super) enum Ended {
    /// It is tried again.
    Again,
    /// Its bytes are there: how many, and after how long.
    Read(u64, Duration),
    /// It has failed.
    Failed,
}

/// The loads of a shard, under way and queued.
#[derive(Debug)]
pub(super) struct Loads {
    loads: Slab<Load>,
    /// Load and part of each read under way.
    reads: Slab<(usize, usize)>,
    /// Reads that are tried again, the next in front.
    retries: VecDeque<(MonoTime, ReadId)>,
    queue: LoadQueue,
    pool: BlockPool,
    depth: QueueDepth,
    /// What the images of started loads will take.
    reserved_bytes: usize,
    /// What the images of queued loads will take.
    queued_bytes: usize,
    waits: Waits,
}

/// What loads have waited for, in times that one was not started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Waits {
    /// As many reads were under way as the disk takes.
    pub(super) for_disk: u64,
    /// Images or the read pool had no room.
    pub(super) for_memory: u64,
}

impl Loads {
    /// No loads, over a pool of `block_count` blocks, with at most `reads_max` reads at once.
    pub(super) fn new(block_count: u32, reads_max: usize) -> Self {
        Self {
            loads: Slab::new(),
            reads: Slab::new(),
            retries: VecDeque::new(),
            queue: LoadQueue::default(),
            pool: BlockPool::new(block_count),
            depth: QueueDepth::new(reads_max),
            reserved_bytes: 0,
            queued_bytes: 0,
            waits: Waits::default(),
        }
    }

    /// Blocks that reads have, or what came of them.
    pub(super) const fn blocks_taken(&self) -> u32 {
        self.pool.block_count() - self.pool.free_count()
    }

    /// Whether nothing is under way and every block is free.
    pub(super) fn is_idle(&self) -> bool {
        self.loads.is_empty()
            && self.reads.is_empty()
            && self.retries.is_empty()
            && self.queue.is_empty()
            && self.awaited_bytes() == 0
            && self.blocks_taken() == 0
    }

    /// The slot of the next load.
    pub(super) fn vacant(&self) -> usize {
        self.loads.vacant_key()
    }

    /// Whether the pool could ever hold all parts at once.
    pub(super) fn could_hold(&self, parts: &[Part]) -> bool {
        self.pool.could_hold(parts.iter().map(|part| part.bytes))
    }

    /// Bytes of the whole pool.
    pub(super) fn pool_bytes(&self) -> u64 {
        u64::from(self.pool.block_count()) * BLOCK_BYTES as u64
    }

    /// What the images of started loads will take.
    pub(super) const fn reserved_bytes(&self) -> usize {
        self.reserved_bytes
    }

    /// What the images of all loads will take.
    pub(super) const fn awaited_bytes(&self) -> usize {
        self.reserved_bytes + self.queued_bytes
    }

    /// Enters a load that needs no read: it is started.
    pub(super) fn insert(&mut self, load: Load) -> usize {
        self.reserved_bytes += load.image_bytes;
        self.loads.insert(load)
    }

    /// Enters a load that somebody waits for.
    pub(super) fn enqueue(&mut self, claim: Claim, load: Load) {
        self.queued_bytes += load.image_bytes;
        let slot = self.loads.vacant_key();
        let queued = Some(self.queue.insert(claim, slot));
        self.loads.insert(Load { queued, ..load });
    }

    /// Has a load bring one more image, of a track and segment that it reads.
    pub(super) fn join(&mut self, slot: usize, wanted: Wanted, image_bytes: usize) {
        let load = &mut self.loads[slot];
        load.images.push(wanted);
        load.image_bytes += image_bytes;
        match load.queued {
            None => self.reserved_bytes += image_bytes,
            Some(_) => self.queued_bytes += image_bytes,
        }
    }

    /// Somebody else wants the images of a load, perhaps sooner.
    pub(super) fn hasten(&mut self, slot: usize, claim: Claim) {
        if let Some(place) = self.loads[slot].queued {
            self.loads[slot].queued = Some(self.queue.join(place, slot, claim));
        }
    }

    /// The load whose turn it is, of those that wait.
    pub(super) fn first_queued(&self, now: MonoTime) -> Option<usize> {
        self.queue.first(now)
    }

    /// How long whoever is not settled waits for a load.
    pub(super) fn wait(&self) -> Duration {
        self.queue.wait()
    }

    /// What loads have waited for.
    pub(super) const fn waits(&self) -> Waits {
        self.waits
    }

    /// There was no room for the images of the load whose turn it is.
    pub(super) const fn lacks_room(&mut self, now: MonoTime) {
        self.waits.for_memory += 1;
        self.queue.lacks_memory(now);
    }

    /// Whether the load waits to be started.
    pub(super) fn is_queued(&self, slot: usize) -> bool {
        self.loads[slot].queued.is_some()
    }

    pub(super) fn load(&self, slot: usize) -> &Load {
        &self.loads[slot]
    }

    /// Takes a load out of the queue that nobody wants any more.
    pub(super) fn cancel(&mut self, slot: usize) -> Load {
        let load = self.loads.remove(slot);
        self.queued_bytes -= load.image_bytes;
        self.queue.remove(load.queued.as_ref().expect("it was not started"));
        load
    }

    /// Takes blocks for a queued load, if queue depth and pool allow; then it will be started.
    pub(super) fn reserve(&mut self, slot: usize, now: MonoTime) -> bool {
        let parts = &mut self.loads[slot].parts;
        let is_deep = !self.reads.is_empty() && self.reads.len() + parts.len() > self.depth.get();
        let is_reserved = !is_deep && reserve(&mut self.pool, parts);
        if is_deep {
            self.waits.for_disk += 1;
        } else if !is_reserved {
            self.lacks_room(now);
        }
        is_reserved
    }

    /// Gives the blocks of a queued load back.
    pub(super) fn unreserve(&mut self, slot: usize) {
        for part in &mut self.loads[slot].parts {
            self.pool.release(part.blocks.take().expect("all were reserved"));
        }
    }

    /// Issues the reads of a queued load that has its blocks.
    pub(super) fn start(
        &mut self,
        slot: usize,
        now: MonoTime,
        operations: &mut Vec<Operation>,
    ) -> Started {
        let load = &mut self.loads[slot];
        let started = self.queue.start(now, &load.queued.take().expect("started once"));
        self.queued_bytes -= load.image_bytes;
        self.reserved_bytes += load.image_bytes;
        let reads = load.reads();
        for (index, part) in load.parts.iter_mut().enumerate() {
            let read = u32::try_from(self.reads.insert((slot, index))).expect("bounded");
            part.issue(ReadId(read), now, reads, operations);
        }
        started
    }

    /// A read has ended. Gives how, and its load if that was the last of it.
    pub(super) fn read_ended(
        &mut self,
        now: MonoTime,
        read: ReadId,
        result: ReadResult,
        operations: &mut Vec<Operation>,
    ) -> (Ended, Option<usize>) {
        let (slot, index) = self.reads[read.0 as usize];
        let load = &mut self.loads[slot];
        let reads = load.reads();
        let part = &mut load.parts[index];
        let ended = match result {
            ReadResult::Read(bytes) if u64::from(bytes) >= part.wanted_bytes() => {
                let time = now - part.issued;
                self.depth.read_ended(now, part.issued, time, !self.queue.is_empty());
                Ended::Read(bytes.into(), time)
            }
            ReadResult::Read(_) if part.short_reads + 1 < SHORT_READS_MAX => {
                part.short_reads += 1;
                part.issue(read, now, reads, operations);
                return (Ended::Again, None);
            }
            ReadResult::Failed(errno)
                if TRANSIENT.contains(&errno) && part.retries < RETRIES_MAX =>
            {
                part.retries += 1;
                self.retries.push_back((now + RETRY_DELAY, read));
                return (Ended::Again, None);
            }
            ReadResult::Read(_) => {
                load.failure = Some(EndReason::SourceFailed(None));
                Ended::Failed
            }
            ReadResult::Failed(errno) => {
                load.failure = Some(EndReason::SourceFailed(Some(errno)));
                Ended::Failed
            }
        };
        self.reads.remove(read.0 as usize);
        load.remaining -= 1;
        (ended, (load.remaining == 0).then_some(slot))
    }

    /// When a read is next tried again.
    pub(super) fn deadline(&self) -> Option<MonoTime> {
        self.retries.front().map(|(at, _)| *at)
    }

    /// Tries reads again whose time has come.
    pub(super) fn retry(&mut self, now: MonoTime, operations: &mut Vec<Operation>) {
        while let Some((_, read)) = self.retries.pop_front_if(|(at, _)| *at <= now) {
            let (slot, index) = self.reads[read.0 as usize];
            let load = &mut self.loads[slot];
            let reads = load.reads();
            load.parts[index].issue(read, now, reads, operations);
        }
    }

    /// Takes out a load whose reads have all ended. Its blocks stay reserved until
    /// [`Self::release`].
    pub(super) fn finish(&mut self, slot: usize) -> Load {
        let load = self.loads.remove(slot);
        self.reserved_bytes -= load.image_bytes;
        load
    }

    /// Gives the blocks of a finished load back.
    pub(super) fn release(&mut self, load: &Load) {
        for run in load.parts.iter().filter_map(|part| part.blocks) {
            self.pool.release(run);
        }
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

#[cfg(test)]
mod tests;
