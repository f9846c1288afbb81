//! The form of replies, and headers that must not disturb (RFC 2326 §4–7, §12, §15.1).

use super::super::check::{Check, Stop, Verdict, ensure, fail, not_supported, skip};
use super::super::lab::Lab;
use super::super::message::Reply;
use super::super::player::Player;
use super::plainest;
use std::time::Duration;

pub(super) fn checks() -> Vec<Check> {
    let mut checks = Vec::new();
    for exchange in EXCHANGES {
        checks.push(Check::new(
            format!("form.reply.{exchange}"),
            "RFC 2326 §7, §15.1, §12.14; interop 4.0.10",
            move |lab| match reply_to(lab, exchange) {
                // Whether it is answered is another check's business.
                Err(Stop::Fail(what)) if exchange == "505" => skip(what),
                reply => well_formed(&reply?),
            },
        ));
    }
    for (name, header, value) in HEADERS {
        checks.push(Check::new(format!("form.ignores.{name}"), "RFC 2326 §12", move |lab| {
            let mut client = lab.client()?;
            client.ask("OPTIONS", lab.url(), &[(header, value)])?.expect(200)?;
            let accept = ("Accept", "application/sdp");
            client.ask("DESCRIBE", lab.url(), &[(header, value), accept])?.expect(200).map(drop)
        }));
    }
    checks.push(Check::new("form.long-header", "RFC 2326 §4.3", |lab| {
        let long = "x".repeat(2000);
        lab.client()?.ask("OPTIONS", lab.url(), &[("X-Long", &long)])?.expect(200).map(drop)
    }));
    checks.push(Check::new("form.many-headers", "RFC 2326 §4.3", |lab| {
        let headers = [("X-Number", "1"); 40];
        lab.client()?.ask("OPTIONS", lab.url(), &headers)?.expect(200).map(drop)
    }));
    checks.push(Check::new("form.timestamp", "RFC 2326 §12.38", timestamp_is_echoed));
    checks.push(Check::new("form.connection-close", "RFC 2326 §12.10", connection_close));
    checks.push(Check::new("form.date", "RFC 2326 §12.18, RFC 2068 §14.19", date));
    checks
}

const EXCHANGES: [&str; 14] = [
    "OPTIONS",
    "DESCRIBE",
    "SETUP",
    "PLAY",
    "PAUSE",
    "GET_PARAMETER",
    "SET_PARAMETER",
    "TEARDOWN",
    "404",
    "454",
    "461",
    "501",
    "551",
    "505",
];

/// Name, header and value: what clients and proxies send and no server has to look at.
const HEADERS: [(&str, &str, &str); 18] = [
    ("From", "From", "somebody@example.com"),
    ("Referer", "Referer", "http://www.example.com/listing.html"),
    ("User-Agent", "User-Agent", "LibVLC/3.0.24 (LIVE555 Streaming Media v2016.11.28)"),
    ("Via", "Via", "1.0 fred, 1.1 example.com (Apache/1.1)"),
    ("Accept-Language", "Accept-Language", "da, en-gb;q=0.8, en;q=0.7"),
    ("Accept-Encoding", "Accept-Encoding", "gzip;q=1.0, identity; q=0.5, *;q=0"),
    ("Bandwidth", "Bandwidth", "100000000"),
    ("Date", "Date", "Thu, 23 Jan 1997 15:35:06 GMT"),
    ("Host", "Host", "somewhere.else:1234"),
    ("Cache-Control", "Cache-Control", "no-cache"),
    ("Connection", "Connection", "keep-alive"),
    ("Supported", "Supported", "play.basic, con.persistent"),
    ("unknown", "X-Whatever", "1; 2, \"3\""),
    ("empty", "X-Empty", ""),
    ("colons", "X-Colons", "a:b:c"),
    ("utf-8", "X-Name", "Ærøskøbing"),
    ("Blocksize", "Blocksize", "1200"),
    ("ClientChallenge", "ClientChallenge", "9e26d33f2984236010ef6253fb1887f7"),
];

