//! Access units and their times: from stamps where there are some, else from what came before.

use crate::codec::picture::{FieldRate, Picture};
use crate::index::AccessUnitEntry;

/// An access unit as the index has it; times in 90 kHz.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::container) struct TimedUnit {
    pub(in crate::container) offset: u64,
    pub(in crate::container) bytes: u32,
    /// Without the packets' headers, and what other streams' packets lie in between.
    pub(in crate::container) media_bytes: u32,
    pub(in crate::container) duration: u32,
    pub(in crate::container) decode: i64,
    pub(in crate::container) composition: i64,
    pub(in crate::container) sync: bool,
}

impl TimedUnit {
    /// A unit of which is not known yet where it lies.
    pub(in crate::container) const fn unplaced(
        decode: i64,
        composition: i64,
        duration: u32,
        sync: bool,
    ) -> Self {
        Self { offset: 0, bytes: 0, media_bytes: 0, duration, decode, composition, sync }
    }

    /// As the index has it, with times from `zero` on.
    pub(in crate::container) const fn entry(&self, zero: i64) -> AccessUnitEntry {
        let Self { offset, bytes, media_bytes, duration, sync, .. } = *self;
        let (decode, composition) = (self.decode - zero, self.composition - zero);
        AccessUnitEntry {
            index: 0,
            offset,
            bytes,
            media_bytes,
            decode,
            composition,
            duration,
            sync,
        }
    }
}

/// What gives pictures without stamps their times.
#[derive(Debug)]
pub(super) struct VideoTimes {
    pub(super) rate: FieldRate,
    /// When the next picture is decoded, if it has no stamp.
    next: i64,
    /// Order and composition of the last stamped picture of the sequence.
    reference: Option<(i64, i64)>,
    /// Ticks and order between two stamped pictures of a sequence.
    pace: Option<(i64, i64)>,
    /// Composition less decode time of the last picture that restarted the order.
    lead: i64,
}

impl Default for VideoTimes {
    fn default() -> Self {
        Self { rate: FieldRate::DEFAULT, next: 0, reference: None, pace: None, lead: 0 }
    }
}

impl VideoTimes {
    /// The times of the next picture in decode order, with decode and composition time if it has
    /// them; where it lies is left open.
    pub(super) fn time(&mut self, picture: &Picture, stamped: Option<(i64, i64)>) -> TimedUnit {
        if picture.restarts {
            self.reference = None;
        }
        let (decode, composition) = stamped.unwrap_or_else(|| self.guess(picture));
        if stamped.is_some() {
            if let Some((order, at)) = self.reference.filter(|(order, _)| *order != picture.order) {
                self.pace = Some((composition.saturating_sub(at), picture.order - order));
            }
            self.reference = Some((picture.order, composition));
        }
        if picture.restarts {
            self.lead = composition.saturating_sub(decode);
            self.reference = Some((picture.order, composition));
        }
        let ticks = self.rate.ticks(i64::from(picture.fields));
        self.next = decode.saturating_add(ticks);
        let duration = u32::try_from(ticks).unwrap_or(0);
        TimedUnit::unplaced(decode, composition, duration, picture.sync)
    }

    fn guess(&self, picture: &Picture) -> (i64, i64) {
        let decode = self.next;
        let by_order = self.reference.zip(self.pace).and_then(|((order, at), (ticks, steps))| {
            let apart = i128::from(picture.order - order) * i128::from(ticks);
            let apart = i64::try_from(apart / i128::from(steps)).ok()?;
            Some(at.saturating_add(apart)).filter(|at| at.abs_diff(decode) < GUESS_MAX)
        });
        (decode, by_order.unwrap_or_else(|| decode.saturating_add(self.lead)))
    }
}

/// How far from its decoding a picture is shown, if the order of pictures says so.
const GUESS_MAX: u64 = 5 * 90_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_without_stamps_follow_their_order() {
        let mut times =
            VideoTimes { rate: FieldRate { fields: 50, seconds: 1 }, ..VideoTimes::default() };
        // (order, restarts, stamps, times)
        for (order, restarts, stamped, expected) in [
            (0, true, Some((1000, 8200)), (1000, 8200)),
            (8, false, Some((4600, 22_600)), (4600, 22_600)),
            (4, false, None, (8200, 15_400)),
            (2, false, None, (11_800, 11_800)),
            (0, true, None, (15_400, 22_600)),
            (2, false, None, (19_000, 26_200)),
            (4, false, Some((50_000, 57_200)), (50_000, 57_200)),
        ] {
            let picture = Picture { order, restarts, fields: 2, ..Picture::default() };
            let unit = times.time(&picture, stamped);
            assert_eq!(
                (unit.decode, unit.composition, unit.duration),
                (expected.0, expected.1, 3600)
            );
        }
    }
}
