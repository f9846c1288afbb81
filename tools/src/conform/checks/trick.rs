//! Scale and Speed (RFC 2326 §12.34, §12.35).

use super::super::check::{Check, Stop, Verdict, ensure, fail, not_supported};
use super::super::lab::Lab;
use super::super::media::{Kind, timestamp_distance};
use super::super::player::{Played, Player};
use super::play::{begun, span};
use std::collections::HashMap;
use std::time::Duration;

pub(super) fn checks(kinds: &[Kind]) -> Vec<Check> {
    let mut checks = Vec::new();
    for kind in kinds.iter().copied() {
        for scale in [2.0, 4.0, 16.0, 0.5, -1.0, -2.0, -8.0] {
            let name = format!("trick.{}.scale.{scale}", kind.name());
            let run = move |lab: &Lab<'_>| pace_of(lab, kind, scale);
            checks.push(Check::new(name, "RFC 2326 §12.34", run).takes(4));
        }
        let name = format!("trick.{}.and-back", kind.name());
        let run = move |lab: &Lab<'_>| and_back(lab, kind);
        checks.push(Check::new(name, "RFC 2326 §12.34, App. B", run).takes(4));
        let name = format!("trick.{}.speed", kind.name());
        checks.push(Check::new(name, "RFC 2326 §12.35", move |lab| speed(lab, kind)).takes(4));
    }
    for scale in [2.0, 4.0, -2.0] {
        let name = format!("trick.content.{scale}");
        let run = move |lab: &Lab<'_>| content(lab, scale);
        checks.push(Check::new(name, "RFC 2326 §12.34", run).takes(11));
    }
    checks.push(Check::new("trick.scale-1", "RFC 2326 §12.34", |lab| {
        let mut player = lab.player(super::plainest(lab))?;
        let played = player.play_with(None, &[("Scale", "1")])?;
        let scale = played.reply.header("Scale").and_then(|text| text.parse::<f64>().ok());
        ensure(scale == Some(1.0), || {
            format!("Scale: 1 was answered with {scale:?} (\"the response MUST contain\" it)")
        })
    }));
    for (name, header, value) in [
        ("scale-zero", "Scale", "0"),
        ("scale-words", "Scale", "fast"),
        ("scale-empty", "Scale", ""),
        ("scale-huge", "Scale", "1000000000000000000000"),
        ("scale-nan", "Scale", "nan"),
        ("speed-zero", "Speed", "0"),
        ("speed-negative", "Speed", "-1"),
        ("speed-words", "Speed", "fast"),
    ] {
        let run = move |lab: &Lab<'_>| refused_or_corrected(lab, header, value);
        checks.push(Check::new(format!("trick.bad.{name}"), "RFC 2326 §12.34, §12.35", run));
    }
    checks
}

/// PLAY at a scale from the middle; says so where the server has only the normal one.
fn play_at(
    lab: &Lab<'_>,
    kind: Kind,
    range: &str,
    scale: f64,
) -> Result<(Player, Played, f64), Stop> {
    let mut player = lab.player(kind)?;
    let text = scale.to_string();
    let reply = player.ask("PLAY", &[("Range", range), ("Scale", &text)])?;
    reply.unless_lacking(&format!("Scale: {text}"), &[501, 456, 457, 406])?;
    reply.expect(200)?;
    let Some(answered) = reply.header("Scale").and_then(|text| text.parse::<f64>().ok()) else {
        return fail("the reply has no Scale, a MUST");
    };
    if (answered - 1.0).abs() < 1e-9 {
        return not_supported(format!("Scale: {text} was answered with 1"));
    }
    let played = player.played(reply);
    Ok((player, played, answered))
}

/// Timestamps advance with the wallclock, whatever the scale; frames keep coming.
fn pace_of(lab: &Lab<'_>, kind: Kind, scale: f64) -> Verdict {
    let range = if scale > 0.0 { "npt=1-" } else { "npt=18-" };
    let (mut player, played, answered) = play_at(lab, kind, range, scale)?;
    ensure(answered.signum() == scale.signum(), || {
        format!("asked for {scale}, answered {answered}: the other direction")
    })?;
    ensure(played.info.iter().any(|(sequence, _)| sequence.is_some()), || "no RTP-Info".into())?;
    let first_number = played.info.iter().position(|(sequence, _)| sequence.is_some());
    let stream = player.stream_of("video").or(first_number).unwrap_or(0);
    let longest = (16.0 / answered.abs()).min(4.0);
    player.listen(Duration::from_secs_f64(longest.max(1.5)))?;
    let packets = player.rtp_since(stream, &played.reply);
    let stamps: Vec<_> =
        packets.iter().filter_map(|packet| Some((packet.rtp()?.timestamp, packet.at))).collect();
    let (Some(first), Some(last)) = (stamps.first(), stamps.last()) else {
        return fail("nothing came");
    };
    let rate = f64::from(player.media[stream].rate.ticks_per_second());
    let media = f64::from(timestamp_distance(first.0, last.0)) / rate;
    let took = (last.1 - first.1).as_secs_f64();
    ensure(media > 0.0 && (media - took).abs() < 1.2, || {
        format!("timestamps advanced by {media:.2} s within {took:.2} s")
    })?;
    super::super::media::ensure_in_sequence(&packets)
}

