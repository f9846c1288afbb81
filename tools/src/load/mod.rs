//! The load generator: many viewers at once, each judged packet by packet.

mod summary;
mod viewer;
mod worker;

pub use summary::{Limits, Quantiles, Sessions, Summary};

use crate::client::Lower;
use crate::clock::{Clock, KernelClock, MonoTime};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;
use worker::Worker;

/// How the viewers' streams travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mix {
    /// All over UDP.
    Udp,
    /// All interleaved.
    Tcp,
    /// Every other viewer over UDP.
    Both,
}

/// Where viewers start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// At the beginning of the title.
    Begin,
    /// Anywhere in it.
    Random,
}

/// The addresses viewers come from, one each as far as they last: a server that limits sessions
/// by address, or tells streams apart by it, must see different viewers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SourceNet {
    /// The network; its first address is not used.
    pub network: Ipv4Addr,
    /// Bits of the network part, at most 30.
    pub prefix_bits: u8,
}

impl SourceNet {
    /// What viewers of a server on loopback come from.
    pub const LOOPBACK: Self = Self { network: Ipv4Addr::new(127, 1, 0, 0), prefix_bits: 16 };

    /// The address of the viewer `number`.
    fn address(self, number: usize) -> Ipv4Addr {
        let usable = (1_u32 << (32 - self.prefix_bits.clamp(1, 30))) - 2;
        let host = 1 + u32::try_from(number).unwrap_or(0) % usable;
        Ipv4Addr::from_bits(self.network.to_bits() | host)
    }
}

/// What to do.
#[derive(Clone, Debug)]
pub struct Options {
    /// What is played, in turn; at least one.
    pub urls: Vec<String>,
    /// Viewers.
    pub sessions: usize,
    /// Viewers that start in a second.
    pub ramp_per_second: u32,
    /// How their streams travel.
    pub mix: Mix,
    /// How long all play together, after the last has started.
    pub duration: Duration,
    /// Where they start.
    pub start: Start,
    /// How long a connection and each reply may take.
    pub reply_timeout: Duration,
    /// How many of the interleaved viewers read nothing once they play.
    pub stalled: usize,
    /// Threads that share the viewers.
    pub threads: usize,
    /// Where viewers come from; `None` is [`SourceNet::LOOPBACK`] for a server there, else
    /// whatever the system picks.
    pub source: Option<SourceNet>,
}

impl Options {
    fn lower(&self, number: usize) -> Lower {
        match self.mix {
            Mix::Udp => Lower::Udp,
            Mix::Tcp => Lower::Tcp,
            Mix::Both if number.is_multiple_of(2) => Lower::Udp,
            Mix::Both => Lower::Tcp,
        }
    }

    /// The first interleaved viewers are the stalled ones.
    fn is_stalled(&self, number: usize) -> bool {
        let interleaved_before = match self.mix {
            Mix::Udp => return false,
            Mix::Tcp => number,
            Mix::Both => number / 2,
        };
        self.lower(number) == Lower::Tcp && interleaved_before < self.stalled
    }

    fn local_address(&self, number: usize, server: SocketAddr) -> Option<IpAddr> {
        let loopback = matches!(server.ip(), IpAddr::V4(address) if address.is_loopback());
        let source = self.source.or(loopback.then_some(SourceNet::LOOPBACK))?;
        Some(IpAddr::V4(source.address(number)))
    }

    fn starts_at(&self, number: usize) -> MonoTime {
        let ramp = u64::from(self.ramp_per_second.max(1));
        MonoTime(number as u64 * 1_000_000_000 / ramp)
    }

    fn ends_at(&self) -> MonoTime {
        self.starts_at(self.sessions) + self.duration
    }
}

/// How things stand, for a progress line.
#[derive(Debug, Default)]
pub struct Progress {
    playing: AtomicU64,
    packets: AtomicU64,
    failed: AtomicU64,
}

/// How things stood at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// Since the start.
    pub elapsed: Duration,
    /// Viewers that play.
    pub playing: u64,
    /// Viewers refused or failed.
    pub failed: u64,
    /// Packets received.
    pub packets: u64,
}

/// Plays as `options` say and reports what was seen. `progress` is called about once a second.
///
/// # Errors
/// A URL names no server, or the system has no resources for the viewers' sockets at all.
pub fn run(options: &Options, mut progress: impl FnMut(Snapshot)) -> io::Result<Summary> {
    let clock = KernelClock::new(Clock::start());
    let threads = options.threads.clamp(1, options.sessions.max(1));
    let gauges = Progress::default();
    let (done, finished) = channel();
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let (done, gauges) = (done.clone(), &gauges);
            scope.spawn(move || {
                let numbers = (thread..options.sessions).step_by(threads);
                let outcome =
                    Worker::new(options, clock, gauges).and_then(|mut worker| worker.run(numbers));
                // The receiver outlives the threads.
                let _ = done.send(outcome);
            });
        }
        let mut tallies = Vec::new();
        while tallies.len() < threads {
            match finished.recv_timeout(Duration::from_secs(1)) {
                Ok(outcome) => tallies.push(outcome?),
                Err(RecvTimeoutError::Timeout) => progress(gauges.snapshot(clock.now())),
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        Ok(Summary::new(options, &tallies, clock.now()))
    })
}

impl Progress {
    fn snapshot(&self, now: MonoTime) -> Snapshot {
        Snapshot {
            elapsed: now - MonoTime(0),
            playing: self.playing.load(Ordering::Relaxed),
            failed: self.failed.load(Ordering::Relaxed),
            packets: self.packets.load(Ordering::Relaxed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn viewers_have_addresses_of_their_own() {
        let source = SourceNet { network: Ipv4Addr::new(127, 1, 0, 0), prefix_bits: 24 };
        assert_eq!(source.address(0), Ipv4Addr::new(127, 1, 0, 1));
        assert_eq!(source.address(253), Ipv4Addr::new(127, 1, 0, 254));
        assert_eq!(source.address(254), Ipv4Addr::new(127, 1, 0, 1));
        assert_eq!(SourceNet::LOOPBACK.address(300), Ipv4Addr::new(127, 1, 1, 45));
    }

    #[test]
    fn stalled_viewers_are_interleaved_ones() {
        let mut options = Options {
            urls: vec![String::new()],
            sessions: 10,
            ramp_per_second: 100,
            mix: Mix::Both,
            duration: Duration::from_secs(1),
            start: Start::Begin,
            reply_timeout: Duration::from_secs(1),
            stalled: 2,
            threads: 1,
            source: None,
        };
        let stalled = |options: &Options| (0..10).filter(|n| options.is_stalled(*n)).collect();
        let both: Vec<usize> = stalled(&options);
        assert_eq!(both, [1, 3]);
        options.mix = Mix::Tcp;
        let tcp: Vec<usize> = stalled(&options);
        assert_eq!(tcp, [0, 1]);
        assert_eq!(options.ends_at(), MonoTime(1_100_000_000));
    }
}
