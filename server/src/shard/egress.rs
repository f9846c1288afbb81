//! What a turn sends: entries for the kernel, made of pieces of image and of stamped headers.
//!
//! The shell performs a batch synchronously: it borrows the pieces from the shard while the calls
//! run and gives back one `SendResult` an entry. So no viewer ever holds a copy of media bytes, and
//! no memory but the read pool is ever the kernel's.

use super::operation::{ConnectionSlot, PairId, PairSocket};
use super::stream::{Cursor, Stream};
use crate::clock::MonoTime;
use packetizer::image::{PacketImage, Train};
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
    /// What waits on a connection, from its start.
    Pending {
        /// The connection.
        connection: ConnectionSlot,
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
        /// When the kernel is to let it go, if not at once.
        launches_at: Option<MonoTime>,
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
#[derive(Debug)]
pub struct Egress {
    /// The sends, in the order in which they must leave (per destination socket).
    pub entries: Vec<Entry>,
    /// Their bytes.
    pub pieces: Vec<Piece>,
    /// Memory of [`Piece::Arena`].
    pub arena: Vec<u8>,
    /// Bytes of media in it.
    pub(super) media_bytes: usize,
    /// Tells the trains that this batch has from those of another.
    turn: u32,
}

impl Default for Egress {
    fn default() -> Self {
        Self { entries: Vec::new(), pieces: Vec::new(), arena: Vec::new(), media_bytes: 0, turn: 1 }
    }
}

impl Egress {
    /// Pieces so far.
    pub(super) fn piece_count(&self) -> u32 {
        u32::try_from(self.pieces.len()).expect("bounded by a turn")
    }

    /// Empties the batch, keeping its memory: the next turn begins.
    pub(super) fn clear(&mut self) {
        // 0 is what no train was numbered in. Where a count meets an old one again after 2³² turns,
        // a train goes packet by packet.
        self.turn = self.turn.checked_add(1).unwrap_or(1);
        self.entries.clear();
        self.pieces.clear();
        self.arena.clear();
        self.media_bytes = 0;
    }

    /// Adds pieces, which are the last, to the entry in front of them. What lies behind each other
    /// in an image is one piece.
    pub(super) fn join(&mut self, pieces: Range<u32>, bytes: u32, packets: u16) {
        let entry = self.entries.last_mut().expect("there is one to join");
        if let Destination::Datagrams { segment_count, .. } = &mut entry.destination {
            *segment_count += packets;
        }
        entry.bytes += bytes;
        entry.pieces.end = pieces.end;
        let first = pieces.start as usize;
        if let [
            Piece::Image { image, offset, bytes },
            Piece::Image { image: same, offset: next, bytes: more },
        ] = &mut self.pieces[first - 1..=first]
            && image == same
            && *offset + *bytes == *next
        {
            *bytes += *more;
            self.pieces.remove(first);
            entry.pieces.end -= 1;
        }
    }

    /// Appends bytes made for one viewer, as a piece of their own.
    pub(super) fn push_bytes(&mut self, bytes: &[u8]) {
        let offset = self.arena_position();
        self.arena.extend_from_slice(bytes);
        let bytes = u32::try_from(bytes.len()).expect("bounded by a packet");
        self.pieces.push(Piece::Arena { offset, bytes });
    }

    /// Appends a train from the cursor's packet on, and gives the bytes of it and whether it goes
    /// as it lies: in one piece, numbered in place. The kernel has copied it when the turn is over.
    /// A train that another viewer has in this turn goes packet by packet, with headers beside it.
    pub(super) fn push_train(
        &mut self,
        stream: &Stream,
        image: &mut PacketImage,
        slot: u32,
        train: &Train,
        cursor: &Cursor,
    ) -> (bool, u32) {
        let numbering = stream.numbering(cursor.sequence.wrapping_sub(cursor.packet));
        let (start, _) = train.packet_range(cursor.packet);
        let bytes = train.offset + train.bytes() - start;
        if image.number((cursor.train as usize, train), cursor.packet, &numbering, self.turn) {
            self.pieces.push(Piece::Image { image: slot, offset: start, bytes });
            return (true, bytes);
        }
        let header = u32::try_from(image.header_bytes()).expect("a constant");
        for packet in cursor.packet..train.packet_count {
            let (offset, length) = train.packet_range(packet);
            let arena = self.arena_position();
            image.stamp(train, packet, &numbering, &mut self.arena);
            self.pieces.push(Piece::Arena { offset: arena, bytes: header });
            self.pieces.push(Piece::Image {
                image: slot,
                offset: offset + header,
                bytes: length - header,
            });
        }
        (false, bytes)
    }

    fn arena_position(&self) -> u32 {
        u32::try_from(self.arena.len()).expect("bounded by a turn")
    }
}
