//! Typed headers, a file each. All are read tolerantly and written in the one form that every
//! client reads.

mod accept;
mod bandwidth;
mod blocksize;
mod connection;
mod range;
mod require;
mod rtp_info;
mod scale;
mod session;
mod smpte;
mod transport;
mod utc;

pub use accept::accepts;
pub use bandwidth::Bandwidth;
pub use blocksize::Blocksize;
pub use connection::asks_to_close;
pub use range::{NptRange, NptStart, Range, RangeError, RangeUnit, SmpteName};
pub use require::required_options;
pub use rtp_info::{RtpInfo, RtpInfoEntry, RtpInfoError};
pub use scale::{Rate, RateError};
pub use session::{SessionHeader, SessionHeaderError};
pub use transport::{
    Delivery, Mode, Protocol, Transport, TransportError, TransportOffer, parse_offers,
};
pub use utc::UtcTime;

/// Splits at commas that stand outside quotes; pieces come trimmed, empty ones are left out.
fn split_list(text: &str) -> impl Iterator<Item = &str> {
    split_unquoted(text, ',')
}

/// Splits at `separator` outside quotes; pieces come trimmed, empty ones are left out.
fn split_unquoted(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    text.split(move |character| {
        quoted ^= character == '"';
        character == separator && !quoted
    })
    .map(str::trim_ascii)
    .filter(|piece| !piece.is_empty())
}

/// What stands between quotes, or the text as it is without them.
fn unquoted(text: &str) -> &str {
    text.strip_prefix('"').map_or(text, |text| text.strip_suffix('"').unwrap_or(text))
}

/// A decimal number: digits only, where `str::parse` would take a sign.
fn parse_decimal<T: std::str::FromStr>(text: &str) -> Option<T> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

/// Nanoseconds of the digits after the point; those beyond the ninth are cut off.
fn fraction_nanos(digits: &str) -> Option<u64> {
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let padded = digits.bytes().chain(std::iter::repeat(b'0')).take(9);
    Some(padded.fold(0, |nanos, digit| nanos * 10 + u64::from(digit - b'0')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_split_outside_quotes() {
        let pieces: Vec<_> = split_list(" a , \"b,c\";d,, e\"").collect();
        assert_eq!(pieces, ["a", "\"b,c\";d", "e\""]);
        assert_eq!(unquoted("\"PLAY\""), "PLAY");
        assert_eq!(unquoted("PLAY"), "PLAY");
    }

    #[test]
    fn decimals_have_no_sign() {
        assert_eq!(parse_decimal::<u16>("0065"), Some(65));
        for text in ["", "+1", "-1", "65536", "1 ", "٣"] {
            assert_eq!(parse_decimal::<u16>(text), None, "{text:?}");
        }
    }
}
