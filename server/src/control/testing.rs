//! What the tests of control share: a configuration, a title, and a bench that plays shell, shards
//! and catalog worker.

use super::{Control, Effect, OpenError, OpenRequest, Port};
use crate::clock::{MonoTime, Wallclock};
use crate::config::{Config, MediaRoot};
use crate::mailbox::{
    Command, ConnectionId, Cued, Direction, EndReason, Inspection, NotMoved, Paused, Play,
    Reception, Report, Sent, SessionKey, SetUpRefused, StreamInfo, StreamInspection, StreamSetUp,
    StreamTransport,
};
use crate::title::{ByteSourceId, Generation, SharedTitle, SourceFiles, Title};
use packetizer::codec::CodecConfig;
use packetizer::codec::aac::AacConfig;
use packetizer::codec::h264::H264Config;
use packetizer::codec::nal::NalFraming;
use packetizer::image::Bursts;
use packetizer::image::PayloadClass;
use packetizer::index::{IndexBuilder, TrackDescription, TrackId};
use packetizer::rtp::Ssrc;
use packetizer::time::{ClockRate, Npt};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// A configuration that admits what a test needs.
pub(super) fn config() -> Config {
    Config {
        media: vec![MediaRoot { name: None, directory: PathBuf::from("/media") }],
        moved: Vec::new(),
        clock_origins: Vec::new(),
        page_cache: false,
        mp2t: false,
        mp3_adu: false,
        listen: Vec::new(),
        http_listen: Vec::new(),
        shard_cpus: vec![None],
        control_cpu: None,
        scheduler: Default::default(),
        huge_pages: Default::default(),
        rtp_ports: 6970..=7033,
        memory_bytes: 1 << 30,
        sessions_max: 100,
        connections_max: 100,
        sessions_per_address_max: 100,
        connections_per_address_max: 100,
        egress_bits_per_second: None,
        payload_class: PayloadClass { packet_bytes_max: 1400 },
        session_timeout: Duration::from_secs(60),
        drain_deadline: Duration::from_secs(5),
        redirect_to: None,
        profiles_off: Vec::new(),
        coalescing: Duration::from_millis(4),
        launch_times: Default::default(),
        interleaved_ahead: Duration::ZERO,
        bursts: Bursts::default(),
    }
}

/// Ten seconds of H.264 with a sync sample a second and, unless `video_only`, of AAC.
pub(super) fn title(name: &str, source: u64, video_only: bool) -> SharedTitle {
    let mut builder = IndexBuilder::new();
    let codec = CodecConfig::H264(H264Config {
        framing: NalFraming::Length(4),
        sequence_parameter_sets: vec![vec![0x67, 0x42, 0xc0, 0x1e, 0xd9]],
        picture_parameter_sets: vec![vec![0x68, 0xce, 0x3c, 0x80]],
    });
    let describe =
        |container_id, codec, media_rate| TrackDescription::new(container_id, codec, media_rate);
    let video = builder.add_track(describe(1, codec, ClockRate::VIDEO)).unwrap();
    for frame in 0..250_i64 {
        let offset = frame.unsigned_abs() * 1000;
        builder
            .push(video, offset, 1000, frame * 3600, frame * 3600, 3600, frame % 25 == 0)
            .unwrap();
    }
    if !video_only {
        let codec = CodecConfig::Aac(AacConfig::parse(&[0x12, 0x10]).unwrap());
        let rate = codec.rtp_rate();
        let audio = builder.add_track(describe(2, codec, rate)).unwrap();
        for unit in 0..430_i64 {
            let offset = 1_000_000 + unit.unsigned_abs() * 100;
            builder.push(audio, offset, 100, unit * 1024, unit * 1024, 1024, true).unwrap();
        }
    }
    Arc::new(Title {
        name: name.to_owned(),
        path: PathBuf::from("/media").join(name),
        generation: Generation {
            inode: (1, source),
            modified_nanos: 1_700_000_000_000_000_000,
            bytes: 2_000_000,
        },
        source: ByteSourceId(source),
        index: builder.finish(Npt::from_nanos(10_000_000_000)),
        looped: false,
        files: SourceFiles::default(),
    })
}

