//! The seek contract, with our own client and with other people's.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "helpers of tests are tests")]

mod support;

use packetizer::image::BUNDLE_NANOS_MAX;
use packetizer::time::{ClockRate, Npt};
use std::collections::BTreeMap;
use std::time::Duration;
use support::frames::hashes;
use support::players::output_of;
use support::titles::{self, LONG};
use support::{Random, Server, alone, full, together};
use tools::client::{Arrival, Half, Lower, Played, RtspClient};
use tools::headers::RtpInfo;
use tools::packet::{RtpPacket, SenderReport, ServerReport};

const VIDEO: usize = 0;
const AUDIO: usize = 1;
/// How long a closed range may take longer than it lasts.
const PATIENCE: Duration = Duration::from_secs(5);

/// A picture of the title, as ffmpeg sees the file.
#[derive(Clone, Debug)]
struct Picture {
    /// When it is shown.
    at: Npt,
    sync: bool,
    hash: String,
}

/// [`LONG`] as ffmpeg sees the file.
struct Reference {
    /// Its pictures in the order they are shown.
    pictures: Vec<Picture>,
    /// When they are shown, in the order they are decoded.
    decoded: Vec<Npt>,
}

impl Reference {
    fn new() -> Self {
        let path = LONG.make();
        let path = path.to_str().unwrap();
        let probe = |entries| {
            let show = ["-v", "error", "-select_streams", "v:0", "-show_entries", entries];
            output_of("ffprobe", &[&show[..], &["-of", "csv=p=0", path]].concat())
        };
        let decode = ["-v", "error", "-i", path, "-map", "0:v:0", "-vsync", "passthrough"];
        let listing = output_of("ffmpeg", &[&decode[..], &["-f", "framemd5", "-"]].concat());
        // Side data leaves lines and fields that are empty.
        let frames = probe("frame=key_frame,pts_time");
        let frames = frames.lines().filter_map(|line| line.split_once(','));
        let pictures: Vec<Picture> = frames
            .zip(hashes(&listing))
            .map(|((key, time), hash)| Picture { at: npt(time), sync: key == "1", hash })
            .collect();
        let decoded: Vec<Npt> = probe("packet=pts_time").lines().map(npt).collect();
        assert_eq!((pictures.len(), decoded.len()), (1500, 1500));
        Self { pictures, decoded }
    }

    /// Where play has to start for this time: the last sync sample that is not shown after it.
    fn sync_before(&self, asked: Npt) -> usize {
        let fits = |picture: &Picture| picture.sync && picture.at <= asked;
        self.pictures.iter().rposition(fits).unwrap()
    }

    /// How many pictures a range has. It ends with the last in decode order that is shown before
    /// its end; what is decoded before that and shown after it is needed to decode it.
    fn count(&self, start: Npt, end: Npt) -> usize {
        let first = self.decoded.iter().position(|at| *at == start).unwrap();
        let last = self.decoded.iter().rposition(|at| *at < end).unwrap();
        last + 1 - first
    }
}

/// Seconds with up to six decimals, as ffprobe writes them.
fn npt(seconds: &str) -> Npt {
    let digits = seconds.trim_end_matches(',').replace('.', "");
    Npt::from_nanos(digits.parse::<u64>().unwrap() * 1000)
}

/// The default of `--datagrams-ahead`.
const DATAGRAMS_AHEAD_MILLIS: i32 = 100;
/// The default of `--interleaved-ahead`.
const INTERLEAVED_AHEAD_MILLIS: i32 = 125;

/// A client that plays [`LONG`] and remembers what each stream sent last.
struct Viewer {
    client: RtspClient,
    rates: Vec<ClockRate>,
    /// Last sequence number and highest timestamp seen, by stream.
    last: BTreeMap<usize, (u16, u32)>,
    /// How long before its time media may be sent.
    ahead_millis: i32,
}

/// What came of one range.
#[derive(Debug, Default)]
struct Taken {
    rtp: BTreeMap<usize, Vec<OwnedPacket>>,
    reports: BTreeMap<usize, Vec<(Arrival, ServerReport)>>,
}

