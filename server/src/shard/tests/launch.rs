//! Launch times: what is handed to the kernel ahead of its time says when that is.

use super::*;

/// A viewer of pictures of three packets, 40 ms apart.
fn playing(launch_ahead: Duration) -> Rig {
    let mut rig = Rig::new(vec![film(1, 200, 3000, 0)], 64);
    let config = ShardConfig { launch_ahead, ..rig.shard.config.clone() };
    rig.shard = Shard::new(config, Wallclock::new(0));
    rig.play_udp(1, 0);
    rig.run_until(2000);
    rig
}

#[test]
fn trains_are_handed_over_ahead_and_leave_when_they_are_due() {
    let ahead = Duration::from_millis(5);
    let mut rig = playing(ahead);
    // The first is due at once; those behind it are always early.
    let launches = rig.launches.split_off(1);
    assert!(launches.len() > 40 && rig.launches[0].1.is_none_or(|at| at - rig.now < ahead));
    let mut last = None;
    for (now, launches_at) in launches {
        let at = launches_at.expect("it is handed over before it is due");
        assert!(now < at && at <= now + ahead, "{at:?} at {now:?}");
        assert!(last.is_none_or(|last| at - last == Duration::from_millis(40)), "{at:?}");
        last = Some(at);
    }
    // A turn that comes late finds some that leave at once, in their order.
    rig.launches.clear();
    rig.turn_at(2150);
    let late = rig.launches.iter().filter(|(_, at)| at.is_none()).count();
    assert!((3..=4).contains(&late) && rig.launches.len() <= late + 1, "{:?}", rig.launches);
    assert!(rig.launches.is_sorted_by_key(|(_, at)| *at));
}

#[test]
fn what_follows_a_seek_does_not_overtake_what_was_handed_over_before() {
    let mut rig = playing(Duration::from_millis(30));
    let mut random = fastrand::Rng::with_seed(5);
    let mut now = 2000;
    for seek in 2..40 {
        rig.command(Command::Pause { token: Token(seek), session: SessionKey(1), at: None });
        let to = Npt::from_nanos(random.u64(0..6) * SECOND);
        let play = Play::seek(to, None);
        rig.command(Command::Play { token: Token(seek), session: SessionKey(1), play });
        rig.start(1, seek);
        now += random.u64(1..60);
        rig.run_until(now);
    }
    let leaving = rig.launches.iter().map(|(now, launches_at)| launches_at.unwrap_or(*now));
    assert!(rig.launches.len() > 38 && leaving.is_sorted(), "{:?}", rig.launches);
}

#[test]
fn without_them_trains_leave_in_the_turn_that_finds_them_due() {
    let (rig, other) = (playing(Duration::ZERO), playing(Duration::from_millis(5)));
    assert!(rig.launches.iter().all(|(_, launches_at)| launches_at.is_none()));
    let packets = rig.packets_of(1);
    assert_eq!(packets, &other.packets_of(1)[..packets.len()], "the packets are the same");
    assert!(packets.len() > 100);
}
