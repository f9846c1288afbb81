//! Complete session set-ups at a rate: what the control core of a server can take.
//!
//! Each session is a connection of its own that asks OPTIONS, DESCRIBE, a SETUP for each stream and
//! PLAY, stays for a moment, and leaves by TEARDOWN. Its media is thrown away unread: it is the
//! dialogue that is measured. Sessions begin when the rate says so, whether those before them are
//! through or not, and are timed from then.

mod dialogue;
mod report;
mod session;

pub use report::Report;

use crate::client::server_address;
use crate::clock::{Clock, MonoTime};
use crate::load::thread_cpu_nanos;
use crate::socket::UdpPair;
use dialogue::Titles;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use session::{Session, Step};
use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

/// What to do.
#[derive(Clone, Debug)]
pub struct Options {
    /// What is played, in turn; at least one.
    pub urls: Vec<String>,
    /// Sessions that begin in a second.
    pub rate: u32,
    /// For how long they begin.
    pub duration: Duration,
    /// How long each stays after the reply to its PLAY.
    pub stay: Duration,
    /// Most sessions at once, from connecting to TEARDOWN; others wait for their turn, which shows.
    pub sessions_max: usize,
    /// How long a reply may take.
    pub reply_timeout: Duration,
    /// A process on this machine whose main thread's CPU time is taken, if it is the server.
    pub server_pid: Option<u32>,
}

/// Sets up sessions as `options` say and reports how that went.
///
/// # Errors
/// A URL names no server, or the system has no resources for the sockets.
pub fn run(options: &Options) -> io::Result<Report> {
    if options.urls.is_empty() || options.rate == 0 {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "there is nothing to set up"));
    }
    let servers =
        options.urls.iter().map(|url| server_address(url)).collect::<io::Result<Vec<_>>>()?;
    Crowd::new(options, servers)?.run()
}

struct Crowd<'a> {
    options: &'a Options,
    servers: Vec<SocketAddr>,
    clock: Clock,
    epoll: Epoll,
    /// Where all media goes.
    sink: UdpPair,
    titles: Titles,
    /// By token; those that have left make room for others.
    seats: Vec<Option<Session>>,
    free: Vec<usize>,
    begun: u64,
    /// Who leaves when, in that order.
    leaving: VecDeque<(MonoTime, usize)>,
    report: Report,
}

impl<'a> Crowd<'a> {
    fn new(options: &'a Options, servers: Vec<SocketAddr>) -> io::Result<Self> {
        let sink = UdpPair::bind(IpAddr::V4(Ipv4Addr::UNSPECIFIED))?;
        sink.ignore_media()?;
        Ok(Self {
            options,
            servers,
            clock: Clock::start(),
            epoll: Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?,
            sink,
            titles: Titles::default(),
            seats: Vec::new(),
            free: Vec::new(),
            begun: 0,
            leaving: VecDeque::new(),
            report: Report::default(),
        })
    }

    fn run(mut self) -> io::Result<Report> {
        let mut events = vec![EpollEvent::empty(); 256];
        let cpu = |pid: Option<u32>| pid.and_then(thread_cpu_nanos);
        let before = cpu(self.options.server_pid);
        let mut next_look = self.clock.now() + LOOK_INTERVAL;
        loop {
            let now = self.clock.now();
            let ends_at = MonoTime(0) + self.options.duration;
            if now >= ends_at && self.under_way() == 0 {
                break;
            }
            self.begin_due(now, ends_at)?;
            self.leave_due(now);
            if now >= next_look {
                next_look = now + LOOK_INTERVAL;
                self.give_up(now);
            }
            let count = self.epoll.wait(&mut events, EpollTimeout::from(1_u8))?;
            for event in &events[..count] {
                self.serve(usize::try_from(event.data()).unwrap_or(usize::MAX));
            }
        }
        self.report.seconds = (self.clock.now() - MonoTime(0)).as_secs_f64();
        self.report.asked = self.begun;
        let after = cpu(self.options.server_pid);
        self.report.control_cpu_nanos =
            before.zip(after).map(|(before, after)| after.saturating_sub(before));
        Ok(self.report)
    }

    fn under_way(&self) -> usize {
        self.seats.len() - self.free.len()
    }

    fn begin_due(&mut self, now: MonoTime, ends_at: MonoTime) -> io::Result<()> {
        loop {
            let nanos = self.begun * 1_000_000_000 / u64::from(self.options.rate);
            let meant = MonoTime(nanos);
            if meant > now || meant >= ends_at || self.under_way() >= self.options.sessions_max {
                return Ok(());
            }
            let url = usize::try_from(self.begun).unwrap_or(0) % self.options.urls.len();
            let from = self.servers[url].ip().is_loopback().then(|| source(self.begun));
            let session = Session::connect(self.servers[url], from, (url, meant), now)?;
            self.begun += 1;
            let seat = self.free.pop().unwrap_or_else(|| {
                self.seats.push(None);
                self.seats.len() - 1
            });
            let interest = EpollFlags::EPOLLIN | EpollFlags::EPOLLOUT | EpollFlags::EPOLLET;
            self.epoll.add(&session.connection, EpollEvent::new(interest, seat as u64))?;
            self.seats[seat] = Some(session);
        }
    }

    fn leave_due(&mut self, now: MonoTime) {
        while let Some((_, seat)) = self.leaving.pop_front_if(|(at, _)| *at <= now) {
            if let Some(session) = &mut self.seats[seat] {
                let url = self.titles.control_url(session.url);
                session.ask(now, "TEARDOWN", url, &[]);
            }
            self.serve(seat);
        }
    }

    /// Reads and answers what has come.
    fn serve(&mut self, seat: usize) {
        let Some(Some(session)) = self.seats.get_mut(seat) else { return };
        let before = session.step;
        let url = &self.options.urls[session.url];
        let served = session.serve(self.clock, url, &self.sink, &mut self.titles, &mut self.report);
        match (served, session.step) {
            (Err(why), _) => {
                self.report.fail(&why);
                self.forget(seat);
            }
            (Ok(()), Step::Gone) => self.forget(seat),
            (Ok(()), Step::Playing) if before != Step::Playing => {
                self.leaving.push_back((self.clock.now() + self.options.stay, seat));
            }
            (Ok(()), _) => {}
        }
    }

    /// Whoever has waited too long has failed.
    fn give_up(&mut self, now: MonoTime) {
        for seat in 0..self.seats.len() {
            let waits = |session: &Session| session.waits_since(now) > self.options.reply_timeout;
            if let Some(session) = self.seats[seat].as_ref().filter(|session| waits(session)) {
                let why = format!("no reply to {}", session.method());
                self.report.fail(&why);
                self.forget(seat);
            }
        }
    }

    fn forget(&mut self, seat: usize) {
        // Its descriptor, and with it what is watched, goes.
        self.seats[seat] = None;
        self.leaving.retain(|(_, leaving)| *leaving != seat);
        self.free.push(seat);
    }
}

/// How often is looked for those who wait too long.
const LOOK_INTERVAL: Duration = Duration::from_millis(500);

/// The address of a viewer of a server on loopback: streams are told apart by it.
fn source(number: u64) -> IpAddr {
    // Of 127.4.0.0/16, without its first and last.
    let host = u32::try_from(number % 65_000).unwrap_or(0) + 1;
    IpAddr::V4(Ipv4Addr::from_bits(Ipv4Addr::new(127, 4, 0, 0).to_bits() | host))
}
