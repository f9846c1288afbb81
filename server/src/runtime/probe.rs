//! Start-up checks: what this kernel and process can do, and what to change where they cannot.

use crate::uring::{self, Caching, Resource, RingFlavour};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// What a check found, in one sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Whether all is as it should be.
    pub ok: bool,
    /// The finding, and the remedy if there is something to change.
    pub text: String,
}

/// What the configuration asks of kernel and process.
#[derive(Clone, Debug, Default)]
pub struct Needs {
    /// Directories of titles.
    pub media: Vec<PathBuf>,
    /// They are to be read through the page cache.
    pub page_cache: bool,
    /// Descriptors at full load.
    pub descriptors: u64,
    /// Bytes of all read pools, and of the rings: about 1 MiB each.
    pub locked_bytes: u64,
}

/// All checks. The first is the only one that reelring cannot do without.
#[must_use]
pub fn findings(needs: &Needs) -> Vec<Finding> {
    let mut findings = vec![io_uring(), segmentation_offload()];
    findings.extend(needs.media.iter().map(|directory| match needs.page_cache {
        true => found(format!("{} is read through the page cache, as asked", directory.display())),
        false => direct_reads(directory),
    }));
    findings.push(locked_memory(needs.locked_bytes));
    findings.push(descriptors(needs.descriptors));
    findings
}

/// Whether the kernel gives rings, and which. Not `ok` means that the server cannot run.
#[must_use]
pub fn io_uring() -> Finding {
    match uring::ring_flavour() {
        Ok(RingFlavour::DeferTaskrun) => found("io_uring works, with deferred task runs"),
        Ok(RingFlavour::CoopTaskrun) => {
            found("io_uring works, without deferred task runs (kernel before 6.1): a little slower")
        }
        Ok(RingFlavour::Plain) => {
            found("io_uring works, without its newer flags (kernel before 5.19): slower")
        }
        Err(error) => {
            let sysctl = fs::read_to_string(IO_URING_DISABLED).ok();
            lacking(refusal(&error, sysctl.as_deref().map(str::trim)))
        }
    }
}

/// Whether the kernel cuts trains into packets.
#[must_use]
pub fn segmentation_offload() -> Finding {
    match uring::segmentation_offload() {
        Ok(true) => found("UDP segmentation offload (UDP_SEGMENT) works"),
        Ok(false) => lacking(
            "UDP segmentation offload (UDP_SEGMENT) is missing, so packets are sent one by one; \
             use kernel 4.18 or later",
        ),
        Err(error) => lacking(format!("UDP sockets cannot be made ({error})")),
    }
}

/// Whether files in `directory` can be read past the page cache.
#[must_use]
pub fn direct_reads(directory: &Path) -> Finding {
    let shown = directory.display();
    let file = match first_file(directory, DEPTH_MAX) {
        Ok(Some(file)) => file,
        Ok(None) => return found(format!("{shown} has no file yet that tells how it is read")),
        Err(error) => return lacking(format!("{shown} cannot be listed ({error})")),
    };
    match uring::open_media(&file, Caching::Direct).map(|source| source.direct_alignment) {
        Ok(Some(bytes)) => found(format!(
            "{shown} is read past the page cache (O_DIRECT, aligned to {bytes} bytes)"
        )),
        Ok(None) => lacking(format!(
            "{shown} is read through the page cache, which costs more CPU: its file system knows \
             no O_DIRECT, or the kernel is older than 6.1; use ext4 or XFS"
        )),
        Err(error) => lacking(format!("{} cannot be opened ({error})", file.display())),
    }
}

/// Raises the limit on locked memory as far as may be, and compares it with what read pools need.
#[must_use]
pub fn locked_memory(needed_bytes: u64) -> Finding {
    let privileged =
        fs::read_to_string("/proc/self/status").is_ok_and(|status| locks_freely(&status));
    match uring::raise_limit(Resource::LockedBytes) {
        Ok(_) if privileged => {
            found("read pools may be registered: memory is locked without limit")
        }
        Ok(bytes) if bytes >= needed_bytes => {
            found(format!("read pools may be registered: {needed_bytes} bytes of locked memory"))
        }
        Ok(bytes) => lacking(format!(
            "read pools want {needed_bytes} bytes of locked memory and the limit is {bytes}, so \
             they are not registered; set LimitMEMLOCK=infinity (systemd) or ulimit -l unlimited"
        )),
        Err(error) => lacking(format!("the limit on locked memory is not known ({error})")),
    }
}

/// Raises the limit on descriptors as far as may be, and compares it with what full load needs.
#[must_use]
pub fn descriptors(needed: u64) -> Finding {
    match uring::raise_limit(Resource::Descriptors) {
        Ok(limit) if limit >= needed => {
            found(format!("descriptors suffice: {needed} at full load, {limit} allowed"))
        }
        Ok(limit) => lacking(format!(
            "full load needs {needed} descriptors and {limit} are allowed; set LimitNOFILE={needed} \
             (systemd) or ulimit -n {needed}, or lower the limits on connections"
        )),
        Err(error) => lacking(format!("the limit on descriptors is not known ({error})")),
    }
}

