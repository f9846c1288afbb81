//! The control thread's shell: performs the effects of [`Control`] on tokio-uring.

use super::catalog_worker::{CatalogWorkers, Opening};
use super::connection_task::{ConnectionSlot, serve};
use super::logs::show_counters;
use super::mailbox_queue::ControlEnd;
use super::tide::Tide;
use crate::clock::{Clock, MonoTime};
use crate::config::Config;
use crate::control::{Control, Effect, Port, Unread};
use crate::limits::CONNECTION_PROBES;
use crate::mailbox::{AdoptedConnection, Command, ConnectionId};
use crate::uring::{Waker, path_mtu, socket_of};
use socket2::{Domain, SockRef, Socket, TcpKeepalive, Type};
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener};
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_uring::net::TcpStream;
use tracing::{error, warn};

/// What the operator asks for, as a byte on the stream that [`run`] reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Signal {
    /// Let nothing new in, and end with the last session or at the drain deadline.
    Retire = b'r',
    /// End every session, and then the program. So does the end of the stream.
    Drain = b'd',
    /// Log every shard's counters.
    ShowCounters = b'c',
}

/// Binds the addresses that control listens on.
///
/// # Errors
/// What the kernel said, with the address.
pub fn bind(addresses: &[SocketAddr]) -> io::Result<Vec<TcpListener>> {
    let bind_one = |address: &SocketAddr| {
        let socket = Socket::new(Domain::for_address(*address), Type::STREAM, None)?;
        socket.set_reuse_address(true)?;
        if address.is_ipv6() {
            // So that 0.0.0.0 and [::] can be listened on side by side.
            socket.set_only_v6(true)?;
        }
        // What is accepted has these from the listener. A reply is one write; waiting to fill a
        // packet would only delay it.
        socket.set_tcp_nodelay(true)?;
        let (time, interval, retries) = CONNECTION_PROBES;
        let probes = TcpKeepalive::new().with_time(time).with_interval(interval);
        socket.set_tcp_keepalive(&probes.with_retries(retries))?;
        socket.bind(&(*address).into())?;
        socket.listen(LISTEN_BACKLOG)?;
        Ok(TcpListener::from(socket))
    };
    addresses
        .iter()
        .map(|address| {
            bind_one(address).map_err(|error: io::Error| {
                io::Error::new(error.kind(), format!("cannot listen on {address}: {error}"))
            })
        })
        .collect()
}

/// Runs control on this thread until it has drained.
///
/// `waker` is the one that the shards' mailboxes wake.
///
/// # Errors
/// When the ring, a thread or a descriptor cannot be had at the start, or a shard has ended.
pub fn run(
    config: Arc<Config>,
    clock: Clock,
    listeners: Vec<(TcpListener, Port)>,
    shards: Vec<ControlEnd>,
    waker: Waker,
    signals: UnixStream,
) -> io::Result<()> {
    let opening = Opening::of(&config);
    let workers = CatalogWorkers::start(waker.clone(), opening)?;
    let drain_deadline = config.drain_deadline;
    let sends_elsewhere = config.redirect_to.is_some();
    let control =
        Control::new(config, shards.len(), Box::new(random_bits)).with_wallclock(clock.wallclock());
    let shell = Rc::new(Shell {
        clock,
        control: RefCell::new(control),
        connections: RefCell::new(BTreeMap::new()),
        connections_made: Cell::new(0),
        backlogs: RefCell::new(shards.iter().map(|_| VecDeque::new()).collect()),
        shards,
        workers,
        ending_began: Notify::new(),
        finished: Notify::new(),
        stage: Cell::new(Stage::Serving),
        sends_elsewhere,
    });
    let served = serve_until_drained(Rc::clone(&shell), listeners, waker, signals, drain_deadline);
    let result = tokio_uring::start(served);
    if let Some(shell) = Rc::into_inner(shell) {
        shell.workers.stop();
    }
    result
}

/// Everything that happens on the control thread goes through here.
pub(super) struct Shell {
    clock: Clock,
    control: RefCell<Control>,
    connections: RefCell<BTreeMap<ConnectionId, Rc<ConnectionSlot>>>,
    connections_made: Cell<u64>,
    shards: Vec<ControlEnd>,
    /// Commands that wait for room in a shard's queue. Few can: a connection has one request under
    /// way.
    backlogs: RefCell<Vec<VecDeque<Command>>>,
    workers: CatalogWorkers,
    ending_began: Notify,
    finished: Notify,
    stage: Cell<Stage>,
    /// Who comes while it retires is told where to go, instead of being kept out.
    sends_elsewhere: bool,
}

