//! What the operator is told of reads that do not keep up with viewers.

use crate::mailbox::{Shortage, Strain};
use tracing::{info, warn};

/// Logs what a shard reports.
pub(super) fn log_strain(shard: usize, strain: Strain) {
    let told = sentence(strain);
    match strain.shortage {
        Some(_) => warn!(shard, "{told}"),
        None => info!(shard, "{told}"),
    }
}

fn sentence(strain: Strain) -> String {
    let read = megabytes(strain.read_bytes_per_second);
    let wanted = megabytes(strain.wanted_bytes_per_second);
    match strain.shortage {
        Some(Shortage::Disk) => format!(
            "the disk is too slow: it delivers {read} MB/s, and viewers ask for {wanted} MB/s; \
             those who came last see parts or wait"
        ),
        Some(Shortage::Memory) => format!(
            "too little memory (--memory) to read as fast as viewers play: {read} MB/s are read, \
             and they ask for {wanted} MB/s; some see parts or wait"
        ),
        None => format!("what viewers ask for is read in time again: {read} MB/s"),
    }
}

/// With one decimal.
fn megabytes(bytes: u64) -> String {
    let tenths = bytes.saturating_add(50_000) / 100_000;
    format!("{}.{}", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_operator_is_told_what_is_short_and_by_how_much() {
        let told = |shortage, read_bytes_per_second, wanted_bytes_per_second| {
            sentence(Strain { shortage, read_bytes_per_second, wanted_bytes_per_second })
        };
        assert_eq!(
            told(Some(Shortage::Disk), 15_649_999, 149_950_000),
            "the disk is too slow: it delivers 15.6 MB/s, and viewers ask for 150.0 MB/s; \
             those who came last see parts or wait"
        );
        assert_eq!(
            told(Some(Shortage::Memory), 0, 49_999),
            "too little memory (--memory) to read as fast as viewers play: 0.0 MB/s are read, and \
             they ask for 0.0 MB/s; some see parts or wait"
        );
        assert_eq!(
            told(None, 1_250_000, 1_250_000),
            "what viewers ask for is read in time again: 1.3 MB/s"
        );
    }
}
