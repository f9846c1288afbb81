//! When a thread's crowd has gone, and its memory with it.

use crate::uring::give_back;

/// Watches how many a thread serves, and gives memory back when most of them have left.
#[derive(Debug, Default)]
pub(super) struct Tide {
    /// The most since memory was last given back.
    high: usize,
}

impl Tide {
    /// Takes note of how many there are now.
    pub(super) fn watch(&mut self, count: usize) {
        self.high = self.high.max(count);
        if self.has_ebbed(count) {
            give_back();
            self.high = count;
        }
    }

    const fn has_ebbed(&self, count: usize) -> bool {
        self.high >= CROWD && count <= self.high / 8
    }
}

/// Fewer leave nothing behind that is worth the trouble.
const CROWD: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_goes_back_once_a_crowd_has_left() {
        let mut tide = Tide::default();
        for count in [10, 255, 0] {
            tide.watch(count);
            assert!(!tide.has_ebbed(0), "{count} are no crowd");
        }
        tide.watch(800);
        assert!(!tide.has_ebbed(101));
        assert!(tide.has_ebbed(100));
        tide.watch(100);
        assert!(!tide.has_ebbed(0), "once a crowd");
    }
}
