//! The end of the program: every viewer is told, and it is no failure.

#![allow(clippy::unwrap_used, missing_docs)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpStream, UdpSocket};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::Duration;

/// Shards drain at different moments; each ends its thread when it has.
#[test]
fn sigint_ends_sessions_with_bye_and_the_program_with_success() {
    let took = end_by("-INT", "60s", 20_000);
    assert!(took < Duration::from_secs(5), "{took:?}");
}

#[test]
fn sigterm_lets_sessions_play_until_the_deadline() {
    let took = end_by("-TERM", "2s", 20_250);
    assert!((1..7).contains(&took.as_secs()), "{took:?}");
}

/// Who asks twice does not want to wait for the drain deadline.
#[test]
fn a_second_signal_ends_the_program_at_once() {
    for (first, second, code, port) in
        [("-TERM", "-INT", 130, 20_500), ("-TERM", "-TERM", 143, 20_750)]
    {
        let clock = server::clock::Clock::start();
        let (mut server, mut log, mut viewer) = serve_a_viewer("60s", port);
        signal(&server, first);
        // A signal that finds another of its kind waiting is lost.
        wait_for(&mut log, "ending with the last session");
        assert!(server.try_wait().unwrap().is_none(), "one is not enough while a viewer plays");
        let began = clock.now();
        signal(&server, second);
        assert_eq!(server.wait().unwrap().code(), Some(code), "{first}, {second}");
        assert!(clock.now() - began < Duration::from_secs(2));
        wait_for(&mut log, "ending at once");
        let mut rest = Vec::new();
        // The kernel closes the connection, with a reset if requests were left unread.
        let _ = viewer.read_to_end(&mut rest);
    }
}

/// Also over a connection that the server is reading at that moment.
#[test]
fn sigterm_sends_viewers_elsewhere_and_the_server_ends_with_the_last() {
    let mut server = start("60s", 21_000, &["--redirect-to", "rtsp://other/all/"]);
    let mut log = BufReader::new(server.stderr.take().unwrap());
    let line = wait_for(&mut log, "listening on rtsp://");
    let address = line.split_once("listening on rtsp://").unwrap().1.trim_end_matches('/');
    let url = "rtsp://h/sample.mp4";
    let transports = ["RTP/AVP;unicast;client_port=4000-4001", "RTP/AVP/TCP;interleaved=0-1"];
    let mut viewers = transports.map(|transport| {
        let mut viewer = TcpStream::connect(address).unwrap();
        viewer.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let set_up = format!(
            "SETUP {url}/trackID=0 RTSP/1.0\r\nCSeq: 1\r\nUser-Agent: GStreamer/1.22.0\r\n\
             Transport: {transport}\r\n\r\n"
        );
        let reply = ask(&mut viewer, &set_up);
        let session = reply.split("Session: ").nth(1).unwrap().split(';').next().unwrap();
        (viewer, session.to_owned())
    });
    signal(&server, "-TERM");
    for (viewer, session) in &mut viewers {
        let request = ask(viewer, "");
        assert!(request.starts_with("REDIRECT rtsp://h/sample.mp4 RTSP/1.0\r\n"), "{request}");
        for line in [
            "Location: rtsp://other/all/sample.mp4",
            "Range: npt=0.000-",
            &format!("Session: {session}"),
        ] {
            assert!(request.contains(&format!("\r\n{line}\r\n")), "{line}: {request}");
        }
        let again = ask(
            viewer,
            &format!(
                "RTSP/1.0 200 OK\r\nCSeq: 1\r\n\r\nDESCRIBE {url} RTSP/1.0\r\nCSeq: 2\r\n\r\n"
            ),
        );
        assert!(again.starts_with("RTSP/1.0 302 Moved Temporarily\r\nCSeq: 2\r\n"), "{again}");
        assert!(again.contains("\r\nLocation: rtsp://other/all/sample.mp4\r\n"), "{again}");
    }
    let mut late = TcpStream::connect(address).unwrap();
    let elsewhere = ask(&mut late, &format!("DESCRIBE {url} RTSP/1.0\r\nCSeq: 1\r\n\r\n"));
    assert!(elsewhere.starts_with("RTSP/1.0 302 Moved Temporarily\r\nCSeq: 1\r\n"), "{elsewhere}");
    for (viewer, session) in &mut viewers {
        let goodbye = format!("TEARDOWN {url} RTSP/1.0\r\nCSeq: 3\r\nSession: {session}\r\n\r\n");
        assert!(ask(viewer, &goodbye).starts_with("RTSP/1.0 200 OK\r\n"));
    }
    assert!(server.wait().unwrap().success());
}

