//! An eventfd that says "look into your queue".

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd};
use std::sync::Arc;

/// Wakes the thread that waits for its descriptor to be readable. Clones wake the same one.
///
/// The descriptor blocks, so that a read of it can stay pending in a ring (one that does not
/// block fails with `EAGAIN` there).
#[derive(Clone, Debug)]
pub struct Waker {
    event: Arc<File>,
}

impl Waker {
    /// A waker that nobody waits for yet.
    ///
    /// # Errors
    /// When descriptors or kernel memory run out.
    pub fn new() -> io::Result<Self> {
        // SAFETY: takes no memory of ours.
        let event = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC) };
        if event < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the call above made the descriptor, and nobody else has it.
        let event = unsafe { OwnedFd::from_raw_fd(event) };
        Ok(Self { event: Arc::new(File::from(event)) })
    }

    /// Makes the descriptor readable.
    pub fn wake(&self) {
        // A count near 2^64 would block; a full count means that the reader is awake anyway.
        (&*self.event).write_all(&1_u64.to_ne_bytes()).expect("an eventfd takes a count of one");
    }

    /// Takes the count, so that the descriptor is not readable until the next wake-up. Blocks
    /// until there is one: the reader calls it when a poll says so.
    pub fn clear(&self) {
        let mut count = [0; 8];
        (&*self.event).read_exact(&mut count).expect("an eventfd gives its count");
    }

    /// Another descriptor of the same eventfd, for a reader that wants to own one.
    ///
    /// # Errors
    /// When descriptors run out.
    pub fn descriptor(&self) -> io::Result<OwnedFd> {
        self.event.as_fd().try_clone_to_owned()
    }
}

impl AsFd for Waker {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.event.as_fd()
    }
}
