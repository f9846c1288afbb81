//! RTSP sessions as control sees them: who may use one, which shard has it, its state
//! (RFC 2326 App. A.2), and its end.

use super::memory::MemoryNeed;
use super::profiles::Deviations;
use super::{Control, Effect};
use crate::clock::MonoTime;
use crate::mailbox::{
    Command, ConnectionId, EndReason, Sent, SessionKey, StreamSetUp, StreamTransport,
};
use crate::title::SharedTitle;
use packetizer::index::{TrackId, TrackSet};
use packetizer::time::Npt;
use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::time::Duration;
use tracing::info;

/// What the Session header carries: 128 random bits, written as 32 hexadecimal digits, which is
/// the alphabet that every client takes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct SessionId(pub(super) u128);

impl SessionId {
    /// The id in a Session header, which may carry parameters after a semicolon (RFC 2326 §12.37).
    /// `None` for anything this server has not made.
    pub(super) fn parse(header: &str) -> Option<Self> {
        let id = header.split(';').next()?.trim();
        let lower_hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        if id.len() != SESSION_ID_DIGITS || !id.bytes().all(lower_hex) {
            return None;
        }
        u128::from_str_radix(id, 16).ok().map(Self)
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// Logs must not hand out what lets a viewer be impersonated: the first eight digits tell sessions
/// apart.
impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", self.0 >> 96)
    }
}

/// The states of RFC 2326 App. A.2. A session that does not exist is in Init.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Set up, not delivering.
    Ready,
    /// Delivering, or about to.
    Playing,
}

/// A stream that has been set up.
#[derive(Clone, Debug)]
pub(super) struct Stream {
    pub(super) track: TrackId,
    /// The URL of its SETUP, without credentials: what RTP-Info names it by.
    pub(super) url: Box<str>,
    pub(super) transport: StreamTransport,
    pub(super) set_up: StreamSetUp,
    /// What it has reserved.
    pub(super) bits_per_second: u64,
    pub(super) memory: MemoryNeed,
}

impl Stream {
    /// The connection it travels in, if it does not travel over UDP.
    pub(super) const fn interleaved_in(&self) -> Option<ConnectionId> {
        match self.transport {
            StreamTransport::Interleaved { connection, .. } => Some(connection),
            StreamTransport::Udp { .. } => None,
        }
    }

    /// The channels it takes there.
    pub(super) fn channels(&self) -> impl Iterator<Item = u8> + use<> {
        let channels = match self.transport {
            StreamTransport::Interleaved { rtp_channel, rtcp_channel, .. } => {
                Some([rtp_channel, rtcp_channel])
            }
            StreamTransport::Udp { .. } => None,
        };
        channels.into_iter().flatten()
    }
}

/// A session.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) id: SessionId,
    pub(super) key: SessionKey,
    /// The only address that may use it.
    pub(super) peer: IpAddr,
    pub(super) shard: usize,
    /// How its client differs from others.
    pub(super) deviations: Deviations,
    pub(super) title: SharedTitle,
    /// Play goes on from the beginning of the title when it has come to the end.
    pub(super) is_endless: bool,
    /// When the title's normal play time was zero, if it has an absolute time.
    pub(super) clock_origin: Option<Npt>,
    pub(super) state: State,
    /// Whether a SETUP of one more stream waits for the shard.
    pub(super) setting_up: bool,
    /// PLAYs that wait for the shard; several connections may send some.
    pub(super) cues_underway: u32,
    /// In the order of their SETUP.
    pub(super) streams: Vec<Stream>,
    /// What a fast delivery has reserved beside their own rates.
    pub(super) extra_bits_per_second: u64,
    /// Since when it plays.
    pub(super) playing_since: Option<MonoTime>,
    /// Since when it stands still after it played.
    pub(super) stands_since: Option<MonoTime>,
    /// How long it played before.
    pub(super) played: Duration,
    /// When its shard last heard that its viewer lives.
    pub(super) touched: MonoTime,
    /// The connection whose request named it last.
    pub(super) connection: ConnectionId,
}

impl Session {
    /// Changes the state, and counts the time that it played.
    pub(super) fn enter(&mut self, now: MonoTime, state: State) {
        self.stands_since = match state {
            State::Playing => None,
            State::Ready if self.playing_since.is_some() => Some(now),
            State::Ready => self.stands_since,
        };
        self.played += self.playing_since.take().map_or(Duration::ZERO, |since| now - since);
        self.playing_since = (state == State::Playing).then_some(now);
        self.state = state;
    }

    pub(super) fn stream(&self, track: TrackId) -> Option<&Stream> {
        self.streams.iter().find(|stream| stream.track == track)
    }

    pub(super) fn tracks(&self) -> TrackSet {
        self.streams.iter().fold(TrackSet::EMPTY, |tracks, stream| tracks.with(stream.track))
    }
}

/// What is to be logged of a session that has ended.
#[derive(Debug)]
pub(super) struct Ending {
    id: SessionId,
    peer: IpAddr,
    shard: usize,
    title: String,
    reason: String,
    played: Duration,
}

