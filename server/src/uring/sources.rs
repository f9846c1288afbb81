//! The byte sources a shard has open, by slot, in the ring's file table where that works.

use super::ring::{File, Ring};
use crate::shard::operation::SourceSlot;
use crate::title::SharedTitle;
use std::os::fd::{AsRawFd, RawFd};

/// Open sources. A title stays alive, and its file open, from `open` to `close`.
#[derive(Debug, Default)]
pub(super) struct Sources {
    slots: Vec<Option<Source>>,
}

#[derive(Debug)]
struct Source {
    title: SharedTitle,
    registered: bool,
}

impl Sources {
    pub(super) fn open(&mut self, ring: &Ring, slot: SourceSlot, title: SharedTitle) {
        // Refused without a table, or where the kernel is short of memory: then by descriptor.
        let registered = ring.update_file(slot.0, descriptor(&title)).is_ok();
        let index = slot.0 as usize;
        if self.slots.len() <= index {
            self.slots.resize_with(index + 1, || None);
        }
        let before = self.slots[index].replace(Source { title, registered });
        assert!(before.is_none(), "{slot:?} is open already");
    }

    pub(super) fn close(&mut self, ring: &Ring, slot: SourceSlot) {
        let source = self.slots.get_mut(slot.0 as usize).and_then(Option::take);
        if source.expect("only an open source is closed").registered {
            ring.update_file(slot.0, -1).expect("the kernel empties a slot it filled");
        }
    }

    /// How the ring calls the source's file.
    pub(super) fn file(&self, slot: SourceSlot) -> File {
        match self.slots.get(slot.0 as usize) {
            Some(Some(source)) if source.registered => File::Slot(slot.0),
            Some(Some(source)) => File::Descriptor(descriptor(&source.title)),
            Some(None) | None => File::Descriptor(-1),
        }
    }
}

/// The title's descriptor; -1, which reads as `EBADF`, for one without a file.
fn descriptor(title: &SharedTitle) -> RawFd {
    title.file.as_ref().map_or(-1, |source| source.file.as_raw_fd())
}
