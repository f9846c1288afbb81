//! Viewers behind a NAT that gives them other ports: two of them with one address, over UDP, and
//! after the NAT has forgotten what it had opened for them.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "helpers of tests are tests")]

mod support;

use std::fs;
use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;
use support::frames::Frames;
use support::namespaces::{Namespace, isolated};
use support::titles;
use support::{Server, alone};
use tools::client::{Half, Lower, RtspClient};
use tools::packet::{Reception, write_receiver_report};

/// Access units of AAC priming that an edit list may cut off.
const PRIMING_UNITS_MAX: usize = 3;
/// The dummy RTP packet by which players open a NAT.
const PUNCH: [u8; 12] = [0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

/// A server, and two homes behind one NAT with one public address.
struct World {
    /// The NAT; it is where the test runs.
    router: Namespace,
    server: Namespace,
    homes: [Namespace; 2],
}

impl World {
    fn new() -> Self {
        let world = Self {
            router: Namespace::own(),
            server: Namespace::new(),
            homes: [Namespace::new(), Namespace::new()],
        };
        fs::write("/proc/sys/net/ipv4/ip_forward", "1").unwrap();
        world.router.connect("wan", &world.server, "s0");
        world.router.run("ip address add 192.0.2.1/24 dev wan");
        world.server.run("ip address add 192.0.2.2/24 dev s0");
        for (index, home) in world.homes.iter().enumerate() {
            world.router.connect(&format!("lan{index}"), home, "c0");
            world.router.run(&format!("ip address add 10.{index}.0.1/24 dev lan{index}"));
            home.run(&format!(
                "ip address add 10.{index}.0.2/24 dev c0\n\
                 ip route add default via 10.{index}.0.1"
            ));
        }
        world.router.run("nft add table ip nat");
        let chain = "{ type nat hook postrouting priority 100 ; }";
        world.router.run(&format!("nft add chain ip nat post {chain}"));
        // Nothing answers for it, as at home: not what comes for a port that it has forgotten.
        let chain = "{ type filter hook input priority 0 ; }";
        world.router.run(&format!("nft add chain ip nat input {chain}"));
        world.router.run("nft add rule ip nat input iifname wan drop");
        world.translate("20000-29999");
        world
    }

    /// Has the NAT give ports out of this range, and forget what it gave before: connections go on,
    /// because it gives them the ports they have.
    fn translate(&self, ports: &str) {
        self.router.run(&format!(
            "nft flush chain ip nat post
             nft add rule ip nat post oifname wan meta l4proto udp masquerade to :{ports} random
             nft add rule ip nat post oifname wan masquerade
             ip link set wan down
             ip link set wan up"
        ));
    }

    fn start(&self, title: &str) -> (Server, String) {
        let directory = titles::directory();
        let listen = ["--listen", "0.0.0.0:8554"];
        let server = self.server.inside(|| Server::start(&directory, &listen));
        (server, format!("rtsp://192.0.2.2:8554/{title}"))
    }
}

#[test]
fn players_behind_a_nat_play_over_udp() {
    isolated("players_behind_a_nat_play_over_udp", || {
        let _alone = alone();
        let title = &titles::SHORT;
        let reference = Frames::of_file(&title.make());
        let world = World::new();
        let (_server, url) = world.start(title.name);
        let play = |home: &Namespace| {
            let got = home.inside(|| Frames::of_url("udp", &url, &reference));
            reference.assert_played("behind a NAT", &got, PRIMING_UNITS_MAX);
        };
        std::thread::scope(|scope| {
            world.homes.iter().for_each(|home| drop(scope.spawn(|| play(home))));
        });
        world.translate("30000-39999");
        play(&world.homes[0]);
    });
}

#[test]
fn media_follows_a_viewer_whom_the_nat_forgot_and_no_stranger() {
    isolated("media_follows_a_viewer_whom_the_nat_forgot_and_no_stranger", || {
        let _alone = alone();
        let title = &titles::LONG;
        title.make();
        let world = World::new();
        let (_server, url) = world.start(title.name);
        let home = &world.homes[0];
        let mut viewer = home.inside(|| Viewer::play(&url));
        assert!(viewer.is_fed());
        // The neighbour has the same public address.
        let server_port = viewer.server_port;
        world.homes[1].inside(|| {
            let stranger = UdpSocket::bind("0.0.0.0:0").unwrap();
            stranger.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
            for port in [server_port, server_port + 1] {
                stranger.send_to(&PUNCH, SocketAddr::new([192, 0, 2, 2].into(), port)).unwrap();
            }
            let other = write_receiver_report(8, Some(Reception::default()), false);
            stranger.send_to(&other, SocketAddr::new([192, 0, 2, 2].into(), server_port)).unwrap();
            stranger.recv(&mut [0; 1500]).unwrap_err();
        });
        assert!(viewer.is_fed());
        world.translate("30000-39999");
        assert!(!viewer.is_fed(), "the NAT lets nothing through that it does not know");
        // The way is open again once a reply has come back.
        viewer.client.keep_alive().unwrap();
        // A punch proves nothing, a report does.
        viewer.punch();
        assert!(!viewer.is_fed());
        viewer.report();
        viewer.punch();
        assert!(viewer.is_fed());
        // As players do after a pause in which the NAT forgot them.
        viewer.client.pause().unwrap();
        support::pause(Duration::from_millis(3100));
        world.translate("40000-49999");
        viewer.client.keep_alive().unwrap();
        viewer.punch();
        viewer.client.play(None).unwrap();
        assert!(viewer.is_fed());
    });
}

/// A viewer of one stream.
struct Viewer {
    client: RtspClient,
    server_port: u16,
    source: u32,
}

impl Viewer {
    /// Opens the NAT and plays.
    fn play(url: &str) -> Self {
        let mut client = RtspClient::connect(url, None).unwrap();
        let presentation = client.describe().unwrap();
        let transport = client.setup(&presentation.media[0], Lower::Udp).unwrap();
        let server_port = transport.server_port.unwrap().0;
        let mut viewer = Self { client, server_port, source: transport.ssrc.unwrap() };
        viewer.punch();
        viewer.client.play(Some("npt=0-")).unwrap();
        viewer
    }

    /// Opens the NAT for both ports.
    fn punch(&mut self) {
        self.client.send_to_rtp_port(0, &PUNCH).unwrap();
        self.client.send_rtcp(0, &write_receiver_report(7, None, false)).unwrap();
    }

    /// Reports on the stream.
    fn report(&mut self) {
        let reception = Reception { source: self.source, ..Reception::default() };
        let report = write_receiver_report(7, Some(reception), false);
        self.client.send_rtcp(0, &report).unwrap();
    }

    /// Whether media comes that was not on its way already.
    fn is_fed(&mut self) -> bool {
        support::pause(Duration::from_millis(50));
        while self.client.next_arrival(Duration::from_millis(1)).unwrap().is_some() {}
        let mut arrivals =
            std::iter::from_fn(|| self.client.next_arrival(Duration::from_millis(400)).unwrap());
        arrivals.any(|arrival| arrival.half == Half::Rtp)
    }
}
