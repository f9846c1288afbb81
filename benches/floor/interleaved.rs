//! TCP: what is due of all of a viewer's streams leaves in one call.

use crate::media::Image;
use crate::options::Layout;
use crate::run::{Counters, Transport};
use crate::schedule::{Shipment, Stream};
use crate::wire::{Batch, Buffers};
use server::uring::Control;
use socket2::Socket;
use std::io;
use std::ops::Range;
use std::os::fd::AsFd;

/// A viewer's connection.
struct Seat<'a> {
    socket: Socket,
    streams: Vec<Stream<'a>>,
    /// What the kernel did not take of the last call's bytes.
    rest: Vec<u8>,
}

/// All viewers' connections.
pub(crate) struct Interleaved<'a> {
    seats: Vec<Seat<'a>>,
    layout: Layout,
    /// How long before it is due media leaves, once anything is due.
    window: i64,
    shipments: Vec<Shipment<'a>>,
    buffers: Buffers,
    /// Headers of one system call.
    arena: Vec<u8>,
    behind: Vec<u32>,
}

impl<'a> Interleaved<'a> {
    /// A connection for each viewer's streams.
    pub(crate) fn new(
        seats: impl Iterator<Item = (Socket, Vec<Stream<'a>>)>,
        layout: Layout,
        window: i64,
    ) -> Self {
        let seat = |(socket, streams)| Seat { socket, streams, rest: Vec::new() };
        Self {
            seats: seats.map(seat).collect(),
            layout,
            window,
            shipments: Vec::new(),
            buffers: Buffers::default(),
            arena: Vec::new(),
            behind: Vec::new(),
        }
    }

    /// Sends what is due to one viewer, and says whether the kernel took all of it.
    fn send_seat(&mut self, who: u32, until: i64, counters: &mut Counters) -> bool {
        let Self { seats, layout, window, shipments, buffers, arena, .. } = self;
        let seat = &mut seats[who as usize];
        loop {
            if !send_rest(seat, counters) {
                return false;
            }
            if next_due(&seat.streams) > until {
                return true;
            }
            shipments.clear();
            let mut pieces = 0;
            for stream in &mut seat.streams {
                while pieces <= CALL_PIECES_MAX
                    && let Some(shipment) = stream.take_due(until + *window)
                {
                    pieces += 2 * usize::from(shipment.train.packet_count);
                    counters.sent(std::iter::once(shipment.train));
                    shipments.push(shipment);
                }
            }
            arena.clear();
            if *layout == Layout::Gather {
                for Shipment { image, train, numbering } in &*shipments {
                    for packet in 0..train.packet_count {
                        image.packets.stamp(train, packet, numbering, arena);
                    }
                }
            }
            let mut batch = buffers.batch();
            let mut pieces = 0;
            each_piece(*layout, shipments, arena, |piece| {
                batch.push(piece);
                pieces += 1;
            });
            batch.end_message(pieces, None, Control::EMPTY);
            let mut taken = send(batch, &seat.socket, counters);
            each_piece(*layout, shipments, arena, |piece| {
                let gone = taken.min(piece.len());
                seat.rest.extend_from_slice(&piece[gone..]);
                taken -= gone;
            });
            counters.put_off += u64::from(!seat.rest.is_empty());
        }
    }
}

impl Transport for Interleaved<'_> {
    fn count(&self) -> usize {
        self.seats.len()
    }

    fn next_due(&self, who: u32) -> i64 {
        next_due(&self.seats[who as usize].streams)
    }

    fn send(&mut self, due: &[u32], until: i64, counters: &mut Counters) {
        self.behind.clear();
        for who in due {
            if !self.send_seat(*who, until, counters) {
                self.behind.push(*who);
            }
        }
    }

    fn behind(&self) -> &[u32] {
        &self.behind
    }
}

/// When the first of a viewer's streams is due.
pub(crate) fn next_due(streams: &[Stream<'_>]) -> i64 {
    streams.iter().map(Stream::next_due).min().unwrap_or(i64::MAX)
}

/// Gives the bytes of the shipments in turn: what lies in one run, as one piece.
fn each_piece<'b>(
    layout: Layout,
    shipments: &'b [Shipment<'_>],
    mut headers: &'b [u8],
    mut push: impl FnMut(&'b [u8]),
) {
    match layout {
        Layout::Gather => {
            for shipment in shipments {
                shipment.gather(&mut headers, &mut push);
            }
        }
        Layout::Contiguous => {
            runs(shipments).for_each(|(image, run)| push(&image.packets.bytes[run]))
        }
    }
}

/// Which bytes of which images the shipments are, those that lie behind each other together.
pub(crate) fn runs<'b>(
    shipments: &'b [Shipment<'_>],
) -> impl Iterator<Item = (&'b Image, Range<usize>)> {
    let lie_together = |a: &Shipment<'_>, b: &Shipment<'_>| {
        std::ptr::eq(a.image, b.image) && a.train.offset + a.train.bytes() == b.train.offset
    };
    shipments.chunk_by(lie_together).map(|run| {
        let bytes: u32 = run.iter().map(|shipment| shipment.train.bytes()).sum();
        let start = run[0].train.offset as usize;
        (run[0].image, start..start + bytes as usize)
    })
}

/// Sends what was left, and says whether the kernel took all of it.
fn send_rest(seat: &mut Seat<'_>, counters: &mut Counters) -> bool {
    while !seat.rest.is_empty() {
        counters.calls += 1;
        match seat.socket.send_with_flags(&seat.rest, libc::MSG_NOSIGNAL | libc::MSG_DONTWAIT) {
            Ok(bytes) => drop(seat.rest.drain(..bytes)),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return false,
            Err(error) => {
                counters.failed(&error);
                seat.rest.clear();
            }
        }
    }
    true
}

/// Sends a batch of one message, and tells how many bytes are the kernel's, or lost.
fn send(mut batch: Batch<'_, '_>, socket: &Socket, counters: &mut Counters) -> usize {
    batch.seal();
    loop {
        counters.calls += 1;
        match batch.send(socket.as_fd(), 0) {
            Ok(_) => return batch.sent_bytes(0),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return 0,
            Err(error) => {
                counters.failed(&error);
                return usize::MAX;
            }
        }
    }
}

/// Pieces after which a call takes no further train, which has 128 at most: the kernel takes 1024.
const CALL_PIECES_MAX: usize = 1024 - 128;
