//! The catalog: from the name in a URL to an opened title, with a cache bounded by bytes.
//!
//! Opening and checking files is the worker's; this decides what to ask it. A title is checked
//! against its file at most every [`CHECK_INTERVAL`], so that a replaced file becomes another title
//! soon and a crowd does not become a storm of system calls.

use super::effect::OpenToken;
use crate::clock::MonoTime;
use crate::config::MediaRoot;
use crate::mailbox::ConnectionId;
use crate::title::SharedTitle;
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// What the worker is asked: open the first of the candidates that is there.
#[derive(Clone, Debug)]
pub struct OpenRequest {
    /// Echoed in the answer.
    pub token: OpenToken,
    /// The title's name in the catalog.
    pub name: String,
    /// Where it may lie.
    pub candidates: Vec<Candidate>,
    /// What the cache has: given back if the file has not changed.
    pub cached: Option<SharedTitle>,
}

/// A place where a title may lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The media root; the file must not lie outside, symbolic links resolved.
    pub root: PathBuf,
    /// Below it; plain components only.
    pub relative: PathBuf,
}

/// Why a title could not be opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OpenError {
    /// There is no such file, or none that may be served.
    NotFound,
    /// There is a file, and it may not be served.
    Withheld(String),
    /// There is a file, and it is no presentation that can be delivered.
    NotPlayable(String),
    /// It could not be read.
    Unreadable(String),
    /// There is no room for its index, or too much is being opened already.
    Overloaded,
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound => write!(f, "no such title"),
            Self::Withheld(reason) => write!(f, "not served: {reason}"),
            Self::NotPlayable(reason) => write!(f, "not playable: {reason}"),
            Self::Unreadable(reason) => write!(f, "cannot be read: {reason}"),
            Self::Overloaded => write!(f, "no room for its index"),
        }
    }
}

/// What the catalog has for a name.
#[derive(Debug)]
pub(super) enum Lookup {
    /// The title.
    Ready(SharedTitle),
    /// The worker must be asked, and the connection waits.
    Open(OpenRequest),
    /// The worker has been asked already, and the connection waits.
    Opening,
    /// No title can have that name, or nothing more may be asked.
    Refused(OpenError),
}

/// Opened titles and those being opened.
#[derive(Debug)]
pub(super) struct Catalog {
    roots: Vec<MediaRoot>,
    bytes_max: u64,
    titles: BTreeMap<String, Cached>,
    /// Titles whose file was replaced while somebody plays the old one.
    replaced: Vec<SharedTitle>,
    opening: BTreeMap<OpenToken, Opening>,
    next_token: u64,
}

#[derive(Debug)]
struct Cached {
    title: SharedTitle,
    checked: MonoTime,
    last_used: MonoTime,
}

#[derive(Debug)]
struct Opening {
    name: String,
    waiting: Vec<ConnectionId>,
}

impl Catalog {
    /// Titles that are open.
    pub(super) fn len(&self) -> usize {
        self.titles.len() + self.replaced.len()
    }

    /// A catalog of the titles below `roots` that keeps at most `bytes_max` of indexes.
    pub(super) fn new(roots: Vec<MediaRoot>, bytes_max: u64) -> Self {
        Self {
            roots,
            bytes_max,
            titles: BTreeMap::new(),
            replaced: Vec::new(),
            opening: BTreeMap::new(),
            next_token: 0,
        }
    }

    /// Finds the title of that name for the connection.
    pub(super) fn look_up(
        &mut self,
        now: MonoTime,
        name: &str,
        connection: ConnectionId,
    ) -> Lookup {
        if let Some(cached) = self.titles.get_mut(name) {
            cached.last_used = now;
            if now - cached.checked < CHECK_INTERVAL {
                return Lookup::Ready(Arc::clone(&cached.title));
            }
        }
        if let Some(opening) = self.opening.values_mut().find(|opening| opening.name == name) {
            opening.waiting.push(connection);
            return Lookup::Opening;
        }
        let candidates = self.candidates(name);
        if candidates.is_empty() {
            return Lookup::Refused(OpenError::NotFound);
        }
        if self.opening.len() >= OPENING_MAX {
            return Lookup::Refused(OpenError::Overloaded);
        }
        let token = OpenToken(self.next_token);
        self.next_token += 1;
        let opening = Opening { name: name.to_owned(), waiting: vec![connection] };
        self.opening.insert(token, opening);
        let cached = self.titles.get(name).map(|cached| Arc::clone(&cached.title));
        Lookup::Open(OpenRequest { token, name: name.to_owned(), candidates, cached })
    }

