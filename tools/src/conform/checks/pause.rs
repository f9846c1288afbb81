//! PAUSE (RFC 2326 §10.6).

use super::super::check::{Check, Verdict, ensure, not_supported, skip};
use super::super::lab::Lab;
use super::super::media::Kind;
use super::super::message::Reply;
use super::super::player::Player;
use super::over;
use super::play::{begun, begun_at, ensure_first_is_seq, span, step_over, until_silent};
use std::time::Duration;

pub(super) fn checks(kinds: &[Kind]) -> Vec<Check> {
    let rules: [(&str, &str, u32, super::RunOver); 9] = [
        ("stops", "RFC 2326 §10.6", 2, stops),
        ("resumes", "RFC 2326 §10.6", 3, resumes),
        ("resumes-in-step", "RFC 2326 §10.6 (synchronization MUST be maintained)", 4, in_step),
        ("sequence-goes-on", "RFC 2326 App. B", 3, sequence_goes_on),
        ("twice", "RFC 2326 App. A.2; interop 4.1 (FFmpeg)", 1, twice),
        ("in-ready", "RFC 2326 App. A.2; interop 4.0.6", 0, in_ready),
        ("right-after-play", "RFC 2326 §9.1", 1, right_after_play),
        ("at-a-point", "RFC 2326 §10.6 (pause point)", 4, at_a_point),
        ("point-outside", "RFC 2326 §10.6 (457)", 1, point_outside),
    ];
    let mut checks: Vec<Check> = rules
        .into_iter()
        .flat_map(|(name, cites, seconds, run)| over(kinds, "pause", name, cites, seconds, run))
        .collect();
    checks.push(Check::new("pause.stream-url", "RFC 2326 §10.6, §11.3.11", stream_url).takes(1));
    checks
}

/// Nothing comes after the reply; over UDP what was under way may.
fn ensure_silent(player: &mut Player, reply: &Reply) -> Verdict {
    player.listen(Duration::from_millis(1200))?;
    let grace = if player.kind.is_interleaved() { 0 } else { 100 };
    let end = reply.at + Duration::from_millis(grace);
    for stream in 0..player.media.len() {
        let late = player.rtp_since(stream, reply);
        let late = late.iter().filter(|packet| grace == 0 || packet.at > end).count();
        ensure(late == 0, || format!("{late} packets of stream {stream} came after the reply"))?;
    }
    Ok(())
}

fn stops(lab: &Lab<'_>, kind: Kind) -> Verdict {
    let (mut player, _) = begun(lab, kind, 20)?;
    let reply = player.pause()?;
    ensure_silent(&mut player, &reply)
}

fn resumes(lab: &Lab<'_>, kind: Kind) -> Verdict {
    let (mut player, played) = begun_at(lab, kind, Some("npt=4-"), 30)?;
    player.pause()?;
    player.listen(Duration::from_millis(500))?;
    let stood = player.positions(0, &played).into_iter().fold(0.0, f64::max);
    let resumed = player.play(None)?;
    player.await_packets(&resumed.reply, 5)?;
    let start = span(&resumed)?.start;
    ensure((start - stood).abs() < 1.0, || {
        format!("paused at {stood:.2} s, PLAY without Range goes on at {start:.2}")
    })?;
    ensure_first_is_seq(&player, &resumed)
}

/// After a pause the streams are where they would have been, together.
fn in_step(lab: &Lab<'_>, kind: Kind) -> Verdict {
    let (mut player, _) = begun(lab, kind, 20)?;
    if player.media.len() < 2 {
        return skip("the title has one stream");
    }
    player.pause()?;
    player.listen(Duration::from_secs(1))?;
    let resumed = player.play(None)?;
    player.listen(Duration::from_millis(1500))?;
    let furthest = |stream| player.positions(stream, &resumed).into_iter().fold(0.0, f64::max);
    let apart: f64 = furthest(0) - furthest(1);
    ensure(apart.abs() < 1.0, || format!("after a pause the streams are {apart:.2} s apart"))
}

