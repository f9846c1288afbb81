//! Performs what a shard asks for, and tells it what came of it.

use super::connections::Connections;
use super::message::{INBOX_DATAGRAMS, Inbox};
use super::pool::{Lent, ReadPool};
use super::ring::{Completion, Key, Ring, RingFlavour};
use super::send::Sender;
use super::sockets::{self, PairSockets};
use super::sources::Sources;
use super::waker::Waker;
use crate::shard::egress::{Egress, Piece};
use crate::shard::operation::{
    BlockRun, ConnectionSlot, Datagram, Operation, ReadId, ReadResult, SendResult, SourceSlot,
};
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::time::Duration;

/// What a shard is told.
#[derive(Debug)]
pub enum Event<'a> {
    /// [`Operation::Read`] is done, and its blocks are the shard's again.
    ReadCompleted {
        /// From the operation.
        read: ReadId,
        /// How it ended.
        result: ReadResult,
        /// Where its bytes are.
        memory: &'a ReadPool,
    },
    /// Bytes arrived on a connection.
    Received {
        /// Which.
        connection: ConnectionSlot,
        /// Some of its input stream.
        bytes: &'a [u8],
    },
    /// No more input comes on a connection.
    Closed {
        /// Which.
        connection: ConnectionSlot,
        /// The error number, or `None` for the end of the stream.
        errno: Option<i32>,
    },
    /// [`Operation::WatchWritable`]: the connection takes bytes again, or has failed, which a send
    /// finds out.
    Writable {
        /// Which.
        connection: ConnectionSlot,
    },
    /// [`Operation::AskPeer`]: the connection's peer is there.
    Answers {
        /// Which.
        connection: ConnectionSlot,
    },
    /// A datagram arrived on a pair.
    Datagram(Datagram<'a>),
}

/// How much a driver is made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DriverLimits {
    /// Blocks of the read pool.
    pub blocks: u32,
    /// Whether to register the read pool, which locks its memory. Not where the limit on locked
    /// memory does not hold all pools: one shard's could leave nothing for another's ring.
    pub register_blocks: bool,
    /// Sources open at once; more work, each read a little slower.
    pub sources_max: u32,
    /// Reads under way at once; more work, slower.
    pub reads_max: u32,
    /// Connections at once; more work, slower.
    pub connections_max: u32,
}

/// The shell of one shard: its ring, read pool, sockets and files. Lives on the shard's thread.
pub struct Driver {
    ring: Ring,
    pool: ReadPool,
    sources: Sources,
    connections: Connections,
    sockets: PairSockets,
    mailbox: Waker,
    reads: Vec<Option<ReadUnderWay>>,
    reads_free: Vec<u32>,
    /// Those of them whose completion nobody waits for.
    patient_reads: usize,
    sender: Sender,
    inbox: Inbox,
    /// Input of connections, on its way to the shard.
    input: Box<[u8]>,
    completions: Vec<Completion>,
    /// Connections whose peers answered, which the shard has not been told.
    answering: Vec<ConnectionSlot>,
}

#[derive(Debug)]
struct ReadUnderWay {
    read: ReadId,
    lent: Lent,
    is_urgent: bool,
}

impl Driver {
    /// A driver that sends and receives on `sockets` and ends its waits when `mailbox` wakes. Made
    /// on the thread that uses it.
    ///
    /// # Errors
    /// If the kernel gives no ring or no memory.
    pub fn new(sockets: PairSockets, mailbox: Waker, limits: DriverLimits) -> io::Result<Self> {
        // The polls of mailbox and pairs fit the least that a ring holds.
        let polls = limits.connections_max.saturating_mul(2);
        let mut ring = Ring::new(limits.reads_max.saturating_add(polls))?;
        let mut pool = ReadPool::new(limits.blocks)?;
        if limits.register_blocks {
            // SAFETY: the driver drops the ring before the pool.
            match unsafe { ring.register_buffers(&pool.buffers()) } {
                Ok(()) => pool.set_registered(true),
                Err(error) => {
                    tracing::warn!(%error, "read pool not registered; reads cost a little more");
                }
            }
        }
        if let Err(error) = ring.register_files(limits.sources_max) {
            tracing::warn!(%error, "file table not registered; reads cost a little more");
        }
        ring.poll(mailbox.as_fd(), libc::POLLIN, Key::Mailbox);
        for (index, key) in (0..sockets.count()).zip((0..).map(Key::Socket)) {
            ring.poll(sockets.socket(index), libc::POLLIN, key);
        }
        Ok(Self {
            ring,
            pool,
            sources: Sources::default(),
            connections: Connections::default(),
            sockets,
            mailbox,
            reads: Vec::new(),
            reads_free: Vec::new(),
            patient_reads: 0,
            sender: Sender::default(),
            inbox: Inbox::new(),
            input: vec![0; INPUT_BYTES].into_boxed_slice(),
            completions: Vec::new(),
            answering: Vec::new(),
        })
    }

