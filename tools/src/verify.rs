//! Judges a stream from its packets and their arrival: what was lost, repeated, reordered or late.
//!
//! There is no clock in here; time is an argument.

use crate::clock::MonoTime;
use crate::packet::{Reception, RtpPacket, SenderReport};
use hdrhistogram::Histogram;
use packetizer::time::ClockRate;

/// Packets closer together than this are one burst.
const BURST_GAP_NANOS: i64 = 1_000_000;
/// How far behind the highest sequence number a packet is still told apart from a duplicate.
const WINDOW_PACKETS: u64 = 128;

/// What was seen of a stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Packets received, each once.
    pub packets: u64,
    /// Their payload bytes.
    pub bytes: u64,
    /// Sequence numbers that never came between the first and the last of the ranges.
    pub lost: u64,
    /// Packets that came again.
    pub duplicates: u64,
    /// Packets that came after a later one.
    pub reordered: u64,
    /// Packets that came before any PLAY was answered.
    pub premature: u64,
    /// Packets from before the current range that came after its PLAY was answered.
    pub stale: u64,
    /// Packets of another synchronization source.
    pub foreign: u64,
    /// Most packets that came each less than 1 ms after the one before.
    pub burst_max: u64,
}

/// The judge of one stream.
#[derive(Clone, Debug)]
pub struct StreamJudge {
    rate: ClockRate,
    range: Option<Range>,
    ssrc: Option<u32>,
    numbers: Numbers,
    counts: Counts,
    burst: u64,
    last_arrival: Option<MonoTime>,
    jitter: Jitter,
    sender_packets: u32,
}

/// The range being played: its start in real time, in media time and in packets.
#[derive(Clone, Copy, Debug)]
struct Range {
    /// When the start of the range is due: at first taken from the PLAY reply, then from sender
    /// reports.
    started: MonoTime,
    is_reported: bool,
    rtptime: u32,
    first_sequence: u64,
    /// The last timestamp seen, without wraps, and its distance from the start of the range.
    timestamp: u32,
    ticks: i64,
}

impl StreamJudge {
    /// A judge of a stream whose timestamps count `rate` ticks a second.
    #[must_use]
    pub fn new(rate: ClockRate) -> Self {
        Self {
            rate,
            range: None,
            ssrc: None,
            numbers: Numbers::default(),
            counts: Counts::default(),
            burst: 0,
            last_arrival: None,
            jitter: Jitter::default(),
            sender_packets: 0,
        }
    }

    /// A PLAY was answered at `started`: its range begins with the packet `sequence` and the
    /// timestamp `rtptime`. What is missing before `sequence` was lost at the end of the range
    /// before.
    pub fn begin_range(&mut self, started: MonoTime, sequence: u16, rtptime: u32) {
        let first_sequence = self.numbers.expect(sequence);
        self.range = Some(Range {
            started,
            is_reported: false,
            rtptime,
            first_sequence,
            timestamp: rtptime,
            ticks: 0,
        });
    }

    /// Judges a packet; returns how late it came, in nanoseconds, against its timestamp and the
    /// start of play. Negative is early, as packets that are sent by decode time may be. `None` if
    /// the packet is not a new one of the current range.
    pub fn receive(&mut self, arrival: MonoTime, packet: &RtpPacket<'_>) -> Option<i64> {
        let Some(mut range) = self.range else {
            self.counts.premature += 1;
            return None;
        };
        if *self.ssrc.get_or_insert(packet.ssrc) != packet.ssrc {
            self.counts.foreign += 1;
            return None;
        }
        let number = match self.numbers.receive(packet.sequence) {
            Number::Next(number) => number,
            Number::Late(number) => {
                self.counts.reordered += 1;
                number
            }
            Number::Duplicate => {
                self.counts.duplicates += 1;
                return None;
            }
        };
        self.counts.packets += 1;
        self.counts.bytes += packet.payload.len() as u64;
        if number < range.first_sequence {
            self.counts.stale += 1;
            return None;
        }
        self.count_burst(arrival);
        let step = packet.timestamp.wrapping_sub(range.timestamp).cast_signed();
        range.ticks += i64::from(step);
        range.timestamp = packet.timestamp;
        self.range = Some(range);
        let media_nanos = self.rate.nanos_floor(range.ticks);
        let lateness = arrival.nanos_since(range.started) - media_nanos;
        self.jitter.update(self.rate.ticks_floor(lateness));
        Some(lateness)
    }

