//! One stream of a viewer: its sockets and its judge.

use super::tally::Tally;
use crate::clock::MonoTime;
use crate::packet::{Reception, RtpPacket, ServerReport};
use crate::presentation::Media;
use crate::receive::Train;
use crate::socket::UdpPair;
use crate::verify::{Bursts, Counts, RangeStart, StreamJudge};

/// After this long without a packet since PLAY a stream is silent.
const SILENCE_NANOS: i64 = 1_000_000_000;

/// A stream.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) control_url: String,
    /// `None` if it is interleaved.
    pub(super) pair: Option<UdpPair>,
    /// Those of its packets and reports, if it is.
    pub(super) channels: (u8, u8),
    payload_type: u8,
    judge: StreamJudge,
    /// Of its datagrams; those of interleaved frames are the connection's.
    bursts: Bursts,
    /// Trains that its receive buffer had no room for.
    overflows: u32,
    /// When the last PLAY was answered.
    answered: MonoTime,
    /// The server said BYE since.
    pub(super) ended: bool,
    last_arrival: Option<MonoTime>,
    /// Whether its packets are judged from the first on, for want of RTP-Info.
    is_unanchored: bool,
    lost_told: u64,
}

impl Stream {
    pub(super) fn new(media: &Media, pair: Option<UdpPair>, channels: (u8, u8)) -> Self {
        Self {
            control_url: media.control_url.clone(),
            pair,
            channels,
            payload_type: media.payload_type,
            judge: StreamJudge::new(media.rate),
            bursts: Bursts::default(),
            overflows: 0,
            answered: MonoTime(0),
            ended: false,
            last_arrival: None,
            is_unanchored: false,
            lost_told: 0,
        }
    }

    /// SETUP announced the synchronization source.
    pub(super) const fn announce_source(&mut self, ssrc: u32) {
        self.judge.announce_source(ssrc);
    }

    /// A PLAY was answered at `at`.
    pub(super) fn begin_range(&mut self, at: MonoTime, start: RangeStart) {
        self.judge.begin_range(at, start);
        self.answered = at;
        self.ended = false;
        self.last_arrival = None;
        self.is_unanchored |= start.rtptime.is_none() || start.sequence.is_none();
    }

    /// A PAUSE was answered at `at`.
    pub(super) const fn pause(&mut self, at: MonoTime) {
        self.judge.pause(at);
    }

    /// Takes a train of datagrams.
    pub(super) fn take_train(&mut self, train: Train<'_>, tally: &mut Tally) {
        self.overflows = self.overflows.max(train.overflows);
        self.take_media(train.at, train.packets(), tally);
        tally.burst_ended(self.bursts.receive(train.at, train.burst()));
    }

