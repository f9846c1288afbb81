//! Limits of the process, and how its threads are scheduled.

use std::io;

/// A resource of which the process may only have so much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resource {
    /// Descriptors (`RLIMIT_NOFILE`).
    Descriptors,
    /// Bytes of locked memory (`RLIMIT_MEMLOCK`). Registered buffers count, except for root.
    LockedBytes,
    /// The highest real-time priority (`RLIMIT_RTPRIO`), for those without `CAP_SYS_NICE`.
    RealTimePriority,
}

/// Raises the soft limit to the hard one and tells it; `u64::MAX` means that there is none.
///
/// # Errors
/// If the kernel tells no limit.
pub fn raise_limit(resource: Resource) -> io::Result<u64> {
    let resource = match resource {
        Resource::Descriptors => libc::RLIMIT_NOFILE,
        Resource::LockedBytes => libc::RLIMIT_MEMLOCK,
        Resource::RealTimePriority => libc::RLIMIT_RTPRIO,
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

/// Runs the calling thread before all that is not real-time, whenever it does not sleep
/// (`SCHED_FIFO`, sched(7)). Threads that it starts, as the kernel's own workers, do not inherit
/// that.
///
/// # Errors
/// `EPERM` without `CAP_SYS_NICE` and above [`Resource::RealTimePriority`], or in a control group
/// without real-time; `EINVAL` for a priority that does not exist.
pub fn run_before_others(priority: u8) -> io::Result<()> {
    let parameters = libc::sched_param { sched_priority: priority.into() };
    let policy = libc::SCHED_FIFO | libc::SCHED_RESET_ON_FORK;
    // SAFETY: reads `parameters`, which lives through the call; 0 is the calling thread.
    let result = unsafe { libc::sched_setscheduler(0, policy, &raw const parameters) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
