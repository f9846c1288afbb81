//! A whole world: control, its shards, and clients that speak RTSP to it.

use super::agenda;
use super::control_shell::ControlShell;
use super::faults::Faults;
use super::mail::Lanes;
use super::net::Pipe;
use super::reply::Reply;
use super::rtsp_client::{Deed, Line, PORTS_A_CLIENT, RtspClient};
use super::rtsp_model::{Facts, Life, Way};
use super::shard::{PORT_MIN, PORTS_A_SHARD, SimShard};
use super::surroundings::Surroundings;
use super::trace::{Trace, Traced};
use super::viewer::Phase;
use super::world::Outcome;
use crate::clock::MonoTime;
use crate::config::{Config, MediaRoot};
use crate::control::{OpenError, OpenToken};
use crate::mailbox::{Command, ConnectionId, EndReason, Report, SessionKey, Token};
use crate::shard::operation::{Datagram, PairId, PairSocket};
use crate::title::SharedTitle;
use fastrand::Rng;
use packetizer::image::PayloadClass;
use packetizer::index::TrackId;
use packetizer::rtcp;
use packetizer::rtp::Ssrc;
use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

/// The session timeout that SETUP announces.
pub(super) const TIMEOUT: Duration = Duration::from_secs(20);
/// What the shard adds to it.
const TIMEOUT_MARGIN: Duration = Duration::from_secs(5);
/// Most bytes that arrive at once.
const CHUNK_BYTES_MAX: usize = 400;

/// What happens in a whole world.
#[derive(Debug)]
pub(super) enum Event {
    /// A client does something.
    Client(usize, Step),
    /// Bytes of a client arrive at the server's kernel.
    Arrive(ConnectionId, Vec<u8>),
    /// A client's end is noticed there.
    HungUp(ConnectionId),
    /// A write of control goes on.
    Write(ConnectionId),
    /// A write of control has completed.
    Written(ConnectionId),
    /// The close of a connection has completed.
    Closed(ConnectionId),
    Command(usize, Command),
    Report(usize, Report),
    Opened(OpenToken, Result<SharedTitle, OpenError>),
    /// The server takes nothing new.
    Retire,
    /// It ends what there is.
    Drain,
}

/// What is to happen in a whole world.
pub(super) type Agenda = agenda::Agenda<Event>;

/// What a client is about to do.
#[derive(Clone, Copy, Debug)]
pub(super) enum Step {
    Connect,
    Act,
    Report,
    Read,
    Leave,
    HangUp,
}

/// Where media of a client goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Route {
    Port(u16),
    Channel(ConnectionId, u8),
}

/// What comes by a route.
#[derive(Clone, Copy, Debug)]
pub(super) struct Routed {
    pub(super) client: usize,
    pub(super) session: usize,
    pub(super) track: TrackId,
    pub(super) is_rtcp: bool,
    /// From when on nothing may come.
    pub(super) over_at: Option<MonoTime>,
}

/// The whole world.
#[derive(Debug)]
pub struct Whole {
    pub(super) around: Surroundings,
    pub(super) agenda: Agenda,
    control: ControlShell,
    shards: Vec<SimShard>,
    /// Shards that have drained run no more.
    are_drained: Vec<bool>,
    reports: Lanes,
    pub(super) clients: Vec<RtspClient>,
    pub(super) routes: BTreeMap<Route, Routed>,
    tokens: BTreeMap<Token, SessionKey>,
    /// The sessions that streams were set up in, by SSRC.
    pub(super) keys: BTreeMap<u32, SessionKey>,
    /// Sessions that no client knows yet, and those of clients.
    pub(super) unknown: BTreeMap<SessionKey, Facts>,
    pub(super) known: BTreeMap<SessionKey, (usize, usize)>,
    connections_made: u64,
    pub(super) is_tight: bool,
    pub(super) is_draining: bool,
    pub(super) outcome: Outcome,
}

impl Traced for Whole {
    fn trace(&self) -> &Trace {
        &self.around.trace
    }
}

