//! What it costs to lay out segments of every payload format, against copying the same bytes.
//!
//! The two are measured in turns, and what is told is the median of the turns: what else runs on
//! the machine slows both. ffmpeg makes the files; prints a table.

#![allow(missing_docs, clippy::cast_precision_loss, reason = "a bench of small numbers")]
#![allow(clippy::print_stdout, reason = "a bench tells what it measured")]

use packetizer::container::open;
use packetizer::image::{Bursts, Framing, ImageRequest, ImageStorage, PacketImage, PayloadClass};
use packetizer::index::{AccessUnitEntry, MediaIndex, SegmentId, TrackId};
use std::hint::black_box;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// Name of the file, which says its container, and how ffmpeg codes it.
const FILES: [(&str, &str, &str); 19] = [
    ("H.264", "h264.mp4", "-an -c:v libx264 -preset veryfast -g 50 -b:v 4M"),
    ("H.264, byte stream", "h264.ts", "-an -c:v libx264 -preset veryfast -g 50 -b:v 4M"),
    ("H.265", "h265.mp4", "-an -c:v libx265 -preset ultrafast -x265-params log-level=none -b:v 4M"),
    ("AV1", "av1.mp4", "-an -c:v libsvtav1 -preset 12 -b:v 4M"),
    ("VP8", "vp8.webm", "-an -c:v libvpx -deadline realtime -cpu-used 8 -b:v 4M"),
    ("VP9", "vp9.webm", "-an -c:v libvpx-vp9 -deadline realtime -cpu-used 8 -b:v 4M"),
    ("MPEG-4 Visual", "mpeg4.mp4", "-an -c:v mpeg4 -b:v 4M"),
    ("H.263", "h263.3gp", "-an -c:v h263 -s 704x576 -b:v 4M"),
    ("MPEG-2 video", "mpeg2.mkv", "-an -c:v mpeg2video -b:v 6M"),
    ("JPEG", "jpeg.mov", "-an -c:v mjpeg -huffman default -pix_fmt yuvj420p -q:v 4"),
    ("AAC", "aac.mp4", "-vn -c:a aac -b:a 192k"),
    ("Opus", "opus.webm", "-vn -c:a libopus -b:a 128k"),
    ("Vorbis", "vorbis.webm", "-vn -c:a libvorbis"),
    ("MPEG audio", "sound.mp3", "-vn -c:a libmp3lame -b:a 192k"),
    ("AC-3", "sound.ac3", "-vn -c:a ac3 -b:a 384k"),
    ("E-AC-3", "sound.eac3", "-vn -c:a eac3 -b:a 384k"),
    ("PCMU", "mulaw.wav", "-vn -c:a pcm_mulaw -ar 8000"),
    ("L16", "l16.wav", "-vn -c:a pcm_s16le"),
    ("L24", "l24.wav", "-vn -c:a pcm_s24le"),
];
const INPUTS: &str = "-f lavfi -i testsrc2=s=1280x720:r=25:d=8,noise=alls=12:allf=t \
                      -f lavfi -i anoisesrc=d=60:r=48000:a=0.3 -ac 2";
/// Bytes of the largest packet.
const PACKET_BYTES_MAX: u16 = 1400;
const HEADER_BYTES: usize = 12;
const PAYLOAD_BYTES: usize = PACKET_BYTES_MAX as usize - HEADER_BYTES;
/// Turns of each; odd, so that one is in the middle.
const TURNS: usize = 21;
/// How long a turn takes at least.
const TURN_MIN: Duration = Duration::from_millis(10);

fn main() {
    let directory = tempfile::tempdir().expect("a directory");
    println!(
        "| payload format | bytes a unit | copying, GB/s | laying out, GB/s | times as long |"
    );
    println!("|---|--:|--:|--:|--:|");
    for (name, file, coding) in FILES {
        let path = directory.path().join(file);
        make(&path, coding);
        let title = Title::open(&path);
        let bytes = title.media_bytes as f64;
        let (copying, laying) = title.measure();
        println!(
            "| {name} | {:.0} | {:.2} | {:.2} | {:.2} |",
            bytes / f64::from(title.index.tracks[0].unit_count),
            bytes / copying,
            bytes / laying,
            laying / copying
        );
    }
}

