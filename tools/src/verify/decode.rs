//! Decode times, which RTP does not carry, from the timestamps, which are composition times.

/// Units that may be decoded before one that is shown first: 16 is what H.264 and H.265 allow.
const DEPTH_MAX: usize = 16;

/// Derives when a unit is decoded from the composition times of the units before it.
///
/// Units travel in decode order. A decoder that reorders holds back `depth` of them, so it must
/// have as many units more than it has shown: a unit is decoded when the one that is `depth`
/// places behind the latest composition time is shown. `depth` is learned from the stream, being
/// the most units that came before one and are shown after it; streams without B pictures have 0,
/// and are decoded at their timestamps.
///
/// The decode times are on the timeline of the composition times, such that nothing is shown before
/// it is decoded. Until the depth shows, after the first B pictures, units count as due too late
/// rather than too early.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct DecodeTimes {
    /// The latest composition times, the latest first.
    latest: [i64; DEPTH_MAX + 1],
    count: usize,
    depth: usize,
}

impl DecodeTimes {
    /// The next unit in decode order is shown at `composition`; returns when it is decoded.
    pub(super) fn next(&mut self, composition: i64) -> i64 {
        let known = &self.latest[..self.count];
        let shown_later = known.iter().take_while(|later| **later > composition).count();
        self.depth = self.depth.max(shown_later.min(DEPTH_MAX));
        if shown_later < self.latest.len() {
            self.count = (self.count + 1).min(self.latest.len());
            self.latest[shown_later..self.count].rotate_right(1);
            self.latest[shown_later] = composition;
        }
        self.latest[self.depth.min(self.count - 1)]
    }

    /// Play goes on elsewhere: the depth stays, the times do not count any more.
    pub(super) const fn restart(&mut self) {
        self.count = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(compositions: &[i64]) -> Vec<i64> {
        let mut times = DecodeTimes::default();
        compositions.iter().map(|composition| times.next(*composition)).collect()
    }

    #[test]
    fn without_reordering_units_are_decoded_when_shown() {
        assert_eq!(decode(&[0, 3, 6, 10, 11]), [0, 3, 6, 10, 11]);
    }

    #[test]
    fn b_pictures_delay_what_is_shown_by_their_depth() {
        // I P B B P B B: one picture is held back; the second is not known to be reordered yet.
        assert_eq!(decode(&[0, 3, 1, 2, 6, 4, 5, 9]), [0, 3, 1, 2, 3, 4, 5, 6]);
        // I P B b b P B b b, a pyramid: two are held back.
        assert_eq!(decode(&[0, 4, 2, 1, 3, 8, 6, 5, 7, 12])[3..], [1, 2, 3, 4, 5, 6, 7]);
    }

    #[test]
    fn a_seek_keeps_the_depth_only() {
        let mut times = DecodeTimes::default();
        for composition in [0, 3, 1, 2] {
            times.next(composition);
        }
        times.restart();
        let after: Vec<i64> = [100, 103, 101, 102, 106].map(|c| times.next(c)).to_vec();
        assert_eq!(after, [100, 100, 101, 102, 103]);
    }

    #[test]
    fn a_timeline_that_jumps_back_far_does_not_overrun() {
        let mut compositions: Vec<i64> = (1000..1020).collect();
        compositions.extend(0..40);
        assert_eq!(decode(&compositions).len(), 60);
    }
}
