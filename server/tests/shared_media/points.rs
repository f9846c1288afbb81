//! Seeks to random points of a file, through the server: which access unit comes first, by its
//! time and its bytes.
//!
//! That the index sees the sync samples that ffprobe sees is what `packetizer/tests` compare.

use crate::manifest::Entry;
use crate::support::Random;
use packetizer::codec::CodecConfig;
use packetizer::image::BUNDLE_NANOS_MAX;
use packetizer::index::{AccessUnitEntry, MediaIndex, TrackId};
use packetizer::time::{ClockRate, Npt};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::time::Duration;
use tools::client::{Arrival, Half, Lower, Played, RtspClient};
use tools::packet::RtpPacket;

/// Points that a file is sought at.
pub(crate) const POINTS: usize = 20;
/// How long the first unit may take to come.
const PATIENCE: Duration = Duration::from_secs(10);
/// A stream that begins so long after the range is not waited for.
const LATE_NANOS_MAX: i64 = 200_000_000;
/// Times are told in ticks of other clocks.
const NANOS_OFF_MAX: i64 = 1_000_000;
/// Sound in front of normal play time 0 that is sent where play begins there.
const PRIMING_NANOS_MAX: i64 = 1_000_000_000;
/// Packets of a unit that are looked at: parameter sets may come in front.
const PACKETS_MAX: usize = 8;
/// Bytes that a unit and its packets have in common at least.
const COMMON_BYTES: usize = 12;

/// A file that is sought through the server.
pub(crate) struct Seeker<'a> {
    index: &'a MediaIndex,
    file: File,
    client: RtspClient,
    streams: Vec<Stream>,
}

/// A stream that was set up.
struct Stream {
    track: TrackId,
    rate: ClockRate,
}

impl<'a> Seeker<'a> {
    pub(crate) fn new(entry: &Entry, index: &'a MediaIndex, url: &str) -> Result<Self, String> {
        let failed = |error: tools::client::ClientError| error.to_string();
        let mut client = RtspClient::connect(url, None).map_err(failed)?;
        let presentation = client.describe().map_err(failed)?;
        let mut streams = Vec::new();
        for media in &presentation.media {
            client.setup(media, Lower::Tcp).map_err(failed)?;
            let (_, number) = media.control_url.rsplit_once("trackID=").ok_or("no track number")?;
            let track = TrackId(number.parse().map_err(|_| format!("track {number}"))?);
            streams.push(Stream { track, rate: media.rate });
        }
        Ok(Self { index, file: File::open(&entry.path).unwrap(), client, streams })
    }

    /// Seeks to random points; how many streams began as they should, or what came instead.
    pub(crate) fn check(&mut self, random: &mut Random) -> Result<usize, String> {
        let mut checked = 0;
        for _ in 0..POINTS {
            // `npt` is written in milliseconds.
            let point = random.below(self.index.duration.nanos().max(1)) / 1_000_000 * 1_000_000;
            let range = format!("npt={}-", Npt::from_nanos(point));
            let played =
                self.client.play(Some(&range)).map_err(|error| format!("{range}: {error}"))?;
            for stream in self.begun_by(&played, point) {
                let first = self.first_packets(&played, stream);
                let judged = first.and_then(|packets| self.judge(&played, stream, point, &packets));
                judged.map_err(|why| format!("{range}, stream {stream}: {why}"))?;
                checked += 1;
            }
        }
        self.client.teardown().map_err(|error| error.to_string())?;
        Ok(checked)
    }

    /// The streams that begin where the range does.
    fn begun_by(&self, played: &Played, point: u64) -> Vec<usize> {
        let start = played.range.start.nanos().min(point).cast_signed();
        let begins = |stream: &usize| {
            let track = self.streams[*stream].track;
            let count = self.index.tracks[usize::from(track.0)].unit_count;
            let units = (0..count).filter_map(|at| self.index.unit(track, at));
            let times = units.map(|unit| self.nanos(track, &unit));
            let (first, last) = times.fold((i64::MAX, i64::MIN), |(first, last), time| {
                (first.min(time), last.max(time))
            });
            // The last unit, or packet of units, may be the one before the range.
            first <= start && last > start + LATE_NANOS_MAX
        };
        (0..self.streams.len()).filter(begins).collect()
    }

    fn nanos(&self, track: TrackId, unit: &AccessUnitEntry) -> i64 {
        self.index.tracks[usize::from(track.0)].media_rate.nanos_floor(unit.composition)
    }

