//! The simulated network: datagram sends that find the socket full or fail, and connections with
//! a socket buffer that their readers empty, or do not.

use super::faults::Faults;
use crate::mailbox::ConnectionId;
use crate::shard::Shard;
use crate::shard::egress::Destination;
use crate::shard::operation::{ConnectionSlot, PairId, PairSocket, SendResult};
use fastrand::Rng;
use std::collections::{BTreeMap, HashSet};
use std::net::SocketAddr;

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

/// A connection between a viewer and the shard.
#[derive(Debug)]
pub(super) struct Pipe {
    pub(super) id: ConnectionId,
    /// What the shard wrote and the viewer has not read.
    pub(super) buffer: Vec<u8>,
    /// The shard wants to know when there is room.
    pub(super) is_watched: bool,
}

/// The network.
#[derive(Debug, Default)]
pub(super) struct SimNet {
    pub(super) pipes: BTreeMap<ConnectionSlot, Pipe>,
    pub(super) arrivals: Vec<Arrival>,
    /// Packets that sends which failed took with them, by destination.
    pub(super) lost: BTreeMap<SocketAddr, u64>,
}

impl SimNet {
    /// Performs the shard's batch.
    pub(super) fn send(
        &mut self,
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
            let bytes: Vec<u8> =
                pieces.iter().flat_map(|piece| shard.piece(*piece)).copied().collect();
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
                    let pipe = self.pipes.get_mut(&connection).expect("an open connection");
                    let room = SOCKET_BUFFER_BYTES - pipe.buffer.len();
                    let taken = room.min(bytes.len());
                    if full_pipes.contains(&connection) || taken == 0 {
                        full_pipes.insert(connection);
                        SendResult::Full
                    } else {
                        if taken < bytes.len() {
                            full_pipes.insert(connection);
                        }
                        pipe.buffer.extend_from_slice(&bytes[..taken]);
                        SendResult::Sent(u32::try_from(taken).expect("bounded"))
                    }
                }
            });
        }
        results
    }
}
