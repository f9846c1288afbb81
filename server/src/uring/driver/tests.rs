//! The driver against the kernel, on loopback. The oracle is the standard library.
#![allow(clippy::cast_possible_truncation)]

use super::*;
use crate::clock::MonoTime;
use crate::mailbox::ConnectionId;
use crate::shard::egress::{Destination, Entry};
use crate::shard::operation::{BLOCK_BYTES, BlockMemory, PairId, PairSocket};
use crate::title::{
    ByteSourceId, Generation, SharedTitle, SourceFile, SourceFiles, SourcePart, Title,
};
use crate::uring::{Caching, monotonic_nanos, open_media};
use packetizer::index::{FILE_ALIGNMENT, IndexBuilder};
use packetizer::time::Npt;
use std::fs::File;
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

const LIMITS: DriverLimits = DriverLimits {
    blocks: 256,
    register_blocks: true,
    sources_max: 4,
    reads_max: 64,
    connections_max: 64,
};

fn pair_sockets(pairs: u16) -> PairSockets {
    let first = 20_000 + (std::process::id() % 100) as u16 * 100;
    (first..first + 20_000)
        .step_by(8)
        .find_map(|port| PairSockets::bind(port..=port + 2 * pairs - 1).ok())
        .unwrap()
}

fn driver() -> (Driver, Waker) {
    let waker = Waker::new().unwrap();
    (Driver::new(pair_sockets(2), waker.clone(), LIMITS).unwrap(), waker)
}

/// What a driver told, with the bytes that its events borrowed.
#[derive(Debug, PartialEq, Eq)]
enum Told {
    Read(ReadId, ReadResult),
    Received(u32, Vec<u8>),
    Closed(u32, Option<i32>),
    Writable(u32),
    Answers(u32),
    Datagram(PairId, PairSocket, SocketAddr, Vec<u8>),
}

fn told(event: &Event<'_>) -> Told {
    match event {
        Event::ReadCompleted { read, result, .. } => Told::Read(*read, *result),
        Event::Received { connection, bytes } => Told::Received(connection.0, bytes.to_vec()),
        Event::Closed { connection, errno } => Told::Closed(connection.0, *errno),
        Event::Writable { connection } => Told::Writable(connection.0),
        Event::Answers { connection } => Told::Answers(connection.0),
        Event::Datagram(d) => Told::Datagram(d.pair, d.socket, d.from, d.bytes.to_vec()),
    }
}

/// Everything told within `millis` of silence, or until `count` events were.
fn events(driver: &mut Driver, count: usize, millis: u64) -> Vec<Told> {
    let mut all = Vec::new();
    let mut silent = false;
    while all.len() < count && !silent {
        driver.wait(Some(Duration::from_millis(millis))).unwrap();
        silent = driver.ring.is_idle();
        driver.poll(&mut Vec::new(), |event, _| all.push(told(&event)));
    }
    all
}

/// A title of these files, by where they start.
fn title(files: impl IntoIterator<Item = (u64, SourceFile)>) -> SharedTitle {
    let generation = Generation { inode: (0, 0), modified_nanos: 0, bytes: 0 };
    let path = Path::new("test");
    let part = |(start, file)| SourcePart { start, path: path.to_owned(), generation, file };
    let parts = files.into_iter().map(part).collect();
    Arc::new(Title {
        name: String::new(),
        path: path.to_owned(),
        generation,
        source: ByteSourceId(0),
        index: IndexBuilder::new().finish(Npt::ZERO),
        looped: false,
        files: SourceFiles { playlist: None, parts },
    })
}

