//! The programme stream map: what elementary streams hold (ISO 13818-1 §2.5.4).

use super::StreamKind;
use crate::container::transport_stream::kind::Descriptors;

/// Its stream_id.
pub(super) const CODE: u8 = 0xbc;
/// Bytes of start code and length.
const PREFIX_BYTES: usize = 6;
/// Bytes of CRC_32 behind the streams.
const CRC_BYTES: usize = 4;

/// The streams that a map names; of several maps, the last that names one counts.
#[derive(Debug, Default)]
pub(super) struct Map {
    /// elementary_stream_id, what it holds, language.
    streams: Vec<(u8, StreamKind, Option<[u8; 3]>)>,
}

impl Map {
    /// What a stream holds and its language, if a map has named it.
    pub(super) fn kind(&self, stream_id: u8) -> Option<(&StreamKind, Option<[u8; 3]>)> {
        let found = self.streams.iter().find(|(id, ..)| *id == stream_id)?;
        Some((&found.1, found.2))
    }

    /// Reads a map with its start code; of a broken one, what comes before it breaks.
    pub(super) fn read(&mut self, bytes: &[u8]) {
        let _ = self.read_streams(bytes);
    }

    fn read_streams(&mut self, bytes: &[u8]) -> Option<()> {
        let [_version, _marker, info @ ..] = bytes.get(PREFIX_BYTES..)? else { return None };
        let (_descriptors, rest) = split_length(info)?;
        let [high, low, rest @ ..] = rest else { return None };
        let declared = usize::from(u16::from_be_bytes([*high, *low]));
        let there = rest.len().checked_sub(CRC_BYTES)?;
        let mut streams = rest.get(..declared.min(there))?;
        while let [stream_type, id, info @ ..] = streams {
            let (descriptors, behind) = split_length(info)?;
            let descriptors = Descriptors(descriptors);
            let kind = StreamKind::of(*stream_type, descriptors);
            self.streams.retain(|(known, ..)| known != id);
            self.streams.push((*id, kind, descriptors.language()));
            streams = behind;
        }
        Some(())
    }
}

/// What has its length in front, in 16 bits, and what comes behind it.
fn split_length(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let [high, low, rest @ ..] = bytes else { return None };
    rest.split_at_checked(usize::from(u16::from_be_bytes([*high, *low])))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::picture::VideoKind;

    #[test]
    fn names_streams_until_it_breaks() {
        let whole = [
            &[0, 0, 1, CODE, 0, 28, 0xe1, 0xff, 0, 2, 0x40, 0][..],
            &[0, 14, 0x1b, 0xe0, 0, 0, 0x03, 0xc0, 0, 6, 10, 4, b'd', b'e', b'u', 0],
            &[9, 9, 9, 9],
        ]
        .concat();
        for end in 0..=whole.len() {
            let mut map = Map::default();
            map.read(&whole[..end]);
            let video = map.kind(0xe0);
            assert_eq!(video.is_some(), end >= 22, "{end}");
            assert!(video.is_none_or(|video| video == (&StreamKind::Video(VideoKind::H264), None)));
            let audio = map.kind(0xc0);
            assert_eq!(audio.is_some(), end == whole.len(), "{end}");
            assert!(audio.is_none_or(|a| a == (&StreamKind::MpegAudio, Some(*b"deu"))));
            assert_eq!(map.kind(0xe1), None);
        }
    }
}
