//! Opening a playlist: its files one after another, as one title.

use super::catalog_worker::{Opening, generation, open_file, resolve, tell, unreadable};
use crate::control::{Candidate, OpenError};
use crate::limits::PLAYLIST_BYTES_MAX;
use crate::playlist::{Entry, Playlist};
use crate::shard::operation::BLOCK_BYTES;
use crate::title::{ByteSourceId, Generation, SourceFiles, SourcePart, Title};
use packetizer::index::{FILE_ALIGNMENT, Join, MediaIndex, next_file_start};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

const _: () = assert!(FILE_ALIGNMENT.is_multiple_of(BLOCK_BYTES as u64));

/// Opens the playlist at `path`, which is where `candidate` leads, under the title's name.
pub(super) fn open(
    name: &str,
    path: &Path,
    candidate: &Candidate,
    opening: Opening,
    source: ByteSourceId,
) -> Result<Title, OpenError> {
    let file = File::open(path).map_err(|error| unreadable(&error))?;
    let list_generation = generation(&file.metadata().map_err(|error| unreadable(&error))?);
    let mut text = Vec::new();
    let bytes_max = PLAYLIST_BYTES_MAX as u64 + 1;
    file.take(bytes_max).read_to_end(&mut text).map_err(|error| unreadable(&error))?;
    let directory = candidate.relative.parent().unwrap_or(Path::new(""));
    let list = Playlist::parse(&text, directory);
    let list = list.map_err(|error| OpenError::NotPlayable(error.to_string()))?;
    let (index, parts) = Files::new(&candidate.root, &list)?.join(&list, opening)?;
    let title = Title {
        name: name.to_owned(),
        path: path.to_owned(),
        generation: of_all(list_generation, &parts),
        source,
        index,
        looped: list.looped,
        files: SourceFiles { playlist: Some(list_generation), parts },
    };
    tell(&title);
    Ok(title)
}

/// As of one file: modified when the last of them was.
fn of_all(list: Generation, parts: &[SourcePart]) -> Generation {
    parts.iter().map(|part| part.generation).fold(list, |all, part| Generation {
        inode: all.inode,
        modified_nanos: all.modified_nanos.max(part.modified_nanos),
        bytes: all.bytes.saturating_add(part.bytes),
    })
}

/// A file that an entry names.
struct Found {
    /// As it is named. It may lead through links, and one that is changed is a file that changed.
    named: PathBuf,
    /// Where that leads.
    resolved: PathBuf,
}

/// The files of a playlist. One that comes several times is opened once, and lies once in the space
/// of bytes.
struct Files {
    /// By entry.
    found: Vec<Found>,
    /// How often each is still to be joined.
    uses: BTreeMap<PathBuf, usize>,
}

impl Files {
    /// Finds them all, before any is opened.
    fn new(root: &Path, list: &Playlist) -> Result<Self, OpenError> {
        let (mut found, mut uses) = (Vec::new(), BTreeMap::new());
        for entry in &list.entries {
            let file = find(root, entry)?;
            *uses.entry(file.named.clone()).or_default() += 1;
            found.push(file);
        }
        Ok(Self { found, uses })
    }

    /// Opens and joins them. Indexes are kept only as long as the file comes again.
    fn join(
        mut self,
        list: &Playlist,
        opening: Opening,
    ) -> Result<(MediaIndex, Vec<SourcePart>), OpenError> {
        let (mut join, mut parts) = (Join::new(), Vec::new());
        let mut kept: BTreeMap<&Path, (u64, MediaIndex)> = BTreeMap::new();
        let mut start = 0_u64;
        for (file, entry) in self.found.iter().zip(&list.entries) {
            let (file_start, index) = match kept.remove(file.named.as_path()) {
                Some(known) => known,
                None => {
                    let opened = open_file(&file.resolved, opening);
                    let (part, index) = opened.map_err(|error| of_entry(entry, error))?;
                    let file_start = start;
                    start = file_start
                        .checked_add(part.generation.bytes)
                        .and_then(next_file_start)
                        .ok_or_else(|| refusal(entry, "with it there are too many bytes"))?;
                    let path = file.named.clone();
                    parts.push(SourcePart { start: file_start, path, ..part });
                    (file_start, index)
                }
            };
            let joined = join.append(&index, file_start);
            joined.map_err(|error| refusal(entry, &error.to_string()))?;
            let uses_left = self.uses.entry(file.named.clone()).or_default();
            *uses_left = uses_left.saturating_sub(1);
            if *uses_left > 0 {
                kept.insert(&file.named, (file_start, index));
            }
        }
        let index = join.finish().map_err(|error| OpenError::NotPlayable(error.to_string()))?;
        Ok((index, parts))
    }
}

