//! Connections that hang, half-send, do not read and die, by the thousand: descriptors end where
//! they began. Alone in its process, because it counts.

#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use server::uring::{Resource, raise_limit};
use socket2::SockRef;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;
use support::Server;

const ROUNDS: usize = 10;
const AT_ONCE: usize = 1000;

#[test]
fn ten_thousand_rude_connections_leave_no_descriptor() {
    let limit = raise_limit(Resource::Descriptors).unwrap();
    assert!(limit >= 4096, "this test needs 4096 descriptors and may have {limit}");
    let server = Server::start(2000);
    // The first request opens the title, the first interleaved session the shard's tables.
    round(server.address, 20);
    let before = settled(usize::MAX);
    for _ in 0..ROUNDS {
        round(server.address, AT_ONCE);
    }
    assert_eq!(settled(before), before);
    // Whatever they did, the next viewer is served.
    let mut client = TcpStream::connect(server.address).unwrap();
    client.write_all(DESCRIBE).unwrap();
    assert!(read_some(&mut client).starts_with("RTSP/1.0 200 OK"));
    drop(client);
    server.stop();
}

/// Connections that are all open at once, and then die in every way.
fn round(address: SocketAddr, count: usize) {
    let mut clients: Vec<TcpStream> =
        (0..count).map(|_| TcpStream::connect(address).unwrap()).collect();
    for (number, client) in clients.iter_mut().enumerate() {
        match number % 8 {
            0 => {} // hangs
            1 => client.write_all(b"OPTIONS * RTSP/1.0\r\nCS").unwrap(),
            2 => client.write_all(b"POST / HTTP/1.1\r\n\r\n\x80\x80").unwrap(),
            3 => client.write_all(&DESCRIBE.repeat(50)).unwrap(), // does not read
            4 => {
                client.write_all(SETUP).unwrap();
                assert!(read_some(client).starts_with("RTSP/1.0 200 OK"));
                // The shard has it now; and dies there, in the middle of a request.
                client.write_all(b"PLAY rtsp://h/sam").unwrap();
            }
            5 => client.write_all(SETUP).unwrap(), // dies while it is set up
            6 => client.shutdown(std::net::Shutdown::Write).unwrap(),
            _ => client.write_all(b"$\0\0\x04abcd$\x01\xff").unwrap(),
        }
    }
    for (number, client) in clients.into_iter().enumerate() {
        if number % 3 == 0 {
            // A reset instead of an end.
            SockRef::from(&client).set_linger(Some(Duration::ZERO)).unwrap();
        }
    }
}

/// The number of open descriptors, once it is `expected` or has not changed for a while.
fn settled(expected: usize) -> usize {
    let mut last = descriptors();
    let mut unchanged = 0;
    while last != expected && unchanged < 20 {
        std::thread::park_timeout(Duration::from_millis(50));
        let now = descriptors();
        unchanged = if now == last { unchanged + 1 } else { 0 };
        last = now;
    }
    last
}

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

fn read_some(client: &mut TcpStream) -> String {
    client.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let mut buffer = [0; 4096];
    let count = client.read(&mut buffer).unwrap();
    String::from_utf8_lossy(&buffer[..count]).into_owned()
}

const DESCRIBE: &[u8] = b"DESCRIBE rtsp://h/sample.mp4 RTSP/1.0\r\nCSeq: 1\r\n\r\n";
const SETUP: &[u8] = b"SETUP rtsp://h/sample.mp4/trackID=0 RTSP/1.0\r\nCSeq: 1\r\n\
    Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n\r\n";
