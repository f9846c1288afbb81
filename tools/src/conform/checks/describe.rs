//! DESCRIBE (RFC 2326 §10.2, §12.1, §12.11, §12.23).

use super::super::check::{Check, Stop, Verdict, ensure, not_supported};
use super::super::lab::Lab;
use super::super::message::Reply;
use super::plainest;

pub(super) fn checks() -> Vec<Check> {
    let mut checks = Vec::new();
    for (name, accept) in ACCEPTED {
        checks.push(Check::new(format!("describe.accept.{name}"), "RFC 2326 §12.1", move |lab| {
            let reply = lab.client()?.ask("DESCRIBE", lab.url(), &[("Accept", accept)])?;
            reply.expect(200)?;
            is_sdp(&reply)
        }));
    }
    for (name, accept) in
        [("text", "text/plain"), ("rtsl", "application/rtsl"), ("refused", "application/sdp;q=0")]
    {
        checks.push(Check::new(
            format!("describe.not-acceptable.{name}"),
            "RFC 2326 §12.1, RFC 2068 §14.1, §10.4.7",
            move |lab| not_acceptable(lab, accept),
        ));
    }
    checks.extend([
        Check::new("describe.plain", "RFC 2326 §10.2", |lab| {
            let reply = lab.client()?.ask("DESCRIBE", lab.url(), &[])?;
            reply.expect(200)?;
            is_sdp(&reply)
        }),
        Check::new("describe.content-length", "RFC 2326 §12.14", |lab| {
            let mut client = lab.client()?;
            let reply = client.ask("DESCRIBE", lab.url(), &[])?;
            ensure(reply.header("Content-Length").is_some(), || "no Content-Length".into())?;
            // What follows is a reply again, so the length was right.
            client.ask("OPTIONS", lab.url(), &[])?.expect(200).map(drop)
        }),
        Check::new("describe.unknown", "RFC 2326 §7.1.1 (404)", |lab| {
            let url = format!("{}.nothing-there", lab.url());
            lab.client()?.ask("DESCRIBE", &url, &[])?.expect(404).map(drop)
        }),
        Check::new("describe.repeatable", "RFC 8866 §5.2", |lab| {
            let mut client = lab.client()?;
            let mut origin = || {
                let reply = client.ask("DESCRIBE", lab.url(), &[])?;
                let body = String::from_utf8_lossy(&reply.body).into_owned();
                Ok::<_, Stop>(
                    body.lines().filter(|line| !line.starts_with("o=")).collect::<String>(),
                )
            };
            let (first, second) = (origin()?, origin()?);
            ensure(first == second, || "two descriptions of one file differ".into())
        }),
        Check::new("describe.content-base", "RFC 2326 App. C.1.1; interop 4.0.8", content_base),
        Check::new("describe.if-modified-since", "RFC 2326 §12.23", if_modified_since),
        Check::new("describe.if-modified-since-long-ago", "RFC 2326 §12.23", |lab| {
            let since = ("If-Modified-Since", "Thu, 01 Jan 1970 00:00:01 GMT");
            lab.client()?.ask("DESCRIBE", lab.url(), &[since])?.expect(200).map(drop)
        }),
        Check::new("describe.if-modified-since-broken", "RFC 2068 §14.24", |lab| {
            let since = ("If-Modified-Since", "the other day");
            lab.client()?.ask("DESCRIBE", lab.url(), &[since])?.expect(200).map(drop)
        }),
        Check::new("describe.while-playing", "RFC 2326 §10.2, App. A", while_playing).takes(1),
        Check::new("describe.no-session-made", "RFC 2326 §12.37", |lab| {
            let reply = lab.client()?.ask("DESCRIBE", lab.url(), &[])?;
            ensure(reply.header("Session").is_none(), || "DESCRIBE gave a session".into())
        }),
        Check::new("describe.other-connection", "RFC 2326 §9", |lab| {
            (0..5).try_for_each(|_| {
                lab.client()?.ask("DESCRIBE", lab.url(), &[])?.expect(200).map(drop)
            })
        }),
    ]);
    checks
}

const ACCEPTED: [(&str, &str); 7] = [
    ("sdp", "application/sdp"),
    ("list", "application/sdp, application/rtsl, application/mheg"),
    ("list-last", "application/rtsl;q=0.9,application/sdp;q=0.1"),
    ("any", "*/*"),
    ("any-application", "application/*"),
    ("upper-case", "Application/SDP"),
    ("level", "application/sdp;level=2"),
];

fn is_sdp(reply: &Reply) -> Verdict {
    let content_type = reply.header("Content-Type").unwrap_or_default();
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    ensure(media_type.eq_ignore_ascii_case("application/sdp"), || {
        format!("Content-Type: {content_type:?}")
    })?;
    ensure(reply.body.starts_with(b"v=0"), || "the body does not begin with v=0".into())
}

/// "The server SHOULD send 406".
fn not_acceptable(lab: &Lab<'_>, accept: &str) -> Verdict {
    let reply = lab.client()?.ask("DESCRIBE", lab.url(), &[("Accept", accept)])?;
    if reply.status == 200 {
        return not_supported(format!("Accept: {accept} is passed over, against a SHOULD"));
    }
    reply.expect(406).map(drop)
}

/// Where control URLs are relative, they must lead somewhere: what a client makes of them is what
/// SETUP takes.
fn content_base(lab: &Lab<'_>) -> Verdict {
    let mut client = lab.client()?;
    let reply = client.ask("DESCRIBE", lab.url(), &[])?;
    if let Some(base) = reply.header("Content-Base") {
        ensure(base.starts_with("rtsp://"), || format!("Content-Base: {base}"))?;
        ensure(base.ends_with('/'), || {
            format!("Content-Base: {base}, without a slash at its end, leads relative URLs astray")
        })?;
    }
    for media in lab.media() {
        let offer = ("Transport", "RTP/AVP/TCP;unicast;interleaved=0-1");
        let reply = lab.client()?.ask("SETUP", &media.control_url, &[offer])?;
        reply.expect_one_of(&[200, 461])?;
    }
    Ok(())
}

fn if_modified_since(lab: &Lab<'_>) -> Verdict {
    let mut client = lab.client()?;
    let reply = client.ask("DESCRIBE", lab.url(), &[])?;
    let Some(modified) = reply.header("Last-Modified") else {
        return not_supported("no Last-Modified, which is optional");
    };
    let reply = client.ask("DESCRIBE", lab.url(), &[("If-Modified-Since", modified)])?;
    reply.expect(304)?;
    ensure(reply.body.is_empty(), || "304 came with a body".into())?;
    client.ask("OPTIONS", lab.url(), &[])?.expect(200).map(drop)
}

fn while_playing(lab: &Lab<'_>) -> Verdict {
    let mut player = lab.player(plainest(lab))?;
    let played = player.play(None)?;
    player.await_packets(&played.reply, 3)?;
    let reply = player.client.ask("DESCRIBE", lab.url(), &[])?;
    reply.expect(200)?;
    player.await_packets(&reply, 5)?;
    player.ensure_in_sequence(&played.reply)
}
