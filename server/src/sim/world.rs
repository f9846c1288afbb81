//! A world: one shard, its disk and network, and viewers who come, seek, pause, stall and go.

use super::agenda::Agenda;
use super::faults::Faults;
use super::shard::{PORT_MIN, SimShard};
use super::surroundings::Surroundings;
use super::title::{long_titles, titles};
use super::trace::Played;
use super::viewer::{Phase, Viewer};
use crate::clock::MonoTime;
use crate::framing::{Framer, Message};
use crate::mailbox::{
    AdoptedConnection, Command, ConnectionId, Cued, Direction, EndReason, NotMoved, Play, Report,
    SessionKey, Start, StreamTransport, Token,
};
use crate::shard::operation::{Datagram, PairId, PairSocket};
use crate::title::SharedTitle;
use bytes::Bytes;
use fastrand::Rng;
use packetizer::image::PayloadClass;
use packetizer::index::{Cue, TrackId, TrackSet};
use packetizer::rtcp;
use packetizer::rtp::Ssrc;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(20);
/// How often interleaved viewers read, in nanoseconds.
const READ_INTERVAL: u64 = 4_000_000;

/// Nobody plays for so long without a packet, in nanoseconds.
const STARVED_NANOS: i64 = 15_000_000_000;

/// What a world came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Hash over everything that happened, in order.
    pub trace: u64,
    /// Events.
    pub events: u64,
    /// RTP packets that arrived.
    pub packets: u64,
    /// Largest lateness of a packet to a viewer who kept reading, in nanoseconds.
    pub late_max: i64,
    /// Longest time that a viewer who played and read got nothing, in nanoseconds.
    pub hungry_max: i64,
    /// Times that a stream went on from the beginning of its title.
    pub laps: u64,
    /// Ranges that came to their end.
    pub finished: u64,
    /// Sessions that the shard ended.
    pub ended: u64,
    /// RTSP replies that were right.
    pub replies: u64,
    /// Clients that were asked to go elsewhere.
    pub redirected: u64,
    /// Whether the server drained.
    pub is_drained: bool,
}

/// What a viewer is about to do.
#[derive(Clone, Copy, Debug)]
pub(super) enum Step {
    Arrive,
    Play,
    Start,
    Act,
    Report,
    Read,
    Leave,
}

#[derive(Debug)]
pub(super) struct Client {
    pub(super) key: SessionKey,
    pub(super) viewer: Viewer,
    address: IpAddr,
    /// The pair of each stream, for its receiver reports.
    pairs: Vec<PairId>,
    /// For interleaved streams.
    pub(super) connection: Option<ConnectionId>,
    framer: Framer,
    /// Bytes it reads each [`READ_INTERVAL`]; 0 while it stalls.
    appetite: usize,
    is_gone: bool,
    /// What it plays to the end begins again.
    pub(super) is_endless: bool,
    pub(super) is_finished: bool,
    /// It was paused, at once or by and by, and is to play on.
    pub(super) is_to_resume: bool,
    /// When it began to play, or a packet last arrived.
    fed: MonoTime,
    pub(super) cue: Option<Cue>,
    /// Its last cue.
    cued_by: Token,
    /// It waits for the reply to PLAY.
    pub(super) awaits_reply: bool,
    /// What the reply says that is on its way through the connection.
    replied: Option<(Cued, Option<Cue>, bool)>,
}

impl Client {
    pub(super) fn tracks(&self) -> TrackSet {
        let streams = self.viewer.streams.iter();
        streams.fold(TrackSet::EMPTY, |set, stream| set.with(stream.track))
    }
}

/// The world.
#[derive(Debug)]
pub struct World {
    pub(super) around: Surroundings,
    shard: SimShard,
    pub(super) clients: Vec<Client>,
    steps: Agenda<(usize, Step)>,
    pub(super) tokens_made: u64,
    pub(super) tokens: HashMap<Token, usize>,
    outcome: Outcome,
}

impl Played for World {
    fn surroundings(&mut self) -> &mut Surroundings {
        &mut self.around
    }

    fn next_event(&self) -> Option<MonoTime> {
        if self.steps.is_empty() && self.shard.check_empty().is_ok() {
            return None;
        }
        [self.steps.next(), self.shard.deadline()].into_iter().flatten().min()
    }

    fn turn(&mut self) {
        self.shard.complete_reads(&mut self.around);
        while let Some((client, step)) = self.steps.pop_due(self.around.now) {
            self.around.note(&format!("viewer {client} {step:?}"));
            self.step(client, step);
        }
        while self.shard.advance(&mut self.around) {
            self.deliver();
        }
        self.hear();
    }

