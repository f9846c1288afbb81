//! TEARDOWN (RFC 2326 §10.7).

use super::super::check::{Check, Verdict, ensure, skip};
use super::super::lab::Lab;
use super::super::media::Kind;
use super::super::player::Player;
use super::over;
use super::play::begun;
use std::time::Duration;

pub(super) fn checks(kinds: &[Kind]) -> Vec<Check> {
    let rules: [(&str, &str, u32, super::RunOver); 6] = [
        ("while-playing", "RFC 2326 §10.7", 1, silence_follows),
        ("in-ready", "RFC 2326 §10.7, App. A.2", 0, |lab, kind| {
            lab.player(kind)?.tear_down().map(drop)
        }),
        ("paused", "RFC 2326 §10.7, App. A.2", 0, |lab, kind| {
            let (mut player, _) = begun(lab, kind, 3)?;
            player.pause()?;
            player.tear_down().map(drop)
        }),
        ("session-is-gone", "RFC 2326 §10.7, §11.3.5", 1, session_is_gone),
        ("connection-goes-on", "RFC 2326 §9", 1, connection_goes_on),
        ("again-and-again", "RFC 2326 §10.7", 2, again_and_again),
    ];
    let mut checks: Vec<Check> = rules
        .into_iter()
        .flat_map(|(name, cites, seconds, run)| over(kinds, "teardown", name, cites, seconds, run))
        .collect();
    checks.push(Check::new("teardown.stream-url", "RFC 2326 §10.7", stream_url).takes(1));
    checks.push(Check::new("teardown.pipelined", "RFC 2326 §9.1", pipelined));
    checks
}

fn silence_follows(lab: &Lab<'_>, kind: Kind) -> Verdict {
    let (mut player, _) = begun(lab, kind, 10)?;
    let reply = player.tear_down()?;
    player.listen(Duration::from_millis(800))?;
    let end = reply.at + Duration::from_millis(if kind.is_interleaved() { 0 } else { 100 });
    let late = (0..player.media.len())
        .flat_map(|stream| player.rtp_since(stream, &reply))
        .filter(|packet| kind.is_interleaved() || packet.at > end)
        .count();
    ensure(late == 0, || format!("{late} packets came after the session had ended"))
}

/// "Any RTSP session identifier associated with the session is no longer valid".
fn session_is_gone(lab: &Lab<'_>, kind: Kind) -> Verdict {
    let mut player = lab.player(kind)?;
    player.tear_down()?;
    for method in ["PLAY", "PAUSE", "TEARDOWN"] {
        // A server may close the connection with the session.
        if player.client.wait(Duration::from_millis(50), |client| client.is_closed)? {
            player.client = lab.client()?;
        }
        let reply = player.ask(method, &[])?;
        reply.expect_one_of(&[454, 501]).map(drop)?;
    }
    Ok(())
}

fn connection_goes_on(lab: &Lab<'_>, kind: Kind) -> Verdict {
    let (mut player, _) = begun(lab, kind, 5)?;
    player.tear_down()?;
    player.client.ask("OPTIONS", lab.url(), &[])?.expect(200).map(drop)
}

/// Sessions one after the other by one connection.
fn again_and_again(lab: &Lab<'_>, kind: Kind) -> Verdict {
    let (mut player, _) = begun(lab, kind, 5)?;
    let mut ids = vec![player.session.clone()];
    for _ in 0..3 {
        player.tear_down()?;
        let Player { mut client, .. } = player;
        client.routes.clear();
        client.packets.clear();
        player = Player::open_by(lab, client, kind)?;
        let played = player.play(None)?;
        player.await_packets(&played.reply, 5)?;
        ids.push(player.session.clone());
    }
    ids.sort();
    ids.dedup();
    ensure(ids.len() == 4, || "a session identifier was used twice".into())
}

/// One stream ends, the other goes on; or it is refused.
fn stream_url(lab: &Lab<'_>) -> Verdict {
    let (mut player, _) = begun(lab, super::plainest(lab), 5)?;
    if player.media.len() < 2 {
        return skip("the title has one stream");
    }
    let url = player.media[1].control_url.clone();
    let reply = player.ask_for(&url, "TEARDOWN", &[])?;
    reply.expect_one_of(&[200, 460, 455])?;
    player.listen(Duration::from_millis(800))?;
    let [first, second] = [0, 1].map(|stream| player.rtp_since(stream, &reply).len());
    if reply.status != 200 {
        return ensure(first > 0 && second > 0, || {
            format!("after {} a stream fell silent", reply.line())
        });
    }
    ensure(first > 0 && second == 0, || {
        format!("after its TEARDOWN {second} packets of the stream came, of the other {first}")
    })
}

fn pipelined(lab: &Lab<'_>) -> Verdict {
    let mut player = lab.player(super::plainest(lab))?;
    let (url, session) = (player.aggregate.clone(), player.session.clone());
    let headers = [("Session", session.as_str())];
    let requests: Vec<u8> = ["PLAY", "TEARDOWN", "OPTIONS"]
        .iter()
        .flat_map(|method| {
            let headers: &[_] = if *method == "OPTIONS" { &[] } else { &headers };
            player.client.write(method, &url, headers, b"")
        })
        .collect();
    player.client.send(&requests)?;
    for _ in 0..3 {
        player.client.reply()?.expect(200)?;
    }
    Ok(())
}
