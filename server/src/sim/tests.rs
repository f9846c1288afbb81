mod overload;

use super::shard::{interleaved_ahead, longest_wave};
use super::*;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs the worlds of a test on two threads and gives what they came to, in order: as many as
/// `REELRING_WORLDS` or the test says, or the one that `REELRING_SEED` names. Worlds that fail do
/// not keep the others from being run: all their seeds are named in the end.
fn outcomes(count: u64, run: impl Fn(u64) -> Outcome + Sync) -> Vec<Outcome> {
    let number = |name| std::env::var(name).ok().map(|text| text.parse().expect("a number"));
    let first = number("REELRING_FIRST").unwrap_or(0);
    let seeds = match number("REELRING_SEED") {
        Some(seed) => seed..seed + 1,
        None => first..first + number("REELRING_WORLDS").unwrap_or(count),
    };
    let run_one = |seed| catch_unwind(AssertUnwindSafe(|| run(seed))).map_err(|_| seed);
    let run_half = |half| seeds.clone().skip(half).step_by(2).map(run_one).collect::<Vec<_>>();
    let (even, odd) = std::thread::scope(|scope| {
        let odd = scope.spawn(|| run_half(1));
        (run_half(0), odd.join().expect("the other half"))
    });
    let mut odd = odd.into_iter();
    let both = even.into_iter().flat_map(|outcome| [Some(outcome), odd.next()]).flatten();
    let (outcomes, failed): (Vec<_>, Vec<_>) = both.partition(Result::is_ok);
    let failed = failed.into_iter().filter_map(Result::err).collect::<Vec<_>>();
    assert!(failed.is_empty(), "worlds of the seeds {failed:?} failed");
    outcomes.into_iter().flatten().collect()
}

fn calm(_: &mut fastrand::Rng) -> Faults {
    Faults { read_micros_max: 2_000, ..Faults::default() }
}

fn sum(outcomes: &[Outcome], what: impl Fn(&Outcome) -> u64) -> u64 {
    outcomes.iter().map(what).sum()
}

#[test]
fn calm_worlds_lose_nothing_and_keep_time() {
    let outcomes = outcomes(50, |seed| {
        let outcome = World::new(seed, 6, calm).run();
        // What leaves ahead of its time comes in as many reads as a viewer takes for it.
        let most = if interleaved_ahead(seed).is_zero() { 10_000_000 } else { 30_000_000 };
        assert!(outcome.late_max <= most, "seed {seed}: {} ns late", outcome.late_max);
        outcome
    });
    assert!(sum(&outcomes, |outcome| outcome.packets) > 1000, "the worlds are asleep");
    assert!(outcomes.len() == 1 || sum(&outcomes, |outcome| outcome.laps) > 10, "no laps");
}

#[test]
fn faulty_worlds_hold_the_invariants() {
    let outcomes = outcomes(200, |seed| World::new(seed, 10, Faults::draw).run());
    if outcomes.len() > 1 {
        assert!(sum(&outcomes, |outcome| outcome.finished) > 0, "no range finished");
        assert!(sum(&outcomes, |outcome| outcome.ended) > 0, "the shard ended no session");
    }
}

#[test]
fn little_memory_is_shared_by_all_who_wait() {
    let tight = |random: &mut fastrand::Rng| Faults {
        read_micros_max: random.u64(50..20_000),
        interrupted_read_one_in: random.choice([0, 20]).expect("two"),
        rude_viewers: random.bool(),
        memory: Some(Memory::draw(random)),
        ..Faults::default()
    };
    let outcomes = outcomes(60, |seed| World::new(seed, 8, tight).run());
    let hungry = outcomes.iter().map(|outcome| outcome.hungry_max / 1_000_000).collect::<Vec<_>>();
    println!("longest waits in ms: {hungry:?}");
    assert!(sum(&outcomes, |outcome| outcome.packets) > 1000, "the worlds are asleep");
}

