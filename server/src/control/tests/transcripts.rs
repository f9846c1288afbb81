//! What real clients sent (`tests/data`), request by request.

use super::CLIENT;
use crate::control::testing::{Bench, title};
use crate::framing::{Framer, Message};

/// The statuses that the requests of a recording get, which names its session `12345678`.
fn statuses(recording: &[u8]) -> Vec<u16> {
    let mut bench = Bench::new();
    for (name, source) in [("movies/t.mp4", 11), ("movies/a b.mp4", 12)] {
        bench.titles.insert(name.to_owned(), Ok(title(name, source, false)));
    }
    let mut framer = Framer::new();
    framer.push(recording);
    let mut session = "12345678".to_owned();
    let mut statuses = Vec::new();
    while let Some(message) = framer.next().unwrap() {
        let Message::Request(request) = message else { panic!("{message:?}") };
        let request = String::from_utf8(request.to_vec()).unwrap().replace("12345678", &session);
        bench.send(CLIENT, request.as_bytes());
        let response = bench.take_response(CLIENT).unwrap();
        if response.header("Transport").is_some() {
            session = response.session();
        }
        statuses.push(response.status);
    }
    statuses
}

macro_rules! recording {
    ($name:literal) => {
        include_bytes!(concat!("../../../tests/data/", $name, ".rtsp"))
    };
}

#[test]
fn recorded_players_get_what_they_ask_for() {
    for (recording, requests) in [
        (&recording!("curl-7.88.1")[..], 1),
        (recording!("ffmpeg-5.1.9-tcp-query"), 6),
        (recording!("ffmpeg-5.1.9-tcp-space"), 6),
        (recording!("ffmpeg-5.1.9-udp"), 6),
        (recording!("gstreamer-1.22.0-tcp"), 6),
        (recording!("gstreamer-1.22.0-udp"), 7),
        (recording!("mplayer-1.5-probe"), 2),
        (recording!("mplayer-1.5"), 5),
        (recording!("mpv-0.35.1"), 5),
    ] {
        let first = String::from_utf8_lossy(recording);
        assert_eq!(statuses(recording), vec![200; requests], "{first}");
    }
}

/// It sets up the title by its own URL, which a title of two streams has no answer to.
#[test]
fn vlc_without_live555_is_refused() {
    assert_eq!(statuses(recording!("vlc-3.0.24-satip")), [459, 454, 454]);
}
