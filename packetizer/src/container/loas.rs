//! AAC in AudioSyncStreams (LOAS; ISO 14496-3 §1.7.2): .aac, .latm, .loas.
//!
//! The whole file is read. What lies between frames is passed over, and so are frames before the
//! first that tells the configuration. A stream whose configuration changes ends there.

use super::scan::Scan;
use super::sole_track::{SoleTrack, refuse};
use super::transport_stream::latm::frame_bytes;
use super::{Demand, Demux, IndexError};
use crate::codec::CodecConfig;
use crate::codec::latm::StreamMux;
use crate::index::{MediaIndex, SkipReason, SkippedTrack};
use crate::wrapping::Wrapping;
use crate::wrapping::latm::MuxElements;

/// Bytes of syncword and length.
const HEADER_BYTES: usize = 3;
/// Bytes of a frame at most.
const FRAME_BYTES_MAX: usize = HEADER_BYTES + (1 << 13) - 1;
/// Frames in a row that make a stream.
const RUN_FRAMES: usize = 3;

#[derive(Debug)]
struct Demuxer {
    scan: Scan,
    /// Once the configuration is known.
    track: Option<(StreamMux, SoleTrack)>,
    has_changed: bool,
}

/// A file that begins with such frames in a row, or is nothing else.
pub(super) fn probe(head: &[u8], file_bytes: u64) -> Option<Box<dyn Demux>> {
    let mut rest = head;
    for _ in 0..RUN_FRAMES {
        if rest.is_empty() && !head.is_empty() && head.len() as u64 == file_bytes {
            break;
        }
        rest = rest.get(frame_bytes(rest)?..)?;
    }
    Some(Box::new(Demuxer { scan: Scan::new(file_bytes), track: None, has_changed: false }))
}

impl Demuxer {
    /// Takes what `at` bytes into what has been read begins; yields how many bytes it is, or `None`
    /// if it is not all there.
    fn step(&mut self, at: usize) -> Result<Option<usize>, IndexError> {
        let Some(rest) = self.scan.bytes().get(at..).filter(|rest| !rest.is_empty()) else {
            return Ok(None);
        };
        if !self.scan.is_last() && rest.len() < FRAME_BYTES_MAX + HEADER_BYTES {
            return Ok(None);
        }
        let whole = frame_bytes(rest).and_then(|bytes| rest.split_at_checked(bytes));
        let followed = whole.filter(|(_, next)| next.is_empty() || frame_bytes(next).is_some());
        let Some((frame, _)) = followed else {
            let behind = rest.get(1..).unwrap_or_default();
            return Ok(Some(1 + memchr::memchr(0x56, behind).unwrap_or(behind.len())));
        };
        let offset = self.scan.offset() + (at + HEADER_BYTES) as u64;
        let element = frame.get(HEADER_BYTES..).unwrap_or_default();
        let mux = StreamMux::parse(element).transpose();
        match (mux, &mut self.track) {
            (Err(error), None) => return Err(refuse(SkipReason::Config(error.0))),
            (Err(_), Some(_)) => self.has_changed = true,
            (Ok(Some(mux)), Some((first, _))) => self.has_changed |= mux != *first,
            (Ok(Some(mux)), track @ None) => {
                let (codec, rate) = (CodecConfig::Aac(mux.config.clone()), mux.config.rtp_rate);
                let wrapping = Wrapping::Latm(MuxElements { config_bits: mux.bits });
                *track = Some((mux, SoleTrack::wrapped(codec, rate, wrapping)?));
            }
            (Ok(None), _) => {}
        }
        let bytes = frame.len();
        if let Some((mux, track)) = self.track.as_mut().filter(|_| !self.has_changed) {
            let samples = u32::from(mux.config.unit_samples);
            let found = MuxElements { config_bits: mux.bits }.find(element);
            let media_bytes = found.and_then(|(_, bytes)| u32::try_from(bytes).ok()).unwrap_or(0);
            let element_bytes = u32::try_from(element.len()).unwrap_or(u32::MAX);
            track.push_wrapped(offset, element_bytes, media_bytes, samples)?;
        }
        Ok(Some(bytes))
    }
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
        if !self.scan.is_last() {
            return Ok(None);
        }
        let no_config = || refuse(SkipReason::Config("no frame tells its configuration"));
        let (_, track) = self.track.take().ok_or_else(no_config)?;
        let mut index = track.finish(false)?;
        if self.has_changed {
            let container_id = index.tracks.first().map_or(0, |track| track.container_id);
            let reason = SkipReason::SeveralDescriptions;
            index.skipped.push(SkippedTrack { container_id, reason });
        }
        Ok(Some(index))
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{open_slice, units};
    use super::*;

