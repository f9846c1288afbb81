//! Performs an egress batch: trains by `sendmmsg`, a socket at a time, and bytes of streams.

use super::connections::Connections;
use super::message::{Batch, Control, MESSAGE_PIECES_MAX, MESSAGES_MAX, MessageBuffers};
use super::offload::Refusals;
use super::sockets::PairSockets;
use crate::shard::egress::{Destination, Egress, Entry, Piece};
use crate::shard::operation::{ConnectionSlot, SendResult};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsFd;

/// What stays from one batch to the next.
#[derive(Default)]
pub(super) struct Sender {
    buffers: MessageBuffers,
    /// Per pair socket, the trains of this batch.
    queues: Vec<Vec<Train>>,
    refusals: Refusals,
    batch: u64,
}

/// An entry that goes to a pair socket.
#[derive(Clone, Copy)]
struct Train {
    entry: usize,
    to: SocketAddr,
    local: IpAddr,
    segment_bytes: u16,
    segment_count: u16,
    /// By the kernel's clock, if it is to wait.
    launch_nanos: Option<u64>,
}

/// How an attempt on a socket went.
enum Progress {
    /// This many trains are done, well or badly.
    Done(usize),
    /// The socket's buffer is full.
    Full,
}

/// A batch on its way: what is sent, and where its results go.
struct Turn<'turn, 'a, F> {
    egress: &'turn Egress,
    piece: &'turn F,
    sockets: &'turn PairSockets,
    results: &'turn mut [SendResult],
    bytes: std::marker::PhantomData<&'a [u8]>,
}

impl Sender {
    /// Sends `egress`, and leaves one result an entry in `results`.
    pub(super) fn send<'a, F: Fn(Piece) -> &'a [u8]>(
        &mut self,
        sockets: &PairSockets,
        connections: &mut Connections,
        egress: &Egress,
        piece: F,
        results: &mut Vec<SendResult>,
    ) {
        results.clear();
        // What no attempt reaches is behind an entry that found the buffer full.
        results.resize(egress.entries.len(), SendResult::Full);
        self.batch += 1;
        self.queues.resize_with(sockets.count(), Vec::new);
        let bytes = std::marker::PhantomData;
        let mut turn = Turn { egress, piece: &piece, sockets, results, bytes };
        for (index, entry) in egress.entries.iter().enumerate() {
            match entry.destination {
                Destination::Datagrams {
                    pair,
                    socket,
                    to,
                    local,
                    segment_bytes,
                    segment_count,
                    launches_at,
                } => {
                    let train = Train {
                        entry: index,
                        to,
                        local,
                        segment_bytes,
                        segment_count,
                        launch_nanos: launches_at.and_then(|at| sockets.launch_nanos(at.0)),
                    };
                    self.queues[PairSockets::index(pair, socket)].push(train);
                }
                Destination::Stream { connection } => {
                    turn.results[index] = self.send_stream(&turn, connections, connection, entry);
                }
            }
        }
        for socket in 0..sockets.count() {
            let mut queue = std::mem::take(&mut self.queues[socket]);
            self.send_queue(&mut turn, socket, &queue);
            queue.clear();
            self.queues[socket] = queue;
        }
    }

    /// Whether trains to `destination` go packet by packet.
    #[cfg(test)]
    pub(super) fn refuses(&self, destination: IpAddr) -> bool {
        self.refusals.contains(destination)
    }

    fn send_queue<'a, F: Fn(Piece) -> &'a [u8]>(
        &mut self,
        turn: &mut Turn<'_, 'a, F>,
        socket: usize,
        mut queue: &[Train],
    ) {
        while let Some(first) = queue.first() {
            let progress = if first.segment_count > 1 && self.refusals.contains(first.to.ip()) {
                self.send_packets(turn, socket, *first)
            } else {
                let refused = |train: &&Train| !self.refusals.contains(train.to.ip());
                let count = 1 + queue[1..].iter().take_while(refused).count();
                self.send_trains(turn, socket, &queue[..count.min(MESSAGES_MAX)])
            };
            match progress {
                Progress::Done(trains) => queue = &queue[trains..],
                Progress::Full => return,
            }
        }
    }

