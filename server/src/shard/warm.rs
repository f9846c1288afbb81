//! Memory of what is due, fetched together. What a viewer is sent next lies anywhere in hundreds of
//! megabytes of images, so each train begins with a wait for memory. Asked for one behind the
//! other they take their full time each; many streams' at once, hardly more than one.

use super::Shard;
use super::stream::Upcoming;
use std::hint::black_box;

/// Streams looked at together: their lines stay in the first cache until they are used.
pub(super) const WARM_STREAMS: usize = 16;

impl Shard {
    /// Touches what the next due streams will read and write: the headers of the train that each
    /// sends, and the train behind it.
    pub(super) fn warm(&self) {
        let mut sum = 0_u64;
        for stream in self.due.iter().take(WARM_STREAMS) {
            let upcoming = self.streams.get(*stream).and_then(|stream| stream.upcoming);
            let Some(Upcoming { at, image, train, .. }) = upcoming else { continue };
            let Some(image) = self.cache.ready(image) else { continue };
            let behind = image.trains.get(at.train as usize + 1);
            sum ^= behind.map_or(0, |train| train.timestamp.cast_unsigned());
            let end = train.offset as usize + train.bytes() as usize;
            let packets = image.bytes.get(train.offset as usize..end).unwrap_or_default();
            for header in packets.iter().step_by(usize::from(train.packet_bytes.max(1))) {
                sum ^= u64::from(*header);
            }
        }
        black_box(sum);
    }
}
