//! How long connections may do what, and how many there may be.

use super::CLIENT;
use crate::clock::MonoTime;
use crate::config::Config;
use crate::control::OpenError;
use crate::control::testing::{Bench, Event, TCP, config, title, udp};
use crate::framing::Framer;
use crate::limits::{IDLE_CONNECTION_DEADLINE, REPLY_DEADLINE, REQUEST_DEADLINE};
use crate::mailbox::{CloseReason, Command, ConnectionId, Report};
use std::time::Duration;

const MOVIE: &str = "rtsp://h/movie.mp4";
const VIDEO: &str = "rtsp://h/movie.mp4/trackID=0";
const AUDIO: &str = "rtsp://h/movie.mp4/trackID=1";
const MOMENT: Duration = Duration::from_millis(1);

#[test]
fn an_idle_connection_without_a_session_is_closed() {
    let mut bench = Bench::new();
    bench.pass(IDLE_CONNECTION_DEADLINE - MOMENT);
    assert_eq!(bench.ask("OPTIONS", "*", &[]).status, 200);
    bench.pass(IDLE_CONNECTION_DEADLINE - MOMENT);
    assert!(bench.closed.is_empty(), "the request gave it time");
    bench.pass(MOMENT);
    assert!(bench.closed.contains(&CLIENT));
    assert!(bench.control.is_idle());
    assert_eq!(bench.control.deadline(), None);
}

#[test]
fn a_connection_with_a_session_may_be_idle_until_the_session_ends() {
    let mut bench = Bench::new();
    let session = format!("Session: {}", bench.ask("SETUP", VIDEO, &[udp(4000)]).session());
    bench.pass(IDLE_CONNECTION_DEADLINE * 10);
    assert!(bench.closed.is_empty());
    assert_eq!(bench.ask("TEARDOWN", MOVIE, &[&session]).status, 200);
    bench.pass(IDLE_CONNECTION_DEADLINE);
    assert!(bench.closed.contains(&CLIENT));
}

#[test]
fn a_connection_whose_session_went_to_another_is_idle() {
    let mut bench = Bench::new();
    let session = format!("Session: {}", bench.ask("SETUP", VIDEO, &[udp(4000)]).session());
    let other = ConnectionId(2);
    assert!(bench.connect(other, "192.0.2.1:2"));
    assert_eq!(bench.ask_on(other, "OPTIONS", "*", &[&session]).status, 200);
    bench.pass(IDLE_CONNECTION_DEADLINE);
    assert_eq!(bench.closed.iter().collect::<Vec<_>>(), [&CLIENT]);
}

#[test]
fn a_connection_whose_session_went_to_another_while_it_waited_is_idle() {
    let mut bench = Bench::new();
    let session = format!("Session: {}", bench.ask("SETUP", VIDEO, &[udp(4000)]).session());
    let other = ConnectionId(2);
    assert!(bench.connect(other, "192.0.2.1:2"));
    bench.hold_reports = true;
    bench.post(CLIENT, "SETUP", AUDIO, &[udp(4002), &session]);
    assert_eq!(bench.ask_on(other, "OPTIONS", "*", &[&session]).status, 200);
    bench.release();
    assert_eq!(bench.take_response(CLIENT).map(|response| response.status), Some(200));
    assert_eq!(bench.ask_on(other, "TEARDOWN", MOVIE, &[&session]).status, 200);
    bench.pass(IDLE_CONNECTION_DEADLINE);
    assert!(bench.control.is_idle(), "{:?} closed", bench.closed);
}

#[test]
fn a_request_must_be_whole_in_time_however_it_trickles() {
    let mut bench = Bench::new();
    let began = bench.now;
    for byte in b"OPTIONS * RT" {
        bench.send(CLIENT, &[*byte]);
        assert_eq!(bench.control.deadline(), Some(began + REQUEST_DEADLINE));
        bench.pass(Duration::from_millis(500));
    }
    bench.pass(REQUEST_DEADLINE);
    assert!(bench.closed.contains(&CLIENT));
}

