//! RTP packets as a receiver reads them (RFC 3550 §5.1), and the RTCP it needs (§6).

use rtcp_types::{
    Bye, Compound, Packet, ReceiverReport, ReportBlock, RtcpPacketWriterExt, Sdes, SdesChunk,
    SdesItem,
};

/// An RTP packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RtpPacket<'a> {
    /// The marker bit.
    pub marker: bool,
    /// Payload type.
    pub payload_type: u8,
    /// Sequence number.
    pub sequence: u16,
    /// Timestamp.
    pub timestamp: u32,
    /// Synchronization source.
    pub ssrc: u32,
    /// The payload, without extension and padding.
    pub payload: &'a [u8],
}

impl<'a> RtpPacket<'a> {
    /// Parses a packet; `None` if it is not RTP version 2 or its lengths do not add up.
    #[must_use]
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        let (header, rest) = bytes.split_first_chunk::<12>()?;
        if header[0] >> 6 != 2 {
            return None;
        }
        let sources_bytes = usize::from(header[0] & 0x0f) * 4;
        let mut payload = rest.get(sources_bytes..)?;
        if header[0] & 0x10 != 0 {
            let (extension, after) = payload.split_first_chunk::<4>()?;
            let words = usize::from(u16::from_be_bytes([extension[2], extension[3]]));
            payload = after.get(words * 4..)?;
        }
        if header[0] & 0x20 != 0 {
            let padding = usize::from(*payload.last()?);
            payload = payload.get(..payload.len().checked_sub(padding.max(1))?)?;
        }
        Some(Self {
            marker: header[1] & 0x80 != 0,
            payload_type: header[1] & 0x7f,
            sequence: u16::from_be_bytes([header[2], header[3]]),
            timestamp: u32::from_be_bytes([header[4], header[5], header[6], header[7]]),
            ssrc: u32::from_be_bytes([header[8], header[9], header[10], header[11]]),
            payload,
        })
    }
}

/// A sender report's own numbers (RFC 3550 §6.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SenderReport {
    /// The sender.
    pub ssrc: u32,
    /// NTP timestamp.
    pub ntp: u64,
    /// RTP timestamp of the same instant.
    pub rtp_timestamp: u32,
    /// Packets sent since the stream began.
    pub packet_count: u32,
    /// Payload bytes sent since the stream began.
    pub octet_count: u32,
}

/// What a compound packet from the server said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServerReport {
    /// The sender report in it.
    pub sender_report: Option<SenderReport>,
    /// The CNAME in it.
    pub cname: Option<String>,
    /// The source that leaves, if it says BYE (of several the first).
    pub bye: Option<u32>,
}

impl ServerReport {
    /// Parses a compound packet; `None` if any part of it is malformed or it does not begin with a
    /// report (RFC 3550 §6.1).
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let mut report = Self::default();
        for (position, packet) in Compound::parse(bytes).ok()?.enumerate() {
            match packet.ok()? {
                Packet::Sr(sender) => {
                    report.sender_report = Some(SenderReport {
                        ssrc: sender.ssrc(),
                        ntp: sender.ntp_timestamp(),
                        rtp_timestamp: sender.rtp_timestamp(),
                        packet_count: sender.packet_count(),
                        octet_count: sender.octet_count(),
                    });
                }
                Packet::Rr(_) => {}
                _ if position == 0 => return None,
                Packet::Sdes(description) => report.cname = cname(&description),
                Packet::Bye(bye) => report.bye = bye.ssrcs().next(),
                Packet::App(_)
                | Packet::TransportFeedback(_)
                | Packet::PayloadFeedback(_)
                | Packet::Xr(_)
                | Packet::Unknown(_) => {}
            }
        }
        Some(report)
    }
}

fn cname(description: &Sdes<'_>) -> Option<String> {
    let mut items = description.chunks().flat_map(SdesChunk::items);
    items.find(|item| item.type_() == SdesItem::CNAME)?.get_value_string().ok()
}

/// What a receiver report tells the sender about one source (RFC 3550 §6.4.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reception {
    /// The source.
    pub source: u32,
    /// Packets lost since the stream began.
    pub lost: u32,
    /// Extended highest sequence number received.
    pub highest_sequence: u32,
    /// Interarrival jitter in timestamp units.
    pub jitter: u32,
}

