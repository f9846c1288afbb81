//! What a whole world's clients are sent, checked when it is written.

use super::mail::MAIL_NANOS_MAX;
use super::reply::Reply;
use super::rtsp_client::{Fault, RtspClient, url};
use super::rtsp_model::{Aim, Asked, Channels, Circumstances, Offer, chosen_way};
use super::rtsp_session::{Life, RANGE_NANOS, Session, State, Stopped, Stream, Way};
use super::shard::PAIRS;
use super::viewer::{Phase, Watched};
use super::whole::{Route, Routed, TIMEOUT, Whole};
use crate::framing::Message;
use crate::limits::{REPLY_DEADLINE, REQUEST_DEADLINE};
use crate::mailbox::{ConnectionId, Cued, StreamInfo};
use crate::pace::{Pace, SeekStyle};
use packetizer::index::TrackId;
use packetizer::rtp::Ssrc;
use std::collections::VecDeque;
use std::time::Duration;

/// How long packets may follow a TEARDOWN's reply, which its shard may hear of later.
const TEARDOWN_NANOS_MAX: u64 = 2 * MAIL_NANOS_MAX;
/// How long a reply is on its way from a shard to a client that reads.
const REPLY_NANOS_MAX: i64 = 2_000_000_000;
/// How soon after PLAY something must have come, with nothing in the way.
const FLOW_NANOS_MAX: u64 = 2_000_000_000;
/// How long the server may take to see that a deadline has passed.
const LOOK_INTERVAL_MAX: Duration = Duration::from_millis(1500);

enum Seen {
    Frame(u8, Vec<u8>),
    Reply(Vec<u8>),
    Request(Vec<u8>),
}

impl Whole {
    /// Looks at what was written to the clients' connections.
    pub(super) fn look(&mut self) {
        let ids: Vec<ConnectionId> = self.around.net.unseen().collect();
        for id in ids {
            let bytes = self.around.net.pipes.get_mut(&id).expect("opened").look();
            let bytes = self.leave_tunnel(id, bytes);
            let framer = self.framers.entry(id).or_default();
            framer.push(&bytes);
            let mut seen = Vec::new();
            while let Some(message) = framer.next().expect("replies and frames") {
                seen.push(match message {
                    Message::Interleaved { channel, payload } => {
                        Seen::Frame(channel, payload.to_vec())
                    }
                    Message::Response(bytes) => Seen::Reply(bytes.to_vec()),
                    Message::Request(bytes) => Seen::Request(bytes.to_vec()),
                });
            }
            let has_it = |client: &RtspClient| client.line.as_ref().is_some_and(|it| it.id == id);
            let index = self.clients.iter().position(has_it);
            for message in seen {
                match (message, index) {
                    (Seen::Frame(channel, bytes), Some(index)) => {
                        self.arrived(index, Route::Channel(id, channel), &bytes)
                    }
                    (Seen::Reply(bytes), index) => self.replied(index, &bytes),
                    (Seen::Request(bytes), Some(index)) => self.asked(index, &bytes),
                    (Seen::Frame(..) | Seen::Request(_), None) => {}
                }
            }
            match index {
                Some(index) => self.read_soon(index),
                // Nobody listens, or a remote, which reads at once.
                None => drop(self.around.net.pipes.get_mut(&id).expect("opened").read(usize::MAX)),
            }
        }
    }

    /// A client is asked to go elsewhere, which only those are that say they would. It agrees, and
    /// stays.
    fn asked(&mut self, index: usize, bytes: &[u8]) {
        let text = std::str::from_utf8(bytes).expect("requests are text");
        self.around.note(&format!("client {index} is asked {text:?}"));
        let header = |name: &str| text.lines().find_map(|line| line.strip_prefix(name));
        assert!(text.starts_with("REDIRECT rtsp://10.9.9.9:8554/") && self.is_draining, "{text}");
        assert!(header("Location: ").is_some_and(|it| it.starts_with("rtsp://10.9.9.10/else/")));
        assert!(header("Range: npt=").is_some_and(|range| range.ends_with('-')), "{text}");
        let id = header("Session: ").expect("a session");
        let client = &self.clients[index];
        assert!(client.is_obedient && client.sessions.iter().any(|session| session.id == id));
        self.outcome.redirected += 1;
        let cseq = header("CSeq: ").expect("a number");
        let answer = format!("RTSP/1.0 200 OK\r\nCSeq: {cseq}\r\n\r\n");
        if client.line.as_ref().is_some_and(|line| line.fault.is_none()) {
            self.send(index, answer.as_bytes());
        }
    }

