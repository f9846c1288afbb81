//! MPEG programme streams (ISO 11172-1, 13818-1 §2.5), which are refused by name: their PES packets
//! are of any length, so that where a unit's bytes lie cannot be told from its place alone.

use super::Demux;
use super::refused::by_name;

/// pack_start_code
const PACK: &[u8] = &[0, 0, 1, 0xba];

/// A file that begins with a pack.
pub(super) fn probe(head: &[u8], _file_bytes: u64) -> Option<Box<dyn Demux>> {
    head.starts_with(PACK).then(|| by_name("of an MPEG programme stream"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_refused_by_name() {
        let mut demuxer = probe(&[0, 0, 1, 0xba, 0x44, 0], 2048).unwrap();
        let error = demuxer.supply(&[0]).unwrap_err().to_string();
        assert!(error.contains("programme stream"), "{error}");
        assert!(probe(&[0, 0, 1, 0xb3, 0x44, 0], 2048).is_none());
        assert!(probe(&[0, 0, 1], 3).is_none());
    }
}