const IO_URING_DISABLED: &str = "/proc/sys/kernel/io_uring_disabled";
/// Levels of directories that are searched for a file.
const DEPTH_MAX: usize = 4;
/// Entries of one directory that are looked at.
const ENTRIES_MAX: usize = 1000;

fn found(text: impl Into<String>) -> Finding {
    Finding { ok: true, text: text.into() }
}

fn lacking(text: impl Into<String>) -> Finding {
    Finding { ok: false, text: text.into() }
}

/// Why there is no ring, and what to do about it. `disabled` is the sysctl.
fn refusal(error: &io::Error, disabled: Option<&str>) -> String {
    let remedy = match (error.raw_os_error(), disabled) {
        (Some(libc::ENOSYS), None) => {
            "the kernel has none, or a seccomp filter hides it: use kernel 5.19 or later, or allow \
             io_uring_setup, io_uring_enter and io_uring_register in the filter"
        }
        (Some(libc::EPERM), Some("2")) => {
            "the administrator has disabled it: sysctl -w kernel.io_uring_disabled=0"
        }
        (Some(libc::EPERM), Some("1")) => {
            "only members of the group in sysctl kernel.io_uring_group may use it: join that \
             group, or sysctl -w kernel.io_uring_disabled=0"
        }
        (Some(libc::EPERM | libc::ENOSYS), _) => {
            "a seccomp filter forbids it, as containers do by default: allow io_uring_setup, \
             io_uring_enter and io_uring_register (docker run --security-opt seccomp=PROFILE)"
        }
        (Some(libc::ENOMEM), _) => {
            "the kernel counts rings as locked memory: raise that limit (ulimit -l)"
        }
        (Some(libc::EMFILE | libc::ENFILE), _) => "descriptors have run out: raise ulimit -n",
        _ => "the kernel gave no reason known here",
    };
    format!("io_uring is refused ({error}); {remedy}")
}

/// Whether the process has `CAP_IPC_LOCK`, to which the limit does not apply.
fn locks_freely(status: &str) -> bool {
    const CAP_IPC_LOCK: u64 = 1 << 14;
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let set = effective.and_then(|set| u64::from_str_radix(set.trim(), 16).ok());
    set.is_some_and(|set| set & CAP_IPC_LOCK != 0)
}

/// Some regular file below `directory`.
fn first_file(directory: &Path, depth: usize) -> io::Result<Option<PathBuf>> {
    let mut directories = Vec::new();
    for entry in fs::read_dir(directory)?.take(ENTRIES_MAX) {
        let path = entry?.path();
        match fs::metadata(&path) {
            Ok(metadata) if metadata.is_file() => return Ok(Some(path)),
            Ok(metadata) if metadata.is_dir() => directories.push(path),
            _ => {}
        }
    }
    if depth > 1 {
        for directory in directories {
            if let Ok(Some(file)) = first_file(&directory, depth - 1) {
                return Ok(Some(file));
            }
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_ring_says_what_to_change() {
        let cases = [
            (libc::ENOSYS, None, "5.19"),
            (libc::ENOSYS, Some("0"), "seccomp"),
            (libc::EPERM, Some("0"), "seccomp"),
            (libc::EPERM, None, "seccomp"),
            (libc::EPERM, Some("1"), "io_uring_group"),
            (libc::EPERM, Some("2"), "io_uring_disabled=0"),
            (libc::ENOMEM, Some("0"), "ulimit -l"),
        ];
        for (errno, disabled, expected) in cases {
            let text = refusal(&io::Error::from_raw_os_error(errno), disabled);
            assert!(text.contains(expected), "{errno} {disabled:?}: {text}");
        }
    }

    #[test]
    fn findings_compare_needs_with_limits() {
        assert!(descriptors(1).ok);
        let short = descriptors(u64::MAX);
        assert!(!short.ok && short.text.contains("LimitNOFILE"), "{short:?}");
        assert!(locked_memory(0).ok);
    }

    #[test]
    fn locking_freely_is_read_from_the_capabilities() {
        let cases = [
            ("Name:\tx\nCapEff:\t000001ffffffffff\n", true),
            ("CapEff:\t0000000000004000\n", true),
            ("CapEff:\t00000000a80425fb\n", false),
            ("CapPrm:\t000001ffffffffff\n", false),
        ];
        for (status, expected) in cases {
            assert_eq!(locks_freely(status), expected, "{status}");
        }
    }

    #[test]
    fn directories_tell_how_their_files_are_read() {
        let directory = tempfile::tempdir().unwrap();
        assert!(direct_reads(directory.path()).text.contains("no file yet"));
        let deep = directory.path().join("a/b");
        fs::create_dir_all(&deep).unwrap();
        fs::write(deep.join("title.mp4"), b"media").unwrap();
        let text = direct_reads(directory.path()).text;
        assert!(text.contains("page cache"), "{text}");
        assert!(!direct_reads(Path::new("/nowhere")).ok);
    }
}
