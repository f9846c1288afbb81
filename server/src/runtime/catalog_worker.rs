//! The catalog workers: threads that open titles, because that blocks. There are a few, so that a
//! title of a day, whose index takes seconds to build, does not keep the others waiting.

use super::opening::{Progress, SoFar};
use super::playlist_title;
use crate::clock::Clock;
use crate::config::Config;
use crate::control::{Candidate, OPENING_MAX, OpenError, OpenRequest, OpenToken};
use crate::playlist::is_playlist;
use crate::title::{
    ByteSourceId, Generation, SharedTitle, SourceFile, SourceFiles, SourcePart, Title,
};
use crate::uring::{Caching, Waker, open_media};
use crossbeam::channel::{Receiver, Sender, bounded};
use packetizer::codec::CodecConfig;
use packetizer::container::{self, Delivery, LayerIii, TransportStreams};
use packetizer::index::MediaIndex;
use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use tracing::info;

/// The answer to a request.
pub(super) type Opened = (OpenToken, Result<SharedTitle, OpenError>);

/// The threads, and the queues to and from them. Dropping it ends the threads.
#[derive(Debug)]
pub(super) struct CatalogWorkers {
    requests: Sender<OpenRequest>,
    answers: Receiver<Opened>,
    threads: Vec<JoinHandle<()>>,
}

/// How media is opened.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Opening {
    /// How it is to be read.
    caching: Caching,
    delivery: Delivery,
}

impl Opening {
    /// As the operator wants it.
    pub(super) const fn of(config: &Config) -> Self {
        Self {
            caching: Caching::of(config.page_cache),
            delivery: Delivery {
                transport_streams: match config.mp2t {
                    true => TransportStreams::Whole,
                    false => TransportStreams::Demuxed,
                },
                layer_iii: match config.mp3_adu {
                    true => LayerIii::Adus,
                    false => LayerIii::Frames,
                },
            },
        }
    }
}

/// Titles that are opened at once.
const THREADS: usize = 3;

impl CatalogWorkers {
    /// Starts the threads, which wake `waker` for their answers and open media as `opening`
    /// says.
    ///
    /// # Errors
    /// When threads or descriptors run out.
    pub(super) fn start(waker: Waker, opening: Opening) -> io::Result<Self> {
        let (requests, incoming) = bounded::<OpenRequest>(OPENING_MAX);
        let (outgoing, answers) = bounded(OPENING_MAX);
        let sources_opened = Arc::new(AtomicU64::new(0));
        let mut threads = Vec::new();
        for _ in 0..THREADS {
            let (incoming, outgoing) = (incoming.clone(), outgoing.clone());
            let (waker, sources_opened) = (waker.clone(), Arc::clone(&sources_opened));
            let thread = thread::Builder::new().name("catalog".to_owned()).spawn(move || {
                for request in incoming {
                    let result = open(&request, opening, &sources_opened);
                    if outgoing.send((request.token, result)).is_err() {
                        break;
                    }
                    waker.wake();
                }
            })?;
            threads.push(thread);
        }
        Ok(Self { requests, answers, threads })
    }

    /// Asks for a title.
    pub(super) fn ask(&self, request: OpenRequest) {
        self.requests.try_send(request).expect("control has at most OPENING_MAX under way");
    }

    /// An answer that has arrived.
    pub(super) fn answer(&self) -> Option<Opened> {
        self.answers.try_recv().ok()
    }

    /// Ends the threads, after what they are doing.
    pub(super) fn stop(self) {
        drop((self.requests, self.answers));
        for thread in self.threads {
            // A panic there has been reported by the thread itself.
            let _ = thread.join();
        }
    }
}

