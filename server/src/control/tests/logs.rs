//! What the operator reads.

use crate::control::testing::{Bench, TCP, udp};
use crate::mailbox::{Report, SessionKey};
use packetizer::time::Npt;
use std::io;
use std::sync::{Arc, Mutex};

const VIDEO: &str = "rtsp://h/movie.mp4/trackID=0";

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What is logged meanwhile, from info on.
pub(super) fn logged(work: impl FnOnce()) -> String {
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .without_time()
        .with_writer(move || writer.clone())
        .finish();
    tracing::subscriber::with_default(subscriber, work);
    let bytes = lines.0.lock().unwrap().clone();
    String::from_utf8(bytes).unwrap()
}

#[test]
fn refused_requests_are_logged_once_a_second() {
    let mut bench = Bench::new();
    let lines = logged(|| {
        for _ in 0..5 {
            let url = "rtsp://me:secret@h/movie.mp4/trackID=7";
            assert_eq!(bench.ask("SETUP", url, &[udp(4000)]).status, 404);
        }
        bench.now = bench.now + std::time::Duration::from_secs(1);
        bench.send(super::CLIENT, b"PLAY rtsp://h/ RTSP/1.0\r\n\r\n");
    });
    let lines: Vec<&str> = lines.lines().collect();
    assert_eq!(lines.len(), 2, "{lines:?}");
    for part in ["request refused", "method=\"SETUP\"", "rtsp://h/movie.mp4/trackID=7", "404"] {
        assert!(lines[0].contains(part), "{part}: {}", lines[0]);
    }
    assert!(lines[1].contains("CSeq is missing") && lines[1].contains("not_logged=4"), "{lines:?}");
}

#[test]
fn a_transport_that_is_not_served_and_a_missing_title_are_not_logged_as_refusals() {
    let mut bench = Bench::new();
    let lines = logged(|| {
        assert_eq!(bench.ask("SETUP", VIDEO, &["Transport: RTP/AVP;multicast"]).status, 461);
        assert_eq!(bench.ask("DESCRIBE", "rtsp://h/none.mp4", &[]).status, 404);
    });
    assert!(!lines.contains("request refused") && lines.contains("no such title"), "{lines}");
}

#[test]
fn a_session_that_ends_says_what_it_was_sent() {
    let mut bench = Bench::new();
    let lines = logged(|| {
        let session = format!("Session: {}", bench.set_up_movie());
        assert_eq!(bench.ask("TEARDOWN", "rtsp://h/movie.mp4", &[&session]).status, 200);
    });
    let ended = lines.lines().find(|line| line.contains("session ended")).unwrap();
    for part in ["torn down", "movie.mp4", "packets_sent=1234", "octets_sent=567890"] {
        assert!(ended.contains(part), "{part}: {ended}");
    }
}

#[test]
fn it_is_logged_how_a_session_travels_plays_and_stops() {
    for (transport, name) in [(udp(4000), "UDP"), (TCP, "TCP")] {
        let mut bench = Bench::new();
        let opened = logged(|| {
            bench.ask("SETUP", VIDEO, &[transport]);
        });
        assert!(opened.contains(&format!("transport=\"{name}\"")), "{opened}");
    }
    let mut bench = Bench::new();
    let session = format!("Session: {}", bench.ask("SETUP", VIDEO, &[udp(4000)]).session());
    let point = Some(Npt::from_nanos(2_000_000_000));
    for (paused, stopped) in
        [(None, "played to the end of the range"), (point, "played to its pause point")]
    {
        let lines = logged(|| {
            assert_eq!(bench.ask("PLAY", "rtsp://h/movie.mp4", &[&session]).status, 200);
            let report = Report::Finished { session: SessionKey(1), paused };
            bench.drive(|control, now, effects| control.report(now, 0, report, effects));
        });
        assert!(lines.contains(" playing session="), "{lines}");
        assert!(lines.contains(stopped), "{lines}");
    }
}
