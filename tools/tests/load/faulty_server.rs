//! An RTSP server that makes exactly the mistakes it is told to.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{IpAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Between two packets, each of which is a unit of its own.
const PACKET_INTERVAL: Duration = Duration::from_millis(5);
/// The same in ticks of the video clock.
const PACKET_TICKS: u32 = 450;
/// Close to the end of its cycle, so that it wraps.
const FIRST_SEQUENCE: u16 = 65_500;
const FIRST_TIMESTAMP: u32 = u32::MAX - 20_000;
const SSRC: u32 = 7;

/// What goes wrong. Packets are counted from 0 in each session, over all its ranges.
#[derive(Clone, Debug, Default)]
pub(crate) struct Faults {
    /// Never sent.
    pub(crate) lost: Vec<u32>,
    /// Sent twice.
    pub(crate) duplicated: Vec<u32>,
    /// Sent after the one that follows.
    pub(crate) swapped: Vec<u32>,
    /// Sent so much too late, and all that follow with it.
    pub(crate) held: Option<(u32, Duration)>,
    /// Nothing is sent from here on.
    pub(crate) silent_from: Option<u32>,
    /// BYE takes the place of this packet of each range, and ends it; interleaved only.
    pub(crate) bye_at: Option<u32>,
    /// Length of the title, in seconds; 600 if 0.
    pub(crate) title_seconds: u32,
    /// PLAY is answered without RTP-Info.
    pub(crate) no_rtp_info: bool,
    /// SETUP is answered with 453 but to this many sessions.
    pub(crate) sessions_max: Option<usize>,
    /// The first of the two channels it has interleaved streams on, whatever the viewer offers.
    pub(crate) channel: u8,
    /// SETUP is answered with this status.
    pub(crate) setup_status: Option<&'static str>,
    /// PLAY is answered with 453 once something has played.
    pub(crate) refuses_to_go_on: bool,
    /// The connection is reset so long after PLAY was answered.
    pub(crate) resets_after: Option<Duration>,
    /// The connection is closed in place of an answer to PLAY.
    pub(crate) hangs_up: bool,
}

/// A server on a port of its own.
#[derive(Debug)]
pub(crate) struct FaultyServer {
    pub(crate) url: String,
    seen: Arc<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    requests: Mutex<BTreeMap<String, usize>>,
    sessions: AtomicUsize,
}

impl FaultyServer {
    pub(crate) fn start(faults: Faults) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("rtsp://{}/title", listener.local_addr().unwrap());
        let seen = Arc::new(Seen::default());
        let for_connections = Arc::clone(&seen);
        std::thread::spawn(move || {
            for connection in listener.incoming() {
                let (faults, seen) = (faults.clone(), Arc::clone(&for_connections));
                std::thread::spawn(move || {
                    // A viewer that is gone is one that has left.
                    let _ = Connection::new(connection.unwrap(), faults).serve(&seen);
                });
            }
        });
        Self { url, seen }
    }

    /// How often a method was asked for; `EOF` are connections closed without TEARDOWN.
    pub(crate) fn count(&self, method: &str) -> usize {
        self.seen.requests.lock().unwrap().get(method).copied().unwrap_or(0)
    }
}

struct Connection {
    stream: TcpStream,
    faults: Faults,
    route: Option<Route>,
    playing: Option<(Arc<AtomicBool>, std::thread::JoinHandle<u32>)>,
    next_packet: u32,
}

/// Where packets go.
#[derive(Debug)]
enum Route {
    Udp(UdpSocket),
    /// With the channel of packets; that of reports follows.
    Interleaved(TcpStream, u8),
}

impl Route {
    fn send(&self, packet: &[u8]) -> std::io::Result<()> {
        match self {
            Self::Udp(socket) => socket.send(packet).map(drop),
            Self::Interleaved(stream, channel) => interleave(stream, *channel, packet),
        }
    }

    /// Says BYE, after an empty sender report.
    fn say_bye(&self, ssrc: u32) {
        let Self::Interleaved(stream, channel) = self else { return };
        let mut packet = vec![0x80, 200, 0, 6];
        packet.extend(ssrc.to_be_bytes());
        packet.extend([0; 20]);
        packet.extend([0x81, 203, 0, 1]);
        packet.extend(ssrc.to_be_bytes());
        let _ = interleave(stream, channel + 1, &packet);
    }
}

