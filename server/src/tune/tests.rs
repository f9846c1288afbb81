//! Machines as trees of files, and what is recommended for them.

use super::facts::{Offloads, Sentence};
use super::*;
use std::fs;

/// A machine's files.
struct Machine {
    root: tempfile::TempDir,
}

impl Machine {
    fn new() -> Self {
        // Hundreds of files: in memory, if there is a place.
        let in_memory = tempfile::tempdir_in("/dev/shm");
        Self { root: in_memory.or_else(|_| tempfile::tempdir()).unwrap() }
    }

    fn file(&self, path: &str, content: &str) -> &Self {
        let path = self.root.path().join(path.trim_start_matches('/'));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, format!("{content}\n")).unwrap();
        self
    }

    fn read(&self) -> Facts {
        read(&Tree::new(self.root.path()), &[PathBuf::from("/srv/films")])
    }

    fn advise(&self) -> Advice {
        advise(&self.read())
    }

    /// CPUs with `siblings` of each, the first of which is on node 0.
    fn cpus(&self, count: usize, siblings: impl Fn(usize) -> String) -> &Self {
        self.file("/sys/devices/system/cpu/online", &format!("0-{}", count - 1));
        self.file(
            "/proc/self/status",
            &format!("Cpus_allowed_list:\t0-{}\nCapEff:\t0000000000000000", count - 1),
        );
        for cpu in 0..count {
            let path = format!("/sys/devices/system/cpu/cpu{cpu}");
            self.file(&format!("{path}/topology/thread_siblings_list"), &siblings(cpu));
        }
        self
    }

    fn memory(&self, gibibytes: u64, lines: &str) -> &Self {
        let total = gibibytes << 20;
        self.file("/proc/meminfo", &format!("MemTotal: {total} kB\n{lines}\nHugepagesize: 2048 kB"))
    }

    /// A device that the default route goes by, with so many queues and interrupts 100 and up, each
    /// at the CPU of its number.
    fn device(&self, name: &str, megabits: u64, queues: usize) -> &Self {
        let path = format!("/sys/class/net/{name}");
        let mut interrupts = "            CPU0       CPU1\n".to_owned();
        for queue in 0..queues {
            self.file(&format!("{path}/queues/rx-{queue}/rps_cpus"), "00000000,00000000");
            self.file(&format!("{path}/queues/tx-{queue}/xps_cpus"), "0");
            let number = 100 + queue;
            self.file(&format!("{path}/device/msi_irqs/{number}"), "msix");
            self.file(&format!("/proc/irq/{number}/effective_affinity_list"), &queue.to_string());
            interrupts += &format!(" {number}:  7  9  PCI-MSI {queue}-edge  card-comp{queue}\n");
        }
        interrupts += " 8:  1  0  IO-APIC  8-edge  rtc0\nNMI:  0  0  Non-maskable interrupts";
        self.file("/proc/interrupts", &interrupts);
        self.file(&format!("{path}/operstate"), "up");
        self.file(&format!("{path}/speed"), &megabits.to_string());
        self.file(&format!("{path}/mtu"), "1500");
        self.file(&format!("{path}/device/uevent"), "DRIVER=mlx5_core\nPCI_ID=15B3:1017");
        let route = format!("Iface\tDestination\tGateway\n{name}\t00000000\t0100A8C0");
        self.file("/proc/net/route", &route)
    }

    fn sysctls(&self, buffers: u64, waiting: u64) -> &Self {
        self.file("/proc/sys/net/core/wmem_max", &buffers.to_string());
        self.file("/proc/sys/net/core/rmem_max", &buffers.to_string());
        self.file("/proc/sys/net/core/somaxconn", &waiting.to_string())
    }

    fn limits(&self, descriptors: &str, locked: &str) -> &Self {
        self.file(
            "/proc/self/limits",
            &format!(
                "Limit                     Soft Limit           Hard Limit           Units\n\
                 Max open files            1024                 {descriptors}        files\n\
                 Max locked memory         65536                {locked}             bytes\n\
                 Max realtime priority     0                    0\n"
            ),
        )
    }
}

