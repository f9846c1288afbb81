//! What a URL's query chooses of a title: its tracks, and whether it is played in a loop.

use super::methods::Rejection;
use super::refusals::excerpt;
use super::{ConnectionId, Control};
use crate::clock::MonoTime;
use crate::limits::LOOP_NANOS_MIN;
use crate::rtsp::{Request, StatusCode, Url};
use crate::title::Title;
use packetizer::index::{MediaIndex, TRACKS_MAX, Track, TrackId, TrackSet};
use packetizer::language;
use packetizer::sdp::{Selection, encoding_name};
use tracing::info;

/// The query of a presentation's URL, read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Choice {
    /// `track=`: those and no others.
    tracks: Wanted,
    /// `video=`: of the video tracks.
    video: Wanted,
    /// `audio=`: of the audio tracks.
    audio: Wanted,
    /// `loop=`.
    is_looped: Option<bool>,
}

/// What is wanted of some tracks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Wanted {
    /// All of them.
    #[default]
    All,
    /// Each of these; `none` is the empty list.
    Picked(Vec<Pick>),
}

/// One track.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pick {
    /// By its place among them, from 1.
    Number(usize),
    /// The first in a language: its ISO 639-2/T code, `None` if there is no such language.
    Language(Option<[u8; 3]>),
}

/// The value of a parameter that is known cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Unreadable;

impl Control {
    /// What a request's URL chooses of a title.
    ///
    /// # Errors
    ///
    /// 400 if it cannot be read. 404 if it names nothing that is there; the operator is told what
    /// is.
    pub(super) fn choose(
        &mut self,
        now: MonoTime,
        id: ConnectionId,
        request: &Request<'_>,
        title: &Title,
    ) -> Result<Selection, Rejection> {
        let url = request.uri.url();
        let choice = Choice::of(url).map_err(|Unreadable| StatusCode::BAD_REQUEST)?;
        if let Some(tracks) = choice.tracks(&title.index) {
            return Ok(choice.selection(title, tracks));
        }
        if let Some(not_logged) = self.refused_requests.permit(now) {
            let peer = self.connections.get(&id).map(|connection| connection.peer);
            let peer = peer.map(tracing::field::display);
            let asked = excerpt(url.and_then(Url::query).unwrap_or_default());
            let there = describe_tracks(&title.index);
            info!(peer, title = title.name, asked, there, not_logged, "no such track");
        }
        Err(Rejection::from(StatusCode::NOT_FOUND).logged())
    }
}

impl Choice {
    fn of(url: Option<Url<'_>>) -> Result<Self, Unreadable> {
        let mut choice = Self::default();
        for (name, value) in url.into_iter().flat_map(Url::parameters) {
            match name.as_str() {
                "track" => choice.tracks = Wanted::numbers(&value)?,
                "video" => choice.video = Wanted::of(&value)?,
                "audio" => choice.audio = Wanted::of(&value)?,
                "loop" => choice.is_looped = Some(parse_switch(&value)?),
                // Players add their own.
                _ => {}
            }
        }
        Ok(choice)
    }

    /// The tracks of a title; `None` if one that is wanted is not there, or none is left.
    fn tracks(&self, index: &MediaIndex) -> Option<TrackSet> {
        let of_kind = |is_video: bool| {
            let tracks = index.tracks.iter().zip(0..);
            tracks.filter(move |(track, _)| track.codec.is_video() == is_video)
        };
        let video = self.video.among(of_kind(true))?;
        let audio = self.audio.among(of_kind(false))?;
        let listed = self.tracks.among(index.tracks.iter().zip(0..))?;
        let of_both =
            listed.iter().filter(|track| video.contains(*track) || audio.contains(*track));
        Some(of_both.collect()).filter(|tracks: &TrackSet| !tracks.is_empty())
    }

