//! ID3v2 tags in front of audio (ID3 tag version 2.4.0 §3.1, §3.4).

use super::{Demand, Demux, IndexError, PROBE_BYTES, frames, refused};
use crate::index::MediaIndex;

/// Most tags in front of a file's media.
const TAGS_MAX: u32 = 64;
const HEADER_BYTES: u64 = 10;

/// Skips tags, which pictures make long, without reading them, and opens what is behind.
#[derive(Debug)]
struct Tagged {
    file_bytes: u64,
    /// Where the tags seen so far end.
    offset: u64,
    tag_count: u32,
    /// Once the bytes behind the tags have told what they are.
    format: Option<Box<dyn Demux>>,
}

/// A file that begins with a tag.
pub(super) fn probe(head: &[u8], file_bytes: u64) -> Option<Box<dyn Demux>> {
    let offset = tag_bytes(head).filter(|bytes| *bytes < file_bytes)?;
    Some(Box::new(Tagged { file_bytes, offset, tag_count: 1, format: None }))
}

/// Bytes of the tag at the beginning of `bytes`; `None` if there is none.
pub(super) fn tag_bytes(bytes: &[u8]) -> Option<u64> {
    const HAS_FOOTER: u8 = 0x10;
    let (header, _) = bytes.split_first_chunk::<10>()?;
    let [b'I', b'D', b'3', version, revision, flags, size @ ..] = *header else { return None };
    if version == 0xff || revision == 0xff || size.iter().any(|byte| *byte >= 0x80) {
        return None;
    }
    let body = size.iter().fold(0, |size, byte| size << 7 | u64::from(*byte));
    let footer = if flags & HAS_FOOTER == 0 { 0 } else { HEADER_BYTES };
    Some(HEADER_BYTES + body + footer)
}

impl Demux for Tagged {
    fn demand(&self) -> Demand {
        if let Some(format) = &self.format {
            return format.demand();
        }
        let left = u32::try_from(self.file_bytes - self.offset).unwrap_or(u32::MAX);
        Demand { offset: self.offset, bytes: left.min(PROBE_BYTES) }
    }

    fn supply(&mut self, bytes: &[u8]) -> Result<Option<MediaIndex>, IndexError> {
        if let Some(format) = &mut self.format {
            return format.supply(bytes);
        }
        if let Some(tag_bytes) = tag_bytes(bytes) {
            self.offset = self.offset.saturating_add(tag_bytes);
            self.tag_count += 1;
            if self.tag_count > TAGS_MAX || self.offset >= self.file_bytes {
                return Err(IndexError::Unrecognized);
            }
            return Ok(None);
        }
        let format = frames::probe_at(bytes, self.offset, self.file_bytes)
            .or_else(|| refused::probe(bytes, self.file_bytes));
        self.format = Some(format.ok_or(IndexError::Unrecognized)?);
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::container::testing::open_slice;

    #[test]
    fn tags_tell_their_length() {
        for (tag, bytes) in [
            (&b"ID3\x04\0\0\0\0\x02\x01"[..], Some(10 + 257)),
            (b"ID3\x04\0\x10\0\0\x02\x01", Some(10 + 257 + 10)),
            (b"ID3\x03\0\0\x7f\x7f\x7f\x7f", Some(10 + (1 << 28) - 1)),
            (b"ID3\x03\0\0\0\0\0\x80", None),
            (b"ID3\xff\0\0\0\0\0\0", None),
            (b"ID3\x03\0\0\0\0\0", None),
            (b"TAG\x03\0\0\0\0\0\0", None),
        ] {
            assert_eq!(tag_bytes(tag), bytes, "{tag:x?}");
        }
    }

    #[test]
    fn tags_are_skipped_unread() {
        let tag = |bytes: u8| {
            let mut tag = b"ID3\x04\0\0\0".to_vec();
            tag.extend_from_slice(&[bytes, 0, 0]);
            tag.resize(10 + (usize::from(bytes) << 14), 0xff);
            tag
        };
        let frame = [&[0xff, 0xf1, 0x50, 0x80, 0x01, 0x5f, 0xfc][..], &[0; 3]].concat();
        let file = [&tag(20)[..], &tag(1), &frame, &frame, &frame].concat();
        let index = open_slice(&file).unwrap();
        assert_eq!(index.tracks[0].unit_count, 3);
        let flac = [&tag(1)[..], b"fLaC"].concat();
        assert!(matches!(open_slice(&flac), Err(IndexError::NoPlayableTrack { .. })));
        let endless = tag(0).repeat(70);
        assert_eq!(open_slice(&endless).unwrap_err(), IndexError::Unrecognized);
        assert_eq!(open_slice(&tag(3)).unwrap_err(), IndexError::Unrecognized);
    }
}
