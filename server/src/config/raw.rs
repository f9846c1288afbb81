//! What was typed: one set of keys for the TOML file and the command line.

use super::units::{BitRate, Bytes, CpuList, PortRange, Span};
use super::{
    ClockOrigin, HugePages, LaunchTimes, MediaRoot, Moved, ProfileName, RtspUrl, Scheduler,
};
use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// The keys. A key that is absent takes its default in `RawConfig::check`.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct RawConfig {
    /// Serve the media files below DIR; repeat for more directories.
    ///
    /// A file's URL is rtsp://HOST:PORT/ and its path below DIR. With NAME=DIR the path starts
    /// with NAME/. Where a path fits several directories, the first that has the file serves it.
    /// Files outside DIR and hidden files are never served.
    #[arg(long, value_name = "[NAME=]DIR", help_heading = "Media")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub media: Option<Vec<MediaRoot>>,

    /// Tell who asks for a title that it has moved; repeat for more titles.
    ///
    /// DESCRIBE and SETUP of NAME, its path in the URL, are answered by 301 with URL as Location. A
    /// NAME with a slash at its end means all titles below it, to be found below URL, which ends so
    /// as well.
    #[arg(long, value_name = "NAME=URL", help_heading = "Media")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub moved: Option<Vec<Moved>>,

    /// When a title began, for ranges in absolute time; repeat for more titles.
    ///
    /// TIME is written as in 2026-01-01T00:00:00Z, or is creation-time to take it from the file. A
    /// NAME with a slash at its end means all titles below it.
    #[arg(long, value_name = "NAME=TIME", help_heading = "Media")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clock_origin: Option<Vec<ClockOrigin>>,

    /// Read media through the page cache, not past it.
    ///
    /// For media that the system keeps in memory anyhow, or that other programs read as well. Costs
    /// several times the CPU for a byte that is not there yet. File systems without O_DIRECT are
    /// always read so.
    #[arg(long, num_args = 0..=1, default_missing_value = "true", require_equals = true,
        value_name = "BOOL", help_heading = "Media")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub page_cache: Option<bool>,

    /// Send MPEG transport streams as they are (MP2T, RFC 2250), not the streams in them.
    ///
    /// For set-top boxes that want them so. All programmes, tables and private data of a file go
    /// along in one RTP stream; no track can be chosen, and fast play shows what normal play does.
    #[arg(long, num_args = 0..=1, default_missing_value = "true", require_equals = true,
        value_name = "BOOL", help_heading = "Media")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mp2t: Option<bool>,

    /// Send MP3 as application data units (mpa-robust, RFC 5219), not in its frames (RFC 2250).
    ///
    /// For links that lose packets: each costs what it held and no more, and sound is whole from
    /// the first packet on. ffmpeg and live555 play it; GStreamer 1.22 does not. Layers I and II go
    /// as ever.
    #[arg(long, num_args = 0..=1, default_missing_value = "true", require_equals = true,
        value_name = "BOOL", help_heading = "Media")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mp3_adu: Option<bool>,

    /// Listen for RTSP there; repeat for more [default: port 8554 of every address]
    ///
    /// `[::]` means every IPv6 address and 0.0.0.0 every IPv4 address; the default is both. Port 0
    /// takes a free port, which the log names.
    #[arg(long, value_name = "ADDR:PORT", help_heading = "Network")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listen: Option<Vec<SocketAddr>>,

    /// Listen for HTTP tunnels there; repeat for more [default: none]
    ///
    /// Players that get through by HTTP alone open a GET and a POST, which carry RTSP and media.
    /// They may do so at the RTSP ports, too; this is for the ports that a network lets pass, such
    /// as 80, and nothing but tunnels is answered there.
    #[arg(long, value_name = "ADDR:PORT", help_heading = "Network")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http_listen: Option<Vec<SocketAddr>>,

    /// UDP ports that media leaves from [default: 6970-7033]
    ///
    /// Shared out among the shards in even-odd pairs, at most 16 a shard. Viewers behind one
    /// address each take pairs of their own, so a shard gives one address as many streams over UDP
    /// as it has pairs; further ones are told to use TCP. Starts even, ends odd.
    #[arg(long, value_name = "FIRST-LAST", help_heading = "Network")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rtp_ports: Option<PortRange>,

    /// Largest RTP packet, header included [default: 1400]
    ///
    /// 1400 passes tunnels and VPNs. A viewer's Blocksize header can only ask for less.
    #[arg(long, value_name = "BYTES", help_heading = "Network")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub packet_bytes: Option<u16>,

    /// Run N shards, wherever the scheduler puts them.
    ///
    /// A shard is one thread with its own share of the sessions. Without this flag and without
    /// --shard-cpus there is one for each CPU but the first, pinned; on a single CPU, one.
    #[arg(long, value_name = "N", conflicts_with = "shard_cpus", help_heading = "Threads")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shards: Option<u32>,

    /// Run one shard on each of these CPUs, pinned, as in 2-7,9.
    #[arg(long, value_name = "CPUS", help_heading = "Threads")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shard_cpus: Option<CpuList>,

    /// Pin the control thread to this CPU [default: not pinned]
    #[arg(long, value_name = "CPU", help_heading = "Threads")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub control_cpu: Option<usize>,

    /// How the kernel schedules shards: other, fifo or fifo:PRIORITY [default: other]
    ///
    /// With fifo they come before every program that is not real-time, and so before the control
    /// thread and the kernel's own where those share their CPUs: give them CPUs of their own. Takes
    /// CAP_SYS_NICE or a limit on real-time priority (LimitRTPRIO). PRIORITY is 1 unless given.
    #[arg(long, value_name = "POLICY", help_heading = "Threads")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scheduler: Option<Scheduler>,

    /// What pages packet images lie in [default: off]
    ///
    /// Huge pages take a few percent less CPU, and memory that stays with the server. reserved
    /// takes them from vm.nr_hugepages at the start, all of them; transparent lets the kernel put
    /// them together.
    #[arg(long, value_name = "KIND", help_heading = "Threads")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hugepages: Option<HugePages>,

    /// Memory for packet images, read pools and indexes [default: 2GiB or a quarter of the RAM]
    ///
    /// The default is the smaller one. How it is divided is logged at the start. Sessions and
    /// connections come on top: a few kB each.
    #[arg(long, value_name = "SIZE", help_heading = "Limits")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<Bytes>,

    /// Most sessions at once [default: 10000]
    #[arg(long, value_name = "N", help_heading = "Limits")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_sessions: Option<u32>,

    /// Most RTSP connections at once [default: 11000]
    #[arg(long, value_name = "N", help_heading = "Limits")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_connections: Option<u32>,

    /// Most sessions of one client address [default: 5000]
    ///
    /// Generous, because whole networks come from one address; lower it at the open Internet.
    #[arg(long, value_name = "N", help_heading = "Limits")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_sessions_per_address: Option<u32>,

    /// Most connections of one client address [default: 6000]
    #[arg(long, value_name = "N", help_heading = "Limits")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_connections_per_address: Option<u32>,

    /// Media bit rate that may be promised to viewers, as in 10Gbit/s [default: no limit]
    ///
    /// A SETUP that would exceed it is refused with 453 Not Enough Bandwidth, so that those who
    /// play already go on undisturbed.
    #[arg(long, value_name = "RATE", help_heading = "Limits")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub egress_limit: Option<BitRate>,

    /// Silence after which a session ends, in whole seconds [default: 60s]
    #[arg(long, value_name = "TIME", help_heading = "Limits")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_timeout: Option<Span>,

    /// How long sessions may play on after SIGTERM, before they are ended [default: 10s]
    #[arg(long, value_name = "TIME", help_heading = "Limits")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drain_deadline: Option<Span>,

    /// Send viewers there after SIGTERM: URL, which ends with a slash, and the title's path.
    ///
    /// New ones are answered by 302 until the server ends, and those who play are told by REDIRECT
    /// if their client is known to answer it. Without this, the ports are closed at once.
    #[arg(long, value_name = "URL", help_heading = "Limits")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub redirect_to: Option<RtspUrl>,

    /// Treat this client like any other; repeat for more.
    #[arg(long, value_name = "NAME", help_heading = "Network")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub no_profile: Option<Vec<ProfileName>>,

    /// What is due within this time leaves together, at its beginning; 0s waits for each one's time
    /// [default: 4ms]
    ///
    /// Fewer system calls, packets that much ahead. Where little is due, it is up to four times as
    /// long, and 40 ms at most; trains of a big picture keep their distance. What leaves in one
    /// message (--datagrams-ahead, --interleaved-ahead) does so with 0s too. 20ms at most.
    #[arg(long, value_name = "TIME", help_heading = "Network")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub coalesce: Option<Span>,

    /// Who lets packets go over UDP: the kernel, each train in its time, or the server, whatever is
    /// due when it looks [default: auto]
    ///
    /// The kernel can where the queueing discipline is fq (tc-fq(8)): `auto` looks at the devices
    /// of the default routes. Trains are handed over 1 ms further ahead than --coalesce has them
    /// anyway, each with its time. `on` does so whatever the discipline: others send at once.
    /// Not measured yet: the project has no machine with fq.
    #[arg(long, value_name = "WHETHER", help_heading = "Network")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub launch_times: Option<LaunchTimes>,

    /// Media of a viewer over TCP that is due within this time leaves in one call; 0s sends each
    /// picture in its time [default: 125ms]
    ///
    /// Longer spares system calls and packets; players have to have buffers for it. 250ms at most.
    #[arg(long, value_name = "TIME", help_heading = "Network")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interleaved_ahead: Option<Span>,

    /// Packets of a picture that leave at once, 1 to 64 [default: 32]
    ///
    /// Those of a bigger picture are spread over up to 40 ms before it is due.
    #[arg(long, value_name = "PACKETS", help_heading = "Network")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_burst: Option<u16>,

    /// Media over UDP may leave so far ahead, in one message with what is before it; 0s sends each
    /// picture in its time [default: 100ms]
    ///
    /// A message costs as much as twenty of its packets, so pictures (and packets of sound) that
    /// fit into one leave with the first of them: three pictures at 24 or 25 a second, six at 50.
    /// No more packets than --max-burst. It is media time: at Speed 0.25 four times as long. 100ms
    /// at most.
    #[arg(long, value_name = "TIME", help_heading = "Network")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub datagrams_ahead: Option<Span>,

    /// What is logged: error, warn, info, debug or trace [default: info]
    ///
    /// Also by module, as in warn,server::control=debug.
    #[arg(long, value_name = "FILTER", help_heading = "Logs")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_level: Option<String>,

    /// How a line is written [default: text]
    #[arg(long, value_name = "FORMAT", help_heading = "Logs")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_format: Option<LogFormat>,
}

