//! Threads, pinning, start-up checks, loops, drain.

mod catalog_worker;
mod connection_task;
pub mod control_loop;
pub mod mailbox_queue;
