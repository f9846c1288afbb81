//! Threads, pinning, start-up checks, loops, drain.

mod affinity;
mod catalog_worker;
mod connection_task;
pub mod control_loop;
pub mod mailbox_queue;
pub mod probe;
pub mod shard_loop;

pub use affinity::pin_current_thread;
