//! Control and its sockets, as the control thread's shell runs them: a connection has one operation
//! under way, which is never dropped.

use super::catalog;
use super::mail::Lanes;
use super::net::Pipe;
use super::surroundings::{Surroundings, WALLCLOCK};
use super::whole::{Agenda, Event};
use crate::clock::MonoTime;
use crate::config::Config;
use crate::control::{Control, Effect, Port, Unread};
use crate::mailbox::{AdoptedConnection, Command, ConnectionId};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

/// Read at once.
const READ_BYTES_MAX: usize = 2048;
/// How soon a write that found no room tries again, in nanoseconds.
const FULL_RETRY: u64 = 3_000_000;

/// What the task of a connection is doing.
#[derive(Debug)]
enum Doing {
    Nothing,
    Reading,
    Writing { bytes: Bytes, written: usize },
}

#[derive(Debug)]
struct Socket {
    doing: Doing,
    is_closing: bool,
}

/// Control under simulation.
#[derive(Debug)]
pub(super) struct ControlShell {
    control: Control,
    sockets: BTreeMap<ConnectionId, Socket>,
    commands: Lanes,
    /// Every shard has drained.
    pub(super) is_drained: bool,
}

impl ControlShell {
    pub(super) fn new(config: Config, shard_count: usize, seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let random = Box::new(move || random.u128(..));
        Self {
            control: Control::new(Arc::new(config), shard_count, random).with_wallclock(WALLCLOCK),
            sockets: BTreeMap::new(),
            commands: Lanes::new(shard_count),
            is_drained: false,
        }
    }

    pub(super) fn deadline(&self) -> Option<MonoTime> {
        self.control.deadline()
    }

    /// Whether everything was given back; says what was not.
    pub(super) fn check_empty(&self) -> Result<(), String> {
        match self.sockets.len() {
            // What shards that have ended were asked for stays unanswered.
            0 if self.is_drained => Ok(()),
            0 => self.control.check_empty(),
            count => Err(format!("{count} sockets left")),
        }
    }

    /// A client has connected. If it may not stay, what it is told.
    pub(super) fn accept(
        &mut self,
        around: &mut Surroundings,
        agenda: &mut Agenda,
        id: ConnectionId,
        peer: SocketAddr,
    ) -> Result<(), Bytes> {
        let local = SocketAddr::from(([127, 0, 0, 1], 8554));
        self.control.connected(around.now, id, peer, local, Port::Rtsp)?;
        self.sockets.insert(id, Socket { doing: Doing::Nothing, is_closing: false });
        self.proceed(around, agenda, id);
        Ok(())
    }

    /// Tells control what happened, and does what it says.
    pub(super) fn drive(
        &mut self,
        around: &mut Surroundings,
        agenda: &mut Agenda,
        input: impl FnOnce(&mut Control, MonoTime, &mut Vec<Effect>),
    ) {
        let mut effects = Vec::new();
        input(&mut self.control, around.now, &mut effects);
        for effect in effects {
            self.perform(around, agenda, effect);
        }
        let ids: Vec<ConnectionId> = self.sockets.keys().copied().collect();
        for id in ids {
            self.proceed(around, agenda, id);
        }
    }

    fn perform(&mut self, around: &mut Surroundings, agenda: &mut Agenda, effect: Effect) {
        match effect {
            Effect::Write { connection, bytes } => {
                let Some(socket) = self.sockets.get_mut(&connection) else { return };
                assert!(matches!(socket.doing, Doing::Nothing), "one operation at a time");
                socket.doing = Doing::Writing { bytes, written: 0 };
                agenda.push(around.soon(200_000), Event::Write(connection));
            }
            Effect::Ask { connection, bytes } => {
                let Some(socket) = self.sockets.get(&connection) else { return };
                assert!(!matches!(socket.doing, Doing::Writing { .. }), "nothing is being written");
                let pipe = pipe(around, connection);
                if pipe.has_room(bytes.len()) {
                    pipe.write(&bytes);
                }
            }
            // Every connection goes on after every input, if it can.
            Effect::Resume { .. } => {}
            Effect::Close { connection } => {
                let Some(socket) = self.sockets.get_mut(&connection) else { return };
                assert!(!socket.is_closing, "closed once");
                socket.is_closing = true;
                agenda.push(around.soon(100_000), Event::Closed(connection));
            }
            Effect::Adopt { connection, shard, peer, unparsed, direction } => {
                let Some(socket) = self.sockets.remove(&connection) else { return };
                assert!(matches!(socket.doing, Doing::Nothing), "nothing is under way");
                let id = connection;
                let adopted = AdoptedConnection { id, socket: None, peer, unparsed, direction };
                self.send(around, agenda, shard, Command::Adopt(adopted));
            }
            Effect::Command { shard, command } => self.send(around, agenda, shard, command),
            Effect::OpenTitle(request) => {
                let result = catalog::open(around, &request.name);
                agenda.push(around.soon(30_000_000), Event::Opened(request.token, result));
            }
            Effect::ShowCounters { .. } => {}
            Effect::Drained => {
                assert!(!self.is_drained, "drained once");
                self.is_drained = true;
            }
        }
    }

