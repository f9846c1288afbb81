//! What a turn sends: entries for the kernel, made of pieces of image and of stamped headers.
//!
//! The shell performs a batch synchronously: it borrows the pieces from the shard while the calls
//! run and gives back one `SendResult` an entry. So no viewer ever holds a copy of media bytes, and
//! no memory but the read pool is ever the kernel's.

use super::operation::{ConnectionSlot, PairId, PairSocket};
use std::net::{IpAddr, SocketAddr};
use std::ops::Range;

/// Bytes of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Stamped headers, replies, RTCP: from [`Egress::arena`].
    Arena {
        /// First byte.
        offset: u32,
        /// Length.
        bytes: u32,
    },
    /// From an image of the cache.
    Image {
        /// The image's slot.
        image: u32,
        /// First byte.
        offset: u32,
        /// Length.
        bytes: u32,
    },
}

/// Where an entry goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Destination {
    /// One UDP message; with more than one packet it carries `UDP_SEGMENT`.
    Datagrams {
        /// The pair it leaves from.
        pair: PairId,
        /// Which of its sockets.
        socket: PairSocket,
        /// Where to.
        to: SocketAddr,
        /// The local address it leaves from (`IP_PKTINFO`).
        local: IpAddr,
        /// Bytes of each packet but the last.
        segment_bytes: u16,
        /// Packets in the message.
        segment_count: u16,
    },
    /// Bytes of a connection's output stream.
    Stream {
        /// The connection.
        connection: ConnectionSlot,
    },
}

/// One send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Where to.
    pub destination: Destination,
    /// Its bytes: this range of [`Egress::pieces`].
    pub pieces: Range<u32>,
    /// Length of all pieces together.
    pub bytes: u32,
}

/// A turn's sends.
#[derive(Debug, Default)]
pub struct Egress {
    /// The sends, in the order in which they must leave (per destination socket).
    pub entries: Vec<Entry>,
    /// Their bytes.
    pub pieces: Vec<Piece>,
    /// Memory of [`Piece::Arena`].
    pub arena: Vec<u8>,
}