    /// The first packets of the range: all of one timestamp. Those of other streams are kept.
    fn first_packets(&mut self, played: &Played, stream: usize) -> Result<Vec<Vec<u8>>, String> {
        let deadline = self.client.now() + PATIENCE;
        let (mut packets, mut others) = (Vec::<Arrival>::new(), Vec::new());
        let timestamp = |bytes: &[u8]| RtpPacket::parse(bytes).map(|packet| packet.timestamp);
        while packets.len() < PACKETS_MAX {
            let arrival = self.client.next_arrival(Duration::from_millis(100));
            let arrival = arrival.map_err(|error| error.to_string())?;
            if self.client.now() >= deadline {
                return Err(format!("only {} packets came", packets.len()));
            }
            let Some(arrival) = arrival else { continue };
            if arrival.at < played.at || arrival.half == Half::Rtcp {
                continue;
            }
            if arrival.stream != stream {
                others.push(arrival);
                continue;
            }
            let packet = RtpPacket::parse(&arrival.bytes).ok_or("a malformed packet")?;
            let first = packets.first().and_then(|first| timestamp(&first.bytes));
            if first.is_none() && packet.sequence != played.rtp_info[stream].seq {
                return Err(format!("begins with another packet than {}", packet.sequence));
            }
            if first.is_some_and(|first| first != packet.timestamp) {
                break;
            }
            let is_last = packet.marker;
            packets.push(arrival);
            if is_last {
                break;
            }
        }
        others.into_iter().rev().for_each(|arrival| self.client.put_back(arrival));
        Ok(packets.into_iter().map(|arrival| arrival.bytes).collect())
    }

    /// Whether it is the right unit that these packets are of.
    fn judge(
        &self,
        played: &Played,
        stream: usize,
        point: u64,
        packets: &[Vec<u8>],
    ) -> Result<(), String> {
        let Stream { track, rate } = self.streams[stream];
        let media = &self.index.tracks[usize::from(track.0)];
        let start = played.range.start.nanos().cast_signed();
        let first = RtpPacket::parse(&packets[0]).ok_or("a malformed packet")?;
        let ahead = first.timestamp.wrapping_sub(played.rtp_info[stream].rtptime).cast_signed();
        let time = start + rate.nanos_floor(i64::from(ahead));
        let is_lead = media.codec.is_video() || self.streams.len() == 1;
        let due = if is_lead {
            self.sync_before(track, point.cast_signed())
        } else {
            self.sync_from(track, start)
        };
        let Some(due) = due else { return Ok(()) };
        // Sound begins with a whole packet, which may hold several units: by itself with the one
        // that holds the point, beside pictures with the next.
        let (early, late) = match (media.codec.is_video(), is_lead) {
            (true, _) => (0, 0),
            (false, true) => (BUNDLE_NANOS_MAX, 0),
            (false, false) => (0, BUNDLE_NANOS_MAX),
        };
        let is_primed = !media.codec.is_video() && start == 0 && time >= -PRIMING_NANOS_MAX;
        let allowed = due - early - NANOS_OFF_MAX..=due + late + NANOS_OFF_MAX;
        if !(allowed.contains(&time) || is_primed && time <= due) {
            return Err(format!("begins at {time} ns, not {due}, in a range from {start}"));
        }
        if let CodecConfig::Pcm(_) = media.codec {
            return Ok(()); // no units of its own, and the order of bytes is another
        }
        let units = (0..media.unit_count).filter_map(|at| self.index.unit(track, at));
        let units =
            units.filter(|unit| unit.sync && self.nanos(track, unit) <= time + NANOS_OFF_MAX);
        let unit = units.max_by_key(|unit| unit.composition).ok_or("no sync sample is there")?;
        let off = time - self.nanos(track, &unit);
        if off.abs() > NANOS_OFF_MAX {
            return Err(format!("{off} ns from the unit before it"));
        }
        let bytes = self.bytes(track, &unit);
        let payloads = packets.iter().filter_map(|packet| RtpPacket::parse(packet));
        if payloads.clone().any(|packet| have_in_common(&bytes, packet.payload)) {
            return Ok(());
        }
        Err(format!("unit {} of {} bytes is not in it", unit.index, bytes.len()))
    }

    /// When the last sync sample is shown at or before `point`, in nanoseconds.
    fn sync_before(&self, track: TrackId, point: i64) -> Option<i64> {
        let count = self.index.tracks[usize::from(track.0)].unit_count;
        let units = (0..count).filter_map(|at| self.index.unit(track, at));
        let times = units.filter(|unit| unit.sync).map(|unit| self.nanos(track, &unit));
        times.filter(|time| *time <= point).max()
    }

    /// When the first sync sample is shown at or after `start`.
    fn sync_from(&self, track: TrackId, start: i64) -> Option<i64> {
        let count = self.index.tracks[usize::from(track.0)].unit_count;
        let units = (0..count).filter_map(|at| self.index.unit(track, at));
        let times = units.filter(|unit| unit.sync).map(|unit| self.nanos(track, &unit));
        times.filter(|time| *time >= start - NANOS_OFF_MAX).min()
    }

    /// A unit without what the container has in between.
    fn bytes(&self, track: TrackId, unit: &AccessUnitEntry) -> Vec<u8> {
        let mut bytes = vec![0; unit.bytes as usize];
        self.file.read_exact_at(&mut bytes, unit.offset).unwrap();
        let mut own = Vec::new();
        self.index.tracks[usize::from(track.0)].wrapping.unwrap(unit.offset, &bytes, &mut own);
        if own.is_empty() { bytes } else { own }
    }
}

/// Whether a payload ends within the unit, or the unit ends within the payload.
fn have_in_common(unit: &[u8], payload: &[u8]) -> bool {
    let holds = |whole: &[u8], tail: &[u8]| {
        let tail = &tail[tail.len().saturating_sub(COMMON_BYTES)..];
        whole.windows(tail.len().max(1)).any(|window| window == tail)
    };
    holds(unit, payload) || holds(payload, unit)
}
