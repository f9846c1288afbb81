//! Shards that do what control may rely on, and nothing else.

use packetizer::index::TrackId;
use packetizer::rtp::Ssrc;
use packetizer::time::Npt;
use server::limits::SESSION_STREAMS_MAX;
use server::mailbox::{
    Command, ConnectionId, Cued, EndReason, Inspection, NotMoved, Paused, Report, Sent, SessionKey,
    SetUpRefused, StreamInfo, StreamSetUp, StreamTransport,
};
use std::collections::{BTreeMap, VecDeque};

pub(super) const SHARD_COUNT: usize = 2;

/// The streams of a session, in the order of their SETUP.
type Streams = Vec<(TrackId, StreamTransport, Ssrc)>;

/// All shards.
#[derive(Default)]
pub(super) struct Shards {
    pub(super) sessions: [BTreeMap<SessionKey, Streams>; SHARD_COUNT],
    /// What control has not heard yet.
    pub(super) reports: [VecDeque<Report>; SHARD_COUNT],
    /// What the next SETUPs are answered instead of a stream.
    pub(super) refusals: VecDeque<SetUpRefused>,
    streams_made: u16,
}

impl Shards {
    /// Obeys what concerns sessions. Connections are the world's.
    pub(super) fn obey(&mut self, shard: usize, command: Command) {
        let report = match command {
            Command::SetUp { token, session, track, transport, .. } => {
                let result = match self.refusals.pop_front() {
                    Some(refused) => Err(refused),
                    None => Ok(self.set_up(shard, session, track, transport)),
                };
                Report::SetUp { token, result }
            }
            Command::Play { token, session, play } => {
                let cued = self.sessions[shard].get(&session).map(|streams| Cued {
                    start: play.start.unwrap_or_default(),
                    end: play.end.unwrap_or(Npt::from_nanos(100_000_000)),
                    is_endless: play.is_endless && play.end.is_none(),
                    pace: play.pace,
                    style: play.style,
                    streams: streams.iter().map(|(track, ..)| info(*track)).collect(),
                });
                let is_outside = play.start.is_some_and(|start| start.nanos() > 100_000_000);
                let result = match cued {
                    Some(_) if is_outside => Err(NotMoved::OutOfRange),
                    cued => cued.ok_or(NotMoved::Gone),
                };
                Report::Cued { token, result }
            }
            Command::Pause { token, session, at } => {
                let known = self.sessions[shard].contains_key(&session);
                let paused = match at {
                    Some(_) => Paused::Later,
                    None => Paused::At(Npt::from_nanos(40_000_000)),
                };
                let result = known.then_some(paused).ok_or(NotMoved::Gone);
                Report::Paused { token, result }
            }
            Command::Inspect { token, session } => {
                let known = self.sessions[shard].contains_key(&session);
                let inspection = Inspection { position: Npt::ZERO, scale: 1, streams: Vec::new() };
                Report::Inspected { token, inspection: known.then_some(inspection) }
            }
            Command::TearDown { session, stream } => {
                return self.tear_down(shard, session, stream);
            }
            Command::Drain => {
                while let Some(session) = self.sessions[shard].keys().next().copied() {
                    self.end(shard, session, EndReason::Drained);
                }
                Report::Drained
            }
            Command::Snapshot => Report::Counters(Box::default()),
            Command::Start(_) | Command::Touch { .. } => return,
            Command::Adopt(_)
            | Command::Reply { .. }
            | Command::Ask { .. }
            | Command::Close { .. } => {
                unreachable!("the world's")
            }
        };
        self.reports[shard].push_back(report);
    }

    fn set_up(
        &mut self,
        shard: usize,
        session: SessionKey,
        track: TrackId,
        transport: StreamTransport,
    ) -> StreamSetUp {
        let elsewhere = (0..SHARD_COUNT).filter(|other| *other != shard);
        for other in elsewhere {
            assert!(!self.sessions[other].contains_key(&session), "a session in two shards");
        }
        self.streams_made = self.streams_made.wrapping_add(1);
        let streams = self.sessions[shard].entry(session).or_default();
        let ssrc = Ssrc(self.streams_made.into());
        streams.push((track, transport, ssrc));
        // One more while it replaces another.
        assert!(streams.len() <= SESSION_STREAMS_MAX + 1);
        let server_port = match transport {
            StreamTransport::Udp { .. } => Some(6970),
            StreamTransport::Interleaved { .. } => None,
        };
        StreamSetUp { server_port, ssrc }
    }

    fn tear_down(&mut self, shard: usize, session: SessionKey, ssrc: Option<Ssrc>) {
        let Some(streams) = self.sessions[shard].get_mut(&session) else { return };
        let position = ssrc.map(|ssrc| streams.iter().position(|(.., other)| *other == ssrc));
        match position {
            Some(None) => {}
            Some(Some(position)) if streams.len() > 1 => drop(streams.remove(position)),
            Some(Some(_)) | None => self.end(shard, session, EndReason::TornDown),
        }
    }

    /// Ends a session of the shard's own accord.
    pub(super) fn end(&mut self, shard: usize, session: SessionKey, reason: EndReason) {
        self.sessions[shard].remove(&session);
        self.reports[shard].push_back(Report::Ended { session, reason, sent: Sent::default() });
    }

    /// The nth session of all, counted round and round, and its shard.
    pub(super) fn nth_session(&self, nth: u8) -> Option<(usize, SessionKey)> {
        let all = (0..SHARD_COUNT)
            .flat_map(|shard| self.sessions[shard].keys().map(move |key| (shard, *key)));
        let all: Vec<_> = all.collect();
        (!all.is_empty()).then(|| all[usize::from(nth) % all.len()])
    }

    pub(super) fn session_count(&self) -> usize {
        self.sessions.iter().map(BTreeMap::len).sum()
    }

    /// The sessions interleaved in a connection, and their shards.
    pub(super) fn carried_by(&self, connection: ConnectionId) -> Vec<(usize, SessionKey)> {
        let is_in = |(_, transport, _): &(TrackId, StreamTransport, Ssrc)| match transport {
            StreamTransport::Interleaved { connection: other, .. } => *other == connection,
            StreamTransport::Udp { .. } => false,
        };
        (0..SHARD_COUNT)
            .flat_map(|shard| self.sessions[shard].iter().map(move |entry| (shard, entry)))
            .filter(|(_, (_, streams))| streams.iter().any(is_in))
            .map(|(shard, (key, _))| (shard, *key))
            .collect()
    }
}

fn info(track: TrackId) -> StreamInfo {
    StreamInfo { track, sequence: Some(100 + u16::from(track.0)), rtptime: 9000 }
}
