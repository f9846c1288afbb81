//! What the server asks of the kernel: few calls for many packets.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "helpers of tests are tests")]

mod support;

use std::process::{Command, Stdio};
use std::time::Duration;
use support::crowd::play;
use support::held::packets_sent;
use support::titles::{self, FULL_RATE};
use support::{Server, alone, pause};
use tools::load::{Mix, Options, Start};

/// Packets for each system call.
const PACKETS_MIN: u64 = 20;

#[test]
fn a_thousand_viewers_take_few_system_calls() {
    let (calls, packets) = calls_of(1000, Mix::UDP);
    assert!(packets > 100_000 && calls * PACKETS_MIN <= packets, "{calls} for {packets}");
}

#[test]
fn hundreds_of_interleaved_viewers_take_few_system_calls() {
    let (calls, packets) = calls_of(600, Mix::TCP);
    assert!(packets > 60_000 && calls * PACKETS_MIN <= packets, "{calls} for {packets}");
}

/// System calls of a server that sends in real time to so many viewers, and packets of theirs, in
/// the same few seconds; no calls and packets enough for any rule where none can be counted.
fn calls_of(viewers: usize, mix: Mix) -> (u64, u64) {
    let _alone = alone();
    FULL_RATE.make();
    let server = Server::with_shards(1, &titles::directory(), &[]);
    let options = Options {
        urls: vec![server.url(FULL_RATE.name)],
        sessions: viewers,
        mix,
        ramp_per_second: 200,
        duration: Duration::from_secs(8),
        start: Start::Random,
        ..Options::default()
    };
    std::thread::scope(|scope| {
        let crowd = scope.spawn(|| play(&options));
        pause(Duration::from_millis(viewers as u64 * 1000 / 200 + 2000));
        let before = packets_sent(&server);
        let counted = count_calls(server.pid(), 3);
        let packets = packets_sent(&server) - before;
        crowd.join().unwrap();
        let Some(calls) = counted else {
            println!("skipped: strace may not attach here");
            return (0, u64::MAX);
        };
        println!("{mix:?}: {calls} system calls for {packets} packets");
        (calls, packets)
    })
}

/// System calls of all threads of a process in so many seconds.
fn count_calls(pid: u32, seconds: u64) -> Option<u64> {
    let output = Command::new("timeout")
        .args(["--signal", "INT", &seconds.to_string(), "strace", "-c", "-f", "-p"])
        .arg(pid.to_string())
        .stdout(Stdio::null())
        .output()
        .unwrap();
    let table = String::from_utf8_lossy(&output.stderr).into_owned();
    let total = table.lines().find(|line| line.trim_end().ends_with("total"))?;
    // "100.00    3.205667          85     37622      1821 total"
    total.split_whitespace().nth(3)?.parse().ok()
}
