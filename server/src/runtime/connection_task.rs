//! A connection on the control thread: one task that reads and writes it, one operation at a time.
//!
//! An operation in flight is never dropped (tokio-uring would lose its bytes, or its descriptor):
//! nothing races with it, and what must end it shuts the socket down, which completes it.

use super::control_loop::Shell;
use crate::control::Unread;
use crate::mailbox::ConnectionId;
use crate::uring::{readiness_of, socket_of};
use bytes::Bytes;
use socket2::SockRef;
use std::cell::{Cell, RefCell};
use std::io;
use std::mem::MaybeUninit;
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio_uring::net::TcpStream;

/// What the task and those who steer it share.
pub(super) struct ConnectionSlot {
    stream: TcpStream,
    write: RefCell<Option<Bytes>>,
    end: Cell<Option<End>>,
    wake: Notify,
}

/// Why the task ends before the client closes the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// Control said so.
    Closed,
    /// A shard has the socket.
    Adopted,
}

impl ConnectionSlot {
    pub(super) fn new(stream: TcpStream) -> Self {
        Self { stream, write: RefCell::new(None), end: Cell::new(None), wake: Notify::new() }
    }

    /// Has the task write this; it is writing nothing.
    pub(super) fn write(&self, bytes: Bytes) {
        *self.write.borrow_mut() = Some(bytes);
        self.wake.notify_one();
    }

    /// Writes this at once, beside a read that may be in flight: nothing is being written. Where
    /// there is no room for it, it is not written.
    pub(super) fn ask(self: &Rc<Self>, bytes: &[u8]) {
        let sent = SockRef::from(&socket_of(&self.stream))
            .send_with_flags(bytes, libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL);
        if sent.is_ok_and(|count| count < bytes.len()) {
            // The rest cannot follow, so what does would not be RTSP.
            self.close();
        }
    }

    /// Has the task look again at what is wanted of it.
    pub(super) fn resume(&self) {
        self.wake.notify_one();
    }

    /// Ends the task, whatever it is doing, once the client has had the time to read what it was
    /// told: a socket that is closed with input that nobody has read resets the connection.
    pub(super) fn close(self: &Rc<Self>) {
        self.end.set(Some(End::Closed));
        // Completes a write in flight. It fails if the client was faster.
        let _ = self.stream.shutdown(Shutdown::Write);
        self.wake.notify_one();
        let slot = Rc::clone(self);
        tokio_uring::spawn(async move {
            tokio::time::sleep(LINGER).await;
            // Completes a read in flight.
            let _ = slot.stream.shutdown(Shutdown::Both);
        });
    }

    /// Reads what the client still sends, until it closes, too, or has had its share or its time.
    async fn drain(&self, mut buffer: Vec<u8>) {
        let mut left = UNREAD_BYTES_MAX;
        while left > 0 {
            let result;
            (result, buffer) = self.stream.read(buffer).await;
            match result {
                Ok(0) | Err(_) => return,
                Ok(count) => left = left.saturating_sub(count),
            }
        }
    }

    /// Another descriptor of the socket, for the shard that adopts it; the task, which has nothing
    /// in flight, ends and drops its own.
    pub(super) fn hand_over(&self) -> io::Result<OwnedFd> {
        let socket = socket_of(&self.stream).try_clone_to_owned()?;
        self.end.set(Some(End::Adopted));
        self.wake.notify_one();
        Ok(socket)
    }

    /// Waits until there is something to do, and reads nothing that is read later. False once the
    /// client has closed the connection.
    async fn watch(&self, unread: Unread) -> bool {
        // This is no operation of the ring: waiting for it may be dropped.
        let Ok(readiness) = readiness_of(&self.stream) else {
            // The end shows when something is written.
            self.wake.notified().await;
            return true;
        };
        loop {
            let mut ready = tokio::select! {
                () = self.wake.notified() => return true,
                ready = readiness.readable() => match ready {
                    Ok(ready) => ready,
                    Err(_) => return false,
                },
            };
            if self.end.get().is_some() {
                return true;
            }
            match self.look(unread) {
                Ok(0) => return false,
                Ok(_) if unread == Unread::Keep && ready.ready().is_read_closed() => {
                    // All is there, and stays so until somebody reads it.
                    self.wake.notified().await;
                    return true;
                }
                Ok(_) if unread == Unread::Keep => ready.clear_ready(),
                // Whoever sends much gets no more than his turn.
                Ok(_) => tokio::task::yield_now().await,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => ready.clear_ready(),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return false,
            }
        }
    }

    /// How much there is to read, up to a number; none at the end.
    fn look(&self, unread: Unread) -> io::Result<usize> {
        let flags = match unread {
            Unread::Drop => libc::MSG_DONTWAIT,
            Unread::Keep => libc::MSG_DONTWAIT | libc::MSG_PEEK,
        };
        let mut bytes = [MaybeUninit::uninit(); UNREAD_BYTES];
        SockRef::from(&socket_of(&self.stream)).recv_with_flags(&mut bytes, flags)
    }
}

/// Serves the connection until it closes or a shard adopts it.
pub(super) async fn serve(shell: Rc<Shell>, id: ConnectionId, slot: Rc<ConnectionSlot>) {
    let mut buffer = Vec::with_capacity(READ_BYTES);
    while slot.end.get().is_none() {
        let write = slot.write.borrow_mut().take();
        if let Some(bytes) = write {
            // Apart: the task of a connection that waits has no room for it.
            let (result, _) = Box::pin(slot.stream.write_all(Vec::from(bytes))).await;
            if result.is_err() {
                break;
            }
            shell.drive(|control, now, effects| control.written(now, id, effects));
        } else if shell.wants_read(id) {
            let result;
            (result, buffer) = slot.stream.read(buffer).await;
            match result {
                Ok(0) | Err(_) => break,
                Ok(count) => {
                    shell.drive(|control, now, effects| {
                        control.received(now, id, &buffer[..count], effects);
                    });
                    buffer = next_buffer(buffer, count);
                }
            }
        } else if let Some(unread) = shell.wants_end(id) {
            // Apart, like the above.
            if !Box::pin(slot.watch(unread)).await {
                break;
            }
        } else {
            slot.wake.notified().await;
        }
    }
    if slot.end.get() == Some(End::Closed) {
        // Apart, like the above.
        Box::pin(slot.drain(buffer)).await;
    }
    let is_adopted = slot.end.get() == Some(End::Adopted);
    shell.forget(id);
    if !is_adopted {
        shell.drive(|control, now, effects| control.closed(now, id, effects));
    }
}

/// What the next read goes into: where this one filled its buffer, more is on its way.
fn next_buffer(buffer: Vec<u8>, count: usize) -> Vec<u8> {
    match (count == buffer.capacity(), buffer.capacity() > READ_BYTES) {
        (true, false) => Vec::with_capacity(LONG_READ_BYTES),
        (false, true) => Vec::with_capacity(READ_BYTES),
        (true, true) | (false, false) => buffer,
    }
}

/// How long a client may take to close a connection that the server closes.
const LINGER: Duration = Duration::from_millis(300);
/// What it may send meanwhile.
const UNREAD_BYTES_MAX: usize = 256 * 1024;
/// Read at once; most requests are smaller, and an idle connection holds this much.
const READ_BYTES: usize = 256;
/// Read at once of what is longer.
const LONG_READ_BYTES: usize = 4096;
/// Read at once of what is dropped.
const UNREAD_BYTES: usize = 2048;