impl Ending {
    fn log(&self, sent: Sent) {
        info!(
            session = ?self.id,
            peer = %self.peer,
            title = self.title,
            reason = self.reason,
            seconds_played = self.played.as_secs(),
            packets_sent = sent.packets,
            octets_sent = sent.octets,
            "session ended"
        );
    }
}

/// All sessions.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    /// Apart from the tree, whose nodes are half empty when keys only grow.
    by_key: BTreeMap<SessionKey, Box<Session>>,
    by_id: BTreeMap<SessionId, SessionKey>,
}

impl Sessions {
    pub(super) fn insert(&mut self, session: Session) {
        self.by_id.insert(session.id, session.key);
        self.by_key.insert(session.key, Box::new(session));
    }

    pub(super) fn remove(&mut self, key: SessionKey) -> Option<Session> {
        let session = self.by_key.remove(&key)?;
        self.by_id.remove(&session.id);
        Some(*session)
    }

    pub(super) fn get(&self, key: SessionKey) -> Option<&Session> {
        self.by_key.get(&key).map(Box::as_ref)
    }

    pub(super) fn get_mut(&mut self, key: SessionKey) -> Option<&mut Session> {
        self.by_key.get_mut(&key).map(Box::as_mut)
    }

    /// The session of a Session header, if it exists and belongs to `peer`.
    pub(super) fn find(&self, header: &str, peer: IpAddr) -> Option<&Session> {
        let key = self.by_id.get(&SessionId::parse(header)?)?;
        self.by_key.get(key).map(Box::as_ref).filter(|session| session.peer == peer)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Session> {
        self.by_key.values().map(Box::as_ref)
    }

    pub(super) fn len(&self) -> usize {
        self.by_key.len()
    }
}

impl Control {
    /// Has the shard end a session, and forgets it.
    pub(super) fn tear_down_session(
        &mut self,
        now: MonoTime,
        key: SessionKey,
        reason: &str,
        effects: &mut Vec<Effect>,
    ) {
        if let Some(ending) = self.forget_session(now, key) {
            let command = Command::TearDown { session: key, stream: None };
            effects.push(Effect::Command { shard: ending.shard, command });
            self.endings.insert(key, Ending { reason: reason.to_owned(), ..ending });
        }
    }

    /// A shard has ended a session, by itself or as told.
    pub(super) fn ended(&mut self, now: MonoTime, key: SessionKey, reason: EndReason, sent: Sent) {
        if let Some(ending) = self.endings.remove(&key) {
            ending.log(sent);
        } else if let Some(ending) = self.forget_session(now, key) {
            Ending { reason: describe_end(reason), ..ending }.log(sent);
        }
    }

    /// Gives back what a session took.
    fn forget_session(&mut self, now: MonoTime, key: SessionKey) -> Option<Ending> {
        let mut session = self.sessions.remove(key)?;
        session.enter(now, State::Ready);
        for stream in &session.streams {
            let Session { shard, peer, .. } = session;
            self.admission.release(shard, peer, stream.bits_per_second, &stream.memory);
        }
        self.admission.release_bits(session.shard, session.extra_bits_per_second);
        self.admission.release_session(session.peer, session.title.source, session.shard);
        for id in session.streams.iter().filter_map(Stream::interleaved_in) {
            if let Some(connection) = self.connections.get_mut(&id) {
                connection.carries.remove(key);
            }
        }
        self.detach(now, key, session.connection);
        Some(Ending {
            id: session.id,
            peer: session.peer,
            shard: session.shard,
            title: session.title.name.clone(),
            reason: String::new(),
            played: session.played,
        })
    }

    /// A session no longer lets the connection be idle.
    pub(super) fn detach(&mut self, now: MonoTime, key: SessionKey, id: ConnectionId) {
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.sessions.remove(key);
            if connection.wants_requests() {
                self.refresh_deadline(now, id);
            }
        }
    }
}

fn describe_end(reason: EndReason) -> String {
    match reason {
        EndReason::TornDown => "torn down".to_owned(),
        EndReason::TimedOut => "timed out".to_owned(),
        EndReason::ConnectionClosed => "connection closed".to_owned(),
        EndReason::SourceFailed(Some(number)) => {
            format!("read failed: {}", std::io::Error::from_raw_os_error(number))
        }
        EndReason::SourceFailed(None) => "the file has shrunk".to_owned(),
        EndReason::MediaInvalid => "the media bytes are not what the index says".to_owned(),
        EndReason::Drained => "server drained".to_owned(),
    }
}

const SESSION_ID_DIGITS: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_as_they_are_written_and_no_other_way() {
        let id = SessionId(0x0123_4567_89ab_cdef_0000_0000_0000_00ff);
        assert_eq!(id.to_string(), "0123456789abcdef00000000000000ff");
        assert_eq!(format!("{id:?}"), "01234567");
        for (header, expected) in [
            ("0123456789abcdef00000000000000ff", Some(id)),
            (" 0123456789abcdef00000000000000ff;timeout=60", Some(id)),
            ("0123456789ABCDEF00000000000000FF", None),
            ("+123456789abcdef00000000000000ff", None),
            ("0123456789abcdef00000000000000f", None),
            ("0123456789abcdef00000000000000ff0", None),
            ("", None),
            (";timeout=60", None),
        ] {
            assert_eq!(SessionId::parse(header), expected, "{header:?}");
        }
    }
}
