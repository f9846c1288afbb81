//! Who lets a train go, as it is typed.

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// Whether trains are handed to the kernel ahead of time, with the time at which they are to leave.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum LaunchTimes {
    /// Where the devices of the default routes keep to such times (`fq`).
    #[default]
    Auto,
    /// Whatever the devices do: those without `fq` send what they get at once.
    On,
    /// Trains are sent when they are due.
    Off,
}
