//! A shard turn by turn: a disk that answers at once, sockets that take as much as a test says.
#![allow(clippy::cast_possible_truncation)]

use super::operation::{BLOCK_BYTES, BlockMemory, BlockRun, ReadResult, SendResult};
use super::*;
use crate::framing::{Framer, Message};
use crate::mailbox::{
    AdoptedConnection, Command, Direction, EndReason, Paused, Play, SetUpRefused, Start,
    StreamTransport, Token,
};
use crate::title::{ByteSourceId, Generation, SharedTitle, SourceFiles, Title};
use bytes::Bytes;
use egress::Destination;
use operation::{Datagram, PairId, PairSocket};
use packetizer::codec::CodecConfig;
use packetizer::codec::h264::H264Config;
use packetizer::codec::nal::NalFraming;
use packetizer::image::{Bursts, PayloadClass};
use packetizer::index::{IndexBuilder, TrackDescription, TrackId};
use packetizer::rtp::Ssrc;
use packetizer::time::{ClockRate, Npt};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

mod connections;
mod edits;
mod faults;
mod inspection;
mod interleaving;
mod joined;
mod laps;
mod launch;
mod life;
mod memory;
mod numbers;
mod ports;
mod ranges;
mod sound;
mod tunnels;
mod waves;

const MILLI: u64 = 1_000_000;
const SECOND: u64 = 1000 * MILLI;
const TIMEOUT: Duration = Duration::from_secs(20);
/// Input/output error.
const EIO: i32 = 5;

/// A file of one video track: 25 pictures a second, a sync sample every 25.
struct Film {
    title: SharedTitle,
    file: Vec<u8>,
}

/// So many pictures of `bytes` bytes, each `gap` bytes behind the one before.
fn film(id: u64, pictures: u32, bytes: u32, gap: usize) -> Film {
    film_of(id, pictures, bytes, gap, 1)
}

/// The same with another picture every so many twenty-fifths of a second.
fn film_of(id: u64, pictures: u32, bytes: u32, gap: usize, ticks: u32) -> Film {
    let mut builder = IndexBuilder::new();
    let codec = CodecConfig::H264(H264Config {
        framing: NalFraming::Length(4),
        sequence_parameter_sets: vec![vec![0x67, 0x4d, 0x40, 0x1f]],
        picture_parameter_sets: vec![vec![0x68, 0xee]],
    });
    let media_rate = ClockRate::new(25).unwrap();
    let description = TrackDescription::new(1, codec, media_rate);
    let track = builder.add_track(description).unwrap();
    let mut file = Vec::new();
    for picture in 0..pictures {
        let (time, sync) = (i64::from(picture * ticks), picture % 25 == 0);
        builder.push(track, file.len() as u64, bytes, time, time, ticks, sync).unwrap();
        file.extend((bytes - 4).to_be_bytes());
        file.push(if sync { 0x65 } else { 0x61 });
        file.resize(file.len() + bytes as usize - 5 + gap, (picture % 251) as u8);
    }
    let title = Title {
        name: format!("{id}.mp4"),
        path: format!("/{id}.mp4").into(),
        generation: Generation { inode: (0, id), modified_nanos: 0, bytes: file.len() as u64 },
        source: ByteSourceId(id),
        index: builder.finish(Npt::from_nanos(u64::from(pictures * ticks) * 40 * MILLI)),
        looped: false,
        files: SourceFiles::default(),
    };
    Film { title: Arc::new(title), file }
}

struct Memory(Vec<u8>);

impl BlockMemory for Memory {
    fn bytes(&self, run: BlockRun, bytes: u32) -> &[u8] {
        &self.0[run.first as usize * BLOCK_BYTES..][..bytes as usize]
    }
}

