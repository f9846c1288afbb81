//! Ranges: scaled, hurried, one behind another, paused at a point.
#![allow(clippy::panic_in_result_fn, reason = "what the shard answers is the result")]

use super::*;
use crate::mailbox::{Cued, NotMoved};
use crate::pace::{Pace, Scale, SeekStyle, Speed};

const GROUP: u32 = 25;

pub(super) fn seconds(seconds: f64) -> Npt {
    Npt::from_nanos((seconds * 1e9) as u64)
}

pub(super) fn range(start: f64, end: f64) -> Play {
    Play { may_queue: true, ..Play::seek(seconds(start), Some(seconds(end))) }
}

pub(super) fn scaled(start: Option<f64>, end: Option<f64>, scale: f32) -> Play {
    let pace = Pace { scale: Scale::nearest(scale), speed: Speed::NORMAL };
    Play { start: start.map(seconds), end: end.map(seconds), pace, ..Play::RESUME }
}

/// A packet of a picture: when it came, its number, timestamp and marker, and which picture it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    pub(super) millis: u64,
    pub(super) sequence: u16,
    pub(super) timestamp: u32,
    pub(super) picture: u32,
}

impl Rig {
    /// Forty seconds of pictures of one packet each, and a session of them that is not played yet.
    pub(super) fn ready() -> Self {
        let mut rig = Self::new(vec![film(1, 1000, 1000, 0)], 64);
        rig.set_up(1, 0, udp(1));
        rig
    }

    pub(super) fn asked(&mut self, play: Play) -> Result<Cued, NotMoved> {
        self.play(1, play);
        self.reports.clear();
        let report = std::iter::from_fn(|| self.shard.take_report()).last();
        let Some(Report::Cued { result, .. }) = report else { panic!("{report:?}") };
        result
    }

    pub(super) fn played(&mut self, play: Play) -> Cued {
        let cued = self.asked(play).unwrap();
        self.start(1, 1);
        cued
    }

    pub(super) fn paused(&mut self, at: Option<f64>) -> Result<Paused, NotMoved> {
        let (token, session) = (Token(9), SessionKey(1));
        self.command(Command::Pause { token, session, at: at.map(seconds) });
        let report = std::iter::from_fn(|| self.shard.take_report()).last();
        let Some(Report::Paused { result, .. }) = report else { panic!("{report:?}") };
        result
    }

    /// What comes until this time, in milliseconds since the rig was made.
    pub(super) fn watch(&mut self, until: u64) -> Vec<Seen> {
        let mut seen = Vec::new();
        let mut known = self.packets_of(1).len();
        let from = (self.now.0 - SECOND) / MILLI;
        for millis in (from..=until).step_by(5) {
            self.run_until(millis);
            let packets = self.packets_of(1);
            for packet in &packets[known..] {
                assert_eq!(packet[1] >> 7, 1, "the marker of a whole picture");
                let (sequence, timestamp) = (sequence(packet), timestamp(packet));
                let group = u32::from(packet[12] & 0x1f == 5);
                let picture = u32::from(packet[13]) | group << 16;
                seen.push(Seen { millis, sequence, timestamp, picture: picture & 0xff });
            }
            known = packets.len();
        }
        let numbers: Vec<u16> = seen.iter().map(|seen| seen.sequence).collect();
        assert!(numbers.windows(2).all(|pair| pair[0].wrapping_add(1) == pair[1]), "{numbers:?}");
        seen
    }

    pub(super) fn finished(&self) -> Vec<Option<Npt>> {
        let finished = |report: &Report| {
            let Report::Finished { paused, .. } = report else { return None };
            Some(*paused)
        };
        self.reports.iter().filter_map(finished).collect()
    }
}

pub(super) fn pictures(seen: &[Seen]) -> Vec<u32> {
    seen.iter().map(|seen| seen.picture).collect()
}

/// The pictures as their packets show them.
pub(super) fn shown(pictures: impl IntoIterator<Item = u32>) -> Vec<u32> {
    pictures.into_iter().map(|picture| picture % 251).collect()
}

