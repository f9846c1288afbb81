//! Seeks to random points of a track, against the packets that ffprobe sees.

use super::ffprobe::{Packet, Probed};
use packetizer::codec::CodecConfig;
use packetizer::index::{AccessUnitEntry, MediaIndex, TrackId, TrackSet};
use packetizer::time::Npt;

/// Random points a track is sought at.
const POINTS: usize = 20;

/// Checks that each of 20 random points leads to the last packet at or before it that ffprobe takes
/// for a sync sample. Times of packets and units may be `slack_nanos` apart.
pub(crate) fn compare_seeks(
    index: &MediaIndex,
    track: TrackId,
    probed: &Probed,
    slack_nanos: i64,
) -> Result<(), String> {
    let media = &index.tracks[usize::from(track.0)];
    let nanos = |unit: &AccessUnitEntry| media.media_rate.nanos_floor(unit.composition);
    // Uncompressed sound is cut where each likes: any unit is a place to start.
    if let CodecConfig::Pcm(_) = media.codec {
        return compare_each(index, track, slack_nanos, |point| {
            let units = (0..media.unit_count).filter_map(|unit| index.unit(track, unit));
            units.take_while(|unit| nanos(unit) <= point).last().map_or(0, |unit| unit.index)
        });
    }
    let units = (0..).map_while(|unit| index.unit(track, unit));
    // Vorbis' first packet takes no time, and is shown at another by ffprobe.
    let same = units.clone().zip(&probed.packets).take(2).last();
    let shift = same.and_then(|(unit, packet)| Some(nanos(&unit) - time(probed, packet)?));
    let syncs: Vec<(i64, u32)> = units
        .zip(&probed.packets)
        .filter(|(_, packet)| packet.sync)
        .map(|(unit, packet)| {
            // Elementary streams have no times: those of the index are shown in the right order.
            let time = time(probed, packet).zip(shift).map(|(time, shift)| time + shift);
            (time.unwrap_or_else(|| nanos(&unit)), unit.index)
        })
        .collect();
    compare_each(index, track, slack_nanos, |point| {
        let before = syncs.iter().filter(|(time, _)| *time <= point);
        before.max_by_key(|(time, _)| *time).map_or(0, |(_, unit)| *unit)
    })
}

fn time(probed: &Probed, packet: &Packet) -> Option<i64> {
    packet.composition.map(|composition| probed.nanos(composition))
}

/// Seeks to each point; `expected` is the unit to start with, by the time in nanoseconds.
fn compare_each(
    index: &MediaIndex,
    track: TrackId,
    slack_nanos: i64,
    expected: impl Fn(i64) -> u32,
) -> Result<(), String> {
    let is_video = index.tracks[usize::from(track.0)].codec.is_video();
    let mut random = Random(index.duration.nanos());
    for _ in 0..POINTS {
        let Some(point) = random.below(index.duration.nanos()) else { break };
        let cue = index.cue(TrackSet::EMPTY.with(track), Npt::from_nanos(point), None);
        let cue = cue.ok_or(format!("no cue at {point} ns"))?;
        let first = cue.tracks[0].first_unit;
        let point = point.cast_signed();
        let (low, high) = (expected(point - slack_nanos), expected(point + slack_nanos));
        // Priming in front of sound is sent where play begins with its beginning.
        let is_primed = !is_video && first == 0 && cue.start == Npt::ZERO;
        if !(low.min(high)..=high.max(low)).contains(&first) && !is_primed {
            return Err(format!("seek to {point} ns: unit {first} and not {low} to {high}"));
        }
    }
    Ok(())
}

/// Numbers that look random and are the same in every run.
struct Random(u64);

impl Random {
    /// A number below `end`; `None` if there is none.
    fn below(&mut self, end: u64) -> Option<u64> {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)).checked_rem(end)
    }
}
