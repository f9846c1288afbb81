//! Streams of each codec through ffmpeg's and GStreamer's depayloaders: the access units that come
//! out are those of the file, byte by byte.

use crate::ffmpeg::{check_times, check_units, probe, served};
use crate::gstreamer::depayload;
use crate::streams::{self, amr, pcm, pictures, sound};
use crate::titles::Title;
use packetizer::codec::CodecConfig;
use packetizer::codec::pcm::PcmEncoding;
use packetizer::index::TrackId;
use std::path::Path;
use std::process::Command;

const TRACK: TrackId = TrackId(0);
/// Packets of Ethernet, and of narrower links.
const CLASSES: [u16; 2] = [1400, 576];

/// Both agree on every access unit, and on its time where `are_timed`: where ffmpeg cuts what it
/// gets into units itself, it guesses the times of some.
fn both(directory: &Path, titles: &[Title], are_timed: bool) {
    for title in titles {
        ffmpeg_gives(title, are_timed);
        gstreamer_gives(directory, title, &title.delivered(TRACK).concat());
    }
}

fn ffmpeg_gives(title: &Title, is_timed: bool) {
    let json = served(title, probe);
    check_units(title, &json);
    if is_timed {
        check_times(title, TRACK, &json, &mut None);
    }
}

fn gstreamer_gives(directory: &Path, title: &Title, expected: &[u8]) {
    for packet_bytes_max in CLASSES {
        let rebuilt = depayload(directory, title, TRACK, packet_bytes_max);
        let (name, found) = (title.path.display(), rebuilt.len());
        assert!(rebuilt == expected, "{name}: {found} bytes of {}", expected.len());
    }
}

/// What ffmpeg receives, one packet of its behind the other.
fn received(url: &str) -> Vec<u8> {
    let output = Command::new("timeout")
        .args(["120", "ffmpeg", "-v", "error", "-rtsp_transport", "tcp", "-i", url])
        .args(["-map", "0", "-c", "copy", "-f", "data", "-"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

#[test]
fn h265() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    let encoder = "-c:v libx265 -preset ultrafast -tag:v hvc1 -x265-params";
    for (file, parameters) in [
        ("film.mp4", "log-level=none:bframes=3:keyint=20"),
        ("slices.mp4", "log-level=none:slices=4:aud=1:qp=40"),
    ] {
        let title = pictures(directory, file, &format!("{encoder} {parameters}"), streams::h265);
        // ffmpeg's parser puts a start code's first zero byte into the access unit before it.
        let units = title.delivered(TRACK).concat();
        assert!(served(&title, received) == units, "{file}");
        gstreamer_gives(directory, &title, &units);
    }
}

#[test]
fn vp8_and_vp9() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    let vp8 = "-c:v libvpx -deadline realtime -cpu-used 8 -b:v 1M -g 15 -auto-alt-ref 1";
    let vp9 = "-c:v libvpx-vp9 -cpu-used 8 -b:v 1M -g 15 -auto-alt-ref 1 -lag-in-frames 12";
    both(
        directory,
        &[
            pictures(directory, "vp8.ivf", vp8, |_| CodecConfig::Vp8),
            pictures(directory, "vp9.ivf", vp9, |_| CodecConfig::Vp9),
        ],
        true,
    );
}

#[test]
fn mpeg_video_and_h263() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    let make = |file, arguments, codec: fn(&[u8]) -> CodecConfig| {
        pictures(directory, file, arguments, codec)
    };
    both(
        directory,
        &[
            make("visual.mp4", "-c:v mpeg4 -bf 2 -g 12 -q:v 4", streams::mpeg4_visual),
            make("2.mp4", "-c:v mpeg2video -bf 2 -g 12 -q:v 4", |_| CodecConfig::MpegVideo),
            make("1.mp4", "-c:v mpeg1video -bf 2 -g 12 -q:v 2", |_| CodecConfig::MpegVideo),
        ],
        false,
    );
    let title = make("h263.mov", "-c:v h263p -s 352x288 -g 12 -q:v 4", |_| CodecConfig::H263);
    ffmpeg_gives(&title, false);
    // GStreamer pads pictures with zeros.
    let units = title.delivered(TRACK).concat();
    for packet_bytes_max in CLASSES {
        let rebuilt = depayload(directory, &title, TRACK, packet_bytes_max);
        assert!(unpadded(&rebuilt) == unpadded(&units));
    }
}

/// H.263 pictures without zeros behind them.
fn unpadded(stream: &[u8]) -> Vec<&[u8]> {
    let starts = stream.windows(3).enumerate().filter(|(_, w)| matches!(w, [0, 0, 0x80..=0x83]));
    let starts: Vec<_> = starts.map(|(at, _)| at).chain([stream.len()]).collect();
    let pictures = starts.windows(2).map(|pair| &stream[pair[0]..pair[1]]);
    let pictures: Vec<_> = pictures
        .map(|picture| {
            let zeros = picture.iter().rev().take_while(|byte| **byte == 0).count();
            &picture[..picture.len() - zeros]
        })
        .collect();
    assert_eq!(pictures.len(), 30);
    pictures
}

