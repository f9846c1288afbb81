//! Formats that are known, and hold nothing that RTP could carry.

use super::sole_track::refuse_codec;
use super::{Demand, Demux, IndexError};
use crate::index::MediaIndex;

/// What files begin with that are refused, and the name of what is in them.
const REFUSED: [(&[u8], &str); 8] = [
    (b"fLaC", "FLAC"),
    (b"ADIF", "AAC in ADIF"),
    (b"#!AMR_MC1.0\n", "AMR of several channels"),
    (b"#!AMR-WB_MC1.0\n", "AMR-WB of several channels"),
    (b"wvpk", "WavPack"),
    (b"MAC ", "Monkey's Audio"),
    (b"TTA1", "True Audio"),
    (b"DSD ", "DSD"),
];
/// What an AudioSyncStream's frames begin with: 11 bits (ISO 14496-3 §1.7.2).
const LOAS_SYNC: [u8; 2] = [0x56, 0xe0];
/// Frames in a row that make an AudioSyncStream.
const LOAS_FRAMES: usize = 3;

/// Refuses a file in the name of what is in it.
#[derive(Debug)]
struct Refusal(&'static str);

/// A file whose format is known and refused.
pub(super) fn probe(head: &[u8], _file_bytes: u64) -> Option<Box<dyn Demux>> {
    let name = REFUSED.iter().find(|(magic, _)| head.starts_with(magic)).map(|(_, name)| *name);
    name.or_else(|| is_loas(head).then_some("AAC in LATM")).map(by_name)
}

/// Refuses a file in this name.
pub(super) fn by_name(name: &'static str) -> Box<dyn Demux> {
    Box::new(Refusal(name))
}

fn is_loas(mut head: &[u8]) -> bool {
    for _ in 0..LOAS_FRAMES {
        let [sync, sync_and_length, length, rest @ ..] = head else { return false };
        if [*sync, sync_and_length & 0xe0] != LOAS_SYNC {
            return false;
        }
        let bytes = usize::from(sync_and_length & 0x1f) << 8 | usize::from(*length);
        let Some(rest) = rest.get(bytes..).filter(|_| bytes > 0) else { return false };
        head = rest;
    }
    true
}

impl Demux for Refusal {
    fn demand(&self) -> Demand {
        Demand { offset: 0, bytes: 1 }
    }

    fn supply(&mut self, _bytes: &[u8]) -> Result<Option<MediaIndex>, IndexError> {
        Err(refuse_codec(self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_by_name() {
        let loas = [[0x56, 0xe0, 2, 0, 0]; 3].concat();
        for (head, name) in [
            (&b"fLaC\0\0\0\x22"[..], Some("FLAC")),
            (b"ADIF", Some("AAC in ADIF")),
            (b"#!AMR_MC1.0\n", Some("AMR of several channels")),
            (&loas, Some("AAC in LATM")),
            (&loas[..10], None),
            (&[0x56, 0xe0, 0, 0x56, 0xe0, 0, 0x56, 0xe0, 0], None),
            (b"#!AMR\n", None),
            (b"", None),
        ] {
            let refused = probe(head, 100).map(|mut format| format.supply(&[0]).unwrap_err());
            assert_eq!(refused, name.map(refuse_codec), "{head:x?}");
        }
    }
}
