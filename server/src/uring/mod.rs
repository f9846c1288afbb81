//! Every system call of a shard, and all `unsafe` of the project.
//!
//! A [`Driver`] performs what a shard asks for: reads and readiness through its ring, sends at
//! once. It decides nothing about sessions, and a shard never sees a descriptor or an error type.
//! What the kernel may touch outside a call is the read pool alone; [`pool`](self) memory that is
//! lent to a read is reachable by nobody until its completion, and the pool outlives the ring.
#![allow(unsafe_code, reason = "the one module that may; each block names what makes it sound")]

mod connections;
mod device;
mod discipline;
mod driver;
mod file;
mod handover;
mod image_memory;
mod launch;
mod memory;
mod message;
mod offload;
mod outbox;
mod path;
mod pool;
mod process;
mod ring;
mod send;
mod sockets;
mod sources;
mod waker;

pub use device::active_features;
pub use discipline::{Discipline, disciplines};
pub use driver::{Driver, DriverLimits, Event};
pub use file::{Caching, direct_alignment, open_media};
pub use handover::{readiness_of, socket_of};
pub use image_memory::{
    Allocator, HugePageSource, allow_huge_pages, area_bytes, keep_small_pages, take_huge_pages,
};
pub use launch::monotonic_nanos;
pub use memory::give_back;
pub use message::{Control, MESSAGES_MAX};
pub use outbox::Outbox;
pub use path::path_mtu;
pub use pool::ReadPool;
pub use process::{Resource, raise_limit, run_before_others};
pub use ring::{RingFlavour, ring_flavour};
pub use sockets::{BindError, PairSockets, adopt, segmentation_offload};
pub use waker::Waker;
