//! One session, from its connection to its TEARDOWN.

use super::dialogue::{Titles, transport};
use super::report::Report;
use crate::clock::{Clock, MonoTime};
use crate::message::{Cutter, Incoming, Reply, write_request};
use crate::socket::{UdpPair, unconnected};
use nix::errno::Errno;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::Duration;

/// How far a session has come: what it waits for the reply to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Options,
    Describe,
    /// Of the stream at this position.
    SetUp(usize),
    Play,
    /// It stays for a moment.
    Playing,
    TearDown,
    Gone,
}

#[derive(Debug)]
pub(super) struct Session {
    pub(super) connection: TcpStream,
    pub(super) step: Step,
    /// What it plays, by position.
    pub(super) url: usize,
    /// When it was to begin.
    meant: MonoTime,
    asked_at: MonoTime,
    cseq: u32,
    id: String,
    outgoing: Vec<u8>,
    cutter: Cutter,
}

impl Session {
    /// Begins to connect, from an address.
    pub(super) fn connect(
        server: SocketAddr,
        from: Option<IpAddr>,
        (url, meant): (usize, MonoTime),
        now: MonoTime,
    ) -> io::Result<Self> {
        let socket = unconnected(server, from)?;
        socket.set_nonblocking(true)?;
        socket.set_tcp_nodelay(true)?;
        match socket.connect(&server.into()) {
            Err(error) if error.raw_os_error() != Some(Errno::EINPROGRESS as i32) => {
                return Err(error);
            }
            Ok(()) | Err(_) => {}
        }
        Ok(Self {
            connection: socket.into(),
            step: Step::Options,
            url,
            meant,
            asked_at: now,
            cseq: 0,
            id: String::new(),
            outgoing: Vec::new(),
            cutter: Cutter::default(),
        })
    }

    /// The method whose reply it waits for.
    pub(super) const fn method(&self) -> &'static str {
        match self.step {
            Step::Options => "OPTIONS",
            Step::Describe => "DESCRIBE",
            Step::SetUp(_) => "SETUP",
            Step::Play | Step::Playing => "PLAY",
            Step::TearDown | Step::Gone => "TEARDOWN",
        }
    }

    /// How long it has waited for a reply.
    pub(super) fn waits_since(&self, now: MonoTime) -> Duration {
        if self.step == Step::Playing { Duration::ZERO } else { now - self.asked_at }
    }

    /// Asks for `method`; what it waits for follows from that.
    pub(super) fn ask(
        &mut self,
        now: MonoTime,
        method: &'static str,
        url: &str,
        headers: &[(&str, &str)],
    ) {
        self.cseq += 1;
        self.asked_at = now;
        if method == "TEARDOWN" {
            self.step = Step::TearDown;
        }
        let id = [("Session", self.id.as_str())];
        let session = if self.id.is_empty() { &[][..] } else { &id };
        let all: Vec<_> = session.iter().chain(headers).copied().collect();
        self.outgoing.extend(write_request(method, url, self.cseq, &all).as_bytes());
    }

    /// Writes what is to be written, and takes the replies that have come. Fails with what the
    /// server did wrong.
    pub(super) fn serve(
        &mut self,
        clock: Clock,
        url: &str,
        sink: &UdpPair,
        titles: &mut Titles,
        report: &mut Report,
    ) -> Result<(), String> {
        if self.cseq == 0 {
            self.ask(self.asked_at, "OPTIONS", url, &[]);
        }
        let mut scratch = [0; 8192];
        loop {
            self.flush()?;
            match (&self.connection).read(&mut scratch) {
                Ok(0) => return Err(format!("{}: the connection was closed", self.method())),
                Ok(count) => self.cutter.push(&scratch[..count]),
                Err(error) if WAITING.contains(&error.kind()) => return Ok(()),
                Err(error) => return Err(format!("connection: {error}")),
            }
            while let Some(reply) = self.next_reply()? {
                self.take(clock.now(), &reply, (url, sink), titles, report)?;
            }
            if self.step == Step::Gone {
                return Ok(());
            }
        }
    }

    fn next_reply(&mut self) -> Result<Option<Reply>, String> {
        match self.cutter.next_message().map_err(|malformed| malformed.to_string())? {
            Some(Incoming::Reply(reply)) => Ok(Some(reply)),
            Some(Incoming::Frame { .. }) => Err("an interleaved frame over UDP".to_owned()),
            None => Ok(None),
        }
    }

    fn flush(&mut self) -> Result<(), String> {
        while !self.outgoing.is_empty() {
            match (&self.connection).write(&self.outgoing) {
                Ok(written) => drop(self.outgoing.drain(..written)),
                Err(error) if WAITING.contains(&error.kind()) => break,
                Err(error) => return Err(format!("connection: {error}")),
            }
        }
        Ok(())
    }

    fn take(
        &mut self,
        now: MonoTime,
        reply: &Reply,
        (url, sink): (&str, &UdpPair),
        titles: &mut Titles,
        report: &mut Report,
    ) -> Result<(), String> {
        let method = self.method();
        if !reply.is_ok() || reply.cseq() != Some(self.cseq) {
            return Err(format!("{method}: {} {}", reply.status, reply.reason));
        }
        // The handshake and the wait for its turn are OPTIONS's.
        let since = if self.step == Step::Options { self.meant } else { self.asked_at };
        report.answered(method, now.nanos_since(since));
        match self.step {
            Step::Options => {
                self.step = Step::Describe;
                self.ask(now, "DESCRIBE", url, &[("Accept", "application/sdp")]);
            }
            Step::Describe => {
                titles.described(self.url, url, reply)?;
                self.set_up(now, 0, sink, titles);
            }
            Step::SetUp(position) => {
                let id = reply.header("Session").ok_or("SETUP: no Session")?;
                id.split(';').next().unwrap_or_default().trim().clone_into(&mut self.id);
                if position + 1 < titles.streams(self.url).len() {
                    self.set_up(now, position + 1, sink, titles);
                } else {
                    self.step = Step::Play;
                    let range = [("Range", "npt=0-")];
                    self.ask(now, "PLAY", titles.control_url(self.url), &range);
                }
            }
            Step::Play => {
                self.step = Step::Playing;
                report.set_up(now.nanos_since(self.meant));
            }
            Step::Playing => return Err("a reply to nothing".to_owned()),
            Step::TearDown | Step::Gone => self.step = Step::Gone,
        }
        Ok(())
    }

    fn set_up(&mut self, now: MonoTime, position: usize, sink: &UdpPair, titles: &Titles) {
        self.step = Step::SetUp(position);
        let transport = transport(sink);
        let url = &titles.streams(self.url)[position];
        self.ask(now, "SETUP", url, &[("Transport", &transport)]);
    }
}

/// What a socket says when there is nothing to do.
const WAITING: [ErrorKind; 3] =
    [ErrorKind::WouldBlock, ErrorKind::NotConnected, ErrorKind::Interrupted];