/// A file whose bytes do not repeat within a block.
fn media_file(directory: &Path, bytes: usize) -> std::path::PathBuf {
    let path = directory.join("media");
    let noise = |n: usize| (n as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes()[7];
    std::fs::write(&path, (0..bytes).map(noise).collect::<Vec<u8>>()).unwrap();
    path
}

fn read_and_compare(driver: &mut Driver, source: SourceSlot, path: &Path) {
    let file = File::open(path).unwrap();
    let end = file.metadata().unwrap().len();
    let block = BLOCK_BYTES as u64;
    let cases =
        [(0, 1), (block, 4), (4096, 16), (end / block * block, 1), (0, 32), (end + block, 1)];
    let mut operations = Vec::new();
    let mut first = 0;
    for ((offset, count), read) in cases.into_iter().zip((0..).map(ReadId)) {
        let blocks = BlockRun { first, count };
        first += count;
        let bytes = count * BLOCK_BYTES as u32;
        let offset = offset / 4096 * 4096;
        let is_urgent = read.0 % 2 == 0;
        operations.push(Operation::Read { read, source, offset, bytes, blocks, is_urgent });
    }
    driver.perform(&mut operations);
    let mut seen = 0;
    while seen < cases.len() {
        driver.wait(Some(Duration::from_secs(5))).unwrap();
        driver.poll(&mut operations, |event, _| {
            let Event::ReadCompleted { read, result, memory } = event else { panic!("{event:?}") };
            let ReadResult::Read(bytes) = result else { panic!("{result:?}") };
            let (offset, count) = cases[read.0 as usize];
            let run_first = cases[..read.0 as usize].iter().map(|case| case.1).sum();
            let mut expected = vec![0; count as usize * BLOCK_BYTES];
            let length = file.read_at(&mut expected, offset / 4096 * 4096).unwrap();
            assert_eq!(bytes as usize, length, "{read:?}");
            let run = BlockRun { first: run_first, count };
            assert!(memory.bytes(run, bytes) == &expected[..length], "{read:?}");
            seen += 1;
        });
    }
}

#[test]
fn reads_give_what_the_file_holds() {
    let directory = tempfile::tempdir().unwrap();
    let path = media_file(directory.path(), 300_001);
    let (mut driver, _) = driver();
    for registered_memory in [driver.pool.is_registered(), false] {
        driver.pool.set_registered(registered_memory);
        // Slots beyond the table are read by descriptor.
        for slot in [0, LIMITS.sources_max + 3].map(SourceSlot) {
            let direct = open_media(&path, Caching::Direct).unwrap();
            let cached = SourceFile { file: File::open(&path).unwrap(), direct_alignment: None };
            for file in [direct, cached] {
                let title = title([(0, file)]);
                let open = Operation::OpenSource { source: slot, title: Arc::clone(&title) };
                driver.perform(&mut vec![open]);
                read_and_compare(&mut driver, slot, &path);
                driver.perform(&mut vec![Operation::CloseSource { source: slot }]);
                assert_eq!(Arc::strong_count(&title), 1);
            }
        }
    }
}

#[test]
fn a_source_of_several_files_is_read_from_the_one_that_has_the_offset() {
    let directory = tempfile::tempdir().unwrap();
    let (mut driver, _) = driver();
    let source = SourceSlot(2);
    let contents = [vec![1; 70_000], vec![2; 9000], vec![3; 40_000]];
    let starts = [0, 3 * FILE_ALIGNMENT, 5 * FILE_ALIGNMENT];
    let files = (0..).zip(&contents).map(|(number, bytes)| {
        let path = directory.path().join(number.to_string());
        std::fs::write(&path, bytes).unwrap();
        open_media(&path, Caching::Direct).unwrap()
    });
    let title = title(starts.into_iter().zip(files));
    let mut operations = vec![Operation::OpenSource { source, title: Arc::clone(&title) }];
    // Where, and how much of which byte.
    let cases = [
        (starts[0], BLOCK_BYTES, 1),
        (starts[0] + 65_536, 70_000 - 65_536, 1),
        (starts[1], 9000, 2),
        (starts[2], BLOCK_BYTES, 3),
        (starts[2] + 32_768, 40_000 - 32_768, 3),
        (starts[2] + 81_920, 0, 3),
    ];
    for ((offset, ..), number) in cases.iter().zip(0..) {
        let blocks = BlockRun { first: number, count: 1 };
        let (read, offset, bytes) = (ReadId(number), *offset, BLOCK_BYTES as u32);
        operations.push(Operation::Read { read, source, offset, bytes, blocks, is_urgent: true });
    }
    driver.perform(&mut operations);
    let mut seen = 0;
    while seen < cases.len() {
        driver.wait(Some(Duration::from_secs(5))).unwrap();
        driver.poll(&mut operations, |event, _| {
            let Event::ReadCompleted { read, result, memory } = event else { panic!("{event:?}") };
            let (_, count, byte) = cases[read.0 as usize];
            assert_eq!(result, ReadResult::Read(count as u32), "{read:?}");
            let blocks = BlockRun { first: read.0, count: 1 };
            assert!(memory.bytes(blocks, count as u32).iter().all(|found| *found == byte));
            seen += 1;
        });
    }
    driver.perform(&mut vec![Operation::CloseSource { source }]);
    assert_eq!(Arc::strong_count(&title), 1);
}

#[test]
fn a_source_without_a_file_fails_its_reads() {
    let (mut driver, _) = driver();
    let source = SourceSlot(1);
    let blocks = BlockRun { first: 0, count: 1 };
    let (read, offset, is_urgent) = (ReadId(7), 0, true);
    let read = Operation::Read { read, source, offset, bytes: 4096, blocks, is_urgent };
    driver.perform(&mut vec![Operation::OpenSource { source, title: title([]) }, read]);
    let failed = ReadResult::Failed(libc::EBADF);
    assert_eq!(events(&mut driver, 1, 1000), [Told::Read(ReadId(7), failed)]);
}

#[test]
fn a_read_that_nobody_waits_for_is_found_soon_but_begins_no_turn() {
    let (mut driver, _) = driver();
    let (source, offset, bytes) = (SourceSlot(1), 0, 4096);
    let mut operations = vec![Operation::OpenSource { source, title: title([]) }];
    driver.perform(&mut operations);
    for (is_urgent, at_least) in [(true, Duration::ZERO), (false, PATIENCE), (true, Duration::ZERO)]
    {
        let blocks = BlockRun { first: 0, count: 1 };
        let read = ReadId(u32::from(is_urgent));
        operations.push(Operation::Read { read, source, offset, bytes, blocks, is_urgent });
        driver.perform(&mut operations);
        let began = monotonic_nanos();
        // Fails at once, for there is no file, and would wait for good if it were forgotten.
        driver.wait(None).unwrap();
        let waited = Duration::from_nanos(monotonic_nanos() - began);
        assert!(waited >= at_least, "urgent: {is_urgent}");
        let failed = Told::Read(read, ReadResult::Failed(libc::EBADF));
        assert_eq!(events(&mut driver, 1, 1000), [failed]);
    }
    assert_eq!(driver.patient_reads, 0);
}

#[test]
fn dropping_waits_for_reads_and_frees_ports_and_files() {
    let directory = tempfile::tempdir().unwrap();
    let path = media_file(directory.path(), 4 << 20);
    for _ in 0..20 {
        let (mut driver, _) = driver();
        let title = title([(0, open_media(&path, Caching::Direct).unwrap())]);
        let source = SourceSlot(0);
        let mut operations = vec![Operation::OpenSource { source, title: Arc::clone(&title) }];
        for n in 0..64 {
            let blocks = BlockRun { first: 4 * n, count: 4 };
            let bytes = 4 * BLOCK_BYTES as u32;
            let offset = u64::from(n) * u64::from(bytes);
            let (read, is_urgent) = (ReadId(n), n % 2 == 0);
            operations.push(Operation::Read { read, source, offset, bytes, blocks, is_urgent });
        }
        driver.perform(&mut operations);
        driver.wait(Some(Duration::ZERO)).unwrap();
        let port = driver.rtp_ports()[0];
        drop(driver);
        assert_eq!(Arc::strong_count(&title), 1);
        PairSockets::bind(port..=port + 1).unwrap();
    }
}

/// An egress batch whose bytes are all in its arena.
#[derive(Default)]
struct Sends(Egress);

impl Sends {
    fn push(&mut self, destination: Destination, pieces: &[&[u8]]) {
        let first = self.0.pieces.len() as u32;
        for piece in pieces {
            let offset = self.0.arena.len() as u32;
            self.0.arena.extend_from_slice(piece);
            self.0.pieces.push(Piece::Arena { offset, bytes: piece.len() as u32 });
        }
        let bytes = pieces.iter().map(|piece| piece.len() as u32).sum();
        let pieces = first..self.0.pieces.len() as u32;
        self.0.entries.push(Entry { destination, pieces, bytes });
    }

    fn train(&mut self, socket: PairSocket, to: SocketAddr, segments: (u16, u16), bytes: &[u8]) {
        self.launch(None, socket, to, segments, bytes);
    }

    /// A train with the time at which the kernel is to let it go.
    fn launch(
        &mut self,
        launches_at: Option<MonoTime>,
        socket: PairSocket,
        to: SocketAddr,
        segments: (u16, u16),
        bytes: &[u8],
    ) {
        let local = match to.ip() {
            IpAddr::V4(v4) if v4.is_loopback() => Ipv4Addr::new(127, 0, 0, 2).into(),
            IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            v6 @ IpAddr::V6(_) => v6,
        };
        let (segment_bytes, segment_count) = segments;
        let pair = PairId(1);
        let destination = Destination::Datagrams {
            pair,
            socket,
            to,
            local,
            segment_bytes,
            segment_count,
            launches_at,
        };
        // In uneven pieces, as a stamped train has them.
        let pieces: Vec<&[u8]> = bytes.chunks(613).collect();
        self.push(destination, &pieces);
    }

    fn send(&self, driver: &mut Driver) -> Vec<SendResult> {
        let mut results = vec![SendResult::Failed(0)];
        let piece = |piece: Piece| match piece {
            Piece::Arena { offset, bytes } => &self.0.arena[offset as usize..][..bytes as usize],
            Piece::Image { .. } | Piece::Pending { .. } => panic!("there are none"),
        };
        driver.send(&self.0, piece, &mut results);
        results
    }
}

fn receiver(address: &str) -> UdpSocket {
    let socket = UdpSocket::bind((address, 0)).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
    socket
}

fn receive(socket: &UdpSocket) -> (Vec<u8>, SocketAddr) {
    let mut buffer = vec![0; 65_536];
    let (bytes, from) = socket.recv_from(&mut buffer).unwrap();
    buffer.truncate(bytes);
    (buffer, from)
}

fn counting(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|n| (n / 7) as u8).collect()
}

