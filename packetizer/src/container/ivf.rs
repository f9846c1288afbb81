//! IVF files: a header of 32 bytes, then frames with their time in front. VP8, VP9 and AV1.

use super::scan::Scan;
use super::sole_track::{SoleTrack, refuse, refuse_codec};
use super::{Demand, Demux, IndexError};
use crate::codec::{CodecConfig, obu};
use crate::index::{MediaIndex, SkipReason};
use crate::time::ClockRate;

const FILE_HEADER_BYTES: u16 = 32;
const FRAME_HEADER_BYTES: usize = 12;
/// Bytes of a frame that are looked at.
const LOOK_BYTES: usize = 4 << 10;

/// Goes through the frames.
#[derive(Debug)]
struct Demuxer {
    scan: Scan,
    file_bytes: u64,
    four_cc: [u8; 4],
    /// The media rate, and its ticks in one of the file's.
    rate: Option<ClockRate>,
    tick: u32,
    track: Option<SoleTrack>,
    /// The file's time of the first frame, and the time of the last one on the track.
    first: u64,
    last: Option<i64>,
    /// Ticks from the last frame but one to the last.
    duration: u32,
}

/// A file with the magic number.
pub(super) fn probe(head: &[u8], file_bytes: u64) -> Option<Box<dyn Demux>> {
    let header = head.strip_prefix(b"DKIF")?;
    let header_bytes = u16::from_le_bytes(*header.get(2..)?.first_chunk()?);
    let number = |at: usize| Some(u32::from_le_bytes(*header.get(at..)?.first_chunk()?));
    let mut scan = Scan::new(file_bytes);
    scan.consume(u64::from(header_bytes.max(FILE_HEADER_BYTES)));
    Some(Box::new(Demuxer {
        scan,
        file_bytes,
        four_cc: *header.get(4..)?.first_chunk()?,
        rate: ClockRate::new(number(12)?),
        tick: number(16)?,
        track: None,
        first: 0,
        last: None,
        duration: 0,
    }))
}

impl Demux for Demuxer {
    fn demand(&self) -> Demand {
        self.scan.demand()
    }

    fn supply(&mut self, bytes: &[u8]) -> Result<Option<MediaIndex>, IndexError> {
        // Behind the header nothing may be left, and what is demanded then is not ours.
        if !self.scan.is_last() {
            self.scan.supply(bytes);
        }
        let mut at = 0;
        let mut is_cut_short = false;
        while let Some(rest) = self.scan.bytes().get(at..).filter(|rest| !rest.is_empty()) {
            let header = rest.split_first_chunk::<FRAME_HEADER_BYTES>();
            let Some(([b0, b1, b2, b3, time @ ..], behind)) = header else {
                is_cut_short = self.scan.is_last();
                break;
            };
            let frame_bytes = u32::from_le_bytes([*b0, *b1, *b2, *b3]);
            let time = u64::from_le_bytes(*time);
            let offset = self.scan.offset() + (at + FRAME_HEADER_BYTES) as u64;
            if offset + u64::from(frame_bytes) > self.file_bytes {
                is_cut_short = true;
                at = usize::MAX;
                break;
            }
            let look_bytes = LOOK_BYTES.min(frame_bytes as usize);
            let Some(look) = behind.get(..look_bytes) else { break };
            if self.track.is_none()
                && let Some(codec) = find_codec(self.four_cc, look)?
            {
                let no_rate = || refuse(SkipReason::Config("its time base is 0"));
                self.track = Some(SoleTrack::new(codec, self.rate.ok_or_else(no_rate)?)?);
                self.first = time;
            }
            let is_sync = is_sync(self.four_cc, look);
            self.push(offset, frame_bytes, time, is_sync)?;
            at = at.saturating_add(FRAME_HEADER_BYTES).saturating_add(frame_bytes as usize);
        }
        self.scan.consume(at as u64);
        if !self.scan.is_last() {
            return Ok(None);
        }
        match self.track.take() {
            Some(track) => track.finish(is_cut_short).map(Some),
            None => Err(refuse(SkipReason::Empty)),
        }
    }
}

impl Demuxer {
    /// Appends a frame, if the configuration has been found.
    fn push(
        &mut self,
        offset: u64,
        bytes: u32,
        time: u64,
        is_sync: bool,
    ) -> Result<(), IndexError> {
        let Some(track) = &mut self.track else { return Ok(()) };
        let ticks = time.saturating_sub(self.first).saturating_mul(u64::from(self.tick));
        let last = self.last.unwrap_or(0);
        let position = i64::try_from(ticks).unwrap_or(i64::MAX).max(last);
        if self.last.is_some() && position > last {
            self.duration = u32::try_from(position - last).unwrap_or(u32::MAX);
        }
        self.last = Some(position);
        track.push_at(offset, bytes, position, self.duration.max(1), is_sync)
    }
}