    /// Which flavour of ring the kernel gave.
    #[must_use]
    pub const fn flavour(&self) -> RingFlavour {
        self.ring.flavour()
    }

    /// The read pool.
    #[must_use]
    pub const fn pool(&self) -> &ReadPool {
        &self.pool
    }

    /// The RTP port of each pair, by [`PairId`](crate::shard::operation::PairId).
    #[must_use]
    pub fn rtp_ports(&self) -> &[u16] {
        self.sockets.rtp_ports()
    }

    /// Bytes written to a connection that its peer has not acknowledged: while they shrink, it
    /// lives.
    #[must_use]
    pub fn unacknowledged(&mut self, connection: ConnectionSlot) -> Option<u32> {
        sockets::unacknowledged(self.connections.get(connection)?.socket.as_fd())
    }

    /// Performs the operations in order, and leaves none.
    ///
    /// # Panics
    /// If they contradict each other or the shard's memory: slots used twice, blocks read twice.
    pub fn perform(&mut self, operations: &mut Vec<Operation>) {
        for operation in operations.drain(..) {
            match operation {
                Operation::OpenSource { source, title } => {
                    self.sources.open(&self.ring, source, title);
                }
                Operation::CloseSource { source } => self.sources.close(&self.ring, source),
                Operation::Read { read, source, offset, bytes, blocks, is_urgent } => {
                    self.read((read, is_urgent), source, offset, bytes, blocks);
                }
                Operation::OpenConnection { connection, id: _, socket } => {
                    let socket = socket.expect("only simulated connections have no socket");
                    self.connections.open(&mut self.ring, connection, socket);
                }
                Operation::PauseInput { connection } => {
                    if let Some(connection) = self.connections.get(connection) {
                        connection.wants_input = false;
                    }
                }
                Operation::ResumeInput { connection } => {
                    if let Some(connection) = self.connections.get(connection) {
                        connection.wants_input = true;
                    }
                    self.connections.watch_input(&mut self.ring, connection);
                }
                Operation::WatchWritable { connection } => {
                    self.connections.watch_output(&mut self.ring, connection);
                }
                Operation::AskPeer { connection } => {
                    if self.connections.is_answering(connection) {
                        self.answering.push(connection);
                    }
                }
                Operation::CloseConnection { connection } => {
                    self.answering.retain(|answering| *answering != connection);
                    self.connections.close(&mut self.ring, connection);
                }
            }
        }
    }

    /// Tells `handle` what has happened, and performs at once what it asks for in return.
    /// `operations` is empty before and after.
    pub fn poll(
        &mut self,
        operations: &mut Vec<Operation>,
        mut handle: impl FnMut(Event<'_>, &mut Vec<Operation>),
    ) {
        for connection in std::mem::take(&mut self.answering) {
            handle(Event::Answers { connection }, operations);
            self.perform(operations);
        }
        let mut completions = std::mem::take(&mut self.completions);
        self.ring.completions(&mut completions);
        for completion in completions.drain(..) {
            self.complete(completion, operations, &mut handle);
        }
        self.completions = completions;
    }

    /// Sends a batch whose bytes `piece` finds, and leaves one result an entry in `results`.
    pub fn send<'a>(
        &mut self,
        egress: &Egress,
        piece: impl Fn(Piece) -> &'a [u8],
        results: &mut Vec<SendResult>,
    ) {
        self.sender.send(&self.sockets, &mut self.connections, egress, piece, results);
    }

    /// Waits until there is something to [`poll`](Self::poll) or `timeout` has passed; `None`
    /// waits however long it takes, zero not at all. Reads that nobody waits for are something
    /// after 4 ms at the latest: most are found by the turn that comes anyway, and a turn costs its
    /// wake-up whatever it does. What else happens while they are under way waits for them as long.
    ///
    /// # Errors
    /// If the ring fails, which ends the shard.
    pub fn wait(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        if self.patient_reads == 0 {
            return self.ring.wait(timeout, 1);
        }
        let timeout = timeout.map_or(PATIENCE, |timeout| timeout.min(PATIENCE));
        self.ring.wait(Some(timeout), self.patient_reads + 1)
    }

    fn read(
        &mut self,
        (read, is_urgent): (ReadId, bool),
        source: SourceSlot,
        offset: u64,
        bytes: u32,
        run: BlockRun,
    ) {
        let lent = self.pool.lend(run);
        let index = self.reads_free.pop().unwrap_or_else(|| {
            self.reads.push(None);
            u32::try_from(self.reads.len() - 1).expect("fewer reads than blocks")
        });
        let (file, offset) = self.sources.file(source, offset);
        self.ring.read(file, offset, bytes, &lent, Key::Read(index));
        self.reads[index as usize] = Some(ReadUnderWay { read, lent, is_urgent });
        self.patient_reads += usize::from(!is_urgent);
    }

