//! The way to the viewer: packets that fit its narrowest link, and media that leaves from the
//! address that the client reached.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "helpers of tests are tests")]

mod support;

use std::collections::BTreeMap;
use std::time::Duration;
use support::namespaces::{Namespace, isolated};
use support::titles::{self, PLAYABLE};
use support::{Server, alone};
use tools::client::{Half, Lower, RtspClient};
use tools::packet::RtpPacket;

/// The title with the biggest pictures: most of its packets are full.
const TITLE: &str = PLAYABLE[4].name;
/// How long a viewer watches.
const WATCHED: Duration = Duration::from_millis(500);
const BOTH: [&str; 4] = ["--listen", "0.0.0.0:8554", "--listen", "[::]:8554"];

#[test]
fn packets_reach_a_viewer_on_a_narrow_link_whole() {
    isolated("packets_reach_a_viewer_on_a_narrow_link_whole", || {
        let _alone = alone();
        PLAYABLE[4].make();
        let (server, client) = (Namespace::new(), Namespace::new());
        server.connect("s0", &client, "c0");
        server.run(
            "ip address add 192.0.2.2/24 dev s0\n\
             ip address add 2001:db8::2/64 dev s0 nodad",
        );
        client.run(
            "ip address add 192.0.2.1/24 dev c0\n\
             ip address add 2001:db8::1/64 dev c0 nodad",
        );
        let directory = titles::directory();
        let _running = server.inside(|| Server::start(&directory, &BOTH));
        // The narrow link is the client's alone, or the server knows of it too.
        for (client_mtu, server_mtu) in [(1280, 1500), (1400, 1400), (1500, 1500)] {
            client.run(&format!("ip link set c0 mtu {client_mtu}"));
            server.run(&format!("ip link set s0 mtu {server_mtu}"));
            for (address, headers) in [("192.0.2.2", 28), ("[2001:db8::2]", 48)] {
                let watched = client.inside(|| watch(address));
                let (packets, largest) = (watched.packets, watched.largest_bytes);
                let what = format!("{largest} bytes to {address} by {client_mtu}");
                assert!(packets > 40 && watched.missing == 0, "{what}: {watched:?}");
                // The largest class that fits, and no smaller one. What shares a unit evenly may
                // be some bytes below it.
                let class = if client_mtu < 1500 { 1200 } else { 1400 };
                assert!((class - 50..=class).contains(&largest), "{what}");
                assert!(largest + headers <= client_mtu, "{what}");
            }
        }
        for (namespace, protocol, name) in [
            (&server, "Ip", "FragCreates"),
            (&server, "Ip6", "FragCreates"),
            (&client, "Ip", "ReasmReqds"),
            (&client, "Ip6", "ReasmReqds"),
        ] {
            assert_eq!(namespace.counter(protocol, name), 0, "{protocol} {name}");
        }
    });
}

#[test]
fn media_leaves_from_the_address_that_the_client_reached() {
    isolated("media_leaves_from_the_address_that_the_client_reached", || {
        let _alone = alone();
        PLAYABLE[4].make();
        let (server, client) = (Namespace::new(), Namespace::new());
        server.connect("s0", &client, "c0");
        server.run(
            "ip address add 192.0.2.2/24 dev s0\n\
             ip address add 192.0.2.3/24 dev s0\n\
             ip address add 198.51.100.7/32 dev lo\n\
             ip address add 2001:db8::2/64 dev s0 nodad\n\
             ip address add 2001:db8::3/64 dev s0 nodad",
        );
        client.run(
            "ip address add 192.0.2.1/24 dev c0\n\
             ip route add 198.51.100.7/32 via 192.0.2.2\n\
             ip address add 2001:db8::1/64 dev c0 nodad",
        );
        let directory = titles::directory();
        let _running = server.inside(|| Server::start(&directory, &BOTH));
        let distant = ["192.0.2.2", "192.0.2.3", "198.51.100.7", "[2001:db8::2]", "[2001:db8::3]"];
        let near = ["127.0.0.1", "127.0.0.2", "127.0.0.3", "[::1]"];
        let distant = distant.map(|address| (&client, address));
        let near = near.map(|address| (&server, address));
        std::thread::scope(|scope| {
            for (namespace, address) in distant.into_iter().chain(near) {
                scope.spawn(move || {
                    // Its sockets are connected: they hear that address alone.
                    let watched = namespace.inside(|| watch(address));
                    let is_whole = watched.packets > 40 && watched.missing == 0;
                    assert!(is_whole && watched.reports > 0, "{address}: {watched:?}");
                });
            }
        });
    });
}

/// What a viewer got.
#[derive(Debug, Default)]
struct Watched {
    packets: usize,
    largest_bytes: usize,
    /// Packets that did not come between those that did.
    missing: u64,
    /// Sender reports.
    reports: usize,
}

/// Watches for a while, over UDP.
fn watch(address: &str) -> Watched {
    let url = format!("rtsp://{address}:8554/{TITLE}");
    let mut client = RtspClient::connect(&url, None).unwrap();
    let presentation = client.describe().unwrap();
    for media in &presentation.media {
        client.setup(media, Lower::Udp).unwrap();
    }
    client.play(Some("npt=0-")).unwrap();
    let end = client.now() + WATCHED;
    let (mut watched, mut last) = (Watched::default(), BTreeMap::new());
    while let Some(arrival) = client.next_arrival(end - client.now()).unwrap() {
        if arrival.half == Half::Rtcp {
            watched.reports += 1;
            continue;
        }
        let sequence = RtpPacket::parse(&arrival.bytes).unwrap().sequence;
        if let Some(last) = last.insert(arrival.stream, sequence) {
            watched.missing += u64::from(sequence.wrapping_sub(last).wrapping_sub(1));
        }
        watched.packets += 1;
        watched.largest_bytes = watched.largest_bytes.max(arrival.bytes.len());
    }
    client.teardown().unwrap();
    watched
}
