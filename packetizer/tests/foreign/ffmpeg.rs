//! ffmpeg's RTSP client, fed over loopback with a presentation description and with images of
//! interleaved packets as they lie: access units, timestamps, and the clocks of tracks against each
//! other.

use crate::titles::{Title, numbering, titles};
use packetizer::image::Framing;
use packetizer::index::TrackId;
use packetizer::rtcp::{SenderReport, write_bye, write_report};
use packetizer::sdp::{Origin, control, parse_control, presentation_description};
use packetizer::time::{ClockRate, NtpTime};
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;

#[test]
fn ffmpeg_gets_every_access_unit_at_its_time() {
    let directory = tempfile::tempdir().unwrap();
    for title in titles(directory.path()) {
        let json = served(&title, probe);
        check(&title, &json);
    }
}

/// What a client makes of a title at a URL.
pub(crate) fn served<T>(title: &Title, client: impl Fn(&str) -> T) -> T {
    served_in(title, 1400, client)
}

/// The same in packets of other lengths.
pub(crate) fn served_in<T>(title: &Title, packet_bytes_max: u16, client: impl Fn(&str) -> T) -> T {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("rtsp://{}/title", listener.local_addr().unwrap());
    std::thread::scope(|scope| {
        scope.spawn(|| serve(&listener, title, packet_bytes_max));
        client(&url)
    })
}

pub(crate) fn probe(url: &str) -> Value {
    probe_input(&["-rtsp_transport", "tcp", url])
}

