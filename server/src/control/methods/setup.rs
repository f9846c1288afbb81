//! SETUP (RFC 2326 §10.4): chooses a transport, and with the first one of a session the shard.

use super::describe::{modified, without_credentials};
use super::wishes::check_wishes;
use super::{Answer, Outcome, Pending, Rejection, Reply, control_url, ok};
use crate::clock::MonoTime;
use crate::control::admission::{Refusal, reservation};
use crate::control::connection::{AfterReply, Connection, Home, Role};
use crate::control::memory::MemoryNeed;
use crate::control::payload_size::PayloadSizes;
use crate::control::profiles::Deviations;
use crate::control::refusals::excerpt;
use crate::control::session::{Session, SessionId, State, Stream};
use crate::control::{Control, Effect};
use crate::limits::SESSION_STREAMS_MAX;
use crate::mailbox::{
    Command, ConnectionId, SessionKey, SetUpRefused, StreamSetUp, StreamTransport, Token,
};
use crate::rtsp::headers::{
    Blocksize, Delivery, Mode, Protocol, SessionHeader, Transport, TransportOffer, parse_offers,
};
use crate::rtsp::{ControlUrl, Request, StatusCode};
use crate::title::SharedTitle;
use httpdate::fmt_http_date;
use packetizer::image::Framing;
use packetizer::index::{MediaIndex, TrackId, TrackSet};
use packetizer::sdp;
use std::collections::VecDeque;
use std::mem;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tracing::info;

/// A SETUP that waits for its shard.
#[derive(Debug)]
pub(in crate::control) struct SettingUp {
    connection: ConnectionId,
    peer: IpAddr,
    session: SessionKey,
    shard: usize,
    deviations: Deviations,
    title: SharedTitle,
    track: TrackId,
    /// The presentation is played in a loop, if the session is new.
    is_endless: bool,
    /// The URL that RTP-Info will name the stream by.
    url: String,
    bits_per_second: u64,
    memory: MemoryNeed,
    payload_sizes: PayloadSizes,
    /// What the shard has been asked for.
    transport: StreamTransport,
    /// What the client takes if the shard refuses that, most wanted first.
    alternatives: VecDeque<StreamTransport>,
    purpose: Purpose,
}

/// What a stream is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    /// The first of a new session.
    NewSession,
    /// One more of a session.
    NewStream,
    /// The same track by another transport. The old stream ends when there is a new one.
    Replace,
}

impl Control {
    pub(super) fn set_up(
        &mut self,
        now: MonoTime,
        id: ConnectionId,
        request: &Request<'_>,
        effects: &mut Vec<Effect>,
    ) -> Answer {
        let url = control_url(request)?;
        let session = self.named_session(now, id, request, effects)?;
        let title = match session {
            // The session plays the file it began with, even if that has been replaced.
            Some(key) if self.session(key)?.title.name != url.title => {
                return Err(StatusCode::AGGREGATE_OPERATION_NOT_ALLOWED.into());
            }
            Some(key) => Some(Arc::clone(&self.session(key)?.title)),
            None => {
                self.send_elsewhere(request, &url)?;
                self.find_title(now, id, &url.title, effects)?
            }
        };
        match title {
            Some(title) => self.set_up_title(now, id, request, &url, &title, effects),
            None => Ok(Outcome::AwaitTitle),
        }
    }

