//! HTTP tunnels: one connection for each direction.

use super::*;
use crate::framing::{Base64Decoder, Framer};
use crate::limits::{IDLE_CONNECTION_DEADLINE, REQUEST_DEADLINE};
use base64::prelude::{BASE64_STANDARD, Engine as _};

const GET: ConnectionId = ConnectionId(1);
const POST: ConnectionId = ConnectionId(2);
const NEXT_POST: ConnectionId = ConnectionId(3);
/// The first connections of a shard take the first slots.
const GET_SLOT: ConnectionSlot = ConnectionSlot(0);
const POST_SLOT: ConnectionSlot = ConnectionSlot(1);

const OPTIONS: &str = "OPTIONS * RTSP/1.0\r\nCSeq: 4\r\n\r\n";

impl Rig {
    fn adopt_as(&mut self, id: ConnectionId, direction: Direction, unparsed: &[u8]) {
        let (peer, unparsed) = (viewer(1), Bytes::copy_from_slice(unparsed));
        let adopted = AdoptedConnection { id, socket: None, peer, unparsed, direction };
        self.command(Command::Adopt(adopted));
    }

    fn post(&mut self, slot: ConnectionSlot, bytes: &[u8]) {
        self.shard.connection_received(self.now, slot, bytes, &mut self.operations);
        self.perform();
    }

    fn close(&mut self, slot: ConnectionSlot) {
        self.shard.connection_closed(self.now, slot, None, &mut self.operations);
        self.perform();
    }

    /// A session interleaved in a tunnel, playing.
    fn play_through_tunnel(&mut self) {
        self.set_up(
            1,
            0,
            StreamTransport::Interleaved { connection: GET, rtp_channel: 0, rtcp_channel: 1 },
        );
        self.adopt_as(GET, Direction::Output(Base64Decoder::new()), b"");
        self.adopt_as(POST, Direction::Input { of: GET }, b"");
        self.play(1, Play::RESUME);
        self.reply(1);
    }

    /// Requests that control was told of since the last call, by connection.
    fn requests(&mut self) -> Vec<(ConnectionId, String)> {
        self.reports.extend(std::iter::from_fn(|| self.shard.take_report()));
        let taken = self.reports.extract_if(.., |report| matches!(report, Report::Request { .. }));
        let request = |report| {
            let Report::Request { connection, bytes } = report else { return None };
            Some((connection, String::from_utf8(bytes.to_vec()).unwrap()))
        };
        taken.filter_map(request).collect()
    }

    fn answer(&mut self) {
        let bytes = Bytes::from_static(b"RTSP/1.0 200 OK\r\nCSeq: 4\r\n\r\n");
        self.command(Command::Reply { connection: GET, bytes, start: None, close: false });
    }
}

#[test]
fn media_and_replies_leave_by_the_get_and_requests_come_by_the_post() {
    let mut rig = Rig::new(vec![film(1, 50, 1000, 0)], 64);
    rig.play_through_tunnel();
    rig.run_until(500);
    let mut heard = Framer::new();
    heard.push(&rig.stream);
    let mut frames = 0;
    while let Some(message) = heard.next().unwrap() {
        frames += u32::from(matches!(message, Message::Interleaved { channel: 0, .. }));
    }
    assert!(frames >= 10, "{frames} packets");
    for byte in BASE64_STANDARD.encode(OPTIONS).bytes() {
        rig.post(POST_SLOT, &[byte]);
    }
    assert_eq!(rig.requests(), [(GET, OPTIONS.to_owned())]);
}

#[test]
fn frames_by_the_post_keep_the_session_alive() {
    let mut rig = Rig::new(vec![film(1, 25, 1000, 0)], 64);
    rig.play_through_tunnel();
    let mut report = Vec::new();
    packetizer::rtcp::write_receiver_report(Ssrc(7), &[], "viewer", &mut report);
    let length = u16::try_from(report.len()).unwrap().to_be_bytes();
    let frame = [&[b'$', 1, length[0], length[1]], &report[..]].concat();
    let half_timeout = u64::try_from(TIMEOUT.as_millis()).unwrap() / 2;
    for turn in 1..6 {
        rig.run_until(turn * half_timeout);
        rig.post(POST_SLOT, BASE64_STANDARD.encode(&frame).as_bytes());
    }
    assert_eq!(rig.closed(), []);
    rig.run_until(10 * half_timeout);
    let ended =
        |report: &Report| matches!(report, Report::Ended { reason: EndReason::TimedOut, .. });
    assert!(rig.reports.iter().any(ended));
}

#[test]
fn the_stream_goes_on_in_the_next_post() {
    let encoded = BASE64_STANDARD.encode(OPTIONS);
    for at in 0..=encoded.len() {
        let mut rig = Rig::new(vec![film(1, 50, 1000, 0)], 64);
        rig.play_through_tunnel();
        rig.turn_at(10);
        rig.post(POST_SLOT, &encoded.as_bytes()[..at]);
        rig.close(POST_SLOT);
        rig.turn_at(20);
        assert_eq!(rig.closed(), [(POST.0, CloseReason::Peer(None))]);
        // Some of it came before the shard had it.
        let (before, after) = encoded.as_bytes()[at..].split_at((encoded.len() - at) / 2);
        rig.adopt_as(NEXT_POST, Direction::Input { of: GET }, before);
        rig.post(POST_SLOT, after);
        assert_eq!(rig.requests(), [(GET, OPTIONS.to_owned())], "cut at {at}");
    }
}

