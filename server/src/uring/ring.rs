//! The ring: polls, reads and their cancellation, each with a key that comes back with its
//! completion. Every entry completes exactly once, so what is under way can be counted.

use super::pool::Lent;
use io_uring::types::{Fd, Fixed, SubmitArgs, Timespec};
use io_uring::{IoUring, opcode, squeue};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::time::Duration;

/// What a completion belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    /// The eventfd of the shard's mailbox is readable.
    Mailbox,
    /// A pair socket, by its position among them, is readable.
    Socket(u32),
    /// A connection has input. The generation tells users of a slot apart.
    Input { slot: u32, generation: u32 },
    /// A connection takes output.
    Output { slot: u32, generation: u32 },
    /// A read is done, by its place in the table of reads.
    Read(u32),
    /// A cancellation is done; nobody waits for it.
    Cancel,
}

/// Generations are counted modulo this, so that one fits a key beside tag and slot.
pub(super) const GENERATIONS: u32 = 1 << 24;

impl Key {
    const fn encode(self) -> u64 {
        let (tag, generation, slot) = match self {
            Self::Mailbox => (0, 0, 0),
            Self::Socket(index) => (1, 0, index),
            Self::Input { slot, generation } => (2, generation, slot),
            Self::Output { slot, generation } => (3, generation, slot),
            Self::Read(index) => (4, 0, index),
            Self::Cancel => (5, 0, 0),
        };
        tag << 56 | (generation as u64) << 32 | slot as u64
    }

    #[allow(clippy::cast_possible_truncation, reason = "the parts are masked")]
    const fn decode(user_data: u64) -> Self {
        let slot = user_data as u32;
        let generation = (user_data >> 32) as u32 % GENERATIONS;
        match user_data >> 56 {
            0 => Self::Mailbox,
            1 => Self::Socket(slot),
            2 => Self::Input { slot, generation },
            3 => Self::Output { slot, generation },
            4 => Self::Read(slot),
            _ => Self::Cancel,
        }
    }
}

/// A finished entry: its key, and a count, an event mask or a negative error number.
#[derive(Clone, Copy, Debug)]
pub(super) struct Completion {
    pub(super) key: Key,
    pub(super) result: i32,
}

/// Which of the ring's set-up flags the kernel has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RingFlavour {
    /// One issuer, completions run when the shard enters the kernel (6.1 and later).
    DeferTaskrun,
    /// Completions run at the next transition to the kernel, without interrupts (5.19 and later).
    CoopTaskrun,
    /// None of them.
    Plain,
}

/// Best first.
const FLAVOURS: [RingFlavour; 3] =
    [RingFlavour::DeferTaskrun, RingFlavour::CoopTaskrun, RingFlavour::Plain];

/// The best flavour that this kernel makes.
///
/// # Errors
/// What the kernel said of the plain one: `ENOSYS` or `EPERM` where `io_uring` is forbidden.
pub fn ring_flavour() -> io::Result<RingFlavour> {
    // As big as control's, which is tokio-uring's default: where it fits, that one does.
    build(256, 512).map(|(_, flavour)| flavour)
}

/// The ring of one thread.
pub(super) struct Ring {
    uring: IoUring,
    flavour: RingFlavour,
    under_way: usize,
    /// Completions that were taken early, because the kernel took no entries before.
    early: Vec<Completion>,
}

impl Ring {
    /// A ring for up to `under_way_max` entries under way; more still work, slower. Only the
    /// thread that makes it may use it.
    pub(super) fn new(under_way_max: u32) -> io::Result<Self> {
        let completions = under_way_max.clamp(2 * SUBMISSIONS, COMPLETIONS_MAX);
        // Rings count as locked memory: a small one may fit where a large one does not.
        let (uring, flavour) = build(SUBMISSIONS, completions.next_power_of_two())
            .or_else(|_| build(SUBMISSIONS, 2 * SUBMISSIONS))?;
        Ok(Self { uring, flavour, under_way: 0, early: Vec::new() })
    }

    /// Which set-up flags it has.
    pub(super) const fn flavour(&self) -> RingFlavour {
        self.flavour
    }

    /// Makes a table of `count` empty slots for files.
    pub(super) fn register_files(&self, count: u32) -> io::Result<()> {
        self.uring.submitter().register_files_sparse(count)
    }

