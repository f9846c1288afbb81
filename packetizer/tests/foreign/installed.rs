//! Receivers that the distribution does not have, for what its own cannot: an FFmpeg that knows AV1
//! in RTP, which PyAV brings along, and live555's openRTSP, which knows Enhanced AC-3.

use crate::ffmpeg::served_in;
use crate::streams::{self, many_pictures, sound};
use packetizer::codec::CodecConfig;
use packetizer::index::TrackId;
use std::path::{Path, PathBuf};
use std::process::Command;

const TRACK: TrackId = TrackId(0);
const PACKETS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/foreign/packets.py");

#[test]
fn av1() {
    let Some(python) = python() else {
        println!("skipped: no PyAV with an FFmpeg 8, which `tools/test` installs");
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    let aom = "-c:v libaom-av1 -usage realtime -cpu-used 8 -g 50 -b:v";
    for (file, encoder, has_delimiters) in [
        ("aom.ivf", format!("{aom} 2M"), true),
        ("svt.ivf", "-c:v libsvtav1 -preset 12 -g 50".to_owned(), true),
        // As MP4 has it: without delimiters, several tiles.
        ("aom.mp4", format!("{aom} 4M -tile-columns 1"), false),
    ] {
        let title = many_pictures(directory, file, &encoder, streams::av1);
        // A receiver puts them in.
        let delimiter: &[u8] = if has_delimiters { &[] } else { &[0x12, 0] };
        let delivered = title.delivered(TRACK);
        let units: Vec<_> = delivered.iter().map(|unit| [delimiter, unit].concat()).collect();
        assert!(units.len() == 200 && shortest(&units) < 200 && longest(&units) > 10_000);
        for packet_bytes_max in [1400, 576, 100] {
            let received = served_in(&title, packet_bytes_max, |url| packets(&python, url));
            assert!(received == units, "{file} in {packet_bytes_max}: {} units", received.len());
        }
    }
}

#[test]
fn enhanced_ac3() {
    let Some(open_rtsp) = open_rtsp() else {
        println!("skipped: no openRTSP, which server/tests/clients/build-live555 builds");
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    for (bit_rate, is_cut) in [(96, false), (640, true)] {
        let arguments = format!("-ac 2 -ar 48000 -c:a eac3 -b:a {bit_rate}k");
        let codec = |_: &[u8]| CodecConfig::EAc3(streams::ac3());
        let title = sound(directory.path(), "a.eac3", &arguments, codec);
        assert_eq!(longest(&title.delivered(TRACK)) > 1400, is_cut);
        for packet_bytes_max in [1400, 576] {
            let rebuilt = served_in(&title, packet_bytes_max, |url| recorded(&open_rtsp, url));
            let (found, expected) = (rebuilt.len(), title.file.len());
            assert!(rebuilt == title.file, "{bit_rate}: {found} bytes of {expected}");
        }
    }
}

fn shortest(units: &[Vec<u8>]) -> usize {
    units.iter().map(Vec::len).min().unwrap()
}

fn longest(units: &[Vec<u8>]) -> usize {
    units.iter().map(Vec::len).max().unwrap()
}

/// Python with a PyAV that is recent enough.
fn python() -> Option<PathBuf> {
    let own = target().join("clients/venv/bin/python3");
    let python = if own.is_file() { own } else { PathBuf::from("python3") };
    let output = Command::new(&python).arg(PACKETS).output();
    output.is_ok_and(|output| output.status.success()).then_some(python)
}

fn open_rtsp() -> Option<PathBuf> {
    Some(target().join("clients/bin/openRTSP")).filter(|path| path.is_file())
}

/// Where `tools/test` and `build-live555` put what they install.
fn target() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap().to_owned()
}

/// The packets that PyAV's FFmpeg receives.
fn packets(python: &Path, url: &str) -> Vec<Vec<u8>> {
    let mut command = Command::new("timeout");
    let output = command.arg("60").arg(python).args([PACKETS, url, "tcp"]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let (mut packets, mut rest) = (Vec::new(), &output.stdout[..]);
    while let Some((length, behind)) = rest.split_first_chunk() {
        let (packet, behind) = behind.split_at(u32::from_be_bytes(*length) as usize);
        packets.push(packet.to_vec());
        rest = behind;
    }
    packets
}

/// What openRTSP writes of a title's sound, frame behind frame.
fn recorded(open_rtsp: &Path, url: &str) -> Vec<u8> {
    let mut command = Command::new("timeout");
    let output = command.arg("60").arg(open_rtsp).args(["-t", "-a", url]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}
