//! A thread of the load generator: an epoll loop over its viewers' sockets.

use super::summary::Tally;
use super::viewer::{Failure, Sighting, Step, Viewer, failed};
use super::{Options, Progress};
use crate::client::Half;
use crate::clock::{KernelClock, MonoTime};
use crate::message::{Cutter, Incoming};
use crate::socket::{Receiver, read};
use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use std::io::{self, ErrorKind, Write as _};
use std::iter::Peekable;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// How often every viewer is asked what is due.
const TICK: Duration = Duration::from_millis(20);
/// Events taken by one wait.
const EVENTS_MAX: usize = 1024;
/// Batches taken from one socket before the others have their turn.
const BATCHES_MAX: usize = 8;
/// Bytes read from a connection at once.
const READ_BYTES_MAX: usize = 256 * 1024;

/// What a write says when it has to be tried again later.
const WAITING: [ErrorKind; 2] = [ErrorKind::WouldBlock, ErrorKind::NotConnected];

/// Drives viewers until they are done.
#[derive(Debug)]
pub(super) struct Worker<'a> {
    options: &'a Options,
    clock: KernelClock,
    gauges: &'a Progress,
    epoll: Epoll,
    receiver: Receiver,
    scratch: Vec<u8>,
    seats: Vec<Seat>,
    sightings: Vec<Sighting>,
    tally: Tally,
    packets_told: u64,
}

/// A viewer with what its connection has read but not yet cut.
#[derive(Debug)]
struct Seat {
    viewer: Viewer,
    cutter: Cutter,
    wants_write: bool,
    /// Streams whose sockets are watched.
    watched_streams: usize,
}

impl<'a> Worker<'a> {
    pub(super) fn new(
        options: &'a Options,
        clock: KernelClock,
        gauges: &'a Progress,
    ) -> io::Result<Self> {
        Ok(Self {
            options,
            clock,
            gauges,
            epoll: Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?,
            receiver: Receiver::new(clock),
            scratch: vec![0; READ_BYTES_MAX],
            seats: Vec::new(),
            sightings: Vec::new(),
            tally: Tally::default(),
            packets_told: 0,
        })
    }

    /// Lets the viewers of these numbers play, and returns what was seen of them.
    pub(super) fn run(&mut self, numbers: impl Iterator<Item = usize>) -> io::Result<Tally> {
        let mut numbers = numbers.peekable();
        let mut events = vec![EpollEvent::empty(); EVENTS_MAX];
        let mut next_tick = self.clock.now() + TICK;
        let ends_at = self.options.ends_at();
        let mut ending = false;
        while !(ending && self.seats.iter().all(|seat| seat.viewer.step == Step::Done)) {
            let now = self.clock.now();
            self.start_due(now, &mut numbers)?;
            if !ending && now >= ends_at {
                ending = true;
                self.end(now);
            }
            if now >= next_tick {
                next_tick = now + TICK;
                self.tick(now);
            }
            let next_start = numbers.peek().map_or(next_tick, |n| self.options.starts_at(*n));
            let wait = next_start.min(next_tick) - now;
            let millis = u16::try_from(wait.as_millis() + 1).unwrap_or(u16::MAX);
            let count = match self.epoll.wait(&mut events, EpollTimeout::from(millis)) {
                Ok(count) => count,
                Err(Errno::EINTR) => 0,
                Err(errno) => return Err(errno.into()),
            };
            for event in &events[..count] {
                self.serve(Token::unpack(event.data()), event.events());
            }
        }
        self.tally.sightings(&mut self.sightings);
        for seat in &self.seats {
            self.tally.viewer(&seat.viewer);
        }
        Ok(std::mem::take(&mut self.tally))
    }

    fn start_due(
        &mut self,
        now: MonoTime,
        numbers: &mut Peekable<impl Iterator<Item = usize>>,
    ) -> io::Result<()> {
        while let Some(number) = numbers.next_if(|number| self.options.starts_at(*number) <= now) {
            let random = getrandom::u64().map_err(io::Error::other)?;
            let viewer = match Viewer::connect(self.options, number, random, now) {
                Ok(viewer) => viewer,
                Err(error) => {
                    self.gauges.failed.fetch_add(1, Ordering::Relaxed);
                    self.tally.failure(failed(&format!("connecting: {error}")));
                    continue;
                }
            };
            let token = Token { seat: self.seats.len(), socket: 0 };
            let interest = EpollFlags::EPOLLIN | EpollFlags::EPOLLOUT;
            self.epoll.add(&viewer.connection, EpollEvent::new(interest, token.pack()))?;
            let cutter = Cutter::default();
            self.seats.push(Seat { viewer, cutter, wants_write: true, watched_streams: 0 });
        }
        Ok(())
    }