    fn send(
        &mut self,
        around: &mut Surroundings,
        agenda: &mut Agenda,
        shard: usize,
        command: Command,
    ) {
        let at = self.commands.arrival(around, shard);
        agenda.push(at, Event::Command(shard, command));
    }

    /// The connection's task goes on, if it can: reads what is there, or notices the end.
    pub(super) fn proceed(
        &mut self,
        around: &mut Surroundings,
        agenda: &mut Agenda,
        id: ConnectionId,
    ) {
        let Some(socket) = self.sockets.get_mut(&id) else { return };
        if socket.is_closing {
            return;
        }
        if matches!(socket.doing, Doing::Nothing) && self.control.wants_read(id) {
            socket.doing = Doing::Reading;
        }
        let pipe = pipe(around, id);
        if matches!(socket.doing, Doing::Nothing)
            && let Some(unread) = self.control.wants_end(id)
        {
            if unread == Unread::Drop {
                pipe.input.clear();
            }
            if pipe.input.is_empty() && pipe.is_broken {
                self.closed(around, agenda, id);
            }
            return;
        }
        if !matches!(socket.doing, Doing::Reading) {
            return;
        }
        if pipe.input.is_empty() {
            if pipe.is_broken {
                self.closed(around, agenda, id);
            }
            return;
        }
        let count = pipe.input.len().min(READ_BYTES_MAX);
        let bytes: Vec<u8> = pipe.input.drain(..count).collect();
        socket.doing = Doing::Nothing;
        self.drive(around, agenda, |control, now, effects| {
            control.received(now, id, &bytes, effects);
        });
    }

    /// The kernel takes some of what a connection writes.
    pub(super) fn write(
        &mut self,
        around: &mut Surroundings,
        agenda: &mut Agenda,
        id: ConnectionId,
    ) {
        let Some(socket) = self.sockets.get_mut(&id) else { return };
        let Doing::Writing { bytes, written } = &mut socket.doing else { return };
        if socket.is_closing {
            return;
        }
        let part = around.random.usize(1..=bytes.len() - *written);
        let pipe = pipe(around, id);
        if pipe.is_broken {
            return self.closed(around, agenda, id);
        }
        let taken = pipe.write(&bytes[*written..*written + part]);
        *written += taken;
        if *written == bytes.len() {
            agenda.push(around.soon(300_000), Event::Written(id));
        } else {
            let again = if taken == 0 { around.after(FULL_RETRY) } else { around.soon(100_000) };
            agenda.push(again, Event::Write(id));
        }
    }

    /// A write has completed.
    pub(super) fn written(
        &mut self,
        around: &mut Surroundings,
        agenda: &mut Agenda,
        id: ConnectionId,
    ) {
        let Some(socket) = self.sockets.get_mut(&id) else { return };
        socket.doing = Doing::Nothing;
        self.drive(around, agenda, |control, now, effects| control.written(now, id, effects));
    }

    /// The connection's task ends.
    pub(super) fn closed(
        &mut self,
        around: &mut Surroundings,
        agenda: &mut Agenda,
        id: ConnectionId,
    ) {
        if self.sockets.remove(&id).is_some() {
            pipe(around, id).is_closed = true;
            self.drive(around, agenda, |control, now, effects| control.closed(now, id, effects));
        }
    }
}

fn pipe(around: &mut Surroundings, id: ConnectionId) -> &mut Pipe {
    around.net.pipes.get_mut(&id).expect("it was accepted")
}
