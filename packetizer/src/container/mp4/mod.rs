//! MP4 and QuickTime files (ISO 14496-12, 14496-14, 14496-15; QuickTime File Format).
//!
//! The top level is walked box by box until the movie header, which is read at once, and if media
//! is in fragments to the end; media is never read, but for the samples of hint tracks that are of
//! use. What a track needs must be right or the track
//! is left out by name; what it does not need may be broken.

mod boxes;
mod edits;
mod entry;
mod fragments;
mod hints;
mod movie;
mod samples;
#[cfg(test)]
mod tests;

use boxes::{Bytes, FourCc};
use movie::Movie;

use super::{Demand, Demux, HEADER_BYTES_MAX, IndexError, TOP_LEVEL_BOXES_MAX};
use crate::index::MediaIndex;

/// Bytes of a box header with a 64-bit size.
const BOX_HEADER_BYTES_MAX: u32 = 16;
/// Bytes that are read at a fragment: most have their `moof` box in them.
const FRAGMENT_BYTES: u32 = 4096;
/// Bytes of the smallest box.
const BOX_BYTES_MIN: u64 = 8;

/// What the file's first box may be.
const FIRST_BOXES: [&[u8; 4]; 14] = [
    b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot", b"uuid", b"styp", b"moof",
    b"sidx", b"meta", b"pdin", b"junk",
];

/// Looks for the movie header, takes it, and if that announces fragments, those behind it.
#[derive(Debug)]
struct Demuxer {
    file_bytes: u64,
    state: State,
    /// Boxes visited so far.
    box_count: u32,
    /// What the movie header gave, while fragments are looked for.
    movie: Option<Movie>,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// Wants the box at `offset`, or as much of it as tells what it is.
    Box { offset: u64 },
    /// Wants the movie header's body.
    Movie { offset: u64, bytes: u32 },
    /// Wants samples of a hint track.
    Hints(Demand),
    /// Wants a fragment's `moof` box.
    Fragment { offset: u64, bytes: u32 },
}

/// What a box is, and where.
#[derive(Clone, Copy, Debug)]
struct Found {
    kind: FourCc,
    offset: u64,
    header_bytes: u64,
    end: u64,
}

/// A file that begins with a box of a known type.
pub(super) fn probe(head: &[u8], file_bytes: u64) -> Option<Box<dyn Demux>> {
    let kind = head.get(4..8)?;
    let is_known = FIRST_BOXES.iter().any(|known| *known == kind);
    let state = State::Box { offset: 0 };
    is_known.then(|| Box::new(Demuxer { file_bytes, state, box_count: 0, movie: None }) as _)
}

impl Demux for Demuxer {
    fn demand(&self) -> Demand {
        match self.state {
            State::Box { offset } => {
                let wanted =
                    if self.movie.is_some() { FRAGMENT_BYTES } else { BOX_HEADER_BYTES_MAX };
                let bytes = (self.file_bytes - offset).min(wanted.into());
                Demand { offset, bytes: u32::try_from(bytes).unwrap_or(wanted) }
            }
            State::Hints(demand) => demand,
            State::Movie { offset, bytes } | State::Fragment { offset, bytes } => {
                Demand { offset, bytes }
            }
        }
    }

    fn supply(&mut self, bytes: &[u8]) -> Result<Option<MediaIndex>, IndexError> {
        match self.state {
            State::Box { offset } => {
                let visited = self.visit_all(offset, bytes);
                match (visited, self.movie.take()) {
                    (Ok(next), movie) => (self.state, self.movie) = (next, movie),
                    (Err(error @ IndexError::TooLarge { .. }), _) => return Err(error),
                    // What is behind the movie header may be cut short, or still be written.
                    (Err(_), Some(movie)) => return movie.finish().map(Some),
                    (Err(error), None) => return Err(error),
                }
            }
            State::Movie { offset, bytes: body_bytes } => {
                let mut movie = movie::parse(bytes, self.file_bytes)?;
                let end = offset + u64::from(body_bytes);
                if let Some(demand) = movie.demand() {
                    (self.state, self.movie) = (State::Hints(demand), Some(movie));
                    return Ok(None);
                }
                if !movie.is_fragmented || self.file_bytes - end < BOX_BYTES_MIN {
                    return movie.finish().map(Some);
                }
                self.movie = Some(movie);
                self.state = State::Box { offset: end };
            }
            State::Hints(_) => {
                let Some(movie) = &mut self.movie else { return Ok(None) };
                movie.supply(bytes)?;
                match movie.demand() {
                    Some(demand) => self.state = State::Hints(demand),
                    None => return self.movie.take().map(Movie::finish).transpose(),
                }
            }
            State::Fragment { offset, .. } => {
                self.state = self.take_fragment(offset, bytes)?;
                if self.is_at_end() {
                    return self.movie.take().map(Movie::finish).transpose();
                }
            }
        }
        Ok(None)
    }
}

