//! Sample tables: what ISO 14496-12 calls samples are the access units (§8.6, §8.7).

mod places;

pub(super) use places::{Place, Places};

use super::boxes::{Bytes, find};
use super::entry::Served;
use crate::codec::pcm;

/// A unit as the sample tables give it; times are on the media's axis, before any edit list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sample {
    pub(super) offset: u64,
    pub(super) bytes: u32,
    /// Bytes of its packets, if a hint track plans them.
    pub(super) media_bytes: u32,
    pub(super) decode: i64,
    pub(super) composition_offset: i32,
    pub(super) duration: u32,
    pub(super) sync: bool,
}

/// The tables of one track, not unpacked.
#[derive(Clone, Copy, Debug)]
pub(super) struct SampleTables<'a> {
    sizes: Sizes<'a>,
    chunk_offsets: ChunkOffsets<'a>,
    chunk_runs: &'a [[u8; 12]],
    durations: &'a [[u8; 8]],
    composition_offsets: &'a [[u8; 8]],
    /// Ordinals, from 1, of the sync samples; all are, if the table is absent.
    syncs: Option<&'a [[u8; 4]]>,
    /// Sample descriptions whose samples are delivered.
    served: Served,
}

impl<'a> SampleTables<'a> {
    /// The tables in an `stbl` box; otherwise what is missing.
    pub(super) fn parse(stbl: &'a [u8]) -> Result<Self, &'static str> {
        let entries4 = |kind| find(stbl, kind).and_then(|found| entries::<4>(found.bytes()));
        let entries8 = |kind| find(stbl, kind).and_then(|found| entries::<8>(found.bytes()));
        Ok(Self {
            sizes: Sizes::parse(stbl).ok_or("no sample sizes (stsz, stz2)")?,
            chunk_offsets: entries4(b"stco")
                .map(ChunkOffsets::Short)
                .or_else(|| entries8(b"co64").map(ChunkOffsets::Long))
                .ok_or("no chunk offsets (stco, co64)")?,
            chunk_runs: find(stbl, b"stsc")
                .and_then(|found| entries(found.bytes()))
                .ok_or("no sample-to-chunk table (stsc)")?,
            durations: entries8(b"stts").ok_or("no decode times (stts)")?,
            composition_offsets: entries8(b"ctts").unwrap_or_default(),
            syncs: entries4(b"stss"),
            served: Served::ALL,
        })
    }

    /// Number of samples the container declares.
    pub(super) const fn declared_count(&self) -> u32 {
        self.sizes.count()
    }

    /// The sample descriptions in use, from 1, as often as runs of chunks use them.
    pub(super) fn descriptions(&self) -> impl Iterator<Item = u32> + 'a {
        self.chunk_runs.iter().map(|run| ChunkRun::parse(run).description)
    }

    /// Has the samples end before the first of another description than these.
    pub(super) const fn serve(&mut self, served: Served) {
        self.served = served;
    }

    /// Whether there is one.
    pub(super) fn changes(&self) -> bool {
        !self.descriptions().all(|number| self.served.contains(number))
    }

    /// Uncompressed sound, of which a sample is one of every channel, in units of several: a chunk
    /// is cut into units of at most [`pcm::UNIT_BYTES_MAX`]. Their number is that of bytes in the
    /// file, whatever the tables declare.
    pub(super) fn pcm_units(&self, frame_bytes: u32) -> impl Iterator<Item = Sample> + 'a {
        let unit_frames = (pcm::UNIT_BYTES_MAX / frame_bytes.max(1)).max(1);
        let (tables, mut chunk) = (*self, ChunkWalk::default());
        let (mut frames_left, mut decode) = (self.declared_count(), 0_i64);
        std::iter::from_fn(move || {
            chunk.enter(&tables)?;
            let frames = unit_frames.min(chunk.samples_left).min(frames_left);
            let bytes = frames.checked_mul(frame_bytes).filter(|bytes| *bytes > 0)?;
            let sample = Sample {
                offset: chunk.offset,
                bytes,
                media_bytes: bytes,
                decode,
                composition_offset: 0,
                duration: frames,
                sync: true,
            };
            chunk.offset = chunk.offset.checked_add(u64::from(bytes))?;
            (chunk.samples_left, frames_left) = (chunk.samples_left - frames, frames_left - frames);
            decode += i64::from(frames);
            Some(sample)
        })
    }

    /// The samples in decode order. Ends where the tables no longer say where samples lie.
    pub(super) fn samples(&self) -> Samples<'a> {
        Samples { tables: *self, walk: SampleWalk::default() }
    }
}