/// Pictures come and are stamped so far apart, and the first at once with RTP-Info's numbers.
pub(super) fn check_cadence(seen: &[Seen], cued: &Cued, from: u64, millis: u64, ticks: u32) {
    let info = cued.streams[0];
    assert_eq!(info.sequence, Some(seen[0].sequence));
    assert_eq!(seen[0].timestamp, info.rtptime);
    for (index, seen) in seen.iter().enumerate() {
        let (due, index) = (from + index as u64 * millis, index as u32);
        assert!((due..=due + 15).contains(&seen.millis), "{index}: {} for {due}", seen.millis);
        let ahead = seen.timestamp.wrapping_sub(info.rtptime);
        assert!(ahead.abs_diff(index * ticks) <= 1, "{index}: {ahead} ticks");
    }
}

#[test]
fn fast_forward_shows_sync_samples_in_their_order() {
    for (scale, group, millis) in [(2.0, 1, 500), (4.0, 1, 250), (8.0, 1, 125), (32.0, 4, 125)] {
        let mut rig = Rig::ready();
        let cued = rig.played(scaled(Some(3.5), None, scale));
        assert_eq!((cued.start, cued.end), (seconds(3.0), seconds(40.0)), "{scale}");
        let seen = rig.watch(1100);
        let expected = shown((3..40).step_by(group).map(|second| second * GROUP));
        let count = 1100 / millis as usize + 1;
        assert_eq!(pictures(&seen), expected[..count.min(expected.len())], "{scale}");
        check_cadence(&seen, &cued, 0, millis, (millis * 90) as u32);
        rig.run_until(37_000 / scale as u64 + 500);
        assert_eq!(rig.finished(), [None], "{scale}");
    }
}

#[test]
fn rewind_shows_sync_samples_backwards() {
    for (play, start, end, first) in [
        (scaled(Some(10.3), None, -4.0), 10.0, 0.0, 10),
        (scaled(None, None, -4.0), 39.0, 0.0, 39),
        (scaled(Some(10.0), Some(8.5), -4.0), 10.0, 8.5, 10),
    ] {
        let mut rig = Rig::ready();
        let cued = rig.played(play);
        assert_eq!((cued.start, cued.end), (seconds(start), seconds(end)));
        let seen = rig.watch(900);
        let last = if end > 0.0 { 9 } else { first - 3 };
        let expected = shown((last..=first).rev().map(|second| second * GROUP));
        assert_eq!(pictures(&seen), expected);
        check_cadence(&seen, &cued, 0, 250, 22_500);
    }
    let mut rig = Rig::ready();
    rig.played(scaled(Some(2.0), None, -8.0));
    rig.run_until(200);
    assert!(rig.finished().is_empty());
    rig.run_until(2000 / 8 + 200);
    assert_eq!(rig.finished(), [None]);
    assert_eq!(rig.asked(scaled(Some(0.5), Some(1.0), -8.0)), Err(NotMoved::OutOfRange));
    assert_eq!(rig.asked(scaled(Some(40.1), None, -8.0)), Err(NotMoved::OutOfRange));
}

#[test]
fn a_rate_is_changed_where_play_stands() {
    let mut rig = Rig::ready();
    rig.played(range(0.0, 30.0));
    let before = rig.watch(5500);
    let fast = rig.played(Play { may_queue: true, ..scaled(None, None, 8.0) });
    assert_eq!((fast.start, fast.end), (seconds(5.0), seconds(30.0)), "the range is the same");
    let seen = rig.watch(6000);
    assert_eq!(pictures(&seen), shown([125, 150, 175, 200, 225]));
    let gap = seen[0].timestamp.wrapping_sub(before.last().unwrap().timestamp);
    assert!((1..=3600 * 2).contains(&gap), "timestamps go on: {gap}");
    let back = rig.played(scaled(None, None, -8.0));
    assert_eq!((back.start, back.end), (seconds(9.0), seconds(0.0)), "the other way");
    rig.watch(6500);
    let normal = rig.played(scaled(None, None, 1.0));
    assert_eq!((normal.start, normal.end), (seconds(5.0), seconds(40.0)));
    let seen = rig.watch(7500);
    check_cadence(&seen, &normal, 6500, 40, 3600);
    // The same rate once more moves nothing.
    let same = rig.played(scaled(None, None, 1.0));
    assert!(same.start >= seconds(5.9) && same.start <= seconds(6.1), "{:?}", same.start);
    assert_eq!(rig.watch(7600)[0].sequence, seen.last().unwrap().sequence.wrapping_add(1));
}

