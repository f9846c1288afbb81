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
            462,
        ),
        (
            "SETUP",
            VIDEO,
            vec!["Transport: RTP/AVP;unicast;client_port=4000-4001;destination=192.0.2.1"],
            200,
        ),
        ("SETUP", VIDEO, vec![udp, "Conference: 199702170042.SAA08642@obiwan.arl.wustl.edu"], 452),
        ("SETUP", VIDEO, vec![udp, "Bandwidth: 199999"], 453),
        ("SETUP", VIDEO, vec![udp, "Bandwidth: 200000"], 200),
        ("SETUP", VIDEO, vec![udp, "Bandwidth: plenty"], 200),
        ("SETUP", VIDEO, vec![udp, "Blocksize: 0"], 416),
        ("SETUP", VIDEO, vec![udp, "Blocksize: big"], 416),
        ("SETUP", VIDEO, vec![udp, "Blocksize: 99999999999"], 200),
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
        // Of both streams together.
        ("SETUP", VIDEO, vec!["Transport: RTP/AVP/TCP", "Bandwidth: 234452"], 453),
        ("SETUP", VIDEO, vec!["Transport: RTP/AVP/TCP", "Bandwidth: 234453"], 200),
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

/// Headers that have no say here are taken in every request.
#[test]
fn headers_that_only_tell_are_accepted() {
    let told = [
        "Via: 1.0 proxy.example",
        "From: viewer@example.com",
        "Referer: http://example.com/page",
        "User-Agent: LibVLC/3.0.18 (LIVE555 Streaming Media v2016.11.28)",
        "Host: example.com",
        "Accept-Language: de, en;q=0.5",
        "Accept-Encoding: gzip",
        "Cache-Control: no-cache",
        "Authorization: Basic eDp5",
        "Connection: Keep-Alive",
        "X-Unknown: 1",
    ];
    let mut bench = Bench::new();
    let ask = |bench: &mut Bench, method: &str, url: &str, more: &[&str]| {
        let headers: Vec<&str> = told.iter().chain(more).copied().collect();
        let response = bench.ask(method, url, &headers);
        assert_eq!(response.status, 200, "{method}: {}", response.text);
        response
    };
    ask(&mut bench, "OPTIONS", "*", &[]);
    ask(&mut bench, "DESCRIBE", MOVIE, &[]);
    let session = format!("Session: {}", ask(&mut bench, "SETUP", VIDEO, &[udp(4000)]).session());
    for method in ["PLAY", "GET_PARAMETER", "PAUSE", "SET_PARAMETER", "TEARDOWN"] {
        ask(&mut bench, method, MOVIE, &[&session]);
    }
}

#[test]
fn a_timestamp_comes_back_as_it_was() {
    let mut bench = Bench::new();
    let session = format!("Session: {}", bench.set_up_movie());
    for (method, url, status) in [
        ("OPTIONS", "*", 200),
        ("DESCRIBE", MOVIE, 200),
        ("PLAY", MOVIE, 200),
        ("SETUP", VIDEO, 455),
        ("FROBNICATE", MOVIE, 501),
        ("TEARDOWN", MOVIE, 200),
        ("PLAY", MOVIE, 454),
    ] {
        let response = bench.ask(method, url, &[&session, udp(4000), "timestamp: 0012.50 "]);
        assert_eq!((response.status, response.header("Timestamp")), (status, Some("0012.50")));
    }
}

#[test]
fn a_method_that_is_not_valid_now_names_those_that_are() {
    let mut bench = Bench::new();
    let session = format!("Session: {}", bench.set_up_movie());
    assert_eq!(bench.ask("PLAY", MOVIE, &[&session]).status, 200);
    let refused = bench.ask("SETUP", VIDEO, &[&session, TCP]);
    let allow = "OPTIONS, DESCRIBE, PLAY, PAUSE, TEARDOWN, GET_PARAMETER, SET_PARAMETER";
    assert_eq!((refused.status, refused.header("Allow")), (455, Some(allow)));
}

#[test]
fn a_connection_closes_behind_the_reply_if_the_client_asks_for_that() {
    for (method, url) in [("OPTIONS", "*"), ("DESCRIBE", MOVIE), ("PLAY", MOVIE), ("X", MOVIE)] {
        let mut bench = Bench::new();
        let session = format!("Session: {}", bench.set_up_movie());
        assert_eq!(bench.ask(method, url, &[&session]).header("Connection"), None);
        let response = bench.ask(method, url, &[&session, "Connection: Close"]);
        assert_eq!(response.header("Connection"), Some("close"));
        assert!(bench.closed.contains(&super::CLIENT), "{method}");
        // Over UDP, the session goes on without it.
        assert_eq!(bench.control.session_count(), 1);
        let starts = bench.take_commands();
        let is_start =
            |it: &&crate::mailbox::Command| matches!(it, crate::mailbox::Command::Start(_));
        let expected = if method == "PLAY" { 2 } else { 0 };
        assert_eq!(starts.iter().filter(is_start).count(), expected, "{method}");
    }
}

