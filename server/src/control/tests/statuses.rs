//! Which wrong request gets which status.

use crate::control::testing::{Bench, TCP, udp};

const MOVIE: &str = "rtsp://h/movie.mp4";
const VIDEO: &str = "rtsp://h/movie.mp4/trackID=0";

#[test]
fn requests_without_a_session() {
    let udp = udp(4000);
    let unknown = "Session: 00000000000000000000000000000000";
    for (method, url, headers, status) in [
        ("OPTIONS", "*", vec![], 200),
        ("OPTIONS", MOVIE, vec![], 200),
        ("OPTIONS", MOVIE, vec![unknown], 454),
        ("DESCRIBE", MOVIE, vec![], 200),
        ("DESCRIBE", MOVIE, vec!["Accept: text/html, application/sdp"], 200),
        ("DESCRIBE", MOVIE, vec!["Accept: application/*"], 200),
        ("DESCRIBE", MOVIE, vec!["Accept: text/html"], 406),
        ("DESCRIBE", "*", vec![], 404),
        ("DESCRIBE", VIDEO, vec![], 404),
        ("DESCRIBE", "rtsp://h/missing.mp4", vec![], 404),
        ("DESCRIBE", "rtsp://h/../movie.mp4", vec![], 404),
        ("DESCRIBE", "rtsp://h/.hidden.mp4", vec![], 404),
        ("DESCRIBE", "rtsp://h/%2e%2e/etc/passwd", vec![], 404),
        ("DESCRIBE", "rtsp://h/a%00b", vec![], 404),
        ("DESCRIBE", "rtsp://h/", vec![], 404),
        ("DESCRIBE", "rtsp://h/notes.txt", vec![], 415),
        ("DESCRIBE", "rtsp://h/broken.mp4", vec![], 500),
        ("DESCRIBE", MOVIE, vec!["Require: www.onvif.org/ver20/backchannel"], 551),
        ("DESCRIBE", "http://h/movie.mp4", vec![], 400),
        ("SETUP", VIDEO, vec![udp], 200),
        ("SETUP", VIDEO, vec![TCP], 200),
        ("SETUP", "rtsp://h/silent.mp4", vec![udp], 200),
        ("SETUP", "rtsp://h/silent.mp4/", vec![udp], 200),
        ("SETUP", MOVIE, vec![udp], 459),
        ("SETUP", VIDEO, vec![], 400),
        ("SETUP", VIDEO, vec!["Transport: nonsense"], 400),
        ("SETUP", VIDEO, vec!["Transport: RTP/AVP;unicast"], 461),
        ("SETUP", VIDEO, vec!["Transport: RTP/AVP;multicast"], 461),
        ("SETUP", VIDEO, vec!["Transport: RTP/SAVP;unicast;client_port=4000-4001"], 461),
        ("SETUP", VIDEO, vec!["Transport: RTP/AVP;unicast;client_port=4000-4001;mode=record"], 461),
        (
            "SETUP",
            VIDEO,
            vec!["Transport: RTP/AVP;unicast;client_port=4000-4001;destination=198.51.100.9"],
            461,
        ),
        (
            "SETUP",
            VIDEO,
            vec!["Transport: RTP/AVP;unicast;client_port=4000-4001;destination=192.0.2.1"],
            200,
        ),
        ("SETUP", "rtsp://h/movie.mp4/trackID=7", vec![udp], 404),
        ("SETUP", "rtsp://h/missing.mp4/trackID=0", vec![udp], 404),
        ("SETUP", VIDEO, vec![udp, unknown], 454),
        ("SETUP", VIDEO, vec![udp, "Require: play.scale"], 551),
        ("PLAY", MOVIE, vec![], 454),
        ("PLAY", MOVIE, vec![unknown], 454),
        ("PAUSE", MOVIE, vec![], 454),
        ("PAUSE", MOVIE, vec![unknown], 454),
        ("TEARDOWN", MOVIE, vec![], 454),
        ("TEARDOWN", MOVIE, vec![unknown], 454),
        ("GET_PARAMETER", MOVIE, vec![], 200),
        ("GET_PARAMETER", MOVIE, vec![unknown], 454),
        ("SET_PARAMETER", "*", vec![], 200),
        ("ANNOUNCE", MOVIE, vec![], 405),
        ("RECORD", MOVIE, vec![], 405),
        ("REDIRECT", MOVIE, vec![], 405),
        ("FROBNICATE", MOVIE, vec![], 501),
        ("play", MOVIE, vec![], 501),
    ] {
        let mut bench = Bench::new();
        let response = bench.ask(method, url, &headers);
        assert_eq!(response.status, status, "{method} {url} {headers:?}: {}", response.text);
    }
}

