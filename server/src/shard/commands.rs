//! What control commands: sessions are set up, touched and torn down.

use super::counters::Sent;
use super::operation::{Operation, SourceSlot};
use super::peer::Peer;
use super::session::Session;
use super::stream::{Cursor, Delivery, Extract, Stream, Transport};
use super::timeline::Timeline;
use super::{FirstNumbers, Shard};
use crate::clock::MonoTime;
use crate::mailbox::{
    Command, ConnectionId, EndReason, Report, SessionKey, SetUpRefused, StreamSetUp,
    StreamTransport,
};
use crate::title::SharedTitle;
use packetizer::image::{Framing, PayloadClass};
use packetizer::index::TrackId;
use packetizer::rtp::Ssrc;
use std::collections::VecDeque;
use std::mem;
use std::time::Duration;

impl Shard {
    /// Control commands something.
    pub fn command(&mut self, now: MonoTime, command: Command, operations: &mut Vec<Operation>) {
        match command {
            Command::SetUp {
                token,
                session,
                is_first,
                title,
                track,
                transport,
                is_adopted,
                payload_class,
                sends_ahead,
            } => {
                let asked = Asked {
                    session,
                    is_first,
                    track,
                    transport,
                    is_adopted,
                    payload_class,
                    sends_ahead,
                };
                let result = self.set_up(now, &asked, &title, operations);
                self.reports.push_back(Report::SetUp { token, result });
            }
            Command::Play { token, session, play } => {
                self.find_ports(now, session);
                let result = self.play(now, token, session, &play, operations);
                self.reports.push_back(Report::Cued { token, result });
            }
            Command::Start(start) => self.start(now, start),
            Command::Pause { token, session, at } => {
                let result = self.pause(now, session, at);
                self.reports.push_back(Report::Paused { token, result });
            }
            Command::Inspect { token, session } => {
                let inspection = self.inspect(now, session);
                self.reports.push_back(Report::Inspected { token, inspection });
            }
            Command::TearDown { session, stream } => self.tear_down(now, session, stream),
            Command::Touch { session } => self.touch(now, session),
            Command::Adopt(adopted) => self.adopt(now, adopted, operations),
            Command::Reply { connection, bytes, start, close } => {
                self.reply(now, connection, &bytes, start, close, operations);
            }
            Command::Ask { connection, bytes } => self.ask(now, connection, &bytes, operations),
            Command::Close { connection } => self.close_by_id(now, connection, operations),
            Command::Drain => self.drain(now),
            Command::Snapshot => {
                self.reports.push_back(Report::Counters(Box::new(self.counters())));
            }
        }
    }

    fn set_up(
        &mut self,
        now: MonoTime,
        asked: &Asked,
        title: &SharedTitle,
        operations: &mut Vec<Operation>,
    ) -> Result<StreamSetUp, SetUpRefused> {
        if self.is_gone(asked) {
            return Err(SetUpRefused::Gone);
        }
        if self.streams.len() >= self.config.streams_max as usize {
            return Err(SetUpRefused::NoSlotLeft);
        }
        if let StreamTransport::Interleaved { connection, rtp_channel, rtcp_channel } =
            asked.transport
            && self.are_channels_taken(connection, [rtp_channel, rtcp_channel])
        {
            return Err(SetUpRefused::ChannelTaken);
        }
        let known = self.session_slots.get(&asked.session).copied();
        let session = match known {
            Some(session) => session,
            None => self.open_session(now, asked, title, operations)?,
        };
        match self.open_stream(session, asked, title) {
            Ok(set_up) => {
                self.touch(now, asked.session);
                Ok(set_up)
            }
            Err(refused) => {
                if known.is_none() {
                    self.end_session(now, session, None);
                }
                Err(refused)
            }
        }
    }

    /// Whether what the stream is for has ended while it was asked for.
    fn is_gone(&self, asked: &Asked) -> bool {
        let has_connection = match asked.transport {
            StreamTransport::Interleaved { connection, .. } => {
                !asked.is_adopted || self.connection_slots.contains_key(&connection)
            }
            StreamTransport::Udp { .. } => true,
        };
        let has_session = asked.is_first || self.session_slots.contains_key(&asked.session);
        !(has_connection && has_session)
    }

