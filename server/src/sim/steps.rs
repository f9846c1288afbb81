//! What the clients of a whole world do.

use super::net::Pipe;
use super::reply::Reply;
use super::rtsp_client::{Deed, Line};
use super::rtsp_session::{Life, Way};
use super::shard::{PORT_MIN, PORTS_A_SHARD};
use super::whole::{Event, Whole};
use crate::clock::MonoTime;
use crate::mailbox::ConnectionId;
use crate::shard::operation::{Datagram, PairId, PairSocket};
use packetizer::rtcp::{self, ReportBlock};
use packetizer::rtp::Ssrc;
use std::net::SocketAddr;

/// Most bytes that arrive at once.
const CHUNK_BYTES_MAX: usize = 400;

/// When the server's kernel gives up a client whose kernel does not answer.
const KERNEL_ANSWERS_NANOS_MAX: u64 = 50_000_000_000;

/// What a client is about to do.
#[derive(Clone, Copy, Debug)]
pub(super) enum Step {
    Connect,
    Act,
    Report,
    Read,
    Leave,
    HangUp,
}

impl Whole {
    pub(super) fn step(&mut self, index: usize, step: Step) {
        let client = &self.clients[index];
        match step {
            Step::Connect if !client.is_gone => self.connect(index),
            Step::Act if !client.is_gone => {
                self.check_line(index);
                self.check_flow(index);
                self.remote_soon(index);
                self.act(index);
                let step =
                    if self.clients[index].line.is_some() { Step::Act } else { Step::Connect };
                self.step_in(2_000_000_000, index, step);
            }
            Step::Report if !client.is_gone => {
                if client.is_reporting {
                    self.report(index);
                }
                self.agenda.push(self.around.after(5_000_000_000), Event::Client(index, step));
            }
            Step::Read => self.read(index),
            Step::Leave => self.leave(index),
            Step::HangUp => self.hang_up(index),
            Step::Connect | Step::Act | Step::Report => {}
        }
    }

    fn connect(&mut self, index: usize) {
        if self.around.random.u8(..4) == 0 {
            return self.connect_through_tunnel(index);
        }
        let id = ConnectionId(self.connections_made);
        self.connections_made += 1;
        let room = self.around.random.usize(8 << 10..64 << 10);
        self.around.net.pipes.insert(id, Pipe::new(room));
        let peer = SocketAddr::new(self.clients[index].address, 40_000);
        let Self { control, around, agenda, .. } = self;
        around.note(&format!("client {index} connects by {id:?}"));
        let accepted = control.accept(around, agenda, id, peer);
        let Err(told) = accepted else {
            let client = &mut self.clients[index];
            let stalled_at = (!client.is_reading).then_some(self.around.now);
            client.line = Some(Line::new(id, stalled_at));
            return self.step_in(300_000_000, index, Step::Act);
        };
        assert!(self.is_tight || self.is_draining, "a connection was refused");
        assert_eq!(Reply::parse(&told).status, 503);
        self.around.net.pipes.remove(&id);
        self.step_in(3_000_000_000, index, Step::Connect);
    }

    fn act(&mut self, index: usize) {
        let strangers: Vec<String> = self
            .clients
            .iter()
            .enumerate()
            .filter(|(other, _)| *other != index)
            .flat_map(|(_, other)| &other.sessions)
            .map(|session| session.id.clone())
            .collect();
        match self.clients[index].act(&mut self.around, &strangers) {
            Deed::Send(bytes) => self.send(index, &bytes),
            Deed::SendAndHangUp(bytes) => {
                self.send(index, &bytes);
                self.hang_up(index);
            }
            Deed::HangUp => self.hang_up(index),
            Deed::Nothing => {}
        }
    }

    /// Cuts the client's bytes anywhere and sends them, each piece with a delay of its own.
    pub(super) fn send(&mut self, index: usize, bytes: &[u8]) {
        let Some(line) = &self.clients[index].line else { return };
        let (id, from) = (line.id, line.sent_until);
        self.around.note(&format!("client {index} says {}", first_lines(bytes)));
        let tunnelled = self.enter_tunnel(index, bytes);
        let (id, bytes, from) = tunnelled.unwrap_or_else(|| (id, bytes.to_vec(), from));
        let mut rest = &bytes[..];
        let mut at = self.around.now.max(from);
        while !rest.is_empty() {
            let count = self.around.random.usize(1..=rest.len().min(CHUNK_BYTES_MAX));
            let (piece, after) = rest.split_at(count);
            at = MonoTime(at.0 + self.around.random.u64(..3_000_000));
            self.agenda.push(at, Event::Arrive(id, piece.to_vec()));
            rest = after;
        }
        if let Some(line) = &mut self.clients[index].line {
            line.sent_until = line.sent_until.max(at);
            line.waits_since = line.waits_since.max(at);
        }
    }

