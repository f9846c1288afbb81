//! Message headers for `sendmmsg` and `recvmmsg`, in memory that is reused from turn to turn.

use socket2::SockAddr;
use std::io;
use std::marker::PhantomData;
use std::mem::{MaybeUninit, size_of};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::os::fd::{AsRawFd, BorrowedFd};

/// Messages of one `sendmmsg`.
pub const MESSAGES_MAX: usize = 64;
/// Pieces of one message (`UIO_MAXIOV`).
pub(super) const MESSAGE_PIECES_MAX: usize = 1024;

/// Memory of message headers, empty between batches.
#[derive(Default)]
pub(super) struct MessageBuffers {
    headers: Vec<libc::mmsghdr>,
    pieces: Vec<libc::iovec>,
    messages: Vec<Message>,
}

struct Message {
    address: Option<SockAddr>,
    control: Control,
    piece_count: usize,
}

impl MessageBuffers {
    /// An empty batch of messages whose bytes live as long as `'a`.
    pub(super) fn batch<'a>(&mut self) -> Batch<'_, 'a> {
        self.pieces.clear();
        self.messages.clear();
        Batch { buffers: self, bytes: PhantomData }
    }
}

/// Messages that are sent together.
pub(super) struct Batch<'buffers, 'a> {
    buffers: &'buffers mut MessageBuffers,
    bytes: PhantomData<&'a [u8]>,
}

impl<'a> Batch<'_, 'a> {
    /// Appends a message; without address on a stream.
    pub(super) fn push(
        &mut self,
        address: Option<SockAddr>,
        control: Control,
        pieces: impl Iterator<Item = &'a [u8]>,
    ) {
        let before = self.buffers.pieces.len();
        self.buffers.pieces.extend(pieces.map(|piece| libc::iovec {
            iov_base: piece.as_ptr().cast_mut().cast(),
            iov_len: piece.len(),
        }));
        let piece_count = self.buffers.pieces.len() - before;
        self.buffers.messages.push(Message { address, control, piece_count });
    }

    /// Messages in the batch.
    pub(super) fn len(&self) -> usize {
        self.buffers.messages.len()
    }

    /// Sends the messages from `first` on, without blocking, and tells how many were taken. An
    /// error is that of message `first`; a later one ends the call and is met when that message is
    /// the first.
    pub(super) fn send(&mut self, socket: BorrowedFd<'_>, first: usize) -> io::Result<usize> {
        let MessageBuffers { headers, pieces, messages } = &mut *self.buffers;
        headers.clear();
        let mut piece = 0;
        for message in &*messages {
            let mut header = empty_header();
            if let Some(address) = &message.address {
                header.msg_hdr.msg_name = address.as_ptr().cast_mut().cast();
                header.msg_hdr.msg_namelen = address.len();
            }
            header.msg_hdr.msg_iov = pieces[piece..].as_ptr().cast_mut();
            header.msg_hdr.msg_iovlen = message.piece_count as _;
            if message.control.used > 0 {
                header.msg_hdr.msg_control = message.control.bytes.as_ptr().cast_mut().cast();
                header.msg_hdr.msg_controllen = message.control.used as _;
            }
            piece += message.piece_count;
            headers.push(header);
        }
        let headers = &mut headers[first..];
        let count = u32::try_from(headers.len()).unwrap_or(u32::MAX);
        let flags = libc::MSG_NOSIGNAL | libc::MSG_DONTWAIT;
        // SAFETY: the headers point into `messages` and `pieces`, which stay as they are during
        // the call, and the pieces at bytes that live as long as `'a`, so longer than this batch.
        // The kernel writes into the headers alone.
        let sent =
            unsafe { libc::sendmmsg(socket.as_raw_fd(), headers.as_mut_ptr(), count, flags as _) };
        usize::try_from(sent).map_err(|_| io::Error::last_os_error())
    }

    /// Bytes that the kernel took of the message that was `first` in the last call.
    pub(super) fn first_sent_bytes(&self, first: usize) -> usize {
        self.buffers.headers[first].msg_len as usize
    }
}

/// Control messages of one datagram: where it leaves from, how it is cut, and when it leaves.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(8))]
pub struct Control {
    bytes: [u8; CONTROL_BYTES],
    used: usize,
}

impl Control {
    /// None.
    pub const EMPTY: Self = Self { bytes: [0; CONTROL_BYTES], used: 0 };

