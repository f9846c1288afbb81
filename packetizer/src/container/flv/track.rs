//! The units of a track, until all of them are known.

use crate::codec::CodecConfig;
use crate::container::IndexError;
use crate::container::sole_track::refusal;
use crate::index::{IndexBuilder, TrackDescription, TrackId};
use crate::time::ClockRate;

/// An access unit; times are milliseconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sample {
    pub(super) offset: u64,
    pub(super) time: i64,
    pub(super) bytes: u32,
    pub(super) composition_offset: i32,
    pub(super) sync: bool,
}

/// A track and its units in decode order.
#[derive(Debug)]
pub(super) struct Track {
    codec: CodecConfig,
    samples: Vec<Sample>,
}

const MILLIS: ClockRate = ClockRate::new(1000).expect("not zero");
/// What the last picture lasts if it is the only one, in milliseconds.
const PICTURE_MILLIS: u32 = 40;

impl Track {
    pub(super) const fn new(codec: CodecConfig) -> Self {
        Self { codec, samples: Vec::new() }
    }

    pub(super) const fn codec(&self) -> &CodecConfig {
        &self.codec
    }

    pub(super) const fn unit_count(&self) -> usize {
        self.samples.len()
    }

    /// Appends a unit; one that is decoded before the one in front is decoded with it.
    pub(super) fn push(&mut self, mut sample: Sample) {
        if let Some(last) = self.samples.last() {
            sample.time = sample.time.max(last.time);
        }
        self.samples.push(sample);
    }

    /// When the first unit to be composed is.
    pub(super) fn first_composition(&self) -> Option<i64> {
        self.samples.iter().map(|sample| sample.time + i64::from(sample.composition_offset)).min()
    }

    /// Adds the track with its units; the presentation begins at `origin`.
    pub(super) fn build(
        self,
        container_id: u32,
        origin: i64,
        builder: &mut IndexBuilder,
    ) -> Result<TrackId, IndexError> {
        match self.unit_samples() {
            Some((rate, samples)) => self.build_sound(container_id, origin, rate, samples, builder),
            None => self.build_video(container_id, origin, builder),
        }
    }

    /// The sampling rate, and the samples of a unit, of sound.
    fn unit_samples(&self) -> Option<(ClockRate, u16)> {
        if let CodecConfig::Aac(config) = &self.codec {
            Some((config.rtp_rate, config.unit_samples))
        } else if let CodecConfig::MpegAudio(config) = &self.codec {
            Some((config.sample_rate, config.frame_samples))
        } else {
            None
        }
    }

    fn build_video(
        self,
        container_id: u32,
        origin: i64,
        builder: &mut IndexBuilder,
    ) -> Result<TrackId, IndexError> {
        let last = match &self.samples[..] {
            [.., before, last] => u32::try_from(last.time - before.time).unwrap_or(PICTURE_MILLIS),
            _ => PICTURE_MILLIS,
        };
        let description = TrackDescription::new(container_id, self.codec, MILLIS);
        let id = builder.add_track(description).map_err(refusal)?;
        for Sample { offset, time, bytes, composition_offset, sync } in self.samples {
            let decode = time - origin;
            let composition = decode + i64::from(composition_offset);
            builder.push(id, offset, bytes, decode, composition, last, sync).map_err(refusal)?;
        }
        Ok(id)
    }

    /// Milliseconds are too coarse for sound: units follow each other by their samples, as long as
    /// the file's times are no more than a unit away. Time never goes back.
    fn build_sound(
        self,
        container_id: u32,
        origin: i64,
        rate: ClockRate,
        unit_samples: u16,
        builder: &mut IndexBuilder,
    ) -> Result<TrackId, IndexError> {
        let duration = i64::from(unit_samples);
        let description = TrackDescription::new(container_id, self.codec, rate);
        let id = builder.add_track(description).map_err(refusal)?;
        let mut last: Option<i64> = None;
        for Sample { offset, time, bytes, sync, .. } in self.samples {
            let told = MILLIS.convert_nearest(time - origin, rate);
            let start = match last {
                Some(last) if (told - (last + duration)).abs() <= duration => last + duration,
                Some(last) => told.max(last),
                None => told,
            };
            let duration = u32::from(unit_samples);
            builder.push(id, offset, bytes, start, start, duration, sync).map_err(refusal)?;
            last = Some(start);
        }
        Ok(id)
    }
}
