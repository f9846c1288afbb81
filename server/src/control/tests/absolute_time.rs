//! Titles with an absolute time (RFC 2326 §3.7).

use crate::config::Config;
use crate::control::testing::{Bench, config, title, udp};
use crate::mailbox::Command;
use crate::title::SharedTitle;
use packetizer::time::Npt;
use std::sync::Arc;

const MOVIE: &str = "rtsp://h/movie.mp4";

/// `movie.mp4` began at a time that is configured; below `made/`, titles when their file was made.
fn bench() -> Bench {
    let origins = ["movie.mp4=1996-11-08T14:37:20Z", "made/=creation-time"];
    let clock_origins = origins.map(|text| text.parse().unwrap()).to_vec();
    let mut bench = Bench::with(Config { clock_origins, ..config() }, 1);
    for (name, created) in [("made/known.mp4", Some(847_463_840)), ("made/unknown.mp4", None)] {
        let mut title = Arc::into_inner(title(name, 7, true)).expect("new");
        title.index.created = created;
        let title: SharedTitle = Arc::new(title);
        bench.titles.insert(title.name.clone(), Ok(title));
    }
    bench
}

#[test]
fn ranges_are_answered_in_absolute_time_to_who_asks_in_it() {
    for (name, range, status, answer) in [
        (
            "movie.mp4",
            "clock=19961108T143725Z-",
            200,
            Some("clock=19961108T143725.000Z-19961108T143730.000Z"),
        ),
        (
            "movie.mp4",
            "clock=19961108T143722.00Z-19961108T143724Z",
            200,
            Some("clock=19961108T143722.000Z-19961108T143724.000Z"),
        ),
        ("movie.mp4", "npt=5-", 200, Some("npt=5.000-10.000")),
        ("movie.mp4", "clock=19961108T143731Z-", 457, None),
        ("movie.mp4", "clock=19961108T143000Z-19961108T143100Z", 457, None),
        (
            "made/known.mp4",
            "clock=19961108T143721Z-",
            200,
            Some("clock=19961108T143721.000Z-19961108T143730.000Z"),
        ),
        ("made/unknown.mp4", "clock=19961108T143721Z-", 456, None),
        ("silent.mp4", "clock=19961108T143721Z-", 456, None),
    ] {
        let mut bench = bench();
        let url = format!("rtsp://h/{name}");
        let set_up = bench.ask("SETUP", &format!("{url}/trackID=0"), &[udp(4000)]);
        let session = format!("Session: {}", set_up.session());
        let response = bench.ask("PLAY", &url, &[&session, &format!("Range: {range}")]);
        assert_eq!(response.status, status, "{name} {range}: {}", response.text);
        assert_eq!(response.header("Range"), answer, "{name} {range}");
    }
}

#[test]
fn a_pause_point_may_be_absolute() {
    let mut bench = bench();
    let set_up = bench.ask("SETUP", "rtsp://h/movie.mp4/trackID=0", &[udp(4000)]);
    let session = format!("Session: {}", set_up.session());
    assert_eq!(bench.ask("PLAY", MOVIE, &[&session]).status, 200);
    bench.take_commands();
    let point = "Range: clock=19961108T143728Z";
    assert_eq!(bench.ask("PAUSE", MOVIE, &[&session, point]).status, 200);
    let commands = bench.take_commands();
    let Command::Pause { at, .. } = &commands[0] else { panic!("{commands:?}") };
    assert_eq!(*at, Some(Npt::from_nanos(8_000_000_000)));
}

#[test]
fn a_description_has_the_absolute_range_only_for_who_asks() {
    let mut bench = bench();
    let npt = "a=range:npt=0-10.000\r\n";
    let clock = "a=range:clock=19961108T143720.000Z-19961108T143730.000Z\r\n";
    for (url, expected) in [
        (MOVIE, npt.to_owned()),
        ("rtsp://h/movie.mp4?range=clock", format!("{npt}{clock}")),
        ("rtsp://h/movie.mp4?a=b&range=clock/", format!("{npt}{clock}")),
        ("rtsp://h/movie.mp4?arrange=clock", npt.to_owned()),
        ("rtsp://h/made/known.mp4?range=clock", format!("{npt}{clock}")),
        ("rtsp://h/made/unknown.mp4?range=clock", npt.to_owned()),
    ] {
        let described = bench.ask("DESCRIBE", url, &[]);
        let ranges = described.body.split_inclusive("\r\n");
        let ranges: String = ranges.filter(|line| line.starts_with("a=range")).collect();
        assert_eq!(ranges, expected, "{url}");
    }
}
