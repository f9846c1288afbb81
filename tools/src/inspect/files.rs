//! The file that is inspected, or those of a playlist.

use super::InspectError;
use packetizer::container;
use packetizer::index::{Join, MediaIndex, next_file_start};
use server::limits::PLAYLIST_BYTES_MAX;
use server::playlist::{Entry, Playlist, is_playlist};
use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

/// Files in one space of bytes.
pub(super) struct Files {
    /// By where they start.
    files: Vec<(u64, File)>,
    /// Bytes of all together.
    pub(super) bytes: u64,
}

impl Files {
    /// Fills `buffer` with what is at `offset`.
    pub(super) fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let behind = self.files.partition_point(|(start, _)| *start <= offset);
        let file = behind.checked_sub(1).and_then(|last| self.files.get(last));
        let (start, file) = file.ok_or(io::ErrorKind::UnexpectedEof)?;
        file.read_exact_at(buffer, offset - start)
    }
}

/// Opens a media file, or what a playlist names, whose library has its directory at the top.
pub(super) fn open(path: &Path) -> Result<(Files, MediaIndex), InspectError> {
    if is_playlist(path) {
        return open_playlist(path);
    }
    let (file, bytes, index) = open_file(path)?;
    Ok((Files { files: vec![(0, file)], bytes }, index))
}

fn open_file(path: &Path) -> Result<(File, u64, MediaIndex), InspectError> {
    let (file, bytes) = open_regular(path)?;
    let read = |offset, buffer: &mut [u8]| file.read_at(buffer, offset);
    let index = container::open(bytes, read).map_err(InspectError::Open)?;
    Ok((file, bytes, index))
}

fn open_regular(path: &Path) -> Result<(File, u64), InspectError> {
    let file = File::open(path).map_err(InspectError::Io)?;
    let metadata = file.metadata().map_err(InspectError::Io)?;
    if !metadata.is_file() {
        let why = io::Error::new(io::ErrorKind::InvalidInput, "not a regular file");
        return Err(InspectError::Io(why));
    }
    Ok((file, metadata.len()))
}

fn open_playlist(path: &Path) -> Result<(Files, MediaIndex), InspectError> {
    let mut text = Vec::new();
    let (file, _) = open_regular(path)?;
    let bytes_max = PLAYLIST_BYTES_MAX as u64 + 1;
    file.take(bytes_max).read_to_end(&mut text).map_err(InspectError::Io)?;
    let list = Playlist::parse(&text, Path::new(""));
    let list = list.map_err(|error| InspectError::Playlist(error.to_string()))?;
    let directory = path.parent().unwrap_or(Path::new(""));
    let (mut join, mut start) = (Join::new(), 0);
    let mut files = Files { files: Vec::new(), bytes: 0 };
    for entry in &list.entries {
        let refuse = |why: String| InspectError::Playlist(entry.refused(&why).to_string());
        let found = open_file(&directory.join(place(directory, entry)));
        let (file, bytes, index) = found.map_err(|error| refuse(error.to_string()))?;
        join.append(&index, start).map_err(|error| refuse(error.to_string()))?;
        files.files.push((start, file));
        files.bytes = files.bytes.saturating_add(bytes);
        let next = start.checked_add(bytes).and_then(next_file_start);
        start = next.ok_or_else(|| refuse("with it there are too many bytes".to_owned()))?;
    }
    let index = join.finish().map_err(|error| InspectError::Playlist(error.to_string()))?;
    Ok((files, index))
}

/// Where the entry's file is, or the first place where it should be.
fn place<'a>(directory: &Path, entry: &'a Entry) -> &'a Path {
    let is_there = |place: &&std::path::PathBuf| directory.join(place).is_file();
    let place = entry.places.iter().find(is_there).or(entry.places.first());
    place.map_or(Path::new(&entry.name), |place| place.as_path())
}