    /// An element with the configuration of AAC-LC at 44.1 kHz, and one without, with an access
    /// unit of 4 and of 2 bytes.
    const WITH: [u8; 11] = [0x20, 0, 0x12, 0x10, 0x1f, 0xe0, 0x20, 0x08, 0x10, 0x18, 0x20];
    const WITHOUT: [u8; 4] = [0x81, 0x04, 0x82, 0x80];

    fn frame(element: &[u8]) -> Vec<u8> {
        let [high, low] = u16::try_from(element.len()).unwrap().to_be_bytes();
        [&[0x56, 0xe0 | high, low], element].concat()
    }

    fn unwrapped(file: &[u8]) -> Vec<(i64, Vec<u8>)> {
        let index = open_slice(file).unwrap();
        let unwrap = |unit: &crate::index::AccessUnitEntry| {
            let at = usize::try_from(unit.offset).unwrap();
            let mut bytes = Vec::new();
            let element = &file[at..at + unit.bytes as usize];
            index.tracks[0].wrapping.unwrap(unit.offset, element, &mut bytes);
            assert_eq!(bytes.len(), unit.media_bytes as usize);
            (unit.decode, bytes)
        };
        units(&index, 0).iter().map(unwrap).collect()
    }

    #[test]
    fn units_are_taken_out_of_elements() {
        let (with, without) = (frame(&WITH), frame(&WITHOUT));
        let (four, two) = (vec![1, 2, 3, 4], vec![9, 5]);
        for (file, expected) in [
            ([&with[..], &without, &without].concat(), vec![&four, &two, &two]),
            ([&without[..], &with, &without].concat(), vec![&four, &two]),
            (
                [&with[..], &without, &with, &[1, 0x56, 2], &with, &with].concat(),
                vec![&four, &two, &four, &four],
            ),
            ([&with[..], &without, &without, &with[..9]].concat(), vec![&four, &two, &two]),
            (with.clone(), vec![&four]),
        ] {
            let times = (0..).map(|at| at * 1024);
            let timed: Vec<_> = times.zip(expected.into_iter().cloned()).collect();
            assert_eq!(unwrapped(&file), timed, "{file:x?}");
        }
    }

    #[test]
    fn other_configurations_end_the_stream() {
        let mut other = WITH;
        other[3] ^= 0x80; // another sampling rate
        let file = [WITH, WITH, other, WITH].map(|element| frame(&element)).concat();
        let index = open_slice(&file).unwrap();
        let reason = SkipReason::SeveralDescriptions;
        assert_eq!(index.tracks[0].unit_count, 2);
        assert_eq!(index.skipped, [SkippedTrack { container_id: 1, reason }]);
    }

    #[test]
    fn streams_without_a_configuration_are_refused() {
        let error = open_slice(&frame(&WITHOUT).repeat(3)).unwrap_err();
        assert_eq!(error, refuse(SkipReason::Config("no frame tells its configuration")));
        let layers = [0x20, 0x01, 0x12, 0x10, 0, 0, 0];
        let error = open_slice(&frame(&layers).repeat(3)).unwrap_err().to_string();
        assert!(error.contains("programmes or layers"), "{error}");
    }

    #[test]
    fn is_told_by_frames_in_a_row() {
        let three = frame(&WITH).repeat(3);
        for (head, file_bytes, expected) in [
            (&three[..], 999, true),
            (&three[..40], 999, false),
            (&three[..28], 28, true),
            (&three[..27], 27, false),
            (&[0x56, 0xe0, 0, 0x56, 0xe0, 0, 0x56, 0xe0, 0], 9, false),
            (&[], 0, false),
        ] {
            assert_eq!(probe(head, file_bytes).is_some(), expected, "{head:x?}");
        }
    }
}
