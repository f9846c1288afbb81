//! Judges a stream from its packets and their arrival: what was lost, repeated, reordered or late.
//!
//! Packets are late against the *decode* time of their unit, since that is when a player needs
//! them. RTP timestamps are composition times; `decode` says how the one comes from the other.
//!
//! There is no clock in here; time is an argument.

mod bursts;
mod counts;
mod decode;
mod jitter;
mod numbers;

pub use bursts::{Burst, Bursts};
pub use counts::Counts;

use crate::clock::MonoTime;
use crate::packet::{Reception, RtpPacket, SenderReport};
use decode::DecodeTimes;
use jitter::Jitter;
use numbers::{Number, Numbers};
use packetizer::time::ClockRate;
use std::time::Duration;

/// A first sender report that is this far ahead of what came counts from before this viewer.
const JOINED_PACKETS: u64 = 1000;

/// How much later than a sender report packets may come that it counts.
const UNDER_WAY: Duration = Duration::from_millis(500);

/// Packets of so long from the answer to PLAY on have no part in delay variation: some servers
/// send a first second at once, and its packets would all be quicker than the rest.
const STARTING_NANOS: i64 = 1_000_000_000;

/// Where a range starts, as far as `RTP-Info` says (RFC 2326 §12.33).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RangeStart {
    /// Its first packet. Without it, whatever comes after the answer is of the range.
    pub sequence: Option<u16>,
    /// The timestamp of its start. Without it, the first packet counts as in time.
    pub rtptime: Option<u32>,
}

/// The judge of one stream.
#[derive(Clone, Debug)]
pub struct StreamJudge {
    rate: ClockRate,
    /// What came before the answer to the last PLAY belongs to the range before.
    previous: Option<Range>,
    range: Option<Range>,
    paused: Option<MonoTime>,
    ssrc: Option<u32>,
    numbers: Numbers,
    /// Packets expected in numberings that the sender has given up.
    expected_before: u64,
    counts: Counts,
    decode: DecodeTimes,
    jitter: Jitter,
    /// Packets that the sender counted before those it sends here.
    sender_offset: Option<u64>,
    sender_packets: u64,
    /// What the last report counted and when it came: not believed at once, since it may have
    /// overtaken packets.
    claim: Option<(MonoTime, u64)>,
    variation_nanos: Option<i64>,
}

/// A range being played: its start in real time, in media time and in packets.
#[derive(Clone, Copy, Debug)]
struct Range {
    /// When PLAY was answered.
    answered: MonoTime,
    /// Whether numbers began anew, as some servers have it: what came before cannot be placed.
    is_renumbered: bool,
    /// When the start of the range is due: at first taken from the answer, then from sender
    /// reports.
    started: MonoTime,
    is_reported: bool,
    rtptime: u32,
    is_anchored: bool,
    /// `None` if that is not known.
    first_number: Option<u64>,
    /// The last timestamp seen, without wraps, and its distance from the start of the range.
    timestamp: u32,
    ticks: i64,
    /// The same as decode time in nanoseconds; `None` before the first packet.
    due_nanos: Option<i64>,
    /// How long the quickest packet took, in nanoseconds from its decode time, if `answered` is
    /// the start.
    quickest_nanos: Option<i64>,
}

impl Range {
    /// Whether the packet is of this range and not of one before.
    fn holds(&self, number: u64, arrival: MonoTime) -> bool {
        self.first_number.map_or(arrival >= self.answered, |first| number >= first)
    }
}

impl StreamJudge {
    /// A judge of a stream whose timestamps count `rate` ticks a second.
    #[must_use]
    pub fn new(rate: ClockRate) -> Self {
        Self {
            rate,
            previous: None,
            range: None,
            paused: None,
            ssrc: None,
            numbers: Numbers::default(),
            expected_before: 0,
            counts: Counts::default(),
            decode: DecodeTimes::default(),
            jitter: Jitter::default(),
            sender_offset: None,
            sender_packets: 0,
            claim: None,
            variation_nanos: None,
        }
    }

    /// SETUP announced the synchronization source (RFC 2326 §12.39); otherwise the first that comes
    /// counts.
    pub const fn announce_source(&mut self, ssrc: u32) {
        self.ssrc = Some(ssrc);
    }

    /// Whether `ssrc` is, as far as known, the source of this stream.
    #[must_use]
    pub fn is_source(&self, ssrc: u32) -> bool {
        self.ssrc.is_none_or(|known| known == ssrc)
    }

