//! The loop of a shard's thread: events, commands, what is due, reports, sleep.

use super::mailbox_queue::ShardEnd;
use super::tide::Tide;
use crate::clock::Clock;
use crate::mailbox::Report;
use crate::shard::Shard;
use crate::shard::counters::Counters;
use crate::shard::operation::{Operation, SendResult};
use crate::uring::{Driver, Event};
use std::io;
use std::time::Duration;

/// Runs a shard on the calling thread, until it has drained or control is gone, and gives its last
/// counters.
///
/// # Errors
/// If the ring fails.
pub fn run(shard: Shard, mailbox: ShardEnd, driver: Driver, clock: Clock) -> io::Result<Counters> {
    let operations = Vec::new();
    let results = Vec::new();
    let mut turns = Turns { shard, mailbox, driver, clock, operations, results };
    let mut tide = Tide::default();
    loop {
        turns.poll();
        let more = turns.take_commands();
        turns.advance_and_send();
        let drained = turns.give_reports();
        if drained || turns.mailbox.is_closed() {
            return Ok(turns.shard.counters());
        }
        tide.watch(turns.shard.viewer_count());
        turns.wait(more)?;
    }
}

struct Turns {
    shard: Shard,
    mailbox: ShardEnd,
    driver: Driver,
    clock: Clock,
    operations: Vec<Operation>,
    results: Vec<SendResult>,
}

impl Turns {
    /// Tells the shard what has happened since the last turn. Comes before the commands: taking
    /// the mailbox's wake-up first makes sure that the command behind it is seen.
    fn poll(&mut self) {
        let Self { shard, driver, clock, operations, .. } = self;
        let now = clock.now();
        driver.poll(operations, |event, operations| match event {
            Event::ReadCompleted { read, result, memory } => {
                shard.read_completed(now, read, result, memory, operations);
            }
            Event::Received { connection, bytes } => {
                shard.connection_received(now, connection, bytes, operations);
            }
            Event::Closed { connection, errno } => {
                shard.connection_closed(now, connection, errno, operations);
            }
            Event::Writable { connection } => shard.connection_writable(connection),
            Event::Answers { connection } => shard.connection_answers(now, connection),
            Event::Datagram(datagram) => shard.datagram(now, datagram),
        });
    }

    /// Gives the shard what control sent, up to a turn's worth, and says whether there may be
    /// more.
    fn take_commands(&mut self) -> bool {
        let now = self.clock.now();
        for _ in 0..TURN_COMMANDS_MAX {
            let Some(command) = self.mailbox.receive() else { return false };
            self.shard.command(now, command, &mut self.operations);
            self.driver.perform(&mut self.operations);
        }
        true
    }

    /// Sends what is due, up to a turn's worth.
    fn advance_and_send(&mut self) {
        self.shard.advance(self.clock.now(), &mut self.operations);
        self.driver.perform(&mut self.operations);
        if self.shard.egress().entries.is_empty() {
            return;
        }
        let shard = &self.shard;
        self.driver.send(shard.egress(), |piece| shard.piece(piece), &mut self.results);
        self.shard.sent(self.clock.now(), &self.results, &mut self.operations);
        self.driver.perform(&mut self.operations);
    }

    /// Gives control what the shard has to say, and says whether that it has drained was part of
    /// it.
    fn give_reports(&mut self) -> bool {
        let mut drained = false;
        let mut any = false;
        while let Some(report) = self.shard.take_report() {
            any = true;
            drained |= matches!(report, Report::Drained);
            self.mailbox.report(report);
        }
        if any {
            self.mailbox.wake_control();
        }
        drained
    }

    /// Submits what was asked for, and waits for the next thing to happen or to be due; with
    /// `more`, there is something to do already.
    fn wait(&mut self, more: bool) -> io::Result<()> {
        let now = self.clock.now();
        let timeout = if more {
            Some(Duration::ZERO)
        } else {
            self.shard.deadline().map(|deadline| deadline - now)
        };
        self.driver.wait(timeout)
    }
}

/// Commands that a shard takes in one turn.
const TURN_COMMANDS_MAX: usize = 256;
