//! A second connection to a client's sessions, which plays and pauses them whenever the client
//! does something.

use super::net::Pipe;
use super::rtsp_client::url;
use super::rtsp_session::Life;
use super::whole::{Event, Whole};
use crate::mailbox::ConnectionId;
use std::net::SocketAddr;

/// Soon enough after the client's own request to meet it on its way, in nanoseconds.
const DELAY_NANOS_MAX: u64 = 60_000_000;

/// Who else controls the sessions of a client.
#[derive(Debug, Default)]
pub(super) struct Remote {
    connection: Option<ConnectionId>,
    cseq: u32,
}

impl Whole {
    /// The remote of a client, if it has one, will do something.
    pub(super) fn remote_soon(&mut self, client: usize) {
        if self.clients[client].remote.is_some() {
            let at = self.around.soon(DELAY_NANOS_MAX);
            self.agenda.push(at, Event::Remote(client));
        }
    }

    /// The remote of a client asks something, or comes, or goes.
    pub(super) fn act_remotely(&mut self, index: usize) {
        let client = &mut self.clients[index];
        let Some(remote) = &mut client.remote else { return };
        let is_closed = |id: &mut ConnectionId| self.around.net.pipes[id].is_closed;
        if let Some(id) = remote.connection.take_if(is_closed) {
            assert!(self.is_draining, "{id:?} was closed for nothing");
        }
        let Some(id) = remote.connection else { return self.connect_remotely(index) };
        if client.is_gone || self.around.random.u8(..10) == 0 {
            remote.connection = None;
            let at = self.around.soon(2_000_000);
            return self.agenda.push(at, Event::HungUp(id));
        }
        let mut alive = client.sessions.iter().filter(|session| session.life == Life::Alive);
        let Some(session) = alive.next_back() else { return };
        let random = &mut self.around.random;
        let (method, range) = match random.u8(..8) {
            0 => ("PAUSE", None),
            1 | 2 => ("PLAY", None),
            _ => ("PLAY", Some(random.u8(..3))),
        };
        remote.cseq += 1;
        let (cseq, url, session) = (remote.cseq, url(session.title, None), &session.id);
        let mut text = format!("{method} {url} RTSP/1.0\r\nCSeq: {cseq}\r\nSession: {session}\r\n");
        if let Some(start) = range {
            text += &format!("Range: npt={start}-\r\nSeek-Style: RAP\r\n");
        }
        text += "\r\n";
        self.around.note(&format!("remote {index} says {text:?}"));
        self.agenda.push(self.around.now, Event::Arrive(id, text.into_bytes()));
    }

    fn connect_remotely(&mut self, index: usize) {
        if self.clients[index].is_gone {
            return;
        }
        let id = ConnectionId(self.connections_made);
        self.connections_made += 1;
        self.around.net.pipes.insert(id, Pipe::new(64 << 10));
        let peer = SocketAddr::new(self.clients[index].address, 50_000);
        let Self { control, around, agenda, .. } = self;
        if control.accept(around, agenda, id, peer).is_ok() {
            self.clients[index].remote = Some(Remote { connection: Some(id), cseq: 0 });
        } else {
            assert!(self.is_tight || self.is_draining, "a connection was refused");
            self.around.net.pipes.remove(&id);
        }
    }
}