impl Demuxer {
    /// Looks at the box that begins at `offset`, and at those behind it as far as `bytes` go, and
    /// says what to read next.
    fn visit_all(&mut self, offset: u64, bytes: &[u8]) -> Result<State, IndexError> {
        let mut from = offset;
        loop {
            let here = usize::try_from(from - offset).ok().and_then(|at| bytes.get(at..));
            let whole_header = u64::from(BOX_HEADER_BYTES_MAX).min(self.file_bytes - from);
            let Some(here) = here.filter(|here| here.len() as u64 >= whole_header) else {
                return Ok(State::Box { offset: from });
            };
            let found = self.visit(from, Bytes(here))?;
            if found.kind.0 == *b"moov" && self.movie.is_none() {
                return found.movie();
            }
            if found.kind.0 == *b"moof" && self.movie.is_some() {
                let moof = usize::try_from(found.end - from).ok().and_then(|end| here.get(..end));
                let Some(moof) = moof else { return found.fragment() };
                self.take_fragment(from, moof)?;
            }
            if self.file_bytes - found.end < BOX_BYTES_MIN {
                return Err(IndexError::MoovMissing);
            }
            from = found.end;
        }
    }

    /// Takes the units of a `moof` box.
    fn take_fragment(&mut self, offset: u64, moof: &[u8]) -> Result<State, IndexError> {
        let header_bytes = if moof.starts_with(&[0, 0, 0, 1]) { 16 } else { 8 };
        let body = moof.get(header_bytes..).unwrap_or_default();
        if let Some(movie) = &mut self.movie {
            movie.add_fragment(body, offset)?;
        }
        Ok(State::Box { offset: offset + moof.len() as u64 })
    }

    /// Whether nothing can follow.
    const fn is_at_end(&self) -> bool {
        match self.state {
            State::Box { offset } => self.file_bytes - offset < BOX_BYTES_MIN,
            State::Movie { .. } | State::Hints(_) | State::Fragment { .. } => false,
        }
    }

    /// Says what the box is whose header lies at `offset`.
    fn visit(&mut self, offset: u64, mut header: Bytes<'_>) -> Result<Found, IndexError> {
        let (Some(size), Some(kind)) = (header.u32(), header.four_cc()) else {
            return Err(IndexError::MoovMissing); // a few stray bytes
        };
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
        Ok(Found { kind, offset, header_bytes, end })
    }
}

impl Found {
    /// What to read of the movie header.
    fn movie(self) -> Result<State, IndexError> {
        let offset = self.offset + self.header_bytes;
        match u32::try_from(self.end - offset).unwrap_or(u32::MAX) {
            0 => Err(IndexError::NoPlayableTrack { tracks: Vec::new() }),
            bytes @ 1..=HEADER_BYTES_MAX => Ok(State::Movie { offset, bytes }),
            _ => Err(too_large("bytes of movie header")),
        }
    }

    /// What to read of a fragment's header.
    fn fragment(self) -> Result<State, IndexError> {
        match u32::try_from(self.end - self.offset).unwrap_or(u32::MAX) {
            bytes @ ..=HEADER_BYTES_MAX => Ok(State::Fragment { offset: self.offset, bytes }),
            _ => Err(too_large("bytes of fragment header")),
        }
    }
}

fn too_large(what: &'static str) -> IndexError {
    IndexError::TooLarge { what, limit: u64::from(HEADER_BYTES_MAX) }
}
