//! The RTSP layer against what others wrote: recorded clients, rtsp-types, and the fuzz seeds.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod oracle;
mod seeds;
mod transcripts;
