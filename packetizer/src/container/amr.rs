//! AMR and AMR-WB files (RFC 4867 §5): a magic number, then frames of 20 ms.

use super::scan::Scan;
use super::sole_track::SoleTrack;
use super::{Demand, Demux, IndexError};
use crate::codec::CodecConfig;
use crate::codec::amr::{AmrConfig, FRAME_MILLIS, MAGIC, MAGIC_WIDEBAND};
use crate::index::MediaIndex;

/// Goes through the frames.
#[derive(Debug)]
struct Demuxer {
    config: AmrConfig,
    scan: Scan,
    track: Option<SoleTrack>,
}

/// A file with the magic number of one channel.
pub(super) fn probe(head: &[u8], file_bytes: u64) -> Option<Box<dyn Demux>> {
    let (is_wideband, magic) =
        [(false, MAGIC), (true, MAGIC_WIDEBAND)].into_iter().find(|(_, m)| head.starts_with(m))?;
    let mut scan = Scan::new(file_bytes);
    scan.consume(magic.len() as u64);
    Some(Box::new(Demuxer { config: AmrConfig { is_wideband }, scan, track: None }))
}

impl Demux for Demuxer {
    fn demand(&self) -> Demand {
        self.scan.demand()
    }

    fn supply(&mut self, bytes: &[u8]) -> Result<Option<MediaIndex>, IndexError> {
        let rate = self.config.rtp_rate();
        let samples = rate.ticks_per_second() / 1000 * u32::from(FRAME_MILLIS);
        let mut track = match self.track.take() {
            Some(track) => track,
            None => SoleTrack::new(CodecConfig::Amr(self.config), rate)?,
        };
        // Behind the magic number nothing may be left, and what is demanded then is not ours.
        if !self.scan.is_last() {
            self.scan.supply(bytes);
        }
        let mut at = 0;
        let mut is_broken_off = false;
        while let Some(rest) = self.scan.bytes().get(at..).filter(|rest| !rest.is_empty()) {
            let frame_bytes = rest.first().and_then(|header| self.config.frame_bytes(*header));
            let Some(frame_bytes) = frame_bytes else {
                // Nothing tells where the next frame begins.
                is_broken_off = true;
                break;
            };
            if rest.len() < frame_bytes as usize {
                is_broken_off = self.scan.is_last();
                break;
            }
            track.push(self.scan.offset() + at as u64, frame_bytes, samples)?;
            at += frame_bytes as usize;
        }
        self.scan.consume(at as u64);
        if self.scan.is_last() || is_broken_off {
            return track.finish(is_broken_off).map(Some);
        }
        self.track = Some(track);
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{open_slice, places};
    use super::*;
    use crate::index::SkipReason;

    fn file(magic: &[u8], frames: &[(u8, usize)]) -> Vec<u8> {
        let mut file = magic.to_vec();
        for (header, bytes) in frames {
            file.push(*header);
            file.resize(file.len() + bytes, 0xff);
        }
        file
    }

    #[test]
    fn frames_follow_each_other_every_20_ms() {
        let index = open_slice(&file(MAGIC, &[(0x3c, 31), (0x7c, 0), (0x44, 5)])).unwrap();
        assert_eq!(places(&index), [(6, 32, 0), (38, 1, 160), (39, 6, 320)]);
        assert_eq!(index.tracks[0].codec, CodecConfig::Amr(AmrConfig { is_wideband: false }));
        let index = open_slice(&file(MAGIC_WIDEBAND, &[(0x44, 60), (0x44, 60)])).unwrap();
        assert_eq!(places(&index), [(9, 61, 0), (70, 61, 320)]);
        assert_eq!(index.duration.nanos(), 40_000_000);
    }

    #[test]
    fn ends_where_frames_are_not_whole_or_known() {
        for tail in [&[0x3c, 1, 2][..], &[0x74, 0, 0, 0]] {
            let file = [&file(MAGIC, &[(0x3c, 31)])[..], tail].concat();
            let index = open_slice(&file).unwrap();
            assert_eq!(places(&index), [(6, 32, 0)]);
            let truncated = SkipReason::Truncated { kept: 1, declared: 2 };
            assert_eq!(index.skipped[0].reason, truncated);
        }
        for empty in [file(MAGIC, &[]), file(MAGIC, &[(0x3c, 3)])] {
            let error = open_slice(&empty).unwrap_err();
            assert!(matches!(error, IndexError::NoPlayableTrack { .. }), "{error}");
        }
    }

    #[test]
    fn long_files_are_read_in_pieces() {
        let index = open_slice(&file(MAGIC, &[(0x3c, 31)].repeat(70_000))).unwrap();
        assert_eq!(places(&index).last(), Some(&(6 + 69_999 * 32, 32, 69_999 * 160)));
    }
}
