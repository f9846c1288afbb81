//! Viewers behind a NAT: which of their datagrams tell where theirs go.

use super::*;
use packetizer::rtcp::{self, ReportBlock};

/// The dummy RTP packet by which FFmpeg opens a NAT, and its dummy receiver report.
const PUNCH: [u8; 12] = [0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
const EMPTY_REPORT: [u8; 8] = [0x80, 201, 0, 1, 0, 0, 0, 0];

/// A receiver report on a stream.
fn report_on(ssrc: Ssrc) -> Vec<u8> {
    let block = ReportBlock {
        ssrc,
        fraction_lost: 0,
        cumulative_lost: 0,
        highest_sequence: 9,
        jitter: 0,
        last_report: 0,
        delay_since_last_report: 0,
    };
    let mut bytes = Vec::new();
    rtcp::write_receiver_report(Ssrc(7), &[block], "viewer", &mut bytes);
    bytes
}

impl Rig {
    /// A datagram arrives on a pair's socket.
    fn arrive(&mut self, pair: PairId, socket: PairSocket, from: SocketAddr, bytes: &[u8]) {
        self.shard.datagram(self.now, Datagram { pair, socket, from, bytes });
    }

    /// The pair of each stream that was set up, in order.
    fn pairs(&mut self) -> Vec<PairId> {
        self.ssrcs();
        let set_up = |report: &Report| {
            let Report::SetUp { result: Ok(set_up), .. } = report else { return None };
            Some(PairId(((set_up.server_port? - 6970) / 2) as u8))
        };
        self.reports.iter().filter_map(set_up).collect()
    }

    /// Where RTP and RTCP of a viewer's address have gone since this was last asked.
    fn ports(&mut self, session: u64) -> Vec<u16> {
        let sent = std::mem::take(&mut self.datagrams);
        let own = sent.keys().filter(|to| to.ip() == viewer(session).ip());
        let mut ports: Vec<u16> = own.map(SocketAddr::port).collect();
        ports.sort_unstable();
        ports
    }
}

/// A viewer's address, with a port.
fn from(session: u64, port: u16) -> SocketAddr {
    SocketAddr::new(viewer(session).ip(), port)
}

#[test]
fn datagrams_go_where_those_of_the_viewer_come_from() {
    let mut rig = Rig::new(vec![film(1, 1000, 1000, 0)], 64);
    rig.set_up(1, 0, udp(1));
    let (pair, ssrc) = (rig.pairs()[0], rig.ssrcs()[0]);
    // Opened before PLAY, as players do.
    rig.arrive(pair, PairSocket::Rtp, from(1, 40_000), &PUNCH);
    rig.arrive(pair, PairSocket::Rtcp, from(1, 40_007), &EMPTY_REPORT);
    rig.play(1, Play::RESUME);
    rig.start(1, 1);
    rig.run_until(100);
    assert_eq!(rig.ports(1), [40_000, 40_007]);
    // Strangers: of the same address, of another, to another pair, and with another's report.
    rig.arrive(pair, PairSocket::Rtp, from(1, 50_000), &PUNCH);
    rig.arrive(pair, PairSocket::Rtcp, from(1, 50_001), &EMPTY_REPORT);
    rig.arrive(pair, PairSocket::Rtp, from(2, 40_000), &report_on(ssrc));
    rig.arrive(PairId(pair.0 ^ 1), PairSocket::Rtcp, from(1, 50_001), &report_on(ssrc));
    rig.arrive(pair, PairSocket::Rtcp, from(1, 50_001), &report_on(Ssrc(!ssrc.0)));
    rig.run_until(9000);
    assert_eq!(rig.ports(1), [40_000, 40_007]);
    // The NAT has forgotten the viewer: a report proves it, the next punch tells the other port.
    rig.arrive(pair, PairSocket::Rtcp, from(1, 41_001), &report_on(ssrc));
    rig.run_until(18_000);
    assert_eq!(rig.ports(1), [40_000, 41_001]);
    rig.arrive(pair, PairSocket::Rtp, from(1, 41_000), &PUNCH);
    rig.arrive(pair, PairSocket::Rtp, from(1, 50_000), &PUNCH);
    rig.run_until(27_000);
    assert_eq!(rig.ports(1), [41_000, 41_001]);
    assert_eq!(rig.shard.counters().ports_moved, 4);
    // A report on the RTP port proves that one.
    rig.arrive(pair, PairSocket::Rtp, from(1, 42_000), &report_on(ssrc));
    rig.run_until(36_000);
    assert_eq!(rig.ports(1), [41_001, 42_000]);
}

#[test]
fn a_play_after_a_long_pause_finds_the_ports_again() {
    let mut rig = Rig::new(vec![film(1, 1000, 1000, 0)], 64);
    rig.set_up(1, 0, udp(1));
    let pair = rig.pairs()[0];
    rig.arrive(pair, PairSocket::Rtp, from(1, 40_000), &PUNCH);
    rig.arrive(pair, PairSocket::Rtcp, from(1, 40_007), &EMPTY_REPORT);
    rig.play(1, Play::RESUME);
    rig.start(1, 1);
    rig.run_until(100);
    rig.command(Command::Pause { token: Token(2), session: SessionKey(1), at: None });
    rig.run_until(15_000);
    rig.ports(1);
    rig.arrive(pair, PairSocket::Rtp, from(1, 41_000), &PUNCH);
    rig.arrive(pair, PairSocket::Rtcp, from(1, 41_001), &EMPTY_REPORT);
    rig.run_until(15_500);
    rig.command(Command::Play { token: Token(3), session: SessionKey(1), play: Play::RESUME });
    rig.start(1, 3);
    rig.run_until(15_600);
    assert_eq!(rig.ports(1), [41_000, 41_001]);
}

#[test]
fn two_viewers_behind_one_nat_are_told_apart_by_their_pairs() {
    let mut rig = Rig::new(vec![film(1, 1000, 1000, 0)], 64);
    for session in [1, 2] {
        // Both have the same ports behind the NAT, and one address before it.
        rig.set_up(session, 0, udp(1));
    }
    let pairs = rig.pairs();
    assert_ne!(pairs[0], pairs[1]);
    for (session, port) in [(1, 40_000), (2, 40_010)] {
        let pair = pairs[session as usize - 1];
        rig.arrive(pair, PairSocket::Rtp, from(1, port), &PUNCH);
        rig.arrive(pair, PairSocket::Rtcp, from(1, port + 1), &EMPTY_REPORT);
        rig.play(session, Play::RESUME);
        rig.start(session, session);
    }
    rig.run_until(100);
    assert_eq!(rig.ports(1), [40_000, 40_001, 40_010, 40_011]);
    rig.command(Command::TearDown { session: SessionKey(1), stream: None });
    rig.command(Command::TearDown { session: SessionKey(2), stream: None });
    rig.turn_at(200);
    assert_eq!(rig.shard.check_empty(), Ok(()));
}

#[test]
fn rtcp_on_either_socket_keeps_a_session_and_punches_do_not() {
    let reports: [(PairSocket, &[u8], bool); 5] = [
        (PairSocket::Rtcp, &EMPTY_REPORT, true),
        (PairSocket::Rtp, &EMPTY_REPORT, true),
        (PairSocket::Rtp, &PUNCH, false),
        (PairSocket::Rtcp, &[], false),
        (PairSocket::Rtcp, &[0xfe, 0xed, 0xfa, 0xce], false),
    ];
    for (socket, bytes, keeps) in reports {
        let mut rig = Rig::new(vec![film(1, 1000, 1000, 0)], 64);
        rig.play_udp(1, 0);
        let pair = rig.pairs()[0];
        rig.run_until(10_000);
        rig.arrive(pair, socket, from(1, 5000 + socket as u16), bytes);
        rig.run_until(25_000);
        assert_eq!(rig.ends().is_empty(), keeps, "{socket:?} {bytes:x?}");
    }
}