fn interleave(mut stream: &TcpStream, channel: u8, packet: &[u8]) -> std::io::Result<()> {
    let length = u16::try_from(packet.len()).unwrap().to_be_bytes();
    stream.write_all(&[&[b'$', channel], &length[..], packet].concat())
}

impl Connection {
    fn new(stream: TcpStream, faults: Faults) -> Self {
        stream.set_nodelay(true).unwrap();
        Self { stream, faults, route: None, playing: None, next_packet: 0 }
    }

    fn serve(&mut self, seen: &Seen) -> std::io::Result<()> {
        let mut reader = BufReader::new(self.stream.try_clone()?);
        loop {
            let Some(request) = read_request(&mut reader)? else {
                self.halt();
                *seen.requests.lock().unwrap().entry("EOF".into()).or_default() += 1;
                return Ok(());
            };
            let method = request[0].split(' ').next().unwrap().to_owned();
            *seen.requests.lock().unwrap().entry(method.clone()).or_default() += 1;
            let header = |name: &str| {
                let mut lines = request.iter().filter_map(|line| line.split_once(": "));
                lines.find(|(known, _)| *known == name).map_or("", |(_, value)| value)
            };
            let cseq = header("CSeq");
            if method == "PLAY" && self.faults.hangs_up {
                return Ok(());
            }
            let (status, headers, body) = self.answer(&method, header("Transport"), seen);
            let length = body.len();
            // In one piece, or packets would overtake it.
            let reply = format!(
                "RTSP/1.0 {status}\r\nCSeq: {cseq}\r\n{headers}Content-Length: {length}\r\n\r\n\
                 {body}"
            );
            self.stream.write_all(reply.as_bytes())?;
            if method == "PLAY" && status.starts_with("200") {
                self.play();
                if let Some(after) = self.faults.resets_after {
                    pause(after);
                    self.halt();
                    socket2::SockRef::from(&self.stream).set_linger(Some(Duration::ZERO))?;
                    self.route = None;
                    return Ok(());
                }
            }
            if method == "TEARDOWN" {
                return Ok(());
            }
        }
    }

    fn answer(&mut self, method: &str, transport: &str, seen: &Seen) -> (String, String, String) {
        let ok = |headers: String| ("200 OK".to_owned(), headers, String::new());
        match method {
            "OPTIONS" => ok("Public: DESCRIBE, SETUP, PLAY, PAUSE, TEARDOWN\r\n".into()),
            "DESCRIBE" => {
                let seconds = match self.faults.title_seconds {
                    0 => 600,
                    seconds => seconds,
                };
                let description = format!(
                    "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=x\r\nc=IN IP4 0.0.0.0\r\n\
                     t=0 0\r\na=range:npt=0-{seconds}\r\nm=video 0 RTP/AVP 96\r\n\
                     a=rtpmap:96 H264/90000\r\na=control:1\r\n"
                );
                ("200 OK".into(), String::new(), description)
            }
            "SETUP" => {
                let number = seen.sessions.fetch_add(1, Ordering::Relaxed);
                if self.faults.sessions_max.is_some_and(|max| number >= max) {
                    return ("453 Not Enough Bandwidth".into(), String::new(), String::new());
                }
                if let Some(status) = self.faults.setup_status {
                    return (status.into(), String::new(), String::new());
                }
                self.set_up(transport);
                let channels = format!("{}-{}", self.faults.channel, self.faults.channel + 1);
                let transport = transport.replacen("0-1", &channels, 1);
                let ports = if transport.contains("TCP") { "" } else { ";server_port=5000-5001" };
                ok(format!("Session: s{number}; timeout=60\r\nTransport: {transport}{ports}\r\n"))
            }
            "PLAY" if self.faults.refuses_to_go_on && self.playing.is_some() => {
                ("453 Not Enough Bandwidth".into(), String::new(), String::new())
            }
            "PLAY" => {
                self.halt();
                let next = self.next_packet;
                let sequence = FIRST_SEQUENCE.wrapping_add(u16::try_from(next).unwrap());
                let rtptime = FIRST_TIMESTAMP.wrapping_add(next * PACKET_TICKS);
                let info = format!("RTP-Info: url=1;seq={sequence};rtptime={rtptime}\r\n");
                ok(if self.faults.no_rtp_info { String::new() } else { info })
            }
            "PAUSE" | "TEARDOWN" => {
                self.halt();
                ok(String::new())
            }
            _ => ("405 Method Not Allowed".into(), String::new(), String::new()),
        }
    }

