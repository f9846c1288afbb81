//! `reelring-load` against a server that makes exactly the mistakes it is told to: each must be
//! reported, and nothing else.

#![allow(clippy::unwrap_used, reason = "a test that fails")]

mod faulty_server;

use faulty_server::{Faults, FaultyServer};
use serde_json::Value;
use std::process::{Command, Stdio};
use std::time::Duration;

/// Runs the generator for two seconds; its exit status, its JSON and what it complains of.
fn load(server: &FaultyServer, arguments: &[&str]) -> (i32, Value, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_reelring-load"))
        .args(["--json", "--ramp", "1000/s", "--duration", "2s", "--max-late", "1s"])
        .args(arguments)
        .arg(&server.url)
        .output()
        .unwrap();
    let complaints = String::from_utf8(output.stderr).unwrap();
    let json = serde_json::from_slice(&output.stdout);
    let json = json.unwrap_or_else(|error| panic!("{error}: {complaints}"));
    (output.status.code().unwrap(), json, complaints)
}

#[test]
fn a_faultless_server_passes() {
    for transport in ["udp", "tcp"] {
        let server = FaultyServer::start(Faults::default());
        let (status, json, complaints) =
            load(&server, &["-n", "3", "--transport", transport, "--start", "12.5"]);
        assert_eq!((status, complaints.as_str()), (0, ""), "{transport}: {json}");
        assert_eq!((&json["sessions"]["played"], &json["streams"]), (&3.into(), &3.into()));
        assert!(json["packets"].as_u64().unwrap() > 3 * 300, "{json}");
        assert!(json["generator"]["unread_ms"]["count"].as_u64().unwrap() > 10, "{json}");
        assert_eq!((server.count("PLAY"), server.count("TEARDOWN")), (3, 3));
    }
}

#[test]
fn faults_are_reported_exactly() {
    let faults = Faults {
        lost: vec![0, 20, 21, 100],
        duplicated: vec![30, 31, 32],
        swapped: vec![50, 200],
        held: Some((150, Duration::from_millis(300))),
        ..Faults::default()
    };
    for transport in ["udp", "tcp"] {
        let server = FaultyServer::start(faults.clone());
        let (status, json, complaints) =
            load(&server, &["-n", "3", "--transport", transport, "--max-late", "200ms"]);
        assert_eq!(status, 1);
        for (name, expected) in
            [("lost", 12), ("lost_at_start", 3), ("duplicates", 9), ("reordered", 6), ("stale", 0)]
        {
            assert_eq!(json[name], expected, "{transport}: {name}");
        }
        let late_ms = json["lateness_ms"]["max"].as_f64().unwrap();
        assert!(late_ms > 299.0, "{late_ms}");
        assert!(complaints.contains("12 packets lost, 0 allowed"), "{complaints}");
        assert!(complaints.contains("9 packets that should not have come"), "{complaints}");
        assert!(complaints.contains("ms late, 200 ms allowed"), "{complaints}");
        let (status, _, complaints) =
            load(&server, &["--max-loss", "4", "--max-wrong", "3", "--seed", "1"]);
        assert_eq!((status, complaints.as_str()), (0, ""));
    }
}

#[test]
fn what_comes_at_once_is_a_burst() {
    // What it held back, 60 packets, it sends at once; all others are 5 ms apart.
    let faults = Faults { held: Some((100, Duration::from_millis(300))), ..Faults::default() };
    for (transport, names, packet_bytes) in [
        ("udp", ["burst_packets", "burst_bytes", "interleaved_burst_bytes"], 112.0),
        ("tcp", ["interleaved_burst_bytes", "interleaved_burst_bytes", "burst_packets"], 116.0),
    ] {
        let server = FaultyServer::start(faults.clone());
        let (_, json, _) = load(&server, &["--transport", transport]);
        let [packets, bytes, none] = names.map(|name| json[name].clone());
        let at = |lengths: &Value, quantile: &str| lengths[quantile].as_f64().unwrap();
        assert_eq!((&packets["count"], &none["count"]), (&bytes["count"], &0.into()));
        // A busy machine may tear the big one apart, or join some that are its neighbours.
        let longest = at(&bytes, "max") / packet_bytes;
        assert!((20.0..150.0).contains(&longest), "{transport}: {longest}");
        if transport == "udp" {
            let quantiles = ["p50", "p90"].map(|quantile| at(&packets, quantile));
            assert_eq!((quantiles, at(&bytes, "p50")), ([1.0, 1.0], packet_bytes));
            assert!((at(&packets, "max") - longest).abs() < 0.2, "{json}");
        }
    }
}

#[test]
fn a_server_that_falls_silent_is_behind() {
    let faults = Faults { silent_from: Some(60), ..Faults::default() };
    let server = FaultyServer::start(faults);
    let (status, json, complaints) = load(&server, &["--max-late", "200ms"]);
    assert_eq!((status, &json["lost"]), (1, &0.into()));
    assert!(complaints.contains("had been silent for"), "{complaints}");
    let faults = Faults { silent_from: Some(0), ..Faults::default() };
    let (status, _, complaints) = load(&FaultyServer::start(faults), &[]);
    assert_eq!(status, 1);
    assert!(complaints.contains("nothing came of 1 streams"), "{complaints}");
}