#[test]
fn calm_whole_worlds_answer_rightly_and_lose_nothing() {
    let outcomes = outcomes(60, |seed| Whole::new(seed, 6, false, calm).run());
    assert!(sum(&outcomes, |outcome| outcome.packets) > 1000, "the worlds are asleep");
    assert!(sum(&outcomes, |outcome| outcome.replies) > 300, "nobody asks");
    assert!(outcomes.len() == 1 || sum(&outcomes, |outcome| outcome.laps) > 10, "no laps");
}

#[test]
fn faulty_whole_worlds_hold_the_contract() {
    let outcomes = outcomes(120, |seed| Whole::new(seed, 8, false, Faults::draw).run());
    if outcomes.len() > 1 {
        assert!(sum(&outcomes, |outcome| outcome.finished) > 0, "no range finished");
        assert!(sum(&outcomes, |outcome| outcome.ended) > 0, "no shard ended a session");
    }
}

#[test]
fn a_drain_ends_a_whole_world() {
    let draw = |random: &mut fastrand::Rng| {
        if random.bool() { Faults::draw(random) } else { calm(random) }
    };
    let outcomes = outcomes(40, |seed| Whole::new(seed, 6, true, draw).run());
    assert!(outcomes.iter().all(|outcome| outcome.is_drained));
    assert!(
        outcomes.len() == 1 || sum(&outcomes, |outcome| outcome.redirected) > 0,
        "nobody is sent elsewhere"
    );
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    for seed in 0..5 {
        let run = || World::new(seed, 8, Faults::draw).run();
        assert_eq!(run(), run(), "seed {seed}");
        let run = || Whole::new(seed, 8, seed % 2 == 1, Faults::draw).run();
        assert_eq!(run(), run(), "seed {seed}");
    }
}

/// 8 ms to another place, 7,200 turns a minute, 150 MB/s.
const HARD_DISK: HardDisk = HardDisk { seek_micros: 8000, turn_micros: 8333, bytes_per_micro: 150 };
/// Of a shard that serves titles of which nobody has seen anything yet.
const COLD_MEMORY: Memory = Memory { image_bytes_max: 256 << 20, read_blocks: 2048 };

#[test]
fn however_a_file_is_interleaved_it_is_read_once() {
    let faults = Faults { read_micros_max: 2_000, memory: Some(COLD_MEMORY), ..Faults::default() };
    for interleaving in Interleaving::ALL {
        let audience = Audience { viewers: 4, interval: 300_000_000, interleaving };
        let cold = Cold::play(1, audience, faults);
        println!("{interleaving:?}: {cold:?}");
        assert!(cold.read_bytes * 100 <= cold.media_bytes * 108, "{cold:?}");
        assert!(cold.sent_bytes >= cold.media_bytes, "{cold:?}");
        // Up to four segments at a time, in two reads where audio lies elsewhere.
        assert!(cold.media_bytes / cold.reads >= 350_000, "{cold:?}");
        assert!(cold.late_max <= 60_000 && cold.skips == 0, "{cold:?}");
    }
}

#[test]
fn a_disk_that_seeks_serves_eighty_who_share_nothing() {
    let faults =
        Faults { hard_disk: Some(HARD_DISK), memory: Some(COLD_MEMORY), ..Faults::default() };
    let interleaving = Interleaving::Fine;
    let audience = Audience { viewers: 80, interval: 75_000_000, interleaving };
    let cold = Cold::play(1, audience, faults);
    println!("{cold:?}");
    assert_eq!((cold.finished, cold.skips), (80, 0), "{cold:?}");
    assert!(cold.read_bytes * 100 <= cold.media_bytes * 108, "{cold:?}");
    // Each stream waits for its first packets.
    assert!(cold.stalls <= 2 * 80 + 16, "{cold:?}");
    // What is said at the end waits for a wave.
    let wave = i64::try_from(longest_wave(1).as_nanos()).unwrap();
    let is_over = cold.overtime_max <= 150_000_000 + wave;
    assert!(cold.late_p99 <= 60_000 && is_over, "{cold:?}");
}