#[test]
fn trains_with_launch_times_arrive() {
    let viewer = receiver("127.0.0.1");
    let to = viewer.local_addr().unwrap();
    let bytes = counting(2500);
    // Sockets that were not told send it without its time; those that were, with it, and this
    // device has no discipline that would wait.
    for is_told in [false, true] {
        let mut sockets = pair_sockets(2);
        if is_told {
            sockets.set_launch_times(monotonic_nanos()).unwrap();
        }
        let at = Some(MonoTime(5_000_000));
        assert_eq!(sockets.launch_nanos(0).is_some(), is_told);
        let mut driver = Driver::new(sockets, Waker::new().unwrap(), LIMITS).unwrap();
        let mut sends = Sends::default();
        sends.launch(at, PairSocket::Rtp, to, (1000, 3), &bytes);
        sends.launch(None, PairSocket::Rtp, to, (1000, 3), &bytes);
        sends.launch(at, PairSocket::Rtp, to, (700, 1), &bytes[..700]);
        let lengths = [2500, 2500, 700].map(SendResult::Sent);
        assert_eq!(sends.send(&mut driver), lengths);
        let received: Vec<Vec<u8>> = (0..7).map(|_| receive(&viewer).0).collect();
        assert_eq!(received.concat(), [&bytes[..], &bytes, &bytes[..700]].concat());
    }
}

