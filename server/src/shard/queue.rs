//! Which of the loads that wait is started next.
//!
//! While the disk keeps up, any order does. When it does not, starting what is due first makes
//! every load late, and the disk reads what nobody can use any more. So somebody has to do without,
//! and that is whoever came when there was no more to be had. Viewers who were served while the
//! disk could do more are *settled*: their loads come first, by when they are due, once their time
//! grows short; where there turn out to be too many of them, the last to be settled is so no
//! longer. The others take what that leaves, one start in four at the least, in turn: who has
//! waited longest goes first, however often he has skipped meanwhile. So nobody waits for ever, and
//! those whom the disk can serve are served as if the others were not there.

use super::load::Load;
use crate::clock::MonoTime;
use crate::mailbox::SessionKey;
use std::collections::BTreeMap;
use std::time::Duration;

/// The time of a settled viewer's load is short when it is due within this: half of the time from
/// asking to sending. The first half others may use.
const SHORT: Duration = Duration::from_millis(500);
/// A settled viewer's load that is started so close to its time has waited for others of its kind:
/// there are as many of them as the disk can serve.
const SCARCE: Duration = Duration::from_millis(250);
/// One that is started so close to its time will be late: there are too many of them.
const LATE: Duration = Duration::from_millis(100);
/// How long they must be late before one less is settled: the burst in which a crowd comes passes.
const LATE_FOR: Duration = Duration::from_millis(500);
/// From then on, from one to the next.
const SHEDDING: Duration = Duration::from_millis(100);
/// How long nothing may have been scarce before one more is settled.
const EASE: Duration = Duration::from_secs(1);
/// From one to the next while others wait: what each asks for is seen within seconds.
const SETTLING: Duration = Duration::from_millis(250);
/// Loads of settled viewers that may be started one after the other while others wait.
const FAVOURS_MAX: u32 = 3;

/// On whose behalf a load waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Claim {
    /// Who asked for it first.
    pub(super) session: SessionKey,
    /// Somebody who wants it is settled.
    pub(super) is_settled: bool,
    /// Since when he has had nothing read.
    pub(super) since: MonoTime,
    /// When he asked for this one.
    pub(super) asked: MonoTime,
    /// When its first packet is due.
    pub(super) due: MonoTime,
}

/// A load that is started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Started {
    /// On whose behalf.
    pub(super) session: Option<SessionKey>,
    /// He is settled from this time on.
    pub(super) settles: Option<MonoTime>,
    /// There are too many who are settled.
    pub(super) sheds: bool,
}

impl Started {
    /// A queued load whose images are made of others.
    pub(super) fn without_reading(load: &Load) -> Self {
        Self { session: load.queued.map(|place| place.claim.session), settles: None, sheds: false }
    }
}

/// A load's place in the queue.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) claim: Claim,
    ordinal: u64,
}

/// The loads that wait, by their slots.
#[derive(Debug, Default)]
pub(super) struct LoadQueue {
    /// By when they are due, those of the same time in the order in which they came; with since
    /// when their viewers wait.
    settled: BTreeMap<(MonoTime, u64), (usize, MonoTime)>,
    /// By since when their viewers wait.
    others: BTreeMap<(MonoTime, u64), usize>,
    made: u64,
    /// Loads of settled viewers that were started since one of the others.
    favours: u32,
    /// When the last load was started that was scarce.
    scarce_at: MonoTime,
    /// When the load whose turn it was last had to wait for memory.
    crammed_at: Option<MonoTime>,
    /// Since when settled viewers' loads are late, if they are.
    late_since: Option<MonoTime>,
    /// When there was last one more or one less who is settled.
    changed_at: MonoTime,
    /// How long the last of the others had waited.
    wait: Duration,
}

impl LoadQueue {
    pub(super) fn is_empty(&self) -> bool {
        self.settled.is_empty() && self.others.is_empty()
    }

