//! A viewer's place in a thread's loop: its sockets are read and written here, never waiting.

use super::churn::Act;
use super::options::Options;
use super::tally::{Failure, Tally, failed};
use super::viewer::{Step, Viewer};
use crate::client::Half;
use crate::clock::{KernelClock, MonoTime};
use crate::message::{Cutter, Incoming};
use crate::receive::Receiver;
use crate::socket::read;
use nix::sys::epoll::{Epoll, EpollEvent, EpollFlags};
use std::io::{self, ErrorKind, Write as _};
use std::net::SocketAddr;

/// Batches taken from one socket before the others have their turn.
const BATCHES_MAX: usize = 64;
/// Bytes read from a connection at once. They share one time of arrival, that of the last, so that
/// bigger reads of a busy generator would make what came first look late.
const READ_BYTES_MAX: usize = 16 * 1024;
/// Reads of one connection before the others have their turn.
const READS_MAX: usize = 16;
/// What a write says when it has to be tried again later.
const WAITING: [ErrorKind; 2] = [ErrorKind::WouldBlock, ErrorKind::NotConnected];

/// What the seats of a thread share.
#[derive(Debug)]
pub(super) struct Shared<'a> {
    pub(super) options: &'a Options,
    /// The servers of its URLs.
    pub(super) servers: &'a [SocketAddr],
    pub(super) clock: KernelClock,
    pub(super) epoll: Epoll,
    pub(super) receiver: Receiver,
    pub(super) scratch: Vec<u8>,
    pub(super) tally: Tally,
}

impl<'a> Shared<'a> {
    pub(super) fn new(
        (options, servers): (&'a Options, &'a [SocketAddr]),
        clock: KernelClock,
    ) -> io::Result<Self> {
        Ok(Self {
            options,
            servers,
            clock,
            epoll: Epoll::new(nix::sys::epoll::EpollCreateFlags::EPOLL_CLOEXEC)?,
            receiver: Receiver::new(clock),
            scratch: vec![0; READ_BYTES_MAX],
            tally: Tally::default(),
        })
    }
}

/// A viewer with what its connection has read but not yet cut.
#[derive(Debug)]
pub(super) struct Seat {
    pub(super) viewer: Viewer,
    /// Its place in the thread's table.
    index: usize,
    cutter: Cutter,
    interest: EpollFlags,
    /// Streams whose reports are watched for.
    watched_streams: usize,
    /// When a read left something behind, if the last one did.
    left_unread: Option<MonoTime>,
}

impl Seat {
    /// Seats `viewer` at `index` and watches its connection.
    pub(super) fn new(viewer: Viewer, index: usize, epoll: &Epoll) -> io::Result<Self> {
        let interest = EpollFlags::EPOLLIN | EpollFlags::EPOLLOUT;
        let token = Token { seat: index, socket: Watched::Connection };
        epoll.add(&viewer.connection, EpollEvent::new(interest, token.pack()))?;
        Ok(Self {
            viewer,
            index,
            cutter: Cutter::default(),
            interest,
            watched_streams: 0,
            left_unread: None,
        })
    }

    /// Does what the readiness of one of its sockets asks for.
    pub(super) fn serve(
        &mut self,
        socket: Watched,
        events: EpollFlags,
        shared: &mut Shared<'_>,
    ) -> Result<(), Failure> {
        match socket {
            // A report tells of packets that came before it.
            Watched::Reports(stream) => {
                self.receive(stream, Half::Rtp, shared)?;
                self.receive(stream, Half::Rtcp, shared)
            }
            // It does not read, so that only this says that the server has thrown it out.
            Watched::Connection
                if self.viewer.is_deaf()
                    && events.intersects(EpollFlags::EPOLLHUP | EpollFlags::EPOLLERR) =>
            {
                Err(failed("the server closed the connection"))
            }
            Watched::Connection => {
                let readable = EpollFlags::EPOLLIN | EpollFlags::EPOLLHUP | EpollFlags::EPOLLERR;
                if events.intersects(readable) {
                    self.read_connection(shared)?;
                }
                self.flush(shared)
            }
        }
    }

