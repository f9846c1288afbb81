//! What a client expects of the server: the states of RFC 2326 App. A and the status of each
//! request, written down a second time.

use super::viewer::Viewer;
use crate::clock::MonoTime;
use crate::mailbox::{ConnectionId, SessionKey};
use packetizer::index::{Cue, TrackId, TrackSet};
use packetizer::time::Npt;

/// A request that waits for its reply.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    /// `None` if it had none that can be read.
    pub(super) cseq: Option<u32>,
    /// Position among the client's sessions.
    pub(super) session: Option<usize>,
    pub(super) title: usize,
    pub(super) aim: Aim,
    /// What was known of the session when it was sent.
    pub(super) facts: Option<Facts>,
}

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Aim {
    /// Something that has this status whatever the session does.
    Always(u16),
    /// Something of an existing session that has this status in every state.
    OfSession(u16),
    Describe,
    SetUp {
        track: u8,
        offer: Offer,
    },
    Play(Span),
    /// PLAY by the URL of one stream.
    PlayTrack(u8),
    Pause,
    TearDown {
        track: Option<u8>,
    },
}

/// What a SETUP offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Offer {
    Udp {
        port: u16,
    },
    /// Without channels, the server chooses.
    Interleaved {
        channel: Option<u8>,
    },
    UdpOrInterleaved {
        port: u16,
        channel: u8,
    },
    MulticastOrUdp {
        port: u16,
    },
    /// Nothing that can be served.
    Unusable(&'static str),
    /// Nothing that can be read.
    Malformed(&'static str),
}

/// The range of a PLAY, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Span {
    None,
    From(u64, Option<u64>),
    /// `npt=-…`
    Until(u64),
}

/// What was seen, between control and its shard, of a session.
#[derive(Clone, Debug, Default)]
pub(super) struct Facts {
    pub(super) shard: usize,
    /// Cues that the shard took, and the last one.
    pub(super) cues: u32,
    pub(super) cue: Option<Cue>,
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
    /// Cues up to the last reply to PLAY.
    pub(super) cues: u32,
    /// The reply to its last PLAY was written.
    pub(super) is_answered: bool,
    /// Packets since the last PLAY, and when that was.
    pub(super) arrived: u64,
    pub(super) played_at: Option<MonoTime>,
    pub(super) heard_at: MonoTime,
}

/// What else decides a status.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Circumstances {
    pub(super) opening_fails: bool,
    pub(super) is_tight: bool,
    pub(super) is_draining: bool,
    /// The address may have no more UDP streams.
    pub(super) are_pairs_taken: bool,
    /// The connection is another shard's than the session.
    pub(super) is_elsewhere: bool,
    /// The offered channels are another stream's.
    pub(super) channels: Channels,
}

/// Whether channels that are offered are in use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Channels {
    #[default]
    Free,
    Taken,
    /// By a stream that may be over.
    Doubtful,
    /// By the same stream.
    Same,
}

impl Session {
    pub(super) fn tracks(&self) -> TrackSet {
        self.streams.iter().fold(TrackSet::EMPTY, |tracks, stream| tracks.with(stream.track))
    }

    pub(super) fn is_udp_only(&self) -> bool {
        self.streams.iter().all(|stream| matches!(stream.way, Way::Udp { .. }))
    }

    pub(super) fn is_carried_by(&self, id: ConnectionId) -> bool {
        let is_in = |stream: &Stream| matches!(stream.way, Way::Interleaved { connection, .. } if connection == id);
        self.streams.iter().any(is_in)
    }
}

impl Asked {
    /// A request whose CSeq cannot be read.
    pub(super) const fn unreadable() -> Self {
        let aim = Aim::Always(400);
        Self { cseq: None, session: None, title: 0, aim, facts: None }
    }

    /// The state that decides: a range may have come to its end unnoticed.
    pub(super) fn state(&self, session: &Session) -> State {
        let facts = &session.facts;
        // This request's own cue has moved the session on.
        let is_moved = facts.cues > session.cues;
        let is_finished = if is_moved { facts.was_finished } else { facts.is_finished };
        if session.state != State::Playing || !is_finished {
            return session.state;
        }
        let knew = |before: &Facts| before.is_finish_known && before.cues == session.cues;
        let was_known = self.facts.as_ref().is_some_and(knew);
        if was_known { State::Ready(Stopped::AtStart) } else { State::Unsure }
    }

