//! GET_PARAMETER and SET_PARAMETER (RFC 2326 §10.8, §10.9).

use crate::control::testing::Bench;
use crate::mailbox::Command;

const MOVIE: &str = "rtsp://h/movie.mp4";
const VIDEO: &str = "rtsp://h/movie.mp4/trackID=0";
const AUDIO: &str = "rtsp://h/movie.mp4/trackID=1";

#[test]
fn parameters_have_these_values() {
    let mut bench = Bench::new();
    let session = format!("Session: {}", bench.set_up_movie());
    let video_rate = 200_000; // 25 pictures of 1000 bytes a second
    let audio_rate = 34_453; // 43,066 units of 800 bits in a thousand seconds
    for (url, name, value) in [
        (MOVIE, "position", "4.000".to_owned()),
        ("*", "position", "4.000".to_owned()),
        (MOVIE, "scale", "-2.0".to_owned()),
        (MOVIE, "packets_sent", "3000".to_owned()),
        (VIDEO, "packets_sent", "1000".to_owned()),
        (AUDIO, "packets_sent", "2000".to_owned()),
        (MOVIE, "octets_sent", "15000000000".to_owned()),
        (MOVIE, "packets_received", "990".to_owned()),
        (AUDIO, "packets_received", String::new()),
        (VIDEO, "packets_lost", "7".to_owned()),
        (AUDIO, "packets_lost", String::new()),
        (MOVIE, "jitter", "0.383800".to_owned()),
        (AUDIO, "jitter", String::new()),
        (VIDEO, "bit_rate", video_rate.to_string()),
        (AUDIO, "bit_rate", audio_rate.to_string()),
        (MOVIE, "bit_rate", (video_rate + audio_rate).to_string()),
        (MOVIE, "session_timeout", "60".to_owned()),
    ] {
        let response = bench.ask_with("GET_PARAMETER", url, &[&session], &format!("{name}\r\n"));
        assert_eq!(response.status, 200, "{url} {name}: {}", response.text);
        assert_eq!(response.body, format!("{name}: {value}\r\n"), "{url}");
        assert_eq!(response.header("Content-Type"), Some("text/parameters"));
        assert_eq!(response.session(), session.trim_start_matches("Session: "));
    }
}

#[test]
fn the_example_of_rfc_2326_gets_its_two_values() {
    let mut bench = Bench::new();
    let session = format!("Session: {}", bench.set_up_movie());
    let content_type = "Content-Type: text/parameters; charset=utf-8";
    // §10.8; each is told once, however often it is asked for.
    let body = "packets_received\r\njitter\r\n".repeat(100);
    let response = bench.ask_with("GET_PARAMETER", VIDEO, &[&session, content_type], &body);
    assert_eq!(response.body, "packets_received: 990\r\njitter: 0.383800\r\n");
}

#[test]
fn wrong_parameters_are_refused_by_name() {
    let types = ["Content-Type: text/parameters", "Content-Type: text/plain"];
    let [known_type, other_type] = types;
    for (method, url, content_type, body, status, answer) in [
        ("GET_PARAMETER", MOVIE, known_type, "volume\r\n", 451, "volume\r\n"),
        ("GET_PARAMETER", MOVIE, known_type, "jitter\nvolume\nbass", 451, "volume\r\nbass\r\n"),
        ("GET_PARAMETER", MOVIE, known_type, "Jitter", 451, "Jitter\r\n"),
        ("GET_PARAMETER", MOVIE, known_type, "\u{0}", 451, "\u{0}\r\n"),
        // RFC 2326 §10.9
        ("SET_PARAMETER", MOVIE, known_type, "barparam: barstuff", 451, "barparam\r\n"),
        ("SET_PARAMETER", MOVIE, known_type, "jitter: 0\r\nx: 1", 451, "x\r\n"),
        ("SET_PARAMETER", MOVIE, known_type, "jitter: 0\r\n", 458, "jitter\r\n"),
        ("SET_PARAMETER", "*", known_type, "position", 458, "position\r\n"),
        ("SET_PARAMETER", MOVIE, other_type, "x", 415, ""),
        ("GET_PARAMETER", MOVIE, other_type, "jitter", 415, ""),
        ("GET_PARAMETER", "rtsp://h/silent.mp4", known_type, "jitter", 404, ""),
        ("GET_PARAMETER", "rtsp://h/movie.mp4/trackID=7", known_type, "jitter", 404, ""),
        // Nothing is asked for.
        ("SET_PARAMETER", MOVIE, known_type, "\r\n \r\n", 200, ""),
        ("GET_PARAMETER", MOVIE, known_type, "", 200, ""),
        ("GET_PARAMETER", MOVIE, other_type, "", 200, ""),
    ] {
        let mut bench = Bench::new();
        let session = format!("Session: {}", bench.set_up_movie());
        bench.take_commands();
        let before = bench.control.fingerprint();
        let response = bench.ask_with(method, url, &[&session, content_type], body);
        assert_eq!(response.status, status, "{method} {body:?}: {}", response.text);
        assert_eq!(response.body, answer, "{method} {body:?}");
        assert_eq!(bench.control.fingerprint(), before);
        assert!(bench.take_commands().is_empty(), "{method} {body:?}");
    }
}

#[test]
fn parameters_are_those_of_a_session() {
    let mut bench = Bench::new();
    assert_eq!(bench.ask_with("GET_PARAMETER", MOVIE, &[], "jitter").status, 454);
    assert_eq!(bench.ask_with("GET_PARAMETER", MOVIE, &[], "volume").status, 451);
    let session = format!("Session: {}", bench.set_up_movie());
    // The session ends while its shard is asked.
    bench.hold_reports = true;
    let head = format!("GET_PARAMETER {MOVIE} RTSP/1.0\r\nCSeq: 9\r\n{session}\r\n");
    bench.send(super::CLIENT, format!("{head}Content-Length: 6\r\n\r\njitter").as_bytes());
    assert!(bench.take_response(super::CLIENT).is_none());
    bench.connect(crate::mailbox::ConnectionId(2), "192.0.2.1:50001");
    let second = crate::mailbox::ConnectionId(2);
    assert_eq!(bench.ask_on(second, "TEARDOWN", MOVIE, &[&session]).status, 200);
    bench.release();
    assert_eq!(bench.take_response(super::CLIENT).unwrap().status, 454);
    let commands = bench.take_commands();
    let inspected = |command: &&Command| matches!(command, Command::Inspect { .. });
    assert_eq!(commands.iter().filter(inspected).count(), 1);
}
