//! TCP without the copy: `SEND_ZC` from registered memory, by a ring.
#![allow(unsafe_code, reason = "what a ring is given must outlive it; blocks say why it does")]

use crate::interleaved::{next_due, runs};
use crate::media::{Image, Title};
use crate::run::{Counters, Transport, pause};
use crate::schedule::{Shipment, Stream};
use io_uring::squeue::Flags;
use io_uring::types::Fd;
use io_uring::{IoUring, cqueue, opcode};
use socket2::Socket;
use std::io;
use std::os::fd::AsRawFd;

/// A viewer's connection.
struct Seat<'a> {
    socket: Socket,
    streams: Vec<Stream<'a>>,
    /// Sends that are not done.
    under_way: u32,
}

/// All viewers' connections.
pub(crate) struct ZeroCopy<'a> {
    // Dropped before what it sends from.
    ring: IoUring,
    seats: Vec<Seat<'a>>,
    window: i64,
    shipments: Vec<Shipment<'a>>,
    behind: Vec<u32>,
    /// Sends whose bytes the kernel has not done with.
    lent: u64,
}

impl<'a> ZeroCopy<'a> {
    /// A connection for each viewer's streams of these titles, whose images are registered.
    pub(crate) fn new(
        titles: &'a [Title],
        seats: impl Iterator<Item = (Socket, Vec<Stream<'a>>)>,
        window: i64,
    ) -> io::Result<Self> {
        let ring = IoUring::builder()
            .setup_cqsize(COMPLETIONS)
            .setup_single_issuer()
            .setup_coop_taskrun()
            .build(SUBMISSIONS)?;
        let tracks = titles.iter().flat_map(|title| &title.tracks);
        let mut images: Vec<&Image> = tracks.flat_map(|track| &track.images).collect();
        images.sort_unstable_by_key(|image| image.ordinal);
        let buffer = |image: &&Image| libc::iovec {
            iov_base: image.packets.bytes.as_ptr().cast_mut().cast(),
            iov_len: image.packets.bytes.len(),
        };
        let buffers: Vec<_> = images.iter().map(buffer).collect();
        // SAFETY: the titles are borrowed for longer than the ring lives, nothing changes them, and
        // the kernel only reads what is sent.
        let registered = unsafe { ring.submitter().register_buffers(&buffers) };
        registered.map_err(|error| {
            io::Error::new(
                error.kind(),
                format!("{} images not registered: {error}", buffers.len()),
            )
        })?;
        let seat = |(socket, streams)| Seat { socket, streams, under_way: 0 };
        let (seats, shipments, behind) = (seats.map(seat).collect(), Vec::new(), Vec::new());
        Ok(Self { ring, seats, window, shipments, behind, lent: 0 })
    }

    /// Takes what the kernel has to say: a send is done, or its memory is no longer used.
    fn reap(&mut self, counters: &mut Counters) {
        for completion in self.ring.completion() {
            if cqueue::notif(completion.flags()) {
                self.lent -= 1;
                counters.notifications += 1;
                counters.copied += u64::from(completion.result().cast_unsigned() & COPIED != 0);
                continue;
            }
            let who = usize::try_from(completion.user_data()).unwrap_or(usize::MAX);
            self.seats[who].under_way -= 1;
            // Otherwise a notification follows.
            self.lent -= u64::from(!cqueue::more(completion.flags()));
            if completion.result() < 0 {
                counters.failed(&io::Error::from_raw_os_error(-completion.result()));
            }
        }
    }

    fn submit(&self, counters: &mut Counters) {
        counters.calls += 1;
        if let Err(error) = self.ring.submit() {
            counters.failed(&error);
        }
    }

    /// Queues the sends of one viewer's media, one behind the other.
    fn queue(&mut self, who: u32, until: i64, counters: &mut Counters) {
        let seat = &mut self.seats[who as usize];
        self.shipments.clear();
        for stream in &mut seat.streams {
            self.shipments.extend(std::iter::from_fn(|| stream.take_due(until + self.window)));
        }
        self.shipments.iter().for_each(|shipment| counters.sent(std::iter::once(shipment.train)));
        let shipments = std::mem::take(&mut self.shipments);
        let mut runs = runs(&shipments).peekable();
        while let Some((image, run)) = runs.next() {
            let bytes = &image.packets.bytes[run];
            let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
            let seat = &mut self.seats[who as usize];
            let send = opcode::SendZc::new(Fd(seat.socket.as_raw_fd()), bytes.as_ptr(), length)
                .buf_index(u16::try_from(image.ordinal).ok())
                .flags(libc::MSG_NOSIGNAL | libc::MSG_WAITALL)
                .zc_flags(REPORT_USAGE);
            let flags = if runs.peek().is_some() { Flags::IO_LINK } else { Flags::empty() };
            let send = send.build().user_data(who.into()).flags(flags);
            seat.under_way += 1;
            self.lent += 1;
            // SAFETY: the bytes are an image's, which outlives the ring and never changes.
            while unsafe { self.ring.submission().push(&send) }.is_err() {
                self.submit(counters);
                self.reap(counters);
            }
        }
        drop(runs);
        self.shipments = shipments;
    }
}

/// Waits until the kernel has sent what it was lent, or the reader has had a while to take it: what
/// becomes of that memory next, the reader would see.
impl Drop for ZeroCopy<'_> {
    fn drop(&mut self) {
        for _ in 0..LAST_PAUSES {
            self.reap(&mut Counters::default());
            if self.lent == 0 {
                return;
            }
            pause(1_000_000);
        }
    }
}

impl Transport for ZeroCopy<'_> {
    fn count(&self) -> usize {
        self.seats.len()
    }

    fn next_due(&self, who: u32) -> i64 {
        next_due(&self.seats[who as usize].streams)
    }

    fn send(&mut self, due: &[u32], until: i64, counters: &mut Counters) {
        self.reap(counters);
        self.behind.clear();
        for who in due {
            if self.seats[*who as usize].under_way > 0 {
                counters.put_off += 1;
                self.behind.push(*who);
            } else if self.next_due(*who) <= until {
                self.queue(*who, until, counters);
            }
        }
        self.submit(counters);
        self.reap(counters);
    }

    fn behind(&self) -> &[u32] {
        &self.behind
    }
}

/// Milliseconds to wait at the end.
const LAST_PAUSES: u32 = 2000;
const SUBMISSIONS: u32 = 256;
const COMPLETIONS: u32 = 65_536;
/// `IORING_SEND_ZC_REPORT_USAGE`: notifications say whether the bytes were copied after all.
const REPORT_USAGE: u16 = 1 << 3;
/// `IORING_NOTIF_USAGE_ZC_COPIED`.
const COPIED: u32 = 1 << 31;
