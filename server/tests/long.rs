//! A title of thirteen hours at its end, and numbers that wrap, as other people's players see them.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "helpers of tests are tests")]

mod support;

use server::config::{Host, RawConfig};
use server::runtime::serve_numbered;
use server::shard::FirstNumbers;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc;
use std::thread::JoinHandle;
use support::frames::hashes;
use support::players::{gst_launch, output_of};
use support::titles::{SHORT, SMALL_MINUTE};
use support::{Ports, alone};

/// Repetitions of the minute: thirteen hours.
const MINUTES: u32 = 13 * 60;
/// Where FFmpeg goes on to, in seconds: shortly before the end, for repeated minutes are a little
/// longer than they say.
const LATE: u32 = MINUTES * 60 + 24;
/// Of every stream: the sequence number wraps with its seventh packet, the timestamp of video (90
/// kHz) after a quarter of a second, that of audio after half a second (48 kHz) or three (8 kHz).
const FIRST: FirstNumbers = FirstNumbers { sequence: u16::MAX - 6, timestamp: u32::MAX - 24_000 };
/// More time between two units than this is a jump.
const STEP_SECONDS_MAX: f64 = 0.6;

#[test]
fn players_see_no_jump_where_numbers_wrap() {
    let _alone = alone();
    let directory = tempfile::tempdir().unwrap();
    let long = thirteen_hours(directory.path());
    fs::copy(SHORT.make(), directory.path().join(SHORT.name)).unwrap();
    let server = Server::start(directory.path());
    let url = |name: &str| format!("rtsp://{}/{name}", server.address);
    std::thread::scope(|scope| {
        for transport in ["udp", "tcp"] {
            let (long, late, short) = (&long, url("long.mp4"), url(SHORT.name));
            scope.spawn(move || play_the_end(transport, &late, long));
            scope.spawn(move || play_by_gstreamer(transport, &short));
        }
    });
    server.end();
}

/// FFmpeg seeks to the end: every picture is that of the file, at its time.
fn play_the_end(transport: &str, url: &str, file: &Path) {
    let directory = tempfile::tempdir().unwrap();
    let units = directory.path().join("units");
    let late = LATE.to_string();
    let decode = ["-map", "0:v", "-vsync", "passthrough", "-f", "framemd5", "-"];
    let copy = ["-map", "0:a", "-c", "copy", "-f", "framemd5", units.to_str().unwrap()];
    let seek = ["-v", "error", "-copyts", "-noaccurate_seek", "-ss", &late];
    let from_url = [&seek[..], &["-rtsp_transport", transport, "-i", url]].concat();
    let pictures = output_of("ffmpeg", &[&from_url[..], &decode, &copy].concat());
    let from_file = [&seek[..], &["-i", file.to_str().unwrap()]].concat();
    let expected = hashes(&output_of("ffmpeg", &[&from_file[..], &decode].concat()));
    let got = hashes(&pictures);
    assert!(got.len() >= 15, "{transport}: {} pictures", got.len());
    assert!(expected.ends_with(&got), "{transport}: {} of {}", got.len(), expected.len());
    // The first of a range FFmpeg dates wrongly, or not at all, whatever the numbers are.
    let pictures = times(&pictures);
    assert_steady(&format!("{transport}: pictures"), &pictures[1..]);
    let (end, last) = (f64::from(LATE) + 1.0, pictures.last().unwrap());
    assert!((end - last).abs() < 1.0, "{transport}: {last} is the last time of {end}");
    let units = times(&fs::read_to_string(units).unwrap());
    assert_steady(&format!("{transport}: audio"), &units[1..]);
}

/// The times of a framemd5 listing, in seconds.
fn times(listing: &str) -> Vec<f64> {
    let base = listing.lines().find_map(|line| line.strip_prefix("#tb 0: ")).unwrap();
    let (numerator, denominator) = base.split_once('/').unwrap();
    let tick = numerator.parse::<f64>().unwrap() / denominator.parse::<f64>().unwrap();
    let lines = listing.lines().filter(|line| !line.starts_with('#'));
    let ticks = lines.filter_map(|line| line.split(',').nth(2)?.trim().parse::<f64>().ok());
    ticks.map(|ticks| ticks * tick).collect()
}

