//! The ranges a viewer plays: how they begin, are paused, and what is to be said when they end.

use super::upkeep::REPORT_INTERVAL;
use super::{Step, Viewer};
use crate::clock::MonoTime;
use crate::headers::parse_range;
use crate::lenient;
use crate::load::Start;
use crate::load::stream::Stream;
use crate::load::tally::Tally;
use crate::message::Reply;
use std::time::Duration;

/// Shortest pause.
const PAUSE_MIN: Duration = Duration::from_secs(1);
/// How much longer pauses may be.
const PAUSE_SPREAD_MILLIS: u64 = 4000;

/// How long before the end of a title its last unit may be due.
const END_TOLERANCE_NANOS: i64 = 1_000_000_000;

impl Viewer {
    /// Plays on at a random place.
    pub(in crate::load) fn seek(
        &mut self,
        (meant, now): (MonoTime, MonoTime),
        random: u64,
        tally: &mut Tally,
    ) {
        self.conclude(now, tally);
        let millis = Start::Random.millis(self.duration, random);
        self.play((meant, now), Some(millis));
    }

    /// Stops for some seconds.
    pub(in crate::load) fn pause(&mut self, (meant, now): (MonoTime, MonoTime), tally: &mut Tally) {
        self.conclude(now, tally);
        self.step = Step::AwaitingPause;
        self.dialogue.ask((meant, now), "PAUSE", &[]);
    }

    /// Judges the range under way now that the viewer wants no more of it: how far its streams are
    /// behind or, if the title should have ended or the server said so, whether all of it came.
    pub(in crate::load) fn conclude(&self, now: MonoTime, tally: &mut Tally) {
        if self.step != Step::Playing || self.role.is_sink || self.role.is_stalled {
            return;
        }
        if now >= self.ends_at || self.streams.iter().all(|stream| stream.ended) {
            // Streams of a title differ in length: the longest is as long as the title.
            let played = self.streams.iter().map(Stream::played_nanos).max().unwrap_or(0);
            let should = self.ends_at.nanos_since(self.granted_at);
            let has_end = self.duration.is_some();
            tally.ended_early += u64::from(has_end && should - played > END_TOLERANCE_NANOS);
            return;
        }
        for stream in &self.streams {
            stream.stop(now, tally);
        }
    }

    /// A packet of a stream came: perhaps the first of the range.
    pub(super) fn saw_packet(&mut self, position: usize, at: MonoTime, tally: &mut Tally) {
        if self.step == Step::Playing
            && let Some(meant) = self.awaits_packet
            && self.streams[position].has_begun()
        {
            self.awaits_packet = None;
            tally.first_packet.record(at.nanos_since(meant));
        }
    }

    /// Plays from a normal play time in milliseconds, or where it paused.
    pub(super) fn play(&mut self, (meant, now): (MonoTime, MonoTime), millis: Option<u64>) {
        self.step = Step::AwaitingPlay;
        self.awaits_packet = Some(meant).filter(|_| !self.role.is_sink);
        if let Some(millis) = millis {
            self.start_millis = millis;
        }
        let range = millis.map(|millis| format!("npt={}.{:03}-", millis / 1000, millis % 1000));
        let header = range.as_deref().map(|range| ("Range", range));
        self.dialogue.ask((meant, now), "PLAY", header.as_slice());
    }

    /// PLAY was granted by a reply that arrived at `at`.
    pub(super) fn play_granted(&mut self, at: MonoTime, reply: &Reply) {
        let rtp_info = reply.header("RTP-Info");
        for stream in &mut self.streams {
            stream.begin_range(at, lenient::range_start(rtp_info, &stream.control_url));
        }
        if self.step == Step::AwaitingPlay {
            self.step = Step::Playing;
        }
        if !self.began {
            self.began = true;
            self.report_at = at + REPORT_INTERVAL;
        }
        self.schedule_keep_alive(at);
        self.granted_at = at;
        // A server may start at a key picture nearby.
        if let Some(range) = reply.header("Range").and_then(parse_range) {
            self.start_millis = range.start.nanos() / 1_000_000;
        }
        self.ends_at = self.duration.map_or(MonoTime(u64::MAX), |duration| {
            let start = Duration::from_millis(self.start_millis);
            at + Duration::from_nanos(duration.nanos()).saturating_sub(start)
        });
    }

    /// PAUSE was granted by a reply that arrived at `at`.
    pub(super) fn pause_granted(&mut self, at: MonoTime) {
        for stream in &mut self.streams {
            stream.pause(at);
        }
        let played = at - self.granted_at;
        self.start_millis += u64::try_from(played.as_millis()).unwrap_or(0);
        if self.step == Step::AwaitingPause {
            let spread = Duration::from_millis(self.random % PAUSE_SPREAD_MILLIS);
            self.step = Step::Paused(at + PAUSE_MIN + spread);
        }
    }
}
