//! No packet of a cue goes before the reply to its own PLAY was written, however many connections
//! control the session.

use super::reply::Reply;
use crate::mailbox::{Cued, SessionKey};
use packetizer::index::TrackId;
use std::collections::{BTreeMap, BTreeSet};

/// The last cue that moved a session.
#[derive(Debug, Default)]
struct Move {
    /// The first sequence number of each track, once the shard has said it.
    first: BTreeMap<TrackId, u16>,
    /// What RTP-Info says in the replies to it, and to those behind it that only asked where the
    /// session stands.
    told: BTreeSet<(u16, u32)>,
    is_answered: bool,
    /// It was paused or came to its end: whatever comes next moves the session.
    is_over: bool,
}

/// The last moves of all sessions, as their shards saw them.
#[derive(Debug, Default)]
pub(super) struct Cues {
    moves: BTreeMap<SessionKey, Move>,
}

impl Cues {
    /// A shard has taken a PLAY; one that `goes_on` may only ask where the session stands.
    pub(super) fn done(&mut self, key: SessionKey, cued: &Cued, goes_on: bool) {
        let is_under_way = self.moves.get(&key).is_some_and(|last| !last.is_over);
        if !(goes_on && is_under_way) {
            let first = cued.streams.iter().filter_map(|info| Some((info.track, info.sequence?)));
            self.moves.insert(key, Move { first: first.collect(), ..Move::default() });
        }
        let Some(last) = self.moves.get_mut(&key) else { return };
        let told = cued.streams.iter().filter_map(|info| Some((info.sequence?, info.rtptime)));
        last.told.extend(told);
    }

    /// The session was paused, or its range is over.
    pub(super) fn stopped(&mut self, key: SessionKey) {
        if let Some(last) = self.moves.get_mut(&key) {
            last.is_over = true;
        }
    }

    /// A reply to PLAY was written.
    pub(super) fn told(&mut self, key: SessionKey, reply: &Reply) {
        let Some(last) = self.moves.get_mut(&key) else { return };
        let mut infos = reply.rtp_info().into_iter();
        last.is_answered |= infos.any(|info| last.told.contains(&(info.sequence, info.rtptime)));
    }

    /// A packet has arrived.
    pub(super) fn check(&self, key: SessionKey, track: TrackId, sequence: u16) {
        let Some(last) = self.moves.get(&key) else { return };
        // What was half sent when the session moved is of the range before.
        let is_of_it = |first: &u16| sequence.wrapping_sub(*first).cast_signed() >= 0;
        assert!(
            last.is_answered || !last.first.get(&track).is_some_and(is_of_it),
            "{key:?} sends packet {sequence} before the reply to its PLAY"
        );
    }
}
