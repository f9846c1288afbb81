//! Adopted connections by slot, each with a generation that tells it from earlier users of its
//! slot.

use super::path::is_answering;
use super::ring::{GENERATIONS, Key, Ring};
use super::sockets;
use crate::shard::operation::ConnectionSlot;
use socket2::Socket;
use std::io::Read;
use std::net::Shutdown;
use std::os::fd::{AsFd, OwnedFd};

/// The connections of a shard.
#[derive(Debug, Default)]
pub(super) struct Connections {
    slots: Vec<Slot>,
}

#[derive(Debug, Default)]
struct Slot {
    generation: u32,
    connection: Option<Connection>,
}

/// An adopted connection, as its shard's shell sees it.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) socket: Socket,
    /// Whether the shard wants input.
    pub(super) wants_input: bool,
    /// Whether a poll for input is under way.
    input_polled: bool,
    /// Whether a poll for output is under way.
    output_polled: bool,
    /// The batch that found its buffer full: nothing more of that batch may be sent.
    pub(super) full_in_batch: u64,
}

impl Connections {
    pub(super) fn open(&mut self, ring: &mut Ring, slot: ConnectionSlot, socket: OwnedFd) {
        let index = slot.0 as usize;
        if self.slots.len() <= index {
            self.slots.resize_with(index + 1, Slot::default);
        }
        let place = &mut self.slots[index];
        assert!(place.connection.is_none(), "{slot:?} is open already");
        place.generation = (place.generation + 1) % GENERATIONS;
        place.connection = Some(Connection {
            socket: sockets::adopt(socket),
            wants_input: true,
            input_polled: false,
            output_polled: false,
            full_in_batch: 0,
        });
        self.watch_input(ring, slot);
    }

    /// Closes the socket. Its polls hold it open until they are cancelled, which happens when the
    /// ring is next submitted.
    pub(super) fn close(&mut self, ring: &mut Ring, slot: ConnectionSlot) {
        let place = &mut self.slots[slot.0 as usize];
        let connection = place.connection.take().expect("only an open connection is closed");
        let generation = place.generation;
        drop_input(&connection.socket);
        if connection.input_polled {
            ring.cancel(Key::Input { slot: slot.0, generation });
        }
        if connection.output_polled {
            ring.cancel(Key::Output { slot: slot.0, generation });
        }
    }

    /// Polls for input, unless the shard wants none or a poll is under way.
    pub(super) fn watch_input(&mut self, ring: &mut Ring, slot: ConnectionSlot) {
        let (generation, Some(connection)) = self.slot(slot) else { return };
        if connection.wants_input && !connection.input_polled {
            connection.input_polled = true;
            let key = Key::Input { slot: slot.0, generation };
            ring.poll(connection.socket.as_fd(), libc::POLLIN, key);
        }
    }

    /// Polls for output, unless a poll is under way.
    pub(super) fn watch_output(&mut self, ring: &mut Ring, slot: ConnectionSlot) {
        let (generation, Some(connection)) = self.slot(slot) else { return };
        if !connection.output_polled {
            connection.output_polled = true;
            let key = Key::Output { slot: slot.0, generation };
            ring.poll(connection.socket.as_fd(), libc::POLLOUT, key);
        }
    }

    /// Whether the peer's kernel acknowledges what it is sent, or asks it to wait.
    pub(super) fn is_answering(&mut self, slot: ConnectionSlot) -> bool {
        self.get(slot)
            .is_some_and(|connection| is_answering(connection.socket.as_fd()).unwrap_or(false))
    }

    /// The connection in a slot.
    pub(super) fn get(&mut self, slot: ConnectionSlot) -> Option<&mut Connection> {
        self.slots.get_mut(slot.0 as usize)?.connection.as_mut()
    }

    /// Notes that the poll for input of this generation is done; false if it is a former user's.
    pub(super) fn input_completed(&mut self, slot: ConnectionSlot, generation: u32) -> bool {
        self.current(slot, generation).is_some_and(|connection| {
            connection.input_polled = false;
            connection.wants_input
        })
    }

    /// Notes that the poll for output of this generation is done; false if it is a former user's.
    pub(super) fn output_completed(&mut self, slot: ConnectionSlot, generation: u32) -> bool {
        self.current(slot, generation).is_some_and(|connection| {
            connection.output_polled = false;
            true
        })
    }

    /// Closes all.
    pub(super) fn close_all(&mut self, ring: &mut Ring) {
        for slot in (0..).map(ConnectionSlot).take(self.slots.len()) {
            if self.get(slot).is_some() {
                self.close(ring, slot);
            }
        }
    }

    fn current(&mut self, slot: ConnectionSlot, generation: u32) -> Option<&mut Connection> {
        let place = self.slots.get_mut(slot.0 as usize)?;
        place.connection.as_mut().filter(|_| place.generation == generation)
    }

    fn slot(&mut self, slot: ConnectionSlot) -> (u32, Option<&mut Connection>) {
        match self.slots.get_mut(slot.0 as usize) {
            Some(place) => (place.generation, place.connection.as_mut()),
            None => (0, None),
        }
    }
}

/// Says that nothing more comes, and reads what the client has sent: unread, it would have the
/// kernel reset the connection, and the client lose what it was told last.
fn drop_input(mut socket: &Socket) {
    let _ = socket.shutdown(Shutdown::Write);
    let mut unread = [0; UNREAD_BYTES];
    for _ in 0..UNREAD_READS_MAX {
        match socket.read(&mut unread) {
            Ok(count) if count == UNREAD_BYTES => {}
            Ok(_) | Err(_) => return,
        }
    }
}

const UNREAD_BYTES: usize = 4096;
const UNREAD_READS_MAX: usize = 16;
