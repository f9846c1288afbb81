//! Playlists, played by ffmpeg: what it decodes is what it decodes of their files, one after
//! another.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "helpers of tests are tests")]

mod support;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Duration;
use support::frames::{Frames, assert_same, hashes};
use support::players::output_of;
use support::titles;
use support::{Server, alone, together};
use tools::client::{ClientError, RtspClient};

/// The parts of a programme: what they show, for how many seconds, and the pitch they sound.
const PARTS: [(&str, u32, u32); 3] =
    [("testsrc2", 2, 300), ("smptebars", 2, 500), ("testsrc", 1, 700)];
/// Pictures from one sync sample to the next, and in a second.
const GROUP: usize = 25;
const MP4: &str = "-c:v libx264 -preset veryfast -bf 2 -g 25 -sc_threshold 0 -pix_fmt yuv420p \
    -c:a aac -aac_pns 0 -ac 2 -f mp4";
const TRANSPORT_STREAM: &str = "-c:v mpeg2video -g 25 -bf 2 -c:a mp2 -f mpegts";
const OPUS: &str = "-vn -c:a libopus -f ogg";
/// Units of sound that may be missing in front: the encoder's priming.
const PRIMING_MAX: usize = 3;

/// Makes the parts in one format, as `PREFIX1.END` and so on.
fn make(directory: &Path, prefix: &str, end: &str, coding: &str) -> Vec<PathBuf> {
    let make_part = |(number, (shows, seconds, pitch)): (usize, &(&str, u32, u32))| {
        let path = directory.join(format!("{prefix}{number}.{end}"));
        let input = format!(
            "-v error -y -f lavfi -i {shows}=s=320x240:r=25:d={seconds} \
             -f lavfi -i sine={pitch}:d={seconds}:r=48000 {coding}"
        );
        let mut arguments: Vec<&str> = input.split_whitespace().collect();
        let text = path.to_str().unwrap().to_owned();
        arguments.push(&text);
        output_of("ffmpeg", &arguments);
        path
    };
    (1..).zip(&PARTS).map(make_part).collect()
}

/// The frames of all files, one after another.
fn frames_of(files: &[PathBuf]) -> Frames {
    let mut all = Frames::default();
    for file in files {
        let frames = Frames::of_file(file);
        all.video.extend(frames.video);
        all.audio_units.extend(frames.audio_units);
        all.audio.extend(frames.audio);
    }
    all
}

fn library(name: &str) -> PathBuf {
    let directory = titles::directory().join("playlists").join(name);
    fs::create_dir_all(&directory).unwrap();
    directory
}

#[test]
fn ffmpeg_decodes_the_files_one_after_another() {
    let _alone = alone();
    let directory = library("played");
    fs::create_dir_all(directory.join("films")).unwrap();
    let mp4 = make(&directory.join("films"), "part ", "mp4", MP4);
    let ts = make(&directory, "part", "ts", TRANSPORT_STREAM);
    let opus = make(&directory, "part", "opus", OPUS);
    let list = "\u{feff}#EXTM3U\r\n#EXTINF:2,One\r\nfilms/part%201.mp4\r\n\r\n\
        #EXTINF:2,Two\r\n/films/part 2.mp4\r\nfilms/part 3.mp4\r\n";
    fs::write(directory.join("films.m3u8"), list).unwrap();
    fs::write(directory.join("stream.txt"), "part1.ts\npart2.ts\npart3.ts\n").unwrap();
    fs::write(directory.join("sound.txt"), "part1.opus\npart2.opus\npart3.opus\n").unwrap();
    let server = Server::start(&directory, &[]);
    let checks = [
        ("films.m3u8", "udp", &mp4),
        ("films.m3u8", "tcp", &mp4),
        ("stream.txt", "udp", &ts),
        ("sound.txt", "tcp", &opus),
    ];
    let checks = checks.map(|(list, transport, files)| {
        (format!("{list} over {transport}"), (list, transport, frames_of(files)))
    });
    together(checks.into(), |name, (list, transport, files)| {
        let got = Frames::of_url(transport, &server.url(list), &files);
        assert_same(&format!("{name}: pictures"), &files.video, &got.video);
        if list == "stream.txt" {
            // Frames are cut elsewhere in a transport stream.
            assert!(!got.audio.is_empty(), "{name}: no sound");
            return;
        }
        let missing = files.audio_units.len().saturating_sub(got.audio_units.len());
        assert!(missing <= PRIMING_MAX, "{name}: {missing} units of sound are missing");
        assert_same(&format!("{name}: sound"), &files.audio_units[missing..], &got.audio_units);
    });
    seek_into_the_second(&server, &mp4[1]);
    let log = server.log();
    assert!(log.contains("films.m3u8") && log.contains("files=3"), "{log}");
}

