//! The scripts in `perf/`: that they say what they do, and that what reads recorded runs reads them
//! as the load generator writes them.

#![allow(clippy::unwrap_used, reason = "a test that fails")]

use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tools::load::{Quantiles, ServerUse, Sessions, Spread, Summary};

fn perf(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../perf").join(name)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn python(program: &str, arguments: &[&Path]) -> Output {
    let output = Command::new("python3")
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .arg(perf("lib").join(program))
        .args(arguments)
        .output();
    output.expect("python3 is needed")
}

/// What a program that has to succeed prints.
fn printed(program: &str, arguments: &[&Path]) -> String {
    let output = python(program, arguments);
    assert!(output.status.success(), "{program}: {}", text(&output.stderr));
    text(&output.stdout)
}

fn read(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

fn write(path: &Path, content: &str) {
    fs::write(path, content).unwrap();
}

/// A run in which everything went well.
fn good(viewers: u64, cpu_percent: f64) -> Summary {
    let spread = |mean| Spread { min: mean, mean, max: mean };
    let quantiles =
        |p999, max| Quantiles { count: 1000, p99: p999 / 2.0, p999, max, ..Quantiles::default() };
    Summary {
        sessions: Sessions {
            asked: viewers,
            started: viewers,
            played: viewers,
            ..Sessions::default()
        },
        packets: viewers * 10_000,
        lateness_ms: quantiles(4.0, 9.0),
        delay_variation_ms: quantiles(5.0, 9.0),
        first_packet_ms: quantiles(8.0, 9.0),
        behind_ms: quantiles(40.0, 50.0),
        burst_packets: quantiles(32.0, 64.0),
        server: Some(ServerUse {
            cpu_percent: spread(cpu_percent),
            system_percent: spread(cpu_percent / 2.0),
            rss_mib: spread(100.0),
            ..ServerUse::default()
        }),
        ..Summary::default()
    }
}

fn late(summary: Summary, lateness: f64, variation: f64) -> Summary {
    let quantiles = |p999| Quantiles { p999, max: p999, ..summary.lateness_ms };
    Summary {
        lateness_ms: quantiles(lateness),
        delay_variation_ms: quantiles(variation),
        ..summary
    }
}

fn record(directory: &Path, name: &str, summary: &Summary) -> PathBuf {
    let path = directory.join(format!("{name}.json"));
    write(&path, &serde_json::to_string(summary).unwrap());
    path
}

#[test]
fn every_script_tells_what_it_does_and_refuses_what_it_does_not_know() {
    for name in ["compare", "compare-commits", "plots", "profile", "scaling"] {
        let run = |argument| Command::new(perf(name)).arg(argument).output().unwrap();
        let helped = run("--help");
        let help = text(&helped.stdout);
        assert!(helped.status.success(), "{name}: {}", text(&helped.stderr));
        assert!(help.contains(&format!("\n    perf/{name} ")), "{name}:\n{help}");
        assert!(!help.contains("set -euo"), "{name}:\n{help}");
        let refused = run("--nonsense");
        assert_eq!(refused.status.code(), Some(2), "{name}: {}", text(&refused.stderr));
        assert_eq!(text(&refused.stderr), help, "{name}");
    }
}

#[test]
fn a_server_is_good_enough_or_falls_short_or_nobody_knows() {
    let directory = tempfile::tempdir().unwrap();
    let few = record(directory.path(), "few", &late(good(2, 1.0), 400.0, 40.0));
    let mut disturbed = late(good(9, 1.0), 300.0, 300.0);
    disturbed.generator.bottleneck = vec!["no idle time".into()];
    let mut short = good(9, 1.0);
    short.sessions.failed = 1;
    short.failures.insert("Too many open files (os error 24)".into(), 1);
    for (summary, code, expected) in [
        (short, 3, "generator: Too many open files"),
        (good(9, 1.0), 0, "holds"),
        // By its own packets it keeps its pace, whatever its reports say.
        (late(good(9, 1.0), 5000.0, 139.0), 0, "holds"),
        (late(good(9, 1.0), 50.0, 600_000.0), 0, "holds"),
        (late(good(9, 1.0), 5000.0, 141.0), 1, "p99.9 141 ms late"),
        (Summary { lost: 9, lost_at_start: 9, ..good(9, 1.0) }, 0, "0 lost"),
        (Summary { lost: 10, ..good(9, 1.0) }, 1, "10 packets lost"),
        (Summary { silent_streams: 1, ..good(9, 1.0) }, 1, "1 streams silent"),
        (disturbed, 3, "generator: no idle time"),
    ] {
        let run = record(directory.path(), "run", &summary);
        let output = python("verdict.py", &[&run, &few]);
        let said = text(&output.stdout);
        assert_eq!(output.status.code(), Some(code), "{said}{}", text(&output.stderr));
        assert!(said.contains(expected), "{expected} is not in {said}");
    }
}

#[test]
fn servers_are_compared_by_what_they_carry() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    write(&directory.join("machine"), "a machine\n");
    for (name, cpu, carried) in [("reelring", 0.02, 1600), ("other", 0.5, 100)] {
        write(&directory.join(format!("{name}.server")), &format!("{name}\n1.0\nexec {name}\n"));
        for viewers in [2, 20, 50, 100, carried] {
            #[allow(clippy::cast_precision_loss, reason = "few viewers")]
            let summary = good(viewers, cpu * viewers as f64);
            record(directory, &format!("{name}-{viewers:05}"), &summary);
        }
    }
    record(directory, "other-00200", &late(good(200, 99.0), 900.0, 800.0));
    let out = directory.join("out.json");
    let table = printed("compare.py", &[directory, &out]);
    let rows: Vec<&str> = table.lines().skip(2).take(2).collect();
    let words = |row: usize| rows[row].split_whitespace().collect::<Vec<_>>();
    assert_eq!(
        words(0),
        "reelring 1.0 0.4 1.0 2.0 0.020 1.0 4.0 ≥ 1600 1.0 not tried further"
            .split(' ')
            .collect::<Vec<_>>()
    );
    assert_eq!(
        words(1),
        "other 1.0 10.0 25.0 50.0 0.500 25.0 4.0 100 ≥ 16.0 at 200: p99.9 800 ms late"
            .split(' ')
            .collect::<Vec<_>>()
    );
    let document = read(&out);
    let [ours, other] = &document["servers"].as_array().unwrap()[..] else { panic!("{table}") };
    assert_eq!((&ours["carried"], &ours["is_at_least"]), (&json!(1600), &json!(true)));
    assert_eq!((&other["breaks_at"], &other["is_at_least"]), (&json!(200), &json!(false)));
}

