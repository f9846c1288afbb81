//! Any sequence of requests against the table of RFC 2326 App. A.2: the state follows the model,
//! and a 4xx or 5xx changes nothing.

use crate::control::testing::{Bench, TCP, udp};
use proptest::prelude::*;

const MOVIE: &str = "rtsp://h/movie.mp4";

/// A request, and whether the model can tell its status.
#[derive(Clone, Copy, Debug)]
enum Ask {
    SetUp { track: u8, interleaved: bool },
    Play { range: Option<&'static str> },
    Pause,
    TearDown { track: Option<u8> },
    KeepAlive,
    Wrong(&'static str, &'static str, &'static str),
}

fn ask() -> impl Strategy<Value = Ask> {
    let range = prop_oneof![
        Just(None),
        Just(Some("npt=2-")),
        Just(Some("npt=1-3")),
        Just(Some("npt=77-")),
        Just(Some("clock=19961108T143720Z-")),
        Just(Some("npt=x-")),
    ];
    prop_oneof![
        4 => (0..3_u8, any::<bool>())
            .prop_map(|(track, interleaved)| Ask::SetUp { track, interleaved }),
        4 => range.prop_map(|range| Ask::Play { range }),
        3 => Just(Ask::Pause),
        2 => prop::option::of(0..3_u8).prop_map(|track| Ask::TearDown { track }),
        1 => Just(Ask::KeepAlive),
        1 => Just(Ask::Wrong("RECORD", MOVIE, "X: y")),
        1 => Just(Ask::Wrong("PLAY", MOVIE, "Require: x")),
        1 => Just(Ask::Wrong("PLAY", "rtsp://h/other.mp4", "X: y")),
        1 => Just(Ask::Wrong("SETUP", "rtsp://h/silent.mp4/trackID=0", "Transport: RTP/AVP/TCP")),
        1 => Just(Ask::Wrong("SETUP", "rtsp://h/movie.mp4/trackID=0", "Transport: RTP/AVP;multicast")),
    ]
}

/// What RFC 2326 App. A.2 says of the session. Init is no session.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Model {
    session: Option<String>,
    /// In the order of their SETUP.
    tracks: Vec<u8>,
    is_playing: bool,
}

impl Model {
    /// The status the request must get, before the state follows.
    fn status(&self, ask: Ask) -> u16 {
        let has_session = self.session.is_some();
        match ask {
            Ask::SetUp { track: 2.., .. } => 404,
            Ask::SetUp { .. } if self.is_playing => 455,
            Ask::SetUp { .. } => 200,
            _ if !has_session => match ask {
                Ask::Wrong("RECORD", ..) => 405,
                Ask::Wrong(.., "Require: x") => 551,
                Ask::Wrong(.., "Transport: RTP/AVP;multicast") => 461,
                // No session to disagree with: this opens one, which the model does not follow.
                Ask::Wrong("SETUP", ..) => 0,
                Ask::KeepAlive => 200,
                Ask::SetUp { .. }
                | Ask::Play { .. }
                | Ask::Pause
                | Ask::TearDown { .. }
                | Ask::Wrong(..) => 454,
            },
            Ask::Play { range: Some("npt=77-") } => 457,
            Ask::Play { range: Some("clock=19961108T143720Z-") } => 456,
            Ask::Play { range: Some("npt=x-") } => 400,
            Ask::Play { .. } | Ask::Pause | Ask::KeepAlive | Ask::TearDown { track: None } => 200,
            Ask::TearDown { track: Some(track) } => {
                if self.tracks.contains(&track) {
                    200
                } else {
                    404
                }
            }
            Ask::Wrong("RECORD", ..) => 405,
            Ask::Wrong(.., "Require: x") => 551,
            Ask::Wrong("PLAY", ..) => 404,
            Ask::Wrong(.., "Transport: RTP/AVP;multicast") if self.is_playing => 455,
            Ask::Wrong(.., "Transport: RTP/AVP;multicast") => 461,
            Ask::Wrong(..) => 459,
        }
    }

    fn follow(&mut self, ask: Ask, session: Option<String>) {
        match ask {
            Ask::SetUp { track, .. } => {
                self.session = session;
                if !self.tracks.contains(&track) {
                    self.tracks.push(track);
                }
            }
            Ask::Play { .. } => self.is_playing = true,
            Ask::Pause => self.is_playing = false,
            Ask::TearDown { track: Some(track) } if self.tracks.len() > 1 => {
                self.tracks.retain(|other| *other != track);
            }
            Ask::TearDown { .. } => *self = Self::default(),
            Ask::KeepAlive | Ask::Wrong(..) => {}
        }
    }
}

proptest! {
    #[test]
    fn sessions_follow_the_table_and_refusals_change_nothing(
        asks in prop::collection::vec(ask(), 1..40),
    ) {
        let mut bench = Bench::new();
        let mut model = Model::default();
        for ask in asks {
            let expected = model.status(ask);
            if expected == 0 {
                continue;
            }
            let before = bench.control.fingerprint();
            let (method, url, header) = match ask {
                Ask::SetUp { track, interleaved } => (
                    "SETUP",
                    format!("{MOVIE}/trackID={track}"),
                    match (interleaved, track) {
                        (true, 0) => TCP.to_owned(),
                        (true, _) => "Transport: RTP/AVP/TCP;interleaved=2-3".to_owned(),
                        (false, 0) => udp(4000).to_owned(),
                        (false, _) => udp(4002).to_owned(),
                    },
                ),
                Ask::Play { range: Some(range) } => {
                    ("PLAY", MOVIE.to_owned(), format!("Range: {range}"))
                }
                Ask::Play { range: None } => ("PLAY", MOVIE.to_owned(), "X: y".to_owned()),
                Ask::Pause => ("PAUSE", MOVIE.to_owned(), "X: y".to_owned()),
                Ask::TearDown { track: None } => ("TEARDOWN", MOVIE.to_owned(), "X: y".to_owned()),
                Ask::TearDown { track: Some(track) } => {
                    ("TEARDOWN", format!("{MOVIE}/trackID={track}"), "X: y".to_owned())
                }
                Ask::KeepAlive => ("GET_PARAMETER", MOVIE.to_owned(), "X: y".to_owned()),
                Ask::Wrong(method, url, header) => (method, url.to_owned(), header.to_owned()),
            };
            let session = model.session.as_ref().map(|id| format!("Session: {id}"));
            let headers: Vec<&str> =
                std::iter::once(header.as_str()).chain(session.as_deref()).collect();
            let response = bench.ask(method, &url, &headers);
            prop_assert_eq!(response.status, expected, "{:?} in {:?}", ask, model);
            if response.status == 200 {
                let session = matches!(ask, Ask::SetUp { .. }).then(|| response.session());
                model.follow(ask, session);
            } else {
                prop_assert_eq!(before, bench.control.fingerprint(), "{:?}", ask);
            }
            prop_assert_eq!(
                bench.control.session_model(),
                model.session.as_ref().map(|_| (model.tracks.clone(), model.is_playing))
            );
        }
        let connection = super::CLIENT;
        if let Some(session) = &model.session {
            let session = format!("Session: {session}");
            prop_assert_eq!(bench.ask("TEARDOWN", MOVIE, &[&session]).status, 200);
        }
        bench.drive(|control, now, effects| control.closed(now, connection, effects));
        prop_assert!(bench.control.is_idle());
        prop_assert!(bench.streams.is_empty());
    }
}
