//! RTCP packets (RFC 3550 §6), one file a packet type.
//!
//! Writers append to the caller's buffer and only write valid compounds: a report first, then the
//! CNAME (§6.1). The parser is stricter about lengths than about order, because whatever a viewer
//! sends says that he lives: reduced-size packets (RFC 5506) pass, and types this crate has no use
//! for are skipped.

mod bye;
mod report_block;
mod sender_report;
mod source_description;

use crate::rtp::Ssrc;
pub use bye::Bye;
pub use report_block::{ReportBlock, ReportBlocks};
pub use sender_report::SenderReport;
pub use source_description::SourceDescription;
use std::fmt;
use std::time::Duration;

/// Bytes of the header that all packet types share (RFC 3550 §6.4.1).
const HEADER_BYTES: usize = 4;
const VERSION: u8 = 2 << 6;
const PADDING: u8 = 1 << 5;
const COUNT_MAX: u8 = 31;

/// Packet types (RFC 3550 §12.1).
const SENDER_REPORT: u8 = 200;
const RECEIVER_REPORT: u8 = 201;
const SOURCE_DESCRIPTION: u8 = 202;
const BYE: u8 = 203;

/// The most bytes that [`write_report`] or [`write_bye`] append.
pub const COMPOUND_BYTES_MAX: usize = 28 + (4 + 4 + 2 + 255 + 4) + (4 + 4 + 1 + 255 + 3);

/// Writes the compound that reports on a stream we send: sender report and CNAME. A CNAME is cut
/// off at 255 bytes.
pub fn write_report(report: &SenderReport, cname: &str, out: &mut Vec<u8>) {
    report.write(out);
    source_description::write(report.ssrc, cname, out);
}

/// Writes the compound that ends a stream we sent: sender report, CNAME and BYE (RFC 3550 §6.6). A
/// reason is cut off at 255 bytes.
pub fn write_bye(report: &SenderReport, cname: &str, reason: Option<&str>, out: &mut Vec<u8>) {
    write_report(report, cname, out);
    bye::write(report.ssrc, reason, out);
}

/// Writes the compound of a receiver: receiver report with at most 31 blocks (more are left out),
/// and CNAME.
pub fn write_receiver_report(ssrc: Ssrc, blocks: &[ReportBlock], cname: &str, out: &mut Vec<u8>) {
    let blocks = &blocks[..blocks.len().min(usize::from(COUNT_MAX))];
    #[allow(clippy::cast_possible_truncation, reason = "at most 31")]
    write_packet(RECEIVER_REPORT, blocks.len() as u8, out, |out| {
        out.extend_from_slice(&ssrc.0.to_be_bytes());
        blocks.iter().for_each(|block| block.write(out));
    });
    source_description::write(ssrc, cname, out);
}

/// Writes a packet: the header, whose length follows from what `body` appends.
fn write_packet(kind: u8, count: u8, out: &mut Vec<u8>, body: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&[VERSION | count, kind, 0, 0]);
    body(out);
    let words = (out.len() - start) / 4 - 1;
    debug_assert!((out.len() - start).is_multiple_of(4));
    #[allow(clippy::cast_possible_truncation, reason = "no writer here exceeds a kilobyte")]
    out[start + 2..start + HEADER_BYTES].copy_from_slice(&(words as u16).to_be_bytes());
}

/// Appends a text of at most 255 bytes behind its length (RFC 3550 §6.5, §6.6).
fn write_text(text: &str, out: &mut Vec<u8>) {
    let text = &text[..text.floor_char_boundary(usize::from(u8::MAX))];
    #[allow(clippy::cast_possible_truncation, reason = "at most 255")]
    out.push(text.len() as u8);
    out.extend_from_slice(text.as_bytes());
}

/// A received packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packet<'a> {
    /// What a source sends, and what it hears.
    SenderReport(SenderReport, ReportBlocks<'a>),
    /// What a receiver hears.
    ReceiverReport(Ssrc, ReportBlocks<'a>),
    /// Who the sources are.
    SourceDescription(SourceDescription<'a>),
    /// Sources that leave.
    Bye(Bye<'a>),
    /// A packet of another type (APP, feedback, extended report), not looked into.
    Other(u8),
}

/// The packets of a received compound. Ends behind the first error.
#[must_use]
pub const fn packets(compound: &[u8]) -> Packets<'_> {
    Packets { rest: compound }
}

/// The packets of a compound; see [`packets`].
#[derive(Clone, Debug)]
pub struct Packets<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Packets<'a> {
    type Item = Result<Packet<'a>, RtcpError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let packet = self.parse();
        if packet.is_err() {
            self.rest = &[];
        }
        Some(packet)
    }
}