/// Opens the first candidate that is there.
fn open(
    request: &OpenRequest,
    opening: Opening,
    sources_opened: &AtomicU64,
) -> Result<SharedTitle, OpenError> {
    let mut failure = None;
    for candidate in &request.candidates {
        let path = match resolve(candidate) {
            Ok(Some(path)) => path,
            Ok(None) => continue,
            Err(error) => {
                failure = failure.or(Some(error));
                continue;
            }
        };
        let metadata = fs::metadata(&path).map_err(|error| unreadable(&error))?;
        if !metadata.is_file() {
            continue;
        }
        if let Some(cached) = &request.cached
            && cached.path == path
            && is_current(cached, &metadata)
        {
            return Ok(Arc::clone(cached));
        }
        let source = ByteSourceId(sources_opened.fetch_add(1, Ordering::Relaxed));
        let title = if is_playlist(&candidate.relative) {
            playlist_title::open(&request.name, &path, candidate, opening, source)?
        } else {
            open_title(&request.name, &path, opening, source)?
        };
        return Ok(Arc::new(title));
    }
    Err(failure.unwrap_or(OpenError::NotFound))
}

/// Whether the files are still those that the title was made of; `metadata` is its own file's.
fn is_current(title: &Title, metadata: &Metadata) -> bool {
    let Some(playlist) = title.files.playlist else {
        return title.generation == generation(metadata);
    };
    let is_same = |part: &SourcePart| {
        fs::metadata(&part.path).is_ok_and(|metadata| generation(&metadata) == part.generation)
    };
    playlist == generation(metadata) && title.files.parts.iter().all(is_same)
}

/// The candidate's file, if there is one and it lies below its root by visible names only,
/// symbolic links resolved. Fails if that cannot be known: the root is gone, or a directory may not
/// be searched.
pub(super) fn resolve(candidate: &Candidate) -> Result<Option<PathBuf>, OpenError> {
    let root = candidate.root.canonicalize().map_err(|error| unreadable(&error))?;
    let path = match root.join(&candidate.relative).canonicalize() {
        Ok(path) => path,
        Err(error) if ABSENT.contains(&error.raw_os_error()) => return Ok(None),
        Err(error) => return Err(unreadable(&error)),
    };
    let is_hidden = |name: &std::ffi::OsStr| name.as_encoded_bytes().starts_with(b".");
    match path.strip_prefix(&root) {
        Ok(below) if below.iter().any(is_hidden) => Ok(None),
        Ok(_) => Ok(Some(path)),
        Err(_) => {
            let why = "it leads out of the media directory, which must hold what is served";
            Err(OpenError::Withheld(why.to_owned()))
        }
    }
}

/// What the kernel says of a name that no file has, or can have.
const ABSENT: [Option<i32>; 4] =
    [Some(libc::ENOENT), Some(libc::ENOTDIR), Some(libc::ELOOP), Some(libc::ENAMETOOLONG)];

pub(super) fn unreadable(error: &io::Error) -> OpenError {
    OpenError::Unreadable(error.to_string())
}

fn open_title(
    name: &str,
    path: &Path,
    opening: Opening,
    source: ByteSourceId,
) -> Result<Title, OpenError> {
    let (part, index) = open_file(path, opening)?;
    let generation = part.generation;
    let files = SourceFiles { playlist: None, parts: vec![part] };
    let (name, path) = (name.to_owned(), path.to_owned());
    let title = Title { name, path, generation, source, index, looped: false, files };
    tell(&title);
    Ok(title)
}

/// Opens a media file, and finds what is in it.
pub(super) fn open_file(
    path: &Path,
    opening: Opening,
) -> Result<(SourcePart, MediaIndex), OpenError> {
    let unreadable = |error: io::Error| unreadable(&error);
    let file = open_media(path, opening.caching).map_err(unreadable)?;
    // Headers lie anywhere and have any length, so they are read through the page cache.
    let headers = File::open(path).map_err(unreadable)?;
    let metadata = headers.metadata().map_err(unreadable)?;
    if !is_same_file(&file, &metadata) {
        return Err(OpenError::Unreadable("the file was replaced while it was opened".to_owned()));
    }
    if metadata.len() == 0 {
        return Err(OpenError::NotPlayable("an empty file: was it copied whole?".to_owned()));
    }
    let clock = Clock::start();
    let mut progress = Progress::new(clock.now(), metadata.len());
    let read = |offset, buffer: &mut [u8]| {
        let count = headers.read_at(buffer, offset)?;
        if let Some(so_far) = progress.reach(clock.now(), offset + count as u64) {
            let SoFar { percent, bytes_per_second } = so_far;
            info!(path = %path.display(), percent, bytes_per_second, "title still being opened");
        }
        Ok(count)
    };
    let index = container::open_as(metadata.len(), opening.delivery, read);
    let index = index.map_err(|error| match error {
        container::OpenError::Read(error) => unreadable(error),
        container::OpenError::Index(error) => OpenError::NotPlayable(error.to_string()),
    })?;
    if opening.delivery.layer_iii == LayerIii::Adus {
        tell_of_other_layers(path, &index);
    }
    let generation = generation(&metadata);
    Ok((SourcePart { start: 0, path: path.to_owned(), generation, file }, index))
}