    pub(super) fn set_up_title(
        &mut self,
        now: MonoTime,
        id: ConnectionId,
        request: &Request<'_>,
        url: &ControlUrl,
        title: &SharedTitle,
        effects: &mut Vec<Effect>,
    ) -> Answer {
        let selection = self.choose(now, id, request, title)?;
        let track = track_to_set_up(&title.index, selection.tracks, url)?;
        let session = self.session_to_extend(id, request)?;
        check_wishes(request, title, track, session)?;
        let offers = parse_offers(request.headers("Transport")).map_err(|error| error.status())?;
        let peer = self.connection(id)?.peer.ip();
        let described =
            title.index.tracks.get(usize::from(track.0)).ok_or(StatusCode::NOT_FOUND)?;
        let sizes = self.payload_sizes(id, request)?.for_codec(&described.codec);
        let shard = match session {
            Some(session) => session.shard,
            None => {
                let framing = offered_framing(&offers);
                let need = MemoryNeed::of(title, track, sizes.of(framing), framing);
                let bound = self.connection(id)?.shard_for(&offers);
                let choose = || {
                    let streams = title.index.tracks.len().min(SESSION_STREAMS_MAX);
                    self.admission.choose_shard(title.source, &need, peer, streams)
                };
                bound.unwrap_or_else(choose)
            }
        };
        let mut transports = self.usable_transports(id, shard, &offers)?;
        transports.retain(|transport| sizes.allow(transport.framing()));
        let transport = transports.pop_front().ok_or_else(|| self.no_transport(id, &offers))?;
        let (known_key, purpose) = match session {
            None => (None, Purpose::NewSession),
            Some(session) => match session.stream(track) {
                Some(stream) if stream.transport == transport => {
                    return Ok(self.set_up_reply(id, request, session, stream));
                }
                Some(_) => (Some(session.key), Purpose::Replace),
                None if session.streams.len() >= SESSION_STREAMS_MAX => {
                    return Err(StatusCode::NOT_ENOUGH_BANDWIDTH.into());
                }
                None => (Some(session.key), Purpose::NewStream),
            },
        };
        let setting_up = SettingUp {
            connection: id,
            peer,
            session: known_key.unwrap_or_else(|| self.next_session_key()),
            shard,
            deviations: Deviations::of(
                request.header("User-Agent").unwrap_or_default(),
                &self.config.profiles_off,
            ),
            title: Arc::clone(title),
            track,
            is_endless: selection.is_endless,
            url: request
                .uri
                .url()
                .map_or_else(String::new, |url| without_credentials(url.as_str())),
            // The same track by another transport: the rate stays reserved.
            bits_per_second: match purpose {
                Purpose::Replace => 0,
                Purpose::NewSession | Purpose::NewStream => reservation(described.bits_per_second),
            },
            memory: memory_need(title, track, sizes, &transport),
            payload_sizes: sizes,
            transport,
            alternatives: transports,
            purpose,
        };
        self.admit_stream(now, &setting_up)?;
        self.ask_shard(setting_up, effects);
        Ok(Outcome::AwaitShard)
    }

    /// How big packets may be that go to the client.
    fn payload_sizes(
        &self,
        id: ConnectionId,
        request: &Request<'_>,
    ) -> Result<PayloadSizes, Rejection> {
        let connection = self.connection(id)?;
        Ok(PayloadSizes::choose(
            self.config.payload_class,
            connection.peer.ip(),
            connection.path_mtu,
            request.header("Blocksize").and_then(Blocksize::parse),
        ))
    }

    /// The session that the request wants another stream in. It must stand still.
    fn session_to_extend(
        &self,
        id: ConnectionId,
        request: &Request<'_>,
    ) -> Result<Option<&Session>, Rejection> {
        let Some(header) = request.header("Session") else { return Ok(None) };
        let peer = self.connection(id)?.peer.ip();
        let session = self.sessions.find(header, peer).ok_or(StatusCode::SESSION_NOT_FOUND)?;
        match session.state {
            State::Ready if !session.setting_up && session.cues_underway == 0 => Ok(Some(session)),
            State::Ready | State::Playing => Err(StatusCode::METHOD_NOT_VALID_IN_THIS_STATE.into()),
        }
    }

    /// Takes what the stream needs.
    fn admit_stream(&mut self, now: MonoTime, setting_up: &SettingUp) -> Result<(), Rejection> {
        if setting_up.purpose == Purpose::NewSession && self.retiring {
            return Err(StatusCode::SERVICE_UNAVAILABLE.into());
        }
        if let Err(refusal) = self.reserve(setting_up) {
            if let Some(not_logged) = self.refused_sessions.permit(now) {
                let (peer, title) = (setting_up.peer, &setting_up.title.name);
                info!(%peer, title, ?refusal, not_logged, "session refused");
            }
            return Err(Rejection::from(StatusCode::NOT_ENOUGH_BANDWIDTH).logged());
        }
        if let Some(session) = self.sessions.get_mut(setting_up.session) {
            session.setting_up = true;
        }
        Ok(())
    }

