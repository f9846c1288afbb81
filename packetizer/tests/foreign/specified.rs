//! Streams of the codecs for which neither ffmpeg 5.1 nor GStreamer 1.22 has a depayloader, put
//! together here as the payload formats tell a receiver to.

use crate::streams::{self, pictures, sound};
use crate::titles::Title;
use packetizer::codec::CodecConfig;
use packetizer::image::Framing;
use packetizer::index::TrackId;
use packetizer::rtp::Packet;

/// Marker and payload of every packet.
fn payloads(title: &Title, packet_bytes_max: u16) -> Vec<(bool, Vec<u8>)> {
    let mut payloads = Vec::new();
    for image in title.images(TrackId(0), packet_bytes_max, Framing::Datagram) {
        for train in &image.trains {
            for packet in 0..train.packet_count {
                let (start, bytes) = train.packet_range(packet);
                let packet = &image.bytes[start as usize..(start + bytes) as usize];
                let parsed = Packet::parse(packet).unwrap();
                payloads.push((parsed.header.marker, packet[parsed.payload].to_vec()));
            }
        }
    }
    payloads
}

#[test]
fn av1() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    for (file, encoder, config) in [
        ("aom.ivf", "-c:v libaom-av1 -usage realtime -cpu-used 8 -g 15 -b:v 2M", false),
        ("svt.ivf", "-c:v libsvtav1 -preset 12 -g 15", false),
        // As MP4 has it: without delimiters, the sequence header apart.
        ("aom.mp4", "-c:v libaom-av1 -usage realtime -cpu-used 8 -g 15 -tile-columns 1", true),
    ] {
        let title = pictures(directory, file, encoder, streams::av1);
        let delimiter: &[u8] = if config { &[] } else { &[0x12, 0] };
        for packet_bytes_max in [1400, 576, 100] {
            let units = temporal_units(&payloads(&title, packet_bytes_max), delimiter);
            assert!(units == title.delivered(TrackId(0)), "{file} in {packet_bytes_max}");
        }
    }
}

/// The temporal units as files have them: each OBU with its size, a delimiter in front.
fn temporal_units(payloads: &[(bool, Vec<u8>)], delimiter: &[u8]) -> Vec<Vec<u8>> {
    let mut units = Vec::new();
    let mut obus: Vec<Vec<u8>> = Vec::new();
    for (marker, payload) in payloads {
        let (header, mut rest) = payload.split_first().unwrap();
        let count = header >> 4 & 3;
        let mut continues = header & 0x80 != 0;
        for element in 1.. {
            let bytes = if element == count { rest.len() } else { take_leb128(&mut rest) };
            let (piece, behind) = rest.split_at(bytes);
            if std::mem::take(&mut continues) {
                obus.last_mut().unwrap().extend_from_slice(piece);
            } else {
                obus.push(piece.to_vec());
            }
            rest = behind;
            if rest.is_empty() {
                break;
            }
        }
        if *marker {
            let mut unit = delimiter.to_vec();
            for obu in obus.drain(..) {
                let header_bytes = if obu[0] & 4 == 0 { 1 } else { 2 };
                let (header, body) = obu.split_at(header_bytes);
                unit.push(header[0] | 2);
                unit.extend_from_slice(&header[1..]);
                push_leb128(&mut unit, body.len());
                unit.extend_from_slice(body);
            }
            units.push(unit);
        }
    }
    units
}

fn take_leb128(bytes: &mut &[u8]) -> usize {
    let mut value = 0;
    for shift in (0..).step_by(7) {
        let (byte, rest) = bytes.split_first().unwrap();
        *bytes = rest;
        value |= usize::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            break;
        }
    }
    value
}

fn push_leb128(unit: &mut Vec<u8>, mut value: usize) {
    while value > 0x7f {
        unit.push(0x80 | value as u8);
        value >>= 7;
    }
    unit.push(value as u8);
}

#[test]
fn enhanced_ac3() {
    let directory = tempfile::tempdir().unwrap();
    for bit_rate in [96, 640] {
        let arguments = format!("-ac 2 -ar 48000 -c:a eac3 -b:a {bit_rate}k");
        let codec = |_: &[u8]| CodecConfig::EAc3(streams::ac3());
        let title = sound(directory.path(), "a.eac3", &arguments, codec);
        for packet_bytes_max in [1400, 576] {
            let (mut rebuilt, mut frames, mut fragments) = (Vec::new(), 0, 0);
            for (marker, payload) in payloads(&title, packet_bytes_max) {
                let [0, count, data @ ..] = &payload[..] else {
                    fragments += 1;
                    assert_eq!((payload[0], marker), (1, fragments == payload[1]));
                    if marker {
                        (frames, fragments) = (frames + 1, 0);
                    }
                    rebuilt.extend_from_slice(&payload[2..]);
                    continue;
                };
                assert!(marker && data.starts_with(&[0x0b, 0x77]));
                frames += usize::from(*count);
                rebuilt.extend_from_slice(data);
            }
            assert_eq!(frames, title.units(TrackId(0)).len());
            assert!(rebuilt == title.file, "{bit_rate} in {packet_bytes_max}");
        }
    }
}
