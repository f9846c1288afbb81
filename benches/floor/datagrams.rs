//! UDP: trains by `sendmmsg`, a socket at a time, in the order in which they are due.

use crate::options::Layout;
use crate::run::{Counters, Transport};
use crate::schedule::{Shipment, Stream};
use crate::wire::Buffers;
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
    /// Per pair, the trains that leave with the next system call.
    queues: Vec<Vec<(usize, Shipment<'a>)>>,
    buffers: Buffers,
    /// Headers of one system call.
    arena: Vec<u8>,
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
        let queues = sockets.rtp_ports().iter().map(|_| Vec::with_capacity(MESSAGES_MAX)).collect();
        let (buffers, arena) = (Buffers::default(), Vec::new());
        Self { sockets, control, layout, streams, queues, buffers, arena }
    }

    /// Sends the queue of a pair.
    fn flush(&mut self, pair: usize, counters: &mut Counters) {
        let Self { sockets, control, layout, streams, queues, buffers, arena } = self;
        let queue = &mut queues[pair];
        arena.clear();
        if *layout == Layout::Gather {
            for (_, Shipment { image, train, numbering }) in &*queue {
                for packet in 0..train.packet_count {
                    image.packets.stamp(train, packet, numbering, arena);
                }
            }
        }
        let mut headers = arena.as_slice();
        let mut batch = buffers.batch();
        for (stream, shipment) in &*queue {
            let Shipment { image, train, .. } = shipment;
            let pieces = match layout {
                Layout::Contiguous => {
                    batch.push(image.bytes(train));
                    1
                }
                Layout::Gather => shipment.gather(&mut headers, |piece| batch.push(piece)),
            };
            let is_cut = train.packet_count > 1;
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
                    for (_, Shipment { train, .. }) in &queue[done..done + count] {
                        counters.sent(train);
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
        queue.clear();
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
            while let Some(shipment) = self.streams[who].0.take_due(until) {
                self.queues[pair].push((who, shipment));
                if self.queues[pair].len() == MESSAGES_MAX {
                    self.flush(pair, counters);
                }
            }
        }
        for pair in 0..self.queues.len() {
            if !self.queues[pair].is_empty() {
                self.flush(pair, counters);
            }
        }
    }
}

/// Where the first stream of each viewer goes to; the next ones two ports up.
const FIRST_PORT: u16 = 21_500;