    /// Takes the worker's answer: who waits for it, and what they get.
    pub(super) fn opened(
        &mut self,
        now: MonoTime,
        token: OpenToken,
        result: Result<SharedTitle, OpenError>,
    ) -> (Vec<ConnectionId>, Result<SharedTitle, OpenError>) {
        let Some(opening) = self.opening.remove(&token) else {
            return (Vec::new(), result);
        };
        let result = result.and_then(|title| self.keep(now, &opening.name, title));
        if result.is_err() {
            self.retire(&opening.name);
        }
        (opening.waiting, result)
    }

    /// How many titles are being opened.
    pub(super) fn opening_count(&self) -> usize {
        self.opening.len()
    }

    /// Bytes of all indexes that are alive because of this catalog.
    pub(super) fn bytes(&self) -> u64 {
        let titles = self.titles.values().map(|cached| &cached.title).chain(&self.replaced);
        titles.map(index_bytes).sum()
    }

    fn keep(
        &mut self,
        now: MonoTime,
        name: &str,
        title: SharedTitle,
    ) -> Result<SharedTitle, OpenError> {
        let known = self.titles.get(name).is_some_and(|cached| Arc::ptr_eq(&cached.title, &title));
        if !known {
            self.retire(name);
            self.make_room(index_bytes(&title))?;
        }
        let cached = Cached { title: Arc::clone(&title), checked: now, last_used: now };
        self.titles.insert(name.to_owned(), cached);
        Ok(title)
    }

    /// Takes the title out of the catalog; while somebody plays it, it still counts.
    fn retire(&mut self, name: &str) {
        if let Some(cached) = self.titles.remove(name) {
            self.replaced.push(cached.title);
        }
        self.replaced.retain(is_in_use);
    }

    /// Evicts titles that nobody plays, the longest unused first, until `bytes` more fit.
    fn make_room(&mut self, bytes: u64) -> Result<(), OpenError> {
        while self.bytes().saturating_add(bytes) > self.bytes_max {
            let idle = self.titles.iter().filter(|(_, cached)| !is_in_use(&cached.title));
            let oldest = idle.min_by_key(|(_, cached)| cached.last_used);
            let Some(name) = oldest.map(|(name, _)| name.clone()) else {
                return Err(OpenError::Overloaded);
            };
            self.titles.remove(&name);
        }
        Ok(())
    }

    /// Where the title of that name may lie; nowhere if the name is not one of plain components.
    /// Hidden files are not served.
    fn candidates(&self, name: &str) -> Vec<Candidate> {
        let components: Vec<&str> = name.split('/').collect();
        let plain = |component: &&str| {
            !component.is_empty()
                && !component.starts_with('.')
                && !component.contains(['\0', '\\'])
        };
        if name.len() > NAME_BYTES_MAX || !components.iter().all(plain) {
            return Vec::new();
        }
        let below = |root: &MediaRoot| {
            let relative = match &root.name {
                None => &components[..],
                Some(first) if components[0] == first => &components[1..],
                Some(_) => &[],
            };
            (!relative.is_empty()).then(|| Candidate {
                root: root.directory.clone(),
                relative: relative.iter().collect(),
            })
        };
        self.roots.iter().filter_map(below).collect()
    }
}

/// Whether anybody but the catalog holds the title. A shard that is about to let go counts, which
/// only delays the eviction.
fn is_in_use(title: &SharedTitle) -> bool {
    Arc::strong_count(title) > 1
}

fn index_bytes(title: &SharedTitle) -> u64 {
    title.index.bytes() as u64
}

/// How long a title is believed to be what its file holds.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);
/// Titles being opened at once.
pub const OPENING_MAX: usize = 64;
/// Longest name of a title: `PATH_MAX` of Linux.
const NAME_BYTES_MAX: usize = 4096;

