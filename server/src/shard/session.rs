//! One session: streams that play together on one timeline.

use super::counters::Sent;
use super::timeline::Timeline;
use crate::clock::MonoTime;
use crate::mailbox::{SessionKey, Token};
use packetizer::time::Npt;

/// Where a session stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Never played.
    Init,
    /// Moved to a range; its packets may go when control says so.
    Cued,
    /// Packets go.
    Playing,
    /// Stopped: what was due before this position has left, nothing behind it.
    Paused(Npt),
    /// Its range is over on every stream.
    Finished,
}

/// A session.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) key: SessionKey,
    /// Its title's slot in the shard's sources.
    pub(super) source: super::operation::SourceSlot,
    /// Its streams' slots, in the order of their SETUP.
    pub(super) streams: Vec<usize>,
    pub(super) state: State,
    /// The cue that moved it last; only a reply to that one, or to one after it, starts it.
    pub(super) moved_by: Option<Token>,
    /// The last PLAY's range; stays behind a pause or an end, because the media clock runs on.
    pub(super) timeline: Option<Timeline>,
    /// When the viewer last showed a sign of life.
    pub(super) heard: MonoTime,
    /// When the next sender reports are due.
    pub(super) report_at: Option<MonoTime>,
    /// What left of the streams that are closed.
    pub(super) sent: Sent,
}