#[test]
fn commits_differ_if_their_ranges_are_apart() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    for (name, cpu) in [("a-01", 20.0), ("a-02", 24.0), ("b-01", 10.0), ("b-02", 12.0)] {
        record(directory, name, &good(100, cpu));
    }
    let out = directory.join("out.json");
    let names = [Path::new("first"), Path::new("second")];
    let table = printed("commits.py", &[directory, &out, names[0], names[1]]);
    let cpu = table.lines().find(|line| line.starts_with("CPU")).unwrap();
    assert!(cpu.ends_with("0.500"), "{table}");
    let memory = table.lines().find(|line| line.starts_with("memory")).unwrap();
    assert!(memory.ends_with("1.000  (within the spread)"), "{table}");
    let metrics = &read(&out)["metrics"];
    assert_eq!(metrics[0]["b"]["values"], json!([1000.0, 1200.0]), "{metrics}");
}

#[test]
fn counters_of_all_shards_are_added_to_a_run() {
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("log");
    write(
        &log,
        " INFO serving shard=0 sessions=1 image_bytes=5\n INFO serving shard=0 sessions=2 \
         streams=4 connections=2 image_holds=1 image_bytes=1000 blocks_taken=0\n \
         INFO serving shard=1 sessions=3 image_bytes=24\n INFO sent shard=0 trains=7 packets=9\n \
         INFO read shard=0 reads=2 bytes=77 failed=0\n INFO listening at 1.2.3.4\n",
    );
    let run = record(directory.path(), "run", &good(2, 1.0));
    printed("counters.py", &[&log, &run]);
    let expected = json!({"sessions": 5, "streams": 4, "image_bytes": 1024, "trains": 7,
        "packets": 9, "reads": 2, "read_bytes": 77});
    let written = read(&run);
    assert_eq!(written["counters"], expected);
    assert_eq!(written["sessions"]["asked"], 2);
}