/// An entry's file: below the root, as for URLs.
fn find(root: &Path, entry: &Entry) -> Result<Found, OpenError> {
    let mut why = NOT_FOUND.to_owned();
    for place in &entry.places {
        let candidate = Candidate { root: root.to_owned(), relative: place.clone() };
        let resolved = match resolve(&candidate) {
            Err(OpenError::Withheld(withheld)) => {
                why = withheld;
                None
            }
            resolved => resolved.map_err(|error| of_entry(entry, error))?,
        };
        if let Some(resolved) = resolved.filter(|path| path.is_file()) {
            return Ok(Found { named: root.join(place), resolved });
        }
    }
    Err(refusal(entry, &why))
}

/// What is wrong with an entry's file.
fn of_entry(entry: &Entry, error: OpenError) -> OpenError {
    match error {
        OpenError::NotFound => refusal(entry, NOT_FOUND),
        OpenError::NotPlayable(why) | OpenError::Withheld(why) => refusal(entry, &why),
        OpenError::Unreadable(why) => OpenError::Unreadable(entry.refused(&why).to_string()),
        OpenError::Overloaded => OpenError::Overloaded,
    }
}

fn refusal(entry: &Entry, why: &str) -> OpenError {
    OpenError::NotPlayable(entry.refused(why).to_string())
}

const NOT_FOUND: &str = "there is no such file in the library";

#[cfg(test)]
mod tests {
    use super::*;
    use packetizer::index::TrackId;
    use std::fs;
    use std::os::unix::fs::symlink;

    const TRACK: TrackId = TrackId(0);
    /// Samples of a file of [`wave`].
    const SAMPLES: u32 = 8000;

    /// Mono PCM, of a second if `rate` is 8,000.
    fn wave(rate: u32) -> Vec<u8> {
        let bytes = SAMPLES * 2;
        let mut file = b"RIFF".to_vec();
        file.extend((36 + bytes).to_le_bytes());
        file.extend(b"WAVEfmt \x10\0\0\0\x01\0\x01\0");
        file.extend(rate.to_le_bytes());
        file.extend((rate * 2).to_le_bytes());
        file.extend(b"\x02\0\x10\0data");
        file.extend(bytes.to_le_bytes());
        file.resize(file.len() + bytes as usize, 1);
        file
    }

    struct Library {
        directory: tempfile::TempDir,
    }

    impl Library {
        fn new() -> Self {
            let library = Self { directory: tempfile::tempdir().unwrap() };
            fs::create_dir_all(library.root().join("films/.hidden")).unwrap();
            for (name, rate) in [
                ("a.wav", 8000),
                ("films/b.wav", 8000),
                ("films/c d.wav", 8000),
                ("films/50%25.wav", 8000),
                ("films/fast.wav", 16_000),
                ("films/.hidden/b.wav", 8000),
                ("../outside.wav", 8000),
            ] {
                fs::write(library.root().join(name), wave(rate)).unwrap();
            }
            fs::write(library.root().join("films/text.wav"), "no sound").unwrap();
            fs::create_dir(library.root().join("films/directory.wav")).unwrap();
            symlink("../../outside.wav", library.root().join("films/out.wav")).unwrap();
            symlink(".hidden/b.wav", library.root().join("films/secret.wav")).unwrap();
            symlink("b.wav", library.root().join("films/link.wav")).unwrap();
            library
        }

