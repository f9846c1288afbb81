//! HTTP tunnels: their halves, what goes through them, what ends them, what is refused.

use crate::config::Config;
use crate::control::testing::{Bench, TCP, config, udp};
use crate::control::{Port, Unread};
use crate::framing::{Framer, Message};
use crate::limits::{
    IDLE_CONNECTION_DEADLINE, REQUEST_DEADLINE, TUNNEL_DEADLINE, TUNNEL_INPUTS_MAX,
    TUNNEL_TAKEOVER_DEADLINE,
};
use crate::mailbox::{CloseReason, Command, ConnectionId, Direction, Report};
use base64::prelude::{BASE64_STANDARD, Engine as _};
use std::time::Duration;

const MOVIE: &str = "rtsp://h/movie.mp4";
const VIDEO: &str = "rtsp://h/movie.mp4/trackID=0";
const PEER: &str = "192.0.2.1:50001";
const STRANGER: &str = "192.0.2.2:50001";
const GET: ConnectionId = ConnectionId(10);
const POST: ConnectionId = ConnectionId(11);
const NEXT_POST: ConnectionId = ConnectionId(12);
const MOMENT: Duration = Duration::from_millis(1);
const GET_HEAD: &str = "GET /movie.mp4 HTTP/1.0\r\nx-sessioncookie: c00k1e\r\n\
    Accept: application/x-rtsp-tunnelled\r\n\r\n";
const POST_HEAD: &str = "POST /movie.mp4 HTTP/1.0\r\nx-sessioncookie: c00k1e\r\n\
    Content-Type: application/x-rtsp-tunnelled\r\nContent-Length: 32767\r\n\r\n";

fn request(cseq: u32, method: &str, url: &str, headers: &[&str]) -> String {
    let headers: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
    format!("{method} {url} RTSP/1.0\r\nCSeq: {cseq}\r\n{headers}\r\n")
}

fn encoded(text: &str) -> String {
    BASE64_STANDARD.encode(text)
}

/// What an HTTP response begins with.
fn status_line(bench: &mut Bench, id: ConnectionId) -> String {
    let bytes = bench.replies.remove(&id).unwrap_or_default();
    String::from_utf8(bytes).unwrap().lines().next().unwrap_or_default().to_owned()
}

fn close(bench: &mut Bench, id: ConnectionId) {
    bench.drive(|control, now, effects| control.closed(now, id, effects));
}

/// A bench with a GET that has been answered.
fn with_get() -> Bench {
    let mut bench = Bench::new();
    assert!(bench.connect(GET, PEER));
    bench.send(GET, GET_HEAD.as_bytes());
    assert_eq!(status_line(&mut bench, GET), "HTTP/1.0 200 OK");
    bench
}

/// A bench with a tunnel.
fn with_tunnel() -> Bench {
    let mut bench = with_get();
    assert!(bench.connect(POST, PEER));
    bench.send(POST, POST_HEAD.as_bytes());
    bench
}

/// Asks by the POST of a tunnel; the status of the reply by the GET.
fn ask(bench: &mut Bench, post: ConnectionId, request: &str) -> u16 {
    assert!(bench.control.wants_read(post));
    bench.send(post, encoded(request).as_bytes());
    bench.take_response(GET).unwrap_or_else(|| panic!("no reply to {request}")).status
}

#[test]
fn a_get_is_answered_as_quicktime_wants_it() {
    let mut bench = Bench::new();
    assert!(bench.connect(GET, PEER));
    bench.send(GET, GET_HEAD.as_bytes());
    let reply = String::from_utf8(bench.replies.remove(&GET).unwrap()).unwrap();
    for part in [
        "HTTP/1.0 200 OK\r\n",
        "\r\nContent-Type: application/x-rtsp-tunnelled\r\n",
        "\r\nCache-Control: no-store\r\n",
        "\r\nPragma: no-cache\r\n",
        "\r\nConnection: close\r\n",
        "\r\nDate: Tue, 14 Nov 2023 22:13:20 GMT\r\n",
    ] {
        assert!(reply.contains(part), "{part:?} in {reply}");
    }
    assert!(reply.ends_with("\r\n\r\n"));
    assert!(!bench.control.wants_read(GET));
    assert_eq!(bench.control.wants_end(GET), Some(Unread::Drop));
}