    /// What the kernel is given.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..self.used]
    }

    /// Leaves from the address `local`, on a dual-stack socket.
    #[must_use]
    pub fn leaving_dual_stack(mut self, local: IpAddr, interface: u32) -> Self {
        let address = match local {
            IpAddr::V4(v4) => v4.to_ipv6_mapped(),
            IpAddr::V6(v6) => v6,
        };
        let mut info = [0; size_of::<libc::in6_pktinfo>()];
        info[..16].copy_from_slice(&address.octets());
        info[16..20].copy_from_slice(&interface.to_ne_bytes());
        self.push(libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, &info);
        self
    }

    /// Leaves from the address `local`, on an IPv4 socket.
    #[must_use]
    pub fn leaving_ipv4(mut self, local: Ipv4Addr) -> Self {
        let mut info = [0; size_of::<libc::in_pktinfo>()];
        info[4..8].copy_from_slice(&local.octets());
        self.push(libc::IPPROTO_IP, libc::IP_PKTINFO, &info);
        self
    }

    /// Is cut into packets of `bytes` bytes, the last as long as it comes.
    #[must_use]
    pub fn segmented(mut self, bytes: u16) -> Self {
        self.push(libc::SOL_UDP, libc::UDP_SEGMENT, &bytes.to_ne_bytes());
        self
    }

    /// Leaves no sooner than the monotonic clock says `nanos`, where the device's queueing
    /// discipline keeps to that. The socket has to be told before (`SO_TXTIME`), or refuses it.
    #[must_use]
    pub fn launching_at(mut self, nanos: u64) -> Self {
        self.push(libc::SOL_SOCKET, libc::SCM_TXTIME, &nanos.to_ne_bytes());
        self
    }

    /// Appends as `CMSG_NXTHDR` and `CMSG_DATA` would lay it out.
    fn push(&mut self, level: libc::c_int, kind: libc::c_int, data: &[u8]) {
        let length = size_of::<libc::cmsghdr>() + data.len();
        let place = &mut self.bytes[self.used..];
        let (head, place) = place.split_at_mut(size_of::<usize>());
        head.copy_from_slice(&length.to_ne_bytes());
        let (head, place) = place.split_at_mut(size_of::<libc::c_int>());
        head.copy_from_slice(&level.to_ne_bytes());
        let (head, place) = place.split_at_mut(size_of::<libc::c_int>());
        head.copy_from_slice(&kind.to_ne_bytes());
        place[..data.len()].copy_from_slice(data);
        self.used += length.next_multiple_of(size_of::<usize>());
    }
}

const CONTROL_BYTES: usize = 88;
const _: () = assert!(
    size_of::<libc::cmsghdr>() == size_of::<usize>() + 2 * size_of::<libc::c_int>(),
    "control messages are laid out without a C library's private fields"
);

/// Datagrams of one `recvmmsg`, with where they came from.
pub(super) struct Inbox {
    bytes: Box<[u8]>,
    names: Vec<Name>,
    pieces: Vec<libc::iovec>,
    headers: Vec<libc::mmsghdr>,
}

/// Datagrams that one call receives.
pub(super) const INBOX_DATAGRAMS: usize = 32;
/// The longest of them: RTCP and NAT punches are short, and what is longer is neither.
const INBOX_DATAGRAM_BYTES: usize = 2048;

/// A `sockaddr_in` or `sockaddr_in6`.
#[derive(Clone, Copy)]
#[repr(C, align(8))]
struct Name([u8; NAME_BYTES as usize]);

const NAME_BYTES: libc::socklen_t = 28;
const _: () = assert!(NAME_BYTES as usize == size_of::<libc::sockaddr_in6>());

impl Inbox {
    pub(super) fn new() -> Self {
        Self {
            bytes: vec![0; INBOX_DATAGRAMS * INBOX_DATAGRAM_BYTES].into_boxed_slice(),
            names: vec![Name([0; _]); INBOX_DATAGRAMS],
            pieces: Vec::with_capacity(INBOX_DATAGRAMS),
            headers: Vec::with_capacity(INBOX_DATAGRAMS),
        }
    }

