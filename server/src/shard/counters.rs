//! Counters.

/// A shard's counters.
#[derive(Clone, Debug, Default)]
pub struct Counters {}
