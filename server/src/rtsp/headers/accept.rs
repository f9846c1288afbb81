//! Accept (RFC 2326 §12.1).

use super::{split_list, split_unquoted};

/// Whether the Accept headers of a request take this media type. Without any, everything is taken;
/// quality values are ignored but for zero, which refuses.
pub fn accepts<'a>(values: impl IntoIterator<Item = &'a str>, media_type: &str) -> bool {
    let mut ranges = values.into_iter().flat_map(split_list).peekable();
    ranges.peek().is_none() || ranges.any(|range| range_accepts(range, media_type))
}

fn range_accepts(range: &str, media_type: &str) -> bool {
    let mut parameters = split_unquoted(range, ';');
    let Some(range) = parameters.next() else { return false };
    let is_refused =
        parameters.filter_map(|parameter| parameter.split_once('=')).any(|(name, value)| {
            let is_zero = value.trim_ascii().bytes().all(|byte| matches!(byte, b'0' | b'.'));
            name.trim_ascii().eq_ignore_ascii_case("q") && is_zero
        });
    !is_refused && type_matches(range, media_type)
}

fn type_matches(range: &str, media_type: &str) -> bool {
    let family = |text: &str| text.split('/').next().unwrap_or_default().to_ascii_lowercase();
    range == "*"
        || range == "*/*"
        || range.eq_ignore_ascii_case(media_type)
        || (range.ends_with("/*") && family(range) == family(media_type))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sdp_is_accepted_or_not() {
        for (values, accepted) in [
            (&[][..], true),
            (&[""], true),
            (&["application/sdp"], true),
            (&["application/rtsl, Application/SDP;level=-2"], true), // RFC 2326 §12.1
            (&["application/rtsl", "*/*"], true),
            (&["application/*;q=0.1"], true),
            (&["*"], true),
            (&["text/*"], false),
            (&["application/rtsl"], false),
            (&["application/sdp;q=0.0"], false),
            (&["application/sdpx"], false),
        ] {
            assert_eq!(accepts(values.iter().copied(), "application/sdp"), accepted, "{values:?}");
        }
    }
}
