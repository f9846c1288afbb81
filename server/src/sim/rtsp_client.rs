//! A client that speaks RTSP in text: what it asks next, rightly or wrongly.

use super::catalog::{MISSING, NOT_PLAYABLE, UNREADABLE};
use super::remote::Remote;
use super::rtsp_model::{Aim, Asked, Offer, Span};
use super::rtsp_session::{Life, Session, State};
use super::surroundings::Surroundings;
use super::title::titles;
use crate::clock::MonoTime;
use crate::mailbox::ConnectionId;
use std::collections::VecDeque;
use std::fmt::Write as _;
use std::net::IpAddr;

/// UDP ports of one client.
pub(super) const PORTS_A_CLIENT: u16 = 1000;

/// What a client has of a connection.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) id: ConnectionId,
    /// Of a tunnel, by which connection the client speaks; it hears by `id`.
    pub(super) post: Option<ConnectionId>,
    /// When the head of that arrives.
    pub(super) post_at: MonoTime,
    pub(super) asked: VecDeque<Asked>,
    /// Since when its first request waits for a reply.
    pub(super) waits_since: MonoTime,
    /// When it stopped reading, the last time.
    pub(super) stalled_at: Option<MonoTime>,
    /// It said something that gives the server a reason to close it, and then nothing more.
    pub(super) fault: Option<Fault>,
    /// When the last of what was said arrives.
    pub(super) sent_until: MonoTime,
    /// A read is about to happen.
    pub(super) will_read: bool,
    next_channel: u8,
}

/// What a client says that must end its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// It cannot be cut into messages: there is a refusal first.
    Unreadable,
    /// It never ends.
    Half,
}

/// A client.
#[derive(Debug)]
pub(super) struct RtspClient {
    pub(super) address: IpAddr,
    /// The last connection it opened.
    pub(super) line: Option<Line>,
    pub(super) sessions: Vec<Session>,
    /// Who else controls them.
    pub(super) remote: Option<Remote>,
    pub(super) is_rude: bool,
    /// Its server may ask it to go elsewhere.
    pub(super) is_obedient: bool,
    pub(super) is_reading: bool,
    pub(super) is_reporting: bool,
    pub(super) is_gone: bool,
    /// It may have streams that it never heard of.
    pub(super) has_lost_setup: bool,
    next_port: u16,
    cseq: u32,
}

/// What a client does next.
#[derive(Debug)]
pub(super) enum Deed {
    Send(Vec<u8>),
    /// Does not wait for the replies.
    SendAndHangUp(Vec<u8>),
    HangUp,
    Nothing,
}

impl Line {
    pub(super) fn new(id: ConnectionId, stalled_at: Option<MonoTime>) -> Self {
        Self {
            id,
            post: None,
            post_at: MonoTime::default(),
            asked: VecDeque::new(),
            waits_since: MonoTime::default(),
            stalled_at,
            fault: None,
            sent_until: MonoTime::default(),
            will_read: false,
            next_channel: 0,
        }
    }
}

impl RtspClient {
    pub(super) fn new(index: u16, address: IpAddr, is_rude: bool, remote: Option<Remote>) -> Self {
        Self {
            address,
            line: None,
            sessions: Vec::new(),
            remote,
            is_rude,
            is_obedient: index.is_multiple_of(2),
            is_reading: true,
            is_reporting: true,
            is_gone: false,
            has_lost_setup: false,
            next_port: (index + 1) * PORTS_A_CLIENT,
            cseq: 0,
        }
    }

    /// Whether a SETUP waits for its reply.
    pub(super) fn asks_set_up(&self) -> bool {
        let is_it = |asked: &Asked| matches!(asked.aim, Aim::SetUp { .. });
        self.line.as_ref().is_some_and(|line| line.asked.iter().any(is_it))
    }

