//! Units of a track while clusters are read, and their times when all are known.
//!
//! Matroska has composition times only, rounded to the timestamp scale. Pictures get their decode
//! times from the order of their composition times; sound is counted in samples.

use super::codec::correct_codec;
use super::decode_order::{DISTANCE_UNITS_MAX, GAP_NANOS_MAX, decode_delay, decode_order};
use super::sample_clock::{NANOS, SampleClock};
use super::tracks::{Track, container_id};
use crate::codec::vorbis::PacketDurations;
use crate::codec::{CodecConfig, opus, pcm};
use crate::index::{BuildError, IndexBuilder, TrackDescription, TrackId, UNIT_BYTES_MAX};
use crate::time::ClockRate;
use crate::wrapping::Wrapping;

/// A frame of the file: 24 bytes.
#[derive(Clone, Copy, Debug)]
struct Unit {
    offset: u64,
    /// Composition time on the file's axis.
    nanos: i64,
    /// Length, and [`SYNC`].
    bytes_and_sync: u32,
    /// Samples that it lasts; 0 if that is not known.
    samples: u32,
}

const SYNC: u32 = 1 << 31;
/// Units that memory is asked for at once.
const CHUNK_UNITS: usize = 4096;

/// A frame as a block has it.
#[derive(Clone, Copy, Debug)]
pub(super) struct BlockFrame<'a> {
    pub offset: u64,
    pub bytes: u32,
    /// Its first bytes as they lie in the file; [`HEAD_BYTES`] are enough.
    pub head: &'a [u8],
}

/// Bytes of a frame's beginning that tell how long it lasts.
pub(super) const HEAD_BYTES: usize = 16;

/// How long the frames of a track last.
#[derive(Debug)]
enum Pace {
    /// As long as until the next one.
    Pictures,
    /// All as many samples.
    Even(u32),
    /// As their first bytes tell.
    Opus,
    /// As their first bytes and the frame before tell.
    Vorbis(Option<PacketDurations>),
    /// As many samples as they have; so many bytes each.
    Pcm(u32),
}

impl Pace {
    fn of(codec: &CodecConfig) -> Self {
        match codec {
            CodecConfig::Aac(config) => Self::Even(config.unit_samples.into()),
            CodecConfig::Ac3(config) | CodecConfig::EAc3(config) => {
                Self::Even(config.unit_samples.into())
            }
            CodecConfig::MpegAudio(config) | CodecConfig::Mp3Adu(config) => {
                Self::Even(config.frame_samples.into())
            }
            CodecConfig::Opus(_) => Self::Opus,
            CodecConfig::Vorbis(config) => Self::Vorbis(config.packet_durations()),
            CodecConfig::Pcm(config) => Self::Pcm(config.frame_bytes().max(1)),
            CodecConfig::H264(_)
            | CodecConfig::H265(_)
            | CodecConfig::Av1(_)
            | CodecConfig::Vp8
            | CodecConfig::Vp9
            | CodecConfig::Mpeg4Visual(_)
            | CodecConfig::H263
            | CodecConfig::MpegVideo
            | CodecConfig::Jpeg
            | CodecConfig::Mp2t
            | CodecConfig::Hinted(_) => Self::Pictures,
            // No CodecID stands for it.
            CodecConfig::Amr(config) => Self::Even(config.rtp_rate().ticks_per_second() / 50),
        }
    }
}

/// The units of a track.
#[derive(Debug)]
pub(super) struct Timeline {
    track: Track,
    pace: Pace,
    /// Full ones but for the last, so that memory is not held for units that do not come.
    chunks: Vec<Vec<Unit>>,
    /// What the container says of the last block's duration.
    last_nanos: Option<u64>,
}

impl Timeline {
    pub(super) fn new(track: Track) -> Self {
        let pace = Pace::of(&track.codec);
        Self { track, pace, chunks: Vec::new(), last_nanos: None }
    }

    /// The track number, which blocks name.
    pub(super) const fn number(&self) -> u64 {
        self.track.number
    }