    /// Sends trains that the kernel cuts, a message each. Stops at one whose destination refuses
    /// that.
    fn send_trains<'a, F: Fn(Piece) -> &'a [u8]>(
        &mut self,
        turn: &mut Turn<'_, 'a, F>,
        socket: usize,
        trains: &[Train],
    ) -> Progress {
        let mut batch = self.buffers.batch();
        for train in trains {
            let control = if train.segment_count > 1 {
                control(turn.sockets, train).segmented(train.segment_bytes)
            } else {
                control(turn.sockets, train)
            };
            let pieces = turn.pieces(&turn.egress.entries[train.entry]);
            batch.push(Some(turn.sockets.destination(train.to)), control, pieces);
        }
        let mut done = 0;
        while done < trains.len() {
            match send(&mut batch, turn, socket, done) {
                Ok(count) => {
                    for train in &trains[done..done + count] {
                        let bytes = turn.egress.entries[train.entry].bytes;
                        turn.results[train.entry] = SendResult::Sent(bytes);
                    }
                    done += count;
                }
                Err(error) if is_socket_full(&error) => return Progress::Full,
                Err(error) => {
                    let train = &trains[done];
                    if train.segment_count > 1 && self.refusals.remember(train.to.ip(), &error) {
                        return Progress::Done(done);
                    }
                    turn.results[train.entry] = failed(&error);
                    done += 1;
                }
            }
        }
        Progress::Done(done)
    }

    /// Sends a train a packet at a time, with the cuts that the kernel would have made.
    fn send_packets<'a, F: Fn(Piece) -> &'a [u8]>(
        &mut self,
        turn: &mut Turn<'_, 'a, F>,
        socket: usize,
        train: Train,
    ) -> Progress {
        self.refusals.used(train.to.ip());
        let entry = &turn.egress.entries[train.entry];
        let mut batch = self.buffers.batch();
        for packet in (0..entry.bytes as usize).step_by(usize::from(train.segment_bytes.max(1))) {
            let pieces = cut(turn.pieces(entry), packet, usize::from(train.segment_bytes));
            let address = turn.sockets.destination(train.to);
            batch.push(Some(address), control(turn.sockets, &train), pieces);
        }
        let mut done = 0;
        while done < batch.len() {
            match send(&mut batch, turn, socket, done) {
                Ok(count) => done += count,
                Err(error) if done == 0 && is_socket_full(&error) => return Progress::Full,
                Err(error) if done == 0 => {
                    turn.results[train.entry] = failed(&error);
                    return Progress::Done(1);
                }
                // A part has left. Sending that again would be worse than losing the rest.
                Err(_) => break,
            }
        }
        turn.results[train.entry] = SendResult::Sent(entry.bytes);
        Progress::Done(1)
    }

    /// Writes as much of an entry as the connection takes. What follows it in this batch must wait
    /// unless that is all.
    fn send_stream<'a, F: Fn(Piece) -> &'a [u8]>(
        &mut self,
        turn: &Turn<'_, 'a, F>,
        connections: &mut Connections,
        slot: ConnectionSlot,
        entry: &Entry,
    ) -> SendResult {
        let Some(connection) = connections.get(slot) else {
            return SendResult::Failed(libc::EBADF);
        };
        if connection.full_in_batch == self.batch {
            return SendResult::Full;
        }
        let mut pieces = turn.pieces(entry).peekable();
        let mut sent = 0;
        while pieces.peek().is_some() {
            let mut offered = 0;
            let mut batch = self.buffers.batch();
            let some = pieces.by_ref().take(MESSAGE_PIECES_MAX);
            batch.push(None, Control::EMPTY, some.inspect(|piece| offered += piece.len()));
            let result = retry(|| batch.send(connection.socket.as_fd(), 0));
            let taken = match result {
                Ok(_) => batch.first_sent_bytes(0),
                Err(error) if is_stream_full(&error) => 0,
                Err(error) => return failed(&error),
            };
            sent += taken;
            if taken < offered {
                connection.full_in_batch = self.batch;
                break;
            }
        }
        match u32::try_from(sent) {
            Ok(0) if entry.bytes > 0 => SendResult::Full,
            Ok(sent) => SendResult::Sent(sent),
            Err(_) => SendResult::Sent(u32::MAX),
        }
    }
}

