//! One session: streams that play together, range after range.

use super::counters::Sent;
use super::operation::SourceSlot;
use super::standing::Standing;
use super::timeline::Timeline;
use crate::clock::MonoTime;
use crate::mailbox::{SessionKey, Token};
use packetizer::index::{TrackCue, TrackId};
use packetizer::time::Npt;
use std::collections::VecDeque;

/// Where a session stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Never played.
    Init,
    /// Moved to a range; its packets may go when control says so.
    Cued,
    /// Packets go.
    Playing,
    /// Stopped: what was due before this position has left, nothing behind it but what was handed
    /// over ahead of its time.
    Paused(Npt),
    /// Its ranges are over on every stream.
    Finished,
}

/// A range that a session plays.
#[derive(Clone, Debug)]
pub(super) struct PlayRange {
    pub(super) timeline: Timeline,
    /// Where it begins and ends in each track.
    pub(super) tracks: Vec<TrackCue>,
    /// The client named an end before that of the presentation: another range may follow.
    pub(super) is_closed: bool,
    /// It goes on to the end of the presentation, and a lap follows.
    pub(super) is_endless: bool,
    /// Nanoseconds of viewing between the end of the range before and its start.
    pub(super) gap: u32,
}

impl PlayRange {
    /// The track whose sync samples alone are played.
    pub(super) fn skim_track(&self) -> Option<TrackId> {
        let track = self.tracks.first().filter(|_| self.timeline.pace.is_skim())?;
        Some(track.track)
    }
}

/// Where a session that plays is to pause (RFC 2326 §10.6).
#[derive(Clone, Debug)]
pub(super) struct PausePoint {
    pub(super) at: Npt,
    /// The range as it was before it was cut off there; `None` if the point lies behind it.
    pub(super) whole: Option<PlayRange>,
}

/// A session.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) key: SessionKey,
    /// Its title's slot in the shard's sources.
    pub(super) source: SourceSlot,
    /// Its streams' slots, in the order of their SETUP.
    pub(super) streams: Vec<usize>,
    pub(super) state: State,
    /// The PLAY that moved it last; only a reply to that one, or to one after it, starts it.
    pub(super) moved_by: Option<Token>,
    /// The range that it plays, and those that follow when that is over. One stays behind a pause
    /// or an end, because the media clock runs on; there is none before the first PLAY.
    pub(super) ranges: VecDeque<PlayRange>,
    /// The ordinal of the first of them.
    pub(super) first_range: u32,
    /// Apart: few have one.
    pub(super) pause_point: Option<Box<PausePoint>>,
    /// Its streams stand elsewhere than where it was paused.
    pub(super) is_displaced: bool,
    /// When the viewer last showed a sign of life.
    pub(super) heard: MonoTime,
    /// When the next sender reports are due.
    pub(super) report_at: Option<MonoTime>,
    /// What left of the streams that are closed.
    pub(super) sent: Sent,
    /// How it stands with the disk.
    pub(super) standing: Standing,
}

impl Session {
    /// A session that never played.
    pub(super) fn new(key: SessionKey, source: SourceSlot, now: MonoTime) -> Self {
        Self {
            key,
            source,
            streams: Vec::new(),
            state: State::Init,
            moved_by: None,
            // Few sessions queue ranges.
            ranges: VecDeque::with_capacity(1),
            first_range: 0,
            pause_point: None,
            is_displaced: false,
            heard: now,
            report_at: None,
            sent: Sent { packets: 0, octets: 0 },
            standing: Standing::default(),
        }
    }

    /// Which of the ranges it is in.
    pub(super) fn current(&self, now: MonoTime) -> usize {
        match self.state {
            State::Playing => self
                .ranges
                .iter()
                .rposition(|range| range.timeline.started <= now)
                .unwrap_or_default(),
            State::Init | State::Cued | State::Paused(_) | State::Finished => 0,
        }
    }

    /// The range it is in; `None` before the first PLAY.
    pub(super) fn current_range(&self, now: MonoTime) -> Option<&PlayRange> {
        self.ranges.get(self.current(now))
    }

    /// Where the range of an ordinal stands among them, if it is not over.
    pub(super) fn position_of(&self, ordinal: u32) -> Option<usize> {
        let position = ordinal.checked_sub(self.first_range)? as usize;
        (position < self.ranges.len()).then_some(position)
    }

    /// The range of an ordinal, if that is not over.
    pub(super) fn range(&self, ordinal: u32) -> Option<&PlayRange> {
        self.ranges.get(self.position_of(ordinal)?)
    }

    /// The ordinal of the range behind the last.
    pub(super) fn end_range(&self) -> u32 {
        let count = u32::try_from(self.ranges.len()).expect("RANGES_MAX");
        self.first_range.wrapping_add(count)
    }

    /// Maps the ranges behind the first to the times at which those before them end.
    pub(super) fn chain_ranges(&mut self) {
        for position in 1..self.ranges.len() {
            let before = self.ranges[position - 1].timeline;
            let range = &mut self.ranges[position];
            range.timeline.begin_behind(&before, range.gap);
        }
    }
}
