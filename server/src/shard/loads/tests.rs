#![allow(clippy::cast_possible_truncation)]

use super::super::operation::{BLOCK_BYTES, SourceSlot};
use super::*;
use crate::mailbox::SessionKey;
use packetizer::index::Extent;

const EAGAIN: i32 = 11;
const EIO: i32 = 5;

fn load(offset: u64) -> Load {
    let extent = Extent { offset, bytes: BLOCK_BYTES as u32 };
    Load::new(SourceSlot(0), Vec::new(), vec![Part::new(extent, 1)], 100)
}

fn at(millis: u64) -> MonoTime {
    MonoTime(millis * 1_000_000)
}

/// Of a viewer who is settled.
fn claim(due: MonoTime) -> Claim {
    Claim { session: SessionKey(1), is_settled: true, since: at(0), asked: at(0), due }
}

/// Starts what can be started, and gives the offsets of the reads.
fn start(loads: &mut Loads, now: MonoTime) -> Vec<(ReadId, u64)> {
    let mut operations = Vec::new();
    while let Some(slot) = loads.first_queued(now) {
        if !loads.reserve(slot, now) {
            break;
        }
        loads.start(slot, now, &mut operations);
    }
    reads(operations)
}

fn reads(operations: Vec<Operation>) -> Vec<(ReadId, u64)> {
    let read = |operation| match operation {
        Operation::Read { read, offset, .. } => (read, offset),
        other @ (Operation::OpenSource { .. }
        | Operation::CloseSource { .. }
        | Operation::OpenConnection { .. }
        | Operation::PauseInput { .. }
        | Operation::ResumeInput { .. }
        | Operation::WatchWritable { .. }
        | Operation::AskPeer { .. }
        | Operation::CloseConnection { .. }) => panic!("{other:?}"),
    };
    operations.into_iter().map(read).collect()
}

#[test]
fn the_load_that_is_due_first_is_started_first() {
    let mut loads = Loads::new(16, 2);
    // Prefetches fill the queue depth, more wait; then a viewer starts, and one comes to an image
    // that is only queued.
    for n in 0..5 {
        loads.enqueue(claim(at(1000 + n)), load(n));
    }
    let mut under_way = start(&mut loads, at(0));
    assert_eq!(under_way.iter().map(|(_, offset)| *offset).collect::<Vec<_>>(), [0, 1]);
    loads.enqueue(claim(at(10)), load(7));
    loads.enqueue(claim(at(1001)), load(8));
    let is_last = |(_, load): &(usize, &Load)| load.parts[0].extent.offset == 4;
    let last = loads.loads.iter().find(is_last).unwrap().0;
    loads.hasten(last, claim(at(20)));
    loads.hasten(last, claim(at(2000)));
    let mut order = Vec::new();
    while let Some((read, offset)) = under_way.pop() {
        order.push(offset);
        let result = ReadResult::Read(BLOCK_BYTES as u32);
        let (ended, done) = loads.read_ended(at(5), read, result, &mut Vec::new());
        assert!(matches!(ended, Ended::Read(..)));
        let done = loads.finish(done.unwrap());
        loads.release(&done);
        under_way.splice(..0, start(&mut loads, at(5)));
    }
    assert_eq!(order, [1, 0, 7, 4, 8, 2, 3], "of the same time, the one that came first");
    assert!(loads.is_idle());
}

#[test]
fn a_load_that_nobody_wants_leaves_the_queue() {
    let mut loads = Loads::new(16, 2);
    loads.enqueue(claim(at(1)), load(1));
    loads.enqueue(claim(at(2)), load(2));
    let first = loads.first_queued(at(0)).unwrap();
    loads.cancel(first);
    assert_eq!(start(&mut loads, at(0)), [(ReadId(0), 2)]);
}

