//! Where samples lie, by their numbers, for references that jump about (ISO 14496-12 §9.1.3.2).

use super::super::boxes::{boxes, find};
use super::{ChunkRun, SampleTables, Sizes};

/// What a hint sample asks for: bytes of a sample or, of sound, from a sample on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in super::super) struct Place {
    /// Number of the sample, from 1.
    pub(in super::super) sample: u32,
    /// Bytes behind its beginning.
    pub(in super::super) offset: u32,
    /// How many bytes.
    pub(in super::super) bytes: u16,
    /// Of compressed sound (QuickTime File Format): so many bytes hold so many samples.
    pub(in super::super) block_bytes: u16,
    pub(in super::super) block_samples: u16,
}

/// The sample tables of a track, kept, and which chunk has which samples.
#[derive(Debug)]
pub(in super::super) struct Places {
    tables: Box<[u8]>,
    runs: Vec<Run>,
    /// The sample that was looked for last, from 0, and where it lies.
    recent: Option<(u32, u64)>,
    /// Sizes that may be added up, and chunks that may be gone over.
    steps_left: u32,
}

/// Chunks of equally many samples.
#[derive(Clone, Copy, Debug)]
struct Run {
    /// From 0, as the chunk.
    first_sample: u64,
    first_chunk: u32,
    /// The first chunk behind them.
    end_chunk: u32,
    samples_per_chunk: u32,
}

impl Run {
    /// Samples in one of its chunks, of so many in the track.
    fn samples_in(&self, chunk: u32, count: u32) -> u32 {
        let before = u64::from(chunk - self.first_chunk) * u64::from(self.samples_per_chunk);
        let left = u64::from(count).saturating_sub(self.first_sample + before);
        u32::try_from(left).unwrap_or(u32::MAX).min(self.samples_per_chunk)
    }
}

/// A chunk has few samples, and references go forward: a table for which this does not do is no
/// muxer's.
const STEPS_MAX: u32 = 1 << 24;

