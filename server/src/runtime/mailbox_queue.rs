//! The queues between control and a shard: bounded, never blocking, each with a waker.

use crate::mailbox::{Command, Report};
use crate::uring::Waker;
use crossbeam::queue::ArrayQueue;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Makes the queues of one shard. `control` is woken for reports; the shards share it.
///
/// # Errors
/// If the kernel gives no eventfd.
pub fn mailbox(
    commands_max: usize,
    reports_max: usize,
    control: Waker,
) -> io::Result<(ControlEnd, ShardEnd)> {
    let queues = Arc::new(Queues {
        commands: ArrayQueue::new(commands_max),
        reports: ArrayQueue::new(reports_max),
        shard: Waker::new()?,
        control,
        closed: AtomicBool::new(false),
    });
    Ok((ControlEnd { queues: Arc::clone(&queues) }, ShardEnd { queues }))
}

#[derive(Debug)]
struct Queues {
    commands: ArrayQueue<Command>,
    reports: ArrayQueue<Report>,
    shard: Waker,
    control: Waker,
    /// One end is gone.
    closed: AtomicBool,
}

impl Queues {
    fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.shard.wake();
        self.control.wake();
    }
}

/// Control's end of a shard's mailbox. When it is dropped, the shard's loop ends.
#[derive(Debug)]
pub struct ControlEnd {
    queues: Arc<Queues>,
}

impl ControlEnd {
    /// Gives the shard a command and wakes it.
    ///
    /// # Errors
    /// The command, if as many wait as may.
    pub fn try_send(&self, command: Command) -> Result<(), Command> {
        self.queues.commands.push(command)?;
        self.queues.shard.wake();
        Ok(())
    }

    /// The shard's next report.
    #[must_use]
    pub fn receive(&self) -> Option<Report> {
        self.queues.reports.pop()
    }

    /// Whether the shard's loop has ended; what it reported before can still be received.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.queues.closed.load(Ordering::Acquire)
    }
}

impl Drop for ControlEnd {
    fn drop(&mut self) {
        self.queues.close();
    }
}

/// The shard's end of its mailbox.
#[derive(Debug)]
pub struct ShardEnd {
    queues: Arc<Queues>,
}

impl ShardEnd {
    /// Wakes for commands.
    #[must_use]
    pub fn waker(&self) -> Waker {
        self.queues.shard.clone()
    }

    /// Control's next command.
    #[must_use]
    pub fn receive(&self) -> Option<Command> {
        self.queues.commands.pop()
    }

    /// Gives control a report, without waking it.
    ///
    /// # Panics
    /// If as many wait as may: the capacities follow from limits that the shard keeps.
    pub fn report(&self, report: Report) {
        if let Err(report) = self.queues.reports.push(report) {
            panic!("{} reports wait, and now {report:?}", self.queues.reports.capacity());
        }
    }

    /// Wakes control for the reports given.
    pub fn wake_control(&self) {
        self.queues.control.wake();
    }

    /// Whether control is gone.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.queues.closed.load(Ordering::Acquire)
    }
}

impl Drop for ShardEnd {
    fn drop(&mut self) {
        self.queues.close();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mailbox::SessionKey;

    #[test]
    fn a_full_queue_gives_the_command_back() {
        let (control, shard) = mailbox(2, 1, Waker::new().unwrap()).unwrap();
        let touch = |key| Command::Touch { session: SessionKey(key) };
        assert!(control.try_send(touch(1)).is_ok() && control.try_send(touch(2)).is_ok());
        let refused = control.try_send(touch(3)).unwrap_err();
        assert!(matches!(refused, Command::Touch { session: SessionKey(3) }));
        for key in [1, 2] {
            let received = shard.receive().unwrap();
            assert!(matches!(received, Command::Touch { session } if session.0 == key));
        }
        assert!(shard.receive().is_none());
    }

    #[test]
    fn reports_outlive_the_shard_and_each_end_sees_the_other_go() {
        let (control, shard) = mailbox(1, 1, Waker::new().unwrap()).unwrap();
        assert!(!control.is_closed());
        shard.report(Report::Drained);
        drop(shard);
        assert!(control.is_closed());
        assert!(matches!(control.receive(), Some(Report::Drained)));
        let (control, shard) = mailbox(1, 1, Waker::new().unwrap()).unwrap();
        drop(control);
        assert!(shard.is_closed());
    }

    #[test]
    #[should_panic(expected = "1 reports wait")]
    fn more_reports_than_the_limits_allow_are_a_broken_invariant() {
        let (_control, shard) = mailbox(1, 1, Waker::new().unwrap()).unwrap();
        shard.report(Report::Drained);
        shard.report(Report::Drained);
    }
}