    /// RTP or RTCP arrives at a client.
    pub(super) fn arrived(&mut self, client: usize, route: Route, bytes: &[u8]) {
        self.around.trace.add(&bytes);
        let now = self.around.now;
        let Some(&routed) = self.routes.get(&route) else {
            // The reply to SETUP may be lost, or behind a PLAY that somebody else sends.
            let client = &self.clients[client];
            let may_be = client.has_lost_setup || client.remote.is_some() && client.asks_set_up();
            return assert!(may_be, "{route:?} was not set up");
        };
        if let Some(over_at) = routed.over_at {
            assert!(routed.is_rtcp || now <= over_at, "media of a stream that is over: {route:?}");
            return;
        }
        let lost = match route {
            Route::Port(_) => self.lost(routed.client),
            Route::Channel(..) => 0,
        };
        let session = &mut self.clients[routed.client].sessions[routed.session];
        session.arrived += u64::from(!routed.is_rtcp);
        self.outcome.packets += u64::from(!routed.is_rtcp);
        if !routed.is_rtcp {
            let sequence = u16::from_be_bytes([bytes[2], bytes[3]]);
            self.cues.check(session.key, routed.track, sequence);
        }
        if session.is_blind {
            return;
        }
        let viewer = &mut session.viewer;
        let position = viewer.streams.iter().position(|stream| stream.track == routed.track);
        let stream = position.expect("a stream that is not over");
        if routed.is_rtcp {
            // Between a cue and its reply, the client does not know what a report speaks of.
            let slack_millis = session.is_answered.then_some(RANGE_NANOS / 1_000_000);
            viewer.rtcp(stream, bytes, lost, slack_millis);
        } else {
            viewer.rtp(now, stream, bytes, lost);
            self.outcome.late_max = self.outcome.late_max.max(viewer.late_max);
        }
    }

    /// Packets that failed sends took from a client.
    fn lost(&self, client: usize) -> u64 {
        let address = self.clients[client].address;
        let lost = self.around.net.lost.iter();
        lost.filter(|(to, _)| to.ip() == address).map(|(_, lost)| lost).sum()
    }

    /// A reply was written: to the request whose turn it is, with a status that is right.
    fn replied(&mut self, index: Option<usize>, bytes: &[u8]) {
        let reply = Reply::parse(bytes);
        if reply.status == 200 && reply.header("RTP-Info").is_some() {
            let (id, _) = reply.session().expect("a session that plays");
            let mut sessions = self.clients.iter().flat_map(|client| &client.sessions);
            let session = sessions.find(|session| session.id == id).expect("a known session");
            self.cues.told(session.key, &reply);
        }
        let Some(index) = index else { return };
        let client = &mut self.clients[index];
        let line = client.line.as_mut().expect("it was written to it");
        let (id, asked) = (line.id, line.asked.pop_front().expect("a request for each reply"));
        line.waits_since = line.waits_since.max(self.around.now);
        self.around.note(&format!("client {index} is told {} for {:?}", reply.status, asked.aim));
        let cseq = asked.cseq.map(|cseq| cseq.to_string());
        assert_eq!(reply.header("CSeq"), cseq.as_deref(), "the CSeq of {asked:?}");
        let statuses = {
            let circumstances = self.circumstances(index, id, &asked);
            let session = asked.session.map(|at| &self.clients[index].sessions[at]);
            asked.statuses(session, &circumstances)
        };
        assert!(
            statuses.contains(&reply.status),
            "{} is none of {statuses:?}: {asked:?}",
            reply.status
        );
        self.outcome.replies += 1;
        if let (Some(at), false) = (asked.session, matches!(asked.aim, Aim::Always(_))) {
            self.clients[index].sessions[at].heard_at = self.around.now;
        }
        if reply.status == 200 {
            self.done(index, id, &asked, &reply);
        }
    }

