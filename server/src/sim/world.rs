//! A world: one shard, its disk and network, and viewers who come, seek, pause, stall and go.

use super::disk::{Done, SimDisk};
use super::faults::Faults;
use super::net::{Pipe, SimNet};
use super::title::{SimTitle, synthesize};
use super::viewer::{Phase, Viewer};
use crate::clock::{MonoTime, Wallclock};
use crate::framing::{Framer, Message};
use crate::mailbox::{
    AdoptedConnection, Command, ConnectionId, Cued, Report, SessionKey, StreamTransport, Token,
};
use crate::shard::operation::{Datagram, Operation, PairId, PairSocket};
use crate::shard::{Shard, ShardConfig};
use crate::title::SharedTitle;
use bytes::Bytes;
use fastrand::Rng;
use packetizer::image::PayloadClass;
use packetizer::index::{Cue, TrackId, TrackSet};
use packetizer::rtcp;
use packetizer::rtp::Ssrc;
use packetizer::time::Npt;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

const READ_BLOCKS: u32 = 512;
const PAIRS: u16 = 4;
const TIMEOUT: Duration = Duration::from_secs(20);
/// What the wallclock said at the monotonic clock's zero.
const WALLCLOCK: Wallclock = Wallclock::new(1_700_000_000_000_000_000);
/// How often interleaved viewers read, in nanoseconds.
const READ_INTERVAL: u64 = 4_000_000;
/// Last events a failure shows.
const TAIL: usize = 10;

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
    /// Ranges that came to their end.
    pub finished: u64,
    /// Sessions that the shard ended.
    pub ended: u64,
}

/// What a viewer is about to do.
#[derive(Clone, Copy, Debug)]
enum Step {
    Arrive,
    Play,
    Start,
    Act,
    Report,
    Read,
    Leave,
}

#[derive(Debug)]
struct Client {
    viewer: Viewer,
    address: IpAddr,
    /// The pair of each stream, for its receiver reports.
    pairs: Vec<PairId>,
    /// For interleaved streams.
    connection: Option<ConnectionId>,
    framer: Framer,
    /// Bytes it reads each [`READ_INTERVAL`]; 0 while it stalls.
    appetite: usize,
    is_gone: bool,
    is_finished: bool,
    cue: Option<Cue>,
    /// It waits for the reply to PLAY.
    awaits_reply: bool,
    /// What the reply says that is on its way through the connection.
    replied: Option<(Cued, Option<Cue>)>,
}

impl Client {
    fn tracks(&self) -> TrackSet {
        let streams = self.viewer.streams.iter();
        streams.fold(TrackSet::EMPTY, |set, stream| set.with(stream.track))
    }
}

/// The world.
#[derive(Debug)]
pub struct World {
    seed: u64,
    random: Rng,
    faults: Faults,
    now: MonoTime,
    shard: Shard,
    disk: SimDisk,
    net: SimNet,
    titles: Vec<SimTitle>,
    clients: Vec<Client>,
    steps: BTreeMap<(MonoTime, u64), (usize, Step)>,
    step_count: u64,
    tokens: HashMap<Token, usize>,
    tail: VecDeque<String>,
    hash: DefaultHasher,
    outcome: Outcome,
}

