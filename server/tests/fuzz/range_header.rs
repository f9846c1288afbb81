//! Range headers of any text.

use packetizer::time::Npt;
use server::rtsp::headers::Range;

/// When a presentation with an absolute time began, in nanoseconds since 1970.
const ORIGIN: Option<Npt> = Some(Npt::from_nanos(847_454_400_000_000_000));

/// What is written of a range is the same range as far as its unit tells times apart; a pause point
/// is a range without an end.
pub(crate) fn check(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let point = Range::parse_point(text);
    let Ok(range) = text.parse::<Range>() else { return };
    assert_eq!(point, Ok(range), "a range is read as a point too");
    let unit = range.unit();
    let Ok(range) = range.npt(ORIGIN) else { return };
    let written = unit.write(range, ORIGIN);
    let read: Range = written.parse().unwrap();
    assert_eq!(unit.write(read.npt(ORIGIN).unwrap(), ORIGIN), written);
}