    /// Takes a sender report that arrived at `arrival`. It shows losses at the very end, and which
    /// timestamp the sender calls now: packets are due by that, since a range whose first pictures
    /// are decoded well before they are shown starts as much later. The earliest report counts,
    /// being the one that travelled least.
    pub fn report(&mut self, arrival: MonoTime, report: &SenderReport) {
        if self.ssrc.is_some_and(|ssrc| ssrc != report.ssrc) {
            return;
        }
        self.sender_packets = self.sender_packets.max(report.packet_count);
        if let Some(range) = &mut self.range {
            let ticks = report.rtp_timestamp.wrapping_sub(range.rtptime).cast_signed();
            let started = arrival.offset_by(-self.rate.nanos_floor(i64::from(ticks)));
            if !range.is_reported || started < range.started {
                range.started = started;
                range.is_reported = true;
            }
        }
    }

    /// What was seen until now.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let unsent = u64::from(self.sender_packets).saturating_sub(self.counts.packets);
        let lost = self.numbers.expected().saturating_sub(self.counts.packets).max(unsent);
        Counts { lost, ..self.counts }
    }

    /// What a receiver report should tell the sender; `None` before the first packet.
    #[must_use]
    pub fn reception(&self) -> Option<Reception> {
        Some(Reception {
            source: self.ssrc?,
            lost: u32::try_from(self.counts().lost).unwrap_or(u32::MAX),
            highest_sequence: (self.numbers.highest? & 0xffff_ffff) as u32,
            jitter: self.jitter.ticks(),
        })
    }

    fn count_burst(&mut self, arrival: MonoTime) {
        let near =
            self.last_arrival.is_some_and(|last| arrival.nanos_since(last) < BURST_GAP_NANOS);
        self.burst = if near { self.burst + 1 } else { 1 };
        self.counts.burst_max = self.counts.burst_max.max(self.burst);
        self.last_arrival = Some(arrival);
    }
}

/// Sequence numbers without wraps, and which of the latest have come.
#[derive(Clone, Debug, Default)]
struct Numbers {
    first: Option<u64>,
    highest: Option<u64>,
    /// Bit `n` set: `highest - n` has come.
    seen: u128,
}

enum Number {
    Next(u64),
    Late(u64),
    Duplicate,
}

impl Numbers {
    /// The next packets are to begin with `sequence`.
    fn expect(&mut self, sequence: u16) -> u64 {
        let number = self.extend(sequence);
        self.first.get_or_insert(number);
        self.raise(number.saturating_sub(1));
        number
    }

    fn receive(&mut self, sequence: u16) -> Number {
        let number = self.extend(sequence);
        let highest = self.highest.unwrap_or(number.saturating_sub(1));
        if number > highest {
            self.raise(number);
            self.seen |= 1;
            return Number::Next(number);
        }
        let behind = highest - number;
        if behind >= WINDOW_PACKETS {
            return Number::Late(number);
        }
        let bit = 1 << behind;
        if self.seen & bit != 0 {
            return Number::Duplicate;
        }
        self.seen |= bit;
        Number::Late(number)
    }

    fn raise(&mut self, number: u64) {
        let highest = self.highest.unwrap_or(number);
        let steps = number.saturating_sub(highest);
        self.seen =
            u32::try_from(steps).map_or(0, |steps| self.seen.checked_shl(steps).unwrap_or(0));
        self.highest = Some(highest.max(number));
    }

    fn extend(&self, sequence: u16) -> u64 {
        // The first number starts in the second cycle, so that one before it has a place too.
        let Some(highest) = self.highest else { return 0x1_0000 + u64::from(sequence) };
        let step = sequence.wrapping_sub((highest & 0xffff) as u16).cast_signed();
        highest.saturating_add_signed(i64::from(step))
    }

    fn expected(&self) -> u64 {
        match (self.first, self.highest) {
            (Some(first), Some(highest)) => (highest + 1).saturating_sub(first),
            _ => 0,
        }
    }
}

