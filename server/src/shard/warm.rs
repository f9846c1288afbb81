//! Memory of what is due, fetched together. What a viewer is sent next lies anywhere in hundreds of
//! megabytes of images, so each train begins with a wait for memory. Asked for one behind the
//! other they take their full time each; many streams' at once, hardly more than one.

use super::Shard;
use super::stream::{Stream, Transport, Upcoming};
use crate::clock::MonoTime;
use std::hint::black_box;

/// Streams looked at together: their lines stay in the first cache until they are used.
pub(super) const WARM_STREAMS: usize = 16;

/// Trains of an interleaved stream that are looked at: what leaves together of most.
const WARM_TRAINS: usize = 6;

impl Shard {
    /// Touches what the next due streams will read and write: the headers of the trains that a
    /// connection is given, and the train behind them. Of datagrams it is the table of trains that
    /// is waited for: touching the headers of all that leave ahead too has measured no better.
    pub(super) fn warm(&self, now: MonoTime) {
        let mut sum = 0;
        let horizon = self.wave.horizon(now);
        for &slot in self.due.iter().take(WARM_STREAMS) {
            let Some(stream) = self.streams.get(slot) else { continue };
            match stream.transport {
                Transport::Udp { .. } => sum ^= self.warm_stream(stream, 1, now),
                Transport::Interleaved { .. } => {
                    let until = horizon.max(now + self.leads_by(slot));
                    for stream in &self.sessions[stream.session].streams {
                        sum ^= self.warm_stream(&self.streams[*stream], WARM_TRAINS, until);
                    }
                }
            }
        }
        black_box(sum);
    }

    /// Touches up to `count` trains of a stream that leave by `until`.
    fn warm_stream(&self, stream: &Stream, count: usize, until: MonoTime) -> u64 {
        let Some(Upcoming { at, image, .. }) = stream.upcoming else { return 0 };
        let Some(image) = self.cache.ready(image) else { return 0 };
        let mut sum = 0;
        for train in image.trains.iter().skip(at.train as usize).take(count) {
            if stream.timeline.leaves_at(train.due) > until {
                break;
            }
            let end = train.offset as usize + train.bytes() as usize;
            let packets = image.bytes.get(train.offset as usize..end).unwrap_or_default();
            for header in packets.iter().step_by(usize::from(train.packet_bytes.max(1))) {
                sum ^= u64::from(*header);
            }
        }
        let behind = image.trains.get(at.train as usize + count);
        sum ^ behind.map_or(0, |train| train.timestamp.cast_unsigned())
    }
}