fn make(path: &Path, coding: &str) {
    let status = Command::new("ffmpeg")
        .args(["-nostdin", "-v", "error"])
        .args(INPUTS.split_whitespace())
        .args(coding.split_whitespace())
        .arg(path)
        .status()
        .expect("ffmpeg is installed");
    assert!(status.success(), "{}", path.display());
}

/// A file, and its first track's units.
struct Title {
    file: Vec<u8>,
    index: MediaIndex,
    media_bytes: u64,
}

impl Title {
    fn open(path: &Path) -> Self {
        let file = std::fs::read(path).expect("just made");
        let index = open(file.len() as u64, |offset, buffer: &mut [u8]| {
            let rest = usize::try_from(offset).ok().and_then(|offset| file.get(offset..));
            let rest = rest.unwrap_or_default();
            let count = rest.len().min(buffer.len());
            buffer[..count].copy_from_slice(&rest[..count]);
            Ok::<_, std::io::Error>(count)
        });
        let index = index.expect("a good file");
        let media_bytes = index.track_bytes(TrackId(0));
        Self { file, index, media_bytes }
    }

    fn unit_bytes(&self, unit: &AccessUnitEntry) -> Option<&[u8]> {
        let start = usize::try_from(unit.offset).ok()?;
        self.file.get(start..start + unit.bytes as usize)
    }

    /// Nanoseconds that copying all units takes, and laying out all their segments.
    fn measure(&self) -> (f64, f64) {
        let segments: Vec<Vec<&[u8]>> = (0..self.index.segment_count())
            .map(|segment| {
                let units = self.index.units(TrackId(0), SegmentId(segment));
                units.filter_map(|unit| self.unit_bytes(&unit)).collect()
            })
            .collect();
        let longest = segments.iter().map(|units| units.concat().len()).max().unwrap_or(0);
        let mut copy = vec![0; 2 * longest];
        let mut storage = ImageStorage::default();
        let (mut copying, mut laying) = (Vec::new(), Vec::new());
        for _ in 0..TURNS {
            copying.push(turn(|| {
                for units in black_box(&segments) {
                    let mut at = 0;
                    for packet in units.iter().flat_map(|unit| unit.chunks(PAYLOAD_BYTES)) {
                        let end = at + packet.len();
                        copy[at..end].copy_from_slice(packet);
                        at = end + HEADER_BYTES;
                    }
                    black_box(&copy);
                }
            }));
            laying.push(turn(|| self.lay_out(&mut storage)));
        }
        (median(copying), median(laying))
    }

    /// Lays all segments out, each in the memory of the one before, as the engine does.
    fn lay_out(&self, storage: &mut ImageStorage) {
        for segment in (0..self.index.segment_count()).map(SegmentId) {
            let request = ImageRequest {
                index: &self.index,
                track: TrackId(0),
                segment,
                class: PayloadClass { packet_bytes_max: PACKET_BYTES_MAX },
                framing: Framing::Datagram,
                payload_type: 96,
                bursts: Bursts::default(),
            };
            let unit_bytes = |unit: &AccessUnitEntry| self.unit_bytes(unit);
            let image = PacketImage::build(request, unit_bytes, std::mem::take(storage));
            *storage = black_box(image.expect("good units")).into_storage();
        }
    }
}

/// Nanoseconds of one run, of as many as fill a turn.
#[allow(clippy::disallowed_methods, reason = "measuring is what a bench does")]
fn turn(mut run: impl FnMut()) -> f64 {
    let start = Instant::now();
    let mut runs = 0_u32;
    while start.elapsed() < TURN_MIN {
        run();
        runs += 1;
    }
    start.elapsed().as_nanos() as f64 / f64::from(runs)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
