//! Reaches the sockets of the control thread's runtime, which lends no descriptors.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio_uring::net::TcpStream;

/// The stream's descriptor: to ask it for its address, or to duplicate it for a shard.
#[must_use]
pub fn socket_of(stream: &TcpStream) -> BorrowedFd<'_> {
    // SAFETY: the stream keeps its descriptor open until it is dropped, and is borrowed as long as
    // this is.
    unsafe { BorrowedFd::borrow_raw(stream.as_raw_fd()) }
}

/// Tells when there is something to read from the stream, or it has ended, without reading.
///
/// # Errors
/// When the runtime cannot watch one more descriptor.
pub fn readiness_of(stream: &TcpStream) -> io::Result<AsyncFd<BorrowedFd<'_>>> {
    let socket = socket_of(stream);
    // SAFETY: the descriptor is open and the same as long as the stream is borrowed, which it is
    // until this is dropped.
    let readiness = unsafe { AsyncFd::register_with_interest(socket, Interest::READABLE) };
    Ok(readiness?)
}