impl Whole {
    /// A whole world of so many clients; with `drains`, the server drains in the middle.
    #[must_use]
    pub fn new(
        seed: u64,
        clients: u16,
        drains: bool,
        faults: impl FnOnce(&mut Rng) -> Faults,
    ) -> Self {
        let mut around = Surroundings::new(seed, faults);
        let shard_count = around.random.usize(1..=2);
        let is_tight = around.random.u8(..5) == 0;
        let shard = |index| SimShard::new(index, seed, TIMEOUT + TIMEOUT_MARGIN);
        let mut world = Self {
            control: ControlShell::new(config(is_tight), shard_count, seed),
            shards: (0..shard_count).map(shard).collect(),
            are_drained: vec![false; shard_count],
            reports: Lanes::new(shard_count),
            clients: Vec::new(),
            agenda: Agenda::default(),
            routes: BTreeMap::new(),
            tokens: BTreeMap::new(),
            keys: BTreeMap::new(),
            unknown: BTreeMap::new(),
            known: BTreeMap::new(),
            connections_made: 0,
            is_tight,
            is_draining: false,
            outcome: Outcome::default(),
            around,
        };
        for index in 0..clients {
            let address = Ipv4Addr::new(10, 0, 0, u8::try_from(index + 1).expect("few"));
            let is_rude = world.around.faults.rude_viewers && world.around.random.bool();
            world.clients.push(RtspClient::new(index, IpAddr::V4(address), is_rude));
            let client = usize::from(index);
            world.step_in(3_000_000_000, client, Step::Connect);
            world.step_in(5_000_000_000, client, Step::Report);
            let stay = 2_000_000_000 + world.around.random.u64(..20_000_000_000);
            world.agenda.push(world.around.after(stay), Event::Client(client, Step::Leave));
        }
        if drains {
            let [first, second] = [(); 2].map(|()| world.around.soon(15_000_000_000));
            world.agenda.push(first, Event::Retire);
            world.agenda.push(second, Event::Drain);
        }
        world
    }

    /// Runs until every client has left and everything is given back, or the server has drained.
    ///
    /// # Panics
    /// When a checker finds something, with the seed and the last events.
    #[must_use]
    pub fn run(mut self) -> Outcome {
        self.guard(|world| {
            while let Some(at) = world.next_event() {
                world.around.now = world.around.now.max(at);
                assert!(world.around.now < MonoTime(600_000_000_000), "the world comes to an end");
                world.turn();
            }
            if let Err(left) = world.check_empty() {
                panic!("at the end: {left}");
            }
            assert!(world.around.net.slots.is_empty(), "open connections at the end");
            world.check_drained();
            let is_open = |pipe: &Pipe| !pipe.is_closed;
            assert!(!world.around.net.pipes.values().any(is_open), "open sockets at the end");
        });
        self.outcome.is_drained = self.control.is_drained;
        self.outcome.events = self.around.trace.events;
        self.outcome.trace = self.around.trace.finish();
        self.outcome
    }

    fn check_empty(&self) -> Result<(), String> {
        self.control.check_empty()?;
        let running = self.shards.iter().zip(&self.are_drained).filter(|(_, drained)| !**drained);
        running.map(|(shard, _)| shard).try_for_each(SimShard::check_empty)
    }

    fn next_event(&self) -> Option<MonoTime> {
        if self.agenda.is_empty() && self.check_empty().is_ok() {
            return None;
        }
        let running = self.shards.iter().zip(&self.are_drained).filter(|(_, drained)| !**drained);
        let shards = running.filter_map(|(shard, _)| shard.deadline());
        shards.chain(self.agenda.next()).chain(self.control.deadline()).min()
    }

    fn turn(&mut self) {
        for index in 0..self.shards.len() {
            if !self.are_drained[index] {
                self.shards[index].complete_reads(&mut self.around);
                self.after_shard(index);
            }
        }
        while let Some(event) = self.agenda.pop_due(self.around.now) {
            self.happen(event);
            self.look();
        }
        if self.control.deadline().is_some_and(|deadline| deadline <= self.around.now) {
            let Self { control, around, agenda, .. } = self;
            control.drive(around, agenda, |control, now, effects| control.advance(now, effects));
        }
        for index in 0..self.shards.len() {
            self.run_shard(index);
        }
    }

    fn run_shard(&mut self, index: usize) {
        if self.are_drained[index] {
            return;
        }
        self.feed(index);
        while self.shards[index].advance(&mut self.around) {
            self.deliver();
            self.look();
        }
        self.after_shard(index);
    }