/// A second of two video tracks, then audio in English, German, English and no language.
pub(super) fn multilingual(name: &str, source: u64, looped: bool) -> SharedTitle {
    let of = title(name, source, true);
    let mut builder = IndexBuilder::new();
    let video = &of.index.tracks[0].codec;
    let audio = CodecConfig::Aac(AacConfig::parse(&[0x12, 0x10]).unwrap());
    let tracks = [
        (video, None),
        (video, None),
        (&audio, Some(*b"eng")),
        (&audio, Some(*b"deu")),
        (&audio, Some(*b"eng")),
        (&audio, None),
    ];
    for ((codec, language), id) in tracks.into_iter().zip(1..) {
        let description = TrackDescription::new(id, codec.clone(), ClockRate::VIDEO);
        let track = builder.add_track(TrackDescription { language, ..description }).unwrap();
        builder.push(track, u64::from(id) * 1000, 1000, 0, 0, 90_000, true).unwrap();
    }
    let index = builder.finish(Npt::from_nanos(1_000_000_000));
    let of = Arc::into_inner(of).unwrap();
    Arc::new(Title { index, looped, ..of })
}

/// Length of the title "movie.mp4".
const MOVIE_END: Npt = Npt::from_nanos(10_000_000_000);
/// The bench begins a second later: Tue, 14 Nov 2023 22:13:20 GMT.
const WALLCLOCK: Wallclock = Wallclock::new(1_699_999_999_000_000_000);

/// Where a PAUSE of the bench's shards stops.
pub(super) const PAUSED_AT: Npt = Npt::from_nanos(4_000_000_000);

/// The first client's connection, open from the start.
pub(super) const CLIENT: ConnectionId = ConnectionId(1);
pub(super) const CLIENT_ADDRESS: &str = "192.0.2.1:50000";

/// What left of a session that was torn down.
const SENT: Sent = Sent { packets: 1234, octets: 567_890 };

fn torn_down(session: SessionKey) -> Report {
    Report::Ended { session, reason: EndReason::TornDown, sent: SENT }
}

/// How a stream is numbered after a cue.
fn info_of(track: TrackId) -> StreamInfo {
    let number = u16::from(track.0);
    StreamInfo { track, sequence: Some(100 + number), rtptime: 9000 + u32::from(number) }
}

/// What the bench's shards say of a stream. The viewer has reported the first track only.
fn inspection_of(track: TrackId) -> StreamInspection {
    let number = u64::from(track.0) + 1;
    StreamInspection {
        track,
        sent: Sent { packets: 1000 * number, octets: 5_000_000_000 * number },
        reception: (track.0 == 0).then_some(Reception {
            packets_received: 990,
            packets_lost: 7,
            jitter: Duration::from_micros(383_800),
        }),
    }
}

/// Control with everything around it. What control asks for is done at once, unless held.
pub(super) struct Bench {
    pub(super) control: Control,
    pub(super) now: MonoTime,
    /// What each connection was sent and has not been looked at.
    pub(super) replies: BTreeMap<ConnectionId, Vec<u8>>,
    pub(super) closed: BTreeSet<ConnectionId>,
    /// What clients were asked, by whom it was written.
    pub(super) asked: Vec<(ConnectionId, bytes::Bytes)>,
    pub(super) resumed: BTreeSet<ConnectionId>,
    pub(super) adopted: BTreeMap<ConnectionId, Vec<u8>>,
    /// The same, in order, with what each carries.
    pub(super) adoptions: Vec<(ConnectionId, Direction, Vec<u8>)>,
    /// Commands and what else happened, in order.
    pub(super) events: Vec<Event>,
    pub(super) titles: BTreeMap<String, Result<SharedTitle, OpenError>>,
    pub(super) opens: Vec<OpenRequest>,
    /// What shards answer to the next commands to set up, before they agree.
    pub(super) refusals: VecDeque<SetUpRefused>,
    pub(super) hold_reports: bool,
    /// The shards have every PLAY wait behind another range.
    pub(super) queues: bool,
    pub(super) hold_writes: bool,
    pub(super) hold_opens: bool,
    pub(super) held_reports: VecDeque<(usize, Report)>,
    /// The streams of the shards' sessions, in the order of their SETUP.
    pub(super) streams: BTreeMap<SessionKey, Vec<(TrackId, Ssrc)>>,
    pub(super) drained: bool,
    streams_made: u16,
    cseq: u32,
}

