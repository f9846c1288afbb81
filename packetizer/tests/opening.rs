//! What opening a title costs, in time, memory and bytes read, container by container.
//!
//! Titles of some seconds, of which the bytes count; with `REELRING_OPENING=full` of hours, and
//! then the time counts too (`perf/results/2026-11-23-opening.md`).

#![allow(clippy::cast_possible_truncation, clippy::cast_precision_loss, clippy::unwrap_used)]
#![allow(clippy::print_stdout, clippy::disallowed_methods, reason = "it measures")]

#[allow(unreachable_pub, dead_code, reason = "benches have more use of it")]
#[path = "../../benches/src/counting.rs"]
mod counting;

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use packetizer::container::{memory_bytes_max, open};

#[global_allocator]
static ALLOCATOR: counting::Counting = counting::Counting;

/// A title that ffmpeg makes by repeating one of [`SOURCES`].
struct Title {
    name: &'static str,
    source: &'static str,
    /// What ffmpeg is told besides to copy.
    output: &'static str,
    hours: u32,
    /// What opening may take when the file is in memory.
    millis_max: u64,
    /// Bytes an access unit may take in the index, and of the file, in percent, be read.
    unit_bytes_max: f64,
    read_percent_max: u64,
}

/// Their names and how they are coded, with pictures of about 2 Mbit/s.
const SOURCES: [(&str, &str); 6] = [
    ("h264.mp4", "-c:v libx264 -preset ultrafast -bf 2 -b:v 2M -g 50 -c:a aac"),
    ("mpeg2.ts", "-c:v mpeg2video -b:v 2M -g 25 -bf 2 -c:a mp2"),
    ("vp8.webm", "-c:v libvpx -deadline realtime -cpu-used 8 -b:v 2M -c:a libopus"),
    ("h264-mp3.flv", "-c:v libx264 -preset ultrafast -bf 2 -b:v 2M -c:a libmp3lame -ar 44100"),
    ("sound.mp3", "-vn -c:a libmp3lame"),
    ("sound.wav", "-vn -c:a pcm_s16le -ac 2"),
];

const fn title(name: &'static str, source: &'static str, output: &'static str) -> Title {
    let (hours, millis_max, unit_bytes_max, read_percent_max) = (2, 60_000, 16.0, 210);
    Title { name, source, output, hours, millis_max, unit_bytes_max, read_percent_max }
}

const fn titles() -> [Title; 13] {
    let mp4 = Title {
        hours: 4,
        millis_max: 100,
        unit_bytes_max: 8.0,
        read_percent_max: 3,
        ..title("tables.mp4", "h264.mp4", "-f mp4")
    };
    let mkv = Title {
        millis_max: 1000,
        unit_bytes_max: 8.0,
        read_percent_max: 100,
        ..title("no-cues.mkv", "h264.mp4", "-f matroska -live 1")
    };
    [
        mp4,
        mkv,
        title("fragments.mp4", "h264.mp4", "-f mp4 -movflags frag_keyframe+empty_moov"),
        title("h264.ts", "h264.mp4", "-f mpegts"),
        title("mpeg2.ts", "mpeg2.ts", "-f mpegts"),
        title("h264.flv", "h264-mp3.flv", "-f flv"),
        title("picture.264", "h264.mp4", "-an -f h264"),
        title("picture.ivf", "vp8.webm", "-an -f ivf"),
        title("sound.ogg", "vp8.webm", "-vn -f ogg"),
        title("sound.aac", "h264.mp4", "-vn -f adts"),
        title("sound.mp3", "sound.mp3", "-f mp3"),
        title("sound.wav", "sound.wav", "-rf64 auto -f wav"),
        title("program.mpg", "mpeg2.ts", "-f mpeg"),
    ]
}

#[test]
fn opening_costs_what_it_may() {
    let is_full = std::env::var("REELRING_OPENING").is_ok_and(|extent| extent == "full");
    let seconds = if is_full { 60 } else { 10 };
    let directory = tempfile::tempdir().unwrap();
    for (name, coding) in SOURCES {
        let pictures = "-f lavfi -i testsrc2=size=640x360:rate=25";
        let sound = "-f lavfi -i sine=frequency=440:sample_rate=48000";
        let all = format!("{pictures} {sound} -t {seconds} {coding}");
        ffmpeg(&all, &directory.path().join(name));
    }
    for title in titles() {
        let repeated = if is_full { title.hours * 60 - 1 } else { 0 };
        let path = title.make(directory.path(), repeated);
        title.measure(&path, is_full);
        std::fs::remove_file(path).unwrap();
    }
}

fn ffmpeg(arguments: &str, path: &Path) {
    let mut command = Command::new("ffmpeg");
    command.args(["-v", "error", "-y"]).args(arguments.split_whitespace());
    let status = command.arg(path).stdin(Stdio::null()).status().unwrap();
    assert!(status.success(), "{}", path.display());
}

impl Title {
    fn make(&self, directory: &Path, repeated: u32) -> PathBuf {
        let source = directory.join(self.source);
        let path = directory.join(format!("title-{}", self.name));
        let source = source.to_str().unwrap();
        let Self { output, .. } = self;
        ffmpeg(&format!("-stream_loop {repeated} -i {source} -c copy {output}"), &path);
        path
    }

    fn measure(&self, path: &Path, is_full: bool) {
        let file = File::open(path).unwrap();
        let file_bytes = file.metadata().unwrap().len();
        let (mut read_bytes, begin) = (0, Instant::now());
        let (index, memory_bytes) = counting::peak_bytes(|| {
            open(file_bytes, |offset, buffer: &mut [u8]| {
                let count = file.read_at(buffer, offset)?;
                read_bytes += count as u64;
                Ok::<_, std::io::Error>(count)
            })
        });
        let elapsed = begin.elapsed();
        let index = index.unwrap_or_else(|error| panic!("{}: {error}", self.name));
        let units: u64 = index.tracks.iter().map(|track| u64::from(track.unit_count)).sum();
        let unit_bytes = index.bytes() as f64 / units as f64;
        let per_second = file_bytes as f64 / 1e6 / elapsed.as_secs_f64();
        println!(
            "figure: | {} | {:.2} h | {} MB | {units} | {} ms | {per_second:.0} | {} MB | {unit_bytes:.1} | {:.0} |",
            self.name,
            index.duration.nanos() as f64 / 3.6e12,
            file_bytes / 1_000_000,
            elapsed.as_millis(),
            read_bytes / 1_000_000,
            memory_bytes as f64 / units as f64,
        );
        assert!(units > 200, "{}: {units} units", self.name);
        // Of a short one, the index' own size counts too.
        let most = units as f64 * self.unit_bytes_max + 4096.0;
        assert!(index.bytes() as f64 <= most, "{}: {unit_bytes} bytes a unit", self.name);
        let readable = file_bytes / 100 * self.read_percent_max + (256 << 10);
        assert!(read_bytes <= readable, "{}: {read_bytes} of {file_bytes} bytes", self.name);
        let memory_max = memory_bytes_max(file_bytes, units);
        assert!(memory_bytes <= memory_max, "{}: {memory_bytes} of {memory_max}", self.name);
        let most = Duration::from_millis(self.millis_max);
        assert!(!is_full || elapsed <= most, "{}: {elapsed:?}", self.name);
    }
}