#[test]
fn trains_arrive_as_packets_from_the_local_address() {
    let (mut driver, _) = driver();
    let rtp_port = driver.rtp_ports()[1];
    for (address, local) in [("127.0.0.1", "127.0.0.2"), ("::1", "::1")] {
        if address == "::1" && !driver.sockets.is_dual_stack() {
            println!("skipped: IPv6 (not available)");
            continue;
        }
        let viewer = receiver(address);
        let to = viewer.local_addr().unwrap();
        let bytes = counting(9 * 1000 + 500);
        let mut sends = Sends::default();
        sends.train(PairSocket::Rtp, to, (1000, 10), &bytes);
        sends.train(PairSocket::Rtcp, to, (80, 1), &bytes[..80]);
        assert_eq!(sends.send(&mut driver), [SendResult::Sent(9500), SendResult::Sent(80)]);
        let local: IpAddr = local.parse().unwrap();
        for packet in bytes.chunks(1000) {
            assert_eq!(receive(&viewer), (packet.to_vec(), (local, rtp_port).into()));
        }
        assert_eq!(receive(&viewer), (bytes[..80].to_vec(), (local, rtp_port + 1).into()));
    }
}

#[test]
fn without_ipv6_datagrams_travel_all_the_same() {
    let sockets = (50_000..60_000)
        .step_by(4)
        .find_map(|port| PairSockets::bind_as(port..=port + 3, false).ok())
        .unwrap();
    let mut driver = Driver::new(sockets, Waker::new().unwrap(), LIMITS).unwrap();
    let viewer = receiver("127.0.0.1");
    let to = viewer.local_addr().unwrap();
    let bytes = counting(2500);
    let mut sends = Sends::default();
    sends.train(PairSocket::Rtp, to, (1000, 3), &bytes);
    sends.train(PairSocket::Rtp, "[::1]:9".parse().unwrap(), (1000, 1), &bytes[..9]);
    let results = sends.send(&mut driver);
    assert!(matches!(results[..], [SendResult::Sent(2500), SendResult::Failed(_)]), "{results:?}");
    let rtp_port = driver.rtp_ports()[1];
    for packet in bytes.chunks(1000) {
        let from = (Ipv4Addr::new(127, 0, 0, 2), rtp_port).into();
        assert_eq!(receive(&viewer), (packet.to_vec(), from));
    }
    viewer.send_to(b"report", ("127.0.0.1", rtp_port + 1)).unwrap();
    let report = Told::Datagram(PairId(1), PairSocket::Rtcp, to, b"report".to_vec());
    assert_eq!(events(&mut driver, 1, 1000), [report]);
}