fn sequence_goes_on(lab: &Lab<'_>, kind: Kind) -> Verdict {
    let (mut player, played) = begun(lab, kind, 10)?;
    for _ in 0..3 {
        player.pause()?;
        let resumed = player.play(None)?;
        player.await_packets(&resumed.reply, 5)?;
        let step = step_over(&player, 0, &resumed.reply);
        ensure(step == 1, || format!("sequence numbers step by {step}"))?;
    }
    player.ensure_in_sequence(&played.reply)
}

fn twice(lab: &Lab<'_>, kind: Kind) -> Verdict {
    let (mut player, _) = begun(lab, kind, 5)?;
    player.pause()?;
    player.ask("PAUSE", &[])?.expect_one_of(&[200, 455])?;
    let resumed = player.play(None)?;
    player.await_packets(&resumed.reply, 5)
}

fn in_ready(lab: &Lab<'_>, kind: Kind) -> Verdict {
    let mut player = lab.player(kind)?;
    let reply = player.ask("PAUSE", &[])?;
    reply.unless_lacking("PAUSE", &[501, 405])?;
    reply.expect_one_of(&[200, 455])?;
    let played = player.play(None)?;
    player.await_packets(&played.reply, 5)
}

fn right_after_play(lab: &Lab<'_>, kind: Kind) -> Verdict {
    let mut player = lab.player(kind)?;
    let (url, session) = (player.aggregate.clone(), player.session.clone());
    let headers = [("Session", session.as_str())];
    let both = [
        player.client.write("PLAY", &url, &headers, b""),
        player.client.write("PAUSE", &url, &headers, b""),
    ];
    player.client.send(&both.concat())?;
    player.client.reply()?.expect(200)?;
    let reply = player.client.reply()?;
    reply.unless_lacking("PAUSE", &[501, 405])?;
    reply.expect(200)?;
    ensure_silent(&mut player, &reply)
}

/// "The pause request becomes effective the first time the server is encountering the time point".
fn at_a_point(lab: &Lab<'_>, kind: Kind) -> Verdict {
    let (mut player, played) = begun_at(lab, kind, Some("npt=1-6"), 5)?;
    let reply = player.ask("PAUSE", &[("Range", "npt=3-")])?;
    reply.unless_lacking("PAUSE at a point", &[501, 405, 456])?;
    reply.expect(200)?;
    until_silent(&mut player, Duration::from_secs(8))?;
    let last = player.positions(0, &played).into_iter().fold(0.0, f64::max);
    if last < 2.0 {
        return not_supported(format!("a pause point at 3 s stopped it at once, at {last:.2}"));
    }
    ensure(last < 3.001, || format!("a pause point at 3 s stopped it at {last:.2}"))?;
    let resumed = player.play(None)?;
    let start = span(&resumed)?.start;
    ensure((start - 3.0).abs() < 0.6, || format!("paused at 3 s, it goes on at {start}"))?;
    player.await_packets(&resumed.reply, 3)
}

fn point_outside(lab: &Lab<'_>, kind: Kind) -> Verdict {
    let (mut player, played) = begun_at(lab, kind, Some("npt=1-6"), 5)?;
    let reply = player.ask("PAUSE", &[("Range", "npt=12-")])?;
    reply.unless_lacking("PAUSE at a point", &[200, 501, 405, 456])?;
    reply.expect(457)?;
    player.await_packets(&reply, 5)?;
    player.ensure_in_sequence(&played.reply)
}

/// "If the request URL names a stream, only playback of that stream is halted".
fn stream_url(lab: &Lab<'_>) -> Verdict {
    let (mut player, _) = begun(lab, super::plainest(lab), 5)?;
    if player.media.len() < 2 {
        return skip("the title has one stream");
    }
    let url = player.media[1].control_url.clone();
    let reply = player.ask_for(&url, "PAUSE", &[])?;
    reply.unless_lacking("PAUSE", &[501, 405])?;
    reply.expect_one_of(&[200, 460])?;
    player.listen(Duration::from_millis(800))?;
    let [first, second] = [0, 1].map(|stream| player.rtp_since(stream, &reply).len());
    if reply.status == 460 {
        return ensure(first > 0 && second > 0, || "after 460 a stream fell silent".into());
    }
    ensure(second == 0, || format!("{second} packets of the stream came after it was halted"))?;
    ensure(first > 0, || "PAUSE of one stream was granted and halted both".into())
}
