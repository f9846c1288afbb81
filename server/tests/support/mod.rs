//! A whole server in this process, on the sample title: control and one shard on threads of their
//! own.

use packetizer::image::PayloadClass;
use server::clock::Clock;
use server::config::{Config, MediaRoot};
use server::runtime::mailbox_queue::mailbox;
use server::runtime::{control_loop, shard_loop};
use server::shard::{Shard, ShardConfig};
use server::uring::{Driver, DriverLimits, PairSockets, Waker};
use std::io;
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

/// A server that is running.
pub(crate) struct Server {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    signals: UnixStream,
    control: JoinHandle<io::Result<()>>,
    shard: JoinHandle<()>,
}

impl Server {
    /// Starts one that admits `connections_max` connections.
    pub(crate) fn start(connections_max: u32) -> Self {
        let waker = Waker::new().unwrap();
        let (control_end, shard_end) = mailbox(1 << 16, 1 << 16, waker.clone()).unwrap();
        let clock = Clock::start();
        let shard = std::thread::spawn(move || {
            let sockets = (34_000..36_000)
                .step_by(16)
                .find_map(|port| PairSockets::bind(port..=port + 15).ok())
                .expect("free ports");
            let limits = DriverLimits {
                blocks: 512,
                register_blocks: false,
                sources_max: 64,
                reads_max: 64,
                connections_max,
            };
            let driver = Driver::new(sockets, shard_end.waker(), limits).unwrap();
            let config = ShardConfig {
                rtp_ports: driver.rtp_ports().to_vec(),
                sessions_max: connections_max,
                streams_max: connections_max * 2,
                image_bytes_max: 32 << 20,
                read_blocks: 512,
                session_timeout: Duration::from_secs(30),
                cname: "test".to_owned(),
                seed: 7,
            };
            let shard = Shard::new(config, clock.wallclock());
            shard_loop::run(shard, shard_end, driver, clock).unwrap();
        });
        let config = Config {
            media: vec![MediaRoot {
                name: None,
                directory: PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/sample")),
            }],
            listen: vec!["127.0.0.1:0".parse().unwrap()],
            shard_cpus: vec![None],
            control_cpu: None,
            rtp_ports: 6970..=7033,
            memory_bytes: 1 << 30,
            sessions_max: connections_max,
            connections_max,
            sessions_per_address_max: connections_max,
            connections_per_address_max: connections_max,
            egress_bits_per_second: None,
            payload_class: PayloadClass { packet_bytes_max: 1400 },
            session_timeout: Duration::from_secs(60),
            drain_deadline: Duration::from_secs(5),
        };
        let listeners = control_loop::bind(&config.listen).unwrap();
        let address = listeners[0].local_addr().unwrap();
        let (signals, other_end) = UnixStream::pair().unwrap();
        let control = std::thread::spawn(move || {
            let shards = vec![control_end];
            control_loop::run(Arc::new(config), clock, listeners, shards, waker, other_end)
        });
        Self { address, signals, control, shard }
    }

    /// Has it drain, and waits for its threads.
    pub(crate) fn stop(self) {
        drop(self.signals);
        self.control.join().unwrap().unwrap();
        self.shard.join().unwrap();
    }
}
