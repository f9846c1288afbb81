//! Open bitstream units of AV1's low-overhead format (AV1 §5.2, §5.3) as they travel.

use super::super::UnitError;

/// obu_type of a sequence header, a temporal delimiter, a tile list (AV1 §6.2.2).
pub(super) const SEQUENCE_HEADER: u8 = 1;
pub(super) const TEMPORAL_DELIMITER: u8 = 2;
pub(super) const TILE_LIST: u8 = 8;
/// Bits of an OBU header (AV1 §5.3.2).
const FORBIDDEN: u8 = 0x80;
pub(super) const HAS_EXTENSION: u8 = 0x04;
const HAS_SIZE: u8 = 0x02;

/// An OBU as it travels: without obu_size.
#[derive(Clone, Copy)]
pub(super) struct Obu<'a> {
    header: [u8; 2],
    header_bytes: usize,
    pub(super) payload: &'a [u8],
}

impl Obu<'_> {
    pub(super) const fn kind(&self) -> u8 {
        self.header[0] >> 3 & 0x0f
    }

    pub(super) const fn bytes(&self) -> usize {
        self.header_bytes + self.payload.len()
    }

    pub(super) fn header(&self) -> &[u8] {
        &self.header[..self.header_bytes]
    }

    /// temporal_id and spatial_id (AV1 §5.3.3).
    pub(super) const fn extension(&self) -> Option<u8> {
        if self.header_bytes == 2 { Some(self.header[1] & 0xf8) } else { None }
    }
}

/// Takes the next OBU that travels; one without a size reaches to the end.
pub(super) fn next_obu<'a>(rest: &mut &'a [u8]) -> Result<Option<Obu<'a>>, UnitError> {
    const CUT_SHORT: UnitError = UnitError::Malformed("an OBU reaches beyond its temporal unit");
    while let Some((first, tail)) = rest.split_first() {
        if first & FORBIDDEN != 0 {
            return Err(UnitError::Malformed("an OBU header has its forbidden bit set"));
        }
        let mut header = [first & !HAS_SIZE, 0];
        let (mut header_bytes, mut tail) = (1, tail);
        if first & HAS_EXTENSION != 0 {
            (header[1], tail) = tail.split_first().map(|(e, tail)| (*e, tail)).ok_or(CUT_SHORT)?;
            header_bytes = 2;
        }
        let mut payload_bytes = tail.len();
        if first & HAS_SIZE != 0 {
            (payload_bytes, tail) = read_leb128(tail).ok_or(CUT_SHORT)?;
        }
        let (payload, behind) = tail.split_at_checked(payload_bytes).ok_or(CUT_SHORT)?;
        *rest = behind;
        let obu = Obu { header, header_bytes, payload };
        if !matches!(obu.kind(), TEMPORAL_DELIMITER | TILE_LIST) {
            return Ok(Some(obu));
        }
    }
    Ok(None)
}

/// A number of at most 8 bytes with 7 bits each, least significant first, and what follows it
/// (AV1 §4.10.5).
pub(super) fn read_leb128(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let mut value = 0;
    for (at, byte) in bytes.iter().enumerate().take(8) {
        value |= usize::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            return Some((value, &bytes[at + 1..]));
        }
    }
    None
}
