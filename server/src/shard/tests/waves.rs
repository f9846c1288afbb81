//! Waves: what is due soon leaves ahead of its time, and nothing late.

use super::ranges::{pictures, range, seconds, shown};
use super::*;

/// A shard with waves of so many milliseconds at least.
fn in_waves(millis: u64, film: Film) -> Rig {
    let mut rig = Rig::new(vec![film], 64);
    let coalescing = Duration::from_millis(millis);
    rig.shard =
        Shard::new(ShardConfig { coalescing, ..rig.shard.config.clone() }, Wallclock::new(0));
    rig
}

/// How long before its time each message of a viewer's second left, in milliseconds, with so many
/// viewers of pictures 40 ms apart.
fn leads(viewers: u64, coalescing: u64) -> Vec<i64> {
    let mut rig = in_waves(coalescing, film(1, 200, 1000, 0));
    for session in 1..=viewers {
        rig.play_udp(session, 0);
    }
    rig.run_until(1000);
    rig.launches.clear();
    rig.run_until(2000);
    let start = rig.shard.sessions[0].ranges[0].timeline.started;
    assert!(rig.launches.iter().all(|(_, launches_at)| launches_at.is_none()));
    let lead = |(now, _): &(MonoTime, Option<MonoTime>)| {
        let since = now.nanos_since(start);
        let picture = 40 * MILLI.cast_signed();
        (picture - since.rem_euclid(picture)) % picture / MILLI.cast_signed()
    };
    rig.launches.iter().map(lead).collect()
}

#[test]
fn what_is_due_soon_leaves_ahead_and_nothing_late() {
    let alone = leads(1, 4);
    assert!((24..=26).contains(&alone.len()), "{alone:?}");
    assert!(alone.iter().all(|lead| *lead <= 16), "{alone:?}");
    let many = leads(250, 4);
    // They start up to 16 ms behind the first.
    let is_near = |lead: &i64| *lead <= 16 || *lead >= 40 - 16;
    assert!(many.len() > 250 * 24 && many.iter().all(is_near));
    assert!(leads(1, 0).iter().all(|lead| *lead == 0));
}

#[test]
fn a_play_does_not_wait_for_a_wave() {
    let mut rig = in_waves(4, film(1, 200, 1000, 0));
    rig.play_udp(1, 0);
    for session in 2..30 {
        rig.run_until(1000 + session * 13);
        rig.play_udp(session, 0);
        rig.turn_at(1000 + session * 13);
        // The image is there: the first packet leaves in the turn after the reply.
        assert_eq!(rig.packets_of(session).len(), 1);
    }
}

#[test]
fn trains_of_a_big_picture_keep_their_distance() {
    // 160 packets, 32 of them 8 ms behind the 32 before.
    let mut rig = in_waves(4, film(1, 50, 220_000, 0));
    rig.play_udp(1, 0);
    rig.run_until(1500);
    let at: Vec<u64> = rig.launches.iter().map(|(now, _)| (now.0 - SECOND) / MILLI).collect();
    assert!(at.len() > 5 * 35, "{at:?}");
    let distances = at.windows(2).map(|two| two[1] - two[0]);
    assert!(distances.clone().all(|millis| (3..=13).contains(&millis)), "{at:?}");
    let late = rig.shard.counters().lateness_micros.max();
    assert!(late <= 1000, "{late}");
}

#[test]
fn reports_come_with_the_first_packets() {
    let mut rig = in_waves(16, film(1, 200, 1000, 0));
    rig.play_udp(1, 0);
    for session in 2..6 {
        let millis = 1000 + session * 17;
        rig.run_until(millis);
        rig.play_udp(session, 0);
        rig.turn_at(millis);
        let rtcp = SocketAddr::new(viewer(session).ip(), 5001);
        assert_eq!(rig.datagrams.get(&rtcp).map(Vec::len), Some(1), "{session}");
        assert_eq!(rig.packets_of(session).len(), 1, "{session}");
    }
}

#[test]
fn what_a_full_socket_did_not_take_is_offered_again_soon() {
    let mut rig = in_waves(16, film(1, 200, 1000, 0));
    rig.play_udp(1, 0);
    rig.run_until(1000);
    let before = rig.packets_of(1).len();
    let mut asked = Vec::new();
    rig.is_full = true;
    for millis in 1001..=1100 {
        rig.turn_at(millis);
        if let Some(deadline) = rig.shard.deadline().filter(|_| rig.offers_refused > asked.len()) {
            asked.push(deadline.nanos_since(rig.now) / MILLI.cast_signed());
        }
    }
    assert!(asked.len() > 50 && asked.iter().all(|millis| *millis == 1), "{asked:?}");
    rig.is_full = false;
    rig.turn_at(1101);
    assert!(rig.packets_of(1).len() >= before + 2);
}

#[test]
fn a_pause_about_the_joint_of_two_ranges_repeats_nothing() {
    for pause in 1950..2020 {
        let mut rig = in_waves(16, film(1, 1000, 1000, 0));
        rig.set_up(1, 0, udp(1));
        rig.played(range(10.0, 12.0));
        assert!(rig.asked(range(20.0, 22.0)).is_ok());
        let mut seen = rig.watch(pause);
        let Ok(Paused::At(at)) = rig.paused(None) else { panic!("{pause}") };
        let has_begun = seen.len() > 50;
        assert!(!has_begun || at >= seconds(20.0), "{pause}: {at}");
        rig.run_until(pause + 1000);
        rig.played(Play::RESUME);
        seen.extend(rig.watch(pause + 4000));
        let both = (250..300).chain(500..550);
        // What follows a range in which one pauses is forgotten.
        let expected = both.take(if at < seconds(12.0) { 50 } else { 100 });
        assert_eq!(pictures(&seen), shown(expected), "{pause}: {at}");
    }
}
