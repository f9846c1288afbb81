//! Networks that a test makes for itself, in user and network namespaces, without privileges.

use nix::sched::{CloneFlags, setns, unshare};
use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::process::{Command, Stdio};

/// Set in the process that runs inside, to the name of its test.
const INSIDE: &str = "REELRING_INSIDE";

/// Runs `body`, the test with this name, as root of a user namespace with a network of its own: in
/// another process, because a process with threads cannot enter one. Where that is not allowed the
/// test is skipped.
pub(crate) fn isolated(test: &str, body: impl FnOnce()) {
    if std::env::var(INSIDE).is_ok_and(|inside| inside == test) {
        return body();
    }
    let inside = ["--user", "--map-root-user", "--net", "--"];
    let probe = Command::new("unshare").args(inside).args(["ip", "link"]).output().unwrap();
    if !probe.status.success() {
        let reason = String::from_utf8_lossy(&probe.stderr).trim().replace('\n', "; ");
        println!("skipped: no user and network namespaces here ({reason})");
        return;
    }
    let binary = std::env::current_exe().unwrap();
    let mut command = Command::new("unshare");
    command.args(inside).args(["timeout", "-k", "5", "60"]).arg(binary);
    command.args(["--exact", test, "--nocapture"]).env(INSIDE, test).stdin(Stdio::null());
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    println!("{text}{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "inside its namespaces the test failed, see above");
    assert!(text.contains("1 passed"), "the test by the name of {test} did not run");
}

/// A network namespace.
#[derive(Debug)]
pub(crate) struct Namespace(File);

impl Namespace {
    /// The one this process has.
    pub(crate) fn own() -> Self {
        Self::of_this_thread()
    }

    /// A new one, with nothing in it but a loopback interface.
    pub(crate) fn new() -> Self {
        let make = || {
            unshare(CloneFlags::CLONE_NEWNET).unwrap();
            let made = Self::of_this_thread();
            run("ip link set lo up");
            made
        };
        std::thread::scope(|scope| scope.spawn(make).join()).unwrap()
    }

    fn of_this_thread() -> Self {
        Self(File::open("/proc/thread-self/ns/net").unwrap())
    }

    /// Does something inside: sockets that are made and programs that are started stay there.
    pub(crate) fn inside<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        let result = std::thread::scope(|scope| {
            let inside = || {
                setns(&self.0, CloneFlags::CLONE_NEWNET).unwrap();
                work()
            };
            scope.spawn(inside).join()
        });
        result.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }

    /// Runs commands inside, a line each.
    pub(crate) fn run(&self, commands: &str) {
        self.inside(|| commands.lines().map(str::trim).for_each(run));
    }

    /// Connects two namespaces by a pair of interfaces.
    pub(crate) fn connect(&self, interface: &str, other: &Self, other_interface: &str) {
        let path = format!("/proc/{}/fd/{}", std::process::id(), other.0.as_raw_fd());
        self.run(&format!(
            "ip link add {interface} type veth peer name {other_interface} netns {path}\n\
             ip link set {interface} up"
        ));
        other.run(&format!("ip link set {other_interface} up"));
    }

    /// A counter of the kernel's, by its protocol and name.
    pub(crate) fn counter(&self, protocol: &str, name: &str) -> u64 {
        self.inside(|| read_counter(protocol, name))
    }
}

/// IPv6 has a line for each counter, with the protocol's name in front of the counter's; the others
/// have a line of names and one of values.
fn read_counter(protocol: &str, name: &str) -> u64 {
    let directory = Path::new("/proc/thread-self/net");
    if protocol == "Ip6" {
        let text = std::fs::read_to_string(directory.join("snmp6")).unwrap();
        let wanted = format!("Ip6{name}");
        let mut counters = text.lines().filter_map(|line| line.split_once(char::is_whitespace));
        let (_, value) = counters.find(|(found, _)| *found == wanted).unwrap();
        return value.trim().parse().unwrap();
    }
    let text = std::fs::read_to_string(directory.join("snmp")).unwrap();
    let prefix = format!("{protocol}: ");
    let mut lines = text.lines().filter_map(|line| line.strip_prefix(prefix.as_str()));
    let (names, values) = (lines.next().unwrap(), lines.next().unwrap());
    let place = names.split(' ').position(|found| found == name).unwrap();
    values.split(' ').nth(place).unwrap().parse().unwrap()
}

/// Runs a command that must succeed, words separated by spaces.
pub(crate) fn run(command: &str) {
    if command.is_empty() {
        return;
    }
    let mut words = command.split(' ');
    let path = format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default());
    let mut started = Command::new(words.next().unwrap());
    let output = started.args(words).env("PATH", path).output();
    let output = output.unwrap_or_else(|error| panic!("{command}: {error}"));
    let why = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command}: {why}");
}
