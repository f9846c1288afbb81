//! Where threads run, before whom, and what pages images lie in: asked for once at the start, and
//! logged as it was granted.

use super::pin_current_thread;
use crate::config::{Budget, Config, HugePages, Scheduler, units::Bytes};
use crate::uring::{self, HugePageSource, Resource};
use std::fs;
use std::io;
use std::thread;
use tracing::{info, warn};

/// What a shard's thread asks for before anything else.
#[derive(Clone, Copy, Debug)]
pub(super) struct Placement {
    /// The shard, for the log.
    pub(super) index: usize,
    /// The CPU it runs on alone.
    pub(super) cpu: Option<usize>,
    /// Before whom it runs.
    pub(super) scheduler: Scheduler,
    /// What its images lie in.
    pub(super) huge_pages: HugePages,
    /// The most bytes of images.
    pub(super) image_bytes: usize,
}

impl Placement {
    /// Places the calling thread. Comes before its first big allocation, so that its memory comes
    /// from its CPU's node.
    pub(super) fn take(&self) {
        if let Some(cpu) = self.cpu {
            pin(&format!("shard {}", self.index), cpu);
        }
        if let Scheduler::Fifo { priority } = self.scheduler
            && let Err(error) = uring::run_before_others(priority)
        {
            // It was granted when it was tried, so it has been taken away since.
            warn!("shard {} runs like other programs ({error})", self.index);
        }
        self.take_huge_pages();
    }

    fn take_huge_pages(&self) {
        let source = match self.huge_pages {
            HugePages::Off => return,
            HugePages::Transparent => HugePageSource::Transparent,
            HugePages::Reserved => HugePageSource::Reserved,
        };
        match uring::take_huge_pages(self.image_bytes, source) {
            Ok(bytes) => info!("{}", self.granted(bytes, source)),
            Err(error) => {
                warn!("{}", self.refused(&error, source));
                if source == HugePageSource::Reserved {
                    let instead = HugePages::Transparent;
                    Self { huge_pages: instead, ..*self }.take_huge_pages();
                }
            }
        }
    }

    fn granted(&self, bytes: usize, source: HugePageSource) -> String {
        let kind = match source {
            HugePageSource::Transparent => "transparent",
            HugePageSource::Reserved => "reserved",
        };
        let node = self.cpu.and_then(node_of).map(|node| format!(" of node {node}"));
        let node = node.unwrap_or_default();
        let room = Bytes(bytes as u64);
        format!("shard {}: images lie in {kind} huge pages{node}, {room} of them", self.index)
    }

    fn refused(&self, error: &io::Error, source: HugePageSource) -> String {
        let index = self.index;
        let wanted = uring::area_bytes(self.image_bytes);
        match source {
            HugePageSource::Transparent => {
                format!("shard {index}: there are no transparent huge pages ({error}): small ones")
            }
            HugePageSource::Reserved => format!(
                "shard {index}: {} huge pages of 2MiB cannot be had ({error}), so its images lie in \
                 transparent ones; set vm.nr_hugepages (sysctl) to so many for each shard, soon \
                 after the machine has started",
                wanted / HUGE_PAGE_BYTES
            ),
        }
    }
}

/// Settles for all threads what [`Placement::take`] builds on.
///
/// # Errors
/// A sentence that says what to change, if the shards may not be scheduled as they should.
pub(super) fn prepare(config: &Config, budget: &Budget) -> Result<(), String> {
    if let Scheduler::Fifo { priority } = config.scheduler {
        may_run_before_others(priority).map_err(|error| refused_scheduler(priority, &error))?;
        let throttle = fs::read_to_string("/proc/sys/kernel/sched_rt_runtime_us");
        info!("{}", fifo(priority, throttle.ok().and_then(|text| text.trim().parse().ok())));
        for text in starved(config) {
            warn!("{text}");
        }
    }
    let transparent = fs::read_to_string(TRANSPARENT).ok();
    prepare_pages(config.huge_pages, transparent.as_deref().map(chosen));
    if config.huge_pages == HugePages::Reserved {
        let image_bytes = usize::try_from(budget.shard_image_bytes).unwrap_or(usize::MAX);
        let pages = uring::area_bytes(image_bytes) / HUGE_PAGE_BYTES * config.shard_cpus.len();
        info!("reserved huge pages: {pages} of 2MiB are wanted (vm.nr_hugepages)");
    }
    Ok(())
}

/// Pins the calling thread, and says so if that is not possible.
pub(super) fn pin(thread: &str, cpu: usize) {
    if !pin_current_thread(cpu) {
        warn!("{thread} cannot be pinned to CPU {cpu} and runs where the scheduler puts it");
    }
}

const TRANSPARENT: &str = "/sys/kernel/mm/transparent_hugepage/enabled";
const HUGE_PAGE_BYTES: usize = 2 << 20;

/// Tries it on a thread that ends at once, so that this one stays as it is.
fn may_run_before_others(priority: u8) -> io::Result<()> {
    // Without the capability, the soft limit may be below what is allowed.
    let _ = uring::raise_limit(Resource::RealTimePriority);
    let tried = thread::Builder::new().spawn(move || uring::run_before_others(priority))?;
    tried.join().unwrap_or_else(|_| Err(io::Error::other("the trial has panicked")))
}

fn refused_scheduler(priority: u8, error: &io::Error) -> String {
    format!(
        "the scheduler fifo:{priority} is refused ({error}): grant CAP_SYS_NICE (systemd: \
         AmbientCapabilities=CAP_SYS_NICE), or set LimitRTPRIO={priority} (ulimit -r {priority}); \
         in a control group of its own, the group needs cpu.rt_runtime_us where the kernel has \
         that; or leave --scheduler out"
    )
}