    /// The time is up: who plays leaves, who does not came too late.
    fn end(&mut self, now: MonoTime) {
        for seat in 0..self.seats.len() {
            let viewer = &mut self.seats[seat].viewer;
            match viewer.step {
                Step::Done | Step::TearingDown => {}
                Step::Playing | Step::AwaitingPlay if viewer.stalled => viewer.step = Step::Done,
                Step::Playing => {
                    viewer.tear_down(now);
                    let result = self.flush(seat);
                    self.settle(seat, result);
                }
                // A title that ended a moment ago is being started again.
                Step::AwaitingPlay => viewer.tear_down(now),
                Step::Connecting | Step::Describing | Step::SettingUp(_) => {
                    self.settle(seat, Err(failed("was not playing when the time was up")));
                }
            }
        }
    }

    fn tick(&mut self, now: MonoTime) {
        let mut playing = 0;
        for seat in 0..self.seats.len() {
            let viewer = &mut self.seats[seat].viewer;
            if viewer.step == Step::Done {
                continue;
            }
            playing += u64::from(viewer.step == Step::Playing);
            let result = viewer.tick(now).and_then(|()| self.flush(seat));
            self.settle(seat, result);
        }
        // Gauges are shared by the threads, so each adds what changed.
        let packets = self.tally.packets_judged();
        self.gauges.packets.fetch_add(packets - self.packets_told, Ordering::Relaxed);
        self.packets_told = packets;
        let told = std::mem::replace(&mut self.tally.playing_told, playing);
        self.gauges.playing.fetch_add(playing.wrapping_sub(told), Ordering::Relaxed);
    }

    fn serve(&mut self, token: Token, events: EpollFlags) {
        let seat = token.seat;
        if self.seats[seat].viewer.step == Step::Done {
            return;
        }
        let result = if token.socket > 0 {
            // A PLAY reply that is already here came before the packets it announces.
            let awaits = self.seats[seat].viewer.step == Step::AwaitingPlay;
            let first = if awaits { self.read_connection(seat) } else { Ok(()) };
            first.and_then(|()| self.receive_datagrams(seat, token.stream(), token.half()))
        } else {
            let readable = events
                .intersects(EpollFlags::EPOLLIN | EpollFlags::EPOLLHUP | EpollFlags::EPOLLERR);
            let read = if readable { self.read_connection(seat) } else { Ok(()) };
            read.and_then(|()| self.flush(seat))
        };
        self.settle(seat, result);
    }

    fn read_connection(&mut self, seat: usize) -> Result<(), Failure> {
        let Seat { viewer, cutter, .. } = &mut self.seats[seat];
        if viewer.stalled && viewer.step == Step::Playing {
            return Ok(());
        }
        let read = read(&viewer.connection, &mut self.scratch, &self.clock)
            .map_err(|error| failed(&format!("connection: {error}")))?;
        let Some((at, length)) = read else { return Ok(()) };
        if length == 0 {
            return Err(failed("the server closed the connection"));
        }
        cutter.push(&self.scratch[..length]);
        let sightings = &mut self.sightings;
        while let Some(message) =
            cutter.next_message().map_err(|malformed| failed(&malformed.to_string()))?
        {
            match message {
                Incoming::Reply(reply) => viewer.take_reply(at, &reply, sightings)?,
                Incoming::Frame { channel, payload } => {
                    let half = if channel % 2 == 0 { Half::Rtp } else { Half::Rtcp };
                    let stream = usize::from(channel / 2);
                    viewer.take_packet(at, stream, half, payload, sightings)?;
                }
            }
        }
        self.tally.sightings(&mut self.sightings);
        self.watch(seat)?;
        if self.seats[seat].viewer.step == Step::Done {
            return self.drain(seat);
        }
        self.flush(seat)
    }

    /// Takes what came before the reply to TEARDOWN, so that it does not look lost.
    fn drain(&mut self, seat: usize) -> Result<(), Failure> {
        for stream in 0..self.seats[seat].viewer.streams.len() {
            self.receive_datagrams(seat, stream, Half::Rtp)?;
            self.receive_datagrams(seat, stream, Half::Rtcp)?;
        }
        Ok(())
    }

