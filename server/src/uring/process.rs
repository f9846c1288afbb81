//! Limits of the process.

use std::io;

/// A resource of which the process may only have so much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resource {
    /// Descriptors (`RLIMIT_NOFILE`).
    Descriptors,
    /// Bytes of locked memory (`RLIMIT_MEMLOCK`). Registered buffers count, except for root.
    LockedBytes,
}

/// Raises the soft limit to the hard one and tells it; `u64::MAX` means that there is none.
///
/// # Errors
/// If the kernel tells no limit.
pub fn raise_limit(resource: Resource) -> io::Result<u64> {
    let resource = match resource {
        Resource::Descriptors => libc::RLIMIT_NOFILE,
        Resource::LockedBytes => libc::RLIMIT_MEMLOCK,
    };
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: writes `limit`, which lives through the call.
    if unsafe { libc::getrlimit(resource, &raw mut limit) } != 0 {
        return Err(io::Error::last_os_error());
    }
    if limit.rlim_cur < limit.rlim_max {
        let raised = libc::rlimit { rlim_cur: limit.rlim_max, rlim_max: limit.rlim_max };
        // SAFETY: reads `raised`, which lives through the call.
        if unsafe { libc::setrlimit(resource, &raw const raised) } == 0 {
            limit = raised;
        }
    }
    Ok(limit.rlim_cur)
}
