//! Queues of ranges whose streams do not keep step: stalled readers, pause points near what has
//! left, ends that move.

use super::ranges::{pictures, range, scaled, seconds, shown};
use super::*;
use crate::limits::RANGES_MAX;
use crate::mailbox::{NotMoved, Paused};
use crate::pace::{Pace, Scale, SeekStyle, Speed};

const INTERLEAVED: StreamTransport =
    StreamTransport::Interleaved { connection: ConnectionId(1), rtp_channel: 0, rtcp_channel: 1 };

impl Rig {
    /// A session in a connection of its own, not played yet.
    fn ready_interleaved() -> Self {
        let mut rig = Self::new(vec![film(1, 1000, 1000, 0)], 64);
        rig.set_up(1, 0, INTERLEAVED);
        rig.adopt(1);
        rig
    }

    /// A session with one stream by UDP and one in a connection, of the same track.
    fn ready_both() -> Self {
        let mut rig = Self::ready();
        rig.set_up_as(1, 0, TrackId(0), INTERLEAVED, (false, false));
        rig.adopt(1);
        rig
    }

    /// Nobody reads the connection until that time, in milliseconds.
    fn stall_until(&mut self, millis: u64) {
        self.appetite = 0;
        self.run_until(millis);
        self.appetite = usize::MAX;
    }

    /// The sequence number, timestamp and picture of each packet that went into the connection.
    fn frames(&self) -> Vec<(u16, u32, u32)> {
        let mut framer = Framer::new();
        framer.push(&self.stream);
        let mut frames = Vec::new();
        while let Some(message) = framer.next().expect("nothing but replies and frames") {
            if let Message::Interleaved { channel: 0, payload } = message {
                frames.push((sequence(payload), timestamp(payload), payload[13].into()));
            }
        }
        frames
    }
}

#[test]
fn a_pause_stands_in_the_range_that_a_stalled_reader_is_in() {
    let mut rig = Rig::ready_interleaved();
    rig.played(range(2.0, 3.0));
    rig.asked(range(8.0, 9.0)).unwrap();
    rig.run_until(500);
    rig.stall_until(1500);
    let Ok(Paused::At(position)) = rig.paused(None) else { panic!("it plays") };
    assert!(position >= seconds(2.4) && position <= seconds(2.6), "{position}");
    rig.run_until(6000);
    let cued = rig.played(Play::RESUME);
    assert_eq!((cued.start, cued.end), (position, seconds(3.0)));
    rig.run_until(9000);
    let frames = rig.frames();
    let seen: Vec<u32> = frames.iter().map(|(_, _, picture)| *picture).collect();
    assert_eq!(seen, shown(50..75));
    assert!(frames.windows(2).all(|pair| pair[1].1.wrapping_sub(pair[0].1) <= 3601), "{frames:?}");
    assert_eq!(rig.finished(), [Some(seconds(3.0))]);
    assert_eq!(rig.shard.counters().rebases, 0, "nothing was late after the pause");
}

#[test]
fn a_pause_at_the_start_of_a_range_that_a_reader_has_nothing_of() {
    let mut rig = Rig::ready_interleaved();
    rig.played(range(20.0, 21.0));
    rig.asked(range(1.0, 2.0)).unwrap();
    rig.run_until(980);
    rig.stall_until(1500);
    assert_eq!(rig.paused(None), Ok(Paused::At(seconds(1.0))));
}

#[test]
fn what_a_stalled_reader_moves_ends_all_the_same() {
    // The UDP stream has sent its range, and waits for its end, when the other one is moved.
    let mut rig = Rig::ready_both();
    rig.played(range(2.0, 3.0));
    rig.run_until(5);
    rig.stall_until(1080);
    rig.run_until(5000);
    assert_eq!(rig.shard.counters().rebases, 1, "the other was late");
    assert_eq!(rig.finished(), [Some(seconds(3.0))]);
}

#[test]
fn an_end_that_is_moved_on_wakes_those_who_came_to_it() {
    let mut rig = Rig::ready_both();
    rig.played(range(10.0, 12.0));
    rig.run_until(200);
    assert_eq!(rig.paused(Some(10.4)), Ok(Paused::Later));
    rig.stall_until(600);
    assert_eq!(rig.packets_of(1).len(), 10);
    assert_eq!(rig.paused(Some(11.0)), Ok(Paused::Later));
    rig.run_until(3000);
    assert_eq!(rig.packets_of(1).len(), 25, "as far as the other");
    assert_eq!(rig.finished(), [Some(seconds(11.0))]);
}

