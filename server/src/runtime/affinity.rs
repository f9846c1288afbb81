//! Pinning threads to CPUs.

use core_affinity::CoreId;

/// Makes the calling thread run on `cpu` alone, and says whether that worked: not for a CPU that
/// the machine or the process's cpuset does not have.
#[must_use]
pub fn pin_current_thread(cpu: usize) -> bool {
    cpu < CPUS_MAX && core_affinity::set_for_current(CoreId { id: cpu })
}

/// CPUs of a `cpu_set_t`.
const CPUS_MAX: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pinned_thread_may_run_on_one_cpu() {
        let cpu = core_affinity::get_core_ids().unwrap().last().unwrap().id;
        std::thread::spawn(move || {
            assert!(pin_current_thread(cpu));
            let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
            assert!(status.contains(&format!("Cpus_allowed_list:\t{cpu}\n")), "{status}");
            assert!(!pin_current_thread(CPUS_MAX - 1) && !pin_current_thread(usize::MAX));
        })
        .join()
        .unwrap();
    }
}