    fn complete(
        &mut self,
        completion: Completion,
        operations: &mut Vec<Operation>,
        handle: &mut impl FnMut(Event<'_>, &mut Vec<Operation>),
    ) {
        match completion.key {
            Key::Mailbox => {
                // A poll that failed says nothing, and the mailbox would block.
                if completion.result > 0 {
                    self.mailbox.clear();
                }
                self.ring.poll(self.mailbox.as_fd(), libc::POLLIN, Key::Mailbox);
            }
            Key::Socket(index) => {
                self.receive_datagrams(index as usize, operations, handle);
                self.ring.poll(self.sockets.socket(index as usize), libc::POLLIN, completion.key);
            }
            Key::Input { slot, generation } => {
                let connection = ConnectionSlot(slot);
                if self.connections.input_completed(connection, generation) {
                    self.receive(connection, operations, handle);
                }
            }
            Key::Output { slot, generation } => {
                let connection = ConnectionSlot(slot);
                if self.connections.output_completed(connection, generation) {
                    handle(Event::Writable { connection }, operations);
                    self.perform(operations);
                }
            }
            Key::Read(index) => {
                let done = self.reads[index as usize].take();
                let ReadUnderWay { read, lent, is_urgent } = done.expect("a read completes once");
                self.patient_reads -= usize::from(!is_urgent);
                self.reads_free.push(index);
                self.pool.give_back(&lent);
                let result = match u32::try_from(completion.result) {
                    Ok(bytes) => ReadResult::Read(bytes),
                    Err(_) => ReadResult::Failed(-completion.result),
                };
                handle(Event::ReadCompleted { read, result, memory: &self.pool }, operations);
                self.perform(operations);
            }
            Key::Cancel => {}
        }
    }

    /// Receives from a connection until it is empty or has had its share, then polls again.
    fn receive(
        &mut self,
        slot: ConnectionSlot,
        operations: &mut Vec<Operation>,
        handle: &mut impl FnMut(Event<'_>, &mut Vec<Operation>),
    ) {
        for _ in 0..RECEIVES_PER_TURN {
            // The shard may have closed it, or paused it, in answer to what it was just given.
            let Some(connection) = self.connections.get(slot) else { return };
            if !connection.wants_input {
                return;
            }
            let event = match (&connection.socket).read(&mut self.input) {
                Ok(0) => Event::Closed { connection: slot, errno: None },
                Ok(count) => Event::Received { connection: slot, bytes: &self.input[..count] },
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => Event::Closed { connection: slot, errno: error.raw_os_error() },
            };
            let over = matches!(event, Event::Closed { .. });
            // What did not fill the buffer was all there was.
            let emptied =
                matches!(event, Event::Received { bytes, .. } if bytes.len() < INPUT_BYTES);
            connection.wants_input = !over;
            handle(event, operations);
            self.perform(operations);
            if over {
                return;
            }
            if emptied {
                break;
            }
        }
        self.connections.watch_input(&mut self.ring, slot);
    }

    /// Receives from a pair's socket until it is empty or has had its share.
    fn receive_datagrams(
        &mut self,
        index: usize,
        operations: &mut Vec<Operation>,
        handle: &mut impl FnMut(Event<'_>, &mut Vec<Operation>),
    ) {
        let (pair, socket) = PairSockets::pair(index);
        for _ in 0..RECEIVES_PER_TURN {
            // An error is an earlier send's, and is gone now that it was told.
            let count = self.inbox.receive(self.sockets.socket(index)).unwrap_or(0);
            for (from, bytes) in (0..count).filter_map(|datagram| self.inbox.datagram(datagram)) {
                handle(Event::Datagram(Datagram { pair, socket, from, bytes }), operations);
            }
            self.perform(operations);
            if count < INBOX_DATAGRAMS {
                return;
            }
        }
    }
}

impl Drop for Driver {
    /// Waits for every read: until then its memory is the kernel's.
    fn drop(&mut self) {
        self.connections.close_all(&mut self.ring);
        self.ring.cancel(Key::Mailbox);
        for key in (0..).map(Key::Socket).take(self.sockets.count()) {
            self.ring.cancel(key);
        }
        for key in (0..).map(Key::Read).take(self.reads.len()) {
            self.ring.cancel(key);
        }
        while self.ring.under_way() > 0 {
            if let Err(error) = self.ring.wait(None, 1) {
                tracing::error!(%error, "the ring failed; its memory is left to the kernel");
                self.pool.leak();
                return;
            }
            self.completions.clear();
            self.ring.completions(&mut self.completions);
        }
    }
}

/// How long a read that nobody waits for may have ended without a turn.
const PATIENCE: Duration = Duration::from_millis(4);
/// Bytes that are received from a connection at once.
const INPUT_BYTES: usize = 64 * 1024;
/// Receive calls that one socket gets in a row.
const RECEIVES_PER_TURN: usize = 4;

#[cfg(test)]
mod tests;
