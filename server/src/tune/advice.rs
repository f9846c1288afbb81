//! From facts to what should be typed, each with a reason.

use super::facts::{Device, Facts};
use super::layout::{Layout, layout, main_device};
use super::remarks::remarks;
use crate::config::units::{BitRate, Bytes, CpuList};
use crate::config::{Budget, SHARD_MEMORY_BYTES_MIN};
use crate::limits::SHARDS_MAX;
use crate::uring::area_bytes;
use serde::Serialize;

/// What to type, and what to know.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Advice {
    /// The whole command.
    pub(crate) line: String,
    /// Its flags.
    pub(crate) flags: Vec<Setting>,
    /// For `/etc/sysctl.d`.
    pub(crate) sysctls: Vec<Setting>,
    /// For the `[Service]` section of a systemd unit.
    pub(crate) unit: Vec<Setting>,
    /// For root, until the next start of the machine.
    pub(crate) commands: Vec<Command>,
    pub(crate) remarks: Vec<String>,
}

/// A name, its value and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Setting {
    pub(crate) name: &'static str,
    pub(crate) value: String,
    pub(crate) why: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Command {
    pub(crate) command: String,
    pub(crate) why: String,
}

/// How to serve `facts.media` on this machine, and what would help.
pub(crate) fn advise(facts: &Facts) -> Advice {
    let layout = layout(facts);
    let device = main_device(facts);
    let memory = memory(facts, &layout);
    let mut flags = Vec::new();
    for media in &facts.media {
        flags.push(setting("--media", &media.directory, "the titles"));
    }
    place_threads(&mut flags, facts, &layout, device);
    flags.push(setting("--memory", Bytes(memory), memory_reason(facts, &layout)));
    flags.extend(egress(device));
    flags.extend(huge_pages(facts, &layout, memory));
    Advice {
        line: line(&flags),
        flags,
        sysctls: sysctls(facts),
        unit: unit(facts, &layout),
        commands: commands(facts, &layout, device),
        remarks: remarks(facts, &layout, device),
    }
}

fn setting(name: &'static str, value: impl ToString, why: impl Into<String>) -> Setting {
    Setting { name, value: value.to_string(), why: why.into() }
}

fn line(flags: &[Setting]) -> String {
    let mut line = "reelring serve".to_owned();
    if flags.iter().all(|flag| flag.name != "--media") {
        line.push_str(" --media DIR");
    }
    for flag in flags {
        let quote = if flag.value.contains(char::is_whitespace) { "'" } else { "" };
        line.push_str(&format!(" {} {quote}{}{quote}", flag.name, flag.value));
    }
    line
}

fn place_threads(
    flags: &mut Vec<Setting>,
    facts: &Facts,
    layout: &Layout,
    device: Option<&Device>,
) {
    if layout.shards.is_empty() {
        let why = match facts.cpus.quota {
            Some(quota) if quota < facts.cpus.cores.len() as f64 => format!(
                "the control group allows {quota} CPUs' worth of time on any CPU, so pinning gains \
                 nothing, and more threads would only wait"
            ),
            _ => "there is one CPU".to_owned(),
        };
        return flags.push(setting("--shards", layout.floating, why));
    }
    let near = match device {
        Some(device) if !layout.far.is_empty() => {
            format!(" on the node of {} ({})", device.name, device.node.unwrap_or_default())
        }
        _ => String::new(),
    };
    let kind = if layout.is_isolated { "isolated core" } else { "core" };
    let why = match layout.shards.len() {
        SHARDS_MAX => format!("a shard on each {kind}{near}, at most {SHARDS_MAX}"),
        _ => format!("a shard on each {kind}{near} that control and interrupts leave"),
    };
    flags.push(setting("--shard-cpus", CpuList(layout.shards.clone()), why));
    if let Some(control) = layout.control {
        let why = "RTSP is parsed away from the shards";
        flags.push(setting("--control-cpu", control, why));
    }
    if layout.is_isolated && layout.is_apart() {
        let why = "nothing else has to run on isolated CPUs, so nothing is kept waiting";
        flags.push(setting("--scheduler", "fifo", why));
    }
}