    /// Receives what is there, up to [`INBOX_DATAGRAMS`], and tells how many.
    pub(super) fn receive(&mut self, socket: BorrowedFd<'_>) -> io::Result<usize> {
        let Self { bytes, names, pieces, headers } = self;
        pieces.clear();
        pieces.extend(bytes.chunks_exact_mut(INBOX_DATAGRAM_BYTES).map(|place| libc::iovec {
            iov_base: place.as_mut_ptr().cast(),
            iov_len: place.len(),
        }));
        headers.clear();
        for (piece, name) in pieces.iter_mut().zip(names) {
            let mut header = empty_header();
            header.msg_hdr.msg_name = (&raw mut *name).cast();
            header.msg_hdr.msg_namelen = NAME_BYTES;
            header.msg_hdr.msg_iov = piece;
            header.msg_hdr.msg_iovlen = 1;
            headers.push(header);
        }
        let count = u32::try_from(headers.len()).unwrap_or(u32::MAX);
        // SAFETY: the headers point into `names`, `pieces` and `bytes`, none of which is touched
        // during the call, and which all consist of plain numbers.
        let received = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                headers.as_mut_ptr(),
                count,
                libc::MSG_DONTWAIT as _,
                std::ptr::null_mut(),
            )
        };
        usize::try_from(received).map_err(|_| io::Error::last_os_error())
    }

    /// A datagram that the last call received; `None` for one that was too long.
    pub(super) fn datagram(&self, index: usize) -> Option<(SocketAddr, &[u8])> {
        let header = &self.headers[index];
        if header.msg_hdr.msg_flags & libc::MSG_TRUNC != 0 {
            return None;
        }
        let place = &self.bytes[index * INBOX_DATAGRAM_BYTES..][..INBOX_DATAGRAM_BYTES];
        Some((self.names[index].parse()?, place.get(..header.msg_len as usize)?))
    }
}

impl Name {
    /// The address, in its IPv4 form if it has one.
    fn parse(&self) -> Option<SocketAddr> {
        let bytes = &self.0;
        let port = u16::from_be_bytes([bytes[2], bytes[3]]);
        match libc::c_int::from(libc::sa_family_t::from_ne_bytes([bytes[0], bytes[1]])) {
            libc::AF_INET => {
                let octets: [u8; 4] = bytes[4..8].try_into().ok()?;
                Some((Ipv4Addr::from(octets), port).into())
            }
            libc::AF_INET6 => {
                let octets: [u8; 16] = bytes[8..24].try_into().ok()?;
                let scope = u32::from_ne_bytes(bytes[24..28].try_into().ok()?);
                let address = Ipv6Addr::from(octets);
                Some(match address.to_ipv4_mapped() {
                    Some(v4) => (v4, port).into(),
                    None => SocketAddrV6::new(address, port, 0, scope).into(),
                })
            }
            _ => None,
        }
    }
}

fn empty_header() -> libc::mmsghdr {
    // SAFETY: numbers and pointers alone, for which zeroes are valid.
    unsafe { MaybeUninit::zeroed().assume_init() }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Level, kind and data of each control message, as `CMSG_NXTHDR` finds them.
    fn parsed(control: &Control) -> Vec<(i32, i32, Vec<u8>)> {
        let (mut rest, mut found) = (control.bytes(), Vec::new());
        while let Some((head, _)) = rest.split_first_chunk::<16>() {
            let length = usize::from_ne_bytes(head[..8].try_into().unwrap());
            let number = |at: usize| i32::from_ne_bytes(head[at..at + 4].try_into().unwrap());
            found.push((number(8), number(12), rest[16..length].to_vec()));
            rest = &rest[length.next_multiple_of(8)..];
        }
        assert!(rest.is_empty());
        found
    }

    #[test]
    fn all_that_a_datagram_may_be_told_fits() {
        let local: IpAddr = "192.0.2.7".parse().unwrap();
        let control = Control::EMPTY
            .leaving_dual_stack(local, 3)
            .segmented(1400)
            .launching_at(0x0102_0304_0506_0708);
        let mut from = [&[0; 10][..], &[0xff, 0xff, 192, 0, 2, 7]].concat();
        from.extend(3_u32.to_ne_bytes());
        let expected = [
            (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, from),
            (libc::SOL_UDP, libc::UDP_SEGMENT, 1400_u16.to_ne_bytes().to_vec()),
            (libc::SOL_SOCKET, 61, 0x0102_0304_0506_0708_u64.to_ne_bytes().to_vec()),
        ];
        assert_eq!(parsed(&control), expected);
        assert_eq!(control.used, CONTROL_BYTES);
        assert_eq!(parsed(&Control::EMPTY), []);
    }

    #[test]
    fn names_parse_in_their_ipv4_form() {
        let cases = ["192.0.2.7:5000", "[2001:db8::1]:6971", "[::ffff:192.0.2.7]:5000"];
        for case in cases {
            let address: SocketAddr = case.parse().unwrap();
            let written = SockAddr::from(address);
            let mut name = Name([0; _]);
            // SAFETY: the storage is longer than either address.
            let bytes = unsafe {
                std::slice::from_raw_parts(written.as_ptr().cast::<u8>(), written.len() as usize)
            };
            name.0[..bytes.len()].copy_from_slice(bytes);
            let expected = SocketAddr::new(address.ip().to_canonical(), address.port());
            assert_eq!(name.parse(), Some(expected), "{case}");
        }
        assert_eq!(Name([0; _]).parse(), None);
    }
}
