//! Presentation descriptions, written once for all who ask for a title.

use crate::title::{ByteSourceId, Title};
use bytes::Bytes;
use packetizer::sdp::Selection;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// What they may take. All are forgotten then, and those that are asked for written again.
const BYTES_MAX: usize = 4 << 20;

/// Descriptions by the version of a title, the server's address, which each names, and what is
/// chosen of the title.
#[derive(Debug, Default)]
pub(super) struct Descriptions {
    written: BTreeMap<(ByteSourceId, IpAddr, Selection), Bytes>,
    bytes: usize,
}

impl Descriptions {
    /// The description of what is selected of a title as a client of that address gets it, by
    /// `write` if there is none yet.
    pub(super) fn of(
        &mut self,
        title: &Title,
        address: IpAddr,
        selection: Selection,
        write: impl FnOnce() -> String,
    ) -> Bytes {
        let key = (title.source, address, selection);
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
    fn a_description_is_written_once_a_version_address_and_choice_and_they_are_bounded() {
        let mut descriptions = Descriptions::default();
        let here = |host| IpAddr::V4(Ipv4Addr::new(127, 0, 0, host));
        let mut written = 0;
        let mut ask = |descriptions: &mut Descriptions, source, host, is_endless| {
            let title = title("a.mp4", source, true);
            let selection = Selection { is_endless, ..Selection::all(&title.index) };
            let bytes = descriptions.of(&title, here(host), selection, || {
                written += 1;
                format!("{source} {host} {is_endless} {}", "x".repeat(10_000))
            });
            assert!(bytes.starts_with(format!("{source} {host} {is_endless} ").as_bytes()));
            written
        };
        for (source, host, is_endless, expected) in [
            (1, 1, false, 1),
            (1, 1, false, 1),
            (2, 1, false, 2),
            (1, 2, false, 3),
            (1, 1, false, 3),
            (1, 1, true, 4),
            (1, 1, true, 4),
        ] {
            let count = ask(&mut descriptions, source, host, is_endless);
            assert_eq!(count, expected, "{source} {host} {is_endless}");
        }
        for source in 3..1000 {
            ask(&mut descriptions, source, 1, false);
            assert!(descriptions.bytes <= BYTES_MAX);
            let bytes: usize = descriptions.written.values().map(Bytes::len).sum();
            assert_eq!(descriptions.bytes, bytes);
        }
    }
}