#[test]
fn viewers_of_other_processes_are_added_to_a_run() {
    let directory = tempfile::tempdir().unwrap();
    let run = record(directory.path(), "run", &good(4000, 50.0));
    let mut part = Summary { packets: 0, ..good(1000, 0.0) };
    (part.sessions.sinks, part.sessions.failed) = (1000, 2);
    part.failures.insert("no reply".into(), 2);
    let part = record(directory.path(), "part", &part);
    printed("merge.py", &[&run, &part, &part]);
    let written = read(&run);
    assert_eq!(written["sessions"]["asked"], 6000);
    assert_eq!(written["sessions"]["sinks"], 2000);
    assert_eq!(
        (&written["sessions"]["failed"], &written["failures"]["no reply"]),
        (&json!(4), &json!(4))
    );
    assert_eq!(written["packets"], 40_000_000);
}

#[test]
fn stacks_are_summed_up_by_function() {
    let directory = tempfile::tempdir().unwrap();
    let folded = directory.path().join("folded");
    write(&folded, "shard-0;turn;send 6\nshard-0;turn;send;send 2\ncontrol;turn 2\n");
    let table = printed("shares.py", &[&folded]);
    let rows: Vec<Vec<&str>> =
        table.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows[0], ["threads:", "shard-0", "80.0%,", "control", "20.0%"]);
    assert_eq!(rows[2..], [["80.0%", "80.0%", "send"], ["20.0%", "100.0%", "turn"]]);
}

#[test]
fn pictures_are_drawn_from_recorded_runs() {
    let interpreters = [PathBuf::from("python3"), perf("../target/perf/venv/bin/python3")];
    let draws = |python: &PathBuf| {
        let output = Command::new(python).args(["-c", "import matplotlib"]).output();
        output.is_ok_and(|output| output.status.success())
    };
    if !interpreters.iter().any(draws) {
        println!("skipped: pictures need python3-matplotlib");
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let runs = directory.path().join("runs");
    fs::create_dir(&runs).unwrap();
    for viewers in [100, 200, 1000] {
        #[allow(clippy::cast_precision_loss, reason = "few viewers")]
        let run = record(&runs, &format!("{viewers:05}"), &good(viewers, viewers as f64 * 0.02));
        let mut recorded = read(&run);
        recorded["counters"] = json!({"image_bytes": 50 << 20});
        write(&run, &recorded.to_string());
    }
    let floor = directory.path().join("floor.json");
    write(
        &floor,
        &json!([{"viewers": 1000, "cpu_percent": 12.5, "system_seconds": 1.0, "cpu_seconds": 2.0,
            "cpu_micros_per_viewer_second": 125.0,
            "late": {"p50": 10, "p99": 20, "p99_9": 30, "max": 40}}])
        .to_string(),
    );
    let picture = directory.path().join("scaling.svg");
    let status = Command::new(perf("plots"))
        .arg(&picture)
        .args([format!("server={}", runs.display()), format!("floor={}", floor.display())])
        .status()
        .unwrap();
    assert!(status.success());
    let svg = fs::read_to_string(&picture).unwrap();
    assert!(svg.contains("<svg") && svg.contains("</svg>"));
    let png = fs::read(picture.with_extension("png")).unwrap();
    assert!(png.starts_with(b"\x89PNG") && png.len() > 10_000);
}