    fn set_up(&mut self, transport: &str) {
        if transport.contains("TCP") {
            let stream = self.stream.try_clone().unwrap();
            self.route = Some(Route::Interleaved(stream, self.faults.channel));
            return;
        }
        let ports = transport.split("client_port=").nth(1).unwrap();
        let port: u16 = ports.split('-').next().unwrap().parse().unwrap();
        let local: IpAddr = self.stream.local_addr().unwrap().ip();
        // The generator hears this port of this address only.
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::DGRAM, None);
        let socket = socket.unwrap();
        socket.set_reuse_port(true).unwrap();
        socket.bind(&std::net::SocketAddr::new(local, 5000).into()).unwrap();
        let peer = self.stream.peer_addr().unwrap().ip();
        socket.connect(&std::net::SocketAddr::new(peer, port).into()).unwrap();
        self.route = Some(Route::Udp(socket.into()));
    }

    /// Sends from now on, on a thread of its own.
    fn play(&mut self) {
        let route = match self.route.as_ref().unwrap() {
            Route::Udp(socket) => Route::Udp(socket.try_clone().unwrap()),
            Route::Interleaved(stream, channel) => {
                Route::Interleaved(stream.try_clone().unwrap(), *channel)
            }
        };
        let halted = Arc::new(AtomicBool::new(false));
        let (faults, first, halt) = (self.faults.clone(), self.next_packet, Arc::clone(&halted));
        let thread = std::thread::spawn(move || send(&route, &faults, first, &halt));
        self.playing = Some((halted, thread));
    }

    fn halt(&mut self) {
        if let Some((halted, thread)) = self.playing.take() {
            halted.store(true, Ordering::Relaxed);
            self.next_packet = thread.join().unwrap();
        }
    }
}

/// Sends packets from `first` on until it is halted; returns which would be next.
fn send(route: &Route, faults: &Faults, first: u32, halted: &AtomicBool) -> u32 {
    let clock = tools::clock::Clock::start();
    let mut number = first;
    let mut kept = None;
    while !halted.load(Ordering::Relaxed) {
        let mut due = PACKET_INTERVAL * (number - first);
        if let Some((held, delay)) = faults.held.filter(|(held, _)| number >= *held) {
            due += delay.saturating_sub(PACKET_INTERVAL * (number - held));
        }
        let elapsed = clock.now() - tools::clock::MonoTime(0);
        pause(due.saturating_sub(elapsed));
        if faults.bye_at == Some(number - first) {
            route.say_bye(SSRC);
            break;
        }
        let is_silent = faults.silent_from.is_some_and(|silent| number >= silent);
        if !is_silent && !faults.lost.contains(&number) {
            let copies = if faults.duplicated.contains(&number) { 2 } else { 1 };
            if faults.swapped.contains(&number) {
                kept = Some(packet(number));
            } else {
                for _ in 0..copies {
                    // A viewer that vanished is told of by its connection.
                    let _ = route.send(&packet(number));
                }
                if let Some(kept) = kept.take() {
                    let _ = route.send(&kept);
                }
            }
        }
        number += 1;
    }
    number
}

fn packet(number: u32) -> Vec<u8> {
    let sequence = FIRST_SEQUENCE.wrapping_add(u16::try_from(number).unwrap());
    let timestamp = FIRST_TIMESTAMP.wrapping_add(number * PACKET_TICKS);
    let mut packet = vec![0x80, 0x80 | 96];
    packet.extend(sequence.to_be_bytes());
    packet.extend(timestamp.to_be_bytes());
    packet.extend(SSRC.to_be_bytes());
    packet.extend([0x65; 100]);
    packet
}

#[allow(clippy::disallowed_methods, reason = "a server that keeps time")]
fn pause(duration: Duration) {
    std::thread::sleep(duration);
}

/// Lines of the next request; interleaved frames before it are skipped.
fn read_request(reader: &mut impl BufRead) -> std::io::Result<Option<Vec<String>>> {
    let mut lines = Vec::new();
    loop {
        if lines.is_empty() && reader.fill_buf()?.first() == Some(&b'$') {
            let mut header = [0; 4];
            reader.read_exact(&mut header)?;
            let mut frame = vec![0; usize::from(u16::from_be_bytes([header[2], header[3]]))];
            reader.read_exact(&mut frame)?;
            continue;
        }
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        match line.trim_end() {
            "" => return Ok(Some(lines)),
            text => lines.push(text.to_owned()),
        }
    }
}
