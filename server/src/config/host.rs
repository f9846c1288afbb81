//! What the machine has, as far as defaults depend on it.

use std::fs;
use std::net::TcpListener;

/// CPUs, memory and IP versions of this machine, as far as this process may use them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// CPUs that this process may run on; never empty.
    pub cpus: Vec<usize>,
    /// Memory, and no more than the control group allows.
    pub memory_bytes: u64,
    /// Whether IPv6 sockets can be had.
    pub has_ipv6: bool,
}

impl Host {
    /// Looks at this machine.
    #[must_use]
    pub fn look() -> Self {
        let cpus: Vec<usize> = core_affinity::get_core_ids()
            .unwrap_or_default()
            .into_iter()
            .map(|core| core.id)
            .collect();
        Self {
            cpus: if cpus.is_empty() { vec![0] } else { cpus },
            memory_bytes: memory_bytes(),
            has_ipv6: TcpListener::bind("[::]:0").is_ok(),
        }
    }
}

/// The machine's memory or the control group's limit, whichever is less.
fn memory_bytes() -> u64 {
    let machine = fs::read_to_string("/proc/meminfo")
        .ok()
        .and_then(|text| memory_total(&text))
        .unwrap_or(MEMORY_BYTES_FALLBACK);
    let group = fs::read_to_string("/sys/fs/cgroup/memory.max")
        .ok()
        .and_then(|text| text.trim().parse().ok())
        .unwrap_or(u64::MAX);
    machine.min(group)
}

/// `MemTotal` of `/proc/meminfo`, in bytes.
fn memory_total(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(1024)
}

/// Where `/proc` is not mounted.
const MEMORY_BYTES_FALLBACK: u64 = 1 << 30;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_from_meminfo() {
        let meminfo = "MemTotal:       16384 kB\nMemFree:  1 kB\n";
        assert_eq!(memory_total(meminfo), Some(16 << 20));
        for wrong in ["", "MemTotal: 12", "MemTotal: x kB", "MemTotal: 99999999999999999999 kB"] {
            assert_eq!(memory_total(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn this_machine_has_something() {
        let host = Host::look();
        assert!(!host.cpus.is_empty() && host.memory_bytes > 1 << 26, "{host:?}");
    }
}
