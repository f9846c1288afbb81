//! The movie header: tracks, their time scales and edit lists (ISO 14496-12 §8.2 to §8.6).

mod planned;

use super::boxes::{Box, Bytes, boxes, find, find_path};
use super::edits::Edits;
use super::entry::{Descriptions, Served, parse_descriptions};
use super::fragments::{self, Defaults, TrackFragment};
use super::hints::{Budget, Hints};
use super::samples::{Sample, SampleTables};
use crate::codec::CodecConfig;
use crate::container::IndexError;
use crate::index::{
    AccessUnitEntry, BuildError, IndexBuilder, MediaIndex, SkipReason, SkippedTrack, TRACKS_MAX,
    TrackDescription, TrackId, UNIT_BYTES_MAX, UNITS_MAX,
};
use crate::language;
use crate::time::{ClockRate, Npt};
use planned::Planning;

/// Whether more media may follow in movie fragments (§8.8.1).
fn has_fragments(moov: &[u8]) -> bool {
    find(moov, b"mvex").is_some()
}

/// Parses the body of a `moov` box of a file of this length.
pub(super) fn parse(moov: &[u8], file_bytes: u64) -> Result<Movie, IndexError> {
    if find(moov, b"cmov").is_some() {
        let why = "the movie header is compressed, which is not supported";
        return Err(IndexError::BoxInvalid { kind: "cmov".to_owned(), offset: 0, why });
    }
    let movie_rate = find(moov, b"mvhd").and_then(|header| parse_time_scale(header.bytes()));
    let is_fragmented = has_fragments(moov);
    let mut skipped = Vec::new();
    let mut tracks = Vec::new();
    let traks = boxes(moov).filter(|found| found.kind.0 == *b"trak").take(TRAK_BOXES_MAX + 1);
    let traks: Vec<_> = traks.map(|trak| (parse_track_id(&trak).unwrap_or(0), trak)).collect();
    let mut planning = Planning::new(&traks, Budget::new(file_bytes, moov.len()));
    for (position, (container_id, trak)) in traks.iter().enumerate() {
        let container_id = *container_id;
        let parsed = if position < TRAK_BOXES_MAX {
            ParsedTrack::parse(trak, container_id, movie_rate, is_fragmented)
        } else {
            Err(SkipReason::TooManyTracks)
        };
        let parsed = match parsed {
            Err(SkipReason::Codec(codec)) if !is_fragmented => planning
                .parse(trak, container_id, movie_rate)
                .unwrap_or(Err(SkipReason::Codec(codec))),
            parsed => parsed,
        };
        match parsed {
            Ok(track) => tracks.push(track),
            Err(reason) => skipped.push(SkippedTrack { container_id, reason }),
        }
    }
    skipped.retain(|skipped| !planning.uses(skipped.container_id));
    let is_video = |track: &ParsedTrack<'_>| track.description.codec.is_video();
    tracks.sort_by_key(|track| (!is_video(track), !track.is_enabled));
    let created = find(moov, b"mvhd").and_then(|header| parse_creation_time(header.bytes()));
    let mut movie = Movie {
        file_bytes,
        builder: IndexBuilder::new(),
        tracks: Vec::new(),
        skipped,
        created,
        dropped: 0,
        has_begun: false,
        is_fragmented,
        budget: planning.into_budget(),
    };
    for track in tracks {
        let defaults = Defaults::of(moov, track.description.container_id);
        movie.add(track, defaults)?;
    }
    Ok(movie)
}

/// Tracks that are looked at; most files have two.
const TRAK_BOXES_MAX: usize = 1024;

/// A track that can be delivered if its samples can.
struct ParsedTrack<'a> {
    description: TrackDescription,
    /// Of alternatives the one to play unless another is chosen.
    is_enabled: bool,
    /// None at all may be there where the media is in fragments.
    samples: Option<SampleTables<'a>>,
    served: Served,
    edits: Edits,
    /// How its packets are made, if not of its codec.
    hints: Option<Hints>,
}

