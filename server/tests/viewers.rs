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
        mix: Mix::EVEN,
        duration: Duration::from_secs(15),
        start: Start::Random,
        stalled: 20,
        ..Options::default()
    };
    let summary = run(&options, |_, _| {}).unwrap().summary;
    println!("{summary}");
    assert_eq!(summary.complaints(&Limits::default()), Vec::<String>::new());
    assert_eq!((summary.sessions.played, summary.sessions.stalled), (580, 20));
}