/// The reply that the name of the check names.
fn reply_to(lab: &Lab<'_>, exchange: &str) -> Result<Reply, Stop> {
    let session = ("Session", "reelringconform");
    let mut client = lab.client()?;
    match exchange {
        "OPTIONS" | "DESCRIBE" => client.ask(exchange, lab.url(), &[]),
        "404" => client.ask("DESCRIBE", &format!("{}.nothing-there", lab.url()), &[]),
        "454" => client.ask("PLAY", lab.url(), &[session]),
        "461" => client.ask("SETUP", lab.stream_url(0), &[("Transport", "RTP/XYZ;unicast")]),
        "501" => client.ask("FROBNICATE", lab.url(), &[]),
        "551" => client.ask("OPTIONS", lab.url(), &[("Require", "org.example.frob")]),
        "505" => {
            client.ask_raw(format!("OPTIONS {} RTSP/9.9\r\nCSeq: 1\r\n\r\n", lab.url()).as_bytes())
        }
        _ => {
            let player = Player::open(lab, plainest(lab))?;
            reply_in_session(player, exchange)
        }
    }
}

fn reply_in_session(mut player: Player, method: &str) -> Result<Reply, Stop> {
    match method {
        "SETUP" => Ok(player.set_up[0].clone()),
        "PAUSE" => {
            player.play(None)?;
            player.ask("PAUSE", &[])
        }
        _ => player.ask(method, &[]),
    }
}

/// What every reply must be like.
fn well_formed(reply: &Reply) -> Verdict {
    if let Some(fault) = reply.faults.first() {
        return fail(fault.clone());
    }
    ensure(reply.protocol == "RTSP/1.0", || format!("version {}", reply.protocol))?;
    ensure(!reply.reason.trim().is_empty(), || "no reason phrase (ExoPlayer wants one)".into())?;
    for name in ["CSeq", "Session", "Content-Length", "Content-Type", "Range", "RTP-Info", "Date"] {
        ensure(reply.count(name) <= 1, || format!("{} headers {name}", reply.count(name)))?;
    }
    ensure(reply.count("CSeq") == 1, || "no CSeq".into())?;
    if let Some(length) = reply.header("Content-Length") {
        ensure(length.bytes().all(|byte| byte.is_ascii_digit()), || {
            format!("Content-Length: {length}")
        })?;
    }
    ensure(reply.body.is_empty() || reply.header("Content-Type").is_some(), || {
        "a body without Content-Type".into()
    })?;
    if let Some(text) = reply.header("Date") {
        ensure(is_date(text), || format!("Date: {text}"))?;
    }
    Ok(())
}

/// Whether this is a date as RFC 1123 or the examples of RFC 2326 write it.
fn is_date(text: &str) -> bool {
    let text = text.split_once(", ").map_or(text, |(_, rest)| rest);
    let words: Vec<&str> = text.split(' ').collect();
    let [day, month, year, time, "GMT"] = words[..] else { return false };
    let is_number = |text: &str| text.parse::<u32>().is_ok();
    is_number(day)
        && month.len() == 3
        && is_number(year)
        && time.split(':').count() == 3
        && time.split(':').all(is_number)
}

fn date(lab: &Lab<'_>) -> Verdict {
    let reply = lab.client()?.ask("OPTIONS", lab.url(), &[])?;
    match reply.header("Date") {
        None => not_supported("no Date, which is optional"),
        Some(text) => ensure(is_date(text), || format!("Date: {text}")),
    }
}

/// "The server MUST echo the exact same value and MAY … add a floating point number".
fn timestamp_is_echoed(lab: &Lab<'_>) -> Verdict {
    let reply = lab.client()?.ask("OPTIONS", lab.url(), &[("Timestamp", "123.4560")])?;
    reply.expect(200)?;
    let echoed = reply.header("Timestamp").unwrap_or_default();
    ensure(echoed.split(' ').next() == Some("123.4560"), || {
        format!("Timestamp 123.4560 came back as {echoed:?}")
    })
}

fn connection_close(lab: &Lab<'_>) -> Verdict {
    let mut client = lab.client()?;
    client.ask("OPTIONS", lab.url(), &[("Connection", "close")])?.expect(200)?;
    if client.wait(Duration::from_secs(2), |client| client.is_closed)? {
        return Ok(());
    }
    not_supported("the connection stayed open, a SHOULD NOT of RFC 2068 §14.10")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        assert!(is_date("Sun, 06 Nov 1994 08:49:37 GMT") && is_date("23 Jan 1997 15:35:06 GMT"));
        assert!(!is_date("yesterday") && !is_date("Sun, 06 Nov 1994 08:49 GMT"));
    }
}
