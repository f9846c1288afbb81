//! What real clients sent (`tests/data/CLIENT-VERSION….rtsp`), recorded from one connection each.

use server::framing::{Framer, Message};
use server::rtsp::headers::{Protocol, Range, SessionHeader, parse_offers};
use server::rtsp::{ControlUrl, Method, Request, RequestUri};
use std::path::Path;

/// A request in one line: method, title, control name, and what its headers say.
fn line_of(request: &Request<'_>) -> String {
    let target = match request.uri {
        RequestUri::Asterisk => "*".to_owned(),
        RequestUri::Url(url) => {
            let ControlUrl { title, control } = ControlUrl::split(url).unwrap();
            control.map_or(title.clone(), |control| format!("{title} {control}"))
        }
    };
    let mut line = format!("{} {} {target}", request.cseq, request.method);
    if request.method == Method::Setup {
        let offers = parse_offers(request.headers("Transport")).unwrap();
        assert_eq!(offers.len(), 1);
        match (offers[0].protocol, offers[0].client_port, offers[0].interleaved) {
            (Protocol::RtpAvpUdp, Some((rtp, rtcp)), None) => {
                assert_eq!((rtp % 2, rtcp), (0, rtp + 1));
                line += " udp";
            }
            (Protocol::RtpAvpTcp, None, Some((rtp, rtcp))) => {
                line += &format!(" tcp {rtp}-{rtcp}");
            }
            other => panic!("{other:?}"),
        }
    }
    if let Some(range) = request.header("Range") {
        let range: Range = range.parse().unwrap();
        line += &format!(" {}", range.unit().write(range.npt(None).unwrap(), None));
    }
    if let Some(session) = request.header("Session") {
        assert_eq!(SessionHeader::parse(session).unwrap().id, "12345678");
        line += " in session";
    }
    line
}

fn lines_of(file: &str) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(file);
    let mut framer = Framer::new();
    framer.push(&std::fs::read(&path).unwrap());
    let mut lines = Vec::new();
    while let Some(message) = framer.next().unwrap() {
        let Message::Request(request) = message else { panic!("{message:?} in {file}") };
        lines.push(line_of(&Request::parse(request).unwrap()));
    }
    assert!(framer.is_empty(), "{file} ends within a request");
    lines
}

#[test]
fn ffmpeg_over_tcp_puts_the_control_name_behind_the_query() {
    let expected = [
        "1 OPTIONS movies/t.mp4",
        "2 DESCRIBE movies/t.mp4",
        "3 SETUP movies/t.mp4 trackID=0 tcp 0-1",
        "4 SETUP movies/t.mp4 trackID=1 tcp 2-3 in session",
        "5 PLAY movies/t.mp4 npt=0.000- in session",
        "6 TEARDOWN movies/t.mp4 in session",
    ];
    assert_eq!(lines_of("ffmpeg-5.1.9-tcp-query.rtsp"), expected);
    let spaced = expected.map(|line| line.replace("t.mp4", "a b.mp4"));
    assert_eq!(lines_of("ffmpeg-5.1.9-tcp-space.rtsp"), spaced);
}

#[test]
fn ffmpeg_based_players() {
    let udp = [
        "1 OPTIONS movies/t.mp4",
        "2 DESCRIBE movies/t.mp4",
        "3 SETUP movies/t.mp4 trackID=0 udp",
        "4 SETUP movies/t.mp4 trackID=1 udp in session",
        "5 PLAY movies/t.mp4 npt=0.000- in session",
        "6 TEARDOWN movies/t.mp4 in session",
    ];
    assert_eq!(lines_of("ffmpeg-5.1.9-udp.rtsp"), udp);
    assert_eq!(lines_of("mplayer-1.5.rtsp"), udp[..5]);
    let mut tcp = lines_of("ffmpeg-5.1.9-tcp-query.rtsp");
    tcp.truncate(5);
    assert_eq!(lines_of("mpv-0.35.1.rtsp"), tcp);
}

/// Its OPTIONS poses as RealPlayer, with two User-Agent headers and more. Over TCP it
/// leaves out a CSeq: that of a keep-alive it gave up.
#[test]
fn gstreamer() {
    assert_eq!(
        lines_of("gstreamer-1.22.0-tcp.rtsp"),
        [
            "1 OPTIONS movies/t.mp4",
            "2 DESCRIBE movies/t.mp4",
            "3 SETUP movies/t.mp4 trackID=0 tcp 0-1",
            "4 SETUP movies/t.mp4 trackID=1 tcp 2-3 in session",
            "5 PLAY movies/t.mp4 npt=0.000-60.000 in session",
            "7 TEARDOWN movies/t.mp4 in session",
        ]
    );
    assert_eq!(
        lines_of("gstreamer-1.22.0-udp.rtsp"),
        [
            "1 OPTIONS movies/t.mp4",
            "2 DESCRIBE movies/t.mp4",
            "3 SETUP movies/t.mp4 trackID=0 udp",
            "4 SETUP movies/t.mp4 trackID=1 udp in session",
            "5 PLAY movies/t.mp4 npt=0.000-60.000 in session",
            "6 GET_PARAMETER movies/t.mp4 in session",
            "7 TEARDOWN movies/t.mp4 in session",
        ]
    );
}

#[test]
fn probes() {
    // MPlayer asks the server itself first, as RealPlayer did, and then leaves it to FFmpeg.
    assert_eq!(lines_of("mplayer-1.5-probe.rtsp"), ["1 OPTIONS ", "2 DESCRIBE movies/t.mp4"]);
    assert_eq!(lines_of("curl-7.88.1.rtsp"), ["1 OPTIONS *"]);
    // Debian's VLC has no live555 plugin: its SAT>IP client tries, without DESCRIBE.
    assert_eq!(
        lines_of("vlc-3.0.24-satip.rtsp"),
        [
            "0 SETUP movies/t.mp4 udp",
            "1 PLAY stream=0 in session",
            "2 TEARDOWN stream=0 in session"
        ]
    );
}
