//! The deterministic simulator: the shard unchanged under a seeded clock, disk and network.
//!
//! A world runs from one seed; the same seed gives the same trace. Checkers look after every event,
//! and a failure says the seed, the event's number and the last events, so that
//! `REELRING_SEED=… cargo test -p server sim` plays it again.

mod agenda;
mod disk;
mod faults;
mod net;
mod shard;
mod surroundings;
mod title;
mod trace;
mod viewer;
mod world;

pub use faults::Faults;
pub use world::{Outcome, World};

#[cfg(test)]
mod tests;