/// The interarrival jitter of RFC 3550 §6.4.1: a running mean of how much the transit time
/// changes, here taken from the lateness, which is the transit time but for a constant.
#[derive(Clone, Copy, Debug, Default)]
struct Jitter {
    transit: Option<i64>,
    /// Sixteenths of a tick.
    scaled: i64,
}

impl Jitter {
    fn update(&mut self, transit: i64) {
        if let Some(last) = self.transit.replace(transit) {
            self.scaled += (transit - last).abs() - ((self.scaled + 8) >> 4);
        }
    }

    fn ticks(self) -> u32 {
        u32::try_from(self.scaled >> 4).unwrap_or(u32::MAX)
    }
}

/// Durations in microseconds: how late packets came, how long replies took.
#[derive(Clone, Debug)]
pub struct Micros(Histogram<u64>);

impl Micros {
    /// Empty, for durations up to ten minutes.
    ///
    /// # Panics
    /// Never: the bounds are constants.
    #[must_use]
    pub fn new() -> Self {
        Self(Histogram::new_with_bounds(1, 600_000_000, 3).expect("bounds are in order"))
    }

    /// Records a duration; a negative one (a packet that came early) counts as 0.
    pub fn record(&mut self, nanos: i64) {
        self.0.saturating_record(u64::try_from(nanos / 1000).unwrap_or(0));
    }

    /// Adds what another histogram recorded.
    pub fn add(&mut self, other: &Self) {
        // Bounds are equal, so nothing can fail to fit.
        let _ = self.0.add(&other.0);
    }

    /// The microseconds that `quantile` (0..=1) of the durations do not exceed.
    #[must_use]
    pub fn at(&self, quantile: f64) -> u64 {
        self.0.value_at_quantile(quantile)
    }

    /// The longest.
    #[must_use]
    pub fn max(&self) -> u64 {
        self.0.max()
    }

    /// How many were recorded.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.len()
    }
}

