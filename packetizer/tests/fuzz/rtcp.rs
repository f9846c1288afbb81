//! RTCP compounds of any bytes: the parser ends, and what it reads and we can write comes out the
//! same from what is written, for a foreign parser as for ours.

use packetizer::rtcp::{
    self, COMPOUND_BYTES_MAX, Packet, ReportBlock, ReportBlocks, SenderReport, packets,
};
use packetizer::rtp::Ssrc;
use packetizer::time::NtpTime;
use rtcp_types::{Compound, Packet as Foreign};

pub(crate) fn check(data: &[u8]) {
    let mut count = 0;
    let mut cname = String::from("viewer");
    let mut report = None;
    for packet in packets(data) {
        count += 1;
        match packet {
            Ok(Packet::SenderReport(sent, blocks)) => {
                report = Some(sent);
                check_report(&sent, &cname);
                check_blocks(sent.ssrc, blocks, &cname);
            }
            Ok(Packet::ReceiverReport(ssrc, blocks)) => check_blocks(ssrc, blocks, &cname),
            Ok(Packet::SourceDescription(description)) => {
                let ssrc = report.map_or(Ssrc(0), |report: SenderReport| report.ssrc);
                let name = description.cname(ssrc).and_then(|name| str::from_utf8(name).ok());
                cname = name.map_or(cname, str::to_owned);
            }
            Ok(Packet::Bye(bye)) => {
                assert!(bye.sources().count() <= 31);
                let reason = bye.reason().and_then(|reason| str::from_utf8(reason).ok());
                for ssrc in bye.sources() {
                    check_bye(&SenderReport { ssrc, ..report.unwrap_or(NO_REPORT) }, reason);
                }
            }
            Ok(Packet::Other(kind)) => assert!(!(200..=203).contains(&kind)),
            Err(_) => break,
        }
    }
    assert!(count <= data.len() / 4 + 1);
}

const NO_REPORT: SenderReport = SenderReport {
    ssrc: Ssrc(0),
    ntp: NtpTime(0),
    rtp_timestamp: 0,
    packet_count: 0,
    payload_bytes: 0,
};

fn check_report(report: &SenderReport, cname: &str) {
    let mut bytes = Vec::new();
    rtcp::write_report(report, cname, &mut bytes);
    let [Ok(Packet::SenderReport(read, blocks)), Ok(Packet::SourceDescription(description))] =
        packets(&bytes).collect::<Vec<_>>()[..]
    else {
        panic!("not a report and a description: {bytes:?}")
    };
    assert_eq!((read, blocks.iter().count()), (*report, 0));
    assert_eq!(description.cname(report.ssrc), Some(cname.as_bytes()));
    let [Foreign::Sr(read), Foreign::Sdes(description)] = &foreign(&bytes)[..] else {
        panic!("something else for a foreign parser: {bytes:?}")
    };
    assert_eq!((read.ssrc(), read.ntp_timestamp()), (report.ssrc.0, report.ntp.0));
    assert_eq!(read.rtp_timestamp(), report.rtp_timestamp);
    let counts = (read.packet_count(), read.octet_count());
    assert_eq!(counts, (report.packet_count, report.payload_bytes));
    let chunk = description.chunks().next().unwrap();
    assert_eq!(chunk.items().next().map(|item| item.value()), Some(cname.as_bytes()));
}

fn check_blocks(ssrc: Ssrc, blocks: ReportBlocks<'_>, cname: &str) {
    let blocks: Vec<ReportBlock> = blocks.iter().collect();
    assert!(blocks.len() <= 31);
    for block in &blocks {
        assert!((-0x80_0000..=0x7f_ffff).contains(&block.cumulative_lost));
        let round_trip = block.round_trip(NtpTime(u64::from(block.jitter) << 16));
        assert!(round_trip.is_none_or(|time| time.as_secs() <= 1 << 16));
    }
    let mut bytes = Vec::new();
    rtcp::write_receiver_report(ssrc, &blocks, cname, &mut bytes);
    let Some(Ok(Packet::ReceiverReport(read_ssrc, read))) = packets(&bytes).next() else {
        panic!("no receiver report: {bytes:?}")
    };
    assert_eq!((read_ssrc, read.iter().collect::<Vec<_>>()), (ssrc, blocks.clone()));
    let [Foreign::Rr(read), Foreign::Sdes(_)] = &foreign(&bytes)[..] else {
        panic!("something else for a foreign parser: {bytes:?}")
    };
    assert_eq!(read.ssrc(), ssrc.0);
    for (read, block) in read.report_blocks().zip(&blocks) {
        assert_eq!((read.ssrc(), read.fraction_lost()), (block.ssrc.0, block.fraction_lost));
        assert_eq!(read.cumulative_lost(), block.cumulative_lost.cast_unsigned() & 0xff_ffff);
        assert_eq!(read.extended_sequence_number(), block.highest_sequence);
        assert_eq!(read.interarrival_jitter(), block.jitter);
    }
}

fn check_bye(report: &SenderReport, reason: Option<&str>) {
    let mut bytes = Vec::new();
    rtcp::write_bye(report, "viewer", reason, &mut bytes);
    assert!(bytes.len() <= COMPOUND_BYTES_MAX);
    let Some(Ok(Packet::Bye(bye))) = packets(&bytes).last() else { panic!("no BYE: {bytes:?}") };
    assert!(bye.sources().eq([report.ssrc]));
    assert_eq!(bye.reason(), reason.map(str::as_bytes));
    let Some(Foreign::Bye(bye)) = foreign(&bytes).pop() else {
        panic!("no BYE for a foreign parser: {bytes:?}")
    };
    assert_eq!(bye.ssrcs().collect::<Vec<_>>(), [report.ssrc.0]);
    assert_eq!(bye.reason().unwrap_or_default(), reason.unwrap_or_default().as_bytes());
}

fn foreign(bytes: &[u8]) -> Vec<Foreign<'_>> {
    Compound::parse(bytes).unwrap().map(Result::unwrap).collect()
}
