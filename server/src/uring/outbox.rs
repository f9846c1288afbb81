//! The sending half of a driver by itself, for programs that count or measure what sending costs.

use super::connections::Connections;
use super::send::Sender;
use super::sockets::PairSockets;
use crate::shard::egress::{Egress, Piece};
use crate::shard::operation::SendResult;
use std::fmt;

/// Sends datagrams as a [`Driver`](super::Driver) does, without a ring. It has no connections:
/// entries for one fail.
#[derive(Default)]
pub struct Outbox {
    sender: Sender,
    connections: Connections,
}

impl fmt::Debug for Outbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outbox").finish_non_exhaustive()
    }
}

impl Outbox {
    /// Sends a batch from `sockets`, as [`Driver::send`](super::Driver::send) does.
    pub fn send<'a>(
        &mut self,
        sockets: &PairSockets,
        egress: &Egress,
        piece: impl Fn(Piece) -> &'a [u8],
        results: &mut Vec<SendResult>,
    ) {
        self.sender.send(sockets, &mut self.connections, egress, piece, results);
    }
}
