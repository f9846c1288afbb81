//! MPEG programme streams (ISO 13818-1 §2.5) and MPEG-1 system streams (ISO 11172-1): .mpg, .vob.
//!
//! The whole file is read. What an elementary stream holds is told by the programme stream map, by
//! the sub-stream numbers of DVDs, or else by its first bytes. Damaged packets, garbage between
//! them, packets of unknown length and time stamps that run over or jump are put up with. Memory
//! while opening: a piece of the file, 64 KiB a stream until it is known, where the packets of one
//! access unit a stream lie, and 40 bytes a unit.

mod kind;
mod map;
mod stream;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use super::scan::Scan;
use super::transport_stream::clock::Clock;
use super::transport_stream::kind::StreamKind;
use super::transport_stream::stream::{OWN_PIECES_MAX, PIECES_MAX};
use super::{Demand, Demux, IndexError};
use crate::index::{
    IndexBuilder, MediaIndex, SkipReason, SkippedTrack, TRACKS_MAX, TrackDescription, UNITS_MAX,
};
use crate::time::{ClockRate, Npt};
use crate::wrapping::Wrapping;
use crate::wrapping::program_stream::{
    Element, PRIVATE_STREAM_1, Packets, PesPacket, StreamKey, is_system_code, system_codes,
    to_next_code,
};
use map::Map;
use stream::Elementary;

/// Name of the format in errors.
const FORMAT: &str = "MPEG programme stream";
/// Zeros in front of the first start code at most.
const ZEROS_MAX: usize = 64;
/// Bytes of a start code.
const CODE_BYTES: usize = 4;
/// Offsets that are remembered because a stream's bytes may be mistaken there, of all streams
/// together; hardly any file has one.
const OFFSETS_MAX: usize = 1 << 18;

#[derive(Debug)]
struct Demuxer {
    scan: Scan,
    system: System,
}

/// What has been found of the elementary streams.
#[derive(Debug, Default)]
struct System {
    map: Map,
    /// Whether private stream 1 is one elementary stream, and not several as on DVDs; once its
    /// first packet has told.
    is_private_sole: Option<bool>,
    streams: BTreeMap<StreamKey, Elementary>,
    /// The stream whose packet goes on until the next one begins.
    open: Option<StreamKey>,
    skipped: Vec<SkippedTrack>,
    clock: Clock,
}

/// A file that begins with a pack, or with whole packets in a row.
pub(super) fn probe(head: &[u8], file_bytes: u64) -> Option<Box<dyn Demux>> {
    let zeros = head.iter().take(ZEROS_MAX).take_while(|byte| **byte == 0).count();
    let start = zeros.saturating_sub(2).min(head.len());
    let mut rest = head.get(start..)?;
    for _ in 0..3 {
        let bytes = match Element::parse(rest) {
            Element::Other { code: 0xba, .. } => break,
            Element::Other { bytes, .. } | Element::Pes(PesPacket { bytes: Some(bytes), .. }) => {
                bytes
            }
            Element::Pes(_) | Element::CutShort | Element::Garbage => return None,
        };
        rest = rest.get(bytes..)?;
    }
    let mut scan = Scan::new(file_bytes);
    scan.consume(start as u64);
    Some(Box::new(Demuxer { scan, system: System::default() }))
}

impl Demux for Demuxer {
    fn demand(&self) -> Demand {
        self.scan.demand()
    }

    fn supply(&mut self, bytes: &[u8]) -> Result<Option<MediaIndex>, IndexError> {
        self.scan.supply(bytes);
        let (offset, is_last) = (self.scan.offset(), self.scan.is_last());
        let mut at = 0;
        while let Some(rest) = self.scan.bytes().get(at..).filter(|rest| !rest.is_empty()) {
            match self.system.take(offset + at as u64, rest, is_last)? {
                0 => break,
                count => at += count,
            }
        }
        self.scan.consume(at as u64);
        if !self.scan.is_last() {
            return Ok(None);
        }
        std::mem::take(&mut self.system).finish().map(Some)
    }
}

impl System {
    /// Takes what `bytes` begin with, which lie at `offset` in the file; `is_last` says that the
    /// file ends behind them. Yields how many bytes it is; 0 if it is not all there.
    fn take(&mut self, offset: u64, bytes: &[u8], is_last: bool) -> Result<usize, IndexError> {
        // The beginning of a start code may be the last there is.
        let known = if is_last { bytes.len() } else { bytes.len().saturating_sub(CODE_BYTES - 1) };
        if let Some(key) = self.open {
            let end = system_codes(bytes).next().unwrap_or(known);
            self.open = (end == known && !is_last).then_some(key);
            self.feed(key, offset, bytes.get(..end).unwrap_or_default())?;
            if end > 0 || self.open.is_some() {
                return Ok(end);
            }
        }
        Ok(match Element::parse(bytes) {
            Element::CutShort => known * usize::from(is_last),
            Element::Garbage => to_next_code(bytes).min(known),
            Element::Other { code: map::CODE, bytes: length } => {
                let Some(map) = bytes.get(..length) else {
                    return Ok(if is_last { bytes.len() } else { 0 });
                };
                self.map.read(map);
                length
            }
            Element::Other { bytes, .. } => bytes,
            Element::Pes(packet) => {
                let is_whole = packet.bytes.unwrap_or(PES_BYTES) + CODE_BYTES <= bytes.len();
                if !is_whole && !is_last {
                    return Ok(0);
                }
                self.packet(offset, &packet, bytes)?
            }
        })
    }