/// Tells the operator which MPEG audio is not sent as application data units, though he wants that.
fn tell_of_other_layers(path: &Path, index: &MediaIndex) {
    let is_other = |codec: &CodecConfig| matches!(codec, CodecConfig::MpegAudio(_));
    for track in index.tracks.iter().filter(|track| is_other(&track.codec)) {
        let why = "MPEG audio that is not layer III goes in its frames (RFC 2250)";
        info!(path = %path.display(), track = track.container_id, "{why}");
    }
}

/// Tracks that are left out of which the operator is told, by name.
const LEFT_OUT_MAX: usize = 8;

/// Tells the operator of a title that was opened.
pub(super) fn tell(title: &Title) {
    let parts = &title.files.parts;
    let skipped = title.index.skipped.iter().take(LEFT_OUT_MAX).map(ToString::to_string);
    let left_out = skipped.collect::<Vec<_>>().join("; ");
    info!(
        title = title.name,
        path = %title.path.display(),
        files = (parts.len() > 1).then_some(parts.len()),
        tracks = title.index.tracks.len(),
        left_out = (!left_out.is_empty()).then_some(left_out),
        duration = %title.index.duration,
        index_bytes = title.index.bytes(),
        direct = parts.iter().all(|part| part.file.direct_alignment.is_some()),
        "title opened"
    );
}

fn is_same_file(file: &SourceFile, metadata: &Metadata) -> bool {
    file.file.metadata().is_ok_and(|other| generation(&other) == generation(metadata))
}

