//! Receiving datagrams: many by one system call, trains of them unbroken (`UDP_GRO`), each with the
//! time the kernel had it, so that a busy reader does not look like a late sender.

use crate::clock::{KernelClock, MonoTime};
use crate::verify::Burst;
use nix::errno::Errno;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, MultiHeaders, recvmmsg};
use nix::sys::time::TimeSpec;
use std::io::{self, IoSliceMut};
use std::net::UdpSocket;
use std::os::fd::AsRawFd as _;

/// Datagrams, or trains of them, taken by one system call.
const BATCH_MAX: usize = 8;
/// Longest datagram or train of them.
const TRAIN_BYTES_MAX: usize = 1 << 16;

/// The memory datagrams are received into, shared by all sockets of a thread.
#[derive(Debug)]
pub struct Receiver {
    buffers: Vec<u8>,
    batch: Vec<Taken>,
    clock: KernelClock,
}

/// What is known of one entry of the batch.
#[derive(Clone, Copy, Debug)]
struct Taken {
    at: MonoTime,
    bytes: usize,
    packet_bytes: usize,
    overflows: u32,
}

/// Datagrams of equal size, but for the last, that arrived as one.
#[derive(Clone, Copy, Debug)]
pub struct Train<'a> {
    /// When the kernel had them.
    pub at: MonoTime,
    /// Trains that this socket has had no room for since it was made.
    pub overflows: u32,
    bytes: &'a [u8],
    packet_bytes: usize,
}

impl<'a> Train<'a> {
    /// The datagrams.
    pub fn packets(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        self.bytes.chunks(self.packet_bytes)
    }

    /// How many datagrams there are, and their payload bytes.
    #[must_use]
    pub const fn burst(&self) -> Burst {
        let packets = self.bytes.len().div_ceil(self.packet_bytes);
        Burst { packets: packets as u64, bytes: self.bytes.len() as u64 }
    }
}

impl Receiver {
    /// A receiver that dates packets by `clock`.
    #[must_use]
    pub fn new(clock: KernelClock) -> Self {
        Self {
            buffers: vec![0; BATCH_MAX * TRAIN_BYTES_MAX],
            batch: Vec::with_capacity(BATCH_MAX),
            clock,
        }
    }