    /// Takes media packets that arrived together. Most are of one unit and so equally late.
    pub(super) fn take_media<'a>(
        &mut self,
        at: MonoTime,
        packets: impl Iterator<Item = &'a [u8]>,
        tally: &mut Tally,
    ) {
        let (mut lateness, mut equally_late) = ((0, None), 0);
        for bytes in packets {
            let packet = RtpPacket::parse(bytes);
            let Some(packet) = packet.filter(|packet| packet.payload_type == self.payload_type)
            else {
                tally.malformed += 1;
                continue;
            };
            let Some(nanos) = self.judge.receive(at, &packet) else { continue };
            let its_lateness = (nanos, self.judge.variation_nanos());
            if its_lateness != lateness && equally_late > 0 {
                tally.packets_late(lateness, equally_late);
                equally_late = 0;
            }
            lateness = its_lateness;
            equally_late += 1;
        }
        if equally_late > 0 {
            tally.packets_late(lateness, equally_late);
            self.last_arrival = Some(at).filter(|_| self.judge.has_begun());
        }
    }

    /// Takes a compound packet of the sender.
    pub(super) fn take_report(&mut self, at: MonoTime, bytes: &[u8], tally: &mut Tally) {
        let Some(report) = ServerReport::parse(bytes) else {
            tally.malformed += 1;
            return;
        };
        if let Some(sender) = report.sender_report {
            self.judge.report(at, &sender);
        }
        let says_bye = report.bye.is_some_and(|ssrc| self.judge.is_source(ssrc));
        // A BYE from before ended the range before.
        self.ended |= says_bye && at >= self.answered;
    }

    /// Whether a packet of this range has come; others are left over from the one before.
    pub(super) fn has_begun(&self) -> bool {
        self.judge.has_begun()
    }

    /// When the last packet of this range came.
    pub(super) const fn last_arrival(&self) -> Option<MonoTime> {
        self.last_arrival
    }

    /// How much of this range has come, in nanoseconds of decode time.
    pub(super) fn played_nanos(&self) -> i64 {
        self.judge.played_nanos()
    }

    pub(super) fn reception(&self) -> Option<Reception> {
        self.judge.reception()
    }

    /// How many packets have turned out to be lost since the last call; fewer if some came after
    /// all.
    pub(super) fn newly_lost(&mut self, now: MonoTime) -> i64 {
        self.judge.settle(now);
        let lost = self.judge.counts().lost;
        let newly = lost.cast_signed() - self.lost_told.cast_signed();
        self.lost_told = lost;
        newly
    }

    /// The viewer asked for the end at `now`, while this stream was to be playing.
    pub(super) fn stop(&self, now: MonoTime, tally: &mut Tally) {
        if let Some(nanos) = self.judge.behind_nanos(now).filter(|_| !self.ended) {
            tally.behind.record(nanos);
            let is_silent = self.last_arrival.is_none() && nanos > SILENCE_NANOS;
            tally.silent_streams += u64::from(is_silent);
        }
    }

    /// The viewer has left: sums up.
    pub(super) fn leave(&mut self, tally: &mut Tally) {
        let counts = self.judge.counts();
        tally.streams += 1;
        tally.unanchored_streams += u64::from(self.is_unanchored);
        tally.burst_ended(self.bursts.end());
        tally.overflows += u64::from(self.overflows);
        // What a socket had no room for cannot be told from what never reached it.
        if self.overflows > 0 {
            tally.lost_here += counts.lost;
            tally.counts += Counts { lost: 0, lost_at_start: 0, ..counts };
        } else {
            tally.counts += counts;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::write_receiver_report;
    use packetizer::time::ClockRate;

    fn packet(sequence: u8) -> [u8; 13] {
        [0x80, 96, 0, sequence, 0, 0, 0, 0, 0, 0, 0, 1, 0]
    }

    fn playing() -> Stream {
        let mut stream = Stream::new(
            &Media {
                kind: "video".into(),
                payload_type: 96,
                encoding: "H264".into(),
                rate: ClockRate::VIDEO,
                format_parameters: String::new(),
                control_url: "rtsp://h/1".into(),
            },
            None,
            (0, 1),
        );
        stream.begin_range(MonoTime(0), RangeStart { sequence: Some(0), rtptime: Some(0) });
        stream
    }

    fn take(stream: &mut Stream, sequences: &[u8], tally: &mut Tally) {
        let packets: Vec<_> = sequences.iter().map(|sequence| packet(*sequence)).collect();
        let packets = packets.iter().map(<[u8; 13]>::as_slice);
        stream.take_media(MonoTime(5_000_000), packets, tally);
    }

    #[test]
    fn what_was_lost_here_does_not_count_against_the_server() {
        for (overflows, lost, lost_here) in [(0, 2, 0), (7, 0, 2)] {
            let (mut stream, mut tally) = (playing(), Tally::default());
            take(&mut stream, &[0, 1, 3, 5], &mut tally);
            let now = MonoTime(6_000_000);
            assert_eq!((stream.newly_lost(now), stream.newly_lost(now)), (2, 0));
            stream.overflows = overflows;
            stream.leave(&mut tally);
            assert_eq!((tally.counts.lost, tally.lost_here), (lost, lost_here));
            assert_eq!((tally.counts.packets, tally.streams), (4, 1));
        }
    }

    #[test]
    fn strangers_neither_take_over_nor_end_a_stream() {
        let (mut stream, mut tally) = (playing(), Tally::default());
        stream.announce_source(1);
        let mut strange = packet(9);
        strange[11] = 2;
        stream.take_media(MonoTime(0), [&strange[..]].into_iter(), &mut tally);
        take(&mut stream, &[0, 1], &mut tally);
        stream.begin_range(MonoTime(10), RangeStart { sequence: Some(2), rtptime: Some(0) });
        for (at, ssrc, ended) in [(20, 2, false), (9, 1, false), (10, 1, true)] {
            let bye = write_receiver_report(ssrc, None, true);
            stream.take_report(MonoTime(at), &bye, &mut tally);
            assert_eq!(stream.ended, ended, "{at} {ssrc}");
        }
        stream.leave(&mut tally);
        assert_eq!((tally.counts.packets, tally.counts.foreign, tally.counts.lost), (2, 1, 0));
    }

    #[test]
    fn packets_of_a_train_are_recorded_together_and_each() {
        let (mut stream, mut tally) = (playing(), Tally::default());
        take(&mut stream, &[0, 1, 2], &mut tally);
        let late = tally.end_interval();
        assert_eq!((late.count(), late.at(0.5) / 10), (3, 500));
    }

    #[test]
    fn what_is_no_packet_of_the_stream_is_counted() {
        let (mut stream, mut tally) = (playing(), Tally::default());
        let mut other = packet(0);
        other[1] = 97;
        let packets = [&[0_u8; 5][..], &other];
        stream.take_media(MonoTime(0), packets.into_iter(), &mut tally);
        stream.take_report(MonoTime(0), &[0; 5], &mut tally);
        stream.leave(&mut tally);
        assert_eq!((tally.malformed, tally.counts.packets), (3, 0));
    }

    #[test]
    fn what_is_left_of_the_range_before_is_no_packet_of_this_one() {
        let (mut stream, mut tally) = (playing(), Tally::default());
        take(&mut stream, &[0], &mut tally);
        assert_eq!(stream.last_arrival(), Some(MonoTime(5_000_000)));
        let start = RangeStart { sequence: Some(2), rtptime: Some(0) };
        stream.begin_range(MonoTime(6_000_000), start);
        take(&mut stream, &[1], &mut tally);
        assert_eq!((stream.last_arrival(), stream.has_begun()), (None, false));
        take(&mut stream, &[2], &mut tally);
        assert!(stream.has_begun());
    }

    #[test]
    fn a_stream_that_should_play_and_does_not_is_silent() {
        let (mut stream, mut tally) = (playing(), Tally::default());
        stream.stop(MonoTime(900_000_000), &mut tally);
        assert_eq!((tally.behind.count(), tally.silent_streams), (1, 0));
        stream.stop(MonoTime(1_100_000_000), &mut tally);
        assert_eq!((tally.behind.max() / 1_000_000, tally.silent_streams), (1, 1));
        stream.ended = true;
        stream.stop(MonoTime(1_100_000_000), &mut tally);
        assert_eq!((tally.behind.count(), tally.silent_streams), (2, 1));
    }
}