/// Half of what is near.
fn memory(facts: &Facts, layout: &Layout) -> u64 {
    let near = near_memory(facts, layout).unwrap_or(facts.memory.bytes).min(facts.memory.bytes);
    let half = near / 2;
    let step = if half >= GIB { GIB } else { 16 << 20 };
    (half / step * step).max(SHARD_MEMORY_BYTES_MIN * layout.shard_count() as u64)
}

fn near_memory(facts: &Facts, layout: &Layout) -> Option<u64> {
    let shard = layout.shards.first().filter(|_| !layout.far.is_empty())?;
    facts.nodes.iter().find(|node| node.cpus.contains(shard))?.memory_bytes
}

fn memory_reason(facts: &Facts, layout: &Layout) -> String {
    let of = if near_memory(facts, layout).is_some() {
        "the memory of that node"
    } else if facts.memory.is_limited {
        "what the control group allows"
    } else {
        "the memory"
    };
    format!("half of {of}; viewers of the same title share images, so more helps until all fit")
}

fn egress(device: Option<&Device>) -> Option<Setting> {
    let megabits = device?.megabits_per_second?;
    let why = "19/20 of the link: who comes when it is full is told so (453), and nobody stutters";
    Some(setting("--egress-limit", BitRate(megabits * 950_000), why))
}

/// Huge pages of 2 MiB that all shards' images take.
pub(super) fn wanted_pages(memory: u64, shard_count: usize) -> u64 {
    let images = Budget::of(memory, shard_count).shard_image_bytes;
    let area = area_bytes(usize::try_from(images).unwrap_or(usize::MAX));
    area as u64 / HUGE_PAGE_BYTES * shard_count as u64
}

fn huge_pages(facts: &Facts, layout: &Layout, memory: u64) -> Option<Setting> {
    let wanted = wanted_pages(memory, layout.shard_count());
    let has_reserved = facts.memory.huge_page_bytes == Some(HUGE_PAGE_BYTES)
        && facts.memory.huge_pages_free >= wanted;
    if has_reserved {
        let free = facts.memory.huge_pages_free;
        let why = format!("{wanted} of the {free} free pages hold all images; fewer misses");
        return Some(setting("--hugepages", "reserved", why));
    }
    let can = facts.memory.transparent_huge_pages.as_deref().is_some_and(|mode| mode != "never");
    let is_worth_it = memory >= GIB && !facts.memory.is_limited;
    let why = "images are read all over, and fewer page table entries are missed; their memory \
               stays with the server";
    (can && is_worth_it).then(|| setting("--hugepages", "transparent", why))
}

fn sysctls(facts: &Facts) -> Vec<Setting> {
    let kernel = &facts.kernel;
    let short = |have: Option<i64>, want: i64| have.is_some_and(|have| have < want);
    let mut sysctls = Vec::new();
    if short(kernel.send_buffer_bytes_max, SEND_BUFFER_BYTES) && !facts.process.sets_buffers_freely
    {
        let why = "what is due together fits a socket; without it, a burst waits for a turn";
        sysctls.push(setting("net.core.wmem_max", SEND_BUFFER_BYTES, why));
    }
    if short(kernel.receive_buffer_bytes_max, RECEIVE_BUFFER_BYTES) {
        let why = "receiver reports of thousands wait in one socket for a turn";
        sysctls.push(setting("net.core.rmem_max", RECEIVE_BUFFER_BYTES, why));
    }
    if short(kernel.connections_waiting_max, CONNECTIONS_WAITING) {
        let why = "viewers who come all at once wait to be accepted, and are not refused";
        sysctls.push(setting("net.core.somaxconn", CONNECTIONS_WAITING, why));
    }
    if kernel.balances_nodes && facts.nodes.len() > 1 {
        let why = "pinned threads have their memory near already; looking for it costs faults";
        sysctls.push(setting("kernel.numa_balancing", 0, why));
    }
    sysctls
}