/// 2 sockets of 32 cores with 2 threads each; the card is at socket 1.
fn two_sockets() -> Machine {
    let machine = Machine::new();
    machine
        .cpus(128, |cpu| format!("{},{}", cpu % 64, cpu % 64 + 64))
        .memory(512, "HugePages_Total: 0\nHugePages_Free: 0")
        .device("ens1f0", 100_000, 63)
        .sysctls(212_992, 4096)
        .limits("524288", "8388608")
        .file("/sys/class/net/ens1f0/device/numa_node", "1")
        .file("/proc/sys/kernel/numa_balancing", "1")
        .file("/sys/kernel/mm/transparent_hugepage/enabled", "always [madvise] never")
        .file("/proc/self/mountinfo", "1 0 259:1 / /srv rw - xfs /dev/nvme0n1p1 rw")
        .file("/sys/dev/block/259:1/queue/scheduler", "mq-deadline [bfq] none")
        .file("/sys/dev/block/259:1/queue/rotational", "0")
        .file("/sys/dev/block/259:1/queue/read_ahead_kb", "128");
    for (node, cpus) in [(0, "0-31,64-95"), (1, "32-63,96-127")] {
        let path = format!("/sys/devices/system/node/node{node}");
        machine.file(&format!("{path}/cpulist"), cpus);
        machine.file(&format!("{path}/meminfo"), &format!("Node {node} MemTotal:  268435456 kB"));
    }
    for cpu in 0..128 {
        let path = format!("/sys/devices/system/cpu/cpu{cpu}/cpufreq/scaling_governor");
        machine.file(&path, "powersave");
    }
    machine
}

fn value<'a>(settings: &'a [advice::Setting], name: &str) -> Option<&'a str> {
    settings.iter().find(|setting| setting.name == name).map(|setting| setting.value.as_str())
}

#[test]
fn two_sockets_are_served_from_the_one_with_the_card() {
    let machine = two_sockets();
    let facts = machine.read();
    assert_eq!((facts.cpus.cores.len(), facts.nodes.len()), (64, 2));
    assert_eq!(facts.devices[0].node, Some(1));
    assert_eq!(facts.devices[0].interrupts.len(), 63);
    assert_eq!(facts.devices[0].driver.as_deref(), Some("mlx5_core"));
    let advice = advise(&facts);
    // Of 32 cores one is control's and four take interrupts.
    assert_eq!(value(&advice.flags, "--shard-cpus"), Some("37-63"));
    assert_eq!(value(&advice.flags, "--control-cpu"), Some("32"));
    assert_eq!(value(&advice.flags, "--memory"), Some("128GiB"));
    assert_eq!(value(&advice.flags, "--egress-limit"), Some("95Gbit/s"));
    assert_eq!(value(&advice.flags, "--hugepages"), Some("transparent"));
    assert_eq!(value(&advice.sysctls, "net.core.wmem_max"), Some("8388608"));
    assert_eq!(value(&advice.sysctls, "kernel.numa_balancing"), Some("0"));
    assert_eq!(value(&advice.sysctls, "net.core.somaxconn"), None, "it suffices");
    assert_eq!(value(&advice.unit, "LimitMEMLOCK"), Some("infinity"));
    let commands: Vec<&str> = advice.commands.iter().map(|it| it.command.as_str()).collect();
    // Interrupts at shards go to the interrupts' cores and their siblings.
    let moved = "for irq in 137 138 139";
    assert!(
        commands[0].starts_with(moved) && commands[0].contains("echo 33,97,34"),
        "{commands:?}"
    );
    assert!(commands.contains(&"cpupower frequency-set -g performance"));
    assert!(commands.contains(&"echo none > /sys/block/nvme0n1p1/queue/scheduler"));
    for part in ["CPUs 0-31,64-95 are far", "CPUs 101-127 share a core"] {
        assert!(advice.remarks.iter().any(|text| text.contains(part)), "{part}: {advice:?}");
    }
    assert_eq!(
        advice.line,
        "reelring serve --media /srv/films --shard-cpus 37-63 --control-cpu 32 --memory 128GiB \
         --egress-limit 95Gbit/s --hugepages transparent"
    );
}

