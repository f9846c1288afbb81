//! Facts and advice as a person likes to read them.

use super::advice::{Advice, Setting};
use super::facts::{Device, Facts, Interrupt, Media, Sentence};
use crate::config::units::{Bytes, CpuList};
use std::fmt::Write;

/// The whole report.
pub(super) fn report(facts: &Facts, advice: &Advice) -> String {
    let mut text = String::new();
    cpus(&mut text, facts);
    memory(&mut text, facts);
    for device in &facts.devices {
        network(&mut text, device);
    }
    kernel(&mut text, facts);
    for media in &facts.media {
        storage(&mut text, media);
    }
    recommend(&mut text, advice);
    text
}

fn title(text: &mut String, title: &str) {
    if !text.is_empty() {
        text.push('\n');
    }
    text.push_str(title);
    text.push('\n');
}

/// A row; absent values have none.
fn row(text: &mut String, name: &str, value: Option<impl ToString>) {
    if let Some(value) = value.map(|value| value.to_string()).filter(|value| !value.is_empty()) {
        let mut lines = value.lines();
        let _ = writeln!(text, "  {name:<18} {}", lines.next().unwrap_or_default());
        for line in lines {
            let _ = writeln!(text, "  {:<18} {line}", "");
        }
    }
}

fn list(cpus: &[usize]) -> Option<String> {
    let mut cpus = cpus.to_vec();
    cpus.sort_unstable();
    cpus.dedup();
    (!cpus.is_empty()).then(|| CpuList(cpus).to_string())
}

fn cpus(text: &mut String, facts: &Facts) {
    let cpus = &facts.cpus;
    title(text, "CPUs");
    row(text, "model", cpus.model.as_ref());
    let threads = cpus.cores.iter().map(Vec::len).max().unwrap_or(1);
    let online = list(&cpus.online).unwrap_or_default();
    let of = if threads > 1 { format!(", {threads} threads a core") } else { String::new() };
    let cores = cpus.cores.len();
    row(text, "online", Some(online));
    row(
        text,
        "for this process",
        list(&cpus.allowed).map(|cpus| format!("{cpus}: {cores} cores{of}")),
    );
    if facts.nodes.len() > 1 {
        for node in &facts.nodes {
            let cpus = list(&node.cpus).unwrap_or_default();
            row(text, &format!("node {}", node.node), Some(cpus));
        }
    }
    row(text, "isolated", list(&cpus.isolated));
    row(text, "without timer", list(&cpus.tickless));
    row(text, "frequency", Some(cpus.governors.join(", ")));
    row(text, "time allowed", cpus.quota.map(|quota| format!("{quota} CPUs (control group)")));
}

fn memory(text: &mut String, facts: &Facts) {
    let memory = &facts.memory;
    title(text, "Memory");
    let limited = if memory.is_limited { " (control group)" } else { "" };
    row(text, "size", Some(format!("{}{limited}", rounded(memory.bytes))));
    if facts.nodes.len() > 1 {
        for node in &facts.nodes {
            let pages = node.huge_pages.filter(|pages| *pages > 0).map(|pages| {
                let free = node.huge_pages_free.unwrap_or_default();
                format!(", {pages} huge pages of 2MiB, {free} of them free")
            });
            let size = node.memory_bytes.map(|bytes| rounded(bytes).to_string());
            let size = size.map(|size| size + &pages.unwrap_or_default());
            row(text, &format!("node {}", node.node), size);
        }
    }
    let transparent = memory.transparent_huge_pages.as_ref().map(|mode| {
        let defrag = memory.defragmentation.as_deref().unwrap_or("unknown");
        format!("{mode} (defrag: {defrag})")
    });
    row(text, "transparent pages", transparent);
    let reserved = memory.huge_page_bytes.map(|bytes| {
        let (pages, free) = (memory.huge_pages, memory.huge_pages_free);
        format!("{pages} huge pages of {}, {free} of them free", Bytes(bytes))
    });
    row(text, "reserved pages", reserved);
}

/// In whole MiB, or GiB where it is many.
fn rounded(bytes: u64) -> Bytes {
    let unit = if bytes >= 64 << 30 { 1 << 30 } else { 1 << 20 };
    Bytes(bytes / unit * unit)
}

fn network(text: &mut String, device: &Device) {
    let state = if device.is_up { "" } else { ", down" };
    let default = if device.is_default { ", default route" } else { "" };
    title(text, &format!("Network device {}{default}{state}", device.name));
    row(text, "driver", device.driver.as_ref());
    row(text, "speed", device.megabits_per_second.map(|speed| format!("{speed} Mbit/s")));
    row(text, "node", device.node);
    row(text, "mtu", device.packet_bytes_max);
    let (receive, send) = (device.receive_queues, device.send_queues);
    row(text, "queues", Some(format!("{receive} to receive, {send} to send")));
    let spread = list(&device.spread_cpus).unwrap_or_else(|| "not used".to_owned());
    row(text, "spread (RPS)", Some(spread));
    row(text, "interrupts", interrupts(&device.interrupts));
    row(text, "qdisc", Some(device.disciplines.join(", ")));
    if let Some(offloads) = device.offloads {
        let named = [
            (offloads.checksums, "checksums"),
            (offloads.scatter_gather, "scatter-gather"),
            (offloads.segmentation, "GSO"),
            (offloads.udp_segmentation, "USO"),
            (offloads.tcp_segmentation, "TSO"),
        ];
        let with = |wanted: bool| {
            let names = named.iter().filter(|(has, _)| *has == wanted).map(|(_, name)| *name);
            names.collect::<Vec<_>>().join(", ")
        };
        row(text, "offloads", Some(with(true)));
        row(text, "offloads missing", Some(with(false)));
    }
}

