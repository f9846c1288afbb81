//! Two streams through one connection.

use super::*;

/// A session of two streams of the one track, on channels 0 and 2.
fn play_two(ahead: Duration) -> Rig {
    let mut rig = Rig::new(vec![film(1, 500, 3000, 0)], 64);
    rig.shard.config.interleaved_ahead = ahead;
    let connection = ConnectionId(1);
    for rtp_channel in [0, 2] {
        let rtcp_channel = rtp_channel + 1;
        let transport = StreamTransport::Interleaved { connection, rtp_channel, rtcp_channel };
        rig.set_up_as(1, 0, TrackId(0), transport, (rtp_channel == 0, false));
    }
    rig.adopt(1);
    rig.play(1, Play::RESUME);
    rig.reply(1);
    rig
}

/// Channel and sequence number of each RTP packet that went into the connection.
fn frames(rig: &Rig) -> Vec<(u8, u16)> {
    let mut framer = Framer::new();
    framer.push(&rig.stream);
    let mut frames = Vec::new();
    while let Some(message) = framer.next().expect("nothing but replies and frames") {
        if let Message::Interleaved { channel: channel @ (0 | 2), payload } = message {
            frames.push((channel, sequence(payload)));
        }
    }
    frames
}

#[test]
fn what_two_streams_are_due_leaves_in_one_entry_and_in_order_of_time() {
    let mut rig = play_two(Duration::from_millis(100));
    // Past the reply and the first reports.
    rig.run_until(500);
    let (entries, sent) = (rig.stream_entries, frames(&rig).len());
    rig.run_until(4500);
    let entries = rig.stream_entries - entries;
    let frames = &frames(&rig)[sent..];
    // Three pictures of each stream fall into each 120 ms.
    assert!((33..=36).contains(&entries), "{entries} entries in four seconds");
    assert!((582..=618).contains(&frames.len()), "{} packets", frames.len());
    // A picture of three packets, then the other stream's of the same time.
    for pictures in frames.chunks_exact(6) {
        let channels: Vec<u8> = pictures.iter().map(|(channel, _)| *channel).collect();
        assert_eq!(channels[..3], [channels[0]; 3]);
        assert_eq!(channels[3..], [2 - channels[0]; 3]);
    }
}

#[test]
fn a_reader_who_takes_any_part_of_an_entry_gets_both_streams_whole() {
    let mut rig = play_two(Duration::from_millis(100));
    let mut random = fastrand::Rng::with_seed(7);
    for turn in 1..150 {
        rig.appetite = random.usize(1..50_000);
        rig.turn_at(turn * 100);
    }
    let frames = frames(&rig);
    let counts = [0, 2].map(|wanted| {
        let numbers = frames.iter().filter(|(channel, _)| *channel == wanted);
        let numbers: Vec<u16> = numbers.map(|(_, number)| *number).collect();
        assert!(numbers.windows(2).all(|pair| pair[0].wrapping_add(1) == pair[1]));
        numbers.len()
    });
    assert!(counts[0] > 500, "{counts:?}");
    assert!(counts[0].abs_diff(counts[1]) <= 9, "neither waits for the other: {counts:?}");
}

#[test]
fn a_stalled_reader_goes_on_with_both_streams_where_it_stopped() {
    let mut rig = play_two(Duration::from_millis(100));
    rig.run_until(2000);
    rig.appetite = 0;
    rig.run_until(9000);
    rig.appetite = usize::MAX;
    let sent = frames(&rig).len();
    rig.run_until(9200);
    let soon = frames(&rig).len() - sent;
    assert!(soon <= 2 * 3 * (25 + 8), "{soon} packets at once");
    rig.run_until(12_000);
    let later = frames(&rig).len() - sent;
    assert!(later > 2 * 3 * 70, "{later} packets in three seconds");
}
