//! The server put together: start-up checks, sockets, threads, and their end.

use super::launch::Launch;
use super::logs::show_counters;
use super::mailbox_queue::{ControlEnd, ShardEnd, mailbox};
use super::placement::{self, Placement};
use super::probe::{self, Finding, Needs};
use super::signals::SignalThread;
use super::{control_loop, shard_loop};
use crate::clock::Clock;
use crate::config::{Budget, Config, shard_pairs};
use crate::control::Port;
use crate::limits::{
    SESSION_STREAMS_MAX, SESSION_TIMEOUT_MARGIN, SHARD_READS_MAX, SHARD_SOURCES_MAX,
};
use crate::shard::counters::Counters;
use crate::shard::operation::BLOCK_BYTES;
use crate::shard::{FirstNumbers, Shard, ShardConfig};
use crate::uring::{BindError, Driver, DriverLimits, PairSockets, Waker};
use crossbeam::channel::{Sender, bounded};
use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;
use tracing::{info, warn};

/// Why the server could not start or go on: each prints as a sentence that says what to do.
#[derive(Debug)]
pub enum ServeError {
    /// There is no io_uring here; the finding says why.
    NoRing(String),
    /// The shards may not be scheduled as the configuration says; the sentence says why.
    Scheduler(String),
    /// An address cannot be listened on.
    Listen(io::Error),
    /// The RTP ports cannot be had.
    Ports(BindError),
    /// A thread, a ring or memory cannot be had.
    Start(io::Error),
    /// Control or a shard failed while serving.
    Failed(io::Error),
}

impl fmt::Display for ServeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoRing(text) | Self::Scheduler(text) => f.write_str(text),
            Self::Listen(error) => write!(f, "{error}{}", remedy(error.kind())),
            Self::Ports(error) => write!(f, "{error} (--rtp-ports)"),
            Self::Start(error) => write!(f, "the server cannot start: {error}"),
            Self::Failed(error) => write!(f, "the server has failed: {error}"),
        }
    }
}

/// What to do about an address that cannot be listened on.
fn remedy(kind: io::ErrorKind) -> &'static str {
    if kind == io::ErrorKind::AddrInUse {
        "; stop what listens there, or choose another port, as in --listen 0.0.0.0:8555"
    } else if kind == io::ErrorKind::PermissionDenied {
        "; choose a port above 1023, or grant CAP_NET_BIND_SERVICE"
    } else if kind == io::ErrorKind::AddrNotAvailable {
        "; --listen takes an address of this machine"
    } else {
        ""
    }
}

impl std::error::Error for ServeError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::NoRing(_) | Self::Scheduler(_) => None,
            Self::Ports(error) => Some(error),
            Self::Listen(error) | Self::Start(error) | Self::Failed(error) => Some(error),
        }
    }
}

/// Serves until a signal ends it, on this thread (control) and those it starts. `ready` is told
/// the addresses listened on once viewers may come.
///
/// # Errors
/// [`ServeError`]. Not for anything that viewers or media files do.
pub fn serve(config: Config, ready: impl FnOnce(&[SocketAddr])) -> Result<(), ServeError> {
    serve_numbered(config, None, ready)
}

/// Serves like [`serve`], with streams whose numbers start where a test wants them to.
///
/// # Errors
/// Those of [`serve`].
pub fn serve_numbered(
    config: Config,
    first_numbers: Option<FirstNumbers>,
    ready: impl FnOnce(&[SocketAddr]),
) -> Result<(), ServeError> {
    let budget = config.budget();
    let register_blocks = check_host(&config, &budget)?;
    placement::prepare(&config, &budget).map_err(ServeError::Scheduler)?;
    let (listeners, addresses) = bind(&config.listen, Port::Rtsp)?;
    let (http_listeners, http_addresses) = bind(&config.http_listen, Port::Http)?;
    let listeners = listeners.into_iter().chain(http_listeners).collect();

    let clock = Clock::start();
    let waker = Waker::new().map_err(ServeError::Start)?;
    let (signals, requests) = SignalThread::start().map_err(ServeError::Start)?;
    let (shards, threads) =
        start_shards(&config, &budget, register_blocks, first_numbers, clock, &waker)?;
    // The shards' rings may have left no locked memory for control's.
    check_ring(&probe::io_uring())?;
    if let Some(cpu) = config.control_cpu {
        placement::pin("control", cpu);
    }
    for address in &addresses {
        info!("listening on rtsp://{address}/");
    }
    for address in &http_addresses {
        info!("listening for HTTP tunnels on {address}");
    }
    ready(&addresses);

    let served = control_loop::run(Arc::new(config), clock, listeners, shards, waker, requests);
    // Control's ends of the mailboxes are gone by now, which ends shards that have not drained.
    let ended = join(threads);
    drop(signals);
    served.and(ended).map_err(ServeError::Failed)
}

