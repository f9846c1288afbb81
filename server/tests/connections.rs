//! Connections that hang, half-send and die leave nothing behind.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "helpers of tests are tests")]

mod support;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use std::collections::BTreeMap;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr, TcpStream};
use std::ops::Range;
use std::time::Duration;
use support::titles::{self, PLAYABLE};
use support::{Server, alone, poll};
use tools::client::{Lower, RtspClient, server_address};
use tools::socket::unconnected;

const CONNECTIONS: usize = 10_000;
/// Descriptors that this process needs besides.
const DESCRIPTORS_SPARE: u64 = 200;
/// What the server may hold more than before: tables that keep their size for the next crowd.
const KEPT_BYTES_MAX: u64 = 6 << 20;
const ROUNDS: usize = 3;

#[test]
fn connections_that_hang_and_die_leave_nothing_behind() {
    let _alone = alone();
    let wave = CONNECTIONS.min(raise_descriptor_limit());
    let title = &PLAYABLE[0];
    title.make();
    let server = Server::start(&titles::directory(), &["--max-connections", "12000"]);
    let url = server.url(title.name);
    // The first viewers open the title and what a shard keeps for the next.
    rude_wave(&url, 0..100);
    support::pause(Duration::from_secs(2));
    let idle = server.descriptors();
    let mut memory = vec![server.resident_bytes()];
    for _ in 0..ROUNDS {
        for first in (0..CONNECTIONS).step_by(wave) {
            rude_wave(&url, first..CONNECTIONS.min(first + wave));
        }
        let left = poll(Duration::from_secs(20), || {
            let now = server.descriptors();
            (now <= idle).then_some(now)
        });
        assert_eq!(left, Some(idle), "still open: {:#?}", open_files(&server));
        let back = poll(Duration::from_secs(5), || {
            let now = server.resident_bytes();
            (now < memory[0] + KEPT_BYTES_MAX).then_some(now)
        });
        memory.push(back.unwrap_or_else(|| server.resident_bytes()));
    }
    println!("resident bytes before and after each round: {memory:?}");
    assert!(memory.iter().all(|bytes| *bytes < memory[0] + KEPT_BYTES_MAX), "{memory:?}");
    let mut client = RtspClient::connect(&url, None).unwrap();
    assert!(client.options().unwrap().contains(&"PLAY".to_owned()));
}

/// Opens a wave of connections that misbehave, sees that a good client is served meanwhile, and
/// lets all of them die.
fn rude_wave(url: &str, numbers: Range<usize>) {
    let server = server_address(url).unwrap();
    let mut rude = Vec::new();
    for number in numbers {
        // From several addresses, as the server limits connections by address.
        let octet = |shift: usize| u8::try_from((number >> shift) & 0x3f).unwrap() + 1;
        let address = IpAddr::V4(Ipv4Addr::new(127, 2, octet(12), octet(6)));
        rude.push(misbehave(number, url, server, address));
    }
    let mut client = RtspClient::connect(url, None).unwrap();
    let presentation = client.describe().unwrap();
    client.setup(&presentation.media[0], Lower::Tcp).unwrap();
    client.play(Some("npt=0-")).unwrap();
    assert!(client.next_arrival(Duration::from_secs(2)).unwrap().is_some());
    client.teardown().unwrap();
    for (number, connection) in rude.iter().enumerate() {
        if number % 2 == 0 {
            // Dies with a reset instead of an orderly end.
            let socket = socket2::SockRef::from(connection);
            socket.set_linger(Some(Duration::ZERO)).unwrap();
        }
    }
}

fn misbehave(number: usize, url: &str, server: SocketAddr, address: IpAddr) -> TcpStream {
    let socket = unconnected(server, Some(address)).unwrap();
    socket.connect(&server.into()).unwrap();
    let mut connection = TcpStream::from(socket);
    let mut send = |text: &str| connection.write_all(text.as_bytes()).unwrap();
    let transport = "Transport: RTP/AVP/TCP;unicast;interleaved=0-1";
    let setup = format!("SETUP {url}/trackID=0 RTSP/1.0\r\nCSeq: 1\r\n{transport}\r\n\r\n");
    match number % 16 {
        // Half-sends: a method, a head without end, a body that does not come, half a frame.
        0 => send("OPTIO"),
        1 => send(&format!("DESCRIBE {url} RTSP/1.0\r\nCSeq: 1\r\nAccept:")),
        2 => send(&format!("SET_PARAMETER {url} RTSP/1.0\r\nContent-Length: 9000\r\n\r\nhalf")),
        3 => send("$\0\x10\0half a frame"),
        // Speaks another protocol.
        4 => send("POST / HTTP/1.1\r\n\r\n\x7f\x01"),
        // Asks and asks, and does not read.
        5 => send(&format!("DESCRIBE {url} RTSP/1.0\r\nCSeq: 1\r\n\r\n").repeat(50)),
        // Says it has no more to say.
        6 => connection.shutdown(Shutdown::Write).unwrap(),
        // Dies while its stream is being set up.
        7 => send(&setup),
        // Dies in the middle of a request, on the shard that has adopted it.
        8 => {
            send(&setup);
            session(&mut connection);
            connection.write_all(b"PLAY rtsp://").unwrap();
        }
        // Plays, interleaved, and does not read what comes.
        9 => {
            send(&setup);
            let session = session(&mut connection);
            let play = format!("PLAY {url} RTSP/1.0\r\nCSeq: 2\r\nSession: {session}\r\n\r\n");
            connection.write_all(play.as_bytes()).unwrap();
        }
        // Hangs.
        _ => {}
    }
    connection
}

/// The session in the reply to SETUP.
fn session(connection: &mut TcpStream) -> String {
    let mut reply = [0; 1024];
    let length = connection.read(&mut reply).unwrap();
    let reply = String::from_utf8_lossy(&reply[..length]).into_owned();
    let session = reply.lines().find_map(|line| line.strip_prefix("Session: "));
    session.unwrap_or_else(|| panic!("{reply}")).split(';').next().unwrap().to_owned()
}

/// What is open, without the numbers that tell sockets apart.
fn open_files(server: &Server) -> BTreeMap<String, usize> {
    let mut open = BTreeMap::new();
    for entry in fs::read_dir(format!("/proc/{}/fd", server.pid())).unwrap().flatten() {
        let Ok(target) = fs::read_link(entry.path()) else { continue };
        let kind = target.to_string_lossy().split('[').next().unwrap_or_default().to_owned();
        *open.entry(kind).or_default() += 1;
    }
    open
}

/// Raises the soft limit to the hard one and says how many connections fit.
fn raise_descriptor_limit() -> usize {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard).unwrap();
    usize::try_from(hard - DESCRIPTORS_SPARE).unwrap()
}
