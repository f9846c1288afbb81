//! Streams of frames that begin with a syncword and tell their length: AAC in ADTS, MPEG audio,
//! AC-3. What lies between frames is passed over.

mod ac3;
mod adts;
mod mpeg_audio;

use std::fmt;

use super::scan::Scan;
use super::sole_track::{SoleTrack, refuse};
use super::{Demand, Demux, IndexError, id3, refused};
use crate::codec::CodecConfig;
use crate::codec::aac::AdtsHeader;
use crate::codec::ac3::SyncFrame;
use crate::codec::mpeg_audio::FrameHeader;
use crate::index::{MediaIndex, SkipReason};
use crate::time::ClockRate;

/// Bytes in front of a file's first frame at most, zeros aside.
const JUNK_BYTES_MAX: usize = 8 << 10;
/// Frames in a row that make a stream.
const RUN_FRAMES: usize = 3;

/// The header of a frame, of one of the formats.
trait Header: Copy + fmt::Debug + Send + 'static {
    /// Bytes of a frame at most.
    const FRAME_BYTES_MAX: u32;
    /// The first byte of the syncword.
    const SYNC_BYTE: u8;

    /// Parses the header at the beginning of `bytes`.
    fn parse(bytes: &[u8]) -> Option<Self>;

    /// Bytes of the frame, header included; more than 0.
    fn frame_bytes(&self) -> u32;

    /// Bytes in front of what is delivered.
    fn left_out_bytes(&self) -> u32 {
        0
    }

    /// Whether a frame, given whole, has no sound but describes the file, if it is the first.
    fn is_information(&self, frame: &[u8]) -> bool {
        let _ = frame;
        false
    }

    /// What a frame is to the stream that begins with `first`.
    fn role(&self, first: &Self) -> Role;

    /// The codec of the stream that begins with this frame.
    fn codec(&self) -> Result<CodecConfig, SkipReason>;

    /// The sampling rate.
    fn sample_rate(&self) -> Option<ClockRate>;

    /// Samples of a channel.
    fn samples(&self) -> u32;
}

/// What a frame is to a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    /// An access unit, or the beginning of one.
    Unit,
    /// Part of the access unit of the frame in front.
    Continuation,
    /// Of the stream, but not delivered.
    LeftOut,
    /// No frame of the stream.
    Foreign,
}

/// A file that is such frames.
pub(super) fn probe(head: &[u8], file_bytes: u64) -> Option<Box<dyn Demux>> {
    probe_at(head, 0, file_bytes)
}

/// What lies at `offset` in a file, if it is such frames; `head` is what it begins with, up to the
/// file's end or many frames.
pub(super) fn probe_at(head: &[u8], offset: u64, file_bytes: u64) -> Option<Box<dyn Demux>> {
    let free_format = || {
        mpeg_audio::is_free_format_run(head).then(|| refused::by_name("MPEG audio, free format"))
    };
    find::<AdtsHeader>(head, offset, file_bytes)
        .or_else(|| find::<SyncFrame>(head, offset, file_bytes))
        .or_else(|| find::<FrameHeader>(head, offset, file_bytes))
        .or_else(free_format)
}

/// MPEG audio frames from `start` to `end` of a file.
pub(super) fn mpeg_audio(start: u64, end: u64) -> Box<dyn Demux> {
    Box::new(Frames::<FrameHeader>::new(start, end))
}

fn find<H: Header>(head: &[u8], offset: u64, file_bytes: u64) -> Option<Box<dyn Demux>> {
    let zeros = head.iter().take_while(|byte| **byte == 0).count();
    let is_whole = offset + head.len() as u64 == file_bytes;
    let run = (zeros..head.len().min(zeros + JUNK_BYTES_MAX))
        .find(|at| is_run::<H>(head.get(*at..).unwrap_or_default(), is_whole && *at == zeros))?;
    Some(Box::new(Frames::<H>::new(offset + run as u64, file_bytes)))
}

/// Whether `bytes` begin with frames in a row; fewer do if they are all there is.
fn is_run<H: Header>(mut bytes: &[u8], is_all: bool) -> bool {
    let Some(first) = H::parse(bytes) else { return false };
    for _ in 0..RUN_FRAMES {
        match H::parse(bytes).filter(|header| header.role(&first) != Role::Foreign) {
            Some(header) => match bytes.get(header.frame_bytes() as usize..) {
                Some([]) if is_all => return true,
                Some(rest) => bytes = rest,
                None => return false,
            },
            None => return false,
        }
    }
    true
}

/// Goes through a stream of frames.
#[derive(Debug)]
struct Frames<H> {
    scan: Scan,
    /// The first frame, and the track of those like it.
    track: Option<(H, SoleTrack)>,
    /// The access unit that further frames may be part of.
    unit: Option<Unit>,
    /// Whether a frame has ended where we are.
    is_in_step: bool,
    is_cut_short: bool,
}

#[derive(Clone, Copy, Debug)]
struct Unit {
    offset: u64,
    bytes: u32,
    samples: u32,
}

