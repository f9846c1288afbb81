//! What cannot be typed, but should be known.

use super::facts::{Device, Facts};
use super::layout::Layout;
use crate::config::units::CpuList;

pub(super) fn remarks(facts: &Facts, layout: &Layout, device: Option<&Device>) -> Vec<String> {
    let mut remarks = Vec::new();
    let sentences = [&facts.kernel.io_uring, &facts.kernel.segmentation];
    let of_media = facts.media.iter().map(|media| &media.direct);
    for sentence in sentences.into_iter().chain(of_media).flatten() {
        if !sentence.ok {
            remarks.push(sentence.text.clone());
        }
    }
    about_cpus(&mut remarks, layout);
    match device {
        Some(device) => about_device(&mut remarks, device, layout),
        None => remarks.push(
            "No network device was found here: placement and --egress-limit do without one."
                .to_owned(),
        ),
    }
    for disk in facts.media.iter().filter_map(|media| media.disk.as_ref()) {
        if disk.rotates {
            remarks.push(format!(
                "{} says that it has heads (virtual disks often do): if so, it does about a \
                 hundred reads a second, so give --memory what the titles that are watched take.",
                disk.name
            ));
        }
    }
    if layout.is_apart() && !layout.is_isolated && layout.shards.len() >= 4 {
        let priority = "--scheduler fifo keeps other programs from making shards wait; it takes \
                        CAP_SYS_NICE or LimitRTPRIO=1, and CPUs that others do not need.";
        remarks.push(priority.to_owned());
    }
    remarks
}

fn about_cpus(remarks: &mut Vec<String>, layout: &Layout) {
    let list = |cpus: &[usize]| {
        let mut cpus = cpus.to_vec();
        cpus.sort_unstable();
        CpuList(cpus)
    };
    if !layout.far.is_empty() {
        remarks.push(format!(
            "CPUs {} are far from the network device: a viewer costs more there. Add them when the \
             near ones are busy, or run a second server there with a device of its own.",
            list(&layout.far)
        ));
    }
    if !layout.siblings.is_empty() {
        remarks.push(format!(
            "CPUs {} share a core with a shard's CPU, which is faster without them.",
            list(&layout.siblings)
        ));
    }
}

fn about_device(remarks: &mut Vec<String>, device: &Device, layout: &Layout) {
    let name = &device.name;
    if let Some(offloads) = device.offloads {
        if !offloads.checksums {
            remarks.push(format!(
                "{name} computes no checksums, so trains are sent packet by packet: ethtool -K \
                 {name} tx on, if it can."
            ));
        } else if !offloads.segmentation {
            remarks.push(format!(
                "{name} has trains cut early: ethtool -K {name} gso on keeps them whole up to the \
                 driver."
            ));
        } else if !offloads.udp_segmentation {
            remarks.push(format!(
                "{name} does not cut trains itself: the kernel does before the driver, which costs \
                 some CPU and works well (ethtool -K {name} tx-udp-segmentation on, if it can)."
            ));
        }
    }
    if device.send_queues > 0 && device.send_queues < layout.shard_count() {
        remarks.push(format!(
            "{name} sends by {} queues, which {} shards share: ethtool -L {name} combined {}, if \
             it can.",
            device.send_queues,
            layout.shard_count(),
            layout.shard_count()
        ));
    }
    if device.megabits_per_second.is_none() {
        remarks.push(format!(
            "{name} does not tell its speed: set --egress-limit to 19/20 of what the network \
             carries."
        ));
    }
}
