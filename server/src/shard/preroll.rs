//! How long before the start of a range its first packets leave. A first picture is decoded before
//! it is shown, and the packets of a big one are spread over some time before that: all at once
//! they would be the biggest burst a viewer is ever sent, to everybody who comes.

use super::Shard;
use super::session::PlayRange;
use packetizer::image::SPREAD_NANOS_MAX;
use packetizer::time::NANOS_PER_SECOND;

/// No longer than this: what lies further before the start leaves at once, because the streams
/// beside it have to wait. Enough for four pictures in another order and the spread of the first.
const PREROLL_NANOS_MAX: i64 = NANOS_PER_SECOND / 5;

impl Shard {
    /// Nanoseconds of viewing by which the packets of a range may leave before its start: as much
    /// as the first to leave is ahead, so that it leaves at once and the others in their time.
    pub(super) fn preroll(&self, slot: usize, range: &PlayRange) -> u32 {
        let streams = self.sessions[slot].streams.iter();
        let longest = streams.map(|stream| self.stream_preroll(*stream, range)).max();
        let most = range.timeline.viewed_in(PREROLL_NANOS_MAX).min(PREROLL_NANOS_MAX);
        u32::try_from(longest.unwrap_or(0).clamp(0, most)).unwrap_or(0)
    }

    fn stream_preroll(&self, stream: usize, range: &PlayRange) -> i64 {
        let cue = range.tracks.iter().find(|cue| cue.track == self.streams[stream].track);
        let Some(cue) = cue.filter(|cue| cue.first_unit < cue.end_unit) else { return 0 };
        let Some((unit, decode, composition)) = self.unit_times(stream, cue.first_unit) else {
            return 0;
        };
        let index = self.index(self.streams[stream].session);
        let rate = index.tracks[usize::from(cue.track.0)].media_rate;
        // A skim shows pictures when they are composed.
        let due = if range.timeline.pace.is_skim() { composition } else { decode };
        let duration = rate.nanos_floor(i64::from(unit.duration));
        let spread = self.spread(stream, unit.media_bytes, duration);
        // What may leave ahead of its time anyway need not be early.
        let ahead = i64::try_from(self.leads_by(stream).as_nanos()).unwrap_or(i64::MAX);
        range.timeline.viewing(due).saturating_neg().saturating_add(spread).saturating_sub(ahead)
    }

    /// How long before its time the first packet leaves of an access unit of so many bytes, if no
    /// more packets are needed than the bytes fill: the image has it exactly.
    fn spread(&self, stream: usize, bytes: u32, duration: i64) -> i64 {
        let packets = i64::from(bytes / u32::from(self.streams[stream].class.packet_bytes_max));
        let behind = packets - i64::from(self.config.bursts.packets_max);
        if behind <= 0 { 0 } else { duration.min(SPREAD_NANOS_MAX) * behind / packets }
    }
}