    fn circumstances(&self, index: usize, id: ConnectionId, asked: &Asked) -> Circumstances {
        let client = &self.clients[index];
        let streams = client
            .sessions
            .iter()
            .enumerate()
            .filter(|(_, session)| session.life != Life::Over)
            .flat_map(|(at, session)| {
                session.streams.iter().map(move |stream| (at, session, stream))
            });
        let udp = streams.clone().filter(|(.., stream)| matches!(stream.way, Way::Udp { .. }));
        let offered = asked.channel();
        let holder = streams.clone().find(|(.., stream)| {
            matches!(stream.way, Way::Interleaved { connection, channel }
                if connection == id && Some(channel) == offered)
        });
        let channels = holder.map_or(Channels::Free, |(at, session, stream)| {
            let is_same = matches!(asked.aim, Aim::SetUp { track, .. } if track == stream.track.0);
            match session.life {
                Life::Alive | Life::Doubtful | Life::Over
                    if asked.session == Some(at) && is_same =>
                {
                    Channels::Same
                }
                Life::Alive if !session.facts.has_ended => Channels::Taken,
                Life::Alive | Life::Doubtful | Life::Over => Channels::Doubtful,
            }
        });
        let home = self.around.net.slot_of(id).map(|(shard, _)| shard);
        let session = asked.session.map(|at| &client.sessions[at]);
        Circumstances {
            is_elsewhere: session
                .zip(home)
                .is_some_and(|(session, home)| session.facts.shard != home),
            opening_fails: self.around.faults.failed_open_one_in != 0,
            is_tight: self.is_tight,
            is_draining: self.is_draining,
            are_pairs_taken: client.has_lost_setup || udp.count() >= usize::from(PAIRS),
            channels,
        }
    }

    /// A request was done.
    fn done(&mut self, index: usize, id: ConnectionId, asked: &Asked, reply: &Reply) {
        match (asked.aim, asked.session) {
            (Aim::SetUp { track, offer }, _) => {
                self.set_up_done(index, id, asked, reply, track, offer)
            }
            (Aim::Play(_) | Aim::PlayTrack(_), Some(at)) => {
                self.play_done(index, at, id, asked, reply);
            }
            (Aim::Pause, Some(at)) => {
                let session = &mut self.clients[index].sessions[at];
                assert_eq!(reply.session(), Some((session.id.as_str(), None)));
                session.state = match asked.state(session) {
                    State::Playing => State::Ready(Stopped::Paused),
                    State::Unsure => State::Ready(Stopped::Unsure),
                    ready @ State::Ready(_) => ready,
                };
                if session.is_carried_by(id) {
                    session.viewer.phase = Phase::Silent;
                }
            }
            (Aim::TearDown { track }, Some(at)) => {
                let session = &mut self.clients[index].sessions[at];
                let track = track.map(TrackId).filter(|_| session.streams.len() > 1);
                match track {
                    Some(track) => {
                        session.streams.retain(|stream| stream.track != track);
                        session.viewer.streams.retain(|stream| stream.track != track);
                    }
                    None => session.life = Life::Over,
                }
                self.end_routes(index, at, track);
            }
            (Aim::Describe, _) => {
                let base = format!("{}/", url(asked.title, None));
                assert_eq!(reply.header("Content-Base"), Some(base.as_str()));
                assert_eq!(reply.header("Content-Type"), Some("application/sdp"));
            }
            _ => {}
        }
    }

    /// Soon nothing comes any more of a session or of one of its streams.
    fn end_routes(&mut self, client: usize, session: usize, track: Option<TrackId>) {
        let over_at = self.around.after(TEARDOWN_NANOS_MAX);
        let is_meant = |routed: &&mut Routed| {
            (routed.client, routed.session) == (client, session)
                && track.is_none_or(|track| routed.track == track)
        };
        for routed in self.routes.values_mut().filter(is_meant) {
            routed.over_at.get_or_insert(over_at);
        }
    }

