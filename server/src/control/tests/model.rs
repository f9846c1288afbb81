//! Any sequence of requests against the table of RFC 2326 App. A.2: the state follows the model,
//! every request gets the status that the model says, and after a 3xx, 4xx or 5xx nothing has
//! changed: neither sessions nor reservations, and no shard was told anything.

use super::CLIENT;
use crate::control::testing::{Bench, TCP, udp};
use crate::mailbox::{Command, EndReason, Report, Sent, SessionKey};
use proptest::prelude::*;

const MOVIE: &str = "rtsp://h/movie.mp4";

/// What happens next.
#[derive(Clone, Copy, Debug)]
enum Ask {
    SetUp {
        track: u8,
        offer: Offer,
        wish: Option<(&'static str, u16)>,
    },
    /// With a header and the status that it has in the states that have PLAY.
    Play {
        track: Option<u8>,
        header: Option<(&'static str, u16)>,
    },
    Pause {
        track: Option<u8>,
    },
    TearDown {
        track: Option<u8>,
    },
    /// GET_PARAMETER or SET_PARAMETER, of a body, with the status where there is a session and
    /// where there is none.
    Parameters(&'static str, &'static str, u16, u16),
    /// What has this status in any state, and no influence on it.
    Always(&'static str, &'static str, &'static str, u16),
    /// The range comes to its end.
    Finish,
    /// The shard ends the session.
    Expire,
    /// The server lets nothing new in.
    Retire,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Offer {
    Udp,
    Interleaved,
    /// This cannot be served or read, says the status.
    Wrong(&'static str, u16),
}

fn ask() -> impl Strategy<Value = Ask> {
    let track = || prop::option::of(0..3_u8);
    prop_oneof![
        6 => set_up(),
        5 => play(),
        3 => track().prop_map(|track| Ask::Pause { track }),
        2 => track().prop_map(|track| Ask::TearDown { track }),
        2 => parameters(),
        2 => always(),
        2 => Just(Ask::Finish),
        1 => Just(Ask::Expire),
        1 => prop::bool::weighted(0.1).prop_map(|retires| {
            if retires { Ask::Retire } else { Ask::Always("OPTIONS", "*", "X: y", 200) }
        }),
    ]
}

fn set_up() -> impl Strategy<Value = Ask> {
    let elsewhere = "RTP/AVP;unicast;client_port=4000-4001;destination=192.0.2.9";
    let offer = prop_oneof![
        4 => Just(Offer::Udp),
        4 => Just(Offer::Interleaved),
        1 => Just(Offer::Wrong("RTP/AVP;multicast", 461)),
        1 => Just(Offer::Wrong(elsewhere, 462)),
        1 => Just(Offer::Wrong("RTP/AVP;unicast;client_port=x", 400)),
        1 => Just(Offer::Wrong("RTP/AVP;unicast;client_port=4000-4001;mode=record", 461)),
    ];
    let wish = prop_oneof![
        8 => Just(None),
        1 => Just(Some(("Bandwidth: 1000000", 200))),
        1 => Just(Some(("Bandwidth: 1000", 453))),
        1 => Just(Some(("Blocksize: 0", 416))),
        1 => Just(Some(("Conference: 199702170042.SAA08642@obiwan", 452))),
        1 => Just(Some(("If-Modified-Since: Fri, 31 Dec 9999 23:59:59 GMT", 304))),
    ];
    (0..3_u8, offer, wish).prop_map(|(track, offer, wish)| Ask::SetUp { track, offer, wish })
}

fn play() -> impl Strategy<Value = Ask> {
    let header = prop::sample::select(vec![
        ("Range: npt=2-", 200),
        ("Range: npt=1-3", 200),
        ("Range: npt=now-", 200),
        ("Range: smpte=0:00:02-", 200),
        ("Range: npt=77-", 457),
        ("Range: npt=4-2", 457),
        ("Range: npt=x-", 400),
        ("Range: clock=19961108T143720Z-", 456),
        ("Range: furlongs=1-", 501),
        ("Scale: fast", 400),
        ("Speed: 0", 400),
    ]);
    let track = prop_oneof![4 => Just(None), 1 => (0..3_u8).prop_map(Some)];
    (track, prop::option::of(header)).prop_map(|(track, header)| Ask::Play { track, header })
}

fn parameters() -> impl Strategy<Value = Ask> {
    prop::sample::select(vec![
        Ask::Parameters("GET_PARAMETER", "", 200, 200),
        Ask::Parameters("SET_PARAMETER", "", 200, 200),
        Ask::Parameters("GET_PARAMETER", "position\r\njitter", 200, 454),
        Ask::Parameters("GET_PARAMETER", "position\r\nvolume", 451, 451),
        Ask::Parameters("SET_PARAMETER", "volume: 1", 451, 451),
        Ask::Parameters("SET_PARAMETER", "jitter: 0", 458, 458),
    ])
}

fn always() -> impl Strategy<Value = Ask> {
    prop::sample::select(vec![
        Ask::Always("DESCRIBE", MOVIE, "X: y", 200),
        Ask::Always("DESCRIBE", MOVIE, "Accept: text/html", 406),
        Ask::Always("DESCRIBE", MOVIE, "If-Modified-Since: Fri, 31 Dec 9999 23:59:59 GMT", 304),
        Ask::Always("DESCRIBE", "rtsp://h/notes.txt", "X: y", 415),
        Ask::Always("DESCRIBE", "rtsp://h/none.mp4", "X: y", 404),
        Ask::Always("OPTIONS", MOVIE, "Timestamp: 1", 200),
        Ask::Always("RECORD", MOVIE, "X: y", 405),
        Ask::Always("ANNOUNCE", MOVIE, "X: y", 405),
        Ask::Always("FROBNICATE", MOVIE, "X: y", 501),
        Ask::Always("PLAY", MOVIE, "Require: x", 551),
        Ask::Always("TEARDOWN", MOVIE, "Proxy-Require: x", 551),
        Ask::Always("PLAY", MOVIE, "Session: 00000000000000000000000000000000", 454),
        Ask::Always("TEARDOWN", MOVIE, "Session: x", 454),
    ])
}

/// What RFC 2326 App. A.2 says of the session. Init is no session.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Model {
    session: Option<String>,
    /// In the order of their SETUP.
    tracks: Vec<u8>,
    is_playing: bool,
    is_retiring: bool,
}

impl Model {
    /// The status that the request must get, before the state follows.
    fn status(&self, ask: Ask) -> u16 {
        match ask {
            Ask::SetUp { track, offer, wish } => self.set_up_status(track, offer, wish),
            Ask::Always(.., status) => status,
            Ask::Parameters(.., status, without) => {
                if self.session.is_some() {
                    status
                } else {
                    without
                }
            }
            Ask::Play { .. } | Ask::Pause { .. } | Ask::TearDown { .. }
                if self.session.is_none() =>
            {
                454
            }
            Ask::Play { track: Some(track), .. }
            | Ask::Pause { track: Some(track) }
            | Ask::TearDown { track: Some(track) }
                if !self.tracks.contains(&track) =>
            {
                404
            }
            Ask::Play { track: Some(_), .. } | Ask::Pause { track: Some(_) }
                if self.tracks.len() > 1 =>
            {
                460
            }
            Ask::Play { header, .. } => header.map_or(200, |(_, status)| status),
            Ask::Pause { .. } | Ask::TearDown { .. } => 200,
            Ask::Finish | Ask::Expire | Ask::Retire => panic!("no request"),
        }
    }

    fn set_up_status(&self, track: u8, offer: Offer, wish: Option<(&str, u16)>) -> u16 {
        let wished = wish.map_or(200, |(_, status)| status);
        match offer {
            _ if track > 1 => 404,
            _ if self.is_playing => 455,
            _ if wished != 200 => wished,
            Offer::Wrong(_, status) => status,
            Offer::Udp | Offer::Interleaved if self.session.is_none() && self.is_retiring => 503,
            Offer::Udp | Offer::Interleaved => 200,
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
            Ask::Pause { .. } | Ask::Finish => self.is_playing = false,
            Ask::TearDown { track: Some(track) } if self.tracks.len() > 1 => {
                self.tracks.retain(|other| *other != track);
            }
            Ask::TearDown { .. } | Ask::Expire => {
                *self = Self { is_retiring: self.is_retiring, ..Self::default() };
            }
            Ask::Retire => self.is_retiring = true,
            Ask::Parameters(..) | Ask::Always(..) => {}
        }
    }
}

/// Method, URL, header and body of a request.
fn request(ask: Ask) -> (&'static str, String, String, &'static str) {
    let of = |track: Option<u8>| match track {
        Some(track) => format!("{MOVIE}/trackID={track}"),
        None => MOVIE.to_owned(),
    };
    let plain = || "X: y".to_owned();
    match ask {
        Ask::SetUp { track, offer, wish } => {
            let transport = match (offer, track) {
                (Offer::Interleaved, 0) => TCP.to_owned(),
                (Offer::Interleaved, _) => "Transport: RTP/AVP/TCP;interleaved=2-3".to_owned(),
                (Offer::Udp, 0) => udp(4000).to_owned(),
                (Offer::Udp, _) => udp(4002).to_owned(),
                (Offer::Wrong(offer, _), _) => format!("Transport: {offer}"),
            };
            let (wish, _) = wish.unwrap_or(("X: y", 200));
            ("SETUP", of(Some(track)), format!("{transport}\r\n{wish}"), "")
        }
        Ask::Play { track, header } => {
            ("PLAY", of(track), header.map_or_else(plain, |(header, _)| header.to_owned()), "")
        }
        Ask::Pause { track } => ("PAUSE", of(track), plain(), ""),
        Ask::TearDown { track } => ("TEARDOWN", of(track), plain(), ""),
        Ask::Parameters(method, body, ..) => (method, of(None), plain(), body),
        Ask::Always(method, url, header, _) => (method, url.to_owned(), header.to_owned(), ""),
        Ask::Finish | Ask::Expire | Ask::Retire => panic!("no request"),
    }
}

/// What happens to a session by itself; whether it was that.
fn happen(bench: &mut Bench, model: &mut Model, ask: Ask) -> bool {
    let session = bench.streams.keys().next_back().copied().unwrap_or(SessionKey(0));
    match ask {
        Ask::Finish if model.is_playing => {
            let report = Report::Finished { session, paused: None };
            bench.drive(|control, now, effects| control.report(now, 0, report, effects));
        }
        Ask::Expire if model.session.is_some() => {
            bench.streams.remove(&session);
            let (reason, sent) = (EndReason::TimedOut, Sent::default());
            let report = Report::Ended { session, reason, sent };
            bench.drive(|control, now, effects| control.report(now, 0, report, effects));
        }
        Ask::Retire => bench.drive(|control, _, effects| control.retire(effects)),
        Ask::Finish | Ask::Expire => return true,
        Ask::SetUp { .. }
        | Ask::Play { .. }
        | Ask::Pause { .. }
        | Ask::TearDown { .. }
        | Ask::Parameters(..)
        | Ask::Always(..) => return false,
    }
    model.follow(ask, None);
    true
}

proptest! {
    #[test]
    fn sessions_follow_the_table_and_refusals_change_nothing(
        asks in prop::collection::vec(ask(), 1..50),
    ) {
        let mut bench = Bench::new();
        let mut model = Model::default();
        for ask in asks {
            if !happen(&mut bench, &mut model, ask) {
                let expected = model.status(ask);
                let before = (bench.control.fingerprint(), bench.streams.clone());
                bench.take_commands();
                let (method, url, header, body) = request(ask);
                let session = model.session.as_ref().map(|id| format!("Session: {id}"));
                let session = session.filter(|_| !header.starts_with("Session"));
                let headers: Vec<&str> =
                    std::iter::once(header.as_str()).chain(session.as_deref()).collect();
                let response = bench.ask_with(method, &url, &headers, body);
                prop_assert_eq!(response.status, expected, "{:?} in {:?}", ask, model);
                if response.status == 200 {
                    let session = matches!(ask, Ask::SetUp { .. }).then(|| response.session());
                    model.follow(ask, session);
                } else {
                    let after = (bench.control.fingerprint(), bench.streams.clone());
                    prop_assert_eq!(before, after, "{:?}", ask);
                    // Whether a range can be played, only the shard knows: it moves nothing then.
                    let asks_for_range = |it: &Command| {
                        response.status == 457 && matches!(it, Command::Play { .. })
                    };
                    let told = bench.take_commands();
                    prop_assert!(told.iter().all(asks_for_range), "{:?}: {:?}", ask, told);
                }
            }
            prop_assert_eq!(
                bench.control.session_model(),
                model.session.as_ref().map(|_| (model.tracks.clone(), model.is_playing)),
                "{:?}", ask
            );
        }
        if let Some(session) = &model.session {
            let session = format!("Session: {session}");
            prop_assert_eq!(bench.ask("TEARDOWN", MOVIE, &[&session]).status, 200);
        }
        bench.drive(|control, now, effects| control.closed(now, CLIENT, effects));
        prop_assert!(bench.control.is_idle());
        prop_assert!(bench.streams.is_empty());
    }
}
