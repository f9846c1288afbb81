//! Runs a subject under callgrind, with as little of its surroundings as can be.

use std::error::Error;
use std::fs;
use std::io;
use std::process::Command;

/// Makes the program do one subject's work; its name follows.
pub(crate) const SUBJECT: &str = "--subject";

/// What the processor can do would choose how memory is copied: the plainest way is the same on all
/// of them. So would the sizes of its caches.
const TUNABLES: &str = "glibc.cpu.hwcaps=-AVX512F,-AVX512VL,-AVX2,-AVX,-ERMS,-FSRM:\
    glibc.cpu.x86_non_temporal_threshold=0x40000000:\
    glibc.cpu.x86_rep_movsb_threshold=0x40000000:\
    glibc.cpu.x86_rep_stosb_threshold=0x40000000";

/// What a subject's program prints: how many units it did.
pub(crate) type Units = u64;

/// The version of valgrind.
pub(crate) fn version() -> Result<String, Box<dyn Error>> {
    let output = Command::new("valgrind").arg("--version").output().map_err(missing)?;
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

/// Instructions that a subject takes for each of its units: those of
/// [`measured`](crate::subjects::measured), and what it calls.
pub(crate) fn count(subject: &str) -> Result<f64, Box<dyn Error>> {
    let directory = tempfile::tempdir()?;
    let profile = directory.path().join("profile");
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--collect-atstart=no", "--toggle-collect=*subjects::measured*"])
        .arg(format!("--callgrind-out-file={}", profile.display()))
        .arg(std::env::current_exe()?)
        .args([SUBJECT, subject])
        .env_clear()
        .env("GLIBC_TUNABLES", TUNABLES)
        .env("PATH", "/usr/bin:/bin")
        .current_dir("/")
        .output()
        .map_err(missing)?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{subject} under valgrind: {}\n{said}", output.status).into());
    }
    let units: Units = String::from_utf8(output.stdout)?.trim().parse()?;
    let instructions = total(&fs::read_to_string(profile)?)
        .ok_or_else(|| format!("{subject}: callgrind saw nothing of it"))?;
    #[allow(clippy::cast_precision_loss, reason = "far below 2^52")]
    Ok(instructions as f64 / units as f64)
}

/// The count of a profile; `None` if nothing was counted.
fn total(profile: &str) -> Option<u64> {
    let line = profile.lines().find_map(|line| line.strip_prefix("summary:"))?;
    line.trim().parse().ok().filter(|count| *count > 0)
}

fn missing(error: io::Error) -> Box<dyn Error> {
    format!("valgrind (apt install valgrind): {error}").into()
}
