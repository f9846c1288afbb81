//! A connection and the streams that belong to it: requests out, and everything that comes in, in
//! the order in which it came.

use super::check::{Stop, fail, not_supported};
use super::lab::Lab;
use super::link::Link;
use super::media::{Kind, Packet};
use super::message::{Cutter, Incoming, Reply, ServerRequest};
use super::transcript::Transcript;
use crate::clock::{KernelClock, MonoTime};
use crate::receive::Receiver;
use crate::socket::UdpPair;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::net::{IpAddr, Shutdown, SocketAddr};
use std::os::fd::AsFd as _;
use std::time::Duration;

/// What is read from a connection at once.
const READ_BYTES: usize = 64 * 1024;
/// How often a condition is looked at when nothing comes.
const TICK: Duration = Duration::from_millis(50);

/// A stream as SETUP made it, from the client's side.
#[derive(Debug, Default)]
pub(super) struct Route {
    /// RTP and RTCP channel.
    pub(super) channels: Option<(u8, u8)>,
    pub(super) ports: Option<UdpPair>,
}

/// A client on one connection.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) link: Link,
    pub(super) transcript: Transcript,
    pub(super) clock: KernelClock,
    pub(super) patience: Duration,
    /// All replies so far.
    pub(super) replies: Vec<Reply>,
    /// Requests of the server's own.
    pub(super) requests: Vec<ServerRequest>,
    /// All packets so far.
    pub(super) packets: Vec<Packet>,
    /// Frames on channels that no stream has.
    pub(super) strays: Vec<u8>,
    pub(super) routes: Vec<Route>,
    /// Whether the server has closed the connection.
    pub(super) is_closed: bool,
    /// Replies that somebody has waited for.
    seen: usize,
    cutter: Cutter,
    cseq: u32,
    receiver: Option<Receiver>,
}

impl Client {
    /// Connects to the server.
    pub(super) fn connect(lab: &Lab<'_>) -> Result<Self, Stop> {
        Self::connect_from(lab, lab.server(), lab.source)
    }

    /// Connects from an address of this machine.
    pub(super) fn connect_from(
        lab: &Lab<'_>,
        server: SocketAddr,
        source: Option<IpAddr>,
    ) -> Result<Self, Stop> {
        let stream = lab.connect(server, source)?;
        Ok(Self::new(lab, Link::Plain(stream)))
    }

    /// Connects plainly or through an HTTP tunnel.
    pub(super) fn connect_kind(
        lab: &Lab<'_>,
        kind: Kind,
        source: Option<IpAddr>,
    ) -> Result<Self, Stop> {
        match kind {
            Kind::Udp | Kind::Tcp => Self::connect_from(lab, lab.server(), source),
            Kind::Http => super::tunnel::open(lab, source),
        }
    }

    pub(super) fn new(lab: &Lab<'_>, link: Link) -> Self {
        Self {
            link,
            transcript: lab.transcript.clone(),
            clock: lab.clock,
            patience: lab.patience(),
            replies: Vec::new(),
            requests: Vec::new(),
            packets: Vec::new(),
            strays: Vec::new(),
            routes: Vec::new(),
            is_closed: false,
            seen: 0,
            cutter: Cutter::default(),
            cseq: 0,
            receiver: None,
        }
    }