/// A shard and what is around it.
struct Rig {
    shard: Shard,
    now: MonoTime,
    films: Vec<Film>,
    memory: Memory,
    operations: Vec<Operation>,
    /// Film of each source slot.
    sources: HashMap<u32, usize>,
    /// Bytes of the files that cannot be read.
    bad: std::ops::Range<u64>,
    /// The kernels of peers that read nothing answer.
    peers_answer: bool,
    /// Bytes that each connection takes in a turn.
    appetite: usize,
    watched: Vec<ConnectionSlot>,
    /// No UDP socket takes anything.
    is_full: bool,
    offers_refused: usize,
    /// What went to each UDP address.
    datagrams: HashMap<SocketAddr, Vec<Vec<u8>>>,
    /// Entries that went to connections.
    stream_entries: u64,
    /// When trains were handed over, and when the kernel was to let them go.
    launches: Vec<(MonoTime, Option<MonoTime>)>,
    /// What went into the connections, all in one.
    stream: Vec<u8>,
    reports: Vec<Report>,
}

impl Rig {
    fn new(films: Vec<Film>, read_blocks: u32) -> Self {
        Self::with(films, read_blocks, 64 << 20)
    }

    fn with(films: Vec<Film>, read_blocks: u32, image_bytes_max: usize) -> Self {
        let config = ShardConfig {
            rtp_ports: (0..8).map(|pair| 6970 + 2 * pair).collect(),
            sessions_max: 250,
            streams_max: 500,
            image_bytes_max,
            read_blocks,
            session_timeout: TIMEOUT,
            coalescing: Duration::ZERO,
            launch_ahead: Duration::ZERO,
            interleaved_ahead: Duration::ZERO,
            // Each picture leaves in its time.
            bursts: Bursts { joined_nanos: 0, ..Bursts::default() },
            cname: "rig".to_owned(),
            seed: 1,
            first_numbers: None,
        };
        Self {
            shard: Shard::new(config, Wallclock::new(0)),
            now: MonoTime(SECOND),
            films,
            memory: Memory(vec![0; read_blocks as usize * BLOCK_BYTES]),
            operations: Vec::new(),
            sources: HashMap::new(),
            bad: 0..0,
            peers_answer: false,
            appetite: usize::MAX,
            watched: Vec::new(),
            is_full: false,
            offers_refused: 0,
            datagrams: HashMap::new(),
            stream_entries: 0,
            launches: Vec::new(),
            stream: Vec::new(),
            reports: Vec::new(),
        }
    }

    fn command(&mut self, command: Command) {
        self.shard.command(self.now, command, &mut self.operations);
        self.perform();
    }

    fn perform(&mut self) {
        while !self.operations.is_empty() {
            for operation in std::mem::take(&mut self.operations) {
                match operation {
                    Operation::OpenSource { source, title } => {
                        let is_it = |film: &Film| film.title.source == title.source;
                        let film = self.films.iter().position(is_it).unwrap();
                        self.sources.insert(source.0, film);
                    }
                    Operation::Read { read, source, offset, bytes, blocks, is_urgent: _ } => {
                        let file = &self.films[self.sources[&source.0]].file;
                        let from = &file[(offset as usize).min(file.len())..];
                        let count = from.len().min(bytes as usize);
                        let at = blocks.first as usize * BLOCK_BYTES;
                        self.memory.0[at..at + count].copy_from_slice(&from[..count]);
                        let is_bad =
                            offset < self.bad.end && self.bad.start < offset + count as u64;
                        let result = match is_bad {
                            true => ReadResult::Failed(EIO),
                            false => ReadResult::Read(count as u32),
                        };
                        let Self { shard, now, memory, operations, .. } = self;
                        shard.read_completed(*now, read, result, memory, operations);
                    }
                    Operation::WatchWritable { connection } => self.watched.push(connection),
                    Operation::AskPeer { connection } if self.peers_answer => {
                        self.shard.connection_answers(self.now, connection);
                    }
                    Operation::AskPeer { .. } => {}
                    Operation::CloseSource { .. }
                    | Operation::OpenConnection { .. }
                    | Operation::PauseInput { .. }
                    | Operation::ResumeInput { .. }
                    | Operation::CloseConnection { .. } => {}
                }
            }
        }
    }

