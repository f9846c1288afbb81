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
    /// Its file, for logs.
    pub path: PathBuf,
    /// Which version of the file.
    pub generation: Generation,
    /// Where the shards read it.
    pub source: ByteSourceId,
    /// What is in it.
    pub index: MediaIndex,
    /// The open file behind `source`; `None` under simulation.
    pub file: Option<SourceFile>,
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
        let direct = self.file.as_ref().and_then(|file| file.direct_alignment);
        direct.map_or(1, u64::from)
    }
}
