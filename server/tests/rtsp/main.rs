//! The RTSP layer against what others wrote: recorded clients and rtsp-types.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod oracle;
mod transcripts;
