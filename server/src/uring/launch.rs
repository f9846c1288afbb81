//! Launch times of datagrams (`SO_TXTIME`), and the clock they are told by.

use std::io;
use std::mem::{MaybeUninit, size_of};
use std::os::fd::{AsRawFd, BorrowedFd};

/// Has `socket` take launch times of `clock` with what it sends.
///
/// # Errors
/// `ENOPROTOOPT` before Linux 4.19; `EPERM` for clocks other than the monotonic one without
/// `CAP_NET_ADMIN`; `EINVAL` for what is no clock.
pub(super) fn allow(socket: BorrowedFd<'_>, clock: libc::clockid_t) -> io::Result<()> {
    /// `struct sock_txtime`.
    #[repr(C)]
    struct SocketLaunchTimes {
        clock: libc::clockid_t,
        flags: u32,
    }
    const BYTES: libc::socklen_t = 8;
    const { assert!(BYTES as usize == size_of::<SocketLaunchTimes>()) };
    let option = SocketLaunchTimes { clock, flags: 0 };
    // SAFETY: reads one structure of plain numbers, which lives through the call.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_TXTIME,
            (&raw const option).cast(),
            BYTES,
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// What the monotonic clock (`CLOCK_MONOTONIC`) says, in nanoseconds: the kernel is told launch
/// times by it, and the standard library does not tell.
#[must_use]
pub fn monotonic_nanos() -> u64 {
    let mut time = MaybeUninit::<libc::timespec>::uninit();
    // SAFETY: writes one structure, which lives through the call.
    let result = unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, time.as_mut_ptr()) };
    assert_eq!(result, 0, "every Linux has this clock");
    // SAFETY: it was written.
    let time = unsafe { time.assume_init() };
    let part = |number: i64| u64::try_from(number).unwrap_or(0);
    part(time.tv_sec) * 1_000_000_000 + part(time.tv_nsec)
}

#[cfg(test)]
mod tests {
    use super::super::message::{Control, MessageBuffers};
    use super::*;
    use std::net::UdpSocket;
    use std::os::fd::AsFd;

    #[test]
    fn a_socket_takes_launch_times_once_it_is_told() {
        let viewer = UdpSocket::bind("127.0.0.1:0").unwrap();
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let send = || {
            let control = Control::EMPTY.launching_at(monotonic_nanos() + 1_000_000);
            let mut buffers = MessageBuffers::default();
            let mut batch = buffers.batch();
            let to = viewer.local_addr().unwrap().into();
            batch.push(Some(to), control, std::iter::once(&b"train"[..]));
            batch.send(socket.as_fd(), 0)
        };
        let refused = send().unwrap_err();
        assert_eq!(refused.raw_os_error(), Some(libc::EINVAL), "the kernel reads the message");
        assert!(allow(socket.as_fd(), libc::clockid_t::MAX).is_err(), "no such clock");
        assert!(send().is_err());
        allow(socket.as_fd(), libc::CLOCK_MONOTONIC).unwrap();
        assert_eq!(send().unwrap(), 1);
        let mut bytes = [0; 9];
        assert_eq!(viewer.recv(&mut bytes).unwrap(), 5);
    }

    #[test]
    #[allow(clippy::disallowed_methods, reason = "compares the clocks")]
    fn the_monotonic_clock_is_that_of_the_standard_library() {
        let (before, start) = (monotonic_nanos(), std::time::Instant::now());
        std::thread::yield_now();
        let (between, elapsed) = (monotonic_nanos() - before, start.elapsed());
        let after = monotonic_nanos() - before;
        assert!(before > 0 && u128::from(between) <= elapsed.as_nanos() + u128::from(after));
    }
}
