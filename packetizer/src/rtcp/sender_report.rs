//! Sender reports (RFC 3550 §6.4.1).

use super::{RtcpError, SENDER_REPORT, split_ssrc, write_packet};
use crate::rtp::Ssrc;
use crate::time::NtpTime;

/// What a sender says of its stream. The counts begin with the stream and wrap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SenderReport {
    /// The stream's synchronization source.
    pub ssrc: Ssrc,
    /// Wallclock of sending.
    pub ntp: NtpTime,
    /// The same instant on the stream's RTP clock.
    pub rtp_timestamp: u32,
    /// RTP packets sent.
    pub packet_count: u32,
    /// Bytes of their payloads, without headers and padding (the RFC's "sender's octet count").
    pub payload_bytes: u32,
}

impl SenderReport {
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        write_packet(SENDER_REPORT, 0, out, |out| {
            out.extend_from_slice(&self.ssrc.0.to_be_bytes());
            out.extend_from_slice(&self.ntp.0.to_be_bytes());
            out.extend_from_slice(&self.rtp_timestamp.to_be_bytes());
            out.extend_from_slice(&self.packet_count.to_be_bytes());
            out.extend_from_slice(&self.payload_bytes.to_be_bytes());
        });
    }

    /// Parses the report and gives what lies behind it, the report blocks.
    pub(super) fn parse(body: &[u8]) -> Result<(Self, &[u8]), RtcpError> {
        let (ssrc, rest) = split_ssrc(body)?;
        let (ntp, rest) = rest.split_first_chunk().ok_or(RtcpError::Truncated)?;
        let (rtp_timestamp, rest) = rest.split_first_chunk().ok_or(RtcpError::Truncated)?;
        let (packet_count, rest) = rest.split_first_chunk().ok_or(RtcpError::Truncated)?;
        let (payload_bytes, rest) = rest.split_first_chunk().ok_or(RtcpError::Truncated)?;
        let report = Self {
            ssrc,
            ntp: NtpTime(u64::from_be_bytes(*ntp)),
            rtp_timestamp: u32::from_be_bytes(*rtp_timestamp),
            packet_count: u32::from_be_bytes(*packet_count),
            payload_bytes: u32::from_be_bytes(*payload_bytes),
        };
        Ok((report, rest))
    }
}
