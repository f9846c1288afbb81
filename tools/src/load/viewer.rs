//! One viewer of the load generator: from connecting to TEARDOWN, without ever waiting.

use super::{Options, Start};
use crate::client::{Half, Lower, server_address};
use crate::clock::MonoTime;
use crate::headers::{Session, parse_rtp_info, parse_session, parse_transport};
use crate::message::{Reply, write_request};
use crate::packet::{RtpPacket, ServerReport, write_receiver_report};
use crate::presentation::Presentation;
use crate::socket::{UdpPair, unconnected};
use crate::verify::{Counts, StreamJudge};
use std::collections::VecDeque;
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// Between two receiver reports of a stream.
const REPORT_INTERVAL: Duration = Duration::from_secs(5);
/// Receive buffer of a viewer that stops reading.
const STALLED_BUFFER_BYTES: usize = 16 * 1024;

/// Why a viewer came to an early end.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Failure {
    /// The server refused a request.
    Refused { method: &'static str, status: u16 },
    /// Something else; says what.
    Failed(String),
}

/// How far a viewer has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Connecting,
    Describing,
    /// Waits for the reply to the SETUP of this stream.
    SettingUp(usize),
    AwaitingPlay,
    Playing,
    TearingDown,
    Done,
}

/// What a viewer tells the worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sighting {
    /// A request was answered after these nanoseconds.
    Answered { method: &'static str, nanos: i64 },
    /// The first media packet came these nanoseconds after PLAY was sent.
    FirstPacket { nanos: i64 },
    /// A media packet came, this late.
    Packet { late_nanos: i64 },
}

/// One stream of a viewer.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) judge: StreamJudge,
    pub(super) pair: Option<UdpPair>,
    control_url: String,
    ended: bool,
}

/// A viewer.
#[derive(Debug)]
pub(super) struct Viewer {
    pub(super) connection: TcpStream,
    pub(super) step: Step,
    pub(super) stalled: bool,
    pub(super) streams: Vec<Stream>,
    /// What still has to be written to the connection.
    pub(super) outgoing: Vec<u8>,
    server: SocketAddr,
    url: String,
    lower: Lower,
    start: Start,
    reply_timeout: Duration,
    random: u64,
    cseq: u32,
    asked: VecDeque<(u32, &'static str, MonoTime)>,
    session: Option<Session>,
    presentation: Option<Presentation>,
    play_sent: Option<MonoTime>,
    saw_packet: bool,
    began: bool,
    report_at: MonoTime,
    keep_alive_at: MonoTime,
}

impl Viewer {
    /// The viewer `number` begins to connect.
    pub(super) fn connect(
        options: &Options,
        number: usize,
        random: u64,
        now: MonoTime,
    ) -> io::Result<Self> {
        let url = options.urls[number % options.urls.len()].clone();
        let server = server_address(&url)?;
        let socket = unconnected(server, options.local_address(number, server))?;
        let stalled = options.is_stalled(number);
        if stalled {
            socket.set_recv_buffer_size(STALLED_BUFFER_BYTES)?;
        }
        socket.set_nonblocking(true)?;
        match socket.connect(&server.into()) {
            Ok(()) => {}
            Err(error) if error.raw_os_error() == Some(nix::errno::Errno::EINPROGRESS as i32) => {}
            Err(error) => return Err(error),
        }
        let mut viewer = Self {
            connection: socket.into(),
            step: Step::Connecting,
            stalled,
            streams: Vec::new(),
            outgoing: Vec::new(),
            server,
            url,
            lower: options.lower(number),
            start: options.start,
            reply_timeout: options.reply_timeout,
            random,
            cseq: 0,
            asked: VecDeque::new(),
            session: None,
            presentation: None,
            play_sent: None,
            saw_packet: false,
            began: false,
            report_at: MonoTime(u64::MAX),
            keep_alive_at: MonoTime(u64::MAX),
        };
        viewer.ask(now, "OPTIONS", &[]);
        Ok(viewer)
    }

    /// Whether a PLAY was granted and the viewer did not fail.
    pub(super) const fn session_began(&self) -> bool {
        self.began
    }

    /// The viewer failed: what it saw does not count, and its descriptors serve the others.
    pub(super) fn discard(&mut self) {
        self.began = false;
        self.streams.clear();
    }

    /// What the packets of all streams showed.
    pub(super) fn counts(&self) -> impl Iterator<Item = Counts> {
        self.streams.iter().map(|stream| stream.judge.counts())
    }