/// `throttle` is how many microseconds of a second real-time threads get; −1 is all of them.
fn fifo(priority: u8, throttle: Option<i64>) -> String {
    let share = match throttle {
        Some(micros @ 0..) => format!(
            "; together with all that is real-time they get {} ms of each second of a CPU \
             (kernel.sched_rt_runtime_us)",
            micros / 1000
        ),
        Some(_) => "; nothing bounds what they take (kernel.sched_rt_runtime_us is -1)".to_owned(),
        None => String::new(),
    };
    format!("shards run before other programs (SCHED_FIFO, priority {priority}){share}")
}

/// Who shares a CPU with threads that come before him.
fn starved(config: &Config) -> Vec<String> {
    let mut texts = Vec::new();
    if config.shard_cpus.contains(&None) {
        texts.push(
            "shards are not pinned and come before whatever else runs where they are: name their \
             CPUs (--shard-cpus)"
                .to_owned(),
        );
    } else if let Some(cpu) =
        config.control_cpu.filter(|cpu| config.shard_cpus.contains(&Some(*cpu)))
    {
        texts.push(format!(
            "control shares CPU {cpu} with a shard, which comes first: RTSP waits while it sends; \
             give --control-cpu a CPU of its own"
        ));
    } else if config.control_cpu.is_none() {
        texts.push(
            "control may run on the shards' CPUs, where it comes last: name a CPU for it \
             (--control-cpu)"
                .to_owned(),
        );
    }
    texts
}

/// `transparent` is the machine's setting.
fn prepare_pages(huge_pages: HugePages, transparent: Option<&str>) {
    match (huge_pages, transparent) {
        (HugePages::Off, Some("always")) => match uring::keep_small_pages() {
            Ok(()) => {
                info!("memory stays in small pages, so that it can be given back (--hugepages)")
            }
            Err(error) => warn!("memory may lie in huge pages and be given back late ({error})"),
        },
        (HugePages::Off, _) => {}
        (HugePages::Transparent, Some("never") | None) => warn!(
            "transparent huge pages are switched off: echo madvise > {TRANSPARENT} as root, or leave \
             --hugepages out"
        ),
        (HugePages::Transparent | HugePages::Reserved, _) => {
            let _ = uring::allow_huge_pages();
        }
    }
}

/// The word in brackets, as in `always [madvise] never`.
fn chosen(setting: &str) -> &str {
    let word = setting.split_once('[').and_then(|(_, rest)| rest.split_once(']'));
    word.map_or("", |(word, _)| word)
}

/// The NUMA node of a CPU.
fn node_of(cpu: usize) -> Option<usize> {
    fs::read_dir(format!("/sys/devices/system/cpu/cpu{cpu}"))
        .ok()?
        .find_map(|entry| entry.ok()?.file_name().to_str()?.strip_prefix("node")?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Host, RawConfig};

    fn config(keys: &str) -> Config {
        let host = Host { cpus: (0..4).collect(), memory_bytes: 64 << 30, has_ipv6: true };
        let raw: RawConfig = toml::from_str(&format!("media = [\"/\"]\n{keys}")).unwrap();
        raw.check(&host).unwrap()
    }

    #[test]
    fn what_shares_a_cpu_with_real_time_is_warned_of() {
        for (keys, expected) in [
            ("shard-cpus = \"1-3\"\ncontrol-cpu = 0", &[][..]),
            ("shard-cpus = \"1-3\"\ncontrol-cpu = 2", &["shares CPU 2"]),
            ("shard-cpus = \"1-3\"", &["may run on the shards' CPUs"]),
            ("shards = 2\ncontrol-cpu = 0", &["--shard-cpus"]),
        ] {
            let texts = starved(&config(keys));
            assert_eq!(texts.len(), expected.len(), "{keys}: {texts:?}");
            for (text, part) in texts.iter().zip(expected) {
                assert!(text.contains(part), "{keys}: {text}");
            }
        }
    }

    #[test]
    fn a_throttle_is_told() {
        for (throttle, part) in [
            (Some(950_000), "950 ms of each second"),
            (Some(-1), "nothing bounds"),
            (None, "priority 7)"),
        ] {
            assert!(fifo(7, throttle).contains(part), "{throttle:?}: {}", fifo(7, throttle));
        }
        let refused = refused_scheduler(7, &io::Error::from_raw_os_error(libc::EPERM));
        for part in ["CAP_SYS_NICE", "LimitRTPRIO=7", "not permitted"] {
            assert!(refused.contains(part), "{refused}");
        }
    }

    #[test]
    fn a_trial_leaves_this_thread_as_it_is() {
        let policy = || {
            let text = fs::read_to_string("/proc/thread-self/sched").unwrap_or_default();
            text.lines().find(|line| line.starts_with("policy")).map(str::to_owned)
        };
        let before = policy();
        if let Err(error) = may_run_before_others(1) {
            assert_eq!(error.raw_os_error(), Some(libc::EPERM));
        }
        assert_eq!(policy(), before);
        let error = may_run_before_others(200).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EINVAL));
    }

    #[test]
    fn the_chosen_setting_stands_in_brackets() {
        for (setting, word) in [
            ("always [madvise] never\n", "madvise"),
            ("[always] madvise never\n", "always"),
            ("", ""),
            ("[", ""),
        ] {
            assert_eq!(chosen(setting), word);
        }
    }
}
