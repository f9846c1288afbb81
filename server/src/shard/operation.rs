//! What a shard asks of the shell, and what the shell tells it.
//!
//! The shard performs nothing: it pushes [`Operation`]s and fills an
//! [`Egress`](super::egress::Egress) batch; the shell (`server::uring`, or the simulator) performs
//! them and calls back with completions.

use crate::mailbox::ConnectionId;
use crate::title::SharedTitle;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;

/// Slot of an open byte source in a shard's table of registered files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceSlot(pub u32);

/// A read under way, unique while it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReadId(pub u32);

/// A run of consecutive blocks of the shard's read pool. From the operation to its completion the
/// memory belongs to the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BlockRun {
    /// First block.
    pub first: u32,
    /// Blocks; never zero.
    pub count: u32,
}

/// Bytes of a block of the read pool; also the strictest alignment a direct read may ask for.
pub const BLOCK_BYTES: usize = 16 * 1024;

/// Slot of an adopted connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionSlot(pub u32);

/// One of the shard's RTP/RTCP socket pairs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PairId(pub u8);

/// Which socket of a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PairSocket {
    /// The even port.
    Rtp,
    /// The odd port above it.
    Rtcp,
}

/// What the shell must do. It never fails: what goes wrong comes back as a completion.
#[derive(Debug)]
pub enum Operation {
    /// Put the title's file into slot `source` of the registered files.
    OpenSource {
        /// The slot, free until now.
        source: SourceSlot,
        /// The title whose file it is; the shell keeps the `Arc` until the source is closed.
        title: SharedTitle,
    },
    /// Empty the slot. No read of it is under way.
    CloseSource {
        /// The slot.
        source: SourceSlot,
    },
    /// Read into the pool. Offset and length are multiples of the title's direct alignment.
    /// Completed by `Shard::read_completed`.
    Read {
        /// Names the completion.
        read: ReadId,
        /// Where from.
        source: SourceSlot,
        /// File offset.
        offset: u64,
        /// Bytes to read, at most what `blocks` hold.
        bytes: u32,
        /// Where to.
        blocks: BlockRun,
        /// Somebody waits for it: its completion begins a turn. Others may wait for the next.
        is_urgent: bool,
    },
    /// Own this socket under `connection`; watch it for input (and keep watching).
    OpenConnection {
        /// The slot, free until now.
        connection: ConnectionSlot,
        /// For logs.
        id: ConnectionId,
        /// The socket; `None` under simulation.
        socket: Option<OwnedFd>,
    },
    /// Stop watching for input: the shard wants no more for now.
    PauseInput {
        /// The connection.
        connection: ConnectionSlot,
    },
    /// Watch for input again.
    ResumeInput {
        /// The connection.
        connection: ConnectionSlot,
    },
    /// Call `Shard::connection_writable` once the socket takes bytes again.
    WatchWritable {
        /// The connection.
        connection: ConnectionSlot,
    },
    /// Call `Shard::connection_answers` if the peer's kernel still answers.
    AskPeer {
        /// The connection.
        connection: ConnectionSlot,
    },
    /// Close the socket. The slot is free at once for another `OpenConnection`; nothing more is
    /// reported of the old one.
    CloseConnection {
        /// The connection.
        connection: ConnectionSlot,
    },
}

/// How a read ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadResult {
    /// This many bytes, from the start of the run; fewer than asked at the end of the file or for
    /// reasons of the kernel's own.
    Read(u32),
    /// An error number.
    Failed(i32),
}

/// The read pool's memory, as the shell holds it.
pub trait BlockMemory {
    /// The first `bytes` bytes of a run that the kernel has given back.
    fn bytes(&self, run: BlockRun, bytes: u32) -> &[u8];
}

/// How one entry of the egress batch ended. When an entry of a socket ends `Full`, or a stream
/// entry with fewer bytes than it has, all later entries of that socket in the batch end `Full`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendResult {
    /// The kernel took this many bytes: all of a datagram entry, at least one of a stream entry.
    Sent(u32),
    /// Not now: the socket's buffer is full. Nothing of the entry left.
    Full,
    /// It failed with this error number; nothing of the entry left, the next ones may.
    Failed(i32),
}

impl SendResult {
    /// Whether the kernel took it.
    #[must_use]
    pub const fn is_sent(self) -> bool {
        matches!(self, Self::Sent(_))
    }
}

/// A datagram that arrived on one of the pairs.
#[derive(Clone, Copy, Debug)]
pub struct Datagram<'a> {
    /// On which pair.
    pub pair: PairId,
    /// On which of its sockets.
    pub socket: PairSocket,
    /// From where; IPv4 addresses in their IPv4 form, even on a dual-stack socket.
    pub from: SocketAddr,
    /// Its bytes.
    pub bytes: &'a [u8],
}
