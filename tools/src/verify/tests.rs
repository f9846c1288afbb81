//! Synthetic streams with known faults: each must be reported exactly.
#![allow(clippy::cast_possible_truncation, reason = "sequence numbers are cut to size")]

use super::*;

const MS: u64 = 1_000_000;

fn packet(sequence: u16, timestamp: u32) -> RtpPacket<'static> {
    RtpPacket { marker: false, payload_type: 96, sequence, timestamp, ssrc: 1, payload: &[0; 10] }
}

const fn start(sequence: u16, rtptime: u32) -> RangeStart {
    RangeStart { sequence: Some(sequence), rtptime: Some(rtptime) }
}

fn playing(sequence: u16, rtptime: u32) -> StreamJudge {
    let mut judge = StreamJudge::new(ClockRate::VIDEO);
    judge.begin_range(MonoTime(0), start(sequence, rtptime));
    judge
}

fn feed(judge: &mut StreamJudge, sequences: &[u16]) -> Counts {
    for sequence in sequences {
        judge.receive(MonoTime(0), &packet(*sequence, 0));
    }
    judge.counts()
}

#[test]
fn variation_counts_from_the_quickest_packet_whatever_rtp_info_and_reports_say() {
    let mut judge = StreamJudge::new(ClockRate::VIDEO);
    // A server that says it is two seconds further than it is.
    let start = RangeStart { sequence: Some(0), rtptime: Some(180_000) };
    judge.begin_range(MonoTime(0), start);
    for (number, millis, expected_millis) in [
        (0, 320, None), // of the start
        (1, 320, None),
        (26, 1360, Some(0)),
        (27, 1390, Some(0)),
        (28, 1510, Some(80)),
        (29, 1470, Some(0)),
        (30, 1540, Some(30)),
    ] {
        judge.receive(MonoTime(millis * MS), &packet(number, u32::from(number) * 3600));
        let expected = expected_millis.map(|millis| millis * 1_000_000);
        assert_eq!(judge.variation_nanos(), expected, "{number}");
    }
    let report =
        SenderReport { ssrc: 1, ntp: 0, rtp_timestamp: 900_000, packet_count: 6, octet_count: 60 };
    judge.report(MonoTime(1545 * MS), &report);
    judge.receive(MonoTime(1550 * MS), &packet(31, 31 * 3600));
    assert_eq!(judge.variation_nanos(), Some(0));
    // What follows a seek has a quickest packet of its own.
    judge.begin_range(MonoTime(1600 * MS), RangeStart { sequence: Some(32), rtptime: Some(0) });
    judge.receive(MonoTime(3600 * MS), &packet(32, 0));
    assert_eq!(judge.variation_nanos(), Some(0));
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
        (&[65_534, 300, 65_535], 300, 0, 1),          // far behind
        (&[65_534, 65_535, 0, 1, 2, 3, 5, 6, 4], 0, 0, 1),
    ];
    for (sequences, lost, duplicates, reordered) in cases {
        let counts = feed(&mut playing(65_534, 0), sequences);
        let seen = (counts.lost, counts.duplicates, counts.reordered);
        assert_eq!(seen, (lost, duplicates, reordered), "{sequences:?}");
    }
}

#[test]
fn what_comes_again_much_later_makes_up_for_no_loss() {
    let mut judge = playing(0, 0);
    let sequences: Vec<u16> = (0..6000).filter(|sequence| sequence % 1000 != 7).collect();
    feed(&mut judge, &sequences);
    let counts = feed(&mut judge, &[5850, 3000, 1500, 1, 1007]); // the last two out of the window
    assert_eq!((counts.lost, counts.duplicates, counts.reordered), (6, 5, 0));
    let counts = feed(&mut judge, &[2007, 2007]);
    assert_eq!((counts.lost, counts.duplicates, counts.reordered), (5, 6, 1));
    // All that is skipped is forgotten, however much it is.
    let counts = feed(&mut judge, &[6100, 6099, 16_000, 15_999, 11_905, 11_904]);
    assert_eq!((counts.duplicates, counts.reordered), (7, 4));
}

