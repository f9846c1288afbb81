//! Sockets and their options: RTP/RTCP pairs, adopted connections.

use super::launch;
use crate::limits::SHARD_PAIRS_MAX;
use crate::shard::operation::{PairId, PairSocket};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::fmt;
use std::io;
use std::mem::size_of;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::ops::RangeInclusive;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

/// A shard's RTP/RTCP socket pairs, bound on all local addresses.
#[derive(Debug)]
pub struct PairSockets {
    /// RTP and RTCP in turn.
    sockets: Vec<Socket>,
    ports: Vec<u16>,
    dual_stack: bool,
    /// What the monotonic clock said when the shard's was zero, if the kernel takes launch times.
    launch_zero: Option<u64>,
}

/// Why the ports of a shard could not be had.
#[derive(Debug)]
pub enum BindError {
    /// The range holds no pair of an even port and the odd one above it.
    NoPair(RangeInclusive<u16>),
    /// The socket of one port.
    Port {
        /// Which.
        port: u16,
        /// What the kernel said.
        error: io::Error,
    },
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoPair(ports) => {
                write!(f, "RTP ports {}-{} hold no even-odd pair", ports.start(), ports.end())
            }
            Self::Port { port, error } if error.kind() == io::ErrorKind::AddrInUse => {
                write!(f, "UDP port {port} is in use; choose other RTP ports")
            }
            Self::Port { port, error } => write!(f, "UDP port {port}: {error}"),
        }
    }
}

impl std::error::Error for BindError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::NoPair(_) => None,
            Self::Port { error, .. } => Some(error),
        }
    }
}

impl PairSockets {
    /// Binds the pairs of a shard's share of the RTP ports, [`SHARD_PAIRS_MAX`] at most, for
    /// both IP versions where there are two.
    ///
    /// # Errors
    /// [`BindError`], naming the port.
    pub fn bind(ports: RangeInclusive<u16>) -> Result<Self, BindError> {
        let dual_stack = Socket::new(Domain::IPV6, Type::DGRAM, Some(Protocol::UDP))
            .and_then(|socket| socket.bind(&address_any(true, 0)))
            .is_ok();
        Self::bind_as(ports, dual_stack)
    }

    /// Binds for both IP versions or for IPv4 alone.
    pub(super) fn bind_as(ports: RangeInclusive<u16>, dual_stack: bool) -> Result<Self, BindError> {
        let even = ports.start().checked_next_multiple_of(2).unwrap_or(u16::MAX);
        let rtp_ports: Vec<u16> = (even..*ports.end()).step_by(2).take(SHARD_PAIRS_MAX).collect();
        let mut sockets = Vec::with_capacity(2 * rtp_ports.len());
        for port in rtp_ports.iter().flat_map(|rtp| [*rtp, rtp + 1]) {
            let socket = bind(port, dual_stack).map_err(|error| BindError::Port { port, error })?;
            sockets.push(socket);
        }
        if sockets.is_empty() {
            return Err(BindError::NoPair(ports));
        }
        Ok(Self { sockets, ports: rtp_ports, dual_stack, launch_zero: None })
    }

    /// The RTP port of each pair, by [`PairId`].
    #[must_use]
    pub fn rtp_ports(&self) -> &[u16] {
        &self.ports
    }

    /// Whether IPv6 works; if not, viewers can only come over IPv4.
    #[must_use]
    pub const fn is_dual_stack(&self) -> bool {
        self.dual_stack
    }

    /// Tells the kernel that RTP comes with launch times of the monotonic clock, which said
    /// `nanos_at_zero` when the shard's was zero.
    ///
    /// # Errors
    /// If it knows of none (before 4.19). Then nothing is sent with one.
    pub fn set_launch_times(&mut self, nanos_at_zero: u64) -> io::Result<()> {
        for socket in self.sockets.iter().step_by(2) {
            launch::allow(socket.as_fd(), libc::CLOCK_MONOTONIC)?;
        }
        self.launch_zero = Some(nanos_at_zero);
        Ok(())
    }

