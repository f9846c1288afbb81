//! From what was typed to what the program needs.

use super::budget::SHARD_MEMORY_BYTES_MIN;
use super::host::Host;
use super::raw::RawConfig;
use super::units::{BitRate, Bytes, CpuList, PortRange, Span};
use super::{Config, LogConfig, MediaRoot, RtspUrl};
use crate::limits::{PACKET_BYTES_MAX, PACKET_BYTES_MIN, SESSION_TIMEOUT, SHARDS_MAX};
use packetizer::image::{AHEAD_NANOS_MAX, Bursts, PayloadClass, TRAIN_PACKETS_MAX};
use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;
use tracing_subscriber::filter::LevelFilter;

/// What is wrong with the configuration: each prints as a sentence that says what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConfigError {
    /// No media directory.
    NoMedia,
    /// A media directory that is none, and why.
    MediaDirectory(PathBuf, String),
    /// An empty list of addresses.
    NoListener,
    /// The same address and port twice.
    ListenedTwice(SocketAddr),
    /// More shards than [`SHARDS_MAX`], or none.
    ShardCount(usize),
    /// A CPU that this process may not run on.
    Cpu {
        /// The key that names it.
        key: &'static str,
        /// The CPU.
        cpu: usize,
        /// What there is.
        cpus: CpuList,
    },
    /// Ports that do not start even and end odd.
    PortParity(PortRange),
    /// Fewer pairs of ports than shards.
    TooFewPorts {
        /// What was given.
        ports: PortRange,
        /// For how many shards.
        shard_count: usize,
    },
    /// Too little memory for the shards.
    TooLittleMemory {
        /// What was given.
        memory: Bytes,
        /// What the shards need at least.
        least: Bytes,
    },
    /// A number out of bounds.
    OutOfBounds {
        /// The key.
        key: &'static str,
        /// What was given.
        value: String,
        /// The bounds.
        bounds: String,
    },
    /// A log filter that is none, and why.
    LogFilter(String, String),
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoMedia => f.write_str(
                "there is no media to serve: name a directory with --media DIR, or start reelring \
                 without any argument for its sample",
            ),
            Self::MediaDirectory(path, why) => {
                write!(f, "media: {} cannot be served ({why}): give a directory", path.display())
            }
            Self::NoListener => f.write_str("listen: the list is empty: give an ADDR:PORT"),
            Self::ListenedTwice(address) => {
                write!(f, "listen: {address} is named twice: remove one")
            }
            Self::ShardCount(count) => {
                write!(f, "shards: {count} cannot be run: give a number from 1 to {SHARDS_MAX}")
            }
            Self::Cpu { key, cpu, cpus } => {
                write!(f, "{key}: this process may not run on CPU {cpu}: choose from {cpus}")
            }
            Self::PortParity(ports) => write!(
                f,
                "rtp-ports: {ports} leaves half a pair: start with an even port and end with an \
                 odd one"
            ),
            Self::TooFewPorts { ports, shard_count } => write!(
                f,
                "rtp-ports: {ports} holds fewer pairs than there are shards: give {} ports or \
                 more, or run fewer shards",
                2 * shard_count
            ),
            Self::TooLittleMemory { memory, least } => {
                write!(f, "memory: {memory} is too little: give {least} or more, or fewer shards")
            }
            Self::OutOfBounds { key, value, bounds } => {
                write!(f, "{key}: {value} is out of bounds: give {bounds}")
            }
            Self::LogFilter(filter, why) => write!(
                f,
                "log-level: `{filter}` is no filter ({why}): write it as in info or \
                 warn,server::control=debug"
            ),
        }
    }
}

impl std::error::Error for ConfigError {}