    pub(super) fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }

    /// Appends the frames of a block. `nanos` is its timestamp, `duration_nanos` what the container
    /// says of its duration.
    pub(super) fn push_block<'a>(
        &mut self,
        nanos: i64,
        duration_nanos: Option<u64>,
        is_sync: bool,
        frames: impl ExactSizeIterator<Item = BlockFrame<'a>>,
    ) {
        let count = (frames.len() as u64).max(1);
        let each = duration_nanos.map(|nanos| nanos / count).or(self.track.default_nanos);
        let mut nanos = nanos.saturating_sub_unsigned(self.track.delay_nanos);
        for frame in frames {
            let samples = self.samples_of(&frame).unwrap_or(0);
            let is_sync = is_sync || !matches!(self.pace, Pace::Pictures);
            let bytes_and_sync = (frame.bytes & !SYNC) | if is_sync { SYNC } else { 0 };
            if self.chunks.last().is_none_or(|chunk| chunk.len() == CHUNK_UNITS) {
                self.chunks.push(Vec::with_capacity(CHUNK_UNITS));
            }
            let unit = Unit { offset: frame.offset, nanos, bytes_and_sync, samples };
            if let Some(chunk) = self.chunks.last_mut() {
                chunk.push(unit);
            }
            // What follows in the block has no time of its own.
            nanos = match samples {
                0 => nanos.saturating_add_unsigned(each.unwrap_or(0)),
                samples => nanos.saturating_add(self.rate().nanos_floor(samples.into())),
            };
        }
        self.last_nanos = each;
    }

    /// Samples that a frame lasts, if it tells.
    fn samples_of(&mut self, frame: &BlockFrame<'_>) -> Option<u32> {
        let stripped: &[u8] = match &self.track.wrapping {
            Wrapping::Prefix(prefix) => prefix,
            Wrapping::None
            | Wrapping::TransportStream(_)
            | Wrapping::ProgramStream(_)
            | Wrapping::Latm(_)
            | Wrapping::LatmIn(..)
            | Wrapping::Packets(_)
            | Wrapping::Ogg(_)
            | Wrapping::Hinted(_)
            | Wrapping::Joined(_) => &[],
        };
        let mut head = [0; HEAD_BYTES];
        let mut head_bytes = 0;
        for (to, from) in head.iter_mut().zip(stripped.iter().chain(frame.head)) {
            *to = *from;
            head_bytes += 1;
        }
        let head = head.get(..head_bytes).unwrap_or_default();
        if self.chunks.is_empty() && correct_codec(&mut self.track.codec, head) {
            self.pace = Pace::of(&self.track.codec);
        }
        match &mut self.pace {
            Pace::Pictures => None,
            Pace::Even(samples) => Some(*samples),
            Pace::Opus => opus::packet_samples(head),
            Pace::Vorbis(durations) => durations.as_mut()?.next(head),
            Pace::Pcm(frame_bytes) => Some(frame.bytes / *frame_bytes),
        }
    }

    /// The clock in which samples are counted; that of pictures is the timestamps'.
    fn rate(&self) -> ClockRate {
        if let CodecConfig::MpegAudio(config) = &self.track.codec {
            return config.sample_rate;
        }
        self.track.codec.rtp_rate()
    }

    /// The earliest composition time, if there is any. One that is out of its place is damaged, so
    /// that only the first units can have it.
    pub(super) fn start_nanos(&self) -> Option<i64> {
        self.units().take(DISTANCE_UNITS_MAX + 1).map(|unit| unit.nanos).min()
    }

    fn units(&self) -> impl Iterator<Item = &Unit> {
        self.chunks.iter().flatten()
    }

    /// Puts the track and its units into the index, and yields the track's place there.
    /// `zero_nanos` is where the presentation starts on the file's axis, `scale_nanos` what a tick
    /// of the file's timestamps lasts.
    pub(super) fn build(
        self,
        builder: &mut IndexBuilder,
        zero_nanos: i64,
        scale_nanos: u64,
    ) -> Result<TrackId, BuildError> {
        let is_video = matches!(self.pace, Pace::Pictures);
        let rate = if is_video { picture_rate(scale_nanos) } else { self.rate() };
        let description = TrackDescription {
            language: self.track.language,
            wrapping: self.track.wrapping.clone(),
            ..TrackDescription::new(container_id(self.track.number), self.track.codec.clone(), rate)
        };
        let id = builder.add_track(description)?;
        match self.pace {
            Pace::Pictures => self.build_pictures(builder, id, rate, zero_nanos)?,
            Pace::Pcm(frame_bytes) => {
                let clock = SampleClock::new(rate, scale_nanos, zero_nanos);
                self.build_pcm(builder, id, clock, frame_bytes)?;
            }
            Pace::Even(_) | Pace::Opus | Pace::Vorbis(_) => {
                let clock = SampleClock::new(rate, scale_nanos, zero_nanos);
                self.build_sound(builder, id, clock)?;
            }
        }
        Ok(id)
    }

    fn build_pictures(
        self,
        builder: &mut IndexBuilder,
        id: TrackId,
        rate: ClockRate,
        zero_nanos: i64,
    ) -> Result<(), BuildError> {
        let times = || self.units().map(|unit| unit.nanos.saturating_sub(zero_nanos));
        let delay = decode_delay(times());
        let ticks = |nanos: i64| NANOS.convert_nearest(nanos, rate);
        let mut previous = None;
        for (unit, order) in self.units().zip(decode_order(times())) {
            let decode = order.decode(delay);
            let elapsed = previous.map_or(0, |previous| decode.saturating_sub(previous));
            previous = Some(decode);
            // Only the last unit's counts.
            let lasting = self.last_nanos.and_then(|nanos| i64::try_from(nanos).ok());
            let lasting = ticks(lasting.unwrap_or(elapsed).min(GAP_NANOS_MAX));
            builder.push(
                id,
                unit.offset,
                unit.bytes(),
                ticks(decode),
                ticks(order.composition),
                u32::try_from(lasting).unwrap_or(0),
                unit.is_sync(),
            )?;
        }
        Ok(())
    }

    fn build_sound(
        self,
        builder: &mut IndexBuilder,
        id: TrackId,
        mut clock: SampleClock,
    ) -> Result<(), BuildError> {
        for unit in self.units() {
            let time = clock.place(unit.nanos, unit.samples);
            builder.push(id, unit.offset, unit.bytes(), time, time, unit.samples, true)?;
        }
        Ok(())
    }

    fn build_pcm(
        self,
        builder: &mut IndexBuilder,
        id: TrackId,
        mut clock: SampleClock,
        frame_bytes: u32,
    ) -> Result<(), BuildError> {
        let piece_samples = (pcm::UNIT_BYTES_MAX / frame_bytes).max(1);
        for unit in self.units() {
            let start = clock.place(unit.nanos, unit.samples);
            for first in (0..unit.samples).step_by(piece_samples as usize) {
                let samples = piece_samples.min(unit.samples - first);
                let offset = unit.offset + u64::from(first) * u64::from(frame_bytes);
                let time = start.saturating_add(first.into());
                builder.push(id, offset, samples * frame_bytes, time, time, samples, true)?;
            }
        }
        Ok(())
    }
}

impl Unit {
    const fn bytes(&self) -> u32 {
        self.bytes_and_sync & !SYNC
    }

    const fn is_sync(&self) -> bool {
        self.bytes_and_sync & SYNC != 0
    }
}

/// The clock of pictures: the timestamps' own if they have one, else one that is fine enough.
fn picture_rate(scale_nanos: u64) -> ClockRate {
    const NANOS_PER_SECOND: u64 = 1_000_000_000;
    let rate = NANOS_PER_SECOND / scale_nanos.max(1);
    let is_exact = rate <= PICTURE_RATE_MAX && rate * scale_nanos == NANOS_PER_SECOND;
    let rate = u32::try_from(rate).ok().filter(|_| is_exact).and_then(ClockRate::new);
    rate.unwrap_or(ClockRate::VIDEO)
}

/// Ticks a second at most, so that a gap has a duration.
const PICTURE_RATE_MAX: u64 = 100_000;

const _: () = assert!(size_of::<Unit>() == 24 && UNIT_BYTES_MAX < SYNC);
const _: () = assert!(PICTURE_RATE_MAX * (GAP_NANOS_MAX as u64 / 1_000_000_000) < u32::MAX as u64);
