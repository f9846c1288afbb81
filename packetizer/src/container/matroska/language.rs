//! Languages: Matroska's forms as ISO 639-2/T codes (RFC 9559 §12).

use crate::language;

/// The code of a Language element: ISO 639-2/B, perhaps with a country behind a hyphen; `None` for
/// `und` and what is no code.
pub(super) fn from_language(text: &[u8]) -> Option<[u8; 3]> {
    language::terminological(text.split(|byte| *byte == b'-').next()?)
}

/// The code of a LanguageBCP47 element, by its primary subtag.
pub(super) fn from_bcp47(text: &[u8]) -> Option<[u8; 3]> {
    language::code(str::from_utf8(text).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_become_terminological() {
        for (text, expected) in [
            (&b"eng"[..], Some(b"eng")),
            (b"ger", Some(b"deu")),
            (b"fre-ca", Some(b"fra")),
            (b"und", None),
            (b"en", None),
            (b"ENG", None),
            (b"", None),
        ] {
            assert_eq!(from_language(text), expected.copied(), "{text:?}");
        }
        for (text, expected) in [
            (&b"en-US"[..], Some(b"eng")),
            (b"DE", Some(b"deu")),
            (b"zh-Hant", Some(b"zho")),
            (b"zu", Some(b"zul")),
            (b"yue", Some(b"yue")),
            (b"und", None),
            (b"xx", None),
            (b"", None),
        ] {
            assert_eq!(from_bcp47(text), expected.copied(), "{text:?}");
        }
    }
}