impl<H: Header> Frames<H> {
    /// Frames from `start` to `end` of the file.
    fn new(start: u64, end: u64) -> Self {
        let mut scan = Scan::new(end);
        scan.consume(start);
        Self { scan, track: None, unit: None, is_in_step: false, is_cut_short: false }
    }

    /// Takes what lies `at` bytes into what has been read; yields how many bytes it is, or `None`
    /// if it is not all there.
    fn step(&mut self, at: usize) -> Result<Option<u64>, IndexError> {
        let Some(rest) = self.scan.bytes().get(at..).filter(|rest| !rest.is_empty()) else {
            return Ok(None);
        };
        // Room for the next header too.
        if !self.scan.is_last() && rest.len() < H::FRAME_BYTES_MAX as usize + 64 {
            return Ok(None);
        }
        let Some(header) = self.parse(rest) else {
            self.is_in_step = false;
            return Ok(Some(to_next::<H>(rest)));
        };
        let bytes = header.frame_bytes();
        let Some((frame, behind)) = rest.split_at_checked(bytes as usize) else {
            self.is_cut_short |= self.is_in_step;
            self.is_in_step = false;
            return Ok(Some(to_next::<H>(rest)));
        };
        let is_followed = || behind.is_empty() || self.parse(behind).is_some();
        if !self.is_in_step && !is_followed() {
            return Ok(Some(to_next::<H>(rest)));
        }
        self.is_in_step = true;
        self.is_cut_short = false;
        if self.track.is_some() || !header.is_information(frame) {
            let offset = self.scan.offset() + at as u64;
            self.take(&header, offset)?;
        }
        Ok(Some(u64::from(bytes)))
    }

    /// The header at the beginning of `bytes`, if it is of this stream.
    fn parse(&self, bytes: &[u8]) -> Option<H> {
        H::parse(bytes).filter(|header| self.role(header) != Role::Foreign)
    }

    fn role(&self, header: &H) -> Role {
        match &self.track {
            Some((first, _)) => header.role(first),
            None => header.role(header),
        }
    }

    /// Takes a frame that lies at `offset` in the file.
    fn take(&mut self, header: &H, offset: u64) -> Result<(), IndexError> {
        match (self.role(header), &mut self.unit) {
            (Role::Unit, _) => self.begin_unit(header, offset)?,
            (Role::Continuation, Some(unit))
                if unit.offset + u64::from(unit.bytes) == offset
                    && unit.bytes < CONTINUED_BYTES_MAX =>
            {
                unit.bytes += header.frame_bytes();
            }
            (Role::Continuation | Role::LeftOut | Role::Foreign, _) => {}
        }
        Ok(())
    }

    fn begin_unit(&mut self, header: &H, offset: u64) -> Result<(), IndexError> {
        self.end_unit()?;
        if self.track.is_none() {
            let codec = header.codec().map_err(refuse)?;
            let no_rate = || refuse(SkipReason::Config("it has no sampling rate"));
            let rate = header.sample_rate().ok_or_else(no_rate)?;
            self.track = Some((*header, SoleTrack::new(codec, rate)?));
        }
        let left_out = header.left_out_bytes();
        self.unit = Some(Unit {
            offset: offset + u64::from(left_out),
            bytes: header.frame_bytes().saturating_sub(left_out),
            samples: header.samples(),
        });
        Ok(())
    }

    fn end_unit(&mut self) -> Result<(), IndexError> {
        match (self.unit.take(), &mut self.track) {
            (Some(unit), Some((_, track))) => track.push(unit.offset, unit.bytes, unit.samples),
            _ => Ok(()),
        }
    }
}

/// Bytes of an access unit of several frames beyond which it takes no more.
const CONTINUED_BYTES_MAX: u32 = 256 << 10;

/// Bytes to where the next frame may begin; more than 0.
fn to_next<H: Header>(bytes: &[u8]) -> u64 {
    if let Some(tag_bytes) = id3::tag_bytes(bytes) {
        return tag_bytes;
    }
    let behind = bytes.get(1..).unwrap_or_default();
    1 + memchr::memchr(H::SYNC_BYTE, behind).unwrap_or(behind.len()) as u64
}

impl<H: Header> Demux for Frames<H> {
    fn demand(&self) -> Demand {
        self.scan.demand()
    }

    fn supply(&mut self, bytes: &[u8]) -> Result<Option<MediaIndex>, IndexError> {
        self.scan.supply(bytes);
        let mut at = 0_u64;
        while let Some(count) = self.step(usize::try_from(at).unwrap_or(usize::MAX))? {
            at = at.saturating_add(count);
        }
        self.scan.consume(at);
        if !self.scan.is_last() {
            return Ok(None);
        }
        self.end_unit()?;
        match self.track.take() {
            Some((_, track)) => track.finish(self.is_cut_short).map(Some),
            None => Err(refuse(SkipReason::Empty)),
        }
    }
}

#[cfg(test)]
mod tests;
