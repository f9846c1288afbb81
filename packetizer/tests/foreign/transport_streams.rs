//! Transport streams that are delivered as such: other people's depayloaders give back each of
//! their packets, and what ffmpeg takes out of them is what it takes out of the file.

use crate::ffmpeg::{packets, probe, probe_input, served};
use crate::gstreamer::depayload;
use crate::titles::{Title, generate};
use packetizer::container::TransportStreams;
use packetizer::index::TrackId;

const PICTURES: &str = "-f lavfi -i testsrc2=size=480x288:rate=25:duration=3 \
     -f lavfi -i sine=duration=3 -c:v libx264 -g 25 -c:a aac -f mpegts";

#[test]
fn every_packet_comes_as_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    for (name, options, packet_bytes) in [
        ("film.ts", "", 188),
        ("constant.ts", "-muxrate 3000000 -pcr_period 50", 188),
        ("film.m2ts", "-mpegts_m2ts_mode 1", 192),
    ] {
        let path = generate(&directory.join(name), &format!("{PICTURES} {options}"));
        let title = Title::open(&path, TransportStreams::Whole);
        let expected: Vec<u8> = title
            .file
            .chunks(packet_bytes)
            .flat_map(|packet| &packet[packet_bytes - 188..])
            .copied()
            .collect();
        for packet_bytes_max in [1400, 576] {
            let rebuilt = depayload(directory, &title, TrackId(0), packet_bytes_max);
            assert!(rebuilt == expected, "{name}: {} of {}", rebuilt.len(), expected.len());
        }
        let (received, file) = (served(&title, probe), probe_input(&[path.to_str().unwrap()]));
        for track in [TrackId(0), TrackId(1)] {
            let hashes = |json| -> Vec<_> {
                packets(json, track).iter().map(|packet| packet["data_hash"].clone()).collect()
            };
            let (received, file) = (hashes(&received), hashes(&file));
            // It waits for a packet behind the last unit of a stream, which is not to come; units
            // of sound come several at once.
            let late = file.len() - received.len();
            assert!(file.len() > 70 && late < 20, "{name} {track:?}: {late} of {}", file.len());
            assert_eq!(received, file[..received.len()], "{name} {track:?}");
        }
        let seconds = title.index.duration.nanos() as f64 / 1e9;
        assert!((2.8..3.3).contains(&seconds), "{name} lasts {seconds} s");
    }
}