/// How far the control thread has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Serving,
    /// No new sessions; those there are may play on until the drain deadline.
    Retiring,
    /// Shards end their sessions.
    Draining,
    Finished,
    /// A shard has ended by itself, which it must not.
    Failed,
}

impl Shell {
    /// Tells control what happened, and does what it says.
    pub(super) fn drive(&self, input: impl FnOnce(&mut Control, MonoTime, &mut Vec<Effect>)) {
        let mut effects = Vec::new();
        input(&mut self.control.borrow_mut(), self.clock.now(), &mut effects);
        for effect in effects {
            self.perform(effect);
        }
        if self.stage.get() == Stage::Retiring && self.control.borrow().session_count() == 0 {
            self.drain();
        }
    }

    pub(super) fn wants_read(&self, id: ConnectionId) -> bool {
        self.control.borrow().wants_read(id)
    }

    pub(super) fn wants_end(&self, id: ConnectionId) -> Option<Unread> {
        self.control.borrow().wants_end(id)
    }

    pub(super) fn forget(&self, id: ConnectionId) {
        self.connections.borrow_mut().remove(&id);
    }

    fn perform(&self, effect: Effect) {
        match effect {
            Effect::Write { connection, bytes } => {
                if let Some(slot) = self.connection(connection) {
                    slot.write(bytes);
                }
            }
            Effect::Ask { connection, bytes } => {
                if let Some(slot) = self.connection(connection) {
                    slot.ask(&bytes);
                }
            }
            Effect::Resume { connection } => {
                if let Some(slot) = self.connection(connection) {
                    slot.resume();
                }
            }
            Effect::Close { connection } => {
                if let Some(slot) = self.connection(connection) {
                    slot.close();
                }
            }
            Effect::Adopt { connection: id, shard, peer, unparsed, direction } => {
                let adopted = AdoptedConnection { id, socket: None, peer, unparsed, direction };
                self.hand_over(shard, adopted);
            }
            Effect::Command { shard, command } => self.send(shard, command),
            Effect::OpenTitle(request) => self.workers.ask(request),
            Effect::ShowCounters { shard, counters } => show_counters(shard, &counters),
            Effect::Drained => self.finish(Stage::Finished),
        }
    }

    fn connection(&self, id: ConnectionId) -> Option<Rc<ConnectionSlot>> {
        self.connections.borrow().get(&id).cloned()
    }

    /// Commands reach a shard in the order they were given, whether its queue is full or not.
    fn send(&self, shard: usize, command: Command) {
        self.backlogs.borrow_mut()[shard].push_back(command);
        self.flush(shard);
    }

    fn flush(&self, shard: usize) {
        let backlog = &mut self.backlogs.borrow_mut()[shard];
        while let Some(command) = backlog.pop_front() {
            if let Err(command) = self.shards[shard].try_send(command) {
                return backlog.push_front(command);
            }
        }
    }

    /// Gives the connection's socket to a shard.
    fn hand_over(&self, shard: usize, adopted: AdoptedConnection) {
        let Some(slot) = self.connection(adopted.id) else { return };
        match slot.hand_over() {
            Ok(socket) => {
                let socket = Some(socket);
                self.send(shard, Command::Adopt(AdoptedConnection { socket, ..adopted }));
            }
            Err(error) => {
                warn!(connection = adopted.id.0, %error, "connection cannot be handed over");
                slot.close();
            }
        }
    }

    /// Lets a connection in, or says why not; the drop of the stream closes it then.
    fn accept(self: &Rc<Self>, stream: TcpStream, peer: SocketAddr, port: Port) {
        let local = SockRef::from(&socket_of(&stream)).local_addr();
        let Some(local) = local.ok().and_then(|local| local.as_socket()) else { return };
        let id = ConnectionId(self.connections_made.get());
        self.connections_made.set(id.0 + 1);
        let now = self.clock.now();
        let connected = self.control.borrow_mut().connected(now, id, peer, local, port);
        match connected {
            Ok(()) => {
                if let Ok(bytes) = path_mtu(socket_of(&stream), peer.is_ipv6()) {
                    self.control.borrow_mut().path_measured(id, bytes);
                }
                let slot = Rc::new(ConnectionSlot::new(stream));
                self.connections.borrow_mut().insert(id, Rc::clone(&slot));
                tokio_uring::spawn(serve(Rc::clone(self), id, slot));
            }
            Err(refusal) => {
                // The socket is new: it takes this at once, or has failed.
                let _ = SockRef::from(&socket_of(&stream)).send(&refusal);
            }
        }
    }