    /// The statuses that are right.
    pub(super) fn statuses(
        &self,
        session: Option<&Session>,
        circumstances: &Circumstances,
    ) -> Vec<u16> {
        let mut statuses = match self.aim {
            Aim::Always(status) => return vec![status],
            Aim::Describe => vec![200],
            Aim::SetUp { offer, .. } => {
                let state = session.map(|session| self.state(session));
                self.setup_statuses(state, offer, circumstances)
            }
            Aim::OfSession(status) => vec![status],
            Aim::Play(span) => {
                session.map_or(vec![454], |session| self.play_statuses(session, span))
            }
            Aim::PlayTrack(track) => match session {
                Some(session) if !session.tracks().contains(TrackId(track)) => vec![404],
                Some(session) if session.streams.len() > 1 => vec![460],
                _ => vec![200],
            },
            Aim::Pause | Aim::TearDown { track: None } => vec![200],
            Aim::TearDown { track: Some(track) } => match session {
                Some(session) if !session.tracks().contains(TrackId(track)) => vec![404],
                _ => vec![200],
            },
        };
        let opens = matches!(self.aim, Aim::Describe | Aim::SetUp { .. }) && session.is_none();
        if opens && circumstances.opening_fails {
            statuses.push(500);
        }
        if let Some(session) = session
            && self.aim != Aim::Describe
        {
            let was_known = self.facts.as_ref().is_some_and(|before| before.is_end_known);
            if session.life == Life::Over || was_known {
                return vec![454];
            }
            if session.life == Life::Doubtful || session.facts.has_ended {
                statuses.push(454);
            }
        }
        if circumstances.is_draining {
            statuses.extend([454, 503]);
        }
        statuses
    }

    fn setup_statuses(
        &self,
        state: Option<State>,
        offer: Offer,
        circumstances: &Circumstances,
    ) -> Vec<u16> {
        let full = circumstances.are_pairs_taken;
        let mut statuses = match (offer, circumstances.channels) {
            (Offer::Malformed(_), _) => vec![400],
            (Offer::Unusable(_), _) => vec![461],
            (Offer::Udp { .. } | Offer::MulticastOrUdp { .. }, _) if full => vec![200, 461],
            (Offer::Interleaved { .. }, _) if circumstances.is_elsewhere => vec![461],
            (Offer::Interleaved { .. }, Channels::Taken) => vec![461],
            (Offer::Interleaved { .. }, Channels::Doubtful) => vec![200, 461],
            (Offer::UdpOrInterleaved { .. }, channels)
                if full && (channels != Channels::Free || circumstances.is_elsewhere) =>
            {
                vec![200, 461]
            }
            _ => vec![200],
        };
        if circumstances.is_tight && !matches!(offer, Offer::Malformed(_) | Offer::Unusable(_)) {
            statuses.push(453);
        }
        match state {
            Some(State::Playing) => vec![455],
            Some(State::Unsure) => {
                statuses.push(455);
                statuses
            }
            Some(State::Ready(_)) | None => statuses,
        }
    }

    fn play_statuses(&self, session: &Session, span: Span) -> Vec<u16> {
        let duration = session.viewer.title.index.duration;
        let state = self.state(session);
        match span {
            Span::From(start, _) if millis(start) >= duration => vec![457],
            Span::From(start, Some(end)) if end <= start => vec![457],
            Span::None | Span::From(..) => vec![200],
            Span::Until(end) => match (state, session.facts.paused) {
                (State::Playing, _) => vec![457],
                (State::Ready(Stopped::AtStart), _) if end > 0 => vec![200],
                (State::Ready(Stopped::Paused), Some(at)) if at < millis(end) => vec![200],
                (State::Ready(Stopped::AtStart | Stopped::Paused), _) => vec![457],
                (State::Ready(Stopped::Unsure) | State::Unsure, _) => vec![200, 457],
            },
        }
    }

    /// What a PLAY that was done must have made of the session: the cue, or `None` if it goes on
    /// where it stood. `Err` where that cannot be known.
    pub(super) fn expected_cue(&self, session: &Session) -> Result<Option<Cue>, ()> {
        let index = &session.viewer.title.index;
        let cue = |start, end| index.cue(session.tracks(), start, end);
        let span = match self.aim {
            Aim::Play(span) => span,
            _ => Span::None,
        };
        let end = match span {
            Span::From(start, end) => return Ok(cue(millis(start), end.map(millis))),
            Span::Until(end) => Some(millis(end)),
            Span::None => None,
        };
        match (session.state, session.facts.paused) {
            (State::Ready(Stopped::AtStart), _) => Ok(cue(Npt::ZERO, end)),
            (State::Ready(Stopped::Paused), Some(at)) if end.is_some() => Ok(cue(at, end)),
            (State::Ready(Stopped::Paused), Some(_))
                if session.streams.iter().all(|stream| stream.has_joined) =>
            {
                Ok(None)
            }
            _ => Err(()),
        }
    }
}

/// So many milliseconds.
pub(super) const fn millis(millis: u64) -> Npt {
    Npt::from_nanos(millis * 1_000_000)
}
