//! A viewer's sockets: connections and RTP/RTCP port pairs, set to note when things arrive.

use crate::clock::{KernelClock, MonoTime};
use nix::errno::Errno;
use nix::sys::socket::sockopt::{RcvBuf, RcvBufForce, ReceiveTimestampns, RxqOvfl, UdpGroSegment};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, getsockopt, recvmsg, setsockopt};
use socket2::{Domain, Protocol, SockFilter, SockRef, Socket, Type};
use std::io::{self, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::os::fd::{AsFd, AsRawFd};

/// Receive buffer asked for each media socket: some seconds of video, so that a reader who comes
/// late loses nothing.
const RECEIVE_BUFFER_BYTES: usize = 1 << 20;
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
            let mut stamped = None;
            for control in message.cmsgs()? {
                if let ControlMessageOwned::ScmTimestampns(stamp) = control {
                    stamped = clock.at(stamp);
                }
            }
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
                setsockopt(socket, ReceiveTimestampns, &true)?;
            }
            setsockopt(&rtp, RxqOvfl, &1)?;
            // Kernels without it (before 5.0) hand over packets one by one.
            let _ = setsockopt(&rtp, UdpGroSegment, &true);
            grow_receive_buffer(&rtp)?;
            return Ok(Self { rtp, rtcp, rtp_port });
        }
        Err(io::Error::new(io::ErrorKind::AddrInUse, "no pair of neighbouring ports is free"))
    }

    /// Has the kernel throw away all media on arrival: nobody reads it, yet the server is not told
    /// that its packets are unwanted (ICMP), and no memory is taken.
    ///
    /// # Errors
    /// The kernel has no socket filters.
    pub fn ignore_media(&self) -> io::Result<()> {
        /// `BPF_RET`: keep this many bytes of a packet.
        const KEEP_NOTHING: SockFilter = SockFilter::new(0x06, 0, 0, 0);
        SockRef::from(&self.rtp).attach_filter(&[KEEP_NOTHING])
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

/// Asks for a big receive buffer: past `net.core.rmem_max` if this process may.
fn grow_receive_buffer(socket: &UdpSocket) -> io::Result<()> {
    if setsockopt(socket, RcvBufForce, &RECEIVE_BUFFER_BYTES).is_err() {
        setsockopt(socket, RcvBuf, &RECEIVE_BUFFER_BYTES)?;
    }
    Ok(())
}

/// What to do about media sockets whose receive buffers stay small here, if they do.
///
/// # Errors
/// No socket can be made at all.
pub fn receive_buffer_warning() -> io::Result<Option<String>> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    grow_receive_buffer(&socket)?;
    // The kernel doubles what is asked for, for its own bookkeeping.
    let granted = getsockopt(&socket, RcvBuf)? / 2;
    let warning = || {
        format!(
            "receive buffers hold {} KiB instead of {} KiB, so a pause of this program may lose \
             packets: sysctl -w net.core.rmem_max={RECEIVE_BUFFER_BYTES}",
            granted >> 10,
            RECEIVE_BUFFER_BYTES >> 10,
        )
    };
    Ok((granted < RECEIVE_BUFFER_BYTES).then(warning))
}