#[derive(Debug)]
pub(super) enum Event {
    Command(Command),
    Wrote(ConnectionId),
}

/// A response, taken apart.
#[derive(Clone, Debug)]
pub(super) struct Response {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: String,
    pub(super) text: String,
}

impl Response {
    /// The header's value, by its exact name.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let mut found = self.headers.iter().filter(|(other, _)| other == name);
        let value = found.next().map(|(_, value)| value.as_str());
        assert!(found.next().is_none(), "{name} twice in {}", self.text);
        value
    }

    pub(super) fn session(&self) -> String {
        let header =
            self.header("Session").unwrap_or_else(|| panic!("no session in {}", self.text));
        header.split(';').next().unwrap().to_owned()
    }
}

impl Bench {
    /// One shard, one client connected, `movie.mp4` (video and audio) and `silent.mp4` (video).
    pub(super) fn new() -> Self {
        Self::with(config(), 1)
    }

    pub(super) fn with(config: Config, shard_count: usize) -> Self {
        let mut bits = 0x0f1e_2d3c_0000_0000_u128 << 64;
        let random = Box::new(move || {
            bits += 0x1_0000_0000_0000_0001;
            bits
        });
        let titles = [
            ("movie.mp4", Ok(title("movie.mp4", 1, false))),
            ("silent.mp4", Ok(title("silent.mp4", 2, true))),
            ("notes.txt", Err(OpenError::NotPlayable("it is a text".to_owned()))),
            ("broken.mp4", Err(OpenError::Unreadable("input/output error".to_owned()))),
        ];
        let mut bench = Self {
            control: Control::new(Arc::new(config), shard_count, random).with_wallclock(WALLCLOCK),
            now: MonoTime(1_000_000_000),
            replies: BTreeMap::new(),
            closed: BTreeSet::new(),
            asked: Vec::new(),
            resumed: BTreeSet::new(),
            adopted: BTreeMap::new(),
            adoptions: Vec::new(),
            events: Vec::new(),
            titles: titles.into_iter().map(|(name, title)| (name.to_owned(), title)).collect(),
            opens: Vec::new(),
            refusals: VecDeque::new(),
            hold_reports: false,
            queues: false,
            hold_writes: false,
            hold_opens: false,
            held_reports: VecDeque::new(),
            streams: BTreeMap::new(),
            drained: false,
            streams_made: 0,
            cseq: 0,
        };
        assert!(bench.connect(CLIENT, CLIENT_ADDRESS));
        bench
    }

    /// Whether the client may stay; if not, it is told.
    pub(super) fn connect(&mut self, id: ConnectionId, peer: &str) -> bool {
        let peer: SocketAddr = peer.parse().unwrap();
        let local = "192.0.2.100:8554".parse().unwrap();
        let connected = self.control.connected(self.now, id, peer, local, Port::Rtsp);
        connected
            .inspect_err(|told| assert!(told.starts_with(b"RTSP/1.0 503 Service Unavailable\r\n")))
            .is_ok()
    }

    /// Tells control something, and does what it says.
    pub(super) fn drive(&mut self, input: impl FnOnce(&mut Control, MonoTime, &mut Vec<Effect>)) {
        let mut effects = Vec::new();
        input(&mut self.control, self.now, &mut effects);
        let mut effects = VecDeque::from(effects);
        while let Some(effect) = effects.pop_front() {
            let mut more = Vec::new();
            self.perform(effect, &mut more);
            effects.extend(more);
        }
    }

