//! What a connection knows of its path: how big a packet may be to reach the peer whole.

use std::io;
use std::mem::{MaybeUninit, size_of};
use std::os::fd::{AsRawFd, BorrowedFd};

/// The largest IP packet, headers included, that is known to reach a connection's peer whole: by
/// the path MTU as the kernel has it, and by the segments that the peer takes, which tell of the
/// peer's own link and of routers that meddle with them (RFC 9293 §3.7.1).
///
/// # Errors
/// If the socket does not tell.
pub fn path_mtu(connection: BorrowedFd<'_>, is_ipv6: bool) -> io::Result<u32> {
    let info = tcp_info(connection)?;
    let has_timestamps = info.tcpi_options & TIMESTAMPS != 0;
    Ok(mtu_of(info.tcpi_pmtu, info.tcpi_snd_mss, has_timestamps, is_ipv6))
}

/// The kernel's segment size leaves room for the options that every segment has.
const fn mtu_of(path_mtu: u32, segment_bytes: u32, has_timestamps: bool, is_ipv6: bool) -> u32 {
    let ip_header: u32 = if is_ipv6 { 40 } else { 20 };
    let options = if has_timestamps { TIMESTAMP_OPTION_BYTES } else { 0 };
    let by_segment = segment_bytes.saturating_add(ip_header + TCP_HEADER_BYTES + options);
    if path_mtu < by_segment { path_mtu } else { by_segment }
}

/// Whether a connection's peer, which may have stopped reading, is still there: its kernel
/// answers what is sent again and again, be it a probe of the window that it has closed (RFC 9293
/// §3.8.6.1): ever more seldom, at last every two minutes.
///
/// # Errors
/// If the socket does not tell.
pub(super) fn is_answering(connection: BorrowedFd<'_>) -> io::Result<bool> {
    let info = tcp_info(connection)?;
    Ok(info.tcpi_last_ack_recv < SILENCE_MILLIS_MAX)
}

/// `TCP_RTO_MAX`, and some.
const SILENCE_MILLIS_MAX: u32 = 130_000;
const TCP_HEADER_BYTES: u32 = 20;
/// `TCPOLEN_TSTAMP_ALIGNED`.
const TIMESTAMP_OPTION_BYTES: u32 = 12;
/// `TCPI_OPT_TIMESTAMPS`.
const TIMESTAMPS: u8 = 1;

fn tcp_info(connection: BorrowedFd<'_>) -> io::Result<libc::tcp_info> {
    let mut info: MaybeUninit<libc::tcp_info> = MaybeUninit::zeroed();
    let mut bytes = libc::socklen_t::try_from(size_of::<libc::tcp_info>()).expect("small");
    let place = info.as_mut_ptr().cast();
    let (level, name) = (libc::IPPROTO_TCP, libc::TCP_INFO);
    // SAFETY: writes at most `bytes` bytes, which is what `info` has.
    let result =
        unsafe { libc::getsockopt(connection.as_raw_fd(), level, name, place, &raw mut bytes) };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: numbers alone, for which the zeroes are valid that an older kernel leaves.
    Ok(unsafe { info.assume_init() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::AsFd;

    #[test]
    fn the_smaller_of_path_and_segments_counts() {
        for (path_mtu, segment_bytes, has_timestamps, is_ipv6, expected) in [
            (1500, 1448, true, false, 1500),
            (1500, 1460, false, false, 1500),
            (1500, 1228, true, false, 1280),
            (1500, 1240, false, false, 1280),
            (1500, 1208, true, true, 1280),
            (1400, 1448, true, false, 1400),
            (1500, 536, false, false, 576),
            (65_536, u32::MAX, true, true, 65_536),
        ] {
            let mtu = mtu_of(path_mtu, segment_bytes, has_timestamps, is_ipv6);
            assert_eq!(mtu, expected, "{path_mtu} {segment_bytes}");
        }
    }

    #[test]
    fn a_peer_that_was_just_heard_is_there() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        assert!(is_answering(client.as_fd()).unwrap());
        assert!(is_answering(listener.as_fd()).is_ok(), "asking is harmless");
    }

    #[test]
    fn a_connection_tells_what_the_peer_takes() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None);
        let client = client.unwrap();
        client.set_tcp_mss(1000).unwrap();
        client.connect(&listener.local_addr().unwrap().into()).unwrap();
        let (accepted, _) = listener.accept().unwrap();
        let mtu = path_mtu(accepted.as_fd(), false).unwrap();
        assert_eq!(mtu, 1040, "the segment that the client said, and the headers");
        let other = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        assert!(path_mtu(other.as_fd(), false).unwrap() > 1500, "the loopback's own");
        assert!(path_mtu(io::stdin().as_fd(), false).is_err());
    }
}