fn unit(facts: &Facts, layout: &Layout) -> Vec<Setting> {
    let process = &facts.process;
    let mut unit = Vec::new();
    if process.descriptors_max.is_some_and(|limit| limit < DESCRIPTORS) {
        let why = "a descriptor a connection and a title, at the default limits";
        unit.push(setting("LimitNOFILE", DESCRIPTORS, why));
    }
    let locked = LOCKED_BYTES_A_SHARD * layout.shard_count() as u64;
    if !process.locks_freely && process.locked_bytes_max.is_some_and(|limit| limit < locked) {
        let why = "read pools are registered with the kernel, which locks them";
        unit.push(setting("LimitMEMLOCK", "infinity", why));
    }
    let may_be_real_time =
        process.schedules_freely || process.real_time_priority_max.is_some_and(|limit| limit > 0);
    if layout.is_isolated && layout.is_apart() && !may_be_real_time {
        unit.push(setting("LimitRTPRIO", 1, "what --scheduler fifo takes"));
    }
    unit
}

fn commands(facts: &Facts, layout: &Layout, device: Option<&Device>) -> Vec<Command> {
    let mut commands = Vec::new();
    let mut push = |command: String, why: &str| {
        commands.push(Command { command, why: why.to_owned() });
    };
    if let Some(device) = device.filter(|_| !layout.interrupts.is_empty()) {
        let to_shards = |cpus: &[usize]| cpus.iter().any(|cpu| layout.shards.contains(cpu));
        let cpus = CpuList(layout.interrupts.clone());
        let astray = device.interrupts.iter().filter(|interrupt| to_shards(&interrupt.cpus));
        let numbers: Vec<String> = astray.map(|interrupt| interrupt.number.to_string()).collect();
        if !numbers.is_empty() {
            push(
                format!(
                    "for irq in {}; do echo {cpus} > /proc/irq/$irq/smp_affinity_list; done",
                    numbers.join(" ")
                ),
                "interrupts arrive where no shard runs (stop irqbalance, or it moves them back)",
            );
        }
        if to_shards(&device.spread_cpus) {
            let mask = mask(&layout.interrupts);
            push(
                format!(
                    "for queue in /sys/class/net/{}/queues/rx-*; do echo {mask} > \
                     $queue/rps_cpus; done",
                    device.name
                ),
                "what comes in is not spread to the shards' CPUs (RPS)",
            );
        }
    }
    if facts.cpus.governors.iter().any(|governor| governor != "performance") {
        push(
            "cpupower frequency-set -g performance".to_owned(),
            "a shard sleeps between turns, and must not wake on a slow CPU",
        );
    }
    if facts.memory.transparent_huge_pages.as_deref() == Some("never") {
        push(
            "echo madvise > /sys/kernel/mm/transparent_hugepage/enabled".to_owned(),
            "programs that ask for huge pages get them, as --hugepages transparent does",
        );
    }
    for disk in facts.media.iter().filter_map(|media| media.disk.as_ref()) {
        let slow = disk.scheduler.as_deref().is_some_and(|name| matches!(name, "bfq" | "kyber"));
        if slow && !disk.rotates {
            push(
                format!("echo none > /sys/block/{}/queue/scheduler", disk.name),
                "reads are large and few, and a disk without heads needs no order",
            );
        }
    }
    commands
}

/// As the kernel reads masks of CPUs: words of 32 bits, the highest first.
fn mask(cpus: &[usize]) -> String {
    let mut words = vec![0_u32; cpus.iter().max().map_or(1, |cpu| cpu / 32 + 1)];
    for cpu in cpus {
        words[cpu / 32] |= 1 << (cpu % 32);
    }
    let words: Vec<String> = words.iter().rev().map(|word| format!("{word:08x}")).collect();
    words.join(",")
}

const GIB: u64 = 1 << 30;
const HUGE_PAGE_BYTES: u64 = 2 << 20;
/// What each RTP socket asks for.
const SEND_BUFFER_BYTES: i64 = 8 << 20;
const RECEIVE_BUFFER_BYTES: i64 = 1 << 20;
/// What listeners ask for.
const CONNECTIONS_WAITING: i64 = 4096;
/// Connections and titles of the default limits, sockets, and room.
const DESCRIPTORS: u64 = 32_768;
/// The largest read pool, and a ring.
const LOCKED_BYTES_A_SHARD: u64 = 36 << 20;
