//! Other people's programs, as child processes that end.

use std::process::{Command, Output};

/// Seconds after which a player is ended.
const TIMEOUT_SECONDS: u32 = 60;
/// Lines of what a player wrote to standard error that a failed test shows.
const SAID_LINES_SHOWN: usize = 20;
/// Times that a `gst-launch-1.0` is started which fails to link its own elements.
const GSTREAMER_STARTS_MAX: usize = 3;

/// Runs a program that must succeed and returns what it wrote to standard output.
pub(crate) fn output_of(program: &str, arguments: &[&str]) -> String {
    let output = run(program, arguments);
    assert!(
        output.status.success(),
        "{program} {} ended with {}:\n{}",
        arguments.join(" "),
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Runs a program until it ends, or for a minute at most.
pub(crate) fn run(program: &str, arguments: &[&str]) -> Output {
    run_for(TIMEOUT_SECONDS, program, arguments)
}

/// Runs a program until it ends, or for so many seconds at most.
pub(crate) fn run_for(seconds: u32, program: &str, arguments: &[&str]) -> Output {
    require(program);
    let mut command = Command::new("timeout");
    command.args(["-k", "5", &seconds.to_string(), program]).args(arguments);
    let output = command.output().unwrap_or_else(|error| panic!("timeout {program}: {error}"));
    let said = String::from_utf8_lossy(&output.stderr);
    let lines: Vec<&str> = said.lines().take(SAID_LINES_SHOWN).collect();
    if !lines.is_empty() {
        println!("{program} {}\n  says: {}", arguments.join(" "), lines.join("\n  "));
    }
    output
}

/// Runs `gst-launch-1.0` with these options and this pipeline, for 30 seconds at most.
///
/// Where two pads of an `rtspsrc` appear at once, 1.22 links now and then neither, or one of them
/// twice: it waits for ever, or ends with `not-linked` (`playbin` does neither). That is between it
/// and itself, and it is started again then.
pub(crate) fn gst_launch(pipeline: &str) -> Output {
    let launch = ["30", "gst-launch-1.0"].into_iter();
    let arguments: Vec<&str> = launch.chain(pipeline.split_whitespace()).collect();
    let linked = |ended: &Output| {
        let errors = String::from_utf8_lossy(&ended.stderr);
        ended.status.code() != Some(124) && !errors.contains("reason not-linked")
    };
    let mut ended = run("timeout", &arguments);
    for _ in 1..GSTREAMER_STARTS_MAX {
        if linked(&ended) {
            break;
        }
        println!("gst-launch-1.0 failed to link: {pipeline}");
        ended = run("timeout", &arguments);
    }
    ended
}

/// Whether a player is there. One that is missing fails the test by its name, unless
/// `REELRING_SKIP_PLAYERS=1` says that it may be.
pub(crate) fn player(program: &str) -> bool {
    let skip = std::env::var("REELRING_SKIP_PLAYERS").is_ok_and(|value| value == "1");
    if skip && !is_installed(program) {
        println!("skipped: {program} is not installed");
        return false;
    }
    require(program);
    true
}

fn require(program: &str) {
    assert!(is_installed(program), "{program} is not installed (tools/test installs it)");
}

fn is_installed(program: &str) -> bool {
    let paths = std::env::var_os("PATH").unwrap_or_default();
    let direct = program.starts_with('/') && std::path::Path::new(program).is_file();
    direct || std::env::split_paths(&paths).any(|path| path.join(program).is_file())
}
