//! A thread of the load generator: a loop over its viewers.
//!
//! Connections and reports are read when they are ready. Media sockets are not waited for but
//! visited in turn, each ten times a second: what has come since leaves the kernel in one
//! system call, and its time stamps say when it came.

use super::churn::{Act, Agenda};
use super::gauges::{Gauges, Told};
use super::options::{Options, Role};
use super::seat::{Seat, Shared, Token};
use super::tally::{Failure, Tally, failed};
use super::viewer::{Step, Viewer};
use crate::clock::{KernelClock, MonoTime};
use nix::errno::Errno;
use nix::sys::epoll::{EpollEvent, EpollTimeout};
use nix::sys::resource::{UsageWho, getrusage};
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::time::Duration;

/// How often every viewer is visited.
pub(super) const VISIT_INTERVAL: Duration = Duration::from_millis(100);
/// How often some are.
const STEP: Duration = Duration::from_millis(1);
/// How often the gauges are told.
const TELL_INTERVAL: Duration = Duration::from_secs(1);
/// Events taken by one wait.
const EVENTS_MAX: usize = 1024;

/// Drives viewers until they are done.
#[derive(Debug)]
pub(super) struct Worker<'a> {
    shared: Shared<'a>,
    gauges: &'a Gauges,
    /// Set when all are to leave before their time.
    interrupted: &'a AtomicBool,
    told: Sender<Told>,
    seats: Vec<Seat>,
    /// This thread's viewers are those whose numbers leave `thread` when divided by `threads`.
    thread: usize,
    threads: usize,
    /// Viewers who came by the ramp, and who took the place of others.
    started: usize,
    replacements: usize,
    /// Seats whose viewers have left, or were gone, when the time was up.
    left: usize,
    agenda: Agenda,
    random: fastrand::Rng,
    /// The seat to visit next, and the visits that are due by now.
    next_visit: usize,
    visits_owed: f64,
    next_step: MonoTime,
    next_tell: MonoTime,
    last: Last,
}

/// What was last told to the gauges.
#[derive(Debug, Default)]
struct Last {
    told_at: MonoTime,
    playing: i64,
    cpu_nanos: u64,
}

impl<'a> Worker<'a> {
    pub(super) fn new(
        (options, servers): (&'a Options, &'a [SocketAddr]),
        clock: KernelClock,
        (gauges, interrupted): (&'a Gauges, &'a AtomicBool),
        told: Sender<Told>,
        (thread, threads): (usize, usize),
    ) -> io::Result<Self> {
        let churn_start = options.starts_at(options.sessions);
        Ok(Self {
            shared: Shared::new((options, servers), clock)?,
            gauges,
            interrupted,
            told,
            seats: Vec::new(),
            thread,
            threads,
            started: 0,
            replacements: 0,
            left: 0,
            agenda: Agenda::new(options.churn, churn_start, thread, threads),
            random: fastrand::Rng::with_seed(options.random(thread).wrapping_add(1)),
            next_visit: 0,
            visits_owed: 0.0,
            next_step: clock.now(),
            next_tell: clock.now() + TELL_INTERVAL,
            last: Last { told_at: clock.now(), ..Last::default() },
        })
    }

    /// Lets this thread's viewers play, and returns what was seen of them.
    pub(super) fn run(&mut self) -> io::Result<Tally> {
        let mut events = vec![EpollEvent::empty(); EVENTS_MAX];
        let ends_at = self.shared.options.ends_at();
        let mut ended_at = None;
        while !(ended_at.is_some() && self.seats.iter().all(|seat| seat.viewer.step == Step::Done))
        {
            let now = self.shared.clock.now();
            if ended_at.is_none() && (now >= ends_at || self.interrupted.load(Ordering::Relaxed)) {
                ended_at = Some(now);
            }
            let is_ending = ended_at.is_some();
            if now >= self.next_step {
                self.step(now, ended_at);
            }
            let wait = self.next_step - self.shared.clock.now();
            let millis = u16::from(!wait.is_zero());
            let count = match self.shared.epoll.wait(&mut events, EpollTimeout::from(millis)) {
                Ok(count) => count,
                Err(Errno::EINTR) => 0,
                Err(errno) => return Err(errno.into()),
            };
            for event in &events[..count] {
                let Token { seat, socket } = Token::unpack(event.data());
                if self.seats[seat].viewer.step != Step::Done {
                    let served = self.seats[seat].serve(socket, event.events(), &mut self.shared);
                    self.settle(seat, served, is_ending);
                }
            }
        }
        self.tell(self.shared.clock.now());
        Ok(std::mem::take(&mut self.shared.tally))
    }

