//! A blocking RTSP client for tests and small tools: one connection, one session, its streams over
//! UDP or interleaved, everything that arrives with its time.

use crate::clock::{Clock, KernelClock, MonoTime};
use crate::headers::{
    NptRange, RtpInfo, Session, Transport, parse_range, parse_rtp_info, parse_session,
    parse_transport,
};
use crate::message::{Cutter, Incoming, Malformed, Reply, write_request};
use crate::presentation::{Media, Presentation};
use crate::receive::Receiver;
use crate::socket::{self, UdpPair};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::collections::VecDeque;
use std::fmt;
use std::io::{self, Write as _};
use std::net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs as _};
use std::os::fd::AsFd as _;
use std::time::Duration;

/// How long a reply may take.
const REPLY_TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes read from the connection at once.
const READ_BYTES_MAX: usize = 256 * 1024;

/// Why a request did not do what it should.
#[derive(Debug)]
pub enum ClientError {
    /// The connection or a socket failed.
    Io(io::Error),
    /// The server's bytes cannot be cut into messages.
    Malformed(Malformed),
    /// The server closed the connection.
    Closed,
    /// No reply came in time.
    TimedOut,
    /// The server refused.
    Refused(Reply),
    /// The server granted the request with a reply that cannot be used; says why.
    Unusable(String),
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => error.fmt(f),
            Self::Malformed(malformed) => malformed.fmt(f),
            Self::Closed => f.write_str("the server closed the connection"),
            Self::TimedOut => f.write_str("no reply came in time"),
            Self::Refused(reply) => write!(f, "refused: {} {}", reply.status, reply.reason),
            Self::Unusable(why) => write!(f, "the reply cannot be used: {why}"),
        }
    }
}

impl std::error::Error for ClientError {}

impl From<io::Error> for ClientError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<Errno> for ClientError {
    fn from(errno: Errno) -> Self {
        Self::Io(errno.into())
    }
}

impl From<Malformed> for ClientError {
    fn from(malformed: Malformed) -> Self {
        Self::Malformed(malformed)
    }
}

/// How a stream travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lower {
    /// Datagrams to a port pair of ours.
    Udp,
    /// Frames in the RTSP connection.
    Tcp,
}

/// Which half of a stream a packet belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Half {
    /// Media.
    Rtp,
    /// Reports.
    Rtcp,
}

/// A packet that arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// When the kernel had it. Messages of one read of the connection differ by a nanosecond
    /// each, so that order and time never disagree.
    pub at: MonoTime,
    /// The stream, counted in order of SETUP.
    pub stream: usize,
    /// Media or report.
    pub half: Half,
    /// The packet.
    pub bytes: Vec<u8>,
}

/// What a granted PLAY said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Played {
    /// When the reply arrived.
    pub at: MonoTime,
    /// Where play starts and ends.
    pub range: NptRange,
    /// One entry a stream.
    pub rtp_info: Vec<RtpInfo>,
}

#[derive(Debug)]
enum Route {
    Udp(UdpPair),
    Interleaved(u8, u8),
}

/// The client's end of a connection and its session.
#[derive(Debug)]
pub struct RtspClient {
    connection: TcpStream,
    server: SocketAddr,
    url: String,
    clock: KernelClock,
    cutter: Cutter,
    scratch: Vec<u8>,
    receiver: Receiver,
    cseq: u32,
    session: Option<Session>,
    routes: Vec<Route>,
    replies: VecDeque<(MonoTime, Reply)>,
    arrivals: VecDeque<Arrival>,
}

impl RtspClient {
    /// Connects to the server of `url`, from the address `local` if given.
    ///
    /// # Errors
    /// The URL names no server, or it does not accept.
    pub fn connect(url: &str, local: Option<IpAddr>) -> Result<Self, ClientError> {
        let server = server_address(url)?;
        let socket = socket::unconnected(server, local)?;
        socket.connect_timeout(&server.into(), REPLY_TIMEOUT)?;
        let connection = TcpStream::from(socket);
        let clock = KernelClock::new(Clock::start());
        Ok(Self {
            connection,
            server,
            url: url.to_owned(),
            clock,
            cutter: Cutter::default(),
            scratch: vec![0; READ_BYTES_MAX],
            receiver: Receiver::new(clock),
            cseq: 0,
            session: None,
            routes: Vec::new(),
            replies: VecDeque::new(),
            arrivals: VecDeque::new(),
        })
    }

    /// The clock by which things arrive.
    #[must_use]
    pub fn now(&self) -> MonoTime {
        self.clock.now()
    }