    /// Gives the shard what its connections have received.
    fn feed(&mut self, index: usize) {
        let slots: Vec<_> =
            self.around.net.slots.keys().filter(|(shard, _)| *shard == index).copied().collect();
        for slot in slots {
            let pipe = self.around.net.pipe_of(slot);
            if pipe.is_paused {
                continue;
            }
            if !pipe.input.is_empty() {
                let bytes: Vec<u8> = pipe.input.drain(..).collect();
                self.shards[index].received(&mut self.around, slot.1, &bytes);
            } else if pipe.is_broken {
                self.shards[index].closed(&mut self.around, slot.1);
            }
        }
    }

    /// Takes the shard's reports.
    fn after_shard(&mut self, index: usize) {
        while let Some(report) = self.shards[index].take_report() {
            self.around.note(&format!("shard {index}: {report:?}"));
            self.witness_report(index, &report);
            let is_drained = matches!(report, Report::Drained);
            let at = self.reports.arrival(&mut self.around, index);
            self.agenda.push(at, Event::Report(index, report));
            if is_drained {
                self.end_shard(index);
            }
        }
    }

    /// The shard's thread ends, and its sockets with it.
    fn end_shard(&mut self, index: usize) {
        self.are_drained[index] = true;
        let slots: Vec<_> = self.around.net.slots.keys().copied().collect();
        for slot in slots.into_iter().filter(|(shard, _)| *shard == index) {
            self.around.net.close(slot);
        }
    }

    fn happen(&mut self, event: Event) {
        let Self { control, around, agenda, .. } = self;
        match event {
            Event::Client(client, step) => self.step(client, step),
            Event::Arrive(id, bytes) => {
                around.note(&format!("{id:?} receives {}", bytes.len()));
                around.net.pipes.get_mut(&id).expect("opened").input.extend(bytes);
                control.proceed(around, agenda, id);
            }
            Event::HungUp(id) => {
                around.note(&format!("{id:?} hung up"));
                around.net.pipes.get_mut(&id).expect("opened").is_broken = true;
                control.proceed(around, agenda, id);
            }
            Event::Write(id) => control.write(around, agenda, id),
            Event::Written(id) => control.written(around, agenda, id),
            Event::Closed(id) => control.closed(around, agenda, id),
            Event::Command(shard, command) => {
                if !self.are_drained[shard] {
                    self.witness_command(shard, &command);
                    self.shards[shard].command(&mut self.around, command);
                    self.run_shard(shard);
                } else if let Command::Adopt(adopted) = command {
                    around.net.pipes.get_mut(&adopted.id).expect("opened").is_closed = true;
                }
            }
            Event::Report(shard, report) => {
                self.witness_known(&report);
                let Self { control, around, agenda, .. } = self;
                control.drive(around, agenda, |control, now, effects| {
                    control.report(now, shard, report, effects);
                });
            }
            Event::Opened(token, result) => {
                control.drive(around, agenda, |control, now, effects| {
                    control.title_opened(now, token, result, effects);
                })
            }
            Event::Retire => {
                around.note("retire");
                self.is_draining = true;
                control.drive(around, agenda, |control, _, _| control.retire());
            }
            Event::Drain => {
                around.note("drain");
                self.is_draining = true;
                control.drive(around, agenda, |control, _, effects| control.drain(effects));
            }
        }
    }

    /// What is seen between control and a shard: a command arrives.
    fn witness_command(&mut self, shard: usize, command: &Command) {
        match command {
            Command::SetUp { token, session, .. } => {
                self.tokens.insert(*token, *session);
                if !self.known.contains_key(session) {
                    self.unknown.entry(*session).or_default().shard = shard;
                }
            }
            Command::Cue { token, session, cue } => {
                self.tokens.insert(*token, *session);
                let Some(facts) = self.facts(*session) else { return };
                facts.cues += 1;
                facts.was_finished = facts.is_finished;
                facts.goes_on = cue.is_none() && facts.is_running;
                facts.has_resumed = cue.is_none() && !facts.is_finished;
                if !facts.has_resumed {
                    facts.cue.clone_from(cue);
                }
            }
            Command::Pause { token, session } => {
                self.tokens.insert(*token, *session);
            }
            Command::Start { session } => {
                self.around.note(&format!("start {session:?}"));
                self.start(*session);
            }
            Command::TearDown { session, track: None } => {
                if let Some(facts) = self.facts(*session) {
                    (facts.has_ended, facts.is_end_known) = (true, true);
                }
            }
            Command::TearDown { .. }
            | Command::Touch { .. }
            | Command::Adopt(_)
            | Command::Reply { .. }
            | Command::Drain
            | Command::Snapshot => {}
        }
    }

