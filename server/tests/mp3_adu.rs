//! Layer III sent as application data units (`--mp3-adu`, RFC 5219), played by ffmpeg.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "helpers of tests are tests")]

mod support;

use std::path::PathBuf;
use support::frames::{Frames, assert_same, hashes};
use support::players::output_of;
use support::titles;
use support::{Server, alone, together};

/// Noise that comes and goes, so that frames borrow from those before.
const SOUND: &str = "-f lavfi -i anoisesrc=duration=4:amplitude=0.6:seed=1,tremolo=f=3:d=0.95";
const PICTURES: &str = "-f lavfi -i testsrc2=size=352x288:rate=25:duration=4";

fn library() -> PathBuf {
    let directory = titles::directory().join("mp3-adu");
    std::fs::create_dir_all(&directory).unwrap();
    let film = format!("{PICTURES} {SOUND} -c:v libx264 -g 25 -c:a libmp3lame -ac 2");
    for (name, options) in [
        ("song.mp3", format!("{SOUND} -c:a libmp3lame -ac 2 -b:a 64k")),
        ("film.mp4", format!("{film} -b:a 64k -movflags +faststart")),
        ("film.ts", format!("{film} -b:a 96k")),
        ("speech.mp2", format!("{SOUND} -c:a mp2 -ac 1 -b:a 64k")),
    ] {
        let path = directory.join(name);
        let mut arguments = vec!["-v", "error", "-y"];
        arguments.extend(options.split_whitespace());
        arguments.push(path.to_str().unwrap());
        output_of("ffmpeg", &arguments);
    }
    directory
}

#[test]
fn ffmpeg_hears_the_file() {
    let _alone = alone();
    let directory = library();
    let server = Server::start(&directory, &["--mp3-adu"]);
    let checks = [
        ("song.mp3", "udp", "mp3adu"),
        ("song.mp3", "seek", "mp3adu"),
        ("film.mp4", "tcp", "mp3adu"),
        ("film.ts", "udp", "mp3adu"),
        ("speech.mp2", "tcp", "mp2"),
    ];
    let checks = checks.map(|check| (format!("{check:?}"), check)).into();
    together(checks, |name, (title, how, codec)| {
        let (url, path) = (server.url(title), directory.join(title));
        assert_eq!(sound_codec(&url), codec, "{name}");
        let reference = Frames::of_file(&path);
        if how == "seek" {
            return seeks_to_whole_sound(name, &url, &reference.audio);
        }
        let got = Frames::of_url(how, &url, &reference);
        assert_same(name, &reference.audio, &got.audio);
        assert_same(name, &reference.video, &got.video);
    });
    let log = server.log();
    let told: Vec<_> = log.lines().filter(|line| line.contains("not layer III")).collect();
    assert!(!told.is_empty() && told.iter().all(|line| line.contains("speech.mp2")), "{told:?}");
}

/// What ffmpeg takes a title's sound for.
fn sound_codec(url: &str) -> String {
    let arguments = ["-v", "error", "-rtsp_transport", "tcp", "-select_streams", "a"];
    let show = ["-show_entries", "stream=codec_name", "-of", "csv=p=0", url];
    output_of("ffprobe", &[&arguments[..], &show].concat()).trim().to_owned()
}

/// Sound from 2 s on is the file's but for the first frame, to which half of the one before
/// belongs. (In its frames, two or three would be missing: those whose main data begins before.)
fn seeks_to_whole_sound(name: &str, url: &str, file: &[String]) {
    let arguments =
        format!("-v error -rtsp_transport tcp -noaccurate_seek -ss 2 -i {url} -f framemd5 -");
    let got = hashes(&output_of("ffmpeg", &arguments.split_whitespace().collect::<Vec<_>>()));
    assert!((70..85).contains(&got.len()), "{name}: {} of {} frames", got.len(), file.len());
    assert_same(name, &file[file.len() - got.len() + 1..], &got[1..]);
}
