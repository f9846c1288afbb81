//! Sessions: who knows the identifier controls one, from any connection (RFC 2326 §12.37, §1.3).

use super::super::check::{Check, Verdict, ensure, not_supported, skip};
use super::super::client::Client;
use super::super::lab::Lab;
use super::super::media::Kind;
use super::plainest;
use std::time::Duration;

pub(super) fn checks() -> Vec<Check> {
    let mut checks = Vec::new();
    for method in ["PLAY", "PAUSE", "TEARDOWN", "GET_PARAMETER", "SET_PARAMETER"] {
        for (name, id) in INVALID {
            checks.push(Check::new(
                format!("session.invalid.{method}.{name}"),
                "RFC 2326 §11.3.5, §12.37",
                move |lab| invalid(lab, method, id),
            ));
        }
    }
    for method in ["PLAY", "PAUSE", "TEARDOWN"] {
        checks.push(Check::new(
            format!("session.missing.{method}"),
            "RFC 2326 §11.3.5 (\"missing, invalid, or has timed out\")",
            move |lab| {
                let reply = lab.client()?.ask(method, lab.url(), &[])?;
                reply.unless_lacking(method, &[501, 405])?;
                reply.expect_one_of(&[454, 455, 400]).map(drop)
            },
        ));
    }
    checks.extend([
        Check::new("session.other-letters", "RFC 2326 §3.4 (opaque)", |lab| {
            let mut player = lab.player(plainest(lab))?;
            let swap = |letter: char| match letter {
                'a'..='z' => letter.to_ascii_uppercase(),
                _ => letter.to_ascii_lowercase(),
            };
            let other: String = player.session.chars().map(swap).collect();
            if other == player.session {
                return skip("the identifier has no letters");
            }
            let url = player.aggregate.clone();
            player.client.ask("PLAY", &url, &[("Session", &other)])?.expect(454).map(drop)
        }),
        Check::new("session.prefix", "RFC 2326 §3.4 (opaque)", |lab| {
            let mut player = lab.player(plainest(lab))?;
            let half = player.session[..player.session.len() / 2].to_owned();
            let url = player.aggregate.clone();
            player.client.ask("PLAY", &url, &[("Session", &half)])?.expect(454).map(drop)
        }),
        Check::new("session.other-connection", "RFC 2326 §12.37", other_connection).takes(2),
        Check::new("session.survives-connection", "RFC 2326 §12.37, §1.3", survives).takes(3),
        Check::new("session.two-on-a-connection", "RFC 2326 §12.37", two_on_a_connection).takes(2),
        Check::new("session.in-reply.PLAY", "RFC 2326 §12.37 Table 3", |lab| {
            in_reply(lab, "PLAY")
        }),
        Check::new("session.in-reply.PAUSE", "RFC 2326 §12.37 Table 3", |lab| {
            in_reply(lab, "PAUSE")
        }),
    ]);
    checks
}

const INVALID: [(&str, &str); 4] = [
    ("unknown", "reelringconform"),
    ("short", "1"),
    ("blanks", "no such session"),
    ("strange", "%n%s../'\"<>"),
];

fn invalid(lab: &Lab<'_>, method: &str, id: &str) -> Verdict {
    let reply = lab.client()?.ask(method, lab.url(), &[("Session", id)])?;
    reply.unless_lacking(method, &[501, 405])?;
    // What is no identifier by the grammar may be a bad request.
    let is_id = !id.contains(' ') && !id.contains('%');
    reply.expect_one_of(if is_id { &[454] } else { &[454, 400] }).map(drop)
}

/// Control from a second connection while the first is open.
fn other_connection(lab: &Lab<'_>) -> Verdict {
    let mut player = lab.player(Kind::Udp)?;
    let mut other = lab.client()?;
    let headers = [("Session", player.session.clone())];
    let headers: Vec<_> = headers.iter().map(|(name, id)| (*name, id.as_str())).collect();
    let url = player.aggregate.clone();
    other.ask("PLAY", &url, &headers)?.expect(200)?;
    let came = player.client.wait(Duration::from_secs(3), |client| client.packets.len() > 10)?;
    ensure(came, || "PLAY by another connection was granted, and nothing came".into())?;
    other.ask("TEARDOWN", &url, &headers)?.expect(200)?;
    player.ask("PLAY", &[])?.expect(454).map(drop)
}

/// The connection goes, the session stays.
fn survives(lab: &Lab<'_>) -> Verdict {
    let mut player = lab.player(Kind::Udp)?;
    let played = player.play(None)?;
    player.await_packets(&played.reply, 5)?;
    player.client.vanish();
    player.listen(Duration::from_millis(500))?;
    let mut other = Client::connect(lab)?;
    let url = player.aggregate.clone();
    let headers = [("Session", player.session.as_str())];
    let reply = other.ask("PAUSE", &url, &headers)?;
    if matches!(reply.status, 454 | 404) {
        return not_supported("the session ended with its connection");
    }
    reply.expect_one_of(&[200, 501])?;
    other.ask("PLAY", &url, &headers)?.expect(200)?;
    let before = player.client.packets.len();
    let came =
        player.client.wait(Duration::from_secs(3), |client| client.packets.len() > before + 10)?;
    ensure(came, || "PLAY by a new connection was granted, and nothing came".into())?;
    other.ask("TEARDOWN", &url, &headers)?.expect(200).map(drop)
}

/// Two sessions by one connection do not know of each other.
fn two_on_a_connection(lab: &Lab<'_>) -> Verdict {
    let mut player = lab.player(Kind::Udp)?;
    let first = player.play(None)?;
    let url = player.media[0].control_url.clone();
    let transport = ("Transport", "RTP/AVP/TCP;unicast;interleaved=20-21");
    let reply = player.client.ask("SETUP", &url, &[transport])?;
    reply.unless_lacking("a second session on the connection", &[455, 459, 461])?;
    reply.expect(200)?;
    let id = reply.header("Session").unwrap_or_default();
    let id = id.split(';').next().unwrap_or_default().trim().to_owned();
    ensure(id != player.session, || "SETUP without Session gave the same session".into())?;
    let aggregate = player.aggregate.clone();
    player.client.ask("TEARDOWN", &aggregate, &[("Session", &id)])?.expect(200)?;
    let count = player.client.packets.len();
    let came =
        player.client.wait(Duration::from_secs(3), |client| client.packets.len() > count + 9)?;
    ensure(came, || "TEARDOWN of the second session silenced the first".into())?;
    player.ensure_in_sequence(&first.reply)
}

fn in_reply(lab: &Lab<'_>, method: &str) -> Verdict {
    let mut player = lab.player(plainest(lab))?;
    let mut reply = player.play(None)?.reply;
    if method == "PAUSE" {
        reply = player.pause()?;
    }
    let id = reply.header("Session").map(|text| text.split(';').next().unwrap_or_default().trim());
    ensure(id == Some(player.session.as_str()), || {
        format!("{method} in session {} was answered with Session {id:?}", player.session)
    })
}
