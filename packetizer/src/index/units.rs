//! The access units of one track in a few bytes each.
//!
//! A unit is a head varint (`bytes << 4 | flags`), followed by what its flags announce: a jump in
//! the file, a new duration, a new composition offset. Audio takes 2 bytes a unit, video with
//! reordered pictures 5 to 6. Where a container puts something between a unit's bytes, how much
//! that is follows the head. Every [`ANCHOR_UNITS`] units an [`Anchor`] says where the stream can
//! be entered; durations and composition offsets are predicted from 0 there.

use super::AccessUnitEntry;
use crate::wrapping::Wrapping;

/// Units from one anchor to the next.
pub(super) const ANCHOR_UNITS: u32 = 64;

const SYNC: u64 = 1;
const JUMP: u64 = 2;
const DURATION: u64 = 4;
const COMPOSITION: u64 = 8;
const FLAG_BITS: u32 = 4;

/// Where the stream of units can be entered.
#[derive(Clone, Copy, Debug)]
struct Anchor {
    /// Offset of the unit in the container file.
    offset: u64,
    /// Decode time of the unit.
    decode: i64,
    /// Position of the unit in the stream.
    position: u32,
}

/// What a unit is predicted from.
#[derive(Clone, Copy, Debug, Default)]
struct Prediction {
    offset: u64,
    duration: u32,
    composition_offset: i64,
}

/// How many bytes of media the units have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum MediaBytes {
    /// As many as they are long in the file.
    #[default]
    All,
    /// So many more, if they have any.
    Prefixed(u32),
    /// As many as each says.
    Told,
}

impl MediaBytes {
    fn of(wrapping: &Wrapping) -> Self {
        match wrapping {
            Wrapping::None => Self::All,
            Wrapping::Prefix(prefix) => {
                Self::Prefixed(u32::try_from(prefix.len()).unwrap_or(u32::MAX))
            }
            Wrapping::TransportStream(_)
            | Wrapping::Packets(_)
            | Wrapping::ProgramStream(_)
            | Wrapping::Latm(_)
            | Wrapping::LatmIn(..)
            | Wrapping::Ogg(_)
            | Wrapping::Hinted(_)
            | Wrapping::Joined(_) => Self::Told,
        }
    }

    /// What a unit of so many bytes in the file has; `told` if it is told.
    const fn count(self, bytes: u32, told: u32) -> u32 {
        match self {
            Self::All => bytes,
            Self::Prefixed(_) if bytes == 0 => 0,
            Self::Prefixed(more) => bytes.saturating_add(more),
            Self::Told => told,
        }
    }
}

/// The access units of one track, in decode order.
#[derive(Clone, Debug, Default)]
pub(super) struct Units {
    media: MediaBytes,
    stream: Vec<u8>,
    anchors: Vec<Anchor>,
    syncs: Syncs,
    count: u32,
    total_bytes: u64,
    unit_bytes_max: u32,
    composition_offset_min: i64,
    composition_end: i64,
    prediction: Prediction,
}

impl Units {
    /// None yet, of a track whose units lie in the file like this.
    pub(super) fn new(wrapping: &Wrapping) -> Self {
        Self { media: MediaBytes::of(wrapping), ..Self::default() }
    }

    /// Appends a unit; its decode time must be the one before's plus that one's duration.
    pub(super) fn push(&mut self, unit: &AccessUnitEntry) {
        let media_bytes = self.media.count(unit.bytes, unit.media_bytes.min(unit.bytes));
        let composition_offset = unit.composition.saturating_sub(unit.decode);
        if self.count.is_multiple_of(ANCHOR_UNITS) {
            self.prediction = Prediction { offset: unit.offset, ..Prediction::default() };
            let position = u32::try_from(self.stream.len()).unwrap_or(u32::MAX);
            self.anchors.push(Anchor { offset: unit.offset, decode: unit.decode, position });
        }
        let predicted = self.prediction;
        let flags = flag(unit.sync, SYNC)
            | flag(unit.offset != predicted.offset, JUMP)
            | flag(unit.duration != predicted.duration, DURATION)
            | flag(composition_offset != predicted.composition_offset, COMPOSITION);
        write_varint(&mut self.stream, u64::from(unit.bytes) << FLAG_BITS | flags);
        if self.media == MediaBytes::Told {
            write_varint(&mut self.stream, u64::from(unit.bytes - media_bytes));
        }
        if flags & JUMP != 0 {
            let jump = unit.offset.wrapping_sub(predicted.offset).cast_signed();
            write_varint(&mut self.stream, zigzag(jump));
        }
        if flags & DURATION != 0 {
            write_varint(&mut self.stream, u64::from(unit.duration));
        }
        if flags & COMPOSITION != 0 {
            write_varint(&mut self.stream, zigzag(composition_offset));
        }
        self.prediction = Prediction {
            offset: unit.offset.wrapping_add(u64::from(unit.bytes)),
            duration: unit.duration,
            composition_offset,
        };
        self.summarize(unit, media_bytes, composition_offset);
    }

