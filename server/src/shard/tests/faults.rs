//! Stretches of a file that cannot be read: a viewer plays until he comes to them.

use super::memory::film_with_audio_behind;
use super::*;
use packetizer::index::SegmentId;

/// The picture whose bytes are bad, and the first one of its segment.
const BAD: u32 = 260;
const SEGMENT: u32 = 250;

/// A viewer of a film of 40 seconds, of which one segment cannot be read.
fn rig() -> Rig {
    let mut rig = Rig::new(vec![film(1, 1000, 1000, 0)], 64);
    let segments = &rig.films[0].title.index;
    let start = |segment| segments.segment_start(TrackId(0), segment).unwrap();
    let bad = segments.segment_of(TrackId(0), BAD);
    assert_eq!(start(bad), i64::from(SEGMENT) * 40 * MILLI as i64, "the segment's first picture");
    rig.bad = u64::from(BAD) * 1000..u64::from(BAD) * 1000 + 1;
    rig.play_udp(1, 0);
    rig
}

#[test]
fn a_viewer_plays_to_what_cannot_be_read() {
    let mut rig = rig();
    rig.run_until(9990);
    assert_eq!(rig.ends(), []);
    assert!(rig.shard.counters().reads_failed > 0, "it is known already");
    assert_eq!(rig.packets_of(1).len(), SEGMENT as usize);
    rig.run_until(10_020);
    assert_eq!(rig.ends(), [(SessionKey(1), EndReason::SourceFailed(Some(EIO)))]);
    assert_eq!(rig.packets_of(1).len(), SEGMENT as usize);
    // Of each read the segment counts, and one that was read along with it.
    let failed = rig.shard.counters().reads_failed;
    assert!(failed <= 4, "it is tried once more: {failed}");
    rig.turn_at(10_100);
    assert_eq!(rig.shard.check_empty(), Ok(()));
}

#[test]
fn who_turns_away_in_time_never_notices() {
    for seconds in [5, 20] {
        let mut rig = rig();
        rig.run_until(9900);
        let (start, end) = (seconds * SECOND, 25 * SECOND);
        let play = Play::seek(Npt::from_nanos(start), Some(Npt::from_nanos(end)));
        rig.command(Command::Play { token: Token(2), session: SessionKey(1), play });
        rig.start(1, 2);
        rig.run_until(9900 + 4000);
        assert_eq!(rig.ends(), [], "{seconds}");
        assert!(rig.packets_of(1).len() > SEGMENT as usize + 90, "{seconds}");
    }
}

#[test]
fn a_fault_that_passes_in_time_costs_nothing() {
    let mut rig = rig();
    rig.run_until(9900);
    rig.bad = 0..0;
    rig.run_until(15_000);
    assert_eq!(rig.ends(), []);
    let numbers: Vec<u16> = rig.packets_of(1).iter().map(|packet| sequence(packet)).collect();
    assert!(numbers.len() > 370 && numbers.windows(2).all(|pair| pair[1] == pair[0] + 1));
}

#[test]
fn two_viewers_come_to_a_fault_each_in_his_time() {
    let mut rig = rig();
    rig.run_until(500);
    rig.play_udp(2, 0);
    rig.run_until(10_200);
    assert_eq!(rig.ends().iter().map(|(key, _)| key.0).collect::<Vec<_>>(), [1]);
    rig.run_until(10_600);
    assert_eq!(rig.ends().iter().map(|(key, _)| key.0).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(rig.packets_of(2).len(), SEGMENT as usize);
}

#[test]
fn what_is_read_along_may_be_bad() {
    let mut rig = Rig::new(vec![film_with_audio_behind(1, 60, 20_000)], 256);
    let index = &rig.films[0].title.index;
    // The audio of the tenth second; the first read of audio takes it along.
    let unit = index.unit(TrackId(1), 10 * 48_000 / 1024).unwrap();
    let segment = index.segment_of(TrackId(1), unit.index);
    let due = index.segment_start(TrackId(1), segment).unwrap() as u64 / MILLI;
    assert!(segment > SegmentId(1) && due > 5000);
    rig.bad = unit.offset..unit.offset + 1;
    rig.set_up_track(1, 0, TrackId(0), udp(1));
    rig.set_up_track(1, 0, TrackId(1), udp(2));
    rig.play(1, Play::RESUME);
    rig.start(1, 1);
    rig.run_until(due - 10);
    assert_eq!(rig.ends(), []);
    assert!(rig.shard.counters().reads_failed > 1);
    rig.run_until(due + 50);
    assert_eq!(rig.ends(), [(SessionKey(1), EndReason::SourceFailed(Some(EIO)))]);
    rig.turn_at(due + 100);
    assert_eq!(rig.shard.check_empty(), Ok(()));
}