        fn root(&self) -> PathBuf {
            self.directory.path().join("root")
        }

        /// Opens `films/list.txt` with this text.
        fn open(&self, text: &str) -> Result<Title, OpenError> {
            let path = self.root().join("films/list.txt");
            fs::write(&path, text).unwrap();
            let candidate =
                Candidate { root: self.root(), relative: PathBuf::from("films/list.txt") };
            open("list", &path, &candidate, Opening::default(), ByteSourceId(7))
        }
    }

    #[test]
    fn names_lead_to_files_of_the_library() {
        let library = Library::new();
        for (text, files) in [
            ("b.wav", &["films/b.wav"][..]),
            ("/a.wav\nb.wav\n/films/b.wav", &["a.wav", "films/b.wav"]),
            ("c%20d.wav\nc d.wav", &["films/c d.wav"]),
            ("50%25.wav", &["films/50%25.wav"]),
            ("link.wav\nb.wav", &["films/link.wav", "films/b.wav"]),
        ] {
            let title = library.open(text).unwrap();
            let found: Vec<_> = title.files.parts.iter().map(|part| part.path.clone()).collect();
            let expected: Vec<_> = files.iter().map(|file| library.root().join(file)).collect();
            assert_eq!(found, expected, "{text}");
            let entries = text.lines().count() as u64;
            assert_eq!(title.index.duration.nanos(), entries * 1_000_000_000, "{text}");
            assert_eq!(title.index.track_bytes(TRACK), entries * u64::from(SAMPLES) * 2);
            assert!(!title.looped);
        }
        assert!(library.open("#loop\nb.wav").unwrap().looped);
    }

    #[test]
    fn the_units_of_a_file_lie_where_it_is_found() {
        let library = Library::new();
        let title = library.open("b.wav\n/a.wav\nb.wav").unwrap();
        let units = title.index.tracks[0].unit_count;
        let file_of = |unit: u32| {
            let offset = title.index.unit(TRACK, unit).unwrap().offset;
            let (file, at) = title.files.locate(offset).unwrap();
            let is_it = |part: &SourcePart| std::ptr::eq(&raw const part.file, file);
            (title.files.parts.iter().position(is_it).unwrap(), at)
        };
        for (unit, expected) in [(0, 0), (units / 3, 1), (units / 3 * 2, 0)] {
            assert_eq!(file_of(unit), (expected, 44), "unit {unit}");
        }
        assert_eq!(title.generation.bytes, 2 * (44 + 16_000) + "b.wav\n/a.wav\nb.wav".len() as u64);
    }

    #[test]
    fn what_cannot_be_played_is_named_with_its_line() {
        let library = Library::new();
        for (text, expected) in [
            ("b.wav\nnone.wav", "line 2 (\"none.wav\"): there is no such file"),
            ("directory.wav", "line 1 (\"directory.wav\"): there is no such file"),
            ("b.wav\n#\nout.wav", "line 3 (\"out.wav\"): it leads out of the media"),
            ("secret.wav", "line 1 (\"secret.wav\"): there is no such file"),
            ("../a.wav", "line 1 (\"../a.wav\"): `..`"),
            ("b.wav\nhttp://host/a.wav", "line 2 (\"http://host/a.wav\"): a URL"),
            ("list.txt", "line 1 (\"list.txt\"): a playlist in a playlist"),
            ("b.wav\ntext.wav", "line 2 (\"text.wav\"): no media file"),
            ("b.wav\n/a.wav\nfast.wav", "line 3 (\"fast.wav\"): track 1, L16, has other"),
            ("#loop", "without a file name"),
            (&"b.wav\n".repeat(1001), "more than 1000 names"),
        ] {
            let Err(OpenError::NotPlayable(why)) = library.open(text) else { panic!("{text}") };
            assert!(why.contains(expected), "{text}: {why}");
        }
        let mut many = vec!["b.wav"; 1000];
        many[999] = "fast.wav";
        let Err(OpenError::NotPlayable(why)) = library.open(&many.join("\n")) else { panic!() };
        assert!(why.contains("line 1000 "), "{why}");
    }
}