/// Writes a compound packet: a receiver report about `reception`, SDES with a CNAME, and BYE if
/// the receiver leaves. Empty if the packet cannot be written.
#[must_use]
pub fn write_receiver_report(ssrc: u32, reception: Option<Reception>, bye: bool) -> Vec<u8> {
    let mut report = ReceiverReport::builder(ssrc);
    if let Some(reception) = reception {
        let block = ReportBlock::builder(reception.source)
            .cumulative_lost(reception.lost.min(0x7f_ffff))
            .extended_sequence_number(reception.highest_sequence)
            .interarrival_jitter(reception.jitter);
        report = report.add_report_block(block);
    }
    let cname = SdesItem::builder(SdesItem::CNAME, "viewer@reelring");
    let description = Sdes::builder().add_chunk(SdesChunk::builder(ssrc).add_item(cname));
    let mut compound = Compound::builder().add_packet(report).add_packet(description);
    if bye {
        compound = compound.add_packet(Bye::builder().add_source(ssrc));
    }
    let mut bytes = vec![0; 256];
    let written = compound.write_into(&mut bytes).unwrap_or(0);
    bytes.truncate(written);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rtp_headers_with_everything_in_them() {
        let mut bytes = vec![0xb1, 0xe0, 0x12, 0x34, 0, 0, 0, 9, 0xde, 0xad, 0xbe, 0xef];
        bytes.extend([1, 1, 1, 1]); // contributing source
        bytes.extend([0xbe, 0xde, 0, 1, 7, 7, 7, 7]); // extension of one word
        bytes.extend([5, 6, 0, 2]); // two bytes, two of padding
        let packet = RtpPacket::parse(&bytes).unwrap();
        assert!(packet.marker);
        assert_eq!((packet.payload_type, packet.sequence, packet.timestamp), (96, 0x1234, 9));
        assert_eq!((packet.ssrc, packet.payload), (0xdead_beef, &[5, 6][..]));
        for length in 0..bytes.len() - 2 {
            let _ = RtpPacket::parse(&bytes[..length]); // must not panic
        }
        bytes[0] = 0x51;
        assert_eq!(RtpPacket::parse(&bytes), None);
        assert_eq!(RtpPacket::parse(&[0x80; 11]), None);
        assert_eq!(RtpPacket::parse(&[0xa0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9]), None);
    }

    #[test]
    fn server_reports_are_read_from_compound_packets() {
        let sender = rtcp_types::SenderReport::builder(7)
            .ntp_timestamp(0x1122_3344_5566_7788)
            .rtp_timestamp(90_000)
            .packet_count(3)
            .octet_count(300);
        let name = SdesItem::builder(SdesItem::CNAME, "a@b");
        let compound = Compound::builder()
            .add_packet(sender)
            .add_packet(Sdes::builder().add_chunk(SdesChunk::builder(7).add_item(name)))
            .add_packet(Bye::builder().add_source(7));
        let mut bytes = [0; 128];
        let written = compound.write_into(&mut bytes).unwrap();
        let report = ServerReport::parse(&bytes[..written]).unwrap();
        assert_eq!((report.cname.as_deref(), report.bye), (Some("a@b"), Some(7)));
        let sender = report.sender_report.unwrap();
        assert_eq!((sender.ssrc, sender.rtp_timestamp, sender.packet_count), (7, 90_000, 3));
        assert_eq!(ServerReport::parse(&bytes[..written - 3]), None);
        assert_eq!(ServerReport::parse(&bytes[28..written]), None, "begins with SDES");
    }

    #[test]
    fn receiver_reports_say_what_they_should() {
        let reception = Reception { source: 9, lost: 2, highest_sequence: 0x1_0005, jitter: 4 };
        let bytes = write_receiver_report(5, Some(reception), true);
        let mut packets = Compound::parse(&bytes).unwrap();
        let Packet::Rr(report) = packets.next().unwrap().unwrap() else { panic!("no RR first") };
        let block = report.report_blocks().next().unwrap();
        assert_eq!((block.ssrc(), block.cumulative_lost()), (9, 2));
        assert_eq!(block.extended_sequence_number(), 0x1_0005);
        assert_eq!(ServerReport::parse(&bytes).unwrap().bye, Some(5));
    }
}