#[test]
fn requests_of_a_session_that_is_ready() {
    for (method, url, headers, status) in [
        ("OPTIONS", MOVIE, vec![], 200),
        ("SETUP", VIDEO, vec![udp(4000)], 200),
        ("SETUP", "rtsp://h/silent.mp4/trackID=0", vec![udp(4000)], 459),
        ("PLAY", MOVIE, vec![], 200),
        ("PLAY", "rtsp://h/movie.mp4/", vec![], 200),
        ("PLAY", "*", vec![], 200),
        ("PLAY", VIDEO, vec![], 460),
        ("PLAY", "rtsp://h/silent.mp4", vec![], 404),
        ("PLAY", MOVIE, vec!["Range: npt=5-"], 200),
        ("PLAY", MOVIE, vec!["Range: npt=now-"], 200),
        ("PLAY", MOVIE, vec!["Range: npt=-5"], 200),
        ("PLAY", MOVIE, vec!["Range: npt=2-4"], 200),
        ("PLAY", MOVIE, vec!["Range: npt=9.999-"], 200),
        ("PLAY", MOVIE, vec!["Range: npt=2-1000"], 200),
        ("PLAY", MOVIE, vec!["Range: npt=10.001-"], 457),
        ("PLAY", MOVIE, vec!["Range: npt=4-2"], 457),
        ("PLAY", MOVIE, vec!["Range: npt=4-4"], 457),
        ("DESCRIBE", MOVIE, vec!["If-Modified-Since: Fri, 31 Dec 9999 23:59:59 GMT"], 304),
        ("PLAY", MOVIE, vec!["Range: clock=19961108T143720Z-"], 457),
        ("PLAY", MOVIE, vec!["Range: clock=19961108T143720.25Z-"], 457),
        ("PLAY", MOVIE, vec!["Range: npt=soon-"], 400),
        ("PLAY", MOVIE, vec!["Scale: 2.0"], 200),
        ("PLAY", MOVIE, vec!["Scale: fast"], 400),
        ("PAUSE", MOVIE, vec![], 200),
        ("TEARDOWN", MOVIE, vec![], 200),
        ("TEARDOWN", VIDEO, vec![], 200),
        ("TEARDOWN", "rtsp://h/silent.mp4", vec![], 404),
        ("TEARDOWN", "rtsp://h/movie.mp4/trackID=7", vec![], 404),
        ("GET_PARAMETER", MOVIE, vec![], 200),
        ("SET_PARAMETER", MOVIE, vec![], 200),
        ("RECORD", MOVIE, vec![], 405),
    ] {
        let mut bench = Bench::new();
        let session = format!("Session: {}", bench.set_up_movie());
        let mut headers = headers.clone();
        headers.push(&session);
        let response = bench.ask(method, url, &headers);
        assert_eq!(response.status, status, "{method} {url} {headers:?}: {}", response.text);
    }
}