#[test]
fn a_reply_must_be_read_in_time() {
    let mut bench = Bench::new();
    bench.hold_writes = true;
    bench.post(CLIENT, "OPTIONS", "*", &[]);
    assert!(!bench.control.wants_read(CLIENT));
    bench.pass(REPLY_DEADLINE - MOMENT);
    assert!(bench.closed.is_empty());
    bench.pass(MOMENT);
    assert!(bench.closed.contains(&CLIENT));
}

#[test]
fn what_is_no_request_is_refused_with_the_cseq_it_has_wherever_the_connection_is() {
    for (message, status, cseq) in [
        ("\x01\x02\r\n\r\n".to_owned(), 400, None),
        ("PLAY * RTSP/1.0\r\nCSeq: 7\r\nContent-Length: x\r\n\r\n".to_owned(), 400, Some("7")),
        ("PLAY * RTSP/1.0\r\nCSeq: 8\r\nContent-Length: 99999\r\n\r\n".to_owned(), 413, Some("8")),
        (format!("PLAY * RTSP/1.0\r\nCSeq: 9\r\n{}", "X: y\r\n".repeat(100)), 400, Some("9")),
        (format!("PLAY * RTSP/1.0\r\nX: {}\r\nCSeq: 9", "y".repeat(9000)), 400, None),
    ] {
        let mut bench = Bench::new();
        bench.send(CLIENT, message.as_bytes());
        let here = bench.take_response(CLIENT).unwrap();
        assert_eq!((here.status, here.header("CSeq")), (status, cseq), "{message:?}");
        assert!(bench.closed.contains(&CLIENT));

        let mut bench = Bench::new();
        assert_eq!(bench.ask("SETUP", VIDEO, &[TCP]).status, 200);
        let mut framer = Framer::new();
        framer.push(message.as_bytes());
        let error = framer.next().unwrap_err();
        let rejected = framer.rejected().to_vec().into();
        let report = Report::Unreadable { connection: CLIENT, error, rejected };
        bench.drive(|control, now, effects| control.report(now, 0, report, effects));
        assert_eq!(bench.take_response(CLIENT).unwrap().text, here.text);
        let commands = bench.events.iter().filter(|event| {
            matches!(event, Event::Command(Command::Reply { close: true, start: None, .. }))
        });
        assert_eq!(commands.count(), 1);
    }
}

#[test]
fn connections_are_limited_by_address_and_in_total() {
    let config = Config { connections_max: 3, connections_per_address_max: 2, ..config() };
    let mut bench = Bench::with(config, 1);
    for (id, peer, is_admitted) in [
        (2, "192.0.2.1:2", true),
        (3, "192.0.2.1:3", false),
        (4, "192.0.2.4:1", true),
        (5, "192.0.2.5:1", false),
    ] {
        assert_eq!(bench.connect(ConnectionId(id), peer), is_admitted, "{peer}");
    }
    bench.drive(|control, now, effects| control.closed(now, ConnectionId(2), effects));
    assert!(bench.connect(ConnectionId(6), "192.0.2.5:1"));
}

#[test]
fn pipelined_requests_are_answered_one_by_one_in_order() {
    let mut bench = Bench::new();
    let mut text = String::new();
    for cseq in 1..=20 {
        let request = if cseq % 2 == 0 { "OPTIONS *" } else { "DESCRIBE rtsp://h/movie.mp4" };
        text += &format!("{request} RTSP/1.0\r\nCSeq: {cseq}\r\n\r\n");
    }
    bench.hold_writes = true;
    bench.send(CLIENT, text.as_bytes());
    for cseq in 1..=20 {
        let response = bench.take_response(CLIENT).unwrap();
        assert_eq!(response.header("CSeq"), Some(cseq.to_string().as_str()));
        assert!(bench.take_response(CLIENT).is_none(), "one reply under way");
        bench.drive(|control, now, effects| control.written(now, CLIENT, effects));
    }
    assert!(bench.control.wants_read(CLIENT));
}

