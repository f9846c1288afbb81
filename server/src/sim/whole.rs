//! A whole world: control, its shards, and clients that speak RTSP to it.

use super::agenda;
use super::control_shell::ControlShell;
use super::cues::Cues;
use super::faults::{Faults, Memory};
use super::mail::Lanes;
use super::net::Pipe;
use super::remote::Remote;
use super::rtsp_client::{PORTS_A_CLIENT, RtspClient};
use super::rtsp_session::Facts;
use super::shard::SimShard;
use super::steps::Step;
use super::surroundings::Surroundings;
use super::trace::Played;
use super::world::Outcome;
use crate::clock::MonoTime;
use crate::config::{Config, MediaRoot};
use crate::control::{OpenError, OpenToken};
use crate::framing::Framer;
use crate::mailbox::{Command, ConnectionId, Play, Report, SessionKey, Token};
use crate::shard::operation;
use crate::title::SharedTitle;
use fastrand::Rng;
use packetizer::image::{Bursts, PayloadClass};
use packetizer::index::TrackId;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::time::Duration;

/// The session timeout that SETUP announces.
pub(super) const TIMEOUT: Duration = Duration::from_secs(20);
/// Bytes of a block of a read pool.
#[allow(clippy::cast_possible_truncation, reason = "a small constant")]
const BLOCK_BYTES: u32 = operation::BLOCK_BYTES as u32;
/// What the shard adds to it.
const TIMEOUT_MARGIN: Duration = Duration::from_secs(5);

/// How long control and a shard may take to agree that a connection is gone.
const ORPHAN_TIME_MAX: Duration = Duration::from_millis(10);

/// What happens in a whole world.
#[derive(Debug)]
pub(super) enum Event {
    /// A client does something.
    Client(usize, Step),
    /// Who shares its sessions does.
    Remote(usize),
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
    pub(super) control: ControlShell,
    pub(super) shards: Vec<SimShard>,
    /// Shards that have drained run no more.
    are_drained: Vec<bool>,
    reports: Lanes,
    pub(super) clients: Vec<RtspClient>,
    pub(super) routes: BTreeMap<Route, Routed>,
    pub(super) tokens: BTreeMap<Token, SessionKey>,
    /// What PLAYs asked for that the shards have not answered.
    pub(super) plays: BTreeMap<Token, Play>,
    /// The sessions that streams were set up in, by SSRC.
    pub(super) keys: BTreeMap<u32, SessionKey>,
    /// Sessions that no client knows yet, and those of clients.
    pub(super) unknown: BTreeMap<SessionKey, Facts>,
    pub(super) known: BTreeMap<SessionKey, (usize, usize)>,
    pub(super) cues: Cues,
    /// What the server writes to each connection, cut when it writes it.
    pub(super) framers: BTreeMap<ConnectionId, Framer>,
    /// What it has written of the responses that open tunnels.
    pub(super) heads: BTreeMap<ConnectionId, Vec<u8>>,
    /// Since when which closed connections still carry sessions, by shard.
    orphans: Vec<BTreeMap<ConnectionId, MonoTime>>,
    pub(super) connections_made: u64,
    pub(super) is_tight: bool,
    pub(super) is_draining: bool,
    pub(super) outcome: Outcome,
}

