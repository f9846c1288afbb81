//! HTTP tunnels over real sockets: what clients do with their halves, and what is left of it.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "helpers of tests are tests")]

mod support;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::Duration;
use support::held::nothing_held;
use support::titles::{self, LONG};
use support::tunnel::{Tunnel, http_head};
use support::{Random, Server, pause};
use tools::client::{RtspClient, server_address};

const TCP: &str = "Transport: RTP/AVP/TCP;unicast;interleaved=0-1";
const SECOND_TCP: &str = "Transport: RTP/AVP/TCP;unicast;interleaved=2-3";
/// How soon the end of a client is noticed.
const NOTICED: Duration = Duration::from_secs(3);

fn serve(arguments: &[&str]) -> (Server, String, SocketAddr) {
    LONG.make();
    let server = Server::start(&titles::directory(), arguments);
    let url = server.url(LONG.name);
    let address = server_address(&url).unwrap();
    (server, url, address)
}

/// Sets up both streams of the title, interleaved; the session's header.
fn set_up(tunnel: &mut Tunnel, url: &str) -> String {
    let reply = tunnel.ask("SETUP", &format!("{url}/trackID=0"), &[TCP]);
    assert_eq!(reply.status, 200);
    let session = format!("Session: {}", reply.session.unwrap());
    let second = tunnel.ask("SETUP", &format!("{url}/trackID=1"), &[SECOND_TCP, &session]);
    assert_eq!(second.status, 200);
    session
}

/// Sequence numbers of each channel follow each other.
fn assert_no_gaps(packets: &[(u8, u16)]) {
    for channel in [0, 2] {
        let of_it = packets.iter().filter(|(other, _)| *other == channel);
        let numbers: Vec<u16> = of_it.map(|(_, sequence)| *sequence).collect();
        assert!(numbers.len() > 10, "{} packets on channel {channel}", numbers.len());
        assert!(numbers.windows(2).all(|pair| pair[1] == pair[0].wrapping_add(1)), "{numbers:?}");
    }
}

/// A request comes in up to four POSTs, cut anywhere: before the shard has the tunnel, while it
/// takes it, and after.
#[test]
fn a_session_goes_on_through_many_posts() {
    let (server, url, address) = serve(&[]);
    let mut random = Random::new();
    let mut tunnel = Tunnel::open(address, "many");
    tunnel.open_post();
    let ask = |tunnel: &mut Tunnel, random: &mut Random, method: &str, headers: &[&str]| {
        let url = if method == "SETUP" { format!("{url}/trackID=0") } else { url.clone() };
        let encoded = tunnel.encode(method, &url, headers);
        let mut rest = encoded.as_bytes();
        for _ in 0..random.below(4) {
            let at = random.below(1 + rest.len() as u64);
            let (part, after) = rest.split_at(usize::try_from(at).unwrap());
            tunnel.send(part);
            tunnel.close_post();
            tunnel.open_post();
            rest = after;
        }
        tunnel.send(rest);
        tunnel.reply()
    };
    assert_eq!(ask(&mut tunnel, &mut random, "DESCRIBE", &[]).status, 200);
    let session = ask(&mut tunnel, &mut random, "SETUP", &[TCP]).session.unwrap();
    let session = format!("Session: {session}");
    for start in [0, 20, 5] {
        let range = format!("Range: npt={start}-");
        assert_eq!(ask(&mut tunnel, &mut random, "PLAY", &[&session, &range]).status, 200);
        tunnel.wait_for_packets(tunnel.packets.len() + 20);
        assert_eq!(ask(&mut tunnel, &mut random, "PAUSE", &[&session]).status, 200);
    }
    assert!(tunnel.packets.windows(2).all(|pair| pair[1].1 == pair[0].1.wrapping_add(1)));
    assert_eq!(ask(&mut tunnel, &mut random, "TEARDOWN", &[&session]).status, 200);
    drop(tunnel);
    nothing_held(&server, NOTICED);
}

/// What it said is read once the GET is there, and nobody spins meanwhile.
#[test]
fn a_post_may_come_and_go_before_the_get() {
    let (server, _, address) = serve(&[]);
    for pauses in [true, false] {
        let mut post = TcpStream::connect(address).unwrap();
        post.write_all(b"POST / HTTP/1.0\r\nx-sessioncookie: early\r\n\r\n").unwrap();
        if pauses {
            pause(Duration::from_millis(100));
        }
        let options = BASE64_STANDARD.encode("OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n");
        post.write_all(options.as_bytes()).unwrap();
        drop(post);
        // Others are served as before.
        let mut other = Tunnel::open(address, "other");
        other.open_post();
        assert_eq!(other.ask("OPTIONS", "*", &[]).status, 200);
        let busy = cpu_ticks(&server);
        pause(Duration::from_millis(500));
        assert!(cpu_ticks(&server) - busy < 20, "of the 50 there were");
        let mut tunnel = Tunnel::open(address, "early");
        assert_eq!(tunnel.encode("OPTIONS", "*", &[]), options);
        assert_eq!(tunnel.reply().status, 200);
    }
    nothing_held(&server, NOTICED);
}

/// Processor time that the server has taken, in hundredths of a second.
fn cpu_ticks(server: &Server) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", server.pid())).unwrap();
    let fields = stat.rsplit(") ").next().unwrap().split(' ').skip(11).take(2);
    fields.map(|ticks| ticks.parse::<u64>().unwrap()).sum()
}

