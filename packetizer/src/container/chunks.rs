//! Audio in chunks: WAVE (RIFF, RF64) and AIFF files.

mod aiff;
mod wave;

use super::pcm::{self, Description};
use super::sole_track::refuse;
use super::{Demand, Demux, IndexError, frames};
use crate::index::{MediaIndex, SkipReason};

/// Most chunks that are visited to find the media; each is read by itself.
const CHUNKS_MAX: u32 = 1 << 14;
/// Bytes of a chunk's type and size.
const HEADER_BYTES: u64 = 8;
/// Bytes of a chunk that are looked at, header included.
const LOOK_BYTES: u64 = HEADER_BYTES + 64;
/// Bytes in front of the first chunk.
const FORM_BYTES: u64 = 12;

/// What the media is, or why it is not delivered.
type Coding = Result<Media, SkipReason>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Media {
    Pcm(Description),
    /// MPEG audio frames.
    MpegAudio,
}

/// What a chunk is about.
#[derive(Debug, PartialEq, Eq)]
enum Chunk {
    /// It describes the media.
    Coding(Coding),
    /// The media begins so many bytes into the chunk's body.
    Media { at: u64 },
    /// How long the media is, where 32 bits do not tell.
    MediaBytes(u64),
    /// Nothing that is needed.
    Other,
}

/// What a form is made of.
#[derive(Clone, Copy, Debug)]
struct Form {
    name: &'static str,
    read_size: fn([u8; 4]) -> u32,
    /// Reads a chunk by its type and the beginning of its body.
    read_chunk: fn(&[u8; 4], &[u8]) -> Chunk,
}

/// Goes from chunk to chunk.
#[derive(Debug)]
struct Demuxer {
    form: Form,
    file_bytes: u64,
    /// Where the next chunk begins.
    offset: u64,
    chunk_count: u32,
    coding: Option<Coding>,
    /// Where the media begins and ends.
    media: Option<(u64, u64)>,
    /// What RF64 says of the media's length.
    media_bytes: Option<u64>,
    /// Once the media is known not to be PCM.
    frames: Option<Box<dyn Demux>>,
}

/// A file of one of the forms.
pub(super) fn probe(head: &[u8], file_bytes: u64) -> Option<Box<dyn Demux>> {
    let form = wave::form(head).or_else(|| aiff::form(head))?;
    Some(Box::new(Demuxer {
        form,
        file_bytes,
        offset: FORM_BYTES,
        chunk_count: 0,
        coding: None,
        media: None,
        media_bytes: None,
        frames: None,
    }))
}

impl Demux for Demuxer {
    fn demand(&self) -> Demand {
        if let Some(frames) = &self.frames {
            return frames.demand();
        }
        let offset = self.offset.min(self.file_bytes.saturating_sub(1));
        #[allow(clippy::cast_possible_truncation, reason = "at most LOOK_BYTES")]
        let bytes = (self.file_bytes - offset).min(LOOK_BYTES) as u32;
        Demand { offset, bytes }
    }

    fn supply(&mut self, bytes: &[u8]) -> Result<Option<MediaIndex>, IndexError> {
        if let Some(frames) = &mut self.frames {
            return frames.supply(bytes);
        }
        if self.offset < self.file_bytes {
            self.visit(bytes)?;
        }
        let is_at_end = self.file_bytes.saturating_sub(self.offset) < HEADER_BYTES;
        match (self.coding.take(), self.media) {
            (Some(coding), Some((start, end))) => self.open(coding, start, end),
            (coding, media) if is_at_end => {
                let why = match media {
                    None => "no media in it",
                    Some(_) => "nothing says what its media is",
                };
                let refused = coding.and_then(Result::err).map(refuse);
                let Form { name: format, .. } = self.form;
                Err(refused.unwrap_or(IndexError::Invalid { format, offset: self.offset, why }))
            }
            (coding, _) => {
                self.coding = coding;
                Ok(None)
            }
        }
    }
}

impl Demuxer {
    /// Looks at the chunk that begins with `bytes`, and goes to the next.
    fn visit(&mut self, bytes: &[u8]) -> Result<(), IndexError> {
        self.chunk_count += 1;
        if self.chunk_count > CHUNKS_MAX {
            let limit = u64::from(CHUNKS_MAX);
            return Err(IndexError::TooLarge { what: "chunks", limit });
        }
        let header = bytes.split_first_chunk::<4>();
        let header = header.and_then(|(kind, rest)| Some((kind, rest.split_first_chunk::<4>()?)));
        let Some((kind, (size, body))) = header else {
            self.offset = self.file_bytes;
            return Ok(());
        };
        let size = (self.form.read_size)(*size);
        let start = self.offset + HEADER_BYTES;
        let left = self.file_bytes.saturating_sub(start);
        let body_bytes = usize::try_from(size).unwrap_or(usize::MAX).min(body.len());
        let mut bytes = u64::from(size);
        match (self.form.read_chunk)(kind, body.get(..body_bytes).unwrap_or(body)) {
            Chunk::Coding(coding) => self.coding = Some(coding),
            Chunk::MediaBytes(bytes) => self.media_bytes = Some(bytes),
            Chunk::Media { at } if self.media.is_none() => {
                // Written before the length was known, it is 0 or all ones.
                bytes = match (size, self.media_bytes) {
                    (u32::MAX, Some(bytes)) => bytes,
                    (0 | u32::MAX, _) => left,
                    _ => bytes,
                };
                let end = start + bytes.min(left);
                self.media = Some((start.saturating_add(at).min(end), end));
            }
            Chunk::Media { .. } | Chunk::Other => {}
        }
        // Chunks begin at even offsets.
        self.offset = start.saturating_add(bytes).saturating_add(bytes & 1);
        Ok(())
    }

    fn open(
        &mut self,
        coding: Coding,
        start: u64,
        end: u64,
    ) -> Result<Option<MediaIndex>, IndexError> {
        match coding.map_err(refuse)? {
            Media::Pcm(description) => {
                pcm::index_described(description.config(), start, end - start).map(Some)
            }
            Media::MpegAudio if start < end => {
                self.frames = Some(frames::mpeg_audio(start, end));
                Ok(None)
            }
            Media::MpegAudio => Err(refuse(SkipReason::Empty)),
        }
    }
}

#[cfg(test)]
mod tests;
