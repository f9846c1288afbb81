//! Sound by itself: several access units share a packet, and play begins with a whole one.

use super::ranges::seconds;
use super::*;
use crate::mailbox::Cued;
use crate::pace::SeekStyle;
use packetizer::codec::aac::AacConfig;

/// Ticks of a unit, at 48,000 a second.
const UNIT_TICKS: u32 = 1024;
/// Units that a packet has room for, by their bytes.
const PACKET_UNITS: u32 = 4;

/// Ten seconds of sound: unit `n` has bytes `n`.
fn song() -> Film {
    let config = AacConfig::parse(&[0x11, 0x90]).unwrap();
    let media_rate = config.rtp_rate;
    let mut builder = IndexBuilder::new();
    let description = TrackDescription::new(1, CodecConfig::Aac(config), media_rate);
    let track = builder.add_track(description).unwrap();
    let mut file = Vec::new();
    for unit in 0..469_u32 {
        let time = i64::from(unit * UNIT_TICKS);
        builder.push(track, file.len() as u64, 300, time, time, UNIT_TICKS, true).unwrap();
        file.resize(file.len() + 300, (unit % 251) as u8);
    }
    let like = film(1, 1, 1000, 0);
    let title = Arc::try_unwrap(like.title).unwrap();
    let index = builder.finish(Npt::from_nanos(10 * SECOND));
    Film { title: Arc::new(Title { index, ..title }), file }
}

/// The unit that a packet begins with, of those near one; its headers section has two bytes a unit
/// behind the two that tell its length (RFC 3640 §3.2.1).
fn first_unit(packet: &[u8], near: u32) -> u32 {
    let units = u32::from(u16::from_be_bytes([packet[12], packet[13]])) / 16;
    let value = u32::from(packet[14 + units as usize * 2]);
    (0..469).filter(|unit| unit % 251 == value).min_by_key(|unit| unit.abs_diff(near)).unwrap()
}

fn time_of(unit: u32) -> u64 {
    u64::from(unit * UNIT_TICKS) * SECOND / 48_000
}

/// Seeks there, and gives what was answered and the first two packets.
fn sought(rig: &mut Rig, at: f64, style: SeekStyle) -> (Cued, [Vec<u8>; 2]) {
    let before = rig.packets_of(1).len();
    let cued = rig.played(Play { style, ..Play::seek(seconds(at), None) });
    let now = (rig.now.0 - SECOND) / MILLI;
    rig.run_until(now + 300);
    let packets = rig.packets_of(1);
    (cued, [packets[before].clone(), packets[before + 1].clone()])
}

#[test]
fn play_begins_with_the_packet_that_holds_the_point() {
    for points in [[0.0, 0.02, 0.1, 3.0], [5.5, 1.99, 2.01, 9.8], [7.0, 7.0, 6.98, 7.03]] {
        let mut rig = Rig::new(vec![song()], 64);
        rig.set_up(1, 0, udp(1));
        for at in points {
            for style in [SeekStyle::RandomAccess, SeekStyle::FirstPrior, SeekStyle::Next] {
                let (cued, packets) = sought(&mut rig, at, style);
                let asked = seconds(at).nanos();
                let near = u32::try_from(asked * 48_000 / SECOND).unwrap() / UNIT_TICKS;
                let [first, second] = packets.each_ref().map(|packet| first_unit(packet, near));
                let what = format!("{style} {at}: {first} {second}");
                assert_eq!(timestamp(&packets[0]), cued.streams[0].rtptime, "{what}");
                assert_eq!(Some(sequence(&packets[0])), cued.streams[0].sequence, "{what}");
                // Rounded up, so that a cue at the start of a cue is the same.
                assert!(cued.start.nanos() - time_of(first) <= 1, "{what}: {}", cued.start);
                assert!(second - first <= PACKET_UNITS, "{what}");
                if style == SeekStyle::Next {
                    assert!(time_of(first) >= asked && time_of(first) < asked + 100 * MILLI);
                } else {
                    let held = time_of(first)..time_of(second);
                    assert!(held.contains(&asked), "{what}");
                }
            }
        }
    }
}

#[test]
fn no_packet_begins_behind_the_last_point() {
    let mut rig = Rig::new(vec![song()], 64);
    rig.set_up(1, 0, udp(1));
    let next = Play { style: SeekStyle::Next, ..Play::seek(seconds(9.999), None) };
    assert_eq!(rig.asked(next), Err(crate::mailbox::NotMoved::OutOfRange));
    let cued = rig.played(Play::seek(seconds(9.999), None));
    assert!(cued.start > seconds(9.899) && cued.start <= seconds(9.999), "{}", cued.start);
    rig.run_until(500);
    assert_eq!(rig.packets_of(1).len(), 1);
    assert_eq!(rig.finished(), [None]);
}
