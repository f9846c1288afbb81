//! GET_PARAMETER and SET_PARAMETER (RFC 2326 §10.8, §10.9).

use super::super::check::{Check, Stop, Verdict, ensure, not_supported};
use super::super::lab::Lab;
use super::super::message::Reply;
use super::super::player::Player;
use super::plainest;
use super::play::begun;
use crate::packet::{Reception, write_receiver_report};
use std::time::Duration;

const TEXT: (&str, &str) = ("Content-Type", "text/parameters");

pub(super) fn checks() -> Vec<Check> {
    let mut checks = Vec::new();
    for method in ["GET_PARAMETER", "SET_PARAMETER"] {
        checks.push(Check::new(
            format!("parameters.{method}.empty"),
            "RFC 2326 §10.8 (ping); interop 4.3, 4.5",
            move |lab| in_session(lab, method, &[], b"")?.0.expect(200).map(drop),
        ));
        checks.push(Check::new(
            format!("parameters.{method}.empty-with-length"),
            "RFC 2326 §10.8, §12.14",
            move |lab| {
                in_session(lab, method, &[("Content-Length", "0")], b"")?.0.expect(200).map(drop)
            },
        ));
        checks.push(Check::new(
            format!("parameters.{method}.empty-while-playing"),
            "RFC 2326 §10.8; interop 4.1, 4.2",
            move |lab| while_playing(lab, method),
        ));
        checks.push(Check::new(
            format!("parameters.{method}.unknown"),
            "RFC 2326 §10.8, §10.9, §11.3.2",
            move |lab| unknown(lab, method),
        ));
        checks.push(Check::new(
            format!("parameters.{method}.other-type"),
            "RFC 2326 §7.1.1 (415)",
            move |lab| {
                let headers = [("Content-Type", "application/x-frob")];
                let reply = in_session(lab, method, &headers, b"\x01\x02\x03")?.0;
                reply.expect_one_of(&[415, 451, 400]).map(drop)
            },
        ));
        checks.push(Check::new(
            format!("parameters.{method}.body-is-skipped"),
            "RFC 2326 §12.14",
            move |lab| {
                let body = b"OPTIONS * RTSP/1.0\r\nCSeq: 999\r\n\r\n";
                let (_, mut player) = in_session(lab, method, &[TEXT], body)?;
                player.client.ask("OPTIONS", lab.url(), &[])?.expect(200).map(drop)
            },
        ));
        checks.push(Check::new(
            format!("parameters.{method}.big-body"),
            "RFC 2326 §7.1.1 (413), RFC 2068 §10.4.14",
            move |lab| big_body(lab, method),
        ));
    }
    checks.extend(real_parameters());
    checks
}

/// Parameters that there are, and ones that there are not.
fn real_parameters() -> Vec<Check> {
    let mut checks = Vec::new();
    for name in ["position", "packets_received", "jitter"] {
        checks.push(Check::new(
            format!("parameters.get.{name}"),
            "RFC 2326 §10.8 (example)",
            move |lab| get(lab, name),
        ));
    }
    checks.push(Check::new("parameters.get.two", "RFC 2326 §10.8 (example)", |lab| {
        let reply = in_session(lab, "GET_PARAMETER", &[TEXT], b"packets_received\r\njitter\r\n")?.0;
        reply.unless_lacking("the parameters of the RFC's example", &[451])?;
        reply.expect(200)?;
        let body = String::from_utf8_lossy(&reply.body).into_owned();
        ensure(body.contains("packets_received:") && body.contains("jitter:"), || body.clone())
    }));
    checks.push(Check::new("parameters.get.one-unknown", "RFC 2326 §11.3.2", |lab| {
        let body = b"packets_received\r\nfrobs_per_fortnight\r\n";
        let reply = in_session(lab, "GET_PARAMETER", &[TEXT], body)?.0;
        reply.expect(451)?;
        names(&reply, "frobs_per_fortnight")
    }));
    checks.push(Check::new("parameters.set.all-or-none", "RFC 2326 §10.9", |lab| {
        let body = b"frob: 1\r\nfrobs_per_fortnight: 2\r\n";
        in_session(lab, "SET_PARAMETER", &[TEXT], body)?.0.expect_one_of(&[451, 458]).map(drop)
    }));
    checks.push(Check::new("parameters.set.read-only", "RFC 2326 §11.3.9", |lab| {
        let reply = in_session(lab, "SET_PARAMETER", &[TEXT], b"packets_received: 3\r\n")?.0;
        reply.unless_lacking("packets_received", &[451])?;
        reply.expect(458).map(drop)
    }));
    checks
}

