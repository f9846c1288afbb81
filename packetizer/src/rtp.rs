//! RTP packets (RFC 3550 §5).

use std::fmt;
use std::ops::Range;

/// Synchronization source (RFC 3550 §3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ssrc(pub u32);

/// Bytes of an RTP header without contributing sources or extension (RFC 3550 §5.1).
pub const HEADER_BYTES: usize = 12;

/// The marker in the byte it shares with the payload type.
pub const MARKER: u8 = 0x80;

/// What says that a packet ends with padding, in the byte it shares with the version.
pub const PADDING: u8 = 0x20;

/// The only version there is, in the byte it shares with padding, extension and CSRC count.
const VERSION: u8 = 2 << 6;

/// The fixed header (RFC 3550 §5.1). Sequence number and timestamp wrap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// What the payload format says it means: here, the last packet of an access unit.
    pub marker: bool,
    /// Payload type, 0..=127.
    pub payload_type: u8,
    /// Sequence number.
    pub sequence: u16,
    /// Timestamp in ticks of the payload format's clock.
    pub timestamp: u32,
    /// Synchronization source.
    pub ssrc: Ssrc,
}

impl Header {
    /// The header as it goes on the wire, with neither padding, extension nor contributing sources.
    #[must_use]
    pub fn to_bytes(self) -> [u8; HEADER_BYTES] {
        let marker = if self.marker { MARKER } else { 0 };
        let [s0, s1] = self.sequence.to_be_bytes();
        let [t0, t1, t2, t3] = self.timestamp.to_be_bytes();
        let [r0, r1, r2, r3] = self.ssrc.0.to_be_bytes();
        [VERSION, marker | (self.payload_type & !MARKER), s0, s1, t0, t1, t2, t3, r0, r1, r2, r3]
    }
}

/// A received packet: its header, and where in the given bytes its payload lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// The fixed header.
    pub header: Header,
    /// The payload, behind contributing sources and extension, without padding.
    pub payload: Range<usize>,
}

impl Packet {
    /// Parses a whole packet.
    ///
    /// # Errors
    /// When it is not version 2 or a length in it exceeds the bytes given.
    pub fn parse(bytes: &[u8]) -> Result<Self, RtpError> {
        let Some((head, rest)) = bytes.split_first_chunk::<HEADER_BYTES>() else {
            return Err(RtpError::Truncated);
        };
        let [flags, kind, s0, s1, t0, t1, t2, t3, r0, r1, r2, r3] = *head;
        if flags & 0xc0 != VERSION {
            return Err(RtpError::Version(flags >> 6));
        }
        let mut start = usize::from(flags & 0x0f) * 4;
        if flags & 0x10 != 0 {
            let extension = rest.get(start..start + 4).ok_or(RtpError::Truncated)?;
            start += 4 + usize::from(u16::from_be_bytes([extension[2], extension[3]])) * 4;
        }
        let mut end = rest.len();
        if flags & PADDING != 0 {
            let padding = usize::from(*rest.last().ok_or(RtpError::Padding)?);
            if padding == 0 {
                return Err(RtpError::Padding);
            }
            end = end.checked_sub(padding).ok_or(RtpError::Padding)?;
        }
        if start > end {
            return Err(RtpError::Truncated);
        }
        let header = Header {
            marker: kind & MARKER != 0,
            payload_type: kind & !MARKER,
            sequence: u16::from_be_bytes([s0, s1]),
            timestamp: u32::from_be_bytes([t0, t1, t2, t3]),
            ssrc: Ssrc(u32::from_be_bytes([r0, r1, r2, r3])),
        };
        Ok(Self { header, payload: HEADER_BYTES + start..HEADER_BYTES + end })
    }
}

/// Why bytes are no RTP packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RtpError {
    /// The packet ends inside its header.
    Truncated,
    /// Not version 2.
    Version(u8),
    /// The padding count is zero or larger than the packet.
    Padding,
}

impl fmt::Display for RtpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated => f.write_str("the RTP packet ends inside its header"),
            Self::Version(version) => write!(f, "RTP version {version} instead of 2"),
            Self::Padding => f.write_str("the RTP padding count does not fit the packet"),
        }
    }
}

impl std::error::Error for RtpError {}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: Header = Header {
        marker: true,
        payload_type: 96,
        sequence: 0xfffe,
        timestamp: 0x0102_0304,
        ssrc: Ssrc(0xdead_beef),
    };

    #[test]
    fn a_header_lies_as_rfc_3550_draws_it() {
        let wire = [0x80, 0xe0, 0xff, 0xfe, 1, 2, 3, 4, 0xde, 0xad, 0xbe, 0xef];
        assert_eq!(HEADER.to_bytes(), wire);
        assert_eq!(Packet::parse(&wire), Ok(Packet { header: HEADER, payload: 12..12 }));
    }

    #[test]
    fn the_payload_lies_behind_sources_and_extension_and_before_padding() {
        let with = |flags: u8, rest: &[u8]| {
            let mut bytes = HEADER.to_bytes().to_vec();
            bytes[0] |= flags;
            bytes.extend_from_slice(rest);
            Packet::parse(&bytes).map(|packet| packet.payload)
        };
        assert_eq!(with(0, b"abc"), Ok(12..15));
        assert_eq!(with(0x01, b"csrcabc"), Ok(16..19));
        assert_eq!(with(0x10, &[0xbe, 0xde, 0, 1, 9, 9, 9, 9, 7]), Ok(20..21));
        assert_eq!(with(0x11, &[1, 1, 1, 1, 0xbe, 0xde, 0, 0, 7, 7]), Ok(20..22));
        assert_eq!(with(0x20, &[7, 7, 0, 2]), Ok(12..14));
        assert_eq!(with(0x20, &[0, 0, 0, 4]), Ok(12..12));
        for (flags, rest, error) in [
            (0x0f, &b"too few"[..], RtpError::Truncated),
            (0x10, &[0, 0, 0], RtpError::Truncated),
            (0x10, &[0, 0, 0, 1, 0], RtpError::Truncated),
            (0x10, &[0, 0, 0xff, 0xff, 0], RtpError::Truncated),
            (0x20, &[], RtpError::Padding),
            (0x20, &[0], RtpError::Padding),
            (0x20, &[2], RtpError::Padding),
            (0x21, &[1, 1, 1, 1], RtpError::Truncated),
            (0x40, &[], RtpError::Version(3)),
        ] {
            assert_eq!(with(flags, rest), Err(error), "{flags:#x} {rest:?}");
        }
        assert_eq!(Packet::parse(&[0x80; 11]), Err(RtpError::Truncated));
    }
}
