//! The media of a file while it is read: what Info and Tracks say, and the frames of the blocks.

use super::block::{BlockError, BlockHeader, Frame};
use super::ebml::{Id, date, find, unsigned};
use super::timeline::{BlockFrame, HEAD_BYTES, Timeline};
use super::tracks::{container_id, parse_tracks};
use crate::container::IndexError;
use crate::index::{
    BuildError, IndexBuilder, MediaIndex, SkipReason, SkippedTrack, TRACKS_MAX, UNIT_BYTES_MAX,
    UNITS_MAX,
};
use crate::time::Npt;

#[derive(Debug)]
pub(super) struct Media {
    /// Nanoseconds of a timestamp's tick.
    scale_nanos: u64,
    created: Option<u64>,
    /// `None` before the Tracks element.
    timelines: Option<Vec<Timeline>>,
    skipped: Vec<SkippedTrack>,
    /// Frames of the block at hand.
    frames: Vec<Frame>,
    unit_count: u64,
    /// Whether something could not be read.
    is_damaged: bool,
}

/// A block as it lies in the file.
#[derive(Debug)]
pub(super) struct Block<'a> {
    pub offset: u64,
    pub bytes: u64,
    /// Its first bytes, as many as are looked at.
    pub head: &'a [u8],
    /// `None` for a SimpleBlock.
    pub in_group: Option<AboutBlock>,
}

/// What a block group says of its block.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct AboutBlock {
    pub duration_ticks: Option<u64>,
    /// Whether it needs another block.
    pub has_reference: bool,
}

impl Media {
    pub(super) const fn new() -> Self {
        Self {
            scale_nanos: 1_000_000,
            created: None,
            timelines: None,
            skipped: Vec::new(),
            frames: Vec::new(),
            unit_count: 0,
            is_damaged: false,
        }
    }

    /// Whether there was a Tracks element.
    pub(super) const fn has_tracks(&self) -> bool {
        self.timelines.is_some()
    }

    /// Whether the track with this number is delivered.
    pub(super) fn has_track(&self, number: u64) -> bool {
        self.timelines.iter().flatten().any(|timeline| timeline.number() == number)
    }

    pub(super) const fn has_units(&self) -> bool {
        self.unit_count > 0
    }

    /// Something could not be read and is left out.
    pub(super) const fn mark_damaged(&mut self) {
        self.is_damaged = true;
    }

    /// Takes the data of an Info element (RFC 9559 §5.1.2).
    pub(super) fn take_info(&mut self, info: &[u8]) {
        if let Some(scale) = find(info, Id::TIMESTAMP_SCALE).and_then(unsigned) {
            self.scale_nanos = scale.clamp(1, SCALE_NANOS_MAX);
        }
        let date = find(info, Id::DATE_UTC).and_then(date);
        let seconds = date.map(|nanos| nanos.div_euclid(1_000_000_000) + SECONDS_FROM_1970_TO_2001);
        self.created = seconds.and_then(|seconds| u64::try_from(seconds).ok());
    }

    /// Takes the data of a Tracks element; one is enough.
    pub(super) fn take_tracks(&mut self, data: &[u8]) -> Result<(), IndexError> {
        let (mut tracks, skipped) = parse_tracks(data);
        self.skipped = skipped;
        for track in tracks.drain(TRACKS_MAX.min(tracks.len())..) {
            let container_id = container_id(track.number);
            self.skipped.push(SkippedTrack { container_id, reason: SkipReason::TooManyTracks });
        }
        if tracks.is_empty() {
            return Err(IndexError::NoPlayableTrack { tracks: std::mem::take(&mut self.skipped) });
        }
        self.timelines = Some(tracks.into_iter().map(Timeline::new).collect());
        Ok(())
    }

