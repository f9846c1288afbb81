//! Sequence numbers and timestamps that wrap, and a title of thirteen hours.

use super::*;
use packetizer::rtcp::{self, Packet};

/// Thirteen hours, a picture a second.
const PICTURES: u32 = 13 * 3600;
/// RTP ticks of a picture.
const PICTURE_TICKS: u32 = 90_000;

fn long_film() -> Vec<Film> {
    vec![film_of(1, PICTURES, 300, 0, 25)]
}

impl Rig {
    /// Streams start their numbers there.
    fn number_from(&mut self, sequence: u16, timestamp: u32) {
        self.shard.config.first_numbers = Some(FirstNumbers { sequence, timestamp });
    }

    /// Runs until that second, with a sign of life now and then.
    fn live_until(&mut self, second: u64) {
        let from = (self.now.0 - SECOND) / SECOND;
        for second in (from..=second).step_by(15).chain([second]) {
            self.run_until(second * 1000);
            self.command(Command::Touch { session: SessionKey(1) });
        }
    }

    /// What the reply to the last PLAY says: sequence number and timestamp.
    fn info(&mut self) -> (u16, u32) {
        self.reports.extend(std::iter::from_fn(|| self.shard.take_report()));
        let cued = |report: &Report| {
            let Report::Cued { result: Ok(cued), .. } = report else { return None };
            cued.streams.first().and_then(|info| Some((info.sequence?, info.rtptime)))
        };
        self.reports.iter().rev().find_map(cued).unwrap()
    }

    fn seek(&mut self, token: u64, seconds: u64) {
        let play = Play::seek(Npt::from_nanos(seconds * SECOND), None);
        self.command(Command::Play { token: Token(token), session: SessionKey(1), play });
        self.start(1, token);
    }
}

#[test]
fn a_title_of_thirteen_hours_plays_through_both_wraps() {
    let mut rig = Rig::new(long_film(), 64);
    // The sequence wraps after ten packets, the timestamp an hour before the end.
    let (sequence_first, timestamp_first) =
        (65_526, (PICTURE_TICKS * (PICTURES - 3600)).wrapping_neg());
    rig.number_from(sequence_first, timestamp_first);
    rig.play_udp(1, 0);
    rig.live_until(u64::from(PICTURES) + 2);
    let packets = rig.packets_of(1);
    assert_eq!(packets.len(), PICTURES as usize);
    for (packet, picture) in packets.iter().zip(0..) {
        assert_eq!(sequence(packet), sequence_first.wrapping_add(picture as u16));
        let expected = timestamp_first.wrapping_add(picture * PICTURE_TICKS);
        assert_eq!(timestamp(packet), expected, "picture {picture}");
    }
    // Every sender report maps its time to the timestamp of what plays then.
    let reports = &rig.datagrams[&SocketAddr::new(viewer(1).ip(), 5001)];
    let mut seen = 0;
    for report in reports.iter().flat_map(|bytes| rtcp::packets(bytes)) {
        let Ok(Packet::SenderReport(report, _)) = report else { continue };
        let since_start =
            u128::from(report.ntp.0) - u128::from(Wallclock::new(0).ntp(MonoTime(SECOND)).0);
        let ticks = (since_start * u128::from(PICTURE_TICKS) + (1 << 31)) >> 32;
        let error = report.rtp_timestamp.wrapping_sub(timestamp_first).wrapping_sub(ticks as u32);
        assert!(error.cast_signed().abs() <= 1, "{error} ticks off after {seen} reports");
        seen += 1;
    }
    assert!(seen > PICTURES / 8, "{seen} reports");
    assert!(rig.reports.iter().any(|report| matches!(report, Report::Finished { .. })));
}

#[test]
fn seeks_go_on_across_both_wraps() {
    let mut rig = Rig::new(long_film(), 64);
    rig.number_from(u16::MAX - 2, u32::MAX - 5 * PICTURE_TICKS / 2 + 1);
    rig.set_up(1, 0, udp(1));
    rig.seek(1, u64::from(PICTURES) - 10);
    assert_eq!(rig.info(), (u16::MAX - 2, u32::MAX - 5 * PICTURE_TICKS / 2 + 1));
    rig.live_until(4);
    let packets = rig.packets_of(1).to_vec();
    let numbers: Vec<u16> = packets.iter().map(|packet| sequence(packet)).collect();
    assert_eq!(numbers, [65_533, 65_534, 65_535, 0, 1]);
    let (last, highest) = (numbers[4], timestamp(&packets[4]));
    assert!(highest < 2 * PICTURE_TICKS, "it has wrapped: {highest}");
    rig.seek(2, 0);
    let (next, rtptime) = rig.info();
    assert_eq!(next, last + 1);
    assert_eq!(rtptime, highest + PICTURE_TICKS, "behind what was sent");
    // One after the other, with nothing sent between them.
    rig.seek(3, u64::from(PICTURES) - 10);
    let (_, again) = rig.info();
    assert!(again.wrapping_sub(rtptime).cast_signed() >= 0);
}

/// Forty seconds of pictures that are shown three behind the one they are decoded with.
fn reordered_film() -> Film {
    let Film { title, file } = film(1, 1000, 300, 0);
    let title = Arc::try_unwrap(title).unwrap();
    let track = &title.index.tracks[0];
    let mut builder = IndexBuilder::new();
    let description = TrackDescription::new(1, track.codec.clone(), track.media_rate);
    let track = builder.add_track(description).unwrap();
    for unit in title.index.all_units(TrackId(0)) {
        let time = unit.composition;
        builder.push(track, unit.offset, unit.bytes, time - 3, time, 1, unit.sync).unwrap();
    }
    let index = builder.finish(title.index.duration);
    Film { title: Arc::new(Title { index, ..title }), file }
}

#[test]
fn a_seek_that_follows_at_once_on_another_leaves_timestamps_behind_all_that_was_sent() {
    for wait in [0, 5, 60, 110, 150] {
        let mut rig = Rig::new(vec![reordered_film()], 64);
        rig.play_udp(1, 0);
        rig.run_until(1000);
        let high = rig.packets_of(1).iter().map(|packet| timestamp(packet)).max().unwrap();
        // Its first picture leaves 120 ms before its start; the next range begins at once.
        rig.seek(8, 10);
        let (_, first) = rig.info();
        rig.run_until(1000 + wait);
        let pace =
            crate::pace::Pace { scale: crate::pace::Scale::nearest(4.0), ..Play::RESUME.pace };
        let play = Play { pace, ..Play::seek(Npt::from_nanos(20 * SECOND), None) };
        rig.command(Command::Play { token: Token(9), session: SessionKey(1), play });
        let (_, second) = rig.info();
        assert!(first.wrapping_sub(high).cast_signed() > 0, "{wait}: {high} {first}");
        assert!(second.wrapping_sub(first).cast_signed() >= 0, "{wait}: {first} {second}");
    }
}