    /// What is seen between control and a shard: a report is made.
    fn witness_report(&mut self, index: usize, report: &Report) {
        match report {
            Report::SetUp { token, result } => {
                let key = self.tokens.remove(token).expect("asked for");
                if let Ok(set_up) = result {
                    self.keys.insert(set_up.ssrc.0, key);
                }
            }
            Report::Cued { token, cued: Some(_) } => {
                let key = self.tokens.remove(token).expect("asked for");
                let Some(facts) = self.facts(key) else { return };
                (facts.is_finished, facts.is_finish_known) = (false, false);
                if !facts.goes_on {
                    facts.is_running = false;
                    self.silence(key);
                }
            }
            Report::Paused { token, position } => {
                let key = self.tokens.remove(token).expect("asked for");
                let Some(facts) = self.facts(key) else { return };
                facts.paused = *position;
                facts.is_running = false;
                self.silence(key);
            }
            Report::Finished { session } => {
                self.outcome.finished += 1;
                self.finished(*session);
            }
            Report::Ended { session, reason } => {
                self.outcome.ended += 1;
                self.ended(*session, *reason);
            }
            Report::Drained => self.around.note(&format!("shard {index} has drained")),
            Report::Cued { cued: None, .. }
            | Report::Request { .. }
            | Report::ReplyWritten { .. }
            | Report::ConnectionClosed { .. }
            | Report::Counters(_) => {}
        }
    }

    /// Control hears a report.
    fn witness_known(&mut self, report: &Report) {
        match report {
            Report::Finished { session } => {
                if let Some(facts) = self.facts(*session) {
                    facts.is_finish_known = facts.is_finished;
                }
            }
            Report::Ended { session, .. } => {
                if let Some(facts) = self.facts(*session) {
                    facts.is_end_known = true;
                }
            }
            _ => {}
        }
    }

    pub(super) fn facts(&mut self, key: SessionKey) -> Option<&mut Facts> {
        match self.known.get(&key) {
            Some(&(client, session)) => Some(&mut self.clients[client].sessions[session].facts),
            None => self.unknown.get_mut(&key),
        }
    }

    fn step(&mut self, index: usize, step: Step) {
        let client = &self.clients[index];
        match step {
            Step::Connect if !client.is_gone => self.connect(index),
            Step::Act if !client.is_gone => {
                self.check_line(index);
                self.check_flow(index);
                self.act(index);
                let step =
                    if self.clients[index].line.is_some() { Step::Act } else { Step::Connect };
                self.step_in(2_000_000_000, index, step);
            }
            Step::Report if !client.is_gone => {
                if client.is_reporting {
                    self.report(index);
                }
                self.agenda.push(self.around.after(5_000_000_000), Event::Client(index, step));
            }
            Step::Read => self.read(index),
            Step::Leave => self.leave(index),
            Step::HangUp => self.hang_up(index),
            Step::Connect | Step::Act | Step::Report => {}
        }
    }

    fn connect(&mut self, index: usize) {
        let id = ConnectionId(self.connections_made);
        self.connections_made += 1;
        let room = self.around.random.usize(8 << 10..64 << 10);
        self.around.net.pipes.insert(id, Pipe::new(room));
        let peer = SocketAddr::new(self.clients[index].address, 40_000);
        let Self { control, around, agenda, .. } = self;
        around.note(&format!("client {index} connects by {id:?}"));
        let accepted = control.accept(around, agenda, id, peer);
        let Err(told) = accepted else {
            self.clients[index].line = Some(Line::new(id));
            return self.step_in(300_000_000, index, Step::Act);
        };
        assert!(self.is_tight || self.is_draining, "a connection was refused");
        assert_eq!(Reply::parse(&told).status, 503);
        self.around.net.pipes.remove(&id);
        self.step_in(3_000_000_000, index, Step::Connect);
    }

    fn act(&mut self, index: usize) {
        let strangers: Vec<String> = self
            .clients
            .iter()
            .enumerate()
            .filter(|(other, _)| *other != index)
            .flat_map(|(_, other)| &other.sessions)
            .map(|session| session.id.clone())
            .collect();
        match self.clients[index].act(&mut self.around, &strangers) {
            Deed::Send(bytes) => self.send(index, &bytes),
            Deed::HangUp => self.hang_up(index),
            Deed::Nothing => {}
        }
    }

