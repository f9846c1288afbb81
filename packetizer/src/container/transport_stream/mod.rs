//! MPEG-2 transport streams (ISO 13818-1) with packets of 188, 192 or 204 bytes.
//!
//! The file is read to the first programme map table that names a stream which is delivered, and
//! then from its beginning to its end. That programme is delivered; other programmes' streams are
//! skipped by name. Packets that are damaged, missing or sent twice, garbage between them, and time
//! stamps that run over or jump are put up with. A stream that cannot be delivered is skipped by
//! name, an access unit that is too large left out. Memory while opening: a piece of the file,
//! where the packets of one access unit a stream lie (24 MiB at most), and 40 bytes a unit.

pub(super) mod clock;
pub(super) mod frames;
pub(super) mod kind;
pub(super) mod latm;
mod opus;
mod packets;
mod psi;
pub(super) mod stream;
#[cfg(test)]
mod tests;
pub(super) mod units;
mod whole;

use std::collections::BTreeMap;

use super::scan::Scan;
use super::{Demand, Demux, IndexError};
use crate::index::{
    IndexBuilder, MediaIndex, SkipReason, SkippedTrack, TRACKS_MAX, TrackDescription, UNITS_MAX,
};
use crate::time::{ClockRate, Npt};
use crate::wrapping::Wrapping;
use crate::wrapping::transport_stream::{Packet, PacketGrid};
use clock::Clock;
use packets::{Layout, Packets};
use psi::{ProgramStream, Sections};
use stream::{OWN_PIECES_MAX, PIECES_MAX, Stream};
use whole::Whole;

/// Name of the format in errors.
const FORMAT: &str = "MPEG transport stream";
/// Packet identifiers of programme map tables that are followed, and tracks that are named.
const TABLES_MAX: usize = 256;
const SKIPPED_MAX: usize = 256;

#[derive(Debug)]
struct Demuxer {
    file_bytes: u64,
    scan: Scan,
    packets: Packets,
    layout: Layout,
    program: Program,
    /// If packets are delivered as they are.
    whole: Option<Whole>,
}

/// What is known of the programmes.
#[derive(Debug, Default)]
struct Program {
    associations: Sections,
    /// By packet identifier.
    maps: BTreeMap<u16, Sections>,
    /// The programme that is delivered, once its map table was seen.
    number: Option<u16>,
    streams: Vec<Stream>,
    skipped: Vec<SkippedTrack>,
    clock: Clock,
}

/// A file in which sync bytes lie one packet apart.
pub(super) fn probe(head: &[u8], file_bytes: u64) -> Option<Box<dyn Demux>> {
    let layout = Layout::recognize(head)?;
    let mut scan = Scan::new(file_bytes);
    scan.consume(layout.start);
    let packets = Packets::new(layout.packet_bytes);
    let program = Program::default();
    Some(Box::new(Demuxer { file_bytes, scan, packets, layout, program, whole: None }))
}

impl Demux for Demuxer {
    fn demand(&self) -> Demand {
        self.scan.demand()
    }

    fn supply(&mut self, bytes: &[u8]) -> Result<Option<MediaIndex>, IndexError> {
        self.scan.supply(bytes);
        if self.whole.is_some() {
            return self.supply_whole();
        }
        let had_program = self.program.number.is_some();
        let (offset, is_last) = (self.scan.offset(), self.scan.is_last());
        let program = &mut self.program;
        let used = self
            .packets
            .walk(self.scan.bytes(), offset, is_last, |at, packet| program.take(at, packet))?;
        self.scan.consume(used);
        if self.program.number.is_some() && !had_program {
            // From the beginning: what lies in front of the tables counts too.
            self.scan = Scan::new(self.file_bytes);
            self.scan.consume(self.layout.start);
            self.packets = Packets::new(self.layout.packet_bytes);
            return Ok(None);
        }
        if !is_last {
            return Ok(None);
        }
        let packets = std::mem::replace(&mut self.packets, Packets::new(self.layout.packet_bytes));
        std::mem::take(&mut self.program).finish(packets).map(Some)
    }

    fn keep_packets(&mut self) {
        self.whole = Some(Whole::new(self.layout.packet_bytes));
    }
}

impl Demuxer {
    /// Has what was supplied taken as packets.
    fn supply_whole(&mut self) -> Result<Option<MediaIndex>, IndexError> {
        let Some(whole) = &mut self.whole else { return Ok(None) };
        let (offset, is_last) = (self.scan.offset(), self.scan.is_last());
        let used = self.packets.walk(self.scan.bytes(), offset, is_last, |at, packet| {
            whole.take(at, packet).map(|()| true)
        })?;
        self.scan.consume(used);
        if is_last { self.whole.take().map(Whole::finish).transpose() } else { Ok(None) }
    }
}

