//! The reelring server: control thread, shards and the shell around them.
//!
//! `server/ARCHITECTURE.md` draws the picture; the tidy test holds its import rules.

pub mod clock;
pub mod config;
pub mod control;
pub mod framing;
pub mod limits;
pub mod mailbox;
pub mod pace;
pub mod playlist;
pub mod rtsp;
pub mod runtime;
pub mod shard;
#[cfg(any(test, feature = "sim"))]
pub mod sim;
pub mod title;
mod tune;
pub mod uring;