/// The codec; `None` while the frames have not told what is needed of it.
fn find_codec(four_cc: [u8; 4], frame: &[u8]) -> Result<Option<CodecConfig>, IndexError> {
    match &four_cc {
        b"VP80" => Ok(Some(CodecConfig::Vp8)),
        b"VP90" => Ok(Some(CodecConfig::Vp9)),
        b"AV01" => Ok(obu::find_config(frame).map(CodecConfig::Av1)),
        _ => Err(refuse_codec(four_cc.escape_ascii().to_string())),
    }
}

/// Whether decoding may start at a frame, of which this is the beginning.
fn is_sync(four_cc: [u8; 4], frame: &[u8]) -> bool {
    match &four_cc {
        b"VP80" => frame.first().is_some_and(|first| first & 1 == 0), // RFC 6386 §9.1
        b"VP90" => frame.first().is_some_and(|first| is_vp9_key_frame(*first)),
        _ => obu::is_sync(frame),
    }
}

/// The uncompressed header's first byte (VP9 §6.2): frame_marker, the profile, of profile 3 a
/// reserved bit, show_existing_frame, frame_type.
const fn is_vp9_key_frame(first: u8) -> bool {
    let is_profile_3 = first >> 4 & 3 == 3;
    let shown_and_type = if is_profile_3 { first >> 1 & 3 } else { first >> 2 & 3 };
    first >> 6 == 2 && shown_and_type == 0
}

#[cfg(test)]
mod tests {
    #![allow(clippy::cast_possible_truncation)]

    use super::super::testing::{open_slice, units};
    use super::*;

    fn file(four_cc: &[u8; 4], rate: u32, tick: u32, frames: &[(u64, &[u8])]) -> Vec<u8> {
        let mut file = [&b"DKIF\0\0\x20\0"[..], four_cc, &[0; 4]].concat();
        file.extend([rate, tick, 9, 0].iter().flat_map(|number: &u32| number.to_le_bytes()));
        for (time, frame) in frames {
            file.extend_from_slice(&(frame.len() as u32).to_le_bytes());
            file.extend_from_slice(&time.to_le_bytes());
            file.extend_from_slice(frame);
        }
        file
    }

    #[test]
    fn frames_are_timed_by_their_headers() {
        let frames: [(u64, &[u8]); 4] =
            [(7, &[0x10, 1]), (8, &[0x31]), (8, &[0x30; 9000]), (10, &[1; 3])];
        let index = open_slice(&file(b"VP80", 24_000, 1001, &frames)).unwrap();
        let units: Vec<_> = units(&index, 0)
            .iter()
            .map(|unit| (unit.offset, unit.bytes, unit.composition, unit.sync))
            .collect();
        let expected = [
            (44, 2, 0, true),
            (58, 1, 1001, false),
            (71, 9000, 1001, true),
            (9083, 3, 3003, false),
        ];
        assert_eq!(units, expected);
        assert_eq!(index.tracks[0].codec, CodecConfig::Vp8);
        assert_eq!(index.duration.nanos(), 5005 * 1_000_000_000 / 24_000);
    }

    #[test]
    fn sync_samples_are_key_frames() {
        for (first, expected) in [
            (0x82, true),  // profile 0
            (0x86, false), // inter
            (0x8a, false), // shows a frame that exists
            (0xb0, true),  // profile 3
            (0xb2, false),
            (0xb4, false),
            (0x42, false), // no marker
        ] {
            assert_eq!(is_sync(*b"VP90", &[first, 0x49]), expected, "{first:x}");
        }
        let header = [0x0a, 2, 0x39, 0x40, 0x32, 1, 0];
        let index = open_slice(&file(b"AV01", 25, 1, &[(0, &[0x12, 0]), (3, &header)])).unwrap();
        let units = units(&index, 0);
        assert_eq!((units.len(), units[0].decode, units[0].sync), (1, 0, true));
    }

    #[test]
    fn broken_files_end_where_they_are_broken() {
        let whole = file(b"VP90", 30, 1, &[(0, &[0x82; 50]), (1, &[0x86; 50])]);
        for end in [whole.len() - 1, whole.len() - 50, whole.len() - 51, whole.len() - 61] {
            let index = open_slice(&whole[..end]).unwrap();
            assert_eq!((index.tracks[0].unit_count, index.skipped.len()), (1, 1), "{end}");
        }
        for (file, why) in [
            (&whole[..32], "no access units"),
            (&file(b"VP90", 0, 1, &[(0, &[0x82])]), "time base"),
            (&file(b"H264", 30, 1, &[(0, &[0x82])]), "codec H264"),
            (&file(b"AV01", 30, 1, &[(0, &[0x12, 0])]), "no access units"),
            (&file(b"VP90", 30, 1, &[(0, &[0x82]), (u64::MAX, &[0x82])]), "out of order"),
        ] {
            let error = open_slice(file).unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
    }

    #[test]
    fn large_frames_are_not_read() {
        let large = vec![0x82; 3 << 20];
        let frames: Vec<(u64, &[u8])> = (0..4).map(|time| (time, &large[..])).collect();
        let index = open_slice(&file(b"VP90", 30, 1, &frames)).unwrap();
        assert_eq!((index.tracks[0].unit_count, index.skipped.len()), (4, 0));
    }
}
