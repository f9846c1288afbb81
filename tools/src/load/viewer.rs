//! One viewer of the load generator: from connecting to TEARDOWN, without ever waiting.

use super::dialogue::Dialogue;
use super::options::{Options, Role};
use super::stream::Stream;
use super::tally::{Failure, Tally, failed};
use crate::client::{Half, Lower, server_address};
use crate::clock::MonoTime;
use crate::headers::parse_transport;
use crate::lenient;
use crate::message::Reply;
use crate::packet::write_receiver_report;
use crate::presentation::Presentation;
use crate::receive::Train;
use crate::socket::{UdpPair, unconnected};
use nix::errno::Errno;
use packetizer::time::Npt;
use std::io;
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

/// Between two receiver reports of a stream.
const REPORT_INTERVAL: Duration = Duration::from_secs(5);
/// Receive buffer of a viewer that stops reading.
const STALLED_BUFFER_BYTES: usize = 16 * 1024;
/// How long nothing comes before a title without BYE counts as ended, if it should have.
const SILENCE: Duration = Duration::from_secs(2);
/// Shortest pause; the longest is one and a half times this and more.
const PAUSE_MIN: Duration = Duration::from_secs(1);
/// What a pause may be longer than the shortest.
const PAUSE_SPREAD_MILLIS: u64 = 4000;

/// How far a viewer has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Connecting,
    Describing,
    /// Waits for the reply to the SETUP of this stream.
    SettingUp(usize),
    AwaitingPlay,
    Playing,
    AwaitingPause,
    /// Goes on at this time.
    Paused(MonoTime),
    TearingDown,
    Done,
}

/// A viewer.
#[derive(Debug)]
pub(super) struct Viewer {
    pub(super) connection: TcpStream,
    pub(super) role: Role,
    /// Viewers are counted as they come.
    pub(super) number: usize,
    pub(super) step: Step,
    pub(super) streams: Vec<Stream>,
    pub(super) dialogue: Dialogue,
    server: SocketAddr,
    random: u64,
    start_millis: u64,
    duration: Option<Npt>,
    keep_alive_method: &'static str,
    /// When PLAY was to be sent, until its first packet comes.
    awaits_packet: Option<MonoTime>,
    began: bool,
    /// When a title that nothing more comes of has ended.
    ends_at: MonoTime,
    report_at: MonoTime,
    keep_alive_at: MonoTime,
}

impl Viewer {
    /// The viewer `number`, who was to come at `meant`, begins to connect.
    pub(super) fn connect(
        options: &Options,
        role: Role,
        number: usize,
        (meant, now): (MonoTime, MonoTime),
    ) -> io::Result<Self> {
        let url = options.urls[number % options.urls.len()].clone();
        let server = server_address(&url)?;
        let socket = unconnected(server, options.local_address(role, number, server))?;
        if role.is_stalled {
            socket.set_recv_buffer_size(STALLED_BUFFER_BYTES)?;
        }
        socket.set_nonblocking(true)?;
        match socket.connect(&server.into()) {
            Ok(()) => {}
            Err(error) if error.raw_os_error() == Some(Errno::EINPROGRESS as i32) => {}
            Err(error) => return Err(error),
        }
        let mut dialogue = Dialogue::new(url);
        dialogue.ask((meant, now), "OPTIONS", &[]);
        Ok(Self {
            connection: socket.into(),
            role,
            number,
            step: Step::Connecting,
            streams: Vec::new(),
            dialogue,
            server,
            random: options.random(number),
            start_millis: 0,
            duration: None,
            keep_alive_method: "OPTIONS",
            awaits_packet: None,
            began: false,
            ends_at: MonoTime(u64::MAX),
            report_at: MonoTime(u64::MAX),
            keep_alive_at: MonoTime(u64::MAX),
        })
    }

    /// Whether a PLAY was granted.
    pub(super) const fn session_began(&self) -> bool {
        self.began
    }

