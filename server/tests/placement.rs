//! How shards are scheduled and what their images lie in, as the kernel tells it.

#![allow(clippy::unwrap_used, missing_docs)]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpStream, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

#[test]
fn shards_run_before_other_programs_and_nothing_else_does() {
    let mut server = Server::start(&[], 23_000, &["--scheduler", "fifo:3"]);
    let Some(text) = server.log_until("shards run before other programs") else {
        assert!(server.log.contains("CAP_SYS_NICE"), "{}", server.log);
        println!("skipped: this process may not ask for real time");
        return;
    };
    assert!(text.contains("SCHED_FIFO, priority 3"), "{text}");
    assert!(server.log_until("shards are not pinned").is_some(), "{}", server.log);
    server.await_start();
    let mut threads = 0;
    for task in fs::read_dir(format!("/proc/{}/task", server.child.id())).unwrap() {
        let task = task.unwrap().path();
        let name = fs::read_to_string(task.join("comm")).unwrap();
        let stat = fs::read_to_string(task.join("stat")).unwrap();
        // Fields 40 and 41 (proc_pid_stat(5)); the third follows the name.
        let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
        let expected = if name.starts_with("shard-") { ("3", "1") } else { ("0", "0") };
        assert_eq!((fields[37], fields[38]), expected, "{name}");
        threads += 1;
    }
    assert!(threads > 1, "control and a shard");
}

#[test]
fn a_server_that_may_not_come_first_says_what_to_change() {
    let without = ["setpriv", "--bounding-set", "-sys_nice", "--inh-caps", "-sys_nice", "--"];
    let may = Command::new(without[0]).args(&without[1..]).arg("true").status();
    if !may.is_ok_and(|status| status.success()) {
        println!("skipped: there is no setpriv, or it may not drop capabilities");
        return;
    }
    let mut server = Server::start(&without, 23_100, &["--scheduler", "fifo:3"]);
    let mut log = String::new();
    server.stderr.read_to_string(&mut log).unwrap();
    assert_eq!(server.child.wait().unwrap().code(), Some(1), "{log}");
    for part in ["reelring: the scheduler fifo:3 is refused", "CAP_SYS_NICE", "LimitRTPRIO=3"] {
        assert!(log.contains(part), "{log}");
    }
}

#[test]
fn images_lie_in_transparent_huge_pages_if_asked() {
    let enabled = fs::read_to_string("/sys/kernel/mm/transparent_hugepage/enabled");
    if enabled.is_ok_and(|modes| modes.contains("[never]")) {
        println!("skipped: transparent huge pages are switched off");
        return;
    }
    let plain = huge_bytes_of_a_playing_server(23_200, &[]);
    let (server, huge) = huge_bytes_of_a_playing_server(23_300, &["--hugepages", "transparent"]);
    assert_eq!(plain.1.transparent, 0, "{}", plain.0.log);
    assert!(server.log.contains("images lie in transparent huge pages"), "{}", server.log);
    assert!(huge.transparent >= PAGE_BYTES, "{huge:?}: {}", server.log);
}

/// With as many pages as `server/tests/with-huge-pages` sets apart.
#[test]
fn images_lie_in_reserved_huge_pages_if_there_are_enough() {
    let memory = fs::read_to_string("/proc/meminfo").unwrap();
    let free = memory.lines().find_map(|line| line.strip_prefix("HugePages_Free:"));
    let free: u64 = free.map_or(0, |pages| pages.trim().parse().unwrap());
    let (server, huge) = huge_bytes_of_a_playing_server(23_400, &["--hugepages", "reserved"]);
    if free >= PAGES {
        assert!(server.log.contains("images lie in reserved huge pages"), "{}", server.log);
        assert_eq!(huge.reserved, PAGES * PAGE_BYTES, "{}", server.log);
        assert_eq!(huge.reserved_of_nodes, huge.reserved, "each is on a node");
    } else {
        println!("there are {free} of {PAGES} huge pages: only the fall-back is tried");
        for part in ["64 huge pages of 2MiB cannot be had", "vm.nr_hugepages"] {
            assert!(server.log.contains(part), "{}", server.log);
        }
        assert_eq!(huge.reserved, 0);
    }
}

const SAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/sample");
/// What a shard with 128 MiB takes.
const PAGES: u64 = 64;
const PAGE_BYTES: u64 = 2 << 20;

/// Bytes of a process, by the kind of huge pages that they lie in.
#[derive(Debug, Default)]
struct Huge {
    transparent: u64,
    reserved: u64,
    reserved_of_nodes: u64,
}