impl Program {
    /// Takes a packet that lies at `offset` in the file. Whether more are wanted: not when it was
    /// the first that told the programme.
    fn take(&mut self, offset: u64, packet: &Packet<'_>) -> Result<bool, IndexError> {
        if packet.pid == 0 {
            let mut named = Vec::new();
            self.associations
                .push(packet, |section| named.extend(psi::parse_associations(section)));
            for pid in named {
                if self.maps.len() < TABLES_MAX {
                    self.maps.entry(pid).or_default();
                }
            }
            return Ok(true);
        }
        if let Some(sections) = self.maps.get_mut(&packet.pid) {
            let mut maps = Vec::new();
            sections.push(packet, |section| maps.extend(psi::parse_map(section)));
            let was_known = self.number.is_some();
            for (number, streams) in maps {
                self.map(number, &streams);
            }
            return Ok(was_known || self.number.is_none());
        }
        let stream = self.streams.iter_mut().find(|stream| stream.pid == packet.pid);
        if let Some(stream) = stream {
            stream.take(offset, packet, &mut self.clock);
            if stream.piece_count() > OWN_PIECES_MAX {
                self.keep_pieces_bounded(packet.pid);
            }
            if self.streams.iter().map(|stream| stream.units.len()).sum::<usize>()
                > UNITS_MAX as usize
            {
                return Err(too_many_units());
            }
        }
        Ok(true)
    }

    /// Has the stream that packets of `pid` are of give up its access unit if the streams hold too
    /// much together.
    fn keep_pieces_bounded(&mut self, pid: u16) {
        let piece_count: usize = self.streams.iter().map(Stream::piece_count).sum();
        let stream = self.streams.iter_mut().find(|stream| stream.pid == pid);
        if let Some(stream) = stream.filter(|_| piece_count > PIECES_MAX) {
            stream.give_up();
        }
    }

    /// Takes the map of a programme, which may be another than it was.
    fn map(&mut self, number: u16, streams: &[ProgramStream]) {
        if self.number.is_none() && streams.iter().any(|stream| stream.kind.is_delivered()) {
            self.number = Some(number);
            self.skipped.clear();
        }
        for stream in streams {
            let is_known = self.streams.iter().any(|known| known.pid == stream.pid);
            if is_known {
                continue;
            }
            let is_ours = self.number == Some(number);
            if is_ours && stream.kind.is_delivered() && self.streams.len() >= TRACKS_MAX {
                self.skip(stream.pid, SkipReason::TooManyTracks);
            } else if let kind::StreamKind::Skipped(reason) = &stream.kind {
                self.skip(stream.pid, reason.clone());
            } else if is_ours {
                self.skipped.retain(|skipped| skipped.container_id != u32::from(stream.pid));
                self.streams.extend(Stream::new(stream));
            } else if self.number.is_some() {
                self.skip(stream.pid, SkipReason::Broken("of another programme than the first"));
            }
        }
    }

    fn skip(&mut self, pid: u16, reason: SkipReason) {
        let container_id = u32::from(pid);
        let is_known = self.skipped.iter().any(|skipped| skipped.container_id == container_id);
        if !is_known && self.skipped.len() < SKIPPED_MAX {
            self.skipped.push(SkippedTrack { container_id, reason });
        }
    }

    fn finish(mut self, packets: Packets) -> Result<MediaIndex, IndexError> {
        let packet_bytes = packets.packet_bytes();
        let stretches: std::sync::Arc<[_]> = packets.into_stretches().into();
        let mut delivered = Vec::new();
        for mut stream in std::mem::take(&mut self.streams) {
            match stream.finish(&mut self.clock) {
                Ok(codec) => delivered.push((codec, stream)),
                Err(reason) => self.skip(stream.pid, reason),
            }
        }
        if delivered.is_empty() {
            return Err(IndexError::NoPlayableTrack { tracks: self.skipped });
        }
        delivered.sort_by_key(|(codec, _)| !codec.is_video());
        let compositions = delivered.iter().flat_map(|(_, stream)| &stream.units);
        let zero = compositions.map(|unit| unit.composition).min().unwrap_or(0);
        let (mut builder, mut nanos) = (IndexBuilder::new(), 0);
        for (codec, stream) in delivered {
            let pid = stream.pid;
            self.skipped.extend(stream.left_out().map(|reason| {
                let container_id = u32::from(pid);
                SkippedTrack { container_id, reason }
            }));
            let grid = PacketGrid { packet_bytes, stretches: stretches.clone(), pid };
            let mut description = TrackDescription::new(u32::from(pid), codec, ClockRate::VIDEO);
            description.language = stream.language;
            description.wrapping = stream.wrapping(Wrapping::TransportStream(grid));
            let track = builder.add_track(description).map_err(|_| too_many_units())?;
            for unit in &stream.units {
                builder.push_unit(track, unit.entry(zero)).map_err(|_| IndexError::Invalid {
                    format: FORMAT,
                    offset: unit.offset,
                    why: "time stamps that cannot be made one line",
                })?;
            }
            nanos = builder.composition_end(track).unwrap_or(0).max(nanos);
        }
        let mut index = builder.finish(Npt::from_nanos(nanos.max(0).unsigned_abs()));
        index.skipped = self.skipped;
        Ok(index)
    }
}

const fn too_many_units() -> IndexError {
    IndexError::TooLarge { what: "access units", limit: UNITS_MAX as u64 }
}
