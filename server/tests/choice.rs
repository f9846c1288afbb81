//! What the query of a title's URL chooses, by other people's players: tracks, and loops.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "helpers of tests are tests")]

mod support;

use std::path::{Path, PathBuf};
use support::frames::{Frames, assert_same, hashes};
use support::players::{gst_launch, output_of};
use support::titles::{self, SHORT};
use support::{Server, alone, full, together};
use tempfile::TempDir;

/// Two languages, the second of which is the one to play unless another is chosen.
const TWO_LANGUAGES: &str = "-f lavfi -i testsrc2=s=320x240:r=25:d=2 \
    -f lavfi -i sine=300:b=4:d=2:r=48000 -f lavfi -i sine=500:b=4:d=2:r=48000 \
    -map 0:v -map 1:a -map 2:a -metadata:s:a:0 language=eng -metadata:s:a:1 language=ger \
    -disposition:a:0 0 -disposition:a:1 default \
    -c:v libx264 -preset veryfast -bf 2 -g 25 -c:a aac -aac_pns 0 -ac 2";
/// Units of sound that may be missing in front: the encoder's priming.
const PRIMING_MAX: usize = 3;

fn ffmpeg(arguments: &str, path: &Path) {
    let arguments = format!("-v error -y {arguments}");
    let text = path.to_str().unwrap().to_owned();
    let mut arguments: Vec<&str> = arguments.split_whitespace().collect();
    arguments.push(&text);
    output_of("ffmpeg", &arguments);
}

/// The film in a container, and what is to be heard in English and in German.
fn film(directory: &Path, end: &str) -> (String, [Frames; 2]) {
    let name = format!("languages.{end}");
    let path = directory.join(&name);
    ffmpeg(TWO_LANGUAGES, &path);
    let heard = [0, 1].map(|language| {
        let alone = directory.join(format!("language{language}.{end}"));
        let film = path.to_str().unwrap();
        ffmpeg(&format!("-i {film} -map 0:v -map 0:a:{language} -c copy"), &alone);
        Frames::of_file(&alone)
    });
    (name, heard)
}

fn library() -> PathBuf {
    let directory = titles::directory().join("choice");
    std::fs::create_dir_all(&directory).unwrap();
    directory
}

#[test]
fn players_get_the_tracks_that_the_url_chooses() {
    let _alone = alone();
    let directory = library();
    let mut checks = Vec::new();
    for end in ["mkv", "mp4"] {
        let (name, [english, german]) = film(&directory, end);
        assert_ne!(english.audio_units, german.audio_units);
        for (query, expected) in [
            ("", &german), // the default comes first
            ("?audio=eng", &english),
            ("?audio=DE&x=y/z", &german),
            ("?audio=2", &english),
            ("?track=1,2", &german),
        ] {
            if end == "mp4" && query.len() > "?audio=eng".len() {
                continue; // what differs is who comes first, and how languages are written
            }
            for transport in ["udp", "tcp"] {
                let check = (format!("{name}{query}"), transport, expected.clone());
                checks.push((format!("{name}{query} over {transport}"), check));
            }
        }
    }
    let server = Server::start(&directory, &[]);
    together(checks, |what, (title, transport, expected)| {
        let got = Frames::of_url(transport, &server.url(&title), &expected);
        expected.assert_played(what, &got, PRIMING_MAX);
    });
    for (query, kinds) in [
        ("", "video\naudio\naudio\n"),
        ("?audio=none", "video\n"),
        ("?video=none&audio=en", "audio\n"),
        ("?track=3", "audio\n"),
    ] {
        let url = server.url(&format!("languages.mkv{query}"));
        let show = ["-show_entries", "stream=codec_type", "-of", "default=nw=1:nk=1", &url];
        assert_eq!(output_of("ffprobe", &[&["-v", "error"][..], &show].concat()), kinds, "{query}");
    }
}

