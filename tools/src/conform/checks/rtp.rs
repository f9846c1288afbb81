//! RTP packets (RFC 3550 §5.1, RFC 3551, RFC 6184, RFC 3640).

use super::super::check::{Check, Stop, Verdict, ensure, fail, not_supported, skip};
use super::super::lab::Lab;
use super::super::media::{Kind, timestamp_distance};
use super::super::player::{Player, parameter};
use super::play::begun;
use super::{over, plainest};
use crate::packet::RtpPacket;
use std::time::Duration;

pub(super) fn checks(kinds: &[Kind]) -> Vec<Check> {
    let rules: [(&str, &str, super::RunOver); 12] = [
        ("parses", "RFC 3550 §5.1", parses),
        ("payload-type", "RFC 3550 §5.1, RFC 2326 App. C.1.3", payload_type),
        ("sequence", "RFC 3550 §5.1", sequence),
        ("ssrc-one", "RFC 3550 §5.1", ssrc_one),
        ("ssrc-as-announced", "RFC 2326 §12.39 (ssrc)", ssrc_announced),
        ("ssrc-distinct", "RFC 3550 §8", ssrc_distinct),
        ("video-marker", "RFC 6184 §5.1", video_marker),
        ("h264-units", "RFC 6184 §5.2–5.8", h264_units),
        ("h264-fragments", "RFC 6184 §5.8", h264_fragments),
        ("aac-headers", "RFC 3640 §3.2.1, §3.3.6", aac_headers),
        ("audio-timestamps", "RFC 3550 §5.1, RFC 3640 §3.1", audio_timestamps),
        ("size", "interop 4.9 (go2rtc)", size),
    ];
    let mut checks: Vec<Check> = rules
        .into_iter()
        .flat_map(|(name, cites, run)| over(kinds, "rtp", name, cites, 1, run))
        .collect();
    checks.push(Check::new("rtp.random-sequence", "RFC 3550 §5.1 (SHOULD)", |lab| {
        distinct_starts(lab, |rtp| u32::from(rtp.sequence))
    }));
    checks.push(Check::new("rtp.random-timestamp", "RFC 3550 §5.1 (SHOULD)", |lab| {
        distinct_starts(lab, |rtp| rtp.timestamp)
    }));
    checks.push(Check::new("rtp.random-ssrc", "RFC 3550 §5.1 (SHOULD)", |lab| {
        distinct_starts(lab, |rtp| rtp.ssrc)
    }));
    checks.push(Check::new("rtp.udp.source-port", "RFC 2326 §12.39 (server_port)", source_port));
    checks.push(Check::new("rtp.udp.no-media-on-rtcp-port", "RFC 3550 §11", |lab| {
        let player = streamed(lab, Kind::Udp)?;
        let wrong = player
            .client
            .packets
            .iter()
            .filter(|packet| packet.is_rtcp)
            .find(|packet| !matches!(packet.bytes.get(1), Some(200..=207)));
        ensure(wrong.is_none(), || "a packet on the RTCP port is no RTCP".into())
    }));
    checks
}

/// A session that has played for a second.
fn streamed(lab: &Lab<'_>, kind: Kind) -> Result<Player, Stop> {
    let (mut player, _) = begun(lab, kind, 15)?;
    player.listen(Duration::from_secs(1))?;
    Ok(player)
}

