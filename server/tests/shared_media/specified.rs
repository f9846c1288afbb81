//! Streams that ffmpeg 5.1 cannot receive: PCM of 8 bits, which GStreamer can, and AV1 and Enhanced
//! AC-3, for which neither has a depayloader. Those are received by our client, put together as the
//! payload formats tell a receiver to, and decoded by ffmpeg.

use crate::content::{Content, Extent, Streams};
use crate::support::players::gst_launch;
use std::time::Duration;
use tools::client::{ClientError, Half, Lower, RtspClient};
use tools::packet::{RtpPacket, ServerReport};

/// Whether ffmpeg 5.1 cannot receive this codec.
pub(crate) fn is_foreign_to_ffmpeg(codec: Option<&str>) -> bool {
    matches!(codec, Some("av1" | "eac3" | "pcm_u8"))
}

/// What of the stream ffmpeg decodes: pictures of AV1, or the coded sound of E-AC-3.
pub(crate) fn receive(
    codec: &str,
    transport: &str,
    url: &str,
    seconds: Option<u32>,
) -> Result<Content, String> {
    if codec == "pcm_u8" {
        return gstreamer(transport, url);
    }
    let encoding = if codec == "av1" { "AV1" } else { "EAC3" };
    let payloads = payloads(url, transport, encoding, seconds)?;
    if codec == "eac3" {
        // Two octets in front of frames or of a fragment of one (RFC 4598 §4.1).
        let frames = payloads.iter().flat_map(|(_, payload)| &payload[2..]);
        return Ok(Content { sound: frames.copied().collect(), ..Content::default() });
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("rebuilt.obu");
    std::fs::write(&path, temporal_units(&payloads)).unwrap();
    let streams = Streams { picture: Some("0:v:0".to_owned()), ..Streams::default() };
    Content::read(&[], path.to_str().unwrap(), &streams, Extent::ALL, DECODING_SECONDS)
}

/// The octets that GStreamer makes of a stream of L8, to its end.
fn gstreamer(transport: &str, url: &str) -> Result<Content, String> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("sound");
    let ended = gst_launch(&format!(
        "-q rtspsrc location={url} protocols={transport} ! rtpL8depay ! filesink location={}",
        path.display()
    ));
    let errors = String::from_utf8_lossy(&ended.stderr).into_owned();
    // At the end 1.22 now and then cancels a PAUSE of its own that never left, and complains of it.
    if !ended.status.success() && !errors.contains("gst_rtspsrc_pause") {
        return Err(errors);
    }
    Ok(Content { sound: std::fs::read(path).unwrap_or_default(), ..Content::default() })
}

/// Seconds that decoding what was received may take.
const DECODING_SECONDS: u32 = 120;
/// How long nothing may come.
const PATIENCE: Duration = Duration::from_secs(8);
/// How often a server is told that somebody is there.
const KEEP_ALIVE: Duration = Duration::from_secs(20);
/// How long after BYE, which comes to another port, packets may come.
const STRAGGLING: Duration = Duration::from_millis(300);

/// Marker and payload of a packet.
type Payload = (bool, Vec<u8>);

/// The payloads of the stream with this encoding, of so many seconds or to its end.
fn payloads(
    url: &str,
    transport: &str,
    encoding: &str,
    seconds: Option<u32>,
) -> Result<Vec<Payload>, String> {
    let failed = |error: ClientError| error.to_string();
    let mut client = RtspClient::connect(url, None).map_err(failed)?;
    let presentation = client.describe().map_err(failed)?;
    let media =
        presentation.media.iter().find(|media| media.encoding.eq_ignore_ascii_case(encoding));
    let media = media.ok_or(format!("no stream of {encoding}"))?;
    let lower = if transport == "udp" { Lower::Udp } else { Lower::Tcp };
    client.setup(media, lower).map_err(failed)?;
    let played = client.play(None).map_err(failed)?;
    let start = played.rtp_info.first().ok_or("no RTP-Info")?.rtptime;
    let ticks = seconds.map(|seconds| seconds * media.rate.ticks_per_second());
    let (mut payloads, mut next) = (Vec::new(), None);
    let (mut deadline, mut has_ended) = (client.now() + PATIENCE, false);
    let mut alive_until = client.now() + KEEP_ALIVE;
    while client.now() < deadline {
        if client.now() >= alive_until {
            client.keep_alive().map_err(failed)?;
            alive_until = client.now() + KEEP_ALIVE;
        }
        let arrival = client.next_arrival(Duration::from_millis(100)).map_err(failed)?;
        let Some(arrival) = arrival else { continue };
        if arrival.half == Half::Rtcp {
            if ServerReport::parse(&arrival.bytes).is_some_and(|report| report.bye.is_some()) {
                (deadline, has_ended) = (client.now() + STRAGGLING, true);
            }
            continue;
        }
        let packet = RtpPacket::parse(&arrival.bytes).ok_or("a malformed packet")?;
        if next.is_some_and(|next| next != packet.sequence) {
            return Err("packets were lost".to_owned());
        }
        next = Some(packet.sequence.wrapping_add(1));
        if ticks.is_some_and(|ticks| packet.timestamp.wrapping_sub(start) >= ticks) {
            return Ok(payloads);
        }
        if !has_ended {
            deadline = client.now() + PATIENCE;
        }
        payloads.push((packet.marker, packet.payload.to_vec()));
    }
    let count = payloads.len();
    if has_ended { Ok(payloads) } else { Err(format!("silence after {count} packets")) }
}

/// Temporal units as files have them, each OBU with its size and a delimiter in front, of
/// payloads as the AV1 payload format has them (§4.4).
fn temporal_units(payloads: &[Payload]) -> Vec<u8> {
    let mut stream = Vec::new();
    let mut obus: Vec<Vec<u8>> = Vec::new();
    for (marker, payload) in payloads {
        let (header, mut rest) = payload.split_first().unwrap();
        let count = header >> 4 & 3;
        let mut continues = header & 0x80 != 0;
        for element in 1.. {
            let bytes = if element == count { rest.len() } else { take_leb128(&mut rest) };
            let (piece, behind) = rest.split_at(bytes);
            if std::mem::take(&mut continues) {
                obus.last_mut().unwrap().extend_from_slice(piece);
            } else {
                obus.push(piece.to_vec());
            }
            rest = behind;
            if rest.is_empty() {
                break;
            }
        }
        if *marker {
            stream.extend_from_slice(&[0x12, 0]);
            obus.drain(..).for_each(|obu| push_obu(&mut stream, &obu));
        }
    }
    stream
}

/// An OBU with its size.
fn push_obu(stream: &mut Vec<u8>, obu: &[u8]) {
    let header_bytes = if obu[0] & 4 == 0 { 1 } else { 2 };
    let (header, body) = obu.split_at(header_bytes);
    stream.push(header[0] | 2);
    stream.extend_from_slice(&header[1..]);
    let mut size = body.len();
    while size > 0x7f {
        stream.push(0x80 | (size & 0x7f) as u8);
        size >>= 7;
    }
    stream.push(size as u8);
    stream.extend_from_slice(body);
}

fn take_leb128(bytes: &mut &[u8]) -> usize {
    let mut value = 0;
    for shift in (0..).step_by(7) {
        let (byte, rest) = bytes.split_first().unwrap();
        *bytes = rest;
        value |= usize::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            break;
        }
    }
    value
}