    /// How those tracks are played. A title that is too short to be played in a loop is not.
    fn selection(&self, title: &Title, tracks: TrackSet) -> Selection {
        let is_looped = self.is_looped.unwrap_or(title.looped);
        Selection {
            tracks,
            is_endless: is_looped && title.index.duration.nanos() >= LOOP_NANOS_MIN,
            control_query: match self.is_looped {
                Some(true) if !title.looped => "?loop=1",
                Some(false) if title.looped => "?loop=0",
                Some(_) | None => "",
            },
        }
    }
}

impl Wanted {
    fn of(value: &str) -> Result<Self, Unreadable> {
        match value {
            "none" => Ok(Self::Picked(Vec::new())),
            _ => Self::list(value, Pick::parse),
        }
    }

    fn numbers(value: &str) -> Result<Self, Unreadable> {
        Self::list(value, Pick::parse_number)
    }

    fn list(value: &str, parse: fn(&str) -> Option<Pick>) -> Result<Self, Unreadable> {
        let picks = value.split(',').take(TRACKS_MAX + 1).map(parse);
        let picks = picks.collect::<Option<Vec<Pick>>>().ok_or(Unreadable)?;
        if picks.len() > TRACKS_MAX { Err(Unreadable) } else { Ok(Self::Picked(picks)) }
    }

    /// Those of the tracks that are wanted; `None` if one is not there.
    fn among<'a>(&self, tracks: impl Iterator<Item = (&'a Track, u8)> + Clone) -> Option<TrackSet> {
        let Self::Picked(picks) = self else {
            return Some(tracks.map(|(_, id)| TrackId(id)).collect());
        };
        let find = |pick: &Pick| {
            let mut tracks = tracks.clone();
            let found = match *pick {
                Pick::Number(number) => tracks.nth(number - 1),
                Pick::Language(code) => {
                    tracks.find(|(track, _)| code.is_some() && track.language == code)
                }
            };
            found.map(|(_, id)| TrackId(id))
        };
        picks.iter().map(find).collect()
    }
}

impl Pick {
    /// A number from 1, or a language as BCP 47 or ISO 639 has it.
    fn parse(text: &str) -> Option<Self> {
        Self::parse_number(text).or_else(|| Self::parse_language(text))
    }

    fn parse_number(text: &str) -> Option<Self> {
        let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
        let number = text.parse().ok().filter(|number| is_number && *number > 0)?;
        Some(Self::Number(number))
    }

    fn parse_language(text: &str) -> Option<Self> {
        let mut subtags = text.split('-');
        let primary = subtags.next()?;
        let is_language = matches!(primary.len(), 2 | 3)
            && primary.bytes().all(|byte| byte.is_ascii_alphabetic())
            && subtags.all(|subtag| {
                matches!(subtag.len(), 1..=8)
                    && subtag.bytes().all(|byte| byte.is_ascii_alphanumeric())
            });
        is_language.then(|| Self::Language(language::code(primary)))
    }
}

fn parse_switch(value: &str) -> Result<bool, Unreadable> {
    match value {
        "" | "1" => Ok(true),
        "0" => Ok(false),
        _ => Err(Unreadable),
    }
}