    /// Takes one batch from `socket`, without waiting, in place of the last; returns whether more
    /// may be waiting.
    ///
    /// # Errors
    /// The socket failed (an ICMP error of a connected socket shows here).
    pub fn fill(&mut self, socket: &UdpSocket) -> io::Result<bool> {
        self.batch.clear();
        // The headers are made anew each time because the kernel leaves in each the room that its
        // control messages took, and the next datagram may need more.
        let control = nix::cmsg_space!(TimeSpec, u32, i32);
        let mut headers = MultiHeaders::<()>::preallocate(BATCH_MAX, Some(control));
        let mut buffers = self.buffers.chunks_exact_mut(TRAIN_BYTES_MAX);
        let mut slices: [[IoSliceMut<'_>; 1]; BATCH_MAX] =
            std::array::from_fn(|_| [IoSliceMut::new(buffers.next().unwrap_or_default())]);
        let flags = MsgFlags::MSG_DONTWAIT;
        let received =
            match recvmmsg(socket.as_raw_fd(), &mut headers, slices.iter_mut(), flags, None) {
                Ok(received) => received,
                Err(Errno::EAGAIN | Errno::EINTR) => return Ok(false),
                Err(errno) => return Err(errno.into()),
            };
        for message in received {
            let mut at = None;
            let mut taken = Taken {
                at: MonoTime(0),
                bytes: message.bytes,
                packet_bytes: message.bytes.max(1),
                overflows: 0,
            };
            for control in message.cmsgs()? {
                if let ControlMessageOwned::ScmTimestampns(stamp) = control {
                    at = self.clock.at(stamp);
                } else if let ControlMessageOwned::UdpGroSegments(bytes) = control {
                    taken.packet_bytes = usize::try_from(bytes).unwrap_or(0).max(1);
                } else if let ControlMessageOwned::RxqOvfl(count) = control {
                    taken.overflows = count;
                }
            }
            taken.at = at.unwrap_or_else(|| self.clock.now());
            self.batch.push(taken);
        }
        Ok(self.batch.len() == BATCH_MAX)
    }

    /// The batch, in order of arrival.
    pub fn trains(&self) -> impl Iterator<Item = Train<'_>> {
        let buffers = self.buffers.chunks_exact(TRAIN_BYTES_MAX);
        self.batch.iter().zip(buffers).map(|(taken, buffer)| Train {
            at: taken.at,
            overflows: taken.overflows,
            bytes: buffer.get(..taken.bytes).unwrap_or_default(),
            packet_bytes: taken.packet_bytes,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::socket::UdpPair;
    use nix::sys::socket::setsockopt;
    use nix::sys::socket::sockopt::{RcvBuf, UdpGsoSegment};
    use std::net::{IpAddr, Ipv4Addr};

    fn pair_and_sender() -> (UdpPair, UdpSocket) {
        let pair = UdpPair::bind(IpAddr::V4(Ipv4Addr::LOCALHOST)).unwrap();
        let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
        sender.connect(("127.0.0.1", pair.rtp_port)).unwrap();
        (pair, sender)
    }

    fn drain(receiver: &mut Receiver, pair: &UdpPair) -> Vec<(MonoTime, u32, Vec<u8>)> {
        let mut seen = Vec::new();
        let mut more = true;
        while more {
            more = receiver.fill(&pair.rtp).unwrap();
            for train in receiver.trains() {
                let packets = train.packets().count() as u64;
                let bytes = train.packets().map(|packet| packet.len() as u64).sum();
                assert_eq!(train.burst(), Burst { packets, bytes });
                for packet in train.packets() {
                    seen.push((train.at, train.overflows, packet.to_vec()));
                }
            }
        }
        seen
    }

    #[test]
    fn pairs_receive_in_order_and_know_when() {
        let clock = KernelClock::new(Clock::start());
        let (pair, sender) = pair_and_sender();
        assert_eq!(pair.rtp_port % 2, 0);
        assert_eq!(pair.rtcp.local_addr().unwrap().port(), pair.rtp_port + 1);
        let before = clock.now();
        for number in 0..100_u8 {
            sender.send(&[number; 3]).unwrap();
        }
        let after = clock.now();
        let seen = drain(&mut Receiver::new(clock), &pair);
        assert_eq!(seen.len(), 100);
        for (number, (at, overflows, bytes)) in seen.iter().enumerate() {
            // The two clocks are read a moment apart when they are set against each other.
            assert!(at.nanos_since(before) > -1_000_000 && after.nanos_since(*at) > -1_000_000);
            assert_eq!(
                (*overflows, bytes.as_slice()),
                (0, &[u8::try_from(number).unwrap(); 3][..])
            );
        }
    }

    #[test]
    fn trains_come_whole_and_are_cut_where_they_were_joined() {
        let (pair, sender) = pair_and_sender();
        let mut receiver = Receiver::new(KernelClock::new(Clock::start()));
        sender.send(&[9; 5]).unwrap();
        setsockopt(&sender, UdpGsoSegment, &100).unwrap();
        let train: Vec<u8> = (0..250).collect();
        sender.send(&train).unwrap();
        // Twice, so that the room for control messages proves to be there every time.
        for round in 0..2 {
            let seen = drain(&mut receiver, &pair);
            let lengths: Vec<usize> = seen.iter().map(|(_, _, bytes)| bytes.len()).collect();
            let expected: &[usize] = if round == 0 { &[5, 100, 100, 50] } else { &[100, 100, 50] };
            assert_eq!(lengths, expected);
            let joined: Vec<u8> = seen[seen.len() - 3..].iter().flat_map(|s| s.2.clone()).collect();
            assert_eq!(joined, train);
            sender.send(&train).unwrap();
        }
    }

    #[test]
    fn what_the_receive_buffer_had_no_room_for_is_counted() {
        let (pair, sender) = pair_and_sender();
        setsockopt(&pair.rtp, RcvBuf, &4096).unwrap();
        for _ in 0..100 {
            sender.send(&[0; 1000]).unwrap();
        }
        let mut receiver = Receiver::new(KernelClock::new(Clock::start()));
        let kept = drain(&mut receiver, &pair).len();
        sender.send(&[0; 1000]).unwrap();
        let (_, overflows, _) = drain(&mut receiver, &pair)[0];
        assert_eq!(kept + overflows as usize, 100);
    }
}
