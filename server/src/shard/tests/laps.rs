//! Titles that are played in a loop.

use super::ranges::{check_cadence, pictures, range, scaled, seconds, shown};
use super::*;
use crate::pace::{Pace, Scale, Speed};

fn endless(play: Play) -> Play {
    Play { is_endless: true, ..play }
}

/// The pictures from one on, again and again: the title has a thousand.
fn pictures_from(first: u32, count: usize) -> Vec<u32> {
    shown((first..).map(|picture| picture % 1000).take(count))
}

#[test]
fn a_lap_follows_the_end_without_a_gap() {
    let mut rig = Rig::ready();
    let cued = rig.played(endless(Play::seek(seconds(38.0), None)));
    assert_eq!((cued.start, cued.end, cued.is_endless), (seconds(38.0), seconds(40.0), true));
    let seen = rig.watch(5000);
    assert_eq!(pictures(&seen), pictures_from(950, seen.len()));
    assert!(seen.len() >= 125, "{}", seen.len());
    check_cadence(&seen, &cued, 0, 40, 3600);
    // Another round and a half, of which the rig need not see each packet.
    for millis in (10_000..=90_000).step_by(10_000) {
        rig.command(Command::Touch { session: SessionKey(1) });
        rig.run_until(millis);
    }
    let packets = rig.packets_of(1);
    assert_eq!(packets.len(), 90_000 / 40 + 1);
    assert_eq!(sequence(&packets[2250]).wrapping_sub(sequence(&packets[0])), 2250);
    // The picture 3200 places behind the first one of the title.
    assert_eq!(packets[2250][13], 200);
    assert_eq!(rig.finished(), []);
    assert!(rig.shard.sessions[0].ranges.len() <= 2, "those that are over are forgotten");
}

#[test]
fn every_pace_that_goes_forward_has_laps() {
    let paced = |scale: f32, speed: f32| {
        let pace = Pace { scale: Scale::nearest(scale), speed: Speed::nearest(speed) };
        endless(Play { pace, ..Play::seek(seconds(37.0), None) })
    };
    for (play, step, millis, ticks) in [
        (paced(4.0, 1.0), 25, 250, 22_500),
        (paced(1.0, 2.0), 1, 20, 3600),
        (paced(1.0, 0.5), 1, 80, 3600),
    ] {
        let mut rig = Rig::ready();
        let cued = rig.played(play);
        let seen = rig.watch(8000);
        let expected = (925..).step_by(step).map(|picture| picture % 1000).take(seen.len());
        assert_eq!(pictures(&seen), shown(expected), "{play:?}");
        check_cadence(&seen, &cued, 0, millis, ticks);
    }
}

#[test]
fn a_range_with_an_end_and_one_that_goes_backwards_have_no_laps() {
    for (play, last, finished) in [
        (range(38.0, 39.0), 974, Some(seconds(39.0))),
        (range(39.0, 40.0), 999, None),
        (scaled(Some(1.0), None, -4.0), 0, None),
    ] {
        let mut rig = Rig::ready();
        let cued = rig.played(endless(play));
        assert!(!cued.is_endless, "{play:?}");
        let seen = rig.watch(3000);
        assert_eq!(pictures(&seen).last(), shown([last]).last(), "{play:?}");
        assert_eq!(rig.finished(), [finished], "{play:?}");
    }
}