    /// Cuts the client's bytes anywhere and sends them, each piece with a delay of its own.
    fn send(&mut self, index: usize, bytes: &[u8]) {
        let Some(line) = &self.clients[index].line else { return };
        self.around.note(&format!("client {index} says {}", first_lines(bytes)));
        let mut rest = bytes;
        let mut at = self.around.now.max(line.sent_until);
        while !rest.is_empty() {
            let count = self.around.random.usize(1..=rest.len().min(CHUNK_BYTES_MAX));
            let (piece, after) = rest.split_at(count);
            at = MonoTime(at.0 + self.around.random.u64(..3_000_000));
            self.agenda.push(at, Event::Arrive(line.id, piece.to_vec()));
            rest = after;
        }
        if let Some(line) = &mut self.clients[index].line {
            line.sent_until = at;
        }
    }

    /// The client closes its connection.
    fn hang_up(&mut self, index: usize) {
        let Some(line) = self.clients[index].line.take() else { return };
        let at = self.around.soon(2_000_000).max(line.sent_until);
        self.agenda.push(at, Event::HungUp(line.id));
        self.line_lost(index, line.id, line.asked);
    }

    fn leave(&mut self, index: usize) {
        let client = &mut self.clients[index];
        client.is_gone = true;
        match self.around.random.u8(..4) {
            0 => self.hang_up(index),
            // Without a word: the server must find out.
            1 => client.is_reading = false,
            _ => {
                let is_mute = client.line.as_ref().is_none_or(|line| line.is_mute);
                if !is_mute {
                    let bytes = client.say_goodbye();
                    self.send(index, &bytes);
                }
                self.agenda
                    .push(self.around.after(2_000_000_000), Event::Client(index, Step::HangUp));
            }
        }
    }

    /// Receiver reports of all streams, as signs of life.
    fn report(&mut self, index: usize) {
        let mut bytes = Vec::new();
        rtcp::write_receiver_report(Ssrc(7), &[], "viewer", &mut bytes);
        let now = self.around.now;
        let mut frames = Vec::new();
        let client = &mut self.clients[index];
        let line = client.line.as_ref().filter(|line| !line.is_mute).map(|line| line.id);
        for session in client.sessions.iter_mut().filter(|session| session.life != Life::Over) {
            for stream in &session.streams {
                match stream.way {
                    Way::Udp { port, server_port } => {
                        let place = server_port - PORT_MIN;
                        let shard = usize::from(place / PORTS_A_SHARD);
                        let pair = u8::try_from(place % PORTS_A_SHARD / 2).expect("few");
                        let (pair, socket) = (PairId(pair), PairSocket::Rtcp);
                        let from = SocketAddr::new(client.address, port + 1);
                        let datagram = Datagram { pair, socket, from, bytes: &bytes };
                        self.shards[shard].datagram(&self.around, datagram);
                        session.heard_at = now;
                    }
                    Way::Interleaved { connection, channel } if line == Some(connection) => {
                        let length = u16::try_from(bytes.len()).expect("small").to_be_bytes();
                        frames.extend([b'$', channel + 1, length[0], length[1]]);
                        frames.extend(&bytes);
                    }
                    Way::Interleaved { .. } => {}
                }
            }
        }
        if !frames.is_empty() {
            self.send(index, &frames);
        }
    }

    /// The client reads some of what its connection has.
    fn read(&mut self, index: usize) {
        let client = &mut self.clients[index];
        let Some(line) = &mut client.line else { return };
        line.will_read = false;
        if !client.is_reading {
            return;
        }
        let id = line.id;
        let count = self.around.random.usize(1..64 << 10);
        let pipe = self.around.net.pipes.get_mut(&id).expect("opened");
        let was_read = !pipe.read(count).is_empty();
        if was_read && let Some((shard, slot)) = self.around.net.slot_of(id) {
            let pipe = self.around.net.pipe_of((shard, slot));
            if std::mem::take(&mut pipe.is_watched) {
                self.shards[shard].writable(&self.around, slot);
            }
        }
        self.read_soon(index);
    }

