//! A shard with its disk, as its shell runs it.

use super::disk::{Done, SimDisk};
use super::faults::Memory;
use super::surroundings::{Surroundings, WALLCLOCK};
use crate::clock::MonoTime;
use crate::mailbox::{Command, ConnectionId, Report};
use crate::shard::counters::Counters;
use crate::shard::operation::{ConnectionSlot, Datagram, Operation};
use crate::shard::{FirstNumbers, LENGTHENED_MAX, Shard, ShardConfig};
use packetizer::image::Bursts;
use std::time::Duration;

/// What a single image may take beyond a tiny budget.
const IMAGE_BYTES_SLACK: usize = 100_000;
/// Pairs of a shard.
pub(super) const PAIRS: u16 = 4;
/// The RTP port of the first pair of the first shard.
pub(super) const PORT_MIN: u16 = 6970;
/// Ports from one shard to the next.
pub(super) const PORTS_A_SHARD: u16 = 2 * PAIRS;

/// A shard under simulation.
#[derive(Debug)]
pub(super) struct SimShard {
    index: usize,
    shard: Shard,
    disk: SimDisk,
    operations: Vec<Operation>,
    memory: Memory,
}

impl SimShard {
    pub(super) fn new(
        index: usize,
        seed: u64,
        session_timeout: Duration,
        memory: Option<Memory>,
    ) -> Self {
        let memory = memory.unwrap_or(Memory::PLENTY);
        let port = PORT_MIN + PORTS_A_SHARD * u16::try_from(index).expect("few");
        let config = ShardConfig {
            rtp_ports: (0..PAIRS).map(|pair| port + 2 * pair).collect(),
            sessions_max: 400,
            streams_max: 800,
            image_bytes_max: memory.image_bytes_max,
            read_blocks: memory.read_blocks,
            session_timeout,
            coalescing: coalescing(seed),
            launch_ahead: launch_ahead(seed),
            interleaved_ahead: interleaved_ahead(seed),
            bursts: Bursts::default(),
            cname: "sim".to_owned(),
            seed: seed ^ index as u64,
            // In half of the worlds all numbers wrap within seconds.
            first_numbers: (seed % 2 == 1).then_some(FirstNumbers {
                sequence: u16::MAX - 300,
                timestamp: u32::MAX - 300_000,
            }),
        };
        let shard = Shard::new(config, WALLCLOCK);
        let disk = SimDisk::new(memory.read_blocks);
        Self { index, shard, disk, operations: Vec::new(), memory }
    }

    /// What the shard has counted.
    pub(super) fn counters(&self) -> Counters {
        self.shard.counters()
    }

    /// How long its disk has worked.
    pub(super) const fn disk_busy(&self) -> Duration {
        self.disk.busy()
    }

    /// When it has something to do by itself.
    pub(super) fn deadline(&self) -> Option<MonoTime> {
        [self.disk.deadline(), self.shard.deadline()].into_iter().flatten().min()
    }

    /// Whether everything was given back; says what was not.
    pub(super) fn check_empty(&self) -> Result<(), String> {
        if !self.disk.is_idle() {
            return Err("reads under way".to_owned());
        }
        self.shard.check_empty()
    }

    /// Connections that sessions go through.
    pub(super) fn carrying(&self) -> impl Iterator<Item = ConnectionId> + '_ {
        self.shard.carrying()
    }

    /// Tells the shard of the reads that have ended.
    pub(super) fn complete_reads(&mut self, around: &mut Surroundings) {
        let now = around.now;
        while let Some(Done { read, result }) = self.disk.complete(around) {
            around.note(&format!("{read:?} {result:?}"));
            self.shard.read_completed(now, read, result, &self.disk, &mut self.operations);
            self.perform(around);
        }
    }

    pub(super) fn command(&mut self, around: &mut Surroundings, command: Command) {
        self.shard.command(around.now, command, &mut self.operations);
        self.perform(around);
    }

    pub(super) fn received(
        &mut self,
        around: &mut Surroundings,
        connection: ConnectionSlot,
        bytes: &[u8],
    ) {
        self.shard.connection_received(around.now, connection, bytes, &mut self.operations);
        self.perform(around);
    }

    pub(super) fn closed(&mut self, around: &mut Surroundings, connection: ConnectionSlot) {
        self.shard.connection_closed(around.now, connection, None, &mut self.operations);
        self.perform(around);
    }

    pub(super) fn writable(&mut self, connection: ConnectionSlot) {
        self.shard.connection_writable(connection);
    }

    pub(super) fn datagram(&mut self, around: &Surroundings, datagram: Datagram<'_>) {
        self.shard.datagram(around.now, datagram);
    }

    /// Does what is due and sends one batch. Whether there was one.
    pub(super) fn advance(&mut self, around: &mut Surroundings) -> bool {
        self.shard.advance(around.now, &mut self.operations);
        self.perform(around);
        // An image's size is known when it is built; estimates come near.
        let bytes_max = self.memory.image_bytes_max * 9 / 8 + IMAGE_BYTES_SLACK;
        assert!(self.shard.image_bytes() <= bytes_max, "{} bytes", self.shard.image_bytes());
        if self.shard.egress().entries.is_empty() {
            return false;
        }
        let results = around.net.send(self.index, &self.shard, &around.faults, &mut around.random);
        self.shard.sent(around.now, &results, &mut self.operations);
        self.perform(around);
        true
    }

    pub(super) fn take_report(&mut self) -> Option<Report> {
        self.shard.take_report()
    }

    fn perform(&mut self, around: &mut Surroundings) {
        for operation in self.operations.drain(..) {
            match operation {
                Operation::OpenSource { source, title } => self.disk.open(source, title.source),
                Operation::CloseSource { source } => self.disk.close(source),
                Operation::Read { read, source, offset, bytes, blocks, is_urgent: _ } => {
                    self.disk.read(around, read, source, offset, bytes, blocks);
                }
                Operation::OpenConnection { connection, id, .. } => {
                    around.net.open((self.index, connection), id);
                }
                Operation::PauseInput { connection } => {
                    around.net.pipe_of((self.index, connection)).is_paused = true;
                }
                Operation::ResumeInput { connection } => {
                    around.net.pipe_of((self.index, connection)).is_paused = false;
                }
                Operation::WatchWritable { connection } => {
                    around.net.pipe_of((self.index, connection)).is_watched = true;
                }
                // The clients that stop reading have vanished.
                Operation::AskPeer { .. } => {}
                Operation::CloseConnection { connection } => {
                    around.net.close((self.index, connection));
                }
            }
        }
    }
}

/// How much of what an interleaved viewer is sent leaves together.
pub(super) const fn interleaved_ahead(seed: u64) -> Duration {
    Duration::from_millis(seed / 3 % 3 * 100)
}

/// How long the shortest wave is.
const fn coalescing(seed: u64) -> Duration {
    Duration::from_millis(seed % 3 * 2)
}

/// How long the longest wave is, at whose beginning all of it leaves.
pub(super) const fn longest_wave(seed: u64) -> Duration {
    coalescing(seed).saturating_mul(LENGTHENED_MAX)
}

/// How far ahead datagrams are handed over. Nobody in a world keeps them until then, so that they
/// arrive as much too early.
pub(super) const fn launch_ahead(seed: u64) -> Duration {
    Duration::from_millis(seed / 9 % 2 * 5)
}