#[test]
fn a_pause_point_before_what_has_left_already_repeats_nothing() {
    // Pictures of several trains each, spread over the 40 ms before they are due.
    for millis in (400..440).step_by(3) {
        let mut rig = Rig::new(vec![film(1, 250, 60_000, 0)], 64);
        rig.set_up(1, 0, udp(1));
        rig.played(range(2.0, 4.0));
        rig.run_until(millis);
        let at = 2.0 + (millis + 2) as f64 / 1000.0;
        assert_eq!(rig.paused(Some(at)), Ok(Paused::Later));
        rig.run_until(1000);
        assert_eq!(rig.finished(), [Some(seconds(at))]);
        rig.played(Play::RESUME);
        rig.run_until(4000);
        let packets = rig.packets_of(1);
        let times: Vec<u32> = packets.iter().map(|packet| timestamp(packet)).collect();
        assert!(times.is_sorted_by_key(|time| time.wrapping_sub(times[0])), "{millis}");
        let ends = packets.iter().filter(|packet| packet[1] >> 7 == 1).count();
        assert_eq!(ends, 50, "{millis}: each picture once");
        assert_eq!(packets.len() % 50, 0, "{millis}: whole pictures");
    }
}

#[test]
fn a_range_keeps_its_end_through_pause_points_and_changes_of_pace() {
    let mut rig = Rig::ready();
    rig.played(range(10.0, 12.0));
    rig.watch(200);
    assert_eq!(rig.paused(Some(11.0)), Ok(Paused::Later));
    rig.run_until(1500);
    assert_eq!(rig.finished(), [Some(seconds(11.0))]);
    rig.played(Play::RESUME);
    rig.run_until(3000);
    assert_eq!(rig.finished(), [Some(seconds(12.0))]);

    let mut rig = Rig::ready();
    rig.played(range(10.0, 20.0));
    rig.watch(200);
    assert_eq!(rig.played(scaled(None, None, 8.0)).end, seconds(20.0));
    rig.run_until(3000);
    assert_eq!(rig.finished(), [Some(seconds(20.0))]);
}

#[test]
fn a_conditional_seek_plays_as_it_asks() {
    let seek = |scale, speed| Play {
        pace: Pace { scale: Scale::nearest(scale), speed: Speed::nearest(speed) },
        style: SeekStyle::Conditional,
        ..Play::seek(seconds(10.9), None)
    };
    for (paused, asked) in [
        (range(10.0, 20.0), seek(1.0, 1.0)),
        (range(10.0, 20.0), seek(1.0, 2.0)),
        (scaled(Some(10.0), Some(20.0), 2.0), seek(1.0, 1.0)),
        (scaled(Some(10.0), Some(20.0), 2.0), seek(4.0, 1.0)),
    ] {
        let mut rig = Rig::ready();
        rig.played(paused);
        rig.watch(240);
        rig.paused(None).unwrap();
        let cued = rig.played(asked);
        assert_eq!((cued.pace, cued.end), (asked.pace, seconds(40.0)), "{paused:?} {asked:?}");
        rig.run_until(12_000);
        let is_at_end = asked.pace.is_skim();
        assert_eq!(
            rig.finished(),
            if is_at_end { &[None][..] } else { &[] },
            "{paused:?} {asked:?}"
        );
    }
}

#[test]
fn ranges_that_are_over_do_not_fill_the_queue() {
    let mut rig = Rig::ready();
    rig.played(range(2.0, 2.2));
    for _ in 1..RANGES_MAX {
        rig.asked(range(8.0, 8.1)).unwrap();
    }
    assert_eq!(rig.asked(range(8.0, 8.1)), Err(NotMoved::QueueFull));
    rig.run_until(210);
    rig.asked(range(8.0, 8.1)).unwrap();
}

#[test]
fn timestamps_go_on_behind_the_last_picture_of_a_title() {
    let mut rig = Rig::ready();
    rig.played(Play::seek(seconds(38.0), None));
    let seen = rig.watch(1990);
    assert_eq!(pictures(&seen).last(), shown([999]).last());
    assert_eq!(rig.paused(Some(39.999)), Ok(Paused::Later));
    assert_eq!(rig.paused(Some(38.5)), Ok(Paused::At(seconds(38.5))));
    let cued = rig.played(Play::seek(seconds(5.0), None));
    let ahead = cued.streams[0].rtptime.wrapping_sub(seen.last().unwrap().timestamp);
    assert!((3600..90_000).contains(&ahead), "{}", ahead.cast_signed());
}
