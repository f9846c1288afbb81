//! `reelring-inspect` against ffprobe.

#![allow(clippy::unwrap_used, reason = "a test that fails")]

use serde_json::Value;
use std::path::Path;
use std::process::{Command, Output};

fn run(program: &str, arguments: &[&str]) -> Output {
    let output = Command::new(program).args(arguments).output();
    output.unwrap_or_else(|error| panic!("{program}: {error}"))
}

fn inspect(arguments: &[&str]) -> Output {
    run(env!("CARGO_BIN_EXE_reelring-inspect"), arguments)
}

fn generate(path: &Path) {
    let path = path.to_str().unwrap();
    let arguments = "-v error -f lavfi -i testsrc2=s=320x240:r=30000/1001:d=3 \
        -f lavfi -i sine=d=3:sample_rate=44100 -ac 2 -c:v libx264 -bf 2 -g 30 -c:a aac"
        .split_whitespace();
    let status = Command::new("ffmpeg").args(arguments).arg(path).status();
    assert!(status.expect("ffmpeg is needed").success());
}

/// What ffprobe says of every packet of a stream, edit lists applied as we apply them.
fn probe(path: &str, stream: &str) -> Vec<Value> {
    let output = run(
        "ffprobe",
        &["-v", "error", "-of", "json", "-show_packets", "-select_streams", stream, path],
    );
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    json["packets"].as_array().unwrap().clone()
}

fn seconds(value: &Value) -> f64 {
    value.as_str().unwrap().parse().unwrap()
}

#[test]
fn units_are_those_that_ffprobe_lists() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("bars.mp4");
    generate(&path);
    let path = path.to_str().unwrap();
    let output = inspect(&["--json", "--units", "1000", path]);
    assert!(output.status.success());
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    for (track, stream) in ["v:0", "a:0"].into_iter().enumerate() {
        let track = &report["tracks"][track];
        let units = track["units"].as_array().unwrap();
        let packets = probe(path, stream);
        assert_eq!(units.len(), packets.len(), "{stream}");
        assert_eq!(track["unit_count"], packets.len());
        let mut sync_count = 0;
        for (unit, packet) in units.iter().zip(&packets) {
            assert_eq!(unit["bytes"].to_string(), packet["size"].as_str().unwrap());
            let sync = packet["flags"].as_str().unwrap().starts_with('K');
            sync_count += u64::from(sync);
            assert_eq!(unit["sync"], sync);
            for (ours, theirs) in [("decode_ms", "dts_time"), ("composition_ms", "pts_time")] {
                let difference = unit[ours].as_f64().unwrap() - seconds(&packet[theirs]) * 1000.0;
                assert!(difference.abs() < 0.01, "{stream} {unit} {packet}");
            }
        }
        assert_eq!(track["sync_count"], sync_count);
        let packets: u64 = units
            .iter()
            .flat_map(|unit| unit["trains"].as_array().unwrap())
            .map(|train| train["packet_count"].as_u64().unwrap())
            .sum();
        assert!(packets > 0);
    }
    let text = inspect(&[path]);
    let text = String::from_utf8(text.stdout).unwrap();
    assert!(text.contains("a=rtpmap:96 H264/90000") && text.contains("track 2: AAC"), "{text}");
}

#[test]
fn a_playlist_has_the_units_of_its_files_one_after_another() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    generate(Path::new(&path("one 1.mp4")));
    std::fs::copy(path("one 1.mp4"), path("two.mp4")).unwrap();
    std::fs::write(path("list.m3u8"), "#EXTM3U\r\none%201.mp4\r\n/two.mp4\r\n").unwrap();
    let report = |name: &str| -> Value {
        let output = inspect(&["--json", "--units", "1000", &path(name)]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    };
    let (one, both) = (report("one 1.mp4"), report("list.m3u8"));
    for track in 0..2 {
        let units = |report: &Value| {
            let units = report["tracks"][track]["units"].as_array().unwrap().clone();
            units.iter().map(|unit| unit["bytes"].as_u64().unwrap()).collect::<Vec<_>>()
        };
        assert!(units(&one).len() > 80, "{one}");
        assert_eq!(units(&both), [units(&one), units(&one)].concat(), "track {track}");
    }
    assert_eq!(both["file_bytes"].as_u64(), one["file_bytes"].as_u64().map(|bytes| bytes * 2));
    std::fs::write(path("list.m3u8"), "two.mp4\nnone.mp4").unwrap();
    let output = inspect(&[&path("list.m3u8")]);
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(
        !output.status.success() && error.contains("line 2 (\"none.mp4\"): No such"),
        "{error}"
    );
}

#[test]
fn files_that_cannot_be_played_are_named_with_the_reason() {
    for (path, reason) in [
        ("/nonexistent.mp4", "No such file"),
        ("/tmp", "not a regular file"),
        // Cargo runs tests in the package's directory.
        ("tests/inspect.rs", "known format"),
    ] {
        let output = inspect(&[path]);
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{path}");
        assert!(error.contains(path) && error.contains(reason), "{error}");
    }
}