#[test]
fn isolated_cpus_are_for_shards() {
    let machine = two_sockets();
    machine.file("/sys/devices/system/cpu/isolated", "40-47,104-111");
    let advice = machine.advise();
    assert_eq!(value(&advice.flags, "--shard-cpus"), Some("40-47"));
    assert_eq!(value(&advice.flags, "--control-cpu"), Some("32"));
    assert_eq!(value(&advice.flags, "--scheduler"), Some("fifo"));
    assert_eq!(value(&advice.unit, "LimitRTPRIO"), Some("1"));
}

#[test]
fn reserved_pages_are_used_if_they_suffice() {
    let machine = two_sockets();
    machine.memory(512, "HugePages_Total: 80000\nHugePages_Free: 79000");
    assert_eq!(value(&machine.advise().flags, "--hugepages"), Some("reserved"));
    machine.memory(512, "HugePages_Total: 80000\nHugePages_Free: 7900");
    assert_eq!(value(&machine.advise().flags, "--hugepages"), Some("transparent"));
    machine.file("/sys/kernel/mm/transparent_hugepage/enabled", "always madvise [never]");
    let advice = machine.advise();
    assert_eq!(value(&advice.flags, "--hugepages"), None);
    assert!(advice.commands.iter().any(|it| it.command.starts_with("echo madvise")), "{advice:?}");
}

#[test]
fn a_small_board_has_three_shards() {
    let machine = Machine::new();
    machine
        .cpus(4, |cpu| cpu.to_string())
        .memory(4, "")
        .device("end0", 1000, 1)
        .sysctls(8 << 20, 128)
        .limits("1048576", "unlimited")
        .file("/proc/cpuinfo", "processor : 0\nModel\t\t: Raspberry Pi 4 Model B")
        .file("/sys/class/net/end0/queues/rx-0/rps_cpus", "f")
        .file("/proc/self/mountinfo", "1 0 8:1 / / rw - ext4 /dev/sda1 rw")
        .file("/sys/dev/block/8:1/queue/scheduler", "[mq-deadline] none bfq")
        .file("/sys/dev/block/8:1/queue/rotational", "1");
    let facts = machine.read();
    assert_eq!(facts.cpus.model.as_deref(), Some("Raspberry Pi 4 Model B"));
    let advice = advise(&facts);
    assert_eq!(
        advice.line,
        "reelring serve --media /srv/films --shard-cpus 1-3 --control-cpu 0 --memory 2GiB \
         --egress-limit 950Mbit/s"
    );
    let commands: Vec<&str> = advice.commands.iter().map(|it| it.command.as_str()).collect();
    assert_eq!(
        commands,
        ["for queue in /sys/class/net/end0/queues/rx-*; do echo 00000001 > $queue/rps_cpus; done"],
        "interrupt 100 arrives at CPU 0 already"
    );
    assert_eq!(value(&advice.sysctls, "net.core.somaxconn"), Some("4096"));
    assert_eq!(advice.sysctls.len(), 1);
    assert_eq!(advice.unit, []);
    for part in ["sda1 says that it has heads", "sends by 1 queues, which 3 shards share"] {
        assert!(advice.remarks.iter().any(|text| text.contains(part)), "{part}: {advice:?}");
    }
}

#[test]
fn a_container_gets_what_it_is_allowed() {
    let machine = Machine::new();
    machine
        .cpus(16, |cpu| format!("{},{}", cpu / 2 * 2, cpu / 2 * 2 + 1))
        .memory(64, "")
        .sysctls(212_992, 4096)
        .limits("1024", "65536")
        .file("/proc/self/status", "Cpus_allowed_list:\t4-5\nCapEff:\t00000000a80425fb")
        .file("/sys/fs/cgroup/memory.max", "1073741824")
        .file("/sys/fs/cgroup/cpu.max", "max 100000")
        .file("/sys/kernel/mm/transparent_hugepage/enabled", "always [madvise] never");
    let facts = machine.read();
    assert_eq!(facts.cpus.cores, [[4, 5]]);
    assert!(facts.memory.is_limited && facts.devices.is_empty());
    let advice = advise(&facts);
    // Two threads of one core: one is control's.
    assert_eq!(
        advice.line,
        "reelring serve --media /srv/films --shard-cpus 5 --control-cpu 4 --memory 512MiB"
    );
    assert_eq!(value(&advice.unit, "LimitNOFILE"), Some("32768"));
    assert_eq!(value(&advice.unit, "LimitMEMLOCK"), Some("infinity"));
    assert!(advice.remarks.iter().any(|text| text.contains("No network device")), "{advice:?}");

    machine
        .file("/proc/self/status", "Cpus_allowed_list:\t0-15")
        .file("/sys/fs/cgroup/cpu.max", "300000 100000");
    let advice = machine.advise();
    assert_eq!(value(&advice.flags, "--shards"), Some("2"));
    assert!(advice.flags[1].why.contains("3 CPUs' worth"), "{advice:?}");
}

