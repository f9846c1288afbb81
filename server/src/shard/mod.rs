//! A shard: streams, prefetch, image cache, wheel, egress, reports. Performs nothing itself: it
//! takes (time, event) and gives operations and a batch of sends.
//!
//! A turn of the shell: commands and completions in, [`Shard::advance`], perform [`Shard::egress`],
//! [`Shard::sent`], perform the operations, wait until [`Shard::deadline`].

mod adoption;
mod ahead;
mod audience;
mod batch;
mod cache;
mod commands;
mod connection;
pub mod counters;
mod delivery;
mod depth;
pub mod egress;
mod images;
mod inspection;
mod interleaving;
mod laps;
mod load;
mod loads;
pub mod operation;
mod pairs;
mod pause;
mod peer;
mod phases;
mod play;
mod pool;
mod prefetch;
mod preroll;
mod queue;
mod ranges;
mod reports;
mod sent;
mod session;
mod skip;
mod sources;
mod standing;
mod strain;
mod stream;
#[cfg(test)]
mod tests;
mod timeline;
mod unheld;
mod wanted;
mod warm;
mod wave;
mod wheel;

use crate::clock::{Moment, MonoTime, Wallclock};
use crate::limits::{SHARD_READS_MAX, SHARD_SOURCES_MAX, TURN_BYTES_MAX, TURN_TRAINS_MAX};
use crate::mailbox::{CloseReason, ConnectionId, Report, SessionKey};
use batch::{Cargo, Shipment};
use cache::{ImageCache, ImageSlot};
use connection::Connection;
use counters::Counters;
use egress::{Egress, Piece};
use interleaving::Lane;
use loads::Loads;
use operation::{ConnectionSlot, Operation};
use packetizer::image::Bursts;
use pairs::Pairs;
use phases::Phases;
use session::Session;
use slab::Slab;
use sources::Sources;
use std::collections::{HashMap, VecDeque};
use std::time::Duration;
use strain::Strain;
use stream::{Delivery, Stream};
use warm::WARM_STREAMS;
pub use wave::LENGTHENED_MAX;
use wave::Wave;
use wheel::{TimerId, Wheel};

/// What a shard is given of the server's resources.
#[derive(Clone, Debug)]
pub struct ShardConfig {
    /// RTP ports of its pairs.
    pub rtp_ports: Vec<u16>,
    /// Sessions it may have.
    pub sessions_max: u32,
    /// Streams it may have.
    pub streams_max: u32,
    /// Bytes its image cache may hold.
    pub image_bytes_max: usize,
    /// Blocks of its read pool.
    pub read_blocks: u32,
    /// Silence after which a session ends: what SETUP announced, and a margin.
    pub session_timeout: Duration,
    /// What is due within this time leaves together, at its beginning; up to four times as much
    /// where that is little.
    pub coalescing: Duration,
    /// Datagrams that are due within this time are handed over with the time at which they are to
    /// leave; zero where nobody keeps to that.
    pub launch_ahead: Duration,
    /// An interleaved stream's media that is due within this time leaves together.
    pub interleaved_ahead: Duration,
    /// What leaves at once over UDP.
    pub bursts: Bursts,
    /// The canonical name in its RTCP (RFC 3550 §6.5.1).
    pub cname: String,
    /// Seed of SSRCs, first sequence numbers and timestamps, and report intervals.
    pub seed: u64,
    /// Where the numbers of all streams start, if not anywhere.
    pub first_numbers: Option<FirstNumbers>,
}

/// Where a stream's numbers start. Random numbers wrap now and then; these do it when a test is
/// there to see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FirstNumbers {
    /// The sequence number of its first packet.
    pub sequence: u16,
    /// The RTP timestamp of the start of its first range.
    pub timestamp: u32,
}