    fn receive_datagrams(&mut self, seat: usize, stream: usize, half: Half) -> Result<(), Failure> {
        let viewer = &mut self.seats[seat].viewer;
        // The socket is read apart from the viewer that judges what comes from it.
        let Some(pair) = viewer.streams[stream].pair.take() else { return Ok(()) };
        let socket = if half == Half::Rtp { &pair.rtp } else { &pair.rtcp };
        let mut result = Ok(());
        for _ in 0..BATCHES_MAX {
            let sightings = &mut self.sightings;
            let more = self.receiver.receive(socket, |at, bytes| {
                if result.is_ok() {
                    result = viewer.take_packet(at, stream, half, bytes, sightings);
                }
            });
            match more {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => {
                    result = Err(failed(&format!("socket: {error}")));
                    break;
                }
            }
        }
        viewer.streams[stream].pair = Some(pair);
        self.tally.sightings(&mut self.sightings);
        result
    }

    /// Watches the sockets of streams that have come to be.
    fn watch(&mut self, seat: usize) -> Result<(), Failure> {
        let Seat { viewer, watched_streams, .. } = &mut self.seats[seat];
        for (position, stream) in viewer.streams.iter().enumerate().skip(*watched_streams) {
            let Some(pair) = &stream.pair else { continue };
            for (half, socket) in [&pair.rtp, &pair.rtcp].into_iter().enumerate() {
                let token = Token { seat, socket: 1 + position * 2 + half };
                let event = EpollEvent::new(EpollFlags::EPOLLIN, token.pack());
                self.epoll.add(socket, event).map_err(|errno| failed(errno.desc()))?;
            }
        }
        *watched_streams = viewer.streams.len();
        Ok(())
    }

    /// Writes what the viewer has to say, and watches for what its connection needs.
    fn flush(&mut self, seat: usize) -> Result<(), Failure> {
        let token = Token { seat, socket: 0 };
        let Seat { viewer, wants_write, .. } = &mut self.seats[seat];
        while !viewer.outgoing.is_empty() {
            match (&viewer.connection).write(&viewer.outgoing) {
                Ok(written) => drop(viewer.outgoing.drain(..written)),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if WAITING.contains(&error.kind()) => break,
                Err(error) => return Err(failed(&format!("connection: {error}"))),
            }
        }
        let deaf = viewer.stalled && viewer.step == Step::Playing;
        let needs_write = !viewer.outgoing.is_empty();
        if deaf || needs_write != *wants_write {
            *wants_write = needs_write;
            let mut interest = EpollFlags::empty();
            interest.set(EpollFlags::EPOLLIN, !deaf);
            interest.set(EpollFlags::EPOLLOUT, needs_write);
            let mut event = EpollEvent::new(interest, token.pack());
            let modified = self.epoll.modify(&viewer.connection, &mut event);
            modified.map_err(|errno| failed(errno.desc()))?;
        }
        Ok(())
    }

    fn settle(&mut self, seat: usize, result: Result<(), Failure>) {
        let Err(failure) = result else { return };
        let viewer = &mut self.seats[seat].viewer;
        viewer.step = Step::Done;
        // Descriptors that are shut down would wake the loop for ever.
        let _ = self.epoll.delete(&viewer.connection);
        for pair in viewer.streams.iter().filter_map(|stream| stream.pair.as_ref()) {
            let _ = self.epoll.delete(&pair.rtp);
            let _ = self.epoll.delete(&pair.rtcp);
        }
        // That a viewer who does not read is thrown out is as it should be.
        if !(viewer.stalled && viewer.session_began()) {
            self.gauges.failed.fetch_add(1, Ordering::Relaxed);
            self.tally.failure(failure);
            viewer.discard();
        }
    }
}

/// What an epoll event is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Token {
    seat: usize,
    /// 0 is the connection; the pair of stream `n` follows at 1 + 2n (RTP) and 2 + 2n (RTCP).
    socket: usize,
}

impl Token {
    const fn pack(self) -> u64 {
        (self.seat as u64) << 16 | self.socket as u64
    }

    const fn unpack(data: u64) -> Self {
        Self { seat: (data >> 16) as usize, socket: (data & 0xffff) as usize }
    }

    const fn stream(self) -> usize {
        (self.socket - 1) / 2
    }

    const fn half(self) -> Half {
        if self.socket % 2 == 1 { Half::Rtp } else { Half::Rtcp }
    }
}
