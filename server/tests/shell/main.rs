//! A shard on its thread, with a real ring and sockets on loopback, driven by its mailbox alone.
#![allow(clippy::cast_possible_truncation, clippy::unwrap_used, clippy::wildcard_enum_match_arm)]

use bytes::Bytes;
use packetizer::image::{Bursts, PayloadClass};
use packetizer::index::{TrackId, TrackSet};
use packetizer::time::Npt;
use server::clock::Clock;
use server::mailbox::{
    AdoptedConnection, Command, ConnectionId, Cued, Direction, EndReason, Play, Report, SessionKey,
    Start, StreamSetUp, StreamTransport, Token,
};
use server::runtime::mailbox_queue::{ControlEnd, mailbox};
use server::runtime::shard_loop;
use server::shard::counters::Counters;
use server::shard::{Shard, ShardConfig};
use server::title::{ByteSourceId, Generation, SharedTitle, SourceFiles, SourcePart, Title};
use server::uring::{Caching, Driver, DriverLimits, PairSockets, Waker, open_media};
use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

const BLOCKS: u32 = 1024;

/// Control's side of a running shard.
struct Rig {
    control: ControlEnd,
    woken: Waker,
    thread: JoinHandle<io::Result<Counters>>,
}

impl Rig {
    fn start(first_port: u16) -> Self {
        let woken = Waker::new().unwrap();
        let (control, shard_end) = mailbox(256, 4096, woken.clone()).unwrap();
        let thread = std::thread::spawn(move || {
            let sockets = (first_port..first_port + 2000)
                .step_by(4)
                .find_map(|port| PairSockets::bind(port..=port + 3).ok())
                .expect("free ports");
            let limits = DriverLimits {
                blocks: BLOCKS,
                register_blocks: true,
                sources_max: 64,
                reads_max: 64,
                connections_max: 64,
            };
            let driver = Driver::new(sockets, shard_end.waker(), limits)?;
            let clock = Clock::start();
            let config = ShardConfig {
                rtp_ports: driver.rtp_ports().to_vec(),
                sessions_max: 16,
                streams_max: 32,
                image_bytes_max: 64 << 20,
                read_blocks: BLOCKS,
                session_timeout: Duration::from_secs(30),
                coalescing: Duration::from_millis(4),
                launch_ahead: Duration::ZERO,
                interleaved_ahead: Duration::ZERO,
                bursts: Bursts::default(),
                cname: "test".to_owned(),
                seed: 7,
                first_numbers: None,
            };
            shard_loop::run(Shard::new(config, clock.wallclock()), shard_end, driver, clock)
        });
        Self { control, woken, thread }
    }

    fn send(&self, command: Command) {
        self.control.try_send(command).unwrap();
    }

    /// The next report, for which it waits.
    fn report(&self) -> Report {
        loop {
            if let Some(report) = self.control.receive() {
                return report;
            }
            assert!(!self.thread.is_finished(), "the shard has ended");
            self.woken.clear();
        }
    }

    fn set_up(&self, title: &SharedTitle, track: u8, transport: StreamTransport) -> StreamSetUp {
        self.send(Command::SetUp {
            token: Token(u64::from(track)),
            session: SESSION,
            is_first: track == 0,
            title: Arc::clone(title),
            track: TrackId(track),
            transport,
            is_adopted: false,
            payload_class: PayloadClass { packet_bytes_max: 1400 },
            sends_ahead: true,
        });
        match self.report() {
            Report::SetUp { token: Token(token), result: Ok(set_up) } => {
                assert_eq!(token, u64::from(track));
                set_up
            }
            other => panic!("{other:?}"),
        }
    }

    fn cue(&self, end: Duration) -> Cued {
        let end = Npt::from_nanos(end.as_nanos() as u64);
        let play = Play::seek(Npt::ZERO, Some(end));
        self.send(Command::Play { token: CUE, session: SESSION, play });
        match self.report() {
            Report::Cued { token: CUE, result: Ok(cued) } => cued,
            other => panic!("{other:?}"),
        }
    }

    /// Drains the shard, and gives the reasons why sessions ended and the last counters.
    fn drain(self) -> (Vec<EndReason>, Counters) {
        self.send(Command::Drain);
        let mut reasons = Vec::new();
        loop {
            match self.report() {
                Report::Ended { reason, .. } => reasons.push(reason),
                Report::Drained => break,
                _ => {}
            }
        }
        (reasons, self.thread.join().unwrap().unwrap())
    }
}

