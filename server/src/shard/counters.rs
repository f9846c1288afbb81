//! What a shard has done so far: plain values, owned by the shard, copied out on request.

use hdrhistogram::Histogram;
use packetizer::index::TrackId;
use packetizer::time::Npt;
use std::ops::AddAssign;
use std::time::Duration;

/// The largest value the histograms tell apart; larger ones count as this.
const MICROS_MAX: u64 = 60_000_000;

/// A shard's counters since its start. Counts unless the name says otherwise.
#[derive(Clone, Debug)]
pub struct Counters {
    /// Sessions that are set up now.
    pub sessions: u64,
    /// Streams that are set up now.
    pub streams: u64,
    /// Adopted connections now.
    pub connections: u64,
    /// Messages of RTP packets, or trains in connections, that the kernel took.
    pub trains: u64,
    /// RTP packets in them.
    pub packets: u64,
    /// Bytes of them, RTP headers included.
    pub bytes: u64,
    /// Trains that left as they lie in the image, without stamped headers.
    pub trains_as_they_lie: u64,
    /// Sends put off because a socket's buffer was full.
    pub sends_full: u64,
    /// Sends that failed; their packets are lost to that viewer.
    pub sends_failed: u64,
    /// Reads completed.
    pub reads: u64,
    /// Bytes they brought.
    pub read_bytes: u64,
    /// Images that could not be had: their reads failed for good, or what they brought is invalid.
    pub reads_failed: u64,
    /// Images built.
    pub images_built: u64,
    /// Images a stream found ready or under way.
    pub image_hits: u64,
    /// Bytes of images now.
    pub image_bytes: u64,
    /// Images that streams hold now, one for each.
    pub image_holds: u64,
    /// Blocks of the read pool that are taken now.
    pub blocks_taken: u64,
    /// Times a stream was due and its image was not there.
    pub stalls: u64,
    /// Times a late UDP stream skipped to its next sync sample.
    pub skips: u64,
    /// Times an interleaved session's timeline was moved, because its reader had stopped or what it
    /// was to be sent came late.
    pub rebases: u64,
    /// About so many bytes of media viewers went without, or waited for, because they were not read
    /// in time.
    pub missed_bytes: u64,
    /// Receiver reports parsed.
    pub receiver_reports: u64,
    /// RTCP that could not be parsed.
    pub rtcp_invalid: u64,
    /// Times that a viewer's datagrams showed another port than the one in use: behind a NAT at
    /// least once a stream.
    pub ports_moved: u64,
    /// Sending after the due time, in microseconds, one value a train.
    pub lateness_micros: Histogram<u64>,
    /// Reads from operation to completion, in microseconds.
    pub read_micros: Histogram<u64>,
    /// Packets of those.
    pub train_packets: Histogram<u64>,
}

impl Default for Counters {
    fn default() -> Self {
        let micros = Histogram::new_with_max(MICROS_MAX, 2).expect("constant bounds");
        let packets = Histogram::new_with_max(128, 2).expect("constant bounds");
        Self {
            sessions: 0,
            streams: 0,
            connections: 0,
            trains: 0,
            packets: 0,
            bytes: 0,
            trains_as_they_lie: 0,
            sends_full: 0,
            sends_failed: 0,
            reads: 0,
            read_bytes: 0,
            reads_failed: 0,
            images_built: 0,
            image_hits: 0,
            image_bytes: 0,
            image_holds: 0,
            blocks_taken: 0,
            stalls: 0,
            skips: 0,
            rebases: 0,
            missed_bytes: 0,
            receiver_reports: 0,
            rtcp_invalid: 0,
            ports_moved: 0,
            lateness_micros: micros.clone(),
            read_micros: micros,
            train_packets: packets,
        }
    }
}

impl Counters {
    /// The kernel took so many packets together, with their headers as they lie or not.
    pub(super) fn train(&mut self, packets: u64, as_they_lie: bool) {
        self.trains += 1;
        self.trains_as_they_lie += u64::from(as_they_lie);
        self.train_packets.saturating_record(packets);
    }
}

/// What left for a viewer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// RTP packets.
    pub packets: u64,
    /// Bytes in them behind their RTP headers.
    pub octets: u64,
}

impl AddAssign for Sent {
    fn add_assign(&mut self, other: Self) {
        self.packets += other.packets;
        self.octets += other.octets;
    }
}

/// What a viewer's last receiver report says of a stream (RFC 3550 §6.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reception {
    /// Packets that arrived, of those up to the highest sequence number that did.
    pub packets_received: u64,
    /// Packets that did not; negative if some arrived twice.
    pub packets_lost: i32,
    /// Interarrival jitter.
    pub jitter: Duration,
}

/// How a session does, for GET_PARAMETER (RFC 2326 §10.8).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inspection {
    /// Where it stands.
    pub position: Npt,
    /// Seconds of normal play time that a second shows, or showed last.
    pub scale: i8,
    /// Its streams, in the order of their SETUP.
    pub streams: Vec<StreamInspection>,
}

/// How a stream does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamInspection {
    /// Its track.
    pub track: TrackId,
    /// What has left since its SETUP.
    pub sent: Sent,
    /// What arrived; `None` before the viewer's first report.
    pub reception: Option<Reception>,
}
