//! What is seen of a whole world's sessions between control and the shards.

use super::rtsp_session::{Facts, Life};
use super::viewer::Phase;
use super::whole::{TIMEOUT, Whole};
use crate::mailbox::{Command, EndReason, Inspection, Paused, Report, SessionKey};

impl Whole {
    /// What is seen between control and a shard: a command arrives.
    pub(super) fn witness_command(&mut self, shard: usize, command: &Command) {
        match command {
            Command::SetUp { token, session, .. } => {
                self.tokens.insert(*token, *session);
                if !self.known.contains_key(session) {
                    self.unknown.entry(*session).or_default().shard = shard;
                }
            }
            Command::Play { token, session, play } => {
                self.tokens.insert(*token, *session);
                self.plays.insert(*token, *play);
            }
            Command::Pause { token, session, .. } | Command::Inspect { token, session } => {
                self.tokens.insert(*token, *session);
            }
            Command::Start(start) => {
                self.around.note(&format!("{start:?}"));
                self.start(start.session);
            }
            Command::TearDown { session, stream: None } => {
                if let Some(facts) = self.facts(*session) {
                    (facts.has_ended, facts.is_end_known) = (true, true);
                }
            }
            Command::TearDown { session, stream: Some(_) } => self.lose_track(*session),
            Command::Touch { .. }
            | Command::Adopt(_)
            | Command::Reply { .. }
            | Command::Ask { .. }
            | Command::Close { .. }
            | Command::Drain
            | Command::Snapshot => {}
        }
    }

    /// What is seen between control and a shard: a report is made.
    pub(super) fn witness_report(&mut self, index: usize, report: &Report) {
        match report {
            Report::SetUp { token, result } => {
                let key = self.tokens.remove(token).expect("asked for");
                if let Ok(set_up) = result {
                    self.keys.insert(set_up.ssrc.0, key);
                }
            }
            Report::Cued { token, result: Ok(cued) } => {
                let key = self.tokens.remove(token).expect("asked for");
                let play = self.plays.remove(token).expect("asked for");
                let goes_on = play.start.is_none() && play.end.is_none();
                self.cues.done(key, cued, goes_on);
                let Some(facts) = self.facts(key) else { return };
                facts.cues += 1;
                facts.was_finished = facts.is_finished;
                facts.goes_on = goes_on && facts.is_running;
                facts.has_resumed = goes_on && !facts.is_finished && facts.play.is_some();
                if !facts.has_resumed {
                    facts.play = Some(play);
                }
                (facts.is_finished, facts.is_finish_known) = (false, false);
                if !facts.goes_on {
                    facts.is_running = false;
                    self.silence(key);
                }
            }
            Report::Paused { token, result } => {
                let key = self.tokens.remove(token).expect("asked for");
                self.cues.stopped(key);
                let Some(facts) = self.facts(key) else { return };
                facts.paused = match result {
                    Ok(Paused::At(position)) => Some(*position),
                    Ok(Paused::Later) | Err(_) => None,
                };
                facts.is_running = false;
                self.silence(key);
            }
            Report::Finished { session, .. } => {
                self.outcome.finished += 1;
                self.cues.stopped(*session);
                self.finished(*session);
            }
            Report::Inspected { token, inspection } => {
                let key = self.tokens.remove(token).expect("asked for");
                if let Some(inspection) = inspection {
                    self.inspected(key, inspection);
                }
            }
            Report::Ended { reason: EndReason::TornDown, .. } => {}
            Report::Ended { session, reason, .. } => {
                self.outcome.ended += 1;
                self.ended(*session, *reason);
            }
            Report::Drained => self.around.note(&format!("shard {index} has drained")),
            Report::Cued { result: Err(_), .. }
            | Report::Request { .. }
            | Report::Unreadable { .. }
            | Report::ReplyWritten(_)
            | Report::ConnectionClosed { .. }
            | Report::Strain(_)
            | Report::Counters(_) => {}
        }
    }

