//! Tracks of which only a hint track says how they are sent, and how their units come.

use super::super::boxes::{Box, find, find_path};
use super::super::edits::Edits;
use super::super::entry::Served;
use super::super::hints::{Budget, Hints, references};
use super::{Movie, ParsedTrack, is_enabled, parse_language, parse_time_scale};
use crate::codec::CodecConfig;
use crate::container::{Demand, IndexError};
use crate::index::{SkipReason, TrackDescription, TrackId};
use crate::time::ClockRate;
use crate::wrapping::Wrapping;
use crate::wrapping::hinted::Recipes;

/// Which hint track plans the packets of which track.
pub(super) struct Planning<'a, 't> {
    traks: &'t [(u32, Box<'a>)],
    /// The hint tracks, and whether each is in use.
    hints: Vec<HintTrack<'a>>,
    budget: Budget,
}

struct HintTrack<'a> {
    id: u32,
    trak: Box<'a>,
    references: Vec<u32>,
    is_used: bool,
}

impl<'a, 't> Planning<'a, 't> {
    /// None yet of the tracks with these numbers.
    pub(super) fn new(traks: &'t [(u32, Box<'a>)], budget: Budget) -> Self {
        let hints = traks.iter().filter(|(_, trak)| handler(trak) == Some(b"hint"));
        let hints = hints.map(|(id, trak)| HintTrack {
            id: *id,
            trak: *trak,
            references: references(trak.body),
            is_used: false,
        });
        Self { traks, hints: hints.collect(), budget }
    }

    /// A track whose codec is not known, as a hint track that refers to it has it sent; `None` if
    /// none does.
    pub(super) fn parse(
        &mut self,
        trak: &Box<'a>,
        container_id: u32,
        movie_rate: Option<ClockRate>,
    ) -> Option<Result<ParsedTrack<'a>, SkipReason>> {
        let Self { traks, hints, budget } = self;
        let is_its =
            |hint: &&mut HintTrack<'_>| !hint.is_used && hint.references.contains(&container_id);
        let hint = hints.iter_mut().find(is_its)?;
        hint.is_used = true;
        let parsed = parse(trak, container_id, &hint.trak, traks, movie_rate, budget);
        Some(parsed.map_err(SkipReason::Broken))
    }

    /// Whether that is a hint track, and in use.
    pub(super) fn uses(&self, id: u32) -> bool {
        self.hints.iter().any(|hint| hint.id == id && hint.is_used)
    }

    /// What the hint tracks in use may still take.
    pub(super) fn into_budget(self) -> Budget {
        self.budget
    }
}

fn parse<'a>(
    trak: &Box<'a>,
    container_id: u32,
    hint_trak: &Box<'a>,
    traks: &[(u32, Box<'a>)],
    movie_rate: Option<ClockRate>,
    budget: &mut Budget,
) -> Result<ParsedTrack<'a>, &'static str> {
    let media_rate = find_path(hint_trak.body, &[b"mdia", b"mdhd"])
        .and_then(parse_time_scale)
        .ok_or("its hint track has no time scale")?;
    let is_video = handler(trak) == Some(b"vide");
    let hints = Hints::parse(hint_trak, media_rate, is_video, traks, budget)?;
    let codec = CodecConfig::Hinted(hints.config().clone());
    let header = find_path(trak.body, &[b"mdia", b"mdhd"]);
    Ok(ParsedTrack {
        description: TrackDescription {
            language: header.and_then(parse_language),
            wrapping: Wrapping::Hinted(Recipes::default()),
            ..TrackDescription::new(container_id, codec, media_rate)
        },
        is_enabled: is_enabled(trak),
        samples: None,
        served: Served::ALL,
        edits: Edits::parse(hint_trak, media_rate, movie_rate)?,
        hints: Some(hints),
    })
}

/// The kind of media of a track (`hdlr`).
fn handler<'a>(trak: &Box<'a>) -> Option<&'a [u8; 4]> {
    let mdia = find(trak.body, b"mdia")?.body;
    find(mdia, b"hdlr")?.body.get(8..)?.first_chunk()
}

impl Movie {
    /// The hint samples it wants next; `None` when it has all it needs.
    pub(in super::super) fn demand(&mut self) -> Option<Demand> {
        let Self { tracks, budget, .. } = self;
        tracks.iter_mut().filter_map(|track| track.hints.as_mut()?.demand(budget)).next()
    }

    /// Takes the hint samples of the demand.
    pub(in super::super) fn supply(&mut self, bytes: &[u8]) -> Result<(), IndexError> {
        let mut tracks = std::mem::take(&mut self.tracks);
        let is_waiting = |hints: &Option<Hints>| hints.as_ref().is_some_and(Hints::is_waiting);
        if let Some(track) = tracks.iter_mut().find(|track| is_waiting(&track.hints))
            && let Some(mut hints) = track.hints.take()
        {
            for unit in hints.supply(bytes, &mut self.budget) {
                if !self.take(track, &unit)? {
                    hints.stop();
                    break;
                }
            }
            track.is_cut |= hints.is_cut();
            track.hints = Some(hints);
        }
        self.tracks = tracks;
        Ok(())
    }

    /// Has the index know how the packets are made; says which cannot be delivered.
    pub(super) fn finish_hints(&mut self) -> Vec<(TrackId, SkipReason)> {
        let mut refused = Vec::new();
        for track in &mut self.tracks {
            match track.hints.take().map(Hints::finish) {
                Some(Ok((config, recipes))) => {
                    let (codec, wrapping) =
                        (CodecConfig::Hinted(config), Wrapping::Hinted(recipes));
                    self.builder.set_planned(track.id, codec, wrapping);
                }
                Some(Err(reason)) => refused.push((track.id, reason)),
                None => {}
            }
        }
        refused
    }
}