/// GStreamer plays a title of two seconds: the times of what it depayloads.
fn play_by_gstreamer(transport: &str, url: &str) {
    for (media, depayload) in [("video", "rtph264depay"), ("audio", "rtpmp4gdepay")] {
        let pipeline = format!(
            "rtspsrc location={url} protocols={transport} latency=500 \
             ! application/x-rtp,media={media} ! {depayload} ! identity silent=false ! fakesink"
        );
        let ended = gst_launch(&format!("-v {pipeline}"));
        let text = String::from_utf8_lossy(&ended.stdout);
        let seen: Vec<f64> = text.lines().filter_map(time_of_message).collect();
        let what = format!("{transport}: {media} by GStreamer");
        let told: Vec<&str> = text.lines().filter(|line| !line.contains("stats = ")).collect();
        let (status, errors) = (ended.status, String::from_utf8_lossy(&ended.stderr));
        assert!(seen.len() >= 40, "{what}: {} of {told:#?}{errors}{status}", seen.len());
        assert_steady(&what, &seen);
    }
}

/// The `pts: 0:00:01.234567890` of a buffer that `identity` tells of.
fn time_of_message(line: &str) -> Option<f64> {
    let (_, time) = line.split_once("pts: ")?;
    let mut parts = time.split([',', ' ']).next()?.split(':');
    let mut part = || parts.next()?.parse::<f64>().ok();
    Some((part()? * 60.0 + part()?) * 60.0 + part()?)
}

/// Times go on without a jump; pictures may be shown in another order than they are decoded.
fn assert_steady(what: &str, times: &[f64]) {
    let jump = times.windows(2).find(|pair| (pair[1] - pair[0]).abs() > STEP_SECONDS_MAX);
    assert_eq!(jump, None, "{what} of {}", times.len());
    let (first, last) = (times.first().unwrap(), times.last().unwrap());
    assert!(last - first > 1.0, "{what}: from {first} to {last}");
}

/// The file of the minute, again and again.
fn thirteen_hours(directory: &Path) -> PathBuf {
    let minute = SMALL_MINUTE.make();
    let path = directory.join("long.mp4");
    let repeat = (MINUTES - 1).to_string();
    let (from, to) = (minute.to_str().unwrap(), path.to_str().unwrap());
    output_of("ffmpeg", &["-v", "error", "-stream_loop", &repeat, "-i", from, "-c", "copy", to]);
    path
}

/// A server in this process, because none can be told by a flag where numbers start.
struct Server {
    address: SocketAddr,
    thread: JoinHandle<()>,
    _ports: Ports,
}

impl Server {
    fn start(media: &Path) -> Self {
        let file = media.join("reelring.toml");
        let media = media.to_str().unwrap();
        let ports = Ports::take();
        let rtp_ports = ports.rtp();
        let text = format!(
            "media = [{media:?}]\nlisten = [\"127.0.0.1:0\"]\nrtp-ports = \"{rtp_ports}\"\n\
             shards = 2\nmemory = \"512MiB\"\ndrain-deadline = \"1s\"\n"
        );
        fs::write(&file, text).unwrap();
        let config = RawConfig::from_file(&file).unwrap().check(&Host::look()).unwrap();
        let (told, ready) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            serve_numbered(config, Some(FIRST), |addresses| told.send(addresses[0]).unwrap())
                .unwrap();
        });
        Self { address: ready.recv().unwrap(), thread, _ports: ports }
    }

    /// Ends it as its operator would.
    fn end(self) {
        let own = std::process::id().to_string();
        assert!(Command::new("kill").args(["-TERM", &own]).status().unwrap().success());
        self.thread.join().unwrap();
    }
}
