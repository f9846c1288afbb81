//! Range headers of any text.

use packetizer::time::Npt;
use server::rtsp::headers::{NptStart, Range};

/// When a presentation with an absolute time began, in nanoseconds since 1970.
const ORIGIN: Option<Npt> = Some(Npt::from_nanos(847_454_400_000_000_000));

/// A range that exists is in order, and what is written of it is the same range as far as its unit
/// tells times apart.
pub(crate) fn check(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(range) = text.parse::<Range>() else { return };
    let unit = range.unit();
    let Ok(range) = range.npt(ORIGIN) else { return };
    if let (NptStart::At(start), Some(end)) = (range.start(), range.end()) {
        assert!(start <= end);
    }
    let written = unit.write(range, ORIGIN);
    let read: Range = written.parse().unwrap();
    assert_eq!(unit.write(read.npt(ORIGIN).unwrap(), ORIGIN), written);
}
