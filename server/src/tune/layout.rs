//! Which CPU does what.

use super::facts::{Device, Facts};
use crate::limits::SHARDS_MAX;

/// CPUs by what should run there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Layout {
    /// One a shard; empty for shards that are not pinned.
    pub(super) shards: Vec<usize>,
    /// Shards that are not pinned.
    pub(super) floating: usize,
    pub(super) control: Option<usize>,
    /// Where the network device's interrupts should arrive.
    pub(super) interrupts: Vec<usize>,
    /// Not used, because the network device is far from them.
    pub(super) far: Vec<usize>,
    /// Not used, because they share a core with a CPU that is.
    pub(super) siblings: Vec<usize>,
    /// Shards run where nothing else may.
    pub(super) is_isolated: bool,
}

impl Layout {
    pub(super) fn shard_count(&self) -> usize {
        self.shards.len() + self.floating
    }

    /// Whether control and interrupts have cores that no shard uses.
    pub(super) fn is_apart(&self) -> bool {
        self.control.is_some_and(|cpu| !self.shards.contains(&cpu))
    }
}

/// The device that most viewers are reached by: of those with the default route, or of all, the
/// fastest that is up.
pub(super) fn main_device(facts: &Facts) -> Option<&Device> {
    let speed = |device: &&Device| {
        (device.is_up, device.is_default, device.megabits_per_second.unwrap_or(0))
    };
    // Of equals the first.
    facts.devices.iter().rev().max_by_key(speed)
}

/// One shard a core near the device, and cores of their own for control and interrupts where there
/// are enough.
pub(super) fn layout(facts: &Facts) -> Layout {
    let cpus = &facts.cpus;
    // A quota stops all threads when it is used up, wherever they are.
    if let Some(quota) = cpus.quota
        && quota < cpus.cores.len() as f64
    {
        let whole = (1..cpus.cores.len()).take_while(|count| *count as f64 <= quota).count();
        return Layout { floating: whole.saturating_sub(1).max(1), ..Layout::default() };
    }
    let (near, far) = near_cores(facts);
    let (isolated, rest): (Vec<_>, Vec<_>) =
        near.into_iter().partition(|core| cpus.isolated.contains(&core[0]));
    let mut layout =
        if isolated.is_empty() { shared(&rest) } else { kept_apart(&isolated, &rest, facts) };
    layout.far = far.into_iter().flatten().collect();
    layout.shards.truncate(SHARDS_MAX);
    layout
}

type Cores = Vec<Vec<usize>>;

/// Cores on the device's node, and the others.
fn near_cores(facts: &Facts) -> (Cores, Cores) {
    let node = main_device(facts).and_then(|device| device.node);
    let node = facts.nodes.iter().find(|candidate| Some(candidate.node) == node);
    let cores = facts.cpus.cores.iter().cloned();
    let (near, far): (Cores, Cores) =
        cores.partition(|core| node.is_none_or(|node| node.cpus.contains(&core[0])));
    if near.is_empty() { (far, near) } else { (near, far) }
}

/// The cores that the administrator has kept free are for shards.
fn kept_apart(isolated: &[Vec<usize>], rest: &[Vec<usize>], facts: &Facts) -> Layout {
    let others = || facts.cpus.allowed.iter().filter(|cpu| !facts.cpus.isolated.contains(cpu));
    let control = rest.first().map(|core| core[0]).or_else(|| others().next().copied());
    let mut interrupts: Vec<usize> = rest.iter().skip(1).map(|core| core[0]).collect();
    interrupts.extend(control.filter(|_| rest.len() < 2));
    Layout {
        shards: isolated.iter().map(|core| core[0]).collect(),
        siblings: isolated.iter().flat_map(|core| core[1..].iter().copied()).collect(),
        control,
        interrupts,
        is_isolated: true,
        ..Layout::default()
    }
}

/// Cores that other programs may use, too.
fn shared(cores: &[Vec<usize>]) -> Layout {
    let firsts = |cores: &[Vec<usize>]| cores.iter().map(|core| core[0]).collect::<Vec<_>>();
    let seconds =
        |cores: &[Vec<usize>]| cores.iter().flat_map(|core| core[1..].iter().copied()).collect();
    match cores {
        [] => Layout { floating: 1, ..Layout::default() },
        // Two hardware threads of one core are still better than taking turns.
        [core] => match core[..] {
            [control, shard, ..] => Layout {
                shards: vec![shard],
                control: Some(control),
                interrupts: vec![control],
                ..Layout::default()
            },
            _ => Layout { floating: 1, ..Layout::default() },
        },
        _ => {
            let for_interrupts = if cores.len() <= FEW_CORES { 0 } else { cores.len().div_ceil(8) };
            let (apart, shards) = cores.split_at(1 + for_interrupts);
            let interrupts = if for_interrupts == 0 { apart } else { &apart[1..] };
            Layout {
                shards: firsts(shards),
                control: Some(apart[0][0]),
                interrupts: interrupts.iter().flatten().copied().collect(),
                siblings: seconds(shards),
                ..Layout::default()
            }
        }
    }
}

/// Up to so many cores, control and interrupts share one.
const FEW_CORES: usize = 4;
