//! Require and Proxy-Require (RFC 2326 §12.27, §12.32, §12.40).

use super::super::check::{Check, Verdict, ensure};
use super::super::lab::Lab;
use super::plainest;
use super::play::begun;

pub(super) fn checks() -> Vec<Check> {
    let mut checks = Vec::new();
    for header in ["Require", "Proxy-Require"] {
        for method in ["OPTIONS", "DESCRIBE", "SETUP", "PLAY", "PAUSE", "GET_PARAMETER", "TEARDOWN"]
        {
            checks.push(Check::new(
                format!("require.{header}.{method}"),
                "RFC 2326 §12.32, §12.27, §11.3.14",
                move |lab| refused(lab, header, method),
            ));
        }
    }
    checks.push(Check::new("require.all-named", "RFC 2326 §12.32", |lab| {
        let tags = "org.example.one, org.example.two";
        let reply = lab.client()?.ask("OPTIONS", lab.url(), &[("Require", tags)])?;
        reply.expect(551)?;
        let unsupported = reply.header("Unsupported").unwrap_or_default();
        ensure(
            unsupported.contains("org.example.one") && unsupported.contains("org.example.two"),
            || format!("Unsupported: {unsupported:?}, of {tags}"),
        )
    }));
    checks.push(Check::new("require.two-headers", "RFC 2326 §12.32, RFC 2068 §4.2", |lab| {
        let headers = [("Require", "org.example.one"), ("Require", "org.example.two")];
        let reply = lab.client()?.ask("OPTIONS", lab.url(), &headers)?;
        reply.expect(551)?;
        let all: String = reply
            .headers
            .iter()
            .filter(|(name, _)| name.eq_ignore_ascii_case("Unsupported"))
            .map(|(_, value)| value.as_str())
            .collect();
        ensure(all.contains("org.example.one") && all.contains("org.example.two"), || {
            format!("Unsupported: {all:?}")
        })
    }));
    checks.push(Check::new(
        "require.changes-nothing",
        "RFC 2326 §12.32, App. A.2",
        changes_nothing,
    ));
    checks
}

fn refused(lab: &Lab<'_>, header: &str, method: &str) -> Verdict {
    const TAG: &str = "org.example.frobnication";
    let mut client = lab.client()?;
    let transport = ("Transport", "RTP/AVP/TCP;unicast;interleaved=0-1");
    let url = if method == "SETUP" { lab.stream_url(0) } else { lab.url() };
    let reply = match method {
        "SETUP" => client.ask(method, url, &[(header, TAG), transport])?,
        "PAUSE" => begun(lab, plainest(lab), 1)?.0.ask(method, &[(header, TAG)])?,
        "PLAY" | "TEARDOWN" => lab.player(plainest(lab))?.ask(method, &[(header, TAG)])?,
        _ => client.ask(method, url, &[(header, TAG)])?,
    };
    reply.unless_lacking(method, &[501, 405])?;
    if header == "Proxy-Require" {
        // "Servers should treat this field identically to the Require field."
        reply.unless_lacking("Proxy-Require is passed over, against a should", &[200])?;
    }
    reply.expect(551)?;
    let unsupported = reply.header("Unsupported").unwrap_or_default();
    ensure(unsupported.contains(TAG), || format!("Unsupported: {unsupported:?}, not {TAG}"))
}

fn changes_nothing(lab: &Lab<'_>) -> Verdict {
    let mut player = lab.player(plainest(lab))?;
    let played = player.play(None)?;
    player.await_packets(&played.reply, 3)?;
    let refused = player.ask("TEARDOWN", &[("Require", "org.example.frob")])?;
    refused.expect(551)?;
    player.await_packets(&refused, 5)?;
    player.ensure_in_sequence(&played.reply)
}
