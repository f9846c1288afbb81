#![allow(clippy::cast_possible_truncation)]

use super::super::operation::{BLOCK_BYTES, SourceSlot};
use super::*;
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

/// Starts what can be started, and gives the offsets of the reads.
fn start(loads: &mut Loads, now: MonoTime) -> Vec<(ReadId, u64)> {
    let mut operations = Vec::new();
    while let Some(slot) = loads.first_queued() {
        if !loads.reserve(slot) {
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
        loads.enqueue(at(1000 + n), load(n));
    }
    let mut under_way = start(&mut loads, at(0));
    assert_eq!(under_way.iter().map(|(_, offset)| *offset).collect::<Vec<_>>(), [0, 1]);
    loads.enqueue(at(10), load(7));
    loads.enqueue(at(1001), load(8));
    let last = *loads.queue.values().last().unwrap();
    loads.hasten(last, at(20));
    loads.hasten(last, at(2000));
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
    loads.enqueue(at(1), load(1));
    loads.enqueue(at(2), load(2));
    let first = loads.first_queued().unwrap();
    loads.cancel(first);
    assert_eq!(start(&mut loads, at(0)), [(ReadId(0), 2)]);
}

#[test]
fn errors_that_pass_are_retried_later_but_not_for_ever() {
    let mut loads = Loads::new(16, 2);
    loads.enqueue(at(0), load(9));
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
    loads.enqueue(at(0), load(0));
    let [(read, _)] = start(&mut loads, at(0))[..] else { panic!() };
    let (_, done) = loads.read_ended(at(1), read, ReadResult::Failed(EIO), &mut Vec::new());
    let done = loads.finish(done.unwrap());
    assert_eq!(done.failure, Some(EndReason::SourceFailed(Some(EIO))));
}
