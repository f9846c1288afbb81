//! Hint tracks (ISO 14496-12 §9.1; QuickTime File Format, "Hint media"): how the packets of another
//! track are made, whose codec need not be known. Their samples are read when the file is opened;
//! what is kept is where each packet's bytes lie.
//!
//! A hint sample is an access unit, with the time and the sync flag of its own. Its packets leave
//! together, as any unit's do, at the time of the sample; where their timestamps differ, those of
//! each are a unit, which leaves when the hint track says so, but no later than its timestamp
//! tells.

mod description;
mod packets;

use super::boxes::{Box, Bytes, find_path, next_box};
use super::samples::{Place, Places, Sample, SampleWalk};
use crate::codec::hinted::{HintedConfig, PACKET_BYTES_MAX, RTP_HEADER_BYTES};
use crate::container::Demand;
use crate::index::{EXTENT_BYTES_MAX, SkipReason};
use crate::time::ClockRate;
use crate::wrapping::hinted::{Piece, PlannedPacket, RecipeWriter, Recipes};
use description::Description;
use packets::{Constructor, Packet};

pub(super) use description::references;

/// Bytes of hint samples that are read at once, unless one has more.
const BATCH_BYTES_MAX: u64 = 256 << 10;
/// What lies between hint samples that are read at once.
const BATCH_GAP_BYTES_MAX: u64 = 4 << 10;
/// Bytes of a hint sample; a picture's has some 100.
const SAMPLE_BYTES_MAX: u32 = 1 << 20;
/// Bytes of a hint sample's own that are kept, instead of read again with the media.
const LITERAL_BYTES_MAX: u16 = 64;
/// Bytes of sample descriptions that are kept of a track.
const DESCRIPTIONS_BYTES_MAX: usize = 16 << 10;
/// Bytes that all recipes of a file take.
const RECIPE_BYTES_MAX: u64 = 24 << 20;
/// Bytes of sample tables that are kept.
const TABLE_BYTES_MAX: usize = 32 << 20;

/// What all hint tracks of a file may take.
#[derive(Debug)]
pub(super) struct Budget {
    file_bytes: u64,
    /// Bytes of hint samples to be read.
    hint_bytes: u64,
    /// Bytes of recipes to be kept.
    recipe_bytes: u64,
    /// Bytes of sample tables to be kept.
    table_bytes: usize,
}

impl Budget {
    /// That of a file of this length with a movie header of so many bytes: no hint sample is read
    /// twice, recipes are smaller than the file, and tables are kept once, with what their runs
    /// take.
    pub(super) fn new(file_bytes: u64, moov_bytes: usize) -> Self {
        let recipe_bytes = file_bytes.min(RECIPE_BYTES_MAX);
        let table_bytes = moov_bytes.saturating_mul(2).min(TABLE_BYTES_MAX);
        Self { file_bytes, hint_bytes: file_bytes, recipe_bytes, table_bytes }
    }
}

/// A hint track while its samples are read.
#[derive(Debug)]
pub(super) struct Hints {
    own: Places,
    /// In the order of its references.
    tracks: Vec<Referenced>,
    config: HintedConfig,
    payload_type: u8,
    media_rate: ClockRate,
    walk: SampleWalk,
    /// The sample behind the batch, and its number.
    next: Option<(u32, Sample)>,
    /// Samples that are to be read, and their numbers.
    batch: Vec<(u32, Sample)>,
    recipes: RecipeWriter,
    /// Decode time of the last unit.
    decode: i64,
    end: Option<End>,
}

/// A track that a hint track refers to.
#[derive(Debug)]
struct Referenced {
    places: Places,
    /// Its sample descriptions (`stsd`).
    descriptions: std::boxed::Box<[u8]>,
}

/// Why no more samples are read.
#[derive(Clone, Debug, PartialEq, Eq)]
enum End {
    /// All have been.
    Complete,
    /// What it needs next lies behind the end of the file.
    Cut,
    /// The track cannot be delivered.
    Refused(SkipReason),
}

impl From<&'static str> for End {
    fn from(why: &'static str) -> Self {
        Self::Refused(SkipReason::Broken(why))
    }
}

