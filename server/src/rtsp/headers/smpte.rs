//! SMPTE relative timestamps (RFC 2326 §3.5): hours, minutes, seconds, frames and hundredths of a
//! frame since the start of the clip.

use super::parse_decimal;
use packetizer::time::{NANOS_PER_SECOND, Npt};
use std::fmt;

/// How frames are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FrameRate {
    /// 29.97 frames a second, of which the labels 00 and 01 are left out at the start of every
    /// minute but each tenth: the default.
    Drop30,
    /// 30 frames a second.
    Fps30,
    /// 25 frames a second.
    Fps25,
}

/// A time as a label: `10:07:33:05.01`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SmpteTime {
    rate: FrameRate,
    /// Hundredths of a frame since the start.
    subframes: u64,
}

const SUBFRAMES: u64 = 100;
/// Labels left out at the start of a minute, and how many stay in a minute and in ten.
const DROPPED: u64 = 2;
const DROP_MINUTE_FRAMES: u64 = 60 * 30 - DROPPED;
const DROP_TEN_MINUTES_FRAMES: u64 = 10 * 60 * 30 - 9 * DROPPED;

impl FrameRate {
    /// Frames in a second of labels.
    const fn labels(self) -> u64 {
        match self {
            Self::Drop30 | Self::Fps30 => 30,
            Self::Fps25 => 25,
        }
    }

    /// Subframes in so many seconds.
    const fn subframe_rate(self) -> (u64, u64) {
        match self {
            Self::Drop30 => (30_000 * SUBFRAMES, 1001),
            Self::Fps30 => (30 * SUBFRAMES, 1),
            Self::Fps25 => (25 * SUBFRAMES, 1),
        }
    }
}

impl SmpteTime {
    /// The label nearest to a time.
    pub(super) fn of(time: Npt, rate: FrameRate) -> Self {
        let (subframes, seconds) = rate.subframe_rate();
        let second = u128::from(NANOS_PER_SECOND.cast_unsigned()) * u128::from(seconds);
        let scaled = u128::from(time.nanos()) * u128::from(subframes);
        let nearest = (scaled + second / 2) / second;
        Self { rate, subframes: u64::try_from(nearest).expect("fewer than nanoseconds") }
    }

    /// The first label at or after a time.
    pub(super) fn from(time: Npt, rate: FrameRate) -> Self {
        let nearest = Self::of(time, rate);
        let is_before = nearest.npt().is_some_and(|label| label < time);
        Self { subframes: nearest.subframes + u64::from(is_before), ..nearest }
    }

    /// The time of the label, to the nearest nanosecond; `None` beyond five hundred years.
    pub(super) fn npt(self) -> Option<Npt> {
        let (subframes, seconds) = self.rate.subframe_rate();
        let second = u128::from(NANOS_PER_SECOND.cast_unsigned()) * u128::from(seconds);
        let scaled = u128::from(self.subframes) * second;
        let nearest = (scaled + u128::from(subframes) / 2) / u128::from(subframes);
        u64::try_from(nearest).ok().map(Npt::from_nanos)
    }

    /// Reads `hours:minutes:seconds[:frames][.subframes]`. A label that drop frame counting leaves
    /// out, as the RFC's own `10:07:00`, is the one after it.
    pub(super) fn parse(text: &str, rate: FrameRate) -> Option<Self> {
        let (label, hundredths) = text.split_once('.').unwrap_or((text, "0"));
        let hundredths: u64 = parse_decimal(hundredths).filter(|_| hundredths.len() <= 2)?;
        let mut fields = label.split(':').map(parse_decimal::<u64>);
        let [hours, minutes, seconds] = [fields.next()??, fields.next()??, fields.next()??];
        let frames = fields.next().unwrap_or(Some(0))?;
        let in_bounds = minutes < 60 && seconds < 60 && frames < rate.labels();
        if !in_bounds || hours > HOURS_MAX || fields.next().is_some() {
            return None;
        }
        let minutes = hours * 60 + minutes;
        let (frames, dropped) = match rate {
            FrameRate::Drop30 if seconds == 0 && !minutes.is_multiple_of(10) => {
                (frames.max(DROPPED), DROPPED * (minutes - minutes / 10))
            }
            FrameRate::Drop30 => (frames, DROPPED * (minutes - minutes / 10)),
            FrameRate::Fps30 | FrameRate::Fps25 => (frames, 0),
        };
        let counted = (minutes * 60 + seconds) * rate.labels() + frames - dropped;
        Some(Self { rate, subframes: counted * SUBFRAMES + hundredths })
    }

