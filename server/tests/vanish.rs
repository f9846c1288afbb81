//! Viewers who leave without a word: what they held comes back, and nobody else notices.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "helpers of tests are tests")]

mod support;

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;
use support::crowd::play;
use support::held::{held, nothing_held};
use support::titles::{self, BUSY};
use support::{Server, alone};
use tools::client::{Lower, RtspClient};
use tools::load::{Limits, Mix, Options, Start};

/// Of each kind.
const VANISHING: u8 = 60;

/// Their ports are closed: every packet to them is answered with an ICMP message to sockets that
/// other viewers' streams leave by.
#[test]
fn viewers_who_vanish_hurt_nobody_and_their_sessions_time_out() {
    let _alone = alone();
    BUSY.make();
    let server = Server::start(&titles::directory(), &["--session-timeout", "5s"]);
    let url = server.url(BUSY.name);
    let watching = Options {
        urls: vec![url.clone()],
        sessions: 60,
        ramp_per_second: 60,
        mix: Mix::EVEN,
        duration: Duration::from_secs(14),
        start: Start::Random,
        ..Options::default()
    };
    let summary = std::thread::scope(|scope| {
        let watched = scope.spawn(|| play(&watching));
        for number in 0..VANISHING {
            vanish(&url, number, Lower::Udp);
            vanish(&url, number, Lower::Tcp);
        }
        let sessions = held(&server)["sessions"];
        // Counted by control and by a shard.
        assert!(sessions >= 2 * u64::from(VANISHING), "{sessions} sessions: UDP ones live on");
        watched.join().unwrap()
    });
    assert_eq!(summary.complaints(&Limits::default()), Vec::<String>::new());
    assert_eq!(summary.sessions.played, 60);
    nothing_held(&server, Duration::from_secs(12));
}

/// Plays and is gone, connection, ports and all.
fn vanish(url: &str, number: u8, lower: Lower) {
    let local = IpAddr::V4(Ipv4Addr::new(127, 3, 0, number + 1));
    let mut client = RtspClient::connect(url, Some(local)).unwrap();
    let presentation = client.describe().unwrap();
    for media in &presentation.media {
        client.setup(media, lower).unwrap();
    }
    client.play(Some("npt=0-")).unwrap();
    assert!(client.next_arrival(Duration::from_secs(2)).unwrap().is_some());
}
