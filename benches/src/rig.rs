//! A shard with a disk and a network that are memory: nothing but the shard takes time, and nothing
//! but the shard allocates once it runs.

use crate::film::{Film, TRACKS};
use packetizer::image::{Bursts, PayloadClass};
use packetizer::time::Npt;
use server::clock::{MonoTime, Wallclock};
use server::mailbox::{
    AdoptedConnection, Command, ConnectionId, Direction, Play, SessionKey, Start, StreamTransport,
    Token,
};
use server::shard::operation::{
    BLOCK_BYTES, BlockMemory, BlockRun, Operation, ReadResult, SendResult,
};
use server::shard::{Shard, ShardConfig};
use server::title::SharedTitle;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

/// A second of the rig's time, in nanoseconds.
pub const SECOND: u64 = 1_000_000_000;

/// How much of everything a rig's shard has.
#[derive(Clone, Copy, Debug)]
pub struct RigLimits {
    /// Viewers, with two streams each.
    pub viewers: u32,
    /// Bytes of its image cache.
    pub image_bytes: usize,
    /// Blocks of its read pool.
    pub read_blocks: u32,
    /// The largest RTP packet.
    pub packet_bytes: u16,
}

/// How a viewer is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// RTP over UDP.
    Udp,
    /// Interleaved in an RTSP connection of his own.
    Interleaved,
}

/// A shard and what is around it.
#[derive(Debug)]
pub struct Rig {
    /// The shard.
    pub shard: Shard,
    /// The time.
    pub now: MonoTime,
    packet_bytes: u16,
    films: Vec<Film>,
    memory: Memory,
    /// Film of each source slot.
    sources: Vec<usize>,
    operations: Vec<Operation>,
    performing: Vec<Operation>,
    results: Vec<SendResult>,
}

#[derive(Debug)]
struct Memory(Vec<u8>);

impl BlockMemory for Memory {
    fn bytes(&self, run: BlockRun, bytes: u32) -> &[u8] {
        &self.0[run.first as usize * BLOCK_BYTES..][..bytes as usize]
    }
}

impl Rig {
    /// A shard without viewers.
    #[must_use]
    pub fn new(films: Vec<Film>, limits: RigLimits) -> Self {
        let config = ShardConfig {
            rtp_ports: (0..16).map(|pair| 6970 + 2 * pair).collect(),
            sessions_max: limits.viewers,
            streams_max: limits.viewers * 2,
            image_bytes_max: limits.image_bytes,
            read_blocks: limits.read_blocks,
            session_timeout: Duration::from_secs(3600),
            coalescing: Duration::from_millis(4),
            launch_ahead: Duration::ZERO,
            interleaved_ahead: Duration::from_millis(125),
            bursts: Bursts::default(),
            cname: "rig".to_owned(),
            seed: 1,
            first_numbers: None,
        };
        Self {
            shard: Shard::new(config, Wallclock::new(0)),
            now: MonoTime(SECOND),
            packet_bytes: limits.packet_bytes,
            films,
            memory: Memory(vec![0; limits.read_blocks as usize * BLOCK_BYTES]),
            sources: Vec::new(),
            operations: Vec::new(),
            performing: Vec::new(),
            results: Vec::new(),
        }
    }

    /// Lets a viewer play a film from so many nanoseconds to its end. Each has an address, a
    /// connection and a session of his own.
    pub fn play(&mut self, viewer: u32, film: usize, from: u64, reach: Reach) {
        let (session, connection) = (SessionKey(viewer.into()), ConnectionId(viewer.into()));
        let address = address_of(viewer);
        for track in TRACKS {
            let channel = track.0 * 2;
            let transport = match reach {
                Reach::Udp => StreamTransport::Udp {
                    rtp: SocketAddr::new(address, 5000 + u16::from(channel)),
                    rtcp: SocketAddr::new(address, 5001 + u16::from(channel)),
                    local: IpAddr::V4(Ipv4Addr::LOCALHOST),
                },
                Reach::Interleaved => StreamTransport::Interleaved {
                    connection,
                    rtp_channel: channel,
                    rtcp_channel: channel + 1,
                },
            };
            self.command(Command::SetUp {
                token: Token(0),
                session,
                is_first: track == TRACKS[0],
                title: SharedTitle::clone(&self.films[film].title),
                track,
                transport,
                is_adopted: false,
                payload_class: PayloadClass { packet_bytes_max: self.packet_bytes },
                sends_ahead: true,
            });
        }
        if reach == Reach::Interleaved {
            self.command(Command::Adopt(AdoptedConnection {
                id: connection,
                socket: None,
                peer: SocketAddr::new(address, 4000),
                unparsed: [][..].into(),
                direction: Direction::Both,
            }));
        }
        let token = Token(u64::from(viewer) + 1);
        let play = Play::seek(Npt::from_nanos(from), None);
        self.command(Command::Play { token, session, play });
        self.command(Command::Start(Start { session, cue: token }));
    }