impl<'a> ParsedTrack<'a> {
    fn parse(
        trak: &Box<'a>,
        container_id: u32,
        movie_rate: Option<ClockRate>,
        is_fragmented: bool,
    ) -> Result<Self, SkipReason> {
        let mdia = find(trak.body, b"mdia").ok_or(SkipReason::Broken("no media (mdia)"))?.body;
        let kind = find(mdia, b"hdlr").and_then(|handler| handler.body.get(8..12));
        match kind {
            Some(b"vide" | b"soun") => {}
            Some(kind) => return Err(SkipReason::NotMedia(kind.escape_ascii().to_string())),
            None => return Err(SkipReason::Broken("no handler (hdlr)")),
        }
        let header = find(mdia, b"mdhd").ok_or(SkipReason::Broken("no media header (mdhd)"))?;
        let media_rate = parse_time_scale(header.bytes())
            .ok_or(SkipReason::Broken("no time scale in its media header (mdhd)"))?;
        let minf = find(mdia, b"minf").map_or(&[][..], |found| found.body);
        let stbl = find(minf, b"stbl").ok_or(SkipReason::Broken("no sample tables (stbl)"))?.body;
        if is_external(minf) {
            return Err(SkipReason::External);
        }
        let samples = SampleTables::parse(stbl);
        let stsd = find(stbl, b"stsd").ok_or(SkipReason::Broken("no sample description (stsd)"))?;
        // A codec that is not supported says more than a table that is missing.
        let in_use: &mut dyn Iterator<Item = u32> = match &samples {
            Ok(samples) if samples.declared_count() > 0 => &mut samples.descriptions(),
            Ok(_) | Err(_) if is_fragmented => &mut (1..=DESCRIPTIONS_MAX),
            Ok(_) | Err(_) => &mut std::iter::once(1),
        };
        let Descriptions { codec, served } = parse_descriptions(stsd.bytes(), in_use)?;
        if codec.is_video() != (kind == Some(b"vide")) {
            return Err(SkipReason::Broken("its handler and its codec contradict each other"));
        }
        Ok(Self {
            description: TrackDescription {
                language: parse_language(header.bytes()),
                ..TrackDescription::new(container_id, codec, media_rate)
            },
            is_enabled: is_enabled(trak),
            samples: match samples {
                Ok(mut samples) => {
                    samples.serve(served);
                    Some(samples)
                }
                Err(_) if is_fragmented => None,
                Err(why) => return Err(SkipReason::Broken(why)),
            },
            served,
            edits: Edits::parse(trak, media_rate, movie_rate).map_err(SkipReason::Broken)?,
            hints: None,
        })
    }
}

/// A movie while its units are gathered.
#[derive(Debug)]
pub(super) struct Movie {
    file_bytes: u64,
    builder: IndexBuilder,
    tracks: Vec<MovieTrack>,
    skipped: Vec<SkippedTrack>,
    created: Option<u64>,
    /// Units of fragments of tracks that are left out.
    dropped: usize,
    /// A fragment has been taken.
    has_begun: bool,
    pub(super) is_fragmented: bool,
    /// What hint tracks may still take.
    budget: Budget,
}

/// A track of it that can be delivered.
#[derive(Debug)]
struct MovieTrack {
    id: TrackId,
    container_id: u32,
    rate: ClockRate,
    edits: Edits,
    served: Served,
    defaults: Defaults,
    declared: u32,
    kept: u32,
    /// Units that no edit shows.
    left_out: u32,
    /// A unit lies beyond the file: none behind it is taken.
    is_cut: bool,
    /// A unit has another sample description: none from it on is taken.
    has_changed: bool,
    /// Decode time behind the last unit, before any edit.
    decode_end: i64,
    /// Decode time of the last unit in the presentation.
    decode: i64,
    /// The hint track whose samples are its units.
    hints: Option<Hints>,
}