    fn check_end(&self) {
        if let Err(left) = self.shard.check_empty() {
            panic!("at the end: {left}");
        }
    }
}

impl World {
    /// A world of so many viewers.
    #[must_use]
    pub fn new(seed: u64, viewers: usize, faults: impl FnOnce(&mut Rng) -> Faults) -> Self {
        let around = Surroundings::new(seed, faults);
        let mut world = Self {
            shard: SimShard::new(0, seed, TIMEOUT, around.faults.memory),
            around,
            clients: Vec::new(),
            steps: Agenda::default(),
            tokens_made: 0,
            tokens: HashMap::new(),
            outcome: Outcome::default(),
        };
        for index in 0..viewers {
            let mut client = world.client(index);
            // Reads that take long move an interleaved viewer's timeline, which it cannot know.
            let moves = world.around.faults.moves_timelines();
            client.viewer.misses_nothing = !world.around.faults.lose();
            client.viewer.is_prompt = !(moves && client.connection.is_some());
            client.viewer.ahead = match client.connection {
                // It reads the reply that much later, too.
                Some(_) => world.around.ahead + Duration::from_nanos(READ_INTERVAL),
                None => world.around.launch_ahead,
            };
            world.clients.push(client);
            let delay = world.around.random.u64(..3_000_000_000);
            world.step_in(delay, index, Step::Arrive);
        }
        world
    }

    /// Runs until every viewer has left and everything is given back.
    ///
    /// # Panics
    /// When a checker finds something, with the seed and the last events.
    #[must_use]
    pub fn run(mut self) -> Outcome {
        self.play_out();
        self.outcome.events = self.around.trace.events;
        self.outcome.laps = self.clients.iter().map(|client| client.viewer.laps).sum();
        self.outcome.trace = self.around.trace.finish();
        self.outcome
    }

    fn client(&mut self, index: usize) -> Client {
        let is_tight = self.around.faults.memory.is_some();
        let titles = if is_tight { long_titles() } else { titles() };
        let title = self.around.random.choice(titles).expect("there are some");
        let number = u8::try_from(index % 200).expect("small") + 1;
        Client {
            key: SessionKey(index as u64),
            viewer: Viewer::new(&title.title, 0),
            address: IpAddr::V4(Ipv4Addr::new(10, 0, 0, number / 2 + 1)),
            pairs: Vec::new(),
            connection: self.around.random.bool().then_some(ConnectionId(1000 + index as u64)),
            framer: Framer::new(),
            appetite: 1 << 20,
            is_gone: false,
            is_endless: self.around.random.u8(..3) == 0,
            is_finished: false,
            is_to_resume: false,
            fed: MonoTime::default(),
            cue: None,
            cued_by: Token(0),
            awaits_reply: false,
            replied: None,
        }
    }

    pub(super) fn command(&mut self, command: Command) {
        self.shard.command(&mut self.around, command);
    }

    /// What the viewers' kernels got in this batch reaches the viewers.
    fn deliver(&mut self) {
        for arrival in std::mem::take(&mut self.around.net.arrivals) {
            let SocketAddr::V4(to) = arrival.to else { panic!("viewers have IPv4") };
            let port = usize::from(to.port());
            let (client, stream, is_rtcp) = (port / 100, port % 100 / 2, port % 2 == 1);
            assert_eq!(self.clients[client].address, IpAddr::V4(*to.ip()), "to the right viewer");
            let lost = self.lost(client);
            if self.clients[client].is_gone {
                continue;
            }
            self.arrived(client, stream, is_rtcp, &arrival.bytes, lost);
        }
    }

    fn arrived(&mut self, client: usize, stream: usize, is_rtcp: bool, bytes: &[u8], lost: u64) {
        self.around.trace.add(&(client, stream, is_rtcp, bytes));
        if is_rtcp {
            let client = &mut self.clients[client];
            let slack = if client.connection.is_some() { 100 } else { 0 };
            // Between a cue and its reply, the viewer does not know what a report speaks of.
            let slack = (!client.awaits_reply).then_some(slack);
            client.viewer.rtcp(stream, bytes, lost, slack);
        } else {
            let viewer = &mut self.clients[client].viewer;
            viewer.rtp(self.around.now, stream, bytes, lost);
            self.clients[client].fed = self.around.now;
            let viewer = &self.clients[client].viewer;
            self.outcome.packets += 1;
            self.outcome.late_max = self.outcome.late_max.max(viewer.late_max);
        }
    }

