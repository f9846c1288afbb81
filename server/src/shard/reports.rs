//! RTCP: sender reports, BYE, and what viewers report (RFC 3550 §6).

use super::Shard;
use super::batch::Cargo;
use super::egress::{Destination, Entry};
use super::operation::{Datagram, PairSocket};
use super::peer::Claim;
use super::session::State;
use super::stream::Transport;
use super::timeline::{rtp_ticks, wrap};
use crate::clock::MonoTime;
use crate::limits::CONNECTION_PENDING_BYTES_MAX;
use crate::mailbox::{EndReason, SessionKey};
use packetizer::rtcp::{self, Packet, SenderReport};

impl Shard {
    /// A session's timer fired: its reports are due, or it has been silent too long.
    pub(super) fn session_due(&mut self, now: MonoTime, slot: usize) {
        if now >= self.sessions[slot].heard + self.config.session_timeout {
            self.end_session(now, slot, Some(EndReason::TimedOut));
            return;
        }
        let horizon = self.wave.horizon(now);
        if self.sessions[slot].report_at.is_some_and(|at| horizon >= at) {
            for position in 0..self.sessions[slot].streams.len() {
                let stream = self.sessions[slot].streams[position];
                self.say_report(now, stream);
            }
            let interval = rtcp::report_interval(self.random.u32(..));
            self.sessions[slot].report_at = Some(now + interval);
        }
        self.schedule_session(slot);
    }

    /// Something arrived on a pair. From any but the address of a stream's viewer it is nothing.
    pub fn datagram(&mut self, now: MonoTime, datagram: Datagram<'_>) {
        let Some(stream) = self.pairs.stream(datagram.from.ip(), datagram.pair) else { return };
        let stream = stream as usize;
        let is_rtcp = datagram.socket == PairSocket::Rtcp || rtcp::is_rtcp(datagram.bytes);
        let claim =
            if is_rtcp { self.rtcp_received(now, stream, datagram.bytes) } else { Claim::None };
        let Transport::Udp { rtp, rtcp, .. } = &mut self.streams[stream].transport else { return };
        let (own, other) = match datagram.socket {
            PairSocket::Rtp => (rtp, rtcp),
            PairSocket::Rtcp => (rtcp, rtp),
        };
        let was_known = own.is_known();
        if own.heard(now, datagram.from.port(), claim) {
            self.counters.ports_moved += 1;
            // A NAT has forgotten this viewer, and so his other port as well.
            if was_known {
                self.counters.ports_moved += u64::from(other.forgotten(now));
            }
        }
    }

    /// The viewer asks to play, by RTSP: what comes by the session's pairs about now is his.
    /// Clients open their NAT just before they ask, and it may have forgotten them in a pause.
    pub(super) fn find_ports(&mut self, now: MonoTime, key: SessionKey) {
        let Some(&session) = self.session_slots.get(&key) else { return };
        for stream in &self.sessions[session].streams {
            if let Transport::Udp { rtp, rtcp, .. } = &mut self.streams[*stream].transport {
                for peer in [rtp, rtcp] {
                    self.counters.ports_moved += u64::from(peer.ask_again(now));
                }
            }
        }
    }

    /// A viewer's RTCP: a sign of life, and what its receiver reports say of the stream. Gives what
    /// it says of who sent it.
    pub(super) fn rtcp_received(&mut self, now: MonoTime, stream: usize, bytes: &[u8]) -> Claim {
        let ssrc = self.streams[stream].ssrc;
        let (mut is_valid, mut claim) = (false, Claim::None);
        for packet in rtcp::packets(bytes) {
            match packet {
                Ok(Packet::ReceiverReport(_, blocks) | Packet::SenderReport(_, blocks)) => {
                    self.counters.receiver_reports += 1;
                    if let Some(block) = blocks.iter().find(|block| block.ssrc == ssrc) {
                        let stream = &mut self.streams[stream];
                        stream.reception = Some(stream.reception_of(&block));
                        claim = Claim::Proven;
                    } else if blocks.iter().next().is_some() && claim == Claim::None {
                        claim = Claim::Foreign;
                    }
                }
                Ok(Packet::Bye(_)) if claim == Claim::None => claim = Claim::Foreign,
                Ok(Packet::SourceDescription(_) | Packet::Bye(_) | Packet::Other(_)) => {}
                Err(_) => {
                    self.counters.rtcp_invalid += 1;
                    // What cannot be read may still open a NAT, but names nobody.
                    return Claim::None;
                }
            }
            is_valid = true;
        }
        if is_valid {
            let session = self.streams[stream].session;
            self.sessions[session].heard = now;
        }
        claim
    }