    /// Decides what to do. `strangers` are the session ids of others.
    pub(super) fn act(&mut self, around: &mut Surroundings, strangers: &[String]) -> Deed {
        let Some(line) = &mut self.line else { return Deed::Nothing };
        if line.fault.is_some() {
            return Deed::Nothing;
        }
        if self.is_rude {
            match around.random.u8(..40) {
                0 => return self.misbehave(Fault::Unreadable, None, b"\x01\x02 no RTSP\r\n\r\n"),
                1 => {
                    let half = b"PLAY rtsp://10.9.9.9/title0.mp4 RTSP/1.0\r\nCSeq";
                    return self.misbehave(Fault::Half, None, half);
                }
                3 => {
                    let text = b"PLAY * RTSP/1.0\r\nCSeq: 77\r\nContent-Length: much\r\n\r\n";
                    return self.misbehave(Fault::Unreadable, Some(77), text);
                }
                2 => {
                    self.is_reading = !self.is_reading;
                    line.stalled_at = line.stalled_at.max(Some(around.now));
                    self.sessions.iter_mut().for_each(|session| session.viewer.is_prompt = false);
                    return Deed::Nothing;
                }
                4 => self.is_reporting = !self.is_reporting,
                _ => {}
            }
        }
        if around.random.u8(..16) == 0 {
            return Deed::HangUp;
        }
        let mut bytes = Vec::new();
        while bytes.is_empty() || around.random.u8(..4) == 0 {
            bytes.extend(self.ask(around, strangers));
        }
        if around.random.u8(..10) == 0 { Deed::SendAndHangUp(bytes) } else { Deed::Send(bytes) }
    }

    /// Ends all sessions.
    pub(super) fn say_goodbye(&mut self) -> Vec<u8> {
        let alive = (0..self.sessions.len()).filter(|at| self.sessions[*at].life == Life::Alive);
        let alive: Vec<usize> = alive.collect();
        alive.into_iter().flat_map(|at| self.tear_down(at, None)).collect()
    }

    fn misbehave(&mut self, fault: Fault, cseq: Option<u32>, bytes: &[u8]) -> Deed {
        let Some(line) = &mut self.line else { return Deed::Nothing };
        line.fault = Some(fault);
        self.expect(Asked { cseq, ..Asked::unreadable() });
        Deed::Send(bytes.to_vec())
    }

    fn ask(&mut self, around: &mut Surroundings, strangers: &[String]) -> Vec<u8> {
        let random = &mut around.random;
        let usable = |session: &Session| session.life == Life::Alive;
        let alive = self.sessions.iter().filter(|session| usable(session)).count();
        let last = self.sessions.iter().rposition(usable);
        let title = random.usize(..titles().len());
        match (random.u8(..24), last) {
            (0, at) => self.keep_alive(random, at),
            (1, _) => {
                let url = url(title, None);
                self.request("DESCRIBE", &url, None, Aim::Describe, title, &[])
            }
            (2 | 3, at) => self.ask_wrongly(random, at, strangers),
            (4, _) if alive < 2 => self.set_up(random, None, title),
            (5, Some(at)) => {
                let track = random.choice([None, None, Some(0), Some(1)]).expect("four");
                self.tear_down(at, track)
            }
            (6, _) if !self.sessions.is_empty() => {
                let at = random.usize(..self.sessions.len());
                self.play(random, at)
            }
            (7, Some(at)) => self.set_up(random, Some(at), self.sessions[at].title),
            (_, None) if self.asks_set_up() => self.keep_alive(random, None),
            (_, None) => self.set_up(random, None, title),
            (_, Some(at)) => match self.sessions[at].state {
                State::Ready(_) if self.sessions[at].streams.len() < 2 && random.bool() => {
                    self.set_up(random, Some(at), self.sessions[at].title)
                }
                State::Playing if random.bool() => {
                    let url = url(self.sessions[at].title, None);
                    self.request("PAUSE", &url, Some(at), Aim::Pause, 0, &[])
                }
                State::Playing | State::Ready(_) | State::Unsure => self.play(random, at),
            },
        }
    }

    fn set_up(&mut self, random: &mut fastrand::Rng, at: Option<usize>, title: usize) -> Vec<u8> {
        let taken = at.map_or(0, |at| self.sessions[at].tracks().iter().next().map_or(0, |t| t.0));
        let track = if at.is_some() && random.u8(..4) > 0 { 1 - taken } else { random.u8(..2) };
        let port = self.next_port;
        self.next_port += 2;
        let Some(line) = &mut self.line else { return Vec::new() };
        let mut channel = line.next_channel;
        if random.u8(..10) == 0 {
            channel = 0;
        } else {
            line.next_channel = (line.next_channel + 2) % 200;
        }
        let offer = match random.u8(..20) {
            0..8 => Offer::Udp { port },
            8..14 => Offer::Interleaved { channel: Some(channel) },
            14 => Offer::Interleaved { channel: None },
            15 | 16 => Offer::UdpOrInterleaved { port, channel },
            17 => Offer::MulticastOrUdp { port },
            18 => Offer::Unusable(random.choice(UNUSABLE).expect("some")),
            _ => Offer::Malformed(random.choice(MALFORMED).expect("some")),
        };
        let udp = format!("RTP/AVP;unicast;client_port={port}-{}", port + 1);
        let interleaved =
            |channel: u8| format!("RTP/AVP/TCP;unicast;interleaved={channel}-{}", channel + 1);
        let transport = match offer {
            Offer::Udp { .. } => udp,
            Offer::Interleaved { channel: Some(channel) } => interleaved(channel),
            Offer::Interleaved { channel: None } => "RTP/AVP/TCP;unicast".to_owned(),
            Offer::UdpOrInterleaved { channel, .. } => format!("{udp},{}", interleaved(channel)),
            Offer::MulticastOrUdp { .. } => format!("RTP/AVP;multicast,{udp}"),
            Offer::Unusable(text) | Offer::Malformed(text) => text.to_owned(),
        };
        let url = url(title, Some(track));
        let aim = Aim::SetUp { track, offer };
        let agent = if self.is_obedient { "GStreamer/1.22.0" } else { "Lavf59.27.100" };
        let headers = [("Transport", transport.as_str()), ("User-Agent", agent)];
        self.request("SETUP", &url, at, aim, title, &headers)
    }