    /// Packets that failed sends took from a viewer.
    fn lost(&self, client: usize) -> u64 {
        let own = |to: &SocketAddr| usize::from(to.port()) / 100 == client;
        self.around.net.lost.iter().filter(|(to, _)| own(to)).map(|(_, lost)| lost).sum()
    }

    /// Control's side: the shard's reports.
    pub(super) fn hear(&mut self) {
        while let Some(report) = self.shard.take_report() {
            self.around.note(&format!("{report:?}"));
            match report {
                Report::SetUp { token, result } => {
                    let client = self.tokens.remove(&token).expect("asked for");
                    let Ok(set_up) = result else { continue };
                    let client = &mut self.clients[client];
                    let track = TrackId(u8::try_from(token.0 % 10).expect("one digit"));
                    client.viewer.watch(track, set_up.ssrc);
                    let port = set_up.server_port.unwrap_or(PORT_MIN);
                    client.pairs.push(PairId(u8::try_from((port - PORT_MIN) / 2).expect("few")));
                }
                Report::Cued { token, result } => self.hear_cued(token, result),
                Report::Paused { token, result } => {
                    let client = self.tokens.remove(&token).expect("asked for");
                    if self.clients[client].asked_point(self.around.now, &result) {
                        continue;
                    }
                    // The rest of a packet may still be on its way through a connection.
                    if self.clients[client].connection.is_none() {
                        self.clients[client].viewer.phase = Phase::Silent;
                    }
                }
                Report::Finished { session, paused } => {
                    self.outcome.finished += 1;
                    let client = &mut self.clients[usize::try_from(session.0).expect("small")];
                    client.is_finished = true;
                    self.around.note(&format!("{session:?} stands at {paused:?}"));
                    // A late datagram stream skips, to the end of its range if need be.
                    let skips = self.around.faults.makes_late();
                    let fails = self.around.faults.failed_send_one_in != 0;
                    let calm = client.viewer.is_prompt && !skips && !fails;
                    assert!(
                        client.is_gone || !calm || client.viewer.saw_everything(),
                        "{session:?} is finished before its end"
                    );
                }
                Report::Ended { reason: EndReason::TornDown, .. } => {}
                Report::Ended { session, .. } => {
                    self.outcome.ended += 1;
                    self.clients[usize::try_from(session.0).expect("small")].is_gone = true;
                }
                Report::Request { connection, .. } => {
                    let bytes = Bytes::from_static(b"RTSP/1.0 200 OK\r\nCSeq: 9\r\n\r\n");
                    let (start, close) = (None, false);
                    let reply = Command::Reply { connection, bytes, start, close };
                    self.command(reply);
                }
                Report::Unreadable { .. }
                | Report::ReplyWritten(_)
                | Report::ConnectionClosed { .. }
                | Report::Inspected { .. }
                | Report::Strain(_)
                | Report::Drained
                | Report::Counters(_) => {}
            }
        }
    }

    fn hear_cued(&mut self, token: Token, result: Result<Cued, NotMoved>) {
        let client = self.tokens.remove(&token).expect("asked for");
        let Ok(cued) = result else {
            self.clients[client].awaits_reply = false;
            return self.step_in(50_000_000, client, Step::Act);
        };
        if cued.streams.iter().any(|info| info.sequence.is_none()) {
            return self.has_queued(client, &cued);
        }
        self.clients[client].is_finished = false;
        let asked = self.clients[client].cue.take();
        let may_resume = asked.is_none();
        let cue = asked.or_else(|| self.clients[client].moved_cue(&cued));
        if self.clients[client].connection.is_some() {
            self.clients[client].replied = Some((cued, cue, may_resume));
        } else {
            let lost = self.lost(client);
            let viewer = &mut self.clients[client].viewer;
            viewer.go_to(&cued, cue.as_ref(), may_resume, lost);
        }
        let delay = self.around.random.u64(..5_000_000);
        self.step_in(delay, client, Step::Start);
    }

    /// Whoever plays and reads is served again and again, however little there is for all.
    fn check_fed(&mut self, client: usize) {
        let client = &self.clients[client];
        let is_hungry = matches!(client.viewer.phase, Phase::Playing { .. })
            && !client.is_gone
            && !client.is_finished
            && client.appetite > 0;
        if is_hungry {
            let hungry = self.around.now.nanos_since(client.fed);
            assert!(hungry < STARVED_NANOS, "{:?} starves for {hungry} ns", client.key);
            self.outcome.hungry_max = self.outcome.hungry_max.max(hungry);
        }
    }

