//! The end of the program: every viewer is told, and it is no failure.

#![allow(clippy::unwrap_used, missing_docs)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpStream, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Shards drain at different moments; each ends its thread when it has.
#[test]
fn sigint_ends_sessions_with_bye_and_the_program_with_success() {
    let took = end_by("-INT", "60s", 36_000);
    assert!(took < Duration::from_secs(5), "{took:?}");
}

#[test]
fn sigterm_lets_sessions_play_until_the_deadline() {
    let took = end_by("-TERM", "2s", 37_000);
    assert!((1..7).contains(&took.as_secs()), "{took:?}");
}

/// Ends the server by a signal while a viewer plays; how long that took.
fn end_by(signal: &str, drain_deadline: &str, port: u16) -> Duration {
    let clock = server::clock::Clock::start();
    let mut server = start(drain_deadline, port);
    let mut log = BufReader::new(server.stderr.take().unwrap());
    let address = listening(&mut log);
    let mut viewer = TcpStream::connect(address).unwrap();
    viewer.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let url = "rtsp://h/sample.mp4";
    let set_up = format!(
        "SETUP {url}/trackID=0 RTSP/1.0\r\nCSeq: 1\r\n\
         Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n\r\n"
    );
    let reply = ask(&mut viewer, &set_up);
    let session = reply.split("Session: ").nth(1).unwrap().split(';').next().unwrap();
    let play = format!("PLAY {url} RTSP/1.0\r\nCSeq: 2\r\nSession: {session}\r\n\r\n");
    assert!(ask(&mut viewer, &play).starts_with("RTSP/1.0 200 OK"));

    // Who has not been sent anything is not told BYE (RFC 3550 §6.3.7).
    let mut media = vec![0; 100];
    viewer.read_exact(&mut media).unwrap();
    let began = clock.now();
    let killed = Command::new("kill").args([signal, &server.id().to_string()]).status().unwrap();
    assert!(killed.success());
    viewer.read_to_end(&mut media).unwrap();
    // The last part of the last compound packet: one source, BYE (RFC 3550 §6.6).
    assert_eq!(media[media.len() - 8..][..4], [0x81, 203, 0, 1]);
    let mut rest = String::new();
    log.read_to_string(&mut rest).unwrap();
    assert!(server.wait().unwrap().success(), "{rest}");
    assert!(!rest.contains("ERROR"), "{rest}");
    assert!(rest.contains("reason=\"server drained\""), "{rest}");
    clock.now() - began
}

fn start(drain_deadline: &str, port: u16) -> Child {
    let is_free = |port: u16| UdpSocket::bind(("0.0.0.0", port)).is_ok();
    let first = (port..port + 1000).step_by(4).find(|first| (*first..first + 4).all(is_free));
    let first = first.expect("free ports");
    Command::new(env!("CARGO_BIN_EXE_reelring"))
        .args(["serve", "--media", concat!(env!("CARGO_MANIFEST_DIR"), "/sample")])
        .args(["--listen", "127.0.0.1:0", "--rtp-ports", &format!("{first}-{}", first + 3)])
        .args(["--drain-deadline", drain_deadline])
        .args(["--shards", "2", "--memory", "128MiB", "--log-format", "plain"])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// The address that the log says is listened on.
fn listening(log: &mut impl BufRead) -> String {
    for line in log.lines() {
        let line = line.unwrap();
        if let Some((_, address)) = line.split_once("listening on rtsp://") {
            return address.trim_end_matches('/').to_owned();
        }
    }
    panic!("it does not listen");
}

/// The head of the reply; what follows it stays unread.
fn ask(connection: &mut TcpStream, request: &str) -> String {
    connection.write_all(request.as_bytes()).unwrap();
    let mut reply = Vec::new();
    while !reply.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        connection.read_exact(&mut byte).unwrap();
        reply.push(byte[0]);
    }
    String::from_utf8(reply).unwrap()
}
