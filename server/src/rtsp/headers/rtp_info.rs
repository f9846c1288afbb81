//! RTP-Info (RFC 2326 §12.33).

use super::parse_decimal;
use std::fmt;

/// Where each stream of a PLAY starts, in the order of their SETUP.
///
/// Displays entries joined by a comma without a space, of `url`, `seq` and `rtptime` only:
/// ExoPlayer fails on any other parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RtpInfo<'a> {
    /// An entry a stream.
    pub entries: Vec<RtpInfoEntry<'a>>,
}

/// Where a stream starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RtpInfoEntry<'a> {
    /// The stream's control URL, as the presentation description makes it: FFmpeg compares.
    pub url: &'a str,
    /// Sequence number of the first packet.
    pub sequence: Option<u16>,
    /// RTP timestamp of the start of the range, not of the first packet.
    pub rtptime: Option<u32>,
}

/// The header cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RtpInfoError;

impl fmt::Display for RtpInfoError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RTP-Info cannot be read")
    }
}

impl std::error::Error for RtpInfoError {}

impl<'a> RtpInfo<'a> {
    /// Reads a response's header. URLs may contain commas and semicolons, and may be quoted;
    /// unknown parameters are passed over.
    ///
    /// # Errors
    ///
    /// If an entry does not start with a `url`, or a number is none.
    pub fn parse(value: &'a str) -> Result<Self, RtpInfoError> {
        let entries: Result<Vec<_>, _> = split_entries(value).map(RtpInfoEntry::parse).collect();
        entries
            .and_then(|entries| if entries.is_empty() { Err(RtpInfoError) } else { Ok(entries) })
            .map(|entries| Self { entries })
    }
}

/// Splits at commas that a `url=` follows: a comma may also be part of a URL.
fn split_entries(value: &str) -> impl Iterator<Item = &str> {
    let mut rest = value.trim_ascii();
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let next = rest.match_indices(',').find(|(comma, _)| starts_entry(&rest[comma + 1..]));
        let (entry, after) = match next {
            Some((comma, _)) => (&rest[..comma], &rest[comma + 1..]),
            None => (rest, ""),
        };
        rest = after.trim_ascii();
        Some(entry.trim_ascii())
    })
}

fn starts_entry(text: &str) -> bool {
    text.trim_ascii_start().get(..4).is_some_and(|start| start.eq_ignore_ascii_case("url="))
}

impl<'a> RtpInfoEntry<'a> {
    fn parse(text: &'a str) -> Result<Self, RtpInfoError> {
        if !starts_entry(text) {
            return Err(RtpInfoError);
        }
        let url = &text["url=".len()..];
        let mut entry = Self { url, sequence: None, rtptime: None };
        // From the end, because a semicolon may also be part of the URL.
        while let Some((before, parameter)) = entry.url.rsplit_once(';') {
            let (name, number) = parameter.split_once('=').unwrap_or((parameter, ""));
            let (name, number) = (name.trim_ascii(), number.trim_ascii());
            if name.eq_ignore_ascii_case("seq") {
                entry.sequence = Some(parse_decimal(number).ok_or(RtpInfoError)?);
            } else if name.eq_ignore_ascii_case("rtptime") {
                entry.rtptime = Some(parse_decimal(number).ok_or(RtpInfoError)?);
            } else if entry.sequence.is_some() || entry.rtptime.is_some() {
                break;
            }
            entry.url = before;
        }
        entry.url = super::unquoted(entry.url.trim_ascii());
        Ok(entry)
    }
}

impl fmt::Display for RtpInfo<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, entry) in self.entries.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            write!(f, "{comma}{entry}")?;
        }
        Ok(())
    }
}

impl fmt::Display for RtpInfoEntry<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "url={}", self.url)?;
        self.sequence.map_or(Ok(()), |sequence| write!(f, ";seq={sequence}"))?;
        self.rtptime.map_or(Ok(()), |rtptime| write!(f, ";rtptime={rtptime}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn reads(text: &str, expected: &[(&str, Option<u16>, Option<u32>)]) {
        let entry = |&(url, sequence, rtptime)| RtpInfoEntry { url, sequence, rtptime };
        let entries = expected.iter().map(entry).collect();
        assert_eq!(RtpInfo::parse(text), Ok(RtpInfo { entries }), "{text}");
    }

    #[test]
    fn entries_are_read() {
        // RFC 2326 §12.33, §14.2
        reads(
            "url=rtsp://foo.com/bar.avi/streamid=0;seq=45102,url=rtsp://foo.com/bar.avi/streamid=1;seq=30211",
            &[
                ("rtsp://foo.com/bar.avi/streamid=0", Some(45102), None),
                ("rtsp://foo.com/bar.avi/streamid=1", Some(30211), None),
            ],
        );
        reads(
            "url=rtsp://h/a;seq=1;rtptime=3450012, url=rtsp://h/b ; rtptime = 4294967295",
            &[("rtsp://h/a", Some(1), Some(3_450_012)), ("rtsp://h/b", None, Some(u32::MAX))],
        );
        reads("URL=\"trackID=0\";SEQ=7", &[("trackID=0", Some(7), None)]);
        reads(
            "url=rtsp://h/a,b;c=d;seq=7,url=x",
            &[("rtsp://h/a,b;c=d", Some(7), None), ("x", None, None)],
        );
        for text in ["", "seq=1", "url=a;seq=65536", "url=a;seq=", "url=a;rtptime=-1", "url"] {
            assert_eq!(RtpInfo::parse(text), Err(RtpInfoError), "{text}");
        }
    }

    #[test]
    fn exoplayer_gets_three_keys_and_no_space() {
        let entry = |url| RtpInfoEntry { url, sequence: Some(4711), rtptime: Some(90_000) };
        let header = RtpInfo { entries: vec![entry("rtsp://h/t/trackID=0"), entry("b")] };
        assert_eq!(
            header.to_string(),
            "url=rtsp://h/t/trackID=0;seq=4711;rtptime=90000,url=b;seq=4711;rtptime=90000"
        );
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            entries in prop::collection::vec(("rtsp://h/[a-z,=/?]{1,20}", any::<u16>(), any::<u32>()), 1..8)
        ) {
            prop_assume!(entries.iter().all(|(url, ..)| !url.contains(",url=")));
            let expected: Vec<_> = entries
                .iter()
                .map(|(url, sequence, rtptime)| (url.as_str(), Some(*sequence), Some(*rtptime)))
                .collect();
            let entry = |&(url, sequence, rtptime)| RtpInfoEntry { url, sequence, rtptime };
            let text = RtpInfo { entries: expected.iter().map(entry).collect() }.to_string();
            reads(&text, &expected);
        }

        #[test]
        fn nothing_panics(text in "(url=)?[a-z;,=\"0-9é]{0,30}(,url=|;seq=|;rtptime=)?[0-9é]{0,5}") {
            if let Ok(header) = RtpInfo::parse(&text) {
                prop_assert!(!header.entries.is_empty());
            }
        }
    }
}