    pub(super) fn insert(&mut self, claim: Claim, slot: usize) -> Place {
        self.made += 1;
        let place = Place { claim, ordinal: self.made };
        self.put(&place, slot);
        place
    }

    pub(super) fn remove(&mut self, place: &Place) {
        let (is_settled, key) = key(place);
        let was_there = if is_settled {
            self.settled.remove(&key).is_some()
        } else {
            self.others.remove(&key).is_some()
        };
        debug_assert!(was_there, "{place:?} is not in the queue");
    }

    /// Somebody else wants the load too; gives its new place.
    pub(super) fn join(&mut self, place: Place, slot: usize, claim: Claim) -> Place {
        let mut joined = place.claim;
        joined.is_settled |= claim.is_settled;
        joined.since = joined.since.min(claim.since);
        joined.due = joined.due.min(claim.due);
        joined.asked = joined.asked.min(claim.asked);
        self.remove(&place);
        let place = Place { claim: joined, ..place };
        self.put(&place, slot);
        place
    }

    /// The load to start next.
    pub(super) fn first(&self, now: MonoTime) -> Option<usize> {
        let settled = self.settled.first_key_value();
        let other = self.others.first_key_value().map(|((since, _), slot)| (*since, *slot));
        let (Some(((due, _), (slot, since))), Some((others_since, other))) = (settled, other)
        else {
            return settled.map(|(_, (slot, _))| *slot).or(other.map(|(_, slot)| slot));
        };
        let is_first = if self.crammed_at.is_some_and(|at| now < at + EASE) {
            *since <= others_since
        } else {
            *due <= now + SHORT && self.favours < FAVOURS_MAX
        };
        Some(if is_first { *slot } else { other })
    }

    /// Takes out a load that is started.
    pub(super) fn start(&mut self, now: MonoTime, place: &Place) -> Started {
        self.remove(place);
        let Claim { session, is_settled, since, asked, due } = place.claim;
        // What is due at once by choice, as after a seek, and is started at once, lacked nothing.
        let has_waited = now > asked;
        let mut started = Started { session: Some(session), settles: None, sheds: false };
        if is_settled {
            self.favours = if self.others.is_empty() { 0 } else { self.favours + 1 };
            if has_waited && due < now + SCARCE {
                self.scarce_at = now;
            }
            let late_since = *self.late_since.get_or_insert(now);
            if !has_waited || due >= now + LATE {
                self.late_since = None;
            }
            let is_late = self.late_since.is_some() && now >= late_since + LATE_FOR;
            started.sheds = is_late && now >= self.changed_at + SHEDDING;
        } else {
            self.favours = 0;
            self.wait = now - since;
            let is_easy = now >= self.scarce_at + EASE
                && (self.others.is_empty() || now >= self.changed_at + SETTLING);
            started.settles = is_easy.then_some(now);
        }
        if started.sheds || started.settles.is_some() {
            self.changed_at = now;
        }
        started
    }

    /// The load whose turn it is waits for memory, of which all are to have some: for a while
    /// nobody is settled, and nobody favoured; who has waited longest goes first.
    pub(super) const fn lacks_memory(&mut self, now: MonoTime) {
        self.scarce_at = now;
        self.crammed_at = Some(now);
    }

    /// How long a viewer who is not settled waits for a load: as long as the last one did.
    pub(super) fn wait(&self) -> Duration {
        if self.others.is_empty() { Duration::ZERO } else { self.wait }
    }

    fn put(&mut self, place: &Place, slot: usize) {
        let (is_settled, key) = key(place);
        if is_settled {
            self.settled.insert(key, (slot, place.claim.since));
        } else {
            self.others.insert(key, slot);
        }
    }
}

/// Where a load stands: among the settled viewers' or not, and by what.
const fn key(place: &Place) -> (bool, (MonoTime, u64)) {
    let Claim { is_settled, since, due, .. } = place.claim;
    (is_settled, (if is_settled { due } else { since }, place.ordinal))
}