/// The entries of a full box that consists of a count and as many entries; fewer than declared if
/// the box is shorter.
fn entries<const N: usize>(mut body: Bytes<'_>) -> Option<&[[u8; N]]> {
    body.version_and_flags()?;
    let count = body.u32()? as usize;
    let (entries, _) = body.0.as_chunks();
    Some(entries.get(..count).unwrap_or(entries))
}

/// `stsz` or `stz2` (§8.7.3).
#[derive(Clone, Copy, Debug)]
enum Sizes<'a> {
    Constant { bytes: u32, count: u32 },
    Words { sizes: &'a [[u8; 4]] },
    Halves { sizes: &'a [[u8; 2]] },
    Bytes { sizes: &'a [u8] },
    Nibbles { sizes: &'a [u8], count: u32 },
}

impl<'a> Sizes<'a> {
    fn parse(stbl: &'a [u8]) -> Option<Self> {
        let compact = find(stbl, b"stsz").is_none();
        let mut body = find(stbl, if compact { b"stz2" } else { b"stsz" })?.bytes();
        body.version_and_flags()?;
        let bytes = body.u32()?;
        let count = body.u32()?;
        let limit = count as usize;
        let cut = |len: usize| len.min(limit);
        match if compact { bytes & 0xff } else { 32 } {
            32 if bytes != 0 => Some(Self::Constant { bytes, count }),
            32 => {
                let sizes = body.0.as_chunks().0;
                Some(Self::Words { sizes: &sizes[..cut(sizes.len())] })
            }
            16 => {
                let sizes = body.0.as_chunks().0;
                Some(Self::Halves { sizes: &sizes[..cut(sizes.len())] })
            }
            8 => Some(Self::Bytes { sizes: &body.0[..cut(body.0.len())] }),
            4 => {
                let stored = u32::try_from(body.0.len().saturating_mul(2)).unwrap_or(u32::MAX);
                Some(Self::Nibbles { sizes: body.0, count: count.min(stored) })
            }
            _ => None,
        }
    }

    const fn count(&self) -> u32 {
        #[allow(clippy::cast_possible_truncation, reason = "cut to a 32-bit count")]
        match self {
            Self::Constant { count, .. } | Self::Nibbles { count, .. } => *count,
            Self::Words { sizes } => sizes.len() as u32,
            Self::Halves { sizes } => sizes.len() as u32,
            Self::Bytes { sizes } => sizes.len() as u32,
        }
    }

    fn get(&self, index: u32) -> Option<u32> {
        let at = index as usize;
        match self {
            Self::Constant { bytes, count } => (index < *count).then_some(*bytes),
            Self::Words { sizes } => sizes.get(at).map(|size| u32::from_be_bytes(*size)),
            Self::Halves { sizes } => sizes.get(at).map(|size| u16::from_be_bytes(*size).into()),
            Self::Bytes { sizes } => sizes.get(at).map(|size| u32::from(*size)),
            Self::Nibbles { sizes, count } if index < *count => {
                let shift = if at.is_multiple_of(2) { 4 } else { 0 };
                sizes.get(at / 2).map(|pair| u32::from(pair >> shift & 0xf))
            }
            Self::Nibbles { .. } => None,
        }
    }
}

/// `stco` or `co64` (§8.7.5).
#[derive(Clone, Copy, Debug)]
enum ChunkOffsets<'a> {
    Short(&'a [[u8; 4]]),
    Long(&'a [[u8; 8]]),
}

impl ChunkOffsets<'_> {
    fn get(&self, index: usize) -> Option<u64> {
        match self {
            Self::Short(offsets) => offsets.get(index).map(|o| u32::from_be_bytes(*o).into()),
            Self::Long(offsets) => offsets.get(index).map(|o| u64::from_be_bytes(*o)),
        }
    }
}

/// An entry of `stsc` (§8.7.4): from this chunk on, chunks have as many samples.
#[derive(Clone, Copy, Debug)]
struct ChunkRun {
    first_chunk: u32,
    samples_per_chunk: u32,
    description: u32,
}

impl ChunkRun {
    fn parse(entry: &[u8; 12]) -> Self {
        let [a, b, c, d, e, f, g, h, i, j, k, l] = *entry;
        Self {
            first_chunk: u32::from_be_bytes([a, b, c, d]),
            samples_per_chunk: u32::from_be_bytes([e, f, g, h]),
            description: u32::from_be_bytes([i, j, k, l]),
        }
    }
}

/// Where in the chunks a walk over the samples is.
#[derive(Clone, Copy, Debug, Default)]
struct ChunkWalk {
    /// The next chunk, from 0.
    next_chunk: u32,
    /// The run that governs the next chunk or one before it.
    run: usize,
    /// Offset of the next sample.
    offset: u64,
    samples_left: u32,
}

impl ChunkWalk {
    /// Yields the offset of the next sample, which has so many bytes.
    fn advance(&mut self, tables: &SampleTables<'_>, sample_bytes: u32) -> Option<u64> {
        self.enter(tables)?;
        let offset = self.offset;
        self.offset = offset.checked_add(u64::from(sample_bytes))?;
        self.samples_left -= 1;
        Some(offset)
    }

    /// Goes to the next chunk that has samples, if the one it is in has no more.
    fn enter(&mut self, tables: &SampleTables<'_>) -> Option<()> {
        while self.samples_left == 0 {
            self.offset = tables.chunk_offsets.get(self.next_chunk as usize)?;
            let number = self.next_chunk + 1;
            while tables
                .chunk_runs
                .get(self.run + 1)
                .is_some_and(|next| ChunkRun::parse(next).first_chunk <= number)
            {
                self.run += 1;
            }
            let run = ChunkRun::parse(tables.chunk_runs.get(self.run)?);
            if !tables.served.contains(run.description) {
                return None;
            }
            self.samples_left = run.samples_per_chunk;
            self.next_chunk = number;
        }
        Some(())
    }
}

/// A walk over the runs of `stts` or `ctts`: (count, value) pairs.
#[derive(Clone, Copy, Debug, Default)]
struct RunWalk {
    /// Position of the next run.
    next: usize,
    left: u32,
    value: u32,
}

impl RunWalk {
    /// The next sample's value; `None` behind the last run.
    fn next(&mut self, runs: &[[u8; 8]]) -> Option<u32> {
        while self.left == 0 {
            let [a, b, c, d, value @ ..] = *runs.get(self.next)?;
            self.left = u32::from_be_bytes([a, b, c, d]);
            self.value = u32::from_be_bytes(value);
            self.next += 1;
        }
        self.left -= 1;
        Some(self.value)
    }
}

/// Writers of negative durations mean the next units to catch up; such a unit lasts one tick.
const DURATION_MAX: u32 = u32::MAX - 480_000;

/// A walk over a track's samples in decode order.
#[derive(Clone, Debug)]
pub(super) struct Samples<'a> {
    tables: SampleTables<'a>,
    walk: SampleWalk,
}

impl Iterator for Samples<'_> {
    type Item = Sample;

    fn next(&mut self) -> Option<Sample> {
        self.walk.next(&self.tables)
    }
}

/// Where in the tables a walk over the samples is.
#[derive(Clone, Debug, Default)]
pub(super) struct SampleWalk {
    index: u32,
    decode: i64,
    chunk: ChunkWalk,
    durations: RunWalk,
    composition_offsets: RunWalk,
    /// The last duration, which goes on where the table is too short.
    duration: u32,
    /// Position in the table of sync samples.
    next_sync: usize,
}

impl SampleWalk {
    /// Number of samples that have come.
    pub(super) const fn count(&self) -> u32 {
        self.index
    }

    /// The next sample of the tables, which are always the same.
    pub(super) fn next(&mut self, tables: &SampleTables<'_>) -> Option<Sample> {
        let bytes = tables.sizes.get(self.index)?;
        let offset = self.chunk.advance(tables, bytes)?;
        if let Some(duration) = self.durations.next(tables.durations) {
            self.duration = if duration > DURATION_MAX { 1 } else { duration };
        }
        let composition_offset = self.composition_offsets.next(tables.composition_offsets);
        let sample = Sample {
            offset,
            bytes,
            media_bytes: bytes,
            decode: self.decode,
            // Version 0 declares unsigned offsets; no writer means 2^31 ticks or more.
            composition_offset: composition_offset.unwrap_or(0).cast_signed(),
            duration: self.duration,
            sync: self.is_sync(tables),
        };
        self.decode = self.decode.checked_add(i64::from(self.duration))?;
        self.index += 1;
        Some(sample)
    }

    /// Whether the current sample is a sync sample. A table without entries marks streams that
    /// refresh gradually: they can be entered at their beginning.
    fn is_sync(&mut self, tables: &SampleTables<'_>) -> bool {
        let Some(syncs) = tables.syncs else { return true };
        if syncs.is_empty() {
            return self.index == 0;
        }
        let number = |at: usize| syncs.get(at).map(|sync| u32::from_be_bytes(*sync));
        while number(self.next_sync).is_some_and(|sync| sync <= self.index) {
            self.next_sync += 1;
        }
        number(self.next_sync) == self.index.checked_add(1)
    }
}
