//! What a machine offers to a server, as far as it decides how to run one.

use serde::Serialize;

/// All of it. What is not known is absent.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Facts {
    pub(crate) cpus: Cpus,
    pub(crate) nodes: Vec<Node>,
    pub(crate) memory: Memory,
    pub(crate) devices: Vec<Device>,
    pub(crate) kernel: Kernel,
    pub(crate) process: Process,
    pub(crate) media: Vec<Media>,
}

/// CPUs by their numbers.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Cpus {
    pub(crate) model: Option<String>,
    pub(crate) online: Vec<usize>,
    /// Those this process may run on.
    pub(crate) allowed: Vec<usize>,
    /// Allowed CPUs by physical core; several in one are its hardware threads.
    pub(crate) cores: Vec<Vec<usize>>,
    /// Kept free of other programs (`isolcpus`).
    pub(crate) isolated: Vec<usize>,
    /// Kept free of the timer's interrupts (`nohz_full`).
    pub(crate) tickless: Vec<usize>,
    /// How frequencies are chosen, each kind once.
    pub(crate) governors: Vec<String>,
    /// CPUs' worth of time that the control group allows.
    pub(crate) quota: Option<f64>,
}

/// CPUs and the memory near them.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Node {
    pub(crate) node: usize,
    pub(crate) cpus: Vec<usize>,
    pub(crate) memory_bytes: Option<u64>,
    /// Reserved huge pages of 2 MiB, and those nobody has.
    pub(crate) huge_pages: Option<u64>,
    pub(crate) huge_pages_free: Option<u64>,
}

#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Memory {
    /// The machine's, or what the control group allows, if that is less.
    pub(crate) bytes: u64,
    pub(crate) is_limited: bool,
    /// Transparent huge pages: `always`, `madvise` or `never`.
    pub(crate) transparent_huge_pages: Option<String>,
    pub(crate) defragmentation: Option<String>,
    /// Reserved huge pages of the default size, and those nobody has.
    pub(crate) huge_pages: u64,
    pub(crate) huge_pages_free: u64,
    pub(crate) huge_page_bytes: Option<u64>,
}

/// A network device that leads somewhere.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Device {
    pub(crate) name: String,
    pub(crate) is_up: bool,
    /// What has no route of its own leaves here.
    pub(crate) is_default: bool,
    pub(crate) driver: Option<String>,
    pub(crate) node: Option<usize>,
    pub(crate) megabits_per_second: Option<u64>,
    pub(crate) packet_bytes_max: Option<u64>,
    pub(crate) receive_queues: usize,
    pub(crate) send_queues: usize,
    /// CPUs that receiving is spread over in software (RPS), all queues together.
    pub(crate) spread_cpus: Vec<usize>,
    pub(crate) interrupts: Vec<Interrupt>,
    /// Queueing disciplines, the root first; empty where they are not known.
    pub(crate) disciplines: Vec<String>,
    pub(crate) offloads: Option<Offloads>,
}

/// An interrupt of a device.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Interrupt {
    pub(crate) number: usize,
    pub(crate) name: String,
    /// Where it arrives.
    pub(crate) cpus: Vec<usize>,
}

/// What a device does for the kernel when it sends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Offloads {
    /// Checksums; without them no train is cut late.
    pub(crate) checksums: bool,
    /// Trains stay whole until the driver (GSO).
    pub(crate) segmentation: bool,
    /// Trains stay whole until the wire (USO).
    pub(crate) udp_segmentation: bool,
    /// The same for TCP (TSO).
    pub(crate) tcp_segmentation: bool,
    pub(crate) scatter_gather: bool,
}

#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Kernel {
    pub(crate) release: Option<String>,
    /// Whether there are rings, in a sentence.
    pub(crate) io_uring: Option<Sentence>,
    /// Whether trains are cut by the kernel, in a sentence.
    pub(crate) segmentation: Option<Sentence>,
    pub(crate) connections_waiting_max: Option<i64>,
    pub(crate) send_buffer_bytes_max: Option<i64>,
    pub(crate) receive_buffer_bytes_max: Option<i64>,
    /// Microseconds of each second that real-time threads get; −1 is all.
    pub(crate) real_time_micros: Option<i64>,
    /// Pages wander after the CPUs that use them.
    pub(crate) balances_nodes: bool,
}

/// A finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Sentence {
    pub(crate) ok: bool,
    pub(crate) text: String,
}

/// What this process may do; `u64::MAX` is a limit that is none.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Process {
    pub(crate) descriptors_max: Option<u64>,
    pub(crate) locked_bytes_max: Option<u64>,
    pub(crate) real_time_priority_max: Option<u64>,
    pub(crate) locks_freely: bool,
    pub(crate) sets_buffers_freely: bool,
    pub(crate) schedules_freely: bool,
}

/// A directory of titles.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Media {
    pub(crate) directory: String,
    pub(crate) file_system: Option<String>,
    /// Whether it is read past the page cache, in a sentence.
    pub(crate) direct: Option<Sentence>,
    pub(crate) disk: Option<Disk>,
}

/// A disk's queue.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Disk {
    pub(crate) name: String,
    pub(crate) rotates: bool,
    pub(crate) scheduler: Option<String>,
    pub(crate) read_ahead_bytes: Option<u64>,
    pub(crate) requests: Option<u64>,
}
