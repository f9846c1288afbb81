//! The order of display of pictures that come in decode order.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::Picture;

/// Pictures that wait for one displayed before them, at most: fields of the 16 frames a decoder
/// holds (ISO 14496-10 §A.3.1, ISO 23008-2 §A.4.2).
const WAITING_MAX: usize = 32;

/// Counts the fields shown before each picture.
#[derive(Debug, Default)]
pub(crate) struct Reorder {
    waiting: BinaryHeap<Reverse<(i64, usize, u8)>>,
    /// Pictures taken.
    count: usize,
    /// Fields shown by those that have left.
    fields: i64,
}

impl Reorder {
    /// Takes the next picture in decode order; calls `each` with the position in decode order and
    /// the first field of every picture whose place is known.
    pub(crate) fn push(&mut self, picture: &Picture, mut each: impl FnMut(usize, i64)) {
        if picture.restarts {
            self.flush(&mut each);
        }
        self.waiting.push(Reverse((picture.order, self.count, picture.fields)));
        self.count += 1;
        if self.waiting.len() > WAITING_MAX {
            self.pop(&mut each);
        }
    }

    /// Lets all go that wait.
    pub(crate) fn flush(&mut self, mut each: impl FnMut(usize, i64)) {
        while !self.waiting.is_empty() {
            self.pop(&mut each);
        }
    }

    fn pop(&mut self, each: &mut impl FnMut(usize, i64)) {
        if let Some(Reverse((_, position, fields))) = self.waiting.pop() {
            each(position, self.fields);
            self.fields += i64::from(fields);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_the_fields_in_front() {
        // (order, restarts, fields), and the first field of each
        let rows = [
            (0, true, 2, 0),
            (6, false, 2, 6),
            (2, false, 2, 2),
            (4, false, 1, 4),
            (5, false, 1, 5),
            (0, true, 3, 8),
            (1, false, 2, 11),
        ];
        let mut reorder = Reorder::default();
        let mut found = [None; 7];
        for (order, restarts, fields, _) in rows {
            let picture = Picture { order, restarts, fields, ..Picture::default() };
            reorder.push(&picture, |position, field| found[position] = Some(field));
        }
        reorder.flush(|position, field| found[position] = Some(field));
        assert_eq!(found, rows.map(|row| Some(row.3)));
    }

    #[test]
    fn waits_for_no_more_than_decoders_do() {
        let mut reorder = Reorder::default();
        let mut left = Vec::new();
        for order in (0..1000).rev() {
            let picture = Picture { order, fields: 2, ..Picture::default() };
            reorder.push(&picture, |position, _| left.push(position));
            assert!(reorder.waiting.len() <= WAITING_MAX);
        }
        assert_eq!((left.len(), left[0]), (1000 - WAITING_MAX, WAITING_MAX));
    }
}
