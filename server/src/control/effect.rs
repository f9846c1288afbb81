//! What control asks of its shell.

use super::catalog::OpenRequest;
use crate::mailbox::{Command, ConnectionId, Counters, Direction};
use bytes::Bytes;
use std::net::SocketAddr;

/// Names an opening of a title.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OpenToken(pub u64);

/// What the shell must do, in this order. It never fails: what goes wrong comes back as an input.
#[derive(Debug)]
pub enum Effect {
    /// Write to a connection. Answered by `Control::written`, or by `Control::closed` if it fails.
    /// A connection has at most one write under way.
    Write {
        /// Which connection.
        connection: ConnectionId,
        /// A response as it goes on the wire.
        bytes: Bytes,
    },
    /// Write to a connection at once, although a read may be in flight; no write is. If there is no
    /// room for it, nothing is written; if only for a part of it, the connection has failed.
    Ask {
        /// Which connection.
        connection: ConnectionId,
        /// A request as it goes on the wire.
        bytes: Bytes,
    },
    /// Look at `Control::wants_read` again: another connection has made it true.
    Resume {
        /// Which connection.
        connection: ConnectionId,
    },
    /// Shut the connection down, whatever is under way on it, and close it. Answered by
    /// `Control::closed`.
    Close {
        /// Which connection.
        connection: ConnectionId,
    },
    /// Move the connection to a shard by `Command::Adopt`. Nothing is under way on it: neither a
    /// write nor, because `Control::wants_read` says no, a read. Answered by `Control::closed` only
    /// if it cannot be done.
    Adopt {
        /// Which connection.
        connection: ConnectionId,
        /// Where to.
        shard: usize,
        /// Where it comes from.
        peer: SocketAddr,
        /// What was read and not yet parsed.
        unparsed: Bytes,
        /// What the connection carries.
        direction: Direction,
    },
    /// Send a command.
    Command {
        /// To which shard.
        shard: usize,
        /// What.
        command: Command,
    },
    /// Have a title opened. Answered by `Control::title_opened`.
    OpenTitle(OpenRequest),
    /// Show a shard's counters to the operator.
    ShowCounters {
        /// Whose.
        shard: usize,
        /// What it counted.
        counters: Box<Counters>,
    },
    /// The drain is over: every shard has ended its sessions.
    Drained,
}
