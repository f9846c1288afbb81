//! The titles a shard serves: their slots in the table of registered files.

use super::operation::{Operation, SourceSlot};
use crate::clock::MonoTime;
use crate::title::{ByteSourceId, SharedTitle};
use slab::Slab;
use std::collections::HashMap;
use std::sync::Arc;

#[derive(Debug)]
struct Source {
    title: SharedTitle,
    /// Sessions that play it and reads under way.
    users: u32,
    /// When the last user left.
    idle_since: MonoTime,
    /// A read of it failed that took more along than was wanted.
    is_faulty: bool,
}

/// The open titles. One stays open for a while after its last user, for its images in the cache,
/// or until its slot is wanted.
#[derive(Debug)]
pub(super) struct Sources {
    slots: HashMap<ByteSourceId, SourceSlot>,
    sources: Slab<Source>,
    sources_max: usize,
}

impl Sources {
    pub(super) fn new(sources_max: usize) -> Self {
        Self { slots: HashMap::new(), sources: Slab::new(), sources_max }
    }

    /// The slot of `title` if it is open.
    pub(super) fn find(&self, title: &SharedTitle) -> Option<SourceSlot> {
        self.slots.get(&title.source).copied()
    }

    /// Whether another title can be opened without closing one.
    pub(super) fn has_room(&self) -> bool {
        self.sources.len() < self.sources_max
    }

    /// A title that nobody has used since `since`, to be closed.
    pub(super) fn unused(&self, since: MonoTime) -> Option<SourceSlot> {
        let is_unused = |source: &Source| source.users == 0 && source.idle_since <= since;
        let (slot, _) = self.sources.iter().find(|(_, source)| is_unused(source))?;
        Some(SourceSlot(u32::try_from(slot).expect("bounded by sources_max")))
    }

    /// Opens `title`.
    pub(super) fn open(
        &mut self,
        title: &SharedTitle,
        operations: &mut Vec<Operation>,
    ) -> SourceSlot {
        let idle_since = MonoTime::default();
        let source = Source { title: Arc::clone(title), users: 0, idle_since, is_faulty: false };
        let slot = u32::try_from(self.sources.insert(source)).expect("bounded by sources_max");
        self.slots.insert(title.source, SourceSlot(slot));
        let title = Arc::clone(title);
        operations.push(Operation::OpenSource { source: SourceSlot(slot), title });
        SourceSlot(slot)
    }

    /// Closes an unused title.
    pub(super) fn close(&mut self, slot: SourceSlot, operations: &mut Vec<Operation>) {
        let source = self.sources.remove(slot.0 as usize);
        assert_eq!(source.users, 0, "{} is in use", source.title.name);
        self.slots.remove(&source.title.source);
        operations.push(Operation::CloseSource { source: slot });
    }

    /// The title in `slot`.
    pub(super) fn title(&self, slot: SourceSlot) -> &SharedTitle {
        &self.sources[slot.0 as usize].title
    }

    pub(super) fn acquire(&mut self, slot: SourceSlot) {
        self.sources[slot.0 as usize].users += 1;
    }

    pub(super) fn release(&mut self, slot: SourceSlot, now: MonoTime) {
        let source = &mut self.sources[slot.0 as usize];
        source.users = source.users.checked_sub(1).expect("released once an acquire");
        source.idle_since = now;
    }

    /// Has nothing read along of the title from now on: what is not wanted may be what cannot be
    /// read.
    pub(super) fn mark_faulty(&mut self, slot: SourceSlot) {
        self.sources[slot.0 as usize].is_faulty = true;
    }

    pub(super) fn is_faulty(&self, slot: SourceSlot) -> bool {
        self.sources[slot.0 as usize].is_faulty
    }

    /// Whether no title is open.
    pub(super) fn is_empty(&self) -> bool {
        self.sources.is_empty()
    }

    /// Uses over all titles.
    pub(super) fn uses(&self) -> u32 {
        self.sources.iter().map(|(_, source)| source.users).sum()
    }
}
