//! RTP packets and reports as they came, and what can be said of a row of them.

use super::check::{Verdict, ensure, fail};
use super::message::Reply;
use crate::clock::MonoTime;
use crate::packet::RtpPacket;

/// How packets travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// RTP/AVP over UDP.
    Udp,
    /// Interleaved in the RTSP connection.
    Tcp,
    /// Interleaved in an HTTP tunnel.
    Http,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Udp, Self::Tcp, Self::Http];

    /// As in the names of checks.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Http => "http",
        }
    }

    /// Whether packets share the connection with replies, so that their order is known exactly.
    pub(super) const fn is_interleaved(self) -> bool {
        matches!(self, Self::Tcp | Self::Http)
    }
}

/// A datagram or frame that came for a stream.
#[derive(Clone, Debug)]
pub(super) struct Packet {
    pub(super) stream: usize,
    pub(super) is_rtcp: bool,
    pub(super) bytes: Vec<u8>,
    pub(super) at: MonoTime,
    /// Replies that had been read from the connection before it.
    pub(super) replies_before: usize,
    pub(super) is_interleaved: bool,
}

impl Packet {
    /// Whether it certainly came before the reply.
    pub(super) fn precedes(&self, reply: &Reply) -> bool {
        self.replies_before < reply.number && (self.is_interleaved || self.at < reply.at)
    }

    /// Whether it certainly came after the reply.
    pub(super) fn follows(&self, reply: &Reply) -> bool {
        if self.is_interleaved { self.replies_before >= reply.number } else { self.at > reply.at }
    }

    /// As RTP; `None` for a report or if it is malformed.
    pub(super) fn rtp(&self) -> Option<RtpPacket<'_>> {
        if self.is_rtcp { None } else { RtpPacket::parse(&self.bytes) }
    }
}

/// How far one sequence number lies behind another.
pub(super) const fn sequence_distance(from: u16, to: u16) -> i16 {
    to.wrapping_sub(from).cast_signed()
}

/// How far one timestamp lies behind another.
pub(super) const fn timestamp_distance(from: u32, to: u32) -> i32 {
    to.wrapping_sub(from).cast_signed()
}

/// Sequence numbers must grow by one from packet to packet (RFC 3550 §5.1). Over UDP the network
/// may lose and swap some, so there only what the server alone can do fails: going back, and
/// repeating.
pub(super) fn ensure_in_sequence(packets: &[&Packet]) -> Verdict {
    let sequences: Vec<u16> =
        packets.iter().filter_map(|packet| packet.rtp()).map(|rtp| rtp.sequence).collect();
    let (mut lost, is_exact) = (0, packets.iter().all(|packet| packet.is_interleaved));
    for pair in sequences.windows(2) {
        match sequence_distance(pair[0], pair[1]) {
            1 => {}
            0 => return fail(format!("sequence number {} came twice in a row", pair[0])),
            step if step > 1 && !is_exact => lost += i32::from(step) - 1,
            step if step < 0 && step > -8 && !is_exact => lost += 1,
            step => {
                return fail(format!("sequence number {} follows {}: {step}", pair[1], pair[0]));
            }
        }
    }
    ensure(lost <= i32::try_from(sequences.len() / 50).unwrap_or(0), || {
        format!("{lost} of {} packets are missing or out of order", sequences.len())
    })
}