/// Ends the server by a signal while a viewer plays; how long that took.
fn end_by(signal_name: &str, drain_deadline: &str, port: u16) -> Duration {
    let clock = server::clock::Clock::start();
    let (mut server, mut log, mut viewer) = serve_a_viewer(drain_deadline, port);
    let mut media = Vec::new();
    let began = clock.now();
    signal(&server, signal_name);
    viewer.read_to_end(&mut media).unwrap();
    // The last part of the last compound packet: one source, BYE (RFC 3550 §6.6).
    assert_eq!(media[media.len() - 8..][..4], [0x81, 203, 0, 1]);
    let mut rest = String::new();
    log.read_to_string(&mut rest).unwrap();
    assert!(server.wait().unwrap().success(), "{rest}");
    assert!(!rest.contains("ERROR"), "{rest}");
    let ended = rest.lines().find(|line| line.contains("session ended")).unwrap();
    assert!(ended.contains("reason=\"server drained\" seconds_played="), "{ended}");
    clock.now() - began
}

fn signal(server: &Child, name: &str) {
    let id = server.id().to_string();
    assert!(Command::new("kill").args([name, &id]).status().unwrap().success());
}

/// A server, its log, and a viewer to whom it plays.
fn serve_a_viewer(drain_deadline: &str, port: u16) -> (Child, BufReader<ChildStderr>, TcpStream) {
    let mut server = start(drain_deadline, port, &[]);
    let mut log = BufReader::new(server.stderr.take().unwrap());
    let line = wait_for(&mut log, "listening on rtsp://");
    let address = line.split_once("listening on rtsp://").unwrap().1;
    let mut viewer = TcpStream::connect(address.trim_end_matches('/')).unwrap();
    viewer.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let url = "rtsp://h/sample.mp4";
    let set_up = format!(
        "SETUP {url}/trackID=0 RTSP/1.0\r\nCSeq: 1\r\n\
         User-Agent: Player \"é\" 1\r\n\
         Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n\r\n"
    );
    let reply = ask(&mut viewer, &set_up);
    let opened = wait_for(&mut log, "session opened");
    let peer = viewer.local_addr().unwrap();
    let who = format!(r#"peer={peer} agent="Player \"é\" 1" title="sample.mp4" transport="TCP""#);
    assert!(opened.contains(&who), "{opened}");
    let session = reply.split("Session: ").nth(1).unwrap().split(';').next().unwrap();
    let play = format!("PLAY {url} RTSP/1.0\r\nCSeq: 2\r\nSession: {session}\r\n\r\n");
    assert!(ask(&mut viewer, &play).starts_with("RTSP/1.0 200 OK"));

    // Who has not been sent anything is not told BYE (RFC 3550 §6.3.7).
    let mut media = vec![0; 100];
    viewer.read_exact(&mut media).unwrap();
    (server, log, viewer)
}

fn start(drain_deadline: &str, port: u16, more: &[&str]) -> Child {
    let is_free = |port: u16| UdpSocket::bind(("0.0.0.0", port)).is_ok();
    let first = (port..port + 250).step_by(4).find(|first| (*first..first + 4).all(is_free));
    let first = first.expect("free ports");
    Command::new(env!("CARGO_BIN_EXE_reelring"))
        .args(["serve", "--media", concat!(env!("CARGO_MANIFEST_DIR"), "/sample")])
        .args(["--listen", "127.0.0.1:0", "--rtp-ports", &format!("{first}-{}", first + 3)])
        .args(["--drain-deadline", drain_deadline])
        .args(more)
        .args(["--shards", "2", "--memory", "128MiB", "--log-format", "plain"])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// The next line of the log that says this.
fn wait_for(log: &mut impl BufRead, what: &str) -> String {
    let mut lines = log.lines().map(Result::unwrap);
    lines.find(|line| line.contains(what)).unwrap_or_else(|| panic!("nothing of {what:?}"))
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
