//! Waves: what is due soon leaves ahead of its time, and nothing late.

use super::*;

/// How long before its time each message of a viewer's second left, in milliseconds, with so many
/// viewers of pictures 40 ms apart.
fn leads(viewers: u64, coalescing: u64) -> Vec<i64> {
    let mut rig = Rig::new(vec![film(1, 200, 1000, 0)], 64);
    let coalescing = Duration::from_millis(coalescing);
    rig.shard =
        Shard::new(ShardConfig { coalescing, ..rig.shard.config.clone() }, Wallclock::new(0));
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
    let mut rig = Rig::new(vec![film(1, 200, 1000, 0)], 64);
    let coalescing = Duration::from_millis(4);
    rig.shard =
        Shard::new(ShardConfig { coalescing, ..rig.shard.config.clone() }, Wallclock::new(0));
    rig.play_udp(1, 0);
    for session in 2..30 {
        rig.run_until(1000 + session * 13);
        rig.play_udp(session, 0);
        rig.turn_at(1000 + session * 13);
        // The image is there: the first packet leaves in the turn after the reply.
        assert_eq!(rig.packets_of(session).len(), 1);
    }
}
