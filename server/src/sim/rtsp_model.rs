//! What a client expects of the server: the states of RFC 2326 App. A and the status of each
//! request, written down a second time.

use super::reply::ChosenTransport;
use super::rtsp_session::{Facts, Life, Session, State, Stopped, Way};
use crate::mailbox::ConnectionId;
use packetizer::index::{Cue, TrackId};
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

impl Asked {
    /// A request whose CSeq cannot be read.
    pub(super) const fn unreadable() -> Self {
        let aim = Aim::Always(400);
        Self { cseq: None, session: None, title: 0, aim, facts: None }
    }

    /// The channel that a SETUP offers.
    pub(super) fn channel(&self) -> Option<u8> {
        match self.aim {
            Aim::SetUp { offer: Offer::Interleaved { channel }, .. } => channel,
            Aim::SetUp { offer: Offer::UdpOrInterleaved { channel, .. }, .. } => Some(channel),
            Aim::Always(_)
            | Aim::OfSession(_)
            | Aim::Describe
            | Aim::SetUp { .. }
            | Aim::Play(_)
            | Aim::PlayTrack(_)
            | Aim::Pause
            | Aim::TearDown { .. } => None,
        }
    }

    /// The state that decides: a range may have come to its end unnoticed.
    pub(super) fn state(&self, session: &Session) -> State {
        if session.is_shared {
            return State::Unsure;
        }
        let facts = &session.facts;
        // This request's own cue has moved the session on.
        let is_moved = facts.cues > session.cues;
        let is_finished = if is_moved { facts.was_finished } else { facts.is_finished };
        if session.state != State::Playing || !is_finished {
            return session.state;
        }
        let knew = |before: &Facts| before.is_finish_known && before.cues == session.cues;
        let was_known = self.facts.as_ref().is_some_and(knew);
        // A range that its client ended leaves the session paused at that end, if it came so far.
        let is_whole = facts.play.is_none_or(|play| play.end.is_none());
        if was_known && is_whole { State::Ready(Stopped::AtStart) } else { State::Unsure }
    }

    /// The statuses that are right.
    pub(super) fn statuses(
        &self,
        session: Option<&Session>,
        circumstances: &Circumstances,
    ) -> Vec<u16> {
        let mut statuses = match self.aim {
            // Titles that there may be are elsewhere while the server retires.
            Aim::Always(status @ (404 | 415 | 500)) if circumstances.is_draining => {
                return vec![status, 302];
            }
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
            // It may have a stream more or less than the client knows.
            let names_one =
                matches!(self.aim, Aim::PlayTrack(_) | Aim::TearDown { track: Some(_) });
            if session.life == Life::Doubtful && names_one {
                statuses.extend([200, 404, 460]);
            }
        }
        if circumstances.is_draining {
            statuses.extend([302, 454, 503]);
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
            (Offer::Unusable(text), _) if text.contains("destination") => vec![462],
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
                (State::Playing, _) => vec![200, 457],
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
        let span = if let Aim::Play(span) = self.aim { span } else { Span::None };
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

/// How the stream travels, which must be as it was offered.
pub(super) fn chosen_way(
    connection: ConnectionId,
    offer: Offer,
    transport: &ChosenTransport,
) -> Way {
    if transport.protocol == "RTP/AVP" {
        let (server_port, _) = transport.pair("server_port").expect("server ports");
        let (port, rtcp_port) = transport.pair("client_port").expect("client ports");
        let (Offer::Udp { port: offered }
        | Offer::UdpOrInterleaved { port: offered, .. }
        | Offer::MulticastOrUdp { port: offered }) = offer
        else {
            panic!("UDP was not offered: {offer:?}")
        };
        assert_eq!((port, rtcp_port), (offered, offered + 1));
        return Way::Udp { port, server_port };
    }
    assert_eq!(transport.protocol, "RTP/AVP/TCP");
    let (channel, rtcp_channel) = transport.pair("interleaved").expect("channels");
    let channel = u8::try_from(channel).expect("8 bits");
    assert_eq!(rtcp_channel, u16::from(channel) + 1);
    match offer {
        Offer::Interleaved { channel: None } => {}
        Offer::Interleaved { channel: Some(offered) }
        | Offer::UdpOrInterleaved { channel: offered, .. } => assert_eq!(channel, offered),
        Offer::Udp { .. }
        | Offer::MulticastOrUdp { .. }
        | Offer::Unusable(_)
        | Offer::Malformed(_) => panic!("interleaving was not offered: {offer:?}"),
    }
    Way::Interleaved { connection, channel }
}
