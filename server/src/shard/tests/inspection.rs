//! What a shard tells of its sessions: while they live, and when they end.

use super::*;
use crate::mailbox::{Inspection, Reception, Sent};
use operation::{Datagram, PairId};
use packetizer::rtcp::{self, ReportBlock};

impl Rig {
    fn inspect(&mut self, session: u64) -> Option<Inspection> {
        self.command(Command::Inspect { token: Token(77), session: SessionKey(session) });
        self.reports.extend(std::iter::from_fn(|| self.shard.take_report()));
        let Some(Report::Inspected { inspection, .. }) = self.reports.pop() else { panic!() };
        inspection
    }

    /// The viewer reports that packet, some lost, a jitter of 10 ms.
    fn report_reception(&mut self, session: u64, highest_sequence: u16, lost: i32) {
        let block = ReportBlock {
            ssrc: self.ssrcs()[0],
            fraction_lost: 0,
            cumulative_lost: lost,
            highest_sequence: highest_sequence.into(),
            jitter: 900,
            last_report: 0,
            delay_since_last_report: 0,
        };
        let mut bytes = Vec::new();
        rtcp::write_receiver_report(Ssrc(9), &[block], "viewer", &mut bytes);
        let (from, socket) = (viewer(session), PairSocket::Rtcp);
        self.shard.datagram(self.now, Datagram { pair: PairId(0), socket, from, bytes: &bytes });
    }
}

#[test]
fn a_session_tells_how_it_does() {
    let mut rig = Rig::new(vec![film(1, 1000, 1000, 0)], 64);
    assert_eq!(rig.inspect(1), None);
    rig.play_udp(1, 0);
    assert_eq!(rig.inspect(1).map(|it| it.position), Some(Npt::ZERO));
    rig.run_until(4000);
    let inspection = rig.inspect(1).unwrap();
    let packets: Vec<Vec<u8>> = rig.packets_of(1).to_vec();
    let octets = packets.iter().map(|packet| packet.len() as u64 - 12).sum();
    let sent = Sent { packets: packets.len() as u64, octets };
    assert!((3900..=4000).contains(&(inspection.position.nanos() / MILLI)), "{inspection:?}");
    assert_eq!((inspection.streams[0].sent, inspection.streams[0].reception), (sent, None));

    rig.report_reception(1, sequence(&packets[89]), 3);
    rig.command(Command::Pause { token: Token(5), session: SessionKey(1), at: None });
    rig.run_until(6000);
    let paused = rig.inspect(1).unwrap();
    assert!((3900..=4000).contains(&(paused.position.nanos() / MILLI)), "{paused:?}");
    let jitter = Duration::from_millis(10);
    let reception = Reception { packets_received: 87, packets_lost: 3, jitter };
    assert_eq!(paused.streams[0].reception, Some(reception));

    rig.command(Command::TearDown { session: SessionKey(1), stream: None });
    rig.run_until(6100);
    let reason = EndReason::TornDown;
    let ended = rig.reports.iter().find_map(|report| {
        let Report::Ended { session, reason, sent } = report else { return None };
        Some((*session, *reason, *sent))
    });
    assert_eq!(ended, Some((SessionKey(1), reason, sent)));
    assert_eq!(rig.inspect(1), None);
}

#[test]
fn a_stream_that_was_closed_counts_when_its_session_ends() {
    let mut rig = Rig::new(vec![film(1, 100, 1000, 0)], 64);
    rig.play_udp(1, 0);
    rig.run_until(2000);
    let first = rig.inspect(1).unwrap().streams[0].sent;
    rig.command(Command::Pause { token: Token(5), session: SessionKey(1), at: None });
    rig.set_up_as(1, 0, TrackId(0), udp(2), (false, false));
    let ssrc = rig.ssrcs()[0];
    rig.command(Command::TearDown { session: SessionKey(1), stream: Some(ssrc) });
    rig.play(1, Play::RESUME);
    rig.start(1, 1);
    rig.run_until(10_000);
    let second = rig.inspect(1).unwrap().streams[0].sent;
    rig.command(Command::TearDown { session: SessionKey(1), stream: None });
    let mut both = first;
    both += second;
    let Some(Report::Ended { sent, .. }) = rig.shard.take_report() else { panic!() };
    assert_eq!(sent, both);
    assert!(first.packets > 40 && second.packets > 40, "{first:?} {second:?}");
}