impl Movie {
    fn add(&mut self, track: ParsedTrack<'_>, defaults: Defaults) -> Result<(), IndexError> {
        let ParsedTrack { description, samples, served, edits, hints, is_enabled: _ } = track;
        let (container_id, rate) = (description.container_id, description.media_rate);
        let pcm_frame_bytes = if let CodecConfig::Pcm(config) = &description.codec {
            Some(config.frame_bytes())
        } else {
            None
        };
        let Ok(id) = self.builder.add_track(description) else {
            self.skipped.push(SkippedTrack { container_id, reason: SkipReason::TooManyTracks });
            return Ok(());
        };
        let mut track = MovieTrack {
            id,
            container_id,
            rate,
            edits,
            served,
            defaults,
            declared: 0,
            kept: 0,
            left_out: 0,
            is_cut: false,
            has_changed: samples.is_some_and(|samples| samples.changes()),
            decode_end: 0,
            decode: i64::MIN,
            hints,
        };
        if let Some(samples) = samples {
            match pcm_frame_bytes {
                Some(frame_bytes) => {
                    for unit in samples.pcm_units(frame_bytes) {
                        self.take(&mut track, &unit)?;
                    }
                }
                None => {
                    track.declared = samples.declared_count();
                    for sample in samples.samples() {
                        if !self.take(&mut track, &sample)? {
                            break;
                        }
                    }
                }
            }
        }
        self.tracks.push(track);
        Ok(())
    }

    /// Takes a unit, unless it or one in front of it lies beyond the file.
    fn take(&mut self, track: &mut MovieTrack, sample: &Sample) -> Result<bool, IndexError> {
        let end = sample.offset.checked_add(sample.bytes.into());
        let is_inside = end.is_some_and(|end| end <= self.file_bytes);
        track.is_cut |= !is_inside || sample.bytes > UNIT_BYTES_MAX;
        if track.is_cut || track.has_changed && self.has_begun {
            return Ok(false);
        }
        let Some(shift) = track.edits.place(sample) else {
            track.left_out = track.left_out.saturating_add(1);
            return Ok(true);
        };
        match track.push(&mut self.builder, sample, shift) {
            Ok(()) => {}
            // Time jumps further than can be told: it ends there.
            Err(BuildError::DecodeOrder) => {
                track.is_cut = true;
                return Ok(false);
            }
            Err(_) => {
                let limit = u64::from(UNITS_MAX);
                return Err(IndexError::TooLarge { what: "access units", limit });
            }
        }
        track.kept += 1;
        track.decode_end = sample.decode.saturating_add(i64::from(sample.duration));
        Ok(true)
    }

    /// Takes the units of a fragment whose `moof` box lies at `moof_offset`.
    pub(super) fn add_fragment(&mut self, moof: &[u8], moof_offset: u64) -> Result<(), IndexError> {
        self.begin(moof);
        let mut tracks = std::mem::take(&mut self.tracks);
        let mut data_end = None;
        for fragment in TrackFragment::all(moof) {
            let base = fragment.base(moof_offset, data_end);
            let track = tracks.iter_mut().find(|track| track.container_id == fragment.container_id);
            let (defaults, from) = track
                .as_ref()
                .map_or((Defaults::default(), 0), |track| (track.defaults, track.decode_end));
            // Time does not go back, whatever the fragment says.
            let decode = fragment.decode.unwrap_or(from).max(from);
            let mut samples = fragment.samples(defaults, base, decode);
            if let Some(track) = track {
                track.has_changed |= !track.served.contains(fragment.description(defaults));
                self.add_samples(track, &mut samples)?;
            } else {
                // Those of a track that is left out cost time all the same.
                let dropped = samples.by_ref().take(FRAGMENT_UNITS_MAX).count();
                self.dropped = self.dropped.saturating_add(dropped);
                if self.dropped > UNITS_MAX as usize {
                    let limit = u64::from(UNITS_MAX);
                    return Err(IndexError::TooLarge { what: "access units", limit });
                }
            }
            data_end = Some(samples.data_end());
        }
        self.tracks = tracks;
        Ok(())
    }