/// How a line of the log is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogFormat {
    /// One line with time, level and fields; colours on a terminal.
    #[default]
    Text,
    /// The same without time and colours, for journald and the like, which add their own.
    Plain,
}

/// A configuration file could not be used.
#[derive(Debug)]
pub enum FileError {
    /// It could not be read.
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// It is not TOML, or has an unknown key or a value of the wrong kind.
    Malformed {
        /// The file.
        path: PathBuf,
        /// Why, with line and column.
        error: Box<toml::de::Error>,
    },
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable { path, error } => {
                write!(f, "the configuration file {} cannot be read: {error}", path.display())
            }
            Self::Malformed { path, error } => {
                write!(f, "the configuration file {}: {error}", path.display())
            }
        }
    }
}

impl std::error::Error for FileError {}

impl RawConfig {
    /// Reads a TOML file.
    ///
    /// # Errors
    /// [`FileError`], with line and column where there is one.
    pub fn from_file(path: &Path) -> Result<Self, FileError> {
        let path_owned = || path.to_owned();
        let text = std::fs::read_to_string(path)
            .map_err(|error| FileError::Unreadable { path: path_owned(), error })?;
        toml::from_str(&text)
            .map_err(|error| FileError::Malformed { path: path_owned(), error: Box::new(error) })
    }