    fn set_up_done(
        &mut self,
        index: usize,
        id: ConnectionId,
        asked: &Asked,
        reply: &Reply,
        track: u8,
        offer: Offer,
    ) {
        let track = TrackId(track);
        let transport = reply.transport();
        let ssrc = transport.ssrc();
        let key = self.keys[&ssrc];
        let way = chosen_way(id, offer, &transport);
        let (session_id, timeout) = reply.session().expect("a session");
        assert_eq!(timeout.map(u64::from), Some(TIMEOUT.as_secs()));
        let at = match asked.session {
            Some(at) => at,
            None => {
                let facts = self.unknown.remove(&key).expect("a new session");
                let moves = self.around.faults.moves_timelines();
                let mut session = Session::new(session_id, key, asked.title, facts);
                session.heard_at = self.around.now;
                session.is_shared = self.clients[index].remote.is_some();
                session.is_blind = session.is_shared;
                session.viewer.is_prompt = !moves && !session.is_shared;
                session.viewer.misses_nothing = !self.around.faults.lose();
                session.viewer.ahead = self.around.ahead.max(self.around.launch_ahead);
                let sessions = &mut self.clients[index].sessions;
                sessions.push(session);
                self.known.insert(key, (index, sessions.len() - 1));
                sessions.len() - 1
            }
        };
        let session = &mut self.clients[index].sessions[at];
        assert_eq!((session.id.as_str(), session.key), (session_id, key), "one session");
        let old = session.streams.iter_mut().find(|stream| stream.track == track);
        match old {
            Some(old) if old.way == way => return,
            Some(old) => {
                (old.way, old.has_joined) = (way, false);
                self.end_routes(index, at, Some(track));
            }
            None => session.streams.push(Stream { track, way, has_joined: false }),
        }
        self.clients[index].sessions[at].viewer.watch(track, Ssrc(ssrc));
        let routes = match way {
            Way::Udp { port, .. } => [Route::Port(port), Route::Port(port + 1)],
            Way::Interleaved { connection, channel } => {
                [Route::Channel(connection, channel), Route::Channel(connection, channel + 1)]
            }
        };
        for (route, is_rtcp) in routes.into_iter().zip([false, true]) {
            let routed = Routed { client: index, session: at, track, is_rtcp, over_at: None };
            self.routes.insert(route, routed);
        }
    }

    fn play_done(
        &mut self,
        index: usize,
        at: usize,
        id: ConnectionId,
        asked: &Asked,
        reply: &Reply,
    ) {
        let lost = self.lost(index);
        let slot = self.around.net.slot_of(id);
        let session = &mut self.clients[index].sessions[at];
        assert_eq!(reply.session(), Some((session.id.as_str(), None)));
        (session.arrived, session.played_at) = (0, Some(self.around.now));
        let (start, end) = reply.range().expect("where it plays");
        (session.is_answered, session.cues) = (true, session.facts.cues);
        session.state = State::Playing;
        if session.is_blind || session.facts.has_ended {
            // A reply was lost that said where it was, or it was over before it began.
            return;
        }
        let cue = session.check_cue(asked, start, end);
        let (is_endless, duration) = (end.is_none(), session.viewer.title.index.duration);
        let end = end.unwrap_or(duration);
        let tracks = session.streams.iter().map(|stream| stream.track);
        let expected: Vec<(TrackId, String)> =
            tracks.map(|track| (track, url(session.title, Some(track.0)))).collect();
        let infos = reply.rtp_info();
        let urls: Vec<&str> = infos.iter().map(|info| info.url.as_str()).collect();
        assert_eq!(urls, expected.iter().map(|(_, url)| url.as_str()).collect::<Vec<_>>());
        let streams = infos.iter().zip(&expected).map(|(info, (track, _))| StreamInfo {
            track: *track,
            sequence: Some(info.sequence),
            rtptime: info.rtptime,
        });
        let (pace, style) = (Pace::NORMAL, SeekStyle::RandomAccess);
        let cued = Cued { start, end, is_endless, pace, style, streams: streams.collect() };
        if session.facts.goes_on {
            return session.viewer.goes_on(self.around.now, &cued, REPLY_NANOS_MAX, lost);
        }
        session.viewer.cued(&cued, cue.as_ref(), lost);
        session.streams.iter_mut().for_each(|stream| stream.has_joined = true);
        if slot.is_some_and(|(shard, _)| shard == session.facts.shard) {
            session.facts.is_running = true;
            session.viewer.phase = Phase::Playing { started: self.around.now };
        }
    }

