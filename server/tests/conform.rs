//! The whole conformance suite against the server: UDP, interleaved, through HTTP.

mod support;

use std::time::Duration;
use support::Server;
use support::titles::{LONG, directory};
use tools::conform::{Kind, Options, Outcome, run};

#[test]
fn the_server_conforms() {
    LONG.make();
    // Short, so that the checks of it need not wait long.
    let mut server = Server::start(&directory(), &["--session-timeout", "5s"]);
    let options = Options {
        url: server.url(LONG.name),
        kinds: Kind::ALL.to_vec(),
        only: Vec::new(),
        skip: Vec::new(),
        jobs: 100,
        reply_timeout: Duration::from_secs(10),
        session_timeout_max: Duration::from_secs(10),
        drain_pid: Some(server.pid()),
    };
    let report = run(&options, |_| {}).unwrap();
    // A second signal would end it there and then.
    server.await_end();
    println!("{report}");
    let failed: Vec<_> = report
        .results
        .iter()
        .filter(|result| result.outcome == Outcome::Fail)
        .map(|result| result.name.as_str())
        .collect();
    assert_eq!(failed, Vec::<&str>::new());
    assert!(report.count(Outcome::Pass) > 800, "{} passed", report.count(Outcome::Pass));
}