fn huge_bytes_of_a_playing_server(port: u16, arguments: &[&str]) -> (Server, Huge) {
    let mut server = Server::start(&[], port, arguments);
    let address = server.await_start();
    // The read pool asks for huge pages whatever the flag says, and has them by now.
    let before = huge_bytes(&server);
    // Images of more than one huge page.
    let viewers: Vec<TcpStream> = ["a", "b", "c", "d"]
        .iter()
        .flat_map(|name| (0..5).map(move |part| (*name, 2 * part)))
        .map(|(name, second)| play(&address, &format!("rtsp://h/{name}/sample.mp4"), second))
        .collect();
    let after = huge_bytes(&server);
    drop(viewers);
    let huge = Huge { transparent: after.transparent - before.transparent, ..after };
    (server, huge)
}

/// A viewer over TCP who has got the first bytes of what he asked for.
fn play(address: &str, url: &str, second: u32) -> TcpStream {
    let mut viewer = TcpStream::connect(address).unwrap();
    viewer.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let set_up = format!(
        "SETUP {url}/trackID=0 RTSP/1.0\r\nCSeq: 1\r\n\
         Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n\r\n"
    );
    let reply = ask(&mut viewer, &set_up);
    let session = reply.split("Session: ").nth(1).unwrap().split(';').next().unwrap();
    let play = format!(
        "PLAY {url} RTSP/1.0\r\nCSeq: 2\r\nSession: {session}\r\nRange: npt={second}-\r\n\r\n"
    );
    let reply = ask(&mut viewer, &play);
    assert!(reply.starts_with("RTSP/1.0 200 OK"), "{reply}");
    viewer.read_exact(&mut [0; 1000]).unwrap();
    viewer
}

fn huge_bytes(server: &Server) -> Huge {
    let id = server.child.id();
    let maps = fs::read_to_string(format!("/proc/{id}/smaps")).unwrap();
    let mut huge = Huge::default();
    for line in maps.lines() {
        let mut words = line.split_whitespace();
        let (name, value) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let bytes = || value.parse::<u64>().unwrap() * 1024;
        match name {
            "AnonHugePages:" => huge.transparent += bytes(),
            "Private_Hugetlb:" => huge.reserved += bytes(),
            _ => {}
        }
    }
    // As in `7f00 default anon_huge anon=64 dirty=64 N0=64 kernelpagesize_kB=2048`.
    let nodes = fs::read_to_string(format!("/proc/{id}/numa_maps")).unwrap_or_default();
    for line in nodes.lines().filter(|line| line.contains(" huge ")) {
        let pages = line.split(' ').filter_map(|word| word.strip_prefix('N')?.split_once('='));
        huge.reserved_of_nodes +=
            pages.map(|(_, n)| n.parse::<u64>().unwrap() * PAGE_BYTES).sum::<u64>();
    }
    huge
}

/// A server of the built-in sample with one shard, killed when dropped.
struct Server {
    child: Child,
    stderr: BufReader<std::process::ChildStderr>,
    /// What was read of it.
    log: String,
}

impl Server {
    fn start(before: &[&str], port: u16, arguments: &[&str]) -> Self {
        let is_free = |port: u16| UdpSocket::bind(("0.0.0.0", port)).is_ok();
        let first = (port..port + 100).step_by(2).find(|first| (*first..first + 2).all(is_free));
        let first = first.expect("free ports");
        let program = env!("CARGO_BIN_EXE_reelring");
        let words: Vec<&str> = before.iter().copied().chain([program]).collect();
        let mut child = Command::new(words[0])
            .args(&words[1..])
            .arg("serve")
            .args(["a", "b", "c", "d"].map(|name| format!("--media={name}={SAMPLE}")))
            .args(["--listen", "127.0.0.1:0", "--rtp-ports", &format!("{first}-{}", first + 1)])
            .args(["--shards", "1", "--memory", "128MiB", "--log-format", "plain"])
            .args(arguments)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        Self { child, stderr, log: String::new() }
    }

    /// The next line of the log that says this.
    fn log_until(&mut self, what: &str) -> Option<String> {
        loop {
            let mut line = String::new();
            if self.stderr.read_line(&mut line).unwrap() == 0 {
                return None;
            }
            self.log.push_str(&line);
            if line.contains(what) {
                return Some(line);
            }
        }
    }

    /// Where it listens.
    fn await_start(&mut self) -> String {
        let line = self.log_until("listening on rtsp://");
        let line = line.unwrap_or_else(|| panic!("the server ended: {}", self.log));
        line.split_once("rtsp://").unwrap().1.trim().trim_end_matches('/').to_owned()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The head of the reply; what follows it stays unread.
fn ask(connection: &mut TcpStream, request: &str) -> String {
    connection.write_all(request.as_bytes()).unwrap();
    let mut reply = Vec::new();
    while !reply.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        connection.read_exact(&mut byte).unwrap();
        reply.push(byte[0]);
    }
    String::from_utf8(reply).unwrap()
}