    fn summarize(&mut self, unit: &AccessUnitEntry, media_bytes: u32, composition_offset: i64) {
        let end = unit.composition.saturating_add(i64::from(unit.duration));
        if self.count == 0 {
            self.composition_offset_min = composition_offset;
            self.composition_end = end;
        }
        self.composition_offset_min = self.composition_offset_min.min(composition_offset);
        self.composition_end = self.composition_end.max(end);
        self.total_bytes += u64::from(media_bytes);
        self.unit_bytes_max = self.unit_bytes_max.max(media_bytes);
        self.syncs.push(self.count, unit.sync);
        self.count += 1;
    }

    /// Gives back memory reserved for units that never came.
    pub(super) fn shrink(&mut self) {
        self.stream.shrink_to_fit();
        self.anchors.shrink_to_fit();
        if let Syncs::Listed(list) = &mut self.syncs {
            list.shrink_to_fit();
        }
    }

    /// Memory on the heap and in place, in bytes.
    pub(super) const fn memory_bytes(&self) -> usize {
        size_of::<Self>()
            + self.stream.capacity()
            + self.anchors.capacity() * size_of::<Anchor>()
            + self.syncs.memory_bytes()
    }

    /// Number of units.
    pub(super) const fn count(&self) -> u32 {
        self.count
    }

    /// Bytes of media of all units.
    pub(super) const fn total_bytes(&self) -> u64 {
        self.total_bytes
    }

    /// Bytes of media of the largest unit.
    pub(super) const fn unit_bytes_max(&self) -> u32 {
        self.unit_bytes_max
    }

    /// The latest end of a unit's composition, in ticks.
    pub(super) const fn composition_end(&self) -> i64 {
        self.composition_end
    }

    /// The sync samples.
    pub(super) const fn syncs(&self) -> &Syncs {
        &self.syncs
    }

    /// The unit at `index`.
    pub(super) fn get(&self, index: u32) -> Option<AccessUnitEntry> {
        self.range(index, index.saturating_add(1)).next()
    }

    /// How many there are.
    pub(super) const fn len(&self) -> u32 {
        self.count
    }

    /// Units `first..end`, in decode order.
    pub(super) fn range(&self, first: u32, end: u32) -> UnitIter<'_> {
        let block = first / ANCHOR_UNITS;
        let end = end.min(self.count);
        let Some(anchor) = self.anchors.get(block as usize).filter(|_| first < end) else {
            return UnitIter { units: self, index: 0, end: 0, ..UnitIter::empty(self) };
        };
        let mut units = UnitIter {
            index: block * ANCHOR_UNITS,
            end,
            position: anchor.position as usize,
            decode: anchor.decode,
            ..UnitIter::empty(self)
        };
        while units.index < first && units.next().is_some() {}
        units
    }

    /// The first unit whose decode time is at least `ticks`; the count if there is none.
    pub(super) fn first_decoded_from(&self, ticks: i64) -> u32 {
        let after = self.anchors.partition_point(|anchor| anchor.decode < ticks);
        let Some(block) = after.checked_sub(1) else { return 0 };
        let first = u32::try_from(block).unwrap_or(u32::MAX).saturating_mul(ANCHOR_UNITS);
        self.range(first, first.saturating_add(ANCHOR_UNITS))
            .find(|unit| unit.decode >= ticks)
            .map_or_else(|| first.saturating_add(ANCHOR_UNITS).min(self.count), |unit| unit.index)
    }

    /// One past the last unit in decode order whose composition time is below `ticks`; 0 if there
    /// is none.
    pub(super) fn end_composed_before(&self, ticks: i64) -> u32 {
        // No unit from here on is composed before `ticks`, since none is composed earlier than
        // its decode time plus the least offset.
        let mut end = self.first_decoded_from(ticks.saturating_sub(self.composition_offset_min));
        while end > 0 {
            let first = (end - 1) / ANCHOR_UNITS * ANCHOR_UNITS;
            let last = self.range(first, end).filter(|unit| unit.composition < ticks).last();
            if let Some(unit) = last {
                return unit.index + 1;
            }
            end = first;
        }
        0
    }

    /// How many sync samples are composed at or before `ticks`, given that sync samples are
    /// composed in decode order.
    pub(super) fn syncs_composed_until(&self, ticks: i64) -> u32 {
        let (mut low, mut high) = (0, self.syncs.count(self.count));
        while low < high {
            let middle = low + (high - low) / 2;
            let unit = self.syncs.nth(middle).and_then(|index| self.get(index));
            if unit.is_some_and(|unit| unit.composition <= ticks) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }
}

