//! What the end-to-end tests share: a real server on loopback, titles made by ffmpeg, and other
//! people's players.
//!
//! Each test is a program of its own, and none uses everything.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "helpers of tests are tests"
)]
#![allow(dead_code, reason = "every test uses a part of it")]

pub(crate) mod crowd;
pub(crate) mod frames;
pub(crate) mod held;
pub(crate) mod namespaces;
pub(crate) mod players;
pub(crate) mod titles;
pub(crate) mod tunnel;

use std::fs::{self, File, TryLockError};
use std::net::{TcpListener, UdpSocket};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Mutex;
use std::time::Duration;
use tempfile::TempDir;
use tools::client::RtspClient;

/// How long a server may take to answer after its start.
const READY_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a server may take to end after SIGTERM; its drain is told to be shorter.
const END_TIMEOUT: Duration = Duration::from_secs(10);
/// Lines of the log that a failed test shows.
const LOG_LINES_SHOWN: usize = 30;
/// Players at once.
const CHECKS_AT_ONCE: usize = 4;
/// UDP ports of one server.
const RTP_PORTS: u16 = 64;

/// A `reelring` process on ports of its own, ended when dropped.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    shards: usize,
    ports: Ports,
    log_path: PathBuf,
    directory: TempDir,
}

impl Server {
    /// Serves the titles of `media` by two shards and waits until it answers.
    pub(crate) fn start(media: &Path, arguments: &[&str]) -> Self {
        Self::with_shards(2, media, arguments)
    }

    /// Serves the titles of `media` and waits until it answers.
    pub(crate) fn with_shards(shards: usize, media: &Path, arguments: &[&str]) -> Self {
        let ports = Ports::take();
        let directory = TempDir::new().unwrap();
        let log_path = directory.path().join("log");
        let listen = format!("127.0.0.1:{}", ports.listen());
        let rtp_ports = ports.rtp();
        let child = Command::new(env!("CARGO_BIN_EXE_reelring"))
            .args(["serve", "--listen", &listen, "--rtp-ports", &rtp_ports])
            .args(["--shards", &shards.to_string(), "--memory", "512MiB"])
            .args(["--drain-deadline", "1s"])
            .arg("--media")
            .arg(media)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log_path).unwrap())
            .spawn()
            .unwrap();
        let mut server = Self { child, shards, ports, log_path, directory };
        let ready = poll(READY_TIMEOUT, || {
            let ended = server.child.try_wait().unwrap();
            assert_eq!(ended, None, "the server ended:\n{}", server.log());
            let mut client = RtspClient::connect(&server.url(""), None).ok()?;
            client.options().ok()
        });
        assert!(ready.is_some(), "the server does not answer:\n{}", server.log());
        server
    }

    /// The URL of a title.
    pub(crate) fn url(&self, title: &str) -> String {
        let title = title.replace(' ', "%20");
        format!("rtsp://127.0.0.1:{}/{title}", self.ports.listen())
    }

    /// How many shards it has.
    pub(crate) const fn shards(&self) -> usize {
        self.shards
    }

    /// The process, for `/proc`.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Descriptors it has open.
    pub(crate) fn descriptors(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.pid())).unwrap().count()
    }

    /// Memory of its own that it has in use: not the program's pages, which come as code is used
    /// for the first time and go when the system wants them.
    pub(crate) fn resident_bytes(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
    }

    /// What it has logged.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log_path).unwrap_or_default()
    }

    /// Waits for it to end by itself, having been told to by others.
    pub(crate) fn await_end(&mut self) {
        let _ = poll(END_TIMEOUT, || self.child.try_wait().ok().flatten());
    }

    /// Ends it with SIGTERM; `None` if it had to be killed.
    fn end(&mut self) -> Option<ExitStatus> {
        let pid = self.child.id().to_string();
        let _ = Command::new("kill").args(["-TERM", &pid]).status();
        let ended = poll(END_TIMEOUT, || self.child.try_wait().ok().flatten());
        if ended.is_none() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
        ended
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let ended = self.end();
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        let tail = lines[lines.len().saturating_sub(LOG_LINES_SHOWN)..].join("\n");
        if std::thread::panicking() {
            eprintln!("the server's log ends with\n{tail}");
        } else {
            assert!(!log.contains("panicked"), "the server panicked:\n{log}");
            assert!(ended.is_some_and(|status| status.success()), "ended with {ended:?}:\n{tail}");
        }
    }
}