impl RawConfig {
    /// Fills in the defaults, of which some depend on the machine, and checks everything.
    ///
    /// # Errors
    /// The first [`ConfigError`] found.
    pub fn check(&self, host: &Host) -> Result<Config, ConfigError> {
        let shard_cpus = self.check_shards(host)?;
        let sessions_max = count("max-sessions", self.max_sessions, 10_000)?;
        let connections_max = count("max-connections", self.max_connections, 11_000)?;
        Ok(Config {
            media: self.check_media()?,
            moved: self.moved.clone().unwrap_or_default(),
            clock_origins: self.clock_origin.clone().unwrap_or_default(),
            page_cache: self.page_cache.unwrap_or(false),
            mp2t: self.mp2t.unwrap_or(false),
            mp3_adu: self.mp3_adu.unwrap_or(false),
            listen: self.check_listen(host)?,
            http_listen: self.http_listen.clone().unwrap_or_default(),
            control_cpu: check_control_cpu(self.control_cpu, host)?,
            scheduler: self.scheduler.unwrap_or_default(),
            huge_pages: self.hugepages.unwrap_or_default(),
            rtp_ports: self.check_rtp_ports(shard_cpus.len())?,
            memory_bytes: self.check_memory(host, shard_cpus.len())?,
            shard_cpus,
            sessions_max,
            connections_max,
            sessions_per_address_max: count(
                "max-sessions-per-address",
                self.max_sessions_per_address,
                5_000.min(sessions_max),
            )?,
            connections_per_address_max: count(
                "max-connections-per-address",
                self.max_connections_per_address,
                6_000.min(connections_max),
            )?,
            egress_bits_per_second: self.check_egress()?,
            payload_class: self.check_packet_bytes()?,
            session_timeout: self.check_session_timeout()?,
            drain_deadline: self.check_drain_deadline()?,
            redirect_to: self.check_redirect_to()?,
            profiles_off: self.no_profile.clone().unwrap_or_default(),
            coalescing: self.check_coalescing()?,
            launch_times: self.launch_times.unwrap_or_default(),
            interleaved_ahead: self.check_interleaved_ahead()?,
            bursts: Bursts {
                packets_max: self.check_max_burst()?,
                joined_nanos: self.check_datagrams_ahead()?,
            },
        })
    }

    /// How logs are written.
    ///
    /// # Errors
    /// [`ConfigError::LogFilter`].
    pub fn check_logs(&self) -> Result<LogConfig, ConfigError> {
        let filter = self.log_level.clone().unwrap_or_else(|| "info".to_owned());
        // A word that is no level would be taken for a module's name, and silence everything else.
        let mut words = filter.split(',').filter(|directive| !directive.contains(['=', '[']));
        if let Some(word) = words.find(|word| word.parse::<LevelFilter>().is_err()) {
            let why = format!("`{word}` is no level");
            return Err(ConfigError::LogFilter(filter.clone(), why));
        }
        match tracing_subscriber::EnvFilter::try_new(&filter) {
            Ok(_) => Ok(LogConfig { filter, format: self.log_format.unwrap_or_default() }),
            Err(error) => Err(ConfigError::LogFilter(filter, error.to_string())),
        }
    }

    fn check_media(&self) -> Result<Vec<MediaRoot>, ConfigError> {
        let roots = self.media.as_deref().unwrap_or_default();
        if roots.is_empty() {
            return Err(ConfigError::NoMedia);
        }
        let check = |root: &MediaRoot| {
            let refuse = |why: String| ConfigError::MediaDirectory(root.directory.clone(), why);
            let metadata = root.directory.metadata().map_err(|error| refuse(error.to_string()))?;
            if !metadata.is_dir() {
                return Err(refuse("it is a file".to_owned()));
            }
            let directory =
                std::path::absolute(&root.directory).map_err(|error| refuse(error.to_string()))?;
            Ok(MediaRoot { name: root.name.clone(), directory })
        };
        roots.iter().map(check).collect()
    }

    fn check_listen(&self, host: &Host) -> Result<Vec<SocketAddr>, ConfigError> {
        let everywhere = SocketAddr::from((Ipv4Addr::UNSPECIFIED, RTSP_PORT));
        let ipv6 = SocketAddr::from((Ipv6Addr::UNSPECIFIED, RTSP_PORT));
        let listen = match &self.listen {
            Some(listen) => listen.clone(),
            None if host.has_ipv6 => vec![ipv6, everywhere],
            None => vec![everywhere],
        };
        if listen.is_empty() {
            return Err(ConfigError::NoListener);
        }
        let all: Vec<_> = listen.iter().chain(self.http_listen.iter().flatten()).collect();
        for (index, address) in all.iter().enumerate() {
            if address.port() != 0 && all[..index].contains(address) {
                return Err(ConfigError::ListenedTwice(**address));
            }
        }
        Ok(listen)
    }