    /// Takes what shards and catalog worker have answered.
    fn take_answers(&self) {
        while let Some((token, result)) = self.workers.answer() {
            self.drive(|control, now, effects| control.title_opened(now, token, result, effects));
        }
        for (shard, end) in self.shards.iter().enumerate() {
            // Looked at before the last reports are taken: one of them may say that it was right.
            let has_ended = end.is_closed();
            while let Some(report) = end.receive() {
                self.drive(|control, now, effects| control.report(now, shard, report, effects));
            }
            self.flush(shard);
            if has_ended && !self.is_finished() && !self.control.borrow().has_drained(shard) {
                error!(shard, "shard has ended by itself");
                self.finish(Stage::Failed);
            }
        }
    }

    /// Begins to end: nothing new is let in, and with the last session the server ends.
    fn retire(&self) {
        if self.stage.get() == Stage::Serving {
            self.stage.set(Stage::Retiring);
            self.ending_began.notify_one();
            self.drive(|control, _, effects| control.retire(effects));
        }
    }

    /// Ends every session.
    fn drain(&self) {
        if matches!(self.stage.get(), Stage::Serving | Stage::Retiring) {
            self.stage.set(Stage::Draining);
            self.ending_began.notify_one();
            self.drive(|control, _, effects| control.drain(effects));
        }
    }

    fn finish(&self, stage: Stage) {
        self.stage.set(stage);
        self.ending_began.notify_one();
        self.finished.notify_one();
    }

    /// Whether connections are accepted.
    fn lets_in(&self) -> bool {
        match self.stage.get() {
            Stage::Serving => true,
            Stage::Retiring => self.sends_elsewhere,
            Stage::Draining | Stage::Finished | Stage::Failed => false,
        }
    }

    fn is_finished(&self) -> bool {
        matches!(self.stage.get(), Stage::Finished | Stage::Failed)
    }
}

async fn serve_until_drained(
    shell: Rc<Shell>,
    mut listeners: Vec<(TcpListener, Port)>,
    waker: Waker,
    signals: UnixStream,
    drain_deadline: Duration,
) -> io::Result<()> {
    let ending = signals.try_clone()?;
    let mut accepting = Vec::new();
    for (listener, port) in &listeners {
        let task = accept_all(Rc::clone(&shell), listener.try_clone()?, *port);
        accepting.push(tokio_uring::spawn(task));
    }
    let wakes = tokio_uring::fs::File::from_std(File::from(waker.descriptor()?));
    let watching = tokio_uring::spawn(watch(Rc::clone(&shell), wakes));
    let listening = tokio_uring::spawn(read_signals(Rc::clone(&shell), signals));
    let ticking = tokio_uring::spawn(tick(Rc::clone(&shell)));

    shell.ending_began.notified().await;
    if !shell.lets_in() {
        close(&mut listeners, &mut accepting).await?;
    }
    // A timer and a notification are no operations of the ring: they may be dropped.
    if tokio::time::timeout(drain_deadline, shell.finished.notified()).await.is_err() {
        shell.drain();
        if tokio::time::timeout(BYE_DEADLINE, shell.finished.notified()).await.is_err() {
            warn!("a shard did not end its sessions in time");
            shell.finish(Stage::Finished);
        }
    }
    close(&mut listeners, &mut accepting).await?;
    let open: Vec<_> = shell.connections.borrow().values().cloned().collect();
    for slot in open {
        slot.close();
    }
    while !shell.connections.borrow().is_empty() {
        tokio::time::sleep(CLOSE_CHECK_INTERVAL).await;
    }
    // Both complete what is in flight.
    ending.shutdown(Shutdown::Both)?;
    waker.wake();
    join(vec![watching, listening, ticking]).await;
    if shell.stage.get() == Stage::Failed {
        return Err(io::Error::other("a shard has ended by itself"));
    }
    Ok(())
}