/// The reply to a request in a fresh session.
fn in_session(
    lab: &Lab<'_>,
    method: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Result<(Reply, Player), Stop> {
    let mut player = lab.player(plainest(lab))?;
    let reply = ask(&mut player, method, headers, body)?;
    Ok((reply, player))
}

fn ask(
    player: &mut Player,
    method: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Result<Reply, Stop> {
    let (url, session) = (player.aggregate.clone(), player.session.clone());
    let all = [&[("Session", session.as_str())], headers].concat();
    let reply = player.client.ask_with_body(method, &url, &all, body)?;
    reply.unless_lacking(method, &[501, 405])?;
    Ok(reply)
}

fn while_playing(lab: &Lab<'_>, method: &str) -> Verdict {
    let (mut player, played) = begun(lab, plainest(lab), 5)?;
    for _ in 0..3 {
        let reply = ask(&mut player, method, &[], b"")?;
        reply.expect(200)?;
        player.await_packets(&reply, 3)?;
    }
    player.ensure_in_sequence(&played.reply)
}

fn unknown(lab: &Lab<'_>, method: &str) -> Verdict {
    let body: &[u8] = if method == "GET_PARAMETER" {
        b"frobs_per_fortnight\r\n"
    } else {
        b"frobs_per_fortnight: 7\r\n"
    };
    let reply = in_session(lab, method, &[TEXT], body)?.0;
    reply.expect(451)?;
    names(&reply, "frobs_per_fortnight")
}

/// The body of 451 names the parameter, as the RFC's example does.
fn names(reply: &Reply, parameter: &str) -> Verdict {
    let body = String::from_utf8_lossy(&reply.body);
    if body.contains(parameter) {
        return Ok(());
    }
    not_supported(format!("451 does not name the parameter: {body:?}"))
}

fn get(lab: &Lab<'_>, name: &str) -> Verdict {
    let (mut player, _) = begun(lab, plainest(lab), 10)?;
    tell_of_reception(&mut player)?;
    let reply = ask(&mut player, "GET_PARAMETER", &[TEXT], format!("{name}\r\n").as_bytes())?;
    reply.unless_lacking(name, &[451])?;
    reply.expect(200)?;
    let body = String::from_utf8_lossy(&reply.body).into_owned();
    let value = body.trim().strip_prefix(name).and_then(|rest| rest.trim().strip_prefix(':'));
    ensure(value.is_some_and(|value| !value.trim().is_empty()), || format!("{name}: {body:?}"))
}

/// What the server can know of the viewer's side, it knows by his reports.
fn tell_of_reception(player: &mut Player) -> Result<(), Stop> {
    for stream in 0..player.media.len() {
        let last = player.rtp(stream).last().and_then(|packet| packet.rtp());
        let reception = last.map(|rtp| Reception {
            source: rtp.ssrc,
            lost: 0,
            highest_sequence: u32::from(rtp.sequence),
            jitter: 7,
        });
        player.report(stream, &write_receiver_report(4711, reception, false))?;
    }
    player.listen(Duration::from_millis(200))
}

/// Taken, or refused; then the connection goes on or ends, and others are served.
fn big_body(lab: &Lab<'_>, method: &str) -> Verdict {
    let mut player = lab.player(plainest(lab))?;
    let body = vec![b'x'; 100_000];
    let (url, session) = (player.aggregate.clone(), player.session.clone());
    let request = player.client.write(method, &url, &[("Session", &session), TEXT], &body);
    // The server may hang up while this is sent.
    let is_sent = player.client.send(&request).is_ok();
    if is_sent && let Some(reply) = player.client.reply_or_close()? {
        reply.expect_refusal()?;
    }
    lab.client()?.ask("OPTIONS", lab.url(), &[])?.expect(200).map(drop)
}
