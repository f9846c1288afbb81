//! Where segmentation offload does not work.

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;

/// Destinations that refused a train: a path MTU below the packets, or a device without
/// checksums. What is remembered expires, because routes and path MTUs change.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    /// By destination, how many more trains go packet by packet.
    destinations: HashMap<IpAddr, u32>,
    logged: bool,
}

impl Refusals {
    /// Whether a train to `destination` is to be sent packet by packet.
    pub(super) fn contains(&self, destination: IpAddr) -> bool {
        !self.destinations.is_empty() && self.destinations.contains_key(&destination)
    }

    /// Counts a train that went packet by packet.
    pub(super) fn used(&mut self, destination: IpAddr) {
        if let Some(left) = self.destinations.get_mut(&destination) {
            *left -= 1;
            if *left == 0 {
                self.destinations.remove(&destination);
            }
        }
    }

    /// Remembers `destination` if `error` is how a train is refused, and says whether it is.
    pub(super) fn remember(&mut self, destination: IpAddr, error: &io::Error) -> bool {
        // Too small a path MTU was EINVAL before it became EMSGSIZE; EIO is a device's.
        if !matches!(error.raw_os_error(), Some(libc::EIO | libc::EINVAL | libc::EMSGSIZE)) {
            return false;
        }
        if !self.logged {
            self.logged = true;
            tracing::warn!(%error, "a destination refused segmentation offload; it is sent packet by packet");
        }
        if self.destinations.len() == DESTINATIONS_MAX {
            self.destinations.clear();
        }
        self.destinations.insert(destination, TRAINS_UNTIL_RETRY);
        true
    }
}

/// Destinations that are remembered; when there are more, all are tried again.
const DESTINATIONS_MAX: usize = 1024;
/// Trains that go packet by packet before offload is tried again: minutes of a video stream.
const TRAINS_UNTIL_RETRY: u32 = 4096;

#[cfg(test)]
mod tests {
    #![allow(clippy::cast_possible_truncation)]
    use super::*;

    #[test]
    fn refusals_are_bounded_and_expire() {
        let mut refusals = Refusals::default();
        let viewer = IpAddr::from([192, 0, 2, 1]);
        let full = io::Error::from_raw_os_error(libc::ENOBUFS);
        assert!(!refusals.remember(viewer, &full) && !refusals.contains(viewer));
        let mtu = io::Error::from_raw_os_error(libc::EINVAL);
        assert!(refusals.remember(viewer, &mtu));
        for _ in 0..TRAINS_UNTIL_RETRY {
            assert!(refusals.contains(viewer));
            refusals.used(viewer);
        }
        assert!(!refusals.contains(viewer));
        for other in 0..5 * DESTINATIONS_MAX as u32 {
            refusals.remember(IpAddr::from(other.to_be_bytes()), &mtu);
        }
        assert!(refusals.destinations.len() <= DESTINATIONS_MAX);
    }
}
