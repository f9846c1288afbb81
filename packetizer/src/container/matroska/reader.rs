//! Reads the elements of a file one after the other: Info, Tracks, and the blocks of clusters.

use super::block::{BlockError, BlockHeader, Frame};
use super::ebml::{ElementHeader, Id, date, find, text, unsigned};
use super::timeline::{BlockFrame, HEAD_BYTES, Timeline};
use super::tracks::{container_id, parse_tracks};
use crate::container::IndexError;
use crate::index::{
    BuildError, IndexBuilder, MediaIndex, SkipReason, SkippedTrack, TRACKS_MAX, UNIT_BYTES_MAX,
    UNITS_MAX,
};
use crate::time::Npt;

/// What to do with the file's next bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Go on so many bytes further.
    Pass(u64),
    /// What is there is not enough.
    More,
    /// Go on at this offset of the file.
    GoTo(u64),
    /// There is nothing more to read.
    End,
}

/// Most bytes of an Info, an EBML header or a Tracks element.
const HEADER_BYTES_MAX: u64 = 16 << 20;
/// Most bytes of a laced block of which the frames' beginnings are looked at.
const LACED_BYTES_MAX: u64 = 1 << 20;
/// Bytes of any block that are looked at: its header and a frame's beginning.
const BLOCK_HEAD_BYTES: u64 = 12 + HEAD_BYTES as u64;
/// Seconds from 1970 to 2001, where dates count from (RFC 8794 §7.6).
const SECONDS_FROM_1970_TO_2001: i64 = 978_307_200;

#[derive(Debug)]
pub(super) struct Reader {
    file_bytes: u64,
    /// Nanoseconds of a timestamp's tick.
    scale_nanos: u64,
    created: Option<u64>,
    /// `None` before the Tracks element.
    timelines: Option<Vec<Timeline>>,
    skipped: Vec<SkippedTrack>,
    /// Where the first cluster lies if it came before the Tracks element.
    cluster_offset: Option<u64>,
    segment_end: Option<u64>,
    cluster_end: Option<u64>,
    /// The cluster's timestamp, in ticks.
    cluster_ticks: u64,
    group: Option<Group>,
    /// Frames of the block at hand.
    frames: Vec<Frame>,
    unit_count: u64,
    /// Whether the next cluster is looked for, behind bytes that make no sense.
    is_lost: bool,
    /// Whether there were any.
    is_damaged: bool,
}

/// A block group that is being read.
#[derive(Debug)]
struct Group {
    end: u64,
    /// Its block and the bytes of it that are looked at.
    block: Option<GroupBlock>,
    duration_ticks: Option<u64>,
    has_reference: bool,
}

#[derive(Debug)]
struct GroupBlock {
    offset: u64,
    bytes: u64,
    head: Vec<u8>,
}

impl Reader {
    pub(super) const fn new(file_bytes: u64) -> Self {
        Self {
            file_bytes,
            scale_nanos: 1_000_000,
            created: None,
            timelines: None,
            skipped: Vec::new(),
            cluster_offset: None,
            segment_end: None,
            cluster_end: None,
            cluster_ticks: 0,
            group: None,
            frames: Vec::new(),
            unit_count: 0,
            is_lost: false,
            is_damaged: false,
        }
    }

    /// Looks at the element at `offset` of the file, where `bytes` lie.
    pub(super) fn step(&mut self, offset: u64, bytes: &[u8]) -> Result<Step, IndexError> {
        if self.is_lost {
            return Ok(self.find_cluster(bytes));
        }
        self.close_ended(offset)?;
        let header = match ElementHeader::parse(bytes) {
            Ok(Some(header)) => header,
            Ok(None) => return Ok(Step::More),
            Err(_) => return self.lose(offset),
        };
        let header_bytes = u64::from(header.bytes);
        match header.id {
            Id::SEGMENT => return Ok(self.enter_segment(offset, &header)),
            Id::CLUSTER => {
                self.close_group()?;
                let size = header.data_bytes;
                self.cluster_end = size.and_then(|size| (offset + header_bytes).checked_add(size));
                self.cluster_ticks = 0;
                if self.timelines.is_none() {
                    self.cluster_offset.get_or_insert(offset);
                }
                return Ok(Step::Pass(header_bytes));
            }
            _ => {}
        }
        let element_bytes = header.data_bytes.and_then(|size| size.checked_add(header_bytes));
        let end = element_bytes.and_then(|bytes| offset.checked_add(bytes));
        let limit = self.limit();
        let (Some(element_bytes), Some(end)) = (element_bytes, end.filter(|end| *end <= limit))
        else {
            return self.lose(offset);
        };
        if header.id == Id::BLOCK_GROUP {
            self.close_group()?;
            let group = Group { end, block: None, duration_ticks: None, has_reference: false };
            self.group = Some(group);
            return Ok(Step::Pass(header_bytes));
        }
        let wanted = self.wanted_bytes(&header)?.min(element_bytes - header_bytes);
        let body = bytes.get(usize::from(header.bytes)..).unwrap_or_default();
        if (body.len() as u64) < wanted {
            return Ok(Step::More);
        }
        let body_bytes = element_bytes - header_bytes;
        let body = body.get(..usize::try_from(body_bytes).unwrap_or(usize::MAX)).unwrap_or(body);
        let next = self.take(header.id, offset + header_bytes, body, body_bytes)?;
        Ok(next.unwrap_or(Step::Pass(element_bytes)))
    }

