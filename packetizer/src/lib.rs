//! From a media file's bytes to RTP packets, without I/O.
//!
//! This crate does no I/O, reads no clock, starts no thread and holds no `unsafe`. A container
//! demuxer asks for byte ranges and yields a [`index::MediaIndex`]; [`image::PacketImage`] lays a
//! segment's access units out as the RTP packets that go on the wire.

#![forbid(unsafe_code)]

pub mod codec;
pub mod container;
pub mod image;
pub mod index;
pub mod language;
pub mod payload;
pub mod rtcp;
pub mod rtp;
pub mod sdp;
pub mod time;
pub mod wrapping;
