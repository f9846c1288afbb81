//! Movie fragments: units that lie behind the movie header, a stretch of time in each `moof`
//! (ISO 14496-12 §8.8).

use super::boxes::{Box, Bytes, boxes, find, next_box};
use super::samples::Sample;

/// What `trex` says of a track: what its fragments leave out (§8.8.3).
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Defaults {
    description: u32,
    duration: u32,
    bytes: u32,
    flags: u32,
}

impl Defaults {
    /// Those of a track in a `moov` box; zeros if it says nothing.
    pub(super) fn of(moov: &[u8], container_id: u32) -> Self {
        let Some(mvex) = find(moov, b"mvex") else { return Self::default() };
        let all = boxes(mvex.body).filter(|found| found.kind.0 == *b"trex").take(TREX_BOXES_MAX);
        all.filter_map(|found| Self::parse(found.bytes()))
            .find_map(|(id, defaults)| (id == container_id).then_some(defaults))
            .unwrap_or_default()
    }

    fn parse(mut trex: Bytes<'_>) -> Option<(u32, Self)> {
        trex.version_and_flags()?;
        let id = trex.u32()?;
        let description = trex.u32()?;
        Some((
            id,
            Self { description, duration: trex.u32()?, bytes: trex.u32()?, flags: trex.u32()? },
        ))
    }
}

/// Boxes that are looked at for a track's defaults.
const TREX_BOXES_MAX: usize = 1024;
/// sample_is_non_sync_sample (§8.8.3.1).
const NON_SYNC: u32 = 0x1_0000;

/// A stretch of one track in a fragment: a `traf` box.
#[derive(Clone, Copy, Debug)]
pub(super) struct TrackFragment<'a> {
    pub(super) container_id: u32,
    /// Decode time of the first unit, if the fragment says so (`tfdt`).
    pub(super) decode: Option<i64>,
    body: &'a [u8],
    header: Header,
}

/// What `tfhd` says (§8.8.7), filled up from `trex` by [`TrackFragment::samples`].
#[derive(Clone, Copy, Debug, Default)]
struct Header {
    description: Option<u32>,
    base: Option<u64>,
    base_is_moof: bool,
    duration: Option<u32>,
    bytes: Option<u32>,
    flags: Option<u32>,
}

impl<'a> TrackFragment<'a> {
    /// The track fragments of a `moof` box.
    pub(super) fn all(moof: &'a [u8]) -> impl Iterator<Item = Self> {
        boxes(moof).filter(|found| found.kind.0 == *b"traf").filter_map(|traf| Self::parse(&traf))
    }

    fn parse(traf: &Box<'a>) -> Option<Self> {
        let mut tfhd = find(traf.body, b"tfhd")?.bytes();
        let (_, flags) = tfhd.version_and_flags()?;
        let container_id = tfhd.u32()?;
        let base = if flags & 0x1 != 0 { Some(tfhd.u64()?) } else { None };
        let description = if flags & 0x2 != 0 { Some(tfhd.u32()?) } else { None };
        let mut word = |flag| (flags & flag != 0).then(|| tfhd.u32()).flatten();
        let (duration, bytes, sample_flags) = (word(0x8), word(0x10), word(0x20));
        let base_is_moof = flags & 0x2_0000 != 0;
        let flags = sample_flags;
        let header = Header { description, base, base_is_moof, duration, bytes, flags };
        let decode = find(traf.body, b"tfdt").and_then(|found| parse_decode_time(found.bytes()));
        Some(Self { container_id, decode, body: traf.body, header })
    }

    /// Number, from 1, of the sample description that its units have.
    pub(super) fn description(&self, defaults: Defaults) -> u32 {
        self.header.description.unwrap_or(defaults.description)
    }

    /// Where its data begins unless its runs say otherwise (§8.8.7.1): `moof_offset` is that of the
    /// `moof` box, `data_end` where the data of the track fragment in front of it ends.
    pub(super) fn base(&self, moof_offset: u64, data_end: Option<u64>) -> u64 {
        match self.header {
            Header { base: Some(base), .. } => base,
            Header { base_is_moof: true, .. } => moof_offset,
            Header { .. } => data_end.unwrap_or(moof_offset),
        }
    }

