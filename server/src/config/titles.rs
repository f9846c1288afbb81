//! Keys about titles, as they are typed: `NAME=VALUE`, where a name that ends with a slash means
//! all titles below it.

use super::units::{UnitError, as_text};
use crate::rtsp::headers::UtcTime;
use crate::rtsp::{Url, UrlError};
use packetizer::time::Npt;
use std::fmt;
use std::str::FromStr;

/// A title by its name, or all titles below a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TitlePattern(String);

impl TitlePattern {
    /// What of a title's name the pattern leaves open: nothing if it names the title itself.
    /// `None` if it does not mean the title.
    #[must_use]
    pub fn rest<'a>(&self, title: &'a str) -> Option<&'a str> {
        let rest = title.strip_prefix(self.0.as_str())?;
        (rest.is_empty() != self.0.ends_with('/')).then_some(rest)
    }
}

impl FromStr for TitlePattern {
    type Err = UnitError;

    /// A slash in front is tolerated, as URLs have one.
    fn from_str(text: &str) -> Result<Self, UnitError> {
        let name = text.strip_prefix('/').unwrap_or(text);
        let is_plain = |part: &str| !part.is_empty() && part != "." && part != "..";
        if name.strip_suffix('/').unwrap_or(name).split('/').all(is_plain) {
            return Ok(Self(name.to_owned()));
        }
        Err(UnitError::new(format!(
            "`{text}` names no title: write its path in the URL, as in films/a.mp4, or films/ for \
             all below"
        )))
    }
}

impl fmt::Display for TitlePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where a title has moved to: `old.mp4=rtsp://host/new.mp4`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moved {
    /// Which titles.
    pub titles: TitlePattern,
    /// Where it is now; of titles below a directory the directory, with a slash at its end.
    pub to: RtspUrl,
}

impl FromStr for Moved {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let example = "films/a.mp4=rtsp://host/b.mp4, or old/=rtsp://host/new/";
        let refuse = || UnitError::new(format!("`{text}` names no move: write it as in {example}"));
        let split = text.find("=rtsp").ok_or_else(refuse)?;
        let (titles, to) = (text[..split].parse::<TitlePattern>()?, text[split + 1..].parse()?);
        let RtspUrl(url) = &to;
        if titles.0.ends_with('/') != url.ends_with('/') {
            return Err(UnitError::new(format!(
                "`{text}` moves a title to a directory, or the other way round: write it as in \
                 {example}"
            )));
        }
        Ok(Self { titles, to })
    }
}

impl fmt::Display for Moved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.titles, self.to)
    }
}

/// An absolute RTSP URL without query and fragment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RtspUrl(String);

impl RtspUrl {
    /// The URL.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for RtspUrl {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let refuse = |why: String| {
            UnitError::new(format!(
                "`{text}` is no RTSP URL ({why}): write rtsp://HOST[:PORT]/PATH"
            ))
        };
        let url = Url::parse(text).map_err(|error: UrlError| refuse(error.to_string()))?;
        if url.authority().is_none() || !url.raw_path().starts_with('/') {
            return Err(refuse("it has no host, or no path".to_owned()));
        }
        if text.contains(['?', '#', ' ', '@']) {
            return Err(refuse("it has a query, a user or a space".to_owned()));
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for RtspUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// When a title began in absolute time: `a.mp4=2026-01-01T00:00:00Z`, or `creation-time`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClockOrigin {
    /// Which titles.
    pub titles: TitlePattern,
    /// When their normal play time was zero.
    pub origin: Origin,
}

/// When normal play time was zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Then; counted from 1970.
    At(Npt),
    /// When the file says that it was made.
    CreationTime,
}

impl FromStr for ClockOrigin {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let refuse = || {
            UnitError::new(format!(
                "`{text}` is no clock origin: write it as in films/a.mp4=2026-01-01T00:00:00Z, or \
                 films/=creation-time"
            ))
        };
        let (titles, origin) = text.rsplit_once('=').ok_or_else(refuse)?;
        let origin = match origin {
            CREATION_TIME => Origin::CreationTime,
            time => {
                let time = UtcTime::parse(&time.replace(['-', ':'], "")).ok_or_else(refuse)?;
                Origin::At(time.since_1970())
            }
        };
        Ok(Self { titles: titles.parse()?, origin })
    }
}