    fn reserve(&mut self, setting_up: &SettingUp) -> Result<(), Refusal> {
        let SettingUp { peer, shard, bits_per_second, ref memory, purpose, .. } = *setting_up;
        let source = setting_up.title.source;
        match purpose {
            Purpose::NewSession => self.admission.admit_session(peer, source, shard)?,
            Purpose::Replace => {
                let old = self.replaced_memory(setting_up);
                return self.admission.reserve_instead(shard, peer, memory, old.as_ref());
            }
            Purpose::NewStream => {}
        }
        self.admission.reserve(shard, peer, bits_per_second, memory).inspect_err(|_| {
            if purpose == Purpose::NewSession {
                self.admission.release_session(peer, source, shard);
            }
        })
    }

    /// What the stream has reserved that is to be replaced, as long as it is there.
    fn replaced_memory(&self, setting_up: &SettingUp) -> Option<MemoryNeed> {
        let is_replacing = setting_up.purpose == Purpose::Replace;
        let session = self.sessions.get(setting_up.session).filter(|_| is_replacing)?;
        session.stream(setting_up.track).map(|stream| stream.memory)
    }

    /// Gives back what [`Self::admit_stream`] took.
    fn release_admitted(&mut self, setting_up: &SettingUp) {
        let SettingUp { peer, shard, bits_per_second, purpose, .. } = *setting_up;
        self.admission.release(shard, peer, bits_per_second, &setting_up.memory);
        if purpose == Purpose::NewSession {
            self.admission.release_session(peer, setting_up.title.source, shard);
        }
    }

    fn ask_shard(&mut self, setting_up: SettingUp, effects: &mut Vec<Effect>) {
        let token = self.next_token();
        let home = self.connections.get(&setting_up.connection).map(|connection| connection.home);
        let command = Command::SetUp {
            token,
            session: setting_up.session,
            is_first: setting_up.purpose == Purpose::NewSession,
            title: Arc::clone(&setting_up.title),
            track: setting_up.track,
            transport: setting_up.transport,
            is_adopted: home == Some(Home::Shard(setting_up.shard)),
            payload_class: setting_up.payload_sizes.of(setting_up.transport.framing()),
            sends_ahead: !setting_up.deviations.takes_media_in_time,
        };
        effects.push(Effect::Command { shard: setting_up.shard, command });
        self.pending.insert(token, Pending::SetUp(Box::new(setting_up)));
    }

    /// The shard has made a stream, or not.
    pub(in crate::control) fn setup_answered(
        &mut self,
        now: MonoTime,
        token: Token,
        result: Result<StreamSetUp, SetUpRefused>,
        effects: &mut Vec<Effect>,
    ) {
        let Some(Pending::SetUp(setting_up)) = self.pending.remove(&token) else { return };
        let mut setting_up = *setting_up;
        let is_transport_to_blame =
            matches!(result, Err(SetUpRefused::NoPairLeft | SetUpRefused::ChannelTaken));
        if is_transport_to_blame && self.take_alternative(&mut setting_up) {
            return self.ask_shard(setting_up, effects);
        }
        if let Some(session) = self.sessions.get_mut(setting_up.session) {
            session.setting_up = false;
        }
        let id = setting_up.connection;
        match result {
            Err(refused) => {
                self.release_admitted(&setting_up);
                if refused == SetUpRefused::NoPairLeft
                    && let Some(not_logged) = self.refused_sessions.permit(now)
                {
                    let SettingUp { peer, shard, .. } = setting_up;
                    info!(
                        %peer,
                        shard,
                        not_logged,
                        "no pair of RTP ports is left for another stream over UDP to this address: \
                         --rtp-ports has too few, or shards have 16 each"
                    );
                }
                let status = status_of(refused);
                self.resume(now, id, effects, |_, _, _| Err(status.into()));
            }
            Ok(set_up) => {
                let (key, track) = (setting_up.session, setting_up.track);
                let is_new = setting_up.purpose == Purpose::NewSession;
                self.keep_stream(now, setting_up, set_up, effects);
                self.resume(now, id, effects, |control, request, _| {
                    let session = control.session(key)?;
                    let stream = session.stream(track).ok_or(StatusCode::SESSION_NOT_FOUND)?;
                    if is_new {
                        log_opened(control.connection(id)?, session, stream, request);
                    }
                    Ok(control.set_up_reply(id, request, session, stream))
                });
            }
        }
    }