    /// Takes the media that has arrived and does what is due by now.
    pub(super) fn visit(&mut self, shared: &mut Shared<'_>) -> Result<(), Failure> {
        if !self.viewer.role.is_sink {
            for stream in 0..self.viewer.streams.len() {
                self.receive(stream, Half::Rtp, shared)?;
            }
        }
        let now = shared.clock.now();
        if self.viewer.is_overdue(now, shared.options) {
            // The reply may be here already and this program too busy to have read it.
            self.read_connection(shared)?;
        }
        self.viewer.tick(now, shared.options, &mut shared.tally)?;
        self.flush(shared)
    }

    /// The viewer does something, as was meant to happen at `meant`.
    pub(super) fn act(
        &mut self,
        act: Act,
        (meant, now): (MonoTime, MonoTime),
        random: u64,
        shared: &mut Shared<'_>,
    ) -> Result<(), Failure> {
        // What has come and was not read yet would look as if it had not.
        self.drain(shared)?;
        let (viewer, tally) = (&mut self.viewer, &mut shared.tally);
        match act {
            Act::Stop => viewer.tear_down((meant, now), tally),
            Act::Seek => viewer.seek((meant, now), random, tally),
            Act::Pause => viewer.pause((meant, now), tally),
            Act::Vanish => {
                viewer.conclude(now, tally);
                viewer.step = Step::Done;
                return Ok(());
            }
        }
        self.flush(shared)
    }

    /// Takes what is still there, so that it does not look lost.
    pub(super) fn drain(&mut self, shared: &mut Shared<'_>) -> Result<(), Failure> {
        for stream in 0..self.viewer.streams.len() {
            self.receive(stream, Half::Rtp, shared)?;
            self.receive(stream, Half::Rtcp, shared)?;
        }
        Ok(())
    }

    /// Writes what the viewer has to say, and watches for what its connection needs.
    pub(super) fn flush(&mut self, shared: &Shared<'_>) -> Result<(), Failure> {
        let outgoing = &mut self.viewer.dialogue.outgoing;
        let had_outgoing = !outgoing.is_empty();
        while !outgoing.is_empty() {
            match (&self.viewer.connection).write(outgoing) {
                Ok(written) => drop(outgoing.drain(..written)),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if WAITING.contains(&error.kind()) => break,
                Err(error) => return Err(failed(&format!("connection: {error}"))),
            }
        }
        if had_outgoing && outgoing.is_empty() {
            self.viewer.dialogue.written(shared.clock.now());
        }
        let mut interest = EpollFlags::empty();
        interest.set(EpollFlags::EPOLLIN, !self.viewer.is_deaf());
        interest.set(EpollFlags::EPOLLOUT, !self.viewer.dialogue.outgoing.is_empty());
        if interest != self.interest {
            self.interest = interest;
            let token = Token { seat: self.index, socket: Watched::Connection };
            let mut event = EpollEvent::new(interest, token.pack());
            let modified = shared.epoll.modify(&self.viewer.connection, &mut event);
            modified.map_err(|errno| failed(errno.desc()))?;
        }
        Ok(())
    }

    /// Takes no more notice of its sockets: descriptors that are shut down would wake the loop
    /// for ever.
    pub(super) fn unwatch(&self, epoll: &Epoll) {
        let _ = epoll.delete(&self.viewer.connection);
        for stream in self.viewer.streams.iter().take(self.watched_streams) {
            if let Some(pair) = &stream.pair {
                let _ = epoll.delete(&pair.rtcp);
            }
        }
    }

    fn read_connection(&mut self, shared: &mut Shared<'_>) -> Result<(), Failure> {
        for _ in 0..READS_MAX {
            if self.viewer.is_deaf() || !self.read_piece(shared)? {
                break;
            }
        }
        self.watch(&shared.epoll)
    }

