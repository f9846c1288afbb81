//! The simulated network: datagram sends that find the socket full or fail, and connections with
//! a socket buffer that their readers empty, or do not.

use super::faults::Faults;
use crate::mailbox::ConnectionId;
use crate::shard::Shard;
use crate::shard::egress::Destination;
use crate::shard::operation::{ConnectionSlot, PairId, PairSocket, SendResult};
use fastrand::Rng;
use std::collections::{BTreeMap, HashSet, VecDeque};
use std::net::SocketAddr;

/// `ECONNRESET`.
const CONNECTION_RESET: i32 = 104;
/// Bytes a connection's socket buffer holds.
const SOCKET_BUFFER_BYTES: usize = 128 * 1024;
/// `EHOSTUNREACH`.
const HOST_UNREACHABLE: i32 = 113;

/// One packet as a viewer's kernel got it.
#[derive(Debug)]
pub(super) struct Arrival {
    pub(super) to: SocketAddr,
    pub(super) bytes: Vec<u8>,
}

/// A connection of a viewer, as the kernel has it.
#[derive(Debug)]
pub(super) struct Pipe {
    /// What the server wrote and the viewer has not read.
    pub(super) buffer: Vec<u8>,
    /// How much of it was looked at when it was written.
    seen: usize,
    /// Bytes that the buffer takes.
    pub(super) buffer_bytes_max: usize,
    /// The shard wants to know when there is room.
    pub(super) is_watched: bool,
    /// What arrived and the server has not read.
    pub(super) input: VecDeque<u8>,
    /// The viewer is gone: reads end, writes fail.
    pub(super) is_broken: bool,
    /// The shard wants no input.
    pub(super) is_paused: bool,
    /// The server has closed it.
    pub(super) is_closed: bool,
}

impl Pipe {
    pub(super) fn new(buffer_bytes_max: usize) -> Self {
        Self {
            buffer: Vec::new(),
            seen: 0,
            buffer_bytes_max,
            is_watched: false,
            input: VecDeque::new(),
            is_broken: false,
            is_paused: false,
            is_closed: false,
        }
    }

    /// Takes of `bytes` what there is room for, and says how much.
    pub(super) fn write(&mut self, bytes: &[u8]) -> usize {
        let count = bytes.len().min(self.buffer_bytes_max - self.buffer.len());
        self.buffer.extend_from_slice(&bytes[..count]);
        count
    }

    /// Whether there is room for so many bytes.
    pub(super) fn has_room(&self, bytes: usize) -> bool {
        self.buffer.len() + bytes <= self.buffer_bytes_max
    }

    /// The viewer reads up to so many bytes.
    pub(super) fn read(&mut self, bytes_max: usize) -> Vec<u8> {
        let count = self.buffer.len().min(bytes_max);
        self.seen = self.seen.saturating_sub(count);
        self.buffer.drain(..count).collect()
    }

    /// What was written since the last look.
    pub(super) fn look(&mut self) -> Vec<u8> {
        let bytes = self.buffer[self.seen..].to_vec();
        self.seen = self.buffer.len();
        bytes
    }
}

/// A shard and its slot of a connection.
pub(super) type PipeSlot = (usize, ConnectionSlot);

/// The network.
#[derive(Debug, Default)]
pub(super) struct SimNet {
    pub(super) pipes: BTreeMap<ConnectionId, Pipe>,
    /// Connections that a shard has.
    pub(super) slots: BTreeMap<PipeSlot, ConnectionId>,
    pub(super) arrivals: Vec<Arrival>,
    /// Packets that sends which failed took with them, by destination.
    pub(super) lost: BTreeMap<SocketAddr, u64>,
}

impl SimNet {
    /// A shard takes a connection over.
    pub(super) fn open(&mut self, slot: PipeSlot, id: ConnectionId) {
        let before = self.slots.insert(slot, id);
        assert!(before.is_none(), "{slot:?} was open");
        self.pipes.entry(id).or_insert_with(|| Pipe::new(SOCKET_BUFFER_BYTES));
    }

    /// A shard closes its connection.
    pub(super) fn close(&mut self, slot: PipeSlot) {
        self.pipe_of(slot).is_closed = true;
        self.slots.remove(&slot);
    }

    /// The connection that a shard has in that slot.
    pub(super) fn pipe_of(&mut self, slot: PipeSlot) -> &mut Pipe {
        let id = self.slots.get(&slot).expect("the shard has it open");
        self.pipes.get_mut(id).expect("an open connection is there")
    }

    /// Connections with something written that nobody has looked at.
    pub(super) fn unseen(&self) -> impl Iterator<Item = ConnectionId> + '_ {
        let pipes = self.pipes.iter();
        pipes.filter(|(_, pipe)| pipe.seen < pipe.buffer.len()).map(|(id, _)| *id)
    }

    /// Where a shard has the connection.
    pub(super) fn slot_of(&self, id: ConnectionId) -> Option<PipeSlot> {
        self.slots.iter().find(|(_, other)| **other == id).map(|(slot, _)| *slot)
    }

    /// Performs the batch of shard `index`.
    pub(super) fn send(
        &mut self,
        index: usize,
        shard: &Shard,
        faults: &Faults,
        random: &mut Rng,
    ) -> Vec<SendResult> {
        let egress = shard.egress();
        let mut full_pairs: HashSet<(PairId, PairSocket)> = HashSet::new();
        let mut full_pipes = HashSet::new();
        let mut results = Vec::with_capacity(egress.entries.len());
        for entry in &egress.entries {
            let pieces = &egress.pieces[entry.pieces.start as usize..entry.pieces.end as usize];
            let bytes = pieces.iter().map(|piece| shard.piece(*piece)).collect::<Vec<_>>().concat();
            assert_eq!(bytes.len(), entry.bytes as usize, "an entry has the bytes it says");
            results.push(match entry.destination {
                Destination::Datagrams {
                    pair, socket, to, segment_bytes, segment_count, ..
                } => {
                    if full_pairs.contains(&(pair, socket))
                        || Faults::hits(random, faults.full_one_in)
                    {
                        full_pairs.insert((pair, socket));
                        SendResult::Full
                    } else if Faults::hits(random, faults.failed_send_one_in) {
                        *self.lost.entry(to).or_default() += u64::from(segment_count);
                        SendResult::Failed(HOST_UNREACHABLE)
                    } else {
                        let segments: Vec<&[u8]> =
                            bytes.chunks(usize::from(segment_bytes)).collect();
                        assert_eq!(segments.len(), usize::from(segment_count), "equal segments");
                        for segment in segments {
                            self.arrivals.push(Arrival { to, bytes: segment.to_vec() });
                        }
                        SendResult::Sent(entry.bytes)
                    }
                }
                Destination::Stream { connection } => {
                    let pipe = self.pipe_of((index, connection));
                    let is_open = !full_pipes.contains(&connection);
                    let taken = if is_open { pipe.write(&bytes) } else { 0 };
                    if taken < bytes.len() {
                        full_pipes.insert(connection);
                    }
                    match u32::try_from(taken).expect("bounded") {
                        _ if pipe.is_broken => SendResult::Failed(CONNECTION_RESET),
                        0 => SendResult::Full,
                        taken => SendResult::Sent(taken),
                    }
                }
            });
        }
        results
    }
}
