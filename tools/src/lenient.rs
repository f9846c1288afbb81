//! What other servers' replies mean, where reading them strictly would refuse to play: a load
//! generator measures what is there. [`crate::headers`] is for tests of what should be.

use crate::headers::{NptRange, Session, parse_range, parse_session};
use crate::verify::RangeStart;

/// The `Session` header, with blanks around its parameters or parameters that are not known.
#[must_use]
pub fn session(text: &str) -> Option<Session> {
    let mut parts = text.split(';').map(str::trim);
    let id = parts.next()?;
    let timeout = parts.find(|part| part.starts_with("timeout=")).unwrap_or("timeout=60");
    parse_session(&format!("{id};{timeout}"))
}

/// The `a=range` of a description. GStreamer's server says "now" of a file that nobody plays, VLC's
/// puts a blank before the value.
#[must_use]
pub fn described_range(text: &str) -> Option<NptRange> {
    parse_range(&text.trim().replacen("npt=now-", "npt=0-", 1))
}

/// What `RTP-Info` says of the stream at `control_url`, in any order and as far as it goes: some
/// servers leave it out, name streams by relative URLs, or give no `seq` or `rtptime`.
#[must_use]
pub fn range_start(rtp_info: Option<&str>, control_url: &str) -> RangeStart {
    // URLs may have commas of their own.
    let begins_entry = |text: &str| {
        ["url=", "seq=", "rtptime="].iter().any(|key| text.trim_start().starts_with(key))
    };
    let mut entries: Vec<String> = Vec::new();
    for piece in rtp_info.unwrap_or_default().split(',') {
        match entries.last_mut() {
            Some(entry) if !begins_entry(piece) => entry.extend([",", piece]),
            Some(_) | None => entries.push(piece.to_owned()),
        }
    }
    for entry in entries {
        let mut url = "";
        let mut start = RangeStart::default();
        for part in entry.trim().split(';').map(str::trim) {
            match part.split_once('=') {
                Some(("url", value)) => url = value.trim_matches('"'),
                Some(("seq", value)) => start.sequence = value.parse().ok(),
                Some(("rtptime", value)) => start.rtptime = value.parse().ok(),
                Some(_) | None => {}
            }
        }
        if names(url, control_url) {
            return start;
        }
    }
    RangeStart::default()
}

/// Whether `url`, perhaps relative, is `control_url`.
fn names(url: &str, control_url: &str) -> bool {
    let url = url.trim_end_matches('/');
    let control_url = control_url.trim_end_matches('/');
    let is_tail = |rest: &str| rest.is_empty() || rest.ends_with('/') || url.starts_with('/');
    !url.is_empty() && control_url.strip_suffix(url).is_some_and(is_tail)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn sessions_may_have_blanks_and_other_parameters() {
        for (text, seconds) in [("12; timeout=30", 30), ("12 ; mode=x;timeout=5", 5), ("12;a", 60)]
        {
            let expected = Session { id: "12".into(), timeout: Duration::from_secs(seconds) };
            assert_eq!(session(text), Some(expected), "{text}");
        }
        assert_eq!(session("; timeout=3"), None);
    }

    #[test]
    fn described_ranges_may_start_now_or_behind_a_blank() {
        let range = |text| {
            let NptRange { start, end } = described_range(text)?;
            Some((start.nanos(), end.map(|end| end.nanos())))
        };
        for (text, expected) in [
            ("npt=0-10.500", Some((0, Some(10_500_000_000)))),
            ("npt=now-", Some((0, None))),
            (" npt=0-300.043", Some((0, Some(300_043_000_000)))),
            ("n pt=0-1", None),
            ("clock=0-", None),
        ] {
            assert_eq!(range(text), expected, "{text:?}");
        }
    }

    #[test]
    fn urls_may_have_commas() {
        let text = Some("url=rtsp://h/a,b/1;seq=1;rtptime=2, url=rtsp://h/a,b/2;seq=3;rtptime=4");
        for (url, sequence, rtptime) in [("rtsp://h/a,b/1", 1, 2), ("rtsp://h/a,b/2", 3, 4)] {
            let expected = RangeStart { sequence: Some(sequence), rtptime: Some(rtptime) };
            assert_eq!(range_start(text, url), expected);
        }
    }

    #[test]
    fn rtp_info_is_taken_as_far_as_it_goes() {
        let start = |sequence, rtptime| RangeStart { sequence, rtptime };
        let control = "rtsp://h/a.mp4/stream=1";
        for (text, expected) in [
            (None, start(None, None)),
            (Some("url=rtsp://h/a.mp4/stream=1;seq=3;rtptime=4"), start(Some(3), Some(4))),
            (Some("url=x;seq=1, url=stream=1;rtptime=4;seq=3"), start(Some(3), Some(4))),
            (Some("url=\"rtsp://h/a.mp4/stream=1\";seq=3"), start(Some(3), None)),
            (Some("url=rtsp://h/a.mp4/stream=1/;rtptime=9"), start(None, Some(9))),
            (Some("url=x,y;seq=1,seq=3;url=stream=1"), start(Some(3), None)),
            (Some("url=1;seq=3;rtptime=4"), start(None, None)),
            (Some("seq=3"), start(None, None)),
        ] {
            assert_eq!(range_start(text, control), expected, "{text:?}");
        }
    }
}
