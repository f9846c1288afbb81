//! Threads, pinning, start-up checks, loops, drain.

mod affinity;
mod catalog_worker;
mod connection_task;
pub mod control_loop;
mod launch;
pub mod logs;
pub mod mailbox_queue;
mod opening;
mod placement;
mod playlist_title;
pub mod probe;
pub mod sample;
mod serve;
pub mod shard_loop;
mod signals;
mod tide;
mod tune;

pub use affinity::pin_current_thread;
pub use serve::{ServeError, serve, serve_numbered};
pub use tune::tune;
