//! Values with units, as they are typed: bytes, bit rates, times, port ranges, CPU lists.
//!
//! Each type parses what it prints, from a flag and from a TOML string alike.

use serde::de;
use std::fmt;
use std::marker::PhantomData;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

/// A number of bytes: `512MiB`, `2GiB`, `100kB`, `4096B`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bytes(pub u64);

/// Bits per second: `10Gbit/s`, `800Mbit/s`, `64kbit/s`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct BitRate(pub u64);

/// A length of time: `250ms`, `10s`, `5min`, `1h`. Kept in whole milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(pub Duration);

/// UDP ports, first and last: `6970-7033`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortRange(pub RangeInclusive<u16>);

/// CPUs in the order in which they are taken: `2-7,9`. None twice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CpuList(pub Vec<usize>);

/// Why a value is not one: a sentence that shows how it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnitError(String);

impl fmt::Display for UnitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for UnitError {}

impl UnitError {
    /// The sentence.
    pub(super) const fn new(sentence: String) -> Self {
        Self(sentence)
    }
}

/// A unit's spellings (the first is printed) and how many of the smallest it is worth.
type Unit = (&'static [&'static str], u64);

// From the biggest to the smallest: what prints takes the first that divides the value.
const BYTES: &[Unit] = &[
    (&["TiB"], 1 << 40),
    (&["TB"], 1_000_000_000_000),
    (&["GiB"], 1 << 30),
    (&["GB"], 1_000_000_000),
    (&["MiB"], 1 << 20),
    (&["MB"], 1_000_000),
    (&["KiB"], 1 << 10),
    (&["kB", "KB"], 1_000),
    (&["B"], 1),
];
const BITS_PER_SECOND: &[Unit] = &[
    (&["Tbit/s"], 1_000_000_000_000),
    (&["Gbit/s"], 1_000_000_000),
    (&["Mbit/s"], 1_000_000),
    (&["kbit/s"], 1_000),
    (&["bit/s"], 1),
];
const MILLISECONDS: &[Unit] =
    &[(&["h"], 3_600_000), (&["min", "m"], 60_000), (&["s"], 1_000), (&["ms"], 1)];

impl FromStr for Bytes {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        parse_quantity(text, BYTES, "512MiB, 2GiB or 100kB").map(Self)
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_quantity(f, self.0, BYTES)
    }
}

impl FromStr for BitRate {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        parse_quantity(text, BITS_PER_SECOND, "10Gbit/s, 800Mbit/s or 64kbit/s").map(Self)
    }
}

impl fmt::Display for BitRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_quantity(f, self.0, BITS_PER_SECOND)
    }
}

impl FromStr for Span {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        parse_quantity(text, MILLISECONDS, "250ms, 10s, 5min or 1h")
            .map(|milliseconds| Self(Duration::from_millis(milliseconds)))
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let milliseconds = u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX);
        write_quantity(f, milliseconds, if milliseconds == 0 { SECONDS } else { MILLISECONDS })
    }
}

/// How zero prints: `0s` reads better than `0h`.
const SECONDS: &[Unit] = &[(&["s"], 1_000)];

impl FromStr for PortRange {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let ports = text
            .split_once('-')
            .and_then(|(first, last)| Some((parse_port(first)?, parse_port(last)?)));
        match ports {
            Some((first, last)) if first <= last => Ok(Self(first..=last)),
            _ => Err(UnitError(format!(
                "`{text}` is not a range of ports: write the first and the last, as in 6970-7033"
            ))),
        }
    }
}

fn parse_port(text: &str) -> Option<u16> {
    text.trim().parse().ok().filter(|port| *port != 0)
}

impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.0.start(), self.0.end())
    }
}

impl FromStr for CpuList {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let refuse = |why: &str| {
            UnitError(format!("`{text}` is not a list of CPUs ({why}): write it as in 2-7,9"))
        };
        let mut cpus = Vec::new();
        for part in text.split(',') {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let (Ok(first), Ok(last)) = (first.trim().parse(), last.trim().parse()) else {
                return Err(refuse("each part is a number or a range"));
            };
            if first > last || last >= CPU_MAX {
                return Err(refuse("a range goes upwards, and CPUs are numbered from 0"));
            }
            for cpu in first..=last {
                if cpus.contains(&cpu) {
                    return Err(refuse("a CPU is named twice"));
                }
                cpus.push(cpu);
            }
        }
        Ok(Self(cpus))
    }
}