    /// Moves on to the next transport that the client takes and that there is memory for.
    fn take_alternative(&mut self, setting_up: &mut SettingUp) -> bool {
        while let Some(transport) = setting_up.alternatives.pop_front() {
            let SettingUp { shard, peer, track, payload_sizes, .. } = *setting_up;
            let memory = memory_need(&setting_up.title, track, payload_sizes, &transport);
            let old = self.replaced_memory(setting_up);
            let reserved = &setting_up.memory;
            if self.admission.exchange(shard, peer, reserved, &memory, old.as_ref()) {
                (setting_up.transport, setting_up.memory) = (transport, memory);
                return true;
            }
        }
        false
    }

    /// Enters a stream that its shard has made, unless nobody is left to hear of it.
    fn keep_stream(
        &mut self,
        now: MonoTime,
        setting_up: SettingUp,
        set_up: StreamSetUp,
        effects: &mut Vec<Effect>,
    ) {
        let SettingUp { connection: id, session: key, shard, track, purpose, .. } = setting_up;
        let is_wanted = self.connections.contains_key(&id)
            && (purpose == Purpose::NewSession || self.sessions.get(key).is_some());
        if !is_wanted {
            self.release_admitted(&setting_up);
            let stream = (purpose != Purpose::NewSession).then_some(set_up.ssrc);
            let command = Command::TearDown { session: key, stream };
            return effects.push(Effect::Command { shard, command });
        }
        let stream = Stream {
            track,
            url: setting_up.url.as_str().into(),
            transport: setting_up.transport,
            set_up,
            bits_per_second: setting_up.bits_per_second,
            memory: setting_up.memory,
        };
        let is_interleaved = stream.interleaved_in() == Some(id);
        if let Some(session) = self.sessions.get_mut(key) {
            match session.streams.iter_mut().find(|stream| stream.track == track) {
                Some(old) => {
                    let bits_per_second = old.bits_per_second;
                    let old = mem::replace(old, Stream { bits_per_second, ..stream });
                    self.admission.release(shard, session.peer, 0, &old.memory);
                    let stream = Some(old.set_up.ssrc);
                    let command = Command::TearDown { session: key, stream };
                    effects.push(Effect::Command { shard, command });
                    self.stream_gone(key, &old);
                }
                None => {
                    // Few streams follow the first, and there are many sessions.
                    session.streams.reserve_exact(1);
                    session.streams.push(stream);
                }
            }
        } else {
            self.open_session(now, setting_up, stream);
        }
        if let Some(connection) = self.connections.get_mut(&id) {
            // A session that was there may have gone to another connection meanwhile.
            if purpose == Purpose::NewSession {
                connection.sessions.insert(key);
            }
            if is_interleaved {
                connection.carries.insert(key);
            }
        }
    }

    fn open_session(&mut self, now: MonoTime, setting_up: SettingUp, stream: Stream) {
        let SettingUp { session: key, peer, shard, deviations, title, connection, .. } = setting_up;
        let is_endless = setting_up.is_endless;
        let id = SessionId((self.random)());
        let clock_origin = self.clock_origin(&title);
        self.sessions.insert(Session {
            id,
            key,
            peer,
            shard,
            deviations,
            title,
            is_endless,
            clock_origin,
            state: State::Ready,
            setting_up: false,
            cues_underway: 0,
            streams: vec![stream],
            extra_bits_per_second: 0,
            playing_since: None,
            stands_since: None,
            played: Duration::ZERO,
            touched: now,
            connection,
        });
    }