#[test]
fn an_adopted_connection_counts_until_its_shard_closes_it() {
    let config = Config { connections_max: 1, ..config() };
    let mut bench = Bench::with(config, 1);
    let session = format!("Session: {}", bench.ask("SETUP", VIDEO, &[TCP]).session());
    assert!(!bench.connect(ConnectionId(2), "192.0.2.2:1"));
    assert_eq!(bench.ask("TEARDOWN", MOVIE, &[&session]).status, 200);
    let closed = Report::ConnectionClosed { connection: CLIENT, reason: CloseReason::Peer(None) };
    bench.drive(|control, now, effects| control.report(now, 0, closed, effects));
    assert!(bench.control.is_idle());
    assert!(bench.connect(ConnectionId(2), "192.0.2.2:1"));
}

#[test]
fn a_title_that_many_ask_for_is_opened_once() {
    let mut bench = Bench::new();
    bench.hold_opens = true;
    for id in 2..10 {
        assert!(bench.connect(ConnectionId(id), "192.0.2.1:1"));
        bench.post(ConnectionId(id), "DESCRIBE", MOVIE, &[]);
    }
    assert_eq!(bench.opens.len(), 1);
    bench.drive(|control, now, effects| control.closed(now, ConnectionId(2), effects));
    bench.release();
    assert!(bench.take_response(ConnectionId(2)).is_none());
    for id in 3..10 {
        assert_eq!(bench.take_response(ConnectionId(id)).unwrap().status, 200);
    }
}

#[test]
fn a_title_is_looked_at_again_after_a_second_and_replaced_if_its_file_was() {
    let mut bench = Bench::new();
    assert_eq!(bench.ask("DESCRIBE", MOVIE, &[]).status, 200);
    bench.hold_opens = true;
    assert_eq!(bench.ask("DESCRIBE", MOVIE, &[]).status, 200, "from the cache");
    bench.now = bench.now + Duration::from_secs(1);
    bench.post(CLIENT, "DESCRIBE", MOVIE, &[]);
    assert!(bench.opens[0].cached.is_some(), "the worker compares");
    bench.titles.insert("movie.mp4".to_owned(), Ok(title("movie.mp4", 9, true)));
    bench.release();
    let description = bench.take_response(CLIENT).unwrap().body;
    assert_eq!(description.matches("m=").count(), 1, "{description}");

    bench.now = bench.now + Duration::from_secs(1);
    bench.titles.insert("movie.mp4".to_owned(), Err(OpenError::NotFound));
    assert_eq!(bench.ask("DESCRIBE", MOVIE, &[]).status, 404);
}

#[test]
fn a_title_without_room_for_its_index_is_refused_until_others_are_idle() {
    let bytes = title("movie.mp4", 1, false).index.bytes() as u64;
    // A quarter of the memory is for indexes: room for one of these and a half.
    let config = Config { memory_bytes: bytes * 6, ..config() };
    let mut bench = Bench::with(config, 1);
    for (name, source) in [("a.mp4", 11), ("b.mp4", 12)] {
        bench.titles.insert(name.to_owned(), Ok(title(name, source, false)));
    }
    assert_eq!(bench.ask("DESCRIBE", "rtsp://h/a.mp4", &[]).status, 200);
    // The test's own copy counts as use, as a session's would.
    assert_eq!(bench.ask("DESCRIBE", "rtsp://h/b.mp4", &[]).status, 503);
    bench.titles.remove("a.mp4");
    assert_eq!(bench.ask("DESCRIBE", "rtsp://h/b.mp4", &[]).status, 200);
}

#[test]
fn time_that_stands_still_closes_nothing() {
    let mut bench = Bench::new();
    let deadline = bench.control.deadline().unwrap();
    assert_eq!(deadline, MonoTime(1_000_000_000) + IDLE_CONNECTION_DEADLINE);
    bench.pass(Duration::ZERO);
    assert!(bench.closed.is_empty());
}
