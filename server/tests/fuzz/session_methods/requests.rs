//! Requests from a few bytes, right and wrong.

use super::super::input::Input;

const METHODS: [&str; 13] = [
    "SETUP",
    "PLAY",
    "PAUSE",
    "TEARDOWN",
    "DESCRIBE",
    "OPTIONS",
    "GET_PARAMETER",
    "SET_PARAMETER",
    "RECORD",
    "ANNOUNCE",
    "REDIRECT",
    "FROB",
    "play",
];
const URLS: [&str; 18] = [
    "rtsp://h/old/movie.mp4",
    "rtsp://h/movie.mp4?range=clock",
    "rtsp://h/movie.mp4/trackID=0",
    "rtsp://h/movie.mp4/trackID=1",
    "rtsp://h/movie.mp4",
    "rtsp://h/movie.mp4/",
    "rtsp://u:p@h:554/movie.mp4/trackID=0",
    "rtsp://h/silent.mp4",
    "rtsp://h/silent.mp4/trackID=0",
    "rtsp://h/many.mp4/trackID=3",
    "rtsp://h/many.mp4/trackID=8",
    "rtsp://h/none.mp4",
    "rtsp://h/movie.mp4/trackID=9",
    "rtsp://h/%2e%2e/x",
    "/movie.mp4",
    "*",
    "rtsp:///",
    "nonsense",
];
const TRANSPORTS: [&str; 10] = [
    "RTP/AVP;unicast;client_port=4000-4001",
    "RTP/AVP/TCP;unicast;interleaved=0-1",
    "RTP/AVP/TCP;unicast;interleaved=2-3",
    "RTP/AVP/TCP;unicast",
    "RTP/AVP;unicast;client_port=4002-4003,RTP/AVP/TCP;interleaved=4-5",
    "RTP/AVP/TCP;interleaved=6-6",
    "RTP/AVP;multicast",
    "RTP/AVP;unicast;client_port=1-2;destination=192.0.2.77",
    "RTP/AVP/TCP;interleaved=254-255",
    "gibberish",
];
const RANGES: [&str; 10] = [
    "clock=19961108T143720.02Z-",
    "npt=0-",
    "npt=now-",
    "npt=0.02-0.05",
    "npt=-0.05",
    "npt=77-",
    "npt=5-1",
    "smpte=0:00:01-",
    "npt=x-",
    "npt=now-0.05",
];
const OTHERS: [&str; 17] = [
    "X-Long: a\r\n b",
    "User-Agent: GStreamer/1.22.0",
    "Connection: close",
    "Timestamp: 1.5",
    "Bandwidth: 1000",
    "Conference: x",
    "If-Modified-Since: Fri, 31 Dec 9999 23:59:59 GMT",
    "Content-Length: 9\r\n\r\nposition\n",
    "Content-Length: 14\r\n\r\njitter\nvolume\n",
    "Require: x",
    "Scale: 2",
    "Speed: x",
    "Accept: text/plain",
    "Content-Length: 5\r\nContent-Type: text/parameters\r\n\r\na:b\r\n",
    "Content-Length: 2",
    "Blocksize: 600",
    "Session",
];

/// A request: method, URL, session and header choices (4 bytes), and a byte each header needs. Of
/// the sessions it may name those seen in responses, or one that never was.
pub(super) fn read(input: &mut Input<'_>, sessions: &[String]) -> Vec<u8> {
    let (method, url) = (input.choose(&METHODS), input.choose(&URLS));
    let (session, choices) = (usize::from(input.byte()), input.byte());
    let mut text = format!("{method} {url} RTSP/1.0\r\n");
    match choices >> 4 {
        0 => {}
        1 => text += "CSeq: 0x1\r\n",
        number => {
            text += &format!("CSeq: {}{}\r\n", "0".repeat(session & 3), u32::from(number) * 99)
        }
    }
    if choices & 1 != 0 && !sessions.is_empty() {
        text += &format!("Session: {};timeout=60\r\n", sessions[session % sessions.len()]);
    } else if choices & 1 != 0 {
        text += "Session: 0123456789abcdef0123456789abcdef\r\n";
    }
    if choices & 2 != 0 {
        text += &format!("Transport: {}\r\n", input.choose(&TRANSPORTS));
    }
    if choices & 4 != 0 {
        text += &format!("Range: {}\r\n", input.choose(&RANGES));
    }
    if choices & 8 != 0 {
        text += &format!("{}\r\n", input.choose(&OTHERS));
    }
    text += "\r\n";
    text.into_bytes()
}