/// A core's share of the server.
#[derive(Debug)]
pub struct Shard {
    config: ShardConfig,
    wallclock: Wallclock,
    /// How far ahead of its time a datagram is handed over.
    launch_ahead_nanos: i64,
    random: fastrand::Rng,
    sessions: Slab<Session>,
    session_slots: HashMap<SessionKey, usize>,
    streams: Slab<Stream>,
    pairs: Pairs,
    sources: Sources,
    cache: ImageCache,
    loads: Loads,
    /// Sessions by when they were settled, and some that are so no longer.
    settled: Vec<(Moment, SessionKey)>,
    strain: Strain,
    /// Loads that end without a read.
    unreadable: Vec<usize>,
    connections: Slab<Connection>,
    connection_slots: HashMap<ConnectionId, ConnectionSlot>,
    /// Sessions whose streams go through a connection, adopted or about to be.
    carried: HashMap<ConnectionId, Vec<SessionKey>>,
    /// Connections with bytes to send.
    dirty: Vec<ConnectionSlot>,
    /// Connections whose reply has gone, to be read on once the batch is accounted for.
    answered: Vec<ConnectionSlot>,
    /// Connections to close once the batch is accounted for.
    closing: Vec<(ConnectionSlot, CloseReason)>,
    phases: Phases,
    wheel: Wheel,
    /// Streams whose timers are due and not handled yet.
    due: VecDeque<usize>,
    due_scratch: Vec<TimerId>,
    wave: Wave,
    /// When connections and titles are next looked over.
    sweep_at: MonoTime,
    /// When the peers of connections that take nothing are next asked after.
    ask_at: MonoTime,
    egress: Egress,
    /// One an entry of `egress`.
    cargo: Vec<Cargo>,
    shipments: Vec<Shipment>,
    /// Empty between entries.
    lanes: Vec<Lane>,
    /// Empty between groups.
    warmed: Vec<usize>,
    touched: Vec<(usize, bool)>,
    reports: VecDeque<Report>,
    counters: Counters,
    packet: Vec<u8>,
}

/// How often connections and titles are looked over for ones that idle.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);

impl Shard {
    /// A shard without sessions.
    #[must_use]
    pub fn new(config: ShardConfig, wallclock: Wallclock) -> Self {
        let (sessions_max, streams_max) =
            (config.sessions_max as usize, config.streams_max as usize);
        let launch_ahead_nanos = i64::try_from(config.launch_ahead.as_nanos()).expect("short");
        Self {
            wallclock,
            launch_ahead_nanos,
            random: fastrand::Rng::with_seed(config.seed),
            // Picture and sound for everyone. The system gives memory when it is written to, so
            // this takes none before; growing would take twice as much, and time to copy.
            sessions: Slab::with_capacity(sessions_max),
            session_slots: HashMap::new(),
            streams: Slab::with_capacity(streams_max.min(2 * sessions_max)),
            pairs: Pairs::new(config.rtp_ports.clone()),
            sources: Sources::new(SHARD_SOURCES_MAX),
            cache: ImageCache::new(config.image_bytes_max),
            loads: Loads::new(config.read_blocks, SHARD_READS_MAX),
            settled: Vec::new(),
            strain: Strain::default(),
            unreadable: Vec::new(),
            connections: Slab::new(),
            connection_slots: HashMap::new(),
            carried: HashMap::new(),
            dirty: Vec::new(),
            answered: Vec::new(),
            closing: Vec::new(),
            phases: Phases::default(),
            wheel: Wheel::new(config.sessions_max + config.streams_max),
            due: VecDeque::new(),
            due_scratch: Vec::new(),
            wave: Wave::new(config.coalescing),
            sweep_at: MonoTime::default(),
            ask_at: MonoTime::default(),
            egress: Egress::default(),
            cargo: Vec::new(),
            shipments: Vec::new(),
            lanes: Vec::new(),
            warmed: Vec::new(),
            touched: Vec::new(),
            reports: VecDeque::new(),
            counters: Counters::default(),
            packet: Vec::new(),
            config,
        }
    }