#[test]
fn media_flows_without_a_post_and_ends_with_the_get() {
    let (server, url, address) = serve(&[]);
    let mut tunnel = Tunnel::open(address, "alone");
    tunnel.open_post();
    let session = set_up(&mut tunnel, &url);
    assert_eq!(tunnel.ask("PLAY", &url, &[&session]).status, 200);
    tunnel.close_post();
    tunnel.wait_for_packets(150);
    assert_no_gaps(&tunnel.packets);
    drop(tunnel);
    nothing_held(&server, NOTICED);
    let mut other = RtspClient::connect(&url, None).unwrap();
    let (name, id) = session.split_once(": ").unwrap();
    assert_eq!(other.request("TEARDOWN", &url, &[(name, id)]).unwrap().status, 454);
}

#[test]
fn a_session_over_udp_is_controlled_through_a_tunnel() {
    let (server, url, address) = serve(&["--session-timeout", "5s"]);
    let mut tunnel = Tunnel::open(address, "datagrams");
    tunnel.open_post();
    let (rtp, port) = udp_pair();
    let transport = format!("Transport: RTP/AVP;unicast;client_port={port}-{}", port + 1);
    let reply = tunnel.ask("SETUP", &format!("{url}/trackID=0"), &[&transport]);
    assert!(reply.transport.unwrap().contains("server_port="));
    let session = format!("Session: {}", reply.session.unwrap());
    assert_eq!(tunnel.ask("PLAY", &url, &[&session]).status, 200);
    rtp.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
    let mut packet = [0; 2048];
    assert!(rtp.recv(&mut packet).unwrap() > 12);
    // The session lives on while the tunnel has no POST, and when it has none at all.
    tunnel.close_post();
    pause(Duration::from_millis(300));
    tunnel.open_post();
    assert_eq!(tunnel.ask("PAUSE", &url, &[&session]).status, 200);
    drop(tunnel);
    let mut other = Tunnel::open(address, "again");
    other.open_post();
    assert_eq!(other.ask("TEARDOWN", &url, &[&session]).status, 200);
    drop(other);
    nothing_held(&server, NOTICED);
}

#[test]
fn halves_that_go_leave_nothing_at_once() {
    let (server, url, address) = serve(&[]);
    // The title stays open.
    let mut first = Tunnel::open(address, "first");
    first.open_post();
    set_up(&mut first, &url);
    drop(first);
    nothing_held(&server, NOTICED);
    let idle = server.descriptors();
    let lone = Tunnel::open(address, "lone");
    let mut whole = Tunnel::open(address, "whole");
    whole.open_post();
    assert_eq!(whole.ask("OPTIONS", &url, &[]).status, 200);
    // One that was never answered: its request never ends.
    let mut broken = Tunnel::open(address, "broken");
    broken.open_post();
    broken.send(b"T1BUSU9OUw");
    let mut adopted = Tunnel::open(address, "adopted");
    adopted.open_post();
    set_up(&mut adopted, &url);
    assert_eq!(server.descriptors(), idle + 7);
    drop((lone, whole, broken, adopted));
    let left = support::poll(NOTICED, || {
        let now = server.descriptors();
        (now <= idle).then_some(now)
    });
    assert_eq!(left, Some(idle));
    nothing_held(&server, NOTICED);
}

#[test]
fn what_is_not_base64_is_refused_wherever_the_tunnel_is() {
    let (server, url, address) = serve(&[]);
    for is_adopted in [false, true] {
        let mut tunnel = Tunnel::open(address, "noise");
        tunnel.open_post();
        if is_adopted {
            set_up(&mut tunnel, &url);
        }
        let encoded = tunnel.encode("OPTIONS", "*", &[]);
        tunnel.send(format!("{encoded}OPTIONS * RTSP/1.0\r\n\r\n").as_bytes());
        assert_eq!(tunnel.reply().status, 200);
        assert!(tunnel.ends());
    }
    nothing_held(&server, NOTICED);
}

#[test]
fn the_http_port_answers_tunnels_and_says_so_to_others() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let listen = format!("127.0.0.1:{port}");
    let (server, url, rtsp_address) = serve(&["--http-listen", &listen]);
    let address = listen.parse().unwrap();
    let mut tunnel = Tunnel::open(address, "port");
    tunnel.open_post();
    let session = set_up(&mut tunnel, &url);
    assert_eq!(tunnel.ask("PLAY", &url, &[&session]).status, 200);
    tunnel.wait_for_packets(50);
    for (address, request, status_line) in [
        (address, "GET / HTTP/1.1\r\nHost: h\r\n\r\n", "HTTP/1.0 404 Not Found\r\n"),
        (address, "HEAD / HTTP/1.1\r\nHost: h\r\n\r\n", "HTTP/1.0 405 Method Not Allowed\r\n"),
        (address, "OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n", "HTTP/1.0 400 Bad Request\r\n"),
        (address, "\x16\x03\x01\0\x05", "HTTP/1.0 400 Bad Request\r\n"),
        (rtsp_address, "GET / HTTP/1.1\r\nHost: h\r\n\r\n", "HTTP/1.0 404 Not Found\r\n"),
    ] {
        let mut client = TcpStream::connect(address).unwrap();
        client.set_read_timeout(Some(NOTICED)).unwrap();
        client.write_all(request.as_bytes()).unwrap();
        let head = http_head(&mut client);
        assert!(head.starts_with(status_line), "{request:?}: {head}");
        let mut body = String::new();
        client.read_to_string(&mut body).unwrap();
        let length = format!("\r\nContent-Length: {}\r\n", body.len());
        assert!(head.contains(&length), "{head}{body}");
    }
    drop(tunnel);
    nothing_held(&server, NOTICED);
}

/// A socket at an even port whose neighbour is free.
fn udp_pair() -> (UdpSocket, u16) {
    for port in (40_000..50_000).step_by(2) {
        let pair = [port, port + 1].map(|port| UdpSocket::bind(("127.0.0.1", port)));
        if let [Ok(rtp), Ok(_)] = pair {
            return (rtp, port);
        }
    }
    panic!("no pair of ports is free");
}
