//! Report blocks, as sender and receiver reports carry them (RFC 3550 §6.4.1).

use super::RtcpError;
use crate::rtp::Ssrc;
use crate::time::NtpTime;
use std::time::Duration;

/// Bytes of a report block.
const BLOCK_BYTES: usize = 24;

/// What a receiver says of one source it hears.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReportBlock {
    /// The source.
    pub ssrc: Ssrc,
    /// Share of packets lost since the report before, in 1/256.
    pub fraction_lost: u8,
    /// Packets lost since the beginning, 24 bits; negative when duplicates arrived.
    pub cumulative_lost: i32,
    /// Highest sequence number received, with the count of its wraps in the upper half.
    pub highest_sequence: u32,
    /// Interarrival jitter in ticks of the stream's RTP clock.
    pub jitter: u32,
    /// LSR: the middle 32 bits of the last sender report's NTP timestamp; 0 if there was none.
    pub last_report: u32,
    /// DLSR: time since then in 1/65536 s.
    pub delay_since_last_report: u32,
}

impl ReportBlock {
    /// The round-trip time when the block arrived at `now` (RFC 3550 §6.4.1); `None` if the
    /// receiver had no sender report, or what it says is impossible.
    #[must_use]
    pub fn round_trip(&self, now: NtpTime) -> Option<Duration> {
        let elapsed = now.middle().wrapping_sub(self.last_report);
        let nanos = |units: u32| (u64::from(units) * 1_000_000_000) >> 16;
        let round_trip = elapsed.checked_sub(self.delay_since_last_report)?;
        (self.last_report != 0).then(|| Duration::from_nanos(nanos(round_trip)))
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let [_, lost @ ..] = self.cumulative_lost.to_be_bytes();
        out.extend_from_slice(&self.ssrc.0.to_be_bytes());
        out.push(self.fraction_lost);
        out.extend_from_slice(&lost);
        out.extend_from_slice(&self.highest_sequence.to_be_bytes());
        out.extend_from_slice(&self.jitter.to_be_bytes());
        out.extend_from_slice(&self.last_report.to_be_bytes());
        out.extend_from_slice(&self.delay_since_last_report.to_be_bytes());
    }

    fn parse(bytes: &[u8; BLOCK_BYTES]) -> Self {
        let word = |index: usize| {
            let at = index * 4;
            u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
        };
        Self {
            ssrc: Ssrc(word(0)),
            fraction_lost: bytes[4],
            // The shift to the right brings the sign along.
            cumulative_lost: (word(1) << 8).cast_signed() >> 8,
            highest_sequence: word(2),
            jitter: word(3),
            last_report: word(4),
            delay_since_last_report: word(5),
        }
    }
}

/// The report blocks of a received report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReportBlocks<'a>(&'a [[u8; BLOCK_BYTES]]);

impl<'a> ReportBlocks<'a> {
    /// `count` blocks from the start of `bytes`; what lies behind them is a profile's extension.
    pub(super) fn parse(bytes: &'a [u8], count: u8) -> Result<Self, RtcpError> {
        let (blocks, _) = bytes.as_chunks();
        blocks.get(..usize::from(count)).map(Self).ok_or(RtcpError::Truncated)
    }

    /// The blocks.
    pub fn iter(self) -> impl Iterator<Item = ReportBlock> + 'a {
        self.0.iter().map(ReportBlock::parse)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip_is_the_example_of_rfc_3550() {
        let block = ReportBlock {
            ssrc: Ssrc(1),
            fraction_lost: 0,
            cumulative_lost: 0,
            highest_sequence: 0,
            jitter: 0,
            last_report: 0xb705_2000,
            delay_since_last_report: 0x0005_4000,
        };
        // §6.4.1, figure 2: A = 46864.500, LSR = 46853.125, DLSR = 5.250, delay 6.125 s.
        let arrival = NtpTime(0xb710_8000 << 16);
        assert_eq!(block.round_trip(arrival), Some(Duration::from_millis(6125)));
        let silent = ReportBlock { last_report: 0, delay_since_last_report: 0, ..block };
        assert_eq!(silent.round_trip(arrival), None);
        let liar = ReportBlock { delay_since_last_report: 0x000b_6001, ..block };
        assert_eq!(liar.round_trip(arrival), None);
        let exact = ReportBlock { delay_since_last_report: 0x000b_6000, ..block };
        assert_eq!(exact.round_trip(arrival), Some(Duration::ZERO));
    }
}