    /// A connection is gone, and with it what was interleaved in it and replies that were to come.
    pub(super) fn line_lost(&mut self, index: usize, id: ConnectionId, asked: VecDeque<Asked>) {
        let client = &mut self.clients[index];
        for session in client.sessions.iter_mut().filter(|session| session.is_carried_by(id)) {
            session.doubt();
        }
        for asked in asked {
            client.has_lost_setup |= matches!(asked.aim, Aim::SetUp { .. });
            let Some(session) = asked.session.map(|at| &mut client.sessions[at]) else { continue };
            match asked.aim {
                Aim::Play(_) | Aim::PlayTrack(_) => {
                    (session.state, session.is_blind) = (State::Unsure, true);
                }
                Aim::Pause => {
                    session.state = State::Unsure;
                    session.doubt();
                }
                Aim::SetUp { .. } | Aim::TearDown { .. } => session.doubt(),
                Aim::Always(_) | Aim::OfSession(_) | Aim::Describe => {}
            }
        }
    }

    /// The server closes a connection only if it was given a reason, and then it does.
    pub(super) fn check_line(&mut self, index: usize) {
        let (pipes, now) = (&self.around.net.pipes, self.around.now);
        let client = &mut self.clients[index];
        let Some(line) = &client.line else { return };
        let (id, waits) = (line.id, !line.asked.is_empty());
        if !pipes[&id].is_closed {
            let since = line.waits_since.max(line.stalled_at.unwrap_or_default());
            let may_wait = if line.fault.is_some() { REQUEST_DEADLINE } else { REPLY_DEADLINE };
            let is_stuck = line.fault.is_some() || !client.is_reading;
            assert!(
                !is_stuck || !waits || now - since <= may_wait + LOOK_INTERVAL_MAX,
                "{id:?} stays open, though {:?} waits since {since:?}",
                line.asked
            );
            return;
        }
        let is_refused = line.fault == Some(Fault::Unreadable) && !waits;
        let is_late = waits && (line.fault == Some(Fault::Half) || line.stalled_at.is_some());
        assert!(
            is_refused || is_late || self.is_draining,
            "{id:?} was closed for nothing: {line:?}"
        );
        if let Some(line) = client.line.take() {
            self.line_lost(index, id, line.asked);
        }
    }

    /// A drain ended every session, with BYE.
    pub(super) fn check_drained(&self) {
        if !self.is_draining {
            return;
        }
        let faults = &self.around.faults;
        let is_calm = faults.full_one_in == 0 && faults.failed_send_one_in == 0;
        for client in &self.clients {
            for session in &client.sessions {
                assert!(session.facts.is_end_known, "{:?} has ended", session.key);
                let says_bye = is_calm
                    && session.facts.is_drained
                    && session.life == Life::Alive
                    && !session.is_blind
                    && (session.is_udp_only() || client.is_reading);
                let is_over = |stream: &Watched| stream.ended || stream.packets == 0;
                let is_over = session.viewer.streams.iter().all(is_over);
                assert!(!says_bye || is_over, "{:?} has said BYE", session.key);
            }
        }
    }

    /// What plays arrives, where nothing stands in the way.
    pub(super) fn check_flow(&self, index: usize) {
        let faults = &self.around.faults;
        let is_calm = !faults.lose() && faults.full_one_in == 0;
        for session in &self.clients[index].sessions {
            let since = session.played_at.map_or(0, |at| self.around.now.0 - at.0);
            let should_flow = is_calm
                && session.state == State::Playing
                && session.life == Life::Alive
                && session.viewer.is_prompt
                && !session.facts.is_finished
                && !session.facts.has_ended
                && since > FLOW_NANOS_MAX;
            assert!(!should_flow || session.arrived > 0, "{:?} plays and is silent", session.key);
        }
    }
}