    /// A turn of the shell at this time, in milliseconds since the rig was made.
    fn turn_at(&mut self, millis: u64) {
        self.now = MonoTime(SECOND + millis * MILLI);
        if self.appetite > 0 {
            for slot in std::mem::take(&mut self.watched) {
                self.shard.connection_writable(slot);
            }
        }
        self.shard.advance(self.now, &mut self.operations);
        self.perform();
        let mut room: HashMap<ConnectionSlot, usize> = HashMap::new();
        let mut results = Vec::new();
        let egress = self.shard.egress();
        for entry in &egress.entries {
            let pieces = &egress.pieces[entry.pieces.start as usize..entry.pieces.end as usize];
            let mut bytes: Vec<u8> = Vec::new();
            pieces.iter().for_each(|piece| bytes.extend_from_slice(self.shard.piece(*piece)));
            results.push(match entry.destination {
                Destination::Datagrams { .. } if self.is_full => {
                    self.offers_refused += 1;
                    SendResult::Full
                }
                Destination::Datagrams { socket, to, segment_bytes, launches_at, .. } => {
                    match socket {
                        PairSocket::Rtp => self.launches.push((self.now, launches_at)),
                        PairSocket::Rtcp => assert_eq!(launches_at, None),
                    }
                    let packets = bytes.chunks(usize::from(segment_bytes)).map(<[u8]>::to_vec);
                    self.datagrams.entry(to).or_default().extend(packets);
                    SendResult::Sent(entry.bytes)
                }
                Destination::Stream { connection } => {
                    self.stream_entries += 1;
                    let room = room.entry(connection).or_insert(self.appetite);
                    let count = bytes.len().min(*room);
                    *room = if count < bytes.len() { 0 } else { *room - count };
                    self.stream.extend_from_slice(&bytes[..count]);
                    if count == 0 { SendResult::Full } else { SendResult::Sent(count as u32) }
                }
            });
        }
        if !results.is_empty() {
            self.shard.sent(self.now, &results, &mut self.operations);
            self.perform();
        }
        while let Some(report) = self.shard.take_report() {
            self.reports.push(report);
        }
    }

    /// Turns whenever the shard wants one, until this time.
    fn run_until(&mut self, millis: u64) {
        let end = MonoTime(SECOND + millis * MILLI);
        while let Some(at) = self.shard.deadline().filter(|at| *at <= end) {
            let at = at.max(self.now).0 - SECOND;
            self.turn_at(at.div_ceil(MILLI));
        }
        self.turn_at(millis);
    }

    fn set_up(&mut self, session: u64, film: usize, transport: StreamTransport) {
        self.set_up_as(session, film, TrackId(0), transport, (true, false));
    }

    /// A SETUP of a session's track; of its first stream if that is track 0.
    fn set_up_track(
        &mut self,
        session: u64,
        film: usize,
        track: TrackId,
        transport: StreamTransport,
    ) {
        self.set_up_as(session, film, track, transport, (track == TrackId(0), false));
    }

    /// A SETUP, with whether it is of a session's first stream, and of an adopted connection.
    fn set_up_as(
        &mut self,
        session: u64,
        film: usize,
        track: TrackId,
        transport: StreamTransport,
        (is_first, is_adopted): (bool, bool),
    ) {
        let title = Arc::clone(&self.films[film].title);
        self.command(Command::SetUp {
            token: Token(session),
            session: SessionKey(session),
            is_first,
            title,
            track,
            transport,
            is_adopted,
            payload_class: PayloadClass { packet_bytes_max: 1400 },
            sends_ahead: true,
        });
    }

    fn play(&mut self, session: u64, play: Play) {
        self.command(Command::Play { token: Token(session), session: SessionKey(session), play });
    }

    /// The reply to the cue of that token has been written.
    fn start(&mut self, session: u64, cue: u64) {
        self.command(Command::Start(Start { session: SessionKey(session), cue: Token(cue) }));
    }

    fn play_udp(&mut self, session: u64, film: usize) {
        self.play_udp_from(session, film, 0);
    }

