//! Port pairs: viewers behind one address are spread over the shards that have some left for it.

use super::super::testing::{Bench, CLIENT, TCP, config, udp};
use crate::config::Config;
use crate::mailbox::{ConnectionId, EndReason, Report, Sent, SessionKey, SetUpRefused};

const MOVIE: &str = "rtsp://h/movie.mp4";
const VIDEO: &str = "rtsp://h/movie.mp4/trackID=0";
const AUDIO: &str = "rtsp://h/movie.mp4/trackID=1";

/// Two shards of so many pairs each.
fn bench(pairs: u16) -> Bench {
    let rtp_ports = 6970..=6970 + 4 * pairs - 1;
    Bench::with(Config { rtp_ports, ..config() }, 2)
}

/// A viewer of both tracks by a connection of his own from this address; gives his session.
fn view(bench: &mut Bench, id: u64, address: &str, transport: &str) -> String {
    let id = ConnectionId(id);
    assert!(bench.connect(id, &format!("{address}:{}", 50_000 + id.0)));
    let first = bench.ask_on(id, "SETUP", VIDEO, &[transport]);
    assert_eq!(first.status, 200, "{}", first.text);
    let session = format!("Session: {}", first.session());
    let second = transport.replace("0-1", "2-3");
    let second = bench.ask_on(id, "SETUP", AUDIO, &[&second, &session]);
    assert_eq!(second.status, 200, "{}", second.text);
    session
}

#[test]
fn viewers_of_one_address_go_where_pairs_are_left_for_it() {
    let mut bench = bench(5);
    // Two of them fill a shard: for a third one's second stream there is none.
    let sessions: Vec<_> =
        (10..14).map(|id| view(&mut bench, id, "198.51.100.7", udp(4000))).collect();
    assert_eq!(bench.control.session_shards(), [0, 0, 1, 1]);
    // Another address and another transport go where the title is, and least is reserved.
    view(&mut bench, 14, "198.51.100.8", udp(4000));
    view(&mut bench, 15, "198.51.100.7", TCP);
    assert_eq!(bench.control.session_shards()[4..], [0, 1]);
    let teardown = bench.ask_on(ConnectionId(10), "TEARDOWN", VIDEO, &[&sessions[0]]);
    assert_eq!(teardown.status, 200);
    let teardown = bench.ask_on(ConnectionId(10), "TEARDOWN", AUDIO, &[&sessions[0]]);
    assert_eq!(teardown.status, 200);
    view(&mut bench, 16, "198.51.100.7", udp(4000));
    assert_eq!(bench.control.session_shards(), [0, 1, 1, 0, 1, 0]);
}

/// Has two viewers take all pairs there are, ends the first's streams in some way, and has a third
/// one come: he finds the pairs that the first had.
fn check_given_back(end: impl FnOnce(&mut Bench, ConnectionId, &str)) {
    let mut bench = bench(2);
    let [first, second, third] = [10, 11, 12].map(ConnectionId);
    let session = view(&mut bench, first.0, "198.51.100.7", udp(4000));
    view(&mut bench, second.0, "198.51.100.7", udp(4000));
    assert_eq!(bench.control.session_shards(), [0, 1]);
    end(&mut bench, first, &session);
    view(&mut bench, third.0, "198.51.100.7", udp(4000));
    assert_eq!(bench.control.session_shards().last(), Some(&0));
    for key in 1..=5 {
        shard_ends(&mut bench, key);
    }
    for id in [CLIENT, first, second, third] {
        bench.drive(|control, now, effects| control.closed(now, id, effects));
    }
    bench.control.check_empty().unwrap();
}

fn shard_ends(bench: &mut Bench, key: u64) {
    let (session, sent) = (SessionKey(key), Sent::default());
    let ended = Report::Ended { session, reason: EndReason::TimedOut, sent };
    bench.drive(|control, now, effects| control.report(now, 0, ended, effects));
}

#[test]
fn a_session_that_ends_gives_its_pairs_back() {
    check_given_back(|bench, id, session| {
        assert_eq!(bench.ask_on(id, "TEARDOWN", MOVIE, &[session]).status, 200);
    });
    check_given_back(|bench, _, _| shard_ends(bench, 1));
}

#[test]
fn a_stream_that_is_interleaved_instead_gives_its_pair_back() {
    check_given_back(|bench, id, session| {
        for (url, channels) in [(VIDEO, "0-1"), (AUDIO, "2-3")] {
            let transport = TCP.replace("0-1", channels);
            let moved = bench.ask_on(id, "SETUP", url, &[&transport, session]);
            assert_eq!(moved.status, 200, "{}", moved.text);
        }
    });
}

#[test]
fn a_stream_that_a_shard_refuses_gives_its_pair_back() {
    check_given_back(|bench, id, session| {
        assert_eq!(bench.ask_on(id, "TEARDOWN", MOVIE, &[session]).status, 200);
        let either = "Transport: RTP/AVP;unicast;client_port=4000-4001,\
                      RTP/AVP/TCP;interleaved=4-5";
        for (transport, status) in [(udp(4000), 461), (either, 200)] {
            bench.refusals.push_back(SetUpRefused::NoPairLeft);
            assert_eq!(bench.ask_on(id, "SETUP", VIDEO, &[transport]).status, status);
        }
    });
}
