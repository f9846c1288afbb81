//! The program as an operator meets it: flags, files, errors, signals.
#![allow(clippy::unwrap_used, reason = "a test that fails")]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

fn reelring(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_reelring"));
    command.args(arguments).stdin(Stdio::null());
    command
}

fn run(arguments: &[&str]) -> Output {
    reelring(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[test]
fn what_print_config_prints_can_be_fed_back() {
    let directory = tempfile::tempdir().unwrap();
    let media = format!("films={}", directory.path().display());
    let typed = ["serve", "--media", &media, "--egress-limit", "2.5Gbit/s", "--print-config"];
    let printed = run(&typed);
    assert!(printed.status.success(), "{printed:?}");
    let file = directory.path().join("reelring.toml");
    fs::write(&file, &printed.stdout).unwrap();
    let file = file.to_str().unwrap();
    let again = run(&["serve", "--config", file, "--print-config"]);
    assert_eq!(text(&again.stdout), text(&printed.stdout));
    let changed = run(&["serve", "--config", file, "--max-sessions", "77", "--print-config"]);
    assert!(text(&changed.stdout).contains("max-sessions = 77\n"), "{changed:?}");
    assert!(text(&changed.stdout).contains("egress-limit = \"2500Mbit/s\"\n"), "{changed:?}");
    assert!(run(&["serve", "--config", file, "--check-config"]).status.success());
}

#[test]
fn what_is_wrong_is_said_with_a_remedy() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("reelring.toml");
    fs::write(&file, "media = [\"/\"]\nmemmory = \"1GiB\"\n").unwrap();
    let file = file.to_str().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken_address = taken.local_addr().unwrap().to_string();
    for (arguments, parts) in [
        (&["serve"][..], &["--media DIR"][..]),
        (&["serve", "--media", "/nowhere/at/all"], &["/nowhere/at/all", "No such file"]),
        (&["serve", "--config", file], &["line 2", "memmory", "`memory`"]),
        (&["serve", "--config", "/nowhere.toml"], &["/nowhere.toml cannot be read"]),
        (&["serve", "--media", "/", "--memory", "2"], &["no unit", "2GiB"]),
        (&["serve", "--media", "/", "--shards", "2", "--shard-cpus", "0"], &["cannot be used"]),
        (&["serve", "--media", "/", "--shards", "0"], &["from 1 to 64"]),
        (&["sample", "--listen", &taken_address], &["in use", &taken_address, "--listen"]),
        (&["serve", "--media", "/", "--listen", "192.0.2.1:8554"], &["of this machine"]),
        (&["play"], &["unrecognized", "--help"]),
    ] {
        let output = run(arguments);
        assert!(!output.status.success(), "{arguments:?}");
        for part in parts {
            assert!(text(&output.stderr).contains(part), "{arguments:?}: {output:?}");
        }
    }
}

#[test]
fn help_names_every_flag_and_shows_examples() {
    let help = run(&["serve", "--help"]);
    for part in ["--media", "--egress-limit", "453", "ffplay rtsp://", "SIGUSR1", "[default: 1400]"]
    {
        assert!(text(&help.stdout).contains(part), "{part}");
    }
}

#[test]
fn the_page_on_tuning_names_every_flag() {
    let help = run(&["serve", "--help"]);
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../perf/TUNING.md");
    let page = fs::read_to_string(page).unwrap();
    let lines = text(&help.stdout).lines().map(str::trim_start);
    let flags = lines.filter_map(|line| line.strip_prefix("--")?.split([' ', '=', '[']).next());
    let missing: Vec<&str> = flags.filter(|flag| !page.contains(&format!("`--{flag}"))).collect();
    assert_eq!(missing, Vec::<&str>::new(), "perf/TUNING.md says nothing of these");
    assert!(page.contains("`--coalesce"));
}

#[test]
fn tune_prints_what_to_type() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path().to_str().unwrap();
    let told = run(&["tune", "--media", directory]);
    assert!(told.status.success(), "{told:?}");
    let line = text(&told.stdout).lines().find(|line| line.starts_with("  reelring serve "));
    let words: Vec<&str> = line.unwrap().split_whitespace().skip(1).collect();
    let checked = run(&[&words[..], &["--check-config"]].concat());
    assert!(checked.status.success(), "{words:?}: {checked:?}");
    let told = run(&["tune", "--media", directory, "--json"]);
    let json: serde_json::Value = serde_json::from_slice(&told.stdout).unwrap();
    assert_eq!(json["advice"]["line"], words.join(" ").replace("serve", "reelring serve"));
}

/// The built-in sample on free ports, and the URL it prints.
fn start_sample() -> (Child, String) {
    let first = 31_000 + 2 * u16::try_from(std::process::id() % 800).unwrap();
    let ports = format!("{first}-{}", first + 1);
    let mut child = reelring(&["sample", "--listen", "127.0.0.1:0", "--rtp-ports", &ports])
        .args(["--shards", "1", "--memory", "128MiB", "--log-format", "plain"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let url = lines.find_map(|line| {
        line.unwrap().trim().strip_prefix("rtsp://").map(|rest| format!("rtsp://{rest}"))
    });
    // The rest of the greeting must have a reader.
    lines.find(|line| line.as_ref().unwrap().starts_with("your own files"));
    (child, url.unwrap())
}

fn signal(child: &Child, name: &str) {
    let status = Command::new("kill").args([name, &child.id().to_string()]).status();
    assert!(status.unwrap().success());
}

#[test]
fn the_sample_is_served_counted_and_ended() {
    let (mut child, url) = start_sample();
    let host = url.strip_prefix("rtsp://").unwrap().split('/').next().unwrap();
    let mut connection = TcpStream::connect(host).unwrap();
    connection.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    write!(connection, "DESCRIBE {url} RTSP/1.0\r\nCSeq: 1\r\n\r\n").unwrap();
    let mut reply = Vec::new();
    let mut chunk = [0; 4096];
    while !text(&reply).contains("m=audio") {
        let length = connection.read(&mut chunk).unwrap();
        assert!(length > 0, "closed after {:?}", text(&reply));
        reply.extend(&chunk[..length]);
    }
    assert!(text(&reply).starts_with("RTSP/1.0 200 OK\r\n"), "{}", text(&reply));
    assert!(text(&reply).contains("H264/90000"), "{}", text(&reply));

    let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
    let mut find = |part: &str| {
        let found = log.find(|line| line.as_ref().unwrap().contains(part));
        assert!(found.is_some(), "the log ended without {part:?}");
    };
    find("listening on rtsp://127.0.0.1:");
    signal(&child, "-USR1");
    find("control connections=1 tunnels=0 sessions=0 reserved_bits_per_second=0 titles=1");
    find("sent shard=0 trains=0");
    signal(&child, "-TERM");
    find("shard has ended shard=0");
    assert_eq!(child.wait().unwrap().code(), Some(0));
}
