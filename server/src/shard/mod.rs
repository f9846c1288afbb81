//! A shard: streams, prefetch, image cache, wheel, egress, reports. Performs nothing itself.

pub mod counters;
pub mod egress;
pub mod operation;