    /// Sends a sender report of a playing stream.
    fn say_report(&mut self, now: MonoTime, stream: usize) {
        let report = self.sender_report(now, stream);
        let mut packet = std::mem::take(&mut self.packet);
        packet.clear();
        rtcp::write_report(&report, &self.config.cname, &mut packet);
        self.send_rtcp(stream, &packet);
        self.packet = packet;
    }

    /// Sends a last sender report and BYE, if the stream ever sent anything (RFC 3550 §6.3.7).
    pub(super) fn say_bye(&mut self, now: MonoTime, stream: usize) {
        if self.streams[stream].sent.packets == 0 {
            return;
        }
        let report = self.sender_report(now, stream);
        let mut packet = std::mem::take(&mut self.packet);
        packet.clear();
        rtcp::write_bye(&report, &self.config.cname, None, &mut packet);
        self.send_rtcp(stream, &packet);
        self.packet = packet;
    }

    fn sender_report(&self, now: MonoTime, stream: usize) -> SenderReport {
        let stream = &self.streams[stream];
        let session = &self.sessions[stream.session];
        let range = session.current_range(now).expect("it has sent something");
        let at = match session.state {
            // A session that does not play stands still; its media clock is where it stopped.
            State::Playing | State::Finished => now,
            State::Init | State::Cued | State::Paused(_) => range.timeline.started,
        };
        let ticks = rtp_ticks(stream.rtp_rate, range.timeline.media_now(at));
        SenderReport {
            ssrc: stream.ssrc,
            ntp: self.wallclock.ntp(at),
            rtp_timestamp: stream.timestamp_base.wrapping_add(wrap(ticks)),
            packet_count: low_bits(stream.sent.packets),
            payload_bytes: low_bits(stream.sent.octets),
        }
    }

    fn send_rtcp(&mut self, stream: usize, packet: &[u8]) {
        match self.streams[stream].transport {
            Transport::Udp { pair, rtcp, local, .. } => {
                let start = self.egress.piece_count();
                self.egress.push_bytes(packet);
                let bytes = u16::try_from(packet.len()).expect("an RTCP packet fits a datagram");
                let destination = Destination::Datagrams {
                    pair,
                    socket: PairSocket::Rtcp,
                    to: rtcp.address(),
                    local,
                    segment_bytes: bytes,
                    segment_count: 1,
                    launches_at: None,
                };
                let pieces = start..self.egress.piece_count();
                self.egress.entries.push(Entry { destination, pieces, bytes: bytes.into() });
                self.cargo.push(Cargo::Rtcp);
            }
            Transport::Interleaved { slot: Some(slot), rtcp_channel, .. } => {
                let Some(connection) = self.connections.get_mut(slot.0 as usize) else { return };
                // Reports for a reader that stopped would be stale when it goes on.
                let waiting = connection.pending.len();
                if connection.blocked || waiting > CONNECTION_PENDING_BYTES_MAX / 2 {
                    return;
                }
                let length = u16::try_from(packet.len()).expect("an RTCP packet fits a frame");
                let [high, low] = length.to_be_bytes();
                connection.push(&[b'$', rtcp_channel, high, low]);
                connection.push(packet);
                self.dirty.push(slot);
            }
            Transport::Interleaved { slot: None, .. } => {}
        }
    }
}

/// What of a count fits a report; it wraps (RFC 3550 §6.4.1).
#[allow(clippy::cast_possible_truncation, reason = "wraps by definition")]
const fn low_bits(count: u64) -> u32 {
    count as u32
}
