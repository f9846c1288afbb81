//! The driver against the kernel, on loopback.