impl<'a> Packets<'a> {
    fn parse(&mut self) -> Result<Packet<'a>, RtcpError> {
        let Some(([flags, kind, l0, l1], behind)) = self.rest.split_first_chunk::<HEADER_BYTES>()
        else {
            return Err(RtcpError::Truncated);
        };
        if flags & 0xc0 != VERSION {
            return Err(RtcpError::Version(flags >> 6));
        }
        let body_bytes = usize::from(u16::from_be_bytes([*l0, *l1])) * 4;
        let (mut body, rest) = behind.split_at_checked(body_bytes).ok_or(RtcpError::Truncated)?;
        if flags & PADDING != 0 {
            body = without_padding(body, rest)?;
        }
        self.rest = rest;
        let count = flags & COUNT_MAX;
        Ok(match *kind {
            SENDER_REPORT => {
                let (report, blocks) = SenderReport::parse(body)?;
                Packet::SenderReport(report, ReportBlocks::parse(blocks, count)?)
            }
            RECEIVER_REPORT => {
                let (ssrc, blocks) = split_ssrc(body)?;
                Packet::ReceiverReport(ssrc, ReportBlocks::parse(blocks, count)?)
            }
            SOURCE_DESCRIPTION => Packet::SourceDescription(SourceDescription::parse(body, count)?),
            BYE => Packet::Bye(Bye::parse(body, count)?),
            other => Packet::Other(other),
        })
    }
}

/// Only the last packet of a compound may be padded (RFC 3550 §6.4.1).
fn without_padding<'a>(body: &'a [u8], rest: &[u8]) -> Result<&'a [u8], RtcpError> {
    let padding = usize::from(*body.last().ok_or(RtcpError::Padding)?);
    let valid = rest.is_empty() && padding != 0 && padding.is_multiple_of(4);
    let kept = body.len().checked_sub(padding).filter(|_| valid).ok_or(RtcpError::Padding)?;
    Ok(&body[..kept])
}

fn split_ssrc(bytes: &[u8]) -> Result<(Ssrc, &[u8]), RtcpError> {
    let (ssrc, rest) = bytes.split_first_chunk().ok_or(RtcpError::Truncated)?;
    Ok((Ssrc(u32::from_be_bytes(*ssrc)), rest))
}

/// Whether a datagram is RTCP rather than RTP, where both may come to one port (RFC 5761 §4).
#[must_use]
pub fn is_rtcp(datagram: &[u8]) -> bool {
    matches!(datagram, [flags, 192..=223, ..] if flags & 0xc0 == VERSION)
}

/// Why bytes are no RTCP packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RtcpError {
    /// A packet or what it announces ends too early.
    Truncated,
    /// Not version 2.
    Version(u8),
    /// The padding count does not fit, or the packet is not the last.
    Padding,
}

impl fmt::Display for RtcpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated => f.write_str("an RTCP packet ends too early"),
            Self::Version(version) => write!(f, "RTCP version {version} instead of 2"),
            Self::Padding => f.write_str("the RTCP padding does not fit the packet"),
        }
    }
}

impl std::error::Error for RtcpError {}

