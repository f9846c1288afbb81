//! What keeps a session alive: media that its reader takes, and RTCP.

use super::*;
use packetizer::rtcp;

const TIMEOUT_MILLIS: u64 = TIMEOUT.as_secs() * 1000;

#[test]
fn who_reads_lives_and_who_stops_does_not() {
    // Players that are told to use TCP may say nothing at all while they read (interop: 4.2).
    let mut rig = Rig::new(vec![film(1, 5000, 1000, 0)], 64);
    rig.play_interleaved(1, 0);
    rig.run_until(5 * TIMEOUT_MILLIS);
    assert_eq!(rig.ends(), []);
    rig.appetite = 0;
    rig.run_until(6 * TIMEOUT_MILLIS - 1000);
    assert_eq!(rig.ends(), []);
    rig.run_until(6 * TIMEOUT_MILLIS + 1000);
    assert_eq!(rig.ends(), [(SessionKey(1), EndReason::TimedOut)]);
}

#[test]
fn rtcp_in_the_connection_keeps_a_session_that_is_not_read() {
    let mut report = Vec::new();
    rtcp::write_receiver_report(Ssrc(7), &[], "viewer", &mut report);
    let unreadable = b"no RTCP".as_slice();
    for (channel, bytes, keeps) in [
        (1, report.as_slice(), true),
        (0, &report, false),
        (3, &report, false),
        (1, unreadable, false),
    ] {
        let mut rig = Rig::new(vec![film(1, 5000, 1000, 0)], 64);
        rig.play_interleaved(1, 0);
        rig.run_until(1000);
        rig.appetite = 0;
        for second in 1..TIMEOUT.as_secs() * 2 {
            rig.run_until(second * 1000);
            rig.receive(&[b'$', channel, 0, bytes.len() as u8]);
            rig.receive(bytes);
        }
        assert_eq!(rig.ends().is_empty(), keeps, "channel {channel}: {bytes:x?}");
    }
}

#[test]
fn a_session_lives_for_its_timeout_whatever_was_heard() {
    for (what, state) in [("set up", 0), ("playing", 1), ("paused", 2)] {
        let mut rig = Rig::new(vec![film(1, 5000, 1000, 0)], 64);
        rig.set_up(1, 0, udp(1));
        if state > 0 {
            rig.play(1, Play::RESUME);
            rig.start(1, 1);
        }
        rig.run_until(100);
        if state > 1 {
            rig.command(Command::Pause { token: Token(2), session: SessionKey(1), at: None });
        }
        rig.run_until(15_000);
        rig.command(Command::Touch { session: SessionKey(1) });
        rig.run_until(15_000 + TIMEOUT_MILLIS - 10);
        assert_eq!(rig.ends(), [], "{what}");
        rig.run_until(15_000 + TIMEOUT_MILLIS + 10);
        assert_eq!(rig.ends(), [(SessionKey(1), EndReason::TimedOut)], "{what}");
        rig.turn_at(16_000 + TIMEOUT_MILLIS);
        assert_eq!(rig.shard.check_empty(), Ok(()), "{what}");
    }
}

#[test]
fn a_reader_that_stopped_is_kept_while_its_kernel_answers() {
    for peers_answer in [false, true] {
        let mut rig = Rig::new(vec![film(1, 5000, 20_000, 0)], 64);
        rig.peers_answer = peers_answer;
        rig.play_interleaved(1, 0);
        rig.run_until(2000);
        rig.appetite = 0;
        rig.run_until(3000 + 2 * TIMEOUT_MILLIS);
        assert_eq!(rig.ends().is_empty(), peers_answer);
        // For an hour at most.
        rig.run_until(3000 + 2 * TIMEOUT_MILLIS + 3_600_000);
        assert_eq!(rig.ends(), [(SessionKey(1), EndReason::TimedOut)], "{peers_answer}");
    }
}