fn each_stream(
    lab: &Lab<'_>,
    kind: Kind,
    rule: impl Fn(&Player, usize, &[RtpPacket<'_>]) -> Verdict,
) -> Verdict {
    let player = streamed(lab, kind)?;
    (0..player.media.len()).try_for_each(|stream| {
        let packets = player.rtp(stream);
        let packets: Vec<_> = packets.iter().filter_map(|packet| packet.rtp()).collect();
        ensure(!packets.is_empty(), || format!("nothing came of stream {stream}"))?;
        rule(&player, stream, &packets)
    })
}

fn parses(lab: &Lab<'_>, kind: Kind) -> Verdict {
    let player = streamed(lab, kind)?;
    let broken =
        player.client.packets.iter().filter(|packet| !packet.is_rtcp && packet.rtp().is_none());
    let broken = broken.count();
    ensure(broken == 0, || format!("{broken} packets are not RTP version 2"))
}

fn payload_type(lab: &Lab<'_>, kind: Kind) -> Verdict {
    each_stream(lab, kind, |player, stream, packets| {
        let announced = player.media[stream].payload_type;
        let other = packets.iter().find(|rtp| rtp.payload_type != announced);
        ensure(other.is_none(), || {
            format!("payload type {:?}, announced {announced}", other.map(|rtp| rtp.payload_type))
        })
    })
}

fn sequence(lab: &Lab<'_>, kind: Kind) -> Verdict {
    let player = streamed(lab, kind)?;
    (0..player.media.len())
        .try_for_each(|stream| super::super::media::ensure_in_sequence(&player.rtp(stream)))
}

fn ssrc_one(lab: &Lab<'_>, kind: Kind) -> Verdict {
    each_stream(lab, kind, |_, stream, packets| {
        ensure(packets.iter().all(|rtp| rtp.ssrc == packets[0].ssrc), || {
            format!("stream {stream} has several SSRCs")
        })
    })
}

fn ssrc_announced(lab: &Lab<'_>, kind: Kind) -> Verdict {
    each_stream(lab, kind, |player, stream, packets| {
        let transport = player.set_up[stream].header("Transport").unwrap_or_default();
        let Some(ssrc) = parameter(transport, "ssrc") else {
            return not_supported("Transport has no ssrc, which is optional");
        };
        ensure(u32::from_str_radix(ssrc, 16) == Ok(packets[0].ssrc), || {
            format!("announced {ssrc}, sent {:08x}", packets[0].ssrc)
        })
    })
}

fn ssrc_distinct(lab: &Lab<'_>, kind: Kind) -> Verdict {
    let player = streamed(lab, kind)?;
    let first =
        |stream| player.rtp(stream).first().and_then(|packet| packet.rtp()).map(|rtp| rtp.ssrc);
    let mut sources: Vec<_> = (0..player.media.len()).filter_map(first).collect();
    let count = sources.len();
    sources.sort_unstable();
    sources.dedup();
    ensure(sources.len() == count, || "two streams have one SSRC".into())
}

fn is_h264(player: &Player, stream: usize) -> bool {
    player.media[stream].encoding.eq_ignore_ascii_case("H264")
}

/// The packets of the H.264 stream.
fn h264(lab: &Lab<'_>, kind: Kind, rule: impl Fn(&[RtpPacket<'_>]) -> Verdict) -> Verdict {
    if !lab.media().iter().any(|media| media.encoding.eq_ignore_ascii_case("H264")) {
        return skip("no H.264 in the title");
    }
    each_stream(
        lab,
        kind,
        |player, stream, packets| {
            if is_h264(player, stream) { rule(packets) } else { Ok(()) }
        },
    )
}

/// The marker is on the last packet of a picture, and there alone.
fn video_marker(lab: &Lab<'_>, kind: Kind) -> Verdict {
    h264(lab, kind, |packets| {
        for pair in packets.windows(2) {
            let is_last = pair[0].timestamp != pair[1].timestamp;
            ensure(pair[0].marker == is_last, || {
                format!(
                    "packet {}: marker {}, last of its picture {is_last}",
                    pair[0].sequence, pair[0].marker
                )
            })?;
        }
        Ok(())
    })
}

fn h264_units(lab: &Lab<'_>, kind: Kind) -> Verdict {
    h264(lab, kind, |packets| {
        for rtp in packets {
            let Some(first) = rtp.payload.first() else {
                return fail(format!("packet {} is empty", rtp.sequence));
            };
            let kind = first & 0x1f;
            ensure(first & 0x80 == 0 && matches!(kind, 1..=24 | 28), || {
                format!("packet {}: unit type {kind} in packetization mode 1", rtp.sequence)
            })?;
        }
        Ok(())
    })
}

/// A fragmented unit begins, goes on and ends in packets that follow each other.
fn h264_fragments(lab: &Lab<'_>, kind: Kind) -> Verdict {
    h264(lab, kind, |packets| {
        let mut open = None;
        for rtp in packets {
            let is_fragment = rtp.payload.first().is_some_and(|first| first & 0x1f == 28);
            let header = rtp.payload.get(1).copied().unwrap_or(0);
            let (starts, ends) = (is_fragment && header & 0x80 != 0, header & 0x40 != 0);
            ensure(open.is_none() || is_fragment && !starts, || {
                format!("packet {}: the unit before has no end", rtp.sequence)
            })?;
            ensure(open.is_some() || !is_fragment || starts, || {
                format!("packet {}: a fragment without a start", rtp.sequence)
            })?;
            ensure(!(starts && ends), || {
                format!("packet {}: start and end in one fragment, a MUST NOT", rtp.sequence)
            })?;
            ensure(open.is_none_or(|timestamp| timestamp == rtp.timestamp), || {
                format!("packet {}: fragments of one unit differ in their time", rtp.sequence)
            })?;
            open = (is_fragment && !ends).then_some(rtp.timestamp);
        }
        Ok(())
    })
}

