//! What keeps a session alive as far as control sees it: requests, and while it stands still the
//! connection that controls it. Media and RTCP are its shard's business, which also ends it.

use super::{Control, Effect};
use crate::clock::MonoTime;
use crate::limits::STANDING_MAX;
use crate::mailbox::{Command, ConnectionId, SessionKey};
use std::time::Duration;

/// How often a shard hears that a session's viewer lives, however often it says so.
const TOUCH_INTERVAL: Duration = Duration::from_secs(1);
/// Times within a session's time-out that its connection is looked for.
const LOOKS_A_TIMEOUT: u32 = 3;

impl Control {
    /// A request came by a connection: whoever controls sessions by it lives, whether the request
    /// names them or not.
    pub(super) fn touch_all(&mut self, now: MonoTime, id: ConnectionId, effects: &mut Vec<Effect>) {
        let Some(connection) = self.connections.get(&id) else { return };
        for key in connection.sessions.iter().collect::<Vec<_>>() {
            self.touch(now, key, effects);
        }
    }

    /// The viewer of a session lives.
    pub(super) fn touch(&mut self, now: MonoTime, key: SessionKey, effects: &mut Vec<Effect>) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        if now - session.touched >= TOUCH_INTERVAL {
            session.touched = now;
            let command = Command::Touch { session: key };
            effects.push(Effect::Command { shard: session.shard, command });
        }
    }

    /// Keeps the sessions that stand still and whose connection is open. In a pause and at the end
    /// players read nothing and say nothing (interop: 4.1), but a connection whose client is gone
    /// does not stay.
    pub(super) fn keep_standing(&mut self, now: MonoTime, effects: &mut Vec<Effect>) {
        if now < self.keep_at {
            return;
        }
        self.keep_at = now + self.config.session_timeout / LOOKS_A_TIMEOUT;
        let is_kept = |since: MonoTime| now - since < STANDING_MAX;
        let standing = self.sessions.iter().filter(|session| {
            session.stands_since.is_some_and(is_kept)
                && self.connections.contains_key(&session.connection)
        });
        for key in standing.map(|session| session.key).collect::<Vec<_>>() {
            self.touch(now, key, effects);
        }
    }

    /// When [`Self::keep_standing`] has something to do.
    pub(super) fn keep_deadline(&self) -> Option<MonoTime> {
        let stands = self.sessions.iter().any(|session| session.stands_since.is_some());
        stands.then_some(self.keep_at)
    }
}
