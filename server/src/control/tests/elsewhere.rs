//! Titles that have moved, and a server that sends its viewers elsewhere.

use crate::config::Config;
use crate::control::testing::{Bench, config, udp};

fn bench() -> Bench {
    let moved = ["a.mp4=rtsp://new:554/b.mp4", "old/=rtsp://new/now/", "old/x.mp4=rtsp://never/x"];
    let moved = moved.map(|text| text.parse().unwrap()).to_vec();
    let redirect_to = Some("rtsp://other/all/".parse().unwrap());
    Bench::with(Config { moved, redirect_to, ..config() }, 1)
}

#[test]
fn who_asks_for_a_moved_title_is_told_where_it_is() {
    for (url, location) in [
        ("rtsp://h/a.mp4", Some("rtsp://new:554/b.mp4")),
        ("rtsp://h/a.mp4/?x=1", Some("rtsp://new:554/b.mp4?x=1")),
        ("rtsp://h/old/x.mp4", Some("rtsp://new/now/x.mp4")),
        ("rtsp://h/old/%C3%A4/b%20c,d.mp4", Some("rtsp://new/now/%C3%A4/b%20c%2Cd.mp4")),
        ("rtsp://h/old", None),
        ("rtsp://h/a.mp4/b", None),
    ] {
        let mut bench = bench();
        let before = bench.control.fingerprint();
        let response = bench.ask("DESCRIBE", url, &[]);
        assert_eq!(response.header("Location"), location, "{url}");
        assert_eq!(response.status, if location.is_some() { 301 } else { 404 }, "{url}");
        let stream = format!("{}/trackID=1", url.split('?').next().unwrap());
        let response = bench.ask("SETUP", &stream, &[udp(4000)]);
        let location = location.map(|it| format!("{}/trackID=1", it.split('?').next().unwrap()));
        assert_eq!(response.header("Location"), location.as_deref(), "{stream}");
        assert_eq!(bench.control.fingerprint(), before);
        assert!(bench.control.is_idle() || bench.control.session_count() == 0);
    }
}

#[test]
fn a_session_goes_on_when_its_title_is_to_be_found_elsewhere() {
    let mut bench = bench();
    let first = bench.ask("SETUP", "rtsp://h/movie.mp4/trackID=0", &[udp(4000)]);
    let session = format!("Session: {}", first.session());
    bench.drive(|control, _, effects| control.retire(effects));
    let second = bench.ask("SETUP", "rtsp://h/movie.mp4/trackID=1", &[udp(4002), &session]);
    assert_eq!(second.status, 200);
    assert_eq!(bench.ask("PLAY", "rtsp://h/movie.mp4", &[&session]).status, 200);
}

#[test]
fn a_server_that_retires_sends_new_viewers_elsewhere() {
    let mut bench = bench();
    assert_eq!(bench.ask("DESCRIBE", "rtsp://h/movie.mp4", &[]).status, 200);
    bench.drive(|control, _, effects| control.retire(effects));
    for (method, url, location) in [
        ("DESCRIBE", "rtsp://h/movie.mp4?a=b", "rtsp://other/all/movie.mp4?a=b"),
        ("SETUP", "rtsp://h/movie.mp4/trackID=0", "rtsp://other/all/movie.mp4/trackID=0"),
    ] {
        let response = bench.ask(method, url, &[udp(4000)]);
        assert_eq!((response.status, response.header("Location")), (302, Some(location)));
    }
    let moved = bench.ask("DESCRIBE", "rtsp://h/a.mp4", &[]);
    assert_eq!(moved.status, 301, "which holds for ever");
    // Without anywhere to go.
    let mut bench = Bench::new();
    bench.drive(|control, _, effects| control.retire(effects));
    assert_eq!(bench.ask("DESCRIBE", "rtsp://h/movie.mp4", &[]).status, 200);
    let refused = bench.ask("SETUP", "rtsp://h/movie.mp4/trackID=0", &[udp(4000)]);
    assert_eq!(refused.status, 503);
}