#[derive(Clone, Debug)]
struct OwnedPacket {
    sequence: u16,
    timestamp: u32,
    marker: bool,
    payload: Vec<u8>,
}

impl Viewer {
    fn set_up(server: &Server, lower: Lower) -> Self {
        let mut client = RtspClient::connect(&server.url(LONG.name), None).unwrap();
        let presentation = client.describe().unwrap();
        assert_eq!(presentation.duration, Some(Npt::from_nanos(60_000_000_000)));
        for media in &presentation.media {
            client.setup(media, lower).unwrap();
        }
        let rates = presentation.media.iter().map(|media| media.rate).collect();
        let ahead_millis = match lower {
            Lower::Udp => DATAGRAMS_AHEAD_MILLIS,
            Lower::Tcp => INTERLEAVED_AHEAD_MILLIS,
        };
        Self { client, rates, ahead_millis, last: BTreeMap::new() }
    }

    /// PLAY, which must find everything before its reply to be of the range before, and nothing of
    /// that afterwards.
    fn play(&mut self, range: Option<&str>) -> Played {
        let played = self.client.play(range).unwrap();
        assert_eq!(played.rtp_info.len(), self.rates.len(), "{played:?}");
        while let Some(arrival) = self.client.next_arrival(Duration::ZERO).unwrap() {
            if arrival.at < played.at {
                if arrival.half == Half::Rtp {
                    self.take(&arrival, None);
                }
            } else {
                self.client.put_back(arrival);
                break;
            }
        }
        for (stream, info) in played.rtp_info.iter().enumerate() {
            if let Some((sequence, timestamp)) = self.last.get(&stream) {
                let next = sequence.wrapping_add(1);
                assert_eq!(info.seq, next, "stream {stream}: sequence numbers are continuous");
                let step = info.rtptime.wrapping_sub(*timestamp).cast_signed();
                let second = self.rates[stream].ticks_per_second().cast_signed();
                // What goes on where it was paused may be shown before what was sent ahead of it:
                // pictures are reordered, and leave early.
                let ahead = second / 5 + second * self.ahead_millis / 1000;
                let least = if range.is_none() { -ahead } else { 0 };
                let is_continuous = (least..second * 10).contains(&step);
                assert!(is_continuous, "stream {stream}: timestamps step by {step}");
            }
        }
        played
    }

    /// Takes what comes until `done`, or fails after `patience`.
    fn take_until(
        &mut self,
        played: &Played,
        patience: Duration,
        done: impl Fn(&Taken) -> bool,
    ) -> Taken {
        let mut taken = Taken::default();
        let deadline = self.client.now() + patience;
        while !done(&taken) {
            assert!(self.client.now() < deadline, "not enough came: {}", taken.summary());
            let wait = Duration::from_millis(100);
            let Some(arrival) = self.client.next_arrival(wait).unwrap() else { continue };
            assert!(arrival.at >= played.at, "a packet came before the PLAY reply");
            match arrival.half {
                Half::Rtp => {
                    let info = &played.rtp_info[arrival.stream];
                    let packet = self.take(&arrival, Some(info));
                    taken.rtp.entry(arrival.stream).or_default().push(packet);
                }
                Half::Rtcp => {
                    let report = ServerReport::parse(&arrival.bytes).expect("well-formed RTCP");
                    taken.reports.entry(arrival.stream).or_default().push((arrival, report));
                }
            }
        }
        taken
    }

