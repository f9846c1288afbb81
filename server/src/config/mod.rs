//! What was typed (file and flags) → what the program needs, checked.

mod budget;
mod check;
mod host;
mod launch;
mod media_root;
mod placement;
mod profile;
mod raw;
mod titles;
pub mod units;

pub use budget::{Budget, SHARD_MEMORY_BYTES_MIN};
pub use check::ConfigError;
pub use host::Host;
pub use launch::LaunchTimes;
pub use media_root::MediaRoot;
pub use placement::{FIFO_PRIORITY_MAX, HugePages, Scheduler};
pub use profile::ProfileName;
pub use raw::{FileError, LogFormat, RawConfig};
pub use titles::{ClockOrigin, Moved, Origin, RtspUrl, TitlePattern};

use crate::limits::SHARD_PAIRS_MAX;
use packetizer::image::{Bursts, PayloadClass};
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::time::Duration;

/// How many pairs of these RTP ports each of so many shards has.
#[must_use]
pub fn shard_pairs(ports: &RangeInclusive<u16>, shard_count: usize) -> usize {
    (ports.len() / 2 / shard_count.max(1)).min(SHARD_PAIRS_MAX)
}

/// What the program needs. Made from what was typed by `RawConfig::check` only, so that it cannot
/// be wrong.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where titles come from.
    pub media: Vec<MediaRoot>,
    /// Titles that are to be found elsewhere; the first that fits counts.
    pub moved: Vec<Moved>,
    /// When titles began in absolute time; the first that fits counts.
    pub clock_origins: Vec<ClockOrigin>,
    /// Files are read through the page cache even where they can be read past it.
    pub page_cache: bool,
    /// Transport streams are sent as they are.
    pub mp2t: bool,
    /// Layer III of MPEG audio is sent as application data units.
    pub mp3_adu: bool,
    /// Where control listens for RTSP.
    pub listen: Vec<SocketAddr>,
    /// Where it listens for HTTP tunnels and nothing else.
    pub http_listen: Vec<SocketAddr>,
    /// One entry a shard: the CPU it is pinned to, or `None` to float.
    pub shard_cpus: Vec<Option<usize>>,
    /// The CPU control is pinned to.
    pub control_cpu: Option<usize>,
    /// How the kernel schedules the shards' threads.
    pub scheduler: Scheduler,
    /// What pages packet images lie in.
    pub huge_pages: HugePages,
    /// UDP ports of all shards together; starts even, holds whole pairs, at least one a shard.
    pub rtp_ports: RangeInclusive<u16>,
    /// Memory for images, read pools and indexes of all shards together.
    pub memory_bytes: u64,
    /// Sessions of all shards together.
    pub sessions_max: u32,
    /// RTSP connections.
    pub connections_max: u32,
    /// Sessions from one client address.
    pub sessions_per_address_max: u32,
    /// Connections from one client address.
    pub connections_per_address_max: u32,
    /// What may be reserved for media; `None` admits by the other limits alone.
    pub egress_bits_per_second: Option<u64>,
    /// Largest RTP packet.
    pub payload_class: PayloadClass,
    /// The session timeout that SETUP announces.
    pub session_timeout: Duration,
    /// How long a drain may take.
    pub drain_deadline: Duration,
    /// Where viewers are sent meanwhile: a directory, with a slash at its end.
    pub redirect_to: Option<RtspUrl>,
    /// Clients that are treated like any other.
    pub profiles_off: Vec<ProfileName>,
    /// What is due within this time leaves together.
    pub coalescing: Duration,
    /// Whether the kernel is told when trains are to leave.
    pub launch_times: LaunchTimes,
    /// An interleaved viewer's media that is due within this time leaves in one call.
    pub interleaved_ahead: Duration,
    /// What may leave at once.
    pub bursts: Bursts,
}

/// How logs are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogConfig {
    /// Which lines, as `tracing_subscriber::EnvFilter` reads it.
    pub filter: String,
    /// How a line looks.
    pub format: LogFormat,
}