impl Places {
    /// The tables in an `stbl` box; otherwise what is missing.
    pub(in super::super) fn parse(stbl: &[u8]) -> Result<Self, &'static str> {
        let chunk_runs = SampleTables::parse(stbl)?.chunk_runs;
        let mut runs = Vec::with_capacity(chunk_runs.len());
        let (mut first_sample, mut first_chunk) = (0_u64, 0_u32);
        for (at, run) in chunk_runs.iter().enumerate() {
            let next = chunk_runs.get(at + 1).map(|next| ChunkRun::parse(next).first_chunk);
            let end = next.map_or(u32::MAX, |number| number.saturating_sub(1));
            let samples_per_chunk = ChunkRun::parse(run).samples_per_chunk;
            let chunks = end.saturating_sub(first_chunk);
            if chunks > 0 && samples_per_chunk > 0 {
                runs.push(Run { first_sample, first_chunk, end_chunk: end, samples_per_chunk });
            }
            let samples = u64::from(chunks) * u64::from(samples_per_chunk);
            (first_sample, first_chunk) = (first_sample + samples, first_chunk.max(end));
        }
        Ok(Self { tables: kept(stbl), runs, recent: None, steps_left: STEPS_MAX })
    }

    /// Bytes that it keeps.
    pub(in super::super) const fn memory_bytes(&self) -> usize {
        self.tables.len() + self.runs.len() * size_of::<Run>()
    }

    /// The tables as they were parsed; `None` never comes.
    pub(in super::super) fn tables(&self) -> Option<SampleTables<'_>> {
        SampleTables::parse(&self.tables).ok()
    }

    /// Where in the file that lies: offsets and lengths. `None` if it is not in the sample, or of
    /// sound not in this chunk and those behind it, over which a reference may go.
    pub(in super::super) fn find(&mut self, place: &Place) -> Option<Vec<(u64, u16)>> {
        let tables = SampleTables::parse(&self.tables).ok()?;
        let index = place.sample.checked_sub(1)?;
        let count = tables.declared_count();
        (index < count).then_some(())?;
        let behind = self.runs.partition_point(|run| run.first_sample <= u64::from(index));
        let at = behind.checked_sub(1)?;
        let run = self.runs.get(at)?;
        let within = u64::from(index) - run.first_sample;
        let chunk = within / u64::from(run.samples_per_chunk) + u64::from(run.first_chunk);
        let skipped = u32::try_from(within % u64::from(run.samples_per_chunk)).ok()?;
        let chunk = u32::try_from(chunk).ok().filter(|chunk| *chunk < run.end_chunk)?;
        if let Sizes::Constant { bytes, .. } = tables.sizes {
            let (block_bytes, block_samples) = match (place.block_bytes, place.block_samples) {
                (0, _) | (_, 0) | (1, 1) => (bytes, 1),
                (bytes, samples) => (u32::from(bytes), u32::from(samples)),
            };
            let start = u64::from(skipped / block_samples) * u64::from(block_bytes);
            let chunks = self.runs.get(at..).unwrap_or_default().iter().flat_map(|run| {
                (run.first_chunk.max(chunk)..run.end_chunk).map(|at| {
                    let blocks = run.samples_in(at, count).div_ceil(block_samples);
                    (at, u64::from(blocks) * u64::from(block_bytes))
                })
            });
            let chunks = chunks.map_while(|(at, bytes)| {
                self.steps_left = self.steps_left.checked_sub(1)?;
                Some((tables.chunk_offsets.get(at as usize)?, bytes))
            });
            return in_chunks(chunks, start.checked_add(place.offset.into())?, place.bytes);
        }
        let end = u64::from(place.offset) + u64::from(place.bytes);
        (end <= u64::from(tables.sizes.get(index)?)).then_some(())?;
        let known = self.recent.filter(|(recent, _)| (index - skipped..=index).contains(recent));
        let start = tables.chunk_offsets.get(chunk as usize)?;
        let (mut at, mut offset) = known.unwrap_or((index - skipped, start));
        self.steps_left = self.steps_left.checked_sub(index - at)?;
        while at < index {
            offset = offset.checked_add(tables.sizes.get(at)?.into())?;
            at += 1;
        }
        self.recent = Some((index, offset));
        Some(vec![(offset.checked_add(place.offset.into())?, place.bytes)])
    }
}

/// Where so many bytes lie that begin `start` bytes behind the beginning of the first of these
/// chunks, of which each has its offset and its length; `None` if they end before.
fn in_chunks(
    chunks: impl Iterator<Item = (u64, u64)>,
    start: u64,
    bytes: u16,
) -> Option<Vec<(u64, u16)>> {
    let (mut skip, mut left, mut pieces) = (start, bytes, Vec::with_capacity(1));
    for (offset, chunk_bytes) in chunks {
        if skip < chunk_bytes || left == 0 {
            let here = u64::from(left).min(chunk_bytes.saturating_sub(skip));
            let here = u16::try_from(here).ok()?;
            pieces.push((offset.checked_add(skip)?, here));
            left -= here;
        }
        skip = skip.saturating_sub(chunk_bytes);
        if left == 0 {
            return Some(pieces);
        }
    }
    None
}

/// The boxes of `stbl` that say where and when samples are.
fn kept(stbl: &[u8]) -> Box<[u8]> {
    const KINDS: [&[u8; 4]; 8] =
        [b"stsz", b"stz2", b"stco", b"co64", b"stsc", b"stts", b"ctts", b"stss"];
    let mut kept = Vec::new();
    for found in KINDS.iter().filter_map(|kind| find(stbl, kind)) {
        let size = u32::try_from(found.body.len() + 8).unwrap_or(u32::MAX);
        kept.extend_from_slice(&size.to_be_bytes());
        kept.extend_from_slice(&found.kind.0);
        kept.extend_from_slice(found.body);
    }
    debug_assert_eq!(boxes(&kept).map(|found| found.body.len() + 8).sum::<usize>(), kept.len());
    kept.into()
}

#[cfg(test)]
mod tests {
    use super::super::super::tests::writer::{make_box, make_table, words};
    use super::*;