const SESSION: SessionKey = SessionKey(1);
const CUE: Token = Token(9);
const START: Start = Start { session: SESSION, cue: CUE };

/// Five seconds of H.264 and AAC, or nothing where the media are not there.
fn title(test: &str) -> Option<SharedTitle> {
    let name = "androidx-media/sample_with_increasing_timestamps_320w_240h_5s.mp4";
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/media");
    let path = root.join(name);
    if !root.exists() && std::env::var_os("REELRING_REQUIRE_MEDIA").is_none() {
        eprintln!("skipped: {test} ({} is not there)", root.display());
        return None;
    }
    let plain = File::open(&path).unwrap();
    let bytes = plain.metadata().unwrap().len();
    let read = |offset, buffer: &mut [u8]| plain.read_at(buffer, offset);
    let index = packetizer::container::open(bytes, read).unwrap();
    let generation = Generation { inode: (0, 1), modified_nanos: 0, bytes };
    let file = open_media(&path, Caching::Direct).unwrap();
    let part = SourcePart { start: 0, path: path.clone(), generation, file };
    Some(Arc::new(Title {
        name: name.to_owned(),
        path,
        generation,
        source: ByteSourceId(1),
        index,
        looped: false,
        files: SourceFiles { playlist: None, parts: vec![part] },
    }))
}

/// An RTP packet's marker, sequence number, timestamp and SSRC (RFC 3550 §5.1).
fn header(packet: &[u8]) -> (bool, u16, u32, u32) {
    let word = |at: usize| u32::from_be_bytes(packet[at..at + 4].try_into().unwrap());
    assert_eq!(packet[0] >> 6, 2, "version");
    let sequence = u16::from_be_bytes([packet[2], packet[3]]);
    (packet[1] & 0x80 != 0, sequence, word(4), word(8))
}

/// Checks the packets of one stream against what the shard said of it: gapless from the number in
/// RTP-Info, one SSRC, as many ends of access units as the cue holds.
fn check_video(packets: &[Vec<u8>], set_up: StreamSetUp, cued: &Cued, units: usize) {
    let mut sequence = cued.streams[0].sequence.expect("it waits for none");
    let mut markers = 0;
    for packet in packets {
        let (marker, number, _, ssrc) = header(packet);
        assert_eq!((number, ssrc), (sequence, set_up.ssrc.0));
        sequence = sequence.wrapping_add(1);
        markers += usize::from(marker);
    }
    assert_eq!(markers, units);
    assert_eq!(header(&packets[0]).2, cued.streams[0].rtptime);
}

fn video_units(title: &SharedTitle, tracks: TrackSet, end: Duration) -> usize {
    let end = Npt::from_nanos(end.as_nanos() as u64);
    let cue = title.index.cue(tracks, Npt::ZERO, Some(end)).unwrap();
    (cue.tracks[0].end_unit - cue.tracks[0].first_unit) as usize
}

#[test]
fn a_udp_session_plays_and_ends_with_bye() {
    let Some(title) = title("a_udp_session_plays_and_ends_with_bye") else { return };
    let rig = Rig::start(26_000);
    let socket = || {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(3))).unwrap();
        socket
    };
    let (rtp, rtcp) = (socket(), socket());
    let transport = StreamTransport::Udp {
        rtp: rtp.local_addr().unwrap(),
        rtcp: rtcp.local_addr().unwrap(),
        local: Ipv4Addr::new(127, 0, 0, 3).into(),
    };
    let set_up = rig.set_up(&title, 0, transport);
    let tracks = TrackSet::EMPTY.with(TrackId(0));
    let end = Duration::from_millis(700);
    let cued = rig.cue(end);
    rtp.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    let mut buffer = [0; 2048];
    assert!(rtp.recv(&mut buffer).is_err(), "a packet before the reply");
    rig.send(Command::Start(START));
    assert!(matches!(rig.report(), Report::Finished { session: SESSION, paused: Some(_) }));
    let mut packets = Vec::new();
    let port = set_up.server_port.unwrap();
    while let Ok((bytes, from)) = rtp.recv_from(&mut buffer) {
        assert_eq!(from, (Ipv4Addr::new(127, 0, 0, 3), port).into());
        packets.push(buffer[..bytes].to_vec());
    }
    check_video(&packets, set_up, &cued, video_units(&title, tracks, end));
    let (_, from) = rtcp.recv_from(&mut buffer).unwrap();
    assert_eq!((buffer[1], from.port()), (200, port + 1), "a sender report (RFC 3550 §6.4.1)");
    let (reasons, counters) = rig.drain();
    assert_eq!(reasons, [EndReason::Drained]);
    assert_eq!(counters.packets, packets.len() as u64);
    rtcp.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    let mut last = 0;
    while let Ok(bytes) = rtcp.recv(&mut buffer) {
        last = packet_types(&buffer[..bytes]).last().copied().unwrap();
    }
    assert_eq!(last, 203, "BYE (RFC 3550 §6.6)");
}