impl Default for Micros {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
#[allow(clippy::cast_possible_truncation, reason = "sequence numbers are cut to size")]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    fn packet(sequence: u16, timestamp: u32) -> RtpPacket<'static> {
        RtpPacket {
            marker: false,
            payload_type: 96,
            sequence,
            timestamp,
            ssrc: 1,
            payload: &[0; 10],
        }
    }

    fn playing(sequence: u16, rtptime: u32) -> StreamJudge {
        let mut judge = StreamJudge::new(ClockRate::VIDEO);
        judge.begin_range(MonoTime(0), sequence, rtptime);
        judge
    }

    fn feed(judge: &mut StreamJudge, sequences: &[u16]) -> Counts {
        for sequence in sequences {
            judge.receive(MonoTime(0), &packet(*sequence, 0));
        }
        judge.counts()
    }

    #[test]
    fn gaps_duplicates_and_reordering_are_told_apart() {
        let cases: [(&[u16], u64, u64, u64); 8] = [
            (&[], 0, 0, 0),
            (&[65_534, 65_535, 0, 1], 0, 0, 0),
            (&[65_535, 1], 2, 0, 0),                      // 65534 and 0
            (&[65_534, 0, 65_535, 1], 0, 0, 1),           // swapped over the wrap
            (&[65_534, 65_535, 65_535, 65_534], 0, 2, 0), // again
            (&[65_535, 65_534, 65_534, 0], 0, 1, 1),      // swapped and again
            (&[65_534, 300, 65_535], 300, 0, 1),          // from beyond the window
            (&[65_534, 65_535, 0, 1, 2, 3, 5, 6, 4], 0, 0, 1),
        ];
        for (sequences, lost, duplicates, reordered) in cases {
            let counts = feed(&mut playing(65_534, 0), sequences);
            let seen = (counts.lost, counts.duplicates, counts.reordered);
            assert_eq!(seen, (lost, duplicates, reordered), "{sequences:?}");
        }
    }

    #[test]
    fn millions_of_packets_wrap_without_a_gap() {
        let mut judge = playing(40_000, 0);
        for number in 0..300_000_u32 {
            let sequence = (40_000 + number) as u16;
            let timestamp = number.wrapping_mul(90_000); // a second each: wraps every 13 hours
            let late = judge
                .receive(MonoTime(u64::from(number) * 1000 * MS), &packet(sequence, timestamp));
            assert_eq!(late, Some(0), "{number}");
        }
        assert_eq!((judge.counts().packets, judge.counts().lost), (300_000, 0));
        assert_eq!(judge.reception().unwrap().highest_sequence & 0xffff, (339_999 & 0xffff));
    }

    #[test]
    fn lateness_counts_from_the_start_of_play() {
        let mut judge = playing(5, u32::MAX - 8999); // wraps after 100 ms
        let start = 0;
        assert_eq!(
            judge.receive(MonoTime(start + 3 * MS), &packet(5, u32::MAX - 8999)),
            Some(3_000_000)
        );
        assert_eq!(judge.receive(MonoTime(start + 150 * MS), &packet(6, 9000)), Some(-50_000_000));
        assert_eq!(judge.receive(MonoTime(start + 150 * MS), &packet(7, 0)), Some(50_000_000));
        assert_eq!(judge.receive(MonoTime(start + 150 * MS), &packet(7, 0)), None);
    }

    #[test]
    fn a_seek_shows_premature_stale_and_lost_packets() {
        let mut judge = StreamJudge::new(ClockRate::VIDEO);
        assert_eq!(judge.receive(MonoTime(0), &packet(9, 0)), None);
        judge.begin_range(MonoTime(0), 10, 0);
        feed(&mut judge, &[10, 11]);
        judge.begin_range(MonoTime(0), 14, 90_000);
        assert_eq!(judge.receive(MonoTime(0), &packet(12, 0)), None);
        assert_eq!(judge.receive(MonoTime(MS), &packet(14, 90_000)), Some(1_000_000));
        let counts = judge.counts();
        assert_eq!((counts.premature, counts.stale, counts.lost), (1, 1, 1)); // 13 never came
        judge.receive(MonoTime(0), &RtpPacket { ssrc: 2, ..packet(15, 0) });
        assert_eq!(judge.counts().foreign, 1);
    }

    #[test]
    fn the_sender_report_shows_what_was_lost_at_the_end() {
        let mut judge = playing(0, 0);
        feed(&mut judge, &[0, 1, 2]);
        let mut report =
            SenderReport { ssrc: 1, ntp: 0, rtp_timestamp: 0, packet_count: 5, octet_count: 50 };
        judge.report(MonoTime(0), &report);
        assert_eq!(judge.counts().lost, 2);
        report.ssrc = 9;
        report.packet_count = 50;
        judge.report(MonoTime(0), &report);
        assert_eq!(judge.counts().lost, 2);
    }

    #[test]
    fn the_sender_report_says_when_packets_are_due() {
        let mut judge = playing(0, 9000);
        assert_eq!(judge.receive(MonoTime(30 * MS), &packet(0, 9000)), Some(30_000_000));
        // At 40 ms the sender is at the timestamp of -40 ms: the range starts at 80 ms.
        let report = |rtp_timestamp| SenderReport {
            ssrc: 1,
            ntp: 0,
            rtp_timestamp,
            packet_count: 1,
            octet_count: 10,
        };
        judge.report(MonoTime(40 * MS), &report(5400));
        assert_eq!(judge.receive(MonoTime(90 * MS), &packet(1, 9000)), Some(10_000_000));
        // One that took 5 ms changes nothing, one that was faster than the first does.
        judge.report(MonoTime(85 * MS), &report(9000));
        assert_eq!(judge.receive(MonoTime(90 * MS), &packet(2, 9000)), Some(10_000_000));
        judge.report(MonoTime(98 * MS), &report(10_800));
        assert_eq!(judge.receive(MonoTime(90 * MS), &packet(3, 9000)), Some(12_000_000));
    }

    #[test]
    fn bursts_are_runs_without_a_pause() {
        let mut judge = playing(0, 0);
        for (sequence, micros) in [(0, 0), (1, 500), (2, 1400), (3, 5000), (4, 5100)] {
            judge.receive(MonoTime(micros * 1000), &packet(sequence, 0));
        }
        assert_eq!(judge.counts().burst_max, 3);
    }

    #[test]
    fn durations_keep_their_tail() {
        let mut lateness = Micros::new();
        for millis in -10..100 {
            lateness.record(millis * 1_000_000);
        }
        assert_eq!(lateness.count(), 110);
        assert!(lateness.max().abs_diff(99_000) < 100);
        assert!(lateness.at(0.5).abs_diff(44_000) < 1100);
    }
}
