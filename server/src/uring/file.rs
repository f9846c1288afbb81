//! Opening media files, directly where the file system can.

use crate::shard::operation::BLOCK_BYTES;
use crate::title::SourceFile;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// How media files are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Caching {
    /// Past the page cache (`O_DIRECT`) where the file system can.
    #[default]
    Direct,
    /// Through the page cache.
    Pages,
}

impl Caching {
    /// How media is read if `--page-cache` is as given.
    #[must_use]
    pub const fn of(page_cache: bool) -> Self {
        if page_cache { Self::Pages } else { Self::Direct }
    }
}

/// Opens a media file for the shards: past the page cache if asked and where the file system can,
/// else through it.
///
/// # Errors
/// What the kernel said, or `InvalidInput` for something that is not a regular file.
pub fn open_media(path: &Path, caching: Caching) -> io::Result<SourceFile> {
    // Looked at first, because opening a pipe waits for its writer.
    regular(&fs::metadata(path)?)?;
    let open_direct = || OpenOptions::new().read(true).custom_flags(libc::O_DIRECT).open(path).ok();
    let direct = if caching == Caching::Direct { open_direct() } else { None };
    if let Some(file) = direct
        && let Some(alignment) = direct_alignment(&file)
    {
        regular(&file.metadata()?)?;
        return Ok(SourceFile { file, direct_alignment: Some(alignment) });
    }
    let file = File::open(path)?;
    regular(&file.metadata()?)?;
    read_as_asked(&file);
    Ok(SourceFile { file, direct_alignment: None })
}

/// Has the page cache read what is asked for and no more: the shards read ahead by time, and many
/// viewers at as many places of one descriptor would look like none to whom more is of use.
fn read_as_asked(file: &File) {
    // SAFETY: advice about a descriptor that is open. It may be refused; then reads cost more.
    unsafe { libc::posix_fadvise(file.as_raw_fd(), 0, 0, libc::POSIX_FADV_RANDOM) };
}

/// The alignment of offsets, lengths and memory that direct reads of `file` need; `None` if its
/// file system has none, has one larger than a block, or does not say (before 6.1).
#[must_use]
pub fn direct_alignment(file: &File) -> Option<u32> {
    let mut status = MaybeUninit::<libc::statx>::zeroed();
    // SAFETY: writes `status` and reads the empty name, which both live through the call.
    let result = unsafe {
        libc::statx(
            file.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH,
            libc::STATX_DIOALIGN,
            status.as_mut_ptr(),
        )
    };
    // SAFETY: all its fields are numbers, and it started as zeroes.
    let status = unsafe { status.assume_init() };
    if result != 0 || status.stx_mask & libc::STATX_DIOALIGN == 0 {
        return None;
    }
    let alignment = status.stx_dio_mem_align.max(status.stx_dio_offset_align);
    let fits = alignment.is_power_of_two() && alignment as usize <= BLOCK_BYTES;
    (status.stx_dio_offset_align > 0 && fits).then_some(alignment)
}

fn regular(metadata: &fs::Metadata) -> io::Result<()> {
    if metadata.is_file() {
        Ok(())
    } else {
        Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_regular_files_open_and_a_tmpfs_is_read_through_the_cache() {
        let refused = open_media(Path::new("/dev/zero"), Caching::Direct).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::InvalidInput);
        assert!(open_media(Path::new("/proc/self"), Caching::Direct).is_err());
        let missing = open_media(Path::new("/nowhere.mp4"), Caching::Direct).unwrap_err();
        assert_eq!(missing.kind(), io::ErrorKind::NotFound);
        // Files of procfs are regular and know no direct reads.
        assert_eq!(
            open_media(Path::new("/proc/self/status"), Caching::Direct).unwrap().direct_alignment,
            None
        );
    }

    #[test]
    fn a_file_is_read_through_the_cache_if_asked() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("media.mp4");
        fs::write(&path, vec![1; 8192]).unwrap();
        let flags = |file: &File| {
            // SAFETY: asks for the flags of a descriptor that is open.
            unsafe { libc::fcntl(file.as_raw_fd(), libc::F_GETFL) }
        };
        let cached = open_media(&path, Caching::of(true)).unwrap();
        assert_eq!((cached.direct_alignment, flags(&cached.file) & libc::O_DIRECT), (None, 0));
        let direct = open_media(&path, Caching::of(false)).unwrap();
        let is_direct = flags(&direct.file) & libc::O_DIRECT != 0;
        assert_eq!(is_direct, direct.direct_alignment.is_some(), "as the file system can");
    }
}