type Listeners = Vec<(TcpListener, Port)>;

/// Listens on these addresses, and says which they are.
fn bind(addresses: &[SocketAddr], port: Port) -> Result<(Listeners, Vec<SocketAddr>), ServeError> {
    let listeners = control_loop::bind(addresses).map_err(ServeError::Listen)?;
    let addresses = listeners.iter().map(TcpListener::local_addr).collect::<io::Result<_>>();
    let listeners = listeners.into_iter().map(|listener| (listener, port)).collect();
    Ok((listeners, addresses.map_err(ServeError::Listen)?))
}

/// Logs what was found and what the budget is, and says whether read pools may be registered.
fn check_host(config: &Config, budget: &Budget) -> Result<bool, ServeError> {
    let needs = needs(config, budget);
    let findings = probe::findings(&needs);
    findings.first().map_or(Ok(()), check_ring)?;
    for finding in &findings {
        if finding.ok { info!("{}", finding.text) } else { warn!("{}", finding.text) }
    }
    info!("memory: {budget}");
    Ok(probe::locked_memory(needs.locked_bytes).ok)
}

/// Without rings there is no server.
fn check_ring(ring: &Finding) -> Result<(), ServeError> {
    if ring.ok { Ok(()) } else { Err(ServeError::NoRing(ring.text.clone())) }
}

/// What full load takes.
fn needs(config: &Config, budget: &Budget) -> Needs {
    let shard_count = config.shard_cpus.len() as u64;
    let sources = (shard_count * SHARD_SOURCES_MAX as u64).min(config.sessions_max.into());
    Needs {
        media: config.media.iter().map(|root| root.directory.clone()).collect(),
        page_cache: config.page_cache,
        descriptors: u64::from(config.connections_max)
            + sources
            + config.rtp_ports.len() as u64
            + shard_count * SHARD_DESCRIPTORS
            + PROCESS_DESCRIPTORS,
        locked_bytes: shard_count * (budget.shard_read_bytes + RING_BYTES),
    }
}

type Shards = (Vec<ControlEnd>, Vec<JoinHandle<io::Result<Counters>>>);

/// Starts the shards' threads and waits until each has its ring.
fn start_shards(
    config: &Config,
    budget: &Budget,
    register_blocks: bool,
    first_numbers: Option<FirstNumbers>,
    clock: Clock,
    control: &Waker,
) -> Result<Shards, ServeError> {
    let shard_count = config.shard_cpus.len();
    let cname = cname();
    let read_blocks = read_blocks(budget);
    let launch = Launch::find(config, clock);
    let (started, starts) = bounded(shard_count);
    let (mut ends, mut threads) = (Vec::new(), Vec::new());
    for (index, cpu) in config.shard_cpus.iter().copied().enumerate() {
        let ports = share_of_ports(&config.rtp_ports, index, shard_count);
        let mut sockets = PairSockets::bind(ports).map_err(ServeError::Ports)?;
        if index == 0 {
            log_send_buffer(&sockets);
        }
        let (end, mailbox) = mailbox(COMMANDS_MAX, reports_max(config), control.clone())
            .map_err(ServeError::Start)?;
        let shard = ShardConfig {
            rtp_ports: sockets.rtp_ports().to_vec(),
            sessions_max: config.sessions_max,
            streams_max: streams_max(config),
            image_bytes_max: usize::try_from(budget.shard_image_bytes).unwrap_or(usize::MAX),
            read_blocks,
            session_timeout: config.session_timeout + SESSION_TIMEOUT_MARGIN,
            coalescing: config.coalescing,
            launch_ahead: launch.map_or(Duration::ZERO, |launch| launch.apply(&mut sockets)),
            interleaved_ahead: config.interleaved_ahead,
            bursts: config.bursts,
            cname: cname.clone(),
            seed: u64::from_ne_bytes(random()),
            first_numbers,
        };
        let limits = DriverLimits {
            blocks: read_blocks,
            register_blocks,
            sources_max: u32::try_from(SHARD_SOURCES_MAX).unwrap_or(u32::MAX),
            reads_max: u32::try_from(SHARD_READS_MAX).unwrap_or(u32::MAX),
            connections_max: config.connections_max,
        };
        let placement = Placement {
            index,
            cpu,
            scheduler: config.scheduler,
            huge_pages: config.huge_pages,
            image_bytes: shard.image_bytes_max,
        };
        let start = Start { placement, sockets, mailbox, shard, limits };
        let started = started.clone();
        let thread = thread::Builder::new()
            .name(format!("shard-{index}"))
            .spawn(move || start.run(clock, &started))
            .map_err(ServeError::Start)?;
        ends.push(end);
        threads.push(thread);
    }
    // Of the senders, only those of the shards that still start are left.
    drop(started);
    for _ in 0..shard_count {
        starts
            .recv()
            .unwrap_or_else(|_| Err(io::Error::other("a shard has ended by itself")))
            .map_err(ServeError::Start)?;
    }
    Ok((ends, threads))
}