    /// Ends a viewer's session.
    pub fn leave(&mut self, viewer: u32) {
        let session = SessionKey(viewer.into());
        self.command(Command::TearDown { session, stream: None });
        self.command(Command::Close { connection: ConnectionId(viewer.into()) });
    }

    /// Turns whenever the shard wants one, for so many nanoseconds; everything that is sent
    /// arrives.
    pub fn run(&mut self, nanos: u64) {
        let end = MonoTime(self.now.0 + nanos);
        while self.next_turn(end) {
            self.advance();
            self.deliver();
            self.account();
        }
    }

    /// Moves the time to the next turn that the shard wants until `end`, or there.
    pub fn next_turn(&mut self, end: MonoTime) -> bool {
        let at = self.shard.deadline().filter(|at| *at <= end);
        self.now = self.now.max(at.unwrap_or(end));
        at.is_some()
    }

    /// The first part of a turn: what is due stands in the batch.
    pub fn advance(&mut self) {
        self.shard.advance(self.now, &mut self.operations);
        self.perform();
    }

    /// The second part: all of the batch arrives.
    pub fn deliver(&mut self) {
        self.deliver_by(&mut |shard, results| {
            let entries = &shard.egress().entries;
            results.extend(entries.iter().map(|entry| SendResult::Sent(entry.bytes)));
        });
    }

    /// The second part, with somebody else to send: he leaves one result an entry.
    pub fn deliver_by(&mut self, send: &mut dyn FnMut(&Shard, &mut Vec<SendResult>)) {
        self.results.clear();
        send(&self.shard, &mut self.results);
    }

    /// The third part: what was sent is accounted for.
    pub fn account(&mut self) {
        if !self.results.is_empty() {
            self.shard.sent(self.now, &self.results, &mut self.operations);
            self.perform();
        }
        while self.shard.take_report().is_some() {}
    }

    pub(crate) fn command(&mut self, command: Command) {
        self.shard.command(self.now, command, &mut self.operations);
        self.perform();
    }

    fn perform(&mut self) {
        while !self.operations.is_empty() {
            std::mem::swap(&mut self.operations, &mut self.performing);
            while let Some(operation) = self.performing.pop() {
                self.perform_one(operation);
            }
        }
    }

    /// Reads end at once; connections are always writable, and nothing comes from them.
    fn perform_one(&mut self, operation: Operation) {
        match operation {
            Operation::OpenSource { source, title } => {
                let is_it = |film: &Film| film.title.source == title.source;
                let film = self.films.iter().position(is_it).expect("a film of the rig");
                let slot = source.0 as usize;
                self.sources.resize(self.sources.len().max(slot + 1), usize::MAX);
                self.sources[slot] = film;
            }
            Operation::Read { read, source, offset, bytes, blocks, is_urgent: _ } => {
                let file = &self.films[self.sources[source.0 as usize]].file;
                let start = usize::try_from(offset).map_or(file.len(), |at| at.min(file.len()));
                let count = (file.len() - start).min(bytes as usize);
                let place = blocks.first as usize * BLOCK_BYTES;
                self.memory.0[place..place + count].copy_from_slice(&file[start..start + count]);
                let result = ReadResult::Read(u32::try_from(count).expect("as asked at most"));
                let Self { shard, now, memory, operations, .. } = self;
                shard.read_completed(*now, read, result, memory, operations);
            }
            Operation::CloseSource { .. }
            | Operation::OpenConnection { .. }
            | Operation::PauseInput { .. }
            | Operation::ResumeInput { .. }
            | Operation::WatchWritable { .. }
            | Operation::AskPeer { .. }
            | Operation::CloseConnection { .. } => {}
        }
    }
}

/// An address of this host for each viewer.
pub(crate) fn address_of(viewer: u32) -> IpAddr {
    IpAddr::V4(Ipv4Addr::from_bits(u32::from(Ipv4Addr::new(127, 1, 0, 1)) + viewer))
}