    fn step(&mut self, client: usize, step: Step) {
        self.check_fed(client);
        match step {
            Step::Arrive => self.arrive(client),
            Step::Play => self.play(client),
            Step::Start => self.start(client),
            Step::Act => self.act(client),
            Step::Report => self.report(client),
            Step::Read => self.read(client),
            Step::Leave => self.leave(client),
        }
    }

    fn arrive(&mut self, index: usize) {
        let client = &self.clients[index];
        let tracks: &[u8] = self.around.random.choice([&[0u8, 1][..], &[0], &[1]]).expect("three");
        let (key, title) = (client.key, SharedTitle::clone(&client.viewer.title));
        let (address, connection) = (client.address, client.connection);
        for (position, track) in tracks.iter().enumerate() {
            let channel = u8::try_from(position * 2).expect("few");
            let port = u16::try_from(index * 100 + position * 2).expect("few viewers");
            let transport = match connection {
                Some(connection) => StreamTransport::Interleaved {
                    connection,
                    rtp_channel: channel,
                    rtcp_channel: channel + 1,
                },
                None => StreamTransport::Udp {
                    rtp: SocketAddr::new(address, port),
                    rtcp: SocketAddr::new(address, port + 1),
                    local: IpAddr::V4(Ipv4Addr::LOCALHOST),
                },
            };
            self.tokens_made += 1;
            let token = Token(self.tokens_made * 10 + u64::from(*track));
            self.tokens.insert(token, index);
            let set_up = Command::SetUp {
                token,
                session: key,
                is_first: position == 0,
                title: SharedTitle::clone(&title),
                track: TrackId(*track),
                transport,
                is_adopted: false,
                payload_class: PayloadClass { packet_bytes_max: 1400 },
                sends_ahead: true,
            };
            self.command(set_up);
        }
        if let Some(id) = connection {
            let peer = SocketAddr::new(address, 40_000);
            let adopted = AdoptedConnection {
                id,
                socket: None,
                peer,
                unparsed: Bytes::new(),
                direction: Direction::Both,
            };
            self.command(Command::Adopt(adopted));
            self.step_in(READ_INTERVAL, index, Step::Read);
        }
        self.step_in(2_000_000, index, Step::Play);
        self.step_in(5_000_000_000, index, Step::Report);
        let stay = self.around.random.u64(1_000_000_000..40_000_000_000);
        self.step_in(stay, index, Step::Leave);
    }

    fn play(&mut self, index: usize) {
        let client = &mut self.clients[index];
        if client.is_gone || client.viewer.streams.is_empty() {
            return;
        }
        client.is_finished = false;
        client.is_to_resume = false;
        let Some((play, cue)) = client.draw_range(&mut self.around.random) else {
            return self.step_in(50_000_000, index, Step::Act);
        };
        client.cue = Some(cue);
        self.cue(index, play);
    }

    pub(super) fn cue(&mut self, index: usize, play: Play) {
        self.tokens_made += 1;
        let token = Token(self.tokens_made * 10);
        self.tokens.insert(token, index);
        self.clients[index].cued_by = token;
        self.clients[index].awaits_reply = true;
        self.clients[index].fed = self.around.now;
        let session = self.clients[index].key;
        // What was on its way when the seek came arrives before the reply: it is of the old range.
        self.read_all(index);
        self.command(Command::Play { token, session, play });
    }

    fn start(&mut self, index: usize) {
        let client = &mut self.clients[index];
        if client.is_gone {
            return;
        }
        let start = Start { session: client.key, cue: client.cued_by };
        if let Some(connection) = client.connection {
            let bytes = Bytes::from_static(b"RTSP/1.0 200 OK\r\nCSeq: 1\r\n\r\n");
            let reply = Command::Reply { connection, bytes, start: Some(start), close: false };
            self.command(reply);
        } else {
            client.viewer.phase = Phase::Playing { started: self.around.now };
            client.fed = self.around.now;
            client.awaits_reply = false;
            self.command(Command::Start(start));
        }
        let soon = self.around.random.u64(10_000_000..6_000_000_000);
        self.step_in(soon, index, Step::Act);
    }

