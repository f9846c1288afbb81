#![allow(unsafe_code, reason = "calls the allocator as a program does")]

use super::*;

const IMAGE: usize = 256 << 10;

/// A block of the allocator, written to all over.
struct Block {
    place: *mut u8,
    layout: Layout,
}

impl Block {
    fn new(bytes: usize) -> Self {
        let layout = Layout::from_size_align(bytes, 8).unwrap();
        // SAFETY: the layout has a size.
        let place = unsafe { Allocator.alloc(layout) };
        assert!(!place.is_null());
        // SAFETY: so many bytes were given.
        unsafe { place.write_bytes(7, bytes) };
        Self { place, layout }
    }

    fn grow(&mut self, bytes: usize) {
        // SAFETY: a block of this allocator, of this layout.
        self.place = unsafe { Allocator.realloc(self.place, self.layout, bytes) };
        assert!(!self.place.is_null());
        let before = self.layout.size();
        self.layout = Layout::from_size_align(bytes, 8).unwrap();
        // SAFETY: so many bytes were given, and the first were written before.
        let bytes = unsafe { std::slice::from_raw_parts(self.place, before.min(bytes)) };
        assert!(bytes.iter().all(|byte| *byte == 7), "what was there went along");
    }

    fn is_huge(&self) -> bool {
        self.lies_in(&area_mappings())
    }

    fn lies_in(&self, mappings: &[std::ops::Range<usize>]) -> bool {
        mappings.iter().any(|range| range.contains(&self.place.addr()))
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        // SAFETY: a block of this allocator, of this layout.
        unsafe { Allocator.dealloc(self.place, self.layout) };
    }
}

/// Mappings of this process that were advised to be in huge pages (`hg`) or are (`ht`).
fn area_mappings() -> Vec<std::ops::Range<usize>> {
    let text = std::fs::read_to_string("/proc/self/smaps").unwrap();
    let mut ranges = Vec::new();
    let mut range = 0..0;
    for line in text.lines() {
        let mut words = line.split_whitespace();
        let first = words.next().unwrap_or_default();
        if let Some((start, end)) = first.split_once('-')
            && let (Ok(start), Ok(end)) =
                (usize::from_str_radix(start, 16), usize::from_str_radix(end, 16))
        {
            range = start..end;
        }
        if first == "VmFlags:" && words.any(|flag| matches!(flag, "hg" | "ht")) {
            ranges.push(range.clone());
        }
    }
    ranges
}

/// Runs on a thread of its own, because an area is a thread's.
fn on_a_thread(test: impl FnOnce() + Send + 'static) {
    std::thread::spawn(test).join().unwrap();
}

#[test]
fn big_allocations_of_the_thread_lie_in_its_area() {
    on_a_thread(|| {
        assert!(!Block::new(IMAGE).is_huge(), "nobody asked yet");
        let Ok(bytes) = take_huge_pages(IMAGE, HugePageSource::Transparent) else {
            println!("this kernel has no transparent huge pages");
            return;
        };
        assert_eq!(bytes, 2 * CHUNK_BYTES);
        let mut block = Block::new(IMAGE);
        assert!(block.is_huge());
        assert_eq!(block.place.addr() % 8, 0);
        block.grow(2 * IMAGE);
        assert!(block.is_huge());
        block.grow(100);
        let mut small = Block::new(100);
        assert!(!small.is_huge());
        small.grow(IMAGE);
        assert!(small.is_huge());
        let layout = Layout::from_size_align(IMAGE, 64).unwrap();
        // SAFETY: the layout has a size.
        let place = unsafe { Allocator.alloc_zeroed(layout) };
        let zeroed = Block { place, layout };
        // SAFETY: so many bytes were given.
        let bytes = unsafe { std::slice::from_raw_parts(place, IMAGE) };
        assert!(zeroed.is_huge() && bytes.iter().all(|byte| *byte == 0));
        on_a_thread(|| assert!(!Block::new(IMAGE).is_huge(), "another thread's are not"));
    });
}

#[test]
fn a_full_area_is_left_and_used_again() {
    on_a_thread(|| {
        let Ok(bytes) = take_huge_pages(IMAGE, HugePageSource::Transparent) else {
            println!("this kernel has no transparent huge pages");
            return;
        };
        let blocks: Vec<Block> = (0..2 * bytes / IMAGE).map(|_| Block::new(IMAGE)).collect();
        let mappings = area_mappings();
        let huge = blocks.iter().filter(|block| block.lies_in(&mappings)).count();
        assert!(huge >= bytes / IMAGE / 2, "{huge} of {} fit", bytes / IMAGE);
        assert!(huge < bytes / IMAGE, "the rest lies elsewhere");
        drop(blocks);
        for _ in 0..FULL_PAUSE {
            Block::new(IMAGE);
        }
        assert!(Block::new(IMAGE).is_huge(), "there is room again");
    });
}

#[test]
fn areas_have_room_for_the_images_and_what_lies_between() {
    for (bytes, chunks) in [(0, 1), (1, 2), (CHUNK_BYTES, 3), (16 * CHUNK_BYTES, 19)] {
        assert_eq!(area_bytes(bytes), chunks * CHUNK_BYTES, "{bytes}");
    }
}

#[test]
fn more_reserved_pages_than_there_are_is_an_error() {
    on_a_thread(|| {
        let error = take_huge_pages(8 << 40, HugePageSource::Reserved).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ENOMEM));
        assert!(!Block::new(IMAGE).is_huge());
    });
}
