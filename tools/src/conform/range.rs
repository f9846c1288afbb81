//! The Range header of replies, in seconds.

/// A range in seconds of normal play time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Span {
    pub(super) start: f64,
    pub(super) end: Option<f64>,
}

/// Reads `npt=1.5-7`; `None` for other units or what cannot be read.
pub(super) fn parse_npt(text: &str) -> Option<Span> {
    let times = text.split(';').next()?.trim().strip_prefix("npt=")?;
    parse_times(times, npt_seconds)
}

/// Reads a range in any unit of RFC 2326 §3.5–3.7 but `clock`.
pub(super) fn parse_any(text: &str) -> Option<Span> {
    let (unit, times) = text.split(';').next()?.trim().split_once('=')?;
    match unit {
        "npt" => parse_times(times, npt_seconds),
        "smpte" | "smpte-30-drop" => parse_times(times, |time| smpte_seconds(time, 30, true)),
        "smpte-30" => parse_times(times, |time| smpte_seconds(time, 30, false)),
        "smpte-25" => parse_times(times, |time| smpte_seconds(time, 25, false)),
        _ => None,
    }
}

fn parse_times(times: &str, seconds: impl Fn(&str) -> Option<f64>) -> Option<Span> {
    let (start, end) = times.split_once('-')?;
    let end = match end.trim() {
        "" => None,
        end => Some(seconds(end)?),
    };
    Some(Span { start: seconds(start.trim())?, end })
}

/// `npt-sec` or `npt-hhmmss`.
fn npt_seconds(text: &str) -> Option<f64> {
    let mut seconds = 0.0;
    for part in text.split(':') {
        if !part.starts_with(|first: char| first.is_ascii_digit()) {
            return None;
        }
        seconds = seconds * 60.0 + part.parse::<f64>().ok()?;
    }
    Some(seconds)
}

/// `hours:minutes:seconds[:frames[.subframes]]`.
fn smpte_seconds(text: &str, rate: u32, is_drop: bool) -> Option<f64> {
    let (time, subframes) = text.split_once('.').unwrap_or((text, "0"));
    let parts: Vec<u32> = time.split(':').map(str::parse).collect::<Result<_, _>>().ok()?;
    let [hours, minutes, seconds, ref frames @ ..] = parts[..] else { return None };
    let frames = frames.first().copied().unwrap_or(0);
    let whole = (hours * 60 + minutes) * 60 + seconds;
    let all_minutes = whole / 60;
    let dropped = if is_drop { 2 * (all_minutes - all_minutes / 10) } else { 0 };
    let count = f64::from((whole * rate + frames).saturating_sub(dropped));
    let count = count + subframes.parse::<f64>().ok()? / 100.0;
    let per_second = if is_drop { 30_000.0 / 1001.0 } else { f64::from(rate) };
    Some(count / per_second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_in_seconds() {
        let read = |text| parse_any(text).map(|span| (span.start, span.end));
        for (text, expected) in [
            ("npt=1.5-7", Some((1.5, Some(7.0)))),
            ("npt=0:01:02.5-", Some((62.5, None))),
            ("npt=now-", None),
            ("npt=-5", None),
            ("smpte-25=0:00:02:05-", Some((2.2, None))),
            ("smpte-25=0:0:2:5.50-0:0:3", Some((2.22, Some(3.0)))),
            ("clock=19970123T143720Z-", None),
        ] {
            assert_eq!(read(text), expected, "{text}");
        }
        // 17982 frames are ten minutes of 29.97 a second.
        let (start, _) = read("smpte=0:10:00:00-").unwrap();
        assert!((start - 17_982.0 * 1001.0 / 30_000.0).abs() < 1e-9, "{start}");
    }
}