/// What ffprobe says of an input, which comes behind its options.
pub(crate) fn probe_input(input: &[&str]) -> Value {
    let output = Command::new("timeout")
        .args(["120", "ffprobe", "-v", "error"])
        .args(["-print_format", "json", "-show_data_hash", "adler32", "-show_packets"])
        .args(["-show_entries", "packet=stream_index,pts,size,data_hash"])
        .args(["-show_entries", "stream=index,codec_name,time_base"])
        .args(input)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Whether every access unit came at its time.
fn check(title: &Title, json: &Value) {
    check_units(title, json);
    let mut start = None;
    for track in title.track_ids() {
        check_times(title, track, json, &mut start);
    }
}

/// Whether every access unit came as it is.
pub(crate) fn check_units(title: &Title, json: &Value) {
    let name = title.path.display();
    assert_eq!(json["streams"].as_array().unwrap().len(), title.index.tracks.len(), "{name}");
    for track in title.track_ids() {
        let packets = packets(json, track);
        let delivered = title.delivered(track);
        assert_eq!(packets.len(), delivered.len(), "{name} {track:?}");
        for (at, (packet, unit)) in packets.iter().zip(&delivered).enumerate() {
            assert_eq!(packet["size"], unit.len().to_string(), "{name} {track:?} unit {at}");
            assert_eq!(packet["data_hash"], adler32(unit), "{name} {track:?} unit {at}");
        }
    }
}

/// Whether a track's units came when they should, all tracks counted from one `start`.
pub(crate) fn check_times(title: &Title, track: TrackId, json: &Value, start: &mut Option<i64>) {
    let name = title.path.display();
    let described = &title.index.tracks[usize::from(track.0)];
    let (media_rate, rtp_rate) = (described.media_rate, described.codec.rtp_rate());
    let time_base = &json["streams"][usize::from(track.0)]["time_base"];
    assert_eq!(*time_base, format!("1/{}", rtp_rate.ticks_per_second()));
    for (at, (packet, unit)) in packets(json, track).iter().zip(title.units(track)).enumerate() {
        let Some(found) = packet["pts"].as_i64() else { continue };
        let composition = media_rate.convert_nearest(unit.composition, rtp_rate);
        // All tracks begin at one instant; ffmpeg rounds to the tick where clocks differ.
        let nanos = rtp_rate.nanos_floor(found - composition);
        let start = *start.get_or_insert(nanos);
        let tick = ClockRate::nanos_floor(rtp_rate, 1) + 1;
        assert!((nanos - start).abs() <= 2 * tick, "{name} {track:?} unit {at}: {nanos} {start}");
    }
}

pub(crate) fn packets(json: &Value, track: TrackId) -> Vec<&Value> {
    let packets = json["packets"].as_array().unwrap();
    packets.iter().filter(|packet| packet["stream_index"] == track.0).collect()
}

/// As ffmpeg's hash prints it (RFC 1950 §8.2).
fn adler32(bytes: &[u8]) -> String {
    let (a, b) = bytes.iter().fold((1_u32, 0_u32), |(a, b), byte| {
        let a = (a + u32::from(*byte)) % 65_521;
        (a, (b + a) % 65_521)
    });
    format!("adler32:{:08x}", b << 16 | a)
}

/// The least of an RTSP server: one connection, every track, start to end.
fn serve(listener: &TcpListener, title: &Title, packet_bytes_max: u16) {
    let (mut connection, _) = listener.accept().unwrap();
    let mut reader = BufReader::new(connection.try_clone().unwrap());
    while let Some(request) = read_request(&mut reader) {
        let line = |name: &str| {
            let line = request.iter().find_map(|line| line.strip_prefix(name));
            line.map(|value| value.trim().to_owned())
        };
        let [method, url, _] = request[0].split(' ').collect::<Vec<_>>()[..] else { panic!() };
        let cseq = line("CSeq:").unwrap();
        let headers = match method {
            "OPTIONS" => "Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN\r\n\r\n".to_owned(),
            "DESCRIBE" => {
                let address = connection.local_addr().unwrap().ip();
                let (name, absolute_range) = ("a title", None);
                let origin = Origin { session_id: 1, address, name, absolute_range };
                let sdp = presentation_description(&title.index, &origin);
                let bytes = sdp.len();
                format!(
                    "Content-Base: {url}/\r\nContent-Type: application/sdp\r\n\
                     Content-Length: {bytes}\r\n\r\n{sdp}"
                )
            }
            "SETUP" => {
                let track = parse_control(url.rsplit('/').next().unwrap()).unwrap();
                let (rtp, rtcp) = (track.0 * 2, track.0 * 2 + 1);
                let transport = format!("RTP/AVP/TCP;unicast;interleaved={rtp}-{rtcp}");
                assert_eq!(line("Transport:").as_ref(), Some(&transport));
                format!("Session: 12345678;timeout=60\r\nTransport: {transport}\r\n\r\n")
            }
            "PLAY" => format!(
                "Session: 12345678\r\nRange: npt=0.000-{}\r\nRTP-Info: {}\r\n\r\n",
                title.index.duration,
                rtp_info(title, url)
            ),
            _ => "Session: 12345678\r\n\r\n".to_owned(),
        };
        let reply = format!("RTSP/1.0 200 OK\r\nCSeq: {cseq}\r\n{headers}");
        connection.write_all(reply.as_bytes()).unwrap();
        if method == "PLAY" {
            play(&mut connection, title, packet_bytes_max);
        }
    }
}

/// The lines of a request; `None` at the end. Interleaved frames are skipped.
fn read_request(reader: &mut BufReader<TcpStream>) -> Option<Vec<String>> {
    loop {
        match reader.fill_buf() {
            Ok([b'$', ..]) => {
                let mut prefix = [0; 4];
                reader.read_exact(&mut prefix).ok()?;
                let mut frame = vec![0; usize::from(u16::from_be_bytes([prefix[2], prefix[3]]))];
                reader.read_exact(&mut frame).ok()?;
            }
            Ok([_, ..]) => break,
            _ => return None,
        }
    }
    let lines = reader.lines().map_while(Result::ok).take_while(|line| !line.is_empty());
    Some(lines.collect::<Vec<_>>()).filter(|lines| !lines.is_empty())
}

fn rtp_info(title: &Title, url: &str) -> String {
    let base = url.trim_end_matches('/');
    let infos = title.track_ids().map(|track| {
        let (control, numbering) = (control(track), numbering(track));
        let (sequence, rtptime) = (numbering.sequence, numbering.timestamp_zero);
        format!("url={base}/{control};seq={sequence};rtptime={rtptime}")
    });
    infos.collect::<Vec<_>>().join(",")
}

/// Reports, all trains in the order in which they are due, and BYE.
fn play(connection: &mut TcpStream, title: &Title, packet_bytes_max: u16) {
    let report = |track: TrackId| SenderReport {
        ssrc: numbering(track).ssrc,
        ntp: NtpTime::from_unix_nanos(1_700_000_000_000_000_000),
        rtp_timestamp: numbering(track).timestamp_zero,
        packet_count: 0,
        payload_bytes: 0,
    };
    let mut stream = Vec::new();
    for track in title.track_ids() {
        let mut compound = Vec::new();
        write_report(&report(track), "reelring@test", &mut compound);
        push_rtcp(track, &compound, &mut stream);
    }
    let images: Vec<_> = title
        .track_ids()
        .flat_map(|track| title.images(track, packet_bytes_max, Framing::Interleaved))
        .collect();
    let mut trains: Vec<_> = images
        .iter()
        .flat_map(|image| image.trains.iter().map(move |train| (train, image)))
        .collect();
    trains.sort_by_key(|(train, _)| train.due);
    for (train, image) in trains {
        let start = train.offset as usize;
        stream.extend_from_slice(&image.bytes[start..start + train.bytes() as usize]);
    }
    for track in title.track_ids() {
        let mut compound = Vec::new();
        write_bye(&report(track), "reelring@test", None, &mut compound);
        push_rtcp(track, &compound, &mut stream);
    }
    connection.write_all(&stream).unwrap();
}

fn push_rtcp(track: TrackId, compound: &[u8], stream: &mut Vec<u8>) {
    stream.extend_from_slice(&[b'$', track.0 * 2 + 1]);
    stream.extend_from_slice(&(compound.len() as u16).to_be_bytes());
    stream.extend_from_slice(compound);
}
