//! A session as its client knows it, and what was seen of it between control and its shard.

use super::rtsp_model::Asked;
use super::title::titles;
use super::viewer::Viewer;
use crate::clock::MonoTime;
use crate::mailbox::{ConnectionId, Play, SessionKey};
use packetizer::image::BUNDLE_NANOS_MAX;
use packetizer::index::{Cue, TrackId, TrackSet};
use packetizer::time::Npt;

/// How exactly a Range says where it starts, in nanoseconds.
pub(super) const RANGE_NANOS: i64 = 1_000_000;

/// What was seen, between control and its shard, of a session.
#[derive(Clone, Debug, Default)]
pub(super) struct Facts {
    pub(super) shard: usize,
    /// Cues that the shard took, and the last one that moved it elsewhere.
    pub(super) cues: u32,
    pub(super) play: Option<Play>,
    /// The last one went on where the session stood.
    pub(super) has_resumed: bool,
    /// It played, and the last cue changed nothing.
    pub(super) goes_on: bool,
    /// Its packets go.
    pub(super) is_running: bool,
    /// Its range was over when the last cue came.
    pub(super) was_finished: bool,
    pub(super) is_finished: bool,
    pub(super) is_finish_known: bool,
    pub(super) has_ended: bool,
    pub(super) is_end_known: bool,
    /// The server drained.
    pub(super) is_drained: bool,
    /// Where the last pause stopped it.
    pub(super) paused: Option<Npt>,
}

/// Where a session stands, as its client knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Ready(Stopped),
    Playing,
    /// A reply was lost.
    Unsure,
}

/// Where a session goes on without a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stopped {
    AtStart,
    Paused,
    Unsure,
}

/// Whether a session exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Life {
    Alive,
    /// What carried it is gone, or a reply that would tell was lost.
    Doubtful,
    Over,
}

/// How a stream travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    Udp { port: u16, server_port: u16 },
    Interleaved { connection: ConnectionId, channel: u8 },
}

#[derive(Debug)]
pub(super) struct Stream {
    pub(super) track: TrackId,
    pub(super) way: Way,
    /// It was there at the last PLAY.
    pub(super) has_joined: bool,
}

/// A session as its client knows it.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) id: String,
    pub(super) key: SessionKey,
    pub(super) title: usize,
    pub(super) streams: Vec<Stream>,
    pub(super) state: State,
    pub(super) life: Life,
    pub(super) facts: Facts,
    pub(super) viewer: Viewer,
    /// The viewer missed a reply and cannot follow.
    pub(super) is_blind: bool,
    /// Somebody else plays and pauses it too.
    pub(super) is_shared: bool,
    /// Cues up to the last reply to PLAY.
    pub(super) cues: u32,
    /// The reply to its last PLAY was written.
    pub(super) is_answered: bool,
    /// Packets since the last PLAY, and when that was.
    pub(super) arrived: u64,
    pub(super) played_at: Option<MonoTime>,
    pub(super) heard_at: MonoTime,
}

impl Session {
    pub(super) fn new(id: &str, key: SessionKey, title: usize, facts: Facts) -> Self {
        Self {
            id: id.to_owned(),
            key,
            title,
            streams: Vec::new(),
            state: State::Ready(Stopped::AtStart),
            life: Life::Alive,
            facts,
            viewer: Viewer::new(&titles()[title].title, RANGE_NANOS),
            is_blind: false,
            is_shared: false,
            cues: 0,
            is_answered: false,
            arrived: 0,
            played_at: None,
            heard_at: MonoTime::default(),
        }
    }

    /// What carried it is gone, or a reply that would tell was lost.
    pub(super) fn doubt(&mut self) {
        self.is_blind = true;
        if self.life == Life::Alive {
            self.life = Life::Doubtful;
        }
    }

    /// What makes streams that were set up in the pause play with the others.
    fn joining_cue(&self) -> Option<Cue> {
        let has_new = self.streams.iter().any(|stream| !stream.has_joined);
        let paused = self.facts.paused.filter(|_| has_new)?;
        // Paused where its range ended, it goes on behind that.
        let end = self.facts.play?.end.filter(|end| paused < *end);
        self.viewer.title.index.cue(self.tracks(), paused, end)
    }

    /// Whether the client named no end in front of, or at, that of the title.
    fn goes_on_to_the_end(&self, cue: &Cue) -> bool {
        let facts = &self.facts;
        let named = facts.play.and_then(|play| play.end);
        let is_behind = |end: Npt| facts.has_resumed && facts.paused.is_some_and(|at| at >= end);
        cue.end == self.viewer.title.index.duration && named.is_none_or(is_behind)
    }

    /// Compares where the session went with what its client asked for. Gives the cue, if it moved.
    pub(super) fn check_cue(&self, asked: &Asked, start: Npt, end: Option<Npt>) -> Option<Cue> {
        let facts = &self.facts;
        if end.is_none() {
            assert!(self.viewer.title.looped, "play goes on for ever");
        }
        let moved = || {
            let end = facts.play.and_then(|play| play.end);
            self.viewer.title.index.cue(self.tracks(), start, end)
        };
        let cue = match asked.expected_cue(self) {
            Ok(Some(cue)) => Some(cue),
            Ok(None) => {
                assert!(facts.has_resumed, "it goes on where it was");
                let paused = facts.paused.expect("it was paused");
                assert_eq!(start, rounded_up(paused), "where it was paused");
                None
            }
            Err(()) if facts.has_resumed => self.joining_cue(),
            Err(()) => moved(),
        };
        if let Some(cue) = &cue {
            let tracks = &self.viewer.title.index.tracks;
            let is_video = |track: TrackId| tracks[usize::from(track.0)].codec.is_video();
            let asked = rounded_up(cue.start);
            if self.tracks().iter().any(is_video) {
                assert_eq!(start, asked, "the Range");
            } else {
                // A whole packet holds what was asked for.
                let early = asked.nanos().checked_sub(start.nanos()).expect("the Range");
                assert!(early <= BUNDLE_NANOS_MAX.unsigned_abs(), "the Range is {early} ns early");
            }
            let is_endless = self.viewer.title.looped && self.goes_on_to_the_end(cue);
            let expected = (!is_endless).then(|| cue.end.to_string());
            assert_eq!(end.map(|end| end.to_string()), expected, "the Range");
        }
        cue
    }

    pub(super) fn tracks(&self) -> TrackSet {
        self.streams.iter().fold(TrackSet::EMPTY, |tracks, stream| tracks.with(stream.track))
    }

    pub(super) fn is_udp_only(&self) -> bool {
        self.streams.iter().all(|stream| matches!(stream.way, Way::Udp { .. }))
    }

    pub(super) fn is_carried_by(&self, id: ConnectionId) -> bool {
        let is_in =
            |way: &Way| matches!(way, Way::Interleaved { connection, .. } if *connection == id);
        self.streams.iter().any(|stream| is_in(&stream.way))
    }
}

/// As replies name where play starts: to the millisecond, never before it.
const fn rounded_up(time: Npt) -> Npt {
    Npt::from_nanos(time.nanos().next_multiple_of(1_000_000))
}
