//! Giving memory back to the system.

/// Gives the system what this thread's allocations have left unused: the allocator keeps pages that
/// were freed for the allocations to come, and after a crowd has gone, there are none to come.
///
/// Takes in the order of milliseconds.
pub fn give_back() {
    // SAFETY: has no precondition; works on the calling thread's heap and on what nobody uses.
    unsafe { libmimalloc_sys::mi_collect(true) };
}
