//! How a session does: what GET_PARAMETER tells of it (RFC 2326 §10.8).

use super::Shard;
use super::counters::{Inspection, Reception, StreamInspection};
use super::session::State;
use super::stream::Stream;
use crate::clock::MonoTime;
use crate::mailbox::SessionKey;
use crate::pace::Scale;
use packetizer::rtcp::ReportBlock;
use packetizer::time::Npt;
use std::time::Duration;

impl Shard {
    /// How a session does now; `None` if there is no such session.
    pub(super) fn inspect(&self, now: MonoTime, key: SessionKey) -> Option<Inspection> {
        let &slot = self.session_slots.get(&key)?;
        let streams = self.sessions[slot].streams.iter().map(|stream| {
            let Stream { track, sent, reception, .. } = self.streams[*stream];
            StreamInspection { track, sent, reception }
        });
        let range = self.sessions[slot].current_range(now);
        let scale = range.map_or(Scale::NORMAL, |range| range.timeline.pace.scale).factor();
        let position = self.position(now, slot);
        Some(Inspection { position, scale, streams: streams.collect() })
    }

    /// Where a session stands; when it plays, until where everything has left.
    pub(super) fn position(&self, now: MonoTime, slot: usize) -> Npt {
        let timeline = || self.sessions[slot].current_range(now).map(|range| range.timeline);
        match self.sessions[slot].state {
            State::Init => Npt::ZERO,
            State::Cued => timeline().map_or(Npt::ZERO, |timeline| timeline.start),
            State::Playing => self.sent_until(now, slot),
            State::Paused(position) => position,
            State::Finished => timeline().map_or(Npt::ZERO, |timeline| timeline.end),
        }
    }
}

impl Stream {
    /// What a report block about this stream means.
    pub(super) fn reception_of(&self, block: &ReportBlock) -> Reception {
        let expected = expected(self.sequence_base, self.sent.packets, block.highest_sequence);
        let jitter = self.rtp_rate.nanos_floor(block.jitter.into());
        Reception {
            packets_received: expected.saturating_add_signed((-block.cumulative_lost).into()),
            packets_lost: block.cumulative_lost,
            jitter: Duration::from_nanos(u64::try_from(jitter).unwrap_or(0)),
        }
    }
}

/// Packets from the first one to the highest that arrived. Its 16 bits count: how often they
/// wrapped is known better here, where receivers may forget it at a seek.
#[allow(clippy::cast_possible_truncation, reason = "wraps by definition")]
fn expected(sequence_base: u16, packets_sent: u64, highest_sequence: u32) -> u64 {
    let wrapped = (highest_sequence as u16).wrapping_sub(sequence_base).wrapping_add(1);
    let ahead = wrapped.wrapping_sub(packets_sent as u16).cast_signed();
    packets_sent.saturating_add_signed(ahead.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expected_packets_are_counted_across_wraps() {
        for (base, sent, highest, packets) in [
            (100, 1, 100, 1),
            (100, 50, 139, 40),
            (100, 0, 99, 0),
            (65_530, 20, 0x1_0003, 10),
            (65_530, 20, 0x0003, 10), // a receiver that counts no wraps
            (2, 1_000_000, (2 + 999_899) & 0xffff, 999_900),
            (2, 3, 10, 9), // more than left: some failed to
            (2, 3, 0xffff_fff0, 0),
        ] {
            assert_eq!(expected(base, sent, highest), packets, "{base} {sent} {highest}");
        }
    }
}
