//! A viewer's sockets: connections and RTP/RTCP port pairs, read with the kernel's own receive
//! timestamps, so that a busy reader does not look like a late sender.

use crate::clock::{KernelClock, MonoTime};
use nix::errno::Errno;
use nix::sys::socket::sockopt::ReceiveTimestampns;
use nix::sys::socket::{MsgFlags, MultiHeaders, recvmmsg, recvmsg, setsockopt};
use socket2::{Domain, Protocol, Socket, Type};
use std::io::{self, IoSliceMut};
use std::net::{IpAddr, SocketAddr, TcpStream, UdpSocket};
use std::os::fd::{AsFd, AsRawFd};

/// Datagrams taken by one system call.
const BATCH_DATAGRAMS_MAX: usize = 32;
/// Longest datagram that is read whole.
const DATAGRAM_BYTES_MAX: usize = 2048;
/// Attempts to find an even port whose neighbour is free.
const PAIR_ATTEMPTS_MAX: usize = 1000;

/// A TCP socket on the address `local`, if given, that is not connected yet.
///
/// # Errors
/// No descriptors or no ports are left, or the address is not this machine's.
pub fn unconnected(server: SocketAddr, local: Option<IpAddr>) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(server), Type::STREAM, Some(Protocol::TCP))?;
    if let Some(local) = local {
        socket.bind(&SocketAddr::new(local, 0).into())?;
    }
    socket.set_tcp_nodelay(true)?;
    setsockopt(&socket.as_fd(), ReceiveTimestampns, &true)?;
    Ok(socket)
}

/// Reads what a connection has, without waiting: the number of bytes put into `buffer` and when
/// the kernel had the last of them. `None` if there is nothing, 0 bytes at the end of the stream.
///
/// # Errors
/// The connection failed.
pub fn read(
    connection: &TcpStream,
    buffer: &mut [u8],
    clock: &KernelClock,
) -> io::Result<Option<(MonoTime, usize)>> {
    let mut control = nix::cmsg_space!(nix::sys::time::TimeSpec);
    let mut slices = [IoSliceMut::new(buffer)];
    let descriptor = connection.as_raw_fd();
    match recvmsg::<()>(descriptor, &mut slices, Some(&mut control), MsgFlags::MSG_DONTWAIT) {
        Ok(message) => {
            let stamped = clock.arrival(message.cmsgs()?);
            Ok(Some((stamped.unwrap_or_else(|| clock.now()), message.bytes)))
        }
        Err(Errno::EAGAIN | Errno::EINTR) => Ok(None),
        Err(errno) => Err(errno.into()),
    }
}

/// A viewer's sockets for one stream: RTP on an even port, RTCP on the next (RFC 3550 §11).
#[derive(Debug)]
pub struct UdpPair {
    /// Receives media.
    pub rtp: UdpSocket,
    /// Receives sender reports, sends receiver reports.
    pub rtcp: UdpSocket,
    /// The even port.
    pub rtp_port: u16,
}

impl UdpPair {
    /// Binds two neighbouring ports on `address`; the sockets do not block.
    ///
    /// # Errors
    /// No descriptors or no ports are left, or the address is not this machine's.
    pub fn bind(address: IpAddr) -> io::Result<Self> {
        for _ in 0..PAIR_ATTEMPTS_MAX {
            let rtp = UdpSocket::bind(SocketAddr::new(address, 0))?;
            let rtp_port = rtp.local_addr()?.port();
            if rtp_port % 2 != 0 || rtp_port == u16::MAX {
                continue;
            }
            let rtcp = match UdpSocket::bind(SocketAddr::new(address, rtp_port + 1)) {
                Ok(rtcp) => rtcp,
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => continue,
                Err(error) => return Err(error),
            };
            for socket in [&rtp, &rtcp] {
                socket.set_nonblocking(true)?;
                setsockopt(&socket.as_fd(), ReceiveTimestampns, &true)?;
            }
            return Ok(Self { rtp, rtcp, rtp_port });
        }
        Err(io::Error::new(io::ErrorKind::AddrInUse, "no pair of neighbouring ports is free"))
    }