#[test]
fn requests_come_by_the_post_and_replies_leave_by_the_get_whichever_opens_first() {
    let options = request(1, "OPTIONS", "*", &[]);
    let describe = request(2, "DESCRIBE", MOVIE, &[]);
    let body = format!("{}\r\n{}", encoded(&options), encoded(&describe));
    let get = (GET, GET_HEAD.to_owned());
    let post = (POST, format!("{POST_HEAD}{body}"));
    for order in [[&get, &post], [&post, &get]] {
        let mut bench = Bench::new();
        for (id, bytes) in order {
            assert!(bench.connect(*id, PEER));
            bench.send(*id, bytes.as_bytes());
        }
        let http = bench.replies.get_mut(&GET).unwrap();
        let head = http.windows(4).position(|bytes| bytes == b"\r\n\r\n").unwrap() + 4;
        assert!(http.drain(..head).as_slice().starts_with(b"HTTP/1.0 200 OK\r\n"));
        for cseq in ["1", "2"] {
            let response = bench.take_response(GET).unwrap();
            assert_eq!((response.status, response.header("CSeq")), (200, Some(cseq)));
        }
        assert_eq!(bench.replies.get(&POST), None, "a POST gets no response");
        assert!(bench.control.wants_read(POST), "and is read on");
    }
}

#[test]
fn a_post_cut_anywhere_asks_the_same() {
    let text = request(1, "OPTIONS", "*", &[]) + &request(2, "SETUP", VIDEO, &[udp(4000)]);
    let post = format!("{POST_HEAD}{}\r\n", encoded(&text));
    for at in 1..post.len() {
        let mut bench = with_get();
        assert!(bench.connect(POST, PEER));
        for part in [&post[..at], &post[at..]] {
            bench.send(POST, part.as_bytes());
        }
        for _ in 0..2 {
            assert_eq!(bench.take_response(GET).map(|it| it.status), Some(200), "cut at {at}");
        }
        assert_eq!(bench.control.session_shards(), [0], "cut at {at}");
    }
}

#[test]
fn the_stream_goes_on_in_the_next_post() {
    let text = encoded(&request(1, "OPTIONS", "*", &[]));
    for at in 0..=text.len() {
        let mut bench = with_tunnel();
        bench.send(POST, &text.as_bytes()[..at]);
        close(&mut bench, POST);
        assert!(!bench.closed.contains(&GET));
        assert!(bench.connect(NEXT_POST, PEER));
        bench.send(NEXT_POST, POST_HEAD.as_bytes());
        bench.send(NEXT_POST, &text.as_bytes()[at..]);
        assert_eq!(bench.take_response(GET).map(|it| it.status), Some(200), "cut at {at}");
        assert_eq!(ask(&mut bench, NEXT_POST, &request(2, "OPTIONS", "*", &[])), 200);
    }
}

#[test]
fn the_next_post_waits_for_the_end_of_the_one_before() {
    let text = encoded(&request(1, "OPTIONS", "*", &[]));
    let (first, second) = text.split_at(13);
    for ends_itself in [true, false] {
        let mut bench = with_tunnel();
        assert!(bench.connect(NEXT_POST, PEER));
        bench.send(NEXT_POST, format!("{POST_HEAD}{second}").as_bytes());
        assert!(!bench.control.wants_read(NEXT_POST) && bench.control.wants_read(POST));
        bench.send(POST, first.as_bytes());
        assert!(bench.take_response(GET).is_none());
        bench.pass(TUNNEL_TAKEOVER_DEADLINE - MOMENT);
        assert!(bench.closed.is_empty());
        if ends_itself {
            close(&mut bench, POST);
        } else {
            bench.pass(MOMENT);
            assert!(bench.closed.contains(&POST));
        }
        assert_eq!(bench.take_response(GET).map(|it| it.status), Some(200));
        assert!(bench.resumed.contains(&NEXT_POST) && bench.control.wants_read(NEXT_POST));
    }
}

/// As when their heads overtake each other.
#[test]
fn a_post_that_ends_while_it_waits_for_its_turn_takes_over_nothing() {
    let mut bench = with_tunnel();
    assert!(bench.connect(NEXT_POST, PEER));
    bench.send(NEXT_POST, POST_HEAD.as_bytes());
    assert_eq!(bench.control.wants_end(NEXT_POST), Some(Unread::Keep));
    assert_eq!(bench.control.wants_end(POST), None, "it is read");
    close(&mut bench, NEXT_POST);
    bench.pass(TUNNEL_TAKEOVER_DEADLINE * 2);
    assert!(bench.closed.is_empty());
    // One that has said something has not ended before that is read.
    assert!(bench.connect(NEXT_POST, PEER));
    bench.send(NEXT_POST, format!("{POST_HEAD}T1BU").as_bytes());
    assert_eq!(bench.control.wants_end(NEXT_POST), None);
}