    fn perform(&mut self, effect: Effect, more: &mut Vec<Effect>) {
        match effect {
            Effect::Write { connection, bytes } => {
                assert!(!self.control.wants_read(connection), "reads while it writes");
                self.replies.entry(connection).or_default().extend_from_slice(&bytes);
                if !self.hold_writes {
                    self.events.push(Event::Wrote(connection));
                    self.control.written(self.now, connection, more);
                }
            }
            Effect::Ask { connection, bytes } => {
                assert!(!self.adopted.contains_key(&connection));
                self.asked.push((connection, bytes));
            }
            Effect::Resume { connection } => {
                self.resumed.insert(connection);
            }
            Effect::Close { connection } => {
                self.closed.insert(connection);
                self.control.closed(self.now, connection, more);
            }
            Effect::Adopt { connection, unparsed, direction, .. } => {
                assert!(!self.control.wants_read(connection));
                self.adoptions.push((connection, direction, unparsed.to_vec()));
                self.adopted.insert(connection, unparsed.to_vec());
            }
            Effect::Command { shard, command } => {
                if let Some(report) = self.obey(&command) {
                    self.held_reports.push_back((shard, report));
                }
                self.events.push(Event::Command(command));
                if !self.hold_reports {
                    self.deliver_reports(more);
                }
            }
            Effect::OpenTitle(request) => {
                self.opens.push(request);
                if !self.hold_opens {
                    self.answer_open(more);
                }
            }
            Effect::ShowCounters { .. } => {}
            Effect::Drained => self.drained = true,
        }
    }

    fn deliver_reports(&mut self, more: &mut Vec<Effect>) {
        while let Some((shard, report)) = self.held_reports.pop_front() {
            self.control.report(self.now, shard, report, more);
        }
    }

    /// Answers the oldest request for a title.
    pub(super) fn answer_open(&mut self, more: &mut Vec<Effect>) {
        let request = self.opens.remove(0);
        let title = self.titles.get(&request.name).cloned().unwrap_or(Err(OpenError::NotFound));
        self.control.title_opened(self.now, request.token, title, more);
    }

    /// Lets go what is held.
    pub(super) fn release(&mut self) {
        (self.hold_reports, self.hold_writes, self.hold_opens) = (false, false, false);
        while !self.opens.is_empty() {
            let mut more = Vec::new();
            self.answer_open(&mut more);
            self.drive(|_, _, effects| effects.append(&mut more));
        }
        let mut more = Vec::new();
        self.deliver_reports(&mut more);
        self.drive(|_, _, effects| effects.append(&mut more));
    }

    /// Where a session comes by a PLAY.
    fn cue(&self, session: SessionKey, play: &Play) -> Result<Cued, NotMoved> {
        let start = play.start.unwrap_or(PAUSED_AT);
        let end = play.end.unwrap_or(MOVIE_END).min(MOVIE_END);
        let is_in_order =
            play.end.is_none_or(|end| (start < end) == (play.pace.scale.factor() > 0));
        if start >= MOVIE_END || !is_in_order {
            return Err(NotMoved::OutOfRange);
        }
        let streams = self.streams.get(&session).ok_or(NotMoved::Gone)?;
        Ok(Cued {
            // A sync sample every second.
            start: Npt::from_nanos(start.nanos() / 1_000_000_000 * 1_000_000_000),
            end,
            is_endless: play.is_endless && play.end.is_none(),
            pace: play.pace,
            style: play.style,
            streams: streams.iter().map(|(track, _)| self.info_of(*track)).collect(),
        })
    }

    fn info_of(&self, track: TrackId) -> StreamInfo {
        let info = info_of(track);
        StreamInfo { sequence: info.sequence.filter(|_| !self.queues), ..info }
    }

    /// Gives a session one more stream, unless a refusal is next.
    fn set_up(
        &mut self,
        session: SessionKey,
        track: TrackId,
        transport: &StreamTransport,
    ) -> Result<StreamSetUp, SetUpRefused> {
        if let Some(refused) = self.refusals.pop_front() {
            return Err(refused);
        }
        self.streams_made += 1;
        let ssrc = Ssrc(self.streams_made.into());
        self.streams.entry(session).or_default().push((track, ssrc));
        let server_port = match transport {
            StreamTransport::Udp { .. } => Some(6970 + self.streams_made * 2),
            StreamTransport::Interleaved { .. } => None,
        };
        Ok(StreamSetUp { server_port, ssrc })
    }