#[test]
fn the_longest_train_leaves_whole() {
    let (mut driver, _) = driver();
    let viewer = receiver("127.0.0.1");
    let bytes = counting(65_507);
    let mut sends = Sends::default();
    sends.train(PairSocket::Rtp, viewer.local_addr().unwrap(), (1024, 64), &bytes);
    assert_eq!(sends.send(&mut driver), [SendResult::Sent(65_507)]);
    for packet in bytes.chunks(1024) {
        assert_eq!(receive(&viewer).0, packet);
    }
}

#[test]
fn a_failing_entry_is_skipped() {
    let (mut driver, _) = driver();
    let viewer = receiver("127.0.0.1");
    let to = viewer.local_addr().unwrap();
    let mut sends = Sends::default();
    // More than one sendmmsg takes, with failures first, last and in a row.
    let bad = |n: u8| matches!(n, 0 | 50 | 51 | 99);
    for n in 0..100_u8 {
        let broadcast = SocketAddr::from(([255, 255, 255, 255], 9));
        sends.train(PairSocket::Rtp, if bad(n) { broadcast } else { to }, (2, 1), &[n, n]);
    }
    let results = sends.send(&mut driver);
    for (n, result) in (0..100).zip(results) {
        if bad(n) {
            assert!(matches!(result, SendResult::Failed(errno) if errno != 0), "{n}: {result:?}");
        } else {
            assert_eq!(result, SendResult::Sent(2), "{n}");
            assert_eq!(receive(&viewer).0, [n, n]);
        }
    }
}

#[test]
fn a_destination_that_refuses_offload_gets_packets() {
    let (mut driver, _) = driver();
    let viewer = receiver("127.0.0.1");
    let to = viewer.local_addr().unwrap();
    let bytes = counting(2500);
    let mut sends = Sends::default();
    // Port 0 fails with the error of a path MTU that is too small, with and without offload.
    sends.train(PairSocket::Rtp, to, (1000, 3), &bytes);
    sends.train(PairSocket::Rtp, SocketAddr::new(to.ip(), 0), (1000, 3), &bytes);
    sends.train(PairSocket::Rtp, to, (1000, 3), &bytes);
    let sent = SendResult::Sent(2500);
    assert_eq!(sends.send(&mut driver), [sent, SendResult::Failed(libc::EINVAL), sent]);
    assert!(driver.sender.refuses(to.ip()));
    for packet in bytes.chunks(1000).chain(bytes.chunks(1000)) {
        assert_eq!(receive(&viewer).0, packet);
    }
}

