//! Ogg files (RFC 3533) with Opus (RFC 7845) and Vorbis (Vorbis I §A).
//!
//! Of bitstreams chained one behind the other the first is delivered; bitstreams side by side are
//! tracks. The presentation begins with the first packet of sound: a decoder is told by RTP neither
//! to skip Opus' priming samples nor to cut off the end. Vorbis' first packet only primes the
//! decoder, and takes no time. Granule positions that are damaged do not count: time goes on by
//! what packets last. Packets that are too large are left out.

mod bitstream;
mod position;

use bitstream::{Bitstream, Packet};
use position::{Position, Told};

use super::scan::Scan;
use super::sole_track::refusal;
use super::{Demand, Demux, IndexError};
use crate::index::{
    AccessUnitEntry, IndexBuilder, MediaIndex, SkipReason, SkippedTrack, TRACKS_MAX,
    TrackDescription, TrackId, UNIT_BYTES_MAX,
};
use crate::time::{ClockRate, NANOS_PER_SECOND, Npt};
use crate::wrapping::Wrapping;
use crate::wrapping::ogg::{CAPTURE_PATTERN, PAGE_BYTES_MAX, PageHeader, Serial};

/// Goes through the pages.
#[derive(Debug)]
struct Demuxer {
    scan: Scan,
    streams: Streams,
    /// Whether a page has ended where we are.
    is_in_step: bool,
}

/// A file that begins with a page.
pub(super) fn probe(head: &[u8], file_bytes: u64) -> Option<Box<dyn Demux>> {
    PageHeader::parse(head)?;
    let streams = Streams::default();
    Some(Box::new(Demuxer { scan: Scan::new(file_bytes), streams, is_in_step: true }))
}

impl Demux for Demuxer {
    fn demand(&self) -> Demand {
        self.scan.demand()
    }

    fn supply(&mut self, bytes: &[u8]) -> Result<Option<MediaIndex>, IndexError> {
        self.scan.supply(bytes);
        let mut at = 0;
        while let Some(count) = self.step(at)? {
            at += count;
        }
        self.scan.consume(at as u64);
        if self.scan.is_last() || self.streams.are_over {
            return std::mem::take(&mut self.streams).finish().map(Some);
        }
        Ok(None)
    }
}

impl Demuxer {
    /// Takes the page that lies `at` bytes into what has been read; yields how many bytes it is, or
    /// `None` if it is not all there or no longer wanted.
    fn step(&mut self, at: usize) -> Result<Option<usize>, IndexError> {
        let rest = self.scan.bytes().get(at..).unwrap_or_default();
        let is_all_there =
            self.scan.is_last() || rest.len() >= PAGE_BYTES_MAX + CAPTURE_PATTERN.len();
        if rest.is_empty() || !is_all_there {
            return Ok(None);
        }
        let page = PageHeader::parse(rest)
            .and_then(|page| Some((page, rest.get(page.header_bytes()..)?)))
            .and_then(|(page, behind)| Some((page, behind.split_at_checked(page.body_bytes())?)));
        // Among garbage a page is one of a known bitstream, or one that another follows.
        let is_trusted = |page: &PageHeader<'_>, behind: &[u8]| {
            self.is_in_step
                || self.streams.know(page.serial)
                || behind.is_empty()
                || behind.starts_with(CAPTURE_PATTERN)
        };
        let page = page.filter(|(page, (_, behind))| is_trusted(page, behind));
        self.is_in_step = page.is_some();
        let Some((page, (body, _))) = page else {
            let behind = rest.get(1..).unwrap_or_default();
            let next = memchr::memmem::find(behind, CAPTURE_PATTERN);
            let without = behind.len().saturating_sub(CAPTURE_PATTERN.len() - 1);
            let is_last = self.scan.is_last();
            return Ok(Some(1 + next.unwrap_or(if is_last { behind.len() } else { without })));
        };
        let body_offset = self.scan.offset() + (at + page.header_bytes()) as u64;
        self.streams.take(&page, body, body_offset)?;
        let are_over = self.streams.are_over;
        Ok((!are_over).then_some(page.header_bytes() + body.len()))
    }
}

/// The bitstreams, and the index in the making.
#[derive(Debug, Default)]
struct Streams {
    streams: Vec<Stream>,
    builder: IndexBuilder,
    skipped: Vec<SkippedTrack>,
    /// Whether other bitstreams follow, which are not looked at.
    are_over: bool,
    /// Where the presentation begins: ticks of this clock.
    origin: Option<(ClockRate, i64)>,
}

#[derive(Debug)]
struct Stream {
    bitstream: Bitstream,
    /// Once it has had a packet of sound.
    track: Option<TrackId>,
    position: Position,
    /// The position at which the presentation begins.
    origin: Option<i64>,
    has_oversized: bool,
}

/// The longest that a page may last, in nanoseconds: 255 packets of 120 ms.
const PAGE_NANOS_MAX: i64 = 31 * NANOS_PER_SECOND;
/// The longest that may be missing, or lie between the beginnings of bitstreams: a damaged granule
/// position says more.
const JUMP_NANOS_MAX: i64 = 3600 * NANOS_PER_SECOND;