/// The tracks of a title as one chooses them: `1 video H264, 2 audio mpeg4-generic en`.
fn describe_tracks(index: &MediaIndex) -> String {
    let describe = |(track, number): (&Track, usize)| {
        let kind = if track.codec.is_video() { "video" } else { "audio" };
        let tag = track.language.and_then(language::tag).map(|tag| format!(" {tag}"));
        format!("{number} {kind} {}{}", encoding_name(&track.codec), tag.unwrap_or_default())
    };
    index.tracks.iter().zip(1..).map(describe).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::super::testing::multilingual;
    use super::*;

    fn choose(query: &str) -> Result<Option<Vec<u8>>, Unreadable> {
        let url = format!("rtsp://h/film.mkv?{query}");
        let choice = Choice::of(Some(Url::parse(&url).unwrap()))?;
        let tracks = choice.tracks(&multilingual("film.mkv", 1, false).index);
        Ok(tracks.map(|tracks| tracks.iter().map(|track| track.0).collect()))
    }

    #[test]
    fn tracks_are_chosen_by_number_kind_and_language() {
        // Two video tracks, then audio: English, German, English, and one of no language.
        for (query, expected) in [
            ("", Some(&[0, 1, 2, 3, 4, 5][..])),
            ("x=1&audio", None),
            ("token=a/b&range=clock", Some(&[0, 1, 2, 3, 4, 5])),
            ("audio=eng", Some(&[0, 1, 2])),
            ("audio=en", Some(&[0, 1, 2])),
            ("audio=EN-gb", Some(&[0, 1, 2])),
            ("audio=ger", Some(&[0, 1, 3])),
            ("audio=deu,eng", Some(&[0, 1, 2, 3])),
            ("audio=3,de", Some(&[0, 1, 3, 4])),
            ("audio=4", Some(&[0, 1, 5])),
            ("audio=5", None),
            ("audio=fr", None),
            ("audio=en,fr", None),
            ("audio=xx", None),
            ("audio=und", None),
            ("audio=none", Some(&[0, 1])),
            ("video=none", Some(&[2, 3, 4, 5])),
            ("video=2&audio=de", Some(&[1, 3])),
            ("video=2&audio=de/trackID=3", Some(&[1, 3])),
            ("video=2&audio=de/trackID=3?loop=1", Some(&[1, 3])),
            ("video=2&audio=de/", Some(&[1, 3])),
            ("trackID=3", Some(&[0, 1, 2, 3, 4, 5])),
            ("video=none&audio=none", None),
            ("track=1,3", Some(&[0, 2])),
            ("track=3%2C1", Some(&[0, 2])),
            ("track=1,1,1", Some(&[0])),
            ("track=7", None),
            ("track=1,3,4&audio=de", Some(&[0, 3])),
            ("track=1&video=none", None),
            ("audio=de&audio=en", Some(&[0, 1, 2])),
        ] {
            let expected = match query {
                "x=1&audio" => Err(Unreadable),
                _ => Ok(expected.map(<[u8]>::to_vec)),
            };
            assert_eq!(choose(query), expected, "{query}");
        }
    }

    #[test]
    fn values_that_cannot_be_read_are_refused() {
        let many = format!("track={}1", "1,".repeat(TRACKS_MAX));
        for query in [
            "audio=",
            "audio=0",
            "audio=-1",
            "audio=+1",
            "audio=english",
            "audio=e",
            "audio=en-",
            "audio=en_GB",
            "audio=1,",
            "audio=none,1",
            "video=a%00",
            "track=",
            "track=en",
            "track=none",
            "track=0",
            "track=1;2",
            "track=99999999999999999999",
            "loop=yes",
            "loop=2",
            &many,
        ] {
            assert_eq!(choose(query), Err(Unreadable), "{query}");
        }
    }

    #[test]
    fn loops_are_chosen_by_the_title_or_against_it() {
        for (looped, query, expected) in [
            (false, "", (false, "")),
            (false, "loop=1", (true, "?loop=1")),
            (false, "loop", (true, "?loop=1")),
            (false, "loop=0", (false, "")),
            (true, "", (true, "")),
            (true, "loop=1", (true, "")),
            (true, "loop=0", (false, "?loop=0")),
        ] {
            let url = format!("rtsp://h/film.mkv?{query}");
            let choice = Choice::of(Some(Url::parse(&url).unwrap())).unwrap();
            let title = multilingual("film.mkv", 1, looped);
            let selection = choice.selection(&title, TrackSet::EMPTY);
            assert_eq!((selection.is_endless, selection.control_query), expected, "{url} {looped}");
        }
    }

    #[test]
    fn the_operator_reads_what_tracks_there_are() {
        let tracks = describe_tracks(&multilingual("film.mkv", 1, false).index);
        let expected = "1 video H264, 2 video H264, 3 audio mpeg4-generic en, \
                        4 audio mpeg4-generic de, 5 audio mpeg4-generic en, \
                        6 audio mpeg4-generic";
        assert_eq!(tracks, expected);
    }
}