#[test]
fn speed_hurries_what_is_sent_and_stamps_it_as_ever() {
    for (speed, millis) in [(2.0, 20), (4.0, 10), (0.5, 80)] {
        let mut rig = Rig::ready();
        let pace = Pace { scale: Scale::NORMAL, speed: Speed::nearest(speed) };
        let cued = rig.played(Play { pace, ..Play::seek(seconds(1.0), Some(seconds(3.0))) });
        let seen = rig.watch(5000);
        assert_eq!(pictures(&seen), shown(25..75));
        check_cadence(&seen, &cued, 0, millis, 3600);
        assert_eq!(rig.finished(), [Some(seconds(3.0))], "paused at the end");
        assert_eq!(rig.played(Play::RESUME).start, seconds(3.0));
    }
}

#[test]
fn ranges_follow_one_another_without_a_gap() {
    let mut rig = Rig::ready();
    let first = rig.played(range(2.0, 4.0));
    let before = rig.watch(500);
    let second = rig.asked(range(8.0, 9.0)).unwrap();
    assert_eq!((second.start, second.streams[0].sequence), (seconds(8.0), None));
    let ahead = second.streams[0].rtptime.wrapping_sub(first.streams[0].rtptime);
    assert_eq!(ahead, 2 * 90_000, "it begins when the first has been seen");
    let third = rig.asked(range(1.0, 2.0)).unwrap();
    rig.start(1, 1); // of the replies to those two: nothing to start
    let fast = rig.asked(Play { may_queue: true, ..scaled(Some(20.0), Some(28.0), 8.0) }).unwrap();
    let mut seen = before;
    seen.extend(rig.watch(4050));
    let expected = shown((50..100).chain(200..225).chain(25..50));
    check_cadence(&seen[..100], &first, 0, 40, 3600);
    assert_eq!(pictures(&seen)[..100], expected);
    let at = |cued: &Cued| cued.streams[0].rtptime;
    assert_eq!((at(&third), at(&fast)), (seen[75].timestamp, seen[100].timestamp));
    let rest = rig.watch(6000);
    assert_eq!(pictures(&rest), shown((21..28).map(|second| second * GROUP)));
    assert_eq!(rig.finished(), [Some(seconds(28.0))]);
}

#[test]
fn what_does_not_wait_takes_the_place_of_all_ranges() {
    // The range goes on to the end, or the client says that it seeks, or was told that it paused.
    for (first, second) in [
        (Play { end: None, ..range(2.0, 4.0) }, range(8.0, 9.0)),
        (range(2.0, 40.0), range(8.0, 9.0)),
        (range(2.0, 4.0), Play { may_queue: false, ..range(8.0, 9.0) }),
    ] {
        let mut rig = Rig::ready();
        rig.played(first);
        rig.watch(500);
        let cued = rig.played(second);
        let seen = rig.watch(1000);
        assert_eq!(pictures(&seen)[..2], shown([200, 201]));
        check_cadence(&seen, &cued, 500, 40, 3600);
    }
    let mut rig = Rig::ready();
    rig.played(range(2.0, 4.0));
    let waiting =
        (0..crate::limits::RANGES_MAX).map(|_| rig.asked(range(8.0, 8.1))).collect::<Vec<_>>();
    assert_eq!(waiting.iter().filter(|cued| cued.is_ok()).count(), crate::limits::RANGES_MAX - 1);
    assert_eq!(waiting.last(), Some(&Err(NotMoved::QueueFull)));
    rig.watch(500);
    assert_eq!(rig.paused(None), Ok(Paused::At(seconds(2.5))));
    let cued = rig.played(Play::RESUME);
    assert_eq!((cued.start, cued.end), (seconds(2.5), seconds(4.0)), "the queue is forgotten");
    rig.run_until(5000);
    assert_eq!(rig.packets_of(1).len(), 50);
}

#[test]
fn a_range_that_comes_when_the_last_is_shown_goes_on_at_once() {
    let mut rig = Rig::ready();
    let first = rig.played(range(2.0, 3.0));
    // Its last picture has gone, and is still to be seen.
    let mut seen = rig.watch(990);
    assert_eq!(seen.len(), 25);
    rig.asked(range(8.0, 9.0)).unwrap();
    seen.extend(rig.watch(2500));
    assert_eq!(pictures(&seen), shown((50..75).chain(200..225)));
    check_cadence(&seen, &first, 0, 40, 3600);
}