    /// Does what is due by the clock.
    fn step(&mut self, now: MonoTime, ended_at: Option<MonoTime>) {
        let is_ending = ended_at.is_some();
        let late = now.nanos_since(self.next_step);
        let step_nanos = i64::try_from(STEP.as_nanos()).unwrap_or(i64::MAX);
        self.shared.tally.generator.loop_late.record_stall(late, step_nanos);
        let elapsed = STEP + (now - self.next_step);
        self.next_step = now + STEP;
        if let Some(ended_at) = ended_at {
            self.leave_due(ended_at, now);
        } else {
            self.start_due(now);
            while let Some((meant, act)) = self.agenda.due(now) {
                self.act(act, (meant, now));
            }
        }
        #[allow(clippy::cast_precision_loss, reason = "far fewer")]
        let seats = self.seats.len() as f64;
        self.visits_owed += seats * elapsed.as_secs_f64() / VISIT_INTERVAL.as_secs_f64();
        self.visits_owed = self.visits_owed.min(seats);
        while self.visits_owed >= 1.0 {
            self.visits_owed -= 1.0;
            self.next_visit = (self.next_visit + 1) % self.seats.len();
            let seat = &mut self.seats[self.next_visit];
            if seat.viewer.step != Step::Done {
                let visited = seat.visit(&mut self.shared);
                self.settle(self.next_visit, visited, is_ending);
            }
        }
        if now >= self.next_tell {
            self.next_tell = self.next_tell + TELL_INTERVAL;
            self.tell(now);
        }
    }

    fn start_due(&mut self, now: MonoTime) {
        loop {
            let number = self.thread + self.started * self.threads;
            let meant = self.shared.options.starts_at(number);
            if number >= self.shared.options.sessions || meant > now {
                return;
            }
            self.started += 1;
            let role = self.shared.options.role(number);
            if let Some(seat) = self.seat(self.seats.len(), role, number, (meant, now)) {
                self.seats.push(seat);
            }
        }
    }

    /// The viewer `number` takes the seat `index`, unless it cannot even begin to connect.
    fn seat(
        &mut self,
        index: usize,
        role: Role,
        number: usize,
        when: (MonoTime, MonoTime),
    ) -> Option<Seat> {
        self.shared.tally.started += 1;
        let seat = Viewer::connect((self.shared.options, self.shared.servers), role, number, when)
            .and_then(|viewer| Seat::new(viewer, index, &self.shared.epoll));
        if let Err(error) = &seat {
            self.gauges.failed.fetch_add(1, Ordering::Relaxed);
            self.shared.tally.failure(failed(&format!("connecting: {error}")));
        }
        seat.ok()
    }

    /// A viewer that plays, chosen at random, does something.
    fn act(&mut self, act: Act, (meant, now): (MonoTime, MonoTime)) {
        let count = self.seats.len();
        let first = self.random.usize(..count.max(1));
        let chosen = (first..count).chain(0..first).find(|seat| self.seats[*seat].viewer.can_act());
        let tally = &mut self.shared.tally;
        let Some(index) = chosen else {
            tally.skipped_acts += 1;
            return;
        };
        match act {
            Act::Stop => tally.stops += 1,
            Act::Seek => tally.seeks += 1,
            Act::Pause => tally.pauses += 1,
            Act::Vanish => tally.vanished += 1,
        }
        let random = self.random.u64(..);
        let acted = self.seats[index].act(act, (meant, now), random, &mut self.shared);
        self.settle(index, acted, false);
    }