    /// The client closes its connection.
    fn hang_up(&mut self, index: usize) {
        let Some(line) = self.clients[index].line.take() else { return };
        // The end may meet a request of before anywhere on its way.
        let at = self.around.now.max(line.sent_until);
        let at = MonoTime(at.0 + self.around.random.u64(..8_000_000));
        self.agenda.push(at, Event::HungUp(line.id));
        if let Some(post) = line.post {
            let at = MonoTime(at.0 + self.around.random.u64(..8_000_000));
            self.agenda.push(at, Event::HungUp(post));
        }
        self.line_lost(index, line.id, line.asked);
    }

    fn leave(&mut self, index: usize) {
        let client = &mut self.clients[index];
        client.is_gone = true;
        self.remote_soon(index);
        let client = &mut self.clients[index];
        match self.around.random.u8(..4) {
            0 => self.hang_up(index),
            // Without a word: the server must find out, or its kernel by asking the client's.
            1 => {
                client.is_reading = false;
                let found = self.around.after(KERNEL_ANSWERS_NANOS_MAX);
                self.agenda.push(found, Event::Client(index, Step::HangUp));
            }
            _ => {
                let is_mute = client.line.as_ref().is_none_or(|line| line.fault.is_some());
                if !is_mute {
                    let bytes = client.say_goodbye();
                    self.send(index, &bytes);
                }
                self.agenda
                    .push(self.around.after(2_000_000_000), Event::Client(index, Step::HangUp));
            }
        }
    }

    /// Receiver reports of all streams, as signs of life.
    fn report(&mut self, index: usize) {
        let now = self.around.now;
        let mut frames = Vec::new();
        let client = &mut self.clients[index];
        let line = client.line.as_ref().filter(|line| line.fault.is_none()).map(|line| line.id);
        for session in client.sessions.iter_mut().filter(|session| session.life != Life::Over) {
            for stream in &session.streams {
                let bytes = report_on(session.viewer.ssrc(stream.track));
                match stream.way {
                    Way::Udp { port, server_port } => {
                        let place = server_port - PORT_MIN;
                        let shard = usize::from(place / PORTS_A_SHARD);
                        let pair = u8::try_from(place % PORTS_A_SHARD / 2).expect("few");
                        let (pair, socket) = (PairId(pair), PairSocket::Rtcp);
                        let from = SocketAddr::new(client.address, port + 1);
                        let datagram = Datagram { pair, socket, from, bytes: &bytes };
                        self.shards[shard].datagram(&self.around, datagram);
                        session.heard_at = now;
                    }
                    Way::Interleaved { connection, channel } if line == Some(connection) => {
                        let length = u16::try_from(bytes.len()).expect("small").to_be_bytes();
                        frames.extend([b'$', channel + 1, length[0], length[1]]);
                        frames.extend(&bytes);
                    }
                    Way::Interleaved { .. } => {}
                }
            }
        }
        if !frames.is_empty() {
            self.send(index, &frames);
        }
    }

    /// The client reads some of what its connection has.
    fn read(&mut self, index: usize) {
        let client = &mut self.clients[index];
        let Some(line) = &mut client.line else { return };
        line.will_read = false;
        if !client.is_reading {
            return;
        }
        let id = line.id;
        let count = self.around.random.usize(1..64 << 10);
        let pipe = self.around.net.pipes.get_mut(&id).expect("opened");
        let was_read = !pipe.read(count).is_empty();
        if was_read && let Some((shard, slot)) = self.around.net.slot_of(id) {
            let pipe = self.around.net.pipe_of((shard, slot));
            if std::mem::take(&mut pipe.is_watched) {
                self.shards[shard].writable(slot);
            }
        }
        self.read_soon(index);
    }

    /// Has the client read, if there is something.
    pub(super) fn read_soon(&mut self, index: usize) {
        let client = &mut self.clients[index];
        let Some(line) = &mut client.line else { return };
        let has_bytes =
            self.around.net.pipes.get(&line.id).is_some_and(|pipe| !pipe.buffer.is_empty());
        if has_bytes && client.is_reading && !line.will_read {
            line.will_read = true;
            self.step_in(4_000_000, index, Step::Read);
        }
    }

    pub(super) fn step_in(&mut self, nanos_max: u64, client: usize, step: Step) {
        let at = self.around.soon(nanos_max);
        self.agenda.push(at, Event::Client(client, step));
    }
}

/// A receiver report, on a stream that is known.
fn report_on(ssrc: Option<Ssrc>) -> Vec<u8> {
    let block = ssrc.map(|ssrc| ReportBlock {
        ssrc,
        fraction_lost: 0,
        cumulative_lost: 0,
        highest_sequence: 0,
        jitter: 0,
        last_report: 0,
        delay_since_last_report: 0,
    });
    let mut bytes = Vec::new();
    rtcp::write_receiver_report(Ssrc(7), block.as_slice(), "viewer", &mut bytes);
    bytes
}

fn first_lines(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let starts = text.split("\r\n\r\n").filter_map(|request| request.lines().next());
    starts.collect::<Vec<_>>().join(" | ")
}
