//! Control's world: clients, shell and catalog worker. What control asks for is done in order; what
//! it waits for may be held back.

use super::shards::{SHARD_COUNT, Shards};
use super::titles::{CONNECTIONS_MAX, SESSIONS_MAX, config, title};
use server::clock::MonoTime;
use server::control::{Control, Effect, OpenError, OpenRequest, Port};
use server::framing::{Framer, Message};
use server::mailbox::{CloseReason, Command, ConnectionId, Direction, EndReason, Report};
use server::rtsp::http::is_http;
use server::rtsp::{Method, ReceivedResponse, Request, unfolded};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

/// Effects of one event: a drain closes every connection and tells every shard.
const EFFECTS_MAX: usize = 2 * CONNECTIONS_MAX as usize + SESSIONS_MAX as usize + SHARD_COUNT;
/// Events that follow from one step, even if everything was held back before it.
const EVENTS_MAX: usize = 100_000;
/// Bytes that the shell reads at once.
const READ_BYTES: usize = 512;
/// Sessions that clients remember.
const SESSIONS_SEEN_MAX: usize = 8;

/// What is held back.
const WRITES: u8 = 1;
const OPENS: u8 = 2;
const CLOSES: u8 = 4;
/// Of shard 0; the next bit is of shard 1.
const REPORTS: u8 = 8;

pub(super) struct World {
    control: Control,
    now: MonoTime,
    clients: BTreeMap<ConnectionId, Client>,
    pub(super) shards: Shards,
    opens: VecDeque<OpenRequest>,
    /// How the catalog worker fails; 0 if it does not.
    pub(super) titles_fail: u8,
    pub(super) sessions_seen: Vec<String>,
    held: u8,
    effects: VecDeque<Effect>,
    connections_made: u64,
    is_retiring: bool,
    is_draining: bool,
    has_drained: bool,
}

/// A client and its connection.
struct Client {
    home: Home,
    /// What it sent and nobody has read.
    unread: Vec<u8>,
    /// Cuts what it sends.
    sent: Framer,
    expected: VecDeque<Expected>,
    /// Whether it began with HTTP, once that is known: what it is sent then is not expected.
    is_http: Option<bool>,
    is_written_to: bool,
    is_closing: bool,
}

enum Home {
    Control,
    Shard {
        shard: usize,
        framer: Framer,
        awaits_reply: bool,
    },
    /// With a tunnel's output.
    Input {
        shard: usize,
        of: ConnectionId,
    },
}

/// What a client must be sent next.
#[derive(Debug)]
enum Expected {
    /// A response with this CSeq.
    Response(Option<String>),
    /// That nothing more can be understood: control says so, a shard just closes.
    Refusal,
}

impl World {
    pub(super) fn new() -> Self {
        let mut bits = 1_u128 << 100;
        let random = Box::new(move || {
            bits += 1 << 90;
            bits
        });
        let mut world = Self {
            control: Control::new(Arc::new(config()), SHARD_COUNT, random),
            now: MonoTime(1_000_000_000),
            clients: BTreeMap::new(),
            shards: Shards::default(),
            opens: VecDeque::new(),
            titles_fail: 0,
            sessions_seen: Vec::new(),
            held: 0,
            effects: VecDeque::new(),
            connections_made: 0,
            is_retiring: false,
            is_draining: false,
            has_drained: false,
        };
        world.connect(0);
        world
    }

    pub(super) fn connect(&mut self, from: u8) {
        self.connections_made += 1;
        let id = ConnectionId(self.connections_made);
        let peers =
            ["192.0.2.1:5000", "192.0.2.2:5000", "[2001:db8::1]:5000", "[::ffff:c000:201]:1"];
        let peer = peers[usize::from(from) % peers.len()].parse().unwrap();
        let local = "192.0.2.100:8554".parse().unwrap();
        if self.control.connected(self.now, id, peer, local, Port::Rtsp).is_ok() {
            // Who comes while it only retires is told where to go.
            assert!(!self.is_draining);
            let client = Client {
                home: Home::Control,
                unread: Vec::new(),
                sent: Framer::new(),
                expected: VecDeque::new(),
                is_http: None,
                is_written_to: false,
                is_closing: false,
            };
            self.clients.insert(id, client);
        }
    }

