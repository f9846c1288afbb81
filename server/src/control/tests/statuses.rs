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
        ("PLAY", MOVIE, vec!["Range: clock=19961108T143720Z-"], 456),
        ("PLAY", MOVIE, vec!["Range: clock=19961108T143720.25Z-"], 456),
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
    let stream = "OPTIONS, SETUP, PLAY, PAUSE, TEARDOWN, GET_PARAMETER, SET_PARAMETER";
    let session = "OPTIONS, PLAY, PAUSE, TEARDOWN, GET_PARAMETER, SET_PARAMETER";
    let server = "OPTIONS, GET_PARAMETER, SET_PARAMETER";
    for method in ["ANNOUNCE", "RECORD", "REDIRECT"] {
        for (url, headers, allow) in [
            (MOVIE, &[][..], public),
            ("rtsp://h/missing.mp4", &[], public),
            (VIDEO, &[], stream),
            ("*", &[], server),
            ("rtsp://h/", &[], server),
            ("rtsp://h/../x", &[], server),
            ("*", &["Session: 1"], session),
        ] {
            let refused = bench.ask(method, url, headers);
            assert_eq!((refused.status, refused.header("Allow")), (405, Some(allow)), "{url}");
        }
    }
    for url in ["*", "rtsp://h", "rtsp://h/", MOVIE, VIDEO, "rtsp://h/missing.mp4"] {
        let response = bench.ask("OPTIONS", url, &[]);
        assert_eq!((response.status, response.header("Public")), (200, Some(public)), "{url}");
    }
    let unknown = bench.ask("FROBNICATE", MOVIE, &[]);
    assert_eq!((unknown.status, unknown.header("Public")), (501, Some(public)));
    let refused = bench.ask("DESCRIBE", MOVIE, &["Require: a, b", "Proxy-Require: c"]);
    assert_eq!(refused.header("Unsupported"), Some("a, b, c"));
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

#[test]
fn replies_say_when_they_were_sent_and_descriptions_how_long_they_hold() {
    let mut bench = Bench::new();
    let date = "Tue, 14 Nov 2023 22:13:20 GMT";
    for (method, url) in [("OPTIONS", "*"), ("DESCRIBE", MOVIE), ("PLAY", MOVIE), ("X", MOVIE)] {
        assert_eq!(bench.ask(method, url, &[]).header("Date"), Some(date), "{method}");
    }
    bench.pass(std::time::Duration::from_secs(2));
    let later = Some("Tue, 14 Nov 2023 22:13:22 GMT");
    let described = bench.ask("DESCRIBE", MOVIE, &[]);
    assert_eq!((described.header("Date"), described.header("Expires")), (later, later));
    // The title's file is of the same second as the bench's beginning.
    assert_eq!(described.header("Last-Modified"), Some(date));
    let set_up = bench.ask("SETUP", VIDEO, &[udp(4000)]);
    assert_eq!(set_up.header("Last-Modified"), Some(date));
    assert_eq!(set_up.header("Cache-Control"), Some("must-revalidate"));
}

#[test]
fn what_was_not_modified_is_neither_described_nor_set_up() {
    let fresh = "If-Modified-Since: Tue, 14 Nov 2023 22:13:20 GMT";
    let stale = "If-Modified-Since: Tue, 14 Nov 2023 22:13:19 GMT";
    for (since, status) in [(fresh, 304), (stale, 200), ("If-Modified-Since: lately", 200)] {
        let mut bench = Bench::new();
        for (method, url) in [("DESCRIBE", MOVIE), ("SETUP", VIDEO)] {
            let response = bench.ask(method, url, &[since, udp(4000)]);
            assert_eq!(response.status, status, "{method} {since}");
            assert_eq!(response.header("Last-Modified"), Some("Tue, 14 Nov 2023 22:13:20 GMT"));
            assert_eq!(response.body.is_empty(), status == 304 || method == "SETUP");
        }
        let has_session = bench.control.session_model().is_some();
        assert_eq!(has_session, status == 200);
    }
}