/// One more than the largest CPU number: what the kernel's `cpu_set_t` holds.
const CPU_MAX: usize = 1024;

impl fmt::Display for CpuList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0.as_slice();
        while let Some(&first) = rest.first() {
            let run = rest.iter().zip(first..).take_while(|(cpu, next)| *cpu == next).count();
            match run {
                1 => write!(f, "{first}")?,
                _ => write!(f, "{first}-{}", first + run - 1)?,
            }
            rest = &rest[run..];
            if !rest.is_empty() {
                f.write_str(",")?;
            }
        }
        Ok(())
    }
}

/// Parses a decimal number (with up to nine digits behind the point) and a unit.
fn parse_quantity(text: &str, units: &[Unit], examples: &str) -> Result<u64, UnitError> {
    let refuse = |why: &str| UnitError(format!("`{text}` {why}: write it as in {examples}"));
    let trimmed = text.trim();
    let number_end =
        trimmed.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(trimmed.len());
    let (number, unit) = trimmed.split_at(number_end);
    let unit = unit.trim_start();
    if number.is_empty() {
        return Err(refuse("has no number"));
    }
    if unit.is_empty() {
        return Err(refuse("has no unit"));
    }
    let Some((_, worth)) = units.iter().find(|(spellings, _)| spellings.contains(&unit)) else {
        return Err(refuse("has an unknown unit"));
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let (Ok(whole), Ok(nanos)) = (whole.parse::<u64>(), parse_fraction(fraction)) else {
        return Err(refuse("has a number that is not one"));
    };
    let of_fraction = u128::from(*worth) * u128::from(nanos);
    if !of_fraction.is_multiple_of(NANO) {
        return Err(refuse("is finer than the smallest unit"));
    }
    u64::try_from(u128::from(whole) * u128::from(*worth) + of_fraction / NANO)
        .map_err(|_| refuse("is too large"))
}

const NANO: u128 = 1_000_000_000;

/// The digits behind the point, in billionths.
fn parse_fraction(digits: &str) -> Result<u64, ()> {
    let well_formed = (1..=9).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
    if well_formed { format!("{digits:0<9}").parse().map_err(|_| ()) } else { Err(()) }
}

/// Prints with the biggest unit that leaves a whole number.
fn write_quantity(f: &mut fmt::Formatter<'_>, value: u64, units: &[Unit]) -> fmt::Result {
    let fits = |(_, worth): &&Unit| value.is_multiple_of(*worth) && (value != 0 || *worth == 1);
    match units.iter().find(fits).or(units.last()) {
        Some((spellings, worth)) => write!(f, "{}{}", value / worth, spellings[0]),
        None => write!(f, "{value}"),
    }
}

/// Serde by text: what `Display` prints and `FromStr` reads.
macro_rules! as_text {
    ($($name:ident: $expected:literal),* $(,)?) => {$(
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                d.deserialize_str($crate::config::units::Text::new($expected))
            }
        }
    )*};
}

pub(super) use as_text;

as_text! {
    Bytes: "text such as \"2GiB\"",
    BitRate: "text such as \"10Gbit/s\"",
    Span: "text such as \"10s\"",
    PortRange: "text such as \"6970-7033\"",
    CpuList: "text such as \"2-7,9\"",
}

/// Reads a `T` from text.
pub(super) struct Text<T> {
    expected: &'static str,
    of: PhantomData<T>,
}

impl<T> Text<T> {
    pub(super) const fn new(expected: &'static str) -> Self {
        Self { expected, of: PhantomData }
    }
}

