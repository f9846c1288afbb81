//! A viewer who checks what arrives: numbering, order, time.

use super::laps::{LAPS_MISSED_MAX, lap_behind};
use super::span::{NORMAL_SPEED, Span, nanos_to_ticks};
use super::surroundings::WALLCLOCK;
use super::title::{Units, units_of};
use crate::clock::MonoTime;
use crate::mailbox::{Cued, StreamInfo};
use crate::title::SharedTitle;
use packetizer::image::{Bursts, SPREAD_NANOS_MAX};
use packetizer::index::{Cue, TrackId};
use packetizer::rtcp::{self, Packet as Rtcp};
use packetizer::rtp::{Packet, Ssrc};
use packetizer::time::ClockRate;
use std::collections::VecDeque;
use std::time::Duration;

/// What a viewer knows of one of its streams.
#[derive(Debug)]
pub(super) struct Watched {
    pub(super) track: TrackId,
    pub(super) ssrc: Ssrc,
    pub(super) rate: ClockRate,
    pub(super) units: Units,
    next_sequence: Option<u16>,
    highest: Option<u32>,
    /// The range that its last packet was of, or its first will be of.
    pub(super) span: Span,
    /// Those behind it.
    pub(super) later: VecDeque<Span>,
    /// Those it has gone on from since the last reply.
    pub(super) passed: Vec<Span>,
    pub(super) last_unit: Option<u32>,
    /// Packets that arrived since the beginning.
    pub(super) packets: u64,
    pub(super) ended: bool,
}

/// Whether packets may arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Silent,
    Playing { started: MonoTime },
}

/// A viewer.
#[derive(Debug)]
pub(super) struct Viewer {
    pub(super) title: SharedTitle,
    pub(super) streams: Vec<Watched>,
    pub(super) phase: Phase,
    /// The range's start in nanoseconds.
    start_nanos: i64,
    /// How much later than the reply says its range started, once a report has told.
    delayed: Option<i64>,
    /// When it was last told of what it plays next, which may be due already.
    told: MonoTime,
    /// It has asked to be paused on the way.
    is_cut: bool,
    /// How well it knows the start of a range, in nanoseconds.
    precision: i64,
    /// How long before its time what it is sent may come, beside the spread of big pictures.
    pub(super) ahead: Duration,
    /// Times that a stream has gone on from the beginning of its title.
    pub(super) laps: u64,
    /// Largest lateness seen.
    pub(super) late_max: i64,
    /// The checks on time hold for it: it never stopped reading.
    pub(super) is_prompt: bool,
    /// Everything that it is to be sent arrives.
    pub(super) misses_nothing: bool,
}

impl Viewer {
    pub(super) fn new(title: &SharedTitle, precision: i64) -> Self {
        Self {
            title: SharedTitle::clone(title),
            streams: Vec::new(),
            phase: Phase::Silent,
            start_nanos: 0,
            delayed: None,
            told: MonoTime::default(),
            is_cut: false,
            precision,
            ahead: Duration::ZERO,
            laps: 0,
            late_max: 0,
            is_prompt: true,
            misses_nothing: false,
        }
    }

    /// A stream was set up, or set up again.
    pub(super) fn watch(&mut self, track: TrackId, ssrc: Ssrc) {
        let rate = self.title.index.tracks[usize::from(track.0)].codec.rtp_rate();
        let units = units_of(self.title.source, track);
        let stream = Watched {
            track,
            ssrc,
            rate,
            units,
            next_sequence: None,
            highest: None,
            span: Span::EMPTY,
            later: VecDeque::new(),
            passed: Vec::new(),
            last_unit: None,
            packets: 0,
            ended: false,
        };
        match self.streams.iter_mut().find(|stream| stream.track == track) {
            Some(old) => *old = stream,
            None => self.streams.push(stream),
        }
    }

    /// The source of a track's stream.
    pub(super) fn ssrc(&self, track: TrackId) -> Option<Ssrc> {
        self.streams.iter().find(|stream| stream.track == track).map(|stream| stream.ssrc)
    }

    /// The reply to PLAY: numbering goes on where it was, up to `lost_max` packets that were lost
    /// before; timestamps never go back.
    pub(super) fn cued(&mut self, cued: &Cued, cue: Option<&Cue>, lost_max: u64) {
        self.go_to(cued, cue, cue.is_none(), lost_max);
    }

