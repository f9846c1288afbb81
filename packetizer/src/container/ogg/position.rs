//! When the packets of a page begin, by granule positions of which some may be damaged.

/// Where a bitstream's next packet begins, in ticks of its clock.
#[derive(Debug)]
pub(super) struct Position {
    /// `None` before the first page.
    next: Option<i64>,
    /// By how much the last page's granule position said that its packets begin later. It is
    /// believed when the next page's says the same.
    doubted: Option<i64>,
}

/// What a page says of the time of its packets.
#[derive(Clone, Copy, Debug)]
pub(super) struct Told {
    /// Where its last packet ends, if it says so and that is not cut off.
    pub(super) end: Option<i64>,
    /// What its packets last.
    pub(super) ticks: i64,
    /// The longest that the pages may last which are missing in front of it.
    pub(super) missing_ticks: i64,
    /// Beyond this nothing can be missing.
    pub(super) jump_max: i64,
}

/// Where recordings may begin, in ticks: nobody records for years.
const FIRST_MAX: u64 = 1 << 48;

impl Position {
    pub(super) const fn new() -> Self {
        Self { next: None, doubted: None }
    }

    /// Where the packets of a page begin: where those before end, or later if something is missing.
    /// Never does time go back.
    pub(super) fn take(&mut self, page: &Told) -> i64 {
        let start = page.end.map(|end| end.saturating_sub(page.ticks));
        let Some(next) = self.next else {
            let start = start.filter(|start| start.unsigned_abs() < FIRST_MAX).unwrap_or(0);
            self.next = Some(start.saturating_add(page.ticks));
            return start;
        };
        let jump = start.map_or(0, |start| start.saturating_sub(next));
        let is_possible = (1..=page.jump_max).contains(&jump);
        let is_believed = jump <= page.missing_ticks || self.doubted == Some(jump);
        self.doubted = if page.end.is_some() { Some(jump) } else { self.doubted };
        let start = if is_possible && is_believed { next.saturating_add(jump) } else { next };
        self.next = Some(start.saturating_add(page.ticks));
        start
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_that_stands_alone_is_not_believed() {
        const TICKS: i64 = 100;
        /// Pages as where they end and the ticks that may be missing in front; where they begin.
        type Case<'a> = (&'a [(Option<i64>, i64)], &'a [i64]);
        let cases: &[Case<'_>] = &[
            (&[(Some(100), 0), (Some(200), 0), (None, 0), (Some(400), 0)], &[0, 100, 200, 300]),
            // A recording that began elsewhere, or before what is kept of it.
            (&[(Some(5100), 0), (Some(5200), 0)], &[5000, 5100]),
            (&[(Some(50), 0), (Some(150), 0)], &[-50, 50]),
            // Damaged: far ahead, behind, and so at the first page.
            (&[(Some(100), 0), (Some(1 << 62), 0), (Some(300), 0)], &[0, 100, 200]),
            (&[(Some(100), 0), (Some(7000), 0), (Some(300), 0)], &[0, 100, 200]),
            (&[(Some(100), 0), (Some(i64::MIN), 0), (Some(300), 0)], &[0, 100, 200]),
            (&[(Some(9_000), 0), (Some(200), 0), (Some(300), 0)], &[8900, 9000, 9100]),
            // A jump that lasts; and one that is too far.
            (&[(Some(100), 0), (Some(700), 0), (Some(800), 0)], &[0, 100, 700]),
            (&[(Some(100), 0), (Some(70_000), 0), (Some(70_100), 0)], &[0, 100, 200]),
            // Missing pages, and a damaged position behind them.
            (&[(Some(100), 0), (Some(700), 500), (Some(800), 0)], &[0, 600, 700]),
            (&[(Some(100), 0), (Some(7000), 500), (Some(800), 0)], &[0, 100, 200]),
            // What was missing was overlapped: no gap, if time goes on.
            (&[(Some(100), 0), (Some(100), 500), (Some(200), 0)], &[0, 100, 200]),
        ];
        for (pages, expected) in cases {
            let mut position = Position::new();
            let starts: Vec<_> = pages
                .iter()
                .map(|(end, missing_ticks)| {
                    let (end, missing_ticks) = (*end, *missing_ticks);
                    position.take(&Told { end, ticks: TICKS, missing_ticks, jump_max: 10_000 })
                })
                .collect();
            assert_eq!(starts, *expected, "{pages:?}");
        }
    }
}