    /// Puts a file into a slot of the table, or empties it with -1.
    pub(super) fn update_file(&self, slot: u32, file: RawFd) -> io::Result<()> {
        self.uring.submitter().register_files_update(slot, &[file]).map(drop)
    }

    /// Registers the memory of the read pool.
    ///
    /// # Safety
    /// The memory must stay mapped as long as the ring lives.
    pub(super) unsafe fn register_buffers(&self, buffers: &[libc::iovec]) -> io::Result<()> {
        // SAFETY: the caller keeps the memory mapped as long as this ring lives.
        unsafe { self.uring.submitter().register_buffers(buffers) }
    }

    /// Completes once when `file` shows one of `events` (`POLLIN`, `POLLOUT`), an error or a
    /// hang-up; at once if it does already.
    pub(super) fn poll(&mut self, file: BorrowedFd<'_>, events: i16, key: Key) {
        let events = u32::from(events.cast_unsigned());
        self.push(opcode::PollAdd::new(Fd(file.as_raw_fd()), events).build(), key);
    }

    /// Reads `bytes` bytes from `offset` into lent memory. `file` is a descriptor, or a slot if
    /// the file table is registered; a wrong one completes with `EBADF`.
    pub(super) fn read(&mut self, file: File, offset: u64, bytes: u32, to: &Lent, key: Key) {
        assert!(bytes <= to.bytes, "a read must not exceed the memory it was lent");
        let memory = to.memory.as_ptr();
        let entry = match (file, to.buffer) {
            (File::Slot(slot), Some(buffer)) => {
                opcode::ReadFixed::new(Fixed(slot), memory, bytes, buffer).offset(offset).build()
            }
            (File::Slot(slot), None) => {
                opcode::Read::new(Fixed(slot), memory, bytes).offset(offset).build()
            }
            (File::Descriptor(file), Some(buffer)) => {
                opcode::ReadFixed::new(Fd(file), memory, bytes, buffer).offset(offset).build()
            }
            (File::Descriptor(file), None) => {
                opcode::Read::new(Fd(file), memory, bytes).offset(offset).build()
            }
        };
        self.push(entry, key);
    }

    /// Makes the entry with this key complete soon, if it is still under way.
    pub(super) fn cancel(&mut self, key: Key) {
        self.push(opcode::AsyncCancel::new(key.encode()).build(), Key::Cancel);
    }

    /// Moves what has completed to `completions`.
    pub(super) fn completions(&mut self, completions: &mut Vec<Completion>) {
        completions.append(&mut self.early);
        let before = completions.len();
        completions.extend(self.uring.completion().map(|entry| Completion {
            key: Key::decode(entry.user_data()),
            result: entry.result(),
        }));
        self.under_way -= completions.len() - before;
    }

    /// Entries that have not completed.
    pub(super) const fn under_way(&self) -> usize {
        self.under_way
    }

    /// Whether nothing has completed that was not taken.
    #[cfg(test)]
    pub(super) fn is_idle(&mut self) -> bool {
        self.uring.completion().is_empty()
    }

    /// Submits what was asked for and waits until `count` entries have completed or `timeout` has
    /// passed (`None`: however long it takes; zero: not at all).
    pub(super) fn wait(&mut self, timeout: Option<Duration>, count: usize) -> io::Result<()> {
        let timeout = if self.early.is_empty() { timeout } else { Some(Duration::ZERO) };
        if timeout == Some(Duration::ZERO) && self.is_kernel_idle() {
            return Ok(());
        }
        let submitter = self.uring.submitter();
        let result = match timeout {
            // Also runs what the kernel has deferred, which is what a poll of the ring is for.
            Some(Duration::ZERO) => submitter.submit(),
            Some(timeout) => {
                let timeout = Timespec::from(timeout);
                submitter.submit_with_args(count, &SubmitArgs::new().timespec(&timeout))
            }
            None => submitter.submit_and_wait(count),
        };
        match result.map_err(|error| (error.raw_os_error(), error)) {
            Ok(_) => Ok(()),
            // Nothing in time, a signal, or completions to be taken first.
            Err((Some(libc::ETIME | libc::EINTR | libc::EBUSY | libc::EAGAIN), _)) => Ok(()),
            Err((_, error)) => Err(error),
        }
    }

