//! REDIRECT to viewers whose client is known to answer it (RFC 2326 §10.10).

use super::CLIENT;
use crate::config::{Config, ProfileName};
use crate::control::testing::{Bench, TCP, config, udp};
use crate::mailbox::ConnectionId;

const VIDEO: &str = "rtsp://me:secret@h:8554/movie.mp4/trackID=0";
const GSTREAMER: &str = "User-Agent: GStreamer/1.22.0";

fn bench(profiles_off: Vec<ProfileName>) -> Bench {
    let redirect_to = Some("rtsp://other:554/all/".parse().unwrap());
    Bench::with(Config { redirect_to, profiles_off, ..config() }, 1)
}

fn retire(bench: &mut Bench) -> Vec<(ConnectionId, String)> {
    bench.drive(|control, _, effects| control.retire(effects));
    let asked = bench.asked.drain(..);
    asked.map(|(id, bytes)| (id, String::from_utf8(bytes.to_vec()).unwrap())).collect()
}

fn request(session: &str, cseq: u64) -> String {
    format!(
        "REDIRECT rtsp://h:8554/movie.mp4 RTSP/1.0\r\nCSeq: {cseq}\r\nSession: {session}\r\n\
         Location: rtsp://other:554/all/movie.mp4\r\nRange: npt=4.000-\r\n\r\n"
    )
}

#[test]
fn gstreamer_is_sent_elsewhere_when_the_server_retires_and_others_play_on() {
    for (agent, transport, off, is_asked) in [
        (GSTREAMER, udp(4000), vec![], true),
        (GSTREAMER, TCP, vec![], true),
        (GSTREAMER, udp(4000), vec![ProfileName::Gstreamer], false),
        ("User-Agent: Lavf59.27.100", udp(4000), vec![], false),
        ("User-Agent: LibVLC/3.0.18 (LIVE555 Streaming Media v2016)", TCP, vec![], false),
        ("X: GStreamer/1.22.0", udp(4000), vec![], false),
    ] {
        let mut bench = bench(off);
        let session = bench.ask("SETUP", VIDEO, &[transport, agent]).session();
        let asked = retire(&mut bench);
        let expected = is_asked.then(|| (CLIENT, request(&session, 1)));
        assert_eq!(asked, Vec::from_iter(expected), "{agent} {transport}");
        assert!(retire(&mut bench).is_empty(), "told once");
        // Whether it answers or not, it plays on until it leaves or the server ends.
        if !bench.adopted.contains_key(&CLIENT) {
            bench.send(CLIENT, b"RTSP/1.0 200 OK\r\nCSeq: 1\r\n\r\n");
            assert!(bench.take_response(CLIENT).is_none());
        }
        let session = format!("Session: {session}");
        let url = "rtsp://h:8554/movie.mp4";
        assert_eq!(bench.ask("PLAY", url, &[&session]).status, 200);
        assert_eq!(bench.ask("TEARDOWN", url, &[&session]).status, 200);
    }
}

#[test]
fn nobody_is_asked_without_anywhere_to_go() {
    let mut bench = Bench::new();
    assert_eq!(bench.ask("SETUP", VIDEO, &[udp(4000), GSTREAMER]).status, 200);
    assert!(retire(&mut bench).is_empty());
    assert!(bench.take_commands().iter().all(|it| !format!("{it:?}").contains("Inspect")));
}

#[test]
fn a_client_is_not_asked_in_the_middle_of_a_reply() {
    let mut bench = bench(vec![]);
    let session = bench.ask("SETUP", VIDEO, &[udp(4000), GSTREAMER]).session();
    bench.hold_writes = true;
    bench.post(CLIENT, "OPTIONS", "*", &[]);
    assert!(retire(&mut bench).is_empty());
    bench.drive(|control, now, effects| control.written(now, CLIENT, effects));
    let asked: Vec<_> = bench.asked.drain(..).collect();
    assert_eq!(asked, [(CLIENT, request(&session, 1).into())]);
}

#[test]
fn each_session_is_sent_elsewhere_where_it_is_controlled() {
    let mut bench = bench(vec![]);
    let first = bench.ask("SETUP", VIDEO, &[udp(4000), GSTREAMER]).session();
    let second = bench.ask("SETUP", VIDEO, &[udp(4002), GSTREAMER]).session();
    let other = ConnectionId(2);
    bench.connect(other, "192.0.2.1:50001");
    let header = format!("Session: {second}");
    assert_eq!(bench.ask_on(other, "OPTIONS", "*", &[&header]).status, 200);
    // And one whose connection is gone.
    let third = ConnectionId(3);
    bench.connect(third, "192.0.2.1:50002");
    let third_offer = "Transport: RTP/AVP;unicast;client_port=4004-4005";
    assert_eq!(bench.ask_on(third, "SETUP", VIDEO, &[third_offer, GSTREAMER]).status, 200);
    bench.drive(|control, now, effects| control.closed(now, third, effects));
    let asked = retire(&mut bench);
    assert_eq!(asked, [(CLIENT, request(&first, 1)), (other, request(&second, 2))]);
}

#[test]
fn who_comes_to_a_server_that_retires_is_sent_elsewhere_or_away() {
    let late = ConnectionId(9);
    let mut bench = bench(vec![]);
    let session = bench.ask("SETUP", VIDEO, &[udp(4000)]).session();
    retire(&mut bench);
    assert!(bench.connect(late, "192.0.2.1:50001"));
    for (method, url, header, expected) in [
        ("DESCRIBE", "rtsp://h:8554/movie.mp4", "X: y".to_owned(), 302),
        ("SETUP", VIDEO, udp(4002).to_owned(), 302),
        ("OPTIONS", "*", "X: y".to_owned(), 200),
        // It is here that this session plays.
        ("PAUSE", "rtsp://h:8554/movie.mp4", format!("Session: {session}"), 200),
    ] {
        let response = bench.ask_on(late, method, url, &[&header]);
        assert_eq!(response.status, expected, "{method}");
    }
    bench.drive(|control, _, effects| control.drain(effects));
    assert!(!bench.connect(ConnectionId(10), "192.0.2.1:50002"), "nobody any more");

    let mut bench = Bench::new();
    retire(&mut bench);
    assert!(!bench.connect(late, "192.0.2.1:50001"), "nowhere to go");
}