    pub(super) fn send(&mut self, nth: u8, bytes: &[u8]) {
        let Some(client) = self.nth_client(nth).and_then(|id| self.clients.get_mut(&id)) else {
            return;
        };
        client.unread.extend_from_slice(bytes);
        client.sent.push(bytes);
        while client.is_http != Some(true)
            && !matches!(client.expected.back(), Some(Expected::Refusal))
        {
            let expected = match client.sent.next() {
                Ok(None) => break,
                Ok(Some(Message::Request(message))) => {
                    if *client.is_http.get_or_insert(is_http(message)) {
                        break;
                    }
                    let unfolded = unfolded(message);
                    let message = unfolded.as_deref().unwrap_or(message);
                    let cseq = Request::parse(message).map_or_else(|e| e.cseq, |r| Some(r.cseq));
                    Expected::Response(cseq.map(str::to_owned))
                }
                Ok(Some(Message::Response(_) | Message::Interleaved { .. })) => continue,
                Err(_) => Expected::Refusal,
            };
            client.expected.push_back(expected);
        }
    }

    /// A client goes away.
    pub(super) fn disconnect(&mut self, nth: u8) {
        let Some(id) = self.nth_client(nth) else { return };
        match self.clients[&id].home {
            Home::Control => {
                self.clients.remove(&id);
                self.tell(|control, now, effects| control.closed(now, id, effects));
            }
            Home::Shard { shard, .. } | Home::Input { shard, .. } => {
                self.lose(id, shard, CloseReason::Peer(None));
            }
        }
    }

    /// A shard has had enough of a connection.
    pub(super) fn lose_connection(&mut self, nth: u8) {
        let Some(id) = self.nth_client(nth) else { return };
        if let Home::Shard { shard, .. } = self.clients[&id].home {
            self.lose(id, shard, CloseReason::Overflow);
        }
    }

    pub(super) fn hold(&mut self, what: u8) {
        self.held = what;
    }

    pub(super) fn pass(&mut self, time: Duration) {
        self.now = self.now + time;
        if self.control.deadline().is_some_and(|deadline| deadline <= self.now) {
            self.tell(Control::advance);
            assert!(self.control.deadline().is_none_or(|deadline| deadline > self.now));
        }
    }

    pub(super) fn end_session(&mut self, nth: u8, reason: EndReason) {
        if let Some((shard, session)) = self.shards.nth_session(nth) {
            self.shards.end(shard, session, reason);
        }
    }

    pub(super) fn finish_session(&mut self, nth: u8) {
        if let Some((shard, session)) = self.shards.nth_session(nth) {
            self.shards.reports[shard].push_back(Report::Finished { session, paused: None });
        }
    }

    pub(super) fn drain(&mut self) {
        self.is_draining = true;
        self.tell(|control, _, effects| control.drain(effects));
    }

    pub(super) fn retire(&mut self) {
        self.is_retiring = true;
        self.tell(|control, _, effects| control.retire(effects));
    }

    pub(super) fn snapshot(&mut self) {
        self.tell(|control, _, effects| control.snapshot(effects));
    }

    /// Does what is to be done and not held back, until there is nothing.
    pub(super) fn run(&mut self) {
        for _ in 0..EVENTS_MAX {
            let happened = self.perform_effect()
                || self.complete_write()
                || self.complete_close()
                || self.deliver_report()
                || self.open_title()
                || self.feed_control()
                || self.feed_shard();
            if !happened {
                return;
            }
        }
        panic!("there is no end to it");
    }

    pub(super) fn check_bounds(&self) {
        let [connections, sessions, pending] = self.counts();
        assert!(connections <= CONNECTIONS_MAX as usize && sessions <= SESSIONS_MAX as usize);
        let answers = self.shards.reports.iter().flatten().filter(|report| {
            matches!(
                report,
                Report::SetUp { .. }
                    | Report::Cued { .. }
                    | Report::Paused { .. }
                    | Report::Inspected { .. }
            )
        });
        assert_eq!(pending, answers.count(), "a request waits for nothing, or two for one");
        if self.held == 0 {
            assert_eq!(connections, self.clients.len());
            assert_eq!(sessions, self.shards.session_count(), "control and shards disagree");
            for (id, client) in &self.clients {
                assert!(client.expected.is_empty(), "{id:?} waits for {:?}", client.expected);
            }
        }
    }

