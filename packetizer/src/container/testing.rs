//! Files of a few bytes for the tests of demuxers.

use std::convert::Infallible;

use super::{IndexError, OpenError, open};
use crate::index::{AccessUnitEntry, MediaIndex, TrackId};

/// Opens a file that is these bytes.
pub(super) fn open_slice(file: &[u8]) -> Result<MediaIndex, IndexError> {
    let read = |offset: u64, buffer: &mut [u8]| -> Result<usize, Infallible> {
        let rest = file.get(usize::try_from(offset).unwrap()..).unwrap_or_default();
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    };
    open(file.len() as u64, read).map_err(|error| match error {
        OpenError::Index(error) => error,
        OpenError::Read(never) => match never {},
    })
}

/// All units of a track.
pub(super) fn units(index: &MediaIndex, track: u8) -> Vec<AccessUnitEntry> {
    let count = index.tracks[usize::from(track)].unit_count;
    (0..count).map(|unit| index.unit(TrackId(track), unit).unwrap()).collect()
}

/// Offset, length and decode time of all units of the first track.
pub(super) fn places(index: &MediaIndex) -> Vec<(u64, u32, i64)> {
    units(index, 0).iter().map(|unit| (unit.offset, unit.bytes, unit.decode)).collect()
}
