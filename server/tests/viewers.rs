//! Many viewers at once: some stop reading, and the rest must not notice; all watch one title,
//! which is read once.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "helpers of tests are tests")]

mod support;

use std::time::Duration;
use support::crowd::play;
use support::held::read_bytes;
use support::titles::{self, BUSY};
use support::{Server, alone};
use tools::load::{Limits, Mix, Options, Start};

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
    let summary = play(&options);
    assert_eq!(summary.complaints(&Limits::default()), Vec::<String>::new());
    assert_eq!((summary.sessions.played, summary.sessions.stalled), (580, 20));
}

#[test]
fn viewers_of_one_title_cost_one_read_of_it() {
    let _alone = alone();
    let file_bytes = BUSY.make().metadata().unwrap().len();
    let server = Server::start(&titles::directory(), &[]);
    let options = Options {
        urls: vec![server.url(BUSY.name)],
        sessions: 200,
        ramp_per_second: 50,
        mix: Mix::EVEN,
        duration: Duration::from_secs(8),
        ..Options::default()
    };
    let summary = play(&options);
    assert_eq!(summary.complaints(&Limits::default()), Vec::<String>::new());
    // The first watches twelve of thirty seconds, the thirteenth is read ahead, and a read takes up
    // to four along; alignment and the index take a little more.
    let (read, watched) = (read_bytes(&server), file_bytes * 17 / 30);
    println!("read {read} bytes for 200 viewers of {watched}");
    assert!(read > watched / 2 && read < watched * 11 / 10, "{read} of {watched}");
}