pub(super) fn generation(metadata: &Metadata) -> Generation {
    let seconds = i128::from(metadata.mtime());
    Generation {
        inode: (metadata.dev(), metadata.ino()),
        modified_nanos: seconds * 1_000_000_000 + i128::from(metadata.mtime_nsec()),
        bytes: metadata.len(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn only_visible_files_below_the_root_are_found() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().join("root");
        fs::create_dir_all(root.join("nested/.hidden")).unwrap();
        fs::create_dir(root.join("directory.mp4")).unwrap();
        for file in ["plain.mp4", "nested/deep.mp4", "nested/.hidden/secret.mp4"] {
            fs::write(root.join(file), b"x").unwrap();
        }
        fs::write(directory.path().join("outside.mp4"), b"x").unwrap();
        symlink(root.join("plain.mp4"), root.join("inner.mp4")).unwrap();
        symlink(directory.path().join("outside.mp4"), root.join("outer.mp4")).unwrap();
        symlink(root.join("nested/.hidden"), root.join("visible")).unwrap();
        symlink("loop.mp4", root.join("loop.mp4")).unwrap();
        for (relative, is_found) in [
            ("plain.mp4", true),
            ("nested/deep.mp4", true),
            ("inner.mp4", true),
            ("visible/secret.mp4", false),
            ("loop.mp4", false),
            ("missing.mp4", false),
            ("plain.mp4/below", false),
            (&"x".repeat(300), false),
        ] {
            let candidate = Candidate { root: root.clone(), relative: relative.into() };
            assert_eq!(resolve(&candidate).unwrap().is_some(), is_found, "{relative}");
        }
        for relative in ["outer.mp4", "../outside.mp4"] {
            let candidate = Candidate { root: root.clone(), relative: relative.into() };
            assert!(matches!(resolve(&candidate), Err(OpenError::Withheld(_))), "{relative}");
        }
        let is_open = |relative: &str| {
            let candidates = vec![Candidate { root: root.clone(), relative: relative.into() }];
            let name = relative.to_owned();
            open(
                &OpenRequest { token: OpenToken(0), name, candidates, cached: None },
                Opening::default(),
                &AtomicU64::new(0),
            )
        };
        assert_eq!(is_open("directory.mp4").unwrap_err(), OpenError::NotFound);
        assert!(matches!(is_open("plain.mp4").unwrap_err(), OpenError::NotPlayable(_)));
    }

    #[test]
    fn a_title_is_the_same_until_a_file_of_it_changes() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().to_owned();
        let wave = b"RIFF\x2c\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\x40\x1f\0\0\x80\x3e\0\0\
            \x02\0\x10\0data\x08\0\0\0\x01\x02\x03\x04\x05\x06\x07\x08";
        let change = |name: &str, bytes: &[u8]| {
            // Written beside and moved, as files are replaced.
            fs::write(root.join("new"), bytes).unwrap();
            fs::rename(root.join("new"), root.join(name)).unwrap();
        };
        for name in ["a.wav", "b.wav", "c.wav"] {
            change(name, wave);
        }
        symlink("b.wav", root.join("link.wav")).unwrap();
        change("list.m3u8", b"a.wav\nlink.wav");
        let sources_opened = AtomicU64::new(0);
        let ask = |name: &str, cached: Option<&SharedTitle>| {
            let candidates = vec![Candidate { root: root.clone(), relative: name.into() }];
            let (token, name, cached) = (OpenToken(0), name.to_owned(), cached.cloned());
            let request = OpenRequest { token, name, candidates, cached };
            open(&request, Opening::default(), &sources_opened)
        };
        for (name, changes) in [
            ("a.wav", &[("c.wav", false), ("a.wav", true)][..]),
            ("list.m3u8", &[("c.wav", false), ("a.wav", true), ("b.wav", true)]),
        ] {
            let mut title = ask(name, None).unwrap();
            for (changed, is_another) in changes {
                let before = Arc::clone(&title);
                assert!(Arc::ptr_eq(&before, &ask(name, Some(&before)).unwrap()), "{name}");
                change(changed, wave);
                title = ask(name, Some(&before)).unwrap();
                assert_eq!(!Arc::ptr_eq(&before, &title), *is_another, "{name}: {changed}");
                assert_eq!(before.source != title.source, *is_another);
            }
        }
        let title = ask("list.m3u8", None).unwrap();
        fs::remove_file(root.join("link.wav")).unwrap();
        symlink("c.wav", root.join("link.wav")).unwrap();
        let other = ask("list.m3u8", Some(&title)).unwrap();
        assert!(!Arc::ptr_eq(&title, &other), "the link leads elsewhere");
        change("list.m3u8", b"a.wav\na.wav");
        let another = ask("list.m3u8", Some(&other)).unwrap();
        assert!(!Arc::ptr_eq(&other, &another), "the list names others");
        fs::remove_file(root.join("a.wav")).unwrap();
        let gone = ask("list.m3u8", Some(&another)).unwrap_err();
        assert!(matches!(&gone, OpenError::NotPlayable(why) if why.contains("a.wav")), "{gone}");
    }

    #[test]
    fn a_root_that_is_gone_is_no_missing_title_unless_another_has_it() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("plain.mp4"), b"x").unwrap();
        let gone = Candidate { root: "/nowhere/at/all".into(), relative: "plain.mp4".into() };
        let here = Candidate { root: directory.path().to_owned(), relative: "plain.mp4".into() };
        let open = |candidates: &[Candidate]| {
            let (name, candidates) = ("plain.mp4".to_owned(), candidates.to_vec());
            open(
                &OpenRequest { token: OpenToken(0), name, candidates, cached: None },
                Opening::default(),
                &AtomicU64::new(0),
            )
        };
        assert!(matches!(open(std::slice::from_ref(&gone)).unwrap_err(), OpenError::Unreadable(_)));
        assert!(matches!(open(&[gone, here]).unwrap_err(), OpenError::NotPlayable(_)));
    }
}
