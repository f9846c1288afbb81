//! Huge pages for packet images: an area for each shard, and the allocator that puts big
//! allocations of a shard's thread there.

use libmimalloc_sys as mi;
use mimalloc::MiMalloc;
use std::alloc::{GlobalAlloc, Layout};
use std::cell::Cell;
use std::io;
use std::ptr::{self, NonNull};

/// The program's allocator: mimalloc, and for the big allocations of a thread that has called
/// [`take_huge_pages`] the area of that thread, as long as there is room.
#[derive(Debug)]
pub struct Allocator;

/// Where huge pages come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HugePageSource {
    /// The kernel puts them together as they are touched, if it has some (`MADV_HUGEPAGE`).
    Transparent,
    /// The administrator has set them apart (`MAP_HUGETLB`).
    Reserved,
}

/// Sets apart room for `bytes` of images in huge pages, for big allocations of this thread to come,
/// and tells how many bytes that are. Memory comes from the NUMA node of the CPU that this thread
/// runs on: reserved pages are touched here, transparent ones when they are first used.
///
/// The area stays with the process: images come and go in it, and none of it is given back.
///
/// # Errors
/// What the kernel said: `ENOMEM` when there are not so many reserved pages, `EINVAL` when it was
/// built without huge pages. Whatever was set apart until then stays in use.
pub fn take_huge_pages(bytes: usize, source: HugePageSource) -> io::Result<usize> {
    let total = area_bytes(bytes);
    let mut left = total;
    while left > 0 {
        let part = left.min(PART_BYTES_MAX);
        let memory = map(part, source)?;
        let part_heap = heap_in(memory, part);
        let added = part_heap.is_some_and(|heap| AREA.with(|area| area.add(heap)));
        if !added {
            // Not unmapped: a heap may know of it.
            return Err(io::Error::from(io::ErrorKind::OutOfMemory));
        }
        left -= part;
    }
    Ok(total)
}

/// How large an area is that takes `bytes` of images: whole chunks of the allocator, an eighth more
/// for its size classes and a chunk for its own tables and what images leave between them.
#[must_use]
pub const fn area_bytes(bytes: usize) -> usize {
    bytes.saturating_add(bytes / 8).next_multiple_of(CHUNK_BYTES).saturating_add(CHUNK_BYTES)
}

/// Keeps the kernel from using huge pages where it was not asked to
/// (`/sys/kernel/mm/transparent_hugepage/enabled` says `always`): one of them goes back to the
/// system only as a whole, so that what a crowd took would stay.
///
/// # Errors
/// On kernels before 3.15.
pub fn keep_small_pages() -> io::Result<()> {
    // Read pools ask for theirs, and keep them where the kernel can tell (6.18).
    if thp_disable(1, PR_THP_DISABLE_EXCEPT_ADVISED).is_ok() {
        return Ok(());
    }
    thp_disable(1, 0)
}

/// Lets the kernel use huge pages where it is asked to, even if whoever started this process has
/// forbidden it.
///
/// # Errors
/// On kernels before 3.15.
pub fn allow_huge_pages() -> io::Result<()> {
    thp_disable(0, 0)
}

fn thp_disable(value: libc::c_ulong, flags: libc::c_ulong) -> io::Result<()> {
    let unused: libc::c_ulong = 0;
    // SAFETY: takes numbers alone.
    let result = unsafe { libc::prctl(libc::PR_SET_THP_DISABLE, value, flags, unused, unused) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

const PR_THP_DISABLE_EXCEPT_ADVISED: libc::c_ulong = 2;

/// Smaller allocations are not worth a look at the thread's area: images are larger, except for a
/// few of audio.
const BIG_BYTES: usize = 16 << 10;
/// What mimalloc manages an area by (`MI_ARENA_MIN_SIZE`).
const CHUNK_BYTES: usize = 32 << 20;
/// The most that one heap manages (`MI_ARENA_MAX_SIZE`).
const PART_BYTES_MAX: usize = 16 << 30;
/// Parts of an area: half a tebibyte.
const PARTS_MAX: usize = 32;
const HUGE_PAGE_BYTES: usize = 2 << 20;
/// Big allocations that go elsewhere after all parts were found full: looking takes a while.
const FULL_PAUSE: u32 = 256;

thread_local! {
    static AREA: Area = const { Area::new() };
}

/// A thread's heaps in huge pages. Has no destructor, so that it can be used as long as the thread
/// lives.
struct Area {
    heaps: [Cell<*mut mi::mi_heap_t>; PARTS_MAX],
    count: Cell<usize>,
    /// The part that had room last.
    current: Cell<usize>,
    /// Allocations before the parts are tried again.
    pause: Cell<u32>,
}

impl Area {
    const fn new() -> Self {
        Self {
            heaps: [const { Cell::new(ptr::null_mut()) }; PARTS_MAX],
            count: Cell::new(0),
            current: Cell::new(0),
            pause: Cell::new(0),
        }
    }

    fn add(&self, heap: NonNull<mi::mi_heap_t>) -> bool {
        let count = self.count.get();
        let Some(place) = self.heaps.get(count) else { return false };
        place.set(heap.as_ptr());
        self.count.set(count + 1);
        true
    }

    /// What `allocate` gets from a part that has room.
    fn place(&self, allocate: impl Fn(*mut mi::mi_heap_t) -> *mut u8) -> Option<NonNull<u8>> {
        let count = self.count.get();
        if count == 0 {
            return None;
        }
        if let Some(less) = self.pause.get().checked_sub(1) {
            self.pause.set(less);
            return None;
        }
        for _ in 0..count {
            let current = self.current.get();
            if let Some(place) = NonNull::new(allocate(self.heaps[current].get())) {
                return Some(place);
            }
            self.current.set((current + 1) % count);
        }
        self.pause.set(FULL_PAUSE);
        None
    }
}

// SAFETY: every place is one that mimalloc gave for the layout, whose blocks are freed and resized
// alike whichever heap they are from, and on any thread.
unsafe impl GlobalAlloc for Allocator {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if layout.size() >= BIG_BYTES
            && let Some(place) = AREA.with(|area| {
                area.place(|heap| {
                    // SAFETY: the heap was made by this thread and is never deleted.
                    unsafe { mi::mi_heap_malloc_aligned(heap, layout.size(), layout.align()) }
                        .cast()
                })
            })
        {
            return place.as_ptr();
        }
        // SAFETY: the caller's promise.
        unsafe { MiMalloc.alloc(layout) }
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if layout.size() >= BIG_BYTES
            && let Some(place) = AREA.with(|area| {
                area.place(|heap| {
                    // SAFETY: the heap was made by this thread and is never deleted.
                    unsafe { mi::mi_heap_zalloc_aligned(heap, layout.size(), layout.align()) }
                        .cast()
                })
            })
        {
            return place.as_ptr();
        }
        // SAFETY: the caller's promise.
        unsafe { MiMalloc.alloc_zeroed(layout) }
    }

    #[inline]
    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { MiMalloc.dealloc(place, layout) };
    }

    #[inline]
    unsafe fn realloc(&self, place: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        if bytes >= BIG_BYTES
            && let Some(place) = AREA.with(|area| {
                area.place(|heap| {
                    let old = place.cast();
                    // SAFETY: the heap was made by this thread and is never deleted, and `old` is
                    // a block of mimalloc, which stays as it is if there is no room.
                    unsafe { mi::mi_heap_realloc_aligned(heap, old, bytes, layout.align()) }.cast()
                })
            })
        {
            return place.as_ptr();
        }
        // SAFETY: the caller's promise.
        unsafe { MiMalloc.realloc(place, layout, bytes) }
    }
}

