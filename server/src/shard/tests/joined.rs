//! Pictures that leave together: one message, the same packets, and no picture that is not wanted.

use super::*;
use packetizer::rtp::Packet;

/// A viewer of pictures of three packets, 40 ms apart, of which the first of each second is a sync
/// sample.
fn rig(joined_nanos: i64) -> Rig {
    let mut rig = Rig::new(vec![film(1, 200, 3000, 0)], 64);
    let bursts = Bursts { joined_nanos, ..Bursts::default() };
    rig.shard = Shard::new(ShardConfig { bursts, ..rig.shard.config.clone() }, Wallclock::new(0));
    rig.play_udp(1, 0);
    rig
}

/// What packets carry, and when: timestamp, payload without padding.
fn contents(packets: &[Vec<u8>]) -> Vec<(u32, Vec<u8>)> {
    let content = |bytes: &Vec<u8>| {
        let packet = Packet::parse(bytes).unwrap();
        (packet.header.timestamp, bytes[packet.payload].to_vec())
    };
    packets.iter().map(content).collect()
}

#[test]
fn pictures_are_one_message_and_the_later_ones_are_ahead_of_their_time() {
    for (ahead_nanos, pictures) in [(50_000_000, 2), (100_000_000, 3)] {
        pictures_leave_together(ahead_nanos, pictures);
    }
}

fn pictures_leave_together(ahead_nanos: i64, pictures: usize) {
    let [mut joined, mut alone] = [ahead_nanos, 0].map(rig);
    joined.run_until(2000);
    alone.run_until(2000);
    let (messages, singles) = (joined.launches.len(), alone.launches.len());
    // A segment of a second ends a message.
    let expected = singles / 25 * 25_usize.div_ceil(pictures);
    assert!(messages.abs_diff(expected) <= 4, "{messages} {singles}");
    let (packets, expected) = (contents(joined.packets_of(1)), contents(alone.packets_of(1)));
    let common = packets.len().min(expected.len());
    assert!(common > 140);
    assert_eq!(packets[..common], expected[..common]);
    let counters = joined.shard.counters();
    assert_eq!(counters.trains, messages as u64);
    assert_eq!(counters.packets, packets.len() as u64);
    assert_eq!(counters.train_packets.max(), 3 * pictures as u64);
    // Nobody is told more bytes than there are in the pictures.
    let octets = packets.iter().map(|(_, payload)| payload.len() as u64).sum::<u64>();
    assert_eq!(joined.shard.streams[0].sent.octets, octets);
    joined.run_until(2100);
    alone.run_until(2100);
    let ahead = joined.packets_of(1).len() - alone.packets_of(1).len();
    assert!(ahead <= 3 * (pictures - 1), "{ahead} packets ahead");
}

#[test]
fn a_message_ends_where_the_range_does() {
    // Behind a pair, and inside of one.
    for units in 3..8 {
        let mut rig = Rig::new(vec![film(1, 200, 3000, 0)], 64);
        let bursts = Bursts::default();
        let config = ShardConfig { bursts, ..rig.shard.config.clone() };
        rig.shard = Shard::new(config, Wallclock::new(0));
        let end = Npt::from_nanos(units * 40 * MILLI);
        rig.set_up(1, 0, udp(1));
        let play = Play::seek(Npt::ZERO, Some(end));
        rig.command(Command::Play { token: Token(1), session: SessionKey(1), play });
        rig.start(1, 1);
        rig.run_until(1000);
        assert_eq!(rig.packets_of(1).len() as u64, units * 3);
    }
}

#[test]
fn a_pause_between_two_of_a_message_loses_and_repeats_nothing() {
    let [mut rig, mut whole] = [50_000_000, 50_000_000].map(rig);
    whole.run_until(4000);
    let mut now = 0;
    for pause in 2..40 {
        now += 30 + pause * 7 % 50;
        rig.run_until(now);
        rig.command(Command::Pause { token: Token(pause), session: SessionKey(1), at: None });
        rig.command(Command::Play {
            token: Token(pause),
            session: SessionKey(1),
            play: Play::RESUME,
        });
        rig.start(1, pause);
    }
    let payloads = |rig: &Rig| {
        let contents = contents(rig.packets_of(1)).into_iter();
        contents.map(|(_, payload)| payload).collect::<Vec<_>>()
    };
    let (seen, expected) = (payloads(&rig), payloads(&whole));
    assert!(seen.len() > 100);
    assert_eq!(seen[..], expected[..seen.len()]);
}