/// Runs `test` in a network namespace of its own, where what goes to 10.9.0.0/24 waits in a queue
/// of 20 kB that a megabit a second drains. Needs the right to make one.
fn behind_a_slow_link(test: impl FnOnce() + Send + 'static) {
    let thread = std::thread::spawn(|| {
        // SAFETY: takes no memory; only this thread changes its network.
        if unsafe { libc::unshare(libc::CLONE_NEWNET) } != 0 {
            println!("skipped: network namespaces ({})", io::Error::last_os_error());
            return;
        }
        for command in [
            "ip link set lo up",
            "ip link add slow type veth peer name end",
            "ip address add 10.9.0.1/24 dev slow",
            "ip link set slow up",
            "ip link set end up",
            "ip neighbour add 10.9.0.2 lladdr 02:00:00:00:00:02 dev slow",
            "tc qdisc add dev slow root tbf rate 1mbit burst 3000 limit 20000",
        ] {
            let (name, arguments) = command.split_once(' ').unwrap();
            let status = std::process::Command::new(name).args(arguments.split(' ')).status();
            if !status.is_ok_and(|status| status.success()) {
                println!("skipped: {command}");
                return;
            }
        }
        test();
    });
    thread.join().unwrap();
}

#[test]
fn a_destination_whose_queue_is_full_hurts_no_other() {
    behind_a_slow_link(|| {
        let sockets = PairSockets::bind_as(21_000..=21_003, false).unwrap();
        // Without this the kernel keeps quiet about packets that it drops at once.
        let socket = sockets.socket(2);
        sockets::set_option(socket, libc::IPPROTO_IP, libc::IP_RECVERR, 1).unwrap();
        let mut driver = Driver::new(sockets, Waker::new().unwrap(), LIMITS).unwrap();
        let viewer = receiver("127.0.0.1");
        let (good, slow) = (viewer.local_addr().unwrap(), "10.9.0.2:9".parse().unwrap());
        let mut sends = Sends::default();
        for n in 0..60_u8 {
            sends.train(PairSocket::Rtp, slow, (1000, 1), &[n; 1000]);
            sends.train(PairSocket::Rtp, good, (1000, 1), &[n; 1000]);
        }
        let results = sends.send(&mut driver);
        let lost = SendResult::Failed(libc::ENOBUFS);
        assert!(results.contains(&lost), "the queue takes no 60 kB");
        for (n, result) in (0..60).zip(results.chunks(2)) {
            assert!(result[0] == lost || result[0] == SendResult::Sent(1000), "{n}: {result:?}");
            assert_eq!(result[1], SendResult::Sent(1000), "{n}");
            assert_eq!(receive(&viewer).0, [n; 1000]);
        }
    });
}

#[test]
fn a_full_socket_loses_nothing_and_goes_on_later() {
    behind_a_slow_link(|| {
        let sockets = PairSockets::bind_as(21_000..=21_003, false).unwrap();
        let (socket, level, bytes) = (sockets.socket(2), libc::SOL_SOCKET, 4000);
        sockets::set_option(socket, level, libc::SO_SNDBUF, bytes).unwrap();
        let mut driver = Driver::new(sockets, Waker::new().unwrap(), LIMITS).unwrap();
        let slow = "10.9.0.2:9".parse().unwrap();
        let (mut sent, mut tries) = (0, 0);
        while sent < 50 {
            let mut sends = Sends::default();
            for n in sent..50 {
                sends.train(PairSocket::Rtp, slow, (1000, 1), &[n; 1000]);
            }
            let results = sends.send(&mut driver);
            let gone = results.iter().take_while(|result| result.is_sent()).count();
            assert!(results[gone..].iter().all(|result| *result == SendResult::Full), "in order");
            assert!(tries > 0 || gone < 50, "a buffer of 8 kB takes no 50 kB");
            sent += gone as u8;
            tries += 1;
            driver.wait(Some(Duration::from_millis(5))).unwrap();
        }
    });
}

fn connect() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let peer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    peer.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
    (listener.accept().unwrap().0, peer)
}

fn open(driver: &mut Driver, slot: u32) -> TcpStream {
    let (ours, peer) = connect();
    let connection = ConnectionSlot(slot);
    let socket = Some(ours.into());
    let id = ConnectionId(u64::from(slot));
    driver.perform(&mut vec![Operation::OpenConnection { connection, id, socket }]);
    peer
}