    /// These keys, and where one is absent that of `file`. Lists replace each other as a whole.
    #[must_use]
    pub fn over(self, file: Self) -> Self {
        // A number of shards typed overrides CPUs in the file, and the other way round.
        let (shards, shard_cpus) = if self.shards.is_some() || self.shard_cpus.is_some() {
            (self.shards, self.shard_cpus)
        } else {
            (file.shards, file.shard_cpus)
        };
        Self {
            media: self.media.or(file.media),
            moved: self.moved.or(file.moved),
            clock_origin: self.clock_origin.or(file.clock_origin),
            page_cache: self.page_cache.or(file.page_cache),
            mp2t: self.mp2t.or(file.mp2t),
            mp3_adu: self.mp3_adu.or(file.mp3_adu),
            listen: self.listen.or(file.listen),
            http_listen: self.http_listen.or(file.http_listen),
            rtp_ports: self.rtp_ports.or(file.rtp_ports),
            packet_bytes: self.packet_bytes.or(file.packet_bytes),
            shards,
            shard_cpus,
            control_cpu: self.control_cpu.or(file.control_cpu),
            scheduler: self.scheduler.or(file.scheduler),
            hugepages: self.hugepages.or(file.hugepages),
            memory: self.memory.or(file.memory),
            max_sessions: self.max_sessions.or(file.max_sessions),
            max_connections: self.max_connections.or(file.max_connections),
            max_sessions_per_address: self
                .max_sessions_per_address
                .or(file.max_sessions_per_address),
            max_connections_per_address: self
                .max_connections_per_address
                .or(file.max_connections_per_address),
            egress_limit: self.egress_limit.or(file.egress_limit),
            session_timeout: self.session_timeout.or(file.session_timeout),
            drain_deadline: self.drain_deadline.or(file.drain_deadline),
            redirect_to: self.redirect_to.or(file.redirect_to),
            no_profile: self.no_profile.or(file.no_profile),
            coalesce: self.coalesce.or(file.coalesce),
            launch_times: self.launch_times.or(file.launch_times),
            interleaved_ahead: self.interleaved_ahead.or(file.interleaved_ahead),
            max_burst: self.max_burst.or(file.max_burst),
            datagrams_ahead: self.datagrams_ahead.or(file.datagrams_ahead),
            log_level: self.log_level.or(file.log_level),
            log_format: self.log_format.or(file.log_format),
        }
    }

