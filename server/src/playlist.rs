//! Playlists: the text of a file that names media files, a name a line, to be played one after
//! another as one presentation.
//!
//! Plain lists of names and M3U: what begins with `#` is a comment, but for `#loop`. Names are
//! relative to the playlist's directory, or with a slash in front to the media root.

use crate::limits::{PLAYLIST_BYTES_MAX, PLAYLIST_NAMES_MAX};
use crate::rtsp::percent_decoded;
use std::fmt;
use std::path::{Path, PathBuf};

/// What a playlist says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Playlist {
    /// The files, in their order; at least one.
    pub entries: Vec<Entry>,
    /// Whether it begins anew when it has ended (`#loop`).
    pub looped: bool,
}

/// A line that names a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The line's number, from 1.
    pub line: usize,
    /// The name as it is written.
    pub name: String,
    /// Where the file may lie below the media root, by plain components: as it is written, or else
    /// with `%20` and its like decoded.
    pub places: Vec<PathBuf>,
}

/// Why a playlist cannot be used, in words for its author.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PlaylistError {
    /// More than [`PLAYLIST_BYTES_MAX`].
    TooLong,
    /// More than [`PLAYLIST_NAMES_MAX`].
    TooManyNames,
    /// It is not UTF-8.
    NotText {
        /// The line, from 1.
        line: usize,
    },
    /// It names no file.
    Empty,
    /// A line is wrong.
    Name {
        /// Its number, from 1.
        line: usize,
        /// What it says.
        name: String,
        /// Why that cannot be played.
        why: String,
    },
}

impl fmt::Display for PlaylistError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong => write!(f, "a playlist of more than {PLAYLIST_BYTES_MAX} bytes"),
            Self::TooManyNames => write!(f, "a playlist of more than {PLAYLIST_NAMES_MAX} names"),
            Self::NotText { line } => write!(f, "playlist, line {line}: not in UTF-8"),
            Self::Empty => f.write_str("a playlist without a file name"),
            Self::Name { line, name, why } => {
                // Whatever the file is, it is not to fill the log.
                let shown: String = name.chars().take(NAME_CHARS_SHOWN).collect();
                write!(f, "playlist, line {line} ({shown:?}): {why}")
            }
        }
    }
}

impl std::error::Error for PlaylistError {}

/// Characters of a name that a message shows.
const NAME_CHARS_SHOWN: usize = 200;

/// Whether a file of that name is taken for a playlist: `.m3u8` and `.txt`.
#[must_use]
pub fn is_playlist(name: &Path) -> bool {
    let extension = name.extension().unwrap_or_default();
    ["m3u8", "txt"].iter().any(|of_lists| extension.eq_ignore_ascii_case(of_lists))
}

impl Playlist {
    /// Parses the text of a playlist in `directory`, a path below the media root by plain
    /// components.
    ///
    /// # Errors
    /// [`PlaylistError`]: the first thing that is wrong.
    pub fn parse(text: &[u8], directory: &Path) -> Result<Self, PlaylistError> {
        const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();
        if text.len() > PLAYLIST_BYTES_MAX {
            return Err(PlaylistError::TooLong);
        }
        let text = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text);
        let (mut entries, mut looped) = (Vec::new(), false);
        for (line, bytes) in (1..).zip(text.split(|byte| *byte == b'\n')) {
            let name = str::from_utf8(bytes).map_err(|_| PlaylistError::NotText { line })?;
            let name = name.trim_ascii();
            if name.is_empty() || name.starts_with('#') {
                looped |= name.eq_ignore_ascii_case("#loop");
                continue;
            }
            if entries.len() >= PLAYLIST_NAMES_MAX {
                return Err(PlaylistError::TooManyNames);
            }
            let entry = Entry { line, name: name.to_owned(), places: Vec::new() };
            let places = places(name, directory).map_err(|why| entry.refused(why))?;
            entries.push(Entry { places, ..entry });
        }
        if entries.is_empty() {
            return Err(PlaylistError::Empty);
        }
        Ok(Self { entries, looped })
    }
}

