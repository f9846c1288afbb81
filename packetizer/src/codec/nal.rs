//! How NAL units lie in an access unit: behind their lengths (ISO 14496-15 §5.3.4.2) or behind
//! start codes (ISO 14496-10 Annex B).

use std::fmt;

/// How the NAL units of an access unit are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NalFraming {
    /// Each has its length in front, in this many bytes: 1 to 4.
    Length(u8),
    /// Each has a start code, `00 00 01`, in front.
    StartCodes,
}

/// Parameter sets of a kind that are taken from a stream.
pub(super) const PARAMETER_SETS_MAX: usize = 16;

/// A NAL unit that reaches beyond its access unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NalError {
    /// Position in the access unit of the NAL unit's length prefix.
    pub position: usize,
    /// Bytes the length prefix declares; 0 if the prefix itself is cut short.
    pub declared_bytes: u32,
}

impl fmt::Display for NalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { position, declared_bytes } = self;
        write!(f, "NAL unit of {declared_bytes} bytes at {position} reaches beyond its access unit")
    }
}

impl std::error::Error for NalError {}

/// Cuts an access unit into its NAL units, without what stands in front of them. Empty NAL units
/// are left out; after an error nothing follows.
pub fn nal_units(
    access_unit: &[u8],
    framing: NalFraming,
) -> impl Iterator<Item = Result<&[u8], NalError>> {
    let mut position = match framing {
        NalFraming::Length(_) => 0,
        NalFraming::StartCodes => behind_start_code(access_unit, 0),
    };
    std::iter::from_fn(move || match framing {
        NalFraming::Length(length_bytes) => measured(access_unit, length_bytes, &mut position),
        NalFraming::StartCodes => delimited(access_unit, &mut position).map(Ok),
    })
}

/// The next NAL unit that has its length in front.
fn measured<'a>(
    access_unit: &'a [u8],
    length_bytes: u8,
    position: &mut usize,
) -> Option<Result<&'a [u8], NalError>> {
    loop {
        let rest = access_unit.get(*position..).filter(|rest| !rest.is_empty())?;
        let prefix = rest.get(..usize::from(length_bytes));
        let declared = prefix
            .map(|prefix| prefix.iter().fold(0_u32, |length, byte| length << 8 | u32::from(*byte)));
        let body = rest.get(usize::from(length_bytes)..).unwrap_or_default();
        match declared.and_then(|length| body.get(..length as usize)) {
            Some([]) => *position += usize::from(length_bytes).max(1),
            Some(nal_unit) => {
                *position += usize::from(length_bytes) + nal_unit.len();
                return Some(Ok(nal_unit));
            }
            None => {
                let declared_bytes = declared.unwrap_or(0);
                let error = NalError { position: *position, declared_bytes };
                *position = access_unit.len();
                return Some(Err(error));
            }
        }
    }
}

/// The NAL unit at `position`, which is behind a start code, without the zeros that may follow it.
fn delimited<'a>(access_unit: &'a [u8], position: &mut usize) -> Option<&'a [u8]> {
    loop {
        let rest = access_unit.get(*position..).filter(|rest| !rest.is_empty())?;
        let end = memchr::memmem::find(rest, START_CODE);
        *position += end.map_or(rest.len(), |end| end + START_CODE.len());
        let nal_unit = &rest[..end.unwrap_or(rest.len())];
        let zeros = nal_unit.iter().rev().take_while(|byte| **byte == 0).count();
        let nal_unit = &nal_unit[..nal_unit.len() - zeros];
        if !nal_unit.is_empty() {
            return Some(nal_unit);
        }
    }
}

/// The position behind the first start code from `from` on, or the end.
#[must_use]
pub fn behind_start_code(bytes: &[u8], from: usize) -> usize {
    let rest = bytes.get(from..).unwrap_or_default();
    let found = memchr::memmem::find(rest, START_CODE);
    found.map_or(bytes.len(), |at| from + at + START_CODE.len())
}

/// In front of each NAL unit of a byte stream.
pub const START_CODE: &[u8] = &[0, 0, 1];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_at_lengths_and_never_reads_beyond() {
        let error = |position, declared_bytes| Err(NalError { position, declared_bytes });
        for (bytes, width, expected) in [
            (&[][..], 4, vec![]),
            (&[0, 0, 0, 1, 9], 4, vec![Ok(&[9][..])]),
            (&[0, 2, 1, 2, 0, 0, 0, 1, 3], 2, vec![Ok(&[1, 2][..]), Ok(&[3])]),
            (&[1, 7, 2, 1], 1, vec![Ok(&[7][..]), error(2, 2)]),
            (&[0, 0, 0], 4, vec![error(0, 0)]),
            (&[0xff, 0xff, 0xff, 0xff, 1], 4, vec![error(0, u32::MAX)]),
        ] {
            let cut: Vec<_> = nal_units(bytes, NalFraming::Length(width)).collect();
            assert_eq!(cut, expected, "{bytes:?}");
        }
    }

    #[test]
    fn cuts_at_start_codes() {
        for (bytes, expected) in [
            (&[][..], vec![]),
            (&[9, 9, 9], vec![]),
            (&[0, 0, 1], vec![]),
            (&[0, 0, 0, 1, 9, 0, 0, 1, 7, 8, 0], vec![&[9][..], &[7, 8]]),
            (&[5, 0, 0, 1, 0, 0, 1, 6, 0, 0, 3, 1, 0, 0, 0, 0, 1, 2], vec![&[6, 0, 0, 3, 1], &[2]]),
        ] {
            let cut: Vec<_> =
                nal_units(bytes, NalFraming::StartCodes).map(Result::unwrap).collect();
            assert_eq!(cut, expected, "{bytes:?}");
        }
    }
}
