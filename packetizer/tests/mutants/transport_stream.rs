//! Damaged copies of other people's small transport streams, with packets of all lengths, of
//! programme streams, and of elementary streams of video.

use super::damage::Container;
use super::fields::{Field, bytes_between};

const PACKET_BYTES: usize = 188;
/// Bytes of a packet that tell something: its header, and that of a PES packet or a section.
const HEAD_BYTES: usize = 24;

fn check(name: &'static str, take: fn(&[u8]) -> Option<Vec<u8>>, fields: fn(&[u8]) -> Vec<Field>) {
    let extensions = &["ts"];
    Container { name, extensions, take, fields, files_min: 15, opened_min: 60 }.check();
}

#[test]
fn damaged_transport_streams() {
    check(
        "transport stream, 188",
        |file| is_transport_stream(file).then(|| file.to_vec()),
        |file| packet_heads(file, PACKET_BYTES, 0),
    );
}

#[test]
fn damaged_transport_streams_with_time_stamps() {
    let take = |file: &[u8]| Some(spaced(file, 4, 0)).filter(|_| is_transport_stream(file));
    check("transport stream, 192", take, |file| packet_heads(file, 192, 4));
}

#[test]
fn damaged_transport_streams_with_error_correction() {
    let take = |file: &[u8]| Some(spaced(file, 0, 16)).filter(|_| is_transport_stream(file));
    check("transport stream, 204", take, |file| packet_heads(file, 204, 0));
}

#[test]
fn damaged_elementary_streams() {
    Container {
        name: "elementary streams",
        extensions: &["264", "h264", "jsv", "265", "h265"],
        take: |file| Some(file.to_vec()),
        fields: start_codes,
        files_min: 15,
        opened_min: 60,
    }
    .check();
}

#[test]
fn damaged_program_streams() {
    Container {
        name: "programme streams",
        extensions: &["ps", "mpg", "mpeg", "vob"],
        take: |file| Some(file.to_vec()),
        fields: start_codes,
        files_min: 1,
        opened_min: 60,
    }
    .check();
}

fn is_transport_stream(file: &[u8]) -> bool {
    file.first() == Some(&0x47) && file.get(PACKET_BYTES) == Some(&0x47)
}

/// The packets with something in front and behind.
fn spaced(file: &[u8], front: usize, back: usize) -> Vec<u8> {
    let spaced = |packet: &[u8]| [&vec![0x11; front][..], packet, &vec![0x22; back]].concat();
    file.chunks_exact(PACKET_BYTES).flat_map(spaced).collect()
}

/// The heads of packets that lie `step` bytes apart: those of tables, which are in front, and every
/// tenth.
fn packet_heads(file: &[u8], step: usize, from: usize) -> Vec<Field> {
    let starts = (from..file.len()).step_by(step).enumerate();
    let chosen = starts.filter(|(number, _)| *number < 6 || number.is_multiple_of(10));
    chosen
        .flat_map(|(_, start)| bytes_between(start, (start + HEAD_BYTES).min(file.len())))
        .collect()
}

/// What follows start codes.
fn start_codes(file: &[u8]) -> Vec<Field> {
    let codes = file.windows(3).enumerate().filter(|(_, bytes)| *bytes == [0, 0, 1]);
    codes.flat_map(|(at, _)| bytes_between(at, (at + 12).min(file.len()))).collect()
}
