//! Threads, pinning, start-up checks, loops, drain.