/// Stops listening.
async fn close(
    listeners: &mut Vec<(TcpListener, Port)>,
    accepting: &mut Vec<JoinHandle<()>>,
) -> io::Result<()> {
    for (listener, _) in listeners.drain(..) {
        // Completes the accept in flight.
        SockRef::from(&listener).shutdown(Shutdown::Both)?;
    }
    join(std::mem::take(accepting)).await;
    Ok(())
}

/// Accepts connections until the listener is shut down.
async fn accept_all(shell: Rc<Shell>, listener: TcpListener, port: Port) {
    let listener = tokio_uring::net::TcpListener::from_std(listener);
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => shell.accept(stream, peer, port),
            Err(_) if !shell.lets_in() => break,
            Err(error) => {
                // Out of descriptors, or the client was faster than its accept.
                warn!(%error, "connection cannot be accepted");
                tokio::time::sleep(ACCEPT_RETRY_INTERVAL).await;
            }
        }
    }
}

/// Takes answers whenever there are some.
async fn watch(shell: Rc<Shell>, wakes: tokio_uring::fs::File) {
    let mut count = vec![0; 8];
    while !shell.is_finished() {
        let result;
        (result, count) = wakes.read_at(count, 0).await;
        if let Err(error) = result
            && error.kind() != io::ErrorKind::Interrupted
        {
            error!(%error, "control cannot be woken");
            shell.finish(Stage::Failed);
            break;
        }
        shell.take_answers();
    }
}

/// Does what the operator asks for.
async fn read_signals(shell: Rc<Shell>, signals: UnixStream) {
    let signals = tokio_uring::net::UnixStream::from_std(signals);
    let mut byte = vec![0; 1];
    loop {
        let result;
        (result, byte) = signals.read(byte).await;
        match result {
            Ok(0) | Err(_) => break shell.drain(),
            Ok(_) if byte[0] == Signal::ShowCounters as u8 => {
                shell.drive(|control, _, effects| control.snapshot(effects));
            }
            Ok(_) if byte[0] == Signal::Retire as u8 => shell.retire(),
            Ok(_) => shell.drain(),
        }
    }
}

/// Has control look at its deadlines. They are seconds long, so looking now and then is enough.
async fn tick(shell: Rc<Shell>) {
    let mut tide = Tide::default();
    while !shell.is_finished() {
        tokio::time::sleep(TICK_INTERVAL).await;
        let sessions = shell.control.borrow().session_count();
        tide.watch(shell.connections.borrow().len() + sessions);
        shell.drive(|control, now, effects| control.advance(now, effects));
        for shard in 0..shell.shards.len() {
            shell.flush(shard);
        }
    }
}

/// Waits for tasks to end. A task's panic is the process's.
async fn join(tasks: Vec<JoinHandle<()>>) {
    for task in tasks {
        task.await.expect("a task of control neither panics nor is aborted");
    }
}

fn random_bits() -> u128 {
    let mut bits = [0; 16];
    getrandom::fill(&mut bits).expect("the kernel has random bits once it has booted");
    u128::from_ne_bytes(bits)
}

/// Connections that wait to be accepted; the kernel cuts it to `net.core.somaxconn`.
const LISTEN_BACKLOG: i32 = 4096;
/// How often deadlines are looked at.
const TICK_INTERVAL: Duration = Duration::from_millis(100);
/// How long to wait when no connection can be accepted.
const ACCEPT_RETRY_INTERVAL: Duration = Duration::from_millis(100);
/// How long shards may take to end their sessions.
const BYE_DEADLINE: Duration = Duration::from_secs(5);
/// How often to look whether all connections have closed, at the end.
const CLOSE_CHECK_INTERVAL: Duration = Duration::from_millis(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_accepted_has_the_options_of_its_listener() {
        let listeners = bind(&[SocketAddr::from(([127, 0, 0, 1], 0))]).unwrap();
        let address = listeners[0].local_addr().unwrap();
        let _client = std::net::TcpStream::connect(address).unwrap();
        let (accepted, _) = listeners[0].accept().unwrap();
        let socket = SockRef::from(&accepted);
        let (time, interval, retries) = CONNECTION_PROBES;
        assert!(socket.tcp_nodelay().unwrap() && socket.keepalive().unwrap());
        assert_eq!(socket.tcp_keepalive_time().unwrap(), time);
        assert_eq!(socket.tcp_keepalive_interval().unwrap(), interval);
        assert_eq!(socket.tcp_keepalive_retries().unwrap(), retries);
    }
}