impl Streams {
    /// Takes a page with its body, which lies at `body_offset` in the file.
    fn take(
        &mut self,
        page: &PageHeader<'_>,
        body: &[u8],
        body_offset: u64,
    ) -> Result<(), IndexError> {
        let Serial(container_id) = page.serial;
        if page.is_first && self.streams.iter().any(|stream| stream.track.is_some()) {
            self.are_over = true;
            return Ok(());
        }
        let known = self.streams.iter().position(|stream| stream.bitstream.serial() == page.serial);
        let at = match known {
            Some(known) => known,
            None if !page.is_first => return Ok(()),
            None if self.streams.len() >= TRACKS_MAX => {
                self.skip(container_id, SkipReason::TooManyTracks);
                return Ok(());
            }
            None => {
                self.streams.push(Stream::new(page.serial));
                self.streams.len() - 1
            }
        };
        let Some(stream) = self.streams.get_mut(at) else { return Ok(()) };
        if page.is_first {
            *stream = Stream::new(page.serial);
        }
        match stream.bitstream.packets(page, body, body_offset) {
            Ok(packets) if packets.is_empty() => Ok(()),
            Ok(packets) => self.push(at, page, &packets),
            Err(reason) => {
                self.skip(container_id, reason);
                Ok(())
            }
        }
    }

    /// Pushes the packets of sound that end in a page.
    fn push(
        &mut self,
        at: usize,
        page: &PageHeader<'_>,
        packets: &[Packet],
    ) -> Result<(), IndexError> {
        let Some(stream) = self.streams.get_mut(at) else { return Ok(()) };
        let Some((codec, rate)) = stream.bitstream.codec() else { return Ok(()) };
        let mut position = stream.begin(page, packets, rate);
        let track = match stream.track {
            Some(track) => track,
            None => {
                let wrapping = Wrapping::Ogg(page.serial);
                let description = TrackDescription::new(page.serial.0, codec, rate);
                let description = TrackDescription { wrapping, ..description };
                self.builder.add_track(description).map_err(refusal)?
            }
        };
        stream.track = Some(track);
        let origin = *stream.origin.get_or_insert_with(|| {
            let (origin_rate, origin) = *self.origin.get_or_insert((rate, position));
            let origin = origin_rate.convert_nearest(origin, rate);
            let apart = rate.nanos_floor(position.saturating_sub(origin)).saturating_abs();
            if apart <= JUMP_NANOS_MAX { origin } else { position }
        });
        for Packet { offset, bytes, media_bytes, duration } in packets.iter().copied() {
            let time = position.saturating_sub(origin);
            position = position.saturating_add(i64::from(duration));
            if bytes > UNIT_BYTES_MAX {
                stream.has_oversized = true;
                continue;
            }
            let unit = AccessUnitEntry {
                index: 0,
                offset,
                bytes,
                media_bytes,
                decode: time,
                composition: time,
                duration,
                sync: true,
            };
            self.builder.push_unit(track, unit).map_err(refusal)?;
        }
        Ok(())
    }

    fn know(&self, serial: Serial) -> bool {
        self.streams.iter().any(|stream| stream.bitstream.serial() == serial)
    }

    fn skip(&mut self, container_id: u32, reason: SkipReason) {
        if self.skipped.len() < 2 * TRACKS_MAX {
            self.skipped.push(SkippedTrack { container_id, reason });
        }
    }

    fn finish(self) -> Result<MediaIndex, IndexError> {
        let tracks = self.streams.iter().filter_map(|stream| stream.track);
        let ends = tracks.filter_map(|track| self.builder.composition_end(track));
        let Some(end) = ends.max() else {
            return Err(IndexError::NoPlayableTrack { tracks: self.skipped });
        };
        let mut index = self.builder.finish(Npt::from_nanos(end.max(0).unsigned_abs()));
        index.skipped = self.skipped;
        for stream in self.streams.iter().filter(|stream| stream.has_oversized) {
            let Serial(container_id) = stream.bitstream.serial();
            let reason = SkipReason::Broken("packets that are too large are left out");
            index.skipped.push(SkippedTrack { container_id, reason });
        }
        Ok(index)
    }
}

impl Stream {
    const fn new(serial: Serial) -> Self {
        Self {
            bitstream: Bitstream::new(serial),
            track: None,
            position: Position::new(),
            origin: None,
            has_oversized: false,
        }
    }

    /// Where the packets begin that end in a page.
    fn begin(&mut self, page: &PageHeader<'_>, packets: &[Packet], rate: ClockRate) -> i64 {
        let ticks = |nanos: i64| rate.ticks_floor(nanos);
        let missing_pages = i64::from(self.bitstream.take_missing_pages());
        self.position.take(&Told {
            // The last page's position says where to cut the end off instead.
            end: page.granule_position.filter(|_| !page.is_last),
            ticks: packets.iter().map(|packet| i64::from(packet.duration)).sum(),
            missing_ticks: ticks(PAGE_NANOS_MAX.saturating_mul(missing_pages)),
            // Decode times may lie no further apart.
            jump_max: ticks(JUMP_NANOS_MAX).min(i64::from(u32::MAX / 2)),
        })
    }
}

#[cfg(test)]
mod tests;