    /// Does what is due: fills the egress batch, up to a turn's worth, and pushes operations.
    pub fn advance(&mut self, now: MonoTime, operations: &mut Vec<Operation>) {
        self.cache.turn(now);
        self.loads.retry(now, operations);
        self.finish_unreadable(now);
        if now >= self.sweep_at {
            self.sweep_at = now + SWEEP_INTERVAL;
            self.sweep_connections(now, operations);
            if now >= self.ask_at {
                self.ask_at = now + self.config.session_timeout / 3;
                self.ask_after_readers(operations);
            }
            self.close_idle_sources(now, operations);
            self.watch_strain(now);
        }
        if now >= self.wave.until() {
            self.begin_wave(now);
        }
        while let Some(timer) = self.wave.take_look(now) {
            self.timer_due(now, timer);
        }
        let mut dirty = std::mem::take(&mut self.dirty);
        for slot in dirty.drain(..) {
            if self.connections.contains(slot.0 as usize) {
                self.push_pending(slot);
            }
        }
        self.dirty = dirty;
        let mut warm = 0;
        while self.shipments.len() < TURN_TRAINS_MAX && self.egress.media_bytes < TURN_BYTES_MAX {
            if warm == 0 {
                self.warm(now);
                warm = WARM_STREAMS;
            }
            warm -= 1;
            let Some(stream) = self.due.pop_front() else { break };
            if self.streams.contains(stream) {
                self.stream_due(now, stream, operations);
            }
        }
        self.start_loads(now, operations);
    }

    /// When [`Self::advance`] has something to do; not after now when it has at once.
    #[must_use]
    pub fn deadline(&self) -> Option<MonoTime> {
        if !self.due.is_empty() || !self.dirty.is_empty() || !self.unreadable.is_empty() {
            return Some(MonoTime::default());
        }
        let is_swept = !self.connections.is_empty() || !self.sources.is_empty();
        let sweep = is_swept.then_some(self.sweep_at);
        let wave = self.wheel.deadline().map(|deadline| deadline.max(self.wave.until()));
        [wave, self.wave.looks_at(), self.loads.deadline(), sweep].into_iter().flatten().min()
    }

    /// The batch to be performed; empty when there is nothing to send.
    #[must_use]
    pub const fn egress(&self) -> &Egress {
        &self.egress
    }

    /// The bytes of a piece of the batch.
    ///
    /// # Panics
    /// When the piece is not of the current batch.
    #[must_use]
    pub fn piece(&self, piece: Piece) -> &[u8] {
        match piece {
            Piece::Arena { offset, bytes } => {
                &self.egress.arena[offset as usize..(offset + bytes) as usize]
            }
            Piece::Pending { connection, bytes } => {
                &self.connections[connection.0 as usize].pending[..bytes as usize]
            }
            Piece::Image { image, offset, bytes } => {
                let image = self.cache.ready(ImageSlot(image)).expect("held while in the batch");
                &image.bytes[offset as usize..(offset + bytes) as usize]
            }
        }
    }

    /// The next report for control.
    pub fn take_report(&mut self) -> Option<Report> {
        self.reports.pop_front()
    }

    /// Bytes of images now.
    #[must_use]
    pub const fn image_bytes(&self) -> usize {
        self.cache.bytes()
    }

    /// The counters as they stand.
    #[must_use]
    pub fn counters(&self) -> Counters {
        Counters {
            sessions: self.sessions.len() as u64,
            streams: self.streams.len() as u64,
            connections: self.connections.len() as u64,
            image_bytes: self.cache.bytes() as u64,
            image_holds: u64::from(self.cache.holds()),
            blocks_taken: u64::from(self.loads.blocks_taken()),
            ..self.counters.clone()
        }
    }

    /// Sessions and connections that it serves.
    #[must_use]
    pub fn viewer_count(&self) -> usize {
        self.sessions.len() + self.connections.len()
    }