    /// The session, once SETUP was granted.
    #[must_use]
    pub const fn session(&self) -> Option<&Session> {
        self.session.as_ref()
    }

    /// Sends a request and waits for its reply, whatever its status. `Session` is added if there
    /// is one.
    ///
    /// # Errors
    /// No reply came, or not to this request.
    pub fn request(
        &mut self,
        method: &str,
        url: &str,
        headers: &[(&str, &str)],
    ) -> Result<Reply, ClientError> {
        let cseq = self.send(method, url, headers)?;
        let (_, reply) = self.reply(cseq)?;
        Ok(reply)
    }

    /// Sends a request without waiting; returns its `CSeq`.
    ///
    /// # Errors
    /// The connection failed.
    pub fn send(
        &mut self,
        method: &str,
        url: &str,
        headers: &[(&str, &str)],
    ) -> Result<u32, ClientError> {
        self.cseq += 1;
        let session = self.session.as_ref().map(|session| ("Session", session.id.as_str()));
        let headers: Vec<_> = session.into_iter().chain(headers.iter().copied()).collect();
        let text = write_request(method, url, self.cseq, &headers);
        self.send_raw(text.as_bytes())?;
        Ok(self.cseq)
    }

    /// Sends bytes as they are.
    ///
    /// # Errors
    /// The connection failed.
    pub fn send_raw(&mut self, bytes: &[u8]) -> Result<(), ClientError> {
        Ok(self.connection.write_all(bytes)?)
    }

    /// Waits for the reply to the request `cseq` and says when it came.
    ///
    /// # Errors
    /// No reply came, or one to another request.
    pub fn reply(&mut self, cseq: u32) -> Result<(MonoTime, Reply), ClientError> {
        let deadline = self.now() + REPLY_TIMEOUT;
        loop {
            if let Some((at, reply)) = self.replies.pop_front() {
                return match reply.cseq() {
                    Some(number) if number == cseq => Ok((at, reply)),
                    other => Err(ClientError::Unusable(format!("CSeq {other:?}, not {cseq}"))),
                };
            }
            let rest = deadline - self.now();
            if rest.is_zero() {
                return Err(ClientError::TimedOut);
            }
            self.wait(rest)?;
        }
    }

    /// OPTIONS: the methods the server names in `Public`.
    ///
    /// # Errors
    /// No reply, or a refusal.
    pub fn options(&mut self) -> Result<Vec<String>, ClientError> {
        let url = self.url.clone();
        let reply = granted(self.request("OPTIONS", &url, &[])?)?;
        let public = reply.header("Public").unwrap_or_default();
        Ok(public.split(',').map(|method| method.trim().to_owned()).collect())
    }

    /// DESCRIBE.
    ///
    /// # Errors
    /// No reply, a refusal, or a description that cannot be used.
    pub fn describe(&mut self) -> Result<Presentation, ClientError> {
        let url = self.url.clone();
        let reply = granted(self.request("DESCRIBE", &url, &[("Accept", "application/sdp")])?)?;
        let base = reply.header("Content-Base").unwrap_or(&url);
        let presentation = Presentation::parse(&reply.body, base).map_err(ClientError::Unusable)?;
        self.url.clone_from(&presentation.control_url);
        Ok(presentation)
    }

    /// SETUP of one stream; streams count from 0 in the order of these calls.
    ///
    /// # Errors
    /// No reply, a refusal, or a reply that does not fit what was offered.
    pub fn setup(&mut self, media: &Media, lower: Lower) -> Result<Transport, ClientError> {
        let (route, offer) = match lower {
            Lower::Udp => {
                let pair = UdpPair::bind(self.connection.local_addr()?.ip())?;
                let (rtp, rtcp) = (pair.rtp_port, pair.rtp_port + 1);
                (Route::Udp(pair), format!("RTP/AVP;unicast;client_port={rtp}-{rtcp}"))
            }
            Lower::Tcp => {
                let channel = u8::try_from(self.routes.len() * 2).unwrap_or(u8::MAX - 1);
                let offer = format!("RTP/AVP/TCP;unicast;interleaved={channel}-{}", channel + 1);
                (Route::Interleaved(channel, channel + 1), offer)
            }
        };
        let reply = self.request("SETUP", &media.control_url, &[("Transport", &offer)])?;
        let reply = granted(reply)?;
        let transport = typed(&reply, "Transport", parse_transport)?;
        match &route {
            Route::Udp(pair) => {
                let ports = transport
                    .server_port
                    .filter(|_| transport.client_port == Some((pair.rtp_port, pair.rtp_port + 1)));
                let unusable = || ClientError::Unusable(format!("{transport:?} for {offer}"));
                pair.connect(self.server.ip(), ports.ok_or_else(unusable)?)?;
            }
            Route::Interleaved(rtp, rtcp) => {
                if transport.interleaved != Some((*rtp, *rtcp)) {
                    return Err(ClientError::Unusable(format!("{transport:?} for {offer}")));
                }
            }
        }
        self.session = Some(typed(&reply, "Session", parse_session)?);
        self.routes.push(route);
        Ok(transport)
    }