    fn open_session(
        &mut self,
        now: MonoTime,
        asked: &Asked,
        title: &SharedTitle,
        operations: &mut Vec<Operation>,
    ) -> Result<usize, SetUpRefused> {
        if self.sessions.len() >= self.config.sessions_max as usize {
            return Err(SetUpRefused::NoSlotLeft);
        }
        let source = self.open_source(now, title, operations).ok_or(SetUpRefused::NoSlotLeft)?;
        self.sources.acquire(source);
        let session = self.sessions.insert(Session::new(asked.session, source, now));
        self.session_slots.insert(asked.session, session);
        Ok(session)
    }

    fn open_source(
        &mut self,
        now: MonoTime,
        title: &SharedTitle,
        operations: &mut Vec<Operation>,
    ) -> Option<SourceSlot> {
        if let Some(source) = self.sources.find(title) {
            return Some(source);
        }
        if !self.sources.has_room() {
            let unused = self.sources.unused(now)?;
            self.cache.forget_source(unused);
            self.sources.close(unused, operations);
        }
        Some(self.sources.open(title, operations))
    }

    fn open_stream(
        &mut self,
        session: usize,
        asked: &Asked,
        title: &SharedTitle,
    ) -> Result<StreamSetUp, SetUpRefused> {
        let slot = self.streams.vacant_key();
        let (transport, server_port) = match asked.transport {
            StreamTransport::Udp { rtp, rtcp, local } => {
                let number = u32::try_from(slot).expect("below streams_max");
                let pair = self.pairs.take(rtp.ip(), number).ok_or(SetUpRefused::NoPairLeft)?;
                let (rtp, rtcp) = (Peer::named(rtp), Peer::named(rtcp));
                (Transport::Udp { pair, rtp, rtcp, local }, Some(self.pairs.port(pair)))
            }
            StreamTransport::Interleaved { connection, rtp_channel, rtcp_channel } => {
                let slot = self.connection_slots.get(&connection).copied();
                self.carry(connection, asked.session);
                (Transport::Interleaved { connection, slot, rtp_channel, rtcp_channel }, None)
            }
        };
        let ssrc = Ssrc(self.random.u32(1..));
        // Sequence numbers 0 and 1 in RTP-Info are taken for "unknown" by some clients.
        let random =
            FirstNumbers { sequence: self.random.u16(2..0x8000), timestamp: self.random.u32(1..) };
        let FirstNumbers { sequence, timestamp: timestamp_base } =
            self.config.first_numbers.unwrap_or(random);
        let stream = Stream {
            session,
            track: asked.track,
            transport,
            class: asked.payload_class,
            sends_ahead: asked.sends_ahead && transport.framing() == Framing::Interleaved,
            rtp_rate: title.index.tracks[usize::from(asked.track.0)].codec.rtp_rate(),
            ssrc,
            timestamp_base,
            range: 0,
            timeline: Timeline::UNUSED,
            timestamp_offset: 0,
            extract: Extract::default(),
            cursor: Cursor { image: 0, train: 0, packet: 0, sequence },
            upcoming: None,
            held: VecDeque::new(),
            next_segment: None,
            unread: None,
            awaited: None,
            delivery: Delivery::Idle,
            launched: MonoTime::default(),
            timestamp_high: None,
            due_sent: None,
            sent_until: 0,
            sequence_base: sequence,
            sent: Sent::default(),
            reception: None,
        };
        let inserted = self.streams.insert(stream);
        debug_assert_eq!(inserted, slot);
        self.sessions[session].streams.push(slot);
        Ok(StreamSetUp { server_port, ssrc })
    }

    /// Remembers that a connection carries a session.
    fn carry(&mut self, connection: ConnectionId, key: SessionKey) {
        let carried = self.carried.entry(connection).or_default();
        if !carried.contains(&key) {
            carried.push(key);
        }
    }

    fn are_channels_taken(&self, connection: ConnectionId, channels: [u8; 2]) -> bool {
        let Some(keys) = self.carried.get(&connection) else { return false };
        let sessions = keys.iter().filter_map(|key| self.session_slots.get(key));
        sessions.flat_map(|session| &self.sessions[*session].streams).any(|stream| {
            match self.streams[*stream].transport {
                Transport::Interleaved { connection: other, rtp_channel, rtcp_channel, .. } => {
                    other == connection
                        && (channels.contains(&rtp_channel) || channels.contains(&rtcp_channel))
                }
                Transport::Udp { .. } => false,
            }
        })
    }