impl Played for Whole {
    fn surroundings(&mut self) -> &mut Surroundings {
        &mut self.around
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
            self.check_carried(index);
        }
    }

    fn check_end(&self) {
        if let Err(left) = self.check_empty() {
            panic!("at the end: {left}");
        }
        self.check_drained();
        let is_open = |pipe: &Pipe| !pipe.is_closed;
        assert!(!self.around.net.pipes.values().any(is_open), "open sockets at the end");
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
        let config = config(is_tight);
        let budget = config.budget();
        let memory = is_tight.then_some(Memory {
            image_bytes_max: usize::try_from(budget.shard_image_bytes).expect("little"),
            read_blocks: u32::try_from(budget.shard_read_bytes).expect("little") / BLOCK_BYTES,
        });
        let shard = |index| SimShard::new(index, seed, TIMEOUT + TIMEOUT_MARGIN, memory);
        let mut world = Self {
            control: ControlShell::new(config, shard_count, seed),
            shards: (0..shard_count).map(shard).collect(),
            are_drained: vec![false; shard_count],
            reports: Lanes::new(shard_count),
            clients: Vec::new(),
            agenda: Agenda::default(),
            routes: BTreeMap::new(),
            tokens: BTreeMap::new(),
            plays: BTreeMap::new(),
            keys: BTreeMap::new(),
            unknown: BTreeMap::new(),
            known: BTreeMap::new(),
            cues: Cues::default(),
            framers: BTreeMap::new(),
            heads: BTreeMap::new(),
            orphans: vec![BTreeMap::new(); shard_count],
            connections_made: 0,
            is_tight,
            is_draining: false,
            outcome: Outcome::default(),
            around,
        };
        for index in 0..clients {
            let address = Ipv4Addr::new(10, 0, 0, u8::try_from(index + 1).expect("few"));
            let is_rude = world.around.faults.rude_viewers && world.around.random.bool();
            let remote = (world.around.random.u8(..4) == 0).then(Remote::default);
            world.clients.push(RtspClient::new(index, IpAddr::V4(address), is_rude, remote));
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
        self.play_out();
        self.outcome.is_drained = self.control.is_drained;
        let sessions = self.clients.iter().flat_map(|client| &client.sessions);
        self.outcome.laps = sessions.map(|session| session.viewer.laps).sum();
        self.outcome.events = self.around.trace.events;
        self.outcome.trace = self.around.trace.finish();
        self.outcome
    }

    fn check_empty(&self) -> Result<(), String> {
        self.control.check_empty()?;
        let running = self.shards.iter().zip(&self.are_drained).filter(|(_, drained)| !**drained);
        running.map(|(shard, _)| shard).try_for_each(SimShard::check_empty)
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

    /// No session stays long behind the connection that it went through.
    fn check_carried(&mut self, index: usize) {
        if self.are_drained[index] {
            return;
        }
        let now = self.around.now;
        let is_closed = |id: &ConnectionId| self.around.net.pipes[id].is_closed;
        let orphans: BTreeSet<_> = self.shards[index].carrying().filter(is_closed).collect();
        self.orphans[index].retain(|id, _| orphans.contains(id));
        for id in orphans {
            let since = *self.orphans[index].entry(id).or_insert(now);
            let time = now - since;
            assert!(time <= ORPHAN_TIME_MAX, "{id:?} is closed and still carries a session");
        }
    }

    /// Gives the shard what its connections have received.
    fn feed(&mut self, index: usize) {
        let slots: Vec<_> =
            self.around.net.slots.keys().filter(|(shard, _)| *shard == index).copied().collect();
        for slot in slots {
            if !self.around.net.slots.contains_key(&slot) {
                continue; // it ended with the other half of a tunnel
            }
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
            Event::Remote(client) => self.act_remotely(client),
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
                control.drive(around, agenda, |control, _, effects| control.retire(effects));
            }
            Event::Drain => {
                around.note("drain");
                self.is_draining = true;
                control.drive(around, agenda, |control, _, effects| control.drain(effects));
            }
        }
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
}

fn config(is_tight: bool) -> Config {
    let (many, few) = (100, 4);
    let count = if is_tight { few } else { many };
    Config {
        media: vec![MediaRoot { name: None, directory: PathBuf::from("/sim") }],
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
        // Little: 2 MiB of images, for two or three viewers.
        memory_bytes: if is_tight { 8 << 20 } else { 1 << 30 },
        sessions_max: count,
        connections_max: count,
        sessions_per_address_max: many,
        connections_per_address_max: many,
        egress_bits_per_second: is_tight.then_some(10_000_000),
        payload_class: PayloadClass { packet_bytes_max: 1400 },
        session_timeout: TIMEOUT,
        moved: Vec::new(),
        clock_origins: Vec::new(),
        redirect_to: Some("rtsp://10.9.9.10/else/".parse().expect("a URL")),
        profiles_off: Vec::new(),
        drain_deadline: Duration::from_secs(5),
        coalescing: Duration::from_millis(4),
        launch_times: Default::default(),
        interleaved_ahead: Duration::ZERO,
        bursts: Bursts::default(),
    }
}
