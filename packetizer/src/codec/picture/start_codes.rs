//! Finds what lies between start codes in a byte stream that comes in pieces.

/// Bytes behind a start code that are kept: more than parameter sets and headers have.
const HEAD_BYTES_MAX: usize = 4096;

/// What begins with a start code and ends where the next one begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Coded<'a> {
    /// Position in the stream of its first byte: the zero in front of the start code, if there is
    /// one, or the start code.
    pub(super) start: u64,
    /// Position of the start code `00 00 01`.
    pub(super) code: u64,
    /// The first [`HEAD_BYTES_MAX`] bytes behind the start code, without zeros at the end; never
    /// empty.
    pub(super) head: &'a [u8],
}

/// Finds start codes. Holds the beginning of one unit, whatever the units' lengths.
#[derive(Debug, Default)]
pub(super) struct StartCodes {
    /// Bytes taken so far.
    position: u64,
    /// Zeros in front of `position`, no more than three counted.
    zeros: u8,
    /// Where the unit began that has not ended: its first byte, its start code.
    open: Option<(u64, u64)>,
    head: Vec<u8>,
}

impl StartCodes {
    /// Begins at this position of the stream.
    pub(super) fn at(position: u64) -> Self {
        Self { position, ..Self::default() }
    }

    /// Bytes taken so far, and so the end of the stream when all were.
    pub(super) const fn position(&self) -> u64 {
        self.position
    }

    /// Takes the next bytes and calls `each` with every unit that has ended in them.
    pub(super) fn feed(&mut self, bytes: &[u8], mut each: impl FnMut(Coded<'_>)) {
        let (mut at, mut kept) = (0, 0);
        while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
            if self.zeros == 0 {
                let Some(zero) = memchr::memchr(0, rest) else { break };
                (at, self.zeros) = (at + zero + 1, 1);
                continue;
            }
            match rest.first() {
                Some(0) => self.zeros = (self.zeros + 1).min(3),
                Some(1) if self.zeros >= 2 => {
                    self.keep(bytes.get(kept..=at).unwrap_or_default());
                    kept = at + 1;
                    let code = self.position + at as u64 - 2;
                    let start = code - u64::from(self.zeros > 2);
                    self.close(&mut each);
                    self.open = Some((start, code));
                    self.zeros = 0;
                }
                _ => self.zeros = 0,
            }
            at += 1;
        }
        self.keep(bytes.get(kept..).unwrap_or_default());
        self.position += bytes.len() as u64;
    }

    /// Ends the last unit where the stream ends.
    pub(super) fn finish(&mut self, mut each: impl FnMut(Coded<'_>)) {
        // As if a start code followed, which is taken off the unit again.
        self.head.extend_from_slice(&[0, 0, 1]);
        self.close(&mut each);
    }

    fn keep(&mut self, bytes: &[u8]) {
        if self.open.is_some() {
            // The start code that ends the unit may be kept beyond the limit.
            let room = (HEAD_BYTES_MAX + 3).saturating_sub(self.head.len());
            self.head.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
        }
    }

    fn close(&mut self, each: &mut impl FnMut(Coded<'_>)) {
        if let Some((start, code)) = self.open.take() {
            let head = self.head.strip_suffix(&[0, 0, 1]).unwrap_or(&self.head);
            let head = head.get(..HEAD_BYTES_MAX).unwrap_or(head);
            let zeros = head.iter().rev().take_while(|byte| **byte == 0).count();
            if let Some(head) = head.get(..head.len() - zeros).filter(|head| !head.is_empty()) {
                each(Coded { start, code, head });
            } else if let Some(head) = head.get(..1) {
                each(Coded { start, code, head });
            }
        }
        self.head.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Row<'a> = (&'a [u8], &'a [(u64, u64, &'a [u8])]);

    #[test]
    fn cuts_alike_however_the_stream_comes() {
        let rows: [Row<'_>; 6] = [
            (&[], &[]),
            (&[1, 2, 3, 0, 0, 2], &[]),
            (&[0, 0, 1, 9, 8], &[(0, 0, &[9, 8])]),
            (&[7, 0, 0, 0, 1, 9, 0, 0, 1, 8], &[(1, 2, &[9]), (6, 6, &[8])]),
            (&[0, 0, 0, 0, 1, 9, 0, 0, 0, 0, 1, 8, 0, 0], &[(1, 2, &[9]), (7, 8, &[8])]),
            (&[0, 0, 1, 0, 0, 1, 5, 0, 0, 3, 1], &[(3, 3, &[5, 0, 0, 3, 1])]),
        ];
        for (stream, expected) in rows {
            for piece in 1..=stream.len().max(1) {
                let mut codes = StartCodes::default();
                let mut found = Vec::new();
                let mut each = |coded: Coded<'_>| {
                    found.push((coded.start, coded.code, coded.head.to_vec()));
                };
                stream.chunks(piece).for_each(|bytes| codes.feed(bytes, &mut each));
                codes.finish(&mut each);
                let expected: Vec<_> = expected
                    .iter()
                    .map(|(start, code, head)| (*start, *code, head.to_vec()))
                    .collect();
                assert_eq!(found, expected, "{stream:?} in pieces of {piece}");
            }
        }
    }

    #[test]
    fn keeps_no_more_than_the_beginning() {
        let mut codes = StartCodes::default();
        let mut heads = Vec::new();
        codes.feed(&[0, 0, 1], |_| {});
        for _ in 0..1000 {
            codes.feed(&[5; 100], |_| {});
            assert!(codes.head.len() <= HEAD_BYTES_MAX + 3);
        }
        codes.feed(&[0, 0, 1, 2], |coded| heads.push(coded.head.len()));
        assert_eq!((heads, codes.position()), (vec![HEAD_BYTES_MAX], 100_007));
    }
}