    fn places(tables: &[&[u8]]) -> Places {
        let stts = make_table(b"stts", &[[1, 1]]);
        Places::parse(&[&tables.concat()[..], &stts].concat()).unwrap()
    }

    #[test]
    fn samples_are_found_by_their_numbers() {
        let sizes = [10, 20, 30, 40, 50, 60, 70];
        let mut places = places(&[
            &make_box(b"stsz", &[&words(&[0, 0, 7]), &words(&sizes)]),
            // The second run says nothing, as the one of no samples.
            &make_table(b"stsc", &[[1, 2, 1], [2, 9, 1], [2, 3, 1], [3, 0, 1], [4, 1, 1]]),
            &make_table(b"stco", &[[1000], [2000], [3000], [4000], [5000]]),
        ]);
        for (sample, offset, bytes, expected) in [
            (1, 0, 10, Some(1000)),
            (1, 4, 6, Some(1004)),
            (1, 4, 7, None),
            (2, 0, 20, Some(1010)),
            (5, 1, 49, Some(2071)),
            (4, 0, 1, Some(2030)),
            (3, 30, 0, Some(2030)),
            (5, 0, 0, Some(2070)),
            (6, 0, 60, Some(4000)),
            (7, 0, 1, Some(5000)),
            (8, 0, 0, None),
            (0, 0, 0, None),
        ] {
            let place = Place { sample, offset, bytes, ..Place::default() };
            assert_eq!(places.find(&place), expected.map(|at| vec![(at, bytes)]), "{place:?}");
        }
    }

    #[test]
    fn sound_is_found_in_its_chunk_and_those_behind_it() {
        let mut places = places(&[
            &make_box(b"stsz", &[&words(&[0, 1, 20])]),
            &make_table(b"stsc", &[[1, 8, 1]]),
            &make_table(b"stco", &[[1000], [2000], [3000]]),
        ]);
        for (sample, offset, bytes, (block_bytes, block_samples), expected) in [
            (1, 0, 8, (0, 0), Some(vec![(1000, 8)])),
            (3, 0, 6, (1, 1), Some(vec![(1002, 6)])),
            (3, 0, 7, (1, 1), Some(vec![(1002, 6), (2000, 1)])),
            (3, 14, 4, (1, 1), Some(vec![(3000, 4)])),
            (3, 14, 5, (1, 1), None),
            (1, 21, 3, (6, 2), Some(vec![(1021, 3)])),
            (1, 21, 30, (6, 2), Some(vec![(1021, 3), (2000, 24), (3000, 3)])),
            (5, 1, 5, (6, 2), Some(vec![(1013, 5)])),
            (15, 1, 5, (6, 2), Some(vec![(2019, 5)])),
            (15, 1, 6, (6, 2), Some(vec![(2019, 5), (3000, 1)])),
            (15, 6, 0, (6, 2), Some(vec![(2024, 0)])),
            (20, 0, 1, (6, 2), Some(vec![(3006, 1)])),
            (21, 0, 1, (6, 2), None),
            (u32::MAX, 0, 1, (6, 2), None),
        ] {
            let place = Place { sample, offset, bytes, block_bytes, block_samples };
            assert_eq!(places.find(&place), expected, "{place:?}");
        }
    }

    #[test]
    fn a_table_that_makes_references_dear_is_given_up() {
        let count = 1 << 16;
        let sizes = vec![1; count as usize];
        let mut places = places(&[
            &make_box(b"stsz", &[&words(&[0, 0, count]), &words(&sizes)]),
            &make_table(b"stsc", &[[1, count, 1]]),
            &make_table(b"stco", &[[0]]),
        ]);
        let place = |sample| Place { sample, bytes: 1, ..Place::default() };
        assert!((1..=count).all(|sample| places.find(&place(sample)).is_some()));
        let found = (0..500)
            .filter(|_| places.find(&place(1)).is_some() && places.find(&place(count)).is_some());
        assert!((200..300).contains(&found.count()));
    }
}
