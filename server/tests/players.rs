//! FFmpeg plays the sample from the whole server: every frame of it, over UDP and over TCP.

#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::path::Path;
use std::process::Command;
use support::Server;

#[test]
fn ffmpeg_gets_every_frame_of_the_sample_over_udp_and_tcp() {
    let sample = concat!(env!("CARGO_MANIFEST_DIR"), "/sample/sample.mp4");
    assert!(Path::new(sample).exists());
    let expected = decoded(&["-ignore_editlist", "1", "-i", sample]);
    assert!(expected.len() > 100, "{} frames", expected.len());
    let server = Server::start(100);
    let url = format!("rtsp://{}/sample.mp4", server.address);
    std::thread::scope(|scope| {
        for transport in ["udp", "tcp"] {
            let (url, expected) = (&url, &expected);
            scope.spawn(move || {
                let played = decoded(&["-rtsp_transport", transport, "-i", url]);
                assert_eq!(played.len(), expected.len(), "{transport}");
                assert!(played == *expected, "{transport}: frames differ");
            });
        }
    });
    server.stop();
}

/// Hashes of the video frames that FFmpeg decodes.
fn decoded(input: &[&str]) -> Vec<String> {
    let output = Command::new("ffmpeg")
        .args(["-nostdin", "-v", "error"])
        .args(input)
        .args(["-map", "0:v", "-fps_mode", "passthrough", "-f", "framemd5", "-"])
        .output()
        .expect("ffmpeg is installed");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let frames = text.lines().filter(|line| !line.starts_with('#'));
    frames.map(|line| line.rsplit(',').next().unwrap().trim().to_owned()).collect()
}