/// A block of ports that no other test uses, outside the range the system picks from.
#[derive(Debug)]
pub(crate) struct Ports {
    first: u16,
    /// Held until the ports are free again.
    _lock: File,
}

impl Ports {
    /// Finds a block whose lock is free and whose ports can be bound.
    pub(crate) fn take() -> Self {
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("ports");
        fs::create_dir_all(&directory).unwrap();
        for first in (12_000..32_000).step_by(usize::from(RTP_PORTS) * 2) {
            let lock = File::create(directory.join(first.to_string())).unwrap();
            match lock.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => continue,
                Err(TryLockError::Error(error)) => panic!("locking: {error}"),
            }
            let ports = Self { first, _lock: lock };
            let udp: Result<Vec<_>, _> = (first..first + RTP_PORTS)
                .map(|port| UdpSocket::bind(("127.0.0.1", port)))
                .collect();
            if udp.is_ok() && TcpListener::bind(("127.0.0.1", ports.listen())).is_ok() {
                return ports;
            }
        }
        panic!("no block of {RTP_PORTS} UDP ports is free");
    }

    /// The UDP ports, as a configuration has them.
    pub(crate) fn rtp(&self) -> String {
        format!("{}-{}", self.first, self.first + RTP_PORTS - 1)
    }

    fn listen(&self) -> u16 {
        self.first + RTP_PORTS
    }
}

/// Asks again and again, up to `timeout`, until there is an answer.
pub(crate) fn poll<T>(timeout: Duration, mut ask: impl FnMut() -> Option<T>) -> Option<T> {
    const PAUSE: Duration = Duration::from_millis(20);
    let attempts = timeout.as_millis() / PAUSE.as_millis() + 1;
    for _ in 0..attempts {
        if let Some(answer) = ask() {
            return Some(answer);
        }
        pause(PAUSE);
    }
    None
}

/// Lets time pass.
#[allow(clippy::disallowed_methods, reason = "a test waits for another process")]
pub(crate) fn pause(duration: Duration) {
    std::thread::sleep(duration);
}

/// Whether everything is to be run in full length (`REELRING_FULL=1`).
pub(crate) fn full() -> bool {
    std::env::var("REELRING_FULL").is_ok_and(|value| value == "1")
}

/// The machine to oneself, as far as these tests go, until the guard is dropped. A player that gets
/// no processor time loses packets, which says nothing about the server.
pub(crate) fn alone() -> File {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("alone");
    let guard = File::create(path).unwrap();
    guard.lock().unwrap();
    guard
}

/// Runs `checks`, a few at a time; each is named in what it says when it fails.
pub(crate) fn together<T: Send>(checks: Vec<(String, T)>, check: impl Fn(&str, T) + Sync) {
    at_once(CHECKS_AT_ONCE, checks, check);
}

/// Runs `checks`, so many at a time; each is named in what it says when it fails.
pub(crate) fn at_once<T: Send>(
    count: usize,
    checks: Vec<(String, T)>,
    check: impl Fn(&str, T) + Sync,
) {
    let waiting = Mutex::new(checks.into_iter());
    let failed = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..count {
            scope.spawn(|| {
                loop {
                    let next = waiting.lock().unwrap().next();
                    let Some((name, value)) = next else { break };
                    let run = AssertUnwindSafe(|| check(&name, value));
                    if catch_unwind(run).is_err() {
                        failed.lock().unwrap().push(name);
                    }
                }
            });
        }
    });
    assert_eq!(*failed.lock().unwrap(), Vec::<String>::new(), "these failed, see above");
}

/// Numbers that look random and are the same in every run with the same `REELRING_SEED`.
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new() -> Self {
        let seed = std::env::var("REELRING_SEED").ok().and_then(|text| text.parse().ok());
        let seed = seed.unwrap_or(1);
        println!("REELRING_SEED={seed}");
        Self(seed)
    }

    /// A number below `end`.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % end
    }
}
