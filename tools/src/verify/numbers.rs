//! Sequence numbers without wraps, and which of the latest have come.

/// How far behind the highest sequence number a packet is still told apart from a duplicate: some
/// seconds of video.
const WINDOW: usize = 4096;

/// A packet this far from where the last one was is of another numbering (RFC 3550 App. A.1:
/// `MAX_DROPOUT`).
const DROPOUT_MAX: u64 = 3000;

/// The sequence numbers of one stream.
#[derive(Clone, Debug)]
pub(super) struct Numbers {
    first: Option<u64>,
    /// Lowest and highest that have come.
    lowest: Option<u64>,
    highest: Option<u64>,
    /// One bit for each of the window, in turn: it has come.
    seen: [u64; WINDOW / 64],
}

impl Default for Numbers {
    fn default() -> Self {
        Self { first: None, lowest: None, highest: None, seen: [0; _] }
    }
}

/// A sequence number without wraps, in its place among those that came before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Number {
    /// Higher than all before.
    Next(u64),
    /// Later than one that follows it.
    Late(u64),
    /// Here already, or so far behind that this cannot be told.
    Duplicate,
}

impl Numbers {
    /// Packets are to begin, or go on, with `sequence`: what is missing before it was lost, unless
    /// nothing has come yet.
    pub(super) fn expect(&mut self, sequence: u16) -> u64 {
        let number = self.extend(sequence);
        self.first.get_or_insert(number);
        number
    }

    /// Whether `sequence` is so far from what has come that the sender numbers anew.
    pub(super) fn is_elsewhere(&self, sequence: u16) -> bool {
        let number = self.extend(sequence);
        let known = self.highest.or(self.first);
        known.is_some_and(|known| number.abs_diff(known) > DROPOUT_MAX)
    }

    /// The packet `sequence` has come.
    pub(super) fn receive(&mut self, sequence: u16) -> Number {
        let number = self.extend(sequence);
        self.first.get_or_insert(number);
        self.lowest = Some(self.lowest.map_or(number, |lowest| lowest.min(number)));
        let Some(highest) = self.highest else {
            self.highest = Some(number);
            *self.word(number) |= bit(number);
            return Number::Next(number);
        };
        if number > highest {
            // Those skipped, if any, take the places of others that are out of the window now.
            for skipped in (highest + 1..number).rev().take(WINDOW) {
                *self.word(skipped) &= !bit(skipped);
            }
            *self.word(number) |= bit(number);
            self.highest = Some(number);
            return Number::Next(number);
        }
        if highest - number >= WINDOW as u64 || *self.word(number) & bit(number) != 0 {
            return Number::Duplicate;
        }
        *self.word(number) |= bit(number);
        Number::Late(number)
    }

    /// The part of `seen` that `number` is in.
    #[allow(clippy::cast_possible_truncation, reason = "the window is small")]
    fn word(&mut self, number: u64) -> &mut u64 {
        &mut self.seen[(number / 64) as usize % (WINDOW / 64)]
    }

    /// Whether `number` is one of those expected.
    pub(super) fn counts(&self, number: u64) -> bool {
        self.first.is_some_and(|first| number >= first)
    }

    /// The highest number that has come.
    pub(super) const fn highest(&self) -> Option<u64> {
        self.highest
    }

    /// How many were expected before the first that came.
    pub(super) fn missing_at_start(&self) -> u64 {
        match (self.first, self.lowest) {
            (Some(first), Some(lowest)) => lowest.saturating_sub(first),
            _ => 0,
        }
    }

    /// How many packets there should be, from the first expected to the highest that came.
    pub(super) fn expected(&self) -> u64 {
        match (self.first, self.highest) {
            (Some(first), Some(highest)) => (highest + 1).saturating_sub(first),
            _ => 0,
        }
    }

    fn extend(&self, sequence: u16) -> u64 {
        // The first number starts in the second cycle, so that one before it has a place too.
        let Some(known) = self.highest.or(self.first) else {
            return 0x1_0000 + u64::from(sequence);
        };
        let step = sequence.wrapping_sub((known & 0xffff) as u16).cast_signed();
        known.saturating_add_signed(i64::from(step))
    }
}

/// The place of `number` in its part of the window.
const fn bit(number: u64) -> u64 {
    1 << (number % 64)
}
