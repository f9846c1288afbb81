//! The load generator: many viewers at once, each judged packet by packet.

mod bottleneck;
mod churn;
mod dialogue;
mod gauges;
mod kernel;
mod limits;
mod log;
mod options;
mod plot;
mod process;
mod seat;
mod stream;
mod summary;
mod table;
mod tally;
mod timeline;
mod viewer;
mod worker;

pub use churn::Churn;
pub use gauges::Snapshot;
pub use limits::{Limits, LossLimit};
pub use log::HistogramLog;
pub use options::{Mix, Options, SourceNet, Start};
pub use plot::plot;
pub use process::{Usage, thread_cpu_nanos};
pub use summary::{Churned, Generator, Quantiles, ServerUse, Sessions, Spread, Summary};
pub use timeline::Sample;

use crate::client::{Lower, server_address};
use crate::clock::{Clock, KernelClock};
use crate::socket::receive_buffer_warning;
use gauges::{Gauges, Told};
use hdrhistogram::Histogram;
use kernel::Drops;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;
use tally::Tally;
use timeline::Timeline;
use worker::Worker;

/// How long nobody may tell how things stand before that is shown as it is.
const TELL_TIMEOUT: Duration = Duration::from_secs(2);

/// What a run showed.
#[derive(Debug, Default)]
pub struct Report {
    /// What there is to say.
    pub summary: Summary,
    /// Distributions by the name of what was measured, in microseconds; of bursts in
    /// packets or bytes.
    pub distributions: Vec<(String, Histogram<u64>)>,
}

/// Plays as `options` say and reports what was seen. `progress` is told about once a second how
/// things stand and how late the packets of that second were. Once `interrupted` is set all leave,
/// as at the end.
///
/// # Errors
/// A URL names no server, options contradict each other, the watched process does not exist, or the
/// system has no resources for the viewers' sockets at all.
pub fn run(
    options: &Options,
    interrupted: &AtomicBool,
    mut progress: impl FnMut(Snapshot, &Histogram<u64>),
) -> io::Result<Report> {
    options.check()?;
    let servers = &servers(options)?;
    let clock = KernelClock::new(Clock::start());
    let threads = options.threads.clamp(1, options.sessions.max(1));
    let gauges = Gauges::default();
    let drops_before = Drops::now();
    let warnings = warnings(options)?;
    let mut timeline = Timeline::new(options.server_pid, clock.now())?;
    let (told, hearing) = channel();
    let mut sum = Tally::default();
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let (told, gauges) = (told.clone(), &gauges);
            scope.spawn(move || {
                let place = (thread, threads);
                let outcome = Worker::new(
                    (options, servers),
                    clock,
                    (gauges, interrupted),
                    told.clone(),
                    place,
                )
                .and_then(|mut worker| worker.run().map(Box::new));
                // The receiver outlives the threads.
                let _ = told.send(Told::Done(outcome));
            });
        }
        let mut sample = |timeline: &mut Timeline| {
            let (snapshot, late) = timeline.sample(clock.now(), &gauges);
            progress(snapshot, late.histogram());
        };
        let (mut running, mut told_by) = (threads, 0);
        while running > 0 {
            match hearing.recv_timeout(TELL_TIMEOUT) {
                Ok(Told::Late(late)) => {
                    timeline.take_late(&late);
                    told_by += 1;
                    // A second is over when all have told of it.
                    if told_by >= running {
                        told_by = 0;
                        sample(&mut timeline);
                    }
                }
                Ok(Told::Done(outcome)) => {
                    running -= 1;
                    sum.add(&*outcome?);
                }
                Err(RecvTimeoutError::Timeout) => sample(&mut timeline),
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        sample(&mut timeline);
        io::Result::Ok(())
    })?;
    let drops = Drops::now().since(drops_before);
    let mut summary = Summary::new(options, &sum, timeline.end(), drops, clock.now(), warnings);
    summary.interrupted = interrupted.load(Ordering::Relaxed);
    Ok(Report { summary, distributions: distributions(&sum) })
}

/// The addresses that the URLs name, looked up here because that can take long.
fn servers(options: &Options) -> io::Result<Vec<SocketAddr>> {
    let look_up = |url: &String| {
        server_address(url).map_err(|error| io::Error::new(error.kind(), format!("{url}: {error}")))
    };
    let servers: Vec<_> = options.urls.iter().map(look_up).collect::<io::Result<_>>()?;
    let is_apart = |server: &&SocketAddr| options.source.is_some() && server.is_ipv6();
    if let Some(server) = servers.iter().find(is_apart) {
        let why = format!("--source is an IPv4 network, {server} an IPv6 address");
        return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
    }
    Ok(servers)
}

/// What this machine does not allow and a run like this should have.
fn warnings(options: &Options) -> io::Result<Vec<String>> {
    // Most titles have two streams.
    let has_udp = (0..options.sessions.min(1000)).any(|n| options.role(n).lower == Lower::Udp);
    let sockets_each = if has_udp { 5 } else { 1 };
    let descriptors = kernel::raise_descriptor_limit(options.sessions as u64, sockets_each);
    let buffers = if has_udp { receive_buffer_warning()? } else { None };
    Ok(descriptors.into_iter().chain(buffers).collect())
}

fn distributions(sum: &Tally) -> Vec<(String, Histogram<u64>)> {
    let own = &sum.generator;
    let fixed = [
        ("late", &sum.late),
        ("delay-variation", &sum.variation),
        ("behind", &sum.behind),
        ("first-packet", &sum.first_packet),
        ("refused", &sum.refusals),
        ("generator-unread", &own.unread),
        ("generator-loop", &own.loop_late),
    ];
    let lengths = [
        ("burst-packets", &sum.burst_packets),
        ("burst-bytes", &sum.burst_bytes),
        ("interleaved-burst-bytes", &sum.interleaved_burst_bytes),
    ];
    let methods = sum.replies.iter().map(|(method, micros)| (*method, micros));
    let durations = fixed.into_iter().chain(methods);
    durations
        .map(|(name, micros)| (name, micros.histogram()))
        .chain(lengths.map(|(name, lengths)| (name, lengths.histogram())))
        .map(|(name, histogram)| (name.to_owned(), histogram.clone()))
        .collect()
}