    /// From now on hears, and sends reports to, the server's ports only.
    ///
    /// # Errors
    /// There is no route to the server.
    pub fn connect(&self, server: IpAddr, ports: (u16, u16)) -> io::Result<()> {
        self.rtp.connect(SocketAddr::new(server, ports.0))?;
        self.rtcp.connect(SocketAddr::new(server, ports.1))
    }
}

/// The memory datagrams are received into, shared by all sockets of a thread.
#[derive(Debug)]
pub struct Receiver {
    headers: MultiHeaders<()>,
    buffers: Vec<u8>,
    clock: KernelClock,
}

impl Receiver {
    /// A receiver that dates packets by `clock`.
    #[must_use]
    pub fn new(clock: KernelClock) -> Self {
        let control = nix::cmsg_space!(nix::sys::time::TimeSpec);
        Self {
            headers: MultiHeaders::preallocate(BATCH_DATAGRAMS_MAX, Some(control)),
            buffers: vec![0; BATCH_DATAGRAMS_MAX * DATAGRAM_BYTES_MAX],
            clock,
        }
    }

    /// Takes one batch from `socket`, giving each datagram with its arrival to `take`; returns
    /// whether more may be waiting.
    ///
    /// # Errors
    /// The socket failed (an ICMP error of a connected socket shows here).
    pub fn receive(
        &mut self,
        socket: &UdpSocket,
        mut take: impl FnMut(MonoTime, &[u8]),
    ) -> io::Result<bool> {
        let mut slices: Vec<[IoSliceMut<'_>; 1]> = self
            .buffers
            .chunks_exact_mut(DATAGRAM_BYTES_MAX)
            .map(|buffer| [IoSliceMut::new(buffer)])
            .collect();
        let descriptor = socket.as_raw_fd();
        let flags = MsgFlags::MSG_DONTWAIT;
        let batch = match recvmmsg(descriptor, &mut self.headers, slices.iter_mut(), flags, None) {
            Ok(batch) => batch,
            Err(Errno::EAGAIN | Errno::EINTR) => return Ok(false),
            Err(errno) => return Err(errno.into()),
        };
        let mut count = 0;
        for datagram in batch {
            count += 1;
            let stamped = self.clock.arrival(datagram.cmsgs()?);
            let arrival = stamped.unwrap_or_else(|| self.clock.now());
            for bytes in datagram.iovs() {
                take(arrival, bytes);
            }
        }
        Ok(count == BATCH_DATAGRAMS_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use std::net::Ipv4Addr;

    #[test]
    fn pairs_receive_in_order_and_know_when() {
        let clock = KernelClock::new(Clock::start());
        let pair = UdpPair::bind(IpAddr::V4(Ipv4Addr::LOCALHOST)).unwrap();
        assert_eq!(pair.rtp_port % 2, 0);
        assert_eq!(pair.rtcp.local_addr().unwrap().port(), pair.rtp_port + 1);
        let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
        let before = clock.now();
        for number in 0..100_u8 {
            sender.send_to(&[number; 3], ("127.0.0.1", pair.rtp_port)).unwrap();
        }
        let after = clock.now();
        let mut seen = Vec::new();
        let mut receiver = Receiver::new(clock);
        while receiver
            .receive(&pair.rtp, |at, bytes| {
                // The two clocks are read a moment apart when they are set against each other.
                assert!(at.nanos_since(before) > -1_000_000 && after.nanos_since(at) > -1_000_000);
                assert_eq!(bytes.len(), 3);
                seen.push(bytes[0]);
            })
            .unwrap()
        {}
        assert_eq!(seen, (0..100).collect::<Vec<u8>>());
    }
}