/// The second part begins two units of sound or less behind its 2 s, and is asked for in its second
/// group of pictures.
fn seek_into_the_second(server: &Server, file: &Path) {
    let url = server.url("films.m3u8");
    let mut client = RtspClient::connect(&url, None).unwrap();
    let presentation = client.describe().unwrap();
    let nanos = presentation.duration.unwrap().nanos();
    assert!((5_000_000_000..5_100_000_000).contains(&nanos), "{nanos} ns");
    client.setup(&presentation.media[0], tools::client::Lower::Tcp).unwrap();
    let start = client.play(Some("npt=3.6-")).unwrap().range.start.nanos();
    assert!((3_000_000_000..3_050_000_000).contains(&start), "{start} ns");
    client.teardown().unwrap();
    let input = ["-v", "error", "-noaccurate_seek", "-ss", "3.6", "-i", &url];
    let output =
        ["-map", "0:v:0", "-vsync", "passthrough", "-frames:v", "20", "-f", "framemd5", "-"];
    let got = hashes(&output_of("ffmpeg", &[&input[..], &output].concat()));
    let expected = &Frames::of_file(file).video[GROUP..GROUP + 20];
    assert_same("pictures from the second file's second group on", expected, &got);
}

#[test]
fn a_playlist_that_cannot_be_played_is_refused_and_the_log_says_by_which_line() {
    let directory = library("refused");
    let [one, ..] = &make(&directory, "part", "mp4", MP4)[..] else { panic!("three") };
    let other = MP4.replace("-ac 2", "-ac 1");
    make(&directory, "mono", "mp4", &other);
    make(&directory, "mpeg2", "ts", TRANSPORT_STREAM);
    let outside = titles::directory().join("playlists/outside.mp4");
    fs::copy(one, outside).unwrap();
    let _ = fs::remove_file(directory.join("out.mp4"));
    symlink("../outside.mp4", directory.join("out.mp4")).unwrap();
    let cases = [
        (
            "codec",
            "part1.mp4\nmpeg2%31.ts",
            415,
            "line 2 (\"mpeg2%31.ts\"): track 1 is MPEG-1/2 video",
        ),
        (
            "channels",
            "part1.mp4\nmono1.mp4",
            415,
            "line 2 (\"mono1.mp4\"): track 2, AAC, has other",
        ),
        ("missing", "part1.mp4\n\nnone.mp4", 415, "line 3 (\"none.mp4\"): there is no such file"),
        ("parent", "../outside.mp4", 415, ""),
        ("link", "out.mp4", 415, ""),
        ("url", "http://host/a.mp4", 415, "line 1 (\"http://host/a.mp4\"): a URL"),
        ("nested", "url.txt", 415, ""),
        ("empty", "#EXTM3U\n", 415, "a playlist without a file name"),
        ("played", "part1.mp4\npart2.mp4", 200, "played.txt"),
    ];
    for (name, text, ..) in cases {
        fs::write(directory.join(format!("{name}.txt")), text).unwrap();
    }
    let server = Server::start(&directory, &[]);
    let status = |name: &str| {
        let mut client = RtspClient::connect(&server.url(name), None).unwrap();
        match client.describe() {
            Ok(_) => 200,
            Err(ClientError::Refused(reply)) => reply.status,
            Err(error) => panic!("{name}: {error}"),
        }
    };
    for (name, _, expected, message) in cases {
        // Of what is refused the log has a line a second, and tells when the name is asked for
        // anew.
        let is_told = support::poll(Duration::from_secs(5), || {
            assert_eq!(status(&format!("{name}.txt")), expected, "{name}");
            server.log().replace("\\\"", "\"").contains(message).then_some(())
        });
        assert!(is_told.is_some(), "{name}: {message} is not in\n{}", server.log());
    }
    assert_eq!(status("nothing.m3u8"), 404);
}
