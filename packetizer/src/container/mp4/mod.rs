//! MP4 and QuickTime files (ISO 14496-12, 14496-14, 14496-15; QuickTime File Format).
//!
//! The top level is walked box by box until the movie header, which is read at once; media is
//! never read. What a track needs must be right or the track is left out by name; what it does not
//! need may be broken.

mod boxes;
mod entry;
mod movie;
mod samples;
#[cfg(test)]
mod tests;

use boxes::Bytes;

use super::{Demand, Demux, HEADER_BYTES_MAX, IndexError, TOP_LEVEL_BOXES_MAX};
use crate::index::MediaIndex;

/// Bytes of a box header with a 64-bit size.
const BOX_HEADER_BYTES_MAX: u64 = 16;
/// Bytes of the smallest box.
const BOX_BYTES_MIN: u64 = 8;

/// What the file's first box may be.
const FIRST_BOXES: [&[u8; 4]; 14] = [
    b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot", b"uuid", b"styp", b"moof",
    b"sidx", b"meta", b"pdin", b"junk",
];

/// Looks for the movie header, takes it, and if that announces fragments, looks for them.
#[derive(Debug)]
struct Demuxer {
    file_bytes: u64,
    state: State,
    /// Boxes visited so far.
    box_count: u32,
    /// What the movie header gave, while the rest is searched for fragments.
    index: Option<MediaIndex>,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// Wants the header of the box at `offset`.
    BoxHeader { offset: u64 },
    /// Wants the movie header's body.
    Movie { offset: u64, bytes: u32 },
}

/// A file that begins with a box of a known type.
pub(super) fn probe(head: &[u8], file_bytes: u64) -> Option<Box<dyn Demux>> {
    let kind = head.get(4..8)?;
    let is_known = FIRST_BOXES.iter().any(|known| *known == kind);
    let state = State::BoxHeader { offset: 0 };
    is_known.then(|| Box::new(Demuxer { file_bytes, state, box_count: 0, index: None }) as _)
}

impl Demux for Demuxer {
    fn demand(&self) -> Demand {
        match self.state {
            State::BoxHeader { offset } => {
                let left = self.file_bytes - offset;
                let bytes = if left < BOX_HEADER_BYTES_MAX { left } else { BOX_HEADER_BYTES_MAX };
                #[allow(clippy::cast_possible_truncation, reason = "at most 16")]
                Demand { offset, bytes: bytes as u32 }
            }
            State::Movie { offset, bytes } => Demand { offset, bytes },
        }
    }

    fn supply(&mut self, bytes: &[u8]) -> Result<Option<MediaIndex>, IndexError> {
        match self.state {
            State::BoxHeader { offset } => match self.visit(offset, Bytes(bytes)) {
                Ok(next) => self.state = next,
                // What is behind the movie header may be broken, unless it is media we would miss.
                Err(error) if error == IndexError::Fragmented => return Err(error),
                Err(error) => return self.index.take().map(Some).ok_or(error),
            },
            State::Movie { offset, bytes: body_bytes } => {
                let index = movie::parse(bytes, self.file_bytes)?;
                let end = offset + u64::from(body_bytes);
                if !movie::has_fragments(bytes) || self.file_bytes - end < BOX_BYTES_MIN {
                    return Ok(Some(index));
                }
                self.index = Some(index);
                self.state = State::BoxHeader { offset: end };
            }
        }
        Ok(None)
    }
}

impl Demuxer {
    /// Looks at the box whose header lies at `offset` and decides what to read next.
    fn visit(&mut self, offset: u64, mut header: Bytes<'_>) -> Result<State, IndexError> {
        let (Some(size), Some(kind)) = (header.u32(), header.four_cc()) else {
            return Err(IndexError::MoovMissing); // a few stray bytes
        };
        if kind.0 == *b"moof" {
            return Err(IndexError::Fragmented);
        }
        self.box_count += 1;
        if self.box_count > TOP_LEVEL_BOXES_MAX {
            let limit = u64::from(TOP_LEVEL_BOXES_MAX);
            return Err(IndexError::TooLarge { what: "boxes at the top level", limit });
        }
        let (box_bytes, header_bytes) = match size {
            0 => (self.file_bytes - offset, 8),
            1 => (header.u64().unwrap_or(0), 16),
            size => (u64::from(size), 8),
        };
        if box_bytes < header_bytes {
            let why = "its size is less than its header's";
            return Err(IndexError::BoxInvalid { kind: kind.to_string(), offset, why });
        }
        let Some(end) = offset.checked_add(box_bytes).filter(|end| *end <= self.file_bytes) else {
            let file_bytes = self.file_bytes;
            let kind = kind.to_string();
            return Err(IndexError::Truncated { kind, offset, bytes: box_bytes, file_bytes });
        };
        if kind.0 == *b"moov" && self.index.is_none() {
            let bytes = u32::try_from(box_bytes - header_bytes).unwrap_or(u32::MAX);
            return match bytes {
                0 => Err(IndexError::NoPlayableTrack { tracks: Vec::new() }),
                1..=HEADER_BYTES_MAX => Ok(State::Movie { offset: offset + header_bytes, bytes }),
                _ => {
                    let limit = u64::from(HEADER_BYTES_MAX);
                    Err(IndexError::TooLarge { what: "bytes of movie header", limit })
                }
            };
        }
        if self.file_bytes - end < BOX_BYTES_MIN {
            return Err(IndexError::MoovMissing);
        }
        Ok(State::BoxHeader { offset: end })
    }
}