/// Time to the next report: 5 s times a factor between 0.5 and 1.5 (RFC 3550 §6.3.1), so that the
/// reports of many streams do not gather; `random` is uniformly distributed. The RFC's division by
/// e − 3/2 makes up for reconsideration, which two parties do not need.
#[must_use]
pub const fn report_interval(random: u32) -> Duration {
    const MEAN_MICROS: u64 = 5_000_000;
    Duration::from_micros(MEAN_MICROS / 2 + ((MEAN_MICROS * random as u64) >> 32))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::NtpTime;
    use rtcp_types::{Compound, Packet as Foreign, RtcpPacketWriter, RtcpPacketWriterExt};

    const REPORT: SenderReport = SenderReport {
        ssrc: Ssrc(0x0102_0304),
        ntp: NtpTime(0x1122_3344_5566_7788),
        rtp_timestamp: 0x99aa_bbcc,
        packet_count: 77,
        payload_bytes: 0xffff_fff0,
    };
    const BLOCK: ReportBlock = ReportBlock {
        ssrc: Ssrc(0x0102_0304),
        fraction_lost: 25,
        cumulative_lost: -3,
        highest_sequence: 0x0001_0002,
        jitter: 9,
        last_report: 0x3344_5566,
        delay_since_last_report: 65_536,
    };

    fn foreign(bytes: &[u8]) -> Vec<Foreign<'_>> {
        Compound::parse(bytes).unwrap().map(Result::unwrap).collect()
    }

    fn own(bytes: &[u8]) -> Vec<Packet<'_>> {
        packets(bytes).map(Result::unwrap).collect()
    }

    #[test]
    fn rtcp_is_told_from_rtp_and_from_what_opens_a_nat() {
        let mut report = vec![];
        write_receiver_report(Ssrc(1), &[BLOCK], "viewer", &mut report);
        for (datagram, expected) in [
            (&report[..], true),
            (&[0x80, 203, 0, 1][..], true),
            (&[0x81, 205, 0, 2][..], true),
            // RTP, the dummy RTP packet of FFmpeg, and those of live555 and GStreamer.
            (&[0x80, 96, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1][..], false),
            (&[0x80, 0xe0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1][..], false),
            (&[0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0][..], false),
            (&[0xfe, 0xed, 0xfa, 0xce][..], false),
            (&[0, 0, 0][..], false),
            (&[][..], false),
            (&[0x40, 200, 0, 0][..], false),
        ] {
            assert_eq!(is_rtcp(datagram), expected, "{datagram:x?}");
        }
    }

    #[test]
    fn a_foreign_parser_reads_every_length_of_name_and_reason() {
        for length in 0..300 {
            let text = "é".repeat(length)[..length & !1].to_owned() + &"x"[..length & 1];
            let mut bytes = vec![];
            write_bye(&REPORT, &text, Some(&text), &mut bytes);
            assert!(bytes.len() <= COMPOUND_BYTES_MAX);
            let cut = &text[..text.floor_char_boundary(255)];
            let [Foreign::Sr(report), Foreign::Sdes(names), Foreign::Bye(bye)] =
                &foreign(&bytes)[..]
            else {
                panic!("{length}: not report, description, BYE")
            };
            assert_eq!(report.ssrc(), REPORT.ssrc.0);
            assert_eq!(report.ntp_timestamp(), REPORT.ntp.0);
            assert_eq!(report.rtp_timestamp(), REPORT.rtp_timestamp);
            assert_eq!(report.packet_count(), REPORT.packet_count);
            assert_eq!(report.octet_count(), REPORT.payload_bytes);
            assert_eq!(report.n_reports(), 0);
            let chunk = names.chunks().next().unwrap();
            assert_eq!(chunk.ssrc(), REPORT.ssrc.0);
            let item = chunk.items().next().unwrap();
            assert_eq!((item.type_(), item.value()), (1, cut.as_bytes()));
            assert_eq!(bye.ssrcs().collect::<Vec<_>>(), [REPORT.ssrc.0]);
            assert_eq!(bye.reason().unwrap_or_default(), cut.as_bytes());
            let [
                Packet::SenderReport(report, _),
                Packet::SourceDescription(names),
                Packet::Bye(bye),
            ] = own(&bytes)[..]
            else {
                panic!("{length}: our own parser reads something else")
            };
            assert_eq!(report, REPORT);
            assert_eq!(names.cname(REPORT.ssrc), Some(cut.as_bytes()));
            assert!(bye.sources().eq([REPORT.ssrc]));
            assert_eq!(bye.reason().unwrap_or_default(), cut.as_bytes());
        }
    }

    #[test]
    fn a_foreign_parser_reads_receiver_reports() {
        let mut bytes = vec![];
        write_receiver_report(Ssrc(5), &[BLOCK; 40], "viewer", &mut bytes);
        let [Foreign::Rr(report), Foreign::Sdes(_)] = &foreign(&bytes)[..] else {
            panic!("not report, description")
        };
        assert_eq!((report.ssrc(), report.n_reports()), (5, 31));
        let block = report.report_blocks().next().unwrap();
        assert_eq!(block.ssrc(), BLOCK.ssrc.0);
        assert_eq!(block.fraction_lost(), BLOCK.fraction_lost);
        assert_eq!(block.cumulative_lost(), 0xff_fffd);
        assert_eq!(block.extended_sequence_number(), BLOCK.highest_sequence);
        assert_eq!(block.interarrival_jitter(), BLOCK.jitter);
        assert_eq!(block.last_sender_report_timestamp(), BLOCK.last_report);
        assert_eq!(block.delay_since_last_sender_report_timestamp(), BLOCK.delay_since_last_report);
    }

    #[test]
    fn packets_of_a_foreign_writer_are_read() {
        let block = rtcp_types::ReportBlock::builder(BLOCK.ssrc.0)
            .fraction_lost(BLOCK.fraction_lost)
            .cumulative_lost(0xff_fffd)
            .extended_sequence_number(BLOCK.highest_sequence)
            .interarrival_jitter(BLOCK.jitter)
            .last_sender_report_timestamp(BLOCK.last_report)
            .delay_since_last_sender_report_timestamp(BLOCK.delay_since_last_report);
        let names = rtcp_types::SdesChunk::builder(9)
            .add_item(rtcp_types::SdesItem::builder(4, "phone"))
            .add_item(rtcp_types::SdesItem::builder(1, "me@here"));
        let compound = Compound::builder()
            .add_packet(
                rtcp_types::ReceiverReport::builder(9)
                    .add_report_block(block)
                    .add_report_block(rtcp_types::ReportBlock::builder(8).cumulative_lost(3)),
            )
            .add_packet(
                rtcp_types::Sdes::builder()
                    .add_chunk(rtcp_types::SdesChunk::builder(7))
                    .add_chunk(names),
            )
            .add_packet(rtcp_types::App::builder(9, "what").data(&[1, 2, 3, 4]))
            .add_packet(rtcp_types::Bye::builder().add_source(9).add_source(10).padding(8));
        let mut bytes = vec![0; compound.calculate_size().unwrap()];
        compound.write_into(&mut bytes).unwrap();
        let [
            Packet::ReceiverReport(Ssrc(9), blocks),
            Packet::SourceDescription(names),
            Packet::Other(204),
            Packet::Bye(bye),
        ] = own(&bytes)[..]
        else {
            panic!("not what was written")
        };
        assert_eq!(blocks.iter().map(|block| block.cumulative_lost).collect::<Vec<_>>(), [-3, 3]);
        assert_eq!(blocks.iter().next(), Some(BLOCK));
        assert_eq!(names.cname(Ssrc(9)), Some(&b"me@here"[..]));
        assert_eq!(names.cname(Ssrc(7)), None);
        assert!(bye.sources().eq([Ssrc(9), Ssrc(10)]));
        assert_eq!(bye.reason(), None);
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        use RtcpError::{Padding, Truncated, Version};
        for (bytes, error) in [
            (&[0x80, 201, 0][..], Truncated),
            (&[0x80, 201, 0, 1, 0, 0, 0], Truncated),
            (&[0x80, 201, 0xff, 0xff], Truncated),
            (&[0x80, 201, 0, 0], Truncated),
            (&[0x80, 200, 0, 1, 0, 0, 0, 0], Truncated),
            (&[0x81, 201, 0, 1, 0, 0, 0, 0], Truncated),
            (&[0x40, 201, 0, 0], Version(1)),
            (&[0xa0, 201, 0, 0], Padding),
            (&[0xa0, 201, 0, 1, 0, 0, 0, 0], Padding),
            (&[0xa0, 201, 0, 1, 0, 0, 0, 8], Padding),
            (&[0xa0, 201, 0, 1, 0, 0, 0, 3], Padding),
            (&[0xa0, 201, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4, 0x80, 203, 0, 0], Padding),
            // BYE: a source too few, a reason beyond the end.
            (&[0x81, 203, 0, 0], Truncated),
            (&[0x81, 203, 0, 2, 0, 0, 0, 1, 4, b'a', b'b', b'c'], Truncated),
            // SDES: no chunk, an item beyond the end, no terminator.
            (&[0x81, 202, 0, 0], Truncated),
            (&[0x81, 202, 0, 2, 0, 0, 0, 1, 1, 3, b'a', b'b'], Truncated),
            (&[0x81, 202, 0, 2, 0, 0, 0, 1, 1, 2, b'a', b'b'], Truncated),
        ] {
            let found: Vec<_> = packets(bytes).collect();
            assert_eq!(found, [Err(error)], "{bytes:x?}");
        }
    }

    #[test]
    fn no_cut_and_no_flipped_bit_makes_the_parser_panic_or_run_on() {
        let mut bytes = vec![];
        write_receiver_report(Ssrc(5), &[BLOCK; 2], "viewer", &mut bytes);
        write_bye(&REPORT, "server", Some("over"), &mut bytes);
        let check = |bytes: &[u8]| {
            for packet in packets(bytes).take(1000).flatten() {
                if let Packet::SourceDescription(names) = packet {
                    let _ = names.cname(Ssrc(5));
                }
            }
            assert!(packets(bytes).count() <= bytes.len() / 4 + 1);
        };
        for bit in 0..bytes.len() * 8 {
            bytes[bit / 8] ^= 1 << (bit % 8);
            check(&bytes);
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
        (0..bytes.len()).for_each(|end| check(&bytes[..end]));
    }

    #[test]
    fn intervals_lie_between_half_and_three_halves_of_five_seconds() {
        assert_eq!(report_interval(0), Duration::from_millis(2500));
        assert_eq!(report_interval(1 << 31), Duration::from_secs(5));
        let longest = report_interval(u32::MAX);
        assert!(longest < Duration::from_millis(7500) && longest > Duration::from_millis(7499));
    }
}