#[test]
fn errors_that_pass_are_retried_later_but_not_for_ever() {
    let mut loads = Loads::new(16, 2);
    loads.enqueue(claim(at(0)), load(9));
    let mut now = at(0);
    let [(read, _)] = start(&mut loads, now)[..] else { panic!() };
    for _ in 0..RETRIES_MAX {
        let failed = ReadResult::Failed(EAGAIN);
        let (ended, done) = loads.read_ended(now, read, failed, &mut Vec::new());
        assert!(matches!(ended, Ended::Again) && done.is_none());
        assert_eq!(loads.deadline(), Some(now + RETRY_DELAY));
        let mut operations = Vec::new();
        loads.retry(now, &mut operations);
        assert!(operations.is_empty(), "not at once");
        now = now + RETRY_DELAY;
        loads.retry(now, &mut operations);
        assert_eq!(reads(operations), [(read, 9)]);
    }
    let (ended, done) = loads.read_ended(now, read, ReadResult::Failed(EAGAIN), &mut Vec::new());
    assert!(matches!(ended, Ended::Failed));
    let done = loads.finish(done.unwrap());
    assert_eq!(done.failure, Some(EndReason::SourceFailed(Some(EAGAIN))));
    loads.release(&done);
    assert!(loads.is_idle());
}

#[test]
fn an_error_of_the_file_ends_its_load_at_once() {
    let mut loads = Loads::new(16, 2);
    loads.enqueue(claim(at(0)), load(0));
    let [(read, _)] = start(&mut loads, at(0))[..] else { panic!() };
    let (_, done) = loads.read_ended(at(1), read, ReadResult::Failed(EIO), &mut Vec::new());
    let done = loads.finish(done.unwrap());
    assert_eq!(done.failure, Some(EndReason::SourceFailed(Some(EIO))));
}

/// Starts what comes next, and gives the offset of its read and what else comes of it.
fn start_next(loads: &mut Loads, now: MonoTime) -> (u64, Started) {
    let slot = loads.first_queued(now).expect("one waits");
    assert!(loads.reserve(slot, now));
    let mut operations = Vec::new();
    let started = loads.start(slot, now, &mut operations);
    let [(read, offset)] = reads(operations)[..] else { panic!("one read") };
    let result = ReadResult::Read(BLOCK_BYTES as u32);
    let done = loads.read_ended(now, read, result, &mut Vec::new()).1.expect("its only one");
    let done = loads.finish(done);
    loads.release(&done);
    (offset, started)
}

/// Of a viewer who is not settled and waits since then.
fn other(since: MonoTime, due: MonoTime) -> Claim {
    Claim { session: SessionKey(2), is_settled: false, since, asked: since, due }
}

#[test]
fn settled_viewers_come_first_when_their_time_is_short_and_others_in_turn() {
    // Loads of settled viewers by when they are due, of others by since when they wait; the order
    // in which they are started at 10 s. Offsets count from 0, and from 100.
    for (settled, others, expected) in [
        // There is time: first who waits longest, however late the others are.
        (&[10_900][..], &[(9_000, 8_000), (2_000, 10_400)][..], &[101, 100, 0][..]),
        // There is none: one of the others for three.
        (
            &[10_100, 10_400, 10_200, 10_300, 10_350],
            &[(9_000, 0), (9_500, 0), (9_600, 0)],
            &[0, 2, 3, 100, 4, 1, 101, 102],
        ),
        // Some have time and some have not.
        (&[10_900, 10_100], &[(9_000, 0)], &[1, 100, 0]),
        (&[9_000, 10_400, 9_990], &[], &[0, 2, 1]),
    ] {
        let mut loads = Loads::new(16, 2);
        for (offset, due) in settled.iter().enumerate() {
            loads.enqueue(claim(at(*due)), load(offset as u64));
        }
        for (offset, (since, due)) in others.iter().enumerate() {
            loads.enqueue(other(at(*since), at(*due)), load(100 + offset as u64));
        }
        let order: Vec<_> = expected.iter().map(|_| start_next(&mut loads, at(10_000)).0).collect();
        assert_eq!(order, expected, "{settled:?} {others:?}");
        assert!(loads.is_idle());
    }
}

#[test]
fn a_load_that_a_settled_viewer_joins_is_a_settled_viewers() {
    let mut loads = Loads::new(16, 2);
    loads.enqueue(other(at(1_000), at(9_000)), load(1));
    loads.enqueue(other(at(2_000), at(9_000)), load(2));
    let is_second = |(_, load): &(usize, &Load)| load.parts[0].extent.offset == 2;
    let second = loads.loads.iter().find(is_second).unwrap().0;
    loads.hasten(second, claim(at(10_100)));
    assert_eq!(start_next(&mut loads, at(10_000)).0, 2);
    assert_eq!(start_next(&mut loads, at(10_000)).0, 1);
}