#[test]
fn jpeg() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    let arguments = "-c:v mjpeg -huffman default -pix_fmt yuvj420p -q:v 5";
    let title = pictures(directory, "film.mov", arguments, |_| CodecConfig::Jpeg);
    let slices = format!("{arguments} -slices 4 -thread_type slice -threads 4");
    let restarting = pictures(directory, "slices.mov", &slices, |_| CodecConfig::Jpeg);
    assert!(images(&restarting.file).iter().all(|image| image.restart_interval.is_some()));
    for (title, count) in [(title, 30), (restarting, 30), (streams::jpeg_422(directory), 10)] {
        // Receivers write headers of their own.
        let sent: Vec<_> = title.delivered(TRACK).iter().flat_map(|image| images(image)).collect();
        assert_eq!(sent.len(), count);
        assert!(images(&served(&title, received)) == sent);
        for packet_bytes_max in CLASSES {
            assert!(images(&depayload(directory, &title, TRACK, packet_bytes_max)) == sent);
        }
    }
}

/// What a JPEG image is made of but for its headers' form.
#[derive(Debug, Default, PartialEq)]
struct Image {
    tables: Vec<u8>,
    restart_interval: Option<Vec<u8>>,
    scan: Vec<u8>,
}

/// The images of a stream, one behind the other.
fn images(mut bytes: &[u8]) -> Vec<Image> {
    let (mut images, mut image) = (Vec::new(), Image::default());
    while let [0xff, marker, rest @ ..] = bytes {
        bytes = rest;
        if matches!(marker, 0xd8 | 0xd9) {
            continue;
        }
        let (segment, behind) = rest.split_at(usize::from(rest[0]) << 8 | usize::from(rest[1]));
        bytes = behind;
        match marker {
            0xdb => image.tables.extend(segment[2..].chunks(65).flat_map(|table| &table[1..])),
            0xdd => image.restart_interval = Some(segment[2..].to_vec()),
            0xda => {
                let end = bytes.windows(2).position(|pair| pair == [0xff, 0xd9]).unwrap();
                if image.tables.len() == 64 {
                    image.tables.extend_from_within(..); // one for all components
                }
                image.scan.extend_from_slice(&bytes[..end]);
                images.push(std::mem::take(&mut image));
                bytes = &bytes[end..];
            }
            _ => {}
        }
    }
    images
}

#[test]
fn opus_vorbis_mpeg_audio_and_ac3() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    let opus = sound(directory, "a.opus", "-ac 2 -c:a libopus -b:a 96k", streams::opus);
    let mp3 = "-ac 2 -ar 44100 -c:a libmp3lame -write_xing 0 -b:a";
    let ac3 = "-ac 2 -ar 48000 -c:a ac3 -b:a";
    let ac3_codec = |_: &[u8]| CodecConfig::Ac3(streams::ac3());
    both(directory, &[opus], true);
    both(
        directory,
        &[
            sound(directory, "a.mp3", &format!("{mp3} 64k"), streams::mpeg_audio),
            sound(directory, "b.mp3", &format!("{mp3} 320k"), streams::mpeg_audio),
            sound(directory, "a.mp2", "-ac 2 -ar 44100 -c:a mp2", streams::mpeg_audio),
            sound(directory, "a.ac3", &format!("{ac3} 128k"), ac3_codec),
            sound(directory, "b.ac3", &format!("{ac3} 640k"), ac3_codec),
        ],
        false,
    );
    let arguments = "-ac 2 -ar 44100 -c:a libvorbis -q:a 6";
    let title = sound(directory, "a.ogg", arguments, streams::vorbis);
    ffmpeg_gives(&title, false);
    // GStreamer puts the headers in front.
    let CodecConfig::Vorbis(config) = &title.index.tracks[0].codec else { panic!() };
    let comment = b"\x03vorbis\0\0\0\0\0\0\0\0\x01";
    let headers = [&config.identification[..], comment, &config.setup].concat();
    let units = title.delivered(TRACK).concat();
    gstreamer_gives(directory, &title, &[headers, units].concat());
}

#[test]
fn amr_and_pcm() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    for is_wideband in [false, true] {
        let title = amr(directory, is_wideband);
        let units = title.delivered(TRACK).concat();
        assert!(served(&title, received) == units);
        gstreamer_gives(directory, &title, &units);
    }
    for (format, rate, encoding, sample_bytes) in [
        ("mulaw", 8000, PcmEncoding::Mulaw, 1),
        ("alaw", 8000, PcmEncoding::Alaw, 1),
        ("s16le", 44_100, PcmEncoding::Signed16Little, 2),
        ("s16be", 48_000, PcmEncoding::Signed16Big, 2),
        ("s24le", 48_000, PcmEncoding::Signed24Little, 3),
        ("s24be", 96_000, PcmEncoding::Signed24Big, 3),
    ] {
        let title = pcm(directory, format, rate, encoding);
        let mut expected = title.file.clone();
        if format.ends_with("le") {
            expected.chunks_mut(sample_bytes).for_each(<[u8]>::reverse);
        }
        assert!(served(&title, received) == expected, "{format}");
        gstreamer_gives(directory, &title, &expected);
    }
    // ffmpeg knows no L8.
    let title = pcm(directory, "u8", 11_025, PcmEncoding::Unsigned8);
    gstreamer_gives(directory, &title, &title.file);
}