#[test]
fn who_named_the_end_of_the_title_has_no_laps_however_play_goes_on() {
    let hurried = Pace { speed: Speed::nearest(2.0), ..Pace::NORMAL };
    let scaled = Pace { scale: Scale::nearest(2.0), ..Pace::NORMAL };
    for (end, pause, pace) in [
        (Some(40.0), None, Pace::NORMAL),
        // It has passed the point, and goes there.
        (Some(40.0), Some(38.2), Pace::NORMAL),
        (Some(40.0), None, hurried),
        (Some(40.0), None, scaled),
        (None, Some(38.2), Pace::NORMAL),
        (None, None, hurried),
        (None, None, scaled),
    ] {
        let mut rig = Rig::ready();
        let named = end.map(seconds);
        let cued = rig.played(endless(Play::seek(seconds(38.0), named)));
        assert_eq!(cued.is_endless, end.is_none());
        rig.watch(500);
        assert!(matches!(rig.paused(pause), Ok(Paused::At(_))), "{pause:?}");
        let cued = rig.played(endless(Play { pace, ..Play::RESUME }));
        let what = (end, pause, pace);
        assert_eq!((cued.end, cued.is_endless), (seconds(40.0), end.is_none()), "{what:?}");
        rig.run_until(5000);
        assert_eq!(rig.finished().is_empty(), end.is_none(), "{what:?}");
    }
}

#[test]
fn a_pause_anywhere_about_the_joint_loses_and_repeats_nothing() {
    for pause in (1800..2300).step_by(35) {
        let mut rig = Rig::ready();
        rig.played(endless(Play::seek(seconds(38.0), None)));
        let mut seen = rig.watch(pause);
        let Ok(Paused::At(at)) = rig.paused(None) else { panic!("{pause}") };
        let away = (at.nanos() + 40_000_000_000 - seconds(38.0).nanos()) % 40_000_000_000;
        assert!(away.abs_diff(pause * MILLI) <= 20 * MILLI, "{pause}: {at}");
        rig.run_until(pause + 1000);
        let cued = rig.played(endless(Play::RESUME));
        assert_eq!((cued.start, cued.is_endless), (at, true), "{pause}");
        seen.extend(rig.watch(pause + 3000));
        assert_eq!(pictures(&seen), pictures_from(950, seen.len()), "{pause}");
        let ticks = seen.windows(2).map(|pair| pair[1].timestamp.wrapping_sub(pair[0].timestamp));
        assert!(ticks.clone().all(|ticks| (3598..=3602).contains(&ticks)), "{pause}");
    }
}

#[test]
fn a_pause_point_ends_a_lap_and_a_play_goes_on_with_laps() {
    let mut rig = Rig::ready();
    rig.played(endless(Play::seek(seconds(39.0), None)));
    rig.run_until(1500);
    assert_eq!(rig.paused(Some(1.0)), Ok(Paused::Later));
    let seen = rig.watch(3000);
    assert_eq!(pictures(&seen).last(), shown([24]).last());
    assert_eq!(rig.finished(), [Some(seconds(1.0))]);
    rig.played(endless(Play::RESUME));
    let mut seen = rig.watch(4000);
    assert_eq!(pictures(&seen), pictures_from(25, seen.len()));
    // So does one that lies where the title ends.
    rig.played(endless(Play::seek(seconds(39.0), None)));
    assert_eq!(rig.paused(Some(40.0)), Ok(Paused::Later));
    rig.run_until(6000);
    assert_eq!(rig.finished(), [Some(seconds(40.0))]);
    let cued = rig.played(endless(Play::seek(seconds(39.0), None)));
    seen = rig.watch(9000);
    assert_eq!(pictures(&seen), pictures_from(975, seen.len()));
    check_cadence(&seen, &cued, 6000, 40, 3600);
}

#[test]
fn a_seek_in_a_lap_is_like_any_other() {
    let mut rig = Rig::ready();
    let before = rig.played(endless(Play::seek(seconds(39.0), None)));
    rig.watch(2000);
    let cued = rig.played(endless(Play::seek(seconds(20.0), None)));
    let ahead = cued.streams[0].rtptime.wrapping_sub(before.streams[0].rtptime);
    assert!((180_000..190_000).contains(&ahead), "{ahead}");
    let seen = rig.watch(3000);
    assert_eq!(pictures(&seen), pictures_from(500, seen.len()));
    assert_eq!(rig.finished(), []);
}