    /// Takes a reply that arrived at `at`.
    pub(super) fn take_reply(
        &mut self,
        at: MonoTime,
        reply: &Reply,
        sightings: &mut Vec<Sighting>,
    ) -> Result<(), Failure> {
        let (cseq, method, sent) =
            self.asked.pop_front().ok_or_else(|| failed("a reply too many"))?;
        if reply.cseq() != Some(cseq) {
            return Err(failed(&format!("CSeq {:?} in the reply to {method}", reply.cseq())));
        }
        sightings.push(Sighting::Answered { method, nanos: at.nanos_since(sent) });
        if !reply.is_ok() {
            return Err(Failure::Refused { method, status: reply.status });
        }
        match method {
            "OPTIONS" => {
                self.step = Step::Describing;
                self.ask(at, "DESCRIBE", &[("Accept", "application/sdp")]);
            }
            "DESCRIBE" => self.described(at, reply)?,
            "SETUP" => self.set_up(at, reply)?,
            "PLAY" => self.play_granted(at, reply)?,
            "TEARDOWN" => self.step = Step::Done,
            _ => {}
        }
        Ok(())
    }

    /// Takes a packet of one of the streams.
    pub(super) fn take_packet(
        &mut self,
        at: MonoTime,
        position: usize,
        half: Half,
        bytes: &[u8],
        sightings: &mut Vec<Sighting>,
    ) -> Result<(), Failure> {
        let Some(stream) = self.streams.get_mut(position) else {
            return Err(failed("a frame on a channel that was not set up"));
        };
        match half {
            Half::Rtp => {
                let packet = RtpPacket::parse(bytes).ok_or_else(|| failed("malformed RTP"))?;
                if let Some(late_nanos) = stream.judge.receive(at, &packet) {
                    sightings.push(Sighting::Packet { late_nanos });
                }
                if let (false, Some(sent)) = (self.saw_packet, self.play_sent) {
                    self.saw_packet = true;
                    sightings.push(Sighting::FirstPacket { nanos: at.nanos_since(sent) });
                }
            }
            Half::Rtcp => {
                let report = ServerReport::parse(bytes).ok_or_else(|| failed("malformed RTCP"))?;
                if let Some(sender) = report.sender_report {
                    stream.judge.report(at, &sender);
                }
                stream.ended |= report.bye;
            }
        }
        Ok(())
    }

    /// Does what is due: receiver reports, keep-alives, playing again what has ended.
    pub(super) fn tick(&mut self, now: MonoTime) -> Result<(), Failure> {
        if let Some((_, method, sent)) = self.asked.front()
            && now - *sent > self.reply_timeout
            && !(self.stalled && self.step == Step::Playing)
        {
            return Err(failed(&format!("no reply to {method} in time")));
        }
        if self.step != Step::Playing || self.stalled {
            return Ok(());
        }
        if self.streams.iter().all(|stream| stream.ended) {
            self.play(now, "npt=0-");
            return Ok(());
        }
        if now >= self.report_at {
            self.report_at = now + REPORT_INTERVAL;
            self.report();
        }
        if now >= self.keep_alive_at {
            self.schedule_keep_alive(now);
            self.ask(now, "GET_PARAMETER", &[]);
        }
        Ok(())
    }

    /// Leaves.
    pub(super) fn tear_down(&mut self, now: MonoTime) {
        self.step = Step::TearingDown;
        self.ask(now, "TEARDOWN", &[]);
    }

    fn described(&mut self, now: MonoTime, reply: &Reply) -> Result<(), Failure> {
        let base = reply.header("Content-Base").unwrap_or(&self.url);
        let presentation = Presentation::parse(&reply.body, base).map_err(|why| failed(&why))?;
        self.url.clone_from(&presentation.control_url);
        for media in &presentation.media {
            let pair = match self.lower {
                Lower::Tcp => None,
                Lower::Udp => {
                    let local = self.connection.local_addr().map_err(|e| failed(&e.to_string()))?;
                    Some(UdpPair::bind(local.ip()).map_err(|e| failed(&e.to_string()))?)
                }
            };
            self.streams.push(Stream {
                judge: StreamJudge::new(media.rate),
                pair,
                control_url: media.control_url.clone(),
                ended: false,
            });
        }
        self.presentation = Some(presentation);
        self.ask_setup(now, 0)
    }