#[test]
fn input_arrives_unless_paused_and_ends_once() {
    let (mut driver, _) = driver();
    let mut peer = open(&mut driver, 3);
    let connection = ConnectionSlot(3);
    peer.write_all(b"OPTIONS").unwrap();
    assert_eq!(events(&mut driver, 1, 1000), [Told::Received(3, b"OPTIONS".to_vec())]);
    driver.perform(&mut vec![Operation::PauseInput { connection }]);
    peer.write_all(b" *").unwrap();
    assert_eq!(events(&mut driver, 1, 50), []);
    driver.perform(&mut vec![Operation::ResumeInput { connection }]);
    assert_eq!(events(&mut driver, 1, 1000), [Told::Received(3, b" *".to_vec())]);
    drop(peer);
    assert_eq!(events(&mut driver, 2, 50), [Told::Closed(3, None)]);
}

#[test]
fn a_stream_takes_what_fits_and_hurts_no_other() {
    let (mut driver, _) = driver();
    let mut stalled = open(&mut driver, 0);
    let mut reading = open(&mut driver, 1);
    let pattern = counting(60_000);
    let mut taken = Vec::new();
    let destination = |slot| Destination::Stream { connection: ConnectionSlot(slot) };
    let mut last = Vec::new();
    for _ in 0..2000 {
        let mut sends = Sends::default();
        for slot in [0, 0, 1, 0] {
            let pieces: Vec<&[u8]> = pattern.chunks(if slot == 1 { 60_000 } else { 17 }).collect();
            sends.push(destination(slot), &pieces[..if slot == 1 { 1 } else { 2000 }]);
        }
        last = sends.send(&mut driver);
        let mut full = false;
        for index in [0, 1, 3] {
            match last[index] {
                SendResult::Sent(bytes) => {
                    assert!(!full, "bytes behind others that did not fit: {last:?}");
                    full = bytes < 34_000;
                    taken.extend_from_slice(&pattern[..bytes as usize]);
                }
                SendResult::Full => full = true,
                SendResult::Failed(errno) => panic!("{errno}"),
            }
        }
        assert_eq!(last[2], SendResult::Sent(60_000));
        reading.read_exact(&mut vec![0; 60_000]).unwrap();
        if last[0] == SendResult::Full {
            break;
        }
    }
    assert_eq!(last[0], SendResult::Full, "{} bytes without an end", taken.len());
    assert!(driver.unacknowledged(ConnectionSlot(0)).unwrap() > 0);
    driver.perform(&mut vec![Operation::WatchWritable { connection: ConnectionSlot(0) }]);
    assert_eq!(events(&mut driver, 1, 50), []);
    let mut received = vec![0; taken.len()];
    stalled.read_exact(&mut received).unwrap();
    assert!(received == taken);
    assert_eq!(events(&mut driver, 1, 1000), [Told::Writable(0)]);
}

#[test]
fn a_connection_that_is_gone_fails_its_sends() {
    let (mut driver, _) = driver();
    let mut sends = Sends::default();
    sends.push(Destination::Stream { connection: ConnectionSlot(5) }, &[b"x"]);
    assert_eq!(sends.send(&mut driver), [SendResult::Failed(libc::EBADF)]);
    drop(open(&mut driver, 5));
    assert_eq!(events(&mut driver, 1, 1000), [Told::Closed(5, None)]);
    sends.send(&mut driver);
    // The first send was answered with a reset, and none raises a signal.
    let error = sends.send(&mut driver);
    assert!(matches!(error[..], [SendResult::Failed(libc::EPIPE | libc::ECONNRESET)]), "{error:?}");
}

#[test]
fn completions_of_a_former_connection_are_not_the_next_ones() {
    let (mut driver, _) = driver();
    let idle = driver.ring.under_way();
    let mut first = open(&mut driver, 0);
    let connection = ConnectionSlot(0);
    driver.perform(&mut vec![Operation::WatchWritable { connection }]);
    first.write_all(b"late").unwrap();
    // Both polls complete, but nobody looks before the slot has its next user.
    driver.wait(Some(Duration::from_millis(20))).unwrap();
    driver.perform(&mut vec![Operation::CloseConnection { connection }]);
    let mut second = open(&mut driver, 0);
    assert_eq!(events(&mut driver, 1, 50), []);
    assert_eq!(driver.ring.under_way(), idle + 1, "one poll, for the second's input");
    second.write_all(b"now").unwrap();
    assert_eq!(events(&mut driver, 1, 1000), [Told::Received(0, b"now".to_vec())]);
}

