//! Range headers of any text.

use server::rtsp::headers::{NptRange, NptStart};

/// A range that exists is in order, and what is written of it is the same range to the millisecond.
pub(crate) fn check(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(range) = text.parse::<NptRange>() else { return };
    if let (NptStart::At(start), Some(end)) = (range.start(), range.end()) {
        assert!(start <= end);
    }
    let written = range.to_string();
    let read: NptRange = written.parse().unwrap();
    assert_eq!(read.to_string(), written);
}
