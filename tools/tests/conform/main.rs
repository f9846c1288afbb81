//! The conformance checks against a small server that keeps the rules, and against the same with
//! one rule broken: the right check must notice, and none may find fault with the sound one.

#![allow(clippy::unwrap_used, reason = "a test that fails")]
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a scripted server with small numbers"
)]

mod scripted_server;
mod session;

use scripted_server::{Fault, start};
use std::collections::BTreeSet;
use std::process::Command;
use std::sync::Mutex;
use std::time::Duration;
use tools::conform::{Kind, Options, Outcome, Report, checks, run};

fn options(url: &str, only: &[&str]) -> Options {
    Options {
        url: url.to_owned(),
        kinds: vec![Kind::Tcp],
        only: only.iter().map(|name| (*name).to_owned()).collect(),
        skip: Vec::new(),
        jobs: 64,
        reply_timeout: Duration::from_secs(5),
        session_timeout_max: Duration::from_secs(1),
        drain_pid: None,
    }
}

fn notes(report: &Report, outcome: Outcome) -> Vec<String> {
    let wanted = report.results.iter().filter(|result| result.outcome == outcome);
    wanted.map(|result| format!("{}: {}", result.name, result.note)).collect()
}

#[test]
fn a_sound_server_is_found_fault_with_by_none() {
    let url = start(None);
    let mut options = options(&url, &[]);
    // What lets the whole take long, and what this server has only in part.
    options.skip =
        ["churn.", "hostile.", "reports-again", "rtcp.tcp.mapping"].map(str::to_owned).to_vec();
    let report = run(&options, |_| {}).unwrap();
    assert_eq!(notes(&report, Outcome::Fail), Vec::<String>::new());
    assert!(report.count(Outcome::Pass) > 250, "{report}");
}

#[test]
fn nothing_to_check_is_an_error() {
    let nobody = "rtsp://127.0.0.1:9/title".to_owned();
    for (url, name, expected) in [
        (start(None), "nonesuch", "no check has such a name: --list shows all"),
        (nobody, "cseq", "rtsp://127.0.0.1:9/title: the connection failed: "),
        ("http://127.0.0.1/".to_owned(), "cseq", "http://127.0.0.1/: not rtsp://HOST:PORT/PATH"),
    ] {
        let error = run(&options(&url, &[name]), |_| {}).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{error}");
    }
}

/// The fault, and the check that must notice it.
const FAULTS: [(Fault, &str); 35] = [
    (Fault::CseqLostInErrors, "cseq.in-error.501"),
    (Fault::NoReason, "form.reply.OPTIONS"),
    (Fault::BareLf, "form.reply.DESCRIBE"),
    (Fault::LengthTooShort, "describe.content-length"),
    (Fault::UnknownMethodGranted, "methods.unknown.FROBNICATE"),
    (Fault::OptionsWithoutPublic, "methods.options-public"),
    (Fault::RequireIgnored, "require.Require.OPTIONS"),
    (Fault::SessionsCounted, "setup.session-random"),
    (Fault::SessionTooShort, "setup.session-length"),
    (Fault::TransportListEchoed, "transport.list-tcp-udp"),
    (Fault::DestinationObeyed, "transport.udp-destination-other"),
    (Fault::UnknownSessionTaken, "session.invalid.PLAY.unknown"),
    (Fault::FramesTakenForRequests, "framing.frames.like-a-request"),
    (Fault::RepliesSwapped, "framing.ten-in-one"),
    (Fault::RefusalStopsMedia, "states.playing-unchanged.range-beyond"),
    (Fault::TearDownForgotten, "teardown.tcp.session-is-gone"),
    (Fault::RangeEndIgnored, "play.tcp.end-of-range"),
    (Fault::ByteRangesTaken, "range.bytes"),
    (Fault::InfoOneTooHigh, "play.tcp.first-is-seq"),
    (Fault::MediaBeforeReply, "play.tcp.nothing-before-reply"),
    (Fault::OldPacketsAfterSeek, "seek.tcp.paused.nothing-old"),
    (Fault::SequenceRestarts, "seek.tcp.paused.sequence"),
    (Fault::TimestampsJump, "seek.tcp.paused.timestamps"),
    (Fault::SsrcChanges, "seek.tcp.paused.ssrc"),
    (Fault::SsrcOther, "rtp.tcp.ssrc-as-announced"),
    (Fault::PacketLost, "rtp.tcp.sequence"),
    (Fault::PayloadTypeOther, "rtp.tcp.payload-type"),
    (Fault::PauseIgnored, "pause.tcp.stops"),
    (Fault::ResumesAtStart, "pause.tcp.resumes"),
    (Fault::TooFast, "play.tcp.in-real-time"),
    (Fault::NoReports, "rtcp.tcp.report-after-play"),
    (Fault::CountsWrong, "rtcp.tcp.counts"),
    (Fault::NoDescription, "rtcp.tcp.compound"),
    (Fault::NoBye, "rtcp.tcp.bye-at-end"),
    (Fault::SeekMovesAll, "independence.tcp.seek"),
];

#[test]
fn each_fault_is_noticed_by_its_check() {
    let missed = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for (fault, name) in FAULTS {
            let missed = &missed;
            scope.spawn(move || {
                let report = run(&options(&start(Some(fault)), &[name]), |_| {}).unwrap();
                let failed = notes(&report, Outcome::Fail);
                if !failed.iter().any(|note| note.starts_with(&format!("{name}: "))) {
                    missed.lock().unwrap().push(format!("{fault:?} by {name}: {report}"));
                }
            });
        }
    });
    let missed = missed.into_inner().unwrap();
    assert!(missed.is_empty(), "not noticed:\n{}", missed.join("\n"));
}

#[test]
fn names_are_unique_and_all_cite_something() {
    let checks = checks(&Kind::ALL);
    let names: BTreeSet<_> = checks.iter().map(|check| check.name.clone()).collect();
    assert_eq!(names.len(), checks.len());
    assert!(checks.len() > 600, "{}", checks.len());
    for check in &checks {
        assert!(
            check.cites.starts_with("RFC ") || check.cites.starts_with("interop "),
            "{check:?}"
        );
    }
}

fn conform(arguments: &[&str]) -> (i32, String, String) {
    let output =
        Command::new(env!("CARGO_BIN_EXE_reelring-conform")).args(arguments).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

#[test]
fn the_program_says_what_failed_and_shows_the_exchange() {
    let url = start(Some(Fault::NoReason));
    let directory = tempfile::tempdir().unwrap();
    let table = directory.path().join("table.md");
    let arguments = ["--only", "form.reply.OPTIONS", "--markdown", table.to_str().unwrap(), &url];
    let (status, output, _) = conform(&arguments);
    assert_eq!(status, 1);
    assert!(output.contains("FAIL          form.reply.OPTIONS [RFC 2326"), "{output}");
    assert!(output.contains("> OPTIONS rtsp://") && output.contains("< RTSP/1.0 200"), "{output}");
    let table = std::fs::read_to_string(table).unwrap();
    assert!(table.contains("| form | 0 | 1 | 0 | 0 |"), "{table}");

    let (status, output, _) = conform(&["--only", "methods.options-url", "--json", &start(None)]);
    let json: serde_json::Value = serde_json::from_str(&output).unwrap();
    assert_eq!((status, &json["results"][0]["outcome"]), (0, &"pass".into()));

    let (status, _, errors) = conform(&["rtsp://127.0.0.1:1/title"]);
    assert_eq!(status, 2, "{errors}");
    let (status, output, _) = conform(&["--list"]);
    assert!(status == 0 && output.lines().count() > 600, "{output}");
}