impl<T: FromStr<Err = UnitError>> de::Visitor<'_> for Text<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.expected)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(E::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What parses, to what, and how it prints again.
    fn check<T, V>(table: &[(&str, V, &str)], value: impl Fn(&T) -> V)
    where
        T: FromStr<Err = UnitError> + fmt::Display,
        V: PartialEq + fmt::Debug,
    {
        for (typed, expected, printed) in table {
            let parsed: T = typed.parse().unwrap_or_else(|error| panic!("{typed}: {error}"));
            assert_eq!(value(&parsed), *expected, "{typed}");
            assert_eq!(parsed.to_string(), *printed, "{typed}");
            let again: T = printed.parse().unwrap();
            assert_eq!(value(&again), *expected, "{printed}");
        }
    }

    #[test]
    fn bytes_parse_and_print() {
        check::<Bytes, _>(
            &[
                ("2GiB", 2 << 30, "2GiB"),
                ("2 GiB", 2 << 30, "2GiB"),
                ("1.5GiB", 3 << 29, "1536MiB"),
                ("100kB", 100_000, "100kB"),
                ("100KB", 100_000, "100kB"),
                ("1024B", 1024, "1KiB"),
                ("0B", 0, "0B"),
                ("1TiB", 1 << 40, "1TiB"),
                ("2TB", 2_000_000_000_000, "2TB"),
            ],
            |bytes| bytes.0,
        );
    }

    #[test]
    fn bit_rates_parse_and_print() {
        check::<BitRate, _>(
            &[
                ("10Gbit/s", 10_000_000_000, "10Gbit/s"),
                ("2.5Gbit/s", 2_500_000_000, "2500Mbit/s"),
                ("64kbit/s", 64_000, "64kbit/s"),
                ("7bit/s", 7, "7bit/s"),
            ],
            |rate| rate.0,
        );
    }

    #[test]
    fn spans_parse_and_print() {
        check::<Span, _>(
            &[
                ("250ms", 250, "250ms"),
                ("60s", 60_000, "1min"),
                ("90s", 90_000, "90s"),
                ("0.5s", 500, "500ms"),
                ("5m", 300_000, "5min"),
                ("1h", 3_600_000, "1h"),
                ("0s", 0, "0s"),
            ],
            |span| span.0.as_millis(),
        );
    }

    #[test]
    fn ranges_and_lists_parse_and_print() {
        check::<PortRange, _>(
            &[("6970-7033", 6970..=7033, "6970-7033"), ("2 - 3", 2..=3, "2-3")],
            |range| range.0.clone(),
        );
        check::<CpuList, _>(
            &[
                ("2-7,9", vec![2, 3, 4, 5, 6, 7, 9], "2-7,9"),
                ("0", vec![0], "0"),
                ("3,1, 2", vec![3, 1, 2], "3,1-2"),
                ("4,5", vec![4, 5], "4-5"),
            ],
            |list| list.0.clone(),
        );
    }

    #[test]
    fn what_is_wrong_says_how_it_is_written() {
        fn refused<T: FromStr<Err = UnitError> + fmt::Debug>(table: &[(&str, &str)]) {
            for (typed, sentence) in table {
                let error = typed.parse::<T>().unwrap_err().to_string();
                assert!(error.contains(sentence), "{typed}: {error}");
                assert!(error.contains("write "), "{typed}: {error}");
            }
        }
        refused::<Bytes>(&[
            ("", "has no number"),
            ("GiB", "has no number"),
            ("2048", "has no unit"),
            ("2GB/s", "unknown unit"),
            ("2gib", "unknown unit"),
            ("-1GiB", "has no number"),
            ("1.2.3GiB", "not one"),
            ("1.GiB", "not one"),
            (".5GiB", "not one"),
            ("0.5B", "finer"),
            ("0.0000000001GiB", "not one"),
            ("99999999999999999999B", "not one"),
            ("18446744073709551615KiB", "too large"),
        ]);
        refused::<BitRate>(&[("10Gb", "unknown unit"), ("10GiB/s", "unknown unit")]);
        refused::<Span>(&[("10", "has no unit"), ("10 sec", "unknown unit")]);
        refused::<PortRange>(&[
            ("6970", "not a range of ports"),
            ("7033-6970", "not a range of ports"),
            ("0-9", "not a range of ports"),
            ("6970-70330", "not a range of ports"),
        ]);
        refused::<CpuList>(&[
            ("", "a number or a range"),
            ("2-", "a number or a range"),
            ("7-2", "upwards"),
            ("0-4096", "upwards"),
            ("1,1", "named twice"),
            ("1-3,2", "named twice"),
        ]);
    }
}