    /// PLAY of the aggregate, with this `Range` or none.
    ///
    /// # Errors
    /// No reply, a refusal, or a reply without usable `Range` and `RTP-Info`.
    pub fn play(&mut self, range: Option<&str>) -> Result<Played, ClientError> {
        let url = self.url.clone();
        let header = range.map(|range| ("Range", range));
        let cseq = self.send("PLAY", &url, header.as_slice())?;
        let (at, reply) = self.reply(cseq)?;
        let reply = granted(reply)?;
        let range = typed(&reply, "Range", parse_range)?;
        let rtp_info = typed(&reply, "RTP-Info", parse_rtp_info)?;
        Ok(Played { at, range, rtp_info })
    }

    /// PAUSE of the aggregate.
    ///
    /// # Errors
    /// No reply or a refusal.
    pub fn pause(&mut self) -> Result<Reply, ClientError> {
        let url = self.url.clone();
        granted(self.request("PAUSE", &url, &[])?)
    }

    /// GET_PARAMETER without body: a keep-alive.
    ///
    /// # Errors
    /// No reply or a refusal.
    pub fn keep_alive(&mut self) -> Result<Reply, ClientError> {
        let url = self.url.clone();
        granted(self.request("GET_PARAMETER", &url, &[])?)
    }

    /// TEARDOWN of the aggregate; the session is gone afterwards.
    ///
    /// # Errors
    /// No reply or a refusal.
    pub fn teardown(&mut self) -> Result<Reply, ClientError> {
        let url = self.url.clone();
        let reply = granted(self.request("TEARDOWN", &url, &[])?)?;
        self.session = None;
        self.routes.clear();
        Ok(reply)
    }

    /// Sends an RTCP packet to the server on `stream`.
    ///
    /// # Errors
    /// The socket failed.
    pub fn send_rtcp(&mut self, stream: usize, packet: &[u8]) -> Result<(), ClientError> {
        match self.routes.get(stream) {
            Some(Route::Udp(pair)) => {
                pair.rtcp.send(packet)?;
            }
            Some(Route::Interleaved(_, channel)) => {
                let length = u16::try_from(packet.len()).unwrap_or(u16::MAX).to_be_bytes();
                let prefix = [b'$', *channel, length[0], length[1]];
                self.connection.write_all(&[&prefix, packet].concat())?;
            }
            None => {}
        }
        Ok(())
    }

    /// Sends a datagram to the server's RTP port of `stream`, as clients do to open a NAT; nothing
    /// for an interleaved stream.
    ///
    /// # Errors
    /// The socket failed.
    pub fn send_to_rtp_port(&self, stream: usize, datagram: &[u8]) -> Result<(), ClientError> {
        if let Some(Route::Udp(pair)) = self.routes.get(stream) {
            pair.rtp.send(datagram)?;
        }
        Ok(())
    }

    /// The next packet that arrived, of any stream, waiting up to `timeout` for one.
    ///
    /// # Errors
    /// A socket failed or the server closed the connection.
    pub fn next_arrival(&mut self, timeout: Duration) -> Result<Option<Arrival>, ClientError> {
        let deadline = self.now() + timeout;
        loop {
            if let Some(arrival) = self.arrivals.pop_front() {
                return Ok(Some(arrival));
            }
            let rest = deadline - self.now();
            if rest.is_zero() {
                return Ok(None);
            }
            self.wait(rest)?;
        }
    }

    /// Puts an arrival back, to be the next again.
    pub fn put_back(&mut self, arrival: Arrival) {
        self.arrivals.push_front(arrival);
    }