    /// The same where it may be a session that goes on where it was paused.
    pub(super) fn go_to(
        &mut self,
        cued: &Cued,
        cue: Option<&Cue>,
        may_resume: bool,
        lost_max: u64,
    ) {
        self.phase = Phase::Silent;
        (self.is_cut, self.delayed) = (false, None);
        self.start_nanos = i64::try_from(cued.start.nanos()).expect("small");
        let laps: Vec<_> = (0..self.streams.len())
            .map(|stream| lap_behind(&self.streams, stream, &self.title))
            .collect();
        for (position, (stream, info)) in self.streams.iter_mut().zip(&cued.streams).enumerate() {
            assert_eq!(stream.track, info.track, "RTP-Info comes in SETUP order");
            if let Some(next) = stream.next_sequence {
                let gap = u64::from(first_sequence(info).wrapping_sub(next));
                assert!(gap <= lost_max, "sequence numbers go on: {gap} missing of {lost_max}");
            }
            stream.next_sequence = Some(first_sequence(info));
            if let (Some(highest), false) = (stream.highest, may_resume) {
                let gap = info.rtptime.wrapping_sub(highest).cast_signed();
                assert!(gap > 0, "timestamps go on: {gap} ticks from the highest to rtptime");
            }
            if let Some(cue) = cue {
                let mut span = Span::new(cued, cue, stream.track, 0);
                // What goes on where it was paused begins with any packet.
                if !may_resume {
                    span.begin_whole(&self.title.index, cue, stream.track);
                }
                stream.enter(span);
            } else {
                stream.return_to(cued.end);
                stream.resume_lap(laps[position], &self.title, self.start_nanos);
                if stream.span.is_new() {
                    // Set up in the pause, at the very end of the range, and in no lap yet.
                    stream.span.end = self.start_nanos;
                }
                (stream.span.start, stream.span.begins) = (self.start_nanos, 0);
                (stream.span.is_endless, stream.span.holds) = (cued.is_endless, None);
            }
            stream.span.starts_with(info.rtptime);
            stream.later.clear();
            stream.passed.clear();
            stream.ended = false;
        }
    }

    /// It is to be paused on the way, or at another point than before.
    pub(super) const fn cut(&mut self, now: MonoTime) {
        (self.is_cut, self.told) = (true, now);
    }

    /// The reply to a PLAY that waits for the ranges before it to end.
    pub(super) fn queued(&mut self, now: MonoTime, cued: &Cued, cue: &Cue) {
        self.told = now;
        for (stream, info) in self.streams.iter_mut().zip(&cued.streams) {
            let before = stream.later.back().unwrap_or(&stream.span);
            let mut span = Span::new(cued, cue, stream.track, before.over());
            span.begin_whole(&self.title.index, cue, stream.track);
            span.starts_with(info.rtptime);
            let gap = info.rtptime.wrapping_sub(before.rtptime).cast_signed();
            let viewed = nanos_to_ticks(stream.rate, before.viewed());
            assert!((i64::from(gap) - viewed).abs() <= 2, "it begins where the last ends: {gap}");
            stream.later.push_back(span);
            stream.ended = false;
        }
    }

    /// The reply to a PLAY that changed nothing: it says where the session stood when it was asked,
    /// at most `nanos` ago.
    pub(super) fn goes_on(&self, now: MonoTime, cued: &Cued, nanos: i64, lost_max: u64) {
        let Phase::Playing { started } = self.phase else {
            panic!("{:?} does not play", self.streams)
        };
        let start = i64::try_from(cued.start.nanos()).expect("small");
        let end = i64::try_from(cued.end.nanos()).expect("small");
        let position = (self.start_nanos + now.nanos_since(started)).min(end);
        let slack = self.precision;
        // Where one lap ends and the next begins lies between what it is told and what it sees.
        let has_lapped = cued.is_endless && position + SPREAD_NANOS_MAX >= end;
        if self.is_prompt && !has_lapped {
            assert!(
                (position - nanos - slack..=position + slack).contains(&start),
                "{start} of {position}"
            );
        }
        for (stream, info) in self.streams.iter().zip(&cued.streams) {
            assert_eq!(stream.track, info.track, "RTP-Info comes in SETUP order");
            let next = stream.next_sequence.expect("it plays");
            let ahead = i64::from(first_sequence(info).wrapping_sub(next).cast_signed());
            assert!(ahead <= lost_max.cast_signed(), "{ahead} packets ahead of {next}");
            if has_lapped {
                continue;
            }
            let since = i64::from(info.rtptime.wrapping_sub(stream.span.rtptime).cast_signed());
            let error = since - nanos_to_ticks(stream.rate, start - self.start_nanos);
            assert!(
                error.abs() <= 1 + nanos_to_ticks(stream.rate, slack),
                "rtptime is {error} ticks off"
            );
        }
    }