    /// Whether it has stopped reading, as it was told to.
    pub(super) fn is_deaf(&self) -> bool {
        self.role.is_stalled && self.step == Step::Playing
    }

    /// Takes a reply that arrived at `at`.
    pub(super) fn take_reply(
        &mut self,
        at: MonoTime,
        reply: &Reply,
        options: &Options,
        tally: &mut Tally,
    ) -> Result<(), Failure> {
        let asked = self.dialogue.answered(reply)?;
        let (method, nanos) = (asked.method, at.nanos_since(asked.meant));
        if !reply.is_ok() {
            tally.refusals.record(nanos);
            return Err(Failure::Refused { method, status: reply.status });
        }
        tally.answered(method, nanos);
        match method {
            "OPTIONS" if self.step == Step::Connecting => {
                let public = reply.header("Public").unwrap_or_default();
                if public.split(',').any(|method| method.trim() == "GET_PARAMETER") {
                    self.keep_alive_method = "GET_PARAMETER";
                }
                self.step = Step::Describing;
                self.dialogue.ask((at, at), "DESCRIBE", &[("Accept", "application/sdp")]);
            }
            "DESCRIBE" => self.described(at, reply, options)?,
            "SETUP" => self.set_up(at, reply)?,
            "PLAY" => self.play_granted(at, reply),
            "PAUSE" => self.pause_granted(at),
            "TEARDOWN" => self.step = Step::Done,
            _ => {}
        }
        Ok(())
    }

    /// Takes datagrams of one of the streams.
    pub(super) fn take_train(
        &mut self,
        position: usize,
        half: Half,
        train: Train<'_>,
        tally: &mut Tally,
    ) -> Result<(), Failure> {
        let Some(stream) = self.streams.get_mut(position) else { return Ok(()) };
        match half {
            Half::Rtp => {
                let result = stream.take_train(train, tally);
                self.saw_packet(train.at, tally);
                result
            }
            Half::Rtcp => {
                train.packets().try_for_each(|packet| stream.take_report(train.at, packet))
            }
        }
    }

    /// Takes an interleaved frame.
    pub(super) fn take_frame(
        &mut self,
        at: MonoTime,
        channel: u8,
        payload: &[u8],
        tally: &mut Tally,
    ) -> Result<(), Failure> {
        let Some(stream) = self.streams.get_mut(usize::from(channel / 2)) else {
            return Err(failed("a frame on a channel that was not set up"));
        };
        if channel % 2 == 1 {
            return stream.take_report(at, payload);
        }
        let result = stream.take_media(at, std::iter::once(payload), tally);
        self.saw_packet(at, tally);
        result
    }

    /// Does what is due: receiver reports, keep-alives, playing on after a pause, playing again
    /// what has ended.
    pub(super) fn tick(
        &mut self,
        now: MonoTime,
        options: &Options,
        tally: &mut Tally,
    ) -> Result<(), Failure> {
        if self.is_deaf() {
            return Ok(());
        }
        if let Some(asked) = self.dialogue.oldest()
            && now - asked.sent > options.reply_timeout
        {
            tally.answered(asked.method, now.nanos_since(asked.meant));
            return Err(failed(&format!("no reply to {} in time", asked.method)));
        }
        match self.step {
            Step::Paused(until) if now >= until => {
                self.play((now, now), None);
                return Ok(());
            }
            Step::Playing if self.has_ended(now) => {
                tally.replays += 1;
                self.start_millis = 0;
                self.play((now, now), Some(0));
                return Ok(());
            }
            Step::Playing | Step::Paused(_) => {}
            Step::Connecting
            | Step::Describing
            | Step::SettingUp(_)
            | Step::AwaitingPlay
            | Step::AwaitingPause
            | Step::TearingDown
            | Step::Done => return Ok(()),
        }
        if now >= self.report_at {
            self.report_at = now + REPORT_INTERVAL;
            self.report();
        }
        if now >= self.keep_alive_at {
            self.schedule_keep_alive(now);
            self.dialogue.ask((now, now), self.keep_alive_method, &[]);
        }
        Ok(())
    }