#[test]
fn a_post_has_not_ended_while_its_tunnel_is_busy() {
    let mut bench = with_tunnel();
    bench.hold_opens = true;
    bench.send(POST, encoded(&request(1, "DESCRIBE", MOVIE, &[])).as_bytes());
    assert!(bench.connect(NEXT_POST, PEER));
    bench.send(NEXT_POST, POST_HEAD.as_bytes());
    for _ in 0..3 {
        bench.pass(TUNNEL_TAKEOVER_DEADLINE);
    }
    assert!(bench.closed.is_empty());
    bench.release();
    assert_eq!(bench.take_response(GET).map(|it| it.status), Some(200));
    bench.pass(TUNNEL_TAKEOVER_DEADLINE);
    assert!(bench.closed.contains(&POST));
}

#[test]
fn interleaved_media_takes_both_halves_to_the_shard() {
    let mut bench = with_tunnel();
    let begun = encoded(&request(2, "OPTIONS", "*", &[]));
    let set_up = encoded(&request(1, "SETUP", VIDEO, &[TCP]));
    bench.send(POST, format!("{set_up}{}", &begun[..5]).as_bytes());
    let response = bench.take_response(GET).unwrap();
    assert_eq!(response.status, 200);
    assert!(!bench.control.wants_read(POST) && bench.control.wants_end(GET).is_none());
    let [(output, get_direction, unparsed), (input, post_direction, nothing)] =
        &bench.adoptions[..]
    else {
        panic!("{:?}", bench.adoptions)
    };
    assert_eq!((*output, *input, &nothing[..]), (GET, POST, &b""[..]));
    assert_eq!(*post_direction, Direction::Input { of: GET });
    let Direction::Output(decoder) = *get_direction else { panic!("{get_direction:?}") };
    let mut framer = Framer::with_unparsed(unparsed.clone().into()).decoding(decoder);
    framer.push(&begun.as_bytes()[5..]);
    let expected = request(2, "OPTIONS", "*", &[]);
    assert_eq!(framer.next(), Ok(Some(Message::Request(expected.as_bytes()))));

    // A POST that comes later follows as it is, once the shard has lost the one before.
    assert!(bench.connect(NEXT_POST, PEER));
    bench.send(NEXT_POST, format!("{POST_HEAD}T1BU").as_bytes());
    assert_eq!(bench.adoptions.len(), 2);
    bench.take_commands();
    bench.pass(TUNNEL_TAKEOVER_DEADLINE);
    let commands = bench.take_commands();
    assert!(matches!(commands[..], [Command::Close { connection: POST }]), "{commands:?}");
    let closed = Report::ConnectionClosed { connection: POST, reason: CloseReason::Server };
    bench.drive(|control, now, effects| control.report(now, 0, closed, effects));
    let direction = Direction::Input { of: GET };
    assert_eq!(bench.adoptions[2..], [(NEXT_POST, direction, b"T1BU".to_vec())]);

    // The shard closes what it has.
    for connection in [GET, NEXT_POST] {
        let closed = Report::ConnectionClosed { connection, reason: CloseReason::Peer(None) };
        bench.drive(|control, now, effects| control.report(now, 0, closed, effects));
    }
    assert!(bench.closed.is_empty());
    let session = format!("Session: {}", response.session());
    assert_eq!(bench.ask("TEARDOWN", MOVIE, &[&session]).status, 200);
}

#[test]
fn a_post_that_waits_when_the_tunnel_is_adopted_follows_it() {
    let mut bench = with_tunnel();
    assert!(bench.connect(NEXT_POST, PEER));
    bench.send(NEXT_POST, format!("{POST_HEAD}QUJD").as_bytes());
    assert_eq!(ask(&mut bench, POST, &request(1, "SETUP", VIDEO, &[TCP])), 200);
    let closed = Report::ConnectionClosed { connection: POST, reason: CloseReason::Peer(None) };
    bench.drive(|control, now, effects| control.report(now, 0, closed, effects));
    let ids: Vec<_> = bench.adoptions.iter().map(|(id, ..)| *id).collect();
    assert_eq!(ids, [GET, POST, NEXT_POST]);
    assert_eq!(bench.adoptions[2].2, b"QUJD");
}