const fn flag(set: bool, bit: u64) -> u64 {
    if set { bit } else { 0 }
}

/// Walks units in decode order without allocating.
#[derive(Clone, Debug)]
pub(super) struct UnitIter<'a> {
    units: &'a Units,
    index: u32,
    end: u32,
    position: usize,
    decode: i64,
    prediction: Prediction,
}

impl<'a> UnitIter<'a> {
    fn empty(units: &'a Units) -> Self {
        Self { units, index: 0, end: 0, position: 0, decode: 0, prediction: Prediction::default() }
    }

    fn varint(&mut self) -> Option<u64> {
        read_varint(&self.units.stream, &mut self.position)
    }
}

impl Iterator for UnitIter<'_> {
    type Item = AccessUnitEntry;

    fn next(&mut self) -> Option<AccessUnitEntry> {
        if self.index >= self.end {
            return None;
        }
        if self.index.is_multiple_of(ANCHOR_UNITS) {
            let anchor = self.units.anchors.get((self.index / ANCHOR_UNITS) as usize)?;
            self.prediction = Prediction { offset: anchor.offset, ..Prediction::default() };
        }
        let head = self.varint()?;
        let bytes = u32::try_from(head >> FLAG_BITS).ok()?;
        let media = self.units.media;
        let less = if media == MediaBytes::Told { self.varint()? } else { 0 };
        let media_bytes = media.count(bytes, bytes.saturating_sub(u32::try_from(less).ok()?));
        let Prediction { mut offset, mut duration, mut composition_offset } = self.prediction;
        if head & JUMP != 0 {
            offset = offset.wrapping_add(unzigzag(self.varint()?).cast_unsigned());
        }
        if head & DURATION != 0 {
            duration = u32::try_from(self.varint()?).ok()?;
        }
        if head & COMPOSITION != 0 {
            composition_offset = unzigzag(self.varint()?);
        }
        let unit = AccessUnitEntry {
            index: self.index,
            offset,
            bytes,
            media_bytes,
            decode: self.decode,
            composition: self.decode.saturating_add(composition_offset),
            duration,
            sync: head & SYNC != 0,
        };
        self.index += 1;
        self.decode = self.decode.saturating_add(i64::from(duration));
        let offset = offset.wrapping_add(u64::from(bytes));
        self.prediction = Prediction { offset, duration, composition_offset };
        Some(unit)
    }
}

/// Which units are sync samples.
#[derive(Clone, Debug, Default)]
pub(super) enum Syncs {
    /// All.
    #[default]
    All,
    /// These, in ascending order.
    Listed(Vec<u32>),
}

impl Syncs {
    fn push(&mut self, index: u32, sync: bool) {
        match self {
            Self::All if sync => {}
            Self::All => *self = Self::Listed((0..index).collect()),
            Self::Listed(list) if sync => list.push(index),
            Self::Listed(_) => {}
        }
    }

    const fn memory_bytes(&self) -> usize {
        match self {
            Self::All => 0,
            Self::Listed(list) => list.capacity() * size_of::<u32>(),
        }
    }

    /// How many there are among `unit_count` units.
    fn count(&self, unit_count: u32) -> u32 {
        match self {
            Self::All => unit_count,
            Self::Listed(list) => u32::try_from(list.len()).unwrap_or(u32::MAX),
        }
    }

    /// The unit of the `ordinal`th sync sample. Past the end it is `None` or no unit of the track.
    pub(super) fn nth(&self, ordinal: u32) -> Option<u32> {
        match self {
            Self::All => Some(ordinal),
            Self::Listed(list) => list.get(ordinal as usize).copied(),
        }
    }

    /// The first at or after `unit`.
    pub(super) fn at_or_after(&self, unit: u32) -> Option<u32> {
        match self {
            Self::All => Some(unit),
            Self::Listed(list) => list.get(list.partition_point(|sync| *sync < unit)).copied(),
        }
    }
}

const fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)).cast_unsigned()
}

const fn unzigzag(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ -((value & 1).cast_signed())
}

/// Seven bits a byte, lowest first; the top bit says that more follow.
fn write_varint(stream: &mut Vec<u8>, mut value: u64) {
    loop {
        let [low, ..] = value.to_le_bytes();
        value >>= 7;
        if value == 0 {
            stream.push(low & 0x7f);
            return;
        }
        stream.push(low | 0x80);
    }
}

fn read_varint(stream: &[u8], position: &mut usize) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let byte = *stream.get(*position)?;
        *position += 1;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::wrapping::ogg::Serial;

    /// Units as a hostile container may have them, with as many bytes of media as there are, or
    /// fewer; durations make the decode times.
    fn units_of(is_whole: bool) -> impl Strategy<Value = Vec<AccessUnitEntry>> {
        let unit = (0..u64::MAX >> 8, 0..1_u32 << 26, any::<i32>(), any::<u32>(), any::<bool>());
        let rows = proptest::collection::vec(unit, 0..300);
        (rows, any::<i32>()).prop_map(move |(rows, start)| {
            let mut decode = i64::from(start);
            let with_index = (0..).zip(rows);
            let unit = |(index, (offset, bytes, ahead, duration, sync))| {
                let media_bytes = if is_whole { bytes } else { bytes - bytes / 3 };
                let composition = decode + i64::from(ahead);
                let unit = AccessUnitEntry {
                    index,
                    offset,
                    bytes,
                    media_bytes,
                    decode,
                    composition,
                    duration,
                    sync,
                };
                decode += i64::from(duration);
                unit
            };
            with_index.map(unit).collect()
        })
    }

    fn units() -> impl Strategy<Value = Vec<AccessUnitEntry>> {
        prop_oneof![units_of(true), units_of(false)]
    }

    fn packed(entries: &[AccessUnitEntry]) -> Units {
        let is_whole = entries.iter().all(|unit| unit.bytes == unit.media_bytes);
        let wrapping = if is_whole { Wrapping::None } else { Wrapping::Ogg(Serial(1)) };
        let mut units = Units::new(&wrapping);
        entries.iter().for_each(|unit| units.push(unit));
        units
    }

    proptest! {
        #[test]
        fn gives_back_what_was_pushed(entries in units(), first in 0..310_u32, end in 0..310_u32) {
            let units = packed(&entries);
            let all: Vec<_> = units.range(0, u32::MAX).collect();
            prop_assert_eq!(&all, &entries);
            let expected = entries.iter().filter(|unit| (first..end).contains(&unit.index));
            prop_assert!(units.range(first, end).eq(expected.copied()));
            prop_assert_eq!(units.get(first), entries.get(first as usize).copied());
            let media_bytes: u64 = entries.iter().map(|unit| u64::from(unit.media_bytes)).sum();
            prop_assert_eq!(units.total_bytes(), media_bytes);
        }

        #[test]
        fn finds_what_a_scan_finds(entries in units(), at in 0..300_usize, nudge in -1..=1_i64) {
            let units = packed(&entries);
            let Some(unit) = entries.get(at) else { return Ok(()) };
            let decode = unit.decode + nudge;
            let expected = entries.iter().position(|unit| unit.decode >= decode);
            let found = units.first_decoded_from(decode) as usize;
            prop_assert_eq!(found, expected.unwrap_or(entries.len()));

            let composition = unit.composition + nudge;
            let last = entries.iter().rposition(|unit| unit.composition < composition);
            let found = units.end_composed_before(composition) as usize;
            prop_assert_eq!(found, last.map_or(0, |last| last + 1));

            let next = entries[at..].iter().find(|unit| unit.sync).map(|unit| unit.index);
            let count = units.count();
            let found = units.syncs().at_or_after(unit.index).filter(|sync| *sync < count);
            prop_assert_eq!(found, next);
        }
    }

    #[test]
    fn numbers_of_any_size_survive() {
        for value in [0, 1, -1, 63, 64, -64, -65, i64::from(i32::MIN), i64::MAX, i64::MIN] {
            let mut stream = Vec::new();
            write_varint(&mut stream, zigzag(value));
            let mut position = 0;
            assert_eq!(read_varint(&stream, &mut position).map(unzigzag), Some(value));
            assert_eq!(position, stream.len());
            assert_eq!(read_varint(&stream[..stream.len() - 1], &mut 0), None);
        }
    }
}
