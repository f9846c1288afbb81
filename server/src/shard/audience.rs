//! Where a shard's viewers stand in its titles: who will want an image again, and when.

use super::cache::ImageKey;
use packetizer::image::Framing;
use packetizer::index::SegmentId;
use std::collections::BTreeMap;

/// Viewers of one place.
#[derive(Debug)]
struct Place {
    viewers: u32,
    /// Presentation time of the segment's first unit, in nanoseconds.
    start: i64,
}

/// The next image of every stream that plays.
#[derive(Debug, Default)]
pub(super) struct Audience {
    places: BTreeMap<ImageKey, Place>,
}

impl Audience {
    /// A viewer will want the image of `key`, which begins at `start`, and those behind it.
    pub(super) fn join(&mut self, key: ImageKey, start: i64) {
        self.places.entry(place(key)).or_insert(Place { viewers: 0, start }).viewers += 1;
    }

    /// He no longer does.
    pub(super) fn leave(&mut self, key: ImageKey) {
        let place = place(key);
        let viewers = &mut self.places.get_mut(&place).expect("left once a join").viewers;
        *viewers -= 1;
        if *viewers == 0 {
            self.places.remove(&place);
        }
    }

    /// How long, in nanoseconds of play, until the nearest viewer behind the image of `key`, which
    /// begins at `start`, comes to it.
    pub(super) fn distance(&self, key: ImageKey, start: i64) -> Option<u64> {
        let key = place(key);
        let first = ImageKey { segment: SegmentId(0), ..key };
        let (_, nearest) = self.places.range(first..=key).next_back()?;
        Some(start.saturating_sub(nearest.start).max(0).unsigned_abs())
    }

    /// Viewers over all places.
    pub(super) fn count(&self) -> u32 {
        self.places.values().map(|place| place.viewers).sum()
    }
}

/// The framings of an image serve each other's viewers: one is made from the other.
const fn place(key: ImageKey) -> ImageKey {
    ImageKey { framing: Framing::Datagram, ..key }
}