    /// Leaves, as was meant to happen at `meant`.
    pub(super) fn tear_down(&mut self, (meant, now): (MonoTime, MonoTime), tally: &mut Tally) {
        self.note_silence(now, tally);
        self.step = Step::TearingDown;
        self.dialogue.ask((meant, now), "TEARDOWN", &[]);
    }

    /// Plays on at a random place.
    pub(super) fn seek(&mut self, (meant, now): (MonoTime, MonoTime), random: u64) {
        let millis = super::Start::Random.millis(self.duration, random);
        self.play((meant, now), Some(millis));
    }

    /// Stops for some seconds.
    pub(super) fn pause(&mut self, (meant, now): (MonoTime, MonoTime)) {
        self.step = Step::AwaitingPause;
        self.dialogue.ask((meant, now), "PAUSE", &[]);
    }

    /// Notes how far the streams are behind now that the viewer wants no more.
    pub(super) fn note_silence(&self, now: MonoTime, tally: &mut Tally) {
        if self.step == Step::Playing && !self.role.is_sink && !self.role.is_stalled {
            for stream in &self.streams {
                stream.stop(now, tally);
            }
        }
    }

    /// How many packets have turned out to be lost since the last call.
    pub(super) fn newly_lost(&mut self) -> i64 {
        let counts = !self.role.is_stalled && !self.role.is_sink;
        if counts { self.streams.iter_mut().map(Stream::newly_lost).sum() } else { 0 }
    }

    /// Is gone: what it saw is summed up, and its descriptors serve the others.
    pub(super) fn leave(&mut self, tally: &mut Tally, lost: &AtomicI64) {
        lost.fetch_add(self.newly_lost(), Ordering::Relaxed);
        if self.began && !self.role.is_stalled && !self.role.is_sink {
            for stream in &mut self.streams {
                stream.leave(tally);
            }
        }
        self.streams.clear();
        // The other side may have hung up before.
        let _ = self.connection.shutdown(Shutdown::Both);
    }

    /// Whether it plays and no stream is at its end, so that it can be told to do something else.
    pub(super) fn can_act(&self) -> bool {
        self.step == Step::Playing
            && !self.role.is_stalled
            && !self.streams.iter().any(|stream| stream.ended)
    }

    fn has_ended(&self, now: MonoTime) -> bool {
        let is_silent = |stream: &Stream| {
            let silence = stream.last_arrival().map(|last| now - last);
            stream.ended || silence.map_or(self.role.is_sink, |silence| silence > SILENCE)
        };
        self.streams.iter().all(|stream| stream.ended)
            || (now >= self.ends_at && self.streams.iter().all(is_silent))
    }

    fn saw_packet(&mut self, at: MonoTime, tally: &mut Tally) {
        if let Some(meant) = self.awaits_packet.take() {
            tally.first_packet.record(at.nanos_since(meant));
        }
    }

    fn described(
        &mut self,
        now: MonoTime,
        reply: &Reply,
        options: &Options,
    ) -> Result<(), Failure> {
        let base = reply.header("Content-Base").unwrap_or(&self.dialogue.url);
        let presentation = Presentation::parse(&reply.body, base).map_err(|why| failed(&why))?;
        self.dialogue.url.clone_from(&presentation.control_url);
        self.duration = presentation.duration;
        self.start_millis = options.start.millis(presentation.duration, self.random);
        for media in &presentation.media {
            let pair = match self.role.lower {
                Lower::Tcp => None,
                Lower::Udp => Some(self.bind().map_err(|error| failed(&error.to_string()))?),
            };
            self.streams.push(Stream::new(media, pair));
        }
        self.ask_setup(now, 0)
    }