    /// Ends everything, and checks that nothing is left.
    pub(super) fn end(mut self) {
        self.held = 0;
        self.run();
        self.check_bounds();
        while self.shards.session_count() > 0 {
            self.end_session(0, EndReason::TimedOut);
        }
        self.run();
        // A connection without a session may not stay for ever.
        for _ in 0..2 {
            self.pass(Duration::from_secs(3600));
            self.run();
        }
        assert_eq!(self.control.deadline(), None);
        while let Some((&id, client)) = self.clients.first_key_value() {
            let Home::Shard { shard, .. } = client.home else {
                panic!("{id:?} stays without a session");
            };
            self.lose(id, shard, CloseReason::Deadline);
        }
        self.run();
        self.check_bounds();
        assert_eq!(self.counts(), [0; 3], "something is left");
        assert_eq!(self.has_drained, self.is_draining);
    }

    fn tell(&mut self, input: impl FnOnce(&mut Control, MonoTime, &mut Vec<Effect>)) {
        let mut effects = Vec::new();
        input(&mut self.control, self.now, &mut effects);
        assert!(effects.len() <= EFFECTS_MAX, "{} effects", effects.len());
        self.effects.extend(effects);
    }

    fn perform_effect(&mut self) -> bool {
        let Some(effect) = self.effects.pop_front() else { return false };
        match effect {
            Effect::Write { connection, bytes } => {
                assert!(!self.control.wants_read(connection), "one thing at a time");
                let client = self.clients.get_mut(&connection).expect("a client to write to");
                assert!(matches!(client.home, Home::Control));
                assert!(!client.is_written_to && !client.is_closing);
                client.is_written_to = true;
                self.check_response(connection, &bytes);
            }
            Effect::Ask { connection, bytes } => {
                let client = self.clients.get(&connection).expect("a client to ask");
                assert!(matches!(client.home, Home::Control));
                assert!(!client.is_written_to && !client.is_closing);
                check_request(&bytes);
            }
            Effect::Resume { .. } => {}
            Effect::Close { connection } => {
                let client = self.clients.get_mut(&connection).expect("a client to close");
                assert!(matches!(client.home, Home::Control));
                client.is_closing = true;
            }
            Effect::Adopt { connection, shard, unparsed, direction, .. } => {
                assert!(!self.control.wants_read(connection));
                let carried = self.shards.carried_by(connection);
                assert!(carried.iter().all(|(other, _)| *other == shard), "carries another's");
                let client = self.clients.get_mut(&connection).expect("a client to adopt");
                assert!(matches!(client.home, Home::Control));
                assert!(!client.is_written_to && !client.is_closing);
                let framer = Framer::with_unparsed(unparsed.clone());
                let framer = match direction {
                    Direction::Both => framer,
                    Direction::Output(decoder) => framer.decoding(decoder),
                    Direction::Input { of } => {
                        client.unread.splice(..0, unparsed);
                        client.home = Home::Input { shard, of };
                        if !self.clients.contains_key(&of) {
                            self.lose(connection, shard, CloseReason::Server);
                        }
                        return true;
                    }
                };
                client.home = Home::Shard { shard, framer, awaits_reply: false };
            }
            Effect::Command { shard, command } => self.command(shard, command),
            Effect::OpenTitle(request) => {
                assert!(!request.candidates.is_empty());
                self.opens.push_back(request);
            }
            Effect::ShowCounters { .. } => {}
            Effect::Drained => {
                assert!(self.is_draining && !self.has_drained);
                self.has_drained = true;
            }
        }
        true
    }

    fn command(&mut self, shard: usize, command: Command) {
        match command {
            Command::Reply { connection, bytes, close, .. } => {
                // It may be gone without control's knowledge.
                let Some(client) = self.clients.get_mut(&connection) else { return };
                let Home::Shard { shard: home, awaits_reply, .. } = &mut client.home else {
                    panic!("a reply by shard {shard}, which has not adopted {connection:?}")
                };
                assert!(*home == shard && *awaits_reply, "a reply that nobody asked for");
                *awaits_reply = false;
                self.check_response(connection, &bytes);
                if close {
                    self.lose(connection, shard, CloseReason::Server);
                }
            }
            Command::Ask { connection, bytes } => {
                let Some(client) = self.clients.get(&connection) else { return };
                assert!(matches!(client.home, Home::Shard { shard: home, .. } if home == shard));
                check_request(&bytes);
            }
            Command::Close { connection } => {
                if self.clients.contains_key(&connection) {
                    self.lose(connection, shard, CloseReason::Server);
                }
            }
            Command::Drain => {
                let adopted = self.clients.iter().filter(|(_, client)| {
                    matches!(client.home, Home::Shard { shard: home, .. } if home == shard)
                });
                for id in adopted.map(|(id, _)| *id).collect::<Vec<_>>() {
                    self.lose(id, shard, CloseReason::Server);
                }
                self.shards.obey(shard, command);
            }
            Command::SetUp { .. }
            | Command::Play { .. }
            | Command::Start(_)
            | Command::Pause { .. }
            | Command::Inspect { .. }
            | Command::TearDown { .. }
            | Command::Touch { .. }
            | Command::Adopt(_)
            | Command::Snapshot => self.shards.obey(shard, command),
        }
    }

