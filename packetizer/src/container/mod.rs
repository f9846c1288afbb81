//! Demuxers without I/O: they ask for byte ranges, are given bytes and yield a `MediaIndex`.
