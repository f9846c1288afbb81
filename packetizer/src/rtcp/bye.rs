//! BYE (RFC 3550 §6.6).

use super::{BYE, RtcpError, write_packet, write_text};
use crate::rtp::Ssrc;

/// Writes the end of one source.
pub(super) fn write(ssrc: Ssrc, reason: Option<&str>, out: &mut Vec<u8>) {
    write_packet(BYE, 1, out, |out| {
        out.extend_from_slice(&ssrc.0.to_be_bytes());
        if let Some(reason) = reason {
            let start = out.len();
            write_text(reason, out);
            let zeros = (out.len() - start).next_multiple_of(4) - (out.len() - start);
            out.extend_from_slice(&[0; 3][..zeros]);
        }
    });
}

/// A received BYE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bye<'a> {
    sources: &'a [[u8; 4]],
    reason: Option<&'a [u8]>,
}

impl<'a> Bye<'a> {
    pub(super) fn parse(body: &'a [u8], count: u8) -> Result<Self, RtcpError> {
        let (words, _) = body.as_chunks();
        let sources = words.get(..usize::from(count)).ok_or(RtcpError::Truncated)?;
        let reason = match &body[sources.len() * 4..] {
            [] => None,
            [length, text @ ..] => {
                Some(text.get(..usize::from(*length)).ok_or(RtcpError::Truncated)?)
            }
        };
        Ok(Self { sources, reason })
    }

    /// The sources that leave.
    pub fn sources(&self) -> impl Iterator<Item = Ssrc> + use<'a> {
        self.sources.iter().map(|ssrc| Ssrc(u32::from_be_bytes(*ssrc)))
    }

    /// Why, if they say so.
    #[must_use]
    pub const fn reason(&self) -> Option<&'a [u8]> {
        self.reason
    }
}
