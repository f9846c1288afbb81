//! What the distribution's players do not know is played by receivers that are installed beside
//! it: AV1 by the FFmpeg that PyAV brings along, Enhanced AC-3 by live555's openRTSP.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "helpers of tests are tests")]

mod support;

use std::path::{Path, PathBuf};
use support::players::{output_of, run};
use support::titles;
use support::{Server, alone, together};

const PACKETS: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/../packetizer/tests/foreign/packets.py");
const PICTURES: &str = "-f lavfi -i testsrc2=s=480x288:r=25:d=4,noise=alls=12:allf=t \
    -c:v libaom-av1 -usage realtime -cpu-used 8 -b:v 1500k -g 25 -keyint_min 25";
const SOUND: &str = "-f lavfi -i anoisesrc=d=4:a=0.3:seed=1 -ac 2 -ar 48000 -c:a eac3 -b:a 640k";
/// Where a seek goes, and the picture and the sound to begin with there.
const SEEK_SECONDS: &str = "2.5";
const SEEK_PICTURE: usize = 50;
const SEEK_FRAME: usize = 78;
/// Units from before a seek that FFmpeg may give after it.
const LATE_UNITS_MAX: usize = 3;
/// Bytes of each frame of Enhanced AC-3, 32 ms of sound.
const FRAME_BYTES: usize = 2560;

#[test]
fn av1_is_received_as_it_lies_in_the_file() {
    let own = target().join("clients/venv/bin/python3");
    let python = if own.is_file() { own } else { PathBuf::from("python3") };
    let python = python.to_str().unwrap();
    if !run(python, &[PACKETS]).status.success() {
        println!("skipped: no PyAV with an FFmpeg 8, which `tools/test` installs");
        return;
    }
    let _alone = alone();
    let directory = library(&["film.mp4", "film.webm", "film.ivf"], PICTURES);
    let server = Server::start(&directory, &[]);
    let checks = [
        ("film.mp4", "udp", ""),
        ("film.mp4", "tcp", SEEK_SECONDS),
        ("film.webm", "tcp", ""),
        ("film.ivf", "udp", SEEK_SECONDS),
    ];
    together(checks.map(|check| (format!("{check:?}"), check)).into(), |name, check| {
        let (title, transport, seek) = check;
        let file = packets(python, &[directory.join(title).to_str().unwrap()]);
        assert_eq!(file.len(), 100, "{name}");
        let url = server.url(title);
        let mut arguments = vec![url.as_str(), transport];
        arguments.extend(Some(seek).filter(|seek| !seek.is_empty()));
        let received = packets(python, &arguments);
        let begin = if seek.is_empty() { 0 } else { SEEK_PICTURE };
        // What was sent before the seek may still be in the client's socket: it comes first.
        let (found, expected) = (received.len(), file.len() - begin);
        let before = &received[..found.saturating_sub(expected)];
        assert!(received.ends_with(&file[begin..]), "{name}: {found} units of {expected}");
        let is_before = |units: &[Vec<u8>]| units.windows(before.len()).any(|part| part == before);
        assert!(before.is_empty() || is_before(&file[..begin]), "{name}: {found} units");
        assert!(before.len() <= LATE_UNITS_MAX, "{name}: {found} units");
    });
}

#[test]
fn enhanced_ac3_is_received_as_it_lies_in_the_file() {
    let program = target().join("clients/bin/openRTSP");
    if !program.is_file() {
        println!("skipped: no openRTSP, which server/tests/clients/build-live555 builds");
        return;
    }
    let _alone = alone();
    let directory = library(&["sound.eac3", "sound.mp4", "sound.mkv"], SOUND);
    let server = Server::start(&directory, &[]);
    let file = std::fs::read(directory.join("sound.eac3")).unwrap();
    assert_eq!(file.len(), 125 * FRAME_BYTES);
    let checks = [
        ("sound.eac3", "", ""),
        ("sound.eac3", "-t", SEEK_SECONDS),
        ("sound.mp4", "-t", ""),
        ("sound.mp4", "", SEEK_SECONDS),
        ("sound.mkv", "", SEEK_SECONDS),
    ];
    let checks = checks.map(|check| (format!("{check:?}"), check));
    together(checks.into(), |name, (title, transport, seek)| {
        let url = server.url(title);
        let mut arguments = vec!["-a", "-b", "300000"];
        arguments.extend(Some(transport).filter(|option| !option.is_empty()));
        if !seek.is_empty() {
            arguments.extend(["-s", seek]);
        }
        arguments.push(&url);
        let output = run(program.to_str().unwrap(), &arguments);
        assert!(output.status.success(), "{name}");
        let begin = if seek.is_empty() { 0 } else { SEEK_FRAME * FRAME_BYTES };
        let (found, expected) = (output.stdout.len(), file.len() - begin);
        assert!(output.stdout == file[begin..], "{name}: {found} bytes of {expected}");
    });
}

/// A directory with one film or piece in several containers: coded once, then copied.
fn library(names: &[&str], recipe: &str) -> PathBuf {
    let directory = titles::directory().join("receivers");
    std::fs::create_dir_all(&directory).unwrap();
    let first = directory.join(names[0]);
    let first = first.to_str().unwrap();
    let quiet = ["-v", "error", "-y"];
    output_of(
        "ffmpeg",
        &[&quiet[..], &recipe.split_whitespace().collect::<Vec<_>>(), &[first]].concat(),
    );
    for name in &names[1..] {
        let copy = directory.join(name);
        let copy = copy.to_str().unwrap();
        output_of("ffmpeg", &[&quiet[..], &["-i", first, "-c", "copy", copy]].concat());
    }
    directory
}

/// What PyAV's FFmpeg gets, without temporal delimiters, which receivers put in and MP4 leaves out.
fn packets(python: &str, arguments: &[&str]) -> Vec<Vec<u8>> {
    let output = run(python, &[&[PACKETS], arguments].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let (mut packets, mut rest) = (Vec::new(), &output.stdout[..]);
    while let Some((length, behind)) = rest.split_first_chunk() {
        let (packet, behind) = behind.split_at(u32::from_be_bytes(*length) as usize);
        packets.push(packet.strip_prefix(&[0x12, 0]).unwrap_or(packet).to_vec());
        rest = behind;
    }
    packets
}

/// Where `tools/test` and `build-live555` put what they install.
fn target() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap().to_owned()
}