    /// Seeks, pauses, resumes, stalls or vanishes.
    fn act(&mut self, index: usize) {
        let is_rude = self.around.faults.rude_viewers;
        let choice = self.around.random.u8(..8);
        let client = &mut self.clients[index];
        if client.is_gone {
            return;
        }
        match choice {
            0..=2 | 6 | 7 if client.awaits_reply => self.step_in(50_000_000, index, Step::Act),
            0 | 1 => self.play(index),
            2 => {
                self.pause(index, None);
                // What has come to its end starts again, or goes on behind a range with an end.
                self.clients[index].is_finished = false;
                self.resume(index);
            }
            6 => self.queue(index),
            7 => self.pause_on_the_way(index),
            3 if is_rude && client.connection.is_some() => {
                client.appetite = 0;
                client.viewer.is_prompt = false;
                let later = self.around.random.u64(100_000_000..30_000_000_000);
                self.step_in(later, index, Step::Act);
            }
            4 if is_rude && client.connection.is_none() => client.is_gone = true,
            _ => {
                if std::mem::replace(&mut client.appetite, 1 << 20) == 0 {
                    client.fed = self.around.now;
                }
                let later = self.around.random.u64(100_000_000..5_000_000_000);
                self.step_in(later, index, Step::Act);
            }
        }
    }

    /// A receiver report, as a sign of life.
    fn report(&mut self, index: usize) {
        let client = &self.clients[index];
        if client.is_gone {
            return;
        }
        if client.connection.is_none() {
            for (position, pair) in client.pairs.iter().enumerate() {
                let mut bytes = Vec::new();
                rtcp::write_receiver_report(Ssrc(7), &[], "viewer", &mut bytes);
                let port = u16::try_from(index * 100 + position * 2 + 1).expect("few");
                let from = SocketAddr::new(client.address, port);
                let socket = PairSocket::Rtcp;
                let datagram = Datagram { pair: *pair, socket, from, bytes: &bytes };
                self.shard.datagram(&self.around, datagram);
            }
        } else {
            let session = client.key;
            self.command(Command::Touch { session });
        }
        self.step_in(5_000_000_000, index, Step::Report);
    }

    /// An interleaved viewer reads what its socket has.
    fn read(&mut self, index: usize) {
        let appetite = self.clients[index].appetite;
        if let Some(id) = self.take_from_pipe(index, appetite)
            && let Some((_, slot)) = self.around.net.slot_of(id)
            && std::mem::take(&mut self.around.net.pipe_of((0, slot)).is_watched)
        {
            self.shard.writable(slot);
        }
        if !self.clients[index].is_gone {
            self.step_in(READ_INTERVAL, index, Step::Read);
        }
    }

    /// Reads everything that is there, without a limit.
    pub(super) fn read_all(&mut self, index: usize) {
        let _ = self.take_from_pipe(index, usize::MAX);
    }

    /// Gives the connection if its buffer has room now.
    fn take_from_pipe(&mut self, index: usize, bytes_max: usize) -> Option<ConnectionId> {
        let id = self.clients[index].connection?;
        let pipe = self.around.net.pipes.get_mut(&id).filter(|pipe| !pipe.is_closed)?;
        let bytes = pipe.read(bytes_max);
        let has_room = pipe.buffer.len() < pipe.buffer_bytes_max;
        let client = &mut self.clients[index];
        client.framer.push(&bytes);
        let mut messages = Vec::new();
        while let Some(message) = client.framer.next().expect("frames and replies only") {
            messages.push(match message {
                Message::Interleaved { channel, payload } => Some((channel, payload.to_vec())),
                Message::Request(_) | Message::Response(_) => None,
            });
        }
        for message in messages {
            match message {
                Some((channel, payload)) => {
                    let stream = usize::from(channel / 2);
                    self.arrived(index, stream, channel % 2 == 1, &payload, 0);
                }
                None => self.reply_arrived(index),
            }
        }
        has_room.then_some(id)
    }

    /// Leaves by TEARDOWN, by closing the connection, or without a word.
    fn leave(&mut self, index: usize) {
        let client = &mut self.clients[index];
        if client.is_gone && client.connection.is_none() {
            return;
        }
        client.is_gone = true;
        let session = client.key;
        if let Some(id) = client.connection {
            if let Some((_, slot)) = self.around.net.slot_of(id) {
                self.shard.closed(&mut self.around, slot);
            }
        } else {
            self.command(Command::TearDown { session, stream: None });
        }
    }

    /// The reply to PLAY came through the connection: what follows is of the new range.
    fn reply_arrived(&mut self, index: usize) {
        let client = &mut self.clients[index];
        if let Some((cued, cue, may_resume)) = client.replied.take() {
            client.viewer.go_to(&cued, cue.as_ref(), may_resume, 0);
            client.viewer.phase = Phase::Playing { started: self.around.now };
            client.fed = self.around.now;
            client.awaits_reply = false;
        }
    }

    pub(super) fn step_in(&mut self, nanos: u64, client: usize, step: Step) {
        self.steps.push(self.around.after(nanos), (client, step));
    }
}