    /// Ends a stream or, without one, the session, which also ends with its last stream.
    fn tear_down(&mut self, session: SessionKey, stream: Option<Ssrc>) -> Option<Report> {
        let streams = self.streams.get_mut(&session)?;
        match stream {
            Some(ssrc) => {
                let position = streams.iter().position(|(_, other)| *other == ssrc)?;
                streams.remove(position);
            }
            None => streams.clear(),
        }
        if !streams.is_empty() {
            return None;
        }
        self.streams.remove(&session);
        Some(torn_down(session))
    }

    /// What a shard would do.
    fn obey(&mut self, command: &Command) -> Option<Report> {
        match command {
            Command::SetUp { token, session, track, transport, .. } => {
                let result = self.set_up(*session, *track, transport);
                Some(Report::SetUp { token: *token, result })
            }
            Command::Play { token, session, play } => {
                Some(Report::Cued { token: *token, result: self.cue(*session, play) })
            }
            Command::Pause { token, session, at } => {
                let is_known = self.streams.contains_key(session);
                let paused = at.map_or(Paused::At(PAUSED_AT), |_| Paused::Later);
                let result = is_known.then_some(paused).ok_or(NotMoved::Gone);
                Some(Report::Paused { token: *token, result })
            }
            Command::Inspect { token, session } => {
                let streams = self.streams.get(session);
                let inspection = streams.map(|streams| Inspection {
                    position: PAUSED_AT,
                    scale: -2,
                    streams: streams.iter().map(|(track, _)| inspection_of(*track)).collect(),
                });
                Some(Report::Inspected { token: *token, inspection })
            }
            Command::TearDown { session, stream } => self.tear_down(*session, *stream),
            Command::Reply { connection, bytes, .. } => {
                self.replies.entry(*connection).or_default().extend_from_slice(bytes);
                None
            }
            Command::Ask { connection, bytes } => {
                assert!(self.adopted.contains_key(connection));
                self.asked.push((*connection, bytes.clone()));
                None
            }
            Command::Drain => Some(Report::Drained),
            Command::Start(_)
            | Command::Touch { .. }
            | Command::Adopt(_)
            | Command::Close { .. }
            | Command::Snapshot => None,
        }
    }

    /// Sends bytes on a connection, wherever it is.
    pub(super) fn send(&mut self, id: ConnectionId, bytes: &[u8]) {
        if self.adopted.contains_key(&id) {
            let bytes = bytes::Bytes::copy_from_slice(bytes);
            let report = Report::Request { connection: id, bytes };
            self.drive(|control, now, effects| control.report(now, 0, report, effects));
        } else {
            self.drive(|control, now, effects| control.received(now, id, bytes, effects));
        }
    }

    /// Sends a request with a fresh CSeq and takes the response.
    pub(super) fn ask(&mut self, method: &str, url: &str, headers: &[&str]) -> Response {
        self.ask_on(CLIENT, method, url, headers)
    }

    pub(super) fn ask_on(
        &mut self,
        id: ConnectionId,
        method: &str,
        url: &str,
        headers: &[&str],
    ) -> Response {
        self.post(id, method, url, headers);
        let response = self.take_response(id).unwrap_or_else(|| panic!("no reply to {method}"));
        assert_eq!(response.header("CSeq"), Some(self.cseq.to_string().as_str()));
        response
    }

    /// Sends a request with a fresh CSeq and a body, and takes the response.
    pub(super) fn ask_with(
        &mut self,
        method: &str,
        url: &str,
        headers: &[&str],
        body: &str,
    ) -> Response {
        let length = format!("Content-Length: {}", body.len());
        let headers: Vec<&str> = headers.iter().copied().chain([length.as_str()]).collect();
        self.cseq += 1;
        let head = request_text(method, url, self.cseq, &headers);
        self.send(CLIENT, format!("{head}{body}").as_bytes());
        self.take_response(CLIENT).unwrap_or_else(|| panic!("no reply to {method}"))
    }

    /// Sends a request with a fresh CSeq.
    pub(super) fn post(&mut self, id: ConnectionId, method: &str, url: &str, headers: &[&str]) {
        self.cseq += 1;
        let text = request_text(method, url, self.cseq, headers);
        self.send(id, text.as_bytes());
    }

