//! Every system call of a shard, and all `unsafe`.
