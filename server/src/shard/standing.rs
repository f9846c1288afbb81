//! How a session stands with the disk, when that cannot serve all: see [`super::queue`].

use super::Shard;
use super::queue::{Claim, Started};
use super::session::Session;
use super::stream::Stream;
use crate::clock::{Moment, MonoTime};
use crate::limits::LATENESS_MAX;
use std::time::Duration;

/// What a session has had of the disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Standing {
    /// Since when it is settled, if it is: the disk was seen to have time for it, and nothing that
    /// it came to since was late.
    pub(super) settled: Option<Moment>,
    /// Since when it waits for something to be read, if it does: none of what it asked for before
    /// has been read on its behalf, or sent.
    pub(super) since: Option<Moment>,
    /// When a stream of it last came to an image that was not there.
    pub(super) stalled: MonoTime,
}

impl Shard {
    /// What a stream's session may claim for a load that is due at `due`.
    pub(super) fn claim(&mut self, now: MonoTime, stream: usize, due: MonoTime) -> Claim {
        let session = &mut self.sessions[self.streams[stream].session];
        let since = MonoTime::from(*session.standing.since.get_or_insert(now.into()));
        let is_settled = session.standing.settled.is_some();
        Claim { session: session.key, is_settled, since, asked: now, due }
    }

    /// A load is started on a session's behalf, if that is still there.
    pub(super) fn served(&mut self, started: Started) {
        let slot = started.session.and_then(|key| self.session_slots.get(&key));
        if let Some(&slot) = slot {
            let Session { key, standing, .. } = &mut self.sessions[slot];
            standing.since = None;
            if let Some(now) = started.settles {
                standing.settled = Some(now.into());
                self.settled.push((now.into(), *key));
            }
        }
        if started.sheds {
            self.shed();
        }
    }

    /// The last to be settled of those who are is so no longer.
    fn shed(&mut self) {
        while let Some((since, key)) = self.settled.pop() {
            if let Some(&slot) = self.session_slots.get(&key)
                && self.sessions[slot].standing.settled == Some(since)
            {
                self.sessions[slot].standing.settled = None;
                return;
            }
        }
    }

    /// Forgets who were settled and are so no longer.
    pub(super) fn forget_unsettled(&mut self) {
        let Self { settled, sessions, session_slots, .. } = self;
        settled.retain(|(since, key)| {
            let slot = session_slots.get(key);
            slot.is_some_and(|slot| sessions[*slot].standing.settled == Some(*since))
        });
    }

    /// Whether what a session is late by is for the most part what it waited for an image.
    pub(super) fn waited_for_image(&self, now: MonoTime, session: usize, late: Duration) -> bool {
        let waited = now - self.sessions[session].standing.stalled;
        // A stall long past is not what makes it late now.
        waited >= late / 2 && waited <= late + LATENESS_MAX
    }

    /// A session has waited in vain: it is settled no longer, unless it came to wait before it was.
    pub(super) fn unsettle(&mut self, session: usize) {
        let Standing { settled, stalled, .. } = &mut self.sessions[session].standing;
        *settled = settled.filter(|settled| MonoTime::from(*settled) > *stalled);
    }

    /// A session had to go without `time` of a stream's media, or of all of its streams', because
    /// it was not read in time.
    pub(super) fn went_without(&mut self, session: usize, stream: Option<usize>, time: Duration) {
        self.unsettle(session);
        let index = self.index(session);
        let streams = self.sessions[session].streams.iter();
        let missing = streams.filter(|of| stream.is_none_or(|stream| **of == stream));
        let bits: u128 = missing
            .map(|stream| {
                let Stream { track, .. } = self.streams[*stream];
                u128::from(index.tracks[usize::from(track.0)].bits_per_second)
            })
            .sum();
        let bytes = bits * time.as_nanos() / 8_000_000_000;
        self.counters.missed_bytes += u64::try_from(bytes).unwrap_or(0);
    }
}
