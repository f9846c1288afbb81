//! What a viewer does by the clock while it plays.

use super::{Step, Viewer};
use crate::clock::MonoTime;
use crate::load::options::Options;
use crate::load::stream::Stream;
use crate::load::tally::{Failure, Tally, failed};
use crate::packet::write_receiver_report;
use std::time::Duration;

/// Between two receiver reports of a stream.
pub(super) const REPORT_INTERVAL: Duration = Duration::from_secs(5);
/// How long nothing comes before a title without BYE counts as ended, if it should have.
const SILENCE: Duration = Duration::from_secs(2);

impl Viewer {
    /// Does what is due: receiver reports, keep-alives, playing on after a pause, playing again
    /// what has ended.
    pub(in crate::load) fn tick(
        &mut self,
        now: MonoTime,
        options: &Options,
        tally: &mut Tally,
    ) -> Result<(), Failure> {
        if self.is_deaf() {
            return Ok(());
        }
        if self.is_overdue(now, options)
            && let Some(asked) = self.dialogue.oldest()
        {
            tally.answered(asked.method, now.nanos_since(asked.meant));
            return Err(failed(&format!("no reply to {} in time", asked.method)));
        }
        match self.step {
            Step::Paused(until) if now >= until => {
                self.play((now, now), None);
                return Ok(());
            }
            Step::Playing if self.has_ended(now) => {
                self.conclude(now, tally);
                tally.replays += 1;
                self.start_millis = 0;
                self.play((now, now), Some(0));
                return Ok(());
            }
            Step::Playing | Step::Paused(_) => {}
            Step::Connecting
            | Step::Describing
            | Step::SettingUp(_)
            | Step::AwaitingPlay
            | Step::AwaitingPause
            | Step::TearingDown
            | Step::Done => return Ok(()),
        }
        if now >= self.report_at {
            self.report_at = now + REPORT_INTERVAL;
            self.report();
        }
        if now >= self.keep_alive_at {
            self.schedule_keep_alive(now);
            self.dialogue.ask((now, now), self.keep_alive_method, &[]);
        }
        Ok(())
    }

    /// Whether a reply has taken too long.
    pub(in crate::load) fn is_overdue(&self, now: MonoTime, options: &Options) -> bool {
        self.dialogue.oldest().is_some_and(|asked| now - asked.sent > options.reply_timeout)
    }

    fn has_ended(&self, now: MonoTime) -> bool {
        let is_silent = |stream: &Stream| {
            let silence = stream.last_arrival().map(|last| now - last);
            stream.ended || silence.map_or(self.role.is_sink, |silence| silence > SILENCE)
        };
        self.streams.iter().all(|stream| stream.ended)
            || (now >= self.ends_at && self.streams.iter().all(is_silent))
    }

    /// The next keep-alive is half a session timeout away.
    pub(super) fn schedule_keep_alive(&mut self, now: MonoTime) {
        let session = self.dialogue.session.as_ref();
        let timeout = session.map_or(Duration::from_secs(60), |session| session.timeout);
        self.keep_alive_at = now + timeout / 2;
    }

    fn report(&mut self) {
        let ssrc = (self.random & 0xffff_ffff) as u32;
        for stream in &self.streams {
            let packet = write_receiver_report(ssrc, stream.reception(), false);
            if let Some(pair) = &stream.pair {
                // A report that is lost is followed by another.
                let _ = pair.rtcp.send(&packet);
            } else {
                self.dialogue.interleave(stream.channels.1, &packet);
            }
        }
    }
}