    /// Plays from so many seconds to the end.
    fn play_udp_from(&mut self, session: u64, film: usize, seconds: u64) {
        self.set_up(session, film, udp(session));
        self.play(session, Play::seek(Npt::from_nanos(seconds * SECOND), None));
        self.start(session, session);
    }

    /// One session in a connection of its own, started by the reply to its PLAY.
    fn play_interleaved(&mut self, session: u64, film: usize) {
        let connection = ConnectionId(session);
        let (rtp_channel, rtcp_channel) = (0, 1);
        self.set_up(
            session,
            film,
            StreamTransport::Interleaved { connection, rtp_channel, rtcp_channel },
        );
        self.adopt(session);
        self.play(session, Play::RESUME);
        self.reply(session);
    }

    fn adopt(&mut self, connection: u64) {
        let (id, peer) = (ConnectionId(connection), viewer(connection));
        let unparsed = Bytes::new();
        self.command(Command::Adopt(AdoptedConnection {
            id,
            socket: None,
            peer,
            unparsed,
            direction: Direction::Both,
        }));
    }

    fn reply(&mut self, session: u64) {
        let connection = ConnectionId(session);
        let bytes = Bytes::from_static(b"RTSP/1.0 200 OK\r\nCSeq: 9\r\n\r\n");
        let start = Some(Start { session: SessionKey(session), cue: Token(session) });
        self.command(Command::Reply { connection, bytes, start, close: false });
    }

    /// Bytes arrive on the only connection.
    fn receive(&mut self, bytes: &[u8]) {
        let slot = ConnectionSlot(0);
        self.shard.connection_received(self.now, slot, bytes, &mut self.operations);
        self.perform();
    }

    /// The streams that were set up, in order.
    fn ssrcs(&mut self) -> Vec<Ssrc> {
        self.reports.extend(std::iter::from_fn(|| self.shard.take_report()));
        let set_up = |report: &Report| {
            let Report::SetUp { result, .. } = report else { return None };
            result.ok().map(|set_up| set_up.ssrc)
        };
        self.reports.iter().filter_map(set_up).collect()
    }

    /// Connections that the shard has closed.
    fn closed(&self) -> Vec<(u64, CloseReason)> {
        let closed = |report: &Report| {
            let Report::ConnectionClosed { connection, reason } = report else { return None };
            Some((connection.0, *reason))
        };
        self.reports.iter().filter_map(closed).collect()
    }

    /// Sessions that the shard has ended.
    fn ends(&self) -> Vec<(SessionKey, EndReason)> {
        let ended = |report: &Report| {
            let Report::Ended { session, reason, .. } = report else { return None };
            Some((*session, *reason))
        };
        self.reports.iter().filter_map(ended).collect()
    }

    fn packets_of(&self, session: u64) -> &[Vec<u8>] {
        self.datagrams.get(&viewer(session)).map_or(&[], Vec::as_slice)
    }
}

fn viewer(session: u64) -> SocketAddr {
    let [.., high, low] = session.to_be_bytes();
    SocketAddr::new(Ipv4Addr::new(10, 0, 1 + high, low).into(), 5000)
}

fn udp(session: u64) -> StreamTransport {
    let rtp = viewer(session);
    let rtcp = SocketAddr::new(rtp.ip(), 5001);
    StreamTransport::Udp { rtp, rtcp, local: IpAddr::V4(Ipv4Addr::LOCALHOST) }
}

fn sequence(packet: &[u8]) -> u16 {
    u16::from_be_bytes([packet[2], packet[3]])
}

fn timestamp(packet: &[u8]) -> u32 {
    u32::from_be_bytes(packet[4..8].try_into().unwrap())
}

#[test]
fn a_session_may_time_out_in_a_turn_in_which_it_would_send() {
    let mut rig = Rig::new(vec![film(1, 1000, 1000, 0)], 64);
    rig.play_udp(1, 0);
    rig.run_until(20);
    rig.command(Command::Touch { session: SessionKey(1) });
    // A turn that comes late: a picture was due at 20.00 s, the time-out at 20.02 s.
    rig.run_until(19_990);
    rig.turn_at(20_030);
    assert_eq!(rig.ends(), [(SessionKey(1), EndReason::TimedOut)]);
    rig.run_until(20_100);
    assert_eq!(rig.shard.check_empty(), Ok(()));
}