    /// Its units in decode order, from `base` and `decode` on.
    pub(super) fn samples(&self, defaults: Defaults, base: u64, decode: i64) -> Samples<'a> {
        let Header { duration, bytes, flags, .. } = self.header;
        Samples {
            boxes: Bytes(self.body),
            run: None,
            base,
            offset: base,
            decode,
            defaults: Defaults {
                description: self.description(defaults),
                duration: duration.unwrap_or(defaults.duration),
                bytes: bytes.unwrap_or(defaults.bytes),
                flags: flags.unwrap_or(defaults.flags),
            },
        }
    }
}

/// `tfdt` (§8.8.12).
fn parse_decode_time(mut tfdt: Bytes<'_>) -> Option<i64> {
    let (version, _) = tfdt.version_and_flags()?;
    let time = if version == 1 { tfdt.u64()? } else { tfdt.u32()?.into() };
    i64::try_from(time).ok().filter(|time| *time < TIME_MAX)
}

/// Decode times beyond this many ticks are none.
const TIME_MAX: i64 = 1 << 52;

/// A walk over the units of a track fragment.
#[derive(Clone, Debug)]
pub(super) struct Samples<'a> {
    /// What is left of the `traf` box.
    boxes: Bytes<'a>,
    run: Option<Run<'a>>,
    base: u64,
    /// Where the next unit lies, if its run does not say.
    offset: u64,
    decode: i64,
    defaults: Defaults,
}

/// A `trun` box (§8.8.8), as far as it has not been walked yet.
#[derive(Clone, Copy, Debug)]
struct Run<'a> {
    flags: u32,
    left: u32,
    first_flags: Option<u32>,
    entries: Bytes<'a>,
}

impl Samples<'_> {
    /// Where the data ends that has been walked over.
    pub(super) const fn data_end(&self) -> u64 {
        self.offset
    }
}

impl<'a> Samples<'a> {
    /// Goes to the next run that has units.
    fn next_run(&mut self) -> Option<()> {
        loop {
            let found = next_box(&mut self.boxes)?;
            if found.kind.0 == *b"trun"
                && let Some(run) = self.parse_run(found.bytes())
                && run.left > 0
            {
                self.run = Some(run);
                return Some(());
            }
        }
    }

    fn parse_run(&mut self, mut trun: Bytes<'a>) -> Option<Run<'a>> {
        let (_, flags) = trun.version_and_flags()?;
        let left = trun.u32()?;
        if flags & 0x1 != 0 {
            let from_base = i64::from(trun.u32()?.cast_signed());
            self.offset = self.base.checked_add_signed(from_base)?;
        }
        let first_flags = if flags & 0x4 != 0 { Some(trun.u32()?) } else { None };
        // Without a field for each there is nothing that bounds their number but the file.
        let left = if flags & 0xf00 == 0 { left.min(RUN_UNITS_MAX) } else { left };
        Some(Run { flags, left, first_flags, entries: trun })
    }

    fn next_sample(&mut self) -> Option<Sample> {
        let defaults = self.defaults;
        let run = self.run.as_mut()?;
        let mut field = |flag, otherwise| {
            if run.flags & flag != 0 { run.entries.u32() } else { Some(otherwise) }
        };
        let duration = field(0x100, defaults.duration)?;
        let bytes = field(0x200, defaults.bytes)?;
        let flags = field(0x400, run.first_flags.unwrap_or(defaults.flags))?;
        let composition_offset = field(0x800, 0)?.cast_signed();
        (run.left, run.first_flags) = (run.left - 1, None);
        let (offset, decode) = (self.offset, self.decode);
        self.offset = offset.checked_add(u64::from(bytes))?;
        self.decode = decode.checked_add(i64::from(duration))?;
        let sync = flags & NON_SYNC == 0;
        let media_bytes = bytes;
        Some(Sample { offset, bytes, media_bytes, decode, composition_offset, duration, sync })
    }
}

/// Units of a run that says nothing of each of them.
const RUN_UNITS_MAX: u32 = 1 << 16;

impl Iterator for Samples<'_> {
    type Item = Sample;

    fn next(&mut self) -> Option<Sample> {
        loop {
            if self.run.is_some_and(|run| run.left > 0)
                && let Some(sample) = self.next_sample()
            {
                return Some(sample);
            }
            self.run = None;
            self.next_run()?;
        }
    }
}
