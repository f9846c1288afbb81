use super::*;

/// The worlds of a test: so many, or the one that `REELRING_SEED` names.
fn seeds(count: u64) -> Vec<u64> {
    match std::env::var("REELRING_SEED") {
        Ok(seed) => vec![seed.parse().expect("REELRING_SEED is a number")],
        Err(_) => (0..count).collect(),
    }
}

#[test]
fn calm_worlds_lose_nothing_and_keep_time() {
    let mut packets = 0;
    for seed in seeds(50) {
        let calm = |_: &mut fastrand::Rng| Faults { read_micros_max: 2_000, ..Faults::default() };
        let outcome = World::new(seed, 6, calm).run();
        assert!(outcome.late_max <= 10_000_000, "seed {seed}: {} ns late", outcome.late_max);
        packets += outcome.packets;
    }
    assert!(packets > 1000, "only {packets} packets: the worlds are asleep");
}

#[test]
fn faulty_worlds_hold_the_invariants() {
    let (mut finished, mut ended) = (0, 0);
    let seeds = seeds(200);
    for &seed in &seeds {
        let outcome = World::new(seed, 10, Faults::draw).run();
        finished += outcome.finished;
        ended += outcome.ended;
    }
    if seeds.len() > 1 {
        assert!(finished > 0 && ended > 0, "{finished} ranges finished, {ended} sessions ended");
    }
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    for seed in 0..5 {
        let run = || World::new(seed, 8, Faults::draw).run();
        assert_eq!(run(), run(), "seed {seed}");
    }
}