    /// Checks one media packet: of the range that `info` describes, or (`None`) of the one before.
    fn take(&mut self, arrival: &Arrival, info: Option<&RtpInfo>) -> OwnedPacket {
        let packet = RtpPacket::parse(&arrival.bytes).expect("well-formed RTP");
        let last = self.last.get(&arrival.stream);
        let expected = last.map(|(sequence, _)| sequence.wrapping_add(1));
        let expected = expected.or(info.map(|info| info.seq));
        let expected = expected.expect("no packet before the first PLAY reply");
        assert_eq!(packet.sequence, expected, "stream {}", arrival.stream);
        let highest = last.map_or(packet.timestamp, |(_, highest)| *highest);
        let is_later = packet.timestamp.wrapping_sub(highest).cast_signed() > 0;
        let highest = if is_later { packet.timestamp } else { highest };
        self.last.insert(arrival.stream, (packet.sequence, highest));
        OwnedPacket {
            sequence: packet.sequence,
            timestamp: packet.timestamp,
            marker: packet.marker,
            payload: packet.payload.to_vec(),
        }
    }
}

impl Taken {
    fn packets(&self, stream: usize) -> &[OwnedPacket] {
        self.rtp.get(&stream).map_or(&[], Vec::as_slice)
    }

    fn sender_report(&self, stream: usize) -> Option<&(Arrival, ServerReport)> {
        self.reports.get(&stream)?.iter().find(|(_, report)| report.sender_report.is_some())
    }

    fn has_ended(&self, stream: usize) -> bool {
        self.reports
            .get(&stream)
            .is_some_and(|all| all.iter().any(|(_, report)| report.bye.is_some()))
    }

    fn summary(&self) -> String {
        let packets: Vec<_> = self.rtp.iter().map(|(stream, all)| (stream, all.len())).collect();
        format!("packets {packets:?}, reports {:?}", self.reports)
    }

    /// Enough to judge the start of a range.
    fn has_begun(&self) -> bool {
        let begun = |stream| self.packets(stream).len() > 5 && self.sender_report(stream).is_some();
        begun(VIDEO) && begun(AUDIO)
    }
}

/// Checks the beginning of a range against the title: it starts on the right sync sample, and
/// `Range`, `RTP-Info` and sender reports say the same.
fn check_start(viewer: &Viewer, title: &Reference, asked: Npt, played: &Played, taken: &Taken) {
    let sync = &title.pictures[title.sync_before(asked)];
    let start = played.range.start;
    assert!(start <= asked, "starts at {start}, asked for {asked}");
    let off = start.nanos().abs_diff(sync.at.nanos());
    assert!(off <= 1_000_000, "starts at {start}, the sync sample is at {}", sync.at);
    for stream in [VIDEO, AUDIO] {
        assert_eq!(taken.packets(stream)[0].sequence, played.rtp_info[stream].seq);
    }
    let video = &taken.packets(VIDEO)[0];
    assert_eq!(video.timestamp, played.rtp_info[VIDEO].rtptime, "the range starts with a picture");
    assert!(begins_sync_sample(taken.packets(VIDEO)), "the first packets hold no IDR picture");
    // Audio starts with a whole packet, which may bundle several access units.
    let audio = &taken.packets(AUDIO)[0];
    let ahead = audio.timestamp.wrapping_sub(played.rtp_info[AUDIO].rtptime).cast_signed();
    let ahead_nanos = viewer.rates[AUDIO].nanos_floor(i64::from(ahead));
    assert!(ahead_nanos.abs() <= BUNDLE_NANOS_MAX, "audio starts {ahead_nanos} ns off");
    let zeros: Vec<i128> = [VIDEO, AUDIO]
        .iter()
        .map(|stream| {
            let (arrival, report) = taken.sender_report(*stream).unwrap();
            let report = report.sender_report.unwrap();
            let elapsed = elapsed_nanos(&report, &played.rtp_info[*stream], viewer.rates[*stream]);
            let waited = arrival.at.nanos_since(played.at);
            // The range starts behind its preroll.
            let off = elapsed - waited;
            let right = -260_000_000..60_000_000;
            assert!(right.contains(&off), "stream {stream}: the report is {off} ns off");
            ntp_nanos(report.ntp) - i128::from(elapsed)
        })
        .collect();
    let apart = zeros[0] - zeros[1];
    assert!(apart.abs() < 2_000_000, "the streams' reports are {apart} ns apart");
}

