//! A crowd in front of one disk: viewers who share nothing come and go, and there may be more of
//! them than it can serve.

use super::agenda::Agenda;
use super::faults::Faults;
use super::net::Pipe;
use super::shard::SimShard;
use super::surroundings::Surroundings;
use super::title::lean_title;
use crate::clock::MonoTime;
use crate::framing::{Framer, Message};
use crate::mailbox::{
    AdoptedConnection, Command, ConnectionId, Direction, EndReason, Play, Report, SessionKey,
    Start, Strain, StreamTransport, Token,
};
use bytes::Bytes;
use packetizer::image::PayloadClass;
use packetizer::index::TrackId;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::{Range, Sub};
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(20);
/// How often each shows that he lives.
const TOUCH_NANOS: u64 = 5_000_000_000;
/// What a connection holds of which its viewer has not heard yet.
const SOCKET_BUFFER_BYTES: usize = 256 << 10;
const TRACKS: [TrackId; 2] = [TrackId(0), TrackId(1)];

/// How a viewer is sent media.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// In datagrams.
    Datagrams,
    /// In his connection, which he reads as fast as it is written.
    Interleaved,
}

/// What the shard has done between two moments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Bytes that left, RTP headers included.
    pub sent_bytes: u64,
    /// Bytes read.
    pub read_bytes: u64,
    /// Reads.
    pub reads: u64,
    /// How long the disk worked.
    pub busy: Duration,
    /// Times that datagram streams skipped.
    pub skips: u64,
    /// Times that interleaved viewers were delayed.
    pub rebases: u64,
    /// About what viewers went without.
    pub missed_bytes: u64,
}

impl Sub for Tally {
    type Output = Self;

    fn sub(self, earlier: Self) -> Self {
        Self {
            sent_bytes: self.sent_bytes - earlier.sent_bytes,
            read_bytes: self.read_bytes - earlier.read_bytes,
            reads: self.reads - earlier.reads,
            busy: self.busy - earlier.busy,
            skips: self.skips - earlier.skips,
            rebases: self.rebases - earlier.rebases,
            missed_bytes: self.missed_bytes - earlier.missed_bytes,
        }
    }
}

/// A viewer, as he sees it.
#[derive(Debug)]
struct Viewer {
    way: Way,
    framer: Framer,
    is_there: bool,
    /// When he was last sent media, or his play began.
    fed: Option<MonoTime>,
    /// The longest that he was sent nothing.
    hungry_max: Duration,
    bytes: u64,
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Arrive,
    Touch,
}

/// The crowd, its shard and its disk.
#[derive(Debug)]
pub struct Crowd {
    around: Surroundings,
    shard: SimShard,
    steps: Agenda<(usize, Step)>,
    viewers: Vec<Viewer>,
    strains: Vec<Strain>,
}

impl Crowd {
    /// Nobody yet.
    #[must_use]
    pub fn new(seed: u64, faults: Faults) -> Self {
        Self {
            around: Surroundings::new(seed, |_| faults),
            shard: SimShard::new(0, seed, TIMEOUT, faults.memory),
            steps: Agenda::default(),
            viewers: Vec::new(),
            strains: Vec::new(),
        }
    }

    /// So many more come, `interval` after each other, each with a title of his own.
    pub fn come(&mut self, count: usize, interval: Duration, way: impl Fn(usize) -> Way) {
        let mut at = self.around.now;
        for _ in 0..count {
            let index = self.viewers.len();
            self.viewers.push(Viewer {
                way: way(index),
                framer: Framer::new(),
                is_there: true,
                fed: None,
                hungry_max: Duration::ZERO,
                bytes: 0,
            });
            self.steps.push(at, (index, Step::Arrive));
            at = at + interval;
        }
    }

    /// Those of `viewers` go.
    pub fn leave(&mut self, viewers: Range<usize>) {
        for index in viewers {
            self.viewers[index].is_there = false;
            self.command(Command::TearDown { session: key(index), stream: None });
        }
    }

    /// Lets time pass.
    pub fn run(&mut self, time: Duration) {
        let end = self.around.now + time;
        loop {
            let next = [self.steps.next(), self.shard.deadline()].into_iter().flatten().min();
            let Some(next) = next.filter(|next| *next <= end) else { break };
            self.around.now = self.around.now.max(next);
            self.turn();
        }
        self.around.now = end;
    }

    /// What has been done so far.
    #[must_use]
    pub fn tally(&self) -> Tally {
        let counters = self.shard.counters();
        Tally {
            sent_bytes: counters.bytes,
            read_bytes: counters.read_bytes,
            reads: counters.reads,
            busy: self.shard.disk_busy(),
            skips: counters.skips,
            rebases: counters.rebases,
            missed_bytes: counters.missed_bytes,
        }
    }

    /// How long each of `viewers` was sent nothing at the longest, since this was asked last.
    pub fn take_hunger(&mut self, viewers: Range<usize>) -> Vec<Duration> {
        let now = self.around.now;
        let hunger = |viewer: &mut Viewer| {
            let hungry = viewer.fed.replace(now).map_or(Duration::ZERO, |fed| now - fed);
            std::mem::take(&mut viewer.hungry_max).max(hungry)
        };
        self.viewers[viewers].iter_mut().map(hunger).collect()
    }

    /// Bytes that each of `viewers` was sent since this was asked last.
    pub fn take_bytes(&mut self, viewers: Range<usize>) -> Vec<u64> {
        self.viewers[viewers].iter_mut().map(|viewer| std::mem::take(&mut viewer.bytes)).collect()
    }