/// Normal play, fast, normal: numbers and timestamps go on.
fn and_back(lab: &Lab<'_>, kind: Kind) -> Verdict {
    let (mut player, played) = begun(lab, kind, 20)?;
    player.pause()?;
    let fast = player.play_with(Some("npt=4-"), &[("Scale", "4")])?;
    if fast.reply.header("Scale").is_none_or(|scale| scale.parse() == Ok(1.0)) {
        return not_supported("Scale: 4 was answered with 1");
    }
    player.listen(Duration::from_millis(1200))?;
    player.pause()?;
    let back = player.play_with(None, &[("Scale", "1")])?;
    player.await_packets(&back.reply, 10)?;
    let start = span(&back)?.start;
    ensure((4.5..15.0).contains(&start), || {
        format!("after 1.2 s at scale 4 from 4 s it goes on at {start} s")
    })?;
    player.ensure_in_sequence(&played.reply)
}

/// Frames of the title by their payload, as normal play shows them, against those of trick play.
fn content(lab: &Lab<'_>, scale: f64) -> Verdict {
    let kind = super::plainest(lab);
    let range = if scale > 0.0 { "npt=1-" } else { "npt=9-" };
    let (mut fast, played, answered) = play_at(lab, kind, range, scale)?;
    let (mut normal, slow) = begun(lab, kind, 1)?;
    let Some(stream) = fast.stream_of("video") else {
        return super::super::check::skip("the title has no video");
    };
    fast.listen(Duration::from_secs_f64((8.0 / answered.abs()).clamp(1.5, 4.0)))?;
    normal.listen(Duration::from_secs(10) - (lab.now() - slow.reply.at))?;
    let mut places = HashMap::new();
    for packet in normal.rtp_since(stream, &slow.reply) {
        let Some(rtp) = packet.rtp().filter(|rtp| rtp.payload.len() > 40) else { continue };
        if let Some(position) = normal.npt(stream, &slow, &rtp) {
            // What several pictures have alike, such as a still background, tells nothing.
            places
                .entry(rtp.payload.to_vec())
                .and_modify(|known: &mut Option<f64>| {
                    *known = known.filter(|at| (at - position).abs() < 0.001)
                })
                .or_insert(Some(position));
        }
    }
    let seen: Vec<(f64, f64)> = fast
        .rtp_since(stream, &played.reply)
        .iter()
        .filter_map(|packet| {
            let rtp = packet.rtp()?;
            let position = (*places.get(rtp.payload)?)?;
            Some((packet.at.0 as f64 / 1e9, position))
        })
        .collect();
    let (Some(first), Some(last)) = (seen.first(), seen.last()) else {
        return fail("none of the frames is one of the title's");
    };
    let forward = answered > 0.0;
    let in_order = seen.windows(2).all(|pair| {
        if forward { pair[1].1 >= pair[0].1 - 0.2 } else { pair[1].1 <= pair[0].1 + 0.2 }
    });
    ensure(in_order, || "the frames are in the wrong order".into())?;
    let (took, moved) = (last.0 - first.0, last.1 - first.1);
    if took < 0.5 {
        return fail(format!("{} frames within {took:.2} s", seen.len()));
    }
    let rate = moved / took;
    ensure((rate / answered - 1.0).abs() < 0.5, || {
        format!(
            "{moved:.2} s of the title within {took:.2} s are a scale of {rate:.2}, not {answered}"
        )
    })
}

fn speed(lab: &Lab<'_>, kind: Kind) -> Verdict {
    let mut player = lab.player(kind)?;
    let reply = player.ask("PLAY", &[("Range", "npt=1-"), ("Speed", "2")])?;
    reply.unless_lacking("Speed: 2", &[501, 456])?;
    reply.expect(200)?;
    let answered = reply.header("Speed").and_then(|text| text.parse::<f64>().ok()).unwrap_or(1.0);
    if (answered - 1.0).abs() < 1e-9 {
        return not_supported("Speed: 2 was not answered with it (optional)");
    }
    let played = player.played(reply);
    player.listen(Duration::from_millis(2500))?;
    let packets = player.rtp_since(0, &played.reply);
    let took =
        packets.first().zip(packets.last()).map_or(0.0, |(a, b)| (b.at - a.at).as_secs_f64());
    let positions = player.positions(0, &played);
    let media = positions.iter().copied().fold(0.0, f64::max) - positions.first().unwrap_or(&0.0);
    ensure(media / took > answered * 0.6 && media / took < answered * 1.7, || {
        format!("{media:.2} s of media within {took:.2} s at speed {answered}")
    })
}

/// What cannot be a scale or speed is refused, or answered with what is done instead.
fn refused_or_corrected(lab: &Lab<'_>, header: &str, value: &str) -> Verdict {
    let mut player = lab.player(super::plainest(lab))?;
    let reply = player.ask("PLAY", &[(header, value)])?;
    if reply.status == 200 {
        // At a scale a server may send pictures alone.
        player.client.wait(Duration::from_secs(5), |client| client.packets.len() > 2)?;
        ensure(player.client.packets.len() > 2, || "granted, and nothing came".into())?;
        return not_supported(format!("{header}: {value} is passed over"));
    }
    reply.expect_one_of(&[400, 456, 457, 451, 501])?;
    if player.client.wait(Duration::from_millis(200), |client| client.is_closed)? {
        return Ok(());
    }
    let played = player.play(None)?;
    player.await_packets(&played.reply, 2)
}