    /// Control hears a report.
    pub(super) fn witness_known(&mut self, report: &Report) {
        match report {
            Report::Finished { session, .. } => {
                if let Some(facts) = self.facts(*session) {
                    facts.is_finish_known = facts.is_finished;
                }
            }
            Report::Ended { session, .. } => {
                if let Some(facts) = self.facts(*session) {
                    facts.is_end_known = true;
                }
            }
            Report::SetUp { .. }
            | Report::Cued { .. }
            | Report::Paused { .. }
            | Report::Inspected { .. }
            | Report::Request { .. }
            | Report::Unreadable { .. }
            | Report::ReplyWritten(_)
            | Report::ConnectionClosed { .. }
            | Report::Strain(_)
            | Report::Drained
            | Report::Counters(_) => {}
        }
    }

    pub(super) fn facts(&mut self, key: SessionKey) -> Option<&mut Facts> {
        match self.known.get(&key) {
            Some(&(client, session)) => Some(&mut self.clients[client].sessions[session].facts),
            None => self.unknown.get_mut(&key),
        }
    }

    /// The session's packets may go, says control.
    fn start(&mut self, key: SessionKey) {
        let now = self.around.now;
        let Some(&(client, session)) = self.known.get(&key) else { return };
        let line = self.clients[client].line.as_ref();
        let is_lost = line.is_none_or(|line| self.around.net.pipes[&line.id].is_closed);
        let session = &mut self.clients[client].sessions[session];
        if session.facts.is_running || session.facts.is_finished {
            return;
        }
        assert!(
            session.is_answered || session.is_blind || is_lost,
            "{key:?} starts before its reply"
        );
        session.is_blind |= !session.is_answered;
        session.facts.is_running = true;
        session.viewer.phase = Phase::Playing { started: now };
    }

    /// One stream of a session goes. Whether the lap to come waits for its end, its client does not
    /// know, whatever it is told and when.
    fn lose_track(&mut self, key: SessionKey) {
        if let Some(&(client, session)) = self.known.get(&key) {
            let session = &mut self.clients[client].sessions[session];
            session.is_blind |= session.viewer.title.looped;
        }
    }

    /// A session moves or pauses: over UDP, nothing more comes from now on.
    fn silence(&mut self, key: SessionKey) {
        let Some(&(client, session)) = self.known.get(&key) else { return };
        let session = &mut self.clients[client].sessions[session];
        session.is_answered = false;
        if session.is_udp_only() {
            session.viewer.phase = Phase::Silent;
        }
    }

    fn finished(&mut self, key: SessionKey) {
        if let Some(facts) = self.facts(key) {
            (facts.is_finished, facts.is_running) = (true, false);
        }
        let faults = &self.around.faults;
        let is_calm = !faults.makes_late() && faults.failed_send_one_in == 0;
        let Some(&(client, session)) = self.known.get(&key) else { return };
        let session = &self.clients[client].sessions[session];
        assert!(
            !is_calm
                || session.is_blind
                || !session.viewer.is_prompt
                || session.life != Life::Alive
                || session.viewer.saw_everything(),
            "{key:?} is finished before its end"
        );
    }

    /// A session stands somewhere in its title.
    fn inspected(&mut self, key: SessionKey, inspection: &Inspection) {
        let Some(&(client, session)) = self.known.get(&key) else { return };
        let viewer = &self.clients[client].sessions[session].viewer;
        assert!(inspection.position <= viewer.title.index.duration, "{key:?}: {inspection:?}");
    }

    fn ended(&mut self, key: SessionKey, reason: EndReason) {
        let now = self.around.now;
        if let Some(facts) = self.facts(key) {
            facts.has_ended = true;
            facts.is_drained = reason == EndReason::Drained;
        }
        let Some(&(client, session)) = self.known.get(&key) else { return };
        let session = &self.clients[client].sessions[session];
        let silent = now - session.heard_at;
        let must_live = session.life == Life::Alive && session.is_udp_only();
        assert!(
            reason != EndReason::TimedOut || !must_live || silent >= TIMEOUT,
            "{key:?} timed out after {silent:?}"
        );
        assert!(
            reason != EndReason::ConnectionClosed || !must_live,
            "{key:?} ended with a connection that carries nothing of it"
        );
    }
}
