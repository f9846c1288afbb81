//! Tracks that are sent as their hint tracks plan it, received by other people's players.
//!
//! The files are those that came with Darwin Streaming Server. Of all but one the codecs are known:
//! copies that name them otherwise are sent as planned, and must be what the file itself decodes
//! to. The remaining one has pictures and sound of codecs that nothing but its hint tracks says how
//! to send.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "helpers of tests are tests")]

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use support::frames::{assert_same, hashes};
use support::players::{output_of, run, run_for};
use support::{Server, alone, titles, together};

const FOLDER: &str = "darwin-streaming-server";
/// Pictures and sound of codecs that no payload format carries.
const SORENSON: &str = "sample_300kbit.mov";
const OTHERS: [&str; 4] = [
    "sample_100kbit.mp4",
    "sample_50kbit.3gp",
    "sample_h264_100kbit.mp4",
    "sample_h264_300kbit.mp4",
];
/// Seconds of each file that are played.
const SECONDS: &str = "3";
const GSTREAMER_SECONDS: u32 = 6;
/// Some packets are as large as Ethernet carries.
const LARGE: [&str; 2] = ["--packet-bytes", "1472"];

#[test]
fn players_get_what_is_in_the_files() {
    let Some(root) = titles::shared_media() else { return };
    let _alone = alone();
    let originals = root.join(FOLDER);
    let directory = library(&originals);
    let server = Server::start(&directory, &LARGE);
    let mut checks: Vec<_> = OTHERS
        .into_iter()
        .flat_map(|name| ["udp", "tcp"].map(|how| (format!("{name} {how}"), (name, how))))
        .collect();
    checks.push(("pictures".to_owned(), (SORENSON, "pictures")));
    checks.push(("sound".to_owned(), (SORENSON, "sound")));
    together(checks, |name, (title, how)| {
        let (url, original) = (server.url(title), originals.join(title));
        match how {
            "pictures" => gstreamer_gets_the_pictures(&url, &original),
            "sound" => ffmpeg_gets_the_sound(&url, &original),
            transport => ffmpeg_decodes_the_same(name, &url, &original, transport),
        }
    });
}

/// What does not fit the datagrams that are allowed is refused, so that clients ask for the
/// connection instead.
#[test]
fn packets_too_large_for_datagrams_go_in_the_connection() {
    let Some(root) = titles::shared_media() else { return };
    let _alone = alone();
    let server = Server::start(&root.join(FOLDER), &[]);
    let url = server.url(SORENSON);
    let play = |options: &[&str]| {
        let mut arguments = vec!["-nostdin", "-v", "error"];
        arguments.extend(options);
        arguments.extend(["-i", &url, "-map", "0:a:0", "-c", "copy", "-t", "1", "-f", "data", "-"]);
        run("ffmpeg", &arguments)
    };
    let refused = play(&["-rtsp_transport", "udp"]);
    let errors = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && refused.stdout.is_empty(), "{errors}");
    assert!(errors.contains("461"), "{errors}");
    let played = play(&[]);
    assert!(played.status.success() && !played.stdout.is_empty());
}

/// Copies of the files, the codecs of whose media nobody knows.
fn library(originals: &Path) -> PathBuf {
    let directory = titles::directory().join("hinted");
    fs::create_dir_all(&directory).unwrap();
    for name in OTHERS {
        let mut file = fs::read(originals.join(name)).unwrap();
        let starts = |at: &usize| file[*at..].starts_with(b"stsd");
        let descriptions: Vec<usize> = (0..file.len() - 20).filter(starts).collect();
        let mut hidden = 0;
        for at in descriptions {
            let codec = &mut file[at + 16..at + 20];
            if codec != b"rtp " {
                codec.copy_from_slice(b"zzzz");
                hidden += 1;
            }
        }
        assert_eq!(hidden, 2, "{name}");
        fs::write(directory.join(name), file).unwrap();
    }
    fs::copy(originals.join(SORENSON), directory.join(SORENSON)).unwrap();
    directory
}

fn ffmpeg_decodes_the_same(name: &str, url: &str, original: &Path, transport: &str) {
    let expected = decoded(&["-ignore_editlist", "1"], original.to_str().unwrap());
    let got = decoded(&["-rtsp_transport", transport], url);
    for (kind, expected, got) in
        [("pictures", &expected[0], &got[0]), ("units of sound", &expected[1], &got[1])]
    {
        // The last one may come a little later than it is shown.
        let count = expected.len().min(got.len());
        assert!(count > 20 && expected.len() - count <= 2, "{name}: {count} {kind}");
        assert_same(&format!("{name}: {kind}"), &expected[..count], &got[..count]);
    }
}

