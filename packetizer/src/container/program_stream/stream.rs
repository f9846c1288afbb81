//! An elementary stream of a programme stream: told what it is, then cut into access units.

use std::ops::Range;

use super::map::Map;
use super::{CODE_BYTES, StreamKind, is_system_code, kind, system_codes};
use crate::codec::CodecConfig;
use crate::container::transport_stream::clock::Clock;
use crate::container::transport_stream::stream::Stream;
use crate::container::transport_stream::units::TimedUnit;
use crate::index::SkipReason;
use crate::wrapping::Wrapping;
use crate::wrapping::program_stream::StreamKey;
use crate::wrapping::transport_stream::PesHeader;

/// Bytes of a stream that are looked at to tell what it is.
const HEAD_BYTES_MAX: usize = 64 << 10;
/// Bytes at which it is looked for the first time; then at twice as many each time.
const HEAD_BYTES_MIN: usize = 1 << 10;

/// An elementary stream.
#[derive(Debug)]
pub(super) struct Elementary {
    key: StreamKey,
    pub(super) language: Option<[u8; 3]>,
    pub(super) is_scrambled: bool,
    /// The header of the packet whose bytes come next.
    pub(super) stamp: Option<PesHeader>,
    /// See [`crate::wrapping::program_stream::Packets`].
    pub(super) lures: Vec<u64>,
    pub(super) breaks: Vec<u64>,
    state: State,
}

#[derive(Debug)]
enum State {
    /// What it holds is not known.
    Unknown(Head),
    Delivered(Box<Stream>),
    Skipped(SkipReason),
}

/// The beginning of a stream.
#[derive(Debug, Default)]
struct Head {
    bytes: Vec<u8>,
    /// Of each stretch, where in the file and in `bytes` it begins, and the header in front.
    stretches: Vec<(u64, usize, Option<PesHeader>)>,
    tried_bytes: usize,
}

impl Elementary {
    pub(super) fn new(key: StreamKey, map: &Map) -> Self {
        let mapped = map.kind(key.stream_id).filter(|_| key.substream.is_none());
        let language = mapped.and_then(|(_, language)| language);
        let kind = mapped.map(|(kind, _)| kind.clone()).or_else(|| kind::of_substream(key));
        let state = State::Unknown(Head::default());
        let (lures, breaks) = (Vec::new(), Vec::new());
        let mut elementary =
            Self { key, language, is_scrambled: false, stamp: None, lures, breaks, state };
        if let Some(kind) = kind {
            elementary.state = elementary.of(&kind);
        }
        elementary
    }

    fn of(&self, kind: &StreamKind) -> State {
        if let StreamKind::Skipped(reason) = kind {
            return State::Skipped(reason.clone());
        }
        let stream = Stream::of(kind, u16::from(self.key.stream_id), self.language);
        stream.map_or(State::Skipped(UNKNOWN), |stream| State::Delivered(Box::new(stream)))
    }

    /// Notes where the payload of a packet may be mistaken that begins with `bytes`.
    pub(super) fn note(&mut self, offset: u64, bytes: &[u8], payload: &Range<usize>) {
        if matches!(self.state, State::Skipped(_)) {
            return;
        }
        let end = (payload.end + CODE_BYTES - 1).min(bytes.len());
        let codes = system_codes(bytes.get(payload.start..end).unwrap_or_default());
        let lures = codes.map(|at| payload.start + at).take_while(|at| *at < payload.end);
        self.lures.extend(lures.map(|at| offset + at as u64));
        let behind = bytes.get(payload.end..).unwrap_or_default();
        if !behind.is_empty() && !is_system_code(behind) {
            self.breaks.push(offset + payload.end as u64);
        }
    }

    /// Offsets that it has noted.
    pub(super) const fn offset_count(&self) -> usize {
        self.lures.len() + self.breaks.len()
    }

    /// Takes the next bytes, which lie at `offset` in the file.
    pub(super) fn feed(&mut self, offset: u64, bytes: &[u8], clock: &mut Clock) {
        let stamp = self.stamp.take();
        match &mut self.state {
            State::Delivered(stream) => stream.append(offset, bytes, stamp, clock),
            State::Skipped(_) => {}
            State::Unknown(head) => {
                head.stretches.push((offset, head.bytes.len(), stamp));
                head.bytes.extend_from_slice(bytes);
                if head.bytes.len() >= (2 * head.tried_bytes).max(HEAD_BYTES_MIN) {
                    self.recognize(false, clock);
                }
            }
        }
    }

    /// Has its first bytes tell what it is.
    fn recognize(&mut self, is_whole: bool, clock: &mut Clock) {
        let State::Unknown(head) = &mut self.state else { return };
        head.tried_bytes = head.bytes.len();
        let is_enough = is_whole || head.bytes.len() >= HEAD_BYTES_MAX;
        let guessed = kind::guess(self.key, &head.bytes, is_whole);
        let kind = match guessed {
            Some(kind) => kind,
            None if is_enough => StreamKind::Skipped(UNKNOWN),
            None => return,
        };
        let head = std::mem::take(head);
        self.state = self.of(&kind);
        let State::Delivered(stream) = &mut self.state else { return };
        let ends = head.stretches.iter().skip(1).map(|(_, start, _)| *start);
        for ((offset, start, stamp), end) in
            head.stretches.iter().zip(ends.chain([head.bytes.len()]))
        {
            let bytes = head.bytes.get(*start..end).unwrap_or_default();
            stream.append(*offset, bytes, *stamp, clock);
        }
    }

    pub(super) fn units(&self) -> &[TimedUnit] {
        match &self.state {
            State::Delivered(stream) => &stream.units,
            State::Unknown(_) | State::Skipped(_) => &[],
        }
    }

    pub(super) fn unit_count(&self) -> usize {
        self.units().len()
    }

    /// What is left out of a stream that is delivered.
    pub(super) fn left_out(&self) -> Option<SkipReason> {
        match &self.state {
            State::Delivered(stream) => stream.left_out(),
            State::Unknown(_) | State::Skipped(_) => None,
        }
    }

    /// See [`Stream::wrapping`].
    pub(super) fn wrapping(&self, packets: Wrapping) -> Wrapping {
        match &self.state {
            State::Delivered(stream) => stream.wrapping(packets),
            State::Unknown(_) | State::Skipped(_) => packets,
        }
    }

    /// See [`Stream::piece_count`].
    pub(super) fn piece_count(&self) -> usize {
        match &self.state {
            State::Delivered(stream) => stream.piece_count(),
            State::Unknown(_) | State::Skipped(_) => 0,
        }
    }

    /// See [`Stream::give_up`].
    pub(super) fn give_up(&mut self) {
        if let State::Delivered(stream) = &mut self.state {
            stream.give_up();
        }
    }

    /// Ends the stream: what is declared of it, or why it is not delivered.
    pub(super) fn finish(&mut self, clock: &mut Clock) -> Result<CodecConfig, SkipReason> {
        self.recognize(true, clock);
        let finished = match &mut self.state {
            State::Delivered(stream) => stream.finish(clock),
            State::Skipped(reason) => Err(reason.clone()),
            State::Unknown(_) => Err(UNKNOWN),
        };
        if finished.is_err() && self.is_scrambled {
            return Err(SkipReason::Encrypted);
        }
        finished
    }
}

const UNKNOWN: SkipReason = SkipReason::Config("what it holds cannot be told");