impl Entry {
    /// Why its file cannot be played, with where it is named.
    #[must_use]
    pub fn refused(&self, why: &str) -> PlaylistError {
        PlaylistError::Name { line: self.line, name: self.name.clone(), why: why.to_owned() }
    }
}

/// Where the file of that name may lie below the media root, or why none can.
fn places(name: &str, directory: &Path) -> Result<Vec<PathBuf>, &'static str> {
    if has_scheme(name) {
        return Err("a URL; only files of the library can be played");
    }
    let mut places = vec![place(name, directory)?];
    let decoded = String::from_utf8(percent_decoded(name)).ok().filter(|decoded| decoded != name);
    places.extend(decoded.and_then(|decoded| place(&decoded, directory).ok()));
    Ok(places)
}

/// The place of a name, by the rules for the names of titles.
fn place(name: &str, directory: &Path) -> Result<PathBuf, &'static str> {
    let (mut place, below) = match name.strip_prefix('/') {
        Some(below) => (PathBuf::new(), below),
        None => (directory.to_owned(), name),
    };
    let mut components = below.split('/').filter(|part| !matches!(*part, "" | ".")).peekable();
    if components.peek().is_none() || below.ends_with('/') {
        return Err("a directory");
    }
    for component in components {
        match component {
            ".." => return Err("`..` is not allowed; a `/` in front means the media root"),
            _ if component.starts_with('.') => return Err("hidden files are not played"),
            _ if component.contains(['\0', '\\']) => {
                return Err("no file of the library can have that name");
            }
            _ => place.push(component),
        }
    }
    if is_playlist(&place) {
        return Err("a playlist in a playlist");
    }
    Ok(place)
}