    /// The time is up since `ended_at`: who plays leaves, who does not came too late. Seats are in
    /// the order in which their first viewers came.
    fn leave_due(&mut self, ended_at: MonoTime, now: MonoTime) {
        let first_generation = self.shared.options.sessions;
        while self.left < self.seats.len() {
            let index = self.left;
            let number = self.thread + index * self.threads;
            let meant = ended_at + self.shared.options.leaves_after(number);
            if meant > now {
                return;
            }
            self.left += 1;
            let viewer = &mut self.seats[index].viewer;
            if matches!(viewer.step, Step::Done | Step::TearingDown) {
                continue;
            }
            let result = if viewer.session_began() && !viewer.role.is_stalled {
                self.seats[index].act(Act::Stop, (meant, now), 0, &mut self.shared)
            } else if viewer.session_began()
                || viewer.number >= first_generation
                || self.interrupted.load(Ordering::Relaxed)
            {
                viewer.step = Step::Done;
                Ok(())
            } else {
                Err(failed("was not playing when the time was up"))
            };
            self.settle(index, result, true);
        }
    }

    /// What becomes of a seat after something was done there.
    fn settle(&mut self, index: usize, result: Result<(), Failure>, is_ending: bool) {
        let seat = &mut self.seats[index];
        if result.is_ok() && seat.viewer.step != Step::Done {
            return;
        }
        // What came before the reply to TEARDOWN is still to be read.
        let result = result.and_then(|()| seat.drain(&mut self.shared));
        seat.viewer.step = Step::Done;
        seat.unwatch(&self.shared.epoll);
        let tally = &mut self.shared.tally;
        let gauges = self.gauges;
        let is_replaced = result.is_ok() && !is_ending;
        match result {
            // That a viewer who does not read is thrown out is as it should be.
            _ if seat.viewer.role.is_stalled && seat.viewer.session_began() => tally.stalled += 1,
            Ok(()) if seat.viewer.session_began() => tally.played += 1,
            Ok(()) => tally.unfinished += 1,
            Err(failure) => {
                let gauge = match failure {
                    Failure::Refused { .. } => &gauges.refused,
                    Failure::Failed(_) => &gauges.failed,
                };
                gauge.fetch_add(1, Ordering::Relaxed);
                tally.failure(failure);
            }
        }
        seat.viewer.leave(self.shared.clock.now(), tally, &gauges.lost);
        if is_replaced {
            self.replace(index);
        }
    }

    /// A new viewer takes the place of one who left.
    fn replace(&mut self, index: usize) {
        let now = self.shared.clock.now();
        let number = self.shared.options.sessions + self.thread + self.replacements * self.threads;
        self.replacements += 1;
        let role = self.seats[index].viewer.role;
        if let Some(seat) = self.seat(index, role, number, (now, now)) {
            self.seats[index] = seat;
        }
    }

    /// Tells how things stand. Gauges are shared by the threads, so each adds what changed.
    fn tell(&mut self, now: MonoTime) {
        let (mut playing, mut lost) = (0, 0);
        for seat in self.seats.iter_mut().filter(|seat| seat.viewer.step != Step::Done) {
            playing += i64::from(seat.viewer.step == Step::Playing);
            lost += seat.viewer.newly_lost(now);
        }
        self.gauges.lost.fetch_add(lost, Ordering::Relaxed);
        let told = std::mem::replace(&mut self.last.playing, playing);
        self.gauges.playing.fetch_add(playing - told, Ordering::Relaxed);
        let tally = &mut self.shared.tally;
        let late = tally.end_interval();
        self.gauges.packets.fetch_add(late.count(), Ordering::Relaxed);
        // The receiver outlives the threads.
        let _ = self.told.send(Told::Late(late));
        let cpu_nanos = thread_cpu_nanos();
        let used = cpu_nanos - std::mem::replace(&mut self.last.cpu_nanos, cpu_nanos);
        let since = now - std::mem::replace(&mut self.last.told_at, now);
        tally.generator.second(used, u64::try_from(since.as_nanos()).unwrap_or(u64::MAX));
    }
}

/// CPU time of this thread.
fn thread_cpu_nanos() -> u64 {
    let Ok(usage) = getrusage(UsageWho::RUSAGE_THREAD) else { return 0 };
    [usage.user_time(), usage.system_time()]
        .iter()
        .map(|time| {
            let seconds = u64::try_from(time.tv_sec()).unwrap_or(0);
            seconds * 1_000_000_000 + u64::try_from(time.tv_usec()).unwrap_or(0) * 1000
        })
        .sum()
}