    /// A second segment is another presentation.
    fn enter_segment(&mut self, offset: u64, header: &ElementHeader) -> Step {
        if self.unit_count > 0 {
            return Step::End;
        }
        let header_bytes = u64::from(header.bytes);
        self.segment_end =
            header.data_bytes.and_then(|size| (offset + header_bytes).checked_add(size));
        Step::Pass(header_bytes)
    }

    /// Where an element must end that begins here.
    fn limit(&self) -> u64 {
        let group_end = self.group.as_ref().map(|group| group.end);
        let parent = group_end.or(self.cluster_end).or(self.segment_end);
        parent.unwrap_or(self.file_bytes).min(self.file_bytes)
    }

    /// Leaves what ends at `offset` or before.
    fn close_ended(&mut self, offset: u64) -> Result<(), IndexError> {
        if self.group.as_ref().is_some_and(|group| group.end <= offset) {
            self.close_group()?;
        }
        self.cluster_end = self.cluster_end.filter(|end| *end > offset);
        self.segment_end = self.segment_end.filter(|end| *end > offset);
        Ok(())
    }

    /// Bytes of an element's data that are looked at.
    fn wanted_bytes(&self, header: &ElementHeader) -> Result<u64, IndexError> {
        match header.id {
            Id::EBML | Id::INFO | Id::TRACKS => match header.data_bytes.unwrap_or(0) {
                size @ ..=HEADER_BYTES_MAX => Ok(size),
                _ => {
                    let (what, limit) = ("bytes of header elements", HEADER_BYTES_MAX);
                    Err(IndexError::TooLarge { what, limit })
                }
            },
            Id::SIMPLE_BLOCK | Id::BLOCK if self.timelines.is_some() => Ok(BLOCK_HEAD_BYTES),
            Id::TIMESTAMP | Id::BLOCK_DURATION => Ok(8),
            _ => Ok(0),
        }
    }

    /// Takes what an element says, of which the data of `body_bytes` begins with `body`; yields
    /// what comes next if that is not the element behind.
    fn take(
        &mut self,
        id: Id,
        offset: u64,
        body: &[u8],
        body_bytes: u64,
    ) -> Result<Option<Step>, IndexError> {
        match id {
            Id::EBML => {
                let kind = find(body, Id::DOC_TYPE).map_or(&b"matroska"[..], text);
                if kind != b"matroska" && kind != b"webm" {
                    return Err(invalid(offset, "the document type is neither matroska nor webm"));
                }
            }
            Id::INFO => self.take_info(body),
            Id::TRACKS if self.timelines.is_none() => {
                self.take_tracks(body)?;
                return Ok(self.cluster_offset.map(|first| {
                    (self.cluster_end, self.group) = (None, None);
                    Step::GoTo(first)
                }));
            }
            Id::TIMESTAMP => self.cluster_ticks = unsigned(body).unwrap_or(0),
            Id::SIMPLE_BLOCK if self.timelines.is_some() => {
                return self.take_block(offset, body, body_bytes, None);
            }
            Id::BLOCK => return Ok(self.take_group_block(offset, body, body_bytes)),
            Id::BLOCK_DURATION => {
                if let Some(group) = &mut self.group {
                    group.duration_ticks = unsigned(body);
                }
            }
            Id::REFERENCE_BLOCK => {
                if let Some(group) = &mut self.group {
                    group.has_reference = true;
                }
            }
            _ => {}
        }
        Ok(None)
    }

