//! What arrives is what an image with the viewer's numbering has, in either layout.
#![allow(clippy::cast_possible_truncation, reason = "small numbers")]

use crate::datagrams::Datagrams;
use crate::interleaved::Interleaved;
use crate::media::{Image, Title, Track};
use crate::options::Layout;
use crate::run::{Counters, Transport};
use crate::schedule;
use packetizer::codec::CodecConfig;
use packetizer::codec::h264::H264Config;
use packetizer::codec::nal::NalFraming;
use packetizer::image::{
    Bursts, Framing, ImageRequest, ImageStorage, Numbering, PacketImage, PayloadClass,
};
use packetizer::index::{AccessUnitEntry, IndexBuilder, SegmentId, TrackDescription, TrackId};
use packetizer::rtp::Ssrc;
use packetizer::time::{ClockRate, Npt};
use server::uring::PairSockets;
use socket2::{Domain, Socket, Type};
use std::io::Read as _;
use std::net::{Ipv4Addr, UdpSocket};
use std::time::Duration;

/// A second of pictures, of which the fourth takes many packets.
fn image(framing: Framing, ssrc: u32) -> PacketImage {
    let codec = CodecConfig::H264(H264Config {
        framing: NalFraming::Length(4),
        sequence_parameter_sets: vec![],
        picture_parameter_sets: vec![],
    });
    let media_rate = ClockRate::VIDEO;
    let mut builder = IndexBuilder::new();
    let track = TrackDescription::new(1, codec, media_rate);
    let track = builder.add_track(track).unwrap();
    let mut file: Vec<u8> = Vec::new();
    for unit in 0..25 {
        let bytes: u32 = if unit == 3 { 100_000 } else { 3000 + unit as u32 };
        let decode = unit * 3600;
        builder.push(track, file.len() as u64, bytes, decode, decode, 3600, unit == 0).unwrap();
        file.extend_from_slice(&(bytes - 4).to_be_bytes());
        file.push(0x41);
        file.extend((5..bytes).map(|byte| (byte * 31 + unit as u32) as u8));
    }
    let index = builder.finish(Npt::ZERO);
    let request = ImageRequest {
        index: &index,
        track: TrackId(0),
        segment: SegmentId(0),
        class: PayloadClass { packet_bytes_max: 1400 },
        framing,
        payload_type: 96,
        bursts: Bursts::default(),
    };
    let unit_bytes = |unit: &AccessUnitEntry| {
        file.get(unit.offset as usize..unit.offset as usize + unit.bytes as usize)
    };
    let mut image = PacketImage::build(request, unit_bytes, ImageStorage::default()).unwrap();
    let ssrc = Ssrc(ssrc);
    image.number_all(Numbering { ssrc, sequence: 0, timestamp_zero: 0, channel: 0 }, 1);
    image
}

/// A title whose packets lie with another source than that of its first viewer, which is 0.
fn title(framing: Framing) -> [Title; 1] {
    let period = 1_000_000_000;
    let images = vec![Image { packets: image(framing, 7), ordinal: 0 }];
    [Title { tracks: vec![Track { images, rtp_rate: ClockRate::VIDEO, period }], period }]
}

/// The layouts, with the source that their packets have.
const LAYOUTS: [(Layout, u32); 2] = [(Layout::Contiguous, 7), (Layout::Gather, 0)];
/// Before the second round, after the last picture.
const END: i64 = 965_000_000;

#[test]
fn datagrams_are_the_packets_of_the_image() {
    let titles = title(Framing::Datagram);
    for (layout, ssrc) in LAYOUTS {
        let address = Ipv4Addr::from_bits(0x7f4d_0000 | (std::process::id() & 0xfffe) | 1);
        let receiver = UdpSocket::bind((address, 21_500)).unwrap();
        receiver.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let sockets = (41_000..60_000).step_by(2);
        let sockets = { sockets }.find_map(|port| PairSockets::bind(port..=port + 1).ok()).unwrap();
        let seats = vec![(address, schedule::seats(&titles, 1).remove(0))];
        let mut datagrams = Datagrams::new(sockets, Some(Ipv4Addr::LOCALHOST), layout, seats);
        let expected = image(Framing::Datagram, ssrc);
        let (mut counters, mut received, mut buffer) = (Counters::default(), Vec::new(), [0; 2000]);
        for tenth in 1..=10 {
            datagrams.send(&[0], END * tenth / 10, &mut counters);
            while received.len() < counters.bytes as usize {
                let (bytes, from) = receiver.recv_from(&mut buffer).unwrap();
                assert!(bytes <= 1400 && from.ip() == Ipv4Addr::LOCALHOST, "{bytes} {from}");
                received.extend_from_slice(&buffer[..bytes]);
            }
        }
        assert!(received == expected.bytes, "{layout:?}");
        assert_eq!((counters.packets, counters.failed), (expected.packet_count.into(), 0));
        // Most pictures leave two or three in a message.
        let trains = expected.trains.len() as u64;
        assert!((trains / 3..trains / 2).contains(&counters.trains), "{}", counters.trains);
    }
}

#[test]
fn connections_take_the_image_in_bits() {
    let titles = title(Framing::Interleaved);
    for ((layout, ssrc), window) in
        LAYOUTS.into_iter().flat_map(|layout| [(layout, 0), (layout, END)])
    {
        let (ours, mut theirs) = Socket::pair(Domain::UNIX, Type::STREAM, None).unwrap();
        ours.set_nonblocking(true).unwrap();
        ours.set_send_buffer_size(4096).unwrap();
        theirs.set_nonblocking(true).unwrap();
        let seats = [ours].into_iter().zip(schedule::seats(&titles, 1));
        let until = END - window;
        let mut interleaved = Interleaved::new(seats, layout, window);
        let (mut counters, mut received, mut buffer) = (Counters::default(), Vec::new(), [0; 1001]);
        loop {
            interleaved.send(&[0], until.max(0), &mut counters);
            while let Ok(bytes) = theirs.read(&mut buffer) {
                received.extend_from_slice(&buffer[..bytes]);
            }
            if interleaved.behind().is_empty() {
                break;
            }
        }
        assert!(received == image(Framing::Interleaved, ssrc).bytes, "{layout:?} {window}");
        assert!(counters.put_off > 0 && counters.failed == 0, "{counters:?}");
        assert_eq!(counters.bytes, received.len() as u64);
    }
}