#[test]
fn requests_of_a_session_that_plays() {
    for (method, url, headers, status) in [
        ("SETUP", VIDEO, vec![udp(4000)], 455),
        ("SETUP", VIDEO, vec![TCP], 455),
        ("PLAY", MOVIE, vec![], 200),
        ("PLAY", MOVIE, vec!["Range: npt=7-"], 200),
        ("PLAY", MOVIE, vec!["Range: npt=77-"], 457),
        ("PAUSE", MOVIE, vec![], 200),
        ("TEARDOWN", VIDEO, vec![], 200),
        ("GET_PARAMETER", MOVIE, vec![], 200),
    ] {
        let mut bench = Bench::new();
        let session = format!("Session: {}", bench.set_up_movie());
        assert_eq!(bench.ask("PLAY", MOVIE, &[&session]).status, 200);
        let mut headers = headers.clone();
        headers.push(&session);
        let response = bench.ask(method, url, &headers);
        assert_eq!(response.status, status, "{method} {url} {headers:?}: {}", response.text);
    }
}

#[test]
fn refusals_say_what_would_be_accepted() {
    let mut bench = Bench::new();
    let public = "OPTIONS, DESCRIBE, SETUP, PLAY, PAUSE, TEARDOWN, GET_PARAMETER, SET_PARAMETER";
    assert_eq!(bench.ask("RECORD", MOVIE, &[]).header("Allow"), Some(public));
    assert_eq!(bench.ask("OPTIONS", "*", &[]).header("Public"), Some(public));
    let refused = bench.ask("DESCRIBE", MOVIE, &["Require: a, b", "Proxy-Require: c"]);
    assert_eq!(refused.header("Unsupported"), Some("a, b, c"));
}

#[test]
fn unknown_parameters_are_named() {
    let mut bench = Bench::new();
    let body = "packets_received\r\njitter\r\n";
    let length = format!("Content-Length: {}", body.len());
    let headers = ["Content-Type: text/parameters", &length];
    bench.post(super::CLIENT, "GET_PARAMETER", MOVIE, &headers);
    bench.send(super::CLIENT, body.as_bytes());
    let response = bench.take_response(super::CLIENT).unwrap();
    assert_eq!((response.status, response.body.as_str()), (451, body));

    bench.post(super::CLIENT, "SET_PARAMETER", MOVIE, &["Content-Length: 15"]);
    bench.send(super::CLIENT, b"barparam: stuff");
    let response = bench.take_response(super::CLIENT).unwrap();
    assert_eq!((response.status, response.body.as_str()), (451, "barparam\r\n"));

    bench.post(super::CLIENT, "SET_PARAMETER", MOVIE, &["Content-Length: 1", "Content-Type: a/b"]);
    bench.send(super::CLIENT, b"x");
    assert_eq!(bench.take_response(super::CLIENT).unwrap().status, 415);
}

#[test]
fn malformed_requests_are_refused_and_the_connection_goes_on() {
    for (request, status) in [
        ("OPTIONS * RTSP/2.0\r\nCSeq: 1\r\n\r\n", 505),
        ("OPTIONS * RTSP/1.0\r\n\r\n", 400),
        ("OPTIONS * RTSP/1.0\r\nCSeq: one\r\n\r\n", 400),
        ("OPTIONS\r\nCSeq: 1\r\n\r\n", 400),
    ] {
        let mut bench = Bench::new();
        bench.send(super::CLIENT, request.as_bytes());
        let response = bench.take_response(super::CLIENT);
        assert_eq!(response.map(|response| response.status), Some(status), "{request:?}");
        if bench.closed.is_empty() {
            assert_eq!(bench.ask("OPTIONS", "*", &[]).status, 200);
        }
    }
}

#[test]
fn an_empty_require_asks_for_nothing() {
    assert_eq!(Bench::new().ask("DESCRIBE", MOVIE, &["Require: "]).status, 200);
}

#[test]
fn a_stream_that_is_not_rtsp_is_closed_after_its_reply() {
    let mut bench = Bench::new();
    bench.send(super::CLIENT, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03");
    assert_eq!(bench.take_response(super::CLIENT).unwrap().status, 400);
    assert!(bench.closed.contains(&super::CLIENT));
}