/// Every code that a client may get for what it asks, each with a request that gets it.
#[test]
fn every_status_is_reached() {
    let long = format!("rtsp://h/{}", "x".repeat(3000));
    let transport = "Transport: RTP/AVP;unicast;client_port=4000-4001";
    let elsewhere = format!("{transport};destination=198.51.100.9");
    let parameter = |length: usize| format!("Content-Length: {length}");
    let (ten, many) = (parameter(10), parameter(20_000));
    let jitter = "jitter: 12";
    for (method, url, headers, body, status) in [
        ("OPTIONS", "rtsp://:0", vec![], "", 400),
        ("DESCRIBE", "rtsp://h/no.mp4", vec![], "", 404),
        ("RECORD", MOVIE, vec![], "", 405),
        ("DESCRIBE", MOVIE, vec!["Accept: text/html"], "", 406),
        ("SET_PARAMETER", MOVIE, vec![many.as_str()], "", 413),
        ("DESCRIBE", long.as_str(), vec![], "", 414),
        ("SET_PARAMETER", MOVIE, vec![&ten, "Content-Type: a/b"], jitter, 415),
        ("SET_PARAMETER", MOVIE, vec![&ten, "Content-Encoding: gzip"], jitter, 415),
        ("SETUP", VIDEO, vec![transport, "Blocksize: -1"], "", 416),
        ("GET_PARAMETER", MOVIE, vec![&ten], "volume: 12", 451),
        ("SETUP", VIDEO, vec![transport, "Conference: x"], "", 452),
        ("SETUP", VIDEO, vec![transport, "Bandwidth: 4000"], "", 453),
        ("PLAY", MOVIE, vec![], "", 454),
        ("PLAY", MOVIE, vec!["+", "Range: clock=19961108T143720Z-"], "", 456),
        ("PLAY", MOVIE, vec!["+", "Range: npt=77-"], "", 457),
        ("SET_PARAMETER", MOVIE, vec!["+", &ten], jitter, 458),
        ("SETUP", MOVIE, vec![transport], "", 459),
        ("PLAY", VIDEO, vec!["+"], "", 460),
        ("SETUP", VIDEO, vec!["Transport: RTP/AVP;multicast"], "", 461),
        ("SETUP", VIDEO, vec![&elsewhere], "", 462),
        ("DESCRIBE", "rtsp://h/broken.mp4", vec![], "", 500),
        ("FROBNICATE", MOVIE, vec![], "", 501),
        ("SETUP", VIDEO, vec!["-", transport], "", 503),
        ("PLAY", MOVIE, vec!["Require: play.scale"], "", 551),
    ] {
        let mut bench = Bench::new();
        let (mut session, mut sent) = (String::new(), headers.clone());
        match headers.first() {
            Some(&"+") => session = format!("Session: {}", bench.set_up_movie()),
            Some(&"-") => bench.drive(|control, _, effects| control.retire(effects)),
            _ => {}
        }
        sent.retain(|header| !matches!(*header, "+" | "-"));
        sent.extend((!session.is_empty()).then_some(session.as_str()));
        bench.take_commands();
        let before = bench.control.fingerprint();
        let (sent, head) = (sent.join("\r\n"), format!("{method} {url} RTSP/1.0\r\nCSeq: 5\r\n"));
        let head = if sent.is_empty() { head } else { format!("{head}{sent}\r\n") };
        bench.send(super::CLIENT, format!("{head}\r\n{body}").as_bytes());
        let response = bench.take_response(super::CLIENT).unwrap();
        assert_eq!(response.status, status, "{method} {url} {sent}: {}", response.text);
        // What cannot be cut into requests ends its connection.
        if !bench.closed.contains(&super::CLIENT) {
            assert_eq!(bench.control.fingerprint(), before, "{status}");
        }
        // Whether a range can be played, only the shard knows.
        assert_eq!(bench.take_commands().len(), usize::from(status == 457), "{status}");
    }
}

/// RFC 2326 folds Transport in its own example (§10.4).
#[test]
fn folded_headers_are_read_as_one_line() {
    let mut bench = Bench::new();
    let request = "SETUP rtsp://h/movie.mp4/trackID=0 RTSP/1.0\r\nCSeq:\r\n 302\r\n\
        Transport: RTP/AVP;unicast;\r\n\tclient_port=4588-4589\r\n\r\n";
    bench.send(super::CLIENT, request.as_bytes());
    let response = bench.take_response(super::CLIENT).unwrap();
    assert_eq!((response.status, response.header("CSeq")), (200, Some("302")));
    assert!(response.header("Transport").unwrap().contains("client_port=4588-4589"));
    // A folded line names no length of a body.
    let request = "OPTIONS * RTSP/1.0\r\nCSeq: 1\r\nA: b\r\n Content-Length: 9\r\n\r\n";
    bench.send(super::CLIENT, request.as_bytes());
    assert_eq!(bench.take_response(super::CLIENT).unwrap().status, 200);
}