    fn touch(&mut self, now: MonoTime, key: SessionKey) {
        if let Some(&session) = self.session_slots.get(&key) {
            self.sessions[session].heard = now;
            self.schedule_session(session);
        }
    }

    fn tear_down(&mut self, now: MonoTime, key: SessionKey, ssrc: Option<Ssrc>) {
        let Some(&session) = self.session_slots.get(&key) else { return };
        let streams = &self.sessions[session].streams;
        let named = ssrc
            .and_then(|ssrc| streams.iter().position(|stream| self.streams[*stream].ssrc == ssrc));
        match (ssrc, named) {
            (Some(_), Some(position)) if streams.len() > 1 => {
                let stream = self.sessions[session].streams.remove(position);
                self.say_bye(now, stream);
                self.close_stream(stream);
                self.finish_if_over(session);
            }
            (Some(_), None) => {}
            (Some(_) | None, _) => self.end_session(now, session, Some(EndReason::TornDown)),
        }
    }

    /// Ends a session with BYE and frees everything it has; with a reason, control hears of it.
    pub(super) fn end_session(&mut self, now: MonoTime, session: usize, reason: Option<EndReason>) {
        for stream in mem::take(&mut self.sessions[session].streams) {
            self.say_bye(now, stream);
            self.close_stream(stream);
        }
        self.wheel.cancel(self.session_timer(session));
        let session = self.sessions.remove(session);
        self.session_slots.remove(&session.key);
        self.sources.release(session.source, now);
        if let Some(reason) = reason {
            let Session { key, sent, .. } = session;
            self.reports.push_back(Report::Ended { session: key, reason, sent });
        }
    }

    /// Frees a stream that its session no longer lists.
    fn close_stream(&mut self, stream: usize) {
        self.release_held(stream);
        self.forgo_next(stream);
        self.wheel.cancel(self.stream_timer(stream));
        let stream = self.streams.remove(stream);
        self.sessions[stream.session].sent += stream.sent;
        match stream.transport {
            Transport::Udp { pair, rtp, .. } => self.pairs.give_back(rtp.ip(), pair),
            Transport::Interleaved { connection, .. } => self.uncarry(connection, stream.session),
        }
    }

    /// Forgets that a connection carries a session that has no stream left there.
    fn uncarry(&mut self, id: ConnectionId, session: usize) {
        let Session { key, streams, .. } = &self.sessions[session];
        let is_there = |stream: &usize| self.streams[*stream].is_carried_by(id);
        if streams.iter().any(is_there) {
            return;
        }
        if let Some(carried) = self.carried.get_mut(&id) {
            carried.retain(|carried| carried != key);
            if carried.is_empty() {
                self.carried.remove(&id);
            }
        }
    }

    /// Closes titles that nobody has used for a while, so that deleted files give their space back.
    pub(super) fn close_idle_sources(&mut self, now: MonoTime, operations: &mut Vec<Operation>) {
        let nanos = u64::try_from(SOURCE_IDLE.as_nanos()).expect("a constant");
        let Some(since) = now.0.checked_sub(nanos).map(MonoTime) else { return };
        while let Some(unused) = self.sources.unused(since) {
            self.cache.forget_source(unused);
            self.sources.close(unused, operations);
        }
    }

    fn drain(&mut self, now: MonoTime) {
        let sessions: Vec<usize> = self.sessions.iter().map(|(session, _)| session).collect();
        for session in sessions {
            self.end_session(now, session, Some(EndReason::Drained));
        }
        self.reports.push_back(Report::Drained);
    }
}

/// How long a title stays open without a user.
const SOURCE_IDLE: Duration = Duration::from_secs(60);

/// What SETUP asks.
struct Asked {
    session: SessionKey,
    is_first: bool,
    track: TrackId,
    transport: StreamTransport,
    is_adopted: bool,
    payload_class: PayloadClass,
    sends_ahead: bool,
}
