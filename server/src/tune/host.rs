//! Reads CPUs, nodes, memory, kernel settings and the process's limits.

use super::facts::{Cpus, Kernel, Memory, Node, Process};
use super::tree::{Tree, parse_list};

pub(super) fn cpus(tree: &Tree) -> Cpus {
    let online = tree.cpu_list(&format!("{CPU}/online")).unwrap_or_default();
    let status = tree.text("/proc/self/status").unwrap_or_default();
    let allowed = field(&status, "Cpus_allowed_list").and_then(parse_list);
    let allowed = allowed.unwrap_or_else(|| online.clone());
    let mut cores: Vec<Vec<usize>> = Vec::new();
    let mut governors: Vec<String> = Vec::new();
    for &cpu in &allowed {
        let topology = format!("{CPU}/cpu{cpu}/topology");
        let siblings = ["core_cpus_list", "thread_siblings_list"]
            .iter()
            .find_map(|name| tree.cpu_list(&format!("{topology}/{name}")));
        let mut core = siblings.unwrap_or_else(|| vec![cpu]);
        core.retain(|sibling| allowed.contains(sibling));
        if core.first() == Some(&cpu) {
            cores.push(core);
        }
        let governor = tree.text(&format!("{CPU}/cpu{cpu}/cpufreq/scaling_governor"));
        governors.extend(governor.filter(|governor| !governors.contains(governor)));
    }
    Cpus {
        model: tree.text("/proc/cpuinfo").and_then(|text| {
            field(&text, "model name").or_else(|| field(&text, "Model")).map(str::to_owned)
        }),
        isolated: tree.cpu_list(&format!("{CPU}/isolated")).unwrap_or_default(),
        tickless: tree.cpu_list(&format!("{CPU}/nohz_full")).unwrap_or_default(),
        quota: quota(tree),
        online,
        allowed,
        cores,
        governors,
    }
}

/// CPUs' worth of time of the control group: `200000 100000` are two.
fn quota(tree: &Tree) -> Option<f64> {
    let text = tree.text("/sys/fs/cgroup/cpu.max")?;
    let (quota, period) = text.split_once(' ')?;
    let (quota, period): (f64, f64) = (quota.parse().ok()?, period.parse().ok()?);
    (period > 0.0).then_some(quota / period)
}

pub(super) fn nodes(tree: &Tree) -> Vec<Node> {
    let node = |node: usize| {
        let path = format!("{NODE}/node{node}");
        let pages = |name: &str| count(tree, &format!("{path}/hugepages/hugepages-2048kB/{name}"));
        let memory = tree.text(&format!("{path}/meminfo"));
        Node {
            node,
            cpus: tree.cpu_list(&format!("{path}/cpulist")).unwrap_or_default(),
            memory_bytes: memory.and_then(|text| node_memory(&text)),
            huge_pages: pages("nr_hugepages"),
            huge_pages_free: pages("free_hugepages"),
        }
    };
    tree.numbered(NODE, "node").into_iter().map(node).collect()
}

/// `Node 0 MemTotal: 16384 kB`, in bytes.
fn node_memory(text: &str) -> Option<u64> {
    let line = text.lines().find(|line| line.contains("MemTotal:"))?;
    kilobytes(line.rsplit_once(':')?.1)
}

pub(super) fn memory(tree: &Tree) -> Memory {
    let info = tree.text("/proc/meminfo").unwrap_or_default();
    let number = |name| field(&info, name).and_then(|text| text.parse().ok()).unwrap_or(0);
    let machine = field(&info, "MemTotal").and_then(kilobytes).unwrap_or(0);
    let group = count(tree, "/sys/fs/cgroup/memory.max").filter(|group| *group < machine);
    Memory {
        bytes: group.unwrap_or(machine),
        is_limited: group.is_some(),
        transparent_huge_pages: tree.chosen(&format!("{TRANSPARENT}/enabled")),
        defragmentation: tree.chosen(&format!("{TRANSPARENT}/defrag")),
        huge_pages: number("HugePages_Total"),
        huge_pages_free: number("HugePages_Free"),
        huge_page_bytes: field(&info, "Hugepagesize").and_then(kilobytes),
    }
}

pub(super) fn kernel(tree: &Tree) -> Kernel {
    let sysctl = |name: &str| tree.number(&format!("/proc/sys/{name}"));
    Kernel {
        release: tree.text("/proc/sys/kernel/osrelease"),
        io_uring: None,
        segmentation: None,
        connections_waiting_max: sysctl("net/core/somaxconn"),
        send_buffer_bytes_max: sysctl("net/core/wmem_max"),
        receive_buffer_bytes_max: sysctl("net/core/rmem_max"),
        real_time_micros: sysctl("kernel/sched_rt_runtime_us"),
        balances_nodes: sysctl("kernel/numa_balancing").is_some_and(|mode| mode > 0),
    }
}

pub(super) fn process(tree: &Tree) -> Process {
    let limits = tree.text("/proc/self/limits").unwrap_or_default();
    let status = tree.text("/proc/self/status").unwrap_or_default();
    let effective = field(&status, "CapEff");
    let effective = effective.and_then(|set| u64::from_str_radix(set, 16).ok()).unwrap_or(0);
    let may = |capability: u32| effective >> capability & 1 == 1;
    Process {
        descriptors_max: hard_limit(&limits, "Max open files"),
        locked_bytes_max: hard_limit(&limits, "Max locked memory"),
        real_time_priority_max: hard_limit(&limits, "Max realtime priority"),
        locks_freely: may(CAP_IPC_LOCK),
        sets_buffers_freely: may(CAP_NET_ADMIN),
        schedules_freely: may(CAP_SYS_NICE),
    }
}

/// The second column behind a limit's name.
fn hard_limit(limits: &str, name: &str) -> Option<u64> {
    let columns = limits.lines().find_map(|line| line.strip_prefix(name))?;
    match columns.split_whitespace().nth(1)? {
        "unlimited" => Some(u64::MAX),
        number => number.parse().ok(),
    }
}

/// What stands behind `name` and a colon.
fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let value = |line: &'a str| line.strip_prefix(name)?.trim_start().strip_prefix(':');
    text.lines().find_map(value).map(str::trim)
}

fn kilobytes(text: &str) -> Option<u64> {
    text.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

pub(super) fn count(tree: &Tree, path: &str) -> Option<u64> {
    u64::try_from(tree.number(path)?).ok()
}

const CPU: &str = "/sys/devices/system/cpu";
const NODE: &str = "/sys/devices/system/node";
const TRANSPARENT: &str = "/sys/kernel/mm/transparent_hugepage";
const CAP_NET_ADMIN: u32 = 12;
const CAP_IPC_LOCK: u32 = 14;
const CAP_SYS_NICE: u32 = 23;