    /// Has the presentation begin with the first fragment, if all media is in fragments: one that
    /// was recorded from a live source says when in that it was.
    fn begin(&mut self, moof: &[u8]) {
        if std::mem::replace(&mut self.has_begun, true) {
            return;
        }
        let start = |fragment: TrackFragment<'_>| {
            let mut tracks = self.tracks.iter();
            let track = tracks.find(|track| track.container_id == fragment.container_id)?;
            Some(track.rate.nanos_floor(fragment.decode?))
        };
        let first = TrackFragment::all(moof).filter_map(start).min().unwrap_or(0);
        if self.tracks.iter().all(|track| track.kept == 0) {
            for track in &mut self.tracks {
                let ticks = track.rate.ticks_ceil(first);
                track.edits.delay(ticks.saturating_neg());
            }
        }
    }

    fn add_samples(
        &mut self,
        track: &mut MovieTrack,
        samples: &mut fragments::Samples<'_>,
    ) -> Result<(), IndexError> {
        for sample in samples.by_ref().take(FRAGMENT_UNITS_MAX) {
            track.declared = track.declared.saturating_add(1);
            if !self.take(track, &sample)? {
                break;
            }
        }
        Ok(())
    }

    /// The index of what has been gathered.
    pub(super) fn finish(mut self) -> Result<MediaIndex, IndexError> {
        let mut nanos = 0;
        let mut refused = self.finish_hints();
        for track in &self.tracks {
            let MovieTrack { container_id, declared, kept, .. } = *track;
            if let Some((_, reason)) = refused.iter().find(|(id, _)| *id == track.id) {
                let reason = reason.clone();
                self.skipped.push(SkippedTrack { container_id, reason });
            } else if track.has_changed {
                let reason = SkipReason::SeveralDescriptions;
                self.skipped.push(SkippedTrack { container_id, reason });
            } else if track.is_cut {
                let declared = declared.max(kept.saturating_add(1));
                let reason = SkipReason::Truncated { kept, declared };
                self.skipped.push(SkippedTrack { container_id, reason });
            } else if kept.saturating_add(track.left_out) < declared {
                let reason = SkipReason::Truncated { kept, declared };
                self.skipped.push(SkippedTrack { container_id, reason });
            } else if kept == 0 {
                self.skipped.push(SkippedTrack { container_id, reason: SkipReason::Empty });
            }
            let end = self.builder.composition_end(track.id).unwrap_or(0);
            let edit_end = track.edits.end().map(|end| track.rate.nanos_floor(end));
            let is_edited = !self.is_fragmented || track.declared > 0;
            let edit_end = edit_end.filter(|edit_end| is_edited && (1..end).contains(edit_end));
            nanos = nanos.max(edit_end.unwrap_or(end));
        }
        let missed = self.tracks.iter().filter(|track| track.edits.has_missed());
        refused.extend(missed.map(|track| (track.id, BETWEEN_SYNCS)));
        // The index has no tracks without units.
        let left = self.tracks.iter().filter(|track| track.kept > 0).map(|track| track.id);
        let left: Vec<TrackId> = left.collect();
        let refused = refused.into_iter().filter_map(|(id, reason)| {
            let position = left.iter().position(|left| *left == id)?;
            Some((TrackId(u8::try_from(position).ok()?), reason))
        });
        let refused: Vec<_> = refused.collect();
        let mut index = self.builder.finish(Npt::from_nanos(nanos.max(0).unsigned_abs()));
        index.leave_out(refused);
        let left_out = std::mem::replace(&mut index.skipped, self.skipped);
        index.skipped.extend(left_out);
        if index.tracks.is_empty() {
            return Err(IndexError::NoPlayableTrack { tracks: index.skipped });
        }
        index.created = self.created;
        Ok(index)
    }
}

const BETWEEN_SYNCS: SkipReason = SkipReason::Broken("an edit of it begins between sync samples");

