//! What a title's frames are, by ffmpeg's judgement of the file itself, and what a player got.

use super::players::output_of;
use std::path::Path;

/// Hashes of a title's frames in the order they are shown or heard.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Frames {
    /// Decoded pictures.
    pub(crate) video: Vec<String>,
    /// Coded audio access units.
    pub(crate) audio_units: Vec<String>,
    /// Decoded audio, an access unit each.
    pub(crate) audio: Vec<String>,
}

/// Edit lists cut frames and skip samples on the side of the player; RTP carries what the file
/// has, so the file is read that way too.
const WHOLE: [&str; 4] = ["-flags2", "+skip_manual", "-ignore_editlist", "1"];

impl Frames {
    /// The frames of a file, decoded directly.
    pub(crate) fn of_file(path: &Path) -> Self {
        let path = path.to_str().unwrap();
        let probe = ["-v", "error", "-show_entries", "stream=codec_type", "-of", "csv=p=0", path];
        let kinds = output_of("ffprobe", &probe);
        let has_edits = [".mp4", ".mov", ".3gp"].iter().any(|end| path.ends_with(end));
        let options = if has_edits { &WHOLE[..] } else { &WHOLE[..2] };
        Self::decode(options, path, kinds.contains("video"), kinds.contains("audio"))
    }

    /// The frames that ffmpeg gets from the URL of a title that has such frames as `reference`.
    pub(crate) fn of_url(transport: &str, url: &str, reference: &Self) -> Self {
        let options = ["-flags2", "+skip_manual", "-rtsp_transport", transport];
        let (video, audio) = (&reference.video, &reference.audio);
        Self::decode(&options, url, !video.is_empty(), !audio.is_empty())
    }

    /// Coded and decoded frames in one run of ffmpeg.
    fn decode(options: &[&str], input: &str, video: bool, audio: bool) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
        let (pictures, units, sound) = (path("pictures"), path("units"), path("sound"));
        let mut arguments = vec!["-v", "error"];
        arguments.extend(options);
        arguments.extend(["-i", input]);
        if video {
            let map = ["-map", "0:v:0", "-vsync", "passthrough", "-f", "framemd5", &pictures];
            arguments.extend(map);
        }
        if audio {
            arguments.extend(["-map", "0:a:0", "-c", "copy", "-f", "framemd5", &units]);
            arguments.extend(["-map", "0:a:0", "-f", "framemd5", &sound]);
        }
        output_of("ffmpeg", &arguments);
        let read = |path: &str| hashes(&std::fs::read_to_string(path).unwrap_or_default());
        Self { video: read(&pictures), audio_units: read(&units), audio: read(&sound) }
    }

    /// Checks that a player got all frames of the title, `self`, and nothing else.
    ///
    /// Pictures must be the same from the first to the last. Audio access units before normal play
    /// time 0 are the encoder's priming, which an edit list cuts off: as many of them as
    /// `priming_max` may be missing in front. Decoded audio must be the same from the second
    /// access unit on: the first one's samples also need the unit before it, which one reader may
    /// have and the other not.
    pub(crate) fn assert_played(&self, name: &str, got: &Self, priming_max: usize) {
        assert_same(&format!("{name}: pictures"), &self.video, &got.video);
        let missing = self.audio_units.len().saturating_sub(got.audio_units.len());
        assert!(missing <= priming_max, "{name}: {missing} audio units are missing");
        let units = &self.audio_units[missing..];
        assert_same(&format!("{name}: audio units"), units, &got.audio_units);
        if !self.audio.is_empty() && !got.audio.is_empty() {
            let sound = &self.audio[missing + 1..];
            assert_same(&format!("{name}: decoded audio"), sound, &got.audio[1..]);
        }
    }
}

/// Checks two lists of hashes; says where they part, and not all that is in them.
pub(crate) fn assert_same(what: &str, expected: &[String], got: &[String]) {
    let parted = expected.iter().zip(got).position(|(expected, got)| expected != got);
    let (expected, got) = (expected.len(), got.len());
    assert!(
        parted.is_none() && expected == got,
        "{what}: {got} of {expected}, first difference at {parted:?}"
    );
}

/// The hashes in a framemd5 listing.
pub(crate) fn hashes(listing: &str) -> Vec<String> {
    let lines = listing.lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| line.split(',').nth(5)).map(|hash| hash.trim().to_owned()).collect()
}
