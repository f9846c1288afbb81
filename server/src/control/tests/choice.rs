//! What a URL's query chooses: tracks, and loops.

use super::logs::logged;
use crate::control::testing::{Bench, multilingual, udp};
use crate::mailbox::Command;

const FILM: &str = "rtsp://h/film.mkv";

fn bench(looped: bool) -> Bench {
    let mut bench = Bench::new();
    let film = multilingual("film.mkv", 7, looped);
    bench.titles.insert("film.mkv".to_owned(), Ok(film));
    bench
}

fn lines<'a>(body: &'a str, of: &str) -> Vec<&'a str> {
    body.lines().filter_map(|line| line.strip_prefix(of)).collect()
}

#[test]
fn a_description_has_what_the_url_chooses() {
    let mut bench = bench(false);
    for (query, status, controls) in [
        ("", 200, &["0", "1", "2", "3", "4", "5"][..]),
        ("?x=1&vlcmulticast", 200, &["0", "1", "2", "3", "4", "5"]),
        ("?audio=en&video=1", 200, &["0", "2"]),
        ("?audio=DE&video=none", 200, &["3"]),
        ("?audio=de&video=none", 200, &["3"]),
        ("?track=6", 200, &["5"]),
        ("?audio=fr", 404, &[]),
        ("?audio=", 400, &[]),
        ("?loop=maybe", 400, &[]),
    ] {
        let response = bench.ask("DESCRIBE", &format!("{FILM}{query}"), &[]);
        assert_eq!(response.status, status, "{query}");
        let expected: Vec<String> = controls.iter().map(|id| format!("trackID={id}")).collect();
        let found = lines(&response.body, "a=control:");
        assert_eq!(found.get(1..).unwrap_or_default(), expected, "{query}");
        if status == 200 {
            assert_eq!(response.header("Content-Base"), Some("rtsp://h/film.mkv/"), "{query}");
        }
    }
    let described = bench.ask("DESCRIBE", &format!("{FILM}?audio=none"), &[]);
    assert_eq!(lines(&described.body, "a=lang:"), [""; 0]);
    let described = bench.ask("DESCRIBE", FILM, &[]);
    assert_eq!(lines(&described.body, "a=lang:"), ["en", "de", "en"]);
}

#[test]
fn the_operator_is_told_what_tracks_there_are() {
    let mut bench = bench(false);
    let log = logged(|| {
        for _ in 0..3 {
            assert_eq!(bench.ask("DESCRIBE", &format!("{FILM}?audio=fr"), &[]).status, 404);
        }
    });
    assert_eq!(log.lines().count(), 1, "{log}");
    for part in ["no such track", "film.mkv", "audio=fr", "4 audio mpeg4-generic de"] {
        assert!(log.contains(part), "{part}: {log}");
    }
}

/// As each client makes the URL of a stream of the presentation's, its base, and the control name.
#[test]
fn streams_of_a_choice_are_set_up_by_every_spelling_of_their_url() {
    for (url, track) in [
        ("rtsp://h/film.mkv/trackID=3", 3), // all that honour Content-Base
        ("rtsp://h/film.mkv?audio=de/trackID=3", 3),
        ("rtsp://h/film.mkv/trackID=3?audio=de", 3),
        ("rtsp://h/film.mkv/?audio=de/trackID=3", 3),
        ("rtsp://h/film.mkv?audio=de&video=none", 3), // the only one
        ("rtsp://h/film.mkv?track=4/", 3),
    ] {
        let mut bench = bench(false);
        let response = bench.ask("SETUP", url, &[udp(4000)]);
        assert_eq!(response.status, 200, "{url}");
        let commands = bench.take_commands();
        let is_it = |command: &Command| {
            let Command::SetUp { track: id, .. } = command else { return false };
            id.0 == track
        };
        assert!(commands.iter().any(is_it), "{url}: {commands:?}");
        let session = format!("Session: {}", response.session());
        let played = bench.ask("PLAY", "rtsp://h/film.mkv?audio=de/", &[&session]);
        assert_eq!(played.status, 200, "{url}");
        let info = played.header("RTP-Info").unwrap();
        assert!(info.starts_with(&format!("url={url};")), "{info}");
    }
    for (url, status) in [
        ("rtsp://h/film.mkv?audio=de", 459),
        ("rtsp://h/film.mkv?audio=fr/trackID=3", 404),
        ("rtsp://h/film.mkv?audio=0/trackID=3", 400),
    ] {
        assert_eq!(bench(false).ask("SETUP", url, &[udp(4000)]).status, status, "{url}");
    }
}

#[test]
fn a_loop_is_chosen_by_the_url_or_the_title() {
    for (looped, query, control, is_endless) in [
        (false, "", "trackID=0", false),
        (false, "?loop=1", "trackID=0?loop=1", true),
        (true, "", "trackID=0", true),
        (true, "?loop=0", "trackID=0?loop=0", false),
    ] {
        let mut bench = bench(looped);
        let described = bench.ask("DESCRIBE", &format!("{FILM}{query}"), &[]);
        let range = if is_endless { "npt=0-" } else { "npt=0-1.000" };
        assert_eq!(lines(&described.body, "a=range:"), [range], "{looped} {query}");
        assert_eq!(lines(&described.body, "a=control:")[1], control, "{looped} {query}");
        // A client forgets the query of the presentation's URL, but not that of the stream's.
        let url = format!("{}{control}", described.header("Content-Base").unwrap());
        let set_up = bench.ask("SETUP", &url, &[udp(4000)]);
        let session = format!("Session: {}", set_up.session());
        for (asked, from, to) in
            [("Range: npt=0.5-", "0.000", "10.000"), ("Range: npt=0-0.5", "0.000", "0.500")]
        {
            let played = bench.ask("PLAY", FILM, &[&session, asked]);
            let to = if is_endless && to == "10.000" { "" } else { to };
            let expected = format!("npt={from}-{to}");
            assert_eq!(played.header("Range"), Some(&*expected), "{looped} {query} {asked}");
        }
    }
}