#[test]
fn a_tunnel_ends_with_its_get_and_plays_on_without_its_post() {
    let mut rig = Rig::new(vec![film(1, 1000, 1000, 0)], 64);
    rig.play_through_tunnel();
    rig.run_until(100);
    rig.close(POST_SLOT);
    let sent = rig.stream.len();
    rig.run_until(2000);
    assert!(rig.stream.len() > sent, "it plays on");
    rig.adopt_as(NEXT_POST, Direction::Input { of: GET }, b"");
    rig.close(GET_SLOT);
    rig.turn_at(2100);
    assert_eq!(rig.closed().iter().map(|(id, _)| *id).collect::<Vec<_>>(), [2, 1, 3]);
    rig.shard.check_empty().unwrap();
    // What comes too late is closed.
    rig.adopt_as(ConnectionId(4), Direction::Input { of: GET }, b"QUJD");
    rig.turn_at(2200);
    assert_eq!(rig.closed().last(), Some(&(4, CloseReason::Server)));
    rig.shard.check_empty().unwrap();
}

#[test]
fn control_may_close_a_post() {
    let mut rig = Rig::new(vec![film(1, 1000, 1000, 0)], 64);
    rig.play_through_tunnel();
    rig.command(Command::Close { connection: POST });
    // Once more, as where it has closed by itself.
    rig.command(Command::Close { connection: POST });
    rig.turn_at(10);
    assert_eq!(rig.closed(), [(POST.0, CloseReason::Server)]);
    rig.adopt_as(NEXT_POST, Direction::Input { of: GET }, b"");
    rig.post(POST_SLOT, BASE64_STANDARD.encode(OPTIONS).as_bytes());
    assert_eq!(rig.requests().len(), 1);
}

#[test]
fn deadlines_are_those_of_one_connection() {
    let late = |rig: &mut Rig, from: u64, deadline: Duration| {
        let millis = u64::try_from(deadline.as_millis()).unwrap();
        rig.run_until(from + millis - 1);
        assert_eq!(rig.closed(), []);
        rig.run_until(from + millis + 1000);
        let closed = [GET.0, POST.0].map(|id| (id, CloseReason::Deadline));
        assert_eq!(rig.closed(), closed);
        rig.shard.check_empty().unwrap();
    };
    let mut rig = Rig::new(vec![film(1, 1000, 1000, 0)], 64);
    rig.play_through_tunnel();
    rig.run_until(500);
    rig.post(POST_SLOT, b"T1BU");
    late(&mut rig, 500, REQUEST_DEADLINE);

    let mut rig = Rig::new(vec![film(1, 1000, 1000, 0)], 64);
    rig.play_through_tunnel();
    rig.run_until(500);
    rig.command(Command::TearDown { session: SessionKey(1), stream: None });
    rig.run_until(600);
    rig.post(POST_SLOT, BASE64_STANDARD.encode(OPTIONS).as_bytes());
    rig.answer();
    rig.turn_at(600);
    late(&mut rig, 600, IDLE_CONNECTION_DEADLINE);
}

#[test]
fn what_is_not_base64_is_refused() {
    let mut rig = Rig::new(vec![film(1, 1000, 1000, 0)], 64);
    rig.play_through_tunnel();
    rig.turn_at(10);
    rig.post(POST_SLOT, b"\xff\xff\xff\xff");
    rig.turn_at(20);
    let refused = |report: &Report| matches!(report, Report::Unreadable { connection: GET, .. });
    assert!(rig.reports.iter().any(refused));
}

#[test]
fn a_post_that_floods_is_paused_until_its_request_is_answered() {
    let mut rig = Rig::new(vec![film(1, 1000, 1000, 0)], 64);
    rig.play_through_tunnel();
    rig.turn_at(10);
    let encoded = BASE64_STANDARD.encode(OPTIONS.repeat(10_000));
    let mut is_paused = false;
    for chunk in encoded.as_bytes().chunks(8192) {
        rig.shard.connection_received(rig.now, POST_SLOT, chunk, &mut rig.operations);
        is_paused |= rig
            .operations
            .iter()
            .any(|operation| matches!(operation, Operation::PauseInput { connection: POST_SLOT }));
        rig.perform();
        if is_paused {
            break;
        }
    }
    assert!(is_paused);
    assert_eq!(rig.requests().len(), 1);
    rig.answer();
    rig.shard.advance(rig.now, &mut rig.operations);
    let sizes: Vec<u32> = rig.shard.egress().entries.iter().map(|entry| entry.bytes).collect();
    let results: Vec<SendResult> = sizes.into_iter().map(SendResult::Sent).collect();
    rig.shard.sent(rig.now, &results, &mut rig.operations);
    let resumed = |operation: &Operation| {
        matches!(operation, Operation::ResumeInput { connection: POST_SLOT })
    };
    assert!(rig.operations.iter().any(resumed));
}
