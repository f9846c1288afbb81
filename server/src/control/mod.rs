//! Connections, sessions, catalog, admission: the pure core of the control thread.
//!
//! [`Control`] performs nothing and reads no clock. Its shell calls it with what happened and does
//! what the [`Effect`]s say; under simulation another shell does the same.

mod admission;
mod catalog;
mod choice;
mod connection;
mod deadlines;
mod descriptions;
mod drain;
mod effect;
mod life;
mod memory;
mod methods;
mod pairs;
mod payload_size;
mod profiles;
mod redirect;
mod refusals;
mod requests;
mod session;
mod session_set;
mod strain;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod tunnel;
mod tunnels;

pub use catalog::{Candidate, OPENING_MAX, OpenError, OpenRequest};
pub use connection::Port;
pub use effect::{Effect, OpenToken};
pub use tunnel::Unread;

use crate::clock::{MonoTime, Wallclock};
use crate::config::Config;
use crate::mailbox::{CloseReason, Command, ConnectionId, Report, SessionKey, Start, Token};
use crate::title::SharedTitle;
use admission::Admission;
use catalog::Catalog;
use connection::Connection;
use deadlines::Deadlines;
use descriptions::Descriptions;
use methods::Pending;
use refusals::{LogLimit, RefusedTitles};
use session::{Ending, Sessions, State};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use tracing::{debug, info};
use tunnels::Tunnels;

/// The control thread's state machine.
pub struct Control {
    config: Arc<Config>,
    random: Box<dyn FnMut() -> u128>,
    /// Apart from the tree, whose nodes are half empty when keys only grow.
    connections: BTreeMap<ConnectionId, Box<Connection>>,
    deadlines: Deadlines,
    /// When sessions that stand still are next looked at.
    keep_at: MonoTime,
    sessions: Sessions,
    /// Sessions that were torn down and whose shards have not said what they sent.
    endings: BTreeMap<SessionKey, Ending>,
    tunnels: Tunnels,
    /// Requests that wait for a shard's report.
    pending: BTreeMap<Token, Pending>,
    admission: Admission,
    catalog: Catalog,
    descriptions: Descriptions,
    shard_count: usize,
    tokens_made: u64,
    sessions_made: u64,
    /// Requests made of clients.
    asked_count: u64,
    /// No new connections and sessions.
    retiring: bool,
    /// While draining: the shards that have not finished.
    draining: Option<BTreeSet<usize>>,
    refused_connections: LogLimit,
    refused_sessions: LogLimit,
    refused_requests: LogLimit,
    refused_titles: RefusedTitles,
    refused_tunnels: LogLimit,
    /// For what has a date.
    wallclock: Wallclock,
}

impl fmt::Debug for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Control")
            .field("connections", &self.connections.len())
            .field("sessions", &self.sessions.len())
            .field("pending", &self.pending.len())
            .finish_non_exhaustive()
    }
}

impl Control {
    /// Control over `shard_count` shards. `random` yields the bits of session ids and must be
    /// unpredictable outside of tests.
    #[must_use]
    pub fn new(config: Arc<Config>, shard_count: usize, random: Box<dyn FnMut() -> u128>) -> Self {
        let index_bytes_max = config.budget().index_bytes;
        Self {
            admission: Admission::new(&config, shard_count),
            catalog: Catalog::new(config.media.clone(), index_bytes_max),
            config,
            random,
            connections: BTreeMap::new(),
            deadlines: Deadlines::default(),
            keep_at: MonoTime::default(),
            sessions: Sessions::default(),
            endings: BTreeMap::new(),
            tunnels: Tunnels::default(),
            pending: BTreeMap::new(),
            descriptions: Descriptions::default(),
            shard_count,
            tokens_made: 0,
            sessions_made: 0,
            asked_count: 0,
            retiring: false,
            draining: None,
            refused_connections: LogLimit::default(),
            refused_sessions: LogLimit::default(),
            refused_requests: LogLimit::default(),
            refused_titles: RefusedTitles::default(),
            refused_tunnels: LogLimit::default(),
            wallclock: Wallclock::new(0),
        }
    }

    /// The same, with this idea of the date instead of 1970.
    #[must_use]
    pub fn with_wallclock(self, wallclock: Wallclock) -> Self {
        Self { wallclock, ..self }
    }