#[cfg(test)]
mod tests {
    use super::super::testing::title;
    use super::*;

    fn catalog(bytes_max: u64) -> Catalog {
        let root = |name: Option<&str>, directory: &str| MediaRoot {
            name: name.map(str::to_owned),
            directory: directory.into(),
        };
        let roots = vec![root(Some("films"), "/a"), root(None, "/b"), root(None, "/c")];
        Catalog::new(roots, bytes_max)
    }

    #[test]
    fn names_lead_below_the_roots_and_nowhere_else() {
        for (name, expected) in [
            ("x.mp4", vec!["/b/x.mp4", "/c/x.mp4"]),
            ("films/x.mp4", vec!["/a/x.mp4", "/b/films/x.mp4", "/c/films/x.mp4"]),
            (
                "films/deep/x.mp4",
                vec!["/a/deep/x.mp4", "/b/films/deep/x.mp4", "/c/films/deep/x.mp4"],
            ),
            ("films", vec!["/b/films", "/c/films"]),
            ("a b,c;d.mp4", vec!["/b/a b,c;d.mp4", "/c/a b,c;d.mp4"]),
            ("", vec![]),
            ("..", vec![]),
            ("films/../x.mp4", vec![]),
            ("films//x.mp4", vec![]),
            ("/etc/passwd", vec![]),
            (".hidden", vec![]),
            ("deep/.hidden/x.mp4", vec![]),
            ("x\0.mp4", vec![]),
            ("..\\x.mp4", vec![]),
        ] {
            let found = catalog(0).candidates(name);
            let found: Vec<PathBuf> =
                found.into_iter().map(|place| place.root.join(place.relative)).collect();
            assert_eq!(
                found,
                expected.into_iter().map(PathBuf::from).collect::<Vec<_>>(),
                "{name}"
            );
        }
        assert!(catalog(0).candidates(&"x/".repeat(NAME_BYTES_MAX)).is_empty());
    }

    #[test]
    fn the_longest_unused_title_makes_room_and_one_that_plays_does_not() {
        let size = index_bytes(&title("x", 0, false));
        let mut catalog = catalog(size * 2);
        let open = |catalog: &mut Catalog, now, name: &str| match catalog.look_up(
            MonoTime(now),
            name,
            ConnectionId(1),
        ) {
            Lookup::Open(request) => {
                let opened = request.cached.unwrap_or_else(|| title(name, now, false));
                catalog.opened(MonoTime(now), request.token, Ok(opened)).1
            }
            Lookup::Ready(title) => Ok(title),
            Lookup::Opening | Lookup::Refused(_) => panic!("{name}"),
        };
        let playing = open(&mut catalog, 1, "a").unwrap();
        open(&mut catalog, 2, "b").unwrap();
        open(&mut catalog, 3, "c").unwrap();
        assert_eq!(catalog.titles.keys().collect::<Vec<_>>(), ["a", "c"], "a plays");
        let second = open(&mut catalog, 4, "c").unwrap();
        assert_eq!(open(&mut catalog, 5, "d").unwrap_err(), OpenError::Overloaded);
        drop(playing);
        open(&mut catalog, 6, "d").unwrap();
        assert_eq!(catalog.titles.keys().collect::<Vec<_>>(), ["c", "d"]);

        // A replaced file's old index counts as long as somebody plays it.
        catalog.retire("c");
        catalog.retire("d");
        assert_eq!(catalog.bytes(), size);
        drop(second);
        catalog.retire("d");
        assert_eq!(catalog.bytes(), 0);
    }

    #[test]
    fn only_so_many_titles_are_opened_at_once() {
        let mut catalog = catalog(u64::MAX);
        for number in 0..OPENING_MAX {
            let lookup = catalog.look_up(MonoTime(0), &number.to_string(), ConnectionId(1));
            assert!(matches!(lookup, Lookup::Open(_)));
        }
        let lookup = catalog.look_up(MonoTime(0), "more", ConnectionId(1));
        assert!(matches!(lookup, Lookup::Refused(OpenError::Overloaded)));
        assert!(matches!(catalog.look_up(MonoTime(0), "7", ConnectionId(2)), Lookup::Opening));
    }
}
