//! Reaches the sockets of the control thread's runtime, which lends no descriptors.

use std::os::fd::{AsRawFd, BorrowedFd};
use tokio_uring::net::TcpStream;

/// The stream's descriptor: to ask it for its address, or to duplicate it for a shard.
#[must_use]
pub fn socket_of(stream: &TcpStream) -> BorrowedFd<'_> {
    // SAFETY: the stream keeps its descriptor open until it is dropped, and is borrowed as long as
    // this is.
    unsafe { BorrowedFd::borrow_raw(stream.as_raw_fd()) }
}
