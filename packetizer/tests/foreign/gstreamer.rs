//! GStreamer's depayloaders, fed with packets as they lie in images of datagrams.

use crate::depayloaders::depayloader;
use crate::titles::{Title, is_dropped, titles};
use packetizer::image::Framing;
use packetizer::index::TrackId;
use std::path::Path;
use std::process::Command;

#[test]
fn gstreamer_rebuilds_every_nal_unit_and_audio_unit() {
    let directory = tempfile::tempdir().unwrap();
    for title in titles(directory.path()) {
        for packet_bytes_max in [1400, 576] {
            for track in title.track_ids() {
                let rebuilt = depayload(directory.path(), &title, track, packet_bytes_max);
                let name = title.path.display();
                if title.index.tracks[usize::from(track.0)].codec.is_video() {
                    let expected = elementary_stream(&title, track);
                    let expected = nal_units(&expected);
                    let found = nal_units(&rebuilt);
                    assert!(!found.is_empty());
                    assert!(found == expected, "{name} {track:?}");
                } else {
                    assert!(rebuilt == title.delivered(track).concat(), "{name} {track:?}");
                }
            }
        }
    }
}

/// What GStreamer makes of the packets, which it reads from a file with their lengths in front
/// (RFC 4571).
pub(crate) fn depayload(
    directory: &Path,
    title: &Title,
    track: TrackId,
    packet_bytes_max: u16,
) -> Vec<u8> {
    let (input, output) = (directory.join("packets"), directory.join("rebuilt"));
    let mut stream = Vec::new();
    for image in title.images(track, packet_bytes_max, Framing::Datagram) {
        for train in &image.trains {
            for packet in 0..train.packet_count {
                let (start, bytes) = train.packet_range(packet);
                stream.extend_from_slice(&(bytes as u16).to_be_bytes());
                stream.extend_from_slice(&image.bytes[start as usize..(start + bytes) as usize]);
            }
        }
    }
    std::fs::write(&input, stream).unwrap();
    let track = &title.index.tracks[usize::from(track.0)];
    let rate = track.codec.rtp_rate().ticks_per_second();
    let (caps, depayloader) = depayloader(&track.codec);
    let pipeline = format!(
        "filesrc location={} ! application/x-rtp-stream,{caps},clock-rate={rate} ! rtpstreamdepay ! \
         {depayloader} ! filesink location={}",
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

/// The track as ffmpeg writes it in byte stream format.
fn elementary_stream(title: &Title, track: TrackId) -> Vec<u8> {
    let id = title.index.tracks[usize::from(track.0)].container_id;
    let output = Command::new("ffmpeg")
        .args(["-v", "error", "-ignore_editlist", "1", "-i"])
        .arg(&title.path)
        .args(["-map", &format!("0:i:{id}"), "-c", "copy", "-copyinkf", "-copyts"])
        .args(["-bsf:v", "h264_mp4toannexb", "-f", "h264", "-"])
        .output()
        .unwrap();
    assert!(output.status.success());
    output.stdout
}

/// The NAL units of a byte stream (ISO 14496-10 Annex B) but for delimiters, filler, and parameter
/// sets, which ffmpeg repeats as it thinks fit.
fn nal_units(stream: &[u8]) -> Vec<&[u8]> {
    let starts: Vec<_> = stream.windows(3).enumerate().filter(|(_, w)| *w == [0, 0, 1]).collect();
    let starts = starts.iter().map(|(at, _)| at + 3);
    let ends = starts.clone().skip(1).map(|next| next - 3).chain([stream.len()]);
    let nal_units = starts.zip(ends).map(|(start, end)| {
        let trailing = stream[start..end].iter().rev().take_while(|byte| **byte == 0).count();
        &stream[start..end - trailing]
    });
    nal_units.filter(|unit| !is_dropped(unit) && ![7, 8].contains(&(unit[0] & 0x1f))).collect()
}