    /// A response is whole, and that to the client's oldest unanswered request.
    fn check_response(&mut self, id: ConnectionId, bytes: &[u8]) {
        match self.clients[&id].is_http {
            // Of a request that cannot be read, control knows more than this world.
            None if bytes.starts_with(b"HTTP/1.0 4") => {
                self.clients.get_mut(&id).unwrap().expected.clear();
                return;
            }
            // In a tunnel they answer what came by another connection.
            Some(true) => {
                assert!(bytes.starts_with(b"HTTP/1.0 ") || bytes.starts_with(b"RTSP/1.0 "));
                return;
            }
            None | Some(false) => {}
        }
        let mut framer = Framer::new();
        framer.push(bytes);
        let Ok(Some(Message::Response(message))) = framer.next() else {
            panic!("no response: {:?}", String::from_utf8_lossy(bytes))
        };
        assert_eq!(message.len(), bytes.len(), "more than a response");
        let response = ReceivedResponse::parse(message).unwrap();
        let client = self.clients.get_mut(&id).unwrap();
        match client.expected.pop_front().expect("a response to nothing") {
            Expected::Response(cseq) => assert_eq!(response.header("CSeq"), cseq.as_deref()),
            Expected::Refusal => {
                assert_eq!(response.header("CSeq"), None);
                assert!(response.status.code() >= 400);
            }
        }
        if let Some(session) = response.header("Session") {
            let session = session.split(';').next().unwrap().to_owned();
            if !self.sessions_seen.contains(&session) {
                self.sessions_seen.push(session);
            }
            if self.sessions_seen.len() > SESSIONS_SEEN_MAX {
                self.sessions_seen.remove(0);
            }
        }
    }

    fn complete_write(&mut self) -> bool {
        let id = self.find_client(WRITES, |_, client| client.is_written_to);
        let Some(id) = id else { return false };
        self.clients.get_mut(&id).unwrap().is_written_to = false;
        self.tell(|control, now, effects| control.written(now, id, effects));
        true
    }

    fn complete_close(&mut self) -> bool {
        let Some(id) = self.find_client(CLOSES, |_, client| client.is_closing) else {
            return false;
        };
        self.clients.remove(&id);
        self.tell(|control, now, effects| control.closed(now, id, effects));
        true
    }

    fn deliver_report(&mut self) -> bool {
        for shard in 0..SHARD_COUNT {
            if self.held & (REPORTS << shard) == 0
                && let Some(report) = self.shards.reports[shard].pop_front()
            {
                self.tell(|control, now, effects| control.report(now, shard, report, effects));
                return true;
            }
        }
        false
    }

    fn open_title(&mut self) -> bool {
        if self.held & OPENS != 0 {
            return false;
        }
        let Some(request) = self.opens.pop_front() else { return false };
        let reason = || "because".to_owned();
        let result = match (self.titles_fail, request.cached) {
            (1, _) => Err(OpenError::NotFound),
            (2, _) => Err(OpenError::NotPlayable(reason())),
            (3, _) => Err(OpenError::Unreadable(reason())),
            (4, _) => Err(OpenError::Overloaded),
            (0, Some(cached)) => Ok(cached),
            (_, _) => title(&request.name, self.connections_made).ok_or(OpenError::NotFound),
        };
        let token = request.token;
        self.tell(|control, now, effects| control.title_opened(now, token, result, effects));
        true
    }

    fn feed_control(&mut self) -> bool {
        let wants = |id: ConnectionId, client: &Client| {
            !client.unread.is_empty() && !client.is_closing && self.control.wants_read(id)
        };
        let Some(id) = self.find_client(0, wants) else { return false };
        assert!(matches!(self.clients[&id].home, Home::Control));
        let unread = &mut self.clients.get_mut(&id).unwrap().unread;
        let bytes: Vec<u8> = unread.drain(..unread.len().min(READ_BYTES)).collect();
        self.tell(|control, now, effects| control.received(now, id, &bytes, effects));
        true
    }