/// AU-headers-length and the sizes add up.
fn aac_headers(lab: &Lab<'_>, kind: Kind) -> Verdict {
    let is_aac = |encoding: &str| encoding.eq_ignore_ascii_case("mpeg4-generic");
    if !lab.media().iter().any(|media| {
        is_aac(&media.encoding) && media.format_parameters.to_ascii_lowercase().contains("aac-hbr")
    }) {
        return skip("no AAC-hbr in the title");
    }
    each_stream(lab, kind, |player, stream, packets| {
        if !is_aac(&player.media[stream].encoding) {
            return Ok(());
        }
        packets.iter().try_for_each(|rtp| {
            let Some((header, rest)) = rtp.payload.split_first_chunk::<2>() else {
                return fail(format!("packet {} is too short", rtp.sequence));
            };
            let bits = usize::from(u16::from_be_bytes(*header));
            let units = bits / 16;
            let sizes: usize = rest
                .chunks_exact(2)
                .take(units)
                .map(|au| usize::from(u16::from_be_bytes([au[0], au[1]]) >> 3))
                .sum();
            let is_fragment = units == 1 && sizes > rest.len().saturating_sub(2);
            ensure(
                bits % 16 == 0 && units > 0 && (is_fragment || rest.len() == units * 2 + sizes),
                || {
                    format!(
                        "packet {}: {units} units of {sizes} bytes in {} bytes",
                        rtp.sequence,
                        rest.len()
                    )
                },
            )
        })
    })
}

fn audio_timestamps(lab: &Lab<'_>, kind: Kind) -> Verdict {
    each_stream(lab, kind, |player, stream, packets| {
        if player.media[stream].kind != "audio" {
            return Ok(());
        }
        let back = packets
            .windows(2)
            .find(|pair| timestamp_distance(pair[0].timestamp, pair[1].timestamp) < 0);
        ensure(back.is_none(), || "timestamps of audio go back".into())
    })
}

fn size(lab: &Lab<'_>, kind: Kind) -> Verdict {
    let player = streamed(lab, kind)?;
    let longest = player.client.packets.iter().map(|packet| packet.bytes.len()).max().unwrap_or(0);
    ensure(longest <= 1500, || format!("a packet of {longest} bytes"))
}

/// Four sessions do not begin alike.
fn distinct_starts(lab: &Lab<'_>, value: fn(&RtpPacket<'_>) -> u32) -> Verdict {
    let mut starts = Vec::new();
    for _ in 0..4 {
        let (player, _) = begun(lab, plainest(lab), 1)?;
        starts.extend(player.rtp(0).first().and_then(|packet| packet.rtp()).map(|rtp| value(&rtp)));
    }
    let count = starts.len();
    starts.sort_unstable();
    starts.dedup();
    if starts.len() == count && count == 4 {
        return Ok(());
    }
    not_supported(format!("sessions begin with {starts:?}, against a SHOULD"))
}

/// Packets come from the port that the reply names.
fn source_port(lab: &Lab<'_>) -> Verdict {
    let mut client = lab.client()?;
    let own = client.link.incoming().local_addr()?.ip();
    let pair = crate::socket::UdpPair::bind(own)?;
    let port = pair.rtp_port;
    let offer = format!("RTP/AVP;unicast;client_port={port}-{}", port + 1);
    let reply = client.ask("SETUP", lab.stream_url(0), &[("Transport", &offer)])?;
    reply.unless_lacking("UDP", &[461])?;
    reply.expect(200)?;
    let transport = reply.header("Transport").unwrap_or_default().to_owned();
    let session = reply.header("Session").unwrap_or_default().split(';').next().unwrap_or_default();
    let session = session.trim().to_owned();
    client.ask("PLAY", lab.aggregate(), &[("Session", &session)])?.expect(200)?;
    pair.rtp.set_nonblocking(false)?;
    pair.rtp.set_read_timeout(Some(Duration::from_secs(5)))?;
    let mut buffer = vec![0; 1 << 16];
    let (_, from) = pair.rtp.recv_from(&mut buffer)?;
    let announced = super::super::player::pair_of(&transport, "server_port").map(|ports| ports.0);
    ensure(announced == Some(from.port()) && from.ip() == lab.server().ip(), || {
        format!("announced {announced:?} of {}, media came from {from}", lab.server().ip())
    })
}
