//! What the tests of control share.

use crate::config::{Config, MediaRoot};
use packetizer::image::PayloadClass;
use std::path::PathBuf;
use std::time::Duration;

/// A configuration that admits what a test needs.
pub(super) fn config() -> Config {
    Config {
        media: vec![MediaRoot { name: None, directory: PathBuf::from("/media") }],
        listen: Vec::new(),
        shard_cpus: vec![None],
        control_cpu: None,
        rtp_ports: 6970..=7033,
        memory_bytes: 1 << 30,
        sessions_max: 100,
        connections_max: 100,
        sessions_per_address_max: 100,
        connections_per_address_max: 100,
        egress_bits_per_second: None,
        payload_class: PayloadClass { packet_bytes_max: 1400 },
        session_timeout: Duration::from_secs(60),
        drain_deadline: Duration::from_secs(5),
    }
}