    fn take_info(&mut self, info: &[u8]) {
        if let Some(scale) = find(info, Id::TIMESTAMP_SCALE).and_then(unsigned) {
            self.scale_nanos = scale.clamp(1, SCALE_NANOS_MAX);
        }
        let date = find(info, Id::DATE_UTC).and_then(date);
        let seconds = date.map(|nanos| nanos.div_euclid(1_000_000_000) + SECONDS_FROM_1970_TO_2001);
        self.created = seconds.and_then(|seconds| u64::try_from(seconds).ok());
    }

    fn take_tracks(&mut self, data: &[u8]) -> Result<(), IndexError> {
        let (mut tracks, skipped) = parse_tracks(data);
        self.skipped = skipped;
        for track in tracks.drain(TRACKS_MAX.min(tracks.len())..) {
            let container_id = container_id(track.number);
            self.skipped.push(SkippedTrack { container_id, reason: SkipReason::TooManyTracks });
        }
        if tracks.is_empty() {
            return Err(IndexError::NoPlayableTrack { tracks: std::mem::take(&mut self.skipped) });
        }
        self.timelines = Some(tracks.into_iter().map(Timeline::new).collect());
        Ok(())
    }

    /// Keeps the block of a group until what else the group says of it is known.
    fn take_group_block(&mut self, offset: u64, body: &[u8], bytes: u64) -> Option<Step> {
        let is_known = |header: &BlockHeader| self.timeline(header.track).is_some();
        let header = BlockHeader::parse(body).filter(is_known)?;
        let wanted = if header.is_laced() { LACED_BYTES_MAX } else { BLOCK_HEAD_BYTES }.min(bytes);
        if (body.len() as u64) < wanted {
            return Some(Step::More);
        }
        let head = body.get(..usize::try_from(wanted).unwrap_or(0)).unwrap_or_default().to_vec();
        if let Some(group) = &mut self.group {
            group.block = Some(GroupBlock { offset, bytes, head });
        }
        None
    }

    fn close_group(&mut self) -> Result<(), IndexError> {
        if let Some(mut group) = self.group.take()
            && let Some(block) = group.block.take()
        {
            self.take_block(block.offset, &block.head, block.bytes, Some(&group))?;
        }
        Ok(())
    }

    /// Takes the frames of a block that lies at `offset`; what is wrong is left out.
    fn take_block(
        &mut self,
        offset: u64,
        body: &[u8],
        block_bytes: u64,
        group: Option<&Group>,
    ) -> Result<Option<Step>, IndexError> {
        let Some(header) = BlockHeader::parse(body) else {
            self.is_damaged = true;
            return Ok(None);
        };
        let timelines = self.timelines.iter_mut().flatten();
        let Some(timeline) = timelines.into_iter().find(|one| one.number() == header.track) else {
            return Ok(None);
        };
        let wanted = if header.is_laced() { LACED_BYTES_MAX.min(block_bytes) } else { 0 };
        if group.is_none() && (body.len() as u64) < wanted {
            return Ok(Some(Step::More));
        }
        match header.frames(body, block_bytes, &mut self.frames) {
            Ok(()) if self.frames.iter().all(|f| f.bytes <= u64::from(UNIT_BYTES_MAX)) => {}
            Ok(()) | Err(BlockError::Invalid | BlockError::CutShort) => {
                self.is_damaged = true;
                return Ok(None);
            }
        }
        self.frames.retain(|frame| frame.bytes > 0);
        self.unit_count += self.frames.len() as u64;
        if self.unit_count > u64::from(UNITS_MAX) {
            let limit = u64::from(UNITS_MAX);
            return Err(IndexError::TooLarge { what: "access units", limit });
        }
        let scale = i128::from(self.scale_nanos);
        let ticks = i128::from(self.cluster_ticks) + i128::from(header.time);
        let nanos = (ticks * scale).clamp(-TIME_NANOS_MAX, TIME_NANOS_MAX);
        let duration = group.and_then(|group| group.duration_ticks);
        timeline.push_block(
            i64::try_from(nanos).unwrap_or(0),
            duration.map(|ticks| ticks.saturating_mul(self.scale_nanos)),
            group.map_or(header.is_key, |group| !group.has_reference),
            self.frames.iter().map(|frame| BlockFrame {
                offset: offset + frame.position,
                bytes: u32::try_from(frame.bytes).unwrap_or(0),
                head: head_of(body, frame),
            }),
        );
        Ok(None)
    }

