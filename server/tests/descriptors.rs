//! Connections come and go, and leave no descriptor behind. Alone in its process, because it
//! counts.

#![allow(clippy::unwrap_used)]

use bytes::Bytes;
use packetizer::image::Bursts;
use server::clock::Clock;
use server::mailbox::{AdoptedConnection, Command, ConnectionId, Direction, Report};
use server::runtime::mailbox_queue::mailbox;
use server::runtime::shard_loop;
use server::shard::{Shard, ShardConfig};
use server::uring::{Driver, DriverLimits, PairSockets, Waker};
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

const CONNECTIONS: u64 = 3000;
const AT_ONCE: u64 = 50;

#[test]
fn connections_that_half_send_and_die_leave_nothing() {
    let woken = Waker::new().unwrap();
    let (control, shard_end) = mailbox(1024, 1024, woken.clone()).unwrap();
    let thread = std::thread::spawn(move || {
        let sockets = (32_300..34_000)
            .step_by(2)
            .find_map(|port| PairSockets::bind(port..=port + 1).ok())
            .expect("free ports");
        let limits = DriverLimits {
            blocks: 64,
            register_blocks: false,
            sources_max: 64,
            reads_max: 64,
            connections_max: 64,
        };
        let driver = Driver::new(sockets, shard_end.waker(), limits).unwrap();
        let clock = Clock::start();
        let config = shard_config(driver.rtp_ports());
        shard_loop::run(Shard::new(config, clock.wallclock()), shard_end, driver, clock)
    });
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let mut before = None;
    let mut id = 0;
    while id < CONNECTIONS {
        let mut closed = 0;
        let mut clients = Vec::new();
        for _ in 0..AT_ONCE {
            let mut client = TcpStream::connect(address).unwrap();
            let (socket, peer) = listener.accept().unwrap();
            let id = ConnectionId(id);
            let unparsed = Bytes::from_static(if id.0.is_multiple_of(2) { b"" } else { b"SETUP" });
            let socket = Some(socket.into());
            control
                .try_send(Command::Adopt(AdoptedConnection {
                    id,
                    socket,
                    peer,
                    unparsed,
                    direction: Direction::Both,
                }))
                .unwrap();
            client.write_all(if id.0.is_multiple_of(3) { b" rtsp://x RTSP" } else { b"" }).unwrap();
            clients.push(client);
        }
        id += AT_ONCE;
        drop(clients);
        while closed < AT_ONCE {
            match control.receive() {
                // No answer to what is no RTSP: the client is gone.
                Some(Report::Unreadable { .. }) => {}
                Some(report) => closed += closed_one(&report),
                None => woken.clear(),
            }
        }
        // Past the first round, which makes the ring and the tables.
        before.get_or_insert_with(|| {
            pause();
            descriptors()
        });
    }
    let before = before.unwrap();
    for _ in 0..100 {
        if descriptors() > before {
            pause();
        }
    }
    assert_eq!(descriptors(), before);
    control.try_send(Command::Drain).unwrap();
    thread.join().unwrap().unwrap();
}

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

/// Gives the shard time to enter the kernel, where the last sockets close.
fn pause() {
    std::thread::park_timeout(Duration::from_millis(50));
}

fn closed_one(report: &Report) -> u64 {
    assert!(matches!(report, Report::ConnectionClosed { .. }), "{report:?}");
    1
}

fn shard_config(rtp_ports: &[u16]) -> ShardConfig {
    ShardConfig {
        rtp_ports: rtp_ports.to_vec(),
        sessions_max: 16,
        streams_max: 32,
        image_bytes_max: 1 << 20,
        read_blocks: 64,
        session_timeout: Duration::from_secs(30),
        coalescing: Duration::from_millis(4),
        launch_ahead: Duration::ZERO,
        interleaved_ahead: Duration::ZERO,
        bursts: Bursts::default(),
        cname: "test".to_owned(),
        seed: 7,
        first_numbers: None,
    }
}
