//! AMR and AMR-WB: frame types and their lengths (RFC 4867 §5.3, 3GPP TS 26.101 and 26.201).

use crate::time::ClockRate;

/// What SDP must declare of an AMR stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AmrConfig {
    /// AMR-WB: 16 kHz instead of 8.
    pub is_wideband: bool,
}

/// Milliseconds of a frame (RFC 4867 §3.1).
pub const FRAME_MILLIS: u16 = 20;

const NARROW: ClockRate = ClockRate::new(8000).expect("not zero");
const WIDE: ClockRate = ClockRate::new(16_000).expect("not zero");

impl AmrConfig {
    /// The sampling rate, which is the RTP clock (RFC 4867 §8.1, §8.2).
    #[must_use]
    pub const fn rtp_rate(self) -> ClockRate {
        if self.is_wideband { WIDE } else { NARROW }
    }
}

/// What a file of narrow band frames begins with (RFC 4867 §5.1).
pub const MAGIC: &[u8] = b"#!AMR\n";
/// What a file of wide band frames begins with.
pub const MAGIC_WIDEBAND: &[u8] = b"#!AMR-WB\n";

impl AmrConfig {
    /// Bytes of a stored frame, from the octet that is its header (RFC 4867 §5.3); `None` for frame
    /// types that are reserved. Only the type is looked at: padding bits that are not zero are
    /// common.
    #[must_use]
    pub fn frame_bytes(self, header: u8) -> Option<u32> {
        /// 3GPP TS 26.101 §4.3, the class bits in whole octets; SID is type 8.
        const NARROW_BYTES: [u32; 9] = [12, 13, 15, 17, 19, 20, 26, 31, 5];
        /// 3GPP TS 26.201 §4.3; SID is type 9.
        const WIDE_BYTES: [u32; 10] = [17, 23, 32, 36, 40, 46, 50, 58, 60, 5];
        const SPEECH_LOST: u8 = 14;
        const NO_DATA: u8 = 15;
        let kind = header >> 3 & 15;
        let data = match kind {
            NO_DATA => Some(&0),
            SPEECH_LOST if self.is_wideband => Some(&0),
            _ if self.is_wideband => WIDE_BYTES.get(usize::from(kind)),
            _ => NARROW_BYTES.get(usize::from(kind)),
        };
        data.map(|data| 1 + data)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_tell_their_length() {
        for (is_wideband, header, bytes) in [
            (false, 0x04, Some(13)), // 4.75 kbit/s
            (false, 0x3c, Some(32)), // 12.2 kbit/s
            (false, 0x44, Some(6)),  // SID
            (false, 0x7c, Some(1)),  // no data
            (false, 0x74, None),
            (false, 0x4c, None),
            (true, 0x04, Some(18)), // 6.6 kbit/s
            (true, 0x44, Some(61)), // 23.85 kbit/s
            (true, 0x4c, Some(6)),  // SID
            (true, 0x74, Some(1)),  // speech lost
            (true, 0x7c, Some(1)),
            (true, 0x54, None),
            (true, 0xc7, Some(61)), // padding bits are not zero
        ] {
            assert_eq!(AmrConfig { is_wideband }.frame_bytes(header), bytes, "{header:x}");
        }
    }
}