    /// The next response that a connection was sent.
    pub(super) fn take_response(&mut self, id: ConnectionId) -> Option<Response> {
        let bytes = self.replies.get_mut(&id)?;
        let text = String::from_utf8(bytes.clone()).unwrap();
        let (head, rest) = text.split_once("\r\n\r\n")?;
        let mut lines = head.split("\r\n");
        let status_line = lines.next().unwrap();
        let (version, status) = status_line.split_once(' ').unwrap();
        assert_eq!(version, "RTSP/1.0");
        let (status, reason) = status.split_once(' ').unwrap();
        assert!(!reason.is_empty());
        let headers: Vec<(String, String)> = lines
            .map(|line| line.split_once(": ").unwrap_or_else(|| panic!("{line:?}")))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        let length = headers.iter().find(|(name, _)| name == "Content-Length");
        let length: usize = length.map_or(0, |(_, value)| value.parse().unwrap());
        bytes.drain(..head.len() + 4 + length);
        let (body, head) = (rest[..length].to_owned(), head.to_owned());
        Some(Response { status: status.parse().unwrap(), headers, body, text: head })
    }

    /// Sets up both streams of `movie.mp4` over UDP; the session's id.
    pub(super) fn set_up_movie(&mut self) -> String {
        let first = self.ask("SETUP", "rtsp://h/movie.mp4/trackID=0", &[udp(4000)]);
        assert_eq!(first.status, 200, "{}", first.text);
        let session = first.session();
        let header = format!("Session: {session}");
        let second = self.ask("SETUP", "rtsp://h/movie.mp4/trackID=1", &[udp(4002), &header]);
        assert_eq!(second.status, 200, "{}", second.text);
        session
    }

    /// The commands since the last call, without replies and touches.
    pub(super) fn take_commands(&mut self) -> Vec<Command> {
        let commands = self.events.drain(..).filter_map(|event| match event {
            Event::Command(Command::Reply { .. } | Command::Touch { .. }) | Event::Wrote(_) => None,
            Event::Command(command) => Some(command),
        });
        commands.collect()
    }

    pub(super) fn pass(&mut self, time: Duration) {
        self.now = self.now + time;
        self.drive(|control, now, effects| control.advance(now, effects));
    }
}

fn request_text(method: &str, url: &str, cseq: u32, headers: &[&str]) -> String {
    let mut text = format!("{method} {url} RTSP/1.0\r\nCSeq: {cseq}\r\n");
    for header in headers {
        text += &format!("{header}\r\n");
    }
    text + "\r\n"
}

/// A Transport header for UDP from this port.
pub(super) fn udp(port: u16) -> &'static str {
    match port {
        4000 => "Transport: RTP/AVP;unicast;client_port=4000-4001",
        4002 => "Transport: RTP/AVP;unicast;client_port=4002-4003",
        _ => panic!("no such header in these tests"),
    }
}

/// A Transport header for interleaved delivery, channels 0 and 1.
pub(super) const TCP: &str = "Transport: RTP/AVP/TCP;unicast;interleaved=0-1";

/// What tests may see of control's state.
impl Control {
    /// Whether nothing is open, pending, admitted or reserved.
    pub(super) fn is_idle(&self) -> bool {
        self.check_empty().is_ok()
    }

    /// Everything of the sessions and reservations that a refused request must not change.
    pub(super) fn fingerprint(&self) -> String {
        format!("{:?} {:?} {:?}", self.sessions, self.admission, self.pending)
    }

    /// Tracks and state of the only session, if there is one.
    pub(super) fn session_model(&self) -> Option<(Vec<u8>, bool)> {
        assert!(self.sessions.len() <= 1);
        let session =
            (1..=self.sessions_made).find_map(|key| self.sessions.get(SessionKey(key)))?;
        let tracks = session.streams.iter().map(|stream| stream.track.0).collect();
        Some((tracks, session.state == super::session::State::Playing))
    }

    /// Keys and shards of all sessions.
    pub(super) fn session_shards(&self) -> Vec<usize> {
        let sessions = (1..=self.sessions_made).map(SessionKey);
        sessions.filter_map(|key| self.sessions.get(key)).map(|session| session.shard).collect()
    }
}