#[test]
fn a_title_that_ends_too_early_is_not_whole() {
    for (title_seconds, expected) in [(600, 1), (1, 0)] {
        // The server has its own mind about channels, too.
        let faults = Faults { title_seconds, channel: 6, bye_at: Some(150), ..Faults::default() };
        let server = FaultyServer::start(faults);
        let (status, json, complaints) = load(&server, &["--transport", "tcp"]);
        assert_eq!((status, &json["churn"]["replays"]), (expected, &2.into()), "{complaints}");
        assert_eq!(complaints.contains("titles ended too early"), expected == 1, "{complaints}");
    }
}

#[test]
fn silence_that_a_seek_or_a_pause_ends_is_noticed() {
    for churn in ["seek=0.6/s", "pause=0.6/s"] {
        let server = FaultyServer::start(Faults { silent_from: Some(60), ..Faults::default() });
        let (status, _, complaints) = load(&server, &["--max-late", "200ms", "--churn", churn]);
        assert_eq!(status, 1);
        assert!(complaints.contains("had been silent for 13"), "{churn}: {complaints}");
    }
}

#[test]
fn without_rtp_info_streams_are_judged_from_their_first_packet() {
    let faults = Faults { no_rtp_info: true, lost: vec![0, 100], ..Faults::default() };
    let (status, json, _) = load(&FaultyServer::start(faults), &["-n", "2"]);
    assert_eq!((status, &json["unanchored_streams"], &json["lost"]), (1, &2.into(), &2.into()));
}

#[test]
fn refusals_and_failures_are_told_apart() {
    let server = FaultyServer::start(Faults { sessions_max: Some(2), ..Faults::default() });
    let (status, json, complaints) = load(&server, &["-n", "5"]);
    assert_eq!((status, complaints.trim_end()), (1, "reelring-load: 3 viewers were refused"));
    assert_eq!(
        (&json["sessions"]["refused"], &json["failures"]["SETUP: 453"]),
        (&3.into(), &3.into())
    );
    assert_eq!(
        (&json["refused_ms"]["count"], &json["reply_ms"]["SETUP"]["count"]),
        (&3.into(), &2.into())
    );

    let server = FaultyServer::start(Faults { sessions_max: Some(2), ..Faults::default() });
    assert_eq!(load(&server, &["-n", "5", "--max-refused", "3"]).0, 0);

    let server = FaultyServer::start(Faults { hangs_up: true, ..Faults::default() });
    let (status, json, _) = load(&server, &["-n", "2"]);
    assert_eq!((status, &json["sessions"]["failed"]), (1, &2.into()));
    let (status, _, complaints) = load(&server, &["-n", "2", "--max-failed", "2"]);
    assert_eq!(status, 1);
    assert!(complaints.contains("no packet came: nobody played"), "{complaints}");
}

#[test]
fn only_want_of_room_is_forgiven() {
    for faults in [
        Faults { setup_status: Some("461 Unsupported Transport"), ..Faults::default() },
        Faults { setup_status: Some("401 Unauthorized"), ..Faults::default() },
        Faults { refuses_to_go_on: true, ..Faults::default() },
    ] {
        let server = FaultyServer::start(faults);
        let (status, json, _) = load(&server, &["--max-refused", "1", "--churn", "seek=1/s"]);
        let sessions = &json["sessions"];
        assert_eq!((status, &sessions["failed"], &sessions["refused"]), (1, &1.into(), &0.into()));
    }
}

#[test]
fn a_stalled_viewer_that_is_thrown_out_costs_nothing() {
    let resets_after = Some(Duration::from_millis(200));
    let server = FaultyServer::start(Faults { resets_after, ..Faults::default() });
    let (status, json, complaints) = load(&server, &["--transport", "tcp", "--stalled", "1"]);
    assert_eq!((status, &json["sessions"]["stalled"]), (0, &1.into()), "{complaints}");
    assert!(json["generator"]["cpu_seconds"].as_f64().unwrap() < 0.5, "{json}");
}

