//! Reads the elements of a file one after the other: Info, Tracks, and the blocks of clusters.

use super::block::BlockHeader;
use super::ebml::{ElementHeader, Id, find, text, unsigned};
use super::media::{AboutBlock, Block, Media, invalid};
use super::timeline::HEAD_BYTES;
use crate::container::IndexError;
use crate::index::MediaIndex;

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
const LACED_BYTES_MAX: usize = 1 << 20;
/// Bytes of any block that are looked at: its header and a frame's beginning.
const BLOCK_HEAD_BYTES: usize = 12 + HEAD_BYTES;

#[derive(Debug)]
pub(super) struct Reader {
    file_bytes: u64,
    media: Media,
    /// Where the first cluster lies if it came before the Tracks element.
    cluster_offset: Option<u64>,
    segment_end: Option<u64>,
    cluster_end: Option<u64>,
    /// The cluster's timestamp, in ticks.
    cluster_ticks: u64,
    group: Option<Group>,
    /// Whether the next cluster is looked for, behind bytes that make no sense.
    is_lost: bool,
}

/// A block group that is being read.
#[derive(Debug)]
struct Group {
    end: u64,
    /// Its block: where it lies, its length, and the bytes of it that are looked at.
    block: Option<(u64, u64, Vec<u8>)>,
    about: AboutBlock,
}

impl Reader {
    pub(super) const fn new(file_bytes: u64) -> Self {
        Self {
            file_bytes,
            media: Media::new(),
            cluster_offset: None,
            segment_end: None,
            cluster_end: None,
            cluster_ticks: 0,
            group: None,
            is_lost: false,
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
                if !self.media.has_tracks() {
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
            let group = Group { end, block: None, about: AboutBlock::default() };
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
        if self.media.has_units() {
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
            Id::SIMPLE_BLOCK | Id::BLOCK if self.media.has_tracks() => Ok(BLOCK_HEAD_BYTES as u64),
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
            Id::INFO => self.media.take_info(body),
            Id::TRACKS if !self.media.has_tracks() => {
                self.media.take_tracks(body)?;
                return Ok(self.cluster_offset.map(|first| {
                    (self.cluster_end, self.group) = (None, None);
                    Step::GoTo(first)
                }));
            }
            Id::TIMESTAMP => self.cluster_ticks = unsigned(body).unwrap_or(0),
            Id::SIMPLE_BLOCK | Id::BLOCK if !self.media.has_tracks() => {}
            Id::SIMPLE_BLOCK | Id::BLOCK if self.wants_more(body, body_bytes) => {
                return Ok(Some(Step::More));
            }
            Id::SIMPLE_BLOCK => {
                let block = Block { offset, bytes: body_bytes, head: body, in_group: None };
                self.media.push_block(self.cluster_ticks, &block)?;
            }
            Id::BLOCK => {
                if let Some(group) = &mut self.group {
                    let is_laced = BlockHeader::parse(body).is_some_and(|header| header.is_laced());
                    let head_bytes = if is_laced { LACED_BYTES_MAX } else { BLOCK_HEAD_BYTES };
                    let head = body.get(..head_bytes).unwrap_or(body).to_vec();
                    group.block = Some((offset, body_bytes, head));
                }
            }
            Id::BLOCK_DURATION => {
                if let Some(group) = &mut self.group {
                    group.about.duration_ticks = unsigned(body);
                }
            }
            Id::REFERENCE_BLOCK => {
                if let Some(group) = &mut self.group {
                    group.about.has_reference = true;
                }
            }
            _ => {}
        }
        Ok(None)
    }

    /// Whether more of a block is looked at than is there: of a laced one.
    fn wants_more(&self, body: &[u8], bytes: u64) -> bool {
        let wanted = bytes.min(LACED_BYTES_MAX as u64);
        (body.len() as u64) < wanted
            && BlockHeader::parse(body)
                .is_some_and(|header| header.is_laced() && self.media.has_track(header.track))
    }

    /// Takes the block of the group at hand, now that all is known that the group says of it.
    fn close_group(&mut self) -> Result<(), IndexError> {
        let Some(group) = self.group.take() else { return Ok(()) };
        let Some((offset, bytes, head)) = group.block else { return Ok(()) };
        let block = Block { offset, bytes, head: &head, in_group: Some(group.about) };
        self.media.push_block(self.cluster_ticks, &block)
    }

    /// What lies here makes no sense, so that the next cluster is looked for behind it.
    fn lose(&mut self, offset: u64) -> Result<Step, IndexError> {
        if !self.media.has_tracks() {
            return Err(invalid(offset, "an element that makes no sense, in front of the tracks"));
        }
        self.close_group()?;
        self.cluster_end = None;
        self.is_lost = true;
        self.media.mark_damaged();
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
        self.media.finish(self.file_bytes)
    }
}
