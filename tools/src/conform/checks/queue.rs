//! PLAY requests that follow each other: "a server MUST queue PLAY requests to be executed in
//! order" (RFC 2326 §10.5).
//!
//! A server that takes each for a seek, as every player means it, is not held to fail: it does not
//! support queues. What was played is told by the payloads, which are those of the same ranges
//! played each by itself.

use super::super::check::{Check, Stop, Verdict, ensure, fail, not_supported};
use super::super::lab::Lab;
use super::super::media::{Kind, timestamp_distance};
use super::super::message::Reply;
use super::super::player::Player;
use super::super::range::parse_npt;
use super::over;
use super::play::{begun_at, span, until_silent};
use std::time::Duration;

pub(super) fn checks(kinds: &[Kind]) -> Vec<Check> {
    let rules: [(&str, &str, u32, super::RunOver); 4] = [
        ("in-order", "RFC 2326 §10.5", 8, in_order),
        ("without-a-gap", "RFC 2326 §10.5 (\"immediately following\")", 8, without_a_gap),
        ("pause-discards", "RFC 2326 §10.6", 5, pause_discards),
        ("pause-in-second", "RFC 2326 §10.6 (pause point)", 8, pause_in_second),
    ];
    rules
        .into_iter()
        .flat_map(|(name, cites, seconds, run)| over(kinds, "queue", name, cites, seconds, run))
        .collect()
}

const FIRST: &str = "npt=2-4";
const SECOND: &str = "npt=8-10";

/// Both ranges asked for at once; the two replies.
fn queue(lab: &Lab<'_>, kind: Kind) -> Result<(Player, [Reply; 2]), Stop> {
    let mut player = lab.player(kind)?;
    let (url, session) = (player.aggregate.clone(), player.session.clone());
    let mut bytes = Vec::new();
    for range in [FIRST, SECOND] {
        let headers = [("Session", session.as_str()), ("Range", range)];
        bytes.extend(player.client.write("PLAY", &url, &headers, b""));
    }
    player.client.send(&bytes)?;
    let patience = player.client.patience;
    let first = player.client.reply()?;
    // A server may hold the second reply back until the second range begins.
    player.client.patience = patience + Duration::from_secs(4);
    let second = player.client.reply()?;
    player.client.patience = patience;
    for reply in [&first, &second] {
        reply.expect(200)?;
    }
    Ok((player, [first, second]))
}

/// Payloads of the first stream.
fn payloads(player: &Player) -> Vec<Vec<u8>> {
    player.rtp(0).iter().filter_map(|packet| Some(packet.rtp()?.payload.to_vec())).collect()
}

/// Payloads of a range played by itself.
fn reference(lab: &Lab<'_>, kind: Kind, range: &str) -> Result<Vec<Vec<u8>>, Stop> {
    let (mut player, _) = begun_at(lab, kind, Some(range), 1)?;
    until_silent(&mut player, Duration::from_secs(8))?;
    Ok(payloads(&player))
}

/// Says that the ranges were not queued, if so: most of the first is missing.
fn unless_seek(queued: &[Vec<u8>], first: &[Vec<u8>]) -> Verdict {
    let played = first.iter().filter(|payload| queued.contains(payload)).count();
    if played * 2 < first.len() {
        return not_supported(format!(
            "the second PLAY was taken for a seek: {played} of {} packets of the first range came",
            first.len()
        ));
    }
    Ok(())
}

