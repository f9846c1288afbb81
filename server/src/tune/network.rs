//! Reads network devices, their queues and their interrupts.

use super::facts::{Device, Interrupt};
use super::host::count;
use super::tree::Tree;

/// Devices with hardware (or a hypervisor) behind them, and those of the default route.
pub(super) fn devices(tree: &Tree) -> Vec<Device> {
    let defaults = default_devices(tree);
    let interrupts = tree.text("/proc/interrupts").unwrap_or_default();
    let is_wanted = |name: &String| {
        name != "lo" && (tree.exists(&format!("{NET}/{name}/device")) || defaults.contains(name))
    };
    let names = tree.names(NET).into_iter().filter(is_wanted);
    names.map(|name| device(tree, name, &defaults, &interrupts)).collect()
}

fn device(tree: &Tree, name: String, defaults: &[String], interrupts: &str) -> Device {
    let path = format!("{NET}/{name}");
    let queues = format!("{path}/queues");
    let receive = tree.numbered(&queues, "rx-");
    let mut spread_cpus: Vec<usize> = receive
        .iter()
        .filter_map(|queue| tree.cpu_mask(&format!("{queues}/rx-{queue}/rps_cpus")))
        .flatten()
        .collect();
    spread_cpus.sort_unstable();
    spread_cpus.dedup();
    let driver = tree.text(&format!("{path}/device/uevent")).and_then(|text| {
        text.lines().find_map(|line| line.strip_prefix("DRIVER=")).map(str::to_owned)
    });
    Device {
        is_up: tree.text(&format!("{path}/operstate")).is_some_and(|state| state != "down"),
        is_default: defaults.contains(&name),
        driver: driver.or_else(|| tree.link_name(&format!("{path}/device/driver"))),
        // −1 where the machine does not say.
        node: count(tree, &format!("{path}/device/numa_node"))
            .and_then(|node| usize::try_from(node).ok()),
        megabits_per_second: count(tree, &format!("{path}/speed")).filter(|speed| *speed > 0),
        packet_bytes_max: count(tree, &format!("{path}/mtu")),
        receive_queues: receive.len(),
        send_queues: tree.numbered(&queues, "tx-").len(),
        spread_cpus,
        interrupts: interrupts_of(tree, &path, &name, interrupts),
        disciplines: Vec::new(),
        offloads: None,
        name,
    }
}

/// The interrupts whose lines in `/proc/interrupts` name the device, its bus's name for it, or a
/// number that its bus has given it.
fn interrupts_of(tree: &Tree, path: &str, name: &str, interrupts: &str) -> Vec<Interrupt> {
    let messages: Vec<usize> = tree.numbered(&format!("{path}/device/msi_irqs"), "");
    let bus_name = tree.link_name(&format!("{path}/device"));
    let is_named = |action: &str| {
        [Some(name), bus_name.as_deref()].into_iter().flatten().any(|name| {
            action.strip_prefix(name).is_some_and(|rest| {
                rest.is_empty() || rest.starts_with(|c: char| !c.is_ascii_alphanumeric())
            })
        })
    };
    let mut found = Vec::new();
    for line in interrupts.lines() {
        let Some((number, rest)) = line.split_once(':') else { continue };
        let (Ok(number), Some(action)) =
            (number.trim().parse::<usize>(), rest.split_whitespace().next_back())
        else {
            continue;
        };
        let is_idle = action.ends_with("-config") || action.ends_with("-control");
        if (messages.contains(&number) || is_named(action)) && !is_idle {
            let irq = format!("/proc/irq/{number}");
            let cpus = ["effective_affinity_list", "smp_affinity_list"]
                .iter()
                .find_map(|file| tree.cpu_list(&format!("{irq}/{file}")));
            let cpus = cpus.unwrap_or_default();
            found.push(Interrupt { number, name: action.to_owned(), cpus });
        }
    }
    found
}

/// Devices of the default routes, IPv4's first.
pub(crate) fn default_devices(tree: &Tree) -> Vec<String> {
    let mut names = Vec::new();
    for line in tree.text("/proc/net/route").unwrap_or_default().lines().skip(1) {
        let mut columns = line.split_whitespace();
        if let (Some(name), Some("00000000")) = (columns.next(), columns.next()) {
            names.push(name.to_owned());
        }
    }
    for line in tree.text("/proc/net/ipv6_route").unwrap_or_default().lines() {
        let columns: Vec<&str> = line.split_whitespace().collect();
        if let [destination, "00", .., name] = columns[..]
            && destination.bytes().all(|byte| byte == b'0')
            && name != "lo"
        {
            names.push(name.to_owned());
        }
    }
    let mut unique = Vec::new();
    for name in names {
        if !unique.contains(&name) {
            unique.push(name);
        }
    }
    unique
}

const NET: &str = "/sys/class/net";