#[test]
fn a_half_sent_packet_is_finished_before_rtcp() {
    let mut rig = Rig::new(vec![film(1, 500, 3000, 0)], 64);
    rig.play_interleaved(1, 0);
    let mut random = fastrand::Rng::with_seed(3);
    for turn in 1..150 {
        rig.appetite = random.usize(1..20_000);
        rig.turn_at(turn * 100);
    }
    let mut framer = Framer::new();
    framer.push(&rig.stream);
    let (mut reports, mut last) = (0, None);
    while let Some(message) = framer.next().expect("nothing but replies and frames") {
        let Message::Interleaved { channel, payload } = message else { continue };
        assert_eq!(payload[0] >> 6, 2, "version of a packet on channel {channel}");
        reports += u32::from(channel == 1);
        if channel == 0 {
            let number = sequence(payload);
            assert!(last.is_none_or(|last: u16| last.wrapping_add(1) == number));
            last = Some(number);
        }
    }
    assert!(reports >= 2 && last.is_some());
}

#[test]
fn a_seek_in_an_overloaded_turn_sends_nothing_twice() {
    let mut rig = Rig::new(vec![film(1, 1000, 3000, 0)], 64);
    for session in 0..80 {
        rig.play_udp(session, 0);
    }
    rig.run_until(100);
    // More is due than a turn may send, so that streams are left over for the next one.
    rig.turn_at(1050);
    for session in 0..80 {
        rig.play(session, Play::RESUME);
        rig.command(Command::Pause { token: Token(0), session: SessionKey(session), at: None });
        rig.play(session, Play::RESUME);
        rig.start(session, session);
    }
    rig.turn_at(1060);
    rig.run_until(3000);
    for session in 0..80 {
        let packets = rig.packets_of(session);
        for pair in packets.windows(2) {
            let (before, after) = (sequence(&pair[0]), sequence(&pair[1]));
            assert_eq!(before.wrapping_add(1), after, "viewer {session}");
        }
    }
}

/// Trains in a turn for which over 20 pictures of so many bytes are due for each of 90 viewers.
fn trains_in_a_late_turn(picture_bytes: u32, interleaved: bool) -> u64 {
    let mut rig = Rig::new(vec![film(1, 1000, picture_bytes, 0)], 64);
    for session in 0..90 {
        if interleaved {
            rig.play_interleaved(session, 0);
        } else {
            rig.play_udp(session, 0);
        }
    }
    rig.run_until(100);
    let before = rig.shard.counters().trains;
    rig.turn_at(1000);
    let turn = rig.shard.counters().trains - before;
    // The next turns, which come at once, have what this one left over.
    rig.run_until(1000);
    assert!(rig.shard.counters().trains - before >= 90 * 21);
    turn
}

#[test]
fn a_turn_is_full_with_so_many_trains_or_bytes() {
    for interleaved in [false, true] {
        let small = trains_in_a_late_turn(100, interleaved);
        assert!((1024..1100).contains(&small), "{small} trains of 112 bytes");
        // 256 KiB of packets of 1,013 bytes, and one more viewer's 24 at most.
        let big = trains_in_a_late_turn(1000, interleaved);
        assert!((255..=255 + 64).contains(&big), "{big} trains of 1,017 bytes");
    }
}

#[test]
fn a_segment_scattered_over_more_than_the_read_pool_ends_its_viewer_alone() {
    // 50 pictures in a segment, each a read of its own, and 16 blocks.
    let mut rig = Rig::new(vec![film(1, 100, 1000, 64 << 10), film(2, 100, 1000, 0)], 16);
    rig.play_udp(1, 0);
    rig.play_udp(2, 1);
    rig.run_until(1000);
    assert_eq!(rig.ends(), [(SessionKey(1), EndReason::MediaInvalid)]);
    assert!(rig.packets_of(2).len() >= 25);
}