    /// The text of a request with the next CSeq.
    pub(super) fn write(
        &mut self,
        method: &str,
        url: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Vec<u8> {
        self.cseq += 1;
        let mut text = format!("{method} {url} RTSP/1.0\r\nCSeq: {}\r\n", self.cseq);
        for (name, value) in headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        if !body.is_empty() {
            text.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        text.push_str("\r\n");
        [text.as_bytes(), body].concat()
    }

    /// Sends bytes.
    pub(super) fn send(&mut self, bytes: &[u8]) -> Result<(), Stop> {
        self.transcript.sent(self.clock.now(), bytes);
        Ok(self.link.send(bytes)?)
    }

    /// Sends a request and waits for its reply, which must have its CSeq.
    pub(super) fn ask(
        &mut self,
        method: &str,
        url: &str,
        headers: &[(&str, &str)],
    ) -> Result<Reply, Stop> {
        self.ask_with_body(method, url, headers, b"")
    }

    pub(super) fn ask_with_body(
        &mut self,
        method: &str,
        url: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<Reply, Stop> {
        let request = self.write(method, url, headers, body);
        let cseq = self.cseq.to_string();
        self.send(&request)?;
        let reply = self.reply()?;
        if reply.header("CSeq") != Some(cseq.as_str()) {
            let said = reply.header("CSeq");
            return fail(format!("{method} with CSeq {cseq} was answered with CSeq {said:?}"));
        }
        Ok(reply)
    }

    /// Sends bytes and waits for a reply.
    pub(super) fn ask_raw(&mut self, bytes: &[u8]) -> Result<Reply, Stop> {
        self.send(bytes)?;
        self.reply()
    }

    /// The next reply.
    pub(super) fn reply(&mut self) -> Result<Reply, Stop> {
        match self.reply_or_close()? {
            Some(reply) => Ok(reply),
            None => fail("the server closed the connection in place of a reply"),
        }
    }

    /// The next reply, `None` if the server closes the connection instead.
    pub(super) fn reply_or_close(&mut self) -> Result<Option<Reply>, Stop> {
        let wanted = self.seen + 1;
        self.wait(self.patience, |client| client.replies.len() >= wanted)?;
        if let Some(reply) = self.replies.get(self.seen) {
            self.seen += 1;
            return Ok(Some(reply.clone()));
        }
        if self.is_closed {
            return Ok(None);
        }
        let pending = super::message::sample(self.cutter.pending());
        let rest = if pending.is_empty() { String::new() } else { format!(", only {pending}") };
        fail(format!("no reply within {:?}{rest}", self.patience))
    }

    /// Takes what comes until `until` holds, the connection is closed or the time is over; returns
    /// whether it holds.
    pub(super) fn wait(
        &mut self,
        timeout: Duration,
        mut until: impl FnMut(&Self) -> bool,
    ) -> Result<bool, Stop> {
        let end = self.clock.now() + timeout;
        loop {
            self.drain()?;
            if until(self) {
                return Ok(true);
            }
            let left = end - self.clock.now();
            if self.is_closed && self.routes.iter().all(|route| route.ports.is_none())
                || left.is_zero()
            {
                return Ok(false);
            }
            self.poll(left.min(TICK));
        }
    }

    /// Takes what comes for a while.
    pub(super) fn listen(&mut self, duration: Duration) -> Result<(), Stop> {
        self.wait(duration, |_| false).map(drop)
    }

    fn poll(&self, timeout: Duration) {
        let mut watched = Vec::new();
        if !self.is_closed {
            watched.push(PollFd::new(self.link.incoming().as_fd(), PollFlags::POLLIN));
        }
        for pair in self.routes.iter().filter_map(|route| route.ports.as_ref()) {
            watched.push(PollFd::new(pair.rtp.as_fd(), PollFlags::POLLIN));
            watched.push(PollFd::new(pair.rtcp.as_fd(), PollFlags::POLLIN));
        }
        let millis = u16::try_from(timeout.as_millis() + 1).unwrap_or(u16::MAX);
        // Interrupted or not: what there is will be read.
        let _ = poll(&mut watched, PollTimeout::from(millis));
    }

    /// Reads all there is: the connection before and after the datagrams, so that a datagram is
    /// held to be before a reply only if it was.
    fn drain(&mut self) -> Result<(), Stop> {
        self.drain_link()?;
        let first = self.packets.len();
        self.drain_datagrams();
        if self.packets.len() > first {
            self.drain_link()?;
            let replies = self.replies.len();
            for packet in self.packets.iter_mut().skip(first).filter(|new| !new.is_interleaved) {
                packet.replies_before = replies;
            }
        }
        Ok(())
    }

    fn drain_link(&mut self) -> Result<(), Stop> {
        let mut buffer = vec![0; READ_BYTES];
        while !self.is_closed {
            match self.link.read(&mut buffer, &self.clock) {
                Ok(None) => break,
                Ok(Some((_, 0))) | Err(_) => {
                    self.is_closed = true;
                    self.transcript.note(self.clock.now(), "the server closed the connection");
                }
                Ok(Some((at, length))) => {
                    self.cutter.push(&buffer[..length]);
                    self.cut(at)?;
                }
            }
        }
        Ok(())
    }

    fn cut(&mut self, at: MonoTime) -> Result<(), Stop> {
        loop {
            match self.cutter.next() {
                Ok(None) => return Ok(()),
                Ok(Some(Incoming::Reply(mut reply))) => {
                    (reply.at, reply.number) = (at, self.replies.len() + 1);
                    self.transcript.received(at, described(&reply));
                    self.replies.push(reply);
                }
                Ok(Some(Incoming::Request(request))) => {
                    self.transcript.received(at, format!("{request:?}"));
                    self.requests.push(request);
                }
                Ok(Some(Incoming::Frame { channel, payload })) => self.frame(at, channel, payload),
                Err(error) => {
                    return fail(format!("what came cannot be cut into messages: {error}"));
                }
            }
        }
    }

    fn frame(&mut self, at: MonoTime, channel: u8, bytes: Vec<u8>) {
        let found = self.routes.iter().enumerate().find_map(|(stream, route)| {
            let (rtp, rtcp) = route.channels?;
            (rtp == channel || rtcp == channel).then_some((stream, rtcp == channel))
        });
        let Some((stream, is_rtcp)) = found else {
            self.transcript.packet(at, &format!("a frame on channel {channel}"));
            return self.strays.push(channel);
        };
        self.take_packet(Packet {
            stream,
            is_rtcp,
            bytes,
            at,
            replies_before: self.replies.len(),
            is_interleaved: true,
        });
    }

    fn drain_datagrams(&mut self) {
        let clock = self.clock;
        if self.receiver.is_none() && self.routes.iter().any(|route| route.ports.is_some()) {
            self.receiver = Some(Receiver::new(clock));
        }
        let Some(mut receiver) = self.receiver.take() else { return };
        let mut taken = Vec::new();
        for (stream, route) in self.routes.iter().enumerate() {
            let Some(pair) = &route.ports else { continue };
            for (socket, is_rtcp) in [(&pair.rtp, false), (&pair.rtcp, true)] {
                while let Ok(more) = receiver.fill(socket) {
                    for train in receiver.trains() {
                        taken.extend(train.packets().map(|bytes| Packet {
                            stream,
                            is_rtcp,
                            bytes: bytes.to_vec(),
                            at: train.at,
                            replies_before: 0,
                            is_interleaved: false,
                        }));
                    }
                    if !more {
                        break;
                    }
                }
            }
        }
        self.receiver = Some(receiver);
        taken.sort_by_key(|packet| packet.at);
        taken.into_iter().for_each(|packet| self.take_packet(packet));
    }

    fn take_packet(&mut self, packet: Packet) {
        let what = match (packet.is_rtcp, packet.rtp()) {
            (true, _) => format!("RTCP of stream {}", packet.stream),
            (false, Some(rtp)) => {
                format!("RTP of stream {} (seq {}, {})", packet.stream, rtp.sequence, rtp.timestamp)
            }
            (false, None) => format!("no RTP for stream {}", packet.stream),
        };
        self.transcript.packet(packet.at, &what);
        self.packets.push(packet);
    }

    /// Closes the connection without a word.
    pub(super) fn vanish(&mut self) {
        self.transcript.note(self.clock.now(), "the client closes the connection");
        let _ = self.link.incoming().shutdown(Shutdown::Both);
        if let Link::Tunnel { post: Some(post), .. } = &self.link {
            let _ = post.shutdown(Shutdown::Both);
        }
    }
}

/// A reply as the transcript shows it.
fn described(reply: &Reply) -> String {
    let mut text = format!("{} {}\n", reply.protocol, reply.line());
    for (name, value) in &reply.headers {
        text.push_str(&format!("{name}: {value}\n"));
    }
    if !reply.body.is_empty() {
        text.push_str(&format!("\n{}", super::transcript::shown(&reply.body)));
    }
    text
}

impl Reply {
    /// The reply must have this status.
    pub(super) fn expect(&self, status: u16) -> Result<&Self, Stop> {
        self.expect_one_of(&[status])
    }

    /// The reply must have one of these.
    pub(super) fn expect_one_of(&self, statuses: &[u16]) -> Result<&Self, Stop> {
        if statuses.contains(&self.status) {
            return Ok(self);
        }
        let wanted: Vec<_> = statuses.iter().map(ToString::to_string).collect();
        fail(format!("answered {}, not {}", self.line(), wanted.join(" or ")))
    }

    /// The request must be refused, in whatever words.
    pub(super) fn expect_refusal(&self) -> Result<&Self, Stop> {
        match self.status / 100 {
            4 | 5 => Ok(self),
            _ => fail(format!("answered {}, which is no refusal", self.line())),
        }
    }

    /// With one of these statuses the server says that it does not have what is checked.
    pub(super) fn unless_lacking(&self, what: &str, statuses: &[u16]) -> Result<&Self, Stop> {
        if statuses.contains(&self.status) {
            return not_supported(format!("{what}: {}", self.line()));
        }
        Ok(self)
    }
}
