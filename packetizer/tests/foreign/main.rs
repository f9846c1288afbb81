//! Packet images read by other people's depacketizers: what comes out is what lies in the container.

#![allow(clippy::cast_possible_truncation, clippy::cast_possible_wrap, clippy::cast_sign_loss)]

mod ffmpeg;
mod gstreamer;
mod titles;