    /// Takes the frames of a block in a cluster with this timestamp; what is wrong is left out.
    pub(super) fn push_block(
        &mut self,
        cluster_ticks: u64,
        block: &Block<'_>,
    ) -> Result<(), IndexError> {
        let Some(header) = BlockHeader::parse(block.head) else {
            self.is_damaged = true;
            return Ok(());
        };
        let mut timelines = self.timelines.iter_mut().flatten();
        let Some(timeline) = timelines.find(|timeline| timeline.number() == header.track) else {
            return Ok(());
        };
        match header.frames(block.head, block.bytes, &mut self.frames) {
            Ok(()) if self.frames.iter().all(|f| f.bytes <= u64::from(UNIT_BYTES_MAX)) => {}
            Ok(()) | Err(BlockError::Invalid | BlockError::CutShort) => {
                self.is_damaged = true;
                return Ok(());
            }
        }
        self.frames.retain(|frame| frame.bytes > 0);
        self.unit_count += self.frames.len() as u64;
        if self.unit_count > u64::from(UNITS_MAX) {
            let limit = u64::from(UNITS_MAX);
            return Err(IndexError::TooLarge { what: "access units", limit });
        }
        let scale = i128::from(self.scale_nanos);
        let ticks = i128::from(cluster_ticks) + i128::from(header.time);
        let nanos = (ticks * scale).clamp(-TIME_NANOS_MAX, TIME_NANOS_MAX);
        let duration = block.in_group.and_then(|about| about.duration_ticks);
        timeline.push_block(
            i64::try_from(nanos).unwrap_or(0),
            duration.map(|ticks| ticks.saturating_mul(self.scale_nanos)),
            block.in_group.map_or(header.is_key, |about| !about.has_reference),
            self.frames.iter().map(|frame| BlockFrame {
                offset: block.offset + frame.position,
                bytes: u32::try_from(frame.bytes).unwrap_or(0),
                head: head_of(block.head, frame),
            }),
        );
        Ok(())
    }

    /// The index of all blocks of a file of this length.
    pub(super) fn finish(&mut self, file_bytes: u64) -> Result<MediaIndex, IndexError> {
        let Some(timelines) = self.timelines.take() else {
            let why = "there are no tracks: was recording or upload finished?";
            return Err(invalid(file_bytes, why));
        };
        let mut skipped = std::mem::take(&mut self.skipped);
        if self.is_damaged {
            let container_id = timelines.first().map_or(0, |first| container_id(first.number()));
            let reason = SkipReason::Broken(
                "the file is damaged or cut short: what cannot be read of it is left out",
            );
            skipped.push(SkippedTrack { container_id, reason });
        }
        let zero_nanos = timelines.iter().filter_map(Timeline::start_nanos).min().unwrap_or(0);
        let mut builder = IndexBuilder::new();
        let mut end_nanos = 0;
        for timeline in timelines {
            let container_id = container_id(timeline.number());
            if timeline.is_empty() {
                skipped.push(SkippedTrack { container_id, reason: SkipReason::Empty });
                continue;
            }
            let track = timeline.build(&mut builder, zero_nanos, self.scale_nanos);
            let end = track.map(|track| builder.composition_end(track).unwrap_or(0));
            end_nanos = end_nanos.max(end.map_err(|error| build_error(error, file_bytes))?);
        }
        let mut index = builder.finish(Npt::from_nanos(u64::try_from(end_nanos).unwrap_or(0)));
        if index.tracks.is_empty() {
            return Err(IndexError::NoPlayableTrack { tracks: skipped });
        }
        (index.created, index.skipped) = (self.created, skipped);
        Ok(index)
    }
}

/// The first bytes of a frame, as far as they are there.
fn head_of<'a>(body: &'a [u8], frame: &Frame) -> &'a [u8] {
    let from = usize::try_from(frame.position).unwrap_or(usize::MAX);
    let rest = body.get(from..).unwrap_or_default();
    let bytes = usize::try_from(frame.bytes).unwrap_or(usize::MAX).min(HEAD_BYTES);
    rest.get(..bytes).unwrap_or(rest)
}

fn build_error(error: BuildError, offset: u64) -> IndexError {
    match error {
        // Sound that is laid out in pieces has more units than frames.
        BuildError::TooManyUnits => {
            IndexError::TooLarge { what: "access units", limit: u64::from(UNITS_MAX) }
        }
        BuildError::TooManyTracks
        | BuildError::UnitTooLarge
        | BuildError::DecodeOrder
        | BuildError::UnknownTrack => invalid(offset, "its timestamps make no sense"),
    }
}

pub(super) const fn invalid(offset: u64, why: &'static str) -> IndexError {
    IndexError::Invalid { format: "Matroska", offset, why }
}

/// Seconds from 1970 to 2001, where dates count from (RFC 8794 §7.6).
const SECONDS_FROM_1970_TO_2001: i64 = 978_307_200;
/// Timestamps of coarser ticks than an hour are none.
const SCALE_NANOS_MAX: u64 = 3600 * 1_000_000_000;
/// Timestamps beyond this (146 years) are taken as this, so that sums of two are in range.
const TIME_NANOS_MAX: i128 = 1 << 62;