impl World {
    /// A world of so many viewers.
    #[must_use]
    pub fn new(seed: u64, viewers: usize, faults: impl FnOnce(&mut Rng) -> Faults) -> Self {
        let mut random = Rng::with_seed(seed);
        let faults = faults(&mut random);
        let titles = (0..3).map(|id| synthesize(&mut random, id, 8 + 3 * id.cast_signed()));
        let titles: Vec<SimTitle> = titles.collect();
        let config = ShardConfig {
            rtp_ports: (0..PAIRS).map(|pair| 6970 + 2 * pair).collect(),
            sessions_max: 64,
            streams_max: 128,
            image_bytes_max: 24 << 20,
            read_blocks: READ_BLOCKS,
            session_timeout: TIMEOUT,
            cname: "sim".to_owned(),
            seed,
        };
        let mut world = Self {
            seed,
            random,
            faults,
            now: MonoTime(1_000_000_000),
            shard: Shard::new(config, WALLCLOCK),
            disk: SimDisk::new(READ_BLOCKS),
            net: SimNet::default(),
            titles,
            clients: Vec::new(),
            steps: BTreeMap::new(),
            step_count: 0,
            tokens: HashMap::new(),
            tail: VecDeque::new(),
            hash: DefaultHasher::new(),
            outcome: Outcome::default(),
        };
        for index in 0..viewers {
            let mut client = world.client(index);
            // Reads that take long move an interleaved viewer's timeline, which it cannot know.
            let faults = &world.faults;
            let moves = faults.slow_read_one_in != 0 && faults.slow_read_micros > 500_000;
            client.viewer.is_prompt = !(moves && client.connection.is_some());
            world.clients.push(client);
            let delay = world.random.u64(..3_000_000_000);
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
        let seed = self.seed;
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            while let Some(at) = self.next_event() {
                self.now = self.now.max(at);
                assert!(self.now < MonoTime(600_000_000_000), "the world comes to an end");
                self.turn();
            }
            assert!(self.disk.is_idle(), "reads under way at the end");
            if let Err(left) = self.shard.check_empty() {
                panic!("at the end: {left}");
            }
            assert!(self.net.pipes.is_empty(), "open connections at the end");
        }));
        if let Err(panic) = result {
            let events = self.outcome.events;
            eprintln!("seed {seed}, event {events}, at {:?}; the last events:", self.now);
            self.tail.iter().for_each(|line| eprintln!("  {line}"));
            std::panic::resume_unwind(panic);
        }
        self.outcome.trace = self.hash.finish();
        self.outcome
    }

    fn client(&mut self, index: usize) -> Client {
        let title = self.random.usize(..self.titles.len());
        let number = u8::try_from(index % 200).expect("small") + 1;
        Client {
            viewer: Viewer::new(SessionKey(index as u64), &self.titles[title].title),
            address: IpAddr::V4(Ipv4Addr::new(10, 0, 0, number / 2 + 1)),
            pairs: Vec::new(),
            connection: self.random.bool().then_some(ConnectionId(1000 + index as u64)),
            framer: Framer::new(),
            appetite: 1 << 20,
            is_gone: false,
            is_finished: false,
            cue: None,
            awaits_reply: false,
            replied: None,
        }
    }

    /// When something happens next; `None` once all is over.
    fn next_event(&self) -> Option<MonoTime> {
        let step = self.steps.keys().next().map(|(at, _)| *at);
        if step.is_none() && self.disk.is_idle() && self.shard.check_empty().is_ok() {
            return None;
        }
        [step, self.disk.deadline(), self.shard.deadline()].into_iter().flatten().min()
    }

    fn turn(&mut self) {
        let mut operations = Vec::new();
        while let Some(Done { read, result }) =
            self.disk.complete(self.now, &self.faults, &mut self.random)
        {
            self.note(&format!("{read:?} {result:?}"));
            self.shard.read_completed(self.now, read, result, &self.disk, &mut operations);
            self.perform(&mut operations);
        }
        while let Some((&(at, _), _)) = self.steps.first_key_value()
            && at <= self.now
        {
            let (_, (client, step)) = self.steps.pop_first().expect("just seen");
            self.note(&format!("viewer {client} {step:?}"));
            self.step(client, step, &mut operations);
            self.perform(&mut operations);
        }
        loop {
            self.shard.advance(self.now, &mut operations);
            self.perform(&mut operations);
            if self.shard.egress().entries.is_empty() {
                break;
            }
            let results = self.net.send(&self.shard, &self.faults, &mut self.random);
            self.deliver();
            self.shard.sent(self.now, &results, &mut operations);
            self.perform(&mut operations);
        }
        self.hear(&mut operations);
        self.perform(&mut operations);
    }

    fn perform(&mut self, operations: &mut Vec<Operation>) {
        for operation in operations.drain(..) {
            match operation {
                Operation::OpenSource { source, title } => {
                    self.disk.open(source, &self.titles, title.source.0);
                }
                Operation::CloseSource { source } => self.disk.close(source),
                Operation::Read { read, source, offset, bytes, blocks } => self.disk.read(
                    self.now,
                    &self.faults,
                    &mut self.random,
                    read,
                    source,
                    offset,
                    bytes,
                    blocks,
                ),
                Operation::OpenConnection { connection, id, .. } => {
                    let pipe = Pipe { id, buffer: Vec::new(), is_watched: false };
                    let before = self.net.pipes.insert(connection, pipe);
                    assert!(before.is_none(), "{connection:?} was open");
                }
                Operation::PauseInput { .. } | Operation::ResumeInput { .. } => {}
                Operation::WatchWritable { connection } => {
                    self.net.pipes.get_mut(&connection).expect("open").is_watched = true;
                }
                Operation::CloseConnection { connection } => {
                    self.net.pipes.remove(&connection).expect("it was open");
                }
            }
        }
    }

    /// What the viewers' kernels got in this batch reaches the viewers.
    fn deliver(&mut self) {
        for arrival in std::mem::take(&mut self.net.arrivals) {
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
        (client, stream, is_rtcp, bytes).hash(&mut self.hash);
        if is_rtcp {
            let slack = if self.clients[client].connection.is_some() { 100 } else { 0 };
            let viewer = &mut self.clients[client].viewer;
            viewer.rtcp(WALLCLOCK, stream, bytes, lost, slack);
        } else {
            let viewer = &mut self.clients[client].viewer;
            viewer.rtp(self.now, stream, bytes, lost);
            self.outcome.packets += 1;
            self.outcome.late_max = self.outcome.late_max.max(viewer.late_max);
        }
    }

    /// Packets that failed sends took from a viewer.
    fn lost(&self, client: usize) -> u64 {
        let own = |to: &SocketAddr| usize::from(to.port()) / 100 == client;
        self.net.lost.iter().filter(|(to, _)| own(to)).map(|(_, lost)| lost).sum()
    }

    /// Control's side: the shard's reports.
    fn hear(&mut self, operations: &mut Vec<Operation>) {
        while let Some(report) = self.shard.take_report() {
            self.note(&format!("{report:?}"));
            match report {
                Report::SetUp { token, result } => {
                    let client = self.tokens.remove(&token).expect("asked for");
                    let Ok(set_up) = result else { continue };
                    let client = &mut self.clients[client];
                    let track = TrackId(u8::try_from(token.0 % 10).expect("one digit"));
                    client.viewer.watch(track, set_up.ssrc);
                    let port = set_up.server_port.unwrap_or(6970);
                    client.pairs.push(PairId(u8::try_from((port - 6970) / 2).expect("few")));
                }
                Report::Cued { token, cued } => {
                    let client = self.tokens.remove(&token).expect("asked for");
                    let Some(cued) = cued else { continue };
                    let cue = self.clients[client].cue.take();
                    if self.clients[client].connection.is_some() {
                        self.clients[client].replied = Some((cued, cue));
                    } else {
                        let lost = self.lost(client);
                        self.clients[client].viewer.cued(&cued, cue.as_ref(), lost);
                    }
                    let delay = self.random.u64(..5_000_000);
                    self.step_in(delay, client, Step::Start);
                }
                Report::Paused { token, .. } => {
                    let client = self.tokens.remove(&token).expect("asked for");
                    // The rest of a packet may still be on its way through a connection.
                    if self.clients[client].connection.is_none() {
                        self.clients[client].viewer.phase = Phase::Silent;
                    }
                }
                Report::Finished { session } => {
                    self.outcome.finished += 1;
                    let client = &mut self.clients[usize::try_from(session.0).expect("small")];
                    client.is_finished = true;
                    // A late datagram stream skips, to the end of its range if need be.
                    let skips = self.faults.slow_read_one_in != 0;
                    let fails = self.faults.failed_send_one_in != 0;
                    let calm = client.viewer.is_prompt && !skips && !fails;
                    assert!(
                        client.is_gone || !calm || client.viewer.saw_everything(),
                        "{session:?} is finished before its end"
                    );
                }
                Report::Ended { session, .. } => {
                    self.outcome.ended += 1;
                    self.clients[usize::try_from(session.0).expect("small")].is_gone = true;
                }
                Report::Request { connection, .. } => {
                    let bytes = Bytes::from_static(b"RTSP/1.0 200 OK\r\nCSeq: 9\r\n\r\n");
                    let (start, close) = (None, false);
                    let reply = Command::Reply { connection, bytes, start, close };
                    self.shard.command(self.now, reply, operations);
                }
                Report::ConnectionClosed { .. } | Report::Drained | Report::Counters(_) => {}
            }
        }
    }

    fn step(&mut self, client: usize, step: Step, operations: &mut Vec<Operation>) {
        match step {
            Step::Arrive => self.arrive(client, operations),
            Step::Play => self.play(client, operations),
            Step::Start => self.start(client, operations),
            Step::Act => self.act(client, operations),
            Step::Report => self.report(client),
            Step::Read => self.read(client, operations),
            Step::Leave => self.leave(client, operations),
        }
    }

    fn arrive(&mut self, index: usize, operations: &mut Vec<Operation>) {
        let client = &self.clients[index];
        let tracks: &[u8] = self.random.choice([&[0u8, 1][..], &[0], &[1]]).expect("three");
        let (key, title) = (client.viewer.key, SharedTitle::clone(&client.viewer.title));
        for (position, track) in tracks.iter().enumerate() {
            let channel = u8::try_from(position * 2).expect("few");
            let port = u16::try_from(index * 100 + position * 2).expect("few viewers");
            let transport = match client.connection {
                Some(connection) => StreamTransport::Interleaved {
                    connection,
                    rtp_channel: channel,
                    rtcp_channel: channel + 1,
                },
                None => StreamTransport::Udp {
                    rtp: SocketAddr::new(client.address, port),
                    rtcp: SocketAddr::new(client.address, port + 1),
                    local: IpAddr::V4(Ipv4Addr::LOCALHOST),
                },
            };
            self.step_count += 1;
            let token = Token(self.step_count * 10 + u64::from(*track));
            self.tokens.insert(token, index);
            let set_up = Command::SetUp {
                token,
                session: key,
                title: SharedTitle::clone(&title),
                track: TrackId(*track),
                transport,
                payload_class: PayloadClass { packet_bytes_max: 1400 },
            };
            self.shard.command(self.now, set_up, operations);
        }
        if let Some(id) = client.connection {
            let peer = SocketAddr::new(client.address, 40_000);
            let adopted = AdoptedConnection { id, socket: None, peer, unparsed: Bytes::new() };
            self.shard.command(self.now, Command::Adopt(adopted), operations);
            self.step_in(READ_INTERVAL, index, Step::Read);
        }
        self.step_in(2_000_000, index, Step::Play);
        self.step_in(5_000_000_000, index, Step::Report);
        let stay = self.random.u64(1_000_000_000..40_000_000_000);
        self.step_in(stay, index, Step::Leave);
    }

    fn play(&mut self, index: usize, operations: &mut Vec<Operation>) {
        let client = &mut self.clients[index];
        if client.is_gone || client.viewer.streams.is_empty() {
            return;
        }
        client.is_finished = false;
        let tracks = client.tracks();
        let title = &client.viewer.title;
        let start = Npt::from_nanos(self.random.u64(..title.index.duration.nanos()));
        let end = self
            .random
            .bool()
            .then(|| Npt::from_nanos(start.nanos() + self.random.u64(1_000_000..6_000_000_000)));
        let Some(cue) = title.index.cue(tracks, start, end) else { return };
        client.cue = Some(cue.clone());
        self.cue(index, Some(cue), operations);
    }

    fn cue(&mut self, index: usize, cue: Option<Cue>, operations: &mut Vec<Operation>) {
        self.step_count += 1;
        let token = Token(self.step_count * 10);
        self.tokens.insert(token, index);
        self.clients[index].awaits_reply = true;
        let session = self.clients[index].viewer.key;
        // What was on its way when the seek came arrives before the reply: it is of the old range.
        self.read_all(index);
        self.shard.command(self.now, Command::Cue { token, session, cue }, operations);
    }

    fn start(&mut self, index: usize, operations: &mut Vec<Operation>) {
        let client = &mut self.clients[index];
        if client.is_gone {
            return;
        }
        let session = client.viewer.key;
        if let Some(connection) = client.connection {
            let bytes = Bytes::from_static(b"RTSP/1.0 200 OK\r\nCSeq: 1\r\n\r\n");
            let reply = Command::Reply { connection, bytes, start: Some(session), close: false };
            self.shard.command(self.now, reply, operations);
        } else {
            self.shard.command(self.now, Command::Start { session }, operations);
            client.viewer.phase = Phase::Playing { started: self.now };
            client.awaits_reply = false;
        }
        let soon = self.random.u64(10_000_000..6_000_000_000);
        self.step_in(soon, index, Step::Act);
    }

    /// Seeks, pauses, resumes, stalls or vanishes.
    fn act(&mut self, index: usize, operations: &mut Vec<Operation>) {
        let is_rude = self.faults.rude_viewers;
        let choice = self.random.u8(..6);
        let client = &mut self.clients[index];
        if client.is_gone {
            return;
        }
        match choice {
            0..=2 if client.awaits_reply => self.step_in(50_000_000, index, Step::Act),
            0 | 1 => self.play(index, operations),
            2 => {
                self.read_all(index);
                self.step_count += 1;
                let token = Token(self.step_count * 10);
                self.tokens.insert(token, index);
                let session = self.clients[index].viewer.key;
                self.shard.command(self.now, Command::Pause { token, session }, operations);
                self.hear(operations);
                // What has come to its end starts again (the last range is over).
                let client = &mut self.clients[index];
                if std::mem::take(&mut client.is_finished) {
                    let title = &client.viewer.title;
                    client.cue = title.index.cue(client.tracks(), Npt::ZERO, None);
                }
                self.cue(index, None, operations);
            }
            3 if is_rude && client.connection.is_some() => {
                client.appetite = 0;
                client.viewer.is_prompt = false;
                let later = self.random.u64(100_000_000..30_000_000_000);
                self.step_in(later, index, Step::Act);
            }
            4 if is_rude && client.connection.is_none() => client.is_gone = true,
            _ => {
                client.appetite = 1 << 20;
                let later = self.random.u64(100_000_000..5_000_000_000);
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
                self.shard.datagram(self.now, datagram);
            }
        } else {
            let session = client.viewer.key;
            let mut none = Vec::new();
            self.shard.command(self.now, Command::Touch { session }, &mut none);
        }
        self.step_in(5_000_000_000, index, Step::Report);
    }

    /// An interleaved viewer reads what its socket has.
    fn read(&mut self, index: usize, operations: &mut Vec<Operation>) {
        let appetite = self.clients[index].appetite;
        if let Some(slot) = self.take_from_pipe(index, appetite)
            && std::mem::take(&mut self.net.pipes.get_mut(&slot).expect("open").is_watched)
        {
            self.shard.connection_writable(self.now, slot);
        }
        self.perform(operations);
        if !self.clients[index].is_gone {
            self.step_in(READ_INTERVAL, index, Step::Read);
        }
    }

    /// Reads everything that is there, without a limit.
    fn read_all(&mut self, index: usize) {
        let _ = self.take_from_pipe(index, usize::MAX);
    }

    fn take_from_pipe(
        &mut self,
        index: usize,
        bytes_max: usize,
    ) -> Option<crate::shard::operation::ConnectionSlot> {
        let id = self.clients[index].connection?;
        let (&slot, pipe) = self.net.pipes.iter_mut().find(|(_, pipe)| pipe.id == id)?;
        let count = pipe.buffer.len().min(bytes_max);
        let bytes: Vec<u8> = pipe.buffer.drain(..count).collect();
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
        (count > 0).then_some(slot)
    }

    /// Leaves by TEARDOWN, by closing the connection, or without a word.
    fn leave(&mut self, index: usize, operations: &mut Vec<Operation>) {
        let client = &mut self.clients[index];
        if client.is_gone && client.connection.is_none() {
            return;
        }
        client.is_gone = true;
        let session = client.viewer.key;
        if let Some(id) = client.connection {
            let slot = self.net.pipes.iter().find(|(_, pipe)| pipe.id == id).map(|(slot, _)| *slot);
            if let Some(slot) = slot {
                self.shard.connection_closed(self.now, slot, None, operations);
            }
        } else {
            self.shard.command(self.now, Command::TearDown { session, track: None }, operations);
        }
    }

    /// The reply to PLAY came through the connection: what follows is of the new range.
    fn reply_arrived(&mut self, index: usize) {
        let client = &mut self.clients[index];
        if let Some((cued, cue)) = client.replied.take() {
            client.viewer.cued(&cued, cue.as_ref(), 0);
            client.viewer.phase = Phase::Playing { started: self.now };
            client.awaits_reply = false;
        }
    }

    fn step_in(&mut self, nanos: u64, client: usize, step: Step) {
        self.step_count += 1;
        self.steps.insert((MonoTime(self.now.0 + nanos), self.step_count), (client, step));
    }

    fn note(&mut self, what: &str) {
        self.outcome.events += 1;
        (self.now, what).hash(&mut self.hash);
        if self.tail.len() == TAIL {
            self.tail.pop_front();
        }
        self.tail.push_back(format!("{:?} {what}", self.now));
    }
}