    /// A time of the shard's clock as the kernel takes it, if it does.
    pub(super) fn launch_nanos(&self, nanos: u64) -> Option<u64> {
        Some(self.launch_zero?.saturating_add(nanos))
    }

    /// What each socket may have on its way to the network, and what was asked for: less than that
    /// is what `net.core.wmem_max` lets a process without `CAP_NET_ADMIN` have.
    ///
    /// # Errors
    /// If a socket does not say.
    pub fn send_buffer_bytes(&self) -> io::Result<(usize, usize)> {
        let mut least = SEND_BUFFER_BYTES;
        for socket in &self.sockets {
            // The kernel doubles what it is asked for, for its own bookkeeping (socket(7)).
            least = least.min(socket.send_buffer_size()? / 2);
        }
        Ok((least, SEND_BUFFER_BYTES))
    }

    /// Position of a pair's socket among all.
    pub(super) const fn index(pair: PairId, socket: PairSocket) -> usize {
        pair.0 as usize * 2 + socket as usize
    }

    /// What [`PairSockets::index`] was made of.
    #[allow(clippy::cast_possible_truncation, reason = "there are at most 2 * SHARD_PAIRS_MAX")]
    pub(super) const fn pair(index: usize) -> (PairId, PairSocket) {
        let socket = if index.is_multiple_of(2) { PairSocket::Rtp } else { PairSocket::Rtcp };
        (PairId((index / 2) as u8), socket)
    }

    /// How many sockets there are.
    pub(super) const fn count(&self) -> usize {
        self.sockets.len()
    }

    /// The socket with this position: RTP and RTCP of each pair in turn.
    ///
    /// # Panics
    /// When there are not so many.
    #[must_use]
    pub fn socket(&self, index: usize) -> BorrowedFd<'_> {
        self.sockets[index].as_fd()
    }

    /// An address as these sockets' family writes it.
    #[must_use]
    pub fn destination(&self, address: SocketAddr) -> SockAddr {
        match address {
            SocketAddr::V4(v4) if self.dual_stack => {
                SocketAddrV6::new(v4.ip().to_ipv6_mapped(), v4.port(), 0, 0).into()
            }
            SocketAddr::V4(_) | SocketAddr::V6(_) => address.into(),
        }
    }
}

/// Takes over a connection's socket: never blocks, sends small replies at once, buffers little
/// beyond what is under way.
#[must_use]
pub fn adopt(socket: OwnedFd) -> Socket {
    let socket = Socket::from(socket);
    // A connection that the peer has reset already may refuse; its first event says so.
    for refused in [
        socket.set_nonblocking(true),
        socket.set_tcp_nodelay(true),
        socket.set_tcp_notsent_lowat(UNSENT_BYTES_MAX),
    ] {
        refused.unwrap_or_else(|error| tracing::debug!(%error, "option of an adopted connection"));
    }
    socket
}

/// Bytes that were written to a connection and that its peer has not acknowledged.
pub(super) fn unacknowledged(socket: BorrowedFd<'_>) -> Option<u32> {
    let mut bytes: libc::c_int = 0;
    // SAFETY: SIOCOUTQ (the number of TIOCOUTQ) writes one int, which lives through the call.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), libc::TIOCOUTQ, &raw mut bytes) };
    u32::try_from(bytes).ok().filter(|_| result == 0)
}

/// Whether the kernel cuts a big datagram into packets (`UDP_SEGMENT`, 4.18 and later).
///
/// # Errors
/// If there are no UDP sockets at all.
pub fn segmentation_offload() -> io::Result<bool> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
    Ok(set_option(socket.as_fd(), libc::SOL_UDP, libc::UDP_SEGMENT, 1400).is_ok())
}

/// Unsent bytes that a connection may hold in the kernel. It bounds what a reader who stopped
/// costs (beside what is on its way to him), so the send buffer may grow with the bandwidth.
const UNSENT_BYTES_MAX: u32 = 256 * 1024;
/// What a pair's socket may have on its way to the network: a few milliseconds of 10 Gbit/s.
const SEND_BUFFER_BYTES: usize = 8 << 20;
/// Receiver reports that may wait for a turn.
const RECEIVE_BUFFER_BYTES: usize = 1 << 20;

