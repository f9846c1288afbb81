//! Viewers who come, seek, pause, go and vanish, minute after minute: what they took comes back.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "helpers of tests are tests")]

mod support;

use std::time::Duration;
use support::crowd::play;
use support::held::{held, nothing_held};
use support::titles::{self, BUSY, PLAYABLE};
use support::{Server, alone, full, poll};
use tools::load::{Limits, Mix, Options, Start};

/// What the server may hold more than after the first few viewers: images stay until their memory
/// is wanted, and tables keep their size.
const KEPT_BYTES_MAX: u64 = 24 << 20;

#[test]
fn churn_leaves_nothing_behind() {
    let _alone = alone();
    let titles = [&BUSY, &PLAYABLE[0], &PLAYABLE[1]];
    for title in titles {
        title.make();
    }
    let server = Server::start(&titles::directory(), &["--session-timeout", "5s"]);
    let urls: Vec<String> = titles.iter().map(|title| server.url(title.name)).collect();
    let options = |sessions: usize, seconds: u64, churn: &str| Options {
        urls: urls.clone(),
        sessions,
        ramp_per_second: 50,
        mix: Mix::EVEN,
        duration: Duration::from_secs(seconds),
        start: Start::Random,
        churn: churn.parse().unwrap(),
        server_pid: Some(server.pid()),
        ..Options::default()
    };
    play(&options(30, 2, "stop=0/s"));
    nothing_held(&server, Duration::from_secs(20));
    let before = (server.descriptors(), server.resident_bytes());

    let seconds = if full() { 600 } else { 60 };
    let restless = "stop=6/s,seek=12/s,pause=6/s,vanish=3/s";
    let summary = play(&options(150, seconds, restless));
    assert_eq!(summary.complaints(&Limits::default()), Vec::<String>::new());
    let enough = |count: u64, rate: u64| assert!(count * 2 > rate * seconds, "{:?}", summary.churn);
    enough(summary.churn.stops, 6);
    enough(summary.churn.seeks, 12);
    enough(summary.churn.pauses, 6);
    enough(summary.churn.vanished, 3);

    // Vanished viewers over UDP are gone with their time-out.
    nothing_held(&server, Duration::from_secs(20));
    let back = poll(Duration::from_secs(5), || {
        let after = (server.descriptors(), server.resident_bytes());
        (after.0 <= before.0 && after.1 < before.1 + KEPT_BYTES_MAX).then_some(after)
    });
    println!("descriptors and resident bytes before {before:?}, after {back:?}");
    let after = (server.descriptors(), server.resident_bytes());
    assert!(back.is_some(), "before {before:?}, after {after:?}: {:?}", held(&server));
}