#[test]
fn one_half_without_the_other_is_closed_in_time() {
    for (id, head) in [(GET, GET_HEAD), (POST, POST_HEAD)] {
        let mut bench = Bench::new();
        assert!(bench.connect(id, PEER));
        bench.send(id, head.as_bytes());
        bench.pass(TUNNEL_DEADLINE - MOMENT);
        assert!(bench.closed.is_empty());
        bench.pass(MOMENT);
        assert!(bench.closed.contains(&id));
        bench.pass(IDLE_CONNECTION_DEADLINE);
        assert!(bench.control.is_idle());
    }
}

#[test]
fn no_post_waits_for_long_whoever_else_does() {
    let mut bench = Bench::new();
    for post in [POST, NEXT_POST] {
        assert!(bench.connect(post, PEER));
        bench.send(post, POST_HEAD.as_bytes());
        bench.pass(TUNNEL_DEADLINE / 2);
    }
    assert_eq!(bench.closed.iter().collect::<Vec<_>>(), [&POST]);
    bench.pass(TUNNEL_DEADLINE / 2);
    assert!(bench.closed.contains(&NEXT_POST));
    bench.pass(IDLE_CONNECTION_DEADLINE);
    assert!(bench.control.is_idle());
}

#[test]
fn a_tunnel_has_the_deadlines_of_a_connection() {
    let mut bench = with_tunnel();
    bench.pass(IDLE_CONNECTION_DEADLINE - MOMENT);
    assert!(!bench.closed.contains(&GET), "the POST has come");
    bench.pass(MOMENT);
    assert!(bench.closed.contains(&GET) && bench.closed.contains(&POST));

    let mut bench = with_tunnel();
    for symbol in ["T1", "BU", "S", "U", "9"] {
        bench.send(POST, symbol.as_bytes());
        bench.pass(REQUEST_DEADLINE / 5);
    }
    assert!(bench.closed.is_empty());
    bench.pass(REQUEST_DEADLINE / 5);
    assert!(bench.closed.contains(&GET) && bench.closed.contains(&POST));

    let mut bench = with_tunnel();
    assert_eq!(ask(&mut bench, POST, &request(1, "SETUP", VIDEO, &[udp(4000)])), 200);
    close(&mut bench, POST);
    bench.pass(IDLE_CONNECTION_DEADLINE * 10);
    assert!(!bench.closed.contains(&GET), "it has a session");
}

#[test]
fn a_tunnel_ends_with_its_get() {
    let mut bench = with_tunnel();
    assert_eq!(ask(&mut bench, POST, &request(1, "SETUP", VIDEO, &[udp(4000)])), 200);
    assert!(bench.connect(NEXT_POST, PEER));
    bench.send(NEXT_POST, POST_HEAD.as_bytes());
    close(&mut bench, GET);
    assert_eq!(bench.closed.iter().collect::<Vec<_>>(), [&POST, &NEXT_POST]);
    // Its cookie is free again.
    let again = ConnectionId(20);
    assert!(bench.connect(again, PEER));
    bench.send(again, GET_HEAD.as_bytes());
    assert_eq!(status_line(&mut bench, again), "HTTP/1.0 200 OK");
}

#[test]
fn what_opens_nothing_is_told_so_and_closed() {
    let cookie = "x-sessioncookie: c00k1e";
    let long = format!("x-sessioncookie: {}", "c".repeat(1000));
    for (head, headers, status_line_expected) in [
        ("GET / HTTP/1.1", "Host: h", "HTTP/1.0 404 Not Found"),
        ("GET / HTTP/1.1", "x-sessioncookie: a b", "HTTP/1.0 400 Bad Request"),
        ("GET / HTTP/1.1", &long, "HTTP/1.0 400 Bad Request"),
        ("POST / HTTP/1.1", "Host: h", "HTTP/1.0 400 Bad Request"),
        ("POST / HTTP/1.1", "Content-Length: much", "HTTP/1.0 400 Bad Request"),
        ("HEAD / HTTP/1.1", cookie, "HTTP/1.0 405 Method Not Allowed"),
        ("PRI * HTTP/2.0", "Host: h", "HTTP/1.0 405 Method Not Allowed"),
    ] {
        let mut bench = Bench::new();
        assert!(bench.connect(GET, PEER));
        bench.send(GET, format!("{head}\r\n{headers}\r\n\r\n").as_bytes());
        assert_eq!(status_line(&mut bench, GET), status_line_expected, "{head} {headers}");
        assert!(bench.closed.contains(&GET), "{head} {headers}");
        bench.pass(IDLE_CONNECTION_DEADLINE);
        assert!(bench.control.is_idle());
    }
}