    /// Takes a packet that is all there, if the file does not end in it, or begins and has no end.
    fn packet(
        &mut self,
        offset: u64,
        packet: &PesPacket,
        bytes: &[u8],
    ) -> Result<usize, IndexError> {
        let end = packet.bytes.unwrap_or(packet.header.bytes).min(bytes.len());
        let key = self.key(packet, bytes);
        let stream = self.stream(key);
        stream.is_scrambled |= packet.is_scrambled;
        let Some(payload) = packet.payload_of(key, bytes, end) else {
            if packet.bytes.is_none() && !packet.is_scrambled && key.substream.is_none() {
                stream.stamp = Some(packet.header);
                self.open = Some(key);
            }
            return Ok(end);
        };
        let stream = self.stream(key);
        stream.note(offset, bytes, &payload);
        stream.stamp = Some(packet.header);
        let at = offset + payload.start as u64;
        self.feed(key, at, bytes.get(payload).unwrap_or_default())?;
        let offsets: usize = self.streams.values().map(Elementary::offset_count).sum();
        if offsets > OFFSETS_MAX {
            let limit = OFFSETS_MAX as u64;
            return Err(IndexError::TooLarge { what: "gaps between packets", limit });
        }
        Ok(end)
    }

    fn key(&mut self, packet: &PesPacket, bytes: &[u8]) -> StreamKey {
        let stream_id = packet.stream_id;
        if stream_id != PRIVATE_STREAM_1 || packet.is_scrambled {
            return StreamKey { stream_id, substream: None };
        }
        let payload = bytes.get(packet.header.bytes..).unwrap_or_default();
        let is_mapped = self.map.kind(stream_id).is_some_and(|(kind, _)| kind.is_delivered());
        let is_sole = is_mapped || payload.starts_with(&kind::AC3_SYNCWORD);
        let is_sole = *self.is_private_sole.get_or_insert(is_sole);
        let substream = if is_sole { None } else { Some(*payload.first().unwrap_or(&0)) };
        StreamKey { stream_id, substream }
    }

    fn stream(&mut self, key: StreamKey) -> &mut Elementary {
        let map = &self.map;
        self.streams.entry(key).or_insert_with(|| Elementary::new(key, map))
    }

    /// Feeds a stream bytes of its own that lie at `offset` in the file.
    fn feed(&mut self, key: StreamKey, offset: u64, bytes: &[u8]) -> Result<(), IndexError> {
        let clock = &mut self.clock;
        if let Some(stream) = self.streams.get_mut(&key).filter(|_| !bytes.is_empty()) {
            stream.feed(offset, bytes, clock);
        }
        let unit_count: usize = self.streams.values().map(Elementary::unit_count).sum();
        if unit_count > UNITS_MAX as usize {
            return Err(too_many_units());
        }
        let own = self.streams.get(&key).map_or(0, Elementary::piece_count);
        let all = || self.streams.values().map(Elementary::piece_count).sum::<usize>();
        if own > OWN_PIECES_MAX
            && all() > PIECES_MAX
            && let Some(stream) = self.streams.get_mut(&key)
        {
            stream.give_up();
        }
        Ok(())
    }

    fn finish(mut self) -> Result<MediaIndex, IndexError> {
        let mut delivered = Vec::new();
        for (key, mut stream) in std::mem::take(&mut self.streams) {
            match stream.finish(&mut self.clock) {
                Ok(_) if delivered.len() >= TRACKS_MAX => {
                    self.skip(key, SkipReason::TooManyTracks);
                }
                Ok(codec) => delivered.push((codec, key, stream)),
                Err(reason) => self.skip(key, reason),
            }
        }
        if delivered.is_empty() {
            return Err(IndexError::NoPlayableTrack { tracks: self.skipped });
        }
        delivered.sort_by_key(|(codec, ..)| !codec.is_video());
        let compositions = delivered.iter().flat_map(|(.., stream)| stream.units());
        let zero = compositions.map(|unit| unit.composition).min().unwrap_or(0);
        let (mut builder, mut nanos) = (IndexBuilder::new(), 0);
        for (codec, key, stream) in delivered {
            let mut description = TrackDescription::new(container_id(key), codec, ClockRate::VIDEO);
            description.language = stream.language;
            let (lures, breaks) = (stream.lures.as_slice().into(), stream.breaks.as_slice().into());
            let packets = Wrapping::ProgramStream(Packets { key, lures, breaks });
            description.wrapping = stream.wrapping(packets);
            let track = builder.add_track(description).map_err(|_| too_many_units())?;
            for unit in stream.units() {
                builder.push_unit(track, unit.entry(zero)).map_err(|_| IndexError::Invalid {
                    format: FORMAT,
                    offset: unit.offset,
                    why: "time stamps that cannot be made one line",
                })?;
            }
            if let Some(reason) = stream.left_out() {
                self.skipped.push(SkippedTrack { container_id: container_id(key), reason });
            }
            nanos = builder.composition_end(track).unwrap_or(0).max(nanos);
        }
        let mut index = builder.finish(Npt::from_nanos(nanos.max(0).unsigned_abs()));
        index.skipped = self.skipped;
        Ok(index)
    }

    fn skip(&mut self, key: StreamKey, reason: SkipReason) {
        self.skipped.push(SkippedTrack { container_id: container_id(key), reason });
    }
}

/// Bytes of the longest PES packet.
const PES_BYTES: usize = 6 + u16::MAX as usize;

/// A stream's number: its stream_id, or of DVDs the number of the sub-stream.
fn container_id(key: StreamKey) -> u32 {
    u32::from(key.substream.unwrap_or(key.stream_id))
}

const fn too_many_units() -> IndexError {
    IndexError::TooLarge { what: "access units", limit: UNITS_MAX as u64 }
}
