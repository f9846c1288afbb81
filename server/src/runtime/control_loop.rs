//! The control thread's shell: performs the effects of [`Control`] on tokio-uring.

use super::catalog_worker::CatalogWorker;
use super::connection_task::{ConnectionSlot, serve};
use crate::clock::{Clock, MonoTime};
use crate::config::Config;
use crate::control::{Control, Effect};
use crate::mailbox::{AdoptedConnection, Command, ConnectionId};
use crate::runtime::mailbox::ControlEnd;
use crate::uring::{Waker, socket_of};
use bytes::Bytes;
use socket2::{Domain, SockRef, Socket, Type};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fs::File;
use std::future::Future;
use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener};
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_uring::net::TcpStream;
use tracing::{info, warn};

/// What the operator asks for, as a byte on the stream that [`run`] reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Signal {
    /// Drain and end. So does the end of the stream.
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
/// # Errors
/// When the ring, a thread or a descriptor cannot be had at the start.
pub fn run(
    config: Arc<Config>,
    clock: Clock,
    listeners: Vec<TcpListener>,
    shards: Vec<ControlEnd>,
    signals: UnixStream,
) -> io::Result<()> {
    let worker = CatalogWorker::start()?;
    let drain_deadline = config.drain_deadline;
    let control = Control::new(config, shards.len(), Box::new(random_bits));
    let shell = Rc::new(Shell {
        clock,
        control: RefCell::new(control),
        connections: RefCell::new(BTreeMap::new()),
        connections_made: Cell::new(0),
        shards,
        worker,
        drain_began: Notify::new(),
        finished: Notify::new(),
        is_finished: Cell::new(false),
    });
    tokio_uring::start(serve_until_drained(Rc::clone(&shell), listeners, signals, drain_deadline))?;
    if let Ok(shell) = Rc::try_unwrap(shell).map_err(drop) {
        shell.worker.stop();
    }
    Ok(())
}

/// Everything that happens on the control thread goes through here.
pub(super) struct Shell {
    clock: Clock,
    control: RefCell<Control>,
    connections: RefCell<BTreeMap<ConnectionId, Rc<ConnectionSlot>>>,
    connections_made: Cell<u64>,
    shards: Vec<ControlEnd>,
    worker: CatalogWorker,
    drain_began: Notify,
    finished: Notify,
    is_finished: Cell<bool>,
}

impl Shell {
    /// Tells control what happened, and does what it says.
    pub(super) fn drive(&self, input: impl FnOnce(&mut Control, MonoTime, &mut Vec<Effect>)) {
        let mut effects = Vec::new();
        input(&mut self.control.borrow_mut(), self.clock.now(), &mut effects);
        for effect in effects {
            self.perform(effect);
        }
    }

    pub(super) fn wants_read(&self, id: ConnectionId) -> bool {
        self.control.borrow().wants_read(id)
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
            Effect::Close { connection } => {
                if let Some(slot) = self.connection(connection) {
                    slot.close();
                }
            }
            Effect::Adopt { connection, shard, unparsed } => {
                self.hand_over(connection, shard, unparsed);
            }
            Effect::Command { shard, command } => self.shards[shard].send(command),
            Effect::OpenTitle(request) => self.worker.ask(request),
            Effect::ShowCounters { shard, counters } => info!(shard, ?counters, "counters"),
            Effect::Drained => self.finish(),
        }
    }

    fn connection(&self, id: ConnectionId) -> Option<Rc<ConnectionSlot>> {
        self.connections.borrow().get(&id).cloned()
    }

    /// Gives the connection's socket to a shard.
    fn hand_over(&self, id: ConnectionId, shard: usize, unparsed: Bytes) {
        let Some(slot) = self.connection(id) else { return };
        match slot.hand_over() {
            Ok((socket, peer)) => {
                let socket = Some(socket);
                let adopted = AdoptedConnection { id, socket, peer, unparsed };
                self.shards[shard].send(Command::Adopt(adopted));
            }
            Err(error) => {
                warn!(connection = id.0, %error, "connection cannot be handed over");
                slot.close();
            }
        }
    }

    /// Lets a connection in. The stream is closed by its drop if control does not want it.
    fn accept(self: &Rc<Self>, stream: TcpStream, peer: SocketAddr) {
        let socket = socket_of(&stream);
        let socket = SockRef::from(&socket);
        let Some(local) = socket.local_addr().ok().and_then(|local| local.as_socket()) else {
            return; // the client has closed it already
        };
        // Replies are small and whole; waiting to fill a packet would only delay them.
        let _ = stream.set_nodelay(true);
        let id = ConnectionId(self.connections_made.get());
        self.connections_made.set(id.0 + 1);
        let now = self.clock.now();
        if !self.control.borrow_mut().connected(now, id, peer, local) {
            return;
        }
        let slot = Rc::new(ConnectionSlot::new(stream, peer));
        self.connections.borrow_mut().insert(id, Rc::clone(&slot));
        tokio_uring::spawn(serve(Rc::clone(self), id, slot));
    }

    fn finish(&self) {
        self.is_finished.set(true);
        self.finished.notify_one();
    }
}

async fn serve_until_drained(
    shell: Rc<Shell>,
    listeners: Vec<TcpListener>,
    signals: UnixStream,
    drain_deadline: Duration,
) -> io::Result<()> {
    let mut tasks = Vec::new();
    let mut wakers = vec![shell.worker.waker.clone()];
    tasks.push(watch(&shell, &shell.worker.waker, Shell::take_answers)?);
    for (shard, end) in shell.shards.iter().enumerate() {
        wakers.push(end.waker().clone());
        tasks.push(watch(&shell, end.waker(), move |shell| shell.take_reports(shard))?);
    }
    let mut accepting = Vec::new();
    for listener in &listeners {
        let task = accept_all(Rc::clone(&shell), listener.try_clone()?);
        accepting.push(tokio_uring::spawn(task));
    }
    let signal_stream = signals.try_clone()?;
    tasks.push(tokio_uring::spawn(read_signals(Rc::clone(&shell), signals)));
    let ticking = tokio_uring::spawn(tick(Rc::clone(&shell)));

    shell.drain_began.notified().await;
    for listener in &listeners {
        // Completes the accept in flight.
        SockRef::from(listener).shutdown(Shutdown::Both)?;
    }
    join(accepting).await;
    // A timer and a notification are no operations of the ring: they may be dropped.
    if tokio::time::timeout(drain_deadline, shell.finished.notified()).await.is_err() {
        warn!("the drain exceeded its deadline");
        shell.finish();
    }
    let open: Vec<_> = shell.connections.borrow().values().cloned().collect();
    for slot in open {
        slot.close();
    }
    while !shell.connections.borrow().is_empty() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    signal_stream.shutdown(Shutdown::Both)?;
    for waker in wakers {
        waker.wake();
    }
    tasks.push(ticking);
    join(tasks).await;
    Ok(())
}