#[test]
fn churn_is_what_was_asked_for() {
    let server = FaultyServer::start(Faults::default());
    let churn = "stop=5/s,seek=6/s,pause=4/s,vanish=3/s";
    for transport in ["udp", "tcp"] {
        let before = ["PLAY", "TEARDOWN", "EOF"].map(|method| server.count(method));
        let (status, json, complaints) =
            load(&server, &["-n", "40", "--transport", transport, "--churn", churn]);
        assert_eq!((status, complaints.as_str()), (0, ""), "{json}");
        let churned = |name: &str| json["churn"][name].as_u64().unwrap();
        for (name, rate) in [("stops", 5), ("seeks", 6), ("pauses", 4), ("vanished", 3)] {
            assert!((2 * rate - 1..=2 * rate).contains(&churned(name)), "{name}: {json}");
        }
        let [plays, teardowns, gone] = ["PLAY", "TEARDOWN", "EOF"]
            .map(|method| server.count(method) as u64)
            .iter()
            .zip(before)
            .map(|(now, before)| now - before as u64)
            .collect::<Vec<_>>()
            .try_into()
            .unwrap();
        assert_eq!(gone, churned("vanished"));
        let started = json["sessions"]["started"].as_u64().unwrap();
        assert_eq!(started, 40 + churned("stops") + churned("vanished"));
        assert_eq!(
            teardowns,
            started - churned("vanished") - json["sessions"]["unfinished"].as_u64().unwrap()
        );
        // Some pauses last beyond the end.
        assert!(
            plays >= 40 + churned("seeks")
                && plays <= started + churned("seeks") + churned("pauses")
        );
        assert_eq!(
            (&json["lost"], &json["stale"], &json["premature"]),
            (&0.into(), &0.into(), &0.into())
        );
    }
}

#[test]
fn nobody_looks_at_what_goes_down_the_sink() {
    let server = FaultyServer::start(Faults { lost: vec![9], ..Faults::default() });
    let (status, json, _) = load(&server, &["-n", "4", "--sink", "0.5"]);
    assert_eq!((status, &json["lost"], &json["streams"]), (1, &2.into(), &2.into()));
    assert_eq!((&json["sessions"]["played"], &json["sessions"]["sinks"]), (&4.into(), &2.into()));
    assert_eq!(server.count("TEARDOWN"), 4);
}

#[test]
fn results_are_written_where_they_are_asked_for() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    let server = FaultyServer::start(Faults::default());
    let pid = std::process::id().to_string();
    let output = Command::new(env!("CARGO_BIN_EXE_reelring-load"))
        .args(["--duration", "2s", "--max-late", "200ms", "--server-pid", &pid])
        .args([&format!("--json={}", path("json")), "--histograms", &path("log")])
        .args(["--plot", &path("svg"), &server.url])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let table = String::from_utf8(output.stdout).unwrap();
    assert!(table.contains("1 played") && table.contains("RSS MiB"), "{table}");
    let read = |name| std::fs::read_to_string(path(name)).unwrap();
    let json: Value = serde_json::from_str(&read("json")).unwrap();
    assert!(json["server"]["rss_mib"]["max"].as_f64().unwrap() > 1.0);
    assert!(json["timeline"].as_array().unwrap().len() >= 2);
    assert!(read("log").contains("Tag=late,") && read("log").contains("Tag=TEARDOWN,"));
    assert!(read("svg").starts_with("<svg") && read("svg").contains("Server: CPU"));
}

#[test]
fn a_signal_ends_a_run_with_its_result() {
    let directory = tempfile::tempdir().unwrap();
    let json = directory.path().join("json");
    let server = FaultyServer::start(Faults::default());
    let child = Command::new(env!("CARGO_BIN_EXE_reelring-load"))
        .args(["--duration", "60s", &format!("--json={}", json.display()), &server.url])
        .stderr(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    while server.count("PLAY") == 0 {
        std::thread::yield_now();
    }
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    let complaints = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{complaints}");
    assert!(complaints.contains("interrupted after"), "{complaints}");
    assert_eq!(server.count("TEARDOWN"), 1);
    let json: Value = serde_json::from_str(&std::fs::read_to_string(json).unwrap()).unwrap();
    assert_eq!(json["interrupted"], true);
}

#[test]
fn a_result_that_cannot_be_written_is_still_shown() {
    let server = FaultyServer::start(Faults::default());
    let output = Command::new(env!("CARGO_BIN_EXE_reelring-load"))
        .args(["--duration", "1s", "--json=/dev/full", &server.url])
        .output()
        .unwrap();
    let complaints = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{complaints}");
    assert!(complaints.contains("/dev/full: No space left"), "{complaints}");
    assert!(String::from_utf8(output.stdout).unwrap().contains("1 played"));
}

#[test]
fn a_command_line_that_makes_no_sense_ends_with_2() {
    for arguments in [
        &["--server-pid", "4294967295", "rtsp://127.0.0.1:1/"][..],
        &["--plot", "/nonexistent/file.svg", "rtsp://127.0.0.1:1/"],
        &["--churn", "jump=1/s", "rtsp://127.0.0.1:1/"],
        &["-n", "0", "rtsp://127.0.0.1:1/"],
        &["--stalled", "1", "rtsp://127.0.0.1:1/"],
        &["--transport", "tcp", "--sink", "1", "rtsp://127.0.0.1:1/"],
        &["http://127.0.0.1:1/"],
        &["--source", "127.1.0.0/16", "rtsp://[::1]:1/"],
        &["rtsp://no-such-host.invalid/"],
        &[],
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_reelring-load")).args(arguments).output();
        assert_eq!(output.unwrap().status.code(), Some(2), "{arguments:?}");
    }
}
