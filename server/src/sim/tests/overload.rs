//! A disk that is asked for more than it can read.

use super::super::*;
use crate::mailbox::{Shortage, Strain};
use std::time::Duration;

/// A slow one: 32 ms to another place, 3,600 turns a minute, 60 MB/s.
const SLOW_DISK: HardDisk =
    HardDisk { seek_micros: 32_000, turn_micros: 16_666, bytes_per_micro: 60 };
/// Viewers whom it can serve: each takes four seconds in a read, which takes 44 ms.
const CAPACITY: usize = 88;
const MEMORY: Memory = Memory { image_bytes_max: 256 << 20, read_blocks: 2048 };

fn crowd() -> Crowd {
    let faults = Faults { hard_disk: Some(SLOW_DISK), memory: Some(MEMORY), ..Faults::default() };
    Crowd::new(1, faults)
}

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

type Ways = fn(usize) -> Way;

/// All in datagrams, all interleaved, half of them so and half so.
const WAYS: [(&str, Ways); 3] = [
    ("datagrams", |_| Way::Datagrams),
    ("interleaved", |_| Way::Interleaved),
    ("both", |index| if index % 2 == 0 { Way::Datagrams } else { Way::Interleaved }),
];

/// Looks at each of the ways on a thread of its own.
fn each_way(test: impl Fn(&str, Ways) + Sync) {
    std::thread::scope(|scope| {
        for (name, way) in WAYS {
            let test = &test;
            scope.spawn(move || test(name, way));
        }
    });
}

/// Bytes that the slow disk reads a second in reads of four seconds of media.
const LIMIT: u64 = 7_300_000;
/// What media one message may hold: that far ahead, and a picture of 40 ms.
const MESSAGE_SPAN_MAX: Duration = millis(140);
/// How long a crowd is looked at.
const SPAN: Duration = seconds(30);

#[test]
fn however_many_ask_the_disk_reads_what_is_sent() {
    each_way(|name, way| {
        for percent in [100, 200, 300] {
            let count = CAPACITY * percent / 100;
            let mut crowd = crowd();
            crowd.come(count, seconds(6) / u32::try_from(count).unwrap(), way);
            crowd.run(seconds(15));
            let before = crowd.tally();
            crowd.take_bytes(0..count);
            crowd.run(SPAN);
            let tally = crowd.tally() - before;
            println!("{name} at {percent} %: {tally:?}");
            assert!(tally.sent_bytes * 100 >= tally.read_bytes * 88, "{name} {percent}: {tally:?}");
            let read = tally.read_bytes * 100 / SPAN.as_secs();
            assert!(read >= LIMIT * 78, "{name} {percent}: {tally:?}");
            let starved = crowd.take_bytes(0..count).iter().filter(|bytes| **bytes == 0).count();
            assert_eq!(starved, 0, "{name} {percent}: who get nothing in {SPAN:?}");
            // Half as many as the disk can serve are served at once.
            crowd.leave(CAPACITY / 2..count);
            crowd.run(seconds(5));
            let before = crowd.tally();
            crowd.take_hunger(0..CAPACITY / 2);
            crowd.run(seconds(10));
            let tally = crowd.tally() - before;
            assert_eq!((tally.skips, tally.rebases), (0, 0), "{name} {percent}");
            let hungry = crowd.take_hunger(0..CAPACITY / 2).into_iter().max();
            assert!(hungry < Some(MESSAGE_SPAN_MAX), "{name} {percent}: {hungry:?}");
        }
    });
}

#[test]
fn who_play_within_what_the_disk_can_do_keep_playing() {
    each_way(|name, way| {
        let early = CAPACITY / 2;
        let mut crowd = crowd();
        crowd.come(early, millis(100), way);
        crowd.run(seconds(12));
        crowd.take_hunger(0..early);
        let before = crowd.tally();
        crowd.run(seconds(3));
        assert_eq!((crowd.tally() - before).missed_bytes, 0, "{name}");
        crowd.come(CAPACITY * 3 - early, millis(20), way);
        crowd.take_hunger(0..early);
        crowd.take_bytes(0..early);
        crowd.run(SPAN);
        let mut hunger = crowd.take_hunger(0..early);
        hunger.sort();
        println!("{name}: they were sent nothing for {hunger:?} at the longest");
        assert!(hunger[early - 1] < millis(2000), "{name}: {hunger:?}");
        let bytes: u64 = crowd.take_bytes(0..early).iter().sum();
        let rate = 81_000;
        let whole = rate * early as u64 * SPAN.as_secs();
        assert!(bytes * 100 >= whole * 98, "{name}: {bytes} of {whole}");
    });
}

#[test]
fn a_crowd_that_the_disk_can_serve_is_served_in_time() {
    each_way(|name, way| {
        let count = CAPACITY * 3 / 4;
        let mut crowd = crowd();
        crowd.come(count, millis(100), way);
        crowd.run(seconds(70));
        let tally = crowd.tally();
        assert_eq!((tally.skips, tally.rebases, tally.missed_bytes), (0, 0, 0), "{name}");
        assert!(crowd.take_strains().is_empty(), "{name}");
        let hungry = crowd.take_hunger(0..count).into_iter().max();
        assert!(hungry < Some(millis(500)), "{name}: {hungry:?}");
    });
}

#[test]
fn the_operator_is_told_once_what_the_disk_delivers_and_when_it_does_again() {
    let count = 2 * CAPACITY;
    let mut crowd = crowd();
    crowd.come(count, millis(10), |_| Way::Datagrams);
    crowd.run(seconds(28));
    let strains = crowd.take_strains();
    let [Strain { shortage: Some(Shortage::Disk), read_bytes_per_second: read, .. }] = strains[..]
    else {
        panic!("{strains:?}")
    };
    assert!((LIMIT / 3..LIMIT).contains(&read), "{strains:?}");
    assert!(strains[0].wanted_bytes_per_second > read * 5 / 4, "{strains:?}");
    crowd.leave(CAPACITY / 2..count);
    crowd.run(seconds(57));
    let strains = crowd.take_strains();
    assert!(matches!(strains[..], [Strain { shortage: None, .. }]), "{strains:?}");
}

#[test]
fn the_operator_is_told_of_too_little_memory() {
    let memory = Some(Memory { image_bytes_max: 4 << 20, read_blocks: 2048 });
    let mut crowd = Crowd::new(1, Faults { memory, read_micros_max: 2_000, ..Faults::default() });
    crowd.come(CAPACITY, millis(10), |_| Way::Interleaved);
    crowd.run(seconds(28));
    let strains = crowd.take_strains();
    let [Strain { shortage: Some(Shortage::Memory), .. }] = strains[..] else {
        panic!("{strains:?}")
    };
}