/// How long after the start of the range a sender report says it was written.
fn elapsed_nanos(report: &SenderReport, info: &RtpInfo, rate: ClockRate) -> i64 {
    rate.nanos_floor(i64::from(report.rtp_timestamp.wrapping_sub(info.rtptime).cast_signed()))
}

fn ntp_nanos(ntp: u64) -> i128 {
    (i128::from(ntp) * 1_000_000_000) >> 32
}

/// Whether the packets of the first picture hold an IDR slice (RFC 6184 §5.2).
fn begins_sync_sample(packets: &[OwnedPacket]) -> bool {
    const IDR: u8 = 5;
    let first = packets[0].timestamp;
    packets.iter().take_while(|packet| packet.timestamp == first).any(|packet| {
        let payload = &packet.payload;
        match payload[0] & 0x1f {
            24 => aggregated_types(&payload[1..]).contains(&IDR),
            28 => payload[1] & 0x1f == IDR,
            kind => kind == IDR,
        }
    })
}

fn aggregated_types(mut units: &[u8]) -> Vec<u8> {
    let mut types = Vec::new();
    while let Some((length, rest)) = units.split_first_chunk::<2>() {
        let (unit, after) = rest.split_at(usize::from(u16::from_be_bytes(*length)));
        types.push(unit[0] & 0x1f);
        units = after;
    }
    types
}

#[test]
fn a_seek_starts_anew_and_leaves_nothing_of_before() {
    let _alone = alone();
    let title = Reference::new();
    let server = Server::start(&titles::directory(), &[]);
    let mut random = Random::new();
    let times: Vec<u64> = (0..8).map(|_| random.below(57_000)).collect();
    together(lowers(), |_, lower| {
        let mut viewer = Viewer::set_up(&server, lower);
        let mut asked = Npt::ZERO;
        let mut played = viewer.play(Some("npt=0-"));
        for millis in &times {
            let taken = viewer.take_until(&played, PATIENCE, Taken::has_begun);
            check_start(&viewer, &title, asked, &played, &taken);
            asked = Npt::from_nanos(millis * 1_000_000);
            played = viewer.play(Some(&format!("npt={asked}-")));
        }
        viewer.client.teardown().unwrap();
    });
}

#[test]
fn a_closed_range_ends_where_it_says_with_bye() {
    let _alone = alone();
    let title = Reference::new();
    let server = Server::start(&titles::directory(), &[]);
    together(lowers(), |_, lower| {
        let mut viewer = Viewer::set_up(&server, lower);
        for (range, end) in [("npt=20.3-22", 22_000_u64), ("npt=5-6.5", 6_500), ("npt=59-", 60_000)]
        {
            let played = viewer.play(Some(range));
            let end = Npt::from_nanos(end * 1_000_000);
            assert_eq!(played.range.end, Some(end), "{range}");
            let length = Duration::from_nanos(end.nanos() - played.range.start.nanos());
            let started = viewer.client.now();
            let taken = viewer.take_until(&played, length + PATIENCE, |taken| {
                taken.has_ended(VIDEO) && taken.has_ended(AUDIO)
            });
            let took = viewer.client.now() - started;
            let slack = Duration::from_millis(500);
            assert!(took + slack > length && took < length + slack, "{range} took {took:?}");
            let expected = title.count(played.range.start, end);
            let markers = taken.packets(VIDEO).iter().filter(|packet| packet.marker).count();
            assert_eq!(markers, expected, "{range}: pictures");
            let after = viewer.client.next_arrival(Duration::from_millis(300)).unwrap();
            assert_eq!(after.map(|arrival| arrival.half), None, "{range}: something after BYE");
        }
        viewer.client.teardown().unwrap();
    });
}

