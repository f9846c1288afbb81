//! The byte sources a shard has open, by slot, in the ring's file table where that works.

use super::ring::{File, Ring};
use crate::shard::operation::SourceSlot;
use crate::title::SharedTitle;
use std::os::fd::AsRawFd;

/// Open sources. A title stays alive, and its files open, from `open` to `close`.
#[derive(Debug, Default)]
pub(super) struct Sources {
    slots: Vec<Option<Source>>,
}

#[derive(Debug)]
struct Source {
    title: SharedTitle,
    /// Its only file is in the table. Those of a playlist, which may be a thousand, are not: they
    /// would take the slots of other titles, and cost little more by descriptor.
    registered: bool,
}

impl Sources {
    pub(super) fn open(&mut self, ring: &Ring, slot: SourceSlot, title: SharedTitle) {
        // Refused without a table, or where the kernel is short of memory: then by descriptor.
        let sole = match &title.files.parts[..] {
            [part] => part.file.file.as_raw_fd(),
            _ => -1,
        };
        let registered = sole >= 0 && ring.update_file(slot.0, sole).is_ok();
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

    /// How the ring calls the source's file at `offset`, and where that is in the file.
    pub(super) fn file(&self, slot: SourceSlot, offset: u64) -> (File, u64) {
        let Some(Some(source)) = self.slots.get(slot.0 as usize) else { return (NO_FILE, offset) };
        if source.registered {
            return (File::Slot(slot.0), offset);
        }
        let located = source.title.files.locate(offset);
        located.map_or((NO_FILE, offset), |(source, offset)| {
            (File::Descriptor(source.file.as_raw_fd()), offset)
        })
    }
}

/// Reads as `EBADF`.
const NO_FILE: File = File::Descriptor(-1);
