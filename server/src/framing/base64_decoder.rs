//! Base64 (RFC 4648 §4) decoded as it arrives: what the client of an HTTP tunnel sends.

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

/// Turns the base64 of a stream into its bytes, whatever the chunks are.
///
/// Clients encode each message by itself, so padding may end any group of symbols and others may
/// follow it; lines may break anywhere. A stream may go on in another connection: nothing of the
/// decoder's state belongs to one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Base64Decoder {
    /// The unfinished group: the first `count` of these.
    symbols: [u8; GROUP_SYMBOLS as usize],
    count: u8,
    /// Padding that must follow before the next group.
    padding: u8,
    is_broken: bool,
}

impl Base64Decoder {
    /// A decoder at the start of a stream.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether something came that is not base64; what follows it is dropped.
    #[must_use]
    pub const fn is_broken(&self) -> bool {
        self.is_broken
    }

    /// Appends to `decoded` the bytes of all groups that `encoded` completes.
    pub fn push(&mut self, encoded: &[u8], decoded: &mut Vec<u8>) {
        for &byte in encoded {
            match byte {
                _ if self.is_broken => return,
                b' ' | b'\t' | b'\r' | b'\n' => {}
                b'=' if self.padding > 0 => self.padding -= 1,
                // A group of one symbol has not the bits of a byte.
                b'=' if self.count >= 2 => {
                    self.padding = GROUP_SYMBOLS - self.count - 1;
                    self.finish_group(decoded);
                }
                b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'+' | b'/' if self.padding == 0 => {
                    self.symbols[usize::from(self.count)] = byte;
                    self.count += 1;
                    if self.count == GROUP_SYMBOLS {
                        self.finish_group(decoded);
                    }
                }
                _ => self.is_broken = true,
            }
        }
    }

    fn finish_group(&mut self, decoded: &mut Vec<u8>) {
        let mut bytes = [0; GROUP_BYTES];
        match ENGINE.decode_slice(&self.symbols[..usize::from(self.count)], &mut bytes) {
            Ok(count) => decoded.extend_from_slice(&bytes[..count]),
            Err(_) => self.is_broken = true,
        }
        self.count = 0;
    }
}

const GROUP_SYMBOLS: u8 = 4;
const GROUP_BYTES: usize = 3;
/// Padding is counted above; bits behind the last byte are nobody's.
const ENGINE: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::RequireNone)
        .with_decode_allow_trailing_bits(true),
);

#[cfg(test)]
mod tests {
    use super::*;
    use base64::prelude::BASE64_STANDARD;
    use proptest::prelude::*;

    /// What comes of a stream in chunks of so many bytes, and whether it broke.
    fn decode(encoded: &[u8], chunk_bytes: usize) -> (Vec<u8>, bool) {
        let (mut decoder, mut decoded) = (Base64Decoder::new(), Vec::new());
        encoded.chunks(chunk_bytes).for_each(|chunk| decoder.push(chunk, &mut decoded));
        (decoded, decoder.is_broken())
    }

    #[test]
    fn groups_end_where_they_end() {
        for (encoded, decoded, is_broken) in [
            ("", "", false),
            ("QUJD", "ABC", false),
            ("QUI=", "AB", false),
            ("QQ==", "A", false),
            ("QQ==QUI=QUJDQQ==", "AABABCA", false),
            ("Q\r\nQ\n=\t= Q U J D\r\n\r\n", "AABC", false),
            // Bits behind the last byte.
            ("QR==QUJ=", "AAB", false),
            // Not yet complete.
            ("QUJDQUJ", "ABC", false),
            ("QUJDQQ=", "ABCA", false),
            ("QQ=A", "A", true),
            ("QUJD=", "ABC", true),
            ("Q===", "", true),
            ("QQ===", "A", true),
            ("=", "", true),
            ("QUJD-QUJD", "ABC", true),
            ("QUJD\0QUJD", "ABC", true),
            ("QUJDQ\u{e9}", "ABC", true),
        ] {
            for chunk_bytes in 1..=encoded.len().max(1) {
                let got = decode(encoded.as_bytes(), chunk_bytes);
                assert_eq!(got, (decoded.into(), is_broken), "{encoded:?} by {chunk_bytes}");
            }
        }
    }

    proptest! {
        #[test]
        fn messages_encoded_apart_come_out_in_one(
            messages in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..50), 0..8),
            breaks in prop::collection::vec(0_usize..200, 0..8),
            chunk_bytes in 1_usize..40,
        ) {
            let mut encoded: String =
                messages.iter().map(|message| BASE64_STANDARD.encode(message)).collect();
            for at in breaks {
                encoded.insert_str(at.min(encoded.len()), "\r\n");
            }
            prop_assert_eq!(decode(encoded.as_bytes(), chunk_bytes), (messages.concat(), false));
        }
    }
}
