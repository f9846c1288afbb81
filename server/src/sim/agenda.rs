//! What happens when: events in the order of their times, and of their making at the same time.

use crate::clock::MonoTime;
use std::collections::BTreeMap;

/// Events to come.
#[derive(Debug)]
pub(super) struct Agenda<E> {
    events: BTreeMap<(MonoTime, u64), E>,
    made: u64,
}

impl<E> Default for Agenda<E> {
    fn default() -> Self {
        Self { events: BTreeMap::new(), made: 0 }
    }
}

impl<E> Agenda<E> {
    pub(super) fn push(&mut self, at: MonoTime, event: E) {
        self.made += 1;
        self.events.insert((at, self.made), event);
    }

    /// When the next event is.
    pub(super) fn next(&self) -> Option<MonoTime> {
        self.events.keys().next().map(|(at, _)| *at)
    }

    /// Takes the next event that is due.
    pub(super) fn pop_due(&mut self, now: MonoTime) -> Option<E> {
        if self.next()? > now {
            return None;
        }
        self.events.pop_first().map(|(_, event)| event)
    }

    /// All events to come, in order.
    pub(super) fn events(&self) -> impl Iterator<Item = &E> {
        self.events.values()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.events.is_empty()
    }
}