    fn ask_setup(&mut self, now: MonoTime, position: usize) -> Result<(), Failure> {
        let stream = self.streams.get(position).ok_or_else(|| failed("no streams on offer"))?;
        let url = stream.control_url.clone();
        let offer = match &stream.pair {
            Some(pair) => {
                let (rtp, rtcp) = (pair.rtp_port, pair.rtp_port + 1);
                format!("RTP/AVP;unicast;client_port={rtp}-{rtcp}")
            }
            None => {
                let channel = position * 2;
                format!("RTP/AVP/TCP;unicast;interleaved={channel}-{}", channel + 1)
            }
        };
        self.step = Step::SettingUp(position);
        self.ask_at(now, "SETUP", &url, &[("Transport", &offer)]);
        Ok(())
    }

    fn set_up(&mut self, now: MonoTime, reply: &Reply) -> Result<(), Failure> {
        let Step::SettingUp(position) = self.step else { return Err(failed("a stray reply")) };
        let session = reply.header("Session").and_then(parse_session);
        self.session = Some(session.ok_or_else(|| failed("no usable Session"))?);
        let transport = reply.header("Transport").and_then(parse_transport);
        let transport = transport.ok_or_else(|| failed("no usable Transport"))?;
        let stream = &self.streams[position];
        if let Some(pair) = &stream.pair {
            let ports = transport.server_port.ok_or_else(|| failed("no server_port"))?;
            pair.connect(self.server.ip(), ports).map_err(|error| failed(&error.to_string()))?;
        }
        if position + 1 < self.streams.len() {
            return self.ask_setup(now, position + 1);
        }
        let range = match (self.start, self.presentation.as_ref().and_then(|p| p.duration)) {
            (Start::Random, Some(duration)) => {
                // The last tenth is left out, so that there is something to play.
                let millis = self.random % (duration.nanos() / 1_000_000 * 9 / 10).max(1);
                format!("npt={}.{:03}-", millis / 1000, millis % 1000)
            }
            (Start::Random | Start::Begin, _) => "npt=0-".into(),
        };
        self.play(now, &range);
        Ok(())
    }

    fn play(&mut self, now: MonoTime, range: &str) {
        self.step = Step::AwaitingPlay;
        self.play_sent = Some(now);
        self.ask(now, "PLAY", &[("Range", range)]);
    }

    fn play_granted(&mut self, at: MonoTime, reply: &Reply) -> Result<(), Failure> {
        let infos = reply.header("RTP-Info").and_then(parse_rtp_info);
        let infos = infos.ok_or_else(|| failed("no usable RTP-Info"))?;
        for stream in &mut self.streams {
            let info = infos.iter().find(|info| info.url == stream.control_url);
            let info = info.ok_or_else(|| failed("RTP-Info does not name every stream"))?;
            stream.judge.begin_range(at, info.seq, info.rtptime);
            stream.ended = false;
        }
        self.step = if self.step == Step::TearingDown { self.step } else { Step::Playing };
        self.began = true;
        self.report_at = at + REPORT_INTERVAL;
        self.schedule_keep_alive(at);
        Ok(())
    }

    fn schedule_keep_alive(&mut self, now: MonoTime) {
        let timeout = self.session.as_ref().map_or(Duration::from_secs(60), |s| s.timeout);
        self.keep_alive_at = now + timeout / 2;
    }

    fn report(&mut self) {
        let ssrc = (self.random & 0xffff_ffff) as u32;
        for (position, stream) in self.streams.iter().enumerate() {
            let packet = write_receiver_report(ssrc, stream.judge.reception(), false);
            if let Some(pair) = &stream.pair {
                // A report that is lost is followed by another.
                let _ = pair.rtcp.send(&packet);
            } else {
                let length = u16::try_from(packet.len()).unwrap_or(0).to_be_bytes();
                let channel = u8::try_from(position * 2 + 1).unwrap_or(u8::MAX);
                self.outgoing.extend([b'$', channel, length[0], length[1]]);
                self.outgoing.extend(packet);
            }
        }
    }

    fn ask(&mut self, now: MonoTime, method: &'static str, headers: &[(&str, &str)]) {
        let url = self.url.clone();
        self.ask_at(now, method, &url, headers);
    }

    fn ask_at(&mut self, now: MonoTime, method: &'static str, url: &str, headers: &[(&str, &str)]) {
        self.cseq += 1;
        let session = self.session.as_ref().map(|session| ("Session", session.id.as_str()));
        let agent = [("User-Agent", "reelring-load")];
        let all: Vec<_> = session.into_iter().chain(agent).chain(headers.iter().copied()).collect();
        self.outgoing.extend(write_request(method, url, self.cseq, &all).as_bytes());
        self.asked.push_back((self.cseq, method, now));
    }
}

pub(super) fn failed(why: &str) -> Failure {
    Failure::Failed(why.to_owned())
}
