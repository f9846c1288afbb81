//! An allocator that counts what each thread asks of it, for tests of what is allocated.
#![allow(unsafe_code, reason = "an allocator cannot be had without")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::backtrace::Backtrace;
use std::cell::{Cell, RefCell};

/// The system's allocator, with a count. To be a test's `#[global_allocator]`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counting;

/// What a thread has asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Allocated {
    /// Times that it asked for memory: new, or more of it, or less.
    pub calls: u64,
    /// Bytes that it has asked for and not given back; less than none if it gave back what others
    /// had asked for.
    pub live_bytes: i64,
}

thread_local! {
    static ALLOCATED: Cell<Allocated> =
        const { Cell::new(Allocated { calls: 0, live_bytes: 0 }) };
    static PEAK_BYTES: Cell<i64> = const { Cell::new(0) };
    static TRACES_LEFT: Cell<usize> = const { Cell::new(0) };
    static TRACES: RefCell<Vec<Backtrace>> = const { RefCell::new(Vec::new()) };
}

impl Allocated {
    /// What this thread has asked for so far.
    #[must_use]
    pub fn now() -> Self {
        ALLOCATED.get()
    }

    /// What it has asked for since.
    #[must_use]
    pub fn since(self) -> Self {
        let now = Self::now();
        let live_bytes = now.live_bytes - self.live_bytes;
        Self { calls: now.calls - self.calls, live_bytes }
    }
}

/// What this thread asks for while it does something, and where from the first so many times.
pub fn count(traces: usize, work: impl FnOnce()) -> (Allocated, Vec<Backtrace>) {
    // Its own memory is not counted.
    TRACES.with_borrow_mut(|kept| kept.reserve(traces));
    let before = Allocated::now();
    TRACES_LEFT.set(traces);
    work();
    TRACES_LEFT.set(0);
    (before.since(), TRACES.take())
}

/// Most bytes that this thread holds at once while it does something, beside what it held before.
pub fn peak_bytes<T>(work: impl FnOnce() -> T) -> (T, u64) {
    let before = Allocated::now().live_bytes;
    PEAK_BYTES.set(before);
    let done = work();
    (done, PEAK_BYTES.get().saturating_sub(before).unsigned_abs())
}

fn note(calls: u64, bytes: i64) {
    let Allocated { calls: so_far, live_bytes } = ALLOCATED.get();
    ALLOCATED.set(Allocated { calls: so_far + calls, live_bytes: live_bytes + bytes });
    PEAK_BYTES.set(PEAK_BYTES.get().max(live_bytes + bytes));
    let left = TRACES_LEFT.get();
    if calls > 0 && left > 0 {
        // A trace takes memory itself, which is not counted.
        let counted = ALLOCATED.get();
        TRACES_LEFT.set(0);
        TRACES.with_borrow_mut(|traces| traces.push(Backtrace::force_capture()));
        TRACES_LEFT.set(left - 1);
        ALLOCATED.set(counted);
    }
}

const fn signed(bytes: usize) -> i64 {
    // No object is larger than that (`isize::MAX`).
    bytes.cast_signed() as i64
}

// SAFETY: all is the system allocator's; what is added touches only numbers of the thread.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note(1, signed(layout.size()));
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        note(1, signed(layout.size()));
        // SAFETY: as the caller promises.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, place: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        note(1, signed(bytes) - signed(layout.size()));
        // SAFETY: as the caller promises.
        unsafe { System.realloc(place, layout, bytes) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        note(0, -signed(layout.size()));
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(place, layout) }
    }
}
