//! Many viewers at once, some of whom stop reading, and the rest must not notice.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "helpers of tests are tests")]

mod support;

use std::time::Duration;
use support::titles::{self, BUSY};
use support::{Server, alone};
use tools::load::{Limits, Mix, Options, Start, run};

#[test]
fn viewers_who_do_not_read_hurt_nobody() {
    let _alone = alone();
    BUSY.make();
    let server = Server::start(&titles::directory(), &[]);
    let options = Options {
        urls: vec![server.url(BUSY.name)],
        sessions: 600,
        ramp_per_second: 100,
        mix: Mix::Both,
        duration: Duration::from_secs(15),
        start: Start::Random,
        reply_timeout: Duration::from_secs(10),
        stalled: 20,
        threads: 1,
        source: None,
    };
    let summary = run(&options, |_| {}).unwrap();
    println!("{summary}");
    let limits = Limits { lost_max: 0, late_max: Duration::from_millis(100) };
    assert_eq!(summary.complaints(&limits), Vec::<String>::new());
    assert_eq!((summary.sessions.played, summary.sessions.stalled), (580, 20));
}