    fn bind(&self) -> io::Result<UdpPair> {
        let pair = UdpPair::bind(self.connection.local_addr()?.ip())?;
        if self.role.is_sink {
            pair.ignore_media()?;
        }
        Ok(pair)
    }

    fn ask_setup(&mut self, now: MonoTime, position: usize) -> Result<(), Failure> {
        let stream = self.streams.get(position).ok_or_else(|| failed("no streams on offer"))?;
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
        let headers = [("Transport", offer.as_str())];
        self.dialogue.ask_at((now, now), "SETUP", &stream.control_url, &headers);
        Ok(())
    }

    fn set_up(&mut self, now: MonoTime, reply: &Reply) -> Result<(), Failure> {
        let Step::SettingUp(position) = self.step else { return Err(failed("a stray reply")) };
        let session = reply.header("Session").and_then(lenient::session);
        self.dialogue.session = Some(session.ok_or_else(|| failed("no usable Session"))?);
        let transport = reply.header("Transport").and_then(parse_transport);
        let transport = transport.ok_or_else(|| failed("no usable Transport"))?;
        if let Some(pair) = &self.streams[position].pair {
            let ports = transport.server_port.ok_or_else(|| failed("no server_port"))?;
            pair.connect(self.server.ip(), ports).map_err(|error| failed(&error.to_string()))?;
        }
        if position + 1 < self.streams.len() {
            return self.ask_setup(now, position + 1);
        }
        self.play((now, now), Some(self.start_millis));
        Ok(())
    }

    /// Plays from a normal play time in milliseconds, or where it paused.
    fn play(&mut self, (meant, now): (MonoTime, MonoTime), millis: Option<u64>) {
        self.step = Step::AwaitingPlay;
        self.awaits_packet = Some(meant).filter(|_| !self.role.is_sink);
        if let Some(millis) = millis {
            self.start_millis = millis;
        }
        let range = millis.map(|millis| format!("npt={}.{:03}-", millis / 1000, millis % 1000));
        let header = range.as_deref().map(|range| ("Range", range));
        self.dialogue.ask((meant, now), "PLAY", header.as_slice());
    }

    fn play_granted(&mut self, at: MonoTime, reply: &Reply) {
        let rtp_info = reply.header("RTP-Info");
        for stream in &mut self.streams {
            stream.begin_range(at, lenient::range_start(rtp_info, &stream.control_url));
        }
        if self.step == Step::AwaitingPlay {
            self.step = Step::Playing;
        }
        if !self.began {
            self.began = true;
            self.report_at = at + REPORT_INTERVAL;
        }
        self.schedule_keep_alive(at);
        self.ends_at = self.duration.map_or(MonoTime(u64::MAX), |duration| {
            let start = Duration::from_millis(self.start_millis);
            at + Duration::from_nanos(duration.nanos()).saturating_sub(start)
        });
    }

    fn pause_granted(&mut self, at: MonoTime) {
        for stream in &mut self.streams {
            stream.pause(at);
        }
        if self.step == Step::AwaitingPause {
            let spread = Duration::from_millis(self.random % PAUSE_SPREAD_MILLIS);
            self.step = Step::Paused(at + PAUSE_MIN + spread);
        }
    }

    fn schedule_keep_alive(&mut self, now: MonoTime) {
        let session = self.dialogue.session.as_ref();
        let timeout = session.map_or(Duration::from_secs(60), |session| session.timeout);
        self.keep_alive_at = now + timeout / 2;
    }

    fn report(&mut self) {
        let ssrc = (self.random & 0xffff_ffff) as u32;
        for (position, stream) in self.streams.iter().enumerate() {
            let packet = write_receiver_report(ssrc, stream.reception(), false);
            if let Some(pair) = &stream.pair {
                // A report that is lost is followed by another.
                let _ = pair.rtcp.send(&packet);
            } else {
                let channel = u8::try_from(position * 2 + 1).unwrap_or(u8::MAX);
                self.dialogue.interleave(channel, &packet);
            }
        }
    }
}
