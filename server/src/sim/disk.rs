//! A disk with a latency of its own, that is slow, short or failing now and then, and the read pool
//! it fills.

use super::agenda::Agenda;
use super::faults::{Faults, HardDisk};
use super::surroundings::Surroundings;
use super::title::file_of;
use crate::clock::MonoTime;
use crate::shard::operation::{BLOCK_BYTES, BlockMemory, BlockRun, ReadId, ReadResult, SourceSlot};
use crate::title::ByteSourceId;
use fastrand::Rng;
use std::collections::HashMap;
use std::time::Duration;

/// `EIO`.
const INPUT_OUTPUT_ERROR: i32 = 5;
/// `EINTR`, `EAGAIN`, `ENOMEM`.
const INTERRUPTED: [i32; 3] = [4, 11, 12];

#[derive(Debug)]
struct Pending {
    read: ReadId,
    source: SourceSlot,
    offset: u64,
    bytes: u32,
    blocks: BlockRun,
}

/// The disk and the read pool.
#[derive(Debug)]
pub(super) struct SimDisk {
    memory: Vec<u8>,
    /// Which blocks the kernel has.
    in_kernel: Vec<bool>,
    sources: HashMap<SourceSlot, &'static [u8]>,
    pending: Agenda<Pending>,
    head: Head,
}

/// The one head of a disk that turns.
#[derive(Debug, Default)]
struct Head {
    /// Where it has read to.
    at: Option<(SourceSlot, u64)>,
    /// When it has done what was asked of it.
    free: MonoTime,
    /// How long it has worked.
    busy: Duration,
}

impl Head {
    /// Reads, behind what was asked before; gives when that is done.
    fn read(
        &mut self,
        disk: HardDisk,
        now: MonoTime,
        (source, offset, bytes): (SourceSlot, u64, u32),
        random: &mut Rng,
    ) -> MonoTime {
        let follows = self.at == Some((source, offset));
        let seek =
            if follows { 0 } else { disk.seek_micros + random.u64(..disk.turn_micros.max(1)) };
        let nanos = seek * 1000 + u64::from(bytes) * 1000 / disk.bytes_per_micro.max(1);
        self.at = Some((source, offset + u64::from(bytes)));
        self.free = MonoTime(self.free.max(now).0 + nanos);
        self.busy += Duration::from_nanos(nanos);
        self.free
    }
}

/// A read that has ended.
#[derive(Debug)]
pub(super) struct Done {
    pub(super) read: ReadId,
    pub(super) result: ReadResult,
}

impl SimDisk {
    pub(super) fn new(blocks: u32) -> Self {
        Self {
            memory: vec![0; blocks as usize * BLOCK_BYTES],
            in_kernel: vec![false; blocks as usize],
            sources: HashMap::new(),
            pending: Agenda::default(),
            head: Head::default(),
        }
    }

    pub(super) fn open(&mut self, slot: SourceSlot, source: ByteSourceId) {
        let before = self.sources.insert(slot, file_of(source));
        assert!(before.is_none(), "{slot:?} was open");
    }

    pub(super) fn close(&mut self, slot: SourceSlot) {
        self.sources.remove(&slot).expect("it was open");
        assert!(
            self.pending.events().all(|pending| pending.source != slot),
            "{slot:?} is closed with a read under way"
        );
    }

    /// Takes a read; it ends some time later.
    pub(super) fn read(
        &mut self,
        around: &mut Surroundings,
        read: ReadId,
        source: SourceSlot,
        offset: u64,
        bytes: u32,
        blocks: BlockRun,
    ) {
        assert!(bytes as usize <= blocks.count as usize * BLOCK_BYTES, "the read fits its run");
        for block in blocks.first..blocks.first + blocks.count {
            let taken = std::mem::replace(&mut self.in_kernel[block as usize], true);
            assert!(!taken, "block {block} is read into twice");
        }
        let Surroundings { now, faults, random, .. } = around;
        let pending = Pending { read, source, offset, bytes, blocks };
        if let Some(disk) = faults.hard_disk {
            let done = self.head.read(disk, *now, (source, offset, bytes), random);
            return self.pending.push(done, pending);
        }
        let micros = if Faults::hits(random, faults.slow_read_one_in) {
            faults.slow_read_micros
        } else {
            random.u64(20..=faults.read_micros_max.max(20))
        };
        self.pending.push(around.after(micros * 1000), pending);
    }

    pub(super) fn deadline(&self) -> Option<MonoTime> {
        self.pending.next()
    }

    /// The next read that has ended.
    pub(super) fn complete(&mut self, around: &mut Surroundings) -> Option<Done> {
        let Surroundings { now, faults, random, .. } = around;
        let pending = self.pending.pop_due(*now)?;
        let run = pending.blocks;
        self.in_kernel[run.first as usize..(run.first + run.count) as usize].fill(false);
        let read = pending.read;
        if Faults::hits(random, faults.failed_read_one_in) {
            return Some(Done { read, result: ReadResult::Failed(INPUT_OUTPUT_ERROR) });
        }
        if Faults::hits(random, faults.interrupted_read_one_in) {
            let errno = *random.choice(&INTERRUPTED).expect("some");
            return Some(Done { read, result: ReadResult::Failed(errno) });
        }
        let file = self.sources[&pending.source];
        let start = usize::try_from(pending.offset).expect("small files").min(file.len());
        let mut bytes = (pending.bytes as usize).min(file.len() - start);
        if Faults::hits(random, faults.short_read_one_in) {
            bytes = random.usize(..=bytes);
        }
        let memory = run.first as usize * BLOCK_BYTES;
        self.memory[memory..memory + bytes].copy_from_slice(&file[start..start + bytes]);
        let result = ReadResult::Read(u32::try_from(bytes).expect("bounded by the run"));
        Some(Done { read, result })
    }

    /// How long the head has worked.
    pub(super) const fn busy(&self) -> Duration {
        self.head.busy
    }

    pub(super) fn is_idle(&self) -> bool {
        self.pending.is_empty()
    }
}

impl BlockMemory for SimDisk {
    fn bytes(&self, run: BlockRun, bytes: u32) -> &[u8] {
        let blocks = run.first as usize..(run.first + run.count) as usize;
        assert!(!self.in_kernel[blocks].contains(&true), "{run:?} is the kernel's");
        let start = run.first as usize * BLOCK_BYTES;
        &self.memory[start..start + bytes as usize]
    }
}