/// Says when the send buffers are smaller than they should be: bursts then wait for a turn.
fn log_send_buffer(sockets: &PairSockets) {
    if let Ok((bytes, wanted)) = sockets.send_buffer_bytes()
        && bytes < wanted
    {
        warn!(
            "UDP send buffers hold {bytes} bytes where {wanted} are wanted; set \
             net.core.wmem_max={wanted} (sysctl)"
        );
    }
}

/// What a shard's thread starts with.
struct Start {
    placement: Placement,
    sockets: PairSockets,
    mailbox: ShardEnd,
    shard: ShardConfig,
    limits: DriverLimits,
}

impl Start {
    /// The whole life of a shard's thread.
    fn run(self, clock: Clock, started: &Sender<io::Result<()>>) -> io::Result<Counters> {
        self.placement.take();
        // The main thread waits for this, unless it has failed over another shard meanwhile.
        let driver = match Driver::new(self.sockets, self.mailbox.waker(), self.limits) {
            Ok(driver) => {
                let _ = started.send(Ok(()));
                driver
            }
            Err(error) => {
                let _ = started.send(Err(error));
                return Err(io::Error::other("no ring"));
            }
        };
        let shard = Shard::new(self.shard, clock.wallclock());
        shard_loop::run(shard, self.mailbox, driver, clock)
    }
}

/// Waits for the shards to end and logs what they have done.
fn join(threads: Vec<JoinHandle<io::Result<Counters>>>) -> io::Result<()> {
    let mut result = Ok(());
    for (index, thread) in threads.into_iter().enumerate() {
        match thread.join() {
            Ok(Ok(counters)) => {
                info!(shard = index, "shard has ended");
                show_counters(index, &counters);
            }
            Ok(Err(error)) => result = Err(error),
            Err(_) => result = Err(io::Error::other(format!("shard {index} has panicked"))),
        }
    }
    result
}

/// The ports of a shard: as many whole pairs for each, and what is left over for nobody.
fn share_of_ports(
    ports: &RangeInclusive<u16>,
    index: usize,
    shard_count: usize,
) -> RangeInclusive<u16> {
    let pairs = shard_pairs(ports, shard_count);
    let first = usize::from(*ports.start()) + 2 * pairs * index;
    let port = |port: usize| u16::try_from(port).unwrap_or(u16::MAX);
    port(first)..=port(first + 2 * pairs - 1)
}

/// Blocks of one shard's read pool.
fn read_blocks(budget: &Budget) -> u32 {
    u32::try_from(budget.shard_read_bytes / BLOCK_BYTES as u64).unwrap_or(u32::MAX)
}

fn streams_max(config: &Config) -> u32 {
    config.sessions_max.saturating_mul(u32::try_from(SESSION_STREAMS_MAX).unwrap_or(u32::MAX))
}

/// Reports of one shard that may wait: of each session that it finished, that it ended, and an
/// answer; of each connection an answer, a request and its end; and answers to control itself.
fn reports_max(config: &Config) -> usize {
    3 * config.sessions_max as usize + 4 * config.connections_max as usize + 64
}

/// A canonical name that tells nothing about the machine (RFC 7022 §4.2), one for all streams: they
/// share a clock.
fn cname() -> String {
    let bytes: [u8; 12] = random();
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the kernel has random bits once it has booted");
    bytes
}

/// Commands to one shard that may wait; control keeps what is beyond.
const COMMANDS_MAX: usize = 4096;
/// A shard's ring, which counts as locked memory.
const RING_BYTES: u64 = 4 << 20;
/// Ring, eventfd and the like.
const SHARD_DESCRIPTORS: u64 = 4;
/// Control's ring, listeners, signals, standard streams, titles being opened.
const PROCESS_DESCRIPTORS: u64 = 128;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_shared_in_whole_pairs() {
        for (ports, shard_count, shares) in [
            (6970..=7033, 1, vec![6970..=7001]),
            (6970..=7033, 4, vec![6970..=6985, 6986..=7001, 7002..=7017, 7018..=7033]),
            (6970..=6975, 2, vec![6970..=6971, 6972..=6973]),
            (65534..=65535, 1, vec![65534..=65535]),
        ] {
            let shared: Vec<_> =
                (0..shard_count).map(|i| share_of_ports(&ports, i, shard_count)).collect();
            assert_eq!(shared, shares);
        }
    }

    #[test]
    fn canonical_names_differ() {
        assert_eq!(cname().len(), 24);
        assert_ne!(cname(), cname());
    }
}
