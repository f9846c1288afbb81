//! How play goes: the scale of what is shown and the speed of delivery (RFC 2326 §12.34, §12.35),
//! and where in the media it starts.

use packetizer::index::Direction;
use std::fmt;
use std::str::FromStr;

/// What a second of viewing shows: so many seconds of normal play time, backwards if negative.
///
/// Other scales than 1 are played by sync samples alone, so the exact one matters little; the
/// nearest of ±1, ±2, ±4, ±8, ±16 and ±32 is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Scale(i8);

impl Scale {
    /// Everything is shown, in its time.
    pub const NORMAL: Self = Self(1);

    const SUPPORTED: [i8; 12] = [1, 2, 4, 8, 16, 32, -1, -2, -4, -8, -16, -32];

    /// The supported scale nearest to `factor`, in the same direction; the slower of two.
    #[must_use]
    pub fn nearest(factor: f32) -> Self {
        let within = factor.clamp(-32.0, 32.0);
        let distance = |scale: i8| (f32::from(scale) - within).abs();
        let ahead = Self::SUPPORTED.into_iter().filter(|scale| (*scale < 0) == (factor < 0.0));
        Self(ahead.min_by(|a, b| distance(*a).total_cmp(&distance(*b))).unwrap_or(1))
    }

    /// Seconds of normal play time a second of viewing.
    #[must_use]
    pub const fn factor(self) -> i8 {
        self.0
    }

    /// Which way play goes.
    #[must_use]
    pub const fn direction(self) -> Direction {
        if self.0 < 0 { Direction::Backward } else { Direction::Forward }
    }
}

/// How many seconds of viewing are delivered in one, in thousandths.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Speed(u16);

impl Speed {
    /// As it is viewed.
    pub const NORMAL: Self = Self(1000);
    /// The slowest delivery.
    pub const MIN: Self = Self(250);
    /// The fastest delivery.
    pub const MAX: Self = Self(16_000);

    /// The supported speed nearest to `factor`.
    #[must_use]
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped")]
    pub fn nearest(factor: f32) -> Self {
        let thousandths = (factor * 1000.0).round();
        Self(thousandths.clamp(f32::from(Self::MIN.0), f32::from(Self::MAX.0)) as u16)
    }

    /// Thousandths.
    #[must_use]
    pub const fn thousandths(self) -> u16 {
        self.0
    }

    /// The speed as a factor.
    #[must_use]
    pub fn factor(self) -> f32 {
        f32::from(self.0) / 1000.0
    }
}

/// Scale and speed together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// What is shown.
    pub scale: Scale,
    /// How fast it comes.
    pub speed: Speed,
}

impl Pace {
    /// Everything, in its time.
    pub const NORMAL: Self = Self { scale: Scale::NORMAL, speed: Speed::NORMAL };

    /// Whether only sync samples are shown.
    #[must_use]
    pub fn is_skim(&self) -> bool {
        self.scale != Scale::NORMAL
    }
}

/// Where in the media a range starts: the policies of RFC 7826 §18.47, offered over RTSP 1.0 too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SeekStyle {
    /// `RAP`: at the closest random access point before the start.
    RandomAccess,
    /// `CoRAP`: as `RAP` if that is nearer to the start than where the session stands, which goes
    /// on there otherwise.
    Conditional,
    /// `First-Prior`: with what is shown at the start.
    FirstPrior,
    /// `Next`: with what is shown next from the start on.
    Next,
}

/// The policy is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownSeekStyle;

impl SeekStyle {
    const ALL: [Self; 4] = [Self::RandomAccess, Self::Conditional, Self::FirstPrior, Self::Next];

    const fn name(self) -> &'static str {
        match self {
            Self::RandomAccess => "RAP",
            Self::Conditional => "CoRAP",
            Self::FirstPrior => "First-Prior",
            Self::Next => "Next",
        }
    }
}

impl FromStr for SeekStyle {
    type Err = UnknownSeekStyle;

    fn from_str(text: &str) -> Result<Self, UnknownSeekStyle> {
        let is = |style: &Self| style.name().eq_ignore_ascii_case(text.trim_ascii());
        Self::ALL.into_iter().find(is).ok_or(UnknownSeekStyle)
    }
}

impl fmt::Display for SeekStyle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_scale_is_taken() {
        for (asked, scale) in [
            (1.0, 1),
            (0.01, 1),
            (1.5, 1),
            (1.6, 2),
            (3.0, 2),
            (3.01, 4),
            (20.0, 16),
            (1e30, 32),
            (-0.5, -1),
            (-3.5, -4),
            (-1e30, -32),
        ] {
            assert_eq!(Scale::nearest(asked).factor(), scale, "{asked}");
        }
    }

    #[test]
    fn speeds_are_clamped() {
        for (asked, thousandths) in
            [(1.0, 1000), (0.0, 250), (0.5, 500), (2.5, 2500), (1e30, 16_000), (-1.0, 250)]
        {
            assert_eq!(Speed::nearest(asked).thousandths(), thousandths, "{asked}");
        }
    }

    #[test]
    fn policies_are_read_as_they_are_written() {
        for style in SeekStyle::ALL {
            assert_eq!(style.to_string().parse(), Ok(style));
            assert_eq!(format!(" {} ", style.to_string().to_lowercase()).parse(), Ok(style));
        }
        for unknown in ["", "RAP,Next", "first prior", "NoRAP"] {
            assert_eq!(unknown.parse::<SeekStyle>(), Err(UnknownSeekStyle), "{unknown}");
        }
    }
}
