//! Transport streams sent as they are (`--mp2t`), played by ffmpeg and GStreamer.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "helpers of tests are tests")]

mod support;

use std::path::{Path, PathBuf};
use support::frames::{Frames, assert_same, hashes};
use support::players::output_of;
use support::titles;
use support::{Server, alone, together};

const FILM: &str = "-v error -y -f lavfi -i testsrc2=size=352x288:rate=25:duration=8 \
    -f lavfi -i sine=duration=8 -c:v libx264 -g 25 -sc_threshold 0 -c:a mp2 -f mpegts";
/// Pictures at the end that ffmpeg gets and does not show: it waits for a packet behind them.
const UNFINISHED_MAX: usize = 2;

fn make(path: &Path, options: &str) {
    let arguments = format!("{FILM} {options}");
    let mut arguments: Vec<&str> = arguments.split_whitespace().collect();
    let text = path.to_str().unwrap().to_owned();
    arguments.push(&text);
    output_of("ffmpeg", &arguments);
}

fn library() -> PathBuf {
    let directory = titles::directory().join("mp2t");
    std::fs::create_dir_all(&directory).unwrap();
    directory
}

#[test]
fn ffmpeg_and_gstreamer_take_transport_streams_apart() {
    let _alone = alone();
    let directory = library();
    make(&directory.join("film.ts"), "");
    make(&directory.join("film.m2ts"), "-mpegts_m2ts_mode 1");
    let server = Server::start(&directory, &["--mp2t"]);
    let reference = Frames::of_file(&directory.join("film.ts"));
    let checks = [("film.ts", "udp"), ("film.ts", "tcp"), ("film.m2ts", "tcp")];
    let mut checks: Vec<_> = checks.map(|check| (format!("{check:?}"), check)).into();
    checks.push(("a seek".to_owned(), ("film.ts", "seek")));
    checks.push(("GStreamer".to_owned(), ("film.ts", "gstreamer")));
    together(checks, |name, (title, how)| {
        let url = server.url(title);
        if how == "gstreamer" {
            return gstreamer_writes_the_file(&url, &directory.join(title));
        }
        let got = match how {
            "seek" => seek(&url),
            transport => Frames::of_url(transport, &url, &reference).video,
        };
        let begins = reference.video.iter().position(|hash| Some(hash) == got.first());
        let begins = begins.unwrap_or_default();
        // ffmpeg adds the film's first time stamp to what it seeks.
        let groups = if how == "seek" { 75..=125 } else { 0..=0 };
        assert!(groups.contains(&begins) && begins % 25 == 0, "{name} begins at {begins}");
        let expected = &reference.video[begins..];
        let shown = got.len().max(expected.len().saturating_sub(UNFINISHED_MAX));
        assert_same(name, &expected[..shown], &got);
    });
}

/// Pictures from 3.5 s on, those of the group before as well.
fn seek(url: &str) -> Vec<String> {
    let arguments = format!(
        "-v error -rtsp_transport tcp -noaccurate_seek -ss 3.5 -i {url} -map 0:v -vsync passthrough \
         -f framemd5 -"
    );
    hashes(&output_of("ffmpeg", &arguments.split_whitespace().collect::<Vec<_>>()))
}

/// What its depayloader gives is the file, packet by packet.
fn gstreamer_writes_the_file(url: &str, file: &Path) {
    let directory = tempfile::tempdir().unwrap();
    let output = directory.path().join("received");
    let pipeline = format!(
        "-q rtspsrc location={url} protocols=tcp ! rtpmp2tdepay ! filesink location={}",
        output.display()
    );
    output_of("gst-launch-1.0", &pipeline.split_whitespace().collect::<Vec<_>>());
    let (received, file) = (std::fs::read(output).unwrap(), std::fs::read(file).unwrap());
    assert!(received == file, "{} bytes of {}", received.len(), file.len());
}
