//! Decode times of pictures: Matroska has them in decode order, with composition times only.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

/// Most places in decode order between a picture and one composed before it: a decoder's picture
/// buffer holds as many (ISO 14496-10 §A.3.1, ISO 23008-2 §A.4.2).
pub(super) const DISTANCE_UNITS_MAX: usize = 16;
/// Longest time from a picture to the next, in nanoseconds; a later one is damaged.
pub(super) const GAP_NANOS_MAX: i64 = 6 * 3600 * 1_000_000_000;
/// Longest time by which pictures are decoded earlier than composed on account of others.
const DELAY_NANOS_MAX: i64 = 1_000_000_000;

/// Where a picture stands among others, in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Order {
    /// Its own composition time.
    pub composition: i64,
    /// The composition time that has its place in composition order.
    in_order: i64,
    /// The earliest composition time of it and all that follow.
    earliest: i64,
}

impl Order {
    /// When it is decoded if all are decoded earlier by `delay`: at evenly spread times where
    /// compositions are, and never after it or a later one is composed.
    pub(super) fn decode(&self, delay: i64) -> i64 {
        self.in_order.saturating_sub(delay).min(self.earliest)
    }
}

/// The least delay that lets every picture be decoded before it is composed.
pub(super) fn decode_delay(compositions: impl Iterator<Item = i64>) -> i64 {
    let delays = decode_order(compositions).map(|o| o.in_order.saturating_sub(o.composition));
    delays.max().unwrap_or(0).clamp(0, DELAY_NANOS_MAX)
}

/// The order of pictures, of which the composition times are given in decode order. A time that is
/// further out of its place than [`DISTANCE_UNITS_MAX`] or [`GAP_NANOS_MAX`] is damaged and takes
/// the nearest that is possible.
pub(super) fn decode_order(
    mut compositions: impl Iterator<Item = i64>,
) -> impl Iterator<Item = Order> {
    // Both hold the same compositions: by time, and in decode order.
    let mut by_time = BinaryHeap::with_capacity(DISTANCE_UNITS_MAX + 1);
    let mut waiting = VecDeque::with_capacity(DISTANCE_UNITS_MAX + 1);
    let mut latest: Option<i64> = None;
    let mut past = i64::MIN;
    std::iter::from_fn(move || {
        while waiting.len() <= DISTANCE_UNITS_MAX
            && let Some(composition) = compositions.next()
        {
            let before = latest.unwrap_or(composition);
            let reach = before.saturating_sub(GAP_NANOS_MAX)..=before.saturating_add(GAP_NANOS_MAX);
            let composition = composition.clamp(*reach.start(), *reach.end()).max(past);
            latest = latest.max(Some(composition));
            by_time.push(Reverse(composition));
            waiting.push_back(composition);
        }
        let earliest = waiting.iter().copied().min()?;
        let composition = waiting.pop_front()?;
        let Reverse(in_order) = by_time.pop()?;
        past = in_order;
        Some(Order { composition, in_order, earliest })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Decode and composition times in milliseconds.
    fn times(compositions: &[i64]) -> Vec<(i64, i64)> {
        let nanos = || compositions.iter().map(|millis| millis * 1_000_000);
        let delay = decode_delay(nanos());
        decode_order(nanos())
            .map(|order| (order.decode(delay) / 1_000_000, order.composition / 1_000_000))
            .collect()
    }

    #[test]
    fn decode_times_are_even_and_before_composition() {
        for (compositions, expected) in [
            (&[][..], &[][..]),
            (&[7], &[(7, 7)]),
            (&[0, 40, 80], &[(0, 0), (40, 40), (80, 80)]),
            // I P B B P: two pictures are decoded before they are composed.
            (
                &[0, 120, 40, 80, 200, 160],
                &[(-40, 0), (0, 120), (40, 40), (80, 80), (120, 200), (160, 160)],
            ),
            // A pyramid: a delay of two.
            (&[0, 160, 80, 40, 120], &[(-80, 0), (-40, 160), (0, 80), (40, 40), (80, 120)]),
            // A pause between pictures out of order does not move all by its length.
            (&[0, 9000, 40, 80], &[(-1000, 0), (-960, 9000), (-920, 40), (80, 80)]),
        ] {
            assert_eq!(times(compositions), expected, "{compositions:?}");
        }
    }

    #[test]
    fn one_damaged_time_moves_no_other() {
        let good: Vec<i64> = (0..100).map(|picture| picture * 40).collect();
        let mut damaged = good.clone();
        damaged[50] = -9_000_000;
        let found = times(&damaged);
        assert_eq!(found.len(), 100);
        for (at, (decode, composition)) in found.iter().enumerate() {
            assert!(decode <= composition, "{at}");
            assert!((good[at] - decode).abs() <= 1000, "{at}: {decode}");
            assert!(at == 50 || *composition == good[at], "{at}: {composition}");
        }
        assert!(found.is_sorted_by_key(|(decode, _)| *decode));
        damaged[50] = i64::MAX / 1_000_000;
        let found = times(&damaged);
        assert!(found.is_sorted_by_key(|(decode, _)| *decode));
        assert_eq!(found[50].1, 49 * 40 + GAP_NANOS_MAX / 1_000_000);
    }
}
