//! Matroska and WebM files (RFC 8794, RFC 9559).
//!
//! The file is gone through from its beginning to its end, with or without Cues, because only the
//! blocks tell where every frame lies. Elements are taken as they come, whatever they are in, which
//! their IDs allow, so that unknown sizes need no care; where known sizes do not fit, the next
//! cluster is looked for. Frames are passed over; where they are large, their bytes are not read.
//!
//! Opening takes time in proportion to the bytes that are read, none more than three times (to tell
//! the format, to find the tracks, for the blocks), and memory for 24 bytes a frame, the index, and
//! at most some 16 MiB of the file.

mod block;
mod codec;
mod decode_order;
mod ebml;
mod language;
mod media;
mod reader;
mod sample_clock;
#[cfg(test)]
mod tests;
mod timeline;
mod tracks;
#[cfg(test)]
mod writer;

use reader::{Reader, Step};

use super::scan::Scan;
use super::{Demand, Demux, IndexError};
use crate::index::MediaIndex;

/// How the EBML header begins.
const MAGIC: [u8; 4] = [0x1a, 0x45, 0xdf, 0xa3];

/// An element of at least so many bytes is not read if its end has not been read with what is
/// before: it is a frame among others of its size, of which only the beginnings are wanted.
const PASSED_BYTES_MIN: u64 = 16 << 10;
/// Bytes that are read behind such an element; twice as many each time where there is none.
const PIECE_BYTES_MIN: u32 = 4 << 10;
const PIECE_BYTES_MAX: u32 = 1 << 20;

#[derive(Debug)]
struct Demuxer {
    file_bytes: u64,
    scan: Scan,
    piece_bytes: u32,
    reader: Reader,
}

/// A file that begins with an EBML header.
pub(super) fn probe(head: &[u8], file_bytes: u64) -> Option<Box<dyn Demux>> {
    head.starts_with(&MAGIC).then(|| Box::new(Demuxer::new(file_bytes)) as _)
}

impl Demuxer {
    const fn new(file_bytes: u64) -> Self {
        Self {
            file_bytes,
            scan: Scan::new(file_bytes),
            piece_bytes: 64 << 10,
            reader: Reader::new(file_bytes),
        }
    }

    /// Goes on with what is there; `true` at the end.
    fn advance(&mut self) -> Result<bool, IndexError> {
        let mut position = 0_u64;
        let mut passed_bytes = 0;
        loop {
            let offset = self.scan.offset().saturating_add(position);
            if offset >= self.file_bytes {
                return Ok(true);
            }
            let at = usize::try_from(position).unwrap_or(usize::MAX);
            let rest = self.scan.bytes().get(at..).unwrap_or_default();
            match self.reader.step(offset, rest)? {
                Step::Pass(bytes) => {
                    position = position.saturating_add(bytes);
                    passed_bytes = bytes;
                }
                Step::More if self.scan.is_last() => return Ok(true),
                Step::More => break,
                Step::GoTo(offset) => {
                    self.scan = Scan::new(self.file_bytes);
                    self.scan.consume(offset);
                    return Ok(false);
                }
                Step::End => return Ok(true),
            }
        }
        let is_beyond = position > self.scan.bytes().len() as u64;
        self.piece_bytes = if is_beyond && passed_bytes >= PASSED_BYTES_MIN {
            PIECE_BYTES_MIN
        } else {
            self.piece_bytes.saturating_mul(2).min(PIECE_BYTES_MAX)
        };
        self.scan.consume(position);
        Ok(false)
    }
}

impl Demux for Demuxer {
    fn demand(&self) -> Demand {
        let Demand { offset, bytes } = self.scan.demand();
        Demand { offset, bytes: bytes.min(self.piece_bytes) }
    }

    fn supply(&mut self, bytes: &[u8]) -> Result<Option<MediaIndex>, IndexError> {
        self.scan.supply(bytes);
        if self.advance()? { self.reader.finish().map(Some) } else { Ok(None) }
    }
}