    /// Has the client read, if there is something.
    pub(super) fn read_soon(&mut self, index: usize) {
        let client = &mut self.clients[index];
        let Some(line) = &mut client.line else { return };
        let has_bytes =
            self.around.net.pipes.get(&line.id).is_some_and(|pipe| !pipe.buffer.is_empty());
        if has_bytes && client.is_reading && !line.will_read {
            line.will_read = true;
            self.step_in(4_000_000, index, Step::Read);
        }
    }

    fn step_in(&mut self, nanos_max: u64, client: usize, step: Step) {
        let at = self.around.soon(nanos_max);
        self.agenda.push(at, Event::Client(client, step));
    }

    /// Media or RTCP over UDP arrives.
    fn deliver(&mut self) {
        for arrival in std::mem::take(&mut self.around.net.arrivals) {
            let port = arrival.to.port();
            let client = usize::from(port / PORTS_A_CLIENT) - 1;
            assert_eq!(self.clients[client].address, arrival.to.ip(), "to the right client");
            self.arrived(client, Route::Port(port), &arrival.bytes);
        }
    }

    /// The session's packets may go, says control.
    fn start(&mut self, key: SessionKey) {
        let now = self.around.now;
        let Some(&(client, session)) = self.known.get(&key) else { return };
        let line = self.clients[client].line.as_ref();
        let is_lost = line.is_none_or(|line| self.around.net.pipes[&line.id].is_closed);
        let session = &mut self.clients[client].sessions[session];
        if session.facts.is_running {
            return;
        }
        assert!(
            session.is_answered || session.is_blind || is_lost,
            "{key:?} starts before its reply"
        );
        session.is_blind |= !session.is_answered;
        session.facts.is_running = true;
        session.viewer.phase = Phase::Playing { started: now };
    }

    /// A session moves or pauses: over UDP, nothing more comes from now on.
    fn silence(&mut self, key: SessionKey) {
        let Some(&(client, session)) = self.known.get(&key) else { return };
        let session = &mut self.clients[client].sessions[session];
        session.is_answered = false;
        if session.is_udp_only() {
            session.viewer.phase = Phase::Silent;
        }
    }

    fn finished(&mut self, key: SessionKey) {
        if let Some(facts) = self.facts(key) {
            (facts.is_finished, facts.is_running) = (true, false);
        }
        let faults = &self.around.faults;
        let is_calm = faults.slow_read_one_in == 0 && faults.failed_send_one_in == 0;
        let Some(&(client, session)) = self.known.get(&key) else { return };
        let session = &self.clients[client].sessions[session];
        assert!(
            !is_calm
                || session.is_blind
                || !session.viewer.is_prompt
                || session.life != Life::Alive
                || session.viewer.saw_everything(),
            "{key:?} is finished before its end"
        );
    }

    fn ended(&mut self, key: SessionKey, reason: EndReason) {
        let now = self.around.now;
        if let Some(facts) = self.facts(key) {
            facts.has_ended = true;
            facts.is_drained = reason == EndReason::Drained;
        }
        let Some(&(client, session)) = self.known.get(&key) else { return };
        let session = &self.clients[client].sessions[session];
        let silent = now - session.heard_at;
        let must_live = session.life == Life::Alive && session.is_udp_only();
        assert!(
            reason != EndReason::TimedOut || !must_live || silent >= TIMEOUT,
            "{key:?} timed out after {silent:?}"
        );
        assert!(
            reason != EndReason::ConnectionClosed || !must_live,
            "{key:?} ended with a connection that carries nothing of it"
        );
    }
}

fn first_lines(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let starts = text.split("\r\n\r\n").filter_map(|request| request.lines().next());
    starts.collect::<VecDeque<_>>().make_contiguous().join(" | ")
}

fn config(is_tight: bool) -> Config {
    let (many, few) = (100, 4);
    let count = if is_tight { few } else { many };
    Config {
        media: vec![MediaRoot { name: None, directory: PathBuf::from("/sim") }],
        listen: Vec::new(),
        shard_cpus: vec![None],
        control_cpu: None,
        rtp_ports: 6970..=7033,
        memory_bytes: 1 << 30,
        sessions_max: count,
        connections_max: count,
        sessions_per_address_max: many,
        connections_per_address_max: many,
        egress_bits_per_second: is_tight.then_some(10_000_000),
        payload_class: PayloadClass { packet_bytes_max: 1400 },
        session_timeout: TIMEOUT,
        drain_deadline: Duration::from_secs(5),
    }
}