    /// What the shard told the operator since this was asked last.
    pub fn take_strains(&mut self) -> Vec<Strain> {
        std::mem::take(&mut self.strains)
    }

    fn turn(&mut self) {
        self.shard.complete_reads(&mut self.around);
        while let Some((viewer, step)) = self.steps.pop_due(self.around.now) {
            match step {
                Step::Arrive => self.arrive(viewer),
                Step::Touch => self.touch(viewer),
            }
        }
        while self.shard.advance(&mut self.around) {
            self.deliver();
        }
        self.hear();
    }

    fn arrive(&mut self, index: usize) {
        let title = lean_title(index as u64);
        let address = IpAddr::V4(Ipv4Addr::from_bits(ADDRESS_MIN + small(index)));
        let connection = ConnectionId(index as u64);
        for track in TRACKS {
            let channel = 2 * track.0;
            let transport = match self.viewers[index].way {
                Way::Interleaved => StreamTransport::Interleaved {
                    connection,
                    rtp_channel: channel,
                    rtcp_channel: channel + 1,
                },
                Way::Datagrams => StreamTransport::Udp {
                    rtp: SocketAddr::new(address, RTP_PORT + u16::from(channel)),
                    rtcp: SocketAddr::new(address, RTP_PORT + u16::from(channel) + 1),
                    local: IpAddr::V4(Ipv4Addr::LOCALHOST),
                },
            };
            self.command(Command::SetUp {
                token: Token(index as u64),
                session: key(index),
                is_first: track == TRACKS[0],
                title: title.clone(),
                track,
                transport,
                is_adopted: false,
                payload_class: PayloadClass { packet_bytes_max: 1400 },
                sends_ahead: true,
            });
        }
        if self.viewers[index].way == Way::Interleaved {
            self.around.net.pipes.insert(connection, Pipe::new(SOCKET_BUFFER_BYTES));
            self.command(Command::Adopt(AdoptedConnection {
                id: connection,
                socket: None,
                peer: SocketAddr::new(address, 40_000),
                unparsed: Bytes::new(),
                direction: Direction::Both,
            }));
        }
        let token = Token(index as u64);
        self.command(Command::Play { token, session: key(index), play: Play::RESUME });
        self.touch(index);
    }

    fn touch(&mut self, index: usize) {
        if self.viewers[index].is_there {
            self.command(Command::Touch { session: key(index) });
            self.steps.push(self.around.after(TOUCH_NANOS), (index, Step::Touch));
        }
    }

    fn command(&mut self, command: Command) {
        self.shard.command(&mut self.around, command);
    }

    /// What was sent reaches the viewers at once.
    fn deliver(&mut self) {
        for arrival in std::mem::take(&mut self.around.net.arrivals) {
            let IpAddr::V4(address) = arrival.to.ip() else { panic!("viewers have IPv4") };
            if arrival.to.port() % 2 == 0 {
                self.feed((address.to_bits() - ADDRESS_MIN) as usize, arrival.bytes.len());
            }
        }
        let slots: Vec<_> = self.around.net.slots.iter().map(|(slot, id)| (*slot, *id)).collect();
        for (slot, id) in slots {
            let pipe = self.around.net.pipe_of(slot);
            let bytes = pipe.read(usize::MAX);
            if std::mem::take(&mut pipe.is_watched) {
                self.shard.writable(slot.1);
            }
            let index = usize::try_from(id.0).expect("few");
            self.viewers[index].framer.push(&bytes);
            while let Some(message) = self.viewers[index].framer.next().expect("frames") {
                let Message::Interleaved { channel, payload } = message else { continue };
                if channel % 2 == 0 {
                    let count = payload.len();
                    self.feed(index, count);
                }
            }
        }
    }

    fn feed(&mut self, index: usize, bytes: usize) {
        let now = self.around.now;
        let viewer = &mut self.viewers[index];
        viewer.bytes += bytes as u64;
        let hungry = viewer.fed.replace(now).map_or(Duration::ZERO, |fed| now - fed);
        viewer.hungry_max = viewer.hungry_max.max(hungry);
    }

    fn hear(&mut self) {
        while let Some(report) = self.shard.take_report() {
            match report {
                Report::SetUp { result, .. } => drop(result.expect("there is room")),
                Report::Cued { token, result } => {
                    drop(result.expect("he may play"));
                    let index = usize::try_from(token.0).expect("few");
                    self.command(Command::Start(Start { session: key(index), cue: token }));
                    self.viewers[index].fed = Some(self.around.now);
                }
                Report::Strain(strain) => self.strains.push(strain),
                Report::Ended { reason: EndReason::TornDown, .. }
                | Report::ConnectionClosed { .. } => {}
                other @ (Report::Paused { .. }
                | Report::Finished { .. }
                | Report::Ended { .. }
                | Report::Request { .. }
                | Report::Unreadable { .. }
                | Report::ReplyWritten(_)
                | Report::Inspected { .. }
                | Report::Drained
                | Report::Counters(_)) => panic!("{other:?}"),
            }
        }
    }
}

const ADDRESS_MIN: u32 = 0x0a00_0001;
const RTP_PORT: u16 = 5000;

const fn key(index: usize) -> SessionKey {
    SessionKey(index as u64)
}

fn small(index: usize) -> u32 {
    u32::try_from(index).expect("few")
}