impl fmt::Display for ClockOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}=", self.titles)?;
        match self.origin {
            Origin::CreationTime => f.write_str(CREATION_TIME),
            Origin::At(time) => {
                // YYYYMMDDThhmmss.sssZ, with the separators of RFC 3339.
                let text = UtcTime::new(time).to_string();
                let [date, time] = [&text[..8], &text[9..]];
                write!(f, "{}-{}-{}T", &date[..4], &date[4..6], &date[6..])?;
                write!(f, "{}:{}:{}", &time[..2], &time[2..4], &time[4..])
            }
        }
    }
}

const CREATION_TIME: &str = "creation-time";

as_text! {
    Moved: "text such as \"old.mp4=rtsp://host/new.mp4\"",
    RtspUrl: "text such as \"rtsp://host/\"",
    ClockOrigin: "text such as \"a.mp4=2026-01-01T00:00:00Z\"",
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_name_a_title_or_all_below() {
        for (pattern, title, rest) in [
            ("a.mp4", "a.mp4", Some("")),
            ("/a.mp4", "a.mp4", Some("")),
            ("a.mp4", "a.mp4/b", None),
            ("a", "ab", None),
            ("films/", "films/a/b.mp4", Some("a/b.mp4")),
            ("films/", "films/", None),
            ("films/", "films", None),
            ("films/", "movies/films/a", None),
        ] {
            let parsed: TitlePattern = pattern.parse().unwrap();
            assert_eq!(parsed.rest(title), rest, "{pattern} {title}");
        }
    }

    #[test]
    fn what_is_written_reads_the_same() {
        for (text, written) in [
            ("a.mp4=rtsp://h/b.mp4", "a.mp4=rtsp://h/b.mp4"),
            ("/a=b.mp4=rtsps://h:322/b.mp4", "a=b.mp4=rtsps://h:322/b.mp4"),
            ("old/=rtsp://[::1]:8554/new/x/", "old/=rtsp://[::1]:8554/new/x/"),
        ] {
            let moved: Moved = text.parse().unwrap();
            assert_eq!(moved.to_string(), written);
            assert_eq!(written.parse::<Moved>(), Ok(moved));
        }
        for (text, written) in [
            ("a.mp4=2026-01-01T00:00:00Z", "a.mp4=2026-01-01T00:00:00.000Z"),
            ("a=b.mp4=20260101T000000.5Z", "a=b.mp4=2026-01-01T00:00:00.500Z"),
            ("films/=creation-time", "films/=creation-time"),
        ] {
            let origin: ClockOrigin = text.parse().unwrap();
            assert_eq!(origin.to_string(), written);
            assert_eq!(written.parse::<ClockOrigin>(), Ok(origin));
        }
        let origin: ClockOrigin = "a=1970-01-01T00:00:10Z".parse().unwrap();
        assert_eq!(origin.origin, Origin::At(Npt::from_nanos(10_000_000_000)));
    }

    #[test]
    fn what_is_wrong_says_how_it_is_written() {
        for (text, part) in [
            ("a.mp4", "names no move"),
            ("a.mp4=http://h/b", "names no move"),
            ("=rtsp://h/b", "names no title"),
            ("../a=rtsp://h/b", "names no title"),
            ("a//b=rtsp://h/b", "names no title"),
            ("a=rtsp://h", "no path"),
            ("a=rtsp:///b", "is no RTSP URL"),
            ("a=rtsp://h/b?c", "has a query"),
            ("a=rtsp://me:secret@h/b", "a user"),
            ("a/=rtsp://h/b", "other way round"),
            ("a=rtsp://h/b/", "other way round"),
        ] {
            let error = text.parse::<Moved>().unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
        for text in ["a.mp4", "a.mp4=", "a.mp4=now", "=creation-time", "a=2026-13-01T00:00:00Z"] {
            let error = text.parse::<ClockOrigin>().unwrap_err().to_string();
            assert!(error.contains("write "), "{text}: {error}");
        }
    }
}