    /// Shards report one request of a connection at a time.
    fn feed_shard(&mut self) -> bool {
        self.feed_tunnels();
        for (id, client) in &mut self.clients {
            let Home::Shard { shard, framer, awaits_reply } = &mut client.home else { continue };
            if *awaits_reply {
                continue;
            }
            framer.push(&std::mem::take(&mut client.unread));
            match framer.next() {
                Ok(None) => continue,
                Ok(Some(Message::Request(bytes))) => {
                    *awaits_reply = true;
                    let bytes = bytes.to_vec().into();
                    let report = Report::Request { connection: *id, bytes };
                    self.shards.reports[*shard].push_back(report);
                }
                Ok(Some(Message::Response(_) | Message::Interleaved { .. })) => {}
                Err(error) => {
                    *awaits_reply = true;
                    let rejected = framer.rejected().to_vec().into();
                    let report = Report::Unreadable { connection: *id, error, rejected };
                    self.shards.reports[*shard].push_back(report);
                }
            }
            return true;
        }
        false
    }

    /// What comes by the inputs of tunnels is for their outputs.
    fn feed_tunnels(&mut self) {
        let of = |client: &Client| match client.home {
            Home::Input { of, .. } => Some(of),
            Home::Control | Home::Shard { .. } => None,
        };
        let fed = self.clients.iter().filter_map(|(id, client)| Some((*id, of(client)?)));
        for (input, output) in fed.collect::<Vec<_>>() {
            let bytes = std::mem::take(&mut self.clients.get_mut(&input).unwrap().unread);
            let output = self.clients.get_mut(&output).expect("an input ends with its output");
            output.unread.clear();
            if let Home::Shard { framer, .. } = &mut output.home {
                framer.push(&bytes);
            }
        }
    }

    /// An adopted connection ends, and with it the sessions it carries and its input.
    fn lose(&mut self, id: ConnectionId, shard: usize, reason: CloseReason) {
        self.clients.remove(&id);
        let is_input = |client: &Client| matches!(client.home, Home::Input { of, .. } if of == id);
        let inputs = self.clients.iter().filter(|(_, client)| is_input(client));
        for input in inputs.map(|(id, _)| *id).collect::<Vec<_>>() {
            self.lose(input, shard, CloseReason::Server);
        }
        for (shard, session) in self.shards.carried_by(id) {
            self.shards.end(shard, session, EndReason::ConnectionClosed);
        }
        let report = Report::ConnectionClosed { connection: id, reason };
        self.shards.reports[shard].push_back(report);
    }

    fn find_client(
        &self,
        held_by: u8,
        is_it: impl Fn(ConnectionId, &Client) -> bool,
    ) -> Option<ConnectionId> {
        let mut clients = self.clients.iter().filter(|_| self.held & held_by == 0);
        clients.find(|(id, client)| is_it(**id, client)).map(|(id, _)| *id)
    }

    fn nth_client(&self, nth: u8) -> Option<ConnectionId> {
        let count = self.clients.len().max(1);
        self.clients.keys().nth(usize::from(nth) % count).copied()
    }

    /// Connections, sessions and waiting requests, as control's `Debug` tells them.
    fn counts(&self) -> [usize; 3] {
        let text = format!("{:?}", self.control);
        ["connections: ", "sessions: ", "pending: "].map(|name| {
            let (_, rest) = text.split_once(name).expect("control tells its counts");
            rest.split(',').next().unwrap().trim().parse().unwrap()
        })
    }
}

/// A request of the server is whole, and says where to go.
fn check_request(bytes: &[u8]) {
    let mut framer = Framer::new();
    framer.push(bytes);
    let Ok(Some(Message::Request(message))) = framer.next() else {
        panic!("no request: {:?}", String::from_utf8_lossy(bytes))
    };
    assert_eq!(message.len(), bytes.len(), "more than a request");
    let request = Request::parse(message).unwrap();
    assert_eq!(request.method, Method::Redirect);
    let location = request.header("Location").unwrap();
    assert!(location.starts_with("rtsp://elsewhere/"), "{location}");
    assert!(request.header("Session").is_some() && request.header("Range").is_some());
}
