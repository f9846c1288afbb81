//! What keeps sessions alive that send and hear nothing.

use super::super::testing::{Bench, CLIENT, CLIENT_ADDRESS, Event, TCP, config};
use crate::limits::STANDING_MAX;
use crate::mailbox::{Command, ConnectionId, EndReason, Report, Sent, SessionKey};
use std::time::Duration;

const MOVIE: &str = "rtsp://h/movie.mp4";
const SECOND: Duration = Duration::from_secs(1);

impl Bench {
    /// Sessions whose shard has heard that they live since this was last asked.
    fn touched(&mut self) -> Vec<u64> {
        let touched = self.events.drain(..).filter_map(|event| match event {
            Event::Command(Command::Touch { session }) => Some(session.0),
            Event::Command(_) | Event::Wrote(_) => None,
        });
        touched.collect()
    }

    /// Lets so many seconds pass, one by one, and gives how often the shard heard of a session.
    fn touches_in(&mut self, seconds: u64) -> usize {
        self.touched();
        (0..seconds).for_each(|_| self.pass(SECOND));
        self.touched().len()
    }
}

#[test]
fn any_request_of_the_connection_keeps_its_sessions() {
    for (method, url, status) in [
        ("OPTIONS", "*", 200),
        ("OPTIONS", MOVIE, 200),
        ("DESCRIBE", MOVIE, 200),
        ("GET_PARAMETER", MOVIE, 200),
        ("PLAY", MOVIE, 454),
        ("DESCRIBE", "rtsp://h/none.mp4", 404),
        ("ANNOUNCE", MOVIE, 405),
        ("WISH", MOVIE, 501),
    ] {
        let mut bench = Bench::with(config(), 1);
        bench.set_up_movie();
        bench.pass(10 * SECOND);
        bench.touched();
        assert_eq!(bench.ask(method, url, &[]).status, status, "{method} {url}");
        assert_eq!(bench.touched(), [1], "{method} {url}");
        assert_eq!(bench.ask(method, url, &[]).status, status);
        assert_eq!(bench.touched(), [0; 0], "not more often than need be");
    }
}

#[test]
fn other_connections_keep_no_session() {
    let mut bench = Bench::new();
    bench.set_up_movie();
    assert!(bench.connect(ConnectionId(2), "192.0.2.1:50001"));
    bench.pass(10 * SECOND);
    bench.touched();
    assert_eq!(bench.ask_on(ConnectionId(2), "OPTIONS", "*", &[]).status, 200);
    assert_eq!(bench.touched(), [0; 0]);
}

#[test]
fn a_session_that_stands_still_lives_as_long_as_its_connection() {
    let timeout = config().session_timeout.as_secs();
    for transport in ["udp", "tcp"] {
        for is_paused in [true, false] {
            let mut bench = Bench::new();
            let session = match transport {
                "udp" => bench.set_up_movie(),
                _ => bench.ask("SETUP", "rtsp://h/movie.mp4/trackID=0", &[TCP]).session(),
            };
            let session = format!("Session: {session}");
            assert_eq!(bench.touches_in(3 * timeout), 0, "one that never played does not");
            assert_eq!(bench.ask("PLAY", MOVIE, &[&session]).status, 200);
            assert_eq!(bench.touches_in(3 * timeout), 0, "of one that plays its media tells");
            if is_paused {
                assert_eq!(bench.ask("PAUSE", MOVIE, &[&session]).status, 200);
            } else {
                let finished = Report::Finished { session: SessionKey(1), paused: None };
                bench.drive(|control, now, effects| control.report(now, 0, finished, effects));
            }
            for _ in 0..10 {
                assert!(bench.touches_in(timeout) >= 2, "{transport} {is_paused}");
            }
            assert_eq!(bench.ask("PLAY", MOVIE, &[&session]).status, 200);
            assert_eq!(bench.touches_in(timeout), 0);
        }
    }
}

#[test]
fn a_session_that_stands_still_does_not_outlive_its_connection_or_the_limit() {
    let mut bench = Bench::new();
    let session = format!("Session: {}", bench.set_up_movie());
    assert_eq!(bench.ask("PLAY", MOVIE, &[&session]).status, 200);
    assert_eq!(bench.ask("PAUSE", MOVIE, &[&session]).status, 200);
    assert!(bench.touches_in(60) >= 2);
    bench.drive(|control, now, effects| control.closed(now, CLIENT, effects));
    assert_eq!(bench.touches_in(60), 0);
    assert_eq!(bench.control.session_count(), 1, "it may still be taken up");
    let again = ConnectionId(2);
    assert!(bench.connect(again, CLIENT_ADDRESS));
    assert_eq!(bench.ask_on(again, "GET_PARAMETER", MOVIE, &[&session]).status, 200);
    assert!(bench.touches_in(60) >= 2);
    bench.pass(STANDING_MAX);
    assert_eq!(bench.touches_in(60), 0);
    let ended = Report::Ended {
        session: SessionKey(1),
        reason: EndReason::TimedOut,
        sent: Sent::default(),
    };
    bench.drive(|control, now, effects| control.report(now, 0, ended, effects));
    bench.drive(|control, now, effects| control.closed(now, again, effects));
    bench.control.check_empty().unwrap();
}