    fn timeline(&self, number: u64) -> Option<&Timeline> {
        self.timelines.iter().flatten().find(|timeline| timeline.number() == number)
    }

    /// What lies here makes no sense, so that the next cluster is looked for behind it.
    fn lose(&mut self, offset: u64) -> Result<Step, IndexError> {
        if self.timelines.is_none() {
            return Err(invalid(offset, "an element that makes no sense, in front of the tracks"));
        }
        self.close_group()?;
        self.cluster_end = None;
        (self.is_lost, self.is_damaged) = (true, true);
        Ok(Step::Pass(1))
    }

    fn find_cluster(&mut self, bytes: &[u8]) -> Step {
        let id = Id::CLUSTER.0.to_be_bytes();
        match memchr::memmem::find(bytes, &id) {
            Some(0) => {
                self.is_lost = false;
                Step::Pass(0)
            }
            Some(at) => Step::Pass(at as u64),
            None if bytes.len() < id.len() => Step::More,
            None => Step::Pass((bytes.len() - id.len() + 1) as u64),
        }
    }

    /// The index of what was read.
    pub(super) fn finish(&mut self) -> Result<MediaIndex, IndexError> {
        self.close_group()?;
        let Some(timelines) = self.timelines.take() else {
            let why = "there are no tracks: was recording or upload finished?";
            return Err(invalid(self.file_bytes, why));
        };
        let mut skipped = std::mem::take(&mut self.skipped);
        if self.is_damaged {
            let container_id = timelines.first().map_or(0, |first| container_id(first.number()));
            let reason = SkipReason::Broken(
                "the file is damaged or cut short: what cannot be read of it is left out",
            );
            skipped.push(SkippedTrack { container_id, reason });
        }
        let zero_nanos = timelines.iter().filter_map(Timeline::start_nanos).min().unwrap_or(0);
        let mut builder = IndexBuilder::new();
        let mut end_nanos = 0;
        for timeline in timelines {
            let container_id = container_id(timeline.number());
            if timeline.is_empty() {
                skipped.push(SkippedTrack { container_id, reason: SkipReason::Empty });
                continue;
            }
            let track = timeline.build(&mut builder, zero_nanos, self.scale_nanos);
            let end = track.map(|track| builder.composition_end(track).unwrap_or(0));
            end_nanos = end_nanos.max(end.map_err(|error| build_error(error, self.file_bytes))?);
        }
        let mut index = builder.finish(Npt::from_nanos(u64::try_from(end_nanos).unwrap_or(0)));
        if index.tracks.is_empty() {
            return Err(IndexError::NoPlayableTrack { tracks: skipped });
        }
        (index.created, index.skipped) = (self.created, skipped);
        Ok(index)
    }
}

/// The first bytes of a frame, as far as they are there.
fn head_of<'a>(body: &'a [u8], frame: &Frame) -> &'a [u8] {
    let from = usize::try_from(frame.position).unwrap_or(usize::MAX);
    let rest = body.get(from..).unwrap_or_default();
    let bytes = usize::try_from(frame.bytes).unwrap_or(usize::MAX).min(HEAD_BYTES);
    rest.get(..bytes).unwrap_or(rest)
}

fn build_error(error: BuildError, offset: u64) -> IndexError {
    match error {
        // Sound that is laid out in pieces has more units than frames.
        BuildError::TooManyUnits => {
            IndexError::TooLarge { what: "access units", limit: u64::from(UNITS_MAX) }
        }
        BuildError::TooManyTracks
        | BuildError::UnitTooLarge
        | BuildError::DecodeOrder
        | BuildError::UnknownTrack => invalid(offset, "its timestamps make no sense"),
    }
}

const fn invalid(offset: u64, why: &'static str) -> IndexError {
    IndexError::Invalid { format: "Matroska", offset, why }
}

/// Timestamps of coarser ticks than an hour are none.
const SCALE_NANOS_MAX: u64 = 3600 * 1_000_000_000;
/// Timestamps beyond this (146 years) are taken as this, so that sums of two are in range.
const TIME_NANOS_MAX: i128 = 1 << 62;