    fn check_shards(&self, host: &Host) -> Result<Vec<Option<usize>>, ConfigError> {
        let shard_cpus = match (self.shards, &self.shard_cpus) {
            (_, Some(list)) => {
                list.0.iter().try_for_each(|cpu| check_cpu("shard-cpus", *cpu, host))?;
                list.0.iter().copied().map(Some).collect()
            }
            (Some(count), None) => {
                vec![None; usize::try_from(count).unwrap_or(usize::MAX).min(SHARDS_MAX + 1)]
            }
            (None, None) if host.cpus.len() < 2 => vec![None],
            (None, None) => host.cpus[1..].iter().copied().map(Some).take(SHARDS_MAX).collect(),
        };
        if (1..=SHARDS_MAX).contains(&shard_cpus.len()) {
            return Ok(shard_cpus);
        }
        let typed = self.shards.and_then(|count| usize::try_from(count).ok());
        Err(ConfigError::ShardCount(typed.unwrap_or(shard_cpus.len())))
    }

    fn check_rtp_ports(&self, shard_count: usize) -> Result<RangeInclusive<u16>, ConfigError> {
        let Some(ports) = &self.rtp_ports else {
            let pairs = (shard_count * SHARD_PAIRS_DEFAULT).max(RTP_PAIRS_DEFAULT);
            let ports_after_first = u16::try_from(2 * pairs - 1).unwrap_or(u16::MAX);
            return Ok(RTP_PORT_FIRST..=RTP_PORT_FIRST.saturating_add(ports_after_first));
        };
        let (first, last) = (*ports.0.start(), *ports.0.end());
        if !first.is_multiple_of(2) || last.is_multiple_of(2) {
            return Err(ConfigError::PortParity(ports.clone()));
        }
        if usize::from(last - first).div_ceil(2) < shard_count {
            return Err(ConfigError::TooFewPorts { ports: ports.clone(), shard_count });
        }
        Ok(ports.0.clone())
    }

    fn check_memory(&self, host: &Host, shard_count: usize) -> Result<u64, ConfigError> {
        let least = SHARD_MEMORY_BYTES_MIN * shard_count as u64;
        let Some(memory) = self.memory else {
            return Ok(MEMORY_BYTES_DEFAULT.min(host.memory_bytes / 4).max(least));
        };
        if memory.0 < least {
            return Err(ConfigError::TooLittleMemory { memory, least: Bytes(least) });
        }
        if memory.0 > host.memory_bytes {
            return Err(ConfigError::OutOfBounds {
                key: "memory",
                value: memory.to_string(),
                bounds: format!("less than the {} bytes that there are", host.memory_bytes),
            });
        }
        Ok(memory.0)
    }

    fn check_egress(&self) -> Result<Option<u64>, ConfigError> {
        match self.egress_limit {
            Some(BitRate(0)) => Err(ConfigError::OutOfBounds {
                key: "egress-limit",
                value: BitRate(0).to_string(),
                bounds: "more than nothing, or leave it out for no limit".to_owned(),
            }),
            limit => Ok(limit.map(|rate| rate.0)),
        }
    }

    fn check_packet_bytes(&self) -> Result<PayloadClass, ConfigError> {
        let packet_bytes_max = self.packet_bytes.unwrap_or(1400);
        if (PACKET_BYTES_MIN..=PACKET_BYTES_MAX).contains(&packet_bytes_max) {
            return Ok(PayloadClass { packet_bytes_max });
        }
        Err(ConfigError::OutOfBounds {
            key: "packet-bytes",
            value: packet_bytes_max.to_string(),
            bounds: format!("{PACKET_BYTES_MIN} to {PACKET_BYTES_MAX} bytes"),
        })
    }

    /// SETUP announces seconds (RFC 2326 §12.37), so the time-out is whole seconds.
    fn check_session_timeout(&self) -> Result<Duration, ConfigError> {
        let Some(Span(timeout)) = self.session_timeout else { return Ok(SESSION_TIMEOUT) };
        if timeout.subsec_nanos() == 0 && SESSION_TIMEOUT_BOUNDS.contains(&timeout) {
            return Ok(timeout);
        }
        Err(ConfigError::OutOfBounds {
            key: "session-timeout",
            value: Span(timeout).to_string(),
            bounds: "whole seconds, 5s to 1h".to_owned(),
        })
    }

    fn check_drain_deadline(&self) -> Result<Duration, ConfigError> {
        at_most("drain-deadline", self.drain_deadline, DRAIN_DEADLINE_DEFAULT, DRAIN_DEADLINE_MAX)
    }

