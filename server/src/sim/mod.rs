//! The deterministic simulator: the shards, alone ([`World`]) or with the core of control and
//! clients that speak RTSP ([`Whole`]), unchanged under a seeded clock, disk and network.
//!
//! A world runs from one seed; the same seed gives the same trace. Checkers look after every event,
//! and a failure says the seed, the event's number and the last events, so that
//! `REELRING_SEED=… cargo test -p server sim` plays it again; `REELRING_TAIL` shows more events,
//! `REELRING_WORLDS` runs more worlds, `REELRING_FIRST` others, from that seed on.

mod agenda;
mod between;
mod catalog;
mod cold;
mod control_shell;
mod crowd;
mod cues;
mod disk;
mod faults;
mod laps;
mod mail;
mod net;
mod ranges;
mod remote;
mod reply;
mod rtsp_client;
mod rtsp_model;
mod rtsp_session;
mod shard;
mod span;
mod steps;
mod surroundings;
mod title;
mod trace;
mod tunnel;
mod viewer;
mod whole;
mod witness;
mod world;

pub use cold::{Audience, Cold};
pub use crowd::{Crowd, Tally, Way};
pub use faults::{Faults, HardDisk, Memory};
pub use title::Interleaving;
pub use whole::Whole;
pub use world::{Outcome, World};

#[cfg(test)]
mod tests;