    fn set_up_reply(
        &self,
        id: ConnectionId,
        request: &Request<'_>,
        session: &Session,
        stream: &Stream,
    ) -> Outcome {
        let ssrc = stream.set_up.ssrc.0;
        let transport = match stream.transport {
            StreamTransport::Udp { rtp, rtcp, .. } => {
                let server_rtp = stream.set_up.server_port.unwrap_or_default();
                Transport::Udp {
                    client_port: (rtp.port(), rtcp.port()),
                    server_port: (server_rtp, server_rtp.saturating_add(1)),
                    ssrc,
                }
            }
            StreamTransport::Interleaved { rtp_channel, rtcp_channel, .. } => {
                Transport::Interleaved { channels: (rtp_channel, rtcp_channel), ssrc }
            }
        };
        let session_id = session.id.to_string();
        let timeout_seconds = u32::try_from(self.config.session_timeout.as_secs()).ok();
        let response = ok(request)
            .header("Last-Modified", fmt_http_date(modified(&session.title.generation)))
            // The file may be replaced at any time (RFC 2326 §12.8).
            .header("Cache-Control", "must-revalidate")
            .header("Transport", transport)
            .header("Session", SessionHeader { id: &session_id, timeout_seconds });
        let then = match stream.interleaved_in() {
            Some(connection) if connection == id => AfterReply::Adopt(session.shard),
            Some(_) | None => AfterReply::NextRequest,
        };
        Outcome::Reply(Reply::of(response).then(then))
    }

