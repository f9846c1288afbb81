//! What a viewer takes of the server's memory, beside the images that all share.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "helpers of tests are tests")]

mod support;

use std::net::Ipv4Addr;
use std::time::Duration;
use support::crowd::play;
use support::titles::{self, TINY};
use support::{Server, alone, pause, poll};
use tools::load::{Options, SourceNet, Start};

/// Viewers who are there before memory is looked at. A turn's batch and what it is made of grow up
/// to a limit with the first of them.
const FIRST: usize = 1500;
/// Viewers who come then.
const MORE: usize = 2200;
/// How long a crowd may take to come, and how long its memory is given to settle.
const COMING_MAX: Duration = Duration::from_secs(20);
const SETTLING: Duration = Duration::from_secs(2);
/// Bytes that each of them may take of the process: connection, session, two streams.
const VIEWER_BYTES_MAX: u64 = 4096;

#[test]
fn a_viewer_takes_little_memory() {
    let _alone = alone();
    TINY.make();
    let server = Server::with_shards(1, &titles::directory(), &[]);
    let first = crowd(&server, FIRST, 1, Duration::from_secs(12));
    let more = crowd(&server, MORE, 3, Duration::from_secs(4));
    let resident_bytes_with = |viewers| {
        let are_there = poll(COMING_MAX, || (server.descriptors() >= viewers).then_some(()));
        assert!(are_there.is_some(), "{} descriptors", server.descriptors());
        pause(SETTLING);
        server.resident_bytes()
    };
    std::thread::scope(|scope| {
        scope.spawn(|| play(&first));
        let before = resident_bytes_with(FIRST);
        scope.spawn(|| play(&more));
        let after = resident_bytes_with(FIRST + MORE);
        let each = (after - before) / MORE as u64;
        println!("{each} bytes for each of {MORE} viewers");
        assert!(each <= VIEWER_BYTES_MAX, "{each} bytes a viewer");
    });
}

/// Viewers from networks of their own, whose media nobody reads.
fn crowd(server: &Server, sessions: usize, network: u8, duration: Duration) -> Options {
    let net = |network| SourceNet { network: Ipv4Addr::new(127, network, 0, 0), prefix_bits: 16 };
    Options {
        urls: vec![server.url(TINY.name)],
        sessions,
        ramp_per_second: 1000,
        duration,
        start: Start::Random,
        sink: 1.0,
        source: Some(net(network)),
        sink_source: Some(net(network + 1)),
        ..Options::default()
    }
}
