//! Layer III as application data units (RFC 5219): ffmpeg decodes them as they come, GStreamer
//! makes frames of them again, and the sound is that of the file, wherever play begins.
//!
//! GStreamer 1.22 takes descriptors of one byte for those of two and the other way round, so that
//! it is given the units without, one a packet, as an early draft had them; and it reads
//! main_data_begin as MPEG-1 has it, so that it is not given others.

use crate::ffmpeg::served;
use crate::titles::{Title, generate};
use packetizer::codec::CodecConfig;
use packetizer::container::LayerIii;
use packetizer::image::Framing;
use packetizer::index::TrackId;
use packetizer::rtp::{Header, Packet, Ssrc};
use std::path::Path;
use std::process::Command;

const TRACK: TrackId = TrackId(0);
/// Noise that comes and goes, so that frames borrow from those before.
const SOUND: &str = "-f lavfi -i anoisesrc=duration=4:amplitude=0.6:seed=1,tremolo=f=3:d=0.95";

/// What ffmpeg decodes of an input, which comes behind its options.
fn decoded(input: &[&str]) -> Vec<u8> {
    let output = Command::new("timeout")
        .args(["60", "ffmpeg", "-v", "error"])
        .args(input)
        .args(["-f", "s16le", "-"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// What ffmpeg decodes of frames of layer III, one behind the other.
fn decoded_frames(directory: &Path, frames: &[u8]) -> Vec<u8> {
    let path = directory.join("frames");
    std::fs::write(&path, frames).unwrap();
    decoded(&["-f", "mp3", "-i", path.to_str().unwrap()])
}

/// The frames of the file.
fn frames(title: &Title) -> Vec<u8> {
    let mut frames = Vec::new();
    for unit in title.units(TRACK) {
        let (bytes, before) = (title.bytes(&unit).unwrap(), frames.len());
        title.index.tracks[0].wrapping.unwrap(unit.offset, bytes, &mut frames);
        if frames.len() == before {
            frames.extend_from_slice(bytes);
        }
    }
    frames
}

/// The units in the packets of the images from the one at `first` on.
fn units(title: &Title, packet_bytes_max: u16, first: usize) -> Vec<Vec<u8>> {
    let mut units: Vec<Vec<u8>> = Vec::new();
    let mut unit_bytes = 0;
    for image in &title.images(TRACK, packet_bytes_max, Framing::Datagram)[first..] {
        for train in &image.trains {
            for packet in 0..train.packet_count {
                let (start, bytes) = train.packet_range(packet);
                let packet = &image.bytes[start as usize..(start + bytes) as usize];
                assert!(packet.len() <= packet_bytes_max.into());
                let mut rest = &packet[Packet::parse(packet).unwrap().payload];
                while let [descriptor, behind @ ..] = rest {
                    let is_whole = units.last().is_none_or(|unit| unit.len() == unit_bytes);
                    assert_eq!(descriptor & 0x80 == 0, is_whole, "C tells of a unit begun");
                    rest = behind;
                    let mut told = usize::from(descriptor & 0x3f);
                    if descriptor & 0x40 != 0 {
                        told = told << 8 | usize::from(rest[0]);
                        rest = &rest[1..];
                    }
                    if is_whole {
                        unit_bytes = told;
                        units.push(Vec::new());
                    }
                    assert_eq!(told, unit_bytes);
                    let unit = units.last_mut().unwrap();
                    let part;
                    (part, rest) = rest.split_at(rest.len().min(unit_bytes - unit.len()));
                    unit.extend_from_slice(part);
                }
            }
        }
    }
    units
}

/// The frames that GStreamer makes of units.
fn gstreamer(directory: &Path, units: &[Vec<u8>]) -> Vec<u8> {
    let (input, output) = (directory.join("units"), directory.join("rebuilt"));
    let mut stream = Vec::new();
    for (sequence, unit) in (0..).zip(units) {
        let timestamp = u32::from(sequence) * 1000;
        let (marker, payload_type, ssrc) = (false, 96, Ssrc(1));
        let header = Header { marker, payload_type, sequence, timestamp, ssrc }.to_bytes();
        stream.extend(((header.len() + unit.len()) as u16).to_be_bytes());
        stream.extend(header);
        stream.extend(unit);
    }
    std::fs::write(&input, stream).unwrap();
    let pipeline = format!(
        "filesrc location={} ! application/x-rtp-stream,media=audio,payload=96,clock-rate=90000,\
         encoding-name=X-MP3-DRAFT-00 ! rtpstreamdepay ! rtpmparobustdepay ! filesink location={}",
        input.display(),
        output.display()
    );
    let status = Command::new("timeout")
        .args(["60", "gst-launch-1.0", "-q"])
        .args(pipeline.split_whitespace())
        .status()
        .unwrap();
    assert!(status.success(), "{pipeline}");
    std::fs::read(output).unwrap()
}

#[test]
fn units_sound_as_the_file_does() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    for (name, options) in [
        ("stereo.mp3", "-ar 44100 -ac 2 -b:a 128k"),
        ("variable.mp3", "-ar 48000 -ac 2 -q:a 4"),
        ("large.mp3", "-ar 32000 -ac 2 -b:a 320k"),
        ("mono.mp3", "-ar 22050 -ac 1 -b:a 48k"),
        ("small.mp3", "-ar 8000 -ac 1 -b:a 8k"),
        ("stereo.mp4", "-ar 44100 -ac 2 -b:a 96k"),
        ("stereo.mkv", "-ar 24000 -ac 2 -b:a 64k"),
        ("stereo.ts", "-ar 44100 -ac 2 -b:a 32k"),
    ] {
        let arguments = format!("{SOUND} {options} -c:a libmp3lame");
        let path = generate(&directory.join(name), &arguments);
        let title = Title::open(&path, LayerIii::Adus);
        let CodecConfig::Mp3Adu(config) = &title.index.tracks[0].codec else { panic!("{name}") };
        let (file, seconds) = (frames(&title), title.index.duration.nanos() as f64 / 1e9);
        assert!((3.9..4.3).contains(&seconds), "{name} lasts {seconds} s");
        let expected = decoded_frames(directory, &file);
        let found = served(&title, |url| decoded(&["-rtsp_transport", "tcp", "-i", url]));
        assert!(found == expected, "{name}: {} bytes of {}", found.len(), expected.len());
        if config.frame_samples != 1152 {
            continue;
        }
        for packet_bytes_max in [1400, 576, 200] {
            let rebuilt = gstreamer(directory, &units(&title, packet_bytes_max, 0));
            assert!(rebuilt == file, "{name}: {} bytes of {}", rebuilt.len(), file.len());
        }
        // From the second segment on, nothing is missing but what decoders keep of a frame in
        // front: each half of a sound's transform is added to one of the next.
        let units = units(&title, 576, 1);
        let found = decoded_frames(directory, &gstreamer(directory, &units));
        let kept = expected.len() / title.units(TRACK).len() * (units.len() - 2);
        assert!(units.len() > 20);
        assert!(found.ends_with(&expected[expected.len() - kept..]), "{name} from the middle");
    }
}