    /// The number of the frame's label, those left out counted.
    const fn label(self) -> u64 {
        let frame = self.subframes / SUBFRAMES;
        match self.rate {
            FrameRate::Fps30 | FrameRate::Fps25 => frame,
            FrameRate::Drop30 => {
                let tens = frame / DROP_TEN_MINUTES_FRAMES;
                let rest = frame % DROP_TEN_MINUTES_FRAMES;
                // The first of ten minutes has all its labels.
                let minutes = rest.saturating_sub(DROPPED) / DROP_MINUTE_FRAMES;
                frame + DROPPED * (9 * tens + minutes)
            }
        }
    }
}

impl fmt::Display for SmpteTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (label, rate) = (self.label(), self.rate.labels());
        let (seconds, frames) = (label / rate, label % rate);
        let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
        write!(f, "{hours:02}:{minutes:02}:{seconds:02}:{frames:02}")?;
        match self.subframes % SUBFRAMES {
            0 => Ok(()),
            hundredths => write!(f, ".{hundredths:02}"),
        }
    }
}

/// Keeps sums of subframes far from overflow; three years.
const HOURS_MAX: u64 = 3 * 366 * 24;

#[cfg(test)]
mod tests {
    use super::*;
    use FrameRate::{Drop30, Fps25, Fps30};
    use proptest::prelude::*;

    fn nanos(text: &str, rate: FrameRate) -> Option<u64> {
        SmpteTime::parse(text, rate).and_then(SmpteTime::npt).map(Npt::nanos)
    }

    #[test]
    fn labels_are_times() {
        for (text, rate, expected) in [
            ("00:00:10:05", Fps25, 10_200_000_000),
            ("0:0:10", Fps25, 10_000_000_000),
            ("10:07:33:05.01", Fps25, 36_453_200_400_000),
            ("00:00:01:15", Fps30, 1_500_000_000),
            ("00:00:01:15.50", Fps30, 1_516_666_667),
            // Ten minutes of drop frame labels are 17,982 frames, a minute after the first 1,798.
            ("00:10:00:00", Drop30, 599_999_400_000),
            ("00:00:59:29", Drop30, 60_026_633_333),
            ("00:01:00:02", Drop30, 60_060_000_000),
            ("00:01:00", Drop30, 60_060_000_000),
            ("10:07:00", Drop30, 36_419_983_600_000),
        ] {
            let got = nanos(text, rate).unwrap();
            assert!(got.abs_diff(expected) <= 1, "{text}: {got}");
        }
    }

    #[test]
    fn what_is_no_label() {
        for text in [
            "",
            "10",
            "10:00",
            "1:60:00",
            "1:00:60",
            "0:0:0:30",
            "0:0:0:1.100",
            "0:0:0:0:0",
            "+1:0:0",
            "0:0:-1",
            "99999999999:0:0",
        ] {
            assert_eq!(SmpteTime::parse(text, Drop30), None, "{text}");
        }
        assert_eq!(SmpteTime::parse("0:0:0:25", Fps25), None);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(nanos in 0..1_u64 << 53, rate in 0..3_usize) {
            let rate = [Drop30, Fps30, Fps25][rate];
            let label = SmpteTime::of(Npt::from_nanos(nanos), rate);
            prop_assert_eq!(SmpteTime::parse(&label.to_string(), rate), Some(label));
            let back = label.npt().unwrap();
            prop_assert!(back.nanos().abs_diff(nanos) <= 200_001, "within half a subframe");
            prop_assert_eq!(SmpteTime::of(back, rate), label);
            let after = SmpteTime::from(Npt::from_nanos(nanos), rate);
            prop_assert!(after.npt().unwrap().nanos() >= nanos);
            prop_assert!(after.subframes - label.subframes <= 1);
        }

        #[test]
        fn labels_are_in_the_order_of_time(frame in 0..10_000_000_u64) {
            let [this, next] = [frame, frame + 1]
                .map(|frame| SmpteTime { rate: Drop30, subframes: frame * SUBFRAMES });
            prop_assert!(this.label() < next.label());
            prop_assert!(next.label() - this.label() <= 1 + DROPPED);
        }
    }
}
