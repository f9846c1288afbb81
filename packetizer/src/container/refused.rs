//! Formats that are known, and hold nothing that RTP could carry.

use super::sole_track::refuse_codec;
use super::{Demand, Demux, IndexError};
use crate::index::MediaIndex;

/// What files begin with that are refused, and the name of what is in them.
const REFUSED: [(&[u8], &str); 8] = [
    (b"fLaC", "FLAC"),
    (b"ADIF", ADIF),
    (b"#!AMR_MC1.0\n", "AMR of several channels"),
    (b"#!AMR-WB_MC1.0\n", "AMR-WB of several channels"),
    (b"wvpk", "WavPack"),
    (b"MAC ", "Monkey's Audio"),
    (b"TTA1", "True Audio"),
    (b"DSD ", "DSD"),
];

/// Raw data blocks one behind the other, each with any number of bits (ISO 14496-3 §1.A.2).
const ADIF: &str = "AAC in ADIF, in which nothing but decoding tells where access units end,";

/// Refuses a file in the name of what is in it.
#[derive(Debug)]
struct Refusal(&'static str);

/// A file whose format is known and refused.
pub(super) fn probe(head: &[u8], _file_bytes: u64) -> Option<Box<dyn Demux>> {
    REFUSED.iter().find(|(magic, _)| head.starts_with(magic)).map(|(_, name)| by_name(name))
}

/// Refuses a file in this name.
pub(super) fn by_name(name: &'static str) -> Box<dyn Demux> {
    Box::new(Refusal(name))
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
        for (head, name) in [
            (&b"fLaC\0\0\0\x22"[..], Some("FLAC")),
            (b"ADIF\x40\x0f", Some(ADIF)),
            (b"#!AMR_MC1.0\n", Some("AMR of several channels")),
            (b"#!AMR\n", None),
            (b"", None),
        ] {
            let refused = probe(head, 100).map(|mut format| format.supply(&[0]).unwrap_err());
            assert_eq!(refused, name.map(refuse_codec), "{head:x?}");
        }
    }
}
