//! More viewers than may be served: those let in notice nothing, the others are told at once.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "helpers of tests are tests")]

mod support;

use std::time::Duration;
use support::crowd::play;
use support::titles::{self, BUSY};
use support::{Server, alone};
use tools::load::{Limits, Mix, Options, Start};

const VIEWERS: u64 = 200;

#[test]
fn those_who_do_not_fit_are_refused_and_the_others_lose_nothing() {
    let _alone = alone();
    BUSY.make();
    let server = Server::start(&titles::directory(), &["--egress-limit", "100Mbit/s"]);
    let options = Options {
        urls: vec![server.url(BUSY.name)],
        sessions: usize::try_from(VIEWERS).unwrap(),
        ramp_per_second: 100,
        mix: Mix::EVEN,
        duration: Duration::from_secs(10),
        start: Start::Random,
        ..Options::default()
    };
    let summary = play(&options);
    let limits = Limits { refused_max: VIEWERS, ..Limits::default() };
    assert_eq!(summary.complaints(&limits), Vec::<String>::new());
    // The title is reserved with a little more than its 1 Mbit/s.
    let sessions = summary.sessions;
    assert!((70..=110).contains(&sessions.played), "{sessions:?}");
    assert_eq!(sessions.played + sessions.refused, VIEWERS);
    let reasons: Vec<&String> = summary.failures.keys().collect();
    assert!(reasons.iter().all(|reason| reason.contains("453")), "{reasons:?}");
    assert!(summary.refused_ms.max <= 100.0, "{:?}", summary.refused_ms);
}