    /// Takes in what arrives within `timeout`, at least once.
    fn wait(&mut self, timeout: Duration) -> Result<(), ClientError> {
        let mut ready = vec![PollFd::new(self.connection.as_fd(), PollFlags::POLLIN)];
        for route in &self.routes {
            if let Route::Udp(pair) = route {
                ready.push(PollFd::new(pair.rtp.as_fd(), PollFlags::POLLIN));
                ready.push(PollFd::new(pair.rtcp.as_fd(), PollFlags::POLLIN));
            }
        }
        let millis = timeout.as_millis().clamp(1, 60_000);
        let timeout = PollTimeout::try_from(u32::try_from(millis).unwrap_or(60_000));
        match poll(&mut ready, timeout.unwrap_or(PollTimeout::MAX)) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
        }
        let connection_ready = ready[0].any().unwrap_or(false);
        drop(ready);
        self.receive_datagrams()?;
        if connection_ready { self.read_connection() } else { Ok(()) }
    }

    fn receive_datagrams(&mut self) -> Result<(), ClientError> {
        for (stream, route) in self.routes.iter().enumerate() {
            let Route::Udp(pair) = route else { continue };
            for (socket, half) in [(&pair.rtp, Half::Rtp), (&pair.rtcp, Half::Rtcp)] {
                let mut more = true;
                while more {
                    more = self.receiver.fill(socket)?;
                    for train in self.receiver.trains() {
                        self.arrivals.extend(train.packets().map(|packet| Arrival {
                            at: train.at,
                            stream,
                            half,
                            bytes: packet.to_vec(),
                        }));
                    }
                }
            }
        }
        Ok(())
    }

    fn read_connection(&mut self) -> Result<(), ClientError> {
        let read = socket::read(&self.connection, &mut self.scratch, &self.clock)?;
        let Some((mut at, length)) = read else { return Ok(()) };
        if length == 0 {
            return Err(ClientError::Closed);
        }
        self.cutter.push(self.scratch.get(..length).unwrap_or_default());
        while let Some(message) = self.cutter.next_message()? {
            at = at.offset_by(1);
            match message {
                Incoming::Reply(reply) => self.replies.push_back((at, reply)),
                Incoming::Frame { channel, payload } => {
                    let Some((stream, half)) = find_channel(&self.routes, channel) else {
                        let why = format!("a frame on channel {channel}");
                        return Err(ClientError::Unusable(why));
                    };
                    self.arrivals.push_back(Arrival { at, stream, half, bytes: payload.to_vec() });
                }
            }
        }
        Ok(())
    }
}

/// The address of the server that an `rtsp://` URL names; the default port is 554
/// (RFC 2326 §3.2).
///
/// # Errors
/// The URL is not an RTSP URL or its host is unknown.
pub fn server_address(url: &str) -> io::Result<SocketAddr> {
    let invalid = |why: String| io::Error::new(io::ErrorKind::InvalidInput, why);
    let rest =
        url.strip_prefix("rtsp://").ok_or_else(|| invalid("does not begin with rtsp://".into()))?;
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    if authority.contains('@') {
        return Err(invalid("credentials are not supported".into()));
    }
    let has_port = authority.rsplit_once(':').is_some_and(|(_, port)| !port.ends_with(']'));
    let address = if has_port { authority.to_owned() } else { format!("{authority}:554") };
    let mut found = address.to_socket_addrs()?;
    found.next().ok_or_else(|| invalid(format!("{authority} has no address")))
}

fn granted(reply: Reply) -> Result<Reply, ClientError> {
    if reply.is_ok() { Ok(reply) } else { Err(ClientError::Refused(reply)) }
}

fn typed<T>(
    reply: &Reply,
    name: &str,
    parse: impl Fn(&str) -> Option<T>,
) -> Result<T, ClientError> {
    let text = reply.header(name);
    text.and_then(parse).ok_or_else(|| ClientError::Unusable(format!("{name}: {text:?}")))
}

fn find_channel(routes: &[Route], channel: u8) -> Option<(usize, Half)> {
    routes.iter().enumerate().find_map(|(stream, route)| match route {
        Route::Interleaved(rtp, _) if *rtp == channel => Some((stream, Half::Rtp)),
        Route::Interleaved(_, rtcp) if *rtcp == channel => Some((stream, Half::Rtcp)),
        Route::Interleaved(..) | Route::Udp(_) => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_found_in_urls() {
        for (url, expected) in [
            ("rtsp://127.0.0.1/a", "127.0.0.1:554"),
            ("rtsp://127.0.0.1:8554", "127.0.0.1:8554"),
            ("rtsp://[::1]/a:b", "[::1]:554"),
            ("rtsp://[::1]:99/a", "[::1]:99"),
        ] {
            assert_eq!(server_address(url).unwrap().to_string(), expected);
        }
        assert!(server_address("http://127.0.0.1/").is_err());
        assert!(server_address("rtsp://").is_err());
        assert!(server_address("rtsp://user:secret@127.0.0.1/").is_err());
    }
}