    /// What of the offers can be served, most wanted first.
    fn usable_transports(
        &self,
        id: ConnectionId,
        shard: usize,
        offers: &[TransportOffer<'_>],
    ) -> Result<VecDeque<StreamTransport>, Rejection> {
        let connection = self.connection(id)?;
        // An adopted connection carries sessions of its shard only.
        let may_interleave = match connection.home {
            Home::Control => true,
            Home::Shard(home) => home == shard,
        };
        let usable = offers.iter().filter(|offer| offer.mode == Mode::Play);
        Ok(usable
            .filter_map(|offer| match offer.protocol {
                Protocol::RtpAvpUdp => udp_transport(connection, offer),
                Protocol::RtpAvpTcp if may_interleave => {
                    let (rtp_channel, rtcp_channel) =
                        offer.interleaved.or_else(|| self.free_channels(id, connection))?;
                    (rtp_channel != rtcp_channel).then_some(StreamTransport::Interleaved {
                        connection: id,
                        rtp_channel,
                        rtcp_channel,
                    })
                }
                Protocol::RtpAvpTcp | Protocol::Other => None,
            })
            .collect())
    }

    /// Why none of the offers can be served: it is no such transport, or it leads elsewhere.
    fn no_transport(&self, id: ConnectionId, offers: &[TransportOffer<'_>]) -> StatusCode {
        let leads_elsewhere = |connection: &Connection| {
            let is_udp = |offer: &&TransportOffer<'_>| {
                offer.mode == Mode::Play
                    && offer.protocol == Protocol::RtpAvpUdp
                    && offer.delivery == Delivery::Unicast
            };
            offers.iter().filter(is_udp).any(|offer| !is_to_peer(connection, offer))
        };
        match self.connections.get(&id).is_some_and(|connection| leads_elsewhere(connection)) {
            true => StatusCode::DESTINATION_UNREACHABLE,
            false => StatusCode::UNSUPPORTED_TRANSPORT,
        }
    }

    /// The first pair of channels that the connection does not carry, for clients that leave the
    /// choice to the server (QuickTime).
    fn free_channels(&self, id: ConnectionId, connection: &Connection) -> Option<(u8, u8)> {
        let sessions = connection.carries.iter().filter_map(|key| self.sessions.get(key));
        let taken: Vec<u8> = sessions
            .flat_map(|session| &session.streams)
            .filter(|stream| stream.interleaved_in() == Some(id))
            .flat_map(Stream::channels)
            .collect();
        let is_free = |rtp: &u8| !taken.contains(rtp) && !taken.contains(&(rtp + 1));
        (0..u8::MAX).step_by(2).find(is_free).map(|rtp| (rtp, rtp + 1))
    }

    fn next_session_key(&mut self) -> SessionKey {
        self.sessions_made += 1;
        SessionKey(self.sessions_made)
    }
}

fn log_opened(connection: &Connection, session: &Session, stream: &Stream, request: &Request<'_>) {
    let transport = match (stream.interleaved_in(), connection.role) {
        (None, _) => "UDP",
        (Some(_), Role::Output { .. }) => "HTTP",
        (Some(_), Role::Fresh(_) | Role::Rtsp | Role::Input { .. }) => "TCP",
    };
    let agent = request.header("User-Agent").unwrap_or_default();
    info!(
        session = ?session.id,
        peer = %connection.peer,
        agent = excerpt(agent),
        title = session.title.name,
        transport,
        shard = session.shard,
        "session opened"
    );
}

fn memory_need(
    title: &SharedTitle,
    track: TrackId,
    sizes: PayloadSizes,
    transport: &StreamTransport,
) -> MemoryNeed {
    let framing = transport.framing();
    MemoryNeed::of(title, track, sizes.of(framing), framing)
}

impl Connection {
    /// The shard of a new session that takes one of the offers, if that is settled: an adopted
    /// connection carries sessions of its shard alone.
    fn shard_for(&self, offers: &[TransportOffer<'_>]) -> Option<usize> {
        let Home::Shard(shard) = self.home else { return None };
        let is_interleaved = |offer: &TransportOffer<'_>| {
            offer.mode == Mode::Play && offer.protocol == Protocol::RtpAvpTcp
        };
        offers.iter().any(is_interleaved).then_some(shard)
    }
}

/// How packets will probably travel: as the client's first offer says.
fn offered_framing(offers: &[TransportOffer<'_>]) -> Framing {
    match offers.iter().find(|offer| offer.mode == Mode::Play).map(|offer| offer.protocol) {
        Some(Protocol::RtpAvpTcp) => Framing::Interleaved,
        Some(Protocol::RtpAvpUdp | Protocol::Other) | None => Framing::Datagram,
    }
}

/// RTP/AVP over UDP, if the offer is one that can be served. Media goes only to the address that
/// asked: an offer with another `destination` would let anybody flood a third party.
fn udp_transport(connection: &Connection, offer: &TransportOffer<'_>) -> Option<StreamTransport> {
    let (rtp, rtcp) = offer.client_port?;
    let at_port = |port| {
        let mut address = connection.peer;
        address.set_port(port);
        address
    };
    (offer.delivery == Delivery::Unicast && is_to_peer(connection, offer)).then_some(
        StreamTransport::Udp {
            rtp: at_port(rtp),
            rtcp: at_port(rtcp),
            local: connection.local.ip(),
        },
    )
}

/// Whether an offer's destination, if it names one, is the address that asks.
fn is_to_peer(connection: &Connection, offer: &TransportOffer<'_>) -> bool {
    offer.destination.is_none_or(|destination| {
        let ip = destination.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        ip.is_ok_and(|ip| ip.to_canonical() == connection.peer.ip())
    })
}

/// The track that a SETUP means: a presentation with one track, of its title's own or by choice,
/// may be set up by its own URL.
fn track_to_set_up(
    index: &MediaIndex,
    chosen: TrackSet,
    url: &ControlUrl,
) -> Result<TrackId, StatusCode> {
    let mut chosen = chosen.iter();
    match (&url.control, chosen.next(), chosen.next()) {
        (Some(control), ..) => track_of_control(index, control).ok_or(StatusCode::NOT_FOUND),
        (None, Some(track), None) => Ok(track),
        (None, ..) => Err(StatusCode::AGGREGATE_OPERATION_NOT_ALLOWED),
    }
}

/// The track that a control name of the presentation description means.
pub(super) fn track_of_control(index: &MediaIndex, control: &str) -> Option<TrackId> {
    let track = sdp::parse_control(control)?;
    (usize::from(track.0) < index.tracks.len()).then_some(track)
}

const fn status_of(refused: SetUpRefused) -> StatusCode {
    match refused {
        SetUpRefused::NoPairLeft | SetUpRefused::ChannelTaken => StatusCode::UNSUPPORTED_TRANSPORT,
        SetUpRefused::NoSlotLeft => StatusCode::NOT_ENOUGH_BANDWIDTH,
        SetUpRefused::Gone => StatusCode::SESSION_NOT_FOUND,
    }
}