#[test]
fn a_pause_point_is_where_play_stops() {
    // RFC 2326 §10.6: ranges 10 to 15 and 20 to 29 (here 10 to 11 and 20 to 22).
    for (at, expected, resumes) in [
        (10.8, shown(250..270), shown(270..275)),
        (20.6, shown((250..275).chain(500..515)), shown(515..550)),
        // In none, but passed between two.
        (16.0, shown(250..275), shown(400..410)),
        // The end of the first.
        (11.0, shown(250..275), shown(275..285)),
    ] {
        let mut rig = Rig::ready();
        rig.played(range(10.0, 11.0));
        rig.asked(range(20.0, 22.0)).unwrap();
        let mut seen = rig.watch(400);
        assert_eq!(rig.paused(Some(at)), Ok(Paused::Later), "{at}");
        seen.extend(rig.watch(4000));
        assert_eq!(pictures(&seen), expected, "{at}");
        assert_eq!(rig.finished(), [Some(seconds(at))], "{at}");
        let cued = rig.played(Play::RESUME);
        assert_eq!(cued.start, seconds(at), "{at}");
        let seen = rig.watch(6000);
        assert_eq!(pictures(&seen)[..resumes.len()], resumes, "{at}");
    }
}

#[test]
fn a_pause_point_that_has_passed_stops_at_once() {
    let mut rig = Rig::ready();
    rig.played(range(10.0, 15.0));
    rig.asked(range(13.0, 20.0)).unwrap();
    rig.watch(3000);
    assert_eq!(rig.paused(Some(12.0)), Ok(Paused::At(seconds(12.0))));
    assert_eq!(rig.watch(4000).len(), 0);
    let cued = rig.played(Play::RESUME);
    assert_eq!(cued.start, seconds(12.0), "a client has discarded what it has beyond");
    assert_eq!(pictures(&rig.watch(4500))[0], 300 % 251);
    for outside in [9.0, 16.0, 50.0] {
        let before = rig.packets_of(1).len();
        assert_eq!(rig.paused(Some(outside)), Err(NotMoved::OutOfRange), "{outside}");
        let (from, _) = (rig.now, before);
        rig.watch((from.0 - SECOND) / MILLI + 200);
        assert!(rig.packets_of(1).len() > before, "it plays on");
    }
    rig.paused(None).unwrap();
    assert_eq!(rig.paused(Some(13.0)), Err(NotMoved::OutOfRange), "it does not play");
}

#[test]
fn a_pause_takes_a_pause_point_back() {
    let mut rig = Rig::ready();
    rig.played(range(10.0, 12.0));
    rig.watch(200);
    assert_eq!(rig.paused(Some(11.0)), Ok(Paused::Later));
    assert_eq!(rig.paused(Some(11.5)), Ok(Paused::Later), "another one");
    assert_eq!(rig.paused(None), Ok(Paused::At(seconds(10.2))));
    rig.played(Play::RESUME);
    rig.run_until(5000);
    assert_eq!(rig.packets_of(1).len(), 50, "the whole range");
    assert_eq!(rig.finished(), [Some(seconds(12.0))]);
}

#[test]
fn a_conditional_seek_goes_on_where_it_paused_if_that_is_nearer() {
    for (start, expected, style) in [
        (10.9, 10.48, SeekStyle::Next),
        (11.5, 11.0, SeekStyle::Conditional),
        (9.0, 9.0, SeekStyle::Conditional),
    ] {
        let mut rig = Rig::ready();
        rig.played(range(10.0, 20.0));
        rig.watch(480);
        rig.paused(None).unwrap();
        let play = Play { style: SeekStyle::Conditional, ..Play::seek(seconds(start), None) };
        let cued = rig.played(play);
        assert_eq!((cued.start, cued.style), (seconds(expected), style), "{start}");
    }
}

#[test]
fn the_first_picture_is_no_burst() {
    // 87 packets a picture.
    let mut rig = Rig::new(vec![film(1, 250, 120_000, 0)], 64);
    rig.set_up(1, 0, udp(1));
    for start in [0, 300, 600] {
        let cued = rig.played(Play::seek(seconds(start as f64 / 100.0), None));
        let before = rig.packets_of(1).len();
        let mut seen = vec![before];
        for millis in 0..300 {
            rig.run_until(start + millis);
            seen.push(rig.packets_of(1).len());
        }
        assert!(seen[1] > before, "it begins at once: {seen:?}");
        let most = seen.windows(2).map(|pair| pair[1] - pair[0]).max();
        assert!(most <= Some(usize::from(Bursts::default().packets_max)), "{seen:?}");
        assert_eq!(timestamp(&rig.packets_of(1)[before]), cued.streams[0].rtptime);
    }
}