    fn check_redirect_to(&self) -> Result<Option<RtspUrl>, ConfigError> {
        match &self.redirect_to {
            Some(url) if !url.as_str().ends_with('/') => Err(ConfigError::OutOfBounds {
                key: "redirect-to",
                value: url.to_string(),
                bounds: "a URL that ends with a slash, to put the title's path behind".to_owned(),
            }),
            url => Ok(url.clone()),
        }
    }

    fn check_coalescing(&self) -> Result<Duration, ConfigError> {
        at_most("coalesce", self.coalesce, COALESCING_DEFAULT, COALESCING_MAX)
    }

    fn check_interleaved_ahead(&self) -> Result<Duration, ConfigError> {
        let given = self.interleaved_ahead;
        at_most("interleaved-ahead", given, INTERLEAVED_AHEAD_DEFAULT, INTERLEAVED_AHEAD_MAX)
    }

    /// In nanoseconds.
    fn check_datagrams_ahead(&self) -> Result<i64, ConfigError> {
        let nanos = |nanos: i64| Duration::from_nanos(nanos.unsigned_abs());
        let (default, most) = (nanos(Bursts::default().joined_nanos), nanos(AHEAD_NANOS_MAX));
        let joined = at_most("datagrams-ahead", self.datagrams_ahead, default, most)?;
        Ok(i64::try_from(joined.as_nanos()).expect("at most a tenth of a second"))
    }

    fn check_max_burst(&self) -> Result<u16, ConfigError> {
        let packets = self.max_burst.unwrap_or(Bursts::default().packets_max);
        if (1..=TRAIN_PACKETS_MAX).contains(&packets) {
            return Ok(packets);
        }
        Err(ConfigError::OutOfBounds {
            key: "max-burst",
            value: packets.to_string(),
            bounds: format!("1 to {TRAIN_PACKETS_MAX} packets"),
        })
    }
}

fn check_cpu(key: &'static str, cpu: usize, host: &Host) -> Result<(), ConfigError> {
    if host.cpus.contains(&cpu) {
        return Ok(());
    }
    Err(ConfigError::Cpu { key, cpu, cpus: CpuList(host.cpus.clone()) })
}

fn check_control_cpu(cpu: Option<usize>, host: &Host) -> Result<Option<usize>, ConfigError> {
    cpu.map(|cpu| check_cpu("control-cpu", cpu, host).map(|()| cpu)).transpose()
}

fn count(key: &'static str, typed: Option<u32>, default: u32) -> Result<u32, ConfigError> {
    let value = typed.unwrap_or(default);
    if (1..=COUNT_MAX).contains(&value) {
        return Ok(value);
    }
    let bounds = format!("1 to {COUNT_MAX}");
    Err(ConfigError::OutOfBounds { key, value: value.to_string(), bounds })
}

impl RawConfig {
    /// The keys that give `config` and `logs` again: what `--print-config` shows.
    #[must_use]
    pub fn effective(config: &Config, logs: &LogConfig) -> Self {
        let pinned: Option<Vec<usize>> = config.shard_cpus.iter().copied().collect();
        let shards = u32::try_from(config.shard_cpus.len()).ok();
        Self {
            media: Some(config.media.clone()),
            moved: some_if_any(&config.moved),
            clock_origin: some_if_any(&config.clock_origins),
            page_cache: Some(config.page_cache),
            mp2t: Some(config.mp2t),
            mp3_adu: Some(config.mp3_adu),
            listen: Some(config.listen.clone()),
            http_listen: Some(config.http_listen.clone()),
            rtp_ports: Some(PortRange(config.rtp_ports.clone())),
            packet_bytes: Some(config.payload_class.packet_bytes_max),
            shards: shards.filter(|_| pinned.is_none()),
            shard_cpus: pinned.map(CpuList),
            control_cpu: config.control_cpu,
            scheduler: Some(config.scheduler),
            hugepages: Some(config.huge_pages),
            memory: Some(Bytes(config.memory_bytes)),
            max_sessions: Some(config.sessions_max),
            max_connections: Some(config.connections_max),
            max_sessions_per_address: Some(config.sessions_per_address_max),
            max_connections_per_address: Some(config.connections_per_address_max),
            egress_limit: config.egress_bits_per_second.map(BitRate),
            session_timeout: Some(Span(config.session_timeout)),
            drain_deadline: Some(Span(config.drain_deadline)),
            redirect_to: config.redirect_to.clone(),
            no_profile: some_if_any(&config.profiles_off),
            coalesce: Some(Span(config.coalescing)),
            launch_times: Some(config.launch_times),
            interleaved_ahead: Some(Span(config.interleaved_ahead)),
            max_burst: Some(config.bursts.packets_max),
            datagrams_ahead: Some(Span(Duration::from_nanos(
                config.bursts.joined_nanos.unsigned_abs(),
            ))),
            log_level: Some(logs.filter.clone()),
            log_format: Some(logs.format),
        }
    }
}

