//! What the viewers of a world play: ranges, scaled and hurried, one behind another, paused on the
//! way.

use super::viewer::Phase;
use super::world::{Client, Step, World};
use crate::clock::MonoTime;
use crate::mailbox::{Command, Cued, NotMoved, Paused, Play, Token};
use crate::pace::{Pace, Scale, Speed};
use fastrand::Rng;
use packetizer::index::{Cue, Direction};
use packetizer::time::Npt;

impl Client {
    /// Something to play, and where that begins and ends in each track.
    pub(super) fn draw_range(&self, random: &mut Rng) -> Option<(Play, Cue)> {
        let index = &self.viewer.title.index;
        let pace = self.draw_pace(random);
        let start = random.u64(..index.duration.nanos());
        let length = random.u64(1_000_000..6_000_000_000);
        let end = random.bool().then(|| match pace.scale.direction() {
            Direction::Forward => start.saturating_add(length),
            Direction::Backward => start.saturating_sub(length),
        });
        let end = end.filter(|end| *end != start).map(Npt::from_nanos);
        let is_endless = self.is_endless;
        let play = Play { pace, is_endless, ..Play::seek(Npt::from_nanos(start), end) };
        let cue = self.cue_of(play.start?, end, pace)?;
        Some((play, cue))
    }

    fn draw_pace(&self, random: &mut Rng) -> Pace {
        let can_skim = self.viewer.title.index.skim_track(self.tracks()).is_some();
        let scales = [2.0, 4.0, 8.0, 16.0, 32.0, -1.0, -2.0, -4.0, -8.0, -32.0];
        let scale = random.choice(scales).filter(|_| can_skim && random.u8(..3) == 0);
        let speed = random.choice([0.25, 0.5, 2.0, 4.0, 16.0]).filter(|_| random.u8(..4) == 0);
        Pace {
            scale: Scale::nearest(scale.unwrap_or(1.0)),
            speed: Speed::nearest(speed.unwrap_or(1.0)),
        }
    }

    fn cue_of(&self, start: Npt, end: Option<Npt>, pace: Pace) -> Option<Cue> {
        let (index, tracks) = (&self.viewer.title.index, self.tracks());
        if pace.is_skim() {
            index.skim_cue(tracks, start, end, pace.scale.direction())
        } else {
            index.cue(tracks, start, end)
        }
    }

    /// Where a session went that was not told where to; `None` if it goes on where it stood.
    pub(super) fn moved_cue(&self, cued: &Cued) -> Option<Cue> {
        let cue = self.cue_of(cued.start, Some(cued.end), cued.pace)?;
        (cued.pace.is_skim() || cue.start == cued.start).then_some(cue)
    }

    /// What came of a pause. Whether the session plays on.
    pub(super) fn asked_point(&mut self, now: MonoTime, result: &Result<Paused, NotMoved>) -> bool {
        match result {
            Ok(Paused::Later) => self.viewer.cut(now),
            // It has passed: the client goes on from there.
            Ok(Paused::At(_)) => self.is_to_resume = true,
            Err(_) => {}
        }
        !matches!(result, Ok(Paused::At(_)))
    }
}

impl World {
    /// A range that is to wait behind those that play.
    pub(super) fn queue(&mut self, index: usize) {
        let client = &mut self.clients[index];
        let drawn = client.draw_range(&mut self.around.random);
        let Some((play, cue)) = drawn.filter(|_| !client.is_finished) else {
            return self.step_in(50_000_000, index, Step::Act);
        };
        client.cue = Some(cue);
        self.cue(index, Play { may_queue: true, ..play });
        // If what is before it is over, its packets come at once.
        self.hear();
    }

    /// The range waits behind those that play.
    pub(super) fn has_queued(&mut self, index: usize, cued: &Cued) {
        let client = &mut self.clients[index];
        let cue = client.cue.take().expect("it was asked for");
        client.viewer.queued(self.around.now, cued, &cue);
        client.awaits_reply = false;
        let delay = self.around.random.u64(1_000_000..3_000_000_000);
        self.step_in(delay, index, Step::Act);
    }

    /// Pauses somewhere in what plays or follows, or has passed.
    pub(super) fn pause_on_the_way(&mut self, index: usize) {
        let duration = self.clients[index].viewer.title.index.duration.nanos();
        let at = Npt::from_nanos(self.around.random.u64(..duration));
        self.pause(index, Some(at));
        if std::mem::take(&mut self.clients[index].is_to_resume) {
            return self.resume(index);
        }
        let delay = self.around.random.u64(1_000_000..3_000_000_000);
        self.step_in(delay, index, Step::Act);
    }

    pub(super) fn pause(&mut self, index: usize, at: Option<Npt>) {
        self.read_all(index);
        self.tokens_made += 1;
        let token = Token(self.tokens_made * 10);
        self.tokens.insert(token, index);
        let session = self.clients[index].key;
        self.command(Command::Pause { token, session, at });
        self.hear();
    }

    pub(super) fn resume(&mut self, index: usize) {
        self.clients[index].is_to_resume = false;
        if self.clients[index].connection.is_none() {
            self.clients[index].viewer.phase = Phase::Silent;
        }
        let is_endless = self.clients[index].is_endless;
        self.cue(index, Play { is_endless, ..Play::RESUME });
    }
}
