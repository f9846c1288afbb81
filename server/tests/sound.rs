//! Seeks in sound by itself: play begins with the packet that holds the point, and `Range` and
//! `RTP-Info` speak of its first sample. Every sample of the title says which one it is.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "helpers of tests are tests")]

mod support;

use packetizer::image::BUNDLE_NANOS_MAX;
use packetizer::time::Npt;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;
use support::{Random, Server, alone, titles, together};
use tools::client::{Arrival, Half, Lower, RtspClient};
use tools::packet::RtpPacket;

/// Samples a second, and in all: no two are alike.
const RATE: u32 = 8000;
const SAMPLES: u32 = 1 << 16;
const PATIENCE: Duration = Duration::from_secs(5);

/// A WAVE file of one channel of 16-bit samples that count.
fn counting(name: &str) -> PathBuf {
    let directory = titles::directory().join("sound");
    fs::create_dir_all(&directory).unwrap();
    let bytes = SAMPLES * 2;
    let mut file = b"RIFF".to_vec();
    file.extend((bytes + 36).to_le_bytes());
    file.extend(b"WAVEfmt \x10\0\0\0\x01\0\x01\0");
    file.extend(RATE.to_le_bytes());
    file.extend((RATE * 2).to_le_bytes());
    file.extend(b"\x02\0\x10\0data");
    file.extend(bytes.to_le_bytes());
    file.extend((0..=u16::MAX).flat_map(u16::to_le_bytes));
    fs::write(directory.join(name), file).unwrap();
    directory
}

/// The samples of a packet, which travel the most significant byte first (RFC 3551 §4.5.11).
fn samples(payload: &[u8]) -> std::ops::Range<u64> {
    let sample = |bytes: &[u8]| u64::from(u16::from_be_bytes([bytes[0], bytes[1]]));
    sample(payload)..sample(&payload[payload.len() - 2..]) + 1
}

fn nanos(sample: u64) -> u64 {
    sample * 1_000_000_000 / u64::from(RATE)
}

/// The next packet of media.
fn next_packet(client: &mut RtspClient) -> Arrival {
    let deadline = client.now() + PATIENCE;
    loop {
        assert!(client.now() < deadline, "nothing comes");
        let arrival = client.next_arrival(Duration::from_millis(100)).unwrap();
        if let Some(arrival) = arrival.filter(|arrival| arrival.half == Half::Rtp) {
            return arrival;
        }
    }
}

#[test]
fn a_seek_in_sound_begins_with_the_packet_that_holds_the_point() {
    let _alone = alone();
    let server = Server::start(&counting("count.wav"), &[]);
    let mut random = Random::new();
    let lasts = nanos(SAMPLES.into()) / 1_000_000;
    let mut points: Vec<u64> = (0..12).map(|_| random.below(lasts - 100)).collect();
    points.extend([0, 1, 60, lasts - 61]);
    together(vec![("UDP".to_owned(), Lower::Udp), ("TCP".to_owned(), Lower::Tcp)], |_, lower| {
        let mut client = RtspClient::connect(&server.url("count.wav"), None).unwrap();
        let presentation = client.describe().unwrap();
        client.setup(&presentation.media[0], lower).unwrap();
        for millis in &points {
            let asked = Npt::from_nanos(millis * 1_000_000);
            let played = client.play(Some(&format!("npt={asked}-"))).unwrap();
            let (start, info) = (played.range.start, &played.rtp_info[0]);
            let mut arrival = next_packet(&mut client);
            while arrival.at < played.at {
                arrival = next_packet(&mut client);
            }
            let packet = RtpPacket::parse(&arrival.bytes).unwrap();
            assert_eq!((packet.sequence, packet.timestamp), (info.seq, info.rtptime), "{asked}");
            let held = samples(packet.payload);
            // As the header has it, in milliseconds.
            let off = start.nanos().abs_diff(nanos(held.start));
            assert!(off < 1_000_000, "{asked}: the Range is {off} ns off what comes");
            let holds = nanos(held.start)..nanos(held.end);
            assert!(holds.contains(&asked.nanos()), "{asked} is not in {held:?}");
            assert!(asked.nanos() - holds.start < BUNDLE_NANOS_MAX.unsigned_abs(), "{asked}");
        }
        client.teardown().unwrap();
    });
}
