//! Clients whose connection is an HTTP tunnel: what they say goes by POSTs, in base64, and now and
//! then by another POST than before.

use super::net::Pipe;
use super::rtsp_client::{Fault, Line};
use super::steps::Step;
use super::whole::{Event, Whole};
use crate::clock::MonoTime;
use crate::mailbox::ConnectionId;
use base64::prelude::{BASE64_STANDARD, Engine as _};
use std::net::SocketAddr;

/// How long the head of a half is on its way, in nanoseconds.
const HEAD_NANOS_MAX: u64 = 5_000_000;
/// One message in so many goes by another POST than the one before.
const REOPENED_ONE_IN: u8 = 5;

impl Whole {
    /// Opens both halves of a tunnel, of which any may come first.
    pub(super) fn connect_through_tunnel(&mut self, index: usize) {
        let room = self.around.random.usize(8 << 10..64 << 10);
        let post = self.open_half(index, room).and_then(|get| {
            self.heads.insert(get, Vec::new());
            let post = self.open_post(index, get, MonoTime::default());
            if post.is_none() {
                self.agenda.push(self.around.now, Event::HungUp(get));
            }
            post.map(|(post, at)| (get, post, at))
        });
        let Some((get, post, at)) = post else {
            return self.step_in(3_000_000_000, index, Step::Connect);
        };
        let head = format!("GET /any HTTP/1.0\r\nx-sessioncookie: c{}\r\n\r\n", get.0);
        let get_at = self.around.soon(HEAD_NANOS_MAX);
        self.agenda.push(get_at, Event::Arrive(get, head.into_bytes()));
        self.around.note(&format!("client {index} tunnels by {get:?} and {post:?}"));
        let client = &mut self.clients[index];
        let stalled_at = (!client.is_reading).then_some(self.around.now);
        let mut line = Line::new(get, stalled_at);
        (line.post, line.post_at, line.sent_until) = (Some(post), at, at);
        client.line = Some(line);
        self.step_in(300_000_000, index, Step::Act);
    }

    /// Base64 of what a client says, by which connection, and not before when.
    pub(super) fn enter_tunnel(
        &mut self,
        index: usize,
        bytes: &[u8],
    ) -> Option<(ConnectionId, Vec<u8>, MonoTime)> {
        let line = self.clients[index].line.as_ref()?;
        let (get, mut post, mut from, at) = (line.id, line.post?, line.sent_until, line.post_at);
        let is_noise = line.fault == Some(Fault::Unreadable)
            && line.asked.back().is_some_and(|asked| asked.cseq.is_none());
        let encoded =
            if is_noise { bytes.to_vec() } else { BASE64_STANDARD.encode(bytes).into_bytes() };
        if self.around.random.u8(..REOPENED_ONE_IN) == 0
            && let Some((next, at)) = self.open_post(index, get, at)
        {
            self.around.note(&format!("client {index} goes on by {next:?}"));
            // The next one's bytes may overtake the end of this one's.
            let end = MonoTime(from.max(self.around.now).0 + self.around.random.u64(..8_000_000));
            self.agenda.push(end, Event::HungUp(post));
            (post, from) = (next, at);
            if let Some(line) = &mut self.clients[index].line {
                (line.post, line.post_at) = (Some(next), at);
            }
        }
        Some((post, encoded, from))
    }

    /// A POST of the tunnel, and when its head is there: behind that of the one before, or the
    /// server takes it for the earlier. `None` if it may not stay.
    fn open_post(
        &mut self,
        index: usize,
        get: ConnectionId,
        before: MonoTime,
    ) -> Option<(ConnectionId, MonoTime)> {
        let post = self.open_half(index, 1 << 10)?;
        let head = format!(
            "POST /any HTTP/1.0\r\nx-sessioncookie: c{}\r\nContent-Length: 32767\r\n\r\n",
            get.0
        );
        let at = self.around.soon(HEAD_NANOS_MAX).max(MonoTime(before.0 + 1));
        self.agenda.push(at, Event::Arrive(post, head.into_bytes()));
        Some((post, at))
    }

    fn open_half(&mut self, index: usize, room: usize) -> Option<ConnectionId> {
        let id = ConnectionId(self.connections_made);
        self.connections_made += 1;
        self.around.net.pipes.insert(id, Pipe::new(room));
        let peer = SocketAddr::new(self.clients[index].address, 40_000);
        let Self { control, around, agenda, .. } = self;
        if control.accept(around, agenda, id, peer).is_ok() {
            return Some(id);
        }
        assert!(self.is_tight || self.is_draining, "a connection was refused");
        self.around.net.pipes.remove(&id);
        None
    }

    /// What of these bytes is RTSP: the response to the GET goes before it.
    pub(super) fn leave_tunnel(&mut self, id: ConnectionId, bytes: Vec<u8>) -> Vec<u8> {
        let Some(head) = self.heads.get_mut(&id) else { return bytes };
        head.extend(bytes);
        let Some(end) = head.windows(4).position(|bytes| bytes == b"\r\n\r\n") else {
            return Vec::new();
        };
        assert!(head.starts_with(b"HTTP/1.0 200 OK\r\n"), "{}", String::from_utf8_lossy(head));
        let rest = head.split_off(end + 4);
        self.heads.remove(&id);
        rest
    }
}
