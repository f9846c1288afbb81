//! What is served, and to how many.

use super::shards::SHARD_COUNT;
use packetizer::codec::CodecConfig;
use packetizer::codec::h264::H264Config;
use packetizer::codec::nal::NalFraming;
use packetizer::image::{Bursts, PayloadClass};
use packetizer::index::{IndexBuilder, TrackDescription};
use packetizer::time::{ClockRate, Npt};
use server::config::{Config, MediaRoot};
use server::title::{ByteSourceId, Generation, SharedTitle, SourceFiles, Title};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

pub(super) const CONNECTIONS_MAX: u32 = 6;
pub(super) const SESSIONS_MAX: u32 = 5;

/// Limits that a few steps can reach.
pub(super) fn config() -> Config {
    Config {
        media: vec![MediaRoot { name: None, directory: PathBuf::from("/media") }],
        page_cache: false,
        mp2t: false,
        mp3_adu: false,
        listen: Vec::new(),
        http_listen: Vec::new(),
        shard_cpus: vec![None; SHARD_COUNT],
        control_cpu: None,
        scheduler: Default::default(),
        huge_pages: Default::default(),
        rtp_ports: 6970..=7033,
        memory_bytes: 1 << 30,
        sessions_max: SESSIONS_MAX,
        connections_max: CONNECTIONS_MAX,
        sessions_per_address_max: 4,
        connections_per_address_max: 4,
        egress_bits_per_second: Some(40_000_000),
        payload_class: PayloadClass { packet_bytes_max: 1400 },
        session_timeout: Duration::from_secs(60),
        moved: vec!["old/=rtsp://elsewhere/new/".parse().unwrap()],
        clock_origins: vec!["movie.mp4=1996-11-08T14:37:20Z".parse().unwrap()],
        redirect_to: Some("rtsp://elsewhere/".parse().unwrap()),
        profiles_off: Vec::new(),
        drain_deadline: Duration::from_secs(5),
        coalescing: Duration::from_millis(4),
        launch_times: Default::default(),
        interleaved_ahead: Duration::ZERO,
        bursts: Bursts::default(),
    }
}

/// A tenth of a second of as many tracks as the name says.
pub(super) fn title(name: &str, version: u64) -> Option<SharedTitle> {
    let track_count = match name {
        "silent.mp4" => 1,
        "movie.mp4" => 2,
        "many.mp4" => 12,
        _ => return None,
    };
    let mut builder = IndexBuilder::new();
    for container_id in 1..=track_count {
        let codec = CodecConfig::H264(H264Config {
            framing: NalFraming::Length(4),
            sequence_parameter_sets: vec![vec![0x67, 0x42, 0xc0, 0x1e, 0xd9]],
            picture_parameter_sets: vec![vec![0x68, 0xce, 0x3c, 0x80]],
        });
        let media_rate = ClockRate::VIDEO;
        let description = TrackDescription::new(container_id, codec, media_rate);
        let track = builder.add_track(description).unwrap();
        for unit in 0..3_u32 {
            let (offset, decode) = (u64::from(unit) * 9000, i64::from(unit) * 3000);
            builder.push(track, offset, 9000, decode, decode, 3000, unit == 0).unwrap();
        }
    }
    let generation = Generation { inode: (1, version), modified_nanos: 7, bytes: 30_000 };
    Some(Arc::new(Title {
        name: name.to_owned(),
        path: PathBuf::from("/media").join(name),
        generation,
        source: ByteSourceId(u64::from(track_count)),
        index: builder.finish(Npt::from_nanos(100_000_000)),
        looped: false,
        files: SourceFiles::default(),
    }))
}
