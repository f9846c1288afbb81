//! Presentation descriptions, written once for all who ask for a title.

use crate::title::{ByteSourceId, Title};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// What they may take. All are forgotten then, and those that are asked for written again.
const BYTES_MAX: usize = 4 << 20;

/// Descriptions by the version of a title and the server's address, which each names.
#[derive(Debug, Default)]
pub(super) struct Descriptions {
    written: BTreeMap<(ByteSourceId, IpAddr), Bytes>,
    bytes: usize,
}

impl Descriptions {
    /// The description of a title as a client of that address gets it, by `write` if there is none
    /// yet.
    pub(super) fn of(
        &mut self,
        title: &Title,
        address: IpAddr,
        write: impl FnOnce() -> String,
    ) -> Bytes {
        let key = (title.source, address);
        if let Some(description) = self.written.get(&key) {
            return description.clone();
        }
        let description = Bytes::from(write());
        if self.bytes + description.len() > BYTES_MAX {
            self.written.clear();
            self.bytes = 0;
        }
        self.bytes += description.len();
        self.written.insert(key, description.clone());
        description
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::title;
    use super::*;
    use std::net::Ipv4Addr;

    #[test]
    fn a_description_is_written_once_a_version_and_address_and_they_are_bounded() {
        let mut descriptions = Descriptions::default();
        let here = |host| IpAddr::V4(Ipv4Addr::new(127, 0, 0, host));
        let mut written = 0;
        let mut ask = |descriptions: &mut Descriptions, source, host| {
            let title = title("a.mp4", source, true);
            let bytes = descriptions.of(&title, here(host), || {
                written += 1;
                format!("{source} {host} {}", "x".repeat(10_000))
            });
            assert!(bytes.starts_with(format!("{source} {host} ").as_bytes()));
            written
        };
        for (source, host, expected) in [(1, 1, 1), (1, 1, 1), (2, 1, 2), (1, 2, 3), (1, 1, 3)] {
            assert_eq!(ask(&mut descriptions, source, host), expected, "{source} {host}");
        }
        for source in 3..1000 {
            ask(&mut descriptions, source, 1);
            assert!(descriptions.bytes <= BYTES_MAX);
            let bytes: usize = descriptions.written.values().map(Bytes::len).sum();
            assert_eq!(descriptions.bytes, bytes);
        }
    }
}