#[test]
fn viewers_are_settled_one_by_one_while_nothing_is_scarce() {
    let settles = |loads: &mut Loads, now: u64| {
        loads.enqueue(other(at(now), at(now)), load(1));
        loads.enqueue(other(at(now + 1), at(now)), load(2));
        let first = start_next(loads, at(now)).1.settles.is_some();
        // Nobody waits behind it.
        (first, start_next(loads, at(now)).1.settles.is_some())
    };
    let start_settled = |loads: &mut Loads, now: u64, due: u64| {
        loads.enqueue(claim(at(due)), load(3));
        start_next(loads, at(now)).1.sheds
    };
    let mut loads = Loads::new(16, 2);
    assert_eq!(settles(&mut loads, 10_000), (true, true));
    assert_eq!(settles(&mut loads, 10_100), (false, true), "not so soon while others wait");
    assert_eq!(settles(&mut loads, 10_350), (true, true));
    assert!(!start_settled(&mut loads, 11_000, 11_300));
    assert_eq!(settles(&mut loads, 11_000), (true, true), "that one had time");
    assert!(!start_settled(&mut loads, 12_000, 12_200));
    assert_eq!(settles(&mut loads, 12_900), (false, false), "scarce");
    assert_eq!(settles(&mut loads, 13_000), (true, true));
}

#[test]
fn nobody_is_favoured_while_memory_is_short() {
    // One of a settled viewer who waits since then, one of another since 19 s; at what time, in
    // which order.
    for (since, now, expected) in [
        (19_500, 20_000, [4, 3]),
        (19_500, 20_999, [4, 3]),
        (18_500, 20_999, [3, 4]),
        (19_500, 21_000, [3, 4]),
    ] {
        let mut loads = Loads::new(16, 2);
        loads.enqueue(Claim { since: at(since), ..claim(at(now)) }, load(3));
        loads.enqueue(other(at(19_000), at(now)), load(4));
        let first = loads.first_queued(at(20_000)).unwrap();
        assert!(loads.reserve(first, at(20_000)));
        loads.unreserve(first);
        loads.lacks_room(at(20_000));
        assert_eq!(loads.waits(), Waits { for_disk: 0, for_memory: 1 });
        let order = [(); 2].map(|()| start_next(&mut loads, at(now)).0);
        assert_eq!(order, expected, "{now}");
        let mut loads = Loads::new(16, 2);
        loads.lacks_room(at(20_000));
        loads.enqueue(other(at(now), at(now)), load(5));
        let settles = start_next(&mut loads, at(now)).1.settles.is_some();
        assert_eq!(settles, now >= 21_000, "nor settled: {now}");
    }
}

#[test]
fn too_many_settled_viewers_are_shed_when_their_loads_stay_late() {
    let mut loads = Loads::new(16, 2);
    // When one is started, when it was due, and whether there are too many.
    for (now, due, expected) in [
        (10_000, 10_050, false),
        (10_400, 10_300, false),
        (10_450, 10_600, false),
        // Late again, from now on.
        (10_500, 10_550, false),
        (10_999, 10_900, false),
        (11_000, 10_900, true),
        (11_050, 10_900, false),
        (11_100, 10_900, true),
        (11_300, 11_400, false),
        (11_400, 11_400, false),
    ] {
        loads.enqueue(claim(at(due)), load(1));
        assert_eq!(start_next(&mut loads, at(now)).1.sheds, expected, "{now} {due}");
    }
}

#[test]
fn what_is_started_at_once_lacked_nothing_however_soon_it_is_due() {
    let mut loads = Loads::new(16, 2);
    for now in (10_000..20_000).step_by(50) {
        loads.enqueue(Claim { asked: at(now), ..claim(at(now)) }, load(1));
        assert!(!start_next(&mut loads, at(now)).1.sheds, "{now}");
    }
    loads.enqueue(other(at(20_000), at(20_000)), load(2));
    assert!(start_next(&mut loads, at(20_000)).1.settles.is_some());
}

#[test]
fn whoever_is_not_settled_learns_how_long_loads_wait() {
    let mut loads = Loads::new(16, 2);
    assert_eq!(loads.wait(), Duration::ZERO);
    loads.enqueue(other(at(3_000), at(9_000)), load(1));
    loads.enqueue(other(at(4_000), at(9_000)), load(2));
    start_next(&mut loads, at(10_000));
    assert_eq!(loads.wait(), Duration::from_secs(7));
    start_next(&mut loads, at(10_000));
    assert_eq!(loads.wait(), Duration::ZERO, "nobody waits");
}