    fn play(&mut self, random: &mut fastrand::Rng, at: usize) -> Vec<u8> {
        let title = self.sessions[at].title;
        let duration = titles()[title].title.index.duration.nanos() / 1_000_000;
        let start = random.u64(..duration);
        let span = match random.u8(..12) {
            0..4 => Span::None,
            4..7 => Span::From(start, None),
            7..10 => Span::From(start, Some(start + random.u64(100..5000))),
            10 => Span::Until(random.u64(..duration)),
            _ => *random
                .choice(&[
                    Span::From(duration + 1000, None),
                    Span::From(5000, Some(2000)),
                    Span::From(2000, Some(2000)),
                ])
                .expect("three"),
        };
        let range = match span {
            Span::None => None,
            Span::From(start, None) => Some(format!("npt={}-", seconds(start))),
            Span::From(start, Some(end)) => {
                Some(format!("npt={}-{}", seconds(start), seconds(end)))
            }
            Span::Until(end) => Some(format!("npt=-{}", seconds(end))),
        };
        // With a style, a range takes the place of the one that plays and never waits behind it.
        let headers: Vec<(&str, &str)> = range
            .iter()
            .flat_map(|range| [("Range", range.as_str()), ("Seek-Style", "RAP")])
            .collect();
        if range.is_none() && random.u8(..6) == 0 {
            let track = random.u8(..2);
            let url = url(title, Some(track));
            return self.request("PLAY", &url, Some(at), Aim::PlayTrack(track), title, &[]);
        }
        self.request("PLAY", &url(title, None), Some(at), Aim::Play(span), title, &headers)
    }

    fn tear_down(&mut self, at: usize, track: Option<u8>) -> Vec<u8> {
        let url = url(self.sessions[at].title, track);
        self.request("TEARDOWN", &url, Some(at), Aim::TearDown { track }, 0, &[])
    }

    fn keep_alive(&mut self, random: &mut fastrand::Rng, at: Option<usize>) -> Vec<u8> {
        let method = random.choice(["OPTIONS", "GET_PARAMETER", "SET_PARAMETER"]).expect("three");
        if let (Some(at), 0) = (at, random.u8(..3)) {
            let url = url(self.sessions[at].title, None);
            let body = "position\r\npackets_sent\r\njitter\r\n";
            let length = ("Content-Length", body.len().to_string());
            let length = [(length.0, length.1.as_str())];
            let aim = Aim::OfSession(200);
            let mut bytes = self.request("GET_PARAMETER", &url, Some(at), aim, 0, &length);
            bytes.extend_from_slice(body.as_bytes());
            return bytes;
        }
        let aim = if at.is_some() { Aim::OfSession(200) } else { Aim::Always(200) };
        self.request(method, &url(0, None), at, aim, 0, &[])
    }

