//! Titles of every container and codec that ffmpeg makes here and plays: over UDP and TCP, what it
//! decodes is compared with the file decoded directly.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "helpers of tests are tests")]

mod support;

use std::path::{Path, PathBuf};
use support::frames::{Frames, assert_same};
use support::players::output_of;
use support::titles;
use support::{Server, alone, together};

/// How the sound of a title is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sound {
    /// It has none.
    None,
    /// By coded units, of which so many may be missing in front: an edit list or a header says
    /// that they are the encoder's priming, and are not played.
    Units(usize),
    /// By what its decoder makes of it: the file has headers that do not travel.
    Decoded,
    /// By there being some: units are cut elsewhere, or decoders start each in their way.
    Some,
}

/// A title: its name, what ffmpeg makes it of, and whether it has pictures.
struct Recipe(&'static str, &'static str, bool, Sound);

const PICTURES: &str = "-f lavfi -i testsrc2=size=352x288:rate=25:duration=3";
const TONE: &str = "-f lavfi -i sine=frequency=440:sample_rate=48000:duration=3";

/// Names say container and codecs.
const RECIPES: [Recipe; 28] = [
    Recipe("h264-aac.mkv", "-c:v libx264 -g 25 -c:a aac", true, Sound::Units(3)),
    Recipe("h265-opus.mkv", "-c:v libx265 -g 25 -bf 2 -c:a libopus", true, Sound::Units(3)),
    Recipe("mpeg4-mp3.mkv", "-c:v mpeg4 -g 25 -c:a libmp3lame", true, Sound::Some),
    Recipe("vp8-vorbis.webm", "-c:v libvpx -g 25 -c:a libvorbis", true, Sound::Units(3)),
    Recipe("vp9-opus.webm", "-c:v libvpx-vp9 -g 25 -speed 8 -c:a libopus", true, Sound::Units(3)),
    Recipe("h264-aac.ts", "-c:v libx264 -g 25 -c:a aac", true, Sound::Decoded),
    Recipe("h264-latm.ts", "-c:v libx264 -g 25 -c:a aac -mpegts_flags latm", true, Sound::Decoded),
    Recipe("h264-opus.ts", "-c:v libx264 -g 25 -c:a libopus", true, Sound::Units(0)),
    Recipe("h265-ac3.ts", "-c:v libx265 -g 25 -c:a ac3", true, Sound::Units(0)),
    Recipe("mpeg2-mp2.ts", "-c:v mpeg2video -g 25 -bf 2 -c:a mp2", true, Sound::Some),
    Recipe("mpeg2-ac3.vob", "-c:v mpeg2video -g 25 -bf 2 -c:a ac3", true, Sound::Units(0)),
    Recipe("mpeg1-mp2.mpg", "-c:v mpeg1video -g 25 -bf 2 -c:a mp2", true, Sound::Some),
    Recipe(
        "fragments.mp4",
        "-c:v libx264 -g 25 -c:a aac -movflags frag_keyframe+empty_moov",
        true,
        Sound::Units(3),
    ),
    Recipe("h265-aac.mp4", "-c:v libx265 -g 25 -tag:v hvc1 -c:a aac", true, Sound::Units(3)),
    Recipe(
        "mjpeg-pcm.mov",
        "-c:v mjpeg -huffman default -pix_fmt yuvj420p -c:a pcm_s16le",
        true,
        Sound::Some,
    ),
    Recipe("h263-amr.3gp", "-c:v h263 -g 25 -an", true, Sound::None),
    Recipe("h264-mp3.flv", "-c:v libx264 -g 25 -c:a libmp3lame -ar 44100", true, Sound::Some),
    Recipe("picture.264", "-c:v libx264 -g 25 -an", true, Sound::None),
    Recipe("picture.265", "-c:v libx265 -g 25 -an", true, Sound::None),
    Recipe("picture.ivf", "-c:v libvpx -g 25 -an", true, Sound::None),
    Recipe("sound.mp3", "-vn -c:a libmp3lame", false, Sound::Some),
    Recipe("sound.aac", "-vn -c:a aac", false, Sound::Decoded),
    Recipe("sound.latm", "-vn -c:a aac", false, Sound::Decoded),
    Recipe("sound.opus", "-vn -c:a libopus", false, Sound::Units(3)),
    Recipe("sound.ogg", "-vn -c:a libvorbis", false, Sound::Units(3)),
    Recipe("sound.ac3", "-vn -c:a ac3", false, Sound::Units(0)),
    Recipe("sound.wav", "-vn -c:a pcm_s16le", false, Sound::Some),
    Recipe("alaw.wav", "-vn -c:a pcm_alaw -ar 8000", false, Sound::Some),
];

impl Recipe {
    fn make(&self, directory: &Path) -> PathBuf {
        let path = directory.join(self.0);
        let arguments = format!("-v error -y {PICTURES} {TONE} {}", self.1);
        let mut arguments: Vec<&str> = arguments.split_whitespace().collect();
        let text = path.to_str().unwrap().to_owned();
        arguments.push(&text);
        output_of("ffmpeg", &arguments);
        path
    }
}

#[test]
fn ffmpeg_decodes_every_frame_of_every_format() {
    let _alone = alone();
    let directory = titles::directory().join("library");
    std::fs::create_dir_all(&directory).unwrap();
    let mut checks = Vec::new();
    for recipe in &RECIPES {
        let reference = Frames::of_file(&recipe.make(&directory));
        assert_eq!(reference.video.is_empty(), !recipe.2, "{}", recipe.0);
        for transport in ["udp", "tcp"] {
            let name = format!("{} over {transport}", recipe.0);
            checks.push((name, (recipe, transport, reference.clone())));
        }
    }
    let server = Server::start(&directory, &[]);
    together(checks, |name, (recipe, transport, reference)| {
        let got = Frames::of_url(transport, &server.url(recipe.0), &reference);
        assert_same(&format!("{name}: pictures"), &reference.video, &got.video);
        match recipe.3 {
            Sound::None => assert!(got.audio_units.is_empty()),
            Sound::Units(priming_max) => {
                let missing = reference.audio_units.len().saturating_sub(got.audio_units.len());
                assert!(missing <= priming_max, "{name}: {missing} units of sound are missing");
                let expected = &reference.audio_units[missing..];
                assert_same(&format!("{name}: sound"), expected, &got.audio_units);
            }
            Sound::Decoded => {
                let (expected, got) = (&reference.audio[1..], &got.audio[1..]);
                assert_same(&format!("{name}: sound"), expected, got);
            }
            Sound::Some => assert!(!got.audio.is_empty(), "{name}: no sound"),
        }
    });
}