/// Those that arrive at the same CPUs together.
fn interrupts(interrupts: &[Interrupt]) -> Option<String> {
    let mut groups: Vec<(&[usize], Vec<usize>)> = Vec::new();
    for interrupt in interrupts {
        match groups.iter_mut().find(|(cpus, _)| *cpus == interrupt.cpus) {
            Some((_, numbers)) => numbers.push(interrupt.number),
            None => groups.push((&interrupt.cpus, vec![interrupt.number])),
        }
    }
    let group = |(cpus, numbers): &(&[usize], Vec<usize>)| {
        let cpus = list(cpus).unwrap_or_else(|| "?".to_owned());
        format!("{} at CPU {cpus}", CpuList(numbers.clone()))
    };
    let lines: Vec<String> = groups.iter().map(group).collect();
    (!lines.is_empty()).then(|| lines.join("\n"))
}

fn kernel(text: &mut String, facts: &Facts) {
    let (kernel, process) = (&facts.kernel, &facts.process);
    title(text, "Kernel and limits");
    let sentence = |sentence: &Option<Sentence>| sentence.as_ref().map(|it| it.text.clone());
    row(text, "release", kernel.release.as_ref());
    row(text, "io_uring", sentence(&kernel.io_uring));
    row(text, "trains", sentence(&kernel.segmentation));
    row(text, "somaxconn", kernel.connections_waiting_max);
    let forced = if process.sets_buffers_freely { " (CAP_NET_ADMIN: no bound)" } else { "" };
    row(text, "wmem_max", kernel.send_buffer_bytes_max.map(|bytes| format!("{bytes}{forced}")));
    row(text, "rmem_max", kernel.receive_buffer_bytes_max);
    let limit = |limit: Option<u64>, free: bool| match limit {
        _ if free => Some("no bound".to_owned()),
        Some(u64::MAX) => Some("unlimited".to_owned()),
        limit => limit.map(|limit| limit.to_string()),
    };
    row(text, "descriptors", limit(process.descriptors_max, false));
    row(text, "locked bytes", limit(process.locked_bytes_max, process.locks_freely));
    let priority = limit(process.real_time_priority_max, process.schedules_freely);
    row(text, "real-time priority", priority);
    let micros = kernel.real_time_micros.map(|micros| match micros {
        0.. => format!("{} ms of each second", micros / 1000),
        _ => "all of the time".to_owned(),
    });
    row(text, "real-time share", micros);
}

fn storage(text: &mut String, media: &Media) {
    title(text, &format!("Media {}", media.directory));
    row(text, "file system", media.file_system.as_ref());
    row(text, "read", media.direct.as_ref().map(|direct| direct.text.clone()));
    if let Some(disk) = &media.disk {
        let kind = if disk.rotates { "with heads" } else { "without heads" };
        row(text, "disk", Some(format!("{}, {kind}", disk.name)));
        row(text, "scheduler", disk.scheduler.as_ref());
        let unused = "not used by direct reads";
        let ahead = disk.read_ahead_bytes.map(|bytes| format!("{} ({unused})", Bytes(bytes)));
        row(text, "read-ahead", ahead);
        row(text, "requests", disk.requests);
    }
}

fn recommend(text: &mut String, advice: &Advice) {
    title(text, "Recommended");
    let _ = writeln!(text, "  {}", advice.line);
    settings(text, "Why", &advice.flags, " ");
    settings(text, "Settings (/etc/sysctl.d/reelring.conf)", &advice.sysctls, " = ");
    settings(text, "Service ([Service] of its systemd unit)", &advice.unit, "=");
    if !advice.commands.is_empty() {
        title(text, "As root, after each start of the machine");
        for command in &advice.commands {
            let _ = writeln!(text, "  {}\n    {}", command.command, command.why);
        }
    }
    if !advice.remarks.is_empty() {
        title(text, "To know");
        for remark in &advice.remarks {
            let _ = writeln!(text, "  - {remark}");
        }
    }
}

fn settings(text: &mut String, heading: &str, settings: &[Setting], between: &str) {
    if settings.is_empty() {
        return;
    }
    title(text, heading);
    for Setting { name, value, why } in settings {
        let _ = writeln!(text, "  {name}{between}{value}\n    {why}");
    }
}
