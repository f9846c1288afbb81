//! OPTIONS, and methods that a server has not (RFC 2326 §10, §10.1).

use super::super::check::{Check, Verdict, ensure, not_supported, skip};
use super::super::lab::Lab;
use super::plainest;

pub(super) fn checks() -> Vec<Check> {
    let mut checks = vec![
        Check::new("methods.options-url", "RFC 2326 §10.1", |lab| {
            lab.client()?.ask("OPTIONS", lab.url(), &[])?.expect(200).map(drop)
        }),
        Check::new("methods.options-asterisk", "RFC 2326 §10.1", |lab| {
            lab.client()?.ask("OPTIONS", "*", &[])?.expect(200).map(drop)
        }),
        Check::new("methods.options-public", "interop 4.0.11; RFC 2326 §12.28", |lab| {
            let reply = lab.client()?.ask("OPTIONS", lab.url(), &[])?;
            ensure(reply.header("Public").is_some(), || "OPTIONS came without Public".into())
        }),
        Check::new("methods.options-public-asterisk", "interop 4.0.11; RFC 2326 §12.28", |lab| {
            let reply = lab.client()?.ask("OPTIONS", "*", &[])?;
            ensure(reply.header("Public").is_some(), || "OPTIONS * came without Public".into())
        }),
        Check::new("methods.public-required", "RFC 2326 §10 Table 2", |lab| {
            let missing: Vec<_> =
                REQUIRED.iter().filter(|method| !lab.lists(method)).copied().collect();
            ensure(missing.is_empty(), || format!("Public lacks {}", missing.join(", ")))
        }),
        Check::new("methods.options-changes-nothing", "RFC 2326 §10.1", options_change_nothing)
            .takes(1),
        Check::new("methods.options-repeated", "RFC 2326 §10.1", |lab| {
            let mut client = lab.client()?;
            (0..20).try_for_each(|_| client.ask("OPTIONS", lab.url(), &[])?.expect(200).map(drop))
        }),
        Check::new("methods.unknown-leaves-connection", "RFC 2326 §10", |lab| {
            let mut client = lab.client()?;
            client.ask("FROBNICATE", lab.url(), &[])?.expect_refusal()?;
            client.ask("OPTIONS", lab.url(), &[])?.expect(200).map(drop)
        }),
        Check::new("methods.unknown-with-body", "RFC 2326 §8, §12.14", |lab| {
            let mut client = lab.client()?;
            let body = b"OPTIONS * RTSP/1.0\r\nCSeq: 999\r\n\r\n";
            client.ask_with_body("FROBNICATE", lab.url(), &[], body)?.expect_refusal()?;
            client.ask("OPTIONS", lab.url(), &[])?.expect(200).map(drop)
        }),
    ];
    for method in LISTED {
        let name = format!("methods.public-agrees.{method}");
        checks.push(Check::new(name, "RFC 2326 §10, §12.28", move |lab| {
            public_agrees(lab, method)
        }));
    }
    // Methods are case-sensitive, so these are none that any server has.
    for method in ["FROBNICATE", "options", "Describe", "PLAYS", "OPTION", "X-play.it_now!"] {
        let name = format!("methods.unknown.{method}");
        checks.push(Check::new(name, "RFC 2326 §10 (notes on Table 2)", move |lab| {
            lab.client()?.ask(method, lab.url(), &[])?.expect(501).map(drop)
        }));
    }
    for method in ["ANNOUNCE", "RECORD", "REDIRECT"] {
        let name = format!("methods.not-here.{method}");
        checks.push(Check::new(name, "RFC 2326 §10, §11.3.1", move |lab| not_here(lab, method)));
    }
    checks
}

const REQUIRED: [&str; 4] = ["OPTIONS", "SETUP", "PLAY", "TEARDOWN"];

const LISTED: [&str; 8] =
    ["OPTIONS", "DESCRIBE", "SETUP", "PLAY", "PAUSE", "TEARDOWN", "GET_PARAMETER", "SET_PARAMETER"];

/// What Public lists is not answered "not implemented", and the other way round.
fn public_agrees(lab: &Lab<'_>, method: &str) -> Verdict {
    let reply = lab.client()?.ask(method, lab.url(), &[("Session", "reelringconform")])?;
    let is_lacking = matches!(reply.status, 501 | 405);
    ensure(lab.lists(method) != is_lacking, || {
        let lists = if lab.lists(method) { "lists" } else { "does not list" };
        format!("Public {lists} {method}, which is answered {}", reply.line())
    })
}

/// A method that a server of recordings has no use for.
fn not_here(lab: &Lab<'_>, method: &str) -> Verdict {
    if lab.lists(method) {
        return skip(format!("Public lists {method}"));
    }
    let mut client = lab.client()?;
    let reply = client.ask(method, lab.url(), &[])?;
    reply.expect_one_of(&[501, 405])?;
    if reply.status == 405 {
        ensure(reply.header("Allow").is_some(), || "405 came without Allow, a MUST".into())?;
    }
    client.ask("OPTIONS", lab.url(), &[])?.expect(200).map(drop)
}

fn options_change_nothing(lab: &Lab<'_>) -> Verdict {
    let mut player = lab.player(plainest(lab))?;
    player.ask("OPTIONS", &[])?.expect(200)?;
    let played = player.play(None)?;
    player.await_packets(&played.reply, 5)?;
    let options = player.ask("OPTIONS", &[])?;
    options.expect(200)?;
    player.await_packets(&options, 5)?;
    player.ensure_in_sequence(&played.reply)?;
    if !player.tear_down()?.is_ok() {
        return not_supported("TEARDOWN");
    }
    Ok(())
}
