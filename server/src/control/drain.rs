//! The end of the server: nothing new, and then nothing.

use super::connection::Home;
use super::{Control, Effect};
use crate::mailbox::{Command, ConnectionId};
use tracing::info;

impl Control {
    /// No new connections and sessions from now on; those there are go on. Viewers whose client is
    /// known to understand it are told where else to go.
    pub fn retire(&mut self, effects: &mut Vec<Effect>) {
        if self.retiring {
            return;
        }
        self.retiring = true;
        info!(sessions = self.sessions.len(), "retiring");
        self.ask_positions(effects);
    }

    /// Whether nobody may connect any more. As long as a server that retires knows where else its
    /// viewers are served, it tells those who come.
    pub(super) fn turns_all_away(&self) -> bool {
        self.draining.is_some() || self.retiring && self.config.redirect_to.is_none()
    }

    /// Nothing new from now on; every shard ends its sessions. [`Effect::Drained`] follows.
    pub fn drain(&mut self, effects: &mut Vec<Effect>) {
        self.retiring = true;
        if self.draining.is_some() {
            return;
        }
        info!(sessions = self.sessions.len(), "draining");
        self.draining = Some((0..self.shard_count).collect());
        effects.extend(
            (0..self.shard_count).map(|shard| Effect::Command { shard, command: Command::Drain }),
        );
    }

    /// Whether the shard has said that it has drained: its thread ends then.
    #[must_use]
    pub fn has_drained(&self, shard: usize) -> bool {
        self.draining.as_ref().is_some_and(|remaining| !remaining.contains(&shard))
    }

    pub(super) fn drained(&mut self, shard: usize, effects: &mut Vec<Effect>) {
        let Some(remaining) = &mut self.draining else { return };
        if remaining.remove(&shard) && remaining.is_empty() {
            // The shards have closed theirs.
            let ours = self.connections.iter().filter(|(_, it)| it.home == Home::Control);
            let ours: Vec<ConnectionId> = ours.map(|(id, _)| *id).collect();
            for id in ours {
                self.close(id, effects);
            }
            effects.push(Effect::Drained);
        }
    }
}
