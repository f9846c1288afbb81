//! Adopted connections: deadlines of requests and replies, refusals, what the last session leaves.

use super::*;
use crate::limits::{IDLE_CONNECTION_DEADLINE, REPLY_DEADLINE, REQUEST_DEADLINE};

/// Deadlines of adopted connections are looked at once a second.
const LOOK: u64 = 1000;

#[test]
fn a_request_must_be_whole_in_time_while_media_plays() {
    let mut rig = Rig::new(vec![film(1, 1000, 1000, 0)], 64);
    rig.play_interleaved(1, 0);
    let deadline = REQUEST_DEADLINE.as_millis() as u64;
    // Whole frames before it, and bytes that trickle, give it no more time.
    rig.run_until(500);
    rig.receive(b"$\x01\x00\x04oops$\x01\x00\x04oopsOPT");
    for second in 1..deadline / 1000 {
        rig.run_until(500 + second * 1000);
        rig.receive(b"I");
    }
    rig.run_until(500 + deadline - 1);
    assert_eq!(rig.closed(), []);
    rig.run_until(500 + deadline + LOOK);
    assert_eq!(rig.closed(), [(1, CloseReason::Deadline)]);
    rig.shard.check_empty().unwrap();
}

#[test]
fn frames_cut_anywhere_are_no_late_request() {
    let mut rig = Rig::new(vec![film(1, 1000, 1000, 0)], 64);
    rig.play_interleaved(1, 0);
    rig.receive(b"$\x01");
    for second in 1..3 * REQUEST_DEADLINE.as_secs() {
        rig.run_until(second * 1000);
        rig.receive(b"\x00\x04oops$\x01");
    }
    assert_eq!(rig.closed(), []);
}

#[test]
fn a_reply_must_be_read_in_time_but_media_need_not() {
    let mut rig = Rig::new(vec![film(1, 1000, 1000, 0)], 64);
    rig.play_interleaved(1, 0);
    rig.run_until(1000);
    rig.appetite = 0;
    let end = TIMEOUT.as_millis() as u64 - LOOK;
    rig.run_until(end - 8000);
    assert_eq!(rig.closed(), []);
    rig.appetite = usize::MAX;
    rig.run_until(end - 7000);
    rig.appetite = 0;
    rig.run_until(end);
    rig.receive(b"OPTIONS * RTSP/1.0\r\nCSeq: 4\r\n\r\n");
    rig.reply(1);
    let deadline = REPLY_DEADLINE.as_millis() as u64;
    rig.run_until(end + deadline - 1);
    assert_eq!(rig.closed(), []);
    rig.run_until(end + deadline + LOOK);
    assert_eq!(rig.closed(), [(1, CloseReason::Deadline)]);
    rig.shard.check_empty().unwrap();
}

#[test]
fn what_is_no_request_is_refused_before_the_connection_closes() {
    let mut rig = Rig::new(vec![film(1, 1000, 1000, 0)], 64);
    rig.play_interleaved(1, 0);
    rig.run_until(1000);
    rig.receive(b"PLAY rtsp://h/ RTSP/1.0\r\nCSeq: 4\r\nContent-Length: much\r\n\r\n");
    rig.receive(b"and so on");
    rig.turn_at(1010);
    let unreadable = rig.reports.iter().find_map(|report| {
        let Report::Unreadable { rejected, .. } = report else { return None };
        Some(rejected)
    });
    assert_eq!(&unreadable.unwrap()[..], b"PLAY rtsp://h/ RTSP/1.0\r\nCSeq: 4\r\n");
    assert_eq!(rig.closed(), []);
    let refusal = b"RTSP/1.0 400 Bad Request\r\nCSeq: 4\r\n\r\n";
    let bytes = Bytes::from_static(refusal);
    rig.command(Command::Reply { connection: ConnectionId(1), bytes, start: None, close: true });
    rig.turn_at(1020);
    assert!(rig.stream.windows(refusal.len()).any(|bytes| bytes == refusal));
    assert_eq!(rig.closed(), [(1, CloseReason::Server)]);
}