fn bind(port: u16, dual_stack: bool) -> io::Result<Socket> {
    let domain = if dual_stack { Domain::IPV6 } else { Domain::IPV4 };
    let socket = Socket::new(domain, Type::DGRAM, Some(Protocol::UDP))?;
    if dual_stack {
        socket.set_only_v6(false)?;
    }
    socket.set_nonblocking(true)?;
    let forced = libc::c_int::try_from(SEND_BUFFER_BYTES).unwrap_or(libc::c_int::MAX);
    if set_option(socket.as_fd(), libc::SOL_SOCKET, libc::SO_SNDBUFFORCE, forced).is_err() {
        // Not root: as much as net.core.wmem_max lets.
        socket.set_send_buffer_size(SEND_BUFFER_BYTES)?;
    }
    socket.set_recv_buffer_size(RECEIVE_BUFFER_BYTES)?;
    socket.bind(&address_any(dual_stack, port))?;
    Ok(socket)
}

fn address_any(dual_stack: bool, port: u16) -> SockAddr {
    if dual_stack {
        SocketAddr::from((Ipv6Addr::UNSPECIFIED, port)).into()
    } else {
        SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)).into()
    }
}

pub(super) fn set_option(
    socket: BorrowedFd<'_>,
    level: libc::c_int,
    name: libc::c_int,
    value: libc::c_int,
) -> io::Result<()> {
    const BYTES: libc::socklen_t = 4;
    const { assert!(BYTES as usize == size_of::<libc::c_int>()) };
    let value = &raw const value;
    // SAFETY: reads one int, which lives through the call.
    let result = unsafe { libc::setsockopt(socket.as_raw_fd(), level, name, value.cast(), BYTES) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;

    #[test]
    fn pairs_are_even_and_odd() {
        let sockets = (40_000..60_000)
            .step_by(16)
            .find_map(|first| PairSockets::bind(first + 1..=first + 7).ok())
            .unwrap();
        assert_eq!(sockets.rtp_ports().len(), 3);
        assert!(sockets.rtp_ports().iter().all(|port| port % 2 == 0));
        for (index, socket) in sockets.sockets.iter().enumerate() {
            let (pair, half) = PairSockets::pair(index);
            assert_eq!(PairSockets::index(pair, half), index);
            let port = sockets.rtp_ports()[usize::from(pair.0)] + half as u16;
            assert_eq!(socket.local_addr().unwrap().as_socket().unwrap().port(), port);
        }
    }

    #[test]
    fn the_send_buffer_is_what_the_kernel_gives() {
        let sockets = (40_000..60_000).find_map(|port| PairSockets::bind(port..=port + 2).ok());
        let sockets = sockets.unwrap();
        let (bytes, wanted) = sockets.send_buffer_bytes().unwrap();
        let forced = std::fs::read_to_string("/proc/self/status").unwrap();
        let forced = forced.lines().find_map(|line| line.strip_prefix("CapEff:\t")).unwrap();
        let may_force = u64::from_str_radix(forced, 16).unwrap() >> 12 & 1 == 1;
        assert!(bytes == wanted || !may_force, "{bytes} of {wanted}");
        sockets.sockets[1].set_send_buffer_size(100_000).unwrap();
        assert_eq!(sockets.send_buffer_bytes().unwrap().0, 100_000);
    }

    #[test]
    fn a_port_in_use_is_named() {
        let taken = UdpSocket::bind("0.0.0.0:0").unwrap();
        let port = taken.local_addr().unwrap().port();
        let even = port & !1;
        let error = PairSockets::bind(even..=even + 1).unwrap_err();
        assert!(error.to_string().contains(&format!("port {port} is in use")), "{error}");
        let error = PairSockets::bind(7001..=7001).unwrap_err();
        assert!(error.to_string().contains("no even-odd pair"), "{error}");
    }
}
