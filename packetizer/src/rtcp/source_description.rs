//! Source descriptions (RFC 3550 §6.5).

use super::{RtcpError, SOURCE_DESCRIPTION, split_ssrc, write_packet, write_text};
use crate::rtp::Ssrc;

/// Item type that ends a chunk.
const END: u8 = 0;
/// Item type of the canonical name (RFC 3550 §6.5.1).
const CNAME: u8 = 1;

/// Writes the description of one source: its CNAME.
pub(super) fn write(ssrc: Ssrc, cname: &str, out: &mut Vec<u8>) {
    write_packet(SOURCE_DESCRIPTION, 1, out, |out| {
        let start = out.len();
        out.extend_from_slice(&ssrc.0.to_be_bytes());
        out.push(CNAME);
        write_text(cname, out);
        // One to four zeros end the chunk at a word boundary.
        let zeros = 4 - (out.len() - start) % 4;
        out.extend_from_slice(&[END; 4][..zeros]);
    });
}

/// A received description of sources.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SourceDescription<'a> {
    body: &'a [u8],
    count: u8,
}

impl<'a> SourceDescription<'a> {
    pub(super) fn parse(body: &'a [u8], count: u8) -> Result<Self, RtcpError> {
        let mut rest = body;
        for _ in 0..count {
            let (_, items) = split_ssrc(rest)?;
            rest = walk(items, |_, _| ())?;
        }
        Ok(Self { body, count })
    }

    /// The canonical name of a source, if it is described.
    #[must_use]
    pub fn cname(&self, ssrc: Ssrc) -> Option<&'a [u8]> {
        let mut found = None;
        let mut rest = self.body;
        for _ in 0..self.count {
            let (source, items) = split_ssrc(rest).ok()?;
            rest = walk(items, |kind, text| {
                if kind == CNAME && source == ssrc {
                    found = Some(text);
                }
            })
            .ok()?;
        }
        found
    }
}

/// Shows `visit` type and text of each item of a chunk and gives what lies behind the chunk.
fn walk<'a>(items: &'a [u8], mut visit: impl FnMut(u8, &'a [u8])) -> Result<&'a [u8], RtcpError> {
    let mut rest = items;
    loop {
        match rest {
            [] => return Err(RtcpError::Truncated),
            [END, ..] => {
                // Chunks begin at word boundaries, as the packet's body does and ends.
                let padding = (rest.len() - 1) % 4 + 1;
                return Ok(&rest[padding..]);
            }
            [_] => return Err(RtcpError::Truncated),
            [kind, length, behind @ ..] => {
                let split = behind.split_at_checked(usize::from(*length));
                let (text, behind) = split.ok_or(RtcpError::Truncated)?;
                visit(*kind, text);
                rest = behind;
            }
        }
    }
}