    /// Connections that sessions go through, adopted or about to be.
    pub fn carrying(&self) -> impl Iterator<Item = ConnectionId> + '_ {
        self.carried.keys().copied()
    }

    /// Whether everything that sessions and connections took has been given back: what a churn
    /// test asks at its end. Says what has not.
    ///
    /// # Errors
    /// Names what is still taken.
    pub fn check_empty(&self) -> Result<(), String> {
        let counts = [
            ("sessions", self.sessions.len()),
            ("session keys", self.session_slots.len()),
            ("streams", self.streams.len()),
            ("connections", self.connections.len()),
            ("connection ids", self.connection_slots.len()),
            ("carried sessions", self.carried.len()),
            ("image holds", self.cache.holds() as usize),
            ("awaited images", self.cache.audience.count() as usize),
            ("title uses", self.sources.uses() as usize),
        ];
        match counts.iter().find(|(_, count)| *count > 0) {
            Some((what, count)) => Err(format!("{count} {what} left")),
            None if !self.loads.is_idle() => Err("reads or blocks left".to_owned()),
            None => Ok(()),
        }
    }

    /// Begins a wave: handles the sessions whose timers are due in it and queues the streams.
    /// Sessions come before any stream fills the batch, because one that ends takes its streams and
    /// their images along.
    fn begin_wave(&mut self, now: MonoTime) {
        let mut due = std::mem::take(&mut self.due_scratch);
        self.wave.begin(now);
        self.wheel.advance(self.wave.until(), &mut due);
        self.wave.had(due.len());
        for timer in due.drain(..) {
            self.timer_due(now, timer);
        }
        self.due_scratch = due;
    }

    fn timer_due(&mut self, now: MonoTime, timer: TimerId) {
        match timer.0.checked_sub(self.config.sessions_max) {
            Some(stream) => self.due.push_back(stream as usize),
            None if self.sessions.contains(timer.0 as usize) => {
                self.session_due(now, timer.0 as usize);
            }
            None => {}
        }
    }

    fn session_timer(&self, session: usize) -> TimerId {
        debug_assert!(session < self.config.sessions_max as usize);
        TimerId(u32::try_from(session).expect("below sessions_max"))
    }

    fn stream_timer(&self, stream: usize) -> TimerId {
        debug_assert!(stream < self.config.streams_max as usize);
        TimerId(self.config.sessions_max + u32::try_from(stream).expect("below streams_max"))
    }

    fn schedule_stream(&mut self, stream: usize, at: MonoTime) {
        self.streams[stream].delivery = Delivery::Scheduled;
        self.wheel.schedule(self.stream_timer(stream), at);
    }

    /// Looks at the stream at a time that may lie in the wave that is under way.
    fn look_at_stream(&mut self, stream: usize, at: MonoTime) {
        self.schedule_stream(stream, at);
        self.look_in_wave(self.stream_timer(stream), at);
    }

    /// Looks at the stream in the next turn, which does not wait for others.
    fn wake_stream(&mut self, stream: usize) {
        self.streams[stream].delivery = Delivery::Scheduled;
        self.wheel.cancel(self.stream_timer(stream));
        self.due.push_back(stream);
    }

    /// Wakes the session for its next sender reports or its expiry.
    fn schedule_session(&mut self, session: usize) {
        let expiry = self.sessions[session].heard + self.config.session_timeout;
        let at = self.sessions[session].report_at.map_or(expiry, |report| report.min(expiry));
        self.wheel.schedule(self.session_timer(session), at);
        self.look_in_wave(self.session_timer(session), at);
    }

    /// The wheel has handed out what is due in the wave: what is scheduled there now is looked at
    /// beside it.
    fn look_in_wave(&mut self, timer: TimerId, at: MonoTime) {
        if at <= self.wave.until() {
            self.wheel.cancel(timer);
            self.wave.look(timer, at);
        }
    }
}
