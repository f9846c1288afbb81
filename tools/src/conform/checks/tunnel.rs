//! RTSP over HTTP: QuickTime's two connections (interop 4.4, 4.1, 4.2).

use super::super::check::{Check, Stop, Verdict, ensure, fail, not_supported, skip};
use super::super::client::Client;
use super::super::lab::Lab;
use super::super::link::Link;
use super::super::media::Kind;
use super::super::tunnel::{get_request, new_cookie, open, open_half, post};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::io::Write as _;
use std::time::Duration;

pub(super) fn checks(kinds: &[Kind]) -> Vec<Check> {
    if !kinds.contains(&Kind::Http) {
        return Vec::new();
    }
    [message_checks(), half_checks()].into_iter().flatten().collect()
}

fn check(name: &str, run: fn(&Lab<'_>) -> Verdict) -> Check {
    Check::new(format!("tunnel.{name}"), "interop 4.4 (QuickTime), 4.1 (FFmpeg)", run)
}

/// What goes through the tunnel.
fn message_checks() -> Vec<Check> {
    vec![
        check("get-reply", get_reply),
        check("get-reply-http-1.1", |lab| {
            open_half(lab, lab.source, &new_cookie(lab), "HTTP/1.1").map(drop)
        }),
        check("options", |lab| {
            open(lab, lab.source)?.ask("OPTIONS", lab.url(), &[])?.expect(200).map(drop)
        }),
        check("describe", |lab| {
            let mut client = open(lab, lab.source)?;
            let accept = ("Accept", "application/sdp");
            client.ask("DESCRIBE", lab.url(), &[accept])?.expect(200).map(drop)
        }),
        check("many-requests", |lab| {
            let mut client = open(lab, lab.source)?;
            (0..30).try_for_each(|_| client.ask("OPTIONS", lab.url(), &[])?.expect(200).map(drop))
        }),
        check("split-at-every-byte", split_at_every_byte).takes(1),
        check("two-messages-in-one-piece", |lab| {
            let mut client = open(lab, lab.source)?;
            let both = [
                client.write("OPTIONS", lab.url(), &[], b""),
                client.write("DESCRIBE", lab.url(), &[], b""),
            ];
            client.send(&both.concat())?;
            client.reply()?.expect(200)?;
            client.reply()?.expect(200).map(drop)
        }),
        check("padding-between-messages", padding_between_messages),
        check("line-breaks", |lab| {
            encoded(lab, |text| {
                text.as_bytes().chunks(60).flat_map(|line| [line, b"\r\n"].concat()).collect()
            })
        }),
        check("message-over-two-pieces", |lab| {
            let mut client = open(lab, lab.source)?;
            let request = client.write("OPTIONS", lab.url(), &[], b"");
            // Each half is encoded by itself, and padded.
            let (head, tail) = request.split_at(31);
            client.send(head)?;
            client.listen(Duration::from_millis(50))?;
            client.ask_raw(tail)?.expect(200).map(drop)
        }),
    ]
}

/// The two connections.
fn half_checks() -> Vec<Check> {
    vec![
        check("post-reopened", post_reopened),
        check("post-before-get", post_before_get),
        check("two-tunnels", |lab| {
            let mut first = open(lab, lab.source)?;
            let mut second = open(lab, lab.source)?;
            first.ask("OPTIONS", lab.url(), &[])?.expect(200)?;
            second.ask("OPTIONS", lab.url(), &[])?.expect(200)?;
            drop(second);
            first.ask("DESCRIBE", lab.url(), &[])?.expect(200).map(drop)
        }),
        check("get-closed-ends-media", get_closed),
        check("frames-upwards", |lab| {
            let (mut player, played) = super::play::begun(lab, Kind::Http, 5)?;
            for _ in 0..5 {
                player.report_alive()?;
                player.ask("OPTIONS", &[])?.expect(200)?;
            }
            player.ensure_in_sequence(&played.reply)
        }),
        check("no-cookie", |lab| refused(lab, "GET / HTTP/1.0\r\nHost: x\r\n\r\n")),
        check("unknown-http-method", |lab| {
            refused(lab, "BREW / HTTP/1.1\r\nHost: x\r\nx-sessioncookie: abcd1234\r\n\r\n")
        }),
        check("garbage-in-post", garbage_in_post),
        check("udp-through-tunnel", udp_through_tunnel),
    ]
}

fn get_reply(lab: &Lab<'_>) -> Verdict {
    let client = open_half(lab, lab.source, &new_cookie(lab), "HTTP/1.0")?;
    let Some(reply) = client.replies.first() else { return fail("no reply") };
    ensure(reply.faults.is_empty(), || format!("{:?}", reply.faults))?;
    ensure(reply.header("Content-Length").is_none(), || "the answer claims to have an end".into())?;
    let cached = [reply.header("Cache-Control"), reply.header("Pragma")];
    ensure(cached.iter().flatten().any(|value| value.contains("no-")), || {
        format!("a proxy may cache it: {cached:?}")
    })
}

fn split_at_every_byte(lab: &Lab<'_>) -> Verdict {
    let mut client = open(lab, lab.source)?;
    for _ in 0..2 {
        let request = client.write("OPTIONS", lab.url(), &[], b"");
        for letter in STANDARD.encode(&request).as_bytes() {
            write_post(&mut client, &[*letter])?;
            client.listen(Duration::from_micros(200))?;
        }
        client.reply()?.expect(200)?;
    }
    Ok(())
}

/// Bytes as they are into the POST.
fn write_post(client: &mut Client, bytes: &[u8]) -> Result<(), Stop> {
    match &mut client.link {
        Link::Tunnel { post: Some(post), .. } => Ok(post.write_all(bytes)?),
        Link::Tunnel { .. } | Link::Plain(_) => skip("no tunnel"),
    }
}

fn encoded(lab: &Lab<'_>, form: fn(String) -> Vec<u8>) -> Verdict {
    let mut client = open(lab, lab.source)?;
    let request = client.write("OPTIONS", lab.url(), &[], b"");
    write_post(&mut client, &form(STANDARD.encode(&request)))?;
    client.reply()?.expect(200).map(drop)
}

/// Messages of every length, so with none, one and two `=` at their ends.
fn padding_between_messages(lab: &Lab<'_>) -> Verdict {
    let mut client = open(lab, lab.source)?;
    let mut all = String::new();
    for length in 1..=6 {
        let padding = "x".repeat(length);
        let request = client.write("OPTIONS", lab.url(), &[("User-Agent", &padding)], b"");
        all.push_str(&STANDARD.encode(&request));
    }
    write_post(&mut client, all.as_bytes())?;
    (0..6).try_for_each(|_| client.reply()?.expect(200).map(drop))
}

/// The POST ends, another one with the same cookie goes on.
fn post_reopened(lab: &Lab<'_>) -> Verdict {
    let cookie = new_cookie(lab);
    let mut client = open_half(lab, lab.source, &cookie, "HTTP/1.0")?;
    for _ in 0..3 {
        let stream = post(lab, lab.source, &cookie, 32767)?;
        if let Link::Tunnel { post, .. } = &mut client.link {
            *post = Some(stream);
        }
        client.ask("OPTIONS", lab.url(), &[])?.expect(200)?;
    }
    Ok(())
}

/// Some clients send both at once.
fn post_before_get(lab: &Lab<'_>) -> Verdict {
    open_half(lab, lab.source, &new_cookie(lab), "HTTP/1.0")?;
    let cookie = new_cookie(lab);
    let mut half = post(lab, lab.source, &cookie, 32767)?;
    let mut get = lab.connect(lab.server(), lab.source)?;
    get.write_all(get_request(lab, &cookie, "HTTP/1.0").as_bytes())?;
    let mut client = Client::new(lab, Link::Tunnel { get, post: None });
    let request = client.write("OPTIONS", lab.url(), &[], b"");
    half.write_all(STANDARD.encode(&request).as_bytes())?;
    if let Link::Tunnel { post, .. } = &mut client.link {
        *post = Some(half);
    }
    let Some(reply) = client.reply_or_close()? else {
        return not_supported("POST before GET");
    };
    ensure(reply.protocol.starts_with("HTTP/"), || "RTSP came before the answer to GET".into())?;
    reply.expect(200)?;
    match client.reply() {
        Ok(reply) => reply.expect(200).map(drop),
        Err(_) => not_supported("what a POST before the GET says is not read"),
    }
}

fn get_closed(lab: &Lab<'_>) -> Verdict {
    let (mut player, _) = super::play::begun(lab, Kind::Http, 5)?;
    let headers = [("Session", player.session.clone())];
    let headers: Vec<_> = headers.iter().map(|(name, id)| (*name, id.as_str())).collect();
    let url = player.aggregate.clone();
    player.client.vanish();
    lab.pause(Duration::from_millis(500));
    let reply = lab.client()?.ask("PLAY", &url, &headers)?;
    // The session may be there, but its media has nowhere to go.
    ensure(reply.is_ok() || reply.status / 100 == 4, || reply.line())
}

/// Not a tunnel: an HTTP error, or the end.
fn refused(lab: &Lab<'_>, request: &str) -> Verdict {
    open_half(lab, lab.source, &new_cookie(lab), "HTTP/1.0")?;
    let mut client = lab.client()?;
    client.send(request.as_bytes())?;
    match client.reply_or_close()? {
        None => Ok(()),
        Some(reply) => reply.expect_refusal().map(drop),
    }
}

fn garbage_in_post(lab: &Lab<'_>) -> Verdict {
    let mut client = open(lab, lab.source)?;
    write_post(&mut client, b"!!!! this is no base64 \xff\xfe !!!!")?;
    client.patience = Duration::from_secs(2);
    client.wait(Duration::from_secs(2), |client| client.is_closed || client.replies.len() > 1)?;
    let mut other = open(lab, lab.source)?;
    other.ask("OPTIONS", lab.url(), &[])?.expect(200).map(drop)
}

/// Control through the tunnel, media beside it.
fn udp_through_tunnel(lab: &Lab<'_>) -> Verdict {
    let client = open(lab, lab.source)?;
    let mut player = super::super::player::Player::open_by(lab, client, Kind::Udp)?;
    let played = player.play(None)?;
    player.await_packets(&played.reply, 5)?;
    player.tear_down().map(drop)
}
