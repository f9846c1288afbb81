//! Launch times: whether the kernel lets trains go, each in its time.
//!
//! By itself a shard sends in waves: trains leave up to a wave ahead of their time, and those of
//! many viewers together. Where a queueing discipline keeps to launch times (`SO_TXTIME`), trains
//! are handed over in the same waves, a little further ahead (`ShardConfig::launch_ahead`), each
//! with the time at which it is due (`Destination::Datagrams`, `Control::launching_at`): none is
//! early or in step with another.
//!
//! Such a discipline is `fq`. It takes the monotonic clock's time, which needs no privilege, and
//! sends what has none (RTCP, connections) or is late at once. `etf` is no use to a server like
//! this: it drops whatever is late, and whatever has no launch time, replies to requests included.
//!
//! What has been handed over leaves: a few milliseconds of media come behind the reply to PAUSE,
//! TEARDOWN, or a PLAY that goes elsewhere. The devices looked at are those of the default routes;
//! where another one is in use and has no such discipline, packets leave early by what they were
//! handed over ahead.

use super::tune::device_number;
use crate::clock::Clock;
use crate::config::{Config, LaunchTimes};
use crate::tune::{Tree, default_devices};
use crate::uring::{self, Discipline, PairSockets};
use std::time::Duration;
use tracing::{info, warn};

/// How far ahead of the wave's end trains are handed over: a shard's timers are rounded up to this.
const AHEAD: Duration = Duration::from_millis(1);

/// How trains are handed over with launch times.
#[derive(Clone, Copy, Debug)]
pub(super) struct Launch {
    /// What the monotonic clock said when the server's was zero.
    nanos_at_zero: u64,
}

impl Launch {
    /// What the configuration asks for and this machine offers; says so in the log.
    pub(super) fn find(config: &Config, clock: Clock) -> Option<Self> {
        let why = match config.launch_times {
            LaunchTimes::Off => return None,
            LaunchTimes::On => "as asked, whatever the queueing discipline".to_owned(),
            LaunchTimes::Auto => {
                let devices = default_devices(&Tree::new("/"));
                let disciplines = uring::disciplines().unwrap_or_default();
                let keeps = |name: &String| {
                    device_number(name).is_some_and(|number| keeps_times(&disciplines, number))
                };
                if devices.is_empty() || !devices.iter().all(keeps) {
                    return None;
                }
                format!("the queueing discipline of {} keeps to them", devices.join(", "))
            }
        };
        info!("trains over UDP are handed to the kernel with launch times: {why}");
        let nanos_at_zero = uring::monotonic_nanos().saturating_sub(clock.now().0);
        Some(Self { nanos_at_zero })
    }

    /// Tells a shard's sockets, and how far ahead it may hand over: not at all, if they refuse.
    pub(super) fn apply(self, sockets: &mut PairSockets) -> Duration {
        match sockets.set_launch_times(self.nanos_at_zero) {
            Ok(()) => AHEAD,
            Err(error) => {
                warn!("launch times (SO_TXTIME) are refused, so trains leave as sent: {error}");
                Duration::ZERO
            }
        }
    }
}

/// Whether what a device is given leaves at its launch time: by its own discipline, or by those of
/// all its queues.
fn keeps_times(disciplines: &[Discipline], device: u32) -> bool {
    let own = || disciplines.iter().filter(|discipline| discipline.device == device);
    let Some(root) = own().find(|discipline| discipline.is_root) else { return false };
    let mut queues = own().filter(|discipline| !discipline.is_root).peekable();
    match root.kind.as_str() {
        "fq" => true,
        "mq" => queues.peek().is_some() && queues.all(|queue| queue.kind == "fq"),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_keep_to_launch_times_by_fq_alone() {
        // Device, kind and whether it is the root, of each discipline.
        type Row = (&'static [(u32, &'static str, bool)], bool);
        let cases: [Row; 8] = [
            (&[(2, "fq", true)], true),
            (&[(2, "mq", true), (2, "fq", false), (2, "fq", false)], true),
            (&[(2, "mq", true), (2, "fq", false), (2, "fq_codel", false)], false),
            (&[(2, "mq", true)], false),
            (&[(2, "fq_codel", true)], false),
            (&[(2, "etf", true)], false),
            (&[(3, "fq", true)], false),
            (&[], false),
        ];
        for (disciplines, expected) in cases {
            let disciplines: Vec<Discipline> = disciplines
                .iter()
                .map(|(device, kind, is_root)| Discipline {
                    device: *device,
                    kind: (*kind).to_owned(),
                    is_root: *is_root,
                })
                .collect();
            assert_eq!(keeps_times(&disciplines, 2), expected, "{disciplines:?}");
        }
    }

    #[test]
    fn shards_hand_over_ahead_once_their_sockets_are_told() {
        let launch = Launch { nanos_at_zero: 7 };
        let bind = |port| PairSockets::bind(port..=port + 1).ok();
        let mut sockets = (22_900..23_000).step_by(2).find_map(bind).unwrap();
        assert_eq!(launch.apply(&mut sockets), AHEAD);
    }
}
