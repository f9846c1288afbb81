//! A title: what a URL names, once opened. Immutable and shared by control and all shards.

use packetizer::index::MediaIndex;
use std::path::PathBuf;
use std::sync::Arc;

/// Tells one version of a file from the next: a replaced file is another title.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Generation {
    /// Device and inode.
    pub inode: (u64, u64),
    /// Modification time, nanoseconds since the Unix epoch.
    pub modified_nanos: i128,
    /// Size in bytes.
    pub bytes: u64,
}

/// Where a title's bytes come from. A number rather than a descriptor, so that slow sources
/// (object storage) can come later; the shell maps it to a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ByteSourceId(pub u64);

/// An opened title.
#[derive(Debug)]
pub struct Title {
    /// The catalog's name: the path part of the URL, without leading slash.
    pub name: String,
    /// Its file, for logs: the list, if it is a playlist.
    pub path: PathBuf,
    /// Which version of the file; of a playlist, of all its files together.
    pub generation: Generation,
    /// Where the shards read it.
    pub source: ByteSourceId,
    /// What is in it.
    pub index: MediaIndex,
    /// Whether it begins anew when it has ended, again and again.
    pub looped: bool,
    /// The open files behind `source`.
    pub files: SourceFiles,
}

/// The open files behind a title, in one space of bytes, each from a start of its own.
#[derive(Debug, Default)]
pub struct SourceFiles {
    /// Which version of a playlist it was that named them, if one did.
    pub playlist: Option<Generation>,
    /// By where they start; none under simulation.
    pub parts: Vec<SourcePart>,
}

/// One of the files.
#[derive(Debug)]
pub struct SourcePart {
    /// Where its bytes start: a multiple of [`packetizer::index::FILE_ALIGNMENT`].
    pub start: u64,
    /// Its path, which may lead through symbolic links.
    pub path: PathBuf,
    /// Which version of it.
    pub generation: Generation,
    /// The file.
    pub file: SourceFile,
}

/// An open media file with what the shards need to know to read it.
#[derive(Debug)]
pub struct SourceFile {
    /// The descriptor, opened for reading (with `O_DIRECT` if `direct_alignment` says so).
    pub file: std::fs::File,
    /// Alignment of offsets, lengths and memory for direct reads (`STATX_DIOALIGN`); `None` reads
    /// through the page cache.
    pub direct_alignment: Option<u32>,
}

/// How titles are passed around.
pub type SharedTitle = Arc<Title>;

impl Title {
    /// What offsets and lengths of reads must be multiples of; 1 through the page cache.
    #[must_use]
    pub fn alignment(&self) -> u64 {
        let direct = self.files.parts.iter().filter_map(|part| part.file.direct_alignment);
        // All are powers of two.
        direct.max().map_or(1, u64::from)
    }
}

impl SourceFiles {
    /// The file that has the byte at `offset`, and where it is in it; `None` if there is none.
    #[must_use]
    pub fn locate(&self, offset: u64) -> Option<(&SourceFile, u64)> {
        let behind = self.parts.partition_point(|part| part.start <= offset);
        let part = self.parts.get(behind.checked_sub(1)?)?;
        Some((&part.file, offset - part.start))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use packetizer::index::FILE_ALIGNMENT;
    use std::os::fd::AsRawFd as _;

    #[test]
    fn an_offset_leads_to_a_file_and_a_place_in_it() {
        let part = |start, direct_alignment| SourcePart {
            start,
            path: PathBuf::new(),
            generation: Generation { inode: (0, 0), modified_nanos: 0, bytes: 0 },
            file: SourceFile { file: std::fs::File::open("/dev/null").unwrap(), direct_alignment },
        };
        let (second, third) = (2 * FILE_ALIGNMENT, 7 * FILE_ALIGNMENT);
        let parts = vec![part(0, Some(512)), part(second, Some(4096)), part(third, None)];
        let files = SourceFiles { playlist: None, parts };
        for (offset, expected) in [
            (0, (0, 0)),
            (second - 1, (0, second - 1)),
            (second, (1, 0)),
            (third - 1, (1, third - second - 1)),
            (third + 5, (2, 5)),
            (u64::MAX, (2, u64::MAX - third)),
        ] {
            let (file, at) = files.locate(offset).unwrap();
            let is_it = |part: &SourcePart| part.file.file.as_raw_fd() == file.file.as_raw_fd();
            let found = (files.parts.iter().position(is_it).unwrap(), at);
            assert_eq!(found, expected, "{offset}");
        }
        assert!(SourceFiles::default().locate(0).is_none());
        let title = |files| Title {
            name: String::new(),
            path: PathBuf::new(),
            generation: Generation { inode: (0, 0), modified_nanos: 0, bytes: 0 },
            source: ByteSourceId(0),
            index: packetizer::index::IndexBuilder::new().finish(packetizer::time::Npt::ZERO),
            looped: false,
            files,
        };
        assert_eq!(title(files).alignment(), 4096, "which suits all");
        assert_eq!(title(SourceFiles::default()).alignment(), 1);
    }
}