    /// A PLAY was answered at `answered`; its range starts at `start`. What is missing before its
    /// first packet was lost at the end of the range before.
    pub fn begin_range(&mut self, answered: MonoTime, start: RangeStart) {
        let rtptime = start.rtptime.unwrap_or(0);
        let is_renumbered =
            start.sequence.is_some_and(|sequence| self.numbers.is_elsewhere(sequence));
        if is_renumbered {
            self.expected_before += self.numbers.expected();
            self.numbers = Numbers::default();
        }
        self.paused = None;
        self.previous = self.range.replace(Range {
            answered,
            is_renumbered,
            started: answered,
            is_reported: false,
            rtptime,
            is_anchored: start.rtptime.is_some(),
            first_number: start.sequence.map(|sequence| self.numbers.expect(sequence)),
            timestamp: rtptime,
            ticks: 0,
            due_nanos: None,
            quickest_nanos: None,
        });
    }

    /// A PAUSE was answered: nothing is to come from now on.
    pub const fn pause(&mut self, answered: MonoTime) {
        self.paused = Some(answered);
    }

    /// Judges a packet; returns how late it came, in nanoseconds, against the start of play and
    /// its unit's decode time. Negative is early. `None` if that cannot be said: it is no new
    /// packet, or not one of a range that is being played.
    pub fn receive(&mut self, arrival: MonoTime, packet: &RtpPacket<'_>) -> Option<i64> {
        if *self.ssrc.get_or_insert(packet.ssrc) != packet.ssrc {
            self.counts.foreign += 1;
            return None;
        }
        if self.range.is_some_and(|range| range.is_renumbered && arrival < range.answered) {
            self.expected_before += 1;
            self.counts.packets += 1;
            return None;
        }
        let highest = self.numbers.highest();
        let (number, in_order) = match self.numbers.receive(packet.sequence) {
            Number::Next(number) => {
                if highest.is_some_and(|highest| number > highest + 1) {
                    // The units in between are missing among those that decode times follow from.
                    self.decode.restart();
                }
                (number, true)
            }
            Number::Late(number) => {
                self.counts.reordered += 1;
                (number, false)
            }
            Number::Duplicate => {
                self.counts.duplicates += 1;
                return None;
            }
        };
        self.counts.packets += u64::from(self.numbers.counts(number));
        self.counts.bytes += packet.payload.len() as u64;
        let Some(range) = self.range.filter(|range| range.holds(number, arrival)) else {
            return self.receive_before_range(arrival, packet, in_order);
        };
        if arrival < range.answered {
            self.counts.premature += 1;
        } else if self.paused.is_some_and(|paused| arrival > paused) {
            self.counts.stale += 1;
            return None;
        }
        let (range, lateness) = self.judge(range, arrival, packet, in_order);
        self.range = Some(range);
        lateness
    }

    /// A packet with a number from before the current range, or before any.
    fn receive_before_range(
        &mut self,
        arrival: MonoTime,
        packet: &RtpPacket<'_>,
        in_order: bool,
    ) -> Option<i64> {
        let Some(range) = self.range else {
            self.counts.premature += 1;
            return None;
        };
        let was_paused = self.paused.is_some_and(|paused| arrival > paused);
        if arrival > range.answered || was_paused {
            self.counts.stale += 1;
            return None;
        }
        let (previous, lateness) = self.judge(self.previous?, arrival, packet, in_order);
        self.previous = Some(previous);
        lateness
    }

    /// How much longer than the quickest of its range the last packet judged took, in nanoseconds
    /// (packet delay variation, RFC 5481 §4.2, by decode times): what a player has to buffer.
    /// It needs neither `RTP-Info` nor sender reports, and so tells also of servers whose are
    /// wrong when they fall behind. `None` while the range starts.
    #[must_use]
    pub const fn variation_nanos(&self) -> Option<i64> {
        self.variation_nanos
    }