/// Whether it begins like a URL (RFC 3986 §3.1). A file's name may have a colon, too.
fn has_scheme(name: &str) -> bool {
    let Some((scheme, _)) = name.split_once("://") else { return false };
    let is_of_it = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
    scheme.starts_with(|first: char| first.is_ascii_alphabetic()) && scheme.bytes().all(is_of_it)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Playlist, PlaylistError> {
        Playlist::parse(text.as_bytes(), Path::new("lists/of mine"))
    }

    #[test]
    fn names_are_lines() {
        for (text, looped, expected) in [
            ("a.mp4", false, &[(1, "lists/of mine/a.mp4")][..]),
            (
                "#EXTM3U\r\n#EXTINF:8,A\r\na.mp4\r\n\r\n#EXTINF:8,B\r\nsub/b.mp4\r\n",
                false,
                &[(3, "lists/of mine/a.mp4"), (6, "lists/of mine/sub/b.mp4")],
            ),
            ("\u{feff}#EXTM3U\n/films/ä b.mp4\n", false, &[(2, "films/ä b.mp4")]),
            ("\u{feff}/a.mp4", false, &[(1, "a.mp4")]),
            ("  a.mp4 \n#loop", true, &[(1, "lists/of mine/a.mp4")]),
            ("#LOOP  \na.mp4", true, &[(2, "lists/of mine/a.mp4")]),
            ("#looped\n# loop\na.mp4", false, &[(3, "lists/of mine/a.mp4")]),
            ("./a.mp4\n//x//./b.mp4", false, &[(1, "lists/of mine/a.mp4"), (2, "x/b.mp4")]),
            ("a.mp4\na.mp4", false, &[(1, "lists/of mine/a.mp4"), (2, "lists/of mine/a.mp4")]),
            ("Film: 1.mp4", false, &[(1, "lists/of mine/Film: 1.mp4")]),
            ("1://a.mp4", false, &[(1, "lists/of mine/1:/a.mp4")]),
            ("a..b...mp4", false, &[(1, "lists/of mine/a..b...mp4")]),
            ("100%.mp4", false, &[(1, "lists/of mine/100%.mp4")]),
        ] {
            let list = parse(text).unwrap();
            let found = list.entries.iter().map(|entry| (entry.line, entry.places.clone()));
            let expected = expected.iter().map(|(line, path)| (*line, vec![PathBuf::from(path)]));
            assert!(found.eq(expected), "{text:?}: {list:?}");
            assert_eq!(list.looped, looped, "{text:?}");
        }
    }

    #[test]
    fn an_escape_is_decoded_where_no_file_has_the_name_as_it_is() {
        for (name, expected) in [
            ("a%20b.mp4", &["d/a%20b.mp4", "d/a b.mp4"][..]),
            ("/%C3%A4.mp4", &["%C3%A4.mp4", "ä.mp4"]),
            ("%ff.mp4", &["d/%ff.mp4"]),
            ("%2e%2e/a.mp4", &["d/%2e%2e/a.mp4"]),
            ("x%2F..%2F..%2Fa.mp4", &["d/x%2F..%2F..%2Fa.mp4"]),
            ("%2Fetc%2Fa.mp4", &["d/%2Fetc%2Fa.mp4", "etc/a.mp4"]),
            ("a.mp4%00", &["d/a.mp4%00"]),
            ("a%2Em3u8", &["d/a%2Em3u8"]),
        ] {
            let list = Playlist::parse(name.as_bytes(), Path::new("d")).unwrap();
            let expected: Vec<_> = expected.iter().map(PathBuf::from).collect();
            assert_eq!(list.entries[0].places, expected, "{name}");
            assert_eq!(list.entries[0].name, name);
        }
    }

    #[test]
    fn what_cannot_be_played_is_refused_by_its_line() {
        for (text, line, why) in [
            ("a.mp4\n../b.mp4", 2, "`..`"),
            ("films/../b.mp4", 1, "`..`"),
            ("/..", 1, "`..`"),
            ("http://host/a.mp4", 1, "a URL"),
            ("#EXTM3U\n\nfile:///a.mp4", 3, "a URL"),
            ("rtsp://host/a.mp4", 1, "a URL"),
            (".hidden.mp4", 1, "hidden"),
            ("deep/.hidden/a.mp4", 1, "hidden"),
            ("..\\a.mp4", 1, "hidden"),
            ("films\\a.mp4", 1, "no file"),
            ("a\0.mp4", 1, "no file"),
            ("films/", 1, "a directory"),
            ("/", 1, "a directory"),
            ("other.m3u8", 1, "a playlist in a playlist"),
            ("other.TXT", 1, "a playlist in a playlist"),
        ] {
            let error = parse(text).unwrap_err();
            let PlaylistError::Name { line: found, why: reason, .. } = &error else {
                panic!("{text:?}: {error}")
            };
            assert_eq!(*found, line, "{text:?}");
            assert!(reason.starts_with(why), "{text:?}: {error}");
            assert!(error.to_string().contains(&format!("line {line} (")), "{error}");
        }
        for text in ["", "\n\n", "#EXTM3U\n#loop\n", "\u{feff}", "  \t\n"] {
            assert_eq!(parse(text), Err(PlaylistError::Empty), "{text:?}");
        }
        let not_text = Playlist::parse(b"a.mp4\nb\xff.mp4", Path::new(""));
        assert_eq!(not_text, Err(PlaylistError::NotText { line: 2 }));
        let long = parse(&format!("../{}", "x".repeat(5000))).unwrap_err().to_string();
        assert!(long.len() < 400, "{} bytes of message", long.len());
    }

    #[test]
    fn a_playlist_is_bounded() {
        let names = |count| "a.mp4\n".repeat(count);
        assert_eq!(parse(&names(PLAYLIST_NAMES_MAX)).unwrap().entries.len(), PLAYLIST_NAMES_MAX);
        assert_eq!(parse(&names(PLAYLIST_NAMES_MAX + 1)), Err(PlaylistError::TooManyNames));
        let comment = |bytes| format!("a.mp4\n#{}", "x".repeat(bytes - 7));
        assert!(parse(&comment(PLAYLIST_BYTES_MAX)).is_ok());
        assert_eq!(parse(&comment(PLAYLIST_BYTES_MAX + 1)), Err(PlaylistError::TooLong));
    }

    #[test]
    fn playlists_are_known_by_their_names() {
        for (name, expected) in [
            ("a.m3u8", true),
            ("x/a.TXT", true),
            ("a.txt.mp4", false),
            ("a.m3u", false),
            ("txt", false),
            (".txt", false),
        ] {
            assert_eq!(is_playlist(Path::new(name)), expected, "{name}");
        }
    }
}