    /// A shard reports.
    pub fn report(
        &mut self,
        now: MonoTime,
        shard: usize,
        report: Report,
        effects: &mut Vec<Effect>,
    ) {
        match report {
            Report::SetUp { token, result } => self.setup_answered(now, token, result, effects),
            Report::Cued { token, result } => self.play_answered(now, token, result, effects),
            Report::Paused { token, result } => {
                self.pause_answered(now, token, result, effects);
            }
            Report::Inspected { token, inspection } => {
                self.inspected(now, token, inspection, effects);
            }
            Report::Request { connection, bytes } => {
                if self.connections.contains_key(&connection) {
                    self.handle(now, connection, bytes, effects);
                }
            }
            Report::Unreadable { connection, error, rejected } => {
                self.refuse_stream(now, connection, error, &rejected, effects);
            }
            Report::ReplyWritten(start) => self.start(start, effects),
            Report::ConnectionClosed { connection, reason } => {
                log_adopted_closed(connection, reason);
                self.forget_connection(now, connection, effects);
            }
            Report::Finished { session, paused } => {
                if let Some(session) = self.sessions.get_mut(session) {
                    let what = match paused {
                        Some(_) => "played to its pause point",
                        None => "played to the end of the range",
                    };
                    info!(session = ?session.id, "{what}");
                    session.enter(now, State::Ready);
                }
            }
            Report::Ended { session, reason, sent } => self.ended(now, session, reason, sent),
            Report::Strain(strain) => strain::log_strain(shard, strain),
            Report::Drained => self.drained(shard, effects),
            Report::Counters(counters) => effects.push(Effect::ShowCounters { shard, counters }),
        }
    }

    /// The answer to [`Effect::OpenTitle`].
    pub fn title_opened(
        &mut self,
        now: MonoTime,
        token: OpenToken,
        result: Result<SharedTitle, OpenError>,
        effects: &mut Vec<Effect>,
    ) {
        let (waiting, result) = self.catalog.opened(now, token, result);
        for id in waiting {
            let result = result.clone();
            self.resume(now, id, effects, |control, request, effects| {
                control.title_found(now, id, request, result, effects)
            });
        }
    }

    /// When [`Control::advance`] is due.
    #[must_use]
    pub fn deadline(&self) -> Option<MonoTime> {
        [self.deadlines.next(), self.keep_deadline()].into_iter().flatten().min()
    }

    /// Sessions there are.
    #[must_use]
    pub fn session_count(&self) -> usize {
        self.sessions.len()
    }

    /// Logs what control keeps and asks every shard for its counters; for each,
    /// [`Effect::ShowCounters`] follows.
    pub fn snapshot(&self, effects: &mut Vec<Effect>) {
        info!(
            connections = self.connections.len(),
            tunnels = self.tunnels.len(),
            sessions = self.sessions.len(),
            reserved_bits_per_second = self.admission.reserved_bits_per_second(),
            titles = self.catalog.len(),
            "control"
        );
        effects.extend(
            (0..self.shard_count)
                .map(|shard| Effect::Command { shard, command: Command::Snapshot }),
        );
    }

    /// Whether everything that connections and sessions took has been given back: what a churn
    /// test asks at its end. Says what has not.
    ///
    /// # Errors
    /// Names what is still taken.
    pub fn check_empty(&self) -> Result<(), String> {
        let counts = [
            ("connections", self.connections.len()),
            ("sessions", self.sessions.len()),
            ("sessions that end", self.endings.len()),
            ("tunnels", self.tunnels.len()),
            ("requests under way", self.pending.len()),
            ("titles being opened", self.catalog.opening_count()),
        ];
        match counts.iter().find(|(_, count)| *count > 0) {
            Some((what, count)) => Err(format!("{count} {what} left")),
            None if self.deadlines.next().is_some() => Err("deadlines left".to_owned()),
            None if !self.admission.is_idle() => Err("reservations left".to_owned()),
            None => Ok(()),
        }
    }

    fn start(&self, start: Start, effects: &mut Vec<Effect>) {
        if let Some(session) = self.sessions.get(start.session) {
            let command = Command::Start(start);
            effects.push(Effect::Command { shard: session.shard, command });
        }
    }

    fn next_token(&mut self) -> Token {
        self.tokens_made += 1;
        Token(self.tokens_made)
    }
}

fn log_adopted_closed(connection: ConnectionId, reason: CloseReason) {
    match reason {
        CloseReason::Peer(_) | CloseReason::Server => {
            debug!(connection = connection.0, ?reason, "adopted connection closed");
        }
        CloseReason::Overflow | CloseReason::Deadline => {
            info!(connection = connection.0, ?reason, "adopted connection closed");
        }
    }
}
