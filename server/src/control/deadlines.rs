//! When each connection must have moved on.

use crate::clock::MonoTime;
use crate::mailbox::ConnectionId;
use std::collections::{BTreeMap, BTreeSet};

/// One deadline a connection, the earliest first.
#[derive(Debug, Default)]
pub(super) struct Deadlines {
    order: BTreeSet<(MonoTime, ConnectionId)>,
    by_connection: BTreeMap<ConnectionId, MonoTime>,
}

impl Deadlines {
    /// Sets, moves or (with `None`) clears the connection's deadline.
    pub(super) fn set(&mut self, connection: ConnectionId, deadline: Option<MonoTime>) {
        let old = match deadline {
            Some(time) => self.by_connection.insert(connection, time),
            None => self.by_connection.remove(&connection),
        };
        if let Some(time) = old {
            self.order.remove(&(time, connection));
        }
        if let Some(time) = deadline {
            self.order.insert((time, connection));
        }
    }

    /// The earliest deadline.
    pub(super) fn next(&self) -> Option<MonoTime> {
        self.order.first().map(|(time, _)| *time)
    }

    /// Takes out a connection whose deadline has passed.
    pub(super) fn pop_due(&mut self, now: MonoTime) -> Option<ConnectionId> {
        let (time, connection) = *self.order.first()?;
        if time > now {
            return None;
        }
        self.order.pop_first();
        self.by_connection.remove(&connection);
        Some(connection)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_has_one_deadline_and_the_earliest_comes_first() {
        let (a, b) = (ConnectionId(1), ConnectionId(2));
        let mut deadlines = Deadlines::default();
        deadlines.set(a, Some(MonoTime(10)));
        deadlines.set(b, Some(MonoTime(20)));
        deadlines.set(a, Some(MonoTime(30)));
        assert_eq!(deadlines.next(), Some(MonoTime(20)));
        assert_eq!(deadlines.pop_due(MonoTime(19)), None);
        assert_eq!(deadlines.pop_due(MonoTime(20)), Some(b));
        deadlines.set(a, None);
        assert_eq!(deadlines.next(), None);
        assert_eq!(deadlines.pop_due(MonoTime(u64::MAX)), None);
    }
}