fn in_order(lab: &Lab<'_>, kind: Kind) -> Verdict {
    let (mut player, _) = queue(lab, kind)?;
    until_silent(&mut player, Duration::from_secs(12))?;
    let queued = payloads(&player);
    let first = reference(lab, kind, FIRST)?;
    unless_seek(&queued, &first)?;
    let second = reference(lab, kind, SECOND)?;
    let Some(begin) = second.first() else { return fail("the second range is empty") };
    let Some(boundary) = queued.iter().rposition(|payload| payload == begin) else {
        return fail("the second range was not played");
    };
    let (head, tail) = queued.split_at(boundary);
    let missing = |all: &[Vec<u8>], part: &[Vec<u8>]| {
        all.iter().filter(|payload| !part.contains(payload)).count()
    };
    let (lost_first, lost_second) = (missing(&first, head), missing(&second, tail));
    ensure(lost_first * 20 <= first.len() && lost_second * 20 <= second.len(), || {
        format!(
            "{lost_first} of {} packets of the first range, {lost_second} of {} of the second",
            first.len(),
            second.len()
        )
    })?;
    ensure(tail.len() <= second.len() + 2, || "more was played after the second range".into())
}

/// Numbers go on by one, timestamps and arrival without a break.
fn without_a_gap(lab: &Lab<'_>, kind: Kind) -> Verdict {
    let (mut player, [first, _]) = queue(lab, kind)?;
    until_silent(&mut player, Duration::from_secs(12))?;
    unless_seek(&payloads(&player), &reference(lab, kind, FIRST)?)?;
    player.ensure_in_sequence(&first)?;
    let packets = player.rtp(0);
    let rate = f64::from(player.media[0].rate.ticks_per_second());
    for pair in packets.windows(2) {
        let (Some(before), Some(after)) = (pair[0].rtp(), pair[1].rtp()) else { continue };
        let took = (pair[1].at - pair[0].at).as_secs_f64();
        let step = f64::from(timestamp_distance(before.timestamp, after.timestamp)) / rate;
        ensure(took < 0.9 && step.abs() < 0.9, || {
            format!("between two packets {took:.2} s pass, timestamps step by {step:.2} s")
        })?;
    }
    Ok(())
}

/// "A PAUSE request discards all queued PLAY requests".
fn pause_discards(lab: &Lab<'_>, kind: Kind) -> Verdict {
    let first = reference(lab, kind, FIRST)?;
    let (mut player, [_, second]) = queue(lab, kind)?;
    player.await_packets(&second, 5)?;
    player.pause()?;
    let head = first.get(..first.len() / 4).unwrap_or_default();
    unless_seek(&payloads(&player), head)?;
    let resumed = player.play(None)?;
    let start = span(&resumed)?.start;
    if start > 6.0 {
        return not_supported("the second PLAY was taken for a seek");
    }
    ensure((1.0..4.6).contains(&start), || {
        format!("paused in the first range, 2-4 s, it goes on at {start}")
    })
}

/// "If a server has play requests for ranges 10 to 15 and 20 to 29 pending and then receives a
/// pause request for NPT 21, it would start playing the second range and stop at NPT 21."
fn pause_in_second(lab: &Lab<'_>, kind: Kind) -> Verdict {
    let (mut player, [first_reply, second_reply]) = queue(lab, kind)?;
    let reply = player.ask("PAUSE", &[("Range", "npt=9-")])?;
    reply.unless_lacking("PAUSE at a point in a queue", &[501, 405, 456, 457])?;
    reply.expect(200)?;
    until_silent(&mut player, Duration::from_secs(12))?;
    unless_seek(&payloads(&player), &reference(lab, kind, FIRST)?)?;
    let packets = player.rtp_since(0, &first_reply);
    let took = packets.first().zip(packets.last()).map_or(Duration::ZERO, |(a, b)| b.at - a.at);
    // A range may begin earlier, with a picture that can be decoded.
    let start = |reply: &Reply, asked: f64| {
        reply.header("Range").and_then(parse_npt).map_or(asked, |span| span.start)
    };
    let expected = 4.0 - start(&first_reply, 2.0) + 9.0 - start(&second_reply, 8.0);
    ensure((took.as_secs_f64() - expected).abs() < 0.9, || {
        format!("{expected:.2} s were to be played up to the pause point, it took {took:?}")
    })?;
    let resumed = player.play(None)?;
    let start = span(&resumed)?.start;
    ensure((start - 9.0).abs() < 0.6, || format!("paused at 9 s, it goes on at {start}"))
}
