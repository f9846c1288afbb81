//! UDP: trains by `sendmmsg`, a socket at a time, in the order in which they are due.

use crate::options::Layout;
use crate::run::{Counters, Transport};
use crate::schedule::{Shipment, Stream};
use crate::wire::Buffers;
use packetizer::image::{Bursts, TRAIN_BYTES_MAX};
use server::uring::{Control, MESSAGES_MAX, PairSockets};
use socket2::SockAddr;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// All viewers' streams, each on one of the pairs of sockets in turn.
pub(crate) struct Datagrams<'a> {
    sockets: PairSockets,
    /// Before [`Control::segmented`].
    control: Control,
    layout: Layout,
    streams: Vec<(Stream<'a>, SockAddr)>,
    /// Per pair, what leaves with the next system call.
    queues: Vec<Queue<'a>>,
    buffers: Buffers,
    /// Headers of one system call.
    arena: Vec<u8>,
}

/// Messages that leave with one system call.
#[derive(Default)]
struct Queue<'a> {
    parts: Vec<Part<'a>>,
    messages: usize,
}

/// A train in a message.
struct Part<'a> {
    stream: usize,
    shipment: Shipment<'a>,
    /// Whether it is in the message of the one before.
    joins: bool,
}

impl<'a> Queue<'a> {
    /// Whether a stream's train may be in the last message, as the server joins pictures.
    fn may_take(&self, stream: usize, shipment: &Shipment<'a>) -> bool {
        let last = self.parts.iter().rposition(|part| !part.joins);
        let message = last.map_or(&[][..], |first| &self.parts[first..]);
        let (Some(first), Some(before)) = (message.first(), message.last()) else { return false };
        let (first, train) = (first.shipment.train, shipment.train);
        let Bursts { packets_max, joined_nanos } = Bursts::default();
        let packets: u16 = message.iter().map(|part| part.shipment.train.packet_count).sum();
        let bytes: u32 = message.iter().map(|part| part.shipment.train.bytes()).sum();
        before.stream == stream
            && std::ptr::eq(before.shipment.image, shipment.image)
            && train.follows(before.shipment.train, first.packet_bytes)
            && train.due - first.due <= joined_nanos
            && packets + train.packet_count <= packets_max
            && bytes + train.bytes() <= TRAIN_BYTES_MAX
    }

    fn push(&mut self, stream: usize, shipment: Shipment<'a>) {
        let joins = self.may_take(stream, &shipment);
        self.messages += usize::from(!joins);
        self.parts.push(Part { stream, shipment, joins });
    }

    fn messages(&self) -> impl Iterator<Item = &[Part<'a>]> {
        self.parts.chunk_by(|_, part| part.joins)
    }
}

impl<'a> Datagrams<'a> {
    /// The streams of viewers at these addresses, from `local`.
    pub(crate) fn new(
        sockets: PairSockets,
        local: Option<Ipv4Addr>,
        layout: Layout,
        seats: Vec<(Ipv4Addr, Vec<Stream<'a>>)>,
    ) -> Self {
        let control = match local {
            None => Control::EMPTY,
            Some(local) if sockets.is_dual_stack() => {
                Control::EMPTY.leaving_dual_stack(IpAddr::V4(local), 0)
            }
            Some(local) => Control::EMPTY.leaving_ipv4(local),
        };
        let streams = seats.into_iter().flat_map(|(address, streams)| {
            let to = (FIRST_PORT..).step_by(2).map(move |port| SocketAddr::from((address, port)));
            streams.into_iter().zip(to)
        });
        let streams = streams.map(|(stream, to)| (stream, sockets.destination(to))).collect();
        let queues = sockets.rtp_ports().iter().map(|_| Queue::default()).collect();
        let (buffers, arena) = (Buffers::default(), Vec::new());
        Self { sockets, control, layout, streams, queues, buffers, arena }
    }

    /// Sends the queue of a pair.
    fn flush(&mut self, pair: usize, counters: &mut Counters) {
        let Self { sockets, control, layout, streams, queues, buffers, arena } = self;
        let queue = &mut queues[pair];
        arena.clear();
        if *layout == Layout::Gather {
            for Part { shipment: Shipment { image, train, numbering }, .. } in &queue.parts {
                for packet in 0..train.packet_count {
                    image.packets.stamp(train, packet, numbering, arena);
                }
            }
        }
        let mut headers = arena.as_slice();
        let mut batch = buffers.batch();
        for message in queue.messages() {
            let Part { stream, shipment: Shipment { image, train, .. }, .. } = &message[0];
            let pieces = match layout {
                Layout::Contiguous => {
                    batch.push(image.run(train, message[message.len() - 1].shipment.train));
                    1
                }
                Layout::Gather => {
                    let gathered = message
                        .iter()
                        .map(|part| part.shipment.gather(&mut headers, |piece| batch.push(piece)));
                    gathered.sum()
                }
            };
            let is_cut = message.len() > 1 || train.packet_count > 1;
            let control = if is_cut { control.segmented(train.packet_bytes) } else { *control };
            batch.end_message(pieces, Some(&streams[*stream].1), control);
        }
        batch.seal();
        let socket = sockets.socket(2 * pair);
        let mut done = 0;
        while done < batch.len() {
            counters.calls += 1;
            match batch.send(socket, done) {
                Ok(count) => {
                    for message in queue.messages().skip(done).take(count) {
                        counters.sent(message.iter().map(|part| part.shipment.train));
                    }
                    done += count;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    counters.failed(&error);
                    done += 1;
                }
            }
        }
        queue.parts.clear();
        queue.messages = 0;
    }
}

impl Transport for Datagrams<'_> {
    fn count(&self) -> usize {
        self.streams.len()
    }

    fn next_due(&self, who: u32) -> i64 {
        self.streams[who as usize].0.next_due()
    }

    fn send(&mut self, due: &[u32], until: i64, counters: &mut Counters) {
        for who in due.iter().map(|who| *who as usize) {
            let pair = who % self.queues.len();
            loop {
                let stream = &self.streams[who].0;
                let is_due = stream.next_due() <= until;
                if !is_due && !self.queues[pair].may_take(who, &stream.upcoming()) {
                    break;
                }
                if is_due && self.queues[pair].messages == MESSAGES_MAX {
                    self.flush(pair, counters);
                }
                let shipment = self.streams[who].0.take();
                self.queues[pair].push(who, shipment);
            }
        }
        for pair in 0..self.queues.len() {
            if !self.queues[pair].parts.is_empty() {
                self.flush(pair, counters);
            }
        }
    }
}

/// Where the first stream of each viewer goes to; the next ones two ports up.
const FIRST_PORT: u16 = 21_500;