#[test]
fn a_pause_stops_and_resumes_where_it_was() {
    let _alone = alone();
    let server = Server::start(&titles::directory(), &[]);
    LONG.make();
    together(lowers(), |_, lower| {
        let mut viewer = Viewer::set_up(&server, lower);
        let played = viewer.play(Some("npt=10-"));
        viewer.take_until(&played, PATIENCE, |taken| taken.packets(VIDEO).len() > 60);
        viewer.client.pause().unwrap();
        let paused_at = viewer.client.now();
        while let Some(arrival) = viewer.client.next_arrival(Duration::from_millis(400)).unwrap() {
            let late = arrival.at.nanos_since(paused_at);
            assert!(arrival.half == Half::Rtcp || late < 0, "media {late} ns after PAUSE");
            if arrival.half == Half::Rtp {
                viewer.take(&arrival, None);
            }
        }
        let resumed = viewer.play(None);
        assert!(resumed.range.start > played.range.start, "{resumed:?}");
        assert!(resumed.range.start < Npt::from_nanos(20_000_000_000), "{resumed:?}");
        viewer.take_until(&resumed, PATIENCE, Taken::has_begun);
        viewer.client.teardown().unwrap();
    });
}

fn lowers() -> Vec<(String, Lower)> {
    vec![("udp".into(), Lower::Udp), ("tcp".into(), Lower::Tcp)]
}

/// Pictures in a row that must be right after a seek by a player.
const PICTURES: usize = 5;

fn check_pictures(title: &Reference, asked: Npt, got: &[String]) {
    let first = title.sync_before(asked);
    let expected = title.pictures[first..first + PICTURES].iter().map(|picture| &picture.hash);
    let at = title.pictures.iter().position(|picture| picture.hash == got[0]);
    assert!(
        got.iter().eq(expected),
        "after the seek to {asked} came picture {at:?}, not {first} and those after it"
    );
}

fn random_seconds(count: usize) -> Vec<String> {
    let mut random = Random::new();
    let millis = (0..count).map(|_| random.below(58_000));
    millis.map(|millis| format!("{}.{:03}", millis / 1000, millis % 1000)).collect()
}

fn seeks() -> usize {
    if full() { 50 } else { 10 }
}

/// ffmpeg asks for a time this much earlier where pictures are reordered (`fftools/ffmpeg_opt.c`:
/// three frames of 23 a second).
const REORDER_NANOS: u64 = 3_000_000_000 / 23;

#[test]
fn ffmpeg_lands_on_the_sync_sample_before() {
    let _alone = alone();
    let title = Reference::new();
    let server = Server::start(&titles::directory(), &[]);
    let seconds = random_seconds(seeks());
    together(vec![("udp".into(), "udp"), ("tcp".into(), "tcp")], |_, transport| {
        for seconds in &seconds {
            let count = PICTURES.to_string();
            let url = server.url(LONG.name);
            let input =
                ["-noaccurate_seek", "-ss", seconds, "-rtsp_transport", transport, "-i", &url];
            let output = ["-map", "0:v:0", "-vsync", "passthrough", "-frames:v", &count];
            let all = [&["-v", "error"], &input[..], &output, &["-f", "framemd5", "-"]].concat();
            let asked = npt(&format!("{seconds}000")).nanos().saturating_sub(REORDER_NANOS);
            let got = hashes(&output_of("ffmpeg", &all));
            check_pictures(&title, Npt::from_nanos(asked), &got);
        }
    });
}

#[test]
fn gstreamer_lands_on_the_sync_sample_before() {
    let _alone = alone();
    let title = Reference::new();
    let server = Server::start(&titles::directory(), &[]);
    let seconds = random_seconds(seeks());
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/gst-seek.py");
    together(vec![("udp".into(), "udp"), ("tcp".into(), "tcp")], |_, transport| {
        let (url, count) = (server.url(LONG.name), PICTURES.to_string());
        let mut arguments = vec![script, &url, transport, &count];
        arguments.extend(seconds.iter().map(String::as_str));
        let output = output_of("/usr/bin/python3", &arguments);
        assert_eq!(output.lines().count(), seconds.len());
        for line in output.lines() {
            let mut words = line.split(' ').map(str::to_owned);
            let asked = words.next().unwrap();
            check_pictures(&title, npt(&format!("{asked}000")), &words.collect::<Vec<_>>());
        }
    });
}