impl Hints {
    /// The hint track `trak`, of this time scale, which plans packets of pictures or sound of one
    /// of `traks`.
    ///
    /// # Errors
    /// Why it is of no use.
    pub(super) fn parse(
        trak: &Box<'_>,
        media_rate: ClockRate,
        is_video: bool,
        traks: &[(u32, Box<'_>)],
        budget: &mut Budget,
    ) -> Result<Self, &'static str> {
        let stbl = sample_tables(trak).ok_or("its hint track has no sample tables (stbl)")?;
        let Description { config, payload_type } = Description::parse(trak.body, stbl, is_video)?;
        let mut keep = |stbl: &[u8]| {
            let places = Places::parse(stbl)?;
            let left = budget.table_bytes.checked_sub(places.memory_bytes());
            budget.table_bytes = left.ok_or("its hint track refers to too many tracks")?;
            Ok::<_, &str>(places)
        };
        let own = keep(stbl)?;
        let mut tracks = Vec::new();
        for id in references(trak.body) {
            let found = traks.iter().find(|(other, _)| *other == id).map(|(_, trak)| trak);
            let missing = "its hint track refers to a track that is not there";
            let stbl = found.and_then(sample_tables).ok_or(missing)?;
            let stsd = find_path(stbl, &[b"stsd"]).map_or(&[][..], |stsd| stsd.0);
            let descriptions = if stsd.len() <= DESCRIPTIONS_BYTES_MAX { stsd } else { &[] };
            tracks.push(Referenced { places: keep(stbl)?, descriptions: descriptions.into() });
        }
        Ok(Self {
            own,
            tracks,
            config,
            payload_type,
            media_rate,
            walk: SampleWalk::default(),
            next: None,
            batch: Vec::new(),
            recipes: RecipeWriter::default(),
            decode: i64::MIN,
            end: None,
        })
    }

    /// What is known of its packets.
    pub(super) const fn config(&self) -> &HintedConfig {
        &self.config
    }

    /// Whether it has a demand.
    pub(super) const fn is_waiting(&self) -> bool {
        !self.batch.is_empty()
    }

    /// Whether its media ends before its samples do.
    pub(super) fn is_cut(&self) -> bool {
        self.end == Some(End::Cut)
    }

    /// Has no more samples read.
    pub(super) fn stop(&mut self) {
        self.batch.clear();
        self.end.get_or_insert(End::Complete);
    }

    /// The samples it wants next; `None` when it has all it needs.
    pub(super) fn demand(&mut self, budget: &mut Budget) -> Option<Demand> {
        if self.batch.is_empty() && self.end.is_none() {
            self.end = self.gather(budget).err();
        }
        let ((_, first), (_, last)) = (self.batch.first()?, self.batch.last()?);
        let bytes = last.offset - first.offset + u64::from(last.bytes);
        Some(Demand { offset: first.offset, bytes: u32::try_from(bytes).ok()? })
    }

    /// Gathers samples that follow each other in the file.
    fn gather(&mut self, budget: &mut Budget) -> Result<(), End> {
        let tables = self.own.tables().ok_or(End::Complete)?;
        loop {
            let next = self.next.take().or_else(|| {
                let sample = self.walk.next(&tables)?;
                Some((self.walk.count(), sample))
            });
            let (number, sample) = next.ok_or(End::Complete)?;
            if sample.bytes == 0 {
                continue;
            }
            if let (Some((_, first)), Some((_, last))) = (self.batch.first(), self.batch.last()) {
                let end = last.offset + u64::from(last.bytes);
                let follows = (end..=end + BATCH_GAP_BYTES_MAX).contains(&sample.offset);
                let bytes = sample.offset.saturating_sub(first.offset) + u64::from(sample.bytes);
                if !follows || bytes > BATCH_BYTES_MAX {
                    self.next = Some((number, sample));
                    return Ok(());
                }
            }
            if sample.bytes > SAMPLE_BYTES_MAX {
                return Err("a sample of its hint track is too large".into());
            }
            let end = sample.offset.saturating_add(sample.bytes.into());
            if end > budget.file_bytes {
                return Err(End::Cut);
            }
            let left = budget.hint_bytes.checked_sub(sample.bytes.into());
            budget.hint_bytes = left.ok_or("samples of hint tracks overlap")?;
            self.batch.push((number, sample));
        }
    }
    /// Takes the samples of the demand, and gives the units that they plan.
    pub(super) fn supply(&mut self, bytes: &[u8], budget: &mut Budget) -> Vec<Sample> {
        let batch = std::mem::take(&mut self.batch);
        let start = batch.first().map_or(0, |(_, first)| first.offset);
        let mut units = Vec::with_capacity(batch.len());
        for (number, sample) in batch {
            let at = usize::try_from(sample.offset - start).unwrap_or(usize::MAX);
            let own = bytes.get(at..).and_then(|own| own.get(..sample.bytes as usize));
            let own = Own { number, sample, bytes: own.unwrap_or_default() };
            if let Err(end) = self.plan(&own, budget, &mut units) {
                self.end = Some(end);
                break;
            }
        }
        units
    }

    /// Plans the units of a hint sample: packets of one timestamp each.
    fn plan(
        &mut self,
        own: &Own<'_>,
        budget: &mut Budget,
        units: &mut Vec<Sample>,
    ) -> Result<(), End> {
        let mut unit: Option<(Packet<'_>, Vec<PlannedPacket>)> = None;
        let mut ordinal = 0;
        for packet in packets::packets(own.bytes)? {
            let packet = packet?;
            if packet.payload_type != self.payload_type {
                return Err("its hint track plans packets of several payload types".into());
            }
            if packet.is_repeat {
                continue;
            }
            let planned = self.packet(&packet, own, budget)?;
            match &mut unit {
                Some((first, packets)) if first.timestamp_offset == packet.timestamp_offset => {
                    packets.push(planned);
                }
                _ => {
                    if let Some((first, packets)) = unit.replace((packet, vec![planned])) {
                        units.push(self.unit(own, ordinal, &first, &packets, budget)?);
                        ordinal += 1;
                    }
                }
            }
        }
        if let Some((first, packets)) = unit {
            units.push(self.unit(own, ordinal, &first, &packets, budget)?);
        }
        Ok(())
    }

    /// What a packet is made of.
    fn packet(
        &mut self,
        packet: &Packet<'_>,
        own: &Own<'_>,
        budget: &Budget,
    ) -> Result<PlannedPacket, End> {
        let mut planned = PlannedPacket { is_marked: packet.is_marked, ..PlannedPacket::default() };
        let mut packet_bytes = RTP_HEADER_BYTES;
        for constructor in packet.constructors() {
            let pieces = match constructor? {
                Constructor::Immediate(bytes) => vec![Piece::Literal(bytes.into())],
                Constructor::Sample { track: None, place } => self.own_pieces(&place, own)?,
                Constructor::Sample { track: Some(track), place } => {
                    let track = self.tracks.get_mut(usize::from(track)).ok_or(MISSING)?;
                    in_file(&mut track.places, &place)?
                }
                Constructor::Description { track, number, offset, bytes } => {
                    let found = track.and_then(|track| self.tracks.get(usize::from(track)));
                    let found = found.and_then(|t| description(&t.descriptions, number));
                    let found = found.and_then(|found| found.get(offset as usize..));
                    let found = found.and_then(|found| found.get(..usize::from(bytes)));
                    vec![Piece::Literal(found.ok_or(MISSING)?.into())]
                }
            };
            packet_bytes += pieces.iter().map(Piece::bytes).sum::<usize>();
            if packet_bytes > usize::from(PACKET_BYTES_MAX) {
                let why = format!("its hint track plans packets of more than {PACKET_BYTES_MAX}");
                let bytes = u32::try_from(packet_bytes).unwrap_or(u32::MAX);
                return Err(End::Refused(SkipReason::Payload { bytes, why }));
            }
            let is_beyond = |piece: &Piece| {
                matches!(piece, Piece::InFile { offset, bytes }
                    if offset.saturating_add((*bytes).into()) > budget.file_bytes)
            };
            if pieces.iter().any(is_beyond) {
                return Err(End::Cut);
            }
            planned.pieces.extend(pieces);
        }
        let packet_bytes = u16::try_from(packet_bytes).unwrap_or(PACKET_BYTES_MAX);
        self.config.packet_bytes = self.config.packet_bytes.max(packet_bytes);
        Ok(planned)
    }

    /// Bytes of the hint track's samples: mostly of the one at hand.
    fn own_pieces(&mut self, place: &Place, own: &Own<'_>) -> Result<Vec<Piece>, End> {
        if place.sample != own.number {
            return in_file(&mut self.own, place);
        }
        let found = own.bytes.get(place.offset as usize..);
        let found = found.and_then(|found| found.get(..usize::from(place.bytes)));
        let found = found.ok_or(MISSING)?;
        if place.bytes <= LITERAL_BYTES_MAX {
            return Ok(vec![Piece::Literal(found.into())]);
        }
        let offset = own.sample.offset.saturating_add(place.offset.into());
        Ok(vec![Piece::InFile { offset, bytes: place.bytes }])
    }

    /// The unit of a hint sample, from 0, that has these packets, with the timestamp of `first`.
    fn unit(
        &mut self,
        own: &Own<'_>,
        ordinal: u64,
        first: &Packet<'_>,
        packets: &[PlannedPacket],
        budget: &mut Budget,
    ) -> Result<Sample, End> {
        let before = self.recipes.memory_bytes();
        // Where nothing else of it lies in the file, its plan does.
        let stretch = self
            .recipes
            .add(packets, own.sample.offset + ordinal, budget.file_bytes, EXTENT_BYTES_MAX)
            .ok_or("what packets of its hint track are made of lies too far apart")?;
        let more = (self.recipes.memory_bytes() - before) as u64;
        let left = budget.recipe_bytes.checked_sub(more);
        budget.recipe_bytes = left.ok_or("its hint track takes more memory than the file")?;
        let rtp_rate = self.config.rtp_rate;
        let ahead = rtp_rate.convert_nearest(first.timestamp_offset.into(), self.media_rate);
        let composition = own.sample.decode.saturating_add(ahead);
        let delay = i64::from(first.relative_time).clamp(0, ahead.max(0));
        self.decode = own.sample.decode.saturating_add(delay).max(self.decode);
        let composition_offset = composition.saturating_sub(self.decode);
        Ok(Sample {
            offset: stretch.offset,
            bytes: stretch.bytes,
            media_bytes: stretch.media_bytes,
            decode: self.decode,
            composition_offset: i32::try_from(composition_offset)
                .unwrap_or(if composition_offset < 0 { i32::MIN } else { i32::MAX }),
            duration: own.sample.duration,
            // Sound can be entered anywhere, though some mark its first sample alone.
            sync: !self.config.is_video || own.sample.sync && ordinal == 0,
        })
    }

    /// What its packets are and how they are made.
    ///
    /// # Errors
    /// Why they cannot be delivered.
    pub(super) fn finish(self) -> Result<(HintedConfig, Recipes), SkipReason> {
        if let Some(End::Refused(reason)) = self.end {
            return Err(reason);
        }
        let alike =
            SkipReason::Broken("its hint track makes packets that differ of the same media");
        Ok((self.config, self.recipes.finish().ok_or(alike)?))
    }
}

const MISSING: &str = "its hint track refers to media that is not there";

/// The hint sample at hand.
#[derive(Clone, Copy, Debug)]
struct Own<'a> {
    number: u32,
    sample: Sample,
    bytes: &'a [u8],
}

fn in_file(places: &mut Places, place: &Place) -> Result<Vec<Piece>, End> {
    let pieces = places.find(place).ok_or(MISSING)?.into_iter();
    Ok(pieces.map(|(offset, bytes)| Piece::InFile { offset, bytes }).collect())
}

fn sample_tables<'a>(trak: &Box<'a>) -> Option<&'a [u8]> {
    find_path(trak.body, &[b"mdia", b"minf", b"stbl"]).map(|stbl| stbl.0)
}

/// The sample description of this number, from 1, its size in front.
fn description(stsd: &[u8], number: u32) -> Option<&[u8]> {
    let mut rest = Bytes(stsd.get(8..)?);
    for _ in 1..number.min(DESCRIPTIONS_MAX) {
        next_box(&mut rest)?;
    }
    let from = rest.0;
    next_box(&mut rest)?;
    (number > 0).then_some(from)?.get(..from.len() - rest.0.len())
}

/// Sample descriptions of a track that are told apart.
const DESCRIPTIONS_MAX: u32 = 64;
