//! Ready images that nobody holds, in the order in which they are given up.
//!
//! Viewers go forward, so the next use of an image is known: when the nearest viewer behind it
//! comes. An image that nobody comes to goes first, and of those the one that only one viewer saw
//! (a title that one viewer goes through must not drive out what many want; the two queues are
//! those of 2Q, Johnson and Shasha 1994). Of the others, the one whose viewer is furthest away goes
//! first, which is Belady's rule with a future that is nearly known. Viewers move, seek and leave,
//! so a place is looked at again when the image's turn has come.

use super::cache::{ImageKey, ImageSlot};
use super::operation::SourceSlot;
use crate::clock::MonoTime;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// A viewer further away than this does not count: he may never come.
pub(super) const HORIZON: Duration = Duration::from_secs(300);
/// A viewer this long overdue has gone elsewhere.
const OVERDUE: Duration = Duration::from_secs(5);
/// Images that are put elsewhere before one is given up all the same, so that a turn stays short.
const MOVES_MAX: usize = 64;
/// Keys of given-up images that are remembered: a second use shows by them.
const GHOSTS_MAX: usize = 8192;

/// Where an image stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    /// Nobody comes, one viewer saw it; the oldest goes first.
    Once(u64),
    /// Nobody comes, several saw it; the longest unused goes first.
    Often(u64),
    /// A viewer comes about then.
    Awaited(MonoTime),
}

impl Place {
    /// Whether nobody comes.
    pub(super) const fn is_idle(self) -> bool {
        !matches!(self, Self::Awaited(_))
    }
}

/// The images that may be given up.
#[derive(Debug, Default)]
pub(super) struct Unheld {
    idle: BTreeMap<Place, ImageSlot>,
    awaited: BTreeSet<(MonoTime, ImageSlot)>,
    stamp: u64,
    ghosts: BTreeMap<ImageKey, u64>,
    ghost_order: BTreeMap<u64, ImageKey>,
}

impl Unheld {
    /// Puts an image where it belongs: a viewer comes to it at `next_use`, or none.
    pub(super) fn insert(
        &mut self,
        slot: ImageSlot,
        next_use: Option<MonoTime>,
        was_reused: bool,
    ) -> Place {
        self.stamp += 1;
        let place = match next_use {
            Some(at) => Place::Awaited(at),
            None if was_reused => Place::Often(self.stamp),
            None => Place::Once(self.stamp),
        };
        match place {
            Place::Awaited(at) => drop(self.awaited.insert((at, slot))),
            Place::Once(_) | Place::Often(_) => drop(self.idle.insert(place, slot)),
        }
        place
    }

    /// Images that may be given up.
    #[cfg(test)]
    pub(super) fn count(&self) -> usize {
        self.idle.len() + self.awaited.len()
    }

    /// Takes an image out of its place.
    pub(super) fn remove(&mut self, slot: ImageSlot, place: Place) {
        let was_there = match place {
            Place::Awaited(at) => self.awaited.remove(&(at, slot)),
            Place::Once(_) | Place::Often(_) => self.idle.remove(&place).is_some(),
        };
        assert!(was_there, "{slot:?} stands at {place:?}");
    }

    /// The image to give up, which stays in its place. `next_use` says when a viewer comes to one;
    /// `moved` is told where one now stands whose viewers have changed.
    pub(super) fn victim(
        &mut self,
        now: MonoTime,
        next_use: impl Fn(ImageSlot) -> Option<MonoTime>,
        mut moved: impl FnMut(ImageSlot, Place),
    ) -> Option<ImageSlot> {
        for _ in 0..MOVES_MAX {
            let (slot, place) = self.first(now)?;
            let Some(at) = next_use(slot) else { return Some(slot) };
            let is_last = self.awaited.last().is_some_and(|(_, last)| *last == slot);
            if self.idle.is_empty() && is_last && Place::Awaited(at) >= place {
                return Some(slot);
            }
            self.remove(slot, place);
            moved(slot, self.insert(slot, Some(at), false));
        }
        self.first(now).map(|(slot, _)| slot)
    }

    fn first(&self, now: MonoTime) -> Option<(ImageSlot, Place)> {
        let awaited = |(at, slot): &(MonoTime, ImageSlot)| (*slot, Place::Awaited(*at));
        let overdue = self.awaited.first().filter(|(at, _)| *at + OVERDUE < now).map(awaited);
        let idle = || self.idle.first_key_value().map(|(place, slot)| (*slot, *place));
        overdue.or_else(idle).or_else(|| self.awaited.last().map(awaited))
    }

    /// Remembers the key of an image that was given up.
    pub(super) fn remember(&mut self, key: ImageKey) {
        self.stamp += 1;
        if let Some(before) = self.ghosts.insert(key, self.stamp) {
            self.ghost_order.remove(&before);
        }
        self.ghost_order.insert(self.stamp, key);
        if self.ghosts.len() > GHOSTS_MAX
            && let Some((_, oldest)) = self.ghost_order.pop_first()
        {
            self.ghosts.remove(&oldest);
        }
    }

    /// Whether an image of that key was given up not long ago; forgets it.
    pub(super) fn recall(&mut self, key: &ImageKey) -> bool {
        let stamp = self.ghosts.remove(key);
        stamp.is_some_and(|stamp| self.ghost_order.remove(&stamp).is_some())
    }

    /// Forgets the given-up images of a source whose slot another title may take.
    pub(super) fn forget_source(&mut self, source: SourceSlot) {
        let of_source: Vec<ImageKey> =
            self.ghosts.range(ImageKey::all_of(source)).map(|(key, _)| *key).collect();
        for key in of_source {
            self.recall(&key);
        }
    }
}