/// Hashes of decoded pictures and of coded sound.
fn decoded(options: &[&str], input: &str) -> [Vec<String>; 2] {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    let (pictures, sound) = (path("pictures"), path("sound"));
    let mut arguments = vec!["-nostdin", "-v", "error", "-flags2", "+skip_manual"];
    arguments.extend(options);
    arguments.extend(["-i", input, "-map", "0:v:0", "-vsync", "passthrough", "-t", SECONDS]);
    arguments.extend(["-f", "framemd5", &pictures, "-map", "0:a:0", "-c", "copy"]);
    arguments.extend(["-t", SECONDS, "-f", "framemd5", &sound]);
    output_of("ffmpeg", &arguments);
    [pictures, sound].map(|path| hashes(&fs::read_to_string(path).unwrap()))
}

/// All bytes of a stream's units in the file.
fn coded(original: &Path, stream: &str) -> Vec<u8> {
    let original = original.to_str().unwrap();
    let arguments = ["-v", "error", "-ignore_editlist", "1", "-i", original, "-map", stream];
    let arguments = [&arguments[..], &["-c", "copy", "-f", "data", "-"]].concat();
    run("ffmpeg", &arguments).stdout
}

/// Units as rtpsv3vdepay puts them together, for some seconds: it has no end of its own.
fn gstreamer_gets_the_pictures(url: &str, original: &Path) {
    /// Now and then it links its own elements not, or twice.
    const STARTS_MAX: usize = 3;
    const BYTES_MIN: usize = 20_000;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("pictures");
    let pipeline = format!(
        "rtspsrc location={url} protocols=udp name=source \
         source. ! application/x-rtp,media=video ! rtpsv3vdepay \
         ! filesink buffer-mode=unbuffered location={} \
         source. ! application/x-rtp,media=audio ! fakesink",
        path.display()
    );
    let arguments: Vec<&str> = ["-q"].into_iter().chain(pipeline.split_whitespace()).collect();
    let play = || {
        run_for(GSTREAMER_SECONDS, "gst-launch-1.0", &arguments);
        fs::read(&path).unwrap_or_default()
    };
    let got = (0..STARTS_MAX).map(|_| play()).find(|got| got.len() > BYTES_MIN);
    let got = got.expect("pictures");
    assert!(coded(original, "0:v:0").starts_with(&got), "{} bytes, but others", got.len());
}

/// Blocks of QDM2 as ffmpeg puts them together. What a block consists of comes sorted, as it was
/// planned, and ffmpeg writes another header: so the parts are compared.
fn ffmpeg_gets_the_sound(url: &str, original: &Path) {
    const BLOCK_BYTES: usize = 768;
    let arguments = ["-nostdin", "-v", "quiet", "-rtsp_transport", "udp", "-i", url];
    let copy = ["-map", "0:a:0", "-c", "copy", "-t", SECONDS, "-f", "data", "-"];
    let got = run("ffmpeg", &[&arguments[..], &copy].concat()).stdout;
    let expected = coded(original, "0:a:0");
    let (got, expected) = (got.chunks(BLOCK_BYTES), expected.chunks(BLOCK_BYTES));
    assert!(got.len() > 10, "{} blocks of sound", got.len());
    for (at, (got, expected)) in got.zip(expected).enumerate() {
        assert!(parts(got).len() > 3, "block {at} has parts");
        assert_eq!(parts(got), parts(expected), "block {at}");
    }
}

/// The sub-packets of a block, sorted: kind and contents. They end where there is nothing but
/// zeros, whatever the header says.
fn parts(block: &[u8]) -> Vec<(u8, &[u8])> {
    const CHECKSUM_BYTES: usize = 2;
    let header_bytes = if block.first().is_some_and(|kind| kind & 0x80 != 0) { 3 } else { 2 };
    let mut rest = block.get(header_bytes + CHECKSUM_BYTES..).unwrap_or_default();
    let mut parts: Vec<_> = std::iter::from_fn(|| {
        let (kind, contents, behind) = part(rest).filter(|(kind, ..)| *kind != 0)?;
        rest = behind;
        Some((kind, contents))
    })
    .collect();
    parts.sort_unstable();
    parts
}

/// A packet of QDM2: its kind, of which the highest bit says how long the length is, and what it
/// has; and what follows.
fn part(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (length, contents) = match *bytes {
        [kind, high, low, ref rest @ ..] if kind & 0x80 != 0 => {
            (u16::from_be_bytes([high, low]).into(), rest)
        }
        [_, length, ref rest @ ..] => (usize::from(length), rest),
        _ => return None,
    };
    let (contents, behind) = contents.split_at(length.min(contents.len()));
    Some((bytes[0] & 0x7f, contents, behind))
}
