//! Packet images read by other people's depacketizers: what comes out is what lies in the
//! container.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::cast_possible_truncation,
    reason = "test code"
)]

mod application_data_units;
mod codecs;
mod depayloaders;
mod ffmpeg;
mod gstreamer;
mod installed;
mod specified;
mod streams;
mod titles;
mod transport_streams;