#[test]
fn millions_of_packets_wrap_without_a_gap() {
    let mut judge = playing(40_000, 0);
    for number in 0..300_000_u32 {
        let sequence = (40_000 + number) as u16;
        let timestamp = number.wrapping_mul(90_000); // a second each: wraps every 13 hours
        let late =
            judge.receive(MonoTime(u64::from(number) * 1000 * MS), &packet(sequence, timestamp));
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
    judge.begin_range(MonoTime(0), start(10, 0));
    feed(&mut judge, &[10, 11]);
    judge.begin_range(MonoTime(5 * MS), start(15, 90_000));
    // Read after the answer, but here before it: of the range before, and in time.
    assert_eq!(judge.receive(MonoTime(4 * MS), &packet(12, 360)), Some(0));
    assert_eq!(judge.receive(MonoTime(6 * MS), &packet(13, 450)), None);
    assert_eq!(judge.receive(MonoTime(4 * MS), &packet(15, 90_000)), Some(-1_000_000));
    assert_eq!(judge.receive(MonoTime(6 * MS), &packet(16, 90_000)), Some(1_000_000));
    let counts = judge.counts();
    assert_eq!((counts.premature, counts.stale, counts.lost), (2, 1, 1)); // 14 never came
    judge.receive(MonoTime(0), &RtpPacket { ssrc: 2, ..packet(17, 0) });
    assert_eq!(judge.counts().foreign, 1);
}

#[test]
fn packets_between_two_quick_seeks_do_not_mix_the_timelines() {
    let mut judge = playing(0, 0);
    for number in 0..40_u16 {
        let at = MonoTime(u64::from(number) * 40 * MS);
        assert_eq!(judge.receive(at, &packet(number, u32::from(number) * 3600)), Some(0));
    }
    // Nothing of the second range has been read when the third is announced.
    judge.begin_range(MonoTime(1600 * MS), start(40, 200_000));
    judge.begin_range(MonoTime(1650 * MS), start(42, 300_000));
    assert_eq!(judge.receive(MonoTime(1600 * MS), &packet(40, 200_000)), Some(0));
    assert_eq!(judge.receive(MonoTime(1640 * MS), &packet(41, 203_600)), Some(0));
    for number in 0..40_u16 {
        let at = MonoTime(1650 * MS + u64::from(number) * 40 * MS);
        let packet = packet(42 + number, 300_000 + u32::from(number) * 3600);
        assert_eq!(judge.receive(at, &packet), Some(0), "{number}");
    }
}

#[test]
fn a_server_that_numbers_anew_at_a_seek_has_lost_nothing() {
    let mut judge = playing(100, 0);
    feed(&mut judge, &[100, 101, 103]);
    judge.begin_range(MonoTime(MS), start(30_000, 0));
    // Here before the answer, read after it.
    feed(&mut judge, &[104, 105]);
    for sequence in [30_000, 30_001, 30_003] {
        assert!(judge.receive(MonoTime(2 * MS), &packet(sequence, 0)).is_some());
    }
    let counts = judge.counts();
    assert_eq!((counts.packets, counts.lost, counts.stale), (8, 2, 0)); // 102 and 30002
}

#[test]
fn a_server_that_numbers_anew_before_anything_came_has_lost_nothing() {
    let mut judge = playing(100, 0);
    judge.begin_range(MonoTime(MS), start(30_000, 0));
    assert!(judge.receive(MonoTime(2 * MS), &packet(30_000, 0)).is_some());
    assert_eq!((judge.counts().packets, judge.counts().lost), (1, 0));
}

#[test]
fn what_is_decoded_before_the_range_is_due_at_its_start() {
    let mut judge = playing(0, 9000);
    assert_eq!(judge.receive(MonoTime(2 * MS), &packet(0, 7200)), Some(2_000_000));
    assert_eq!(judge.receive(MonoTime(25 * MS), &packet(1, 10_800)), Some(5_000_000));
}

#[test]
fn what_rtp_info_announces_and_never_comes_is_lost_at_the_start() {
    let counts = feed(&mut playing(65_530, 0), &[65_533, 65_532, 65_534, 0]);
    assert_eq!((counts.lost, counts.lost_at_start), (3, 2));
}

#[test]
fn nothing_may_come_while_paused() {
    let mut judge = playing(0, 0);
    feed(&mut judge, &[0, 1]);
    judge.pause(MonoTime(10 * MS));
    assert!(judge.receive(MonoTime(10 * MS), &packet(2, 900)).is_some());
    assert_eq!(judge.receive(MonoTime(11 * MS), &packet(3, 900)), None);
    judge.begin_range(MonoTime(20 * MS), start(4, 1800));
    assert_eq!(judge.receive(MonoTime(21 * MS), &packet(4, 1800)), Some(1_000_000));
    assert_eq!((judge.counts().stale, judge.counts().lost), (1, 0));
}

#[test]
fn without_rtp_info_the_first_packet_is_in_time() {
    let mut judge = StreamJudge::new(ClockRate::VIDEO);
    judge.begin_range(MonoTime(0), RangeStart::default());
    assert_eq!(judge.receive(MonoTime(70 * MS), &packet(500, 1234)), Some(0));
    assert_eq!(judge.receive(MonoTime(120 * MS), &packet(502, 1234 + 3600)), Some(10_000_000));
    judge.begin_range(MonoTime(200 * MS), RangeStart::default());
    assert_eq!(judge.receive(MonoTime(199 * MS), &packet(503, 1234 + 7200)), Some(49_000_000));
    assert_eq!(judge.receive(MonoTime(250 * MS), &packet(504, 999_999)), Some(0));
    assert_eq!((judge.counts().lost, judge.counts().stale), (1, 0));
}

#[test]
fn pictures_are_late_against_their_decode_time() {
    // I P B B P B B at 25 pictures a second, each sent when it is decoded, one picture before the
    // timestamp of what is not reordered; the last comes 7 ms late.
    let mut judge = playing(0, 0);
    let report = SenderReport {
        ssrc: 1,
        ntp: 0,
        rtp_timestamp: 0_u32.wrapping_sub(3600),
        packet_count: 0,
        octet_count: 0,
    };
    judge.report(MonoTime(0), &report);
    let mut late = Vec::new();
    for (unit, shown) in [0, 3, 1, 2, 6, 4, 5].into_iter().enumerate() {
        let delay = if unit == 6 { 7 } else { 0 };
        let arrival = MonoTime((unit as u64 * 40 + delay) * MS);
        late.push(judge.receive(arrival, &packet(unit as u16, shown * 3600)).unwrap() / 1_000_000);
    }
    assert_eq!(late[2..], [0, 0, 0, 0, 7]);
    assert!(late[..2].iter().all(|late| *late <= 0), "{late:?}");
    // A second is lost: what comes after it in time is not late.
    for (unit, shown) in [30, 28, 29, 33, 31].into_iter().enumerate() {
        let unit = unit as u64 + 28;
        let late = judge.receive(MonoTime(unit * 40 * MS), &packet(unit as u16, shown * 3600));
        assert!(late <= Some(0), "{late:?}");
    }
}

#[test]
fn faults_put_into_a_stream_are_counted_one_by_one() {
    let mut judge = playing(0, 0);
    let (mut lost, mut duplicates, mut reordered) = (0, 0, 0);
    let mut held = None;
    for number in 0..100_000_u32 {
        let packet = packet(number as u16, number * 360);
        let at = MonoTime(u64::from(number) * 4 * MS);
        match number % 1009 {
            17 => lost += 1,
            400 => held = Some(packet),
            _ => {
                assert_eq!(judge.receive(at, &packet), Some(0), "{number}");
                if number % 1013 == 5 {
                    judge.receive(at, &packet);
                    duplicates += 1;
                }
                if let Some(held) = held.take() {
                    assert_eq!(judge.receive(at, &held), Some(4_000_000));
                    reordered += 1;
                }
            }
        }
    }
    let counts = judge.counts();
    assert_eq!(counts.lost_at_start, 0);
    assert!(lost > 90 && duplicates > 90 && reordered > 90);
    assert_eq!((counts.lost, counts.duplicates, counts.reordered), (lost, duplicates, reordered));
    assert_eq!(counts.packets, 100_000 - lost);
}

#[test]
fn a_stream_gone_silent_is_behind() {
    let mut judge = playing(0, 0);
    assert_eq!(StreamJudge::new(ClockRate::VIDEO).behind_nanos(MonoTime(0)), None);
    assert_eq!(judge.behind_nanos(MonoTime(50 * MS)), Some(50_000_000));
    judge.receive(MonoTime(100 * MS), &packet(0, 9000));
    assert_eq!(judge.behind_nanos(MonoTime(350 * MS)), Some(250_000_000));
}

#[test]
fn the_sender_report_shows_what_was_lost_at_the_end() {
    let mut judge = playing(0, 0);
    feed(&mut judge, &[0, 1, 2]);
    let mut report =
        SenderReport { ssrc: 1, ntp: 0, rtp_timestamp: 0, packet_count: 5, octet_count: 50 };
    judge.report(MonoTime(0), &report);
    // They may come yet.
    judge.settle(MonoTime(499 * MS));
    assert_eq!(judge.counts().lost, 0);
    judge.settle(MonoTime(500 * MS));
    assert_eq!(judge.counts().lost, 2);
    report.ssrc = 9;
    report.packet_count = 50;
    judge.report(MonoTime(0), &report);
    judge.settle(MonoTime(1000 * MS));
    assert_eq!(judge.counts().lost, 2);
    // What the next report counts as well is no longer under way.
    report = SenderReport { ssrc: 1, packet_count: 6, ..report };
    judge.report(MonoTime(1000 * MS), &report);
    judge.report(MonoTime(1001 * MS), &report);
    assert_eq!(judge.counts().lost, 3);
}

#[test]
fn a_sender_that_was_sending_before_is_not_believed_to_have_lost_that() {
    let mut judge = playing(0, 0);
    feed(&mut judge, &[0, 1, 2]);
    let report = |packet_count| SenderReport {
        ssrc: 1,
        ntp: 0,
        rtp_timestamp: 0,
        packet_count,
        octet_count: 0,
    };
    judge.report(MonoTime(0), &report(50_003));
    judge.settle(MonoTime(1000 * MS));
    assert_eq!(judge.counts().lost, 0);
    judge.report(MonoTime(1000 * MS), &report(50_005));
    judge.settle(MonoTime(2000 * MS));
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