    /// An RTP packet arrived; `lost_max` packets may be missing in front of it.
    pub(super) fn rtp(&mut self, now: MonoTime, stream: usize, bytes: &[u8], lost_max: u64) {
        let packet = Packet::parse(bytes).expect("a valid RTP packet");
        let Phase::Playing { started } = self.phase else {
            panic!("a packet of {:?} before the start of its range", self.streams[stream].ssrc)
        };
        let position = stream;
        let stream = &mut self.streams[position];
        assert_eq!(packet.header.ssrc, stream.ssrc);
        assert!(!stream.ended, "a packet behind BYE");
        let expected = stream.next_sequence.expect("cued before it started");
        let gap = packet.header.sequence.wrapping_sub(expected);
        assert!(u64::from(gap) <= lost_max, "sequence {expected} missing, {gap} of {lost_max}");
        stream.next_sequence = Some(packet.header.sequence.wrapping_add(1));
        stream.packets += 1;
        let found = self.find(position, packet.header.timestamp);
        let stream = &mut self.streams[position];
        let (unit, due) = found;
        if self.misses_nothing {
            stream.check_whole(unit, packet.header.timestamp);
        }
        stream.last_unit = Some(unit);
        let timestamp = packet.header.timestamp;
        let is_higher = |highest: u32| timestamp.wrapping_sub(highest).cast_signed() > 0;
        if stream.highest.is_none_or(is_higher) {
            stream.highest = Some(timestamp);
        }
        let late = now.nanos_since(started) - due;
        let since_told = now.nanos_since(self.told);
        // A viewer who stops reading learns late when its range started.
        if self.is_prompt {
            let ahead = SPREAD_NANOS_MAX.max(Bursts::default().joined_nanos);
            let spread = stream.span.delivery(ahead).max(ahead);
            let preroll = if stream.span.is_lap { PREROLL_NANOS_MAX } else { 0 };
            let early = spread + preroll + i64::try_from(self.ahead.as_nanos()).expect("short");
            assert!(late >= -early - self.precision, "unit {unit} leaves {late} ns early");
            let late = late - self.delayed.unwrap_or(DELAY_NANOS_MAX).max(0);
            self.late_max = self.late_max.max(late.min(since_told));
        }
    }

    /// The unit of a timestamp, and when it is due: of the range that a stream is in, or of one
    /// that follows, which it enters.
    fn find(&mut self, position: usize, timestamp: u32) -> (u32, i64) {
        let mut laps = 0;
        loop {
            let stream = &mut self.streams[position];
            let wrong = match stream.find(&self.title, timestamp, self.precision) {
                Ok(found) => return found,
                Err(wrong) => wrong,
            };
            if let Some(span) = stream.later.pop_front() {
                stream.passed.push(stream.span);
                stream.enter(span);
                continue;
            }
            laps += 1;
            let lap = lap_behind(&self.streams, position, &self.title);
            let Some(lap) = lap.filter(|_| laps <= LAPS_MISSED_MAX) else {
                panic!("{wrong} in {:?}", self.streams[position].span)
            };
            self.streams[position].enter(lap);
            self.laps += 1;
        }
    }

    /// RTCP arrived; `slack_millis` is how well the viewer knows when its range started, if it
    /// does.
    pub(super) fn rtcp(
        &mut self,
        stream: usize,
        bytes: &[u8],
        lost: u64,
        slack_millis: Option<i64>,
    ) {
        // What one stream's reports tell is known no better than to a tick of its clock.
        let coarsest = self.streams.iter().map(|stream| stream.rate.nanos_floor(1)).max();
        let stream = &mut self.streams[stream];
        for packet in rtcp::packets(bytes) {
            match packet.expect("valid RTCP") {
                Rtcp::SenderReport(report, _) => {
                    assert_eq!(report.ssrc, stream.ssrc);
                    let count = u64::from(report.packet_count);
                    assert!(
                        (stream.packets..=stream.packets + lost).contains(&count),
                        "the sender counts {count}, {} arrived, {lost} lost",
                        stream.packets
                    );
                    let is_paced = stream.later.iter().any(|span| span.speed != NORMAL_SPEED)
                        || stream.span.speed != NORMAL_SPEED
                        || stream.span.origin_begins > 0;
                    if let (Phase::Playing { started }, true, Some(slack_millis)) =
                        (self.phase, self.is_prompt && !is_paced, slack_millis)
                    {
                        // The report speaks of when it was made, not of when it is read.
                        let since = report.ntp.0.wrapping_sub(WALLCLOCK.ntp(started).0);
                        let nanos = (i128::from(since.cast_signed()) * 1_000_000_000) >> 32;
                        let nanos = i64::try_from(nanos).expect("a short range");
                        let said = report.rtp_timestamp.wrapping_sub(stream.span.origin_rtptime);
                        let said = said.cast_signed();
                        let delayed = nanos - stream.rate.nanos_floor(said.into());
                        let slack = slack_millis * 1_000_000 + 2 * coarsest.unwrap_or(0);
                        let known = self.delayed.map_or(0..=DELAY_NANOS_MAX, |known| known..=known);
                        assert!(
                            (known.start() - slack..=known.end() + slack).contains(&delayed),
                            "the report has it start {delayed} ns after the reply, not {known:?}"
                        );
                        self.delayed.get_or_insert(delayed);
                    }
                }
                Rtcp::Bye(_) => stream.ended = true,
                Rtcp::SourceDescription(_) | Rtcp::ReceiverReport(..) | Rtcp::Other(_) => {}
            }
        }
    }

    /// Whether every unit of the range arrived to its end.
    pub(super) fn saw_everything(&self) -> bool {
        self.is_cut || self.streams.iter().all(Watched::saw_everything)
    }
}

/// A range starts later than the reply says: a little by others who come as well, and more if its
/// first picture is decoded long before it is shown, or spread.
const DELAY_NANOS_MAX: i64 = 216_000_000;

/// A lap leaves no longer before its time.
const PREROLL_NANOS_MAX: i64 = 200_000_000;

fn first_sequence(info: &StreamInfo) -> u16 {
    info.sequence.expect("its range waits for none")
}