impl<'a, F: Fn(Piece) -> &'a [u8]> Turn<'_, 'a, F> {
    fn pieces(&self, entry: &Entry) -> impl Iterator<Item = &'a [u8]> {
        let range = entry.pieces.start as usize..entry.pieces.end as usize;
        self.egress.pieces[range].iter().map(|piece| (self.piece)(*piece))
    }
}

/// Sends the messages of `batch` from `first` on, a message after the other.
fn send<F>(
    batch: &mut Batch<'_, '_>,
    turn: &Turn<'_, '_, F>,
    socket: usize,
    first: usize,
) -> io::Result<usize> {
    retry(|| batch.send(turn.sockets.socket(socket), first))
}

fn retry(mut call: impl FnMut() -> io::Result<usize>) -> io::Result<usize> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

/// Where a train leaves from, and when.
fn control(sockets: &PairSockets, train: &Train) -> Control {
    let control = leaving(sockets, train);
    match train.launch_nanos {
        Some(nanos) => control.launching_at(nanos),
        None => control,
    }
}

fn leaving(sockets: &PairSockets, train: &Train) -> Control {
    let local = train.local.to_canonical();
    if local.is_unspecified() {
        return Control::EMPTY;
    }
    match (local, train.to) {
        (IpAddr::V4(v4), _) if !sockets.is_dual_stack() => Control::EMPTY.leaving_ipv4(v4),
        // A link-local address means nothing without its link.
        (_, SocketAddr::V6(to)) => Control::EMPTY.leaving_dual_stack(local, to.scope_id()),
        (_, SocketAddr::V4(_)) => Control::EMPTY.leaving_dual_stack(local, 0),
    }
}

/// The bytes `offset..offset + bytes` of `pieces`, or what there is of them.
fn cut<'a>(
    pieces: impl Iterator<Item = &'a [u8]>,
    offset: usize,
    bytes: usize,
) -> impl Iterator<Item = &'a [u8]> {
    let mut position = 0;
    pieces.filter_map(move |piece| {
        let start = offset.saturating_sub(position).min(piece.len());
        let end = (offset + bytes).saturating_sub(position).min(piece.len());
        position += piece.len();
        (start < end).then(|| &piece[start..end])
    })
}

/// Whether a pair's socket takes nothing now, whoever it is for: what it sent fills its buffer.
///
/// `ENOBUFS` and `ENOMEM` speak of the one message (its device's queue, memory for it): that is
/// lost, as it would be a hop further on, and the others go.
fn is_socket_full(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::EAGAIN)
}

/// Whether a connection takes the same bytes later: none of a stream may be left out.
fn is_stream_full(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EAGAIN | libc::ENOBUFS | libc::ENOMEM))
}

fn failed(error: &io::Error) -> SendResult {
    SendResult::Failed(error.raw_os_error().unwrap_or(libc::EIO))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_follow_the_segments_across_pieces() {
        let pieces: [&[u8]; 4] = [b"ab", b"", b"cdef", b"g"];
        let cases: [(usize, usize, &[u8]); 5] =
            [(0, 3, b"abc"), (3, 3, b"def"), (6, 3, b"g"), (2, 4, b"cdef"), (7, 3, b"")];
        for (offset, bytes, expected) in cases {
            let cut: Vec<u8> = cut(pieces.into_iter(), offset, bytes).flatten().copied().collect();
            assert_eq!(cut, expected, "{offset} {bytes}");
        }
    }
}
