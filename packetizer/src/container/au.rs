//! Sun's and NeXT's audio files: .au, .snd.

use super::pcm::{self, Description};
use super::{Demand, Demux, IndexError};
use crate::codec::pcm::{PcmConfig, PcmEncoding};
use crate::index::{MediaIndex, SkipReason};

/// All is known from the header; the demand is for nothing.
#[derive(Debug)]
struct Opened {
    config: Result<PcmConfig, SkipReason>,
    offset: u64,
    bytes: u64,
}

/// A file with the magic number.
pub(super) fn probe(head: &[u8], file_bytes: u64) -> Option<Box<dyn Demux>> {
    let rest = head.strip_prefix(b".snd")?;
    let mut words = rest.chunks_exact(4).filter_map(|word| word.try_into().ok());
    let mut word = || words.next().map(u32::from_be_bytes);
    let (offset, bytes, encoding) = (u64::from(word()?), word()?, word()?);
    let (sample_rate, channels) = (word()?, word()?);
    let described = |encoding| Description { encoding, sample_rate, channels }.config();
    let config = parse_encoding(encoding).and_then(described);
    let left = file_bytes.saturating_sub(offset);
    // All ones: unknown when the header was written.
    let bytes = if bytes == u32::MAX { left } else { u64::from(bytes).min(left) };
    Some(Box::new(Opened { config, offset, bytes }))
}

fn parse_encoding(encoding: u32) -> Result<PcmEncoding, SkipReason> {
    match encoding {
        1 => Ok(PcmEncoding::Mulaw),
        2 => Ok(PcmEncoding::Signed8),
        3..=5 => pcm::linear(encoding - 1, true),
        6 | 7 => Err(SkipReason::Codec("floating-point PCM".to_owned())),
        27 => Ok(PcmEncoding::Alaw),
        _ => Err(SkipReason::Codec(format!("AU encoding {encoding}"))),
    }
}

impl Demux for Opened {
    fn demand(&self) -> Demand {
        Demand { offset: 0, bytes: 1 }
    }

    fn supply(&mut self, _bytes: &[u8]) -> Result<Option<MediaIndex>, IndexError> {
        pcm::index_described(self.config.clone(), self.offset, self.bytes).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{open_slice, places};
    use super::*;

    #[test]
    fn opens_what_its_header_describes() {
        for (bytes, encoding, channels, expected) in [
            (4, 1, 1, Some((28, 4))),
            (u32::MAX, 27, 2, Some((28, 10))),
            (99, 3, 2, Some((28, 8))),
            (10, 4, 1, Some((28, 9))),
            (10, 2, 1, Some((28, 10))),
            (10, 5, 1, None),
            (10, 6, 1, None),
            (10, 23, 1, None),
            (10, 1, 0, None),
        ] {
            let words = [28, bytes, encoding, 8000, channels, 0];
            let mut file = b".snd".to_vec();
            file.extend(words.iter().flat_map(|word: &u32| word.to_be_bytes()));
            file.extend_from_slice(&[0; 10]);
            let place = open_slice(&file).ok().map(|index| places(&index)[0]);
            assert_eq!(place.map(|(offset, bytes, _)| (offset, bytes)), expected, "{encoding}");
        }
        assert_eq!(open_slice(b".snd\0\0\0\x18").unwrap_err(), IndexError::Unrecognized);
    }
}