#[test]
fn a_machine_that_tells_nothing_is_still_served() {
    let advice = Machine::new().advise();
    assert_eq!(advice.line, "reelring serve --media /srv/films --shards 1 --memory 32MiB");
    let facts = read(&Tree::new("/nowhere"), &[]);
    assert!(advise(&facts).line.starts_with("reelring serve --media DIR --shards 1"));
    assert!(text(&facts).contains("Recommended"));
}

#[test]
fn a_device_is_told_by_what_it_lacks() {
    let mut facts = two_sockets().read();
    for (offloads, part) in [
        (Offloads::default(), "computes no checksums"),
        (Offloads { checksums: true, ..Offloads::default() }, "has trains cut early"),
        (
            Offloads { checksums: true, segmentation: true, ..Offloads::default() },
            "does not cut trains itself",
        ),
    ] {
        facts.devices[0].offloads = Some(offloads);
        let remarks = advise(&facts).remarks;
        assert!(remarks.iter().any(|text| text.contains(part)), "{part}: {remarks:?}");
    }
    let refusal = "io_uring is refused; a seccomp filter forbids it";
    facts.kernel.io_uring = Some(Sentence { ok: false, text: refusal.to_owned() });
    assert_eq!(advise(&facts).remarks[0], refusal);
}

#[test]
fn the_report_is_text_with_every_part() {
    let mut facts = two_sockets().read();
    facts.devices[0].disciplines = vec!["mq".to_owned(), "fq".to_owned()];
    facts.devices[0].offloads =
        Some(Offloads { segmentation: true, checksums: true, ..Offloads::default() });
    let text = text(&facts);
    for part in [
        "  for this process   0-127: 64 cores, 2 threads a core\n",
        "  node 1             32-63,96-127\n",
        "  transparent pages  madvise (defrag: unknown)\n",
        "Network device ens1f0, default route\n",
        "  interrupts         100 at CPU 0\n                     101 at CPU 1\n",
        "  qdisc              mq, fq\n",
        "  offloads missing   scatter-gather, USO, TSO\n",
        "  locked bytes       8388608\n",
        "  disk               nvme0n1p1, without heads\n",
        "  read-ahead         128KiB (not used by direct reads)\n",
        "\nRecommended\n  reelring serve --media /srv/films",
        "\n  net.core.wmem_max = 8388608\n    what is due together",
        "\n  LimitMEMLOCK=infinity\n",
        "\nTo know\n  - ",
    ] {
        assert!(text.contains(part), "{part:?} is missing:\n{text}");
    }
    assert!(text.lines().all(|line| line == line.trim_end()), "{text}");
    let json: serde_json::Value = serde_json::from_str(&json(&facts).unwrap()).unwrap();
    assert_eq!(json["facts"]["devices"][0]["interrupts"][5]["cpus"][0], 5);
    assert_eq!(json["advice"]["sysctls"][0]["name"], "net.core.wmem_max");
}

/// Every flag that is recommended exists, and takes its value.
#[test]
fn what_is_recommended_can_be_typed() {
    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        raw: crate::config::RawConfig,
    }
    let isolated = two_sockets();
    isolated.file("/sys/devices/system/cpu/isolated", "40-47");
    isolated.memory(512, "HugePages_Free: 79000");
    for machine in [two_sockets(), isolated, Machine::new()] {
        let line = machine.advise().line;
        let words = line.split(' ').skip(1);
        let typed = <Line as clap::Parser>::try_parse_from(words).map(|line| line.raw);
        let typed = typed.unwrap_or_else(|error| panic!("{line}: {error}"));
        assert_eq!(typed.media.unwrap()[0].directory, PathBuf::from("/srv/films"));
    }
}