/// The types of a compound RTCP packet's parts (RFC 3550 §6.1).
fn packet_types(mut compound: &[u8]) -> Vec<u8> {
    let mut types = Vec::new();
    while let [_, kind, high, low, ..] = compound {
        types.push(*kind);
        compound = &compound[(usize::from(u16::from_be_bytes([*high, *low])) + 1) * 4..];
    }
    types
}

fn connect() -> (TcpStream, AdoptedConnection) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let ours = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    ours.set_read_timeout(Some(Duration::from_secs(3))).unwrap();
    let (socket, peer) = listener.accept().unwrap();
    let id = ConnectionId(u64::from(peer.port()));
    (
        ours,
        AdoptedConnection {
            id,
            socket: Some(socket.into()),
            peer,
            unparsed: Bytes::new(),
            direction: Direction::Both,
        },
    )
}

#[test]
fn an_interleaved_session_plays_behind_its_replies() {
    let Some(title) = title("an_interleaved_session_plays_behind_its_replies") else { return };
    let rig = Rig::start(28_100);
    let (mut client, adopted) = connect();
    let connection = adopted.id;
    // SETUP comes before the adoption, as its reply is written by control.
    let transport = StreamTransport::Interleaved { connection, rtp_channel: 4, rtcp_channel: 5 };
    let set_up = rig.set_up(&title, 0, transport);
    rig.send(Command::Adopt(adopted));
    let play = b"PLAY rtsp://h/t RTSP/1.0\r\nCSeq: 3\r\n\r\n";
    client.write_all(play).unwrap();
    match rig.report() {
        Report::Request { connection: from, bytes } => {
            assert_eq!((from, &bytes[..]), (connection, &play[..]));
        }
        other => panic!("{other:?}"),
    }
    let tracks = TrackSet::EMPTY.with(TrackId(0));
    let end = Duration::from_millis(700);
    let cued = rig.cue(end);
    let reply = b"RTSP/1.0 200 OK\r\nCSeq: 3\r\n\r\n";
    let bytes = Bytes::from_static(reply);
    rig.send(Command::Reply { connection, bytes, start: Some(START), close: false });
    assert!(matches!(rig.report(), Report::Finished { session: SESSION, paused: Some(_) }));
    rig.send(Command::TearDown { session: SESSION, stream: None });
    let bytes = Bytes::from_static(b"bye");
    rig.send(Command::Reply { connection, bytes, start: None, close: true });
    let mut stream = Vec::new();
    client.read_to_end(&mut stream).unwrap();
    assert!(matches!(rig.report(), Report::Ended { session: SESSION, .. }));
    assert!(matches!(rig.report(), Report::ConnectionClosed { .. }));
    let frames = stream.strip_prefix(&reply[..]).expect("the reply comes first");
    let mut frames = frames.strip_suffix(b"bye").expect("and the last reply last");
    let mut packets = Vec::new();
    let mut reports = Vec::new();
    while let [b'$', channel, high, low, rest @ ..] = frames {
        let (packet, next) = rest.split_at(usize::from(u16::from_be_bytes([*high, *low])));
        match channel {
            4 => packets.push(packet.to_vec()),
            5 => reports.extend(packet_types(packet)),
            other => panic!("channel {other}"),
        }
        frames = next;
    }
    assert_eq!(frames, b"", "whole frames");
    check_video(&packets, set_up, &cued, video_units(&title, tracks, end));
    assert_eq!(reports.first(), Some(&200));
    rig.drain();
}

#[test]
fn the_loop_ends_when_control_goes() {
    let rig = Rig::start(30_200);
    drop(rig.control);
    rig.thread.join().unwrap().unwrap();
}