fn some_if_any<T: Clone>(list: &[T]) -> Option<Vec<T>> {
    (!list.is_empty()).then(|| list.to_vec())
}

fn at_most(
    key: &'static str,
    typed: Option<Span>,
    default: Duration,
    longest: Duration,
) -> Result<Duration, ConfigError> {
    match typed {
        None => Ok(default),
        Some(Span(time)) if time <= longest => Ok(time),
        Some(span) => Err(ConfigError::OutOfBounds {
            key,
            value: span.to_string(),
            bounds: format!("{} at most", Span(longest)),
        }),
    }
}

/// Free for everybody, unlike 554.
const RTSP_PORT: u16 = 8554;
/// Where players' firewalls expect RTP to come from (QuickTime's range).
const RTP_PORT_FIRST: u16 = 6970;
/// Even-odd pairs of ports of a server, and at least so many for each shard.
const RTP_PAIRS_DEFAULT: usize = 32;
const SHARD_PAIRS_DEFAULT: usize = 4;
const MEMORY_BYTES_DEFAULT: u64 = 2 << 30;
/// Sessions and connections; what descriptors and timers are numbered for.
const COUNT_MAX: u32 = 1_000_000;
const SESSION_TIMEOUT_BOUNDS: RangeInclusive<Duration> =
    Duration::from_secs(5)..=Duration::from_secs(3600);
const DRAIN_DEADLINE_DEFAULT: Duration = Duration::from_secs(10);
const DRAIN_DEADLINE_MAX: Duration = Duration::from_secs(600);
/// A tenth of a picture's time.
const COALESCING_DEFAULT: Duration = Duration::from_millis(4);
const COALESCING_MAX: Duration = Duration::from_millis(20);
/// A third of the system calls of single pictures; less than any player's smallest buffer.
const INTERLEAVED_AHEAD_DEFAULT: Duration = Duration::from_millis(125);
const INTERLEAVED_AHEAD_MAX: Duration = Duration::from_millis(250);

const _: () = assert!(
    RTP_PORT_FIRST as usize + 2 * SHARDS_MAX * SHARD_PAIRS_DEFAULT <= u16::MAX as usize,
    "the default ports suffice for every number of shards"
);

#[cfg(test)]
mod tests {
    use super::*;

    fn host(cpu_count: usize, memory_bytes: u64, has_ipv6: bool) -> Host {
        Host { cpus: (0..cpu_count).collect(), memory_bytes, has_ipv6 }
    }

    fn raw(toml: &str) -> RawConfig {
        toml::from_str(&format!("media = [\"/\"]\n{toml}")).unwrap()
    }

    const BIG: u64 = 64 << 30;

    #[test]
    fn defaults_follow_the_machine() {
        let one = raw("").check(&host(1, 1 << 30, false)).unwrap();
        assert_eq!(one.shard_cpus, [None]);
        assert_eq!(one.memory_bytes, 256 << 20);
        assert_eq!(one.listen, ["0.0.0.0:8554".parse().unwrap()]);
        assert_eq!(one.http_listen, []);
        assert_eq!(one.rtp_ports, 6970..=7033);
        assert_eq!((one.sessions_max, one.connections_max), (10_000, 11_000));
        assert_eq!(one.session_timeout, Duration::from_secs(60));

        let many = raw("").check(&host(100, BIG, true)).unwrap();
        assert_eq!(many.shard_cpus.len(), SHARDS_MAX);
        assert_eq!(many.shard_cpus[0], Some(1));
        assert_eq!(many.memory_bytes, 2 << 30);
        assert_eq!(many.listen.len(), 2);
        assert_eq!(many.rtp_ports.len(), 512);

        let few = raw("max-sessions = 7").check(&host(4, 100 << 20, true)).unwrap();
        assert_eq!(few.sessions_per_address_max, 7);
        assert_eq!(few.memory_bytes, 96 << 20, "three shards work with no less");
    }