#[test]
fn gstreamer_gets_the_language_that_the_url_chooses() {
    let _alone = alone();
    let directory = library();
    let (name, heard) = film(&directory, "mkv");
    let server = Server::start(&directory, &[]);
    let checks = [("en", "udp", &heard[0]), ("de", "tcp", &heard[1])];
    let checks = checks.map(|check| (check.0.to_owned(), check)).into();
    together(checks, |what, (language, protocol, expected)| {
        let directory = TempDir::new().unwrap();
        let sound = directory.path().join("sound.aac");
        let sound = sound.to_str().unwrap();
        let url = server.url(&format!("{name}?audio={language}&video=none"));
        gst_launch(&format!(
            "-q rtspsrc location={url} protocols={protocol} latency=500 ! rtpmp4gdepay \
             ! identity single-segment=true ! aacparse ! audio/mpeg,stream-format=adts \
             ! filesink location={sound}"
        ));
        let got = listing(&["-i", sound, "-c", "copy", "-bsf:a", "aac_adtstoasc"]);
        let missing = expected.audio_units.len().saturating_sub(got.len());
        assert!(missing <= PRIMING_MAX, "{what}: {missing} units are missing");
        assert_same(what, &expected.audio_units[missing..], &got);
    });
}

fn listing(arguments: &[&str]) -> Vec<String> {
    let all = [&["-v", "error"], arguments, &["-f", "framemd5", "-"]].concat();
    hashes(&output_of("ffmpeg", &all))
}

/// Two seconds are played two and a half times; with `REELRING_FULL=1` eight, for twenty.
#[test]
fn players_go_on_over_the_end_of_a_loop() {
    let _alone = alone();
    let (name, seconds) = if full() {
        ffmpeg(
            "-f lavfi -i testsrc2=s=320x240:r=25:d=8 -f lavfi -i sine=300:b=4:d=8:r=48000 \
             -c:v libx264 -preset veryfast -bf 2 -g 25 -c:a aac -ac 2",
            &titles::directory().join("eight.mp4"),
        );
        ("eight.mp4", 20)
    } else {
        SHORT.make();
        (SHORT.name, 5)
    };
    let title = Frames::of_file(&titles::directory().join(name)).video;
    let server = Server::start(&titles::directory(), &[]);
    let players = ["ffmpeg udp", "ffmpeg tcp", "gstreamer udp", "gstreamer tcp"];
    together(players.map(|player| (player.to_owned(), player)).into(), |what, player| {
        let (program, transport) = player.split_once(' ').unwrap();
        let directory = TempDir::new().unwrap();
        let got = match program {
            "ffmpeg" => {
                let url = server.url(&format!("{name}?loop=1"));
                let length = seconds.to_string();
                let input = ["-rtsp_transport", transport, "-i", &url, "-map", "0:v:0"];
                listing(&[&input[..], &["-t", &length, "-vsync", "passthrough"]].concat())
            }
            _ => {
                let video = directory.path().join("video.h264");
                let video = video.to_str().unwrap();
                let url = server.url(&format!("{name}?loop=1&audio=none"));
                gst_launch(&format!(
                    "-q rtspsrc location={url} protocols={transport} latency=500 \
                     ! rtph264depay ! h264parse \
                     ! video/x-h264,stream-format=byte-stream,alignment=au \
                     ! identity eos-after={} ! filesink location={video}",
                    seconds * 25
                ));
                listing(&["-i", video, "-vsync", "passthrough"])
            }
        };
        // Sound that goes beyond the end lets the next round wait for it, by two pictures at most;
        // what is cut off in the middle of a group may lack its last pictures.
        let count = got.len();
        assert!((seconds * 25 - 10..=seconds * 25 + 1).contains(&count), "{what}: {count}");
        let expected: Vec<String> = title.iter().cycle().take(count).cloned().collect();
        // The last picture but two may be one that is shown later.
        assert_same(what, &expected[..count - 3], &got[..count - 3]);
    });
}