    /// Takes some of what the connection has; returns whether there may be more.
    fn read_piece(&mut self, shared: &mut Shared<'_>) -> Result<bool, Failure> {
        let read = read(&self.viewer.connection, &mut shared.scratch, &shared.clock)
            .map_err(|error| failed(&format!("connection: {error}")))?;
        let Some((at, length)) = read else { return Ok(false) };
        if length == 0 {
            return Err(failed("the server closed the connection"));
        }
        let now = shared.clock.now();
        let is_full = length == shared.scratch.len();
        // The first bytes have waited at least since the last read left them.
        let left = std::mem::replace(&mut self.left_unread, is_full.then_some(now));
        let since = left.map_or(at, |left| left.min(at));
        shared.tally.generator.unread.record(now.nanos_since(since));
        self.cutter.push(&shared.scratch[..length]);
        let (viewer, tally) = (&mut self.viewer, &mut shared.tally);
        while let Some(message) =
            self.cutter.next_message().map_err(|malformed| failed(&malformed.to_string()))?
        {
            match message {
                Incoming::Reply(reply) => viewer.take_reply(at, &reply, shared.options, tally)?,
                Incoming::Frame { channel, payload } => {
                    viewer.take_frame(at, channel, payload, tally)?;
                }
            }
        }
        Ok(is_full)
    }

    fn receive(
        &mut self,
        position: usize,
        half: Half,
        shared: &mut Shared<'_>,
    ) -> Result<(), Failure> {
        for _ in 0..BATCHES_MAX {
            let Some(stream) = self.viewer.streams.get(position) else { return Ok(()) };
            let Some(pair) = &stream.pair else { return Ok(()) };
            let socket = if half == Half::Rtp { &pair.rtp } else { &pair.rtcp };
            let more = match shared.receiver.fill(socket) {
                // The server's end of a stream that has ended is gone (ICMP).
                Err(error) if error.kind() == ErrorKind::ConnectionRefused => true,
                filled => filled.map_err(|error| failed(&format!("socket: {error}")))?,
            };
            // The reply that announces these packets was here before them.
            if self.viewer.step == Step::AwaitingPlay {
                self.read_connection(shared)?;
            }
            let (viewer, tally) = (&mut self.viewer, &mut shared.tally);
            let mut first = true;
            for train in shared.receiver.trains() {
                if std::mem::take(&mut first) && half == Half::Rtp {
                    let unread = shared.clock.now().nanos_since(train.at);
                    tally.generator.unread.record(unread);
                }
                viewer.take_train(position, half, train, tally);
            }
            if !more {
                break;
            }
        }
        Ok(())
    }

    /// Watches for the reports of streams that have come to be; their media is visited.
    fn watch(&mut self, epoll: &Epoll) -> Result<(), Failure> {
        let streams = &self.viewer.streams;
        for (position, stream) in streams.iter().enumerate().skip(self.watched_streams) {
            let Some(pair) = &stream.pair else { continue };
            let token = Token { seat: self.index, socket: Watched::Reports(position) };
            let event = EpollEvent::new(EpollFlags::EPOLLIN, token.pack());
            epoll.add(&pair.rtcp, event).map_err(|errno| failed(errno.desc()))?;
        }
        self.watched_streams = streams.len();
        Ok(())
    }
}

/// A socket that is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Watched {
    Connection,
    /// The reports of a stream.
    Reports(usize),
}

/// What an epoll event is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) seat: usize,
    pub(super) socket: Watched,
}

impl Token {
    const fn pack(self) -> u64 {
        let socket = match self.socket {
            Watched::Connection => 0,
            Watched::Reports(stream) => 1 + stream as u64,
        };
        (self.seat as u64) << 16 | socket
    }

    #[allow(clippy::cast_possible_truncation, reason = "that is what was packed")]
    pub(super) const fn unpack(data: u64) -> Self {
        let socket = match data & 0xffff {
            0 => Watched::Connection,
            stream => Watched::Reports((stream - 1) as usize),
        };
        Self { seat: (data >> 16) as usize, socket }
    }
}