    /// The keys as a TOML file.
    ///
    /// # Errors
    /// When a directory's name is not UTF-8, or a number does not fit TOML's.
    pub fn to_toml(&self) -> Result<String, toml::ser::Error> {
        toml::to_string(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    /// A command line of nothing but the keys.
    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        raw: RawConfig,
    }

    fn typed(flags: &str) -> RawConfig {
        Line::try_parse_from(["x"].into_iter().chain(flags.split_whitespace())).unwrap().raw
    }

    const EVERY_FLAG: &str = "--media /a --media films=/b \
        --moved a.mp4=rtsp://h/b.mp4 --moved old/=rtsp://h/new/ \
        --clock-origin a.mp4=2026-01-01T00:00:00Z --clock-origin b/=creation-time \
        --page-cache --mp2t --mp3-adu --listen 127.0.0.1:8554 \
        --listen [::1]:554 --http-listen 0.0.0.0:80 --rtp-ports 7000-7015 --packet-bytes 1200 --shard-cpus 1-2 \
        --control-cpu 0 --scheduler fifo:2 --hugepages transparent --memory 1GiB --max-sessions 10 --max-connections 20 \
        --max-sessions-per-address 3 --max-connections-per-address 4 --egress-limit 1Gbit/s \
        --session-timeout 30s --drain-deadline 5s --redirect-to rtsp://h/ \
        --no-profile gstreamer --coalesce 2ms --launch-times off --interleaved-ahead 50ms --max-burst 16 --datagrams-ahead 20ms --log-level debug --log-format plain";
    const EVERY_KEY: &str = r#"
        media = ["/a", "films=/b"]
        moved = ["a.mp4=rtsp://h/b.mp4", "old/=rtsp://h/new/"]
        clock-origin = ["a.mp4=2026-01-01T00:00:00Z", "b/=creation-time"]
        page-cache = true
        mp2t = true
        mp3-adu = true
        listen = ["127.0.0.1:8554", "[::1]:554"]
        http-listen = ["0.0.0.0:80"]
        rtp-ports = "7000-7015"
        packet-bytes = 1200
        shard-cpus = "1-2"
        control-cpu = 0
        scheduler = "fifo:2"
        hugepages = "transparent"
        memory = "1GiB"
        max-sessions = 10
        max-connections = 20
        max-sessions-per-address = 3
        max-connections-per-address = 4
        egress-limit = "1Gbit/s"
        session-timeout = "30s"
        drain-deadline = "5s"
        redirect-to = "rtsp://h/"
        no-profile = ["gstreamer"]
        coalesce = "2ms"
        launch-times = "off"
        interleaved-ahead = "50ms"
        max-burst = 16
        datagrams-ahead = "20ms"
        log-level = "debug"
        log-format = "plain"
    "#;

    #[test]
    fn file_and_flags_have_the_same_keys() {
        let from_file: RawConfig = toml::from_str(EVERY_KEY).unwrap();
        assert_eq!(from_file, typed(EVERY_FLAG));
        let again: RawConfig = toml::from_str(&from_file.to_toml().unwrap()).unwrap();
        assert_eq!(again, from_file);
        let keys: Vec<String> = toml::to_string(&typed(EVERY_FLAG))
            .unwrap()
            .lines()
            .filter_map(|line| Some(line.split_once(" = ")?.0.to_owned()))
            .collect();
        let flags: Vec<String> = <Line as clap::CommandFactory>::command()
            .get_arguments()
            .filter_map(|argument| argument.get_long().map(str::to_owned))
            .filter(|flag| flag != "shards")
            .collect();
        assert_eq!(keys, flags);
    }

    #[test]
    fn flags_override_the_file() {
        let file: RawConfig = toml::from_str(EVERY_KEY).unwrap();
        assert_eq!(typed("").over(file.clone()), file);
        assert_eq!(typed(EVERY_FLAG).over(RawConfig::default()), typed(EVERY_FLAG));
        let both = typed("--media /c --memory 3GiB --shards 4").over(file);
        assert_eq!(both.media.unwrap().len(), 1);
        assert_eq!(both.memory, Some(Bytes(3 << 30)));
        assert_eq!((both.shards, both.shard_cpus), (Some(4), None));
        assert_eq!(both.packet_bytes, Some(1200));
        let off = typed("--page-cache=false").over(toml::from_str(EVERY_KEY).unwrap());
        assert_eq!(off.page_cache, Some(false));
    }

    #[test]
    fn a_wrong_file_is_told_where() {
        for (text, parts) in [
            ("memory = \"1GiB\"\nmax-session = 3", &["line 2", "max-session", "max-sessions"][..]),
            ("memory = 1024", &["line 1", "text such as \"2GiB\""]),
            ("memory = \"2 gigs\"", &["line 1", "unknown unit", "512MiB"]),
            ("media = [\"a b=/x\"]", &["line 1", "a b"]),
            ("listen = [\"localhost\"]", &["line 1"]),
            ("max-sessions = -1", &["line 1"]),
            ("scheduler = \"rr\"", &["line 1", "fifo:PRIORITY"]),
            ("hugepages = \"some\"", &["line 1", "transparent"]),
            ("log-format = \"xml\"", &["line 1", "text"]),
            ("[server]\nmemory = \"1GiB\"", &["line 1", "server"]),
            ("memory", &["line 1"]),
        ] {
            let error = toml::from_str::<RawConfig>(text).unwrap_err().to_string();
            for part in parts {
                assert!(error.contains(part), "{text}: {error}");
            }
        }
        let missing = RawConfig::from_file(Path::new("/nowhere/reelring.toml")).unwrap_err();
        assert!(missing.to_string().contains("/nowhere/reelring.toml cannot be read"));
    }
}