    /// Whether entering the kernel would do nothing now: there is nothing to submit, nothing it
    /// has deferred, and no completion that the ring had no place for.
    fn is_kernel_idle(&mut self) -> bool {
        let submissions = self.uring.submission();
        submissions.is_empty() && !submissions.taskrun() && !submissions.cq_overflow()
    }

    fn push(&mut self, entry: squeue::Entry, key: Key) {
        let entry = entry.user_data(key.encode());
        while self.uring.submission().is_full() {
            self.wait(Some(Duration::ZERO), 1).expect("the kernel takes entries of a ring it made");
            if self.uring.submission().is_full() {
                let mut early = std::mem::take(&mut self.early);
                self.completions(&mut early);
                self.early = early;
            }
        }
        // SAFETY: polls and cancels refer to no memory, and a read refers to memory that the pool
        // has lent: nothing touches or unmaps it before the read has completed (the driver waits
        // for every read before it drops the pool).
        unsafe { self.uring.submission().push(&entry) }.expect("the queue was not full");
        self.under_way += 1;
    }
}

/// A file to read.
#[derive(Clone, Copy, Debug)]
pub(super) enum File {
    /// By slot of the registered table.
    Slot(u32),
    /// By descriptor.
    Descriptor(RawFd),
}

/// Entries that may wait for one submission.
const SUBMISSIONS: u32 = 256;
/// Completions the ring holds itself; the kernel keeps what exceeds them.
const COMPLETIONS_MAX: u32 = 32 * 1024;

fn build(entries: u32, completions: u32) -> io::Result<(IoUring, RingFlavour)> {
    let mut refused = None;
    for flavour in FLAVOURS {
        let mut builder = IoUring::builder();
        builder.setup_cqsize(completions).setup_clamp();
        match flavour {
            RingFlavour::DeferTaskrun => {
                builder.setup_single_issuer().setup_defer_taskrun().setup_taskrun_flag();
            }
            RingFlavour::CoopTaskrun => {
                builder.setup_coop_taskrun().setup_taskrun_flag();
            }
            RingFlavour::Plain => {}
        }
        match builder.build(entries) {
            Ok(uring) => return Ok((uring, flavour)),
            Err(error) => refused = Some(error),
        }
    }
    Err(refused.expect("there is at least one flavour"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::uring::Waker;
    use std::os::fd::AsFd;

    #[test]
    fn more_completions_than_the_ring_holds_are_kept() {
        let mut ring = Ring::new(1).unwrap();
        let ready = Waker::new().unwrap();
        ready.wake();
        let count = 8 * ring.uring.params().cq_entries();
        for slot in 0..count {
            ring.poll(ready.as_fd(), libc::POLLIN, Key::Socket(slot));
        }
        let mut seen = vec![false; count as usize];
        let mut completions = Vec::new();
        while ring.under_way() > 0 {
            ring.wait(Some(Duration::from_secs(5)), 1).unwrap();
            ring.completions(&mut completions);
            assert!(!completions.is_empty(), "{} completions are lost", ring.under_way());
            for completion in completions.drain(..) {
                let Key::Socket(slot) = completion.key else { panic!("{completion:?}") };
                assert!(!std::mem::replace(&mut seen[slot as usize], true), "{slot} twice");
            }
        }
        assert!(!seen.contains(&false));
    }

    #[test]
    fn what_the_kernel_has_deferred_is_seen_without_waiting() {
        let mut ring = Ring::new(1).unwrap();
        let ready = Waker::new().unwrap();
        ring.poll(ready.as_fd(), libc::POLLIN, Key::Mailbox);
        ring.wait(Some(Duration::ZERO), 1).unwrap();
        assert!(ring.is_kernel_idle() && ring.is_idle());
        ready.wake();
        let mut completions = Vec::new();
        ring.wait(Some(Duration::ZERO), 1).unwrap();
        ring.completions(&mut completions);
        assert_eq!(completions[0].key, Key::Mailbox);
    }

    #[test]
    fn keys_survive_the_kernel() {
        let slot = u32::MAX;
        let generation = GENERATIONS - 1;
        for key in [
            Key::Mailbox,
            Key::Socket(31),
            Key::Input { slot, generation },
            Key::Output { slot, generation },
            Key::Output { slot: 0, generation: 1 },
            Key::Read(slot),
            Key::Cancel,
        ] {
            assert_eq!(Key::decode(key.encode()), key);
        }
    }
}