#[test]
fn a_setup_that_comes_after_the_end_makes_nothing() {
    let mut rig = Rig::new(vec![film(1, 1000, 1000, 0)], 64);
    let connection = ConnectionId(1);
    let interleaved = |channel| StreamTransport::Interleaved {
        connection,
        rtp_channel: channel,
        rtcp_channel: channel + 1,
    };
    rig.play_interleaved(1, 0);
    rig.set_up(2, 0, udp(2));
    rig.run_until(100);
    rig.shard.connection_closed(rig.now, ConnectionSlot(0), None, &mut rig.operations);
    rig.perform();
    // One more of the session that ended with it, the first of another, one more of another.
    rig.set_up_as(1, 0, TrackId(0), udp(1), (false, false));
    rig.set_up_as(3, 0, TrackId(0), interleaved(2), (true, true));
    rig.set_up_as(2, 0, TrackId(0), interleaved(4), (false, true));
    rig.turn_at(200);
    let refused = rig
        .reports
        .iter()
        .filter(|report| matches!(report, Report::SetUp { result: Err(SetUpRefused::Gone), .. }));
    assert_eq!(refused.count(), 3);
    rig.command(Command::TearDown { session: SessionKey(2), stream: None });
    rig.shard.check_empty().unwrap();
}

#[test]
fn a_connection_that_a_session_has_left_does_not_stay() {
    let mut rig = Rig::new(vec![film(1, 25, 1000, 0)], 16);
    let session = SessionKey(1);
    for connection in [1, 2].map(ConnectionId) {
        let (rtp_channel, rtcp_channel) = (0, 1);
        rig.set_up(
            session.0,
            0,
            StreamTransport::Interleaved { connection, rtp_channel, rtcp_channel },
        );
        rig.adopt(connection.0);
    }
    // The stream has moved to the second connection, where the session times out later.
    let stream = rig.ssrcs().first().copied();
    assert!(stream.is_some());
    rig.command(Command::TearDown { session, stream });
    rig.run_until(3 * IDLE_CONNECTION_DEADLINE.as_millis() as u64);
    assert_eq!(rig.closed(), [1, 2].map(|connection| (connection, CloseReason::Deadline)));
    rig.shard.check_empty().unwrap();
}

/// What is asked of a client stands between frames, wherever its reading stops.
#[test]
fn a_client_is_asked_between_frames() {
    let mut rig = Rig::new(vec![film(1, 500, 3000, 0)], 64);
    rig.play_interleaved(1, 0);
    let mut random = fastrand::Rng::with_seed(5);
    let bytes = Bytes::from_static(b"REDIRECT rtsp://h/1.mp4 RTSP/1.0\r\nCSeq: 1\r\n\r\n");
    for turn in 1..100 {
        rig.appetite = random.usize(1..20_000);
        rig.turn_at(turn * 100);
        if turn % 10 == 0 {
            let connection = ConnectionId(1);
            rig.command(Command::Ask { connection, bytes: bytes.clone() });
            rig.receive(b"RTSP/1.0 501 Not Implemented\r\nCSeq: 1\r\n\r\n");
        }
    }
    rig.appetite = usize::MAX;
    rig.run_until(12_000);
    let mut framer = Framer::new();
    framer.push(&rig.stream);
    let (mut asked, mut frames) = (0, 0);
    while let Some(message) = framer.next().unwrap() {
        match message {
            Message::Request(message) => {
                assert_eq!(message, bytes);
                asked += 1;
            }
            Message::Interleaved { .. } => frames += 1,
            Message::Response(_) => {}
        }
    }
    assert!(asked == 9 && frames > 500, "{asked} {frames}");
    assert!(rig.closed().is_empty());
    // One that is gone is not asked.
    rig.command(Command::Ask { connection: ConnectionId(7), bytes });
}
