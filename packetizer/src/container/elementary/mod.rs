//! Elementary streams of video: byte streams with start codes and nothing else, so no times but
//! those the pictures' headers tell (H.264 and H.265 Annex B, MPEG-1/2 video, MPEG-4 Visual).
//!
//! The whole file is read. Pictures are decoded at the stream's rate, 25 a second if it tells none,
//! and shown in their order of display, as soon as that allows. Memory while opening: a piece of
//! the file and 40 bytes a picture.

mod kind;

pub(super) use kind::recognize;

use super::scan::Scan;
use super::{Demand, Demux, IndexError};
use crate::codec::picture::{FieldRate, Picture, PictureCutter, Reorder};
use crate::index::{
    IndexBuilder, MediaIndex, SkipReason, SkippedTrack, TrackDescription, UNITS_MAX,
};
use crate::time::{ClockRate, Npt};

/// The number of the only track.
const CONTAINER_ID: u32 = 1;

#[derive(Debug)]
struct Demuxer {
    scan: Scan,
    cutter: PictureCutter,
    pictures: Vec<Timed>,
    reorder: Reorder,
}

/// A picture and the fields shown before it.
#[derive(Clone, Copy, Debug)]
struct Timed {
    start: u64,
    bytes: u32,
    fields: u8,
    sync: bool,
    first_field: i64,
}

/// A byte stream of a kind of video, told by the headers at its beginning.
pub(super) fn probe(head: &[u8], file_bytes: u64) -> Option<Box<dyn Demux>> {
    let kind = recognize(head)?;
    Some(Box::new(Demuxer {
        scan: Scan::new(file_bytes),
        cutter: PictureCutter::new(kind, 0),
        pictures: Vec::new(),
        reorder: Reorder::default(),
    }))
}

impl Demux for Demuxer {
    fn demand(&self) -> Demand {
        self.scan.demand()
    }

    fn supply(&mut self, bytes: &[u8]) -> Result<Option<MediaIndex>, IndexError> {
        self.scan.supply(bytes);
        let mut found = Vec::new();
        self.cutter.feed(self.scan.bytes(), |picture| found.push(picture));
        self.scan.consume(self.scan.bytes().len() as u64);
        if self.scan.is_last() {
            self.cutter.finish(|picture| found.push(picture));
        }
        for picture in found {
            self.take(&picture)?;
        }
        if !self.scan.is_last() {
            return Ok(None);
        }
        let pictures = &mut self.pictures;
        self.reorder.flush(|position, field| place(pictures, position, field));
        self.index().map(Some)
    }
}

fn place(pictures: &mut [Timed], position: usize, field: i64) {
    if let Some(picture) = pictures.get_mut(position) {
        picture.first_field = field;
    }
}

impl Demuxer {
    fn take(&mut self, picture: &Picture) -> Result<(), IndexError> {
        if self.pictures.len() >= UNITS_MAX as usize {
            let limit = u64::from(UNITS_MAX);
            return Err(IndexError::TooLarge { what: "access units", limit });
        }
        let Picture { start, end, fields, sync, .. } = *picture;
        let bytes = u32::try_from(end - start).unwrap_or(u32::MAX);
        self.pictures.push(Timed { start, bytes, fields, sync, first_field: 0 });
        let pictures = &mut self.pictures;
        self.reorder.push(picture, |position, field| place(pictures, position, field));
        Ok(())
    }

    fn index(&self) -> Result<MediaIndex, IndexError> {
        let codec = self.cutter.config().map_err(|why| {
            let reason = SkipReason::Config(why);
            let track = SkippedTrack { container_id: CONTAINER_ID, reason };
            IndexError::NoPlayableTrack { tracks: vec![track] }
        })?;
        let rate = self.cutter.field_rate().unwrap_or(FieldRate::DEFAULT);
        let mut builder = IndexBuilder::new();
        let description = TrackDescription::new(CONTAINER_ID, codec, ClockRate::VIDEO);
        let refused = IndexError::TooLarge { what: "bytes in an access unit", limit: LIMIT };
        let track = builder.add_track(description).map_err(|_| refused.clone())?;
        // No picture is shown before it is decoded.
        let mut decoded = 0;
        let mut delay = 0;
        for picture in &self.pictures {
            delay = delay.max(decoded - picture.first_field);
            decoded += i64::from(picture.fields);
        }
        decoded = -delay;
        for picture in &self.pictures {
            let Timed { start, bytes, fields, sync, first_field } = *picture;
            let decode = rate.ticks(decoded);
            decoded += i64::from(fields);
            let duration = u32::try_from(rate.ticks(decoded) - decode).unwrap_or(0);
            let composition = rate.ticks(first_field);
            builder
                .push(track, start, bytes, decode, composition, duration, sync)
                .map_err(|_| refused.clone())?;
        }
        let nanos = builder.composition_end(track).unwrap_or(0).max(0).unsigned_abs();
        Ok(builder.finish(Npt::from_nanos(nanos)))
    }
}

/// See [`crate::index::UNIT_BYTES_MAX`].
const LIMIT: u64 = crate::index::UNIT_BYTES_MAX as u64;