#[test]
fn a_viewer_who_stops_reading_holds_no_images() {
    let mut rig = Rig::new(vec![film(1, 1000, 20_000, 0)], 64);
    rig.play_interleaved(1, 0);
    rig.run_until(3000);
    rig.appetite = 0;
    rig.run_until(4000);
    assert_eq!(rig.shard.cache.holds(), 0);
    rig.appetite = usize::MAX;
    rig.run_until(12_000);
    let numbers = rtp_of(&rig.stream).map(|packet| sequence(&packet));
    let numbers: Vec<u16> = numbers.collect();
    assert!(numbers.len() > 200 * 14, "it went on");
    assert!(numbers.windows(2).all(|pair| pair[0].wrapping_add(1) == pair[1]));
}

#[test]
fn a_reader_who_stopped_is_paused_where_it_stopped() {
    let mut rig = Rig::new(vec![film(1, 1000, 1000, 0)], 64);
    rig.play_interleaved(1, 0);
    rig.run_until(3000);
    rig.appetite = 0;
    rig.run_until(10_000);
    rig.command(Command::Pause { token: Token(7), session: SessionKey(1), at: None });
    rig.turn_at(10_000);
    let Some(Report::Paused { result: Ok(Paused::At(position)), .. }) = rig.reports.pop() else {
        panic!()
    };
    assert!((2_900..=3_100).contains(&(position.nanos() / MILLI)), "{position:?}");
    rig.appetite = usize::MAX;
    rig.run_until(11_000);
    let sent = rtp_of(&rig.stream).count();
    rig.play(1, Play::RESUME);
    rig.reply(1);
    rig.run_until(12_000);
    let info = rig.reports.iter().rev().find_map(|report| {
        if let Report::Cued { result: Ok(cued), .. } = report { Some(cued.clone()) } else { None }
    });
    let info = info.unwrap();
    let first = rtp_of(&rig.stream).nth(sent).unwrap();
    assert_eq!((info.start, info.streams[0].sequence), (position, Some(sequence(&first))));
    let behind = timestamp(&first).wrapping_sub(info.streams[0].rtptime);
    assert!(behind <= 3600, "the first packet is {behind} ticks behind the start");
}

/// The RTP packets of a connection.
fn rtp_of(stream: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    let mut framer = Framer::new();
    framer.push(stream);
    std::iter::from_fn(move || {
        while let Some(message) = framer.next().expect("nothing but replies and frames") {
            if let Message::Interleaved { channel: 0, payload } = message {
                return Some(payload.to_vec());
            }
        }
        None
    })
}

#[test]
fn a_late_start_of_an_earlier_cue_does_nothing() {
    let mut rig = Rig::new(vec![film(1, 1000, 1000, 0)], 64);
    let session = SessionKey(1);
    let cue_at = |rig: &mut Rig, token, start| {
        let play = Play::seek(start, None);
        rig.command(Command::Play { token: Token(token), session, play });
    };
    rig.set_up(1, 0, udp(1));
    cue_at(&mut rig, 5, Npt::ZERO);
    cue_at(&mut rig, 6, Npt::from_nanos(2 * SECOND));
    rig.start(1, 5);
    rig.run_until(500);
    assert_eq!(rig.packets_of(1).len(), 0, "before the reply to the second cue");
    // One that only asks where it stands supersedes nothing.
    rig.command(Command::Play { token: Token(7), session, play: Play::RESUME });
    rig.start(1, 6);
    rig.run_until(1000);
    assert!(rig.packets_of(1).len() > 10);
    // Nor does a pause let an earlier reply start what follows it.
    rig.command(Command::Pause { token: Token(8), session, at: None });
    rig.command(Command::Play { token: Token(9), session, play: Play::RESUME });
    rig.start(1, 7);
    let before = rig.packets_of(1).len();
    rig.run_until(1500);
    assert_eq!(rig.packets_of(1).len(), before);
    rig.start(1, 9);
    rig.run_until(2000);
    assert!(rig.packets_of(1).len() > before + 10);
}
