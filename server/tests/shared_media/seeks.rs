//! Seeks of a file that is played, by ffmpeg: the first decoded picture is the sync sample at or
//! before the point that is asked for.
//!
//! Where that is in the index is compared with ffprobe in `packetizer/tests`, for every file and
//! for sound, too.

use crate::content::parse;
use crate::manifest::Entry;
use crate::specified::is_foreign_to_ffmpeg;
use crate::support::Random;
use crate::support::players::run_for;
use packetizer::index::{MediaIndex, TrackId};
use packetizer::time::Npt;

/// Points that a file is sought at.
const POINTS: usize = 2;
/// Sync samples farther apart have points in between that are surely neither's: ffmpeg shifts what
/// it asks for by the first time stamp.
const GAP_NANOS_MIN: i64 = 500_000_000;
const TIMEOUT_SECONDS: u32 = 60;

/// A file that can be sought.
pub(crate) struct Sought<'a> {
    pub(crate) entry: &'a Entry,
    /// When each sync sample is shown, in nanoseconds of normal play time.
    times: Vec<i64>,
    /// What each looks like.
    hashes: Vec<String>,
    /// Points to seek to, and which sync sample is to come.
    points: Vec<(Npt, usize)>,
}

impl<'a> Sought<'a> {
    /// `None` without pictures that ffmpeg can receive, or if no two sync samples are far enough
    /// apart, or ffmpeg sees others.
    pub(crate) fn new(entry: &'a Entry, index: &MediaIndex, random: &mut Random) -> Option<Self> {
        let track = index.tracks.iter().position(|track| track.codec.is_video())?;
        if entry.codecs().iter().any(|codec| is_foreign_to_ffmpeg(Some(codec))) {
            return None;
        }
        let media = &index.tracks[track];
        let units = (0..media.unit_count).filter_map(|at| index.unit(TrackId(track as u8), at));
        let syncs = units.filter(|unit| unit.sync);
        let times: Vec<i64> =
            syncs.map(|unit| media.media_rate.nanos_floor(unit.composition)).collect();
        let points = points(&times, random);
        if points.is_empty() {
            return None;
        }
        let hashes = sync_samples(entry);
        (hashes.len() == times.len()).then_some(Self { entry, times, hashes, points })
    }

    /// What came other than it should, if anything.
    pub(crate) fn differs(&self, url: &str) -> Option<String> {
        self.points.iter().find_map(|(point, sync)| {
            let seconds = format!("{:.3}", point.nanos() as f64 / 1e9);
            let input = ["-rtsp_transport", "tcp", "-noaccurate_seek", "-ss", &seconds, "-i", url];
            let output = ["-map", "0:v:0", "-vsync", "passthrough", "-frames:v", "1"];
            let found = listing(&[&input[..], &output].concat());
            if found.first() == Some(&self.hashes[*sync]) {
                return None;
            }
            let other = found.first().and_then(|found| self.hashes.iter().position(|h| h == found));
            let other = other.map(|other| self.times[other]);
            Some(format!("seek to {seconds} s: {other:?} instead of {} ns", self.times[*sync]))
        })
    }
}

/// Points well behind a sync sample and well before the next.
fn points(times: &[i64], random: &mut Random) -> Vec<(Npt, usize)> {
    let is_early = times.first().is_some_and(|at| (0..GAP_NANOS_MIN / 4).contains(at));
    let gap = |at: usize| times[at + 1] - times[at];
    let fitting: Vec<usize> =
        (0..times.len().saturating_sub(1)).filter(|at| gap(*at) > GAP_NANOS_MIN).collect();
    if fitting.is_empty() || !is_early || !times.is_sorted() {
        return Vec::new();
    }
    let points = (0..POINTS).map(|_| {
        let at = fitting[random.below(fitting.len() as u64) as usize];
        // In the middle half.
        let gap = gap(at).unsigned_abs();
        let point = times[at].unsigned_abs() + gap / 4 + random.below(gap / 2 + 1);
        (Npt::from_nanos(point), at)
    });
    points.collect()
}

/// Hashes of the file's sync samples, decoded.
fn sync_samples(entry: &Entry) -> Vec<String> {
    let path = entry.path.to_str().unwrap();
    let edits: &[&str] = if entry.container == "mov" { &["-ignore_editlist", "1"] } else { &[] };
    let input = ["-skip_frame", "nokey", "-i", path];
    listing(&[edits, &input, &["-map", "0:v:0", "-vsync", "passthrough"]].concat())
}

/// The hashes that ffmpeg lists; none if it fails.
fn listing(arguments: &[&str]) -> Vec<String> {
    let all = ["-nostdin", "-v", "error", "-threads", "1", "-noautorotate"];
    let all = [&all[..], arguments, &["-f", "framemd5", "-"]];
    let ended = run_for(TIMEOUT_SECONDS, "ffmpeg", &all.concat());
    let text = String::from_utf8_lossy(&ended.stdout).into_owned();
    parse(&text).into_iter().map(|(_, hash)| hash).collect()
}
