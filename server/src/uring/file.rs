//! Opening media files, directly where the file system can.

use crate::shard::operation::BLOCK_BYTES;
use crate::title::SourceFile;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Opens a media file for the shards: past the page cache where the file system can, else through
/// it.
///
/// # Errors
/// What the kernel said, or `InvalidInput` for something that is not a regular file.
pub fn open_media(path: &Path) -> io::Result<SourceFile> {
    // Looked at first, because opening a pipe waits for its writer.
    regular(&fs::metadata(path)?)?;
    let direct = OpenOptions::new().read(true).custom_flags(libc::O_DIRECT).open(path).ok();
    if let Some(file) = direct
        && let Some(alignment) = direct_alignment(&file)
    {
        regular(&file.metadata()?)?;
        return Ok(SourceFile { file, direct_alignment: Some(alignment) });
    }
    let file = File::open(path)?;
    regular(&file.metadata()?)?;
    Ok(SourceFile { file, direct_alignment: None })
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
        let refused = open_media(Path::new("/dev/zero")).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::InvalidInput);
        assert!(open_media(Path::new("/proc/self")).is_err());
        let missing = open_media(Path::new("/nowhere.mp4")).unwrap_err();
        assert_eq!(missing.kind(), io::ErrorKind::NotFound);
        // Files of procfs are regular and know no direct reads.
        assert_eq!(open_media(Path::new("/proc/self/status")).unwrap().direct_alignment, None);
    }
}