    fn judge(
        &mut self,
        mut range: Range,
        arrival: MonoTime,
        packet: &RtpPacket<'_>,
        in_order: bool,
    ) -> (Range, Option<i64>) {
        if !range.is_anchored {
            range.is_anchored = true;
            range.started = arrival;
            range.rtptime = packet.timestamp;
            range.timestamp = packet.timestamp;
        }
        if range.due_nanos.is_none() {
            self.decode.restart();
        }
        let step = i64::from(packet.timestamp.wrapping_sub(range.timestamp).cast_signed());
        let composition_nanos = self.rate.nanos_floor(range.ticks + step);
        let due_nanos = match range.due_nanos {
            Some(due_nanos) if step == 0 => due_nanos,
            // Out of its place it says nothing about the order of units.
            _ if !in_order => composition_nanos,
            _ => {
                range.ticks += step;
                range.timestamp = packet.timestamp;
                let due_nanos = self.decode.next(composition_nanos);
                *range.due_nanos.insert(due_nanos)
            }
        };
        let elapsed = arrival.nanos_since(range.started);
        self.jitter.update(self.rate.ticks_floor(elapsed - composition_nanos));
        let nanos = arrival.nanos_since(range.answered);
        self.variation_nanos = None;
        if nanos >= STARTING_NANOS {
            let delay_nanos = nanos - due_nanos;
            let quickest_nanos = range.quickest_nanos.unwrap_or(delay_nanos).min(delay_nanos);
            range.quickest_nanos = Some(quickest_nanos);
            self.variation_nanos = Some(delay_nanos - quickest_nanos);
        }
        // What is decoded before the range starts cannot come before it either.
        (range, Some(elapsed - due_nanos.max(0)))
    }

    /// Takes a sender report that arrived at `arrival`. It shows losses at the very end, and which
    /// timestamp the sender calls now: packets are due by that, since a range whose first pictures
    /// are decoded well before they are shown starts as much later. The earliest report counts,
    /// being the one that travelled least.
    pub fn report(&mut self, arrival: MonoTime, report: &SenderReport) {
        if !self.is_source(report.ssrc) {
            return;
        }
        let count = u64::from(report.packet_count);
        let offset = *self.sender_offset.get_or_insert_with(|| {
            Some(count.saturating_sub(self.expected_before + self.numbers.expected()))
                .filter(|ahead| *ahead > JOINED_PACKETS)
                .unwrap_or(0)
        });
        self.believe(arrival, Duration::ZERO);
        self.claim = Some((arrival, count.saturating_sub(offset)));
        if let Some(range) = &mut self.range
            && arrival >= range.answered
            && range.is_anchored
        {
            let ticks = report.rtp_timestamp.wrapping_sub(range.rtptime).cast_signed();
            let started = arrival.offset_by(-self.rate.nanos_floor(i64::from(ticks)));
            if !range.is_reported || started < range.started {
                range.started = started;
                range.is_reported = true;
            }
        }
    }

    /// Packets that the last sender report counted and that have not come by `now` are lost, unless
    /// they may still be under way.
    pub fn settle(&mut self, now: MonoTime) {
        self.believe(now, UNDER_WAY);
    }

    fn believe(&mut self, now: MonoTime, under_way: Duration) {
        if let Some((_, packets)) = self.claim.take_if(|(at, _)| now - *at >= under_way) {
            self.sender_packets = self.sender_packets.max(packets);
        }
    }

    /// What was seen until now, and until [`StreamJudge::settle`] of what sender reports say.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let unsent = self.sender_packets.saturating_sub(self.counts.packets);
        let expected = self.expected_before + self.numbers.expected();
        let lost = expected.saturating_sub(self.counts.packets).max(unsent);
        Counts { lost, lost_at_start: self.numbers.missing_at_start(), ..self.counts }
    }

    /// What a receiver report should tell the sender; `None` before the first packet.
    #[must_use]
    pub fn reception(&self) -> Option<Reception> {
        Some(Reception {
            source: self.ssrc?,
            lost: u32::try_from(self.counts().lost).unwrap_or(u32::MAX),
            highest_sequence: (self.numbers.highest()? & 0xffff_ffff) as u32,
            jitter: self.jitter.ticks(),
        })
    }

    /// How far the last packet of the range under way is behind at `now`, in nanoseconds: what is
    /// missing of a stream that has gone silent. If none has come yet, that is all since PLAY was
    /// answered; `None` before that.
    #[must_use]
    pub fn behind_nanos(&self, now: MonoTime) -> Option<i64> {
        let range = self.range?;
        Some(now.nanos_since(range.started) - range.due_nanos.unwrap_or(0))
    }

    /// Whether a packet of the range under way has come.
    #[must_use]
    pub fn has_begun(&self) -> bool {
        self.range.is_some_and(|range| range.due_nanos.is_some())
    }

    /// When the last packet of the range under way was due, in nanoseconds from its start.
    #[must_use]
    pub fn played_nanos(&self) -> i64 {
        self.range.and_then(|range| range.due_nanos).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests;