    /// Asks what must be refused, in any state.
    fn ask_wrongly(
        &mut self,
        random: &mut fastrand::Rng,
        at: Option<usize>,
        strangers: &[String],
    ) -> Vec<u8> {
        let own = at.map_or(0, |at| self.sessions[at].title);
        let (base, other) = (url(own, None), url((own + 1) % titles().len(), None));
        let named = |name: &str| format!("{HOST}/{name}");
        let mut ask = |method, url: &str, at, aim, headers: &[(&str, &str)]| {
            self.request(method, url, at, aim, own, headers)
        };
        let transport = ("Transport", "RTP/AVP;unicast;client_port=5000-5001");
        match random.u8(..24) {
            0 => ask("RECORD", &base, at, Aim::Always(405), &[]),
            1 => ask("FROBNICATE", &base, at, Aim::Always(501), &[]),
            2 => ask("PLAY", &base, at, Aim::Always(551), &[("Require", "x")]),
            3 => ask("DESCRIBE", &named(MISSING), None, Aim::Always(404), &[]),
            4 => ask("DESCRIBE", &named(NOT_PLAYABLE), None, Aim::Always(415), &[]),
            5 => ask("SETUP", &named(UNREADABLE), None, Aim::Always(500), &[transport]),
            6 => ask("DESCRIBE", &base, None, Aim::Always(406), &[("Accept", "text/html")]),
            7 => ask("PLAY", &base, None, Aim::Always(454), &[]),
            8 => ask("PAUSE", &base, None, Aim::Always(454), &[("Session", "12345678")]),
            9 | 10 if !strangers.is_empty() => {
                let id = random.choice(strangers).expect("some").as_str();
                let method = *random.choice(&["PLAY", "TEARDOWN", "OPTIONS"]).expect("three");
                ask(method, &base, None, Aim::Always(454), &[("Session", id)])
            }
            11 => {
                self.expect(Asked::unreadable());
                b"OPTIONS * RTSP/1.0\r\n\r\n".to_vec()
            }
            12 => ask("OPTIONS", "rtsp://:x/", None, Aim::Always(400), &[]),
            _ if at.is_none() => ask("TEARDOWN", &base, None, Aim::Always(454), &[]),
            13 => ask("PLAY", &base, at, Aim::OfSession(400), &[("Range", "npt=x-")]),
            14 => {
                ask("PLAY", &base, at, Aim::OfSession(456), &[("Range", "clock=19961108T143720Z-")])
            }
            15 => ask("PLAY", &other, at, Aim::OfSession(404), &[]),
            16 => ask("PLAY", &base, at, Aim::OfSession(400), &[("Scale", "fast")]),
            17 => ask("TEARDOWN", &format!("{base}/trackID=7"), at, Aim::OfSession(404), &[]),
            18 => {
                let url = format!("{base}/trackID=7");
                ask("SETUP", &url, at, Aim::OfSession(404), &[transport])
            }
            19 | 20 => ask("SETUP", &base, at, Aim::OfSession(459), &[transport]),
            21 => {
                let url = format!("{other}/trackID=0");
                ask("SETUP", &url, at, Aim::OfSession(459), &[transport])
            }
            _ => ask("TEARDOWN", &other, at, Aim::OfSession(404), &[]),
        }
    }

    #[allow(clippy::too_many_arguments, reason = "what a request has")]
    fn request(
        &mut self,
        method: &str,
        url: &str,
        session: Option<usize>,
        aim: Aim,
        title: usize,
        headers: &[(&str, &str)],
    ) -> Vec<u8> {
        self.cseq += 1;
        let mut text = format!("{method} {url} RTSP/1.0\r\nCSeq: {}\r\n", self.cseq);
        let session = session.filter(|_| method != "DESCRIBE");
        let id = session.map(|at| ("Session", self.sessions[at].id.as_str()));
        for (name, value) in id.iter().chain(headers) {
            let _ = write!(text, "{name}: {value}\r\n");
        }
        text.push_str("\r\n");
        let facts = session.map(|at| self.sessions[at].facts.clone());
        let cseq = Some(self.cseq);
        self.expect(Asked { cseq, session, title, aim, facts });
        text.into_bytes()
    }

    fn expect(&mut self, asked: Asked) {
        if let Some(line) = &mut self.line {
            line.asked.push_back(asked);
        }
    }
}

/// The URL of a title or of one of its tracks.
pub(super) fn url(title: usize, track: Option<u8>) -> String {
    let name = &titles()[title].title.name;
    match track {
        Some(track) => format!("{HOST}/{name}/trackID={track}"),
        None => format!("{HOST}/{name}"),
    }
}

fn seconds(millis: u64) -> String {
    format!("{}.{:03}", millis / 1000, millis % 1000)
}

const HOST: &str = "rtsp://10.9.9.9:8554";
const UNUSABLE: &[&str] = &[
    "RTP/AVP;multicast;port=5000-5001",
    "RTP/SAVP;unicast;client_port=5000-5001",
    "RTP/AVP;unicast;client_port=5000-5001;destination=10.99.99.99",
    "RTP/AVP;unicast;client_port=5000-5001;mode=record",
];
const MALFORMED: &[&str] = &["RTP/AVP;unicast;client_port=x", "", "unicast"];