/// Maps so many bytes, a multiple of a huge page, at a huge page's boundary.
fn map(bytes: usize, source: HugePageSource) -> io::Result<NonNull<libc::c_void>> {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    match source {
        HugePageSource::Transparent => {
            let mapping = map_anonymous(bytes + HUGE_PAGE_BYTES, flags | libc::MAP_NORESERVE)?;
            let padding = mapping.cast::<u8>().align_offset(HUGE_PAGE_BYTES);
            // SAFETY: the mapping is a huge page longer than `bytes`, and `padding` is less.
            let memory = unsafe { mapping.byte_add(padding) };
            advise(memory, bytes, libc::MADV_HUGEPAGE)?;
            Ok(memory)
        }
        HugePageSource::Reserved => {
            let huge = flags | libc::MAP_HUGETLB | libc::MAP_HUGE_2MB;
            let memory = map_anonymous(bytes, huge)?;
            // A control group may allow less than the pool has; untouched, that were a SIGBUS.
            if let Err(error) = advise(memory, bytes, libc::MADV_POPULATE_WRITE)
                && error.raw_os_error() != Some(libc::EINVAL)
            {
                // SAFETY: mapped above, and nobody has heard of it.
                unsafe { libc::munmap(memory.as_ptr(), bytes) };
                return Err(error);
            }
            Ok(memory)
        }
    }
}

fn map_anonymous(bytes: usize, flags: libc::c_int) -> io::Result<NonNull<libc::c_void>> {
    let access = libc::PROT_READ | libc::PROT_WRITE;
    // SAFETY: an anonymous mapping at a place of the kernel's choice touches no other memory.
    let memory = unsafe { libc::mmap(ptr::null_mut(), bytes, access, flags, -1, 0) };
    match NonNull::new(memory) {
        Some(memory) if memory.as_ptr() != libc::MAP_FAILED => Ok(memory),
        _ => Err(io::Error::last_os_error()),
    }
}

fn advise(memory: NonNull<libc::c_void>, bytes: usize, advice: libc::c_int) -> io::Result<()> {
    // SAFETY: advice that changes no byte, about a mapping of this module.
    let result = unsafe { libc::madvise(memory.as_ptr(), bytes, advice) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// A heap that takes its memory from there alone, and gives none of it back.
fn heap_in(memory: NonNull<libc::c_void>, bytes: usize) -> Option<NonNull<mi::mi_heap_t>> {
    const COMMITTED: bool = true;
    const PINNED: bool = true;
    const ZERO: bool = true;
    const ANY_NODE: libc::c_int = -1;
    const EXCLUSIVE: bool = true;
    let mut arena: mi::mi_arena_id_t = ptr::null_mut();
    let start = memory.as_ptr().cast();
    // SAFETY: writable zeroes that nobody else uses and that stay mapped for good, at a multiple of
    // 64 KiB as an arena must lie; `arena` lives through the call.
    let managed = unsafe {
        mi::mi_manage_os_memory_ex(
            start,
            bytes,
            COMMITTED,
            PINNED,
            ZERO,
            ANY_NODE,
            EXCLUSIVE,
            &raw mut arena,
        )
    };
    if !managed {
        return None;
    }
    // SAFETY: `arena` was made above.
    NonNull::new(unsafe { mi::mi_heap_new_in_arena(arena) })
}

#[cfg(test)]
mod tests;