    #[test]
    fn effective_values_give_the_same_configuration() {
        for (typed, cpus) in [
            ("", 1),
            ("", 4),
            ("shards = 3", 2),
            ("shard-cpus = \"2-3,1\"\ncontrol-cpu = 0\negress-limit = \"2.5Gbit/s\"", 4),
            ("moved = [\"a=rtsp://h/b\"]\nredirect-to = \"rtsp://h/\"", 1),
            ("scheduler = \"fifo\"\nhugepages = \"reserved\"", 1),
            ("clock-origin = [\"a=creation-time\"]\nno-profile = [\"gstreamer\"]", 1),
            ("http-listen = [\"[::1]:80\", \"0.0.0.0:80\"]", 1),
            ("listen = [\"[::1]:0\"]\nsession-timeout = \"90s\"\nmemory = \"100MB\"", 2),
        ] {
            let host = host(cpus, BIG, true);
            let typed = raw(typed);
            let (config, logs) = (typed.check(&host).unwrap(), typed.check_logs().unwrap());
            let effective = RawConfig::effective(&config, &logs);
            let read: RawConfig = toml::from_str(&effective.to_toml().unwrap()).unwrap();
            assert_eq!(read, effective);
            let again = read.check(&host).unwrap();
            assert_eq!(format!("{again:?}"), format!("{config:?}"));
        }
    }

    #[test]
    fn what_is_wrong_is_a_sentence_with_a_remedy() {
        let host = host(4, BIG, true);
        for (typed, sentence) in [
            ("shards = 0", "shards: 0 cannot be run: give a number from 1 to 64"),
            ("shards = 65", "shards: 65 cannot"),
            ("shards = 4000000000", "shards: 4000000000 cannot"),
            ("shard-cpus = \"3-4\"", "shard-cpus: this process may not run on CPU 4: choose from"),
            ("control-cpu = 9", "control-cpu: this process may not run on CPU 9"),
            ("rtp-ports = \"6971-6980\"", "start with an even port"),
            ("rtp-ports = \"6970-6980\"", "end with an odd one"),
            ("rtp-ports = \"6970-6971\"\nshards = 2", "give 4 ports or more"),
            ("memory = \"8MiB\"", "memory: 8MiB is too little: give 96MiB or more"),
            ("memory = \"65GiB\"", "memory: 65GiB is out of bounds"),
            ("max-sessions = 0", "max-sessions: 0 is out of bounds"),
            ("max-connections = 2000000", "1 to 1000000"),
            ("egress-limit = \"0bit/s\"", "leave it out"),
            ("packet-bytes = 100", "packet-bytes: 100 is out of bounds"),
            ("packet-bytes = 9000", "packet-bytes: 9000 is out of bounds"),
            ("session-timeout = \"1500ms\"", "whole seconds"),
            ("session-timeout = \"2s\"", "5s to 1h"),
            ("drain-deadline = \"1h\"", "10min at most"),
            ("coalesce = \"30ms\"", "20ms at most"),
            ("interleaved-ahead = \"1s\"", "250ms at most"),
            ("datagrams-ahead = \"1s\"", "100ms at most"),
            ("max-burst = 0", "1 to 64 packets"),
            ("max-burst = 65", "1 to 64 packets"),
            ("redirect-to = \"rtsp://h/x\"", "ends with a slash"),
            ("listen = []", "give an ADDR:PORT"),
            ("listen = [\"0.0.0.0:1\", \"0.0.0.0:1\"]", "named twice"),
            ("http-listen = [\"0.0.0.0:8554\"]", "listen: 0.0.0.0:8554 is named twice"),
        ] {
            let error = raw(typed).check(&host).unwrap_err().to_string();
            assert!(error.contains(sentence), "{typed}: {error}");
        }
        let none = RawConfig::default().check(&host).unwrap_err();
        assert_eq!(none, ConfigError::NoMedia);
        let missing: RawConfig = toml::from_str("media = [\"/nowhere/at/all\"]").unwrap();
        let error = missing.check(&host).unwrap_err().to_string();
        assert!(error.contains("/nowhere/at/all cannot be served"), "{error}");
        for filter in ["=x=", "debgu", "info,server", "info,server::control=debgu"] {
            let error = raw(&format!("log-level = \"{filter}\"")).check_logs().unwrap_err();
            assert!(error.to_string().contains("is no filter"), "{error}");
        }
        for filter in ["off", "DEBUG", "warn,server::control=debug", "info,server::shard=off"] {
            assert!(raw(&format!("log-level = \"{filter}\"")).check_logs().is_ok(), "{filter}");
        }
    }
}