#[test]
fn nothing_is_told_of_a_connection_closed_in_answer_to_an_event() {
    let (mut driver, _) = driver();
    let mut peer = open(&mut driver, 0);
    // More than one receive call, and then the end.
    peer.write_all(&vec![7; 3 * INPUT_BYTES / 2]).unwrap();
    peer.shutdown(std::net::Shutdown::Write).unwrap();
    let mut told = 0;
    for _ in 0..5 {
        driver.wait(Some(Duration::from_millis(20))).unwrap();
        driver.poll(&mut Vec::new(), |event, operations| {
            assert!(matches!(event, Event::Received { .. }), "{event:?}");
            told += 1;
            operations.push(Operation::CloseConnection { connection: ConnectionSlot(0) });
        });
    }
    assert_eq!(told, 1);
    assert!(peer.read(&mut [0; 1]).map_or(true, |count| count == 0), "not closed");
}

#[test]
fn closing_lets_go_of_a_socket_that_is_polled() {
    let (mut driver, _) = driver();
    let idle = driver.ring.under_way();
    for n in 0..1000 {
        let slot = n % 7;
        let mut peer = open(&mut driver, slot);
        let connection = ConnectionSlot(slot);
        if n % 2 == 0 {
            driver.perform(&mut vec![Operation::WatchWritable { connection }]);
        }
        if n % 3 == 0 {
            driver.wait(Some(Duration::ZERO)).unwrap();
        }
        driver.perform(&mut vec![Operation::CloseConnection { connection }]);
        driver.wait(Some(Duration::from_millis(1))).unwrap();
        driver.poll(&mut Vec::new(), |event, _| panic!("{event:?}"));
        assert_eq!(peer.read(&mut [0; 1]).unwrap(), 0);
    }
    events(&mut driver, 1, 20);
    assert_eq!(driver.ring.under_way(), idle);
}

#[test]
fn datagrams_say_where_they_came_from() {
    let (mut driver, _) = driver();
    let rtp_port = driver.rtp_ports()[1];
    let viewer = receiver("127.0.0.1");
    let from = viewer.local_addr().unwrap();
    viewer.send_to(&[0; 3000], ("127.0.0.1", rtp_port)).unwrap();
    for n in 0..200_u8 {
        viewer.send_to(&[n; 40], ("127.0.0.1", rtp_port + 1)).unwrap();
    }
    let expected: Vec<_> =
        (0..200).map(|n| Told::Datagram(PairId(1), PairSocket::Rtcp, from, vec![n; 40])).collect();
    // The one of 3000 bytes is not RTCP, nor anything else of ours.
    assert_eq!(events(&mut driver, 201, 50), expected);
    if driver.sockets.is_dual_stack() {
        let viewer = receiver("::1");
        viewer.send_to(b"punch", ("::1", rtp_port)).unwrap();
        let from = viewer.local_addr().unwrap();
        let punch = Told::Datagram(PairId(1), PairSocket::Rtp, from, b"punch".to_vec());
        assert_eq!(events(&mut driver, 1, 1000), [punch]);
    }
}

#[test]
fn waking_the_mailbox_ends_a_wait_each_time() {
    let (mut driver, waker) = driver();
    let (ping, pong) = std::sync::mpsc::channel();
    let thread = std::thread::spawn(move || {
        for () in pong {
            waker.wake();
            waker.wake();
        }
    });
    for _ in 0..100 {
        ping.send(()).unwrap();
        driver.wait(Some(Duration::from_secs(10))).unwrap();
        assert!(!driver.ring.is_idle(), "slept through a wake-up");
        driver.poll(&mut Vec::new(), |event, _| panic!("{event:?}"));
        // The second wake-up may have come before or after the first was cleared.
        driver.wait(Some(Duration::from_millis(5))).unwrap();
        driver.poll(&mut Vec::new(), |event, _| panic!("{event:?}"));
    }
    drop(ping);
    thread.join().unwrap();
}