impl MovieTrack {
    /// Appends a unit whose times are moved by `shift` ticks.
    fn push(
        &mut self,
        builder: &mut IndexBuilder,
        sample: &Sample,
        shift: i64,
    ) -> Result<(), BuildError> {
        let decode = sample.decode.saturating_add(shift);
        let composition = decode.saturating_add(i64::from(sample.composition_offset));
        let Sample { offset, bytes, media_bytes, duration, sync, .. } = *sample;
        // Where an edit begins a little before the one in front ends, decoding does not go back.
        let decode = decode.max(self.decode);
        builder.push_unit(
            self.id,
            AccessUnitEntry {
                index: 0,
                offset,
                bytes,
                media_bytes,
                decode,
                composition,
                duration,
                sync,
            },
        )?;
        self.decode = decode;
        Ok(())
    }
}

/// Sample descriptions that fragments may use.
const DESCRIPTIONS_MAX: u32 = u64::BITS;

/// Units of one track in one fragment.
const FRAGMENT_UNITS_MAX: usize = 1 << 20;

fn parse_track_id(trak: &Box<'_>) -> Option<u32> {
    let mut header = find(trak.body, b"tkhd")?.bytes();
    let (version, _) = header.version_and_flags()?;
    header.take(if version == 1 { 16 } else { 8 })?; // creation and modification time
    header.u32()
}

/// Track_enabled of `tkhd` (§8.3.2), by which writers mark one of several tracks of a kind.
fn is_enabled(trak: &Box<'_>) -> bool {
    let flags = find(trak.body, b"tkhd").and_then(|header| header.bytes().version_and_flags());
    flags.is_some_and(|(_, flags)| flags & 1 != 0)
}

/// The time scale of `mvhd` (§8.2.2) or `mdhd` (§8.4.2), which begin alike.
fn parse_time_scale(mut header: Bytes<'_>) -> Option<ClockRate> {
    let (version, _) = header.version_and_flags()?;
    header.take(if version == 1 { 16 } else { 8 })?;
    ClockRate::new(header.u32()?)
}

/// The creation time of `mvhd` (§8.2.2), which counts seconds from 1904, as seconds from 1970. Zero
/// is what writers put that do not know it.
fn parse_creation_time(mut header: Bytes<'_>) -> Option<u64> {
    let (version, _) = header.version_and_flags()?;
    let since_1904 = if version == 1 { header.u64()? } else { header.u32()?.into() };
    since_1904.checked_sub(SECONDS_FROM_1904_TO_1970)
}

const SECONDS_FROM_1904_TO_1970: u64 = 2_082_844_800;

/// The language of `mdhd`: three letters of five bits. QuickTime's own codes, all below 0x400, and
/// `und` are none.
fn parse_language(mut header: Bytes<'_>) -> Option<[u8; 3]> {
    let (version, _) = header.version_and_flags()?;
    header.take(if version == 1 { 16 + 4 + 8 } else { 8 + 4 + 4 })?;
    let packed = header.u16()?;
    let letter = |shift: u32| (packed >> shift & 0x1f).to_be_bytes()[1] + 0x60;
    language::terminological(&[letter(10), letter(5), letter(0)])
}

/// Whether the media is elsewhere: every data reference names another file (§8.7.2).
fn is_external(minf: &[u8]) -> bool {
    let Some(mut references) = find_path(minf, &[b"dinf", b"dref"]) else { return false };
    let (Some(_), Some(_)) = (references.version_and_flags(), references.u32()) else {
        return false;
    };
    let names_a_file = |reference: Box<'_>| {
        let flags = reference.bytes().version_and_flags().map_or(1, |(_, flags)| flags);
        flags & 1 == 0 && reference.body.get(4..).is_some_and(|name| name.iter().any(|b| *b != 0))
    };
    let mut references = boxes(references.0).peekable();
    references.peek().is_some() && references.all(names_a_file)
}

const _: () = assert!(TRACKS_MAX < TRAK_BOXES_MAX);