#[test]
fn http_behind_rtsp_opens_nothing() {
    let mut bench = Bench::new();
    assert!(bench.connect(GET, PEER));
    bench.send(GET, request(1, "OPTIONS", "*", &[]).as_bytes());
    assert_eq!(bench.take_response(GET).unwrap().status, 200);
    bench.send(GET, GET_HEAD.as_bytes());
    assert_eq!(bench.take_response(GET).unwrap().status, 405);
    assert!(bench.closed.contains(&GET));
    // Nor does HTTP inside of a tunnel.
    let mut bench = with_tunnel();
    assert_eq!(ask(&mut bench, POST, GET_HEAD), 405);
    assert!(bench.closed.contains(&GET) && bench.closed.contains(&POST));
}

#[test]
fn a_tunnel_belongs_to_one_address_and_has_one_get_and_few_posts() {
    let mut bench = with_tunnel();
    let late = ConnectionId(20);
    for (head, peer, expected) in [
        (POST_HEAD, STRANGER, "HTTP/1.0 403 Forbidden"),
        (GET_HEAD, STRANGER, "HTTP/1.0 403 Forbidden"),
        (GET_HEAD, PEER, "HTTP/1.0 400 Bad Request"),
    ] {
        assert!(bench.connect(late, peer));
        bench.send(late, head.as_bytes());
        assert_eq!(status_line(&mut bench, late), expected);
        assert!(bench.closed.remove(&late));
    }
    for post in 1..TUNNEL_INPUTS_MAX as u64 {
        assert!(bench.connect(ConnectionId(20 + post), PEER));
        bench.send(ConnectionId(20 + post), POST_HEAD.as_bytes());
    }
    assert!(bench.connect(late, PEER));
    bench.send(late, POST_HEAD.as_bytes());
    assert_eq!(status_line(&mut bench, late), "HTTP/1.0 503 Service Unavailable");
    assert_eq!(ask(&mut bench, POST, &request(1, "OPTIONS", "*", &[])), 200, "all is well");
}

#[test]
fn what_is_not_base64_is_refused_behind_the_replies_before_it() {
    let mut bench = with_tunnel();
    let text = encoded(&request(1, "OPTIONS", "*", &[]));
    bench.send(POST, format!("{text}OPTIONS * RTSP/1.0").as_bytes());
    assert_eq!(bench.take_response(GET).unwrap().status, 200);
    assert_eq!(bench.take_response(GET).unwrap().status, 400);
    assert!(bench.closed.contains(&GET) && bench.closed.contains(&POST));
}

#[test]
fn the_http_port_answers_http_alone() {
    for (bytes, expected) in [
        (GET_HEAD.to_owned(), "HTTP/1.0 200 OK"),
        (request(1, "OPTIONS", "*", &[]), "HTTP/1.0 400 Bad Request"),
        ("\x16\x03\x01".to_owned(), "HTTP/1.0 400 Bad Request"),
        ("GET / HTTP/1.1\r\n\r\n".to_owned(), "HTTP/1.0 404 Not Found"),
    ] {
        let config = Config { connections_max: 2, ..config() };
        let mut bench = Bench::with(config, 1);
        let (peer, local) = (PEER.parse().unwrap(), "192.0.2.100:80".parse().unwrap());
        let now = bench.now;
        let connected = bench.control.connected(now, GET, peer, local, Port::Http);
        assert_eq!(connected, Ok(()));
        let refused = bench.control.connected(now, POST, peer, local, Port::Http).unwrap_err();
        assert!(refused.starts_with(b"HTTP/1.0 503 Service Unavailable\r\n"));
        bench.send(GET, bytes.as_bytes());
        assert_eq!(status_line(&mut bench, GET), expected, "{bytes:?}");
    }
}

#[test]
fn what_a_client_says_behind_its_get_is_nothing() {
    let mut bench = with_tunnel();
    bench.send(GET, b"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n");
    assert!(bench.take_response(GET).is_none());
    assert_eq!(ask(&mut bench, POST, &request(2, "OPTIONS", "*", &[])), 200);
}

#[test]
fn the_log_tells_sessions_in_tunnels_from_others() {
    let mut bench = with_tunnel();
    let lines = super::logs::logged(|| {
        assert_eq!(ask(&mut bench, POST, &request(1, "SETUP", VIDEO, &[TCP])), 200);
    });
    assert!(lines.contains("transport=\"HTTP\""), "{lines}");
}
